"""What the samplers have seen of a study, each finished trial read once."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import TrialState

from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.history import observe


class Seen:
    """The observations of one study by trial number."""

    def __init__(self) -> None:
        self._observations: dict[int, Observation] = {}

    def history(self, study: Study, metric: str) -> History:
        """The study as the method sees it, trials in flight with their parameters included."""
        for trial in study.get_trials(deepcopy=False):
            known = self._observations.get(trial.number)
            if known is None or known.state == "RUNNING":
                if trial.state == TrialState.WAITING or (
                    trial.state == TrialState.RUNNING and not trial.params
                ):
                    continue
                self._observations[trial.number] = observe(trial)
        return History(
            tuple(self._observations[n] for n in sorted(self._observations)),
            study.direction.name.lower(),
            metric,
        )

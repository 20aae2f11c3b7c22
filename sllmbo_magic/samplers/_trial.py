"""One trial of a sampler: the history that it reads, the suggestion, and the provenance that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any
from typing import cast

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.history.growing import GrowingHistory
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.history.trials import observe
from sllmbo_magic.samplers.trial_spaces import TrialSpaces
from sllmbo_magic.space.expression import with_defaults
from sllmbo_magic.space.search_space import SearchSpace

_SHOWN_PARAMETERS = 8


@dataclass(frozen=True)
class TrialContext:
    """One trial that needs its parameters, and what may decide them.

    Attributes:
        study: The whole study, also behind a bracket of Hyperband's.
        trial: The trial.
        rng: The trial's own generator.
        history: The trials so far.
        trials: The same as the storage has them, without copies.
        spaces: Where each source may propose.
        has_design: Whether the run begins with an initial design, for want of a default, a user's or an
            expert's configuration to start from.
    """

    study: Study
    trial: FrozenTrial
    rng: np.random.Generator
    history: History
    trials: Sequence[FrozenTrial]
    spaces: TrialSpaces
    has_design: bool


@dataclass(frozen=True)
class Suggestion:
    """The parameters of a trial, their one source, and what else its provenance holds.

    Attributes:
        at_default: As for a :class:`~sllmbo_magic.proposers.base.Candidate`.
        extra: Values of parameters that not all trials have, for when the objective asks for them.
    """

    params: dict[str, Any]
    source: str
    provenance: dict[str, Any]
    at_default: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def write_provenance(context: TrialContext, suggestion: Suggestion, version: int) -> None:
    """Write source and provenance of a trial to the study.

    Args:
        version: Number of the search space's version.
    """
    more = {k: v for k, v in suggestion.provenance.items() if v not in ("", None)}
    storage, trial_id = context.study._storage, context.trial._trial_id
    storage.set_trial_user_attr(trial_id, attrs.SOURCE, suggestion.source)
    storage.set_trial_user_attr(
        trial_id, attrs.PROVENANCE, {"source": suggestion.source, "space_version": version, **more}
    )


def with_feedback_of(trial: FrozenTrial, history: History) -> History:
    """The history with what a queued trial brings along: what became of the other first configurations.

    A request at the start of the trial holds it so, as if the last trial before had learned of it.
    """
    lines = (trial.user_attrs.get(attrs.EXCHANGE) or {}).get("feedback")
    if not lines:
        return history
    *earlier, last = history.observations
    last = replace(last, feedback=(*last.feedback, *lines))
    return History((*earlier, last), history.direction, history.metric)


def write_exchange(
    context: TrialContext, feedback: list[str], *, sent_request: bool, unanswered: int | None
) -> None:
    """Add to a trial what became of parts of an LLM's answer there, whether a request went out, and which
    one has no answer.
    """
    storage, trial_id = context.study._storage, context.trial._trial_id
    before = context.trial.user_attrs.get(attrs.EXCHANGE) or {}
    if sent_request and before:
        before = {**before, "told": len(before.get("feedback", ()))}
    lines = [*before.get("feedback", ()), *feedback]
    if lines or sent_request or unanswered is not None:
        exchange = {**before, "feedback": lines, "sent_request": sent_request}
        if unanswered is not None:
            exchange["unanswered"] = unanswered
        storage.set_trial_user_attr(trial_id, attrs.EXCHANGE, exchange)


def recorded(
    context: TrialContext, suggestion: Suggestion, outer: SearchSpace | None, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of a suggestion that the study can record; defaults that it keeps and that ``outer``
    lacks are written to the trial.
    """
    if not suggestion.at_default or outer is None:
        return suggestion.params
    params, configuration = with_defaults(suggestion.params, outer, suggestion.at_default, defaults)
    if configuration is not None:
        storage, trial_id = context.study._storage, context.trial._trial_id
        storage.set_trial_user_attr(trial_id, attrs.CONFIGURATION, configuration)
    return params


def short_text(params: Mapping[str, Any]) -> str:
    """A configuration in words; of a large one the first few parameters."""
    pairs = [f"{name}={show(value)}" for name, value in params.items()]
    n_more = len(pairs) - _SHOWN_PARAMETERS
    return ", ".join(pairs[:_SHOWN_PARAMETERS]) + (f" and {n_more} more" if n_more > 0 else "")


class ObservationCache:
    """The observations of one study: each finished trial is read once, and its place among the others found
    once, so that the work at a trial hardly grows with the number of earlier ones.
    """

    def __init__(self, outer: SearchSpace | None = None) -> None:
        self._outer = outer
        self._finished = GrowingHistory()
        self._open: list[int] = []
        """Numbers of the trials that waited or ran at the last look."""
        self._n_seen = 0

    def history(
        self,
        study: Study,
        metric: str,
        trials: Sequence[FrozenTrial] | None = None,
        outer: SearchSpace | None = None,
        program: str | None = None,
    ) -> History:
        """The study's trials as a history, running ones included once they have parameters.

        Args:
            trials: All of the study, where they have been read just now.
            outer: The fixed space of the study; a trial outside of it is no point of the space.
            program: As for :func:`observe`.
        """
        if outer is not self._outer:  # a trial may be inside of the new one
            self.__dict__.update(ObservationCache(outer).__dict__)
        trials = study.get_trials(deepcopy=False) if trials is None else trials
        running: list[Observation] = []
        still_open: list[int] = []
        for number in (*self._open, *range(self._n_seen, len(trials))):
            trial = trials[number]
            if trial.state.is_finished():
                self._finished.add(observe(trial, outer=outer, program=program))
                continue
            still_open.append(number)
            if trial.state == TrialState.RUNNING and trial.params:
                running.append(observe(trial, outer=outer, program=program))
        self._open, self._n_seen = still_open, len(trials)
        return self._finished.history(study.direction.name.lower(), metric, running)


def unwrap_bracket(study: Study) -> Study:
    """The whole study behind a bracket of Hyperband's; any other study as it is.

    Optuna shows a sampler only those trials that are in the bracket of the new one. Ours use all of them: the
    history that an LLM is sent, each source's credit and the surrogate are about the run, and with 50
    trials in three brackets TPE would hardly leave its start-up phase. TPE ranks pruned trials by how far
    they came and then by their value, so trials of several brackets can be compared.
    """
    try:
        return cast("Study", object.__getattribute__(study, "_study"))
    except AttributeError:
        return study

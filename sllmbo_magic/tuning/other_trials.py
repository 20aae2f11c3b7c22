"""Trials of the study that the run did not make: earlier ones of a user's study, and other processes'.

They count as the run's own do, so the views of the run get an event for each of them, too.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Iterator

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.history.trials import counts
from sllmbo_magic.history.trials import observe
from sllmbo_magic.history.trials import scored
from sllmbo_magic.history.trials import state_of


def events_of_others(study: Study, own: Collection[int]) -> Iterator[TrialFinished]:
    """An event for each trial that counts and is not the run's own, in the order of their numbers.

    Args:
        own: Numbers of the trials that the run has an event for already.
    """
    best: FrozenTrial | None = None
    single = len(study.directions) == 1
    for trial in study.get_trials(deepcopy=False):
        if not counts(trial):
            continue
        if single and scored(trial) and (best is None or _is_better(trial, best, study)):
            best = trial
        if trial.number not in own:
            yield event_of(trial, *((None, None) if best is None else (best.number, best.values[0])))


def foreign_text(study: Study) -> str | None:
    """A note on trials that no run of this package made, since their task is not known."""
    trials = [t for t in study.get_trials(deepcopy=False) if counts(t) and attrs.SOURCE not in t.user_attrs]
    if not trials:
        return None
    trials_text = (
        "1 trial of the study was" if len(trials) == 1 else f"{len(trials)} trials of the study were"
    )
    return f"{trials_text} not made by a run of sllmbo_magic. Their values count as scores of this task."


def _is_better(trial: FrozenTrial, best: FrozenTrial, study: Study) -> bool:
    value, best_value = float(trial.values[0]), float(best.values[0])
    return value > best_value if study.direction.name == "MAXIMIZE" else value < best_value


def event_of(trial: FrozenTrial, best_number: int | None, best_value: float | None) -> TrialFinished:
    """The event of one such trial.

    Request and version of the space are left out: their numbers are those of another conversation.

    Args:
        best_number: Of the best trial of the study at that moment; None without one.
        best_value: Its score.
    """
    observation = observe(trial)
    evaluation = trial.user_attrs.get(attrs.EVALUATION) or {}
    seconds = None if trial.duration is None else trial.duration.total_seconds()
    several = len(trial.values or ()) > 1
    has_value = trial.state == TrialState.COMPLETE and not several and math.isfinite(trial.values[0])
    error_class = evaluation.get("error_class")
    return TrialFinished(
        time=0.0 if trial.datetime_complete is None else trial.datetime_complete.timestamp(),
        number=trial.number,
        state=state_of(trial),
        value=trial.values[0] if has_value else None,
        values=list(trial.values) if several else None,
        params=dict(observation.params),
        source=observation.source,
        std=evaluation.get("std"),
        split_scores=list(observation.splits),
        seconds=observation.seconds or seconds or 0.0,
        reason=observation.reason,
        expected=observation.expects,
        came_true=observation.came_true,
        error=f"{observation.error} ({error_class})" if error_class else observation.error,
        cause=evaluation.get("cause", ""),
        best_number=best_number,
        best_value=best_value,
        reported=observation.reported,
        pruned_at=observation.pruned_at,
    )

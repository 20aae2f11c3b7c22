"""Trials with values that the search space cannot express, as the library's default configuration has.

Such a trial is evaluated as it is, and recorded as what it is: its real values are kept in a trial attribute.
Among the trial's parameters stand only those that the search space holds exactly; another value ("sqrt",
None, a number outside the range) is not replaced by one of the range.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.report.text import one_line
from sllmbo_magic.space.expression import express
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.data_advice import advice_for
from sllmbo_magic.task.task import Task

_REASON = "the library's default configuration"
_MOST_CHARACTERS = 600
"""Characters of a cause in an error: enough for scikit-learn's messages, and not for the data in some."""
_SCORING = {
    "score-failed": "Choose another metric (scoring), or correct yours or the model's predict.",
    "not-finite-score": "Choose another metric (scoring), or folds (cv) on which it is defined.",
}
"""What to do about a model that was fitted and has no score, by category."""


def queue_default(
    study: Study,
    outer: SearchSpace,
    values: Mapping[str, Any],
    *,
    off: Mapping[str, float] | None = None,
    may_differ: Collection[str] = (),
) -> None:
    """Queue the default configuration.

    Args:
        outer: The outer space of the stored study.
        values: The values that the estimator really has, as plain data.
        off: See :func:`~sllmbo_magic.space.expression.express`.
        may_differ: Fixed parameters of the space that the prior sets for the search; they make no other
            configuration of the default.
    """
    expression = express(values, outer, off=off, may_differ=may_differ)
    provenance = {"source": "default", "reason": _REASON, "library_defaults": True, "space_version": 0}
    study.enqueue_trial(
        expression.params,
        user_attrs={
            attrs.SOURCE: "default",
            attrs.PROVENANCE: provenance,
            attrs.CONFIGURATION: {"values": dict(values), "outside": list(expression.outside)},
        },
    )


def is_default(user_attrs: Mapping[str, Any]) -> bool:
    """Whether a trial with these attributes is that of the library's default configuration."""
    return bool((user_attrs.get(attrs.PROVENANCE) or {}).get("library_defaults"))


def suggest(trial: Trial, outer: SearchSpace, stored: FrozenTrial) -> dict[str, Any]:
    """The configuration of a trial that was asked for, recorded among its parameters.

    Of the default configuration, and of another one with values that the space cannot express, only what was
    queued or sampled is recorded: nothing fills in the rest.

    Args:
        stored: The trial as the storage has it.
    """
    values = (stored.user_attrs.get(attrs.CONFIGURATION) or {}).get("values")
    if values is None or not (is_default(stored.user_attrs) or outside(stored.user_attrs)):
        return outer.suggest_labels(trial)
    chosen = stored.system_attrs.get("fixed_params")
    if chosen is None:  # sampled
        chosen = {*values} - {*outside(stored.user_attrs)}
    SearchSpace({name: outer[name] for name in outer if name in chosen}).suggest(trial)
    active = outer.with_fixed({name: values.get(name) for name in outer})
    if is_default(stored.user_attrs):
        return {name: values[name] for name in active if name in values}
    return {name: value for name, value in active.items() if name in values or name in outer.fixed}


def outside(user_attrs: Mapping[str, Any]) -> tuple[str, ...]:
    """The parameters of a trial whose values the search space cannot express."""
    return tuple((user_attrs.get(attrs.CONFIGURATION) or {}).get("outside", ()))


def check_default(task: Task, trial: FrozenTrial) -> None:
    """An estimator whose defaults cannot be fitted or scored ends the run with the reason.

    Raises:
        InputError: The trial is that of the defaults, and it failed for another reason than time or memory.
    """
    if trial.user_attrs.get(attrs.SOURCE) != "default" or trial.state != TrialState.FAIL:
        return
    evaluation = trial.user_attrs.get(attrs.EVALUATION) or {}
    category = evaluation.get("error")
    if category in (None, attrs.STOPPED, "timeout", "out-of-memory"):
        return
    cause = evaluation.get("cause") or evaluation.get("error_class") or category
    text = one_line(cause, _MOST_CHARACTERS)
    text += "" if text.endswith((".", "!", "?", "…")) else "."
    model = type(task.estimator).__name__
    if category in _SCORING:
        raise InputError(
            f"{model} has no score with its default parameters ({category}): {text}",
            # columns that need preparing are no reason for a metric to fail
            advice_for(cause, None) or f"{_SCORING[category]} Nothing was searched.",
        ) from None
    raise InputError(
        f"{model} cannot be fitted with its default parameters ({category}): {text}",
        advice_for(cause, task.X) or "Correct the estimator or the data. Nothing was searched.",
    ) from None

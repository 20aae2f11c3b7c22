"""A trial that is being evaluated, what is stored of it, and its value where that could not be written."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic._utils.value_format import format_value
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.suggestions import check_in_suggested
from sllmbo_magic.space.suggestions import check_suggestion
from sllmbo_magic.space.suggestions import fixed_value
from sllmbo_magic.space.suggestions import misnamed


@dataclass(frozen=True)
class RunningTrial:
    """A trial that has its parameters.

    Attributes:
        params: The parameters that its study records.
        set_params: The parameters to evaluate: none for the library's default configuration, and none that
            keeps a default which the search space cannot express.
        source: Who proposed it, one of ``attrs.SOURCES``.
        provenance: What ``attrs.PROVENANCE`` holds of it.
        suggests_itself: Whether the objective asks the trial for its parameters.
        is_default: Whether it is the library's default configuration.
        asked: Names that an objective has asked the trial for, in a declared space.
    """

    trial: Trial
    params: Mapping[str, Any]
    set_params: Mapping[str, Any]
    source: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    suggests_itself: bool = False
    is_default: bool = False
    asked: Collection[str] = ()

    @property
    def number(self) -> int:
        """The trial's number, from 0."""
        return self.trial.number


def evaluation_data(
    running: RunningTrial,
    evaluation: Evaluation,
    params: Mapping[str, Any],
    error: str | None,
    came_true: bool | None,
) -> dict[str, Any]:
    """What ``attrs.EVALUATION`` keeps of a trial."""
    stored = {**evaluation.to_json(), "error": error}
    at_default = {*running.params} - {*running.set_params}
    fixed = {
        name: value
        for name, value in params.items()
        if name not in running.trial.params and name not in at_default
    }
    if fixed and not running.is_default:
        stored["fixed"] = fixed
    if came_true is not None:
        stored["came_true"] = came_true
    return stored


def unwritten_trial(
    running: RunningTrial, evaluation: Evaluation, stored: Mapping[str, Any], error: str | None
) -> FrozenTrial:
    """A trial whose end could not be written."""
    trial = running.trial
    state = TrialState.FAIL if error else TrialState.PRUNED if evaluation.pruned else TrialState.COMPLETE
    values = evaluation.values or (evaluation.mean,)
    frozen = optuna.trial.create_trial(
        state=state,
        values=[float(v) for v in values if v is not None] if state == TrialState.COMPLETE else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={
            attrs.SOURCE: running.source,
            attrs.PROVENANCE: dict(running.provenance),
            **trial.user_attrs,
            attrs.EVALUATION: dict(stored) or {**evaluation.to_json(), "error": error},
        },
        constraints=trial._cached_frozen_trial.constraints,  # the storage may be away
    )
    frozen.number = trial.number
    return frozen


def several(values: Sequence[float] | None) -> str:
    """What a trial of several objectives returned, in words; "" with one or none."""
    if values is None or len(values) < 2:
        return ""
    return f"returned {', '.join(format_value(v) for v in values)}"


def proposed_by(trial: FrozenTrial) -> dict[str, Any]:
    names = (attrs.SOURCE, attrs.PROVENANCE, attrs.CONFIGURATION)
    return {name: value for name, value in trial.user_attrs.items() if name in names}


def in_declared_space(trial: Trial, outer: SearchSpace) -> Collection[str]:
    """An objective that asks the trial for a parameter of the declared space suggests it as the space has it,
    and is given the one value of a parameter that is not searched: by any sampler.

    Returns:
        The names that it has asked for; they grow while it runs.
    """
    suggest = trial._suggest
    asked: set[str] = set()

    def checked(name: str, distribution: BaseDistribution) -> Any:
        asked.add(name)
        if name in outer:
            check_suggestion(name, outer[name], distribution)
            if name in trial.params:
                check_in_suggested(name, trial.params[name], outer[name], distribution)
        elif name in outer.fixed and name not in trial._fixed_params:
            value = fixed_value(name, outer, distribution)
            trial._fixed_params = {**trial._fixed_params, name: value}
        return suggest(name, distribution)

    trial._suggest = checked  # type: ignore[method-assign]
    return asked


def misnamed_text(running: RunningTrial, outer: SearchSpace) -> str:
    """That an objective and its declared space have different names; "" where they have not."""
    unknown = sorted(name for name in running.asked if name not in outer and name not in outer.fixed)
    unasked = [name for name in outer if name in running.params and name not in running.asked]
    if not unknown or not unasked:
        return ""
    return f"Trial {running.number}: {misnamed(unknown, unasked)}"


def never_pruned(trial: Trial) -> None:
    """The pruner gets the trial's reports, as of any trial, but its answer has no effect."""
    ask = trial.should_prune

    def should_prune() -> bool:
        ask()
        return False

    trial.should_prune = should_prune  # type: ignore[method-assign]

"""The search space of a study that declares none: what its trials have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import TrialState

from sllmbo_magic.space.distributions import check_value
from sllmbo_magic.space.distributions import index_of
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.search_space import SearchSpace

_KEPT_SPACES = 2
"""With and without the parameters of one value."""


class UndeclaredSpace:
    """Optuna's intersection of the trials with an outcome.

    While all trials fail it is the intersection of those, which Optuna leaves out: else each configuration
    would be drawn without a look at those that failed.

    Attributes:
        fixed: Parameters that a ``PartialFixedSampler`` keeps at one value, which are not searched.
        is_used_up: Whether the warning that all configurations have been tried was given.
    """

    def __init__(self) -> None:
        self.fixed: Mapping[str, Any] = {}
        self.is_used_up = False
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._shared: dict[str, BaseDistribution] = {}
        """As the trials had them at the last look."""
        self._spaces: list[SearchSpace] = []

    def searched(self, study: Study) -> dict[str, BaseDistribution]:
        """The parameters with more than one value; none before the first trial has ended."""
        shared = self.shared(study)
        return {name: d for name, d in shared.items() if not d.single() and name not in self.fixed}

    def all_of(self, study: Study) -> SearchSpace | None:
        """The space of :meth:`shared`; None while there is none."""
        shared = self.shared(study)
        return self.space_of(shared) if shared else None

    def space_of(self, distributions: Mapping[str, BaseDistribution]) -> SearchSpace:
        """The search space of these parameters, with those that are fixed: the same object as long as they
        stay the same, since each trial keeps what was computed of it in a space.
        """
        held = {
            name: distribution
            for name, distribution in self._shared.items()
            if name in self.fixed and not check_value(distribution, self.fixed[name])[1]
        }
        space = SearchSpace({**distributions, **held}).held(self.fixed)
        for known in self._spaces:
            if known == space and [*known] == [*space]:
                return known
        self._spaces = [space, *self._spaces][:_KEPT_SPACES]
        return space

    def shared(self, study: Study) -> dict[str, BaseDistribution]:
        """The parameters that all trials have under one distribution, those with one value too.

        One with tuples, other objects, inf, NaN or huge integers as choices is not among them: it is sampled
        by itself, as a search space has no value for it that could be compared, or sent to an LLM.
        """
        shared = self._intersection.calculate(study) or _of_failed(study)
        self._shared = {name: d for name, d in shared.items() if not _has_objects(d)}
        return dict(self._shared)


def as_suggested(params: Mapping[str, Any], search_space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The parameters of a search space as the objective suggests them: a choice is the objective's own, which
    may be a type of numpy or a member of an enumeration where a search space has a plain value.
    """
    return {name: _own_choice(d, params[name]) for name, d in search_space.items() if name in params}


def _own_choice(distribution: BaseDistribution, value: Any) -> Any:
    index = index_of(distribution, value) if isinstance(distribution, CategoricalDistribution) else None
    return value if index is None else distribution.choices[index]  # type: ignore[attr-defined]


def _has_objects(distribution: BaseDistribution) -> bool:
    choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
    return not all(plain(choice)[1] for choice in choices)


def _of_failed(study: Study) -> dict[str, BaseDistribution]:
    if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        return {}
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    first, *later = [trial.distributions for trial in failed if trial.distributions] or [{}]
    return {
        name: distribution
        for name, distribution in first.items()
        if all(other.get(name) == distribution for other in later)
    }

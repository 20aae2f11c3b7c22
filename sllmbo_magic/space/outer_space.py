"""The fixed outer space of a run, inside which versions of its search space move."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.search_space import SearchSpace


def outer_of(
    space: SearchSpace,
    prior: SearchSpace | None,
    limits: Mapping[str, tuple[float | None, float | None]],
) -> SearchSpace:
    """The fixed outer space of a run, inside which versions of the space move.

    The hull of ``space`` and ``prior``, widened (ten times on each side of a log scale, one span on each side
    of a linear one), inside the hard limits. Without a limit a range never crosses zero, a whole number that
    starts at 1 or above stays there, and a share that ends at 1 stays below. Categoricals: all choices of
    both. A parameter fixed in one and searched in the other is searched.
    """
    prior = prior if prior is not None else SearchSpace({})
    distributions: dict[str, BaseDistribution] = {}
    for name in dict.fromkeys([*space, *prior]):
        in_space, in_prior = _distribution(space, name), _distribution(prior, name)
        both = (
            dist.hull(in_space, in_prior)
            if in_space is not None and in_prior is not None
            else in_space or in_prior
        )
        assert both is not None
        distributions[name] = (
            both if isinstance(both, CategoricalDistribution) else dist.widened(both, limits.get(name))
        )
    fixed = {n: v for n, v in {**prior.fixed, **space.fixed}.items() if n not in distributions}
    conditions = dict.fromkeys([*space.conditions, *prior.conditions])
    remaining = [c for c in conditions if all(n in distributions or n in fixed for n in (c.param, c.parent))]
    objects = {**prior.objects, **space.objects}
    return SearchSpace(distributions, conditions=remaining, fixed=fixed, objects=objects)


def _distribution(space: SearchSpace, name: str) -> Distribution | None:
    """The distribution of a parameter that the space searches, else None."""
    return dist.normal(space[name]) if name in space else None

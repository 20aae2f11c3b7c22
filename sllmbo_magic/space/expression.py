"""What of a configuration a search space can express.

A configuration that a library or a person chose need not lie in the search space: ``max_features="sqrt"`` has
no place in a range of shares, None is no depth, a value may lie outside its range. Such a configuration is no
point of the space, and no model may learn from it as if it were one.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.search_space import SearchSpace

_MISSING = object()


@dataclass(frozen=True)
class Expression:
    """A configuration as far as a search space can express it.

    Attributes:
        params: The values of the active parameters that the space holds exactly.
        outside: The active parameters that have another value than the space can hold, or one that is not
            known.
    """

    params: dict[str, Any] = field(default_factory=dict)
    outside: tuple[str, ...] = ()


def express(
    values: Mapping[str, Any],
    space: SearchSpace,
    *,
    off: Mapping[str, float] | None = None,
    may_differ: Collection[str] = (),
) -> Expression:
    """What of the real values of a configuration a space can hold.

    Args:
        values: The real values, by parameter.
        off: Penalties by name, with the value up to which they have no effect. A smaller one then lies at
            the low end of a range that begins there or below: it is no value of the range, but not outside
            either.
        may_differ: Fixed parameters of the space whose real value may be another.
    """
    off = off or {}
    params: dict[str, Any] = {}
    outside: list[str] = []
    real = {name: values.get(name, _MISSING) for name in space}
    for name, value in space.with_fixed(real).items():
        if name in space.fixed:
            if name not in may_differ and not dist.same(values.get(name, _MISSING), value):
                outside.append(name)
            continue
        distribution = dist.normal(space[name])
        assert distribution is not None
        value_in_space, problem = dist.check(distribution, _as_integer(value, distribution), repair=False)
        if not problem:
            params[name] = value_in_space
        elif name not in off or not _is_off(distribution, value, off[name]):
            outside.append(name)
    return Expression(params, tuple(outside))


def with_defaults(
    params: Mapping[str, Any], space: SearchSpace, at_default: Collection[str], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What a space can hold of a configuration of which some parameters keep the estimator's defaults.

    Args:
        params: Each active parameter has a value, those at their default a stand-in.
        defaults: The estimator's own values; one that is missing here is left to the library.

    Returns:
        The values that the space holds, and all real ones with the parameters that it cannot express, as
        ``attrs.CONFIGURATION`` has them; None where it can express them all.
    """
    active = space.active(params)
    kept = {name: defaults[name] for name in at_default if name in defaults}
    parents = {condition.parent for condition in space.conditions}
    held = {n: v for n, v in kept.items() if n not in parents and space.contains(n, v)}
    values = {name: value for name, value in active.items() if name not in at_default} | held
    outside = [name for name in at_default if name not in held]
    return values, {"values": {**values, **kept}, "outside": outside} if outside else None


def _is_off(distribution: Any, value: Any, off: float) -> bool:
    if isinstance(distribution, CategoricalDistribution) or not isinstance(value, int | float):
        return False
    return bool(0 <= value < distribution.low <= off)


def _as_integer(value: Any, distribution: Any) -> Any:
    """3.0 is 3 where whole numbers are searched."""
    if isinstance(distribution, CategoricalDistribution) or not isinstance(value, float):
        return value
    return int(value) if value.is_integer() and isinstance(distribution.low, int) else value

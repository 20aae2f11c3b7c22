"""The configurations of a finite search space, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.distributions import from_unit
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.search_space import SearchSpace

MOST = 10_000
"""A space of more configurations counts as endless: no run tries them all."""


@lru_cache(maxsize=16)
def size_of(space: SearchSpace) -> int | None:
    """How many different configurations a space has; None where they are endless, or over :data:`MOST`."""
    total = 1
    for distribution in space.distributions.values():
        n = _n_values(distribution)
        if n is None:
            return None
        total *= n
    if not space.conditions:
        return total if total <= MOST else None
    count = sum(1 for _ in islice(configurations(space), MOST + 1))
    return count if count <= MOST else None


def configurations(space: SearchSpace) -> Iterator[dict[str, Value]]:
    """All configurations of a finite space, each once; inactive parameters are left out."""
    return _completed(space, [*space], {})


def identity(space: SearchSpace, params: Mapping[str, Any]) -> tuple[tuple[str, bool, Any], ...]:
    """Equal for equal configurations only; inactive parameters do not count, and True is not 1.

    A point of a grid of floats is its place there: 0.3 and 0.30000000000000004, which is how Optuna adds up
    three steps of 0.1, are one.
    """
    return tuple(
        (name, isinstance(value, bool), _place(space.get(name), value))
        for name, value in space.active(params).items()
    )


def _place(distribution: BaseDistribution | None, value: Any) -> Any:
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return round((value - distribution.low) / distribution.step)
    return value


def _completed(space: SearchSpace, names: list[str], partial: dict[str, Value]) -> Iterator[dict[str, Value]]:
    """All configurations that begin with these values; ``names`` are still open, parents first."""
    if not names:
        yield partial
        return
    name, *later_names = names
    values = _values(space[name])
    if name not in space.active({**partial, name: values[0]}):
        yield from _completed(space, later_names, partial)
        return
    for value in values:
        yield from _completed(space, later_names, {**partial, name: value})


def _n_values(distribution: BaseDistribution) -> int | None:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if distribution.single():
        return 1
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _values(distribution: BaseDistribution) -> list[Value]:
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    count = _n_values(distribution)
    assert count is not None
    normalized = normal(distribution)
    assert normalized is not None
    return [
        from_unit(normalized, (i + 0.5) / count) for i in range(count)
    ]  # choices, or the points of a grid

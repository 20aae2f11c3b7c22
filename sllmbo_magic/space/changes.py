"""Changes of a search space as typed values, and what each makes of a space inside its fixed outer space.

A change is made as far as the outer space allows. What is made otherwise than asked for is one note each: a
short sentence without the parameter's name in front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.distributions import Numeric
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.search_space import SearchSpace

_ROUNDING = 0.01
"""Part of a grid's step: prompts show values with five digits."""


@dataclass(frozen=True)
class Narrow:
    """Cut a range: to ``low`` and ``high`` (None keeps that end), or to ``choices`` of a categorical."""

    name: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Widen:
    """Grow a range so that it holds ``low`` and ``high`` (None keeps that end), or ``choices``."""

    name: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Drop:
    """Hold a parameter at ``value`` instead of searching it."""

    name: str
    value: Value = None
    reason: str = ""


@dataclass(frozen=True)
class Add:
    """Search a parameter that is held fixed, or that the outer space does not have yet.

    Attributes:
        kind: ``"float"``, ``"int"``, ``"categorical"``; None for what range and default imply.
        log: Whether the scale is logarithmic; None for what the range implies.
        value: What a configuration of the same answer has that does not name the parameter; None for the
            parameter's default.
    """

    name: str
    kind: str | None = None
    low: float | None = None
    high: float | None = None
    log: bool | None = None
    choices: tuple[Value, ...] | None = None
    value: Value = None
    reason: str = ""


SpaceChange: TypeAlias = Narrow | Widen | Drop | Add
Range: TypeAlias = Narrow | Widen | Add


def action(change: SpaceChange) -> str:
    """The change's verb: ``"narrow"``, ``"widen"``, ``"drop"`` or ``"add"``."""
    return type(change).__name__.lower()


def apply(change: SpaceChange, space: SearchSpace, outer: SearchSpace) -> tuple[SearchSpace, list[str]]:
    """The space after one change, and notes on what was made otherwise than asked for.

    Args:
        outer: Has the parameter; the changed range never leaves it.

    Raises:
        InputError: The change cannot be made.
    """
    if isinstance(change, Drop):
        return _drop(change, space, outer)
    if isinstance(change, Add):
        if change.name in space:
            raise InputError("it is searched already; widen it instead")
        conditions = [c for c in outer.conditions if change.name in (c.param, c.parent)]
        space = space.restore(change.name, outer[change.name], conditions)
    elif change.name not in space:
        raise InputError("it is held fixed; add it first")
    if isinstance(outer[change.name], CategoricalDistribution):
        return _choices(change, space, outer)
    return _bounds(change, space, outer)


def _drop(change: Drop, space: SearchSpace, outer: SearchSpace) -> tuple[SearchSpace, list[str]]:
    value, problem = outer.check(change.name, change.value)
    if problem:
        raise InputError(problem)
    if change.name not in space:
        return space, []
    moved = moved_to_grid(outer[change.name], change.value, value)
    return space.drop(change.name, value), [f"its value {moved}"] if moved else []


def moved_to_grid(distribution: BaseDistribution | None, sent: Any, value: Value) -> str:
    """What became of a number between two points of a grid, in words that follow its name; "" where it
    stayed: rounding of a few digits is not worth a word.
    """
    step, number = getattr(distribution, "step", None), dist.number_in(sent)
    if step is None or number is None or abs(number - float(value or 0)) <= _ROUNDING * step:
        return ""
    return f"is {dist.show(value)}, the nearest to {dist.show(number)} in steps of {dist.show(step)}"


def _choices(change: Range, space: SearchSpace, outer: SearchSpace) -> tuple[SearchSpace, list[str]]:
    """The space with a categorical's choices changed; choices that the outer space lacks are left out."""
    current = space[change.name]
    assert isinstance(current, CategoricalDistribution)
    if change.choices is None:
        if isinstance(change, Add):
            return space, []
        raise InputError("it needs choices")
    choices = [(choice, *outer.check(change.name, choice)) for choice in change.choices]
    values = [value for _, value, problem in choices if not problem]
    notes = [
        f"{dist.show(choice)} is no choice that it can have" for choice, _, problem in choices if problem
    ]
    if not values:
        raise InputError("none of its choices is allowed")
    if isinstance(change, Widen):
        values = [*current.choices, *values]
    if isinstance(change, Narrow):
        outside = [v for v in values if dist.check(current, v, repair=False)[1]]
        notes += [f"{dist.show(v)} is not in its range now; widen brings it in" for v in outside]
        values = [v for v in values if v not in outside]
        if not values:
            raise InputError("none of its choices is in its range now")
    return space.restore(change.name, outer[change.name]).narrow(change.name, choices=values), notes


def _bounds(change: Range, space: SearchSpace, outer: SearchSpace) -> tuple[SearchSpace, list[str]]:
    """The space with the bounds of a number changed, as far as the change and the outer space allow."""
    name = change.name
    current, limit = space[name], outer[name]
    assert isinstance(current, Numeric)
    assert isinstance(limit, Numeric)
    if change.low is None and change.high is None:
        if isinstance(change, Add):
            return space, []
        raise InputError("it needs low or high")
    low = current.low if change.low is None else change.low
    high = current.high if change.high is None else change.high
    if low > high:
        raise InputError("its low is not below its high")
    if max(low, limit.low) > min(high, limit.high):
        raise InputError(f"that lies outside its outer range, {dist.allowed(limit)}")
    low, low_note = _end(change, "low", low, current.low, limit.low)
    high, high_note = _end(change, "high", high, current.high, limit.high)
    if low > high:
        raise InputError(f"that lies outside its range now, {dist.allowed(current)}; widen it instead")
    changed_space = space.restore(name, limit).narrow(name, low=low, high=high)
    now = changed_space[name]
    assert isinstance(now, Numeric)
    low_note = low_note or _off_grid("low", limit, low, now.low)
    high_note = high_note or _off_grid("high", limit, high, now.high)
    return changed_space, [note for note in (low_note, high_note) if note]


def _off_grid(end: str, limit: Numeric, requested: float, now: float) -> str:
    """A note on an end between two points of a grid."""
    if not moved_to_grid(limit, requested, now):
        return ""
    steps = f"it goes in steps of {dist.show(limit.step)}"
    return f"its {end} is {dist.show(now)}, not {dist.show(requested)}: {steps}"


def _end(change: Range, end: str, requested: float, now: float, limit: float) -> tuple[float, str]:
    """One end of a changed range, and a note where it is not the one that was asked for."""
    inner, outermost = (max, min) if end == "low" else (min, max)
    if isinstance(change, Narrow):
        bound = inner(requested, now)
        return (
            bound,
            "" if bound == requested else f"its {end} stays {dist.show(now)}: narrow never grows a range",
        )
    possible = inner(requested, limit)
    note = "" if possible == requested else f"its {end} is {dist.show(possible)}, where its outer range ends"
    if isinstance(change, Add):
        return possible, note
    grown = outermost(possible, now)
    if grown != possible:
        return grown, f"its {end} stays {dist.show(now)}: widen never shrinks a range"
    return grown, note

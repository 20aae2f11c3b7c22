"""Search spaces from an LLM: the first one, and changes of the current one, inside the fixed outer space.

What is not allowed is skipped and said; a space never fails as a whole because one of its parameters does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.history import number as show
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import outer_of

Limits = Mapping[str, tuple[float | None, float | None]]
_ENTRY = ("name", "type", "low", "high", "log", "choices")
_MAX_CHANGES = 40


def items(data: Any) -> list[dict[str, Any]]:
    """The dicts of a list; anything else is left out."""
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def grown(
    outer: SearchSpace, space: SearchSpace, limits: Mapping[str, tuple[float | None, float | None]]
) -> SearchSpace:
    """The outer space with the parameters that ``space`` adds to it, each with room around its range.

    What the outer space already has stays exactly as it is: stored trials are recorded under it.
    """
    added = SearchSpace({n: space[n] for n in space if n not in outer and n not in outer.fixed})
    if not len(added):
        return outer
    wide = outer_of(added, None, limits)
    return SearchSpace(
        {**outer.distributions, **wide.distributions}, conditions=outer.conditions, fixed=outer.fixed
    )


def covering(
    space: SearchSpace, before: SearchSpace, outer: SearchSpace, defaults: Mapping[str, Any]
) -> SearchSpace:
    """A version of the space in which every outer parameter has a value, as the stored study records them.

    What ``space`` leaves out is held at the estimator's default; where the default has no place in the range
    ("sqrt", None, -1), the parameter stays as it was before.
    """
    distributions, fixed = {**space.distributions}, {**space.fixed}
    for name in outer:
        if name in distributions or name in fixed:
            continue
        valid, _ = SearchSpace({name: outer[name]}).validate({name: defaults.get(name)}, repair=False)
        if valid is not None:
            fixed[name] = valid[name]
        elif name in before.fixed:
            fixed[name] = before.fixed[name]
        else:
            distributions[name] = before[name] if name in before else outer[name]
    fixed = {**{n: v for n, v in before.fixed.items() if n not in distributions}, **fixed}
    conditions = [c for c in before.conditions if c.param in distributions and c.parent in distributions]
    return SearchSpace(distributions, conditions=conditions, fixed=fixed)


def first_space(
    data: Any, ask: Ask, allowed: tuple[str, ...], limits: Limits, problems: list[str]
) -> SearchSpace | None:
    """An LLM's first search space inside the outer one; parameters it adds get an outer range of their own.

    A parameter whose entry cannot be used keeps the range that it had; None when no entry can be used.

    Args:
        allowed: Parameters that may be added, by name.
        problems: Gets a sentence for each entry that cannot be used.
    """
    if ask.frozen_space:
        return None
    good: dict[str, SearchSpace] = {}
    for entry in items(data):
        name = entry.get("name")
        if isinstance(name, str) and name in ask.outer.fixed:
            problems.append(f"{name} is held at {show(ask.outer.fixed[name])} for this estimator")
        elif not isinstance(name, str) or (name not in ask.outer and name not in allowed):
            problems.append(f"the estimator has no open parameter {str(name)[:60]!r}")
        elif name in good:
            problems.append(f"{name} has two ranges; the first one counts")
        elif name in ask.locked and name in ask.space:
            good[name] = SearchSpace({name: ask.space[name]})
        elif name not in ask.locked:
            try:
                good[name] = _one(entry, ask)
            except InputError as error:
                problems.append(error.message)
                if name in ask.space:
                    good[name] = SearchSpace({name: ask.space[name]})
    if not good:
        return None
    for name in ask.locked & {*ask.space}:
        good[name] = SearchSpace({name: ask.space[name]})
    space = SearchSpace({n: one[n] for n, one in good.items()})
    outer = grown(ask.outer, space, limits)
    inside = space.within(outer)
    return covering(inside, ask.space, outer, ask.defaults) if len(inside) else None


def _one(entry: dict[str, Any], ask: Ask) -> SearchSpace:
    """The space of one entry; where it does not say its scale, the known one stays."""
    name = entry["name"]
    given = {k: v for k, v in entry.items() if v is not None and k in _ENTRY}
    known = ask.space.distributions.get(name) or ask.outer.distributions.get(name)
    low = given.get("low")
    if "log" not in given and getattr(known, "log", False) and isinstance(low, int | float) and low > 0:
        given["log"] = True
    return SearchSpace.from_json({"params": [given]})


def changed_space(data: Any, ask: Ask) -> tuple[SearchSpace | None, str, list[str]]:
    """Apply an LLM's space changes one by one; what is not allowed is skipped and said.

    Returns:
        The new space or None if nothing changed, the reasons joined, and the problems.
    """
    if ask.frozen_space:
        return None, "", []
    space, reasons, notes = ask.space, [], []
    for change in items(data)[:_MAX_CHANGES]:
        name, action = change.get("name"), change.get("action")
        if not isinstance(name, str) or name not in ask.outer:
            notes.append(f"cannot change unknown parameter {str(name)[:60]!r}")
            continue
        if name in ask.locked:
            notes.append(f"{name} is locked by the user")
            continue
        try:
            new = _change(space, ask.outer, name, action, change)
        except InputError as error:
            notes.append(f"{str(action)[:20]} {name}: {error.message}"[:200])
            continue
        if new != space and len(new):
            space = new
            reason = change.get("reason")
            reasons.append(f"{action} {name}: {reason[:200] if isinstance(reason, str) else ''}".rstrip(": "))
    if space == ask.space:
        return None, "", notes
    return space, "; ".join(reasons), notes


def _change(
    space: SearchSpace, outer: SearchSpace, name: str, action: Any, change: dict[str, Any]
) -> SearchSpace:
    """The space after one change. Raises InputError when the change cannot be made."""
    bounds = outer[name]
    one = SearchSpace({name: bounds})
    if action == "drop":
        checked, problems = one.validate({name: change.get("value")})
        if checked is None:
            raise InputError(problems[0] if problems else "no value to keep")
        return space.drop(name, checked[name]) if name in space else space
    if action not in ("narrow", "widen", "add"):
        raise InputError("unknown action; allowed: narrow, widen, drop, add")
    if name not in space:
        if action != "add":
            raise InputError("it is held fixed; add it first")
        space = space.restore(name, bounds)
    current = space[name]
    if isinstance(bounds, CategoricalDistribution) and isinstance(current, CategoricalDistribution):
        given = change.get("choices")
        if not given:
            return space
        if not isinstance(given, list):
            raise InputError("its choices are no list")
        known = [checked[name] for c in given[:200] if (checked := one.validate({name: c})[0]) is not None]
        if not known:
            raise InputError("none of its choices lies in the outer space")
        if action == "widen":
            known = [*current.choices, *known]
        return space.restore(name, bounds).narrow(name, choices=known)
    low, high = _number(change.get("low"), "low"), _number(change.get("high"), "high")
    if low is None and high is None:
        return space
    low = max(current.low if low is None else low, bounds.low)  # type: ignore[attr-defined]
    high = min(current.high if high is None else high, bounds.high)  # type: ignore[attr-defined]
    if action == "widen":
        low, high = min(low, current.low), max(high, current.high)  # type: ignore[attr-defined]
    if low > high:
        raise InputError("its low is not below its high, or lies outside the outer range")
    return space.restore(name, bounds).narrow(name, low=low, high=high)


def _number(value: Any, what: str) -> float | None:
    """A bound as a number; None when it is not given. Raises InputError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"its {what} is not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InputError(f"its {what} is not a number") from None
    if number != number or abs(number) > 1e100:
        raise InputError(f"its {what} is not a number")
    return number

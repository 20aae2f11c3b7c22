"""Search spaces from an LLM: the first one, and changes of the current one, inside the fixed outer space.

What is not allowed is skipped and said; a space never fails as a whole because one of its parameters does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.history import Observation
from sllmbo_magic.history import number as show
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.beyond import for_llm
from sllmbo_magic.proposers.beyond import with_choices
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
) -> tuple[SearchSpace | None, SearchSpace | None]:
    """An LLM's first search space; parameters it adds get an outer range of their own.

    A parameter whose entry cannot be used keeps the range that it had.

    Returns:
        The space, or None when no entry can be used; and the grown outer space where the entries have new
        choices, else None.

    Args:
        allowed: Parameters that may be added, by name.
        problems: Gets a sentence for each entry that cannot be used.
    """
    if ask.frozen_space:
        return None, None
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
        return None, None
    for name in ask.locked & {*ask.space}:
        good[name] = SearchSpace({name: ask.space[name]})
    space = SearchSpace({n: one[n] for n, one in good.items()})
    wider = _with_new_choices(ask, space, problems)
    outer = grown(wider, space, limits)
    inside = space.within(outer)
    if not len(inside):
        return None, None
    return covering(inside, ask.space, outer, ask.defaults), None if wider == ask.outer else outer


def _with_new_choices(ask: Ask, space: SearchSpace, problems: list[str]) -> SearchSpace:
    """The outer space with those new choices that the estimator says it takes."""
    outer, beyond = ask.outer, ask.beyond
    if beyond is None:
        return outer
    for name in space:
        choices = getattr(space[name], "choices", ())
        if name not in outer or name in ask.locked or not isinstance(outer[name], CategoricalDistribution):
            continue
        try:
            outer = with_choices(outer, name, [c for c in choices if beyond.accepts(name, c)])
        except InputError as error:
            problems.append(error.message)
    return outer


def _one(entry: dict[str, Any], ask: Ask) -> SearchSpace:
    """The space of one entry; where it does not say its scale, the known one stays."""
    name = entry["name"]
    given = {k: v for k, v in entry.items() if v is not None and k in _ENTRY}
    known = ask.space.distributions.get(name) or ask.outer.distributions.get(name)
    low = given.get("low")
    if "log" not in given and getattr(known, "log", False) and isinstance(low, int | float) and low > 0:
        given["log"] = True
    return SearchSpace.from_json({"params": [given]})


@dataclass(frozen=True)
class Changes:
    """What became of an LLM's changes of the space.

    Attributes:
        space: The new space; None if nothing changed.
        outer: The grown outer space around it; None where the present one holds it.
        reason: The reasons, joined.
        refused: What was not done, or not as asked for, and why.
    """

    space: SearchSpace | None = None
    outer: SearchSpace | None = None
    reason: str = ""
    refused: tuple[str, ...] = ()


def changed_space(data: Any, ask: Ask) -> Changes:
    """Apply an LLM's space changes one by one; what is not allowed is skipped and said.

    The incumbent stays inside: a change that would leave its value out is extended to it.
    """
    if ask.frozen_space:
        return Changes()
    space, outer = ask.space, ask.outer
    reasons: list[str] = []
    notes: list[str] = []
    best = _incumbent(ask)
    for change in items(data)[:_MAX_CHANGES]:
        name, action = change.get("name"), change.get("action")
        names = (*outer, *(ask.beyond.names if ask.beyond is not None else ()))
        if not isinstance(name, str) or name not in names:
            notes.append(f"cannot change unknown parameter {str(name)[:60]!r}")
            continue
        if name in ask.locked:
            notes.append(f"{name} is locked by the user")
            continue
        try:
            wider = outer if ask.beyond is None else for_llm(outer, change, ask.beyond)
            new = _change(space, wider, name, action, change)
        except InputError as error:
            notes.append(f"{str(action)[:20]} {name}: {error.message}"[:200])
            continue
        new, kept = _holding(new, space, wider, name, best)
        if kept:
            notes.append(kept)
        if new != space and len(new):
            space, outer = new, wider
            reason = change.get("reason")
            reasons.append(f"{action} {name}: {reason[:200] if isinstance(reason, str) else ''}".rstrip(": "))
    if space == ask.space:
        return Changes(refused=tuple(notes))
    return Changes(space, None if outer == ask.outer else outer, "; ".join(reasons), tuple(notes))


def _incumbent(ask: Ask) -> Observation | None:
    """The best trial; of the library's default only what the outer space can say exactly."""
    best = ask.history.incumbent
    if best is None or best.source != "default":
        return best
    return replace(best, params={n: v for n, v in best.params.items() if ask.defaults.get(n, v) == v})


def _holding(
    new: SearchSpace, before: SearchSpace, outer: SearchSpace, name: str, best: Observation | None
) -> tuple[SearchSpace, str]:
    """The changed space with the incumbent's value of the parameter, if the space before had it, and what
    was mended.
    """
    if best is None or name not in best.params or new == before:
        return new, ""
    value = best.params[name]
    had = before.get(name)
    if had is None or not SearchSpace({name: had}).contains({name: value}):
        return new, ""
    if name in new.fixed:
        if new.fixed[name] == value:
            return new, ""
        held = before.drop(name, value)
        return held, f"{name} is held at {show(value)}, where trial {best.number}, the best, has it"
    if SearchSpace({name: new[name]}).contains({name: value}):
        return new, ""
    if isinstance(outer[name], CategoricalDistribution):
        wide = new.widen(name, choices=[value])
    else:
        wide = new.widen(name, low=min(new[name].low, value), high=max(new[name].high, value))  # type: ignore[attr-defined]
    return wide, f"{name} still holds {show(value)} of trial {best.number}, the best"


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

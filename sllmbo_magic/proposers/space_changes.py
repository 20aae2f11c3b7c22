"""Where it is decided which space changes of an LLM are made: locks, evidence, and the incumbent's place.

``reply.py`` has read them into typed values (``space/changes.py``). A change that may not be made is left
out, one that may be made in part is made so; each such decision is one sentence, which the next prompt
repeats.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.errors import InputError
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers import evidence
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.space_extension import extended
from sllmbo_magic.proposers.space_extension import with_choices
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.changes import Add
from sllmbo_magic.space.changes import Drop
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.changes import SpaceChange
from sllmbo_magic.space.changes import Widen
from sllmbo_magic.space.changes import action
from sllmbo_magic.space.changes import apply
from sllmbo_magic.space.changes import moved_to_grid
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.versions import covering
from sllmbo_magic.space.versions import grown

_NO_VALUE = (
    "not every configuration names it, and its default is not in that range; give it a value, or name it in"
    " each"
)

Limits = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True)
class ChangedSpace:
    """What became of an answer's changes.

    Attributes:
        space: The new space; None if nothing changed.
        outer: The extended outer space around it; None where the present one holds it.
        reason: The reasons of the changes that were made, joined.
        notes: What was not done, or not as asked for, and why; one sentence each.
        values: For each added parameter, the value of a configuration that does not name it; a parameter
            without such a value is missing here.
    """

    space: SearchSpace | None = None
    outer: SearchSpace | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)


def make_changes(changes: Iterable[SpaceChange], ask: Ask, *, named: Collection[str] = ()) -> ChangedSpace:
    """Make an LLM's changes one by one, as far as each may be made.

    Args:
        named: Parameters that each configuration of the answer names, so that an addition needs no value.
    """
    space, outer = ask.space, ask.outer
    reasons: list[str] = []
    notes: list[str] = []
    values: dict[str, Value] = {}
    for change in _without_detours(list(changes), ask.space):
        verb = f"{action(change)} {change.name}"
        try:
            after, wider, remarks = _after(change, space, outer, ask)
        except InputError as error:
            notes.append(f"{verb}: {error.message.rstrip('.')}"[:240])
            continue
        notes += [f"{verb}: {remark}"[:240] for remark in remarks]
        if isinstance(change, Add) and after != space:
            value, problem = _value_of(change, after, ask)
            if problem:
                notes.append(f"{verb}: {problem}"[:240])
            if not value and change.name not in named:
                notes.append(f"{verb}: {_NO_VALUE}")
                continue
            values |= value
        if after == space or not len(after):
            if not remarks:
                notes.append(f"{verb}: that is its range already")
            continue
        space, outer = after, wider
        reasons.append(f"{verb}: {change.reason}" if change.reason else verb)
    if space == ask.space:
        return ChangedSpace(notes=tuple(notes))
    return ChangedSpace(
        space, None if outer == ask.outer else outer, "; ".join(reasons), tuple(notes), values
    )


def _without_detours(changes: list[SpaceChange], space: SearchSpace) -> list[SpaceChange]:
    """The changes, where dropping a parameter of the space and adding it again is what it comes to: another
    range. It is widened as far as that is wider, and narrowed as far as the scores support that.
    """
    direct: list[SpaceChange] = []
    for change in changes:
        drop = next((c for c in direct if isinstance(c, Drop) and c.name == change.name), None)
        if not isinstance(change, Add) or drop is None or change.name not in space:
            direct.append(change)
            continue
        direct.remove(drop)
        present = dist.normal(space[change.name])
        wanted: dict[str, Any] = {"low": change.low, "high": change.high, "choices": change.choices}
        if _is_wider(present, change):
            direct.append(Widen(change.name, **wanted, reason=change.reason))
        if any(value is not None for value in wanted.values()):
            direct.append(Narrow(change.name, **wanted, reason=change.reason))
    return direct


def _is_wider(present: BaseDistribution | None, change: Add) -> bool:
    """Whether a range holds something that the present one does not."""
    if isinstance(present, CategoricalDistribution):
        return any(dist.check(present, choice, repair=True)[1] for choice in change.choices or ())
    assert isinstance(present, dist.Numeric)
    lower = change.low is not None and change.low < present.low
    return lower or (change.high is not None and change.high > present.high)


def _after(
    change: SpaceChange, space: SearchSpace, outer: SearchSpace, ask: Ask
) -> tuple[SearchSpace, SearchSpace, list[str]]:
    """The space and the outer space after one change, and remarks on it. Raises InputError."""
    wider = outer if ask.extension is None else extended(outer, change, ask.extension)
    if change.name not in wider:
        raise InputError("it is no parameter of the outer space")
    remarks: list[str] = []
    if isinstance(change, Narrow) and change.name in space:
        apply(change, space, wider)  # refuses what is no range at all, which the scores must not soften
        supported, remarks = evidence.supported(change, space, ask.history)
        if supported is None:
            return space, outer, remarks
        change = supported
    after, more = apply(change, space, wider)
    if isinstance(change, Drop) and after != space:
        change, remarks = _as_the_incumbent(change, space, ask.history.incumbent)
        after, more = apply(change, space, wider)
    return after, wider, [*remarks, *more]


def _value_of(change: Add, space: SearchSpace, ask: Ask) -> tuple[dict[str, Value], str]:
    """What a configuration has that does not name an added parameter, and what is wrong with the value that
    was asked for.
    """
    problem = ""
    if change.value is not None:
        value, wrong = space.check(change.name, change.value)
        if not wrong:
            moved = moved_to_grid(space[change.name], change.value, value)
            return {change.name: value}, f"its value {moved}" if moved else ""
        problem = f"its value {wrong}"
    defaults = {**({} if ask.extension is None else ask.extension.defaults), **ask.defaults}
    for values in (ask.space.fixed, defaults):
        default = values.get(change.name)
        value, wrong = space.check(change.name, default)
        if change.name in values and not wrong:
            moved = moved_to_grid(space[change.name], default, value)
            more = f"a configuration that does not name it has {show(value)}" if problem or moved else ""
            more += f", as its value {moved}" if moved else ""
            return {change.name: value}, "; ".join(part for part in (problem, more) if part)
    return {}, problem


def _as_the_incumbent(
    change: Drop, space: SearchSpace, incumbent: Observation | None
) -> tuple[Drop, list[str]]:
    """A drop that holds the incumbent's value of the parameter, where the space has it; and a remark on
    that. (A narrowing never leaves the incumbent outside, see ``evidence.py``.)
    """
    if incumbent is None or change.name not in incumbent.params:
        return change, []
    value = incumbent.params[change.name]
    if not space.contains(change.name, value) or value == change.value:
        return change, []
    remark = f"held at {show(value)}, where trial {incumbent.number}, the best, has it"
    return replace(change, value=value), [remark]


# --- the first space ------------------------------------------------------------------------------------


def first_space(
    ranges: Mapping[str, BaseDistribution], ask: Ask, limits: Limits
) -> tuple[SearchSpace | None, SearchSpace | None, list[str]]:
    """An LLM's first search space; a parameter that it adds gets an outer range of its own.

    Args:
        ranges: Checked ranges by name; those of locked parameters are replaced by the present ones.

    Returns:
        The space, or None where there is none; the extended outer space where the ranges have new choices,
        else None; and what was not done.
    """
    if not ranges:
        return None, None, []
    ranges, remarks = _of_the_outer_kind(ranges, ask)
    distributions = {**ranges, **{name: ask.space[name] for name in ask.locked if name in ask.space}}
    space = SearchSpace(distributions)
    wider, notes = _with_new_choices(ask, space)
    notes = remarks + notes
    outer = grown(wider, space, limits)
    inside = space.within(outer)
    notes += [
        f"{name}: its range is cut to the outer one, {dist.allowed(inside_normal)}"
        for name in inside
        if _is_cut(space[name], inside[name]) and (inside_normal := dist.normal(inside[name])) is not None
    ]
    if not len(inside):
        return None, None, notes
    return covering(inside, ask.space, outer, ask.defaults), None if wider == ask.outer else outer, notes


def _of_the_outer_kind(
    ranges: Mapping[str, BaseDistribution], ask: Ask
) -> tuple[dict[str, BaseDistribution], list[str]]:
    """Choices for a parameter that is searched as a number keep its present range, unless all are numbers; a
    sentence on each.
    """
    of_kind, remarks = dict(ranges), []
    for name, one in ranges.items():
        choices = getattr(one, "choices", ())
        is_number = name in ask.outer and not isinstance(ask.outer[name], CategoricalDistribution)
        if is_number and any(not isinstance(c, int | float) or isinstance(c, bool) for c in choices):
            of_kind[name] = ask.space[name] if name in ask.space else ask.outer[name]
            present = dist.normal(of_kind[name])
            assert present is not None
            remarks.append(f"{name}: it is searched as a number, {dist.allowed(present)}")
    return of_kind, remarks


def _is_cut(distribution: BaseDistribution, inside: BaseDistribution) -> bool:
    """Whether the outer space left less of a range than was asked for."""
    if isinstance(inside, CategoricalDistribution) and not isinstance(distribution, CategoricalDistribution):
        return True  # choices in the place of a range
    if isinstance(distribution, CategoricalDistribution) or isinstance(inside, CategoricalDistribution):
        return len(getattr(inside, "choices", ())) < len(getattr(distribution, "choices", ()))
    return bool(inside.low > distribution.low or inside.high < distribution.high)  # type: ignore[attr-defined]


def _with_new_choices(ask: Ask, space: SearchSpace) -> tuple[SearchSpace, list[str]]:
    """The outer space with those new choices that the estimator declares; and what was not done."""
    outer, policy = ask.outer, ask.extension
    notes: list[str] = []
    if policy is None:
        return outer, notes
    for name in space:
        choices = getattr(space[name], "choices", ())
        if name not in outer or name in ask.locked or not isinstance(outer[name], CategoricalDistribution):
            continue
        try:
            outer = with_choices(outer, name, [c for c in choices if policy.accepts(name, c)])
        except InputError as error:
            notes.append(error.message)
    return outer, notes

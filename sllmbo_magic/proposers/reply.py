"""The validation of a reply: from the data of an answer to a checked proposal.

All input here is untrusted. What leaves this module is typed and checked: candidates that are valid in the
search space, and space changes as values of ``space/changes.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.errors import InputError
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.default_values import is_small_penalty
from sllmbo_magic.proposers.default_values import lacking
from sllmbo_magic.proposers.reply_changes import read_changes
from sllmbo_magic.proposers.reply_configurations import Checked
from sllmbo_magic.proposers.reply_configurations import Filling
from sllmbo_magic.proposers.reply_configurations import check_configurations
from sllmbo_magic.proposers.reply_fields import configurations
from sllmbo_magic.proposers.reply_fields import listed
from sllmbo_magic.proposers.reply_fields import text
from sllmbo_magic.proposers.reply_fields import with_pairs
from sllmbo_magic.proposers.reply_fields import with_text
from sllmbo_magic.proposers.space_changes import Limits
from sllmbo_magic.proposers.space_changes import first_space
from sllmbo_magic.proposers.space_changes import make_changes
from sllmbo_magic.proposers.space_extension import meant
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import choices_of
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import number_in
from sllmbo_magic.space.distributions import numeric
from sllmbo_magic.space.distributions import same
from sllmbo_magic.space.layers import are_layers
from sllmbo_magic.space.layers import canonical
from sllmbo_magic.space.search_space import SearchSpace

_ENTRY = ("name", "type", "low", "high", "log", "choices")
"""Keys of an entry of the first space."""
_FROZEN = "the search space stays as it is; nothing in it may be changed"


def read_initialize(
    data: Any, ask: Ask, allowed: tuple[str, ...], limits: Limits
) -> tuple[Proposal, list[str]]:
    """The proposal in the answer to the first question, and what is wrong with it, one sentence each.

    Args:
        allowed: Parameters that the space may add, by name.
        limits: Hard limits of single parameters.
    """
    if not isinstance(data, dict):
        return Proposal(), ["the reply is not a JSON object"]
    entries = [with_pairs(c, "params") for c in configurations(data.get("configurations"))]
    ranges, unread = read_ranges(data.get("space"), ask, allowed)
    space, outer, checked, notes = _first(ranges, entries, entries, ask, limits)
    usable = [entries[place] for place in checked.places]
    if named_ranges(usable, ranges, ask) != named_ranges(entries, ranges, ask):
        space, outer, checked, notes = _first(ranges, usable, entries, ask, limits)
    not_applied = [*unread, *notes]
    problems = [] if any(entries) else ["the list configurations is missing or empty"]
    reasoning = text(data.get("reasoning"))
    is_new_space = space is not None and space != ask.space
    proposal = Proposal(
        candidates=checked.candidates,
        rejected=checked.rejected,
        space=space if is_new_space else None,
        outer=outer if is_new_space else None,
        space_reason=reasoning[:500] if is_new_space else "",
        refused=tuple(not_applied),
        feedback=(*not_applied, *checked.changed, *checked.problems),
        reasoning=reasoning,
    )
    return proposal, [*problems, *checked.problems, *not_applied]


def read_propose(data: Any, ask: Ask, names: list[str]) -> tuple[Proposal, list[str]]:
    """The proposal in the answer to any later question, and what is wrong with it.

    Args:
        names: The parameters that were asked for; the others stay as the incumbent has them.
    """
    if not isinstance(data, dict):
        return Proposal(), ["the reply is not a JSON object"]
    entries = [_with_added(c) for c in configurations(data.get("configurations"))]
    sent_changes, unread = listed(data.get("space_changes"), "space_changes")
    if ask.frozen_space:
        sent_changes, unread = [], [_FROZEN] * bool(sent_changes or unread)
    changes, unreadable = read_changes(sent_changes, ask)
    unread += unreadable
    changed_space = make_changes(changes, ask, named=_named_by_all(entries))
    problems = [] if any(entries) else ["the list configurations is missing or empty"]
    space = changed_space.space or ask.space
    filling, notes = _in_later_answers(space, ask, names, changed_space.values)
    if not ask.declared:  # which parameters a trial has, the objective decides
        likely, left_out = _as_the_incumbent(entries, space, ask)
        filling, notes = Filling({**likely, **filling.values}), [*left_out, *notes]
    checked = check_configurations(entries, space, ask, filling)
    not_applied = (*unread, *changed_space.notes, *notes)
    proposal = Proposal(
        candidates=checked.candidates,
        rejected=checked.rejected,
        space=changed_space.space,
        outer=changed_space.outer,
        space_reason=changed_space.reason,
        refused=not_applied,
        feedback=(*not_applied, *checked.changed, *checked.problems),
        reasoning=text(data.get("reasoning")),
    )
    return proposal, [*problems, *checked.problems, *not_applied]


# --- the first space ------------------------------------------------------------------------------------


def _first(
    ranges: Mapping[str, BaseDistribution],
    naming: list[dict[str, Any]],
    entries: list[dict[str, Any]],
    ask: Ask,
    limits: Limits,
) -> tuple[SearchSpace | None, SearchSpace | None, Checked, list[str]]:
    """A first space with its outer space, as of :func:`first_space`, the configurations checked in it, and
    what was not done.

    Args:
        naming: The configurations of which a parameter that the space leaves out is searched.
    """
    named, notes = named_ranges(naming, ranges, ask)
    ranges = {**ranges, **named}
    space, outer, more = first_space(ranges, ask, limits)
    filling, left_out = _left_out(entries, ranges, space or ask.space, ask)
    checked = check_configurations(entries, space or ask.space, ask, filling)
    return space, outer, checked, [*notes, *more, *left_out]


def read_ranges(
    data: Any, ask: Ask, allowed: tuple[str, ...]
) -> tuple[dict[str, BaseDistribution], list[str]]:
    """The ranges of a first space by name, and a sentence for each entry that cannot be used.

    A parameter whose entry cannot be used keeps the range that it had.
    """
    ranges: dict[str, BaseDistribution] = {}
    sent, problems = listed(data, "space")
    if ask.frozen_space:
        sent, problems = [], [_FROZEN] * bool(sent or problems)
    for entry in sent:
        name = entry.get("name")
        if isinstance(name, str) and name in ask.outer.fixed:
            problems.append(f"{name} is held at {show(ask.outer.fixed[name])} for this estimator")
        elif not isinstance(name, str) or (name not in ask.outer and name not in allowed):
            problems.append(f"the estimator has no open parameter {str(name)[:60]!r}")
        elif name in ranges:
            problems.append(f"{name} has two ranges; the first one counts")
        elif name in ask.locked:
            if name in ask.space:
                ranges[name] = ask.space[name]
        else:
            try:
                one, cut = _range(entry, ask)
                ranges[name], notes = _accepted(name, one, ask)
                problems += [*cut, *notes]
            except InputError as error:
                problems.append(error.message)
                if name in ask.space:
                    ranges[name] = ask.space[name]
    return ranges, problems


def _accepted(name: str, one: BaseDistribution, ask: Ask) -> tuple[BaseDistribution, list[str]]:
    """The range of a parameter from outside the outer space, as far as the estimator declares that it takes
    it; and what it does not take. Ranges of the outer space are cut to that one later.

    Raises:
        InputError: It takes nothing of it.
    """
    if name in ask.outer or ask.extension is None:
        return one, []
    accepts = ask.extension.accepts
    if isinstance(one, CategoricalDistribution):
        meanings = dict.fromkeys(meant(ask.extension, name, choice) for choice in one.choices)
        refused = [choice for choice in meanings if accepts(name, choice) is False]
        notes = [f"{name}: the estimator does not take {show(choice)}" for choice in refused]
        choices = [choice for choice in meanings if choice not in refused]
        if not choices:
            raise InputError(notes[0])
        return CategoricalDistribution(choices), notes
    low, high = one.low, one.high  # type: ignore[attr-defined]
    refused = [end for end in (low, high) if accepts(name, end) is False]
    if refused and all(accepts(name, int(end)) is False for end in refused):
        raise InputError(f"{name}: the estimator does not take {show(refused[0])}")
    if isinstance(one, FloatDistribution) and accepts(name, (low + high) / 2 + 1e-3) is False:
        if math.ceil(low) > math.floor(high):
            raise InputError(f"{name}: the estimator takes whole numbers, and none lies in its range")
        return IntDistribution(math.ceil(low), math.floor(high), log=one.log), []
    return one, []


def _range(entry: dict[str, Any], ask: Ask) -> tuple[BaseDistribution, list[str]]:
    """The distribution of one entry, and what was cut of it; where it does not say its scale, the present one
    stays.
    """
    name = entry["name"]
    raw = {key: value for key, value in entry.items() if value is not None and key in _ENTRY}
    present = ask.space.distributions.get(name) or ask.outer.distributions.get(name)
    if isinstance(raw.get("choices"), list):
        in_layers = are_layers(getattr(present, "choices", ("",)))
        raw["choices"] = [canonical(c) if in_layers else with_text(c) for c in raw["choices"]]
    for end in ("low", "high"):
        if isinstance(raw.get(end), str) and (number := number_in(raw[end])) is not None:
            raw[end] = number
    low, outer_low = number_in(raw.get("low")), getattr(ask.outer.get(name), "low", None)
    is_off = low == 0 and outer_low is not None and 0 < outer_low <= ask.off.get(name, 0.0)
    if "log" not in raw and getattr(present, "log", False) and low is not None:
        raw["log"] = low > 0 or (outer_low is not None and outer_low > 0)
    elif not is_off:
        return SearchSpace.from_json({"params": [raw]})[name], []
    is_cut = bool(raw.get("log")) and low is not None and low <= 0
    if is_cut:
        raw["low"] = outer_low  # no log scale begins at 0
    one = SearchSpace.from_json({"params": [raw]})[name]
    cut = f"{name}: its range is cut to the outer one, {allowed(normal(one))}"  # type: ignore[arg-type]
    return one, [cut] if is_cut and not is_off else []  # a penalty has no effect there, as at 0


def named_ranges(
    entries: list[dict[str, Any]], ranges: Mapping[str, BaseDistribution], ask: Ask
) -> tuple[dict[str, BaseDistribution], list[str]]:
    """Ranges of parameters that a first space leaves out and its configurations name, with another value
    than the default: they are searched as before, and as far as these values; with a sentence on each.
    """
    named: dict[str, BaseDistribution] = {}
    for entry in entries if ranges else ():
        params = entry.get("params")
        for name, value in params.items() if isinstance(params, dict) else ():
            if name not in ask.space or name in ranges or value is None:
                continue
            held, problem = ask.outer.check(name, ask.defaults.get(name), repair=False)
            read, wrong = ask.outer.check(name, value)
            if not wrong and (problem or not same(read, held)):
                named[name] = _as_far_as(read, named.get(name, ask.space[name]), ask.outer[name])
    return named, [
        f"{name} is searched ({allowed(normal(one))}), as configurations name it"  # type: ignore[arg-type]
        for name, one in named.items()
    ]


def _as_far_as(value: Any, present: BaseDistribution, outer: BaseDistribution) -> BaseDistribution:
    """A range, widened on the outer one's grid so that it holds a value of that."""
    one, grid = normal(present), normal(outer)
    assert one is not None
    assert grid is not None
    if isinstance(one, CategoricalDistribution):
        return choices_of(one.choices, [value])
    if isinstance(grid, CategoricalDistribution) or one.low <= value <= one.high:
        return present
    return numeric(grid, min(one.low, value), max(one.high, value), log=one.log)


def _left_out(
    entries: list[dict[str, Any]],
    ranges: Mapping[str, BaseDistribution],
    space: SearchSpace,
    ask: Ask,
) -> tuple[Filling, list[str]]:
    """What a first configuration has of the parameters that it leaves out: the default, also where the range
    does not hold it; where no default exists, the value of the best trial so far, and a sentence on that.
    """
    nearest = [n for n in ranges if hasattr(ranges[n], "low") and hasattr(space.get(n), "choices")]
    if not ask.defaults:
        fill, notes = _as_the_incumbent(entries, space, ask)
        return Filling(fill, {}, nearest), notes
    fill = {name: space.clip_value(name, ask.defaults.get(name)) for name in space}
    within = lacking(space, replace(ask, locked=frozenset()))
    notes = [
        f"{name} is {show(fill[name])} where it is left out, as the user's range does not hold its default"
        for name in space
        if name in ask.locked and name in within and not all(name in e.get("params", ()) for e in entries)
    ]
    return Filling(fill, lacking(space, ask), nearest), notes


def _as_the_incumbent(
    entries: list[dict[str, Any]], space: SearchSpace, ask: Ask
) -> tuple[dict[str, Value], list[str]]:
    """The best trial's values, and a sentence on each that configurations left out."""
    best = ask.history.incumbent
    if best is None:
        return {}, []
    fill = {name: space.clip_value(name, best.params[name]) for name in space if name in best.params}
    params = [entry["params"] for entry in entries if isinstance(entry.get("params"), dict)]
    where = "" if ask.declared else "where the objective asks for it, "
    return fill, [
        f"{name} was left out: {where}it is {show(value)}, as in trial {best.number}"
        for name, value in fill.items()
        if any(name not in sent and name in space.active({**fill, **sent}) for sent in params)
    ]


# --- configurations -------------------------------------------------------------------------------------


def _in_later_answers(
    space: SearchSpace, ask: Ask, names: list[str], added: Mapping[str, Value]
) -> tuple[Filling, list[str]]:
    """What a later configuration has of the parameters that it leaves out: the default where the range lacks
    it, the incumbent's value where the request was not about the parameter; and a sentence on each of the
    incumbent's values that no trial can have again.

    Args:
        added: Values of the parameters that the answer adds.
    """
    defaults = lacking(space, ask)
    values = {name: space.clip_value(name, value) for name, value in defaults.items()}
    best = ask.history.incumbent
    of_best = {} if best is None else best.params
    in_space = space.complete(space.clip({**ask.defaults, **of_best}))
    notes = []
    for name in ask.space:
        if name in names or name not in space:
            continue
        values[name] = in_space[name]
        if best is None or name not in of_best:
            continue
        value = of_best[name]
        if name in defaults and same(value, defaults[name]):
            continue
        defaults.pop(name, None)
        if not space.contains(name, value) and not is_small_penalty(name, value, space, ask):
            notes.append(
                f"{name} is {show(in_space[name])}, the value of its range next to {show(value)} of trial"
                f" {best.number}, the incumbent"
            )
    kept = {name: value for name, value in defaults.items() if name not in added}
    return Filling({**values, **added}, kept), notes


def _named_by_all(entries: list[dict[str, Any]]) -> frozenset[str]:
    """The parameters that every configuration of an answer names."""
    named = [{*entry["params"]} for entry in entries if isinstance(entry.get("params"), dict)]
    return frozenset.intersection(*map(frozenset, named)) if named else frozenset()


def _with_added(entry: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the values of the parameters that the same answer adds."""
    added_values = with_pairs(entry, "added").get("added")
    params = entry.get("params")
    if isinstance(added_values, dict) and isinstance(params, dict):
        return {**entry, "params": {**params, **added_values}}
    return entry

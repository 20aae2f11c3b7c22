"""The validation of a reply: from the data of an answer to a checked proposal.

All input here is untrusted. What leaves this module is typed and checked: candidates that are valid in the
search space, and space changes as values of ``space/changes.py``.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.errors import InputError
from sllmbo_magic.proposers import diversity
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Rejected
from sllmbo_magic.proposers.space_changes import Limits
from sllmbo_magic.proposers.space_changes import first_space
from sllmbo_magic.proposers.space_changes import make_changes
from sllmbo_magic.space.changes import Add
from sllmbo_magic.space.changes import Drop
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.changes import SpaceChange
from sllmbo_magic.space.changes import Widen
from sllmbo_magic.space.distributions import MAX_NUMBER
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.serialization import MAX_CHOICES
from sllmbo_magic.space.versions import is_zero_of_log

_EXPECTS = ("better", "similar", "explore")
_TEXT = 2000
"""Characters of a reason that are kept."""
_MAX_CHANGES = 40
_PLACE = re.compile(r"configuration \d+: ")
_ENTRY = ("name", "type", "low", "high", "log", "choices")
"""Keys of an entry of the first space."""


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
    ranges, not_applied = ({}, []) if ask.frozen_space else read_ranges(data.get("space"), ask, allowed)
    space, outer, notes = first_space(ranges, ask, limits)
    not_applied += notes
    entries = [_with_pairs(c, "params") for c in items(data.get("configurations"))]
    problems = [] if entries else ["the list configurations is missing or empty"]
    searched = space or ask.space
    fill = _left_out(searched, ask)
    not_applied += _not_the_default(entries, fill, searched, ask)
    candidates, rejected, wrong = check_configurations(entries, searched, ask, fill=fill)
    reasoning = _text(data.get("reasoning"))
    is_new_space = space is not None and space != ask.space
    proposal = Proposal(
        candidates=candidates,
        rejected=rejected,
        space=space if is_new_space else None,
        outer=outer if is_new_space else None,
        space_reason=reasoning[:500] if is_new_space else "",
        refused=tuple(not_applied),
        feedback=(*wrong, *not_applied),
        reasoning=reasoning,
    )
    return proposal, problems + wrong + not_applied


def read_propose(data: Any, ask: Ask, names: list[str]) -> tuple[Proposal, list[str]]:
    """The proposal in the answer to any later question, and what is wrong with it.

    Args:
        names: The parameters that were asked for; the others stay as the incumbent has them.
    """
    if not isinstance(data, dict):
        return Proposal(), ["the reply is not a JSON object"]
    changes, unread = ([], []) if ask.frozen_space else read_changes(data.get("space_changes"), ask)
    changed_space = make_changes(changes, ask)
    entries = [_with_added(c) for c in items(data.get("configurations"))]
    problems = [] if entries else ["the list configurations is missing or empty"]
    space = changed_space.space or ask.space
    fill = {**_not_asked_for(space, ask, names), **changed_space.values}
    candidates, rejected, wrong = check_configurations(entries, space, ask, fill=fill)
    not_applied = (*unread, *changed_space.notes)
    proposal = Proposal(
        candidates=candidates,
        rejected=rejected,
        space=changed_space.space,
        outer=changed_space.outer,
        space_reason=changed_space.reason,
        refused=not_applied,
        feedback=(*wrong, *not_applied),
        reasoning=_text(data.get("reasoning")),
    )
    return proposal, [*problems, *wrong, *not_applied]


def items(data: Any) -> list[dict[str, Any]]:
    """The dicts of a list; anything else is left out."""
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


# --- the first space ------------------------------------------------------------------------------------


def read_ranges(
    data: Any, ask: Ask, allowed: tuple[str, ...]
) -> tuple[dict[str, BaseDistribution], list[str]]:
    """The ranges of a first space by name, and a sentence for each entry that cannot be used.

    A parameter whose entry cannot be used keeps the range that it had.
    """
    ranges: dict[str, BaseDistribution] = {}
    problems: list[str] = []
    for entry in items(data):
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
                ranges[name] = _range(entry, ask)
            except InputError as error:
                problems.append(error.message)
                if name in ask.space:
                    ranges[name] = ask.space[name]
    return ranges, problems


def _range(entry: dict[str, Any], ask: Ask) -> BaseDistribution:
    """The distribution of one entry; where it does not say its scale, the present one stays."""
    name = entry["name"]
    raw = {key: value for key, value in entry.items() if value is not None and key in _ENTRY}
    present = ask.space.distributions.get(name) or ask.outer.distributions.get(name)
    low = raw.get("low")
    if "log" not in raw and getattr(present, "log", False) and isinstance(low, int | float) and low > 0:
        raw["log"] = True
    return SearchSpace.from_json({"params": [raw]})[name]


def _left_out(space: SearchSpace, ask: Ask) -> dict[str, Value]:
    """What a first configuration has of the parameters that it leaves out: the default or the value nearest
    to it; where no default exists, the value of the best trial so far.
    """
    best = ask.history.incumbent
    values = ask.defaults or ({} if best is None else best.params)
    return {name: space.clip_value(name, values[name]) for name in space if name in values}


def _not_the_default(
    entries: list[dict[str, Any]], fill: Mapping[str, Value], space: SearchSpace, ask: Ask
) -> list[str]:
    """A sentence for each parameter that a configuration left out and whose default its range lacks."""
    params = [entry["params"] for entry in entries if isinstance(entry.get("params"), dict)]
    return [
        f"{name} was left out: it is {show(value)}, since its default {show(ask.defaults[name])} is not in"
        " its range"
        for name, value in fill.items()
        if name in ask.defaults
        and not space.contains(name, ask.defaults[name])
        and not is_zero_of_log(ask.defaults[name], space[name])
        and any(name not in values for values in params)
    ]


# --- space changes --------------------------------------------------------------------------------------


def read_changes(data: Any, ask: Ask) -> tuple[list[SpaceChange], list[str]]:
    """The space changes of an answer as typed values, and a sentence for each that cannot be read."""
    changes: list[SpaceChange] = []
    problems: list[str] = []
    names = {*ask.outer, *(ask.extension.names if ask.extension is not None else ())}
    for entry in items(data)[:_MAX_CHANGES]:
        name, verb = entry.get("name"), entry.get("action")
        reader = _READERS.get(verb) if isinstance(verb, str) else None
        if not isinstance(name, str) or name not in names:
            problems.append(f"there is no parameter {str(name)[:60]!r} to change")
        elif name in ask.locked:
            problems.append(f"{name} is locked by the user")
        elif reader is None:
            problems.append(f"{name}: {str(verb)[:20]!r} is no change; allowed: narrow, widen, drop, add")
        else:
            try:
                changes.append(reader(name, entry))
            except InputError as error:
                problems.append(f"{verb} {name}: {error.message}"[:200])
    return changes, problems


def _read_narrow(name: str, entry: dict[str, Any]) -> Narrow:
    return Narrow(name, **_ends(entry), choices=_choices(entry), reason=_reason(entry))


def _read_widen(name: str, entry: dict[str, Any]) -> Widen:
    return Widen(name, **_ends(entry), choices=_choices(entry), reason=_reason(entry))


def _read_drop(name: str, entry: dict[str, Any]) -> Drop:
    value, is_plain = plain(entry.get("value"))
    if not is_plain:
        raise InputError("its value is no plain value")
    return Drop(name, value, _reason(entry))


def _read_add(name: str, entry: dict[str, Any]) -> Add:
    kind, log = entry.get("type"), entry.get("log")
    if kind not in (None, "float", "int", "categorical"):
        raise InputError("its type is none of float, int, categorical")
    if not isinstance(log, bool | None):
        raise InputError("its log is not true or false")
    return Add(
        name,
        kind,
        **_ends(entry),
        log=log,
        choices=_choices(entry),
        value=plain(entry.get("value"))[0],
        reason=_reason(entry),
    )


_READERS: dict[str, Callable[[str, dict[str, Any]], SpaceChange]] = {
    "narrow": _read_narrow,
    "widen": _read_widen,
    "drop": _read_drop,
    "add": _read_add,
}


def _ends(entry: dict[str, Any]) -> dict[str, float | None]:
    """Low and high; a categorical's entry may hold anything there."""
    if _choices(entry) is not None:
        return {"low": None, "high": None}
    return {end: _number(entry.get(end), end) for end in ("low", "high")}


def _number(value: Any, end: str) -> float | None:
    """A bound as a number; None when there is none. Raises InputError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"its {end} is not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InputError(f"its {end} is not a number") from None
    if not abs(number) <= MAX_NUMBER:
        raise InputError(f"its {end} is not a number")
    return number


def _choices(entry: dict[str, Any]) -> tuple[Value, ...] | None:
    """The choices of an entry; None when there are none. Raises InputError when they are no list."""
    choices = entry.get("choices")
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list):
        raise InputError("its choices are no list")
    plain_choices = [plain(choice) for choice in choices[:MAX_CHOICES]]
    values = tuple(value for value, is_plain in plain_choices if is_plain)
    if not values:
        raise InputError("none of its choices is a plain value")
    return values


def _reason(entry: dict[str, Any]) -> str:
    reason = entry.get("reason")
    return reason[:200] if isinstance(reason, str) else ""


# --- configurations -------------------------------------------------------------------------------------


def _not_asked_for(space: SearchSpace, ask: Ask, names: list[str]) -> dict[str, Value]:
    """Values of the parameters that a request about few of very many was not about."""
    other_names = [n for n in ask.space if n not in names and n in space]
    if not other_names:
        return {}
    best = ask.history.points.incumbent
    values = space.complete(space.clip(ask.defaults if best is None else best.params))
    return {name: values[name] for name in other_names}


def check_configurations(
    entries: list[dict[str, Any]], space: SearchSpace, ask: Ask, *, fill: Mapping[str, Value] | None = None
) -> tuple[tuple[Candidate, ...], tuple[Rejected, ...], list[str]]:
    """Split proposed configurations into usable ones and rejected ones.

    Out-of-range values, unknown or missing parameters and wrong types reject a configuration; so does one
    that equals, after rounding to what a parameter can mean, one that a trial had or that stands earlier in
    the list. Where the batch must explore, at most half of it (rounded up) may lie near the incumbent. More
    than ``ask.n_candidates`` are cut.

    Args:
        entries: Unchecked, each with ``params``.
        fill: Values for parameters that a configuration may leave out.

    Returns:
        Both, and the problems of the rejected ones, each with its place in the list.
    """
    trial_numbers = ask.history.keys(space)
    best = ask.history.points.incumbent
    n_near_left = math.ceil(ask.n_candidates / 2) if ask.explore and ask.n_candidates > 1 else len(entries)
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    problems: list[str] = []

    def reject(place: int, params: dict[str, Any], why: str, reason: str) -> None:
        rejected.append(Rejected(_plain(params), why, reason))
        problems.append(f"configuration {place}: {why}")

    for place, entry in enumerate(entries[: max(20, ask.n_candidates)], 1):
        raw = entry.get("params")
        reason = _text(entry.get("reason"))
        if not isinstance(raw, dict):
            reject(place, {}, "params is not an object", reason)
            continue
        raw = {k: v for k, v in {**(fill or {}), **raw}.items() if k not in space.fixed}
        params, wrong = space.validate(raw)
        if params is None:
            reject(place, raw, "; ".join(wrong[:4]), reason)
            continue
        equal_trial = trial_numbers.get(space.key(params))
        if equal_trial is not None:
            why = f"the same as trial {equal_trial}" if equal_trial >= 0 else "twice in this answer"
            reject(place, params, why, reason)
            continue
        if len(candidates) >= ask.n_candidates:
            reject(place, params, "more configurations than asked for", reason)
            continue
        if best is not None and diversity.is_near(params, best, space):
            if n_near_left <= 0:
                why = f"too close to trial {best.number}; this batch must explore"
                reject(place, params, why, reason)
                continue
            n_near_left -= 1
        trial_numbers[space.key(params)] = -1
        expects = entry.get("expects")
        candidates.append(Candidate(params, reason, expects if expects in _EXPECTS else "explore"))
    return tuple(candidates), tuple(rejected), problems


def in_groups(problems: Sequence[str]) -> list[str]:
    """The problems of :func:`check_configurations` for a reader: one that several configurations share once.

    ``"configuration 1: x is missing"`` and ``"configuration 2: x is missing"`` become
    ``"2 configurations: x is missing"``. Others stay as they are, in their order.
    """
    matches = [_PLACE.match(problem) for problem in problems]
    reasons = Counter(problem[m.end() :] for problem, m in zip(problems, matches, strict=True) if m)
    texts = []
    for problem, m in zip(problems, matches, strict=True):
        reason = problem[m.end() :] if m else ""
        texts.append(f"{reasons[reason]} configurations: {reason}" if reasons[reason] > 1 else problem)
    return list(dict.fromkeys(texts))


def _with_pairs(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """Name-value pairs, as the form of an answer asks for where the names are open, become one dict."""
    pairs = entry.get(key)
    if isinstance(pairs, list):
        values = {p["name"]: p.get("value") for p in items(pairs) if isinstance(p.get("name"), str)}
        return {**entry, key: values}
    return entry


def _with_added(entry: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the values of the parameters that the same answer adds."""
    added_values = _with_pairs(entry, "added").get("added")
    params = entry.get("params")
    if isinstance(added_values, dict) and isinstance(params, dict):
        return {**entry, "params": {**params, **added_values}}
    return entry


def _text(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) else ""


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Proposed values as short plain data, for showing only."""
    plain_params: dict[str, Any] = {}
    for name, value in list(params.items())[:60]:
        scalar = isinstance(value, bool | int | float | str) or value is None
        plain_params[str(name)[:80]] = (
            value if scalar and len(str(value)) <= 80 else json.dumps(value, default=str)[:80]
        )
    return plain_params

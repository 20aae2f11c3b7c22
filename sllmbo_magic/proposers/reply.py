"""The validation of a reply: from the data of an answer to a checked proposal.

All input here is untrusted. What leaves this module is typed and checked: candidates that are valid in the
search space, and space changes as values of ``space/changes.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.errors import InputError
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.reply_changes import read_changes
from sllmbo_magic.proposers.reply_configurations import check_configurations
from sllmbo_magic.proposers.reply_fields import items
from sllmbo_magic.proposers.reply_fields import text
from sllmbo_magic.proposers.reply_fields import with_pairs
from sllmbo_magic.proposers.reply_fields import with_text
from sllmbo_magic.proposers.space_changes import Limits
from sllmbo_magic.proposers.space_changes import first_space
from sllmbo_magic.proposers.space_changes import make_changes
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.layers import are_layers
from sllmbo_magic.space.layers import canonical
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.versions import is_zero_of_log

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
    entries = [with_pairs(c, "params") for c in items(data.get("configurations"))]
    problems = [] if entries else ["the list configurations is missing or empty"]
    searched = space or ask.space
    fill = _left_out(searched, ask)
    not_applied += _not_the_default(entries, fill, searched, ask)
    candidates, rejected, wrong = check_configurations(entries, searched, ask, fill=fill)
    reasoning = text(data.get("reasoning"))
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
        reasoning=text(data.get("reasoning")),
    )
    return proposal, [*problems, *wrong, *not_applied]


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
    if isinstance(raw.get("choices"), list):
        in_layers = are_layers(getattr(present, "choices", ("",)))
        raw["choices"] = [canonical(c) if in_layers else with_text(c) for c in raw["choices"]]
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


# --- configurations -------------------------------------------------------------------------------------


def _not_asked_for(space: SearchSpace, ask: Ask, names: list[str]) -> dict[str, Value]:
    """Values of the parameters that a request about few of very many was not about."""
    other_names = [n for n in ask.space if n not in names and n in space]
    if not other_names:
        return {}
    best = ask.history.points.incumbent
    values = space.complete(space.clip(ask.defaults if best is None else best.params))
    return {name: values[name] for name in other_names}


def _with_added(entry: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the values of the parameters that the same answer adds."""
    added_values = with_pairs(entry, "added").get("added")
    params = entry.get("params")
    if isinstance(added_values, dict) and isinstance(params, dict):
        return {**entry, "params": {**params, **added_values}}
    return entry

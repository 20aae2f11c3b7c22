"""From the data of a reply to a checked proposal. Everything in it is a stranger's word."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.proposers import variety
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Rejected
from sllmbo_magic.proposers.spaces import Limits
from sllmbo_magic.proposers.spaces import changed_space
from sllmbo_magic.proposers.spaces import first_space
from sllmbo_magic.proposers.spaces import items
from sllmbo_magic.space import SearchSpace

_EXPECTS = ("better", "similar", "explore")
_TEXT = 2000
"""Characters of a reason that are kept."""
_LARGE = 24
"""Parameters above which a first configuration may leave some out."""


def read_initialize(
    data: Any, ask: Ask, allowed: tuple[str, ...], limits: Limits
) -> tuple[Proposal, list[str]]:
    """The proposal in the answer to the first question, and what is wrong with it, one sentence each."""
    if not isinstance(data, dict):
        return Proposal(), ["the reply is not a JSON object"]
    refused: list[str] = []
    space, outer = first_space(data.get("space"), ask, allowed, limits, refused)
    raw = [_with_pairs(c) for c in items(data.get("configurations"))]
    problems = [] if raw else ["the list configurations is missing or empty"]
    middle = ask.outer.complete(ask.outer.clip(ask.defaults))
    named = {e.get("name") for e in items(data.get("space")) if isinstance(e.get("name"), str)}
    searched = space or ask.space
    # What the LLM left to its default, in its space or in a configuration of very many parameters.
    rest = {n: middle[n] for n in searched if n in middle and (n not in named or len(searched) > _LARGE)}
    if space is None and len(searched) <= _LARGE:
        rest = {}
    candidates, rejected, wrong = check_configurations(raw, searched, ask, rest=rest)
    reasoning = _text(data.get("reasoning"))
    changed = space is not None and space != ask.space
    proposal = Proposal(
        candidates=candidates,
        rejected=rejected,
        space=space if changed else None,
        outer=outer if changed else None,
        space_reason=reasoning[:500] if changed else "",
        refused=tuple(refused),
        reasoning=reasoning,
    )
    return proposal, problems + wrong + refused


def read_propose(data: Any, ask: Ask, names: list[str]) -> tuple[Proposal, list[str]]:
    """The proposal in the answer to any later question, and what is wrong with it.

    Args:
        names: The parameters that were asked for; the others stay as the incumbent has them.
    """
    if not isinstance(data, dict):
        return Proposal(), ["the reply is not a JSON object"]
    changes = changed_space(data.get("space_changes"), ask)
    raw = items(data.get("configurations"))
    problems = [] if raw else ["the list configurations is missing or empty"]
    new = changes.space or ask.space
    rest = {**_held(new, ask, names), **_opened(new, ask)}
    candidates, rejected, wrong = check_configurations(raw, new, ask, rest=rest)
    proposal = Proposal(
        candidates=candidates,
        rejected=rejected,
        space=changes.space,
        outer=changes.outer,
        space_reason=changes.reason,
        refused=changes.refused,
        reasoning=_text(data.get("reasoning")),
    )
    return proposal, [*problems, *wrong, *changes.refused]


def _held(space: SearchSpace, ask: Ask, names: list[str]) -> dict[str, Any]:
    """Values of the parameters that were not asked for."""
    others = [n for n in ask.space if n not in names]
    if not others:
        return {}
    best = ask.history.incumbent
    values = space.complete(space.clip(ask.defaults if best is None else best.params))
    return {n: values[n] for n in others if n in values}


def _opened(space: SearchSpace, ask: Ask) -> dict[str, Any]:
    """Values of the parameters that this very answer adds: the form of its configurations has none."""
    known = {**(ask.beyond.defaults if ask.beyond is not None else {}), **ask.space.fixed}
    added = [n for n in space if n not in ask.space]
    return {n: SearchSpace({n: space[n]}).clip(known)[n] for n in added}


def check_configurations(
    raw: list[dict[str, Any]], space: SearchSpace, ask: Ask, *, rest: Mapping[str, Any] | None = None
) -> tuple[tuple[Candidate, ...], tuple[Rejected, ...], list[str]]:
    """Split proposed configurations into usable ones and rejected ones.

    Out-of-range values, unknown or missing parameters and wrong types reject a configuration; so does one
    that equals, after rounding to what a parameter can mean, one that a trial had or that stands earlier in
    the list. Round values on which earlier ones crowd are moved. Where the batch must explore, at most half
    of it (rounded up) may lie near the incumbent. More than ``ask.n_candidates`` are cut.

    Args:
        rest: Values for parameters that a configuration may leave out.

    Returns:
        Both, and the problems of the rejected ones, each with its place in the list.
    """
    seen = {space.key(space.clip(o.params)): o.number for o in ask.history.observations}
    best = ask.history.incumbent
    near_left = math.ceil(ask.n_candidates / 2) if ask.explore and ask.n_candidates > 1 else len(raw)
    earlier = [o.params for o in ask.history.observations]
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    problems: list[str] = []

    def reject(params: dict[str, Any], why: str) -> None:
        rejected.append(Rejected(_plain(params), why, reason))
        problems.append(f"configuration {place}: {why}")

    for place, entry in enumerate(raw[: max(20, ask.n_candidates)], 1):
        given = entry.get("params")
        reason = _text(entry.get("reason"))
        if not isinstance(given, dict):
            reject({}, "params is not an object")
            continue
        given = {k: v for k, v in {**(rest or {}), **given}.items() if k not in space.fixed}
        params, found = space.validate(given)
        if params is None:
            reject(given, "; ".join(found[:4]))
            continue
        moved, note = variety.spread(params, earlier, space, ask.trial_number * 100 + place)
        other = seen.get(space.key(params), seen.get(space.key(moved)))
        if other is not None:
            reject(params, f"the same as trial {other}" if other >= 0 else "twice in this answer")
            continue
        if len(candidates) >= ask.n_candidates:
            reject(params, "more configurations than asked for")
            continue
        if best is not None and variety.is_near(moved, best, space):
            if near_left <= 0:
                reject(params, f"too close to trial {best.number}; this batch must explore")
                continue
            near_left -= 1
        seen[space.key(params)] = seen[space.key(moved)] = -1
        earlier.append(moved)
        expects = entry.get("expects")
        candidates.append(Candidate(moved, reason, expects if expects in _EXPECTS else "explore", note))
    return tuple(candidates), tuple(rejected), problems


def _with_pairs(entry: dict[str, Any]) -> dict[str, Any]:
    """``params`` given as name-value pairs, as the first question asks for, become one dict."""
    given = entry.get("params")
    if isinstance(given, list):
        pairs = {p["name"]: p.get("value") for p in items(given) if isinstance(p.get("name"), str)}
        return {**entry, "params": pairs}
    return entry


def _text(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) else ""


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Proposed values as short plain data, for showing only."""
    plain: dict[str, Any] = {}
    for name, value in list(params.items())[:60]:
        scalar = isinstance(value, bool | int | float | str) or value is None
        plain[str(name)[:80]] = (
            value if scalar and len(str(value)) <= 80 else json.dumps(value, default=str)[:80]
        )
    return plain

"""The configurations in a reply: checked, and split into candidates and rejected ones."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from sllmbo_magic.proposers import diversity
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Rejected
from sllmbo_magic.proposers.reply_fields import text
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.search_space import SearchSpace

_EXPECTS = ("better", "similar", "explore")

_PLACE = re.compile(r"configuration \d+: ")


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
        reason = text(entry.get("reason"))
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


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Proposed values as short plain data, for showing only."""
    plain_params: dict[str, Any] = {}
    for name, value in list(params.items())[:60]:
        scalar = isinstance(value, bool | int | float | str) or value is None
        plain_params[str(name)[:80]] = (
            value if scalar and len(str(value)) <= 80 else json.dumps(value, default=str)[:80]
        )
    return plain_params

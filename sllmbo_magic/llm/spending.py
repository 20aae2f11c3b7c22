"""What the requests of a run cost, read from its transcript: the requests really sent, tokens and money.

What a provider reports is counted. An attempt that went out and came back without a report (it was cut short,
the connection was lost, or the server reports no usage) is counted as the budget counts it: with the most
that it can have cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.budget import Charge
from sllmbo_magic.llm.retry import CANCELLED
from sllmbo_magic.llm.transcript import was_sent


def spending(exchanges: Iterable[Mapping[str, Any]], charged: Charge | None = None) -> dict[str, Any]:
    """Requests (retries included), tokens and money of the exchanges.

    Args:
        exchanges: Of a transcript.
        charged: What the budget counts by now; what it counts beyond the exchanges is still under way.

    Returns:
        The fields of :class:`Usage`, ``requests``, and where a cost had to be bounded ``unreported_tokens``,
        which are among the tokens.
    """
    usage, requests, unreported = Usage(), 0, 0
    recorded = Charge()
    for exchange in exchanges:
        if not exchange.get("charged"):
            requests += _is_answer(exchange)
            continue
        charge = Charge(**exchange["charged"])
        reported = Usage(**(exchange.get("usage") or {}))
        recorded.add(charge)
        requests += charge.requests
        usage += reported
        more = _beyond(charge, reported, int(exchange.get("max_output_tokens") or 0))
        usage += more
        unreported += more.input_tokens + more.output_tokens
    if charged is not None and charged.requests > recorded.requests:
        under_way = Charge(charged.requests, charged.tokens, charged.money)
        under_way.add(recorded, -1)
        more = _beyond(under_way, Usage(), 0)
        usage += more
        requests += under_way.requests
        unreported += more.input_tokens
    cost = asdict(usage) | {"requests": requests}
    return cost | {"unreported_tokens": unreported} if unreported else cost


def _is_answer(exchange: Mapping[str, Any]) -> bool:
    """Whether an exchange without a charge was one: of a recording, or of a person."""
    return was_sent(exchange) and (exchange.get("error") or {}).get("category") != CANCELLED


def _beyond(charge: Charge, reported: Usage, max_output_tokens: int) -> Usage:
    """What is charged beyond what was reported."""
    tokens = max(0, charge.tokens - reported.input_tokens - reported.output_tokens)
    output = min(tokens, max_output_tokens)
    money = charge.money - (reported.money or 0.0)
    return Usage(tokens - output, output, money=money if money > 1e-12 else None)

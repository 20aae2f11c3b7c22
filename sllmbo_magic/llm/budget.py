"""Hard limits on requests, tokens and money: a request that *could* exceed one is not sent.

Before each attempt (retries included) the most that it can cost is reserved: its input as one token per byte,
which no tokenizer exceeds, its output as the bound that is sent, its price as the dearest that applies. When
the reply is there, the reservation becomes what the provider reports. An attempt whose cost is not known (a
timeout after sending, a lost connection, a server that reports no usage) keeps all of its reservation: it may
have been billed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from sllmbo_magic.errors import BudgetExceededError
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.prices import VARIABLE
from sllmbo_magic.llm.prices import Price
from sllmbo_magic.llm.prices import Prices

PERHAPS_BILLED = frozenset({"timeout", "deadline", "cancelled", "connection-lost", "not-json", "provider"})
"""Categories of failed attempts of unknown cost: the request went out, its usage did not come back."""

_PER_MESSAGE = 16
_PER_REQUEST = 1000  # what providers add unseen: role marks, instructions for structured output
_CHARS_PER_TOKEN = 4.0  # English and JSON; for forecasts only, never for limits
_TYPICAL_REPLY = 2800  # characters


@dataclass
class Charge:
    """What counts against the limits. Money is 0 where no price is known."""

    requests: int = 0
    tokens: int = 0
    money: float = 0.0

    def add(self, other: Charge, sign: int = 1) -> None:
        """Add (or with ``sign=-1`` take away) another charge."""
        self.requests += sign * other.requests
        self.tokens += sign * other.tokens
        self.money += sign * other.money


def bound(request: Request, price: Price | None) -> Charge:
    """The most that one attempt of this request can cost."""
    tokens = _PER_REQUEST + sum(
        len(m.content.encode("utf-8", "surrogatepass")) + _PER_MESSAGE for m in request.messages
    )
    if request.schema is not None:
        tokens += 2 * len(json.dumps(request.schema))  # as a schema, and repeated in words
    money = price.bound(tokens, request.max_output_tokens) if price else 0.0
    return Charge(1, tokens + request.max_output_tokens, money)


class Budget:
    """The limits of one run and what has been spent. Safe to use from several threads.

    Args:
        max_requests: Most requests sent, retries included; None for no limit.
        max_tokens: Most tokens, input and output together.
        max_cost: Most money, in US dollars.
        prices: The price table; None loads the shipped one with the user's own prices.

    Raises:
        InputError: A limit is negative.
    """

    def __init__(
        self,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        *,
        prices: Prices | None = None,
    ) -> None:
        for name, limit in (("requests", max_requests), ("tokens", max_tokens), ("cost", max_cost)):
            if limit is not None and not limit >= 0:
                raise InputError(f"--max-{name} {limit} is not a limit.", "Allowed: 0 or more.")
        self.max_requests = max_requests
        self.max_tokens = max_tokens
        self.max_cost = max_cost
        self.prices = Prices.load() if prices is None else prices
        self._lock = threading.Lock()
        self._charged = Charge()
        self._spent = Usage()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def spent(self) -> Usage:
        """What the providers have reported so far."""
        with self._lock:
            return self._spent

    @property
    def charged(self) -> Charge:
        """What counts against the limits: reports, and bounds where no report came."""
        with self._lock:
            return replace(self._charged)

    def check_price(self, provider_id: str) -> None:
        """Raise InputError if a limit on money was set for a model whose price is not known."""
        if self.max_cost is not None and self.prices.of(provider_id) is None:
            raise InputError(
                f"--max-cost needs the price of {provider_id}, which is not known.",
                f"Add it to a price file and set {VARIABLE} to its path, or use --max-tokens.",
            )

    def reserve(self, request: Request, provider_id: str, *, free: bool = False) -> Charge:
        """Set aside the most that one attempt can cost.

        Args:
            request: As it is sent.
            provider_id: Of the model.
            free: Whether it counts as a request only.

        Returns:
            The reservation, for :meth:`settle`.

        Raises:
            BudgetExceededError: A limit could be exceeded; nothing was set aside.
        """
        charge = Charge(1) if free else bound(request, self.prices.of(provider_id))
        with self._lock:
            self._refuse(charge)
            self._charged.add(charge)
        return charge

    def check(self, request: Request, provider_id: str, *, free: bool = False) -> None:
        """Raise BudgetExceededError if one attempt could exceed a limit; nothing is set aside."""
        charge = Charge(1) if free else bound(request, self.prices.of(provider_id))
        with self._lock:
            self._refuse(charge)

    def _refuse(self, charge: Charge) -> None:
        self._refuse_above("requests", self._charged.requests, charge.requests, self.max_requests)
        self._refuse_above("tokens", self._charged.tokens, charge.tokens, self.max_tokens)
        self._refuse_above("cost", self._charged.money, charge.money, self.max_cost)

    def settle(self, reserved: Charge, outcome: Completion | ProviderError, provider_id: str) -> Usage:
        """Replace a reservation by what the attempt did cost.

        Returns:
            The attempt's usage as reported, with money where the price is known; zero where nothing was
            reported.
        """
        reported = outcome.usage if isinstance(outcome.usage, Usage) and outcome.usage.is_valid() else None
        if isinstance(outcome, Completion) and reported == Usage():  # no usage was reported
            return Usage()
        usage = Usage() if reported is None else reported
        price = self.prices.of(provider_id)
        if price is not None and usage.money is None:
            usage = replace(usage, money=price.cost(usage))
        unknown = isinstance(outcome, ProviderError) and (
            outcome.category in PERHAPS_BILLED or outcome.usage is not None
        )
        with self._lock:
            if reported is not None or not unknown:
                self._charged.add(reserved, -1)
                reserved.tokens = usage.input_tokens + usage.output_tokens
                reserved.money = usage.money or 0.0
                self._charged.add(reserved)
            self._spent += usage
        return usage

    def restore(self, exchanges: Iterable[Mapping[str, Any]]) -> None:
        """Count what a transcript's exchanges did cost: a resumed run has one budget over its whole life."""
        with self._lock:
            for record in exchanges:
                if record.get("charged"):
                    self._charged.add(Charge(**record["charged"]))
                    self._spent += Usage(**(record.get("usage") or {}))

    def allows(
        self, requests: Sequence[Request], provider_id: str, *, reply_chars: int = _TYPICAL_REPLY
    ) -> tuple[int, str]:
        """How many of these requests the limits are likely to allow, one after the other.

        Args:
            requests: In their order.
            provider_id: Of the model.
            reply_chars: Characters of a typical answer.

        Returns:
            That number, and the refusal of the next one; "" where all are allowed.
        """
        expected = Budget(self.max_requests, self.max_tokens, self.max_cost, prices=self.prices)
        price = self.prices.of(provider_id)
        for n, request in enumerate(requests):
            try:
                charge = expected.reserve(request, provider_id)
            except BudgetExceededError as error:
                return n, error.message
            if provider_id.partition(":")[0] == "command":  # a program does not say what it used
                continue
            chars = sum(len(m.content) for m in request.messages) + len(json.dumps(request.schema))
            reply = min(round(reply_chars / _CHARS_PER_TOKEN), request.max_output_tokens)
            usage = Usage(round(chars / _CHARS_PER_TOKEN), reply)
            money = price.cost(usage) if price else None
            expected.settle(charge, Completion("", replace(usage, money=money)), provider_id)
        return len(requests), ""

    def forecast(
        self,
        provider_id: str,
        n_requests: int,
        prompt_chars: int,
        *,
        reply_chars: int = _TYPICAL_REPLY,
        max_output_tokens: int = 4096,
    ) -> dict[str, Any]:
        """What requests are likely to cost, and what they can cost at most.

        Args:
            provider_id: The model, e.g. ``"openai:gpt-4o"``.
            n_requests: Requests expected.
            prompt_chars: Characters of a typical request.
            reply_chars: Characters of a typical answer.
            max_output_tokens: The bound on each reply.

        Returns:
            ``requests``, ``tokens``, ``money`` (US dollars, None if the price is not known),
            ``tokens_at_most``, ``money_at_most``, ``prices_date``, and all of it as one sentence in ``text``.
        """
        price = self.prices.of(provider_id)
        tokens_in = round(n_requests * prompt_chars / _CHARS_PER_TOKEN)
        tokens_out = n_requests * min(round(reply_chars / _CHARS_PER_TOKEN), max_output_tokens)
        most_in = n_requests * (prompt_chars + _PER_REQUEST)
        most_out = n_requests * max_output_tokens
        forecast: dict[str, Any] = {
            "requests": n_requests,
            "tokens": tokens_in + tokens_out,
            "money": price and price.cost(Usage(tokens_in, tokens_out)),
            "tokens_at_most": most_in + most_out,
            "money_at_most": price and price.bound(most_in, most_out),
            "prices_date": self.prices.date if price else None,
        }
        if provider_id.partition(":")[0] == "replay":
            forecast["text"] = "The answers are those of a recorded run: no request is made."
            return forecast
        text = f"About {n_requests} request{'s' * (n_requests != 1)} and {forecast['tokens']:,} tokens"
        if price is None:
            text += f"; the price of {provider_id} is not known."
        elif forecast["money_at_most"] == 0:
            text += ", at no charge."
        else:
            text += f", about ${forecast['money']:.2f} (prices of {self.prices.date})."
        forecast["text"] = text
        return forecast

    @staticmethod
    def _refuse_above(name: str, spent: float, more: float, limit: float | None) -> None:
        if limit is None or spent + more <= limit:
            return
        option = f"--max-{name} {'$' if name == 'cost' else ''}{limit:g}"
        left = max(0.0, limit - spent)
        if left == 0.0:
            problem = "is spent" if spent else "allows no request"
        elif not spent:
            problem = f"is too low for a request, which can take {_amount(name, more)}"
        else:
            problem = f"has {_amount(name, left)} left, too little for the next request, which can take "
            problem += _amount(name, more)
        raise BudgetExceededError(f"{option} {problem}.", category="budget")


def _amount(name: str, number: float) -> str:
    if name != "cost":
        return f"{number:,.0f}"
    return f"${number:.4f}" if number >= 0.001 else f"${number:.6f}"

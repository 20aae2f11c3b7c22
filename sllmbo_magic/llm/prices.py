"""What tokens cost: a dated data file, which a user can override. An unknown model has no price, never a
guess.

Not a library: genai-prices, from which the file was collected, prices what was used, while a limit that is
never exceeded needs the most that a request *can* cost (:meth:`Price.bound`); it would also bring pydantic
and 1.7 MB into every install, for a table of a few dozen models.

The file ``prices.json`` beside this module holds US dollars per million tokens. A user's own file has the
same shape (``{"prices": {"openai:my-model": {"input": 1.0, "output": 2.0}}}``) and is named by the
environment variable ``SLLMBO_PRICES``; its entries win.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.llm.base import Usage

VARIABLE = "SLLMBO_PRICES"
_MILLION = 1_000_000
_SNAPSHOT = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|latest)$")


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens.

    Attributes:
        input: Plain input tokens.
        output: Output tokens, reasoning included.
        cached_input: Input tokens read from the provider's prompt cache; None: as ``input``.
        cache_write: Input tokens written to that cache; None: as ``input``.
        long_context: The price of requests with at least ``long_from`` input tokens; None: the same.
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    long_context: Price | None = None
    long_from: int = 0

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Price:
        """A price from an entry of a price file.

        Raises:
            TypeError, ValueError: A field is unknown, missing or no number of dollars.
        """
        plain = {k: v for k, v in entry.items() if k != "long_context"}
        for value in plain.values():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise ValueError(value)
        if "long_context" not in entry:
            return cls(**plain)
        longer = dict(entry["long_context"])
        return cls(**plain, long_from=int(longer.pop("from")), long_context=cls.from_json(longer))

    def cost(self, usage: Usage) -> float:
        """What one request of this usage costs, in US dollars."""
        if self.long_context is not None and usage.input_tokens >= self.long_from:
            return self.long_context.cost(usage)
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        cache_writes = min(usage.cache_write_tokens, usage.input_tokens - cached)
        dollars = (
            usage.input_tokens - cached - cache_writes
        ) * self.input + usage.output_tokens * self.output
        dollars += cached * (self.input if self.cached_input is None else self.cached_input)
        dollars += cache_writes * (self.input if self.cache_write is None else self.cache_write)
        return dollars / _MILLION

    def bound(self, input_tokens: int, output_tokens: int) -> float:
        """The most that a request of at most this size can cost, in US dollars, whatever is cached."""
        highest = max(p for p in (self.input, self.cached_input, self.cache_write) if p is not None)
        most = (input_tokens * highest + output_tokens * self.output) / _MILLION
        if self.long_context is not None and input_tokens >= self.long_from:
            most = max(most, self.long_context.bound(input_tokens, output_tokens))
        return most


class Prices:
    """A price table: provider ids (``"openai:gpt-4o"``) to prices. ``"ollama:*"`` stands for any model."""

    def __init__(self, table: Mapping[str, Price], date: str = "") -> None:
        self._table = dict(table)
        self.date = date
        """When the shipped table was checked, as ``YYYY-MM-DD``."""

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Prices:
        """The shipped table, overridden by the file at ``path`` or, without one, at ``$SLLMBO_PRICES``.

        Raises:
            InputError: The user's file cannot be read or holds something else than prices.
        """
        shipped = json.loads(resources.files("sllmbo_magic.llm").joinpath("prices.json").read_text("utf-8"))
        table = {name: Price.from_json(entry) for name, entry in shipped["prices"].items()}
        user_path = path if path is not None else os.environ.get(VARIABLE)
        if user_path:
            table |= _user_table(Path(user_path))
        return cls(table, shipped["date"])

    def of(self, provider_id: str) -> Price | None:
        """A model's price: its own entry, that of its undated name, or the provider's ``*``; else None."""
        undated = _SNAPSHOT.sub("", provider_id)
        any_model = provider_id.partition(":")[0] + ":*"
        for name in (provider_id, undated, any_model):
            if name in self._table:
                return self._table[name]
        return None


def _user_table(path: Path) -> dict[str, Price]:
    example = '{"prices": {"openai:my-model": {"input": 1.0, "output": 2.0}}}'
    hint = f"Expected (US dollars per million tokens): {example}."
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        table = {str(name): Price.from_json(entry) for name, entry in data["prices"].items()}
    except OSError as error:
        raise InputError(f"the price file {path} cannot be read: {error.strerror}.", hint) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"the price file {path} is not a table of prices.", hint) from None
    return table

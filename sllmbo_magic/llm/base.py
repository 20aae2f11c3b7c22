"""What a provider is: one method that answers one request. Knows nothing of hyper-parameters."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Literal
from typing import Protocol
from typing import runtime_checkable


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Request:
    """One question to an LLM.

    Attributes:
        messages: System turn first, the question last.
        schema: JSON Schema (draft 2020-12 subset) that the reply must satisfy; None for free text.
        purpose: ``"initialize"``, ``"propose"``, ``"repair"``, ``"summarize"`` or ``"check"``.
        trial_number: The trial at whose start the request was made; None outside a run.
        max_output_tokens: Bound on the reply, for the provider and for budgets.
        volatile: Substrings of the messages that may differ between two runs of the same work
            (timings); a replay does not compare them.
    """

    messages: tuple[Message, ...]
    schema: dict[str, Any] | None = None
    purpose: str = "propose"
    trial_number: int | None = None
    max_output_tokens: int = 4096
    volatile: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What the provider says that a request cost. Tokens as reported; money only if the price is known.

    ``input_tokens`` counts all input, also what came from a cache; the other two counts are parts of it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    money: float | None = None
    """US dollars."""
    cache_write_tokens: int = 0
    """Input tokens written to the provider's prompt cache (dearer than plain ones with some providers)."""

    def __add__(self, other: Usage) -> Usage:
        money = None
        if self.money is not None or other.money is not None:
            money = (self.money or 0.0) + (other.money or 0.0)
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            money,
            self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True)
class Completion:
    """One reply.

    Attributes:
        text: The reply's text, unchecked.
        usage: As reported by the provider.
        model: The model that answered, as the provider names it.
        seconds: Wall time of the request, retries included.
        retries: How often the request was sent again before it was answered.
        id: Set by the transcript: the exchange's number in it.
    """

    text: str
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    seconds: float = 0.0
    retries: int = 0
    id: int | None = None


@runtime_checkable
class Provider(Protocol):
    """Answers requests. Must be safe to call from a worker thread, one call at a time.

    Attributes:
        id: ``"provider:model"`` as the user writes it, e.g. ``"openai:gpt-4o"``. Never holds a key.
    """

    id: str

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises:
            TransientProviderError: Worth another try later.
            PermanentProviderError: The same request cannot succeed again.
            ReplyError: An answer came but cannot be used.
        """
        ...

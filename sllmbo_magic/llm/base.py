"""What a provider is: one method that answers one request. Nothing here is about hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import Protocol
from typing import runtime_checkable

from sllmbo_magic.errors import PermanentProviderError

if TYPE_CHECKING:
    from sllmbo_magic.llm.transcript import Transcript

DEADLINE = 120.0
"""Seconds for one request with all its retries, unless the user or the provider says otherwise."""


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
    """What a request cost, as the provider reports it. Tokens as reported; money only if the price is known.

    All counts 0: the provider did not say, and a budget counts the most that the request can have cost.

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

    def is_valid(self) -> bool:
        """Whether it holds counts, and money of 0 or more."""
        counts = (self.input_tokens, self.output_tokens, self.cached_input_tokens, self.cache_write_tokens)
        money = 0.0 if self.money is None else self.money
        return (
            all(isinstance(n, int) and n >= 0 for n in counts)
            and isinstance(money, int | float)
            and math.isfinite(money)
            and money >= 0
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


@dataclass(frozen=True)
class RunIdentity:
    """What a run works on, for comparing a recording with it.

    Attributes:
        fingerprint: Short hashes by name: data, estimator, metric, cv, ...
        options: The options that shape the conversation, by name, as text.
        names: Estimator, metric and direction as a run's first event names them.
        task: The description of the task as an LLM reads it.
    """

    fingerprint: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    task: str = ""


@runtime_checkable
class Provider(Protocol):
    """What a provider must have at least. Must be safe to call from a worker thread, one call at a time.

    Attributes:
        id: ``"provider:model"`` as the user writes it, e.g. ``"openai:gpt-4o"``. Never holds a key.
    """

    id: str

    def complete(self, request: Request) -> Completion:
        """Answer one request, in one attempt.

        Raises:
            TransientProviderError: Worth another try later.
            PermanentProviderError: The same request cannot succeed again.
            ReplyError: An answer came but cannot be used.
        """
        ...


class BaseProvider:
    """A provider with all that a run may ask of one; the defaults fit a remote service that costs money.

    Inherit from it, or pass any object that is a :class:`Provider`: what it lacks is taken from here
    (:func:`complete_provider`).

    Attributes:
        id: As :class:`Provider`.
        remote: Whether a network or another process is asked: retries, a deadline and a thread of its own.
            False: ``complete`` is called once, in the caller's thread.
        free: Whether no token and no money counts against the budget.
        by_hand: Whether a person carries each request: those of a free provider count then, too.
        then: The provider that takes over when this one has no answer (``replay:PATH?then=...``).
        deadline: Seconds for one request with all its retries; None: :data:`DEADLINE`.
        mode: How structured output is asked for, for the doctor's report.
        transcript: Where the exchanges are recorded; None: nowhere.
        diverged: Why a replay went on with ``then``; None while it has not.
        notice: A sentence that the user should read when a run begins; None for none.
    """

    id: str
    remote: bool = True
    free: bool = False
    by_hand: bool = False
    then: BaseProvider | None = None
    deadline: float | None = None
    transcript: Transcript | None = None
    diverged: str | None = None
    notice: str | None = None

    @property
    def mode(self) -> str:
        """Plain text, unless a provider does better."""
        return "text"

    @property
    def next_id(self) -> int | None:
        """The number that the next request gets in the transcript; None without one."""
        return None

    @property
    def spent(self) -> Usage:
        """What the requests did cost so far."""
        return Usage()

    def complete(self, request: Request) -> Completion:
        """As :meth:`Provider.complete`; every provider defines it."""
        raise NotImplementedError

    def prepare(self, request: Request) -> Request:
        """The request as this provider sends it: the bound on the reply within its limits, and the like."""
        return request

    def check_budget(self, request: Request) -> None:
        """Raise BudgetExceededError if a limit of the user forbids the request; nothing is sent."""

    def begin_run(self, run: RunIdentity) -> None:
        """Called once before a run begins.

        Raises:
            InputError: This provider cannot serve this run.
        """

    def models(self) -> list[str]:
        """The names of the server's models; empty if it lists none. Raises as :meth:`complete`."""
        return []

    def warm_up(self) -> None:
        """Do slow preparations (imports); called in the background while the first trial runs."""

    def cancel(self) -> None:
        """End the request that is under way, where that can be done from outside."""


_OPTIONAL = ("remote", "free", "by_hand", "deadline", "prepare", "begin_run", "models", "warm_up", "cancel")


class _Completed(BaseProvider):
    """An object with ``id`` and ``complete`` only, and the defaults for all else."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.id = provider.id
        for name in _OPTIONAL:  # the one place where a foreign object is asked what else it has
            if hasattr(provider, name):
                setattr(self, name, getattr(provider, name))
        then = getattr(provider, "then", None)
        self.then = None if then is None else complete_provider(then)

    def __repr__(self) -> str:
        return repr(self.provider)

    def __getattr__(self, name: str) -> Any:
        if name == "provider" or name.startswith("__"):  # not yet set while it is being copied
            raise AttributeError(name)
        return getattr(self.provider, name)

    def complete(self, request: Request) -> Completion:
        return self.provider.complete(request)


def complete_provider(provider: Provider | BaseProvider) -> BaseProvider:
    """The provider with defaults for whatever it does not define itself."""
    return provider if isinstance(provider, BaseProvider) else _Completed(provider)


def checked(completion: Any, provider_id: str) -> Completion:
    """What a provider's ``complete`` returned; without a usage it reports none.

    Raises:
        PermanentProviderError: It is no Completion with a text and a usage in counts.
    """
    if not isinstance(completion, Completion):
        problem = f"complete() returned {type(completion).__name__}, no Completion"
    elif not isinstance(completion.text, str) or not isinstance(completion.model, str):
        problem = "complete() returned a Completion whose text or model is no string"
    elif completion.usage is None:
        return replace(completion, usage=Usage())
    elif not isinstance(completion.usage, Usage) or not completion.usage.is_valid():
        problem = f"complete() returned {str(completion.usage)[:200]}, which are no counts of 0 or more"
    else:
        return completion
    raise PermanentProviderError(
        f"{provider_id}: {problem}.",
        "Return Completion(text, Usage(input_tokens=120, output_tokens=12)).",
        category="provider",
    )

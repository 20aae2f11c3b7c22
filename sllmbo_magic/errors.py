"""Every error this package raises on purpose.

::

    SllmboError
    ├── InputError (ValueError)         the caller's input: option, data, estimator, search space
    ├── MissingExtraError (ImportError) an optional dependency is not installed
    ├── StorageError                    a run's folder or storage cannot be used
    │   ├── RunLockedError              another living process owns the run
    │   └── RunChangedError             a resume with other data, metric, cv or estimator
    └── ProviderError                   trouble with an LLM; never ends a run
        ├── TransientProviderError      worth another try later: rate limit, timeout, server error
        ├── PermanentProviderError      the same call cannot succeed: bad key, unknown model
        │   └── BudgetExceededError     a limit set by the user is spent
        └── ReplyError                  an answer came, but not one that can be used
            └── ReplayMismatchError     a recorded transcript has no answer for this request

Each has a message (what was wrong, where) and a hint (what is allowed, what to do next); ``str()``
gives both in one line, so that a notebook shows a finished sentence and not a traceback.
"""

from __future__ import annotations


class SllmboError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What was wrong and where, one sentence.
        hint: What is allowed or what to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(SllmboError, ValueError):
    """The caller's input cannot be used; nothing was started and nothing was lost."""


class MissingExtraError(SllmboError, ImportError):
    """An optional dependency is not installed; the hint is the pip command."""


class StorageError(SllmboError):
    """A run's folder or storage cannot be read or written."""


class RunLockedError(StorageError):
    """Another living process owns the run."""


class RunChangedError(StorageError):
    """A resume was asked for, but data, metric, cv or estimator differ from the stored run."""


class ProviderError(SllmboError):
    """Trouble with an LLM; the base sampler takes the trial and the run goes on.

    Message and hint are about the LLM alone; what a run does about it is :attr:`consequence`.

    Args:
        message: One sentence, free of keys and of data.
        hint: What to do next.
        category: Short machine-readable kind, e.g. ``"rate-limit"``, ``"timeout"``, ``"bad-key"``.

    Attributes:
        retry_after: Seconds that the server asked to wait; None if it did not say.
        usage: What the failed request is known to have cost (``llm.base.Usage``); None if not known.
        exchange: The exchange's number in the transcript; None if it was not recorded.
        status: The HTTP status; None where there was none.
        server_message: All that the server said, for matching only: it may hold keys and data.
    """

    consequence = "The base sampler takes this trial; the LLM is asked again later."
    """What a run does next, one sentence."""

    retry_after: float | None = None
    usage: object | None = None
    exchange: int | None = None
    status: int | None = None
    server_message: str = ""

    def __init__(self, message: str, hint: str = "", *, category: str = "provider") -> None:
        super().__init__(message, hint)
        self.category = category

    def in_a_run(self) -> str:
        """The error as a run shows it: message, hint, and what happens next."""
        if self.category == "cancelled" or "The base sampler" in str(self):  # as older recordings have it
            return str(self)
        return f"{self} {self.consequence}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.category))


class TransientProviderError(ProviderError):
    """Worth another try later: rate limit, timeout, connection, server error."""


class PermanentProviderError(ProviderError):
    """The same request cannot succeed again: bad key, no permission, unknown model."""

    consequence = "The base sampler goes on without the LLM."


class BudgetExceededError(PermanentProviderError):
    """A limit on requests, tokens or money would be exceeded by the next request."""


class ReplyError(ProviderError):
    """An answer came but cannot be used: not JSON, truncated, refused, filtered."""


class ReplayMismatchError(ReplyError):
    """A recorded transcript has no answer for this request; the message says what differs."""

    consequence = "The base sampler goes on without the LLM."


def _rebuild(cls: type[ProviderError], message: str, hint: str, category: str) -> ProviderError:
    return cls(message, hint, category=category)


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The one sentence for a dependency that an extra would bring."""
    return MissingExtraError(
        f"{package} is not installed.", f'Install it with: pip install "sllmbo-magic[{extra}]"'
    )

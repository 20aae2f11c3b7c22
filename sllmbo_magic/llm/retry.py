"""One request from question to answer: retries, a deadline over all of them, and a way to cut it short.

A provider's ``complete`` makes one attempt and blocks; it runs here in a daemon thread, and the caller waits
for it *or* for the deadline *or* for the cancel event, whichever comes first. A provider that can end its
attempt does so (``cancel``); any other attempt is left behind, which is harmless: it sends nothing more (no
provider of ours retries by itself) and its own timeout ends it. tenacity decides about further attempts;
``Retry-After`` is honoured and never cut: when the wait would pass the deadline, the request fails at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace

import tenacity

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.base import DEADLINE
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import checked
from sllmbo_magic.llm.redact import redact

_ASK_AGAIN = "ask-again"


class AskAgainError(TransientProviderError):
    """The provider has learned how to ask this server: the same request is worth sending again, at once.

    Args:
        provider_id: The provider's id.
        reason: The refusal that it learned from; raised in the end if asking again does not help.
    """

    def __init__(self, provider_id: str, reason: ProviderError) -> None:
        super().__init__(f"{provider_id}: asking in another way.", category=_ASK_AGAIN)
        self.reason = reason
        self.usage = reason.usage


CANCELLED = "cancelled"
"""Category of the error of a request that was cut short by the user."""

_MOST_LESSONS = 8
"""How often one request is sent again because something was learned."""


def send(
    provider: BaseProvider,
    request: Request,
    *,
    cancel: threading.Event,
    deadline: float = DEADLINE,
    retries: int = 2,
    before: Callable[[], Request] | None = None,
    after: Callable[[Completion | ProviderError], None] = lambda _: None,
) -> Completion:
    """Send one request until it is answered, refused for good, out of time or cancelled.

    Args:
        provider: Makes one attempt per call.
        request: The request.
        cancel: When set, the pending attempt is left behind and nothing more is sent.
        deadline: Seconds for everything, waits included.
        retries: Further attempts after transient errors.
        before: Called before each attempt; returns the request as it is to be sent, or raises to prevent the
            attempt (a spent budget). None sends the request as it is.
        after: Called after each attempt with its outcome.

    Returns:
        The reply with ``seconds`` and ``retries`` of the whole.

    Raises:
        ProviderError: The last attempt's error, free of the SDK's objects; category ``"cancelled"`` or
            ``"deadline"`` when it was cut short.
    """
    start = time.monotonic()
    end = start + deadline
    tally = _Tally()

    def once() -> Completion:
        if cancel.is_set():
            raise cancelled()
        prepared = request if before is None else before()
        tally.attempts += 1
        try:
            outcome: Completion | ProviderError = _attempt(provider, prepared, cancel, end, deadline)
        except BaseException:  # an interrupt: what was sent may be billed
            provider.cancel()
            after(cancelled())
            raise
        after(outcome)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    def give_up(state: tenacity.RetryCallState) -> bool:
        error = _error(state)
        if isinstance(error, AskAgainError):
            tally.lessons += 1
            return tally.lessons > _MOST_LESSONS
        failed = tally.attempts - tally.lessons
        return failed > retries or time.monotonic() + _pause(state) >= end

    try:
        completion = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_a_retry),
            stop=give_up,
            wait=_pause,
            sleep=tenacity.sleep_using_event(cancel),
            reraise=True,
        )(once)
    except ProviderError as error:
        final = error.reason if isinstance(error, AskAgainError) else error
        final.__context__ = final.__cause__ = None
    else:
        return replace(completion, seconds=time.monotonic() - start, retries=tally.attempts - 1)
    raise final.with_traceback(None)


class _Tally:
    attempts = 0
    lessons = 0


def _attempt(
    provider: BaseProvider, request: Request, cancel: threading.Event, end: float, deadline: float
) -> Completion | ProviderError:
    """One attempt in a thread of its own. Errors that are no ProviderError are bugs and are raised."""
    wake = threading.Condition()
    result: list[Completion | BaseException] = []

    def work() -> None:
        try:
            outcome: Completion | BaseException = checked(provider.complete(request), provider.id)
        except BaseException as error:  # noqa: BLE001 (handed to the waiting thread, whatever it is)
            outcome = error
        with wake:
            result.append(outcome)
            wake.notify()

    threading.Thread(target=copy_context().run, args=(work,), name="sllmbo-llm", daemon=True).start()
    with wake:
        while not result:
            left = end - time.monotonic()
            if cancel.is_set():
                provider.cancel()
                return cancelled()
            if left <= 0:
                provider.cancel()
                return TransientProviderError(
                    f"{provider.id} did not answer within {deadline:g} s.",
                    "Allow more time with --llm-timeout.",
                    category="deadline",
                )
            wake.wait(min(left, 0.1))  # short, so that a cancel is seen without a second channel
    outcome = result[0]
    if isinstance(outcome, ProviderError):
        return outcome
    if isinstance(outcome, BaseException):
        text = str(outcome)
        if redact(text) != text:  # a bug is raised as it is, unless it would show a key
            raise RuntimeError(f"{type(outcome).__name__} in the provider: {redact(text)}")
        raise outcome
    return outcome


def _worth_a_retry(error: BaseException) -> bool:
    return isinstance(error, TransientProviderError) and error.category not in (CANCELLED, "deadline")


def _error(state: tenacity.RetryCallState) -> ProviderError:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, ProviderError)
    return error


_backoff = tenacity.wait_exponential(multiplier=0.5, max=8.0) + tenacity.wait_random(0.0, 0.25)


def _pause(state: tenacity.RetryCallState) -> float:
    error = _error(state)
    if isinstance(error, AskAgainError):
        return 0.0
    if error.retry_after is not None:
        return max(0.0, error.retry_after)
    return float(_backoff(state))


def cancelled() -> TransientProviderError:
    """The error of a request that was cut short."""
    return TransientProviderError("the request was cut short.", "The run is stopping.", category=CANCELLED)

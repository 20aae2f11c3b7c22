"""A provider as a run uses it: budget first, then the request, then the transcript, then the reply."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from dataclasses import replace

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.budget import Charge
from sllmbo_magic.llm.sending import cancelled
from sllmbo_magic.llm.sending import send
from sllmbo_magic.llm.transcript import Transcript


class RecordingProvider:
    """Wraps a provider with a budget, retries, a deadline and a transcript.

    Every attempt, retries included, is checked against the budget before it is sent. The exchange is on disk
    before :meth:`complete` returns or raises; failures are recorded too.

    A provider may have two attributes. ``remote = False`` (a replay, a double, the manual one): it is called
    in the caller's own thread, once; there is no network that could fail. ``free = True``: nothing counts
    against the budget.

    Args:
        provider: Answers; one attempt per call of its ``complete``.
        transcript: Where the exchanges go; None keeps them in memory.
        budget: The user's limits; None has none. What the transcript already holds (a resumed run) counts.
        deadline: Seconds for one request with all its retries.
        retries: Further attempts after transient errors.

    Raises:
        InputError: The budget limits money, and the model's price is not known.
    """

    def __init__(
        self,
        provider: Provider,
        transcript: Transcript | None = None,
        budget: Budget | None = None,
        *,
        deadline: float = 120.0,
        retries: int = 2,
    ) -> None:
        self.provider = provider
        self.id = provider.id
        self.transcript = Transcript() if transcript is None else transcript
        self.budget = Budget() if budget is None else budget
        self.deadline = deadline
        self.retries = retries
        self.diverged: str | None = None
        """Why a replay went on live; None while it has not."""
        self._cancel = threading.Event()
        self._one = threading.Lock()
        for each in (provider, getattr(provider, "then", None)):
            if each is not None and not getattr(each, "free", False):
                self.budget.check_price(each.id)
        self.budget.restore(self.transcript.exchanges())

    @property
    def next_id(self) -> int:
        """The number that the next request will get in the transcript."""
        return self.transcript.next_id

    @property
    def spent(self) -> Usage:
        """What the run's requests cost so far, as reported by the provider."""
        return self.budget.spent

    def cancel(self) -> None:
        """Cut the pending request short (within a second) and refuse later ones, until :meth:`reopen`."""
        self._cancel.set()

    def reopen(self) -> None:
        """Allow requests again after :meth:`cancel`."""
        self._cancel.clear()

    def complete(self, request: Request) -> Completion:
        """Answer one request; see :class:`~sllmbo_magic.llm.base.Provider`.

        Returns:
            The reply; ``id`` is its number in the transcript, ``usage`` that of all attempts, with money
            where the price is known.

        Raises:
            BudgetExceededError: The request could exceed a limit; nothing was sent.
            ProviderError: As the provider; ``exchange`` is its number in the transcript.
            StorageError: The transcript cannot be written; the reply is not used.
        """
        with self._one:
            number = self.transcript.reserve()
            attempts = _Attempts(self.budget, self.provider, request)
            start = time.monotonic()
            outcome: Completion | ProviderError
            try:
                try:
                    outcome = self._ask(request, attempts)
                except ReplayMismatchError as error:
                    if not self._go_on_live(error):
                        raise
                    attempts = _Attempts(self.budget, self.provider, request)
                    outcome = self._ask(request, attempts)
            except ProviderError as error:
                outcome = error
            except KeyboardInterrupt:
                self._record(number, request, cancelled(), attempts, time.monotonic() - start)
                raise
            if isinstance(outcome, Completion):
                outcome = replace(outcome, id=number, usage=attempts.usage or outcome.usage)
            self._record(number, request, outcome, attempts, time.monotonic() - start)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    def _ask(self, request: Request, attempts: _Attempts) -> Completion:
        if getattr(self.provider, "remote", True):
            return send(
                self.provider,
                request,
                cancel=self._cancel,
                deadline=self.deadline,
                retries=self.retries,
                before=attempts.begin,
                after=attempts.end,
            )
        if self._cancel.is_set():
            raise cancelled()
        attempts.begin()
        try:
            completion = self.provider.complete(request)
        except ProviderError as error:
            attempts.end(error)
            raise
        attempts.end(completion)
        return completion

    def _go_on_live(self, error: ReplayMismatchError) -> bool:
        """Change from a replay to the provider after it, if there is one."""
        then = getattr(self.provider, "then", None)
        if then is None:
            return False
        self.provider, self.id = then, then.id
        self.diverged = error.message
        self.transcript.note({"event": "replay-ended", "why": error.message, "provider": self.id})
        return True

    def _record(
        self,
        number: int,
        request: Request,
        outcome: Completion | ProviderError,
        attempts: _Attempts,
        seconds: float,
    ) -> None:
        if isinstance(outcome, ProviderError):
            outcome.exchange = number
            outcome.usage = attempts.usage
        self.transcript.exchange(
            request,
            outcome,
            id=number,
            provider=self.id,
            seconds=seconds,
            retries=max(0, attempts.count - 1),
            charged=asdict(attempts.charged) if attempts.count else None,
        )


class _Attempts:
    """The attempts of one request and what they cost."""

    def __init__(self, budget: Budget, provider: Provider, request: Request) -> None:
        self._budget = budget
        self._request = request
        self._id = provider.id
        self._free = bool(getattr(provider, "free", False))
        self._reserved = Charge()
        self.count = 0
        self.charged = Charge()
        self.usage: Usage | None = None

    def begin(self) -> None:
        """Reserve the next attempt. Raises BudgetExceededError."""
        if not self._free:
            self._reserved = self._budget.reserve(self._request, self._id)
            self.count += 1

    def end(self, outcome: Completion | ProviderError) -> None:
        """Settle the attempt that has just ended."""
        if not self._free:
            usage = self._budget.settle(self._reserved, outcome, self._id)
            self.charged.add(self._reserved)
            self.usage = usage if self.usage is None else self.usage + usage

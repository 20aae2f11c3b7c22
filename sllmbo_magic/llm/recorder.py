"""A provider as a run uses it: budget first, then the request, then the transcript, then the reply."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from dataclasses import replace
from typing import Any

from sllmbo_magic.errors import BudgetExceededError
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.llm.base import DEADLINE
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import RunIdentity
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.base import checked
from sllmbo_magic.llm.base import complete_provider
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.budget import Charge
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.llm.retry import AskAgainError
from sllmbo_magic.llm.retry import cancelled
from sllmbo_magic.llm.retry import send
from sllmbo_magic.llm.spending import spending
from sllmbo_magic.llm.transcript import Transcript

_CUT_SECONDS = 2.0
"""For which the end of a run waits until a request that was cut short is recorded."""


class RecordingProvider(BaseProvider):
    """Wraps a provider with a budget, retries, a deadline and a transcript.

    Every attempt, retries included, is checked against the budget before it is sent. The exchange is on disk
    before :meth:`complete` returns or raises; failures are recorded too.

    Args:
        provider: Answers; one attempt per call of its ``complete``.
        transcript: Where the exchanges go; None keeps them in memory.
        budget: The user's limits; None has none. What the transcript already holds (a resumed run) counts.
        deadline: Seconds for one request with all its retries; None: the provider's own, else 120.
        retries: Further attempts after transient errors.
        max_output_tokens: The bound on every reply, thinking included; None: as each request says, raised
            for models that use it up with thinking.

    Raises:
        InputError: The budget limits money, and the model's price is not known; or a limit is out of range.
    """

    def __init__(
        self,
        provider: Provider | BaseProvider,
        transcript: Transcript | None = None,
        budget: Budget | None = None,
        *,
        deadline: float | None = None,
        retries: int = 2,
        max_output_tokens: int | None = None,
    ) -> None:
        self.provider = complete_provider(provider)
        self.id = self.provider.id
        self.transcript: Transcript = Transcript() if transcript is None else transcript
        self.budget = Budget() if budget is None else budget
        self.deadline: float = deadline or self.provider.deadline or DEADLINE
        self.retries = retries
        if max_output_tokens is not None and max_output_tokens < 1:
            raise InputError(f"--max-output-tokens {max_output_tokens} is no limit.", "Allowed: 1 or more.")
        self.max_output_tokens = max_output_tokens
        self.diverged = None
        self.notice = self.provider.notice
        self._cancel = threading.Event()
        self._one = threading.Lock()
        for each in (self.provider, self.provider.then):
            if each is not None and not each.free:
                self.budget.check_price(each.id)
        self.budget.restore(self.transcript.exchanges())

    def __deepcopy__(self, memo: dict[int, Any]) -> RecordingProvider:
        """Itself: whoever copies a sampler spends from one budget, through one connection."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cancel": None, "_one": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cancel = threading.Event()
        self._one = threading.Lock()

    @property
    def mode(self) -> str:
        """The wrapped provider's."""
        return self.provider.mode

    @property
    def next_id(self) -> int:
        """The number that the next request will get in the transcript."""
        return self.transcript.next_id

    @property
    def spent(self) -> Usage:
        """What the run's requests cost so far, as reported by the provider."""
        return self.budget.spent

    def models(self) -> list[str]:
        """The wrapped provider's."""
        return self.provider.models()

    def warm_up(self) -> None:
        """The wrapped provider's."""
        self.provider.warm_up()

    def begin_run(self, run: RunIdentity) -> None:
        """Note in the transcript what is about to be recorded; see the base class."""
        self.provider.begin_run(run)
        self.transcript.begin(run)

    def cancel(self) -> None:
        """Cut the pending request short (within a second) and refuse later ones, until :meth:`reopen`."""
        self._cancel.set()

    def end(self, seconds: float) -> None:
        """Wait so long for the request under way, then cut it short; its exchange is recorded before this
        returns, unless it cannot be cut.
        """
        self._wait(seconds)
        self.cancel()
        self._wait(_CUT_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self._one.acquire(timeout=seconds):
            self._one.release()

    def cost(self) -> dict[str, Any]:
        """What the run's requests cost so far; see :func:`~sllmbo_magic.llm.spending.spending`."""
        return spending(self.transcript.exchanges(), self.budget.charged)

    def reopen(self) -> None:
        """Allow requests again after :meth:`cancel`."""
        self._cancel.clear()

    def check_budget(self, request: Request) -> None:
        """Raise BudgetExceededError if the request could exceed a limit; nothing is sent.

        The refusal is recorded, so that a replay of the run ends asking at the same request.
        """
        request = self._limited(request)
        try:
            self.provider.check_budget(request)
            if not self.provider.free or self.provider.by_hand:
                self.budget.check(request, self.id, free=self.provider.free)
        except BudgetExceededError as error:
            error.exchange = self.transcript.exchange(request, error, provider=self.id, seconds=0.0)
            raise

    def complete(self, request: Request) -> Completion:
        """Answer one request; see :class:`~sllmbo_magic.llm.base.Provider`.

        Returns:
            The reply, without keys; ``id`` is its number in the transcript, ``usage`` that of all attempts,
            with money where the price is known.

        Raises:
            BudgetExceededError: The request could exceed a limit; nothing was sent.
            ProviderError: As the provider; ``exchange`` is its number in the transcript.
            StorageError: The transcript cannot be written; the reply is not used.
        """
        request = self._limited(request)
        with self._one:
            number = self.transcript.reserve()
            attempts = self._attempts(request)
            start = time.monotonic()
            outcome: Completion | ProviderError
            try:
                try:
                    outcome = self._ask(request, attempts)
                except ReplayMismatchError as error:
                    if not self._go_on_live(error):
                        raise
                    attempts = self._attempts(request)
                    outcome = self._ask(request, attempts)
            except ProviderError as error:
                outcome = error
            except KeyboardInterrupt:
                self._record(number, cancelled(), attempts, time.monotonic() - start)
                raise
            if isinstance(outcome, Completion):
                # An answer that shows a key is redacted here, before anything of it is parsed or stored.
                outcome = replace(
                    outcome,
                    text=redact(outcome.text),
                    model=redact(outcome.model),
                    id=number,
                    usage=attempts.usage or outcome.usage,
                )
            self._record(number, outcome, attempts, time.monotonic() - start)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    def _limited(self, request: Request) -> Request:
        """The request with the user's own bound on the reply, if there is one."""
        if self.max_output_tokens is None:
            return request
        return replace(request, max_output_tokens=self.max_output_tokens)

    def _attempts(self, request: Request) -> _Attempts:
        most = request.max_output_tokens if self.max_output_tokens is not None else None
        return _Attempts(self.budget, self.provider, request, most)

    def _ask(self, request: Request, attempts: _Attempts) -> Completion:
        if self.provider.remote:
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
        prepared = attempts.begin()
        try:
            completion = checked(self.provider.complete(prepared), self.provider.id)
        except ProviderError as error:
            attempts.end(error)
            raise
        attempts.end(completion)
        return completion

    def _go_on_live(self, error: ReplayMismatchError) -> bool:
        """Change from a replay to the provider after it, if there is one."""
        then = self.provider.then
        if then is None:
            return False
        self.provider, self.id = then, then.id
        self.diverged = error.message
        self.transcript.note({"event": "replay-ended", "why": error.message, "provider": self.id})
        return True

    def _record(
        self, number: int, outcome: Completion | ProviderError, attempts: _Attempts, seconds: float
    ) -> None:
        if isinstance(outcome, ProviderError):
            outcome.exchange = number
            outcome.usage = attempts.usage
        self.transcript.exchange(
            attempts.request,
            outcome,
            id=number,
            provider=self.id,
            seconds=seconds,
            retries=max(0, attempts.count - 1),
            charged=asdict(attempts.charged) if attempts.count else None,
        )


class _Attempts:
    """The attempts of one request, each within the budget, and what they cost.

    Attributes:
        request: As it was sent last.
        count: Attempts that count against the budget.
        charged: What they count.
        usage: What was reported of them; None while nothing was.
    """

    def __init__(
        self, budget: Budget, provider: BaseProvider, request: Request, most_output: int | None
    ) -> None:
        self._budget = budget
        self._provider = provider
        self._original = request
        self._most_output = most_output
        self._reserved = Charge()
        self._cut_off: ProviderError | None = None
        self.request = request
        self.count = 0
        self.charged = Charge()
        self.usage: Usage | None = None

    def begin(self) -> Request:
        """The request as the next attempt sends it; what it can cost is reserved.

        The bound on the reply may have been raised for a reasoning model; where the budget does not allow
        that, it is lowered again, down to what was asked for.

        Raises:
            BudgetExceededError: A limit could be exceeded.
            ReplyError: The last reply was cut off, and no larger one is possible.
        """
        prepared = self._provider.prepare(self._original)
        bound = prepared.max_output_tokens
        if self._most_output is not None:
            bound = min(bound, self._most_output)
        while True:
            if self._cut_off is not None and bound <= self.request.max_output_tokens:
                raise self._cut_off
            candidate = replace(prepared, max_output_tokens=bound)
            try:
                free = self._provider.free
                if not free or self._provider.by_hand:
                    self._reserved = self._budget.reserve(candidate, self._provider.id, free=free)
                    self.count += 1
            except BudgetExceededError:
                if bound <= self._original.max_output_tokens:
                    raise
                bound = max(self._original.max_output_tokens, bound // 2)
            else:
                self.request = candidate
                return candidate

    def end(self, outcome: Completion | ProviderError) -> None:
        """Settle the attempt that has just ended."""
        reason = outcome.reason if isinstance(outcome, AskAgainError) else None
        self._cut_off = reason if reason is not None and reason.category == "truncated" else None
        if not self._provider.free:
            usage = self._budget.settle(self._reserved, outcome, self._provider.id)
            self.charged.add(self._reserved)
            self.usage = usage if self.usage is None else self.usage + usage
        elif self._provider.by_hand:
            self.charged.add(self._reserved)

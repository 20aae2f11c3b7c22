"""Batches of candidates, asked for while trials run, used at fixed trial numbers.

Whatever the timing, the same seed and replies give the same trials: a request goes out at the start of a
trial, with the history frozen there; its answer is used from the next trial on, and a trial that needs it
waits for it. Nothing depends on when the answer came. With one candidate per request (the paper's way), and
for a proposer that answers at once, the request goes out when the candidate is needed instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait
from contextvars import copy_context
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.history.history import History
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import short_text
from sllmbo_magic.space.distributions import same
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.search_space import SearchSpace

LOW_WATER = 1
LATE = 2
"""Trials after which a request's answer is waited for although older candidates are left."""
_LONGEST_PAUSE = 16


@dataclass(frozen=True)
class QueuedCandidate:
    """A candidate that waits for its trial."""

    candidate: Candidate
    request: int | None
    asked_at: int


@dataclass
class _Pending:
    """A request under way. Its copy waits for the answer and has it: the same run goes on from both, and
    nothing is asked twice.
    """

    future: Future[Proposal]
    trial_number: int

    def __getstate__(self) -> dict[str, Any]:
        error = self.future.exception()  # waits
        return {
            "trial_number": self.trial_number,
            "error": error,
            "proposal": None if error is not None else self.future.result(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.trial_number = state["trial_number"]
        self.future = Future()
        if state["error"] is not None:
            self.future.set_exception(state["error"])
        else:
            self.future.set_result(state["proposal"])


class CandidateQueue:
    """The queue of candidates, and when the next request is due.

    Args:
        proposer: Is asked, by one background thread at a time.
        n_candidates: Per request. 1 asks at the moment of need.
    """

    def __init__(self, proposer: Proposer, n_candidates: int) -> None:
        self.proposer = proposer
        self.n_candidates = n_candidates
        self.candidates: list[QueuedCandidate] = []
        self._held: list[QueuedCandidate] = []
        self.off: ProviderError | None = None
        """The permanent error that ended asking; None while the proposer serves."""
        self.failure: ProviderError | None = None
        """Why the last request had no answer; None where it had one."""
        self._pending: _Pending | None = None
        self._n_requests = 0
        self._failures = 0
        self._not_before = 0

    @property
    def immediate(self) -> bool:
        """Whether the proposer is asked when a candidate is needed."""
        return self.proposer.instant or self.n_candidates == 1

    @property
    def pending_since(self) -> int | None:
        """The trial at whose start the request under way went out."""
        return None if self._pending is None else self._pending.trial_number

    def may_ask(self, trial_number: int) -> bool:
        """Whether the proposer serves, and asking does not pause after failures."""
        return self.off is None and trial_number >= self._not_before

    def fresh(self, trial_number: int) -> list[QueuedCandidate]:
        """The candidates of a request that is not long ago; older ones wait on, but count for nothing
        else.
        """
        return [c for c in self.candidates if trial_number - c.asked_at <= 2 * self.n_candidates]

    def due(self, trial_number: int, *, eager: bool, n_batches: int = 0) -> bool:
        """Whether a request should go out at the start of this trial.

        There is at most one request per ``n_candidates`` trials so far, which bounds them at a fifth of the
        trials by default; ``eager`` (LLM only) asks as soon as the queue runs dry.

        Args:
            n_batches: Requests of earlier processes that the study has trials of.
        """
        if self._pending or not self.may_ask(trial_number):
            return False
        if len(self.fresh(trial_number)) > LOW_WATER:
            return False
        if self._failures or eager:
            return True
        return max(self._n_requests, n_batches) * self.n_candidates <= trial_number

    def send(self, ask: Ask, *, initial: bool = False) -> None:
        """Ask in the background; ``initial`` asks for the search space and first configurations."""
        question = self.proposer.initialize if initial else self.proposer.propose
        future: Future[Proposal] = Future()
        self._n_requests += not initial
        self._pending = _Pending(future, ask.trial_number)
        if self.proposer.instant:
            future.set_result(question(ask))
            return

        def work() -> None:
            try:
                future.set_result(question(ask))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                future.set_exception(error)

        # A daemon, so that an answer that never comes does not keep the interpreter from ending.
        threading.Thread(target=copy_context().run, args=(work,), name="sllmbo-proposer", daemon=True).start()

    def collect(self, trial_number: int, *, cancelled: Callable[[], bool] | None = None) -> Proposal | None:
        """The answer to a request of an earlier trial, waited for; None when there is none to be had.

        While fresh candidates are left, the answer has :data:`LATE` trials' time to come: which trial uses
        it must not depend on when it comes.

        Raises:
            ProviderError: The request failed; the caller falls back. Permanent errors also set :attr:`off`.
        """
        if self._pending is None or self._pending.trial_number >= trial_number:
            return None
        if self.fresh(trial_number) and trial_number - self._pending.trial_number < LATE:
            return None
        return self._wait(trial_number, cancelled)

    def ask_now(
        self, ask: Ask, *, cancelled: Callable[[], bool] | None = None, initial: bool = False
    ) -> Proposal | None:
        """Ask and wait; None when asking has to pause after failures, or was cancelled.

        Raises:
            ProviderError: As :meth:`collect`.
        """
        if not self.may_ask(ask.trial_number):
            return None
        if self._pending is None:
            self.send(ask, initial=initial)
        return self._wait(ask.trial_number, cancelled)

    def _wait(self, trial_number: int, cancelled: Callable[[], bool] | None) -> Proposal | None:
        assert self._pending is not None
        future = self._pending.future
        while not future.done():
            if cancelled is not None and cancelled():
                return None
            wait([future], timeout=0.1 if cancelled else None)
        self._pending = None
        try:
            proposal = future.result()
        except ProviderError as error:
            self.failed(error, trial_number)
            raise
        self._failures = 0
        self._not_before = 0
        self.failure = None
        return proposal

    def add(self, proposal: Proposal, asked_at: int) -> list[str]:
        """Put a proposal's candidates in the queue; long waiting ones of older requests make room for them. A
        sentence on those.
        """
        fresh = self.fresh(asked_at)
        old = [short_text(c.candidate.params) for c in self.candidates if c not in fresh]
        self.candidates = fresh
        self.candidates += [QueuedCandidate(c, proposal.request, asked_at) for c in proposal.candidates]
        return [f"not tried, as newer ones came before their turn: {'; '.join(old)}"] if old else []

    def remove(self, index: int) -> QueuedCandidate:
        """Take a candidate out of the queue."""
        queued = self.candidates.pop(index)
        if self.proposer.instant:
            self.candidates.clear()  # its next answer costs nothing and follows from more trials
        return queued

    def hold_outside(self, space: SearchSpace) -> None:
        """Set aside the candidates that a space does not hold, until it is extended."""
        inside: list[QueuedCandidate] = []
        for queued in self.candidates:
            params = {n: v for n, v in queued.candidate.params.items() if n not in space.fixed}
            (self._held if space.validate(params)[0] is None else inside).append(queued)
        self.candidates = inside

    def release_held(self) -> None:
        """Queue the candidates that waited for the extended space."""
        self.candidates.extend(self._held)
        self._held = []

    def take(self, index: int, space: SearchSpace) -> Suggestion:
        """The queue's candidate at that place, for the trial that is asked for now."""
        queued = self.remove(index)
        c = queued.candidate
        return Suggestion(
            {**c.params, **space.fixed},
            self.proposer.source,
            {
                "reason": c.reason,
                "expects": c.expects,
                "request": queued.request,
                "provider": self.proposer.id,
                "asked_at": queued.asked_at,
            },
            tuple(name for name in c.at_default if name in space),
            _extra(c, space),
        )

    def drop_unusable(self, space: SearchSpace, history: History, *, declared: bool = True) -> list[str]:
        """Drop candidates that a trial had meanwhile, or that a narrower version of the space rules out; one
        sentence about each. Those that remain have what the space holds fixed now.

        Args:
            declared: Whether the space is declared; else a parameter that it has no longer is one that not
                all trials have, and a candidate does without it.
        """
        if not self.candidates:
            return []
        is_part = not declared and history.is_part(space)
        numbers = {} if is_part else history.keys(space)
        usable: list[QueuedCandidate] = []
        reasons: list[str] = []
        for queued in self.candidates:
            text, moved = short_text(queued.candidate.own_params), ""
            if declared:
                candidate, moved = _in_space(queued.candidate, space)
                queued = replace(queued, candidate=candidate)
            proposed, at_default = queued.candidate.params, queued.candidate.at_default
            known = {k: v for k, v in proposed.items() if k in space or (declared and k not in space.fixed)}
            known |= {k: space.clip_value(k, known[k]) for k in at_default if k in space}
            params, problems = space.validate(known)
            if params is None:
                reasons.append(f"not tried, since the space has changed: {text}: {problems[0]}")
            elif extra := _extra(queued.candidate, space):
                same = history.trial_with({**params, **extra})
                if same is None:
                    usable.append(queued)
                else:
                    reasons.append(f"not tried, as trial {same} had it: {text}")
            elif not at_default and space.key(params) in numbers:
                reasons.append(f"not tried, as trial {numbers[space.key(params)]} had it: {text}")
            else:
                usable.append(queued)
                reasons += [f"{moved}: {text}"] if moved else []
        self.candidates = usable
        return reasons

    def failed(self, error: ProviderError, trial_number: int) -> None:
        """Note that a request failed: for good, or for a number of trials that doubles with each failure in a
        row.
        """
        self.failure = error
        if isinstance(error, PermanentProviderError | ReplayMismatchError):
            self.off = error
            return
        self._failures += 1
        # At once after a first failure, then after 1, 2, 4, ... trials: an outage should not cost a wait per
        # trial.
        self._not_before = trial_number + min(2 ** (self._failures - 1), _LONGEST_PAUSE)

    def __getstate__(self) -> dict[str, Any]:
        """Waits for a request under way, before anything that it may still change is copied."""
        if self._pending is not None:
            wait([self._pending.future])
        return dict(self.__dict__)


def _in_space(candidate: Candidate, space: SearchSpace) -> tuple[Candidate, str]:
    """A candidate in a space that has changed since, as by a lock of the user: what was held keeps its value
    where it is searched now, and what is held now has that value; with words on values that it loses.
    """
    held = {n: v for n, v in candidate.held.items() if n in space}
    active = space.active({**candidate.params, **held})
    params = {**candidate.params, **{n: v for n, v in held.items() if n in active}}
    moved = [
        f"{n} is held at {show(space.fixed[n])}, not {show(params.pop(n))}, now"
        for n in [*params]
        if n in space.fixed and not same(params[n], space.fixed[n])
    ]
    params = {n: v for n, v in params.items() if n not in space.fixed}
    if params == candidate.params:
        return candidate, ""
    return replace(candidate, params=params), "; ".join(moved)


def _extra(candidate: Candidate, space: SearchSpace) -> dict[str, Any]:
    """What a candidate has beyond the parameters that all trials have."""
    beyond = {k: v for k, v in candidate.params.items() if k not in space and k not in space.fixed}
    return {**candidate.extra, **beyond}

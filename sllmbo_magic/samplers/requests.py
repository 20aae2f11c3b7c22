"""When an LLM is asked for candidates, what a request holds, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.history import History
from sllmbo_magic.proposers.base import UNUSABLE
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import trials_left
from sllmbo_magic.proposers.exploration import worth_exploring
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers._trial import write_exchange
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.task import TaskDescription

_EXPLORE_AFTER = 2
"""Batches after which a batch must also look away from the incumbent (it does not by itself;
docs/method.md).
"""
_MAX_WORDS = 2000
"""Longest description in words that a request holds, in characters."""


def unusable_text(error: ProviderError) -> str:
    """What the next prompt holds about an answer of which nothing could be used."""
    return f"nothing of it: {error.message}"[:300]


class Requests:
    """The requests of a run for candidates.

    Args:
        queue: Takes the candidates; its proposer is asked.
        space_state: The declared search space, which an answer may change.
        description: The task in words, or a ``TaskDescription``.
        hints: The user's hints so far.
        n_trials: The run's total; None when it has no end.
        cancelled: Called while an answer is waited for; True ends the waiting.
        emit: Takes a ``Fallback`` event for each request that failed.

    Attributes:
        task: The task; None where it is described in words.
        words: The task in words.
        feedback: What became of parts of the answers at the trial that is sampled now, one sentence each.
        waits_for_space: Whether the question about search space and first configurations is still to come, so
            that nothing else is asked before it.
    """

    def __init__(
        self,
        queue: CandidateQueue,
        space_state: SpaceState,
        description: str | TaskDescription = "",
        *,
        hints: Sequence[Hint] = (),
        n_trials: int | None = None,
        cancelled: Callable[[], bool] | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.queue = queue
        self.space_state = space_state
        self.task = description if isinstance(description, TaskDescription) else None
        self.words = description if isinstance(description, str) else ""
        self.hints = list(hints)
        self.n_trials = n_trials
        self.cancelled = cancelled
        self.emit = emit
        self.held: Mapping[str, Any] = {}
        """What a ``PartialFixedSampler`` keeps at one value in a space that is not declared."""
        self.feedback: list[str] = []
        self.waits_for_space = False
        self._n_answers = 0
        self._sent_at: int | None = None
        """The trial at whose start the last request went out."""
        self._unanswered: int | None = None
        """The trial of a request of which the trial that is sampled now learned that no answer comes."""

    # When

    def send_if_due(self, space: SearchSpace, history: History, trial_number: int, *, llm_only: bool) -> None:
        """Send the next request if one is due, for as many candidates as there are trials left.

        Args:
            llm_only: Whether the LLM takes all trials, so that it is asked as soon as the queue runs dry.
        """
        is_due = self.queue.due(trial_number, eager=llm_only, n_batches=history.n_batches)
        if self.waits_for_space or not is_due:
            return
        n_left = self._n_left(history, trial_number)
        n = self.queue.n_candidates if n_left is None else min(self.queue.n_candidates, n_left)
        if n > 0:
            self.queue.send(self.ask(space, history, trial_number, n))
            self._sent_at = trial_number

    def fill_queue(self, context: TrialContext, *, llm_only: bool) -> None:
        """Queue what the LLM has answered, and ask it when no candidate is left.

        The answer may change the search space.
        """
        queue, spaces, number = self.queue, context.spaces, context.trial.number
        self._collect(context.study, number)
        self.feedback += queue.drop_unusable(spaces.current, context.history, declared=spaces.declared)
        if queue.candidates or self.space_state.pending is not None or self.waits_for_space:
            return  # an extension that waits brings candidates of its own, and so does the first question
        if queue.immediate or llm_only:
            self._ask_now(context)
            self.feedback += queue.drop_unusable(spaces.current, context.history, declared=spaces.declared)
        else:
            self.send_if_due(spaces.current, context.history, number, llm_only=llm_only)

    def _ask_now(self, context: TrialContext) -> None:
        number = context.trial.number
        if not self.queue.may_ask(number):
            return
        n_left = self._n_left(context.history, number)
        n = self.queue.n_candidates if n_left is None else min(self.queue.n_candidates, n_left + 1)
        ask = self.ask(context.spaces.current, context.history, number, max(n, 1))
        self._sent_at = number
        try:
            proposal = self.queue.ask_now(ask, cancelled=self.cancelled)
        except ProviderError as error:
            self._fall_back(number, error, asked_at=number)
            return
        if proposal is not None:
            self._accept(context.study, proposal, number, number)

    def is_last_batch(self, history: History, trial_number: int) -> bool:
        """Whether the run ends before another request would be due."""
        n_left = self._n_left(history, trial_number)
        return n_left is not None and n_left < self.queue.n_candidates

    def _n_left(self, history: History, trial_number: int) -> int | None:
        """Trials of the run after this one; None when it has no total, or has gone past it."""
        n_left = trials_left(self.n_trials, history, trial_number)
        return None if n_left is None else n_left - 1

    # What a request holds

    def ask(self, space: SearchSpace, history: History, trial_number: int, n: int) -> Ask:
        """The request for ``n`` candidates in ``space``, with the history as it is now."""
        state = self.space_state
        policy = state.extension_policy
        return Ask(
            space=space,
            outer=state.outer if state.outer is not None else space,
            history=history,
            n_candidates=n,
            trial_number=trial_number,
            n_trials=self.n_trials,
            hints=tuple(self.hints),
            locked=state.user_controlled,
            explore=self._must_explore(space, history, trial_number),
            frozen_space=not state.dynamic or state.outer is None,
            declared=state.outer is not None,
            held={} if state.outer is not None else self.held,
            task=self.task,
            defaults=state.defaults,
            off=state.off,
            words=self.words[:_MAX_WORDS],
            extension=policy if policy is not None and policy.by_llm else None,
        )

    def _must_explore(self, space: SearchSpace, history: History, trial_number: int) -> bool:
        """Whether the next batch must look away from the incumbent."""
        late = max(self._n_answers, history.n_batches) >= _EXPLORE_AFTER
        return late and not self.is_last_batch(history, trial_number) and worth_exploring(history, len(space))

    # What becomes of an answer

    def _collect(self, study: Study, trial_number: int) -> None:
        """Take the answer to a request of an earlier trial, if this trial needs it."""
        asked_at = self.queue.pending_since
        try:
            proposal = self.queue.collect(trial_number, cancelled=self.cancelled)
        except ProviderError as error:
            self._fall_back(trial_number, error, asked_at=asked_at)
            return
        if proposal is not None and asked_at is not None:
            self._accept(study, proposal, trial_number, asked_at)

    def _accept(self, study: Study, proposal: Proposal, trial_number: int, asked_at: int) -> None:
        self._n_answers += 1
        self.feedback += proposal.feedback
        self.feedback += self.queue.add(proposal, asked_at)
        if self.space_state.propose(study, proposal, trial_number, self.queue.proposer.source):
            assert self.space_state.space is not None
            self.queue.hold_outside(self.space_state.space)

    def _fall_back(self, trial_number: int, error: ProviderError, *, asked_at: int | None) -> None:
        if error.category == UNUSABLE:
            self.feedback.append(unusable_text(error))
        else:
            self._unanswered = asked_at
        if self.emit is not None:
            self.emit(
                Fallback(
                    trial_number=trial_number,
                    category=error.category,
                    message=error.in_a_run(),
                    permanent=self.queue.off is not None,
                )
            )

    def note_sent(self, study: Study, trial: FrozenTrial) -> None:
        """Record that a request went out at the start of a queued trial, which is not sampled any more."""
        if self._sent_at == trial.number and trial.system_attrs.get("fixed_params"):
            exchange = {"feedback": [], **(trial.user_attrs.get(attrs.EXCHANGE) or {}), "sent_request": True}
            exchange["told"] = len(exchange["feedback"])
            study._storage.set_trial_user_attr(trial._trial_id, attrs.EXCHANGE, exchange)

    def write_feedback(self, context: TrialContext) -> None:
        """Add the feedback to the trial, where an LLM reads it in the next request; then forget it."""
        if not self.queue.proposer.instant:
            write_exchange(
                context,
                self.feedback,
                sent_request=self._sent_at == context.trial.number,
                unanswered=self._unanswered,
            )
        self.feedback, self._unanswered = [], None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "emit": None, "cancelled": None}

"""Which source proposes a trial: the LLM or the base sampler, by mode, schedule and surrogate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.history.history import History
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers.acceptance import in_lost_turn
from sllmbo_magic.samplers.acceptance import rulebook_rivals
from sllmbo_magic.samplers.acceptance import veto_feedback
from sllmbo_magic.samplers.acceptance import veto_message
from sllmbo_magic.samplers.base_source import BaseSource
from sllmbo_magic.samplers.candidate_selection import accepted_or_rival
from sllmbo_magic.samplers.candidate_selection import best_candidate
from sllmbo_magic.samplers.candidate_selection import highest_rated
from sllmbo_magic.samplers.candidate_selection import highest_rival
from sllmbo_magic.samplers.requests import Requests
from sllmbo_magic.samplers.schedule import Adaptive
from sllmbo_magic.samplers.schedule import Schedule
from sllmbo_magic.samplers.schedule import share_of
from sllmbo_magic.samplers.surrogate import Surrogate
from sllmbo_magic.samplers.surrogate import SurrogatePrefetch
from sllmbo_magic.samplers.surrogate_source import SurrogateSource
from sllmbo_magic.samplers.surrogate_source import chance
from sllmbo_magic.space.search_space import SearchSpace

_REPEATS = "What was proposed would repeat a trial, as far as the objective asks for parameters."
_FALLBACK = "fallback"
MODES = ("llm", "llm-tpe", "tpe")


_WAITS = "the language model's candidates wait until the search space is extended"


class SourceChoice:
    """Chooses the source of each trial and gives the trial a configuration from it.

    Args:
        mode: ``"llm-tpe"``, ``"llm"`` or ``"tpe"`` (the base sampler alone).
        schedule: Whose turn it is in mode ``"llm-tpe"``.
        requests: The LLM's side.
        base: The base sampler's side.
        rulebook: Its suggestions stand in for the LLM's vetoed candidates.
        judge: Whether a surrogate ranks and vetoes candidates.
        emit: Takes a ``Note`` event for each veto.

    Attributes:
        prefetch: The surrogates, fitted one trial ahead.
    """

    def __init__(
        self,
        mode: str,
        schedule: Schedule,
        requests: Requests,
        base: BaseSource,
        rulebook: RulebookProposer,
        *,
        judge: bool,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.mode = mode
        self.schedule = schedule
        self.requests = requests
        self.queue = requests.queue
        self.base = base
        self.rulebook = rulebook
        self.judge = judge
        self.emit = emit
        self.prefetch = SurrogatePrefetch()
        self.surrogate_source = SurrogateSource()

    @property
    def mode(self) -> str:
        """Settable between trials. Raises InputError for a mode that is not one of :data:`MODES`."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise InputError(f"sampler {mode!r} is not known.", f"Allowed: {', '.join(MODES)}.")
        self._mode = mode

    def suggest(self, context: TrialContext) -> Suggestion:
        """The LLM's candidate when it is the LLM's turn and one is accepted; else the surrogate's, the base
        sampler's or the rulebook's. Where it would repeat a trial, since the objective leaves parameters out,
        another one runs as the base sampler's.
        """
        suggestion, space = self._proposed(context), context.spaces.base
        if not context.spaces.declared:
            return suggestion
        version = self.requests.space_state.number
        other = finite.not_repeated(space, version, suggestion.params, context.history, context.rng)
        if other is None:
            return suggestion
        # the draw that its trial does not have
        is_tried = suggestion.source in (self.base.label, _FALLBACK)
        self.base.sampler.forget(context.study, context.trial, is_tried=is_tried)
        return Suggestion(other, self.base.label, {"reason": _REPEATS})

    def _proposed(self, context: TrialContext) -> Suggestion:
        turn = self._turn(context)
        if turn == "gp":
            return self._suggest_by_surrogate(context)
        if turn in ("base", "rulebook"):
            return self._suggest_in_other_turn(context, turn)
        self.requests.fill_queue(context, llm_only=self.mode == "llm")
        number, spaces = context.trial.number, context.spaces
        surrogate = self.prefetch.get(number, spaces.wide, context.history) if self.judge else None
        if surrogate is not None and self.mode == "llm-tpe":
            return self._select(context, surrogate)
        if self.queue.candidates:
            return best_candidate(self.queue, surrogate, spaces.current)
        if self.queue.failure is not None:
            return self.base.suggest(context, self.queue.failure.message, _FALLBACK)
        waits = self.requests.space_state.pending is not None
        return self.base.suggest(context, _WAITS if waits else "no candidate is left")

    def _turn(self, context: TrialContext) -> str:
        if self.mode == "tpe" or not len(context.spaces.current):
            return "base"
        if self.mode == "llm":
            return "llm"
        if self._surrogate_searches(context.history):
            return "gp"
        return self._scheduled(context.trial.number, context.history, context.rng)

    def _scheduled(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        """``"llm"``, ``"base"`` or ``"rulebook"``: the rulebook has the part of the trials that the user gave
        to an LLM and the LLM has lost, so that bad advice ends in what a run without an LLM does.
        """
        if self.schedule.choose(trial_number, history, rng) == "llm":
            return "llm"
        share = share_of(self.schedule, history)
        lost = self.schedule.ratio - share
        if self.queue.proposer.instant or not self.judge or lost <= 0.0:
            return "base"
        return "rulebook" if rng.random() < lost / (1.0 - share) else "base"

    def _surrogate_searches(self, history: History) -> bool:
        """Whether the surrogate searches in all turns: without an LLM, after an initial design, and unless
        the user has chosen the base sampler.
        """
        is_searched = self.queue.proposer.instant and self.base.is_default
        return is_searched and history.n_evaluated >= N_STARTS and self.has_design(history)

    def _suggest_by_surrogate(self, context: TrialContext) -> Suggestion:
        """The surrogate's proposal, as often as it is reliable; else the base sampler's."""
        surrogate = self.surrogate_source.fit(context)
        if surrogate is None or not self._is_turn_of(surrogate, context):
            return self.base.suggest(context)
        outer = context.spaces.outer
        if outer is not None and context.spaces.current != outer:  # the rulebook may give ranges more room
            self.requests.fill_queue(context, llm_only=False)
            surrogate = self.surrogate_source.fit(context) or surrogate
        suggestion = self.surrogate_source.suggest(context, surrogate) or self.base.suggest(context)
        if not self.queue.candidates:
            return suggestion
        return highest_rated(context, self.queue, suggestion, surrogate)

    def _is_turn_of(self, surrogate: Surrogate, context: TrialContext) -> bool:
        if isinstance(self.schedule, Adaptive):
            return context.rng.random() < chance(surrogate.reliability(), self.schedule.ratio)
        return self.schedule.choose(context.trial.number, context.history, context.rng) == "llm"

    def _suggest_in_other_turn(self, context: TrialContext, turn: str) -> Suggestion:
        """What takes a trial that is not the LLM's: the surrogate's own proposal, as often as it is reliable,
        else a draw of the base sampler, or in a lost turn of the LLM's the best-rated rival.
        """
        if self._surrogate_may_propose(context.spaces.current, context.history):
            surrogate = self.surrogate_source.fit(context)
            if surrogate is not None and context.rng.random() < chance(surrogate.reliability()):
                suggestion = self.surrogate_source.suggest(context, surrogate)
                if suggestion is not None:
                    return suggestion if turn == "base" else in_lost_turn(suggestion)
        return self.base.suggest(context) if turn == "base" else self._suggest_in_lost_turn(context)

    def _surrogate_may_propose(self, space: SearchSpace, history: History) -> bool:
        """Whether the surrogate proposes in turns that are not the LLM's: once it has trials to learn from,
        and unless the user has chosen the base sampler.
        """
        return (
            self.judge
            and self.mode == "llm-tpe"
            and self.base.is_default
            and len(space) > 0
            and history.n_evaluated >= N_STARTS
        )

    def _suggest_in_lost_turn(self, context: TrialContext) -> Suggestion:
        surrogate = self.prefetch.get(context.trial.number, context.spaces.wide, context.history)
        if surrogate is None:
            return self.base.suggest(context)
        return in_lost_turn(highest_rival(self._rivals(context), surrogate))

    def _rivals(self, context: TrialContext) -> list[Suggestion]:
        """A draw of the base sampler; beside an LLM also the rulebook's proposals."""
        rivals = [self.base.suggest(context, is_rated=True)]
        if not self.queue.proposer.instant:
            space = context.spaces.base
            ask = self.requests.ask(space, context.history, context.trial.number, self.queue.n_candidates)
            rivals += rulebook_rivals(self.rulebook, ask, space)
        return rivals

    def _select(self, context: TrialContext, surrogate: Surrogate) -> Suggestion:
        """One of the LLM's candidates, or a rival if the surrogate vetoes it; where the last request failed
        and left no candidate, a draw of the base sampler is the fallback.
        """
        queue, history, number = self.queue, context.history, context.trial.number
        failure = None if queue.candidates else queue.failure
        rivals = self._rivals(context)
        suggestion, vetoed = accepted_or_rival(
            context,
            queue,
            rivals,
            surrogate,
            share=share_of(self.schedule, history),
            may_explore=not self.requests.is_last_batch(history, number),
        )
        if vetoed is not None and not queue.proposer.instant:
            params = vetoed.candidate.own_params
            if self.emit is not None:
                self.emit(Note(text=veto_message(params, suggestion.source), trial_number=number))
            self.requests.feedback.append(veto_feedback(params, suggestion.source, number))
        if failure is not None and suggestion.source == self.base.label:
            provenance = {**suggestion.provenance, "reason": failure.message}
            return replace(suggestion, source=_FALLBACK, provenance=provenance)
        return suggestion

    def may_choose_llm(self, trial_number: int) -> bool:
        """Whether a trial from this one on can be the LLM's; else no request is worth its price."""
        if self.mode == "llm-tpe":
            return self.schedule.may_choose_llm(trial_number)
        return self.mode == "llm"

    def has_design(self, history: History) -> bool:
        """Whether an initial design, and then the surrogate beside TPE, take the place of a start that
        somebody gave. At its first trial a run with an LLM is about to have one.
        """
        if not self.judge or self.mode != "llm-tpe" or not (len(history) or self.queue.proposer.instant):
            return False
        return self.rulebook.has_design(history)

    def prepare_next(self, trial_number: int, space: SearchSpace | None, history: History, seed: int) -> None:
        """Begin to fit the surrogate of the next trial, while this one is evaluated.

        Called after :meth:`suggest`: there is one prepared surrogate, and that has just used it.

        Args:
            trial_number: Of the trial that was sampled.
            space: Of the surrogate; None prepares nothing.
            history: The trials so far.
            seed: Of the run.
        """
        if not self.judge or self.mode != "llm-tpe" or space is None or self._surrogate_searches(history):
            return
        number = trial_number + 1
        rng = np.random.default_rng([seed, number])
        # The history of the next trial may change its source; then its surrogate is fitted on demand, as in a
        # lost turn that the surrogate does not take itself.
        turn = self._scheduled(number, history, rng)
        if turn == "llm" or (turn == "rulebook" and not self._surrogate_may_propose(space, history)):
            self.prefetch.prepare(number, space, history)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "emit": None}

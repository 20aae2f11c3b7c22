"""LLMTPESampler and LLMSampler: plain Optuna samplers in which an LLM and a base sampler share the trials.

Each trial's parameters come from one source, chosen once per trial by the schedule (paper, equation 4; the
reference code flipped a coin per parameter, and such mixed trials were its worst). The base sampler sees the
LLM's trials, the LLM sees the base sampler's. Trouble with the LLM never raises: the base sampler takes the
trial, and the trial says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.logging import get_logger
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.history import History
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.exploration import worth_exploring
from sllmbo_magic.proposers.factory import make_proposer
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.proposers.space_filling import initial_configuration
from sllmbo_magic.proposers.space_filling import reason_of
from sllmbo_magic.samplers import acceptance
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers._trial import ObservationCache
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers._trial import short_text
from sllmbo_magic.samplers._trial import unwrap_bracket
from sllmbo_magic.samplers._trial import write_exchange
from sllmbo_magic.samplers._trial import write_provenance
from sllmbo_magic.samplers.acceptance import AcceptanceRule
from sllmbo_magic.samplers.base_sampler import BaseSamplerAdapter
from sllmbo_magic.samplers.base_sampler import MakeSampler
from sllmbo_magic.samplers.base_sampler import tpe
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.samplers.schedule import make_schedule
from sllmbo_magic.samplers.schedule import share_of
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.samplers.surrogate import Rating
from sllmbo_magic.samplers.surrogate import Surrogate
from sllmbo_magic.samplers.surrogate import SurrogatePrefetch
from sllmbo_magic.samplers.undeclared_space import UndeclaredSpace
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.task import TaskDescription

optuna_logger = get_logger("optuna.sampler")
MODES = ("llm", "llm-tpe", "tpe")
_WIDE_SHARE = 0.5
"""Part of the base sampler's trials that it proposes in the wide space where the current one is narrower."""
_WIDE_STREAM = 7
"""Tells the draws of that choice from the other draws of a trial."""
_EXPLORE_AFTER = 2
"""Batches after which a batch must also look away from the incumbent (it does not by itself;
docs/method.md).
"""


class LLMTPESampler(BaseSampler):
    """An LLM and a Bayesian sampler, one of them per trial.

    Args:
        llm: ``"rulebook"`` (expert rules, no LLM; default), ``"openai:MODEL"``, ``"anthropic:MODEL"``, any
            other provider id, or a ``Provider`` object.
        search_space: What is searched, as ``SearchSpace`` or dict of Optuna distributions; or a
            :class:`~sllmbo_magic.samplers.space_state.SpaceState`, whose versions the sampler follows.
            None: what the study's trials have in common; the LLM is then asked from the second trial on.
        description: The task in words, or a ``TaskDescription``.
        candidates: Whole configurations per request, default 5; 1 asks at the moment of need.
        schedule: ``"adaptive"`` (default), ``"bernoulli"``, ``"alternate"`` or ``"warmstart"``.
        llm_ratio: The LLM's share of the trials, 0 to 1, default 0.5; where the adaptive schedule starts.
        judge: Whether a surrogate ranks and vetoes candidates; default True.
        history: What the LLM is told: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        base_sampler: Takes the other trials: an Optuna sampler, or a function that gives one for a seed and
            is asked for each trial. Default: ``TPESampler`` by such a function; in a search without a start
            its first ten trials are a space-filling design, and later ones model each parameter by itself
            where no surrogate chooses (docs/method.md).
        base_source: What the trials of ``base_sampler`` are labelled with, default ``"base"``.
        proposer: Instead of ``llm``.
        rulebook: Stands in for an LLM's vetoed candidates; default: the rules without an estimator's priors.
        mode: ``"llm-tpe"`` (default), ``"llm"`` or ``"tpe"``; see :attr:`mode`.
        hints: The user's hints so far, told to the LLM; see :meth:`add_hint`.
        dynamic_space: Whether the LLM may change the ranges inside the outer space; default True. A
            ``SpaceState`` has its own answer.
        n_trials: The run's total, told to the LLM and used by ``warmstart``.
        seed: Everything random follows from it; None draws one.
        cancelled: Called while an answer is waited for; True gives the trial to the base sampler.
        emit: Takes the events of the search (see ``sllmbo_magic.events``).

    Raises:
        InputError: An option is not one of these.

    A study with several objectives raises ValueError, as Optuna's samplers for one objective do.
    """

    _mode = "llm-tpe"

    def __init__(
        self,
        llm: str | Provider = "rulebook",
        *,
        search_space: SpaceState | SearchSpace | Mapping[str, Any] | None = None,
        description: str | TaskDescription = "",
        candidates: int = 5,
        schedule: str = "adaptive",
        llm_ratio: float = 0.5,
        judge: bool = True,
        history: str = "state",
        base_sampler: BaseSampler | MakeSampler | None = None,
        base_source: str | None = None,
        proposer: Proposer | None = None,
        rulebook: RulebookProposer | None = None,
        mode: str | None = None,
        hints: Sequence[Hint] = (),
        dynamic_space: bool = True,
        n_trials: int | None = None,
        seed: int | None = None,
        cancelled: Callable[[], bool] | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        if candidates < 1:
            raise InputError(f"candidates {candidates} is out of range.", "Allowed: 1 or more.")
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        self.emit = emit
        self.cancelled = cancelled
        self.task = description if isinstance(description, TaskDescription) else None
        self.words = description if isinstance(description, str) else ""
        self.n_trials = n_trials
        self.judge = judge
        self.hints = list(hints)
        if mode is not None:
            self.mode = mode
        try:
            self.schedule = make_schedule(schedule, llm_ratio, n_trials)
        except ValueError as error:
            raise InputError(str(error)) from None
        if proposer is None:
            proposer = make_proposer(llm, history=history, seed=self.seed, emit=self._emit)
        self.queue = CandidateQueue(proposer, candidates)
        self.rulebook = rulebook or RulebookProposer(seed=self.seed)
        self._base = BaseSamplerAdapter(tpe if base_sampler is None else base_sampler, self.seed)
        self._base_source = base_source or ("tpe" if base_sampler is None else "base")
        self._prefetch = SurrogatePrefetch()
        self._undeclared = UndeclaredSpace()
        self._lock = threading.RLock()
        self._observations = ObservationCache()
        self._batches_taken = 0
        self._feedback: list[str] = []
        """What became of parts of the LLM's answer at the trial that is sampled now."""
        self._sent_at: int | None = None
        """The trial at whose start the last request went out."""
        self._ends_study = not isinstance(search_space, SpaceState)
        """Whether a finite space that is used up ends ``study.optimize``; a run decides that by itself."""
        if isinstance(search_space, SpaceState):
            self.space_state = search_space
        else:
            space = None if search_space is None else _plain_space(search_space)
            self.space_state = SpaceState(space, dynamic=dynamic_space, emit=self._emit)

    # What the user may change between trials

    @property
    def mode(self) -> str:
        """``"llm-tpe"``, ``"llm"`` or ``"tpe"`` (the base sampler alone); settable between trials."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise InputError(f"sampler {mode!r} is not known.", f"Allowed: {', '.join(MODES)}.")
        self._mode = mode

    def add_hint(self, hint: Hint) -> None:
        """Tell the LLM this from its next request on."""
        self.hints.append(hint)

    def extend(self, n_trials: int) -> None:
        """Set the run's total to ``n_trials``."""
        self.n_trials = n_trials

    def continue_in(
        self, study: Study, extension: PendingExtension, trial_number: int, commit: Callable[[], None]
    ) -> None:
        """Go on in a new study, which already holds all trials under an extended outer space.

        Args:
            commit: Called once the new version of the space is stored in the study, before its event.
        """
        with self._lock:
            self._observations = ObservationCache()
            self.space_state.extend(study, extension, trial_number, commit)
            self.queue.release_held()

    def history(self, study: Study) -> History:
        """What the study has seen, as the method sees it."""
        with self._lock:
            return self._history(study)

    # Optuna's interface

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The declared outer space, else the intersection of the study's trials."""
        study = unwrap_bracket(study)
        self._raise_error_if_multi_objective(study)
        if self.space_state.outer is not None:
            return dict(self.space_state.outer)
        return self._undeclared.searched(study)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Send the next request, if one is due, with the history as it is now."""
        study = unwrap_bracket(study)
        if study._is_multi_objective():
            return
        if self.space_state.outer is None:
            self._base.before_trial(study, trial)
        with self._lock:
            space = self._space_for(study)
            if space is None or not len(space) or self.mode == "tpe" or self.queue.immediate:
                return
            history = self._history(study)
            if not len(history):
                return
            if self.mode == "llm-tpe" and not self.schedule.may_choose_llm(trial.number):
                return
            if study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                return  # they run first; at the start of the last one more is known
            self._send_if_due(space, history, trial.number)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One whole configuration from one source."""
        study = unwrap_bracket(study)
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        with self._lock:
            rng = np.random.default_rng([self.seed, trial.number])
            context = TrialContext(study, trial, rng, self._history(study))
            outer = self.space_state.outer
            declared = outer is not None and search_space == dict(outer)
            space = self.space_state.space if declared else SearchSpace(search_space)
            assert space is not None
            queued = bool(trial.system_attrs.get("fixed_params")) or attrs.SOURCE in trial.user_attrs
            # Whoever queued a part of a configuration is its source; the base sampler fills in the rest.
            if queued:
                suggestion = self._from_base(context, self._base_space(context, space, declared), declared)
            else:
                suggestion = self._choose(context, space, declared)
            if declared and (queued or suggestion.source != self._base_source):
                self._base.forget(trial.number)
            if not queued:
                write_provenance(context, suggestion, self.space_state.number)
            if not self.queue.proposer.instant:
                write_exchange(context, self._feedback, sent_request=self._sent_at == trial.number)
            self._feedback = []
            if declared:
                self._prepare_next(context)
            return {n: suggestion.params[n] for n in search_space if n in suggestion.params}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter outside the relative search space: the base sampler's."""
        study = unwrap_bracket(study)
        self._raise_error_if_multi_objective(study)
        return self._base.independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forwarded to the base sampler; a trial that had no joint space, or was queued whole, gets its
        source.
        """
        if attrs.SOURCE not in trial.user_attrs:
            source = "user" if trial.system_attrs.get("fixed_params") else self._base_source
            study._storage.set_trial_user_attr(trial._trial_id, attrs.SOURCE, source)
        self._base.after_trial(study, trial, state, values)
        self._stop_when_used_up(study)

    def _stop_when_used_up(self, study: Study) -> None:
        """End ``study.optimize`` once a finite space has no configuration left, as GridSampler does.

        A space that was not declared ends nothing: another trial may show more of it.
        """
        study, outer = unwrap_bracket(study), self.space_state.outer
        if not self._ends_study or not study._thread_local.in_optimize_loop:
            return
        space = outer or self._undeclared.all_of(study)
        size = None if space is None else finite.size_of(space)
        if space is None or size is None or not finite.is_used_up(space, self._history(study)):
            return
        if outer is not None:
            optuna_logger.info(f"Study stops: {finite.used_up_text(size)}.")
            study.stop()
        elif not self._undeclared.is_used_up:
            self._undeclared.is_used_up = True
            optuna_logger.warning(
                f"{finite.used_up_text(size).capitalize()}; further trials repeat them. With search_space="
                " the sampler ends the study then."
            )

    def reseed_rng(self) -> None:
        """Called by Optuna when trials run in parallel threads."""
        self.seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._base.reseed(self.seed)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "emit": None, "cancelled": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        if isinstance(self.queue.proposer, LLMProposer):
            self.queue.proposer.emit = self._emit

    # Inside

    def _space_for(self, study: Study) -> SearchSpace | None:
        if self.space_state.outer is not None:
            return self.space_state.space
        common = self._undeclared.searched(study)
        return SearchSpace(common) if common else None

    def _prepare_next(self, context: TrialContext) -> None:
        """Begin to fit the surrogate of the next trial, while this one is evaluated.

        After sampling: there is one prepared surrogate, and :meth:`_choose` has just used it.
        """
        number, space = context.trial.number + 1, self.space_state.wide
        if not self.judge or self.mode != "llm-tpe" or space is None:
            return
        rng = np.random.default_rng([self.seed, number])
        # The history of the next trial may change its source; then its surrogate is fitted on demand.
        if self.schedule.choose(number, context.history, rng) == "llm":
            self._prefetch.prepare(number, space, context.history)

    def _history(self, study: Study) -> History:
        return self._observations.history(study, self.task.metric if self.task is not None else "score")

    def _ask(self, space: SearchSpace, history: History, trial_number: int, n: int) -> Ask:
        state = self.space_state
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
            task=self.task,
            defaults=state.defaults,
            words=self.words[:2000],
            extension=policy if (policy := state.extension_policy) is not None and policy.by_llm else None,
        )

    def _n_left(self, history: History, trial_number: int) -> int | None:
        """Trials of the run after this one; None when it has no end."""
        if self.n_trials is None:
            return None
        begun = sum(o.error != attrs.STOPPED for o in history.observations if o.number < trial_number)
        return self.n_trials - begun - 1

    def _send_if_due(self, space: SearchSpace, history: History, trial_number: int) -> None:
        """Send the next request if one is due, for as many candidates as there are trials left."""
        if not self.queue.due(trial_number, eager=self.mode == "llm", n_batches=history.n_batches):
            return
        left = self._n_left(history, trial_number)
        n = self.queue.n_candidates if left is None else min(self.queue.n_candidates, left)
        if n > 0:
            self.queue.send(self._ask(space, history, trial_number, n))
            self._sent_at = trial_number

    def _collect(self, study: Study, trial_number: int) -> None:
        """Take the answer that an earlier trial asked for, if this trial needs it."""
        asked_at = self.queue.pending_since
        try:
            proposal = self.queue.collect(trial_number, cancelled=self.cancelled)
        except ProviderError as error:
            self._fall_back(trial_number, error)
            return
        if proposal is not None and asked_at is not None:
            self._accept(study, proposal, trial_number, asked_at)

    def _accept(self, study: Study, proposal: Proposal, trial_number: int, asked_at: int) -> None:
        self._batches_taken += 1
        self._feedback += proposal.feedback
        self.queue.add(proposal, asked_at)
        if self.space_state.propose(study, proposal, trial_number, self.queue.proposer.source):
            assert self.space_state.space is not None
            self.queue.hold_outside(self.space_state.space)

    def _choose(self, context: TrialContext, space: SearchSpace, declared: bool) -> Suggestion:
        """The LLM's candidate when it is the LLM's turn and one is accepted; else the base sampler's or the
        rulebook's.
        """
        number = context.trial.number
        base_space = self._base_space(context, space, declared)
        if self.mode == "tpe" or not len(space):
            return self._from_base(context, base_space, declared)
        if self.mode != "llm" and self.schedule.choose(number, context.history, context.rng) != "llm":
            return self._from_base(context, base_space, declared)
        space = self._fill_queue(context, space, declared)
        base_space = self._base_space(context, space, declared)
        wide = self._wide_space(space, declared)
        surrogate = self._prefetch.get(number, wide, context.history) if self.judge else None
        if surrogate is not None and self.mode == "llm-tpe":
            return self._contest(context, space, base_space, surrogate, declared)
        if self.queue.candidates:
            best = 0 if surrogate is None else acceptance.highest(self._rate_queue(surrogate, space))
            return self.queue.take(best, space)
        off = self.queue.off
        if off is not None:
            return self._from_base(context, base_space, declared, off.message, "fallback")
        return self._from_base(context, base_space, declared, "no candidate is left")

    def _wide_space(self, space: SearchSpace, declared: bool) -> SearchSpace:
        """The space of the surrogate: it holds whatever any source may propose."""
        wide = self.space_state.wide if declared else None
        return space if wide is None else wide

    def _base_space(self, context: TrialContext, space: SearchSpace, declared: bool) -> SearchSpace:
        """Where the base sampler and the rulebook propose: a share of their trials in the wide space, so that
        an LLM that narrows the wrong way cannot confine the run.
        """
        wide = self._wide_space(space, declared)
        if wide is space:
            return space
        draw = np.random.default_rng([self.seed, context.trial.number, _WIDE_STREAM]).random()
        return wide if draw < _WIDE_SHARE else space

    def _fill_queue(self, context: TrialContext, space: SearchSpace, declared: bool) -> SearchSpace:
        """Bring in what the LLM has answered, and ask it when nothing is left; the space after that."""

        def changed() -> SearchSpace:
            current = self.space_state.space if declared else None
            return space if current is None else current

        queue, number = self.queue, context.trial.number
        self._collect(context.study, number)
        self._feedback += queue.drop_unusable(changed(), context.history)
        if queue.candidates:
            return changed()
        if queue.immediate or self.mode == "llm":
            self._ask_now(context, changed())
            self._feedback += queue.drop_unusable(changed(), context.history)
        else:
            self._send_if_due(changed(), context.history, number)
        return changed()

    def _contest(
        self,
        context: TrialContext,
        space: SearchSpace,
        base_space: SearchSpace,
        surrogate: Surrogate,
        declared: bool,
    ) -> Suggestion:
        """One of the LLM's candidates, or a rival if the surrogate vetoes it."""
        queue, number, history = self.queue, context.trial.number, context.history
        wide = self._wide_space(space, declared)
        rivals = [self._from_base(context, base_space, declared, contest=True)]
        if not queue.proposer.instant:
            ask = self._ask(base_space, history, number, queue.n_candidates)
            rivals += acceptance.rulebook_rivals(self.rulebook, ask, base_space)
        ratings = surrogate.rate([r.params for r in rivals])
        if queue.proposer.instant and self._has_design(history):
            return self._highest_of_all(self._rate_queue(surrogate, space), rivals, ratings, space)
        steps, step_ratings = acceptance.without_near_duplicates(rivals[1:], ratings[1:], history, wide)
        rivals, ratings = [rivals[0], *steps], [ratings[0], *step_ratings]
        rule = AcceptanceRule(
            share_of(self.schedule, history),
            may_veto=surrogate.mature,
            power=acceptance.veto_power(history, wide),
        )
        exempt = self._exempt(space, history, number)
        choice = rule.choose(self._rate_queue(surrogate, space), ratings, exempt)
        if choice.candidate is not None:
            return queue.take(choice.candidate, space)
        assert choice.rival is not None
        rival = rivals[choice.rival]
        vetoed = None if choice.vetoed is None else queue.remove(choice.vetoed)
        if vetoed is not None and not queue.proposer.instant:
            text = acceptance.veto_message(vetoed.candidate.params, rival.source)
            self._emit(Note(text=text, trial_number=number))
            self._feedback.append(
                f"vetoed at trial {number}, where the surrogate expects more of {rival.source}'s proposal:"
                f" {short_text(vetoed.candidate.params)}"
            )
        return acceptance.standing_in(rival, vetoed, queue.proposer.source)

    def _highest_of_all(
        self,
        candidates: Sequence[Rating],
        rivals: Sequence[Suggestion],
        ratings: Sequence[Rating],
        space: SearchSpace,
    ) -> Suggestion:
        """The rulebook's candidate or the draw of TPE that the surrogate rates highest: rules that draw, as
        TPE does, have no claim to the trial.
        """
        best = acceptance.highest([*candidates, *ratings])
        if best < len(candidates):
            return self.queue.take(best, space)
        rival = rivals[best - len(candidates)]
        vetoed = self.queue.remove(acceptance.highest(candidates)) if candidates else None
        return acceptance.standing_in(rival, vetoed, self.queue.proposer.source)

    def _ask_now(self, context: TrialContext, space: SearchSpace) -> None:
        number = context.trial.number
        try:
            left = self._n_left(context.history, number)
            n = self.queue.n_candidates if left is None else min(self.queue.n_candidates, left + 1)
            ask = self._ask(space, context.history, number, max(n, 1))
            proposal = self.queue.ask_now(ask, cancelled=self.cancelled)
            self._sent_at = number
        except ProviderError as error:
            self._fall_back(number, error)
            return
        if proposal is not None:
            self._accept(context.study, proposal, number, number)

    def _must_explore(self, space: SearchSpace, history: History, trial_number: int) -> bool:
        """Whether the next batch must look away from the incumbent."""
        late = max(self._batches_taken, history.n_batches) >= _EXPLORE_AFTER
        return (
            late and not self._is_last_batch(history, trial_number) and worth_exploring(history, len(space))
        )

    def _is_last_batch(self, history: History, trial_number: int) -> bool:
        left = self._n_left(history, trial_number)
        return left is not None and left < self.queue.n_candidates

    def _exempt(self, space: SearchSpace, history: History, trial_number: int) -> list[bool]:
        """For each candidate whether it explores and needs no more than a chance: one per request, while
        looking away from the incumbent is worth a trial.
        """
        if self._is_last_batch(history, trial_number) or not worth_exploring(history, len(space)):
            return [False] * len(self.queue.candidates)
        explored = {o.request for o in history.observations if o.expects == "explore"}
        return [c.candidate.expects == "explore" and c.request not in explored for c in self.queue.candidates]

    def _rate_queue(self, surrogate: Surrogate, space: SearchSpace) -> list[Rating]:
        return surrogate.rate([{**space.fixed, **q.candidate.params} for q in self.queue.candidates])

    def _from_base(
        self,
        context: TrialContext,
        space: SearchSpace,
        declared: bool,
        reason: str = "",
        source: str = "",
        *,
        contest: bool = False,
    ) -> Suggestion:
        """The base sampler's draw. After an initial design TPE models each parameter by itself, which
        searches more broadly, and all together where the surrogate chooses (``contest``).
        """
        if declared:
            outer = self.space_state.outer
            assert outer is not None
            number = context.trial.number
            if self._is_start(context):
                params = {**initial_configuration(space, self.seed, number), **space.fixed}
                reason = reason or reason_of(number)
            else:
                params = self._base.sample(
                    context.study,
                    number,
                    outer,
                    space,
                    context.rng,
                    per_parameter=not contest and self._has_design(context.history),
                )
            untried = finite.untried(space, outer, params, context.history, context.rng)
            if untried is not None:
                self._base.forget(number)  # the draw that its trial does not have
                params = untried
        else:
            params = self._base.sample_undeclared(context.study, context.trial, dict(space))
            params = finite.untried(space, space, params, context.history, context.rng) or params
        in_wide = declared and space is not self.space_state.space
        more = {"wide_space": True} if in_wide else {}
        return Suggestion(params, source or self._base_source, {"reason": reason, **more})

    def _has_design(self, history: History) -> bool:
        """Whether an initial design and then several kinds of draws, among which the surrogate chooses, take
        the place of a start that somebody gave. At its first trial a run with an LLM is about to have one.
        """
        if not self.judge or self.mode != "llm-tpe" or not (len(history) or self.queue.proposer.instant):
            return False
        return self.rulebook.has_design(history)

    def _is_start(self, context: TrialContext) -> bool:
        """Whether TPE would draw at random where the initial design covers the space better."""
        few = len(context.history.complete) < N_STARTS
        return few and self._base_source == "tpe" and self._has_design(context.history)

    def _fall_back(self, trial_number: int, error: ProviderError) -> None:
        permanent = self.queue.off is not None
        self._emit(
            Fallback(
                trial_number=trial_number,
                category=error.category,
                message=error.in_a_run(),
                permanent=permanent,
            )
        )

    def _emit(self, event: Event) -> None:
        if self.emit is not None:
            self.emit(event)


def _plain_space(search_space: SearchSpace | Mapping[str, Any]) -> SearchSpace:
    """The space that an objective of the user's suggests; Optuna's trials suggest no objects."""
    space = SearchSpace.from_user(search_space)
    for name, labels in space.objects.items():
        raise InputError(
            f"search_space: {name} has objects as choices, which Optuna does not store.",
            f"Write their labels, {list(labels)[:3]}, and look the object up in the objective.",
        )
    return space


class LLMSampler(LLMTPESampler):
    """The LLM alone (the paper's fully-LLM optimizer); the base sampler only takes trials that the LLM cannot
    serve.

    Takes the arguments of :class:`LLMTPESampler`; ``schedule`` and ``llm_ratio`` have no effect until
    :attr:`mode` changes.
    """

    _mode = "llm"

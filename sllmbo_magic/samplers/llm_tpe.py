"""LLMTPESampler and LLMSampler: plain Optuna samplers in which an LLM and a base sampler share the trials.

Each trial's parameters come from one source, chosen once per trial by the schedule (paper, equation 4; the
reference code flipped a coin per parameter, and such mixed trials were its worst). The base sampler gets the
LLM's trials, the LLM gets the base sampler's. Trouble with the LLM never raises: the base sampler takes the
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
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.history import History
from sllmbo_magic.history.trials import is_own
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.factory import make_proposer
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers._trial import ObservationCache
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers._trial import recorded
from sllmbo_magic.samplers._trial import unwrap_bracket
from sllmbo_magic.samplers._trial import with_feedback_of
from sllmbo_magic.samplers._trial import write_provenance
from sllmbo_magic.samplers.arguments import check_base_sampler
from sllmbo_magic.samplers.arguments import check_llm
from sllmbo_magic.samplers.arguments import check_made_sampler
from sllmbo_magic.samplers.arguments import check_objects
from sllmbo_magic.samplers.arguments import check_proposers
from sllmbo_magic.samplers.arguments import checked
from sllmbo_magic.samplers.arguments import declared_space
from sllmbo_magic.samplers.base_sampler import BaseSamplerAdapter
from sllmbo_magic.samplers.base_sampler import MakeSampler
from sllmbo_magic.samplers.base_sampler import tpe
from sllmbo_magic.samplers.base_source import BaseSource
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.ended_trial import check_promise
from sllmbo_magic.samplers.ended_trial import never_asked
from sllmbo_magic.samplers.ended_trial import warn_of_names
from sllmbo_magic.samplers.ended_trial import write_source
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.samplers.requests import Requests
from sllmbo_magic.samplers.schedule import make_schedule
from sllmbo_magic.samplers.source_choice import SourceChoice
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.samplers.study_state import StudyState
from sllmbo_magic.samplers.study_state import StudyStates
from sllmbo_magic.samplers.trial_spaces import TrialSpaces
from sllmbo_magic.samplers.undeclared_space import UndeclaredSpace
from sllmbo_magic.samplers.undeclared_space import as_suggested
from sllmbo_magic.space.distributions import check_value
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.suggestions import check_suggestion
from sllmbo_magic.space.suggestions import fixed_value
from sllmbo_magic.task.task import TaskDescription

_logger = get_logger("optuna.sampler.llm")


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
        judge: Whether a surrogate ranks and vetoes candidates, and proposes configurations itself in trials
            that are neither the LLM's nor the rulebook's; default True.
        history: The trials in prompts: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        base_sampler: Takes the other trials: an Optuna sampler, or a function that gives one for a seed and
            is asked for each trial. Default: ``TPESampler`` by such a function, in turns with a Gaussian
            process. In a search of a declared space without a start its first ten trials are a space-filling
            design, and later ones model each parameter by itself (docs/method.md).
        base_source: What the trials of ``base_sampler`` are labelled with, default ``"base"``.
        proposer: Instead of ``llm``.
        rulebook: Stands in for an LLM's vetoed candidates; default: the rules without an estimator's priors.
        mode: ``"llm-tpe"`` (default), ``"llm"`` or ``"tpe"``; see :attr:`mode`.
        hints: The user's hints so far, part of each prompt; see :meth:`add_hint`.
        dynamic_space: Whether the LLM may change the ranges inside the outer space; default True. A
            ``SpaceState`` has its own answer.
        n_trials: The run's total, part of each prompt and used by ``warmstart``; counts all trials of the
            study. Past it the search goes on as one without a total.
        seed: Everything random follows from it; None draws one.
        cancelled: Called while an answer is waited for; True gives the trial to the base sampler.
        emit: Takes the events of the search (see ``sllmbo_magic.events``). None: Optuna's log has a warning
            when the LLM fails, once for each kind of failure.

    Raises:
        InputError: An option is not one of these.

    One sampler can serve several studies, also in turns, as Optuna's can: each has a queue of candidates and
    versions of the space of its own. Options, hints and the LLM's budget are shared. A study that is loaded
    anew from its storage counts as another one, so that candidates that waited are dropped.

    A study with several objectives raises ValueError, as Optuna's samplers for one objective do.
    """

    _default_mode = "llm-tpe"

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
        check_llm(llm)
        check_proposers(proposer, rulebook)
        check_base_sampler(base_sampler, base_source)
        check_objects(hints, description, dynamic_space, {"cancelled": cancelled, "emit": emit})
        candidates, judge, history, n_trials, seed = checked(
            {"candidates": candidates, "judge": judge, "history": history, "n_trials": n_trials, "seed": seed}
        ).values()
        try:
            self.schedule = make_schedule(schedule, checked({"llm_ratio": llm_ratio})["llm_ratio"], n_trials)
        except ValueError as error:
            raise InputError(str(error)) from None
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.emit = emit
        self._warned_of: set[str] = set()
        """Categories of failures of the LLM that were logged, where no ``emit`` takes them: each once."""
        self.program: str | None = None
        """Which of the programs that work on one study this is; None where it is the only one."""
        self._ends_study = not isinstance(search_space, SpaceState)
        """Whether a finite space that is used up ends ``study.optimize``; a run decides that by itself."""
        self._left_to_base: frozenset[str] = frozenset()
        """Names of the declared space that :func:`plain_space` leaves to the base sampler."""
        adapter = BaseSamplerAdapter(tpe if base_sampler is None else base_sampler, self.seed)
        check_made_sampler(adapter.plain)
        if isinstance(search_space, SpaceState):
            space_state = search_space
        else:
            space, self._left_to_base = declared_space(search_space, adapter.plain)
            space_state = SpaceState(space, dynamic=dynamic_space, emit=self._emit)
        if proposer is None:
            proposer = make_proposer(llm, history=history, seed=self.seed, emit=self._emit)
        requests = Requests(
            CandidateQueue(proposer, candidates),
            space_state,
            description,
            hints=hints,
            n_trials=n_trials,
            cancelled=cancelled,
            emit=self._emit,
        )
        label = base_source or ("tpe" if base_sampler is None else "base")
        sources = SourceChoice(
            self._default_mode if mode is None else mode,
            self.schedule,
            requests,
            BaseSource(adapter, label),
            rulebook or RulebookProposer(seed=self.seed),
            judge=judge,
            emit=self._emit,
        )
        self._states = StudyStates(StudyState(space_state, not self._ends_study, requests, sources))
        self._lock = threading.RLock()

    # What the sampler keeps of the study that this thread works on

    @property
    def space_state(self) -> SpaceState:
        """The search space and its versions."""
        return self._states.current.space_state

    @property
    def requests(self) -> Requests:
        """The LLM's side."""
        return self._states.current.requests

    @property
    def queue(self) -> CandidateQueue:
        """The LLM's candidates."""
        return self.requests.queue

    @property
    def _sources(self) -> SourceChoice:
        return self._states.current.sources

    @property
    def _base_sampler(self) -> BaseSamplerAdapter:
        return self._states.current.base_sampler

    @property
    def _undeclared(self) -> UndeclaredSpace:
        return self._states.current.undeclared

    @property
    def _observations(self) -> ObservationCache:
        return self._states.current.observations

    # What the user may change between trials

    @property
    def mode(self) -> str:
        """``"llm-tpe"``, ``"llm"`` or ``"tpe"`` (the base sampler alone); settable between trials."""
        return self._sources.mode

    @mode.setter
    def mode(self, mode: str) -> None:
        for state in self._states.all:
            state.sources.mode = mode

    def add_hint(self, hint: Hint) -> None:
        """Tell the LLM this from its next request on."""
        self.requests.hints.append(hint)

    def extend(self, n_trials: int) -> None:
        """Set the run's total to ``n_trials``."""
        for state in self._states.all:
            state.requests.n_trials = n_trials

    def continue_in(
        self, study: Study, extension: PendingExtension, trial_number: int, commit: Callable[[], None]
    ) -> None:
        """Go on in a new study, which already holds all trials under an extended outer space.

        Args:
            commit: Called once the new version of the space is stored in the study, before its event.
        """
        with self._lock:
            state = self._states.current
            state.bind(study)
            state.observations = ObservationCache()
            self.space_state.extend(study, extension, trial_number, commit)
            self.queue.release_held()

    def history(self, study: Study) -> History:
        """The study's trials as a history."""
        with self._lock:
            self._states.select(study)
            return self._history(study)

    # Optuna's interface

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The declared outer space, else the intersection of the study's trials."""
        study = unwrap_bracket(study)
        self._states.select(study)
        self._raise_error_if_multi_objective(study)
        if self.space_state.outer is not None:
            return dict(self.space_state.outer)
        return self._undeclared.searched(study)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Send the next request, if one is due, with the history as it is now."""
        study = unwrap_bracket(study)
        self._states.select(study)
        if study._is_multi_objective():
            return
        if self.space_state.outer is None:
            self._base_sampler.before_trial(study, trial)
        with self._lock:
            space = self._space_for(study)
            if space is None or not len(space) or self.queue.immediate:
                return
            if not self._sources.may_choose_llm(trial.number):
                return
            history = self._history(study)
            if not len(history):
                return
            if study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                return  # they run first; at the start of the last one more is known
            if is_own(trial, self.program):
                history = with_feedback_of(trial, history)
            self.requests.send_if_due(space, history, trial.number, llm_only=self.mode == "llm")
            self.requests.note_sent(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One whole configuration from one source.

        That of a declared space is kept for :meth:`sample_independent`: Optuna compares the objective's
        distribution with the declared one by itself where it has a value from here, and its error does not
        name the parameter.
        """
        study = unwrap_bracket(study)
        self._states.select(study)
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        with self._lock:
            context = self._context(study, trial, search_space)
            declared = context.spaces.declared
            # Whoever queued a part of a configuration is its source; the base sampler fills in the rest.
            is_queued = bool(trial.system_attrs.get("fixed_params")) or attrs.SOURCE in trial.user_attrs
            base = self._sources.base
            suggestion = base.suggest(context) if is_queued else self._sources.suggest(context)
            if is_queued or suggestion.source not in (base.label, "fallback"):
                self._base_sampler.forget(study, trial)
            if not is_queued:
                write_provenance(context, suggestion, self.space_state.number)
            params = recorded(context, suggestion, self.space_state.outer, self.space_state.defaults)
            if suggestion.extra:
                self._states.current.extra[trial.number] = dict(suggestion.extra)
            self.requests.write_feedback(context)
            if declared:
                self._sources.prepare_next(trial.number, self.space_state.wide, context.history, self.seed)
            params = as_suggested(params, search_space)
            if not declared:
                return params
            self._states.current.chosen[trial.number] = params
            return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter of the declared space: the trial's own value of it. Any other one: as the LLM proposed
        it for this trial, else, and where the objective has a range without this value, the base sampler's.

        Raises:
            InputError: The objective suggests the parameter as something else than the declared space has.
        """
        study = unwrap_bracket(study)
        self._states.select(study)
        self._raise_error_if_multi_objective(study)
        state = self._states.current
        outer, chosen = self.space_state.outer, state.chosen.get(trial.number, {})
        extra = state.extra.get(trial.number, {})
        if outer is not None and param_name in outer.fixed:
            return fixed_value(param_name, outer, param_distribution)
        if outer is not None and param_name in chosen:
            check_suggestion(param_name, outer[param_name], param_distribution)
            value = chosen[param_name]
            if param_distribution._contains(param_distribution.to_internal_repr(value)):
                return value
            source = study._storage.get_trial(trial._trial_id).user_attrs.get(attrs.SOURCE)
            if source in attrs.ASKED_SOURCES:
                problem = check_value(param_distribution, value)[1]
                self.requests.feedback.append(
                    f"{param_name} of trial #{trial.number}: {problem}, so the sampler drew it"
                )
        if param_name in extra and param_name not in state.undeclared.fixed:
            value, problem = check_value(param_distribution, extra.pop(param_name))
            if not problem:
                return as_suggested({param_name: value}, {param_name: param_distribution})[param_name]
            self.requests.feedback.append(f"{param_name}: {problem}, so the sampler drew it")
        return self._base_sampler.independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forwarded to the base sampler; a trial that had no joint space, or was queued whole, gets its
        source.
        """
        own = unwrap_bracket(study)
        self._states.select(own)
        kept = self._states.current
        chosen, unused = kept.chosen.pop(trial.number, {}), kept.extra.pop(trial.number, {})
        if state == TrialState.COMPLETE and self._ends_study:
            warn_of_names(kept, study, trial, chosen, self._left_to_base)
        write_source(study, trial, self._sources.base.label)
        if state == TrialState.COMPLETE and values:
            check_promise(study, trial, values[0], lambda: self.history(own))
        if unused:
            self.requests.feedback += never_asked(study, unused)
        self._base_sampler.after_trial(study, trial, state, values)
        if self._ends_study:
            finite.stop_when_used_up(
                own, self.space_state.reachable, self._undeclared, lambda: self._history(own)
            )
        elif self.space_state.outer is None:
            text = finite.repeats_text(own, self._undeclared, lambda: self._history(own))
            if text is not None:
                self._emit(Note(text=text))

    def reseed_rng(self) -> None:
        """Called by Optuna when trials run in parallel threads."""
        self.seed = int(np.random.SeedSequence().generate_state(1)[0])
        for state in self._states.all:
            state.base_sampler.reseed(self.seed)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "emit": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        for kept in self._states.all:
            kept.requests.emit = kept.sources.emit = self._emit
            if isinstance(kept.requests.queue.proposer, LLMProposer):
                kept.requests.queue.proposer.emit = self._emit

    # What the sampler works on

    def _context(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> TrialContext:
        rng = np.random.default_rng([self.seed, trial.number])
        trials = study.get_trials(deepcopy=False)
        history = self._history(study, trials)
        spaces = TrialSpaces(self.space_state, search_space, self.seed, trial.number, self._undeclared)
        return TrialContext(study, trial, rng, history, trials, spaces, self._sources.has_design(history))

    def _space_for(self, study: Study) -> SearchSpace | None:
        if self.space_state.outer is not None:
            return self.space_state.space
        common = self._undeclared.searched(study)
        return self._undeclared.space_of(common) if common else None

    def _history(self, study: Study, trials: Sequence[FrozenTrial] | None = None) -> History:
        task, outer = self.requests.task, self.space_state.outer or self._undeclared.all_of(study)
        metric = task.metric if task is not None else "score"
        return self._observations.history(study, metric, trials, outer, self.program)

    def _emit(self, event: Event) -> None:
        if self.emit is not None:
            self.emit(event)
        elif isinstance(event, Fallback) and event.category not in self._warned_of:
            self._warned_of.add(event.category)
            _logger.warning(f"Trial {event.trial_number}: {event.message}")


class LLMSampler(LLMTPESampler):
    """The LLM alone (the paper's fully-LLM optimizer); the base sampler only takes trials that the LLM cannot
    serve.

    Takes the arguments of :class:`LLMTPESampler`; ``schedule`` and ``llm_ratio`` have no effect until
    :attr:`mode` changes.
    """

    _default_mode = "llm"

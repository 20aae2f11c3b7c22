"""LLMTPESampler and LLMSampler: plain Optuna samplers in which an LLM and a base sampler share the trials.

Each trial's parameters come from one source, chosen once per trial by the schedule (paper, equation 4; the
reference code flipped a coin per parameter, and such mixed trials were its worst). The base sampler sees the
LLM's trials, the LLM sees the base sampler's. Trouble with the LLM never raises: the base sampler takes the
trial, and the trial says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import keys
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.history import Hint
from sllmbo_magic.history import History
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.beyond import Beyond
from sllmbo_magic.proposers.beyond import joined
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.naming import make_proposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers import contest
from sllmbo_magic.samplers import judge as judging
from sllmbo_magic.samplers.base_turns import BaseTurns
from sllmbo_magic.samplers.base_turns import Choose
from sllmbo_magic.samplers.base_turns import MakeSampler
from sllmbo_magic.samplers.base_turns import tpe
from sllmbo_magic.samplers.batches import Batches
from sllmbo_magic.samplers.brackets import whole
from sllmbo_magic.samplers.growth import Growth
from sllmbo_magic.samplers.growth import split
from sllmbo_magic.samplers.growth import with_kept
from sllmbo_magic.samplers.schedule import make_schedule
from sllmbo_magic.samplers.schedule import share_of
from sllmbo_magic.samplers.seen import Seen
from sllmbo_magic.samplers.turn import Pick
from sllmbo_magic.samplers.turn import Turn
from sllmbo_magic.samplers.turn import stamp
from sllmbo_magic.samplers.versions import Versions
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import SpaceVersion
from sllmbo_magic.task import TaskDescription

MODES = ("llm", "llm-tpe", "tpe")
_EXPLORE_AFTER = 2
"""Batches after which a batch must also look away from the incumbent (it does not by itself;
docs/method.md).
"""


class LLMTPESampler(BaseSampler):
    """An LLM and a Bayesian sampler, one of them per trial.

    Args:
        llm: ``"rulebook"`` (expert rules, no LLM; default), ``"openai:MODEL"``, ``"anthropic:MODEL"``, any
            other provider id, or a ``Provider`` object.
        search_space: What is searched, as ``SearchSpace`` or dict of Optuna distributions. None: what the
            study's trials have in common; the LLM is then asked from the second trial on.
        description: The task in words, or a ``TaskDescription``.
        candidates: Whole configurations per request, default 5; 1 asks at the moment of need.
        schedule: ``"adaptive"`` (default), ``"bernoulli"``, ``"alternate"`` or ``"warmstart"``.
        llm_ratio: The LLM's share of the trials, 0 to 1, default 0.5; where the adaptive schedule starts.
        judge: Whether a surrogate ranks and vetoes candidates; default True.
        history: What the LLM is told: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        base_sampler: Takes the other trials: an Optuna sampler, or a function that gives one for a seed and
            is asked for each trial. Default: ``TPESampler`` by such a function.
        base_source: What the trials of ``base_sampler`` are labelled with, default ``"base"``.
        proposer: Instead of ``llm``.
        dynamic_space: Whether the LLM may change the ranges inside the outer space; default True.
        n_trials: The run's total, told to the LLM and used by ``warmstart``.
        seed: Everything random follows from it; None draws one.
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
        search_space: SearchSpace | Mapping[str, Any] | None = None,
        description: str | TaskDescription = "",
        candidates: int = 5,
        schedule: str = "adaptive",
        llm_ratio: float = 0.5,
        judge: bool = True,
        history: str = "state",
        base_sampler: BaseSampler | MakeSampler | None = None,
        base_source: str | None = None,
        proposer: Proposer | None = None,
        dynamic_space: bool = True,
        n_trials: int | None = None,
        seed: int | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        if candidates < 1:
            raise InputError(f"candidates {candidates} is out of range.", "Allowed: 1 or more.")
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        self.emit = emit
        self.cancelled: Callable[[], bool] | None = None
        """Asked while an answer is waited for; True gives the trial to the base sampler."""
        self.task = description if isinstance(description, TaskDescription) else None
        self.words = description if isinstance(description, str) else ""
        self.n_trials = n_trials
        self.judge = judge
        self.dynamic_space = dynamic_space
        self._versions = Versions()
        self.locked: set[str] = set()
        """Parameters whose range only the user may change, by his lock."""
        self.owned: set[str] = set()
        """The same, because the user set the range."""
        self.beyond: Beyond | None = None
        """What a run that can go on in a new study may bring in from beyond the outer space."""
        self.growth: Growth | None = None
        """What waits for such a new study (see :meth:`grow`)."""
        self.hints: list[Hint] = []
        try:
            self.schedule = make_schedule(schedule, llm_ratio, n_trials)
        except ValueError as error:
            raise InputError(str(error)) from None
        if proposer is None:
            proposer = make_proposer(llm, history=history, seed=self.seed, emit=self._emit)
        self.batches = Batches(proposer, candidates)
        self._base = BaseTurns(tpe if base_sampler is None else base_sampler, self.seed)
        self._base_source = base_source or ("tpe" if base_sampler is None else "base")
        self.rules = RulebookProposer(seed=self.seed)
        self._ahead = judging.JudgeAhead()
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._lock = threading.RLock()
        self._seen = Seen()
        self._batches_taken = 0
        if search_space is not None:
            space = (
                search_space if isinstance(search_space, SearchSpace) else SearchSpace.from_user(search_space)
            )
            self.declare(space, space)

    # The user's wishes, and what the tuner tells

    @property
    def mode(self) -> str:
        """``"llm-tpe"``, ``"llm"`` or ``"tpe"`` (the base sampler alone); settable between trials."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise InputError(f"sampler {mode!r} is not known.", f"Allowed: {', '.join(MODES)}.")
        self._mode = mode

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The estimator's own values; what a version of the space leaves out keeps them."""
        return self._versions.defaults

    @defaults.setter
    def defaults(self, values: Mapping[str, Any]) -> None:
        self._versions.defaults = dict(values)

    @property
    def outer(self) -> SearchSpace | None:
        """The fixed space of the stored study; None while none is declared."""
        return self._versions.outer

    @outer.setter
    def outer(self, outer: SearchSpace) -> None:
        self._versions.outer = outer

    @property
    def versions(self) -> list[SpaceVersion]:
        """Every version of the declared search space, the current one last."""
        return self._versions.all

    @property
    def space(self) -> SearchSpace | None:
        """The current version of the declared search space."""
        return self._versions.space

    def declare(
        self,
        space: SearchSpace,
        outer: SearchSpace,
        *,
        reason: str = "",
        by: str = "user",
        trial_number: int = 0,
    ) -> None:
        """Set version 0 of the search space inside a fixed outer one."""
        self._emit(self._versions.declare(space, outer, trial_number, reason, by))

    def restore(self, versions: Sequence[SpaceVersion], outer: SearchSpace) -> None:
        """Go on with the versions of an earlier process."""
        self._versions.restore(versions, outer)

    def store_versions(self, study: Study) -> None:
        """Write the versions to the study, so that a later process goes on with them."""
        self._versions.store(study)

    def change_space(self, space: SearchSpace, trial_number: int, reason: str, by: str) -> None:
        """A new version of the search space, from ``trial_number`` on."""
        with self._lock:
            self._emit(self._versions.add(space, trial_number, reason, by))

    def refreshed(self, growth: Growth) -> Growth:
        """A growth that waited, with what the user changed meanwhile."""
        assert self.outer is not None
        assert self.space is not None
        space = with_kept(growth.space, self.space, self.locked | self.owned)
        return replace(growth, outer=joined(self.outer, growth.outer), space=space)

    def grow(self, study: Study, growth: Growth, trial_number: int, commit: Callable[[], None]) -> None:
        """Go on in a new study, which holds all trials under the grown outer space.

        Args:
            commit: Called once the new version is stored in the study, before it is told.
        """
        with self._lock:
            self.growth = None
            self.outer = growth.outer
            self._seen = Seen()
            changed = self._versions.add(growth.space, trial_number, growth.reason, growth.by)
            self.store_versions(study)
            commit()
            self._emit(changed)
            self.batches.queue.extend(growth.held)

    def tell_versions(self, known: Collection[int]) -> None:
        """Emit the events of the versions that are not among these: a crash came before they were told."""
        for event in self._versions.events():
            if event.version not in known:
                self._emit(event)

    def history(self, study: Study) -> History:
        """What the study has seen, as the method sees it."""
        with self._lock:
            return self._history(study)

    # Optuna's interface

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The declared outer space, else the intersection of the study's trials."""
        study = whole(study)
        self._raise_error_if_multi_objective(study)
        if self.outer is not None:
            return dict(self.outer)
        return {n: d for n, d in self._intersection.calculate(study).items() if not d.single()}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Send the next request, if one is due, with the history as it is now; fit the next trial's judge."""
        study = whole(study)
        if study._is_multi_objective():
            return
        with self._lock:
            space = self._space_for(study)
            if space is None or not len(space) or self.mode == "tpe":
                return
            history = self._history(study)
            if self.judge and self.mode == "llm-tpe" and self.outer is not None:
                self._ahead.prepare(trial.number + 1, space, history)
            if self.batches.immediate or not len(history):
                return
            if self.mode == "llm-tpe" and not self.schedule.may_choose_llm(trial.number):
                return
            if self.batches.due(trial.number, eager=self.mode == "llm"):
                self.batches.send(self._ask(space, history, trial.number, self.batches.n_candidates))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One whole configuration from one source."""
        study = whole(study)
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        with self._lock:
            turn = Turn(study, trial, np.random.default_rng([self.seed, trial.number]), self._history(study))
            self._merge(study, trial.number)
            declared = self.outer is not None and search_space == dict(self.outer)
            space = self.space if declared else SearchSpace(search_space)
            assert space is not None
            queued = bool(trial.system_attrs.get("fixed_params"))
            # Whoever queued a part of a configuration is its source; the base sampler fills in the rest.
            pick = self._from_base(turn, space, declared) if queued else self._choose(turn, space, declared)
            if declared and (queued or pick.source != self._base_source):
                self._base.forget(trial.number)
            if not queued:
                stamp(turn, pick, self._versions.number)
            return {n: pick.params[n] for n in search_space if n in pick.params}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter outside the relative search space: the base sampler's."""
        study = whole(study)
        self._raise_error_if_multi_objective(study)
        return self._base.independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forwarded to the base sampler; a trial that had no joint space, or was queued whole, gets its
        source.
        """
        if keys.SOURCE not in trial.user_attrs:
            source = "user" if trial.system_attrs.get("fixed_params") else self._base_source
            study._storage.set_trial_user_attr(trial._trial_id, keys.SOURCE, source)
        self._base.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Called by Optuna when trials run in parallel threads."""
        self.seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._base.reseed(self.seed)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "emit": None, "cancelled": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        if isinstance(self.batches.proposer, LLMProposer):
            self.batches.proposer.emit = self._emit

    # Inside

    def _space_for(self, study: Study) -> SearchSpace | None:
        if self.outer is not None:
            return self.space
        common = {n: d for n, d in self._intersection.calculate(study).items() if not d.single()}
        return SearchSpace(common) if common else None

    def _history(self, study: Study) -> History:
        return self._seen.history(study, self.task.metric if self.task is not None else "score")

    def _ask(self, space: SearchSpace, history: History, trial_number: int, n: int) -> Ask:
        return Ask(
            space=space,
            outer=self.outer if self.outer is not None else space,
            history=history,
            n_candidates=n,
            trial_number=trial_number,
            n_trials=self.n_trials,
            hints=tuple(self.hints),
            locked=frozenset(self.locked | self.owned),
            explore=max(self._batches_taken, history.n_batches) >= _EXPLORE_AFTER,
            frozen_space=not self.dynamic_space or self.outer is None,
            task=self.task,
            defaults=self.defaults,
            words=self.words[:2000],
            beyond=self.beyond if self.beyond is not None and self.beyond.by_llm else None,
        )

    def _merge(self, study: Study, trial_number: int) -> None:
        """Take the answer that an earlier trial asked for, if this trial may use it and the queue is
        empty.
        """
        if self.batches.queue or self.mode == "tpe":
            return
        asked_at = self.batches.pending_since
        try:
            proposal = self.batches.collect(trial_number, cancelled=self.cancelled)
        except ProviderError as error:
            self._fall_back(trial_number, error)
            return
        if proposal is not None and asked_at is not None:
            self._accept(study, proposal, trial_number, asked_at)

    def _accept(self, study: Study, proposal: Proposal, trial_number: int, asked_at: int) -> None:
        self._batches_taken += 1
        self.batches.add(proposal, asked_at)
        if proposal.space is None or self.outer is None or not self.dynamic_space:
            return
        by = self.batches.proposer.source
        assert self.space is not None
        space = with_kept(proposal.space, self.space, self.locked | self.owned)
        if proposal.outer is None:
            changed = self._versions.add(space, trial_number, proposal.space_reason, by)
            self.store_versions(study)
            self._emit(changed)
            return
        outer = joined(self.outer, proposal.outer)
        self.batches.queue, held = split(self.batches.queue, self.space)
        self.growth = Growth(outer, space, proposal.space_reason, by, tuple(held))

    def _choose(self, turn: Turn, space: SearchSpace, declared: bool) -> Pick:
        """The configuration of a trial: the LLM's when it is its turn and it has one that passes, else the
        base's.
        """
        number = turn.trial.number
        if self.mode == "tpe" or not len(space):
            return self._from_base(turn, space, declared)
        source = "llm" if self.mode == "llm" else self.schedule.choose(number, turn.history, turn.rng)
        if source != "llm":
            return self._from_base(turn, space, declared)
        if not self.batches.queue and (self.batches.immediate or self.mode == "llm"):
            try:
                ask = self._ask(space, turn.history, number, self.batches.n_candidates)
                proposal = self.batches.ask_now(ask, cancelled=self.cancelled)
            except ProviderError as error:
                self._fall_back(number, error)
                proposal = None
            if proposal is not None:
                self._accept(turn.study, proposal, number, number)
                space = self.space if declared and self.space is not None else space
        self.batches.drop_stale(space, turn.history)
        queue = self.batches.queue
        judge = None
        if self.judge and self.mode == "llm-tpe" and declared:
            judge = self._ahead.get(number, space, turn.history)
        elif self.judge and len(queue) > 1:
            judge = judging.fit(turn.history, space)
        if judge is not None:
            return self._judged(turn, space, judge, declared)
        if queue:
            return self.batches.take(0, space)
        off = self.batches.off
        if off is not None:
            return self._from_base(turn, space, declared, off.message, "fallback")
        return self._from_base(turn, space, declared, "no candidate is left")

    def _judged(self, turn: Turn, space: SearchSpace, judge: judging.Judge, declared: bool) -> Pick:
        """The best of the LLM's candidates and their rivals in the judge's eyes."""
        batches, number = self.batches, turn.trial.number
        if self.mode == "llm" and batches.queue:
            worth = judge.improvements([w.candidate.params for w in batches.queue])
            return batches.take(int(np.argmax(worth)), space)
        rivals: list[Pick] = []
        if not batches.proposer.instant:
            ask = self._ask(space, turn.history, number, batches.n_candidates)
            rivals = contest.rules_picks(self.rules, ask, space)
        draw = self._from_base(
            turn, space, declared, choose=lambda draws: int(np.argmax(judge.improvements(draws)))
        )
        share = share_of(self.schedule, turn.history)
        pick, vetoed = contest.decide(judge, batches, [*rivals, draw], share, space)
        if vetoed and not batches.proposer.instant:
            self._emit(Note(text=contest.words_on(vetoed, pick.source), trial_number=number))
        return pick

    def _from_base(
        self,
        turn: Turn,
        space: SearchSpace,
        declared: bool,
        reason: str = "",
        source: str = "",
        choose: Choose | None = None,
    ) -> Pick:
        if declared:
            assert self.outer is not None
            n = 1 if choose is None else judging.DRAWS
            params = self._base.declared(
                turn.study, turn.trial.number, self.outer, space, turn.rng, choose, n
            )
        else:
            params = self._base.plain(turn.study, turn.trial, dict(space))
        return Pick(params, source or self._base_source, {"reason": reason})

    def _fall_back(self, trial_number: int, error: ProviderError) -> None:
        permanent = self.batches.off is not None
        self._emit(
            Fallback(
                trial_number=trial_number, category=error.category, message=str(error), permanent=permanent
            )
        )

    def _emit(self, event: Event) -> None:
        if self.emit is not None:
            self.emit(event)


class LLMSampler(LLMTPESampler):
    """The LLM alone (the paper's fully-LLM optimizer); the base sampler only takes trials that the LLM cannot
    serve.

    Takes the arguments of :class:`LLMTPESampler`; ``schedule`` and ``llm_ratio`` have no effect until
    :attr:`mode` changes.
    """

    _mode = "llm"

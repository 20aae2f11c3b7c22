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
from dataclasses import dataclass
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
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.history import Hint
from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.history import number as show
from sllmbo_magic.history import observe
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.llm import covering
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers import judge as judging
from sllmbo_magic.samplers.base_turns import BaseTurns
from sllmbo_magic.samplers.base_turns import Choose
from sllmbo_magic.samplers.batches import Batches
from sllmbo_magic.samplers.batches import Waiting
from sllmbo_magic.samplers.schedule import make_schedule
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import SpaceVersion
from sllmbo_magic.task import TaskDescription

MODES = ("llm", "llm-tpe", "tpe")
_EXPLORE_AFTER = 2
"""Batches after which a batch must also look away from the incumbent (it does not by itself;
docs/method.md).
"""


@dataclass(frozen=True)
class _Turn:
    """One trial that needs its parameters."""

    study: Study
    trial: FrozenTrial
    rng: np.random.Generator
    history: History


@dataclass(frozen=True)
class _Pick:
    """The parameters of a trial, their one source, and what else its provenance says."""

    params: dict[str, Any]
    source: str
    more: dict[str, Any]


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
        base_sampler: Takes the other trials, default ``TPESampler()`` seeded per trial.
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
        base_sampler: BaseSampler | None = None,
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
        self.defaults: dict[str, Any] = {}
        """The estimator's own values; what a version of the space leaves out keeps them."""
        self.locked: set[str] = set()
        self.hints: list[Hint] = []
        try:
            self.schedule = make_schedule(schedule, llm_ratio, n_trials)
        except ValueError as error:
            raise InputError(str(error)) from None
        if proposer is None:
            proposer = make_proposer(llm, history=history, seed=self.seed, emit=self._emit)
        self.batches = Batches(proposer, candidates)
        self._base = BaseTurns(base_sampler, self.seed)
        self._base_source = base_source or ("tpe" if base_sampler is None else "base")
        self.rules = RulebookProposer(seed=self.seed)
        self._ahead = judging.JudgeAhead()
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._lock = threading.RLock()
        self._observations: dict[int, Observation] = {}
        self._batches_taken = 0
        self.outer: SearchSpace | None = None
        self.versions: list[SpaceVersion] = []
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
    def space(self) -> SearchSpace | None:
        """The current version of the declared search space."""
        return self.versions[-1].space if self.versions else None

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
        self.outer = outer
        self.versions = []
        self._new_version(space.within(outer), trial_number, reason, by)

    def restore(self, versions: Sequence[SpaceVersion], outer: SearchSpace) -> None:
        """Go on with the versions of an earlier process."""
        self.outer = outer
        self.versions = list(versions)

    def change_space(self, space: SearchSpace, trial_number: int, reason: str, by: str) -> None:
        """A new version of the search space, from ``trial_number`` on."""
        with self._lock:
            self._new_version(space, trial_number, reason, by)

    def history(self, study: Study) -> History:
        """What the study has seen, as the method sees it."""
        with self._lock:
            return self._history(study)

    # Optuna's interface

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The declared outer space, else the intersection of the study's trials."""
        self._raise_error_if_multi_objective(study)
        if self.outer is not None:
            return dict(self.outer)
        return {n: d for n, d in self._intersection.calculate(study).items() if not d.single()}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Send the next request, if one is due, with the history as it is now; fit the next trial's judge."""
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
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        with self._lock:
            turn = _Turn(study, trial, np.random.default_rng([self.seed, trial.number]), self._history(study))
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
                self._stamp(turn, pick)
            return {n: pick.params[n] for n in search_space if n in pick.params}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter outside the relative search space: the base sampler's."""
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
        """The study as the method sees it; finished trials are read once."""
        for trial in study.get_trials(deepcopy=False):
            known = self._observations.get(trial.number)
            if known is None or known.state == "RUNNING":
                if trial.state == TrialState.WAITING or (
                    trial.state == TrialState.RUNNING and not trial.params
                ):
                    continue
                self._observations[trial.number] = observe(trial)
        return History(
            tuple(self._observations[n] for n in sorted(self._observations)),
            study.direction.name.lower(),
            self.task.metric if self.task is not None else "score",
        )

    def _ask(self, space: SearchSpace, history: History, trial_number: int, n: int) -> Ask:
        return Ask(
            space=space,
            outer=self.outer if self.outer is not None else space,
            history=history,
            n_candidates=n,
            trial_number=trial_number,
            n_trials=self.n_trials,
            hints=tuple(self.hints),
            locked=frozenset(self.locked),
            explore=max(self._batches_taken, history.n_batches) >= _EXPLORE_AFTER,
            frozen_space=not self.dynamic_space or self.outer is None,
            task=self.task,
            defaults=self.defaults,
            words=self.words[:2000],
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
        if proposal.space is not None and self.outer is not None and self.dynamic_space:
            self._new_version(
                proposal.space, trial_number, proposal.space_reason, self.batches.proposer.source, study
            )
        self.batches.add(proposal, asked_at)

    def _choose(self, turn: _Turn, space: SearchSpace, declared: bool) -> _Pick:
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
        self._drop_stale(space, turn.history)
        queue = self.batches.queue
        judge = None
        if self.judge and self.mode == "llm-tpe" and declared:
            judge = self._ahead.get(number, space, turn.history)
        elif self.judge and len(queue) > 1:
            judge = judging.fit(turn.history, space)
        if judge is not None:
            return self._judged(turn, space, judge, declared)
        if queue:
            return self._take(0, space)
        off = self.batches.off
        if off is not None:
            return self._from_base(turn, space, declared, off.message, "fallback")
        return self._from_base(turn, space, declared, "no candidate is left")

    def _judged(self, turn: _Turn, space: SearchSpace, judge: judging.Judge, declared: bool) -> _Pick:
        """The best of the LLM's candidates and their rivals, the rulebook's and the base sampler's, in the
        judge's eyes.

        The rulebook stands in when the LLM has nothing that passes: it is the first fallback.
        """
        queue = self.batches.queue
        worth = judge.improvements([w.candidate.params for w in queue])
        if self.mode == "llm" and queue:
            return self._take(int(np.argmax(worth)), space)
        rivals: list[_Pick] = []
        if not self.batches.proposer.instant:
            ask = self._ask(space, turn.history, turn.trial.number, self.batches.n_candidates)
            for c in self.rules.propose(ask).candidates:
                rivals.append(
                    _Pick({**c.params, **space.fixed}, "rulebook", {"reason": c.reason, "expects": c.expects})
                )
        best_draw = self._from_base(
            turn, space, declared, choose=lambda draws: int(np.argmax(judge.improvements(draws)))
        )
        rivals.append(best_draw)
        rated = judge.improvements([r.params for r in rivals])
        best_rival = int(np.argmax(rated))
        least = judging.strictness(self._share(turn.history)) * rated[best_rival]
        if queue and max(worth) >= least:
            return self._take(int(np.argmax(worth)), space)
        vetoed = [w for w, value in zip(queue, worth, strict=True) if value < least]
        self.batches.queue = [w for w in queue if w not in vetoed]
        pick = rivals[best_rival]
        if vetoed and not self.batches.proposer.instant:
            self._say_vetoed(turn.trial.number, vetoed, pick.source)
        note = (
            "the judge preferred it to the LLM's candidates" if vetoed else "no candidate of the LLM is left"
        )
        reason = pick.more.get("reason")
        return _Pick(
            pick.params, pick.source, {**pick.more, "reason": f"{reason} ({note})" if reason else note}
        )

    def _share(self, history: History) -> float:
        """The LLM's share of the trials now."""
        share = getattr(self.schedule, "share", None)
        return float(share(history)) if share is not None else self.schedule.ratio

    def _take(self, index: int, space: SearchSpace) -> _Pick:
        """The queue's candidate at that place."""
        waiting = self.batches.queue.pop(index)
        c, proposer = waiting.candidate, self.batches.proposer
        if proposer.instant:
            self.batches.queue.clear()  # its next answer costs nothing and knows more
        return _Pick(
            {**c.params, **space.fixed},
            proposer.source,
            {
                "reason": c.reason,
                "expects": c.expects,
                "request": waiting.request,
                "provider": proposer.id,
                "asked_at": waiting.asked_at,
            },
        )

    def _from_base(
        self,
        turn: _Turn,
        space: SearchSpace,
        declared: bool,
        reason: str = "",
        source: str = "",
        choose: Choose | None = None,
    ) -> _Pick:
        if declared:
            assert self.outer is not None
            n = 1 if choose is None else judging.DRAWS
            params = self._base.declared(
                turn.study, turn.trial.number, self.outer, space, turn.rng, choose, n
            )
        else:
            params = self._base.plain(turn.study, turn.trial, dict(space))
        return _Pick(params, source or self._base_source, {"reason": reason})

    def _say_vetoed(self, trial_number: int, vetoed: list[Waiting], preferred: str) -> None:
        shown = "; ".join(
            ", ".join(f"{k}={show(v)}" for k, v in w.candidate.params.items()) for w in vetoed[:5]
        )
        who = "the rulebook" if preferred == "rulebook" else preferred
        self._emit(
            Note(
                text=f"The judge expects less of {len(vetoed)} candidates of the LLM than of {who}: {shown}",
                trial_number=trial_number,
            )
        )

    def _drop_stale(self, space: SearchSpace, history: History) -> None:
        """Candidates that a trial had meanwhile, or that a narrower version of the space rules out."""
        seen = {space.key(space.clip(o.params)) for o in history.observations}
        kept = []
        for waiting in self.batches.queue:
            params, _ = space.validate(
                {k: v for k, v in waiting.candidate.params.items() if k not in space.fixed}
            )
            if params is not None and space.key(params) not in seen:
                kept.append(waiting)
        self.batches.queue = kept

    def _new_version(
        self, space: SearchSpace, trial_number: int, reason: str, by: str, study: Study | None = None
    ) -> None:
        assert self.outer is not None
        space = covering(space, self.space or space, self.outer, self.defaults)
        version = SpaceVersion(len(self.versions), trial_number, space, reason, by)
        self.versions.append(version)
        if study is not None:
            self.store_versions(study)
        self._emit(
            SpaceChanged(
                version=version.version,
                trial_number=trial_number,
                params=space.to_json()["params"],
                reason=reason,
                by=by,
                outer=self.outer.to_json()["params"] if version.version == 0 else None,
            )
        )

    def store_versions(self, study: Study) -> None:
        """Write the versions to the study, so that a later process goes on with them."""
        if self.outer is not None:
            study.set_user_attr(keys.OUTER_SPACE, self.outer.to_json())
            study.set_user_attr(keys.SPACE_VERSIONS, [v.to_json() for v in self.versions])

    def _stamp(self, turn: _Turn, pick: _Pick) -> None:
        version = self.versions[-1].version if self.versions else 0
        more = {k: v for k, v in pick.more.items() if v not in ("", None)}
        storage, trial_id = turn.study._storage, turn.trial._trial_id
        storage.set_trial_user_attr(trial_id, keys.SOURCE, pick.source)
        storage.set_trial_user_attr(
            trial_id, keys.PROVENANCE, {"source": pick.source, "space_version": version, **more}
        )

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


def make_proposer(
    llm: str | Provider, *, history: str, seed: int, emit: Callable[[Event], None] | None
) -> Proposer:
    """The proposer for an ``llm`` argument."""
    if isinstance(llm, str):
        if llm in ("rulebook", "offline"):
            return RulebookProposer(seed=seed)
        from sllmbo_magic.llm.registry import make_provider

        llm = make_provider(llm)
    return LLMProposer(llm, history=history, emit=emit)

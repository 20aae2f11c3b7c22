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
from optuna.samplers import BaseSampler
from optuna.samplers import TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import keys
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.history import Hint
from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.history import observe
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.llm import covering
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers import judge as judging
from sllmbo_magic.samplers.batches import Batches
from sllmbo_magic.samplers.batches import Waiting
from sllmbo_magic.samplers.schedule import make_schedule
from sllmbo_magic.samplers.shadow import Shadow
from sllmbo_magic.samplers.shadow import base_params
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
        if isinstance(description, str) and description:
            self.hints.append(Hint(description[:500], 0))
        try:
            self.schedule = make_schedule(schedule, llm_ratio, n_trials)
        except ValueError as error:
            raise InputError(str(error)) from None
        if proposer is None:
            proposer = make_proposer(llm, history=history, seed=self.seed, emit=self._emit)
        self.batches = Batches(proposer, candidates)
        self._base = base_sampler
        self._base_source = base_source or ("tpe" if base_sampler is None else "base")
        self._default_base = TPESampler(seed=self.seed)
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._lock = threading.RLock()
        self._observations: dict[int, Observation] = {}
        self._seen_failures: set[str] = set()
        self._batches_taken = 0
        self._suggested: tuple[int, dict[str, Any]] | None = None
        self.outer: SearchSpace | None = None
        self.versions: list[SpaceVersion] = []
        self._shadow: Shadow | None = None
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
        self._shadow = None
        self._new_version(space.within(outer), trial_number, reason, by)

    def restore(self, versions: Sequence[SpaceVersion], outer: SearchSpace) -> None:
        """Go on with the versions of an earlier process."""
        self.outer = outer
        self.versions = list(versions)
        self._shadow = None

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
        """Send the next request, if one is due, with the history as it is now; start the judge."""
        if study._is_multi_objective():
            return
        with self._lock:
            space = self._space_for(study)
            if space is None or not len(space):
                return
            if self.mode == "tpe" or self.batches.immediate:
                return
            history = self._history(study)
            if not len(history):
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
            declared = self.outer is not None and search_space == dict(self.outer)
            space = self.space if declared else SearchSpace(search_space)
            assert space is not None
            history = self._history(study)
            rng = np.random.default_rng([self.seed, trial.number])
            self._merge(study, trial.number)
            if declared and self.space is not None:
                space = self.space
            chosen, note = self._from_llm(study, trial, space, history, rng)
            if chosen is None:
                return self._from_base(study, trial, space, declared, rng, note)
            if declared and self._shadow is not None:
                self._shadow.forget(trial.number)
            params = {**chosen.candidate.params, **space.fixed}
            self._stamp(
                study,
                trial,
                self.batches.proposer.source,
                {
                    "reason": chosen.candidate.reason,
                    "expects": chosen.candidate.expects,
                    "request": chosen.request,
                    "provider": self.batches.proposer.id,
                    "asked_at": chosen.asked_at,
                },
            )
            return {n: params[n] for n in search_space if n in params}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter outside the relative search space: the base sampler's."""
        self._raise_error_if_multi_objective(study)
        return (self._base or self._default_base).sample_independent(
            study, trial, param_name, param_distribution
        )

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forwarded to the base sampler; with a declared space it hears of it through the shadow study."""
        if self.outer is None:
            (self._base or self._default_base).after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Called by Optuna when trials run in parallel threads."""
        self.seed = int(np.random.SeedSequence().generate_state(1)[0])
        (self._base or self._default_base).reseed_rng()

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
            explore=self._batches_taken >= _EXPLORE_AFTER,
            frozen_space=not self.dynamic_space or self.outer is None,
            task=self.task,
            defaults=self.defaults,
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

    def _from_llm(
        self, study: Study, trial: FrozenTrial, space: SearchSpace, history: History, rng: np.random.Generator
    ) -> tuple[Waiting | None, str]:
        """The LLM's configuration for this trial, or None and why the base sampler takes it."""
        if self.mode == "tpe" or not len(space):
            return None, ""
        source = "llm" if self.mode == "llm" else self.schedule.choose(trial.number, history, rng)
        if source != "llm":
            return None, ""
        if not self.batches.queue and (self.batches.immediate or self.mode == "llm"):
            try:
                ask = self._ask(space, history, trial.number, self.batches.n_candidates)
                proposal = self.batches.ask_now(ask, cancelled=self.cancelled)
            except ProviderError as error:
                self._fall_back(trial.number, error)
                return None, "fallback"
            if proposal is not None:
                self._accept(study, proposal, trial.number, trial.number)
                space = self.space if self.outer is not None and self.space is not None else space
        self._drop_stale(space, history)
        if not self.batches.queue:
            return None, "fallback" if self.batches.off else "no candidate left"
        if not self.judge or self.mode == "llm":
            if not self.judge:
                return self.batches.queue.pop(0), ""
            return self._best_of_queue(space, history), ""
        return self._judged(study, trial, space, history, rng)

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

    def _best_of_queue(self, space: SearchSpace, history: History) -> Waiting:
        """The queue's best in the surrogate's eyes; its first while the surrogate cannot speak."""
        judge = judging.fit(history, space)
        queue = self.batches.queue
        if judge is None or len(queue) == 1:
            return queue.pop(0)
        worth = judge.improvements([w.candidate.params for w in queue])
        return queue.pop(int(np.argmax(worth)))

    def _judged(
        self, study: Study, trial: FrozenTrial, space: SearchSpace, history: History, rng: np.random.Generator
    ) -> tuple[Waiting | None, str]:
        judge = judging.fit(history, space)
        queue = self.batches.queue
        if judge is None:
            return queue.pop(0), ""
        control = self._base_suggestion(study, trial, space, rng, judge)
        worth = judge.improvements([*(w.candidate.params for w in queue), control])
        best = int(np.argmax(worth[:-1]))
        if worth[best] >= judging.VETO * worth[-1]:
            chosen = queue.pop(best)
            if self.batches.proposer.instant:
                queue.clear()  # its next answer costs nothing and knows more
            return chosen, ""
        rejected = [w for w, value in zip(queue, worth[:-1], strict=True) if value < judging.VETO * worth[-1]]
        self.batches.queue = [w for w in queue if w not in rejected]
        return None, f"the judge preferred the base sampler's configuration to {len(rejected)} candidates"

    def _base_suggestion(
        self,
        study: Study,
        trial: FrozenTrial,
        space: SearchSpace,
        rng: np.random.Generator,
        judge: judging.Judge | None = None,
    ) -> dict[str, Any]:
        """The base sampler's configuration for this trial, made once; a judge picks the best of several
        draws.
        """
        if self._suggested is not None and self._suggested[0] == trial.number:
            return self._suggested[1]
        params = self._draw_base(study, trial, space, rng, judge)
        self._suggested = (trial.number, params)
        return params

    def _draw_base(
        self,
        study: Study,
        trial: FrozenTrial,
        space: SearchSpace,
        rng: np.random.Generator,
        judge: judging.Judge | None,
    ) -> dict[str, Any]:
        if self.outer is None:
            return self._plain_base(study, trial, dict(space))
        base = self._base_for(trial.number)
        shadow = self._shadow_for(study, base)
        if judge is None:
            return shadow.sample(trial.number, space, base, rng)
        return shadow.sample(
            trial.number,
            space,
            base,
            rng,
            lambda draws: int(np.argmax(judge.improvements(draws))),
            judging.DRAWS,
        )

    def _from_base(
        self,
        study: Study,
        trial: FrozenTrial,
        space: SearchSpace,
        declared: bool,
        rng: np.random.Generator,
        note: str,
    ) -> dict[str, Any]:
        if declared:
            params = self._base_suggestion(study, trial, space, rng)
            params = {**space.active({k: v for k, v in params.items() if k in space}), **space.fixed}
        else:
            params = self._plain_base(study, trial, dict(space))
        source = "fallback" if note == "fallback" else self._base_source
        provenance = {"reason": note if note != "fallback" else self._why_off()}
        self._stamp(study, trial, source, provenance)
        return params

    def _plain_base(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return base_params(self._base or self._default_base, study, trial, space)

    def _base_for(self, number: int) -> BaseSampler:
        """The base sampler of a trial: TPE anew with a seed of its own, so that a resumed run goes on as it
        would have.
        """
        if self._base is not None:
            return self._base
        seed = np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0]
        return TPESampler(seed=int(seed))

    def _shadow_for(self, study: Study, base: BaseSampler) -> Shadow:
        assert self.outer is not None
        if self._shadow is None:
            self._shadow = Shadow(self.outer, study.direction)
        self._shadow.sync(study.get_trials(deepcopy=False), base)
        return self._shadow

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

    def _stamp(self, study: Study, trial: FrozenTrial, source: str, more: dict[str, Any]) -> None:
        version = self.versions[-1].version if self.versions else 0
        provenance = {
            "source": source,
            "space_version": version,
            **{k: v for k, v in more.items() if v not in ("", None)},
        }
        storage = study._storage
        storage.set_trial_user_attr(trial._trial_id, keys.SOURCE, source)
        storage.set_trial_user_attr(trial._trial_id, keys.PROVENANCE, provenance)

    def _why_off(self) -> str:
        return self.batches.off.message if self.batches.off is not None else "the LLM did not answer"

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

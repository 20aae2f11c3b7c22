"""What a sampler knows of one study. A sampler that is used for several studies has one state for each."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study

from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.samplers._trial import ObservationCache
from sllmbo_magic.samplers.asked_names import AskedNames
from sllmbo_magic.samplers.base_sampler import BaseSamplerAdapter
from sllmbo_magic.samplers.base_sampler import fixed_params
from sllmbo_magic.samplers.base_source import BaseSource
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.requests import Requests
from sllmbo_magic.samplers.source_choice import SourceChoice
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.samplers.undeclared_space import UndeclaredSpace
from sllmbo_magic.space.search_space import SearchSpace


@dataclass
class StudyState:
    """All that a sampler keeps between the trials of one study.

    Attributes:
        space_state: The search space and its versions.
        is_runs_space: Whether ``space_state`` was given, so that it is followed in every study.
        requests: The LLM's side, with its queue of candidates.
        sources: The choice between the sources.
        extra: What was proposed for running trials beyond the parameters that all trials have, by number.
        chosen: By number of a running trial, its configuration in the declared space.
        asked: What the objective asks for, against the declared space.
    """

    space_state: SpaceState
    is_runs_space: bool
    requests: Requests
    sources: SourceChoice
    undeclared: UndeclaredSpace = field(default_factory=UndeclaredSpace)
    observations: ObservationCache = field(default_factory=ObservationCache)
    extra: dict[int, dict[str, Any]] = field(default_factory=dict)
    chosen: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: AskedNames = field(default_factory=AskedNames)
    _declared: SearchSpace | None = field(init=False)
    """The outer space as it was given, for another study."""
    _name: tuple[str, int] | None = None
    _storage: weakref.ref[BaseStorage] | None = None

    def __post_init__(self) -> None:
        self._declared = self.space_state.outer

    @property
    def base_sampler(self) -> BaseSamplerAdapter:
        """The base sampler, with the shadow study that it works on."""
        return self.sources.base.sampler

    # Its study

    @property
    def is_free(self) -> bool:
        """Whether it belongs to no study yet."""
        return self._name is None

    @property
    def is_over(self) -> bool:
        """Whether the storage of its study is gone, and the study with it."""
        return self._storage is not None and self._storage() is None

    def belongs_to(self, study: Study) -> bool:
        """Whether it is the state of this study. A copy of a sampler knows the study by its name alone."""
        if self._name != (study.study_name, study._study_id):
            return False
        return self._storage is None or self._storage() is study._storage

    def bind(self, study: Study) -> None:
        """Belong to this study from now on."""
        if self.is_free:
            around = fixed_params(study.sampler)  # a PartialFixedSampler whose base sampler is ours
            self.undeclared.fixed = {**fixed_params(self.base_sampler.plain), **around}
            self.requests.held = self.undeclared.fixed
            if not self.is_runs_space:
                self.space_state.hold(around)
        self._name = study.study_name, study._study_id
        self._storage = weakref.ref(study._storage)

    # For another study

    def anew(self) -> StudyState:
        """The state of another study, with the same options."""
        old, choice = self.requests, self.sources
        queue = CandidateQueue(_for_another_study(old.queue.proposer), old.queue.n_candidates)
        state = self.space_state
        if not self.is_runs_space:
            state = SpaceState(self._declared, dynamic=state.dynamic, emit=state.emit)
        requests = Requests(
            queue,
            state,
            old.words if old.task is None else old.task,
            n_trials=old.n_trials,
            cancelled=old.cancelled,
            emit=old.emit,
        )
        requests.hints = old.hints  # the same list: a hint is for all studies
        base = BaseSamplerAdapter(self.base_sampler.sampler, self.base_sampler.seed)
        sources = SourceChoice(
            choice.mode,
            choice.schedule,
            requests,
            BaseSource(base, choice.base.label),
            choice.rulebook,
            judge=choice.judge,
            emit=choice.emit,
        )
        return StudyState(state, self.is_runs_space, requests, sources)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_storage": None}


class StudyStates:
    """The states of a sampler, one per study; the current one is that of the study that a thread works on.

    Args:
        first: The state of the first study.
    """

    def __init__(self, first: StudyState) -> None:
        self.all = [first]
        self._latest = first
        self._of_thread = threading.local()
        self._lock = threading.Lock()

    @property
    def current(self) -> StudyState:
        """The state of the study that this thread works on; else of the one that was worked on last."""
        state: StudyState = getattr(self._of_thread, "state", self._latest)
        return state

    def select(self, study: Study) -> None:
        """Make the state of a study the current one; a study that is not known yet gets a new one."""
        with self._lock:
            state = next((s for s in self.all if s.belongs_to(study)), None)
            if state is None:
                free = [s for s in self.all if s.is_free]
                state = free[0] if free else self.current.anew()
                self.all = [s for s in self.all if not s.is_over and s is not state] + [state]
            state.bind(study)
            self._of_thread.state = self._latest = state

    def __getstate__(self) -> dict[str, Any]:
        return {"all": self.all, "_latest": self._latest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._of_thread = threading.local()
        self._lock = threading.Lock()


def _for_another_study(proposer: Any) -> Any:
    return proposer.for_another_study() if isinstance(proposer, LLMProposer) else proposer

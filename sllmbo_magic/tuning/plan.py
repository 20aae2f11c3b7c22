"""A checked plan of a run: task, search space and proposer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.events import Event
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.priors import accepts
from sllmbo_magic.priors import check_params
from sllmbo_magic.priors import inert
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.proposers.space_extension import ExtensionPolicy
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.expression import express
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.run_paths import ROOT
from sllmbo_magic.storage.runs import SEARCH_SPACE
from sllmbo_magic.task.masked_names import masked_names
from sllmbo_magic.task.task import Task
from sllmbo_magic.task.task import TaskDescription
from sllmbo_magic.tuning.given_space import given_space
from sllmbo_magic.tuning.given_space import given_space_text
from sllmbo_magic.tuning.pruning import Pruning
from sllmbo_magic.tuning.settings import RULEBOOK
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.task_text import described

if TYPE_CHECKING:
    from sllmbo_magic.llm.base import BaseProvider
    from sllmbo_magic.llm.base import Completion
    from sllmbo_magic.llm.base import Provider
    from sllmbo_magic.llm.base import Request
    from sllmbo_magic.llm.base import RunIdentity
    from sllmbo_magic.llm.recorder import RecordingProvider
    from sllmbo_magic.llm.transcript import Transcript


_SHAPE_THE_CONVERSATION = (
    "n_trials", "seed", "sampler_name", "init", "candidates", "schedule", "llm_ratio", "judge",
    "multivariate", "history", "dynamic_space", "permute_scores", "share_columns", "anonymize",
)  # fmt: skip
"""Options that a replay must have as the recorded run had them."""


@dataclass(frozen=True)
class Plan:
    """A run that could start.

    Attributes:
        space: Version 0 of the search space; None for objectives that suggest for themselves.
        outer: The fixed space around it.
        configurations: Expert configurations with reasons.
        allowed: Parameters of the estimator that an LLM's first space may add.
        description: All that an LLM may see of the task.
        notes: Decisions made for the user, one sentence each.
        defaults: The values that the estimator really has before it is tuned, as plain data.
        off: Penalties with the value up to which they have no effect.
        set_by_prior: Fixed parameters that the prior sets for the search.
        pruning: How trials are pruned; None when they are not.
        unsearched: Names of the boosting rounds, where early stopping finds them.
    """

    task: Task
    settings: Settings
    description: TaskDescription
    space: SearchSpace | None = None
    outer: SearchSpace | None = None
    configurations: tuple[tuple[dict[str, Any], str], ...] = ()
    allowed: tuple[str, ...] = ()
    limits: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    set_by_prior: frozenset[str] = frozenset()
    has_user_space: bool = False
    notes: tuple[str, ...] = ()
    pruning: Pruning | None = None
    unsearched: frozenset[str] = frozenset()

    def fingerprint(self) -> dict[str, str]:
        """What must be the same in a resumed run: the task, how its trials are scored on the way, and the
        search space that was given.
        """
        return self._scored_on() | {SEARCH_SPACE: given_space(self)}

    def described(self) -> dict[str, str]:
        """The parts of :meth:`fingerprint` in lines of text, so that a change of them can be named."""
        return described(self.task) | {SEARCH_SPACE: given_space_text(self)}

    def _scored_on(self) -> dict[str, str]:
        s = self.settings
        evaluation = {"pruner": s.pruner_name, "early_stopping_rounds": s.early_stopping_rounds}
        return self.task.fingerprint() | {name: str(v) for name, v in evaluation.items() if v is not None}

    @property
    def objects(self) -> Objects:
        """What the labels among the choices stand for: parameter -> label -> object."""
        return {} if self.outer is None else self.outer.objects

    def budget(self) -> Budget:
        """The user's limits."""
        s = self.settings
        return Budget(max_requests=s.max_requests, max_tokens=s.max_tokens, max_cost=s.max_cost)

    def connect(
        self,
        ask: Callable[[str], str] | None = None,
        runs: str | Path | None = None,
        *,
        needs_key: bool = True,
    ) -> BaseProvider | None:
        """The provider of the run, not yet recorded; None when it asks no LLM. A replay reads its file here.

        Args:
            ask: For ``manual``: shows a prompt and returns the pasted answer.
            runs: Where runs are kept, for a replay by a run's name.
            needs_key: False for a run that is only looked at.

        Raises:
            InputError: Its key or its address is missing, a recording is of another run, or a limit on money
                has no price.
        """
        from sllmbo_magic.llm.addresses import check_base_url

        s = self.settings
        if s.base_url is not None:  # a wrong address is said also where this run would not need it
            check_base_url(s.base_url)
        return self._provider(ask, runs, needs_key=needs_key) if s.uses_llm else None

    def looked_at(self, ask: Callable[[str], str] | None = None, runs: str | Path | None = None) -> Plan:
        """The plan of a run that is only looked at: what :meth:`connect` refuses is refused, but a missing
        key is a note.
        """
        from sllmbo_magic.llm.registry import check_key

        s = self.settings
        if self.connect(ask, runs, needs_key=False) is None or not isinstance(s.llm, str):
            return self
        try:
            check_key(s.llm, s.base_url)
        except InputError as error:  # all else was in order just now
            return replace(self, notes=(*self.notes, f"The run itself would not start yet: {error}"))
        return self

    def spare_llm(
        self, ask: Callable[[str], str] | None = None, runs: str | Path | None = None
    ) -> tuple[Plan, BaseProvider | None]:
        """The plan, and the LLM that is given beside a sampler which asks none: the user may choose it later.
        One that cannot be asked is no reason not to run: the plan then has a note instead of it.
        """
        try:
            return self, self._provider(ask, runs)
        except SllmboError as error:
            note = f"{self.settings.llm_id} cannot be asked, also not after a change of the sampler: {error}"
            settings = replace(self.settings, llm=RULEBOOK[0])
            return replace(self, settings=settings, notes=(*self.notes, note)), None

    def _provider(
        self, ask: Callable[[str], str] | None, runs: str | Path | None, *, needs_key: bool = True
    ) -> BaseProvider:
        from sllmbo_magic.llm.registry import make_provider

        s = self.settings
        recording = make_provider(
            s.llm,
            base_url=s.base_url,
            budget=self.budget(),
            deadline=s.llm_timeout,
            max_output_tokens=s.max_output_tokens,
            ask=ask,
            runs=runs or ROOT,
            needs_key=needs_key,
        )
        recording.provider.begin_run(self.identity())
        return recording.provider

    def recorded(
        self, provider: BaseProvider | None, transcript: Transcript | None = None
    ) -> RecordingProvider | None:
        """The provider of :meth:`connect` with the run's budget and transcript; None for None."""
        if provider is None:
            return None
        from sllmbo_magic.llm.recorder import RecordingProvider

        s = self.settings
        recording = RecordingProvider(
            provider,
            transcript,
            self.budget(),
            deadline=s.llm_timeout,
            max_output_tokens=s.max_output_tokens,
        )
        recording.transcript.begin(self.identity())
        return recording

    def identity(self) -> RunIdentity:
        """What must be the same in a run that uses the answers of a recorded run."""
        from sllmbo_magic.llm.base import RunIdentity

        s, task = self.settings, self.task
        fingerprint = self._scored_on()
        if self.has_user_space and self.space is not None:
            fingerprint[SEARCH_SPACE] = _short_hash(json.dumps(self.space.to_json(), sort_keys=True))
        options = {name: str(getattr(s, name)) for name in _SHAPE_THE_CONVERSATION}
        names = {"metric": task.scorer_name, "direction": task.direction}
        if task.estimator is not None:
            names["estimator"] = self.description.estimator
        return RunIdentity(fingerprint, options, names, self.description.text())

    def proposer(
        self, provider: RecordingProvider | None, *, emit: Callable[[Event], None] | None = None
    ) -> Proposer:
        """The proposer of the run; ``provider`` comes from :meth:`recorded`."""
        return self.rulebook() if provider is None else self._llm_proposer(provider, emit)

    def rulebook(self) -> RulebookProposer:
        """The expert rules for this task."""
        return RulebookProposer(self.configurations, seed=self.settings.seed, inert=self._inert())

    def _inert(self) -> Callable[[Mapping[str, Any]], dict[str, str]] | None:
        """The function that names the parameters without effect; None for objectives."""
        return None if self.task.estimator is None else partial(inert, self.task.estimator)

    def preview_proposer(self) -> LLMProposer:
        """The LLM's proposer, for requests that are looked at and not sent."""
        return self._llm_proposer(_PreviewProvider(self.settings.llm_id), None)

    def _llm_proposer(self, provider: Provider, emit: Callable[[Event], None] | None) -> LLMProposer:
        return LLMProposer(
            provider,
            history=self.settings.history,
            allowed=() if self.has_user_space else self.allowed,
            limits=self.limits,
            inert=self._inert(),
            names=masked_names(
                self.task,
                self.outer,
                share_columns=self.settings.share_columns,
                anonymize=self.settings.anonymize,
            ),
            permute_scores=self.settings.seed if self.settings.permute_scores else None,
            emit=emit,
        )

    def beyond(self) -> ExtensionPolicy:
        """What a run that can go on in a new study may bring into its space from beyond the outer one."""
        estimator = self.task.estimator
        if estimator is None:
            return ExtensionPolicy(keeps_choices=self.task.objective_takes_trial)
        by_llm = self.settings.has_llm and self.settings.dynamic_space and not self.has_user_space
        return ExtensionPolicy(
            names=self.allowed,
            by_llm=by_llm,
            defaults=self.defaults,
            limits=self.limits,
            accepts=partial(accepts, estimator),
            check=self._check_params,
        )

    def _check_params(self, names: Iterable[str]) -> None:
        """The estimator has these parameters, and early stopping finds none of them."""
        names = list(names)
        if self.task.estimator is not None:
            check_params(self.task.estimator, names)
        unsearched = [name for name in names if name in self.unsearched]
        if unsearched:
            raise InputError(f"{unsearched[0]} is found by early stopping.", "It has no range.")

    def first_ask(self, history: History, seconds: float | None = None) -> Ask:
        """What the initializer is asked."""
        assert self.space is not None
        assert self.outer is not None
        beyond = self.beyond()
        return Ask(
            space=self.space,
            outer=self.outer,
            history=history,
            n_candidates=max(1, min(self.settings.candidates, self.settings.n_trials - len(history))),
            trial_number=len(history),
            n_trials=self.settings.n_trials,
            task=self.description,
            defaults=self.defaults,
            off=self.off,
            frozen_space=self.has_user_space and not self.settings.dynamic_space,
            seconds=seconds,
            extension=beyond if beyond.by_llm else None,
        )

    def first_request(self) -> str:
        """The exact text of the first request, without the default's score; "" when none is sent."""
        if not self.settings.uses_llm or self.space is None or self.outer is None:
            return ""
        outside = express(self.defaults, self.outer, off=self.off, may_differ=self.set_by_prior).outside
        default = Observation(
            0, self.defaults, state="SCORE NOT KNOWN YET", source="default", outside=outside
        )
        history = History((default,) if self.defaults else (), self.task.direction, self.task.scorer_name)
        request = self.preview_proposer().preview(self.first_ask(history))
        return "\n\n".join(f"[{m.role}]\n{m.content}" for m in request.messages)


@dataclass
class _PreviewProvider:
    """The provider of a proposer that builds requests and sends none."""

    id: str

    def complete(self, request: Request) -> Completion:
        raise RuntimeError("a preview sends nothing")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""From the arguments of ``tune`` to a checked plan: task, search space, provider and budget, before anything
runs.

Whatever is wrong with the input is found here, in one line, before a fit or a request.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluator.early_stopping import CAP
from sllmbo_magic.evaluator.early_stopping import stopping_rounds
from sllmbo_magic.events import Event
from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.priors import accepts
from sllmbo_magic.priors import inert
from sllmbo_magic.priors import prior_for
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.beyond import Beyond
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.pruning import Pruning
from sllmbo_magic.pruning import pruning_of
from sllmbo_magic.settings import Settings
from sllmbo_magic.settings import for_several
from sllmbo_magic.settings import make_settings
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.task import Task
from sllmbo_magic.task import TaskDescription

if TYPE_CHECKING:
    from sllmbo_magic.llm.base import Completion
    from sllmbo_magic.llm.base import Provider
    from sllmbo_magic.llm.base import Request
    from sllmbo_magic.llm.transcript import Transcript


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
    given_space: bool = False
    notes: tuple[str, ...] = ()
    pruning: Pruning | None = None
    unsearched: frozenset[str] = frozenset()

    def fingerprint(self) -> dict[str, str]:
        """By what a resumed run must be the same: the task's, and how its trials are scored on the way."""
        s = self.settings
        own = {"pruner": s.pruner_name, "early_stopping_rounds": s.early_stopping_rounds}
        return self.task.fingerprint() | {name: str(v) for name, v in own.items() if v is not None}

    def budget(self) -> Budget:
        """The user's limits."""
        s = self.settings
        return Budget(max_requests=s.max_requests, max_tokens=s.max_tokens, max_cost=s.max_cost)

    def connect(self, ask: Callable[[str], str] | None = None) -> Provider | None:
        """The provider of the run, not yet recorded; None when it asks no LLM. A replay reads its file here.

        Raises:
            InputError: Its key or its address is missing.
        """
        if not self.settings.uses_llm:
            return None
        from sllmbo_magic.llm.registry import make_provider

        recording = make_provider(
            self.settings.llm, base_url=self.settings.base_url, budget=self.budget(), ask=ask
        )
        return recording.provider

    def proposer(
        self,
        provider: Provider | None,
        *,
        transcript: Transcript | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> Proposer:
        """The proposer of the run; ``provider`` comes from :meth:`connect`."""
        if provider is None:
            return self.rulebook()
        from sllmbo_magic.llm.recording import RecordingProvider

        return self._llm_proposer(RecordingProvider(provider, transcript, self.budget()), emit)

    def rulebook(self) -> RulebookProposer:
        """The expert rules for this task."""
        return RulebookProposer(self.configurations, seed=self.settings.seed, inert=self._inert())

    def _inert(self) -> Callable[[Mapping[str, Any]], dict[str, str]] | None:
        """What says which parameters have no effect; None for objectives."""
        return None if self.task.estimator is None else partial(inert, self.task.estimator)

    def _llm_proposer(self, provider: Provider, emit: Callable[[Event], None] | None) -> LLMProposer:
        return LLMProposer(
            provider,
            history=self.settings.history,
            allowed=() if self.given_space else self.allowed,
            limits=self.limits,
            inert=self._inert(),
            permute_scores=self.settings.seed if self.settings.permute_scores else None,
            emit=emit,
        )

    def beyond(self) -> Beyond:
        """What a run that can go on in a new study may bring into its space from beyond the outer one."""
        estimator = self.task.estimator
        if estimator is None:
            return Beyond()
        by_llm = self.settings.uses_llm and self.settings.dynamic_space and not self.given_space
        return Beyond(
            names=self.allowed,
            by_llm=by_llm,
            defaults=self.task.default_params(self.allowed or estimator.get_params(deep=True)),
            limits=self.limits,
            accepts=partial(accepts, estimator),
            check=self._check_params,
        )

    def _check_params(self, names: Iterable[str]) -> None:
        """As the task does; and boosting rounds that early stopping finds cannot be searched as well."""
        names = list(names)
        self.task.check_params(names)
        found = [name for name in names if name in self.unsearched]
        if found:
            raise InputError(f"{found[0]} is found by early stopping.", "It has no range.")

    def first_ask(self, history: History, seconds: float | None = None) -> Ask:
        """What the initializer is asked."""
        assert self.space is not None
        assert self.outer is not None
        beyond = self.beyond()
        return Ask(
            space=self.space,
            outer=self.outer,
            history=history,
            n_candidates=max(self.settings.candidates, 2) if self.settings.candidates > 1 else 1,
            trial_number=len(history),
            n_trials=self.settings.n_trials,
            task=self.description,
            defaults=self.defaults,
            frozen_space=self.given_space and not self.settings.dynamic_space,
            seconds=seconds,
            beyond=beyond if beyond.by_llm else None,
        )

    def first_request(self) -> str:
        """The exact text of the first request, with the default's score still open; "" when none is sent."""
        if not self.settings.uses_llm or self.space is None:
            return ""
        default = Observation(
            0,
            self.outer.clip(self.defaults) if self.outer else {},
            state="SCORE NOT KNOWN YET",
            source="default",
        )
        history = History((default,) if self.defaults else (), self.task.direction, self.task.scorer_name)
        request = self._llm_proposer(_Unasked(self.settings.llm_id), None).preview(self.first_ask(history))
        return "\n\n".join(f"[{m.role}]\n{m.content}" for m in request.messages)

    def forecast(self) -> dict[str, Any]:
        """What the run is likely to cost and can cost at most (see ``Budget.forecast``)."""
        s = self.settings
        if not s.uses_llm:
            who = f"sampler {s.sampler_name}" if s.baseline else s.llm_id
            return {"requests": 0, "tokens": 0, "money": 0.0, "text": f"No request: {who} asks no LLM."}
        share = 1.0 if s.sampler == "llm" else s.llm_ratio
        turns = max(0, s.n_trials - 1 - s.candidates) * share
        requests = 1 + math.ceil(turns / s.candidates)
        chars = len(self.first_request()) + 60 * 25  # a full history is about 25 lines more
        if s.max_requests is not None:
            requests = min(requests, s.max_requests)
        return self.budget().forecast(s.llm_id, requests, chars)


@dataclass
class _Unasked:
    """Stands where a provider would: a preview builds the request and sends nothing."""

    id: str

    def complete(self, request: Request) -> Completion:
        raise RuntimeError("a preview sends nothing")


def make_plan(
    target: Any,
    X: Any = None,
    y: Any = None,
    *,
    name: str = "run",
    search_space: Any = None,
    preset: str | None = None,
    scoring: Any = None,
    direction: Any = None,
    cv: Any = 5,
    description: str = "",
    groups: Any = None,
    sample_weight: Any = None,
    fit_params: Mapping[str, Any] | None = None,
    X_test: Any = None,
    y_test: Any = None,
    **settings: Any,
) -> Plan:
    """Check everything and make the plan.

    Args:
        target: Estimator, estimator class, objective, or a ready :class:`~sllmbo_magic.task.Task`.

    Raises:
        InputError: Anything is wrong with the input, in one line.
    """
    chosen = make_settings(preset, settings)
    if isinstance(target, Task):
        task = target
    elif target is None:
        raise InputError("there is nothing to tune.", "Give an estimator with X and y, or an objective.")
    elif hasattr(target, "fit") or isinstance(target, type):
        task = Task.from_estimator(
            target,
            X,
            y,
            scoring=scoring,
            direction=direction,
            cv=cv,
            groups=groups,
            sample_weight=sample_weight,
            fit_params=fit_params,
            X_test=X_test,
            y_test=y_test,
            description=description,
            name=name,
        )
    else:
        task = Task.from_objective(
            target, direction=direction, search_space=search_space, description=description, name=name
        )
    described = task.describe(share_columns=chosen.share_columns, anonymize=chosen.anonymize)
    notes = task.notes
    if task.directions is not None:
        chosen, note = for_several(chosen, task.directions)
        notes = (*notes, note) if note else notes
    plan = Plan(task=task, settings=chosen, description=described, notes=notes)
    plan = _with_space(plan, search_space)
    if chosen.early_stopping_rounds is not None:
        plan = _without_rounds(plan, chosen.early_stopping_rounds)
    pruning = pruning_of(task, chosen.pruner)
    if pruning is None:
        return plan
    told = _told(plan.description, pruning.told)
    return replace(plan, pruning=pruning, notes=(*plan.notes, pruning.note), description=told)


def _without_rounds(plan: Plan, patience: int) -> Plan:
    """The plan with boosting rounds found by early stopping instead of searched.

    Raises:
        InputError: The estimator has no boosting rounds, or nothing else is searched.
    """
    estimator = plan.task.estimator
    if estimator is None:
        raise InputError("early_stopping_rounds needs an estimator.", "An objective stops early by itself.")
    rounds = stopping_rounds(estimator)
    names = rounds.names()
    assert plan.space is not None
    assert plan.outer is not None
    space = plan.space.without(names)
    if not len(space):
        raise InputError(
            "the search space holds boosting rounds only, which early stopping finds.",
            "Add a parameter, or leave early_stopping_rounds out.",
        )
    shown = rounds.prefix + rounds.name
    told = (
        f"{shown} is not searched: each fold stops boosting after {patience} rounds without gain on training"
        " rows that it holds back"
    )
    return replace(
        plan,
        space=space,
        outer=plan.outer.without(names),
        configurations=tuple(
            ({n: v for n, v in params.items() if n not in names}, reason)
            for params, reason in plan.configurations
        ),
        allowed=tuple(name for name in plan.allowed if name not in names),
        defaults={n: v for n, v in plan.defaults.items() if n not in names},
        unsearched=names,
        notes=(*plan.notes, f"Boosting rounds: {told}; at most {CAP}."),
        description=_told(plan.description, told),
    )


def _told(description: TaskDescription, sentence: str) -> TaskDescription:
    """The description with one more sentence on how trials are evaluated."""
    return replace(description, cv="; ".join(part for part in (description.cv, sentence) if part))


def _with_space(plan: Plan, given: Any) -> Plan:
    task = plan.task
    if given is not None:
        space = given if isinstance(given, SearchSpace) else SearchSpace.from_user(given)
        if not len(space):
            raise InputError("the search space has no parameter.", "Give at least one range.")
        task.check_params([*space, *space.fixed])
        configurations: tuple[tuple[dict[str, Any], str], ...] = ()
        if task.estimator is not None:
            configurations = tuple(_inside(space, prior_for(task.estimator, plan.description).configurations))
        return replace(
            plan,
            space=space,
            outer=space,
            configurations=configurations,
            defaults=task.default_params(space),
            given_space=True,
            notes=(*plan.notes, *_inert_notes(task.estimator, space)),
        )
    if task.estimator is None:
        return plan
    prior = prior_for(task.estimator, plan.description)
    if not len(prior.space):
        raise InputError(
            f"no search space is known for {type(task.estimator).__name__}.",
            'Define search_space = {"parameter": (low, high), ...}.',
        )
    own = task.estimator.get_params(deep=True)
    return replace(
        plan,
        space=prior.space,
        outer=prior.outer,
        configurations=prior.configurations,
        limits=dict(prior.limits),
        allowed=tuple(sorted(n for n, v in own.items() if _tunable(n, v))),
        defaults=task.default_params(prior.outer),
    )


_NOT_TUNED = (
    # where and how it runs
    "random_state", "n_jobs", "verbose", "verbosity", "silent", "warm_start", "memory", "cache_size",
    "copy", "copy_X", "device", "device_type", "transform_input", "thread_count", "algorithm", "leaf_size",
    "precompute",
    # what changes something else than the predictions
    "importance_type", "compute_importances", "probability", "decision_function_shape", "break_ties",
    "oob_score", "eval_metric", "scoring", "validate_parameters", "store_cv_results",
    # what takes an object or depends on the columns
    "callbacks", "estimator", "init", "base_score", "missing", "enable_categorical", "categorical_features",
    "feature_types", "feature_weights", "interaction_constraints", "interaction_cst",
    "monotone_constraints", "monotonic_cst", "metric_params", "early_stopping_rounds",
)  # fmt: skip
"""Parameters that no LLM is told it may add."""


def _tunable(name: str, value: Any) -> bool:
    """Whether a parameter is a plain value that changes what is learnt."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return plain and name.rsplit("__", 1)[-1] not in _NOT_TUNED


def _inert_notes(estimator: Any, space: SearchSpace) -> list[str]:
    """A sentence for each searched parameter that has no effect anywhere in the user's space."""
    if estimator is None:
        return []
    rng = np.random.default_rng(0)
    found = [inert(estimator, {**space.fixed, **space.sample(rng)}) for _ in range(16)]
    return [
        f"Searching {name} has no effect here: {why}."
        for name, why in found[0].items()
        if name in space and all(name in other for other in found)
    ]


def _inside(
    space: SearchSpace, configurations: tuple[tuple[dict[str, Any], str], ...]
) -> list[tuple[dict[str, Any], str]]:
    """Expert configurations as far as they lie in the user's space, the rest of it at the middle of its
    range.
    """
    found = []
    for params, reason in configurations:
        shared = {n: v for n, v in params.items() if n in space}
        if shared:
            full = space.complete(space.clip(shared))
            found.append((space.active({n: full[n] for n in space}), reason))
    return found

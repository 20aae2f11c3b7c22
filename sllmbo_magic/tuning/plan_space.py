"""The search space of a plan: the user's, or the prior's for the estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.early_stopping import CAP
from sllmbo_magic.evaluation.early_stopping import stopping_rounds
from sllmbo_magic.priors import check_params
from sllmbo_magic.priors import inert
from sllmbo_magic.priors import prior_for
from sllmbo_magic.priors import real_values
from sllmbo_magic.space.choices import numbers_in
from sllmbo_magic.space.distributions import Numeric
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.suggestions import with_single_numbers_fixed
from sllmbo_magic.task.task import Task
from sllmbo_magic.task.task import TaskDescription
from sllmbo_magic.tuning.default_values import is_tunable
from sllmbo_magic.tuning.default_values import plain_values
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.settings import Settings


def with_space(plan: Plan, search_space: Any) -> Plan:
    """The plan with the user's search space, or without one with the prior's.

    Raises:
        InputError: The space cannot be used, or no space is known for the estimator.
    """
    task = plan.task
    if search_space is not None:
        space = read_space(search_space, task.estimator)
        space = with_single_numbers_fixed(space) if task.objective_takes_trial else space
        not_suggested = [n for n in space.objects if n in space or n not in numbers_in(space.objects)]
        if task.objective_takes_trial and not_suggested:
            name = not_suggested[0]
            raise InputError(
                f"search_space: {name} has objects as choices, which Optuna's trial cannot suggest.",
                f"Leave {name} out and suggest its label in the objective, or write objective(params).",
            )
        plan = replace(
            plan,
            space=space,
            outer=space,
            has_user_space=True,
            notes=(*plan.notes, *_inert_notes(task.estimator, space)),
        )
        if task.estimator is None:
            return plan
        prior = prior_for(task.estimator, plan.description)
        return replace(
            plan,
            configurations=tuple(_inside(space, prior.configurations)),
            defaults=plain_values(task.estimator, space),
            off=dict(prior.off),
            notes=(*plan.notes, *_linear_notes(space, prior.space)),
        )
    if task.estimator is None:
        return plan
    prior = prior_for(task.estimator, plan.description)
    if not len(prior.space):
        raise InputError(
            f"no search space is known for {type(task.estimator).__name__}.",
            'Define search_space = {"parameter": (low, high), ...}.',
        )
    values = real_values(task.estimator)
    return replace(
        plan,
        space=prior.space,
        outer=prior.outer,
        configurations=prior.configurations,
        limits=dict(prior.limits),
        allowed=tuple(sorted(n for n, v in values.items() if is_tunable(n, v))),
        defaults=plain_values(task.estimator, prior.outer),
        off=dict(prior.off),
        set_by_prior=frozenset(prior.outer.fixed),
    )


def read_space(search_space: Any, estimator: Any) -> SearchSpace:
    """A search space as people write it, whose parameters the estimator has.

    Args:
        estimator: None for an objective, which may have any parameters.

    Raises:
        InputError: It cannot be read, is empty, or names a parameter that the estimator lacks.
    """
    space = SearchSpace.from_user(search_space)
    if not len(space) and space.fixed:
        name, value = next(iter(space.fixed.items()))
        raise InputError(
            f"the search space has nothing to search: {name} has one value, {value!r:.60}.",
            "Write a range, e.g. (1.0, 5.0), or a list of choices, e.g. [1, 2, 5].",
        )
    if not len(space):
        raise InputError("the search space has no parameter.", "Give at least one range.")
    if estimator is not None:
        check_params(estimator, [*space, *space.fixed])
    return space


def check_space(estimator: Any, search_space: Any) -> SearchSpace:
    """The outer search space of an estimator, checked before there are data.

    Raises:
        InputError: The space cannot be read, the estimator lacks a parameter, or no space is known for it.
    """
    task = Task.without_data(estimator)
    plan = Plan(task=task, settings=Settings(), description=TaskDescription(type(estimator).__name__))
    outer = with_space(plan, search_space).outer
    assert outer is not None
    return outer


def without_rounds(plan: Plan, patience: int) -> Plan:
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
    full_name = rounds.prefix + rounds.name
    sentence = (
        f"{full_name} is not searched: each fold stops boosting after {patience} rounds without gain on"
        " training rows that it holds back"
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
        notes=(*plan.notes, f"Boosting rounds: {sentence}; at most {CAP}."),
        description=plan.description.with_evaluation(sentence),
    )


def _inert_notes(estimator: Any, space: SearchSpace) -> list[str]:
    """A sentence for each searched parameter that has no effect anywhere in the user's space."""
    if estimator is None:
        return []
    rng = np.random.default_rng(0)
    samples = [inert(estimator, {**space.fixed, **space.sample(rng)}) for _ in range(16)]
    return [
        f"Searching {name} has no effect here: {why}."
        for name, why in samples[0].items()
        if name in space and all(name in other for other in samples)
    ]


def _linear_notes(space: SearchSpace, usual: SearchSpace) -> list[str]:
    """A sentence for each range of the user's that begins at 0 or below, where a log scale is usual."""
    notes = []
    for name in space:
        one, other = normal(space[name]), normal(usual[name]) if name in usual else None
        if not isinstance(one, Numeric) or not isinstance(other, Numeric):
            continue
        if other.log and one.low <= 0 and one.step in (None, 1):
            notes.append(
                f"{name} is searched on a linear scale, {allowed(one)}. Its usual scale is the log scale,"
                f' which cannot begin at 0: write ({other.low!r}, {other.high!r}, "log").'
            )
    return notes


def _inside(
    space: SearchSpace, configurations: tuple[tuple[dict[str, Any], str], ...]
) -> list[tuple[dict[str, Any], str]]:
    """Expert configurations moved into the user's space, the rest of it at the middle of its range.

    Those that are the same there are given once. A reason that is about other parameters or values than the
    space has is replaced by one that is not.
    """
    inside: dict[object, tuple[dict[str, Any], str]] = {}
    for params, reason in configurations:
        shared = {
            name: value for name, value in params.items() if name in space and _fits(space, name, value)
        }
        if not shared:
            continue
        full = space.complete(space.clip(shared))
        params_in_space = space.active({name: full[name] for name in space})
        unchanged = [name for name in shared if params_in_space.get(name) == params[name]]
        if len(unchanged) < len(params):
            values = [f"{name} {show(params_in_space[name])}" for name in shared if name in params_in_space]
            reason = f"An expert configuration as far as the search space has it: {', '.join(values)}."
        inside.setdefault(space.key(params_in_space), (params_in_space, reason))
    return list(inside.values())


def _fits(space: SearchSpace, name: str, value: Any) -> bool:
    """Whether a value is of the kind of a parameter, be it inside the range or not."""
    choices = getattr(space[name], "choices", None)
    if choices is not None:
        return space.contains(name, value)
    return isinstance(value, int | float) and not isinstance(value, bool)

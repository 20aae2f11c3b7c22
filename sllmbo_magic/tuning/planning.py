"""From the arguments of ``tune`` to a checked plan, before anything runs.

Whatever is wrong with the input is found here, in one line, before a fit or a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.samplers.base_sampler import check_fixed_params
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.plan_space import with_space
from sllmbo_magic.tuning.plan_space import without_rounds
from sllmbo_magic.tuning.pruning import pruning_of
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.settings import for_several
from sllmbo_magic.tuning.settings import make_settings

_OF_ESTIMATORS = {
    "X": "X",
    "y": "y",
    "scoring": "scoring (--metric)",
    "cv": "cv (--cv)",
    "groups": "groups",
    "sample_weight": "sample_weight",
    "fit_params": "fit_params",
    "X_test": "X_test",
    "y_test": "y_test",
}
"""Arguments that an objective has no use for."""


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
    cv: Any = None,
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
        target: Estimator, estimator class, objective, or a ready :class:`~sllmbo_magic.task.task.Task`.

    Raises:
        InputError: Anything is wrong with the input, in one line.
    """
    run_settings = make_settings(preset, settings)
    without_effect: list[str] = []
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
            cv=5 if cv is None else cv,
            groups=groups,
            sample_weight=sample_weight,
            fit_params=fit_params,
            X_test=X_test,
            y_test=y_test,
            description=description,
            name=name,
        )
    else:
        given = (X, y, scoring, cv, groups, sample_weight, fit_params, X_test, y_test)
        without_effect = _without_effect(dict(zip(_OF_ESTIMATORS, given, strict=True)))
        task = Task.from_objective(
            target, direction=direction, search_space=search_space, description=description, name=name
        )
    task_description = task.describe(
        share_columns=run_settings.share_columns, anonymize=run_settings.anonymize
    )
    run_settings, notes = _settings_for(task, run_settings)
    notes = [*task.notes, *without_effect, *notes]
    plan = Plan(task=task, settings=run_settings, description=task_description, notes=tuple(notes))
    plan = with_space(plan, search_space)
    check_fixed_params(run_settings.sampler, plan.outer)
    if run_settings.early_stopping_rounds is not None:
        plan = without_rounds(plan, run_settings.early_stopping_rounds)
    pruning = pruning_of(task, run_settings.pruner)
    if pruning is None:
        return plan
    return replace(
        plan,
        pruning=pruning,
        notes=(*plan.notes, pruning.note),
        description=plan.description.with_evaluation(pruning.for_llm),
    )


def _without_effect(given: Mapping[str, Any]) -> list[str]:
    """A note on what was given beside an objective, which returns its own value."""
    names = [_OF_ESTIMATORS[name] for name, value in given.items() if value is not None]
    if not names:
        return []
    verb = "has" if len(names) == 1 else "have"
    return [f"{', '.join(names)} {verb} no effect: an objective returns its own value."]


def _settings_for(task: Task, settings: Settings) -> tuple[Settings, list[str]]:
    """The settings that a task with these directions can have, and a note on each that was changed.

    Raises:
        InputError: A setting needs folds, and an objective has none.
    """
    if task.directions is None:
        if settings.select == "recheck" and task.estimator is None:
            raise InputError(
                "select recheck scores the best configurations again on fresh folds, and an objective has"
                " none.",
                "Leave it out, or give an estimator with X and y.",
            )
        return settings, []
    settings, note = for_several(settings, task.directions)
    notes = [note] if note else []
    if settings.select == "recheck":
        settings = replace(settings, select="best")
        notes.append("Several objectives have no single winner: select recheck is not used.")
    if settings.patience == "auto":
        settings = replace(settings, patience="off")
        notes.append(
            "Several objectives: patience auto, which weighs gains against the noise of one score, is not"
            " used. patience=15 ends the run after 15 trials of which none entered the Pareto front."
        )
    return settings, notes

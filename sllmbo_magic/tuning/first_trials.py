"""The trials that are queued before a run begins or goes on: the default, the user's, an earlier run's."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.history.trials import counts
from sllmbo_magic.report.text import count
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.tuning.commands import checked_configuration
from sllmbo_magic.tuning.commands import enqueue as enqueue_params
from sllmbo_magic.tuning.commands import left_out_text
from sllmbo_magic.tuning.default_trial import queue_default
from sllmbo_magic.tuning.initial_design import queue_random
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.queued_trials import put_users_first
from sllmbo_magic.tuning.queued_trials import queued_params


def check_first_trials(
    plan: Plan, enqueue: Sequence[Mapping[str, Any]], warm_start: Any, root: Path | None
) -> None:
    """Check what :func:`queue_first_trials` will queue, before the run has a folder.

    Args:
        root: Where runs are kept; None: this run is in memory.

    Raises:
        InputError: A configuration cannot be used, or there is no such run.
    """
    for params in enqueue:
        checked_configuration(plan.outer, dict(params))
    if warm_start is not None and plan.task.directions is None:
        from sllmbo_magic.tuning.warm_start import check_warm_start

        check_warm_start(plan.outer, warm_start, root)


def check_next_trials(
    study: Study, plan: Plan, enqueue: Sequence[Mapping[str, Any]], warm_start: Any, folder: RunFolder | None
) -> None:
    """Check what :func:`queue_next_trials` will queue, before anything of the run is written.

    Raises:
        InputError: As :func:`check_first_trials`.
    """
    stored = study.user_attrs.get(attrs.OUTER_SPACE)
    outer = plan.outer if stored is None else SearchSpace.from_json(stored)  # which may have grown
    for params in enqueue:
        checked_configuration(outer, encoded(params, plan.objects))
    if warm_start is not None and plan.task.directions is None:
        from sllmbo_magic.tuning.warm_start import check_warm_start
        from sllmbo_magic.tuning.warm_start import is_warm_started

        if not is_warm_started(study, warm_start, folder):
            check_warm_start(outer, warm_start, None if folder is None else folder.path.parent, folder)


def queue_first_trials(
    study: Study,
    plan: Plan,
    outer: SearchSpace | None,
    sampler: LLMTPESampler | None,
    *,
    enqueue: Sequence[Mapping[str, Any]],
    warm_start: Any,
    folder: RunFolder | None,
    emit: Callable[[Event], None],
) -> None:
    """Queue the first trials of a new run, in the order in which they run.

    Args:
        study: The run's study.
        plan: What is run.
        outer: The sampler's outer space; None where it has none.
        sampler: None for a run with several objectives.
        enqueue: Configurations of the user's.
        warm_start: As ``tune`` has it.
        folder: Of this run.
        emit: Takes a note about the warm start.
    """
    if plan.task.estimator is not None and outer is not None:
        queue_default(study, outer, plan.defaults, off=plan.off, may_differ=plan.set_by_prior)
    space = None if sampler is None else sampler.space_state.space
    left_out: dict[str, None] = {}
    for params in enqueue:
        left_out |= dict.fromkeys(enqueue_params(study, outer, dict(params), space=space))
    if left_out:
        emit(Note(text=left_out_text(left_out)))
    if warm_start is not None and len(study.directions) > 1:
        text = "Several objectives have no single best to start from: --warm-start is not used."
        emit(Note(text=text, level="warning"))
    elif warm_start is not None:
        from sllmbo_magic.tuning.warm_start import queue_best

        emit(Note(text=queue_best(study, outer, warm_start, plan.task, folder)))
    if plan.settings.init == "random" and sampler is not None and not plan.settings.baseline:
        queue_random(study, sampler, plan.settings.candidates)


def queue_next_trials(
    study: Study,
    plan: Plan,
    outer: SearchSpace | None,
    *,
    enqueue: Sequence[Mapping[str, Any]],
    warm_start: Any,
    folder: RunFolder | None,
    emit: Callable[[Event], None],
) -> None:
    """Queue what the user gives to a run that has trials already, as far as it has not been queued before:
    a cell is resumed or joined with the configurations that it began with.

    Args:
        study, plan, outer, enqueue, warm_start, folder, emit: As in :func:`queue_first_trials`.
    """
    trials = study.get_trials(deepcopy=False)
    earlier = [queued_params(t) for t in trials if t.user_attrs.get(attrs.SOURCE) == "user"]
    n_queued = 0
    for params in enqueue:
        checked = checked_configuration(outer, encoded(params, plan.objects))
        if not any(_is_same(one, checked, plan.outer) for one in earlier):
            enqueue_params(study, outer, checked)
            n_queued += 1
    if n_queued:
        put_users_first(study)
        what, total = count(n_queued, "enqueued configuration"), plan.settings.n_trials
        verbs = ("is tried", "waits") if n_queued == 1 else ("are tried", "wait")
        text = f"{what} {verbs[0]} next."
        if sum(map(counts, trials)) >= total:
            text = f"{what} {verbs[1]}: the run has all its {total} trials. Give a larger n_trials."
        emit(Note(text=text))
    if warm_start is not None and len(study.directions) == 1:
        from sllmbo_magic.tuning.warm_start import is_warm_started
        from sllmbo_magic.tuning.warm_start import queue_best

        if not is_warm_started(study, warm_start, folder):
            emit(Note(text=queue_best(study, outer, warm_start, plan.task, folder)))
            put_users_first(study)


def _is_same(queued: Mapping[str, Any], params: Mapping[str, Any], outer: SearchSpace | None) -> bool:
    """Whether a trial was queued with a configuration; in a study that was extended it also has the defaults
    of parameters that the run's own outer space lacks.
    """
    return params == {n: v for n, v in queued.items() if outer is None or n in outer or n in params}

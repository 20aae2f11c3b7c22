"""The trials that are queued before a run begins: the default, the user's, those of an earlier run."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study

from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.tuning.commands import checked_configuration
from sllmbo_magic.tuning.commands import enqueue as enqueue_params
from sllmbo_magic.tuning.commands import left_out_text
from sllmbo_magic.tuning.default_trial import queue_default
from sllmbo_magic.tuning.initial_design import queue_random
from sllmbo_magic.tuning.plan import Plan


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

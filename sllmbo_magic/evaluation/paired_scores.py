"""Scores of several configurations on the same folds: their differences hold no luck with the folds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.cross_validation import CrossValidator
from sllmbo_magic.evaluation.warnings import add_to_run
from sllmbo_magic.task.task import Task


def paired_scores(
    tasks: Sequence[Task],
    configurations: Sequence[Mapping[str, Any]],
    n_jobs: int | None = None,
    should_stop: Callable[[], bool] = never,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_enough: Callable[[np.ndarray[Any, Any]], bool] = lambda table: False,
) -> np.ndarray[Any, Any] | None:
    """One row of scores per configuration, one column per split.

    Args:
        tasks: One task on different splits.
        configurations: Parameters to set on its estimator.
        n_jobs: Cores to use, as :class:`CrossValidator` has it.
        should_stop: Asked between folds; tasks that all configurations finished until then count.
        on_progress: Called with the number of fits that are scored and the number of all, from 0 on.
        is_enough: Called after each task but the last one with the scores so far, laid out as the returned
            ones; True ends it there.

    Returns:
        None when a fit failed, or under two splits were scored for every configuration.
    """
    scores: list[list[float]] = [[] for _ in configurations]
    total = len(configurations) * sum(task.n_folds for task in tasks)
    done = itertools.count(1)
    on_progress(0, total)

    def one_more(*_: Any) -> None:
        on_progress(next(done), total)

    for task in tasks:
        validator = CrossValidator(task, n_jobs=n_jobs)
        try:
            evaluations = [
                validator.evaluate(params, should_stop=should_stop, on_fold=one_more)
                for params in configurations
            ]
        finally:
            validator.close()
        for evaluation in evaluations:
            add_to_run(evaluation.warnings, evaluation.warning_texts)
        if any(evaluation.error is not None and not evaluation.stopped for evaluation in evaluations):
            return None
        if not all(evaluation.ok for evaluation in evaluations):
            break
        for row, evaluation in zip(scores, evaluations, strict=True):
            row.extend(evaluation.split_scores)
        if task is not tasks[-1] and is_enough(np.array(scores)):
            break
    return np.array(scores) if len(scores[0]) > 1 else None

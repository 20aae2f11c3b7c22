"""Which of the best configurations is kept: they are scored once more, on folds that the search did not see.

The best of many noisy scores is partly luck, and its runners-up are often as good. Here the best few get one
score each on the same fresh folds, and the best of those is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.fresh_splits import fresh_tasks
from sllmbo_magic.task.task import Task

N_CANDIDATES = 3
"""Configurations that are scored again."""

Scores = Callable[[Sequence[Task], Sequence[Mapping[str, Any]]], "np.ndarray[Any, Any] | str"]
"""One row of scores per configuration, one column per split, or why there are none; see ``paired_scores``."""


def recheck_tasks(task: Task, seed: int) -> list[Task]:
    """The task on fresh folds, other ones than those of the closing check with the same seed.

    Empty where ``cv`` cannot be reshuffled (time series, groups, a list of splits).
    """
    return fresh_tasks(task, int(np.random.SeedSequence([seed, 1]).generate_state(1)[0]))


def fresh_means(
    task: Task, configurations: Sequence[Mapping[str, Any]], seed: int, scores: Scores
) -> tuple[list[float], int, int] | str:
    """The mean score of each configuration on fresh folds, the number of folds, and the number of those that
    were to be scored; or why there are none.

    Args:
        task: A task with an estimator.
        configurations: What is scored.
        seed: Seed of the fresh folds.
        scores: Scores configurations on tasks.
    """
    tasks = recheck_tasks(task, seed)
    if not tasks:
        return "this cv has no other folds"
    table = scores(tasks, configurations)
    if isinstance(table, str):
        return table
    return [float(mean) for mean in table.mean(axis=1)], table.shape[1], sum(one.n_folds for one in tasks)

"""Folds that the search has not seen, to check its gain on."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np

from sllmbo_magic.errors import InputError
from sllmbo_magic.task.splits import freeze
from sllmbo_magic.task.task import Task

MIN_SPLITS = 10
"""Splits to score on, at least: 2 repetitions of 5 folds, one of 10."""


def can_reshuffle(task: Task) -> bool:
    """Whether another seed gives other folds of the same kind.

    False for time series, groups without shuffling, predefined splits and unshuffled folds, whose order of
    rows the user may have meant.
    """
    return hasattr(task.cv, "random_state") and getattr(task.cv, "shuffle", True) is True


def fresh_tasks(task: Task, seed: int) -> list[Task]:
    """The task on other folds of the same kind, once per repetition; empty when there are no others.

    Args:
        task: A task with an estimator.
        seed: Seed of the seeds of the folds.
    """
    if not can_reshuffle(task):
        return []
    repetitions = -(-MIN_SPLITS // task.n_folds)
    tasks = []
    for state in np.random.SeedSequence(seed).generate_state(repetitions):
        cv = copy.copy(task.cv)
        cv.random_state = int(state)
        try:
            splits = freeze(cv, task.X, task.y, task.groups)
        except InputError:  # a splitter of the user's that is bound to its seed
            return []
        tasks.append(dataclasses.replace(task, cv=cv, splits=splits, n_folds=len(splits)))
    return tasks

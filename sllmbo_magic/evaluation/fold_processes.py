"""Folds in child processes, for estimators whose fits hold Python's global interpreter lock.

Threads beat processes where a fit releases the lock, as boosting and forests do. Fits that mostly hold it, as
small neural networks of scikit-learn do, take turns on threads, and waiting for the lock makes even that
slower. So evaluations are measured (:class:`LockWatch`), and where the threads waited for each other, later
folds run in loky's processes. Scores are the same to the last bit.

A process has neither the variables of the notebook nor what a fit changes outside of its estimator. So only
estimators that consist of known libraries' parts go there (:func:`can_be_sent`).
"""

from __future__ import annotations

import math
import os
import pickle
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import numpy as np
import sklearn

from sllmbo_magic._utils.interrupts import held_interrupts
from sllmbo_magic._utils.interrupts import ignore_interrupts
from sllmbo_magic._utils.orphans import end_with_parent
from sllmbo_magic._utils.thread_limits import BlasLimit
from sllmbo_magic._utils.thread_limits import limit_openmp
from sllmbo_magic.evaluation.fold_fit import FoldResult
from sllmbo_magic.evaluation.fold_fit import build
from sllmbo_magic.evaluation.fold_fit import run_fold
from sllmbo_magic.evaluation.fold_rows import FoldRows
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.task.task import Task

MAX_BYTES = 256 * 2**20
"""Data that is sent to each process at most; more stays on threads."""
_START_SECONDS = 2.0
"""What it takes to start the processes, each of which imports scikit-learn (1.4 to 1.7 s on two cores)."""
_LEAST_SAVED = 0.2
"""Part of an evaluation's wall time that must have been spent waiting; less may be chance."""
_LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost", "numpy", "scipy", "builtins")


class LockWatch:
    """Decides from evaluations on threads whether processes would pay.

    Args:
        n_folds: Folds of one evaluation.
        n_threads: Threads over them.
        n_evaluations: Evaluations that are expected; None when that is not known.
        at_once: Evaluations that share the threads.
    """

    def __init__(self, n_folds: int, n_threads: int, n_evaluations: int | None, at_once: int = 1) -> None:
        # Of five folds on two threads, the last one runs alone: that is no waiting. Beside another
        # evaluation it does not run alone.
        rounds = math.ceil(n_folds / n_threads)
        self._ideal = rounds / n_folds if at_once == 1 else 1.0 / n_threads
        self._n_threads = n_threads
        self._n_left = n_evaluations
        self._at_once = at_once

    def processes_pay(self, seconds: float, cpu_seconds: float) -> bool:
        """Take one evaluation into account.

        Args:
            seconds: Its wall time.
            cpu_seconds: CPU time of the whole process meanwhile.
        """
        if self._n_left is None or self._n_threads < 2:
            return False
        self._n_left -= 1
        saved = seconds - cpu_seconds * self._ideal
        return saved > _LEAST_SAVED * seconds and self._n_left * saved / self._at_once > _START_SECONDS


class FoldProcesses:
    """A few processes of loky's that hold the task and fit its folds.

    Args:
        task: A task with an estimator; it is sent to each process once.
        n: Number of processes.
        estimator_threads: Upper bound of the threads of one estimator.

    Attributes:
        abandoned: Whether the folds in flight are no longer waited for.
    """

    def __init__(self, task: Task, n: int, estimator_threads: int) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        self.abandoned = False
        self._pool = ProcessPoolExecutor(
            max_workers=n, initializer=_begin_process, initargs=(task, estimator_threads, os.getpid())
        )
        with held_interrupts():
            self._ready = [self._pool.submit(_nothing) for _ in range(n)]

    def take(self, params: Mapping[str, Any]) -> bool:
        """Whether a configuration can be fitted there now: the processes have started, and none of its values
        is a function or an estimator of the user's.
        """
        return all(future.done() for future in self._ready) and all(map(_is_of_library, params.values()))

    def run(self, params: Mapping[str, Any], fold: int, *, with_training_score: bool) -> FoldResult:
        """Fit and score one fold, waiting for it. What the fit raises is a failed result, as on threads.

        Raises:
            Exception: A process has died, or something could not be sent.
        """
        settings = _Settings(sklearn.get_config(), dict(np.geterr()), list(warnings.filters))
        future: Future[FoldResult]
        future = self._pool.submit(_fold, dict(params), fold, with_training_score, settings)
        return future.result()

    def close(self) -> None:
        """End the processes at once, whatever they do."""
        threading.Thread(
            target=self._pool.shutdown, kwargs={"wait": False, "kill_workers": True}, daemon=True
        ).start()


def can_be_sent(task: Task) -> bool:
    """Whether a fit in another process is the same: every part of the estimator, and the metric, come from a
    known library, and the data are arrays or frames of a moderate size.
    """
    if not isinstance(task.scoring, str | None) or task.fit_params:
        return False
    parts = [task.estimator, *task.estimator.get_params(deep=True).values()]
    return all(_is_of_library(part) for part in parts) and _n_bytes(task.X) + _n_bytes(task.y) <= MAX_BYTES


def _is_of_library(part: Any) -> bool:
    if part is None or isinstance(part, bool | int | float | str):
        return True
    if isinstance(part, list | tuple):
        return all(_is_of_library(one) for one in part)
    if isinstance(part, dict):
        return all(_is_of_library(one) for one in part.values())
    owner = part if callable(part) and hasattr(part, "__name__") else type(part)
    module = getattr(owner, "__module__", None) or type(part).__module__
    return str(module).split(".")[0] in _LIBRARIES


def _n_bytes(data: Any) -> float:
    """Size in memory; infinite where that is not known."""
    if data is None:
        return 0
    if hasattr(data, "memory_usage"):
        usage = data.memory_usage(deep=False)
        return float(getattr(usage, "sum", lambda: usage)())
    return float(getattr(data, "nbytes", float("inf")))


# In the child process


@dataclass(frozen=True)
class _Settings:
    """What belongs to a process and can change scores, or make a fit fail."""

    sklearn: Mapping[str, Any]
    numpy_errors: Mapping[str, Any]
    filters: list[Any]


_state: dict[str, Any] = {}


def _begin_process(task: Task, estimator_threads: int, parent: int) -> None:
    ignore_interrupts()
    end_with_parent(parent)
    _state.update(task=task, threads=estimator_threads, rows=FoldRows(task))


def _nothing() -> None:
    """Comes back once a process has started."""


def _fold(params: dict[str, Any], fold: int, with_training_score: bool, settings: _Settings) -> FoldResult:
    task, threads = _state["task"], _state["threads"]
    with (
        sklearn.config_context(**settings.sklearn),
        np.errstate(**settings.numpy_errors),
        warnings.catch_warnings(),
        BlasLimit(threads),
    ):
        warnings.resetwarnings()
        warnings.filters.extend(settings.filters)  # type: ignore[attr-defined]
        with Quiet():
            limit_openmp(threads)
            estimator, rows = build(task, params, threads), _state["rows"]
            result = run_fold(task, estimator, fold, rows=rows, with_training_score=with_training_score)
    return result if result.exception is None else replace(result, exception=_sendable(result.exception))


def _sendable(error: BaseException) -> BaseException:
    """The exception, or one with the same text where it does not come back from its pickle."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - foreign code
        return RuntimeError(str(error))
    return error

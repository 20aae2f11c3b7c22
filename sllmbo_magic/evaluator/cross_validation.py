"""Cross-validation of one configuration, with the folds on threads.

Scores are those of ``sklearn.model_selection.cross_validate`` on the same splits. One failed fold fails the
trial, and no further folds are started. Between folds the run can be stopped, at any time abandoned.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import Future
from concurrent.futures import wait
from typing import Any

import numpy as np

from sllmbo_magic.blas import BlasLimit
from sllmbo_magic.blas import limit_openmp
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluator.evaluation import Evaluation
from sllmbo_magic.evaluator.evaluation import never
from sllmbo_magic.evaluator.model import FoldResult
from sllmbo_magic.evaluator.model import build
from sllmbo_magic.evaluator.model import run_fold
from sllmbo_magic.evaluator.quiet import Quiet
from sllmbo_magic.evaluator.threads import Threads
from sllmbo_magic.evaluator.threads import cores
from sllmbo_magic.evaluator.threads import layout
from sllmbo_magic.evaluator.threads import one_fold_at_a_time
from sllmbo_magic.task import Task

_POLL_SECONDS = 0.05
"""How often ``should_abandon`` is asked while folds run."""


class CrossValidator:
    """Scores configurations of a task's estimator on its frozen folds.

    Evaluations from several threads at once share one set of fold threads, so that they fit the cores, too.

    Args:
        task: A task with an estimator.
        n_jobs: Cores that one evaluation may use; None: all. The layout
            (:func:`~sllmbo_magic.evaluator.threads.layout`) decides about the estimator's threads, too; it
            never gives it more than the user did.
    """

    def __init__(self, task: Task, *, n_jobs: int | None = None) -> None:
        if task.estimator is None:
            raise InputError("an objective has no folds.", "Use ObjectiveEvaluator.")
        self.task = task
        at_once = 1 if one_fold_at_a_time(task.estimator) else task.n_folds
        self.fold_threads, self.estimator_threads = layout(at_once, n_jobs, cores())
        self._threads: Threads | None = None
        self._lock = threading.Lock()

    def evaluate(
        self,
        params: Mapping[str, Any],
        *,
        trial: Any = None,
        should_stop: Callable[[], bool] = never,
        should_abandon: Callable[[], bool] = never,
        on_fold: Callable[[int, int, float], None] | None = None,
        timeout: float | None = None,
    ) -> Evaluation:
        """See :class:`~sllmbo_magic.evaluator.evaluation.Evaluator`; ``trial`` is not used."""
        started = time.perf_counter()
        try:
            build(self.task, params, self.estimator_threads)
        except Exception as error:  # noqa: BLE001 - set_params may raise anything
            return _failed("invalid-parameter", error, time.perf_counter() - started)
        with Quiet(), BlasLimit(self.estimator_threads):
            results, cut = self._run(params, should_stop, should_abandon, on_fold, timeout)
        return _summary(results, self.task.n_folds, cut, time.perf_counter() - started)

    def close(self) -> None:
        """Let the threads end; the next evaluation starts new ones."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.close()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_threads", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _threads=None, _lock=threading.Lock())

    def _run(
        self,
        params: Mapping[str, Any],
        should_stop: Callable[[], bool],
        should_abandon: Callable[[], bool],
        on_fold: Callable[[int, int, float], None] | None,
        timeout: float | None,
    ) -> tuple[dict[int, FoldResult], str | None]:
        """Results by fold, and why folds are missing: ``"stopped"``, ``"timeout"`` or None."""
        deadline = None if timeout is None else time.monotonic() + timeout
        results: dict[int, FoldResult] = {}
        flying: dict[Future[FoldResult], int] = {}
        todo = list(range(self.task.n_folds))
        cut: str | None = None
        try:
            while todo or flying:
                if todo and should_stop():
                    cut, todo = "stopped", []
                if todo and deadline is not None and time.monotonic() >= deadline:
                    cut, todo = "timeout", []
                while todo and len(flying) < self.fold_threads:
                    fold = todo.pop(0)
                    flying[self._submit(params, fold)] = fold
                done, _ = wait(flying, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=flying.__getitem__):
                    fold = flying.pop(future)
                    result = results[fold] = future.result()
                    if result.error is not None:
                        todo = []
                    elif on_fold is not None and result.score is not None:
                        on_fold(fold, self.task.n_folds, result.score)
                if flying and should_abandon():
                    return results, "stopped"
        finally:
            if flying:  # abandoned, or an interrupt is on its way up: leave these threads to their folds
                self.close()
        return results, cut

    def _submit(self, params: Mapping[str, Any], fold: int) -> Future[FoldResult]:
        with self._lock:
            if self._threads is None:
                self._threads = Threads(self.fold_threads)
            return self._threads.submit(lambda: self._fold(params, fold))

    def _fold(self, params: Mapping[str, Any], fold: int) -> FoldResult:
        limit_openmp(self.estimator_threads)
        return run_fold(self.task, build(self.task, params, self.estimator_threads), fold)


def _failed(category: str, error: BaseException | None, seconds: float) -> Evaluation:
    name = None if error is None else type(error).__name__
    return Evaluation(mean=None, seconds=seconds, error=category, error_class=name, exception=error)


def _summary(results: dict[int, FoldResult], n_folds: int, cut: str | None, seconds: float) -> Evaluation:
    ordered = [results[fold] for fold in sorted(results)]
    scores = [r.score for r in ordered if r.score is not None and r.error is None]
    failed = next((r for r in ordered if r.error is not None), None)
    whole = len(scores) == n_folds
    counts: Counter[str] = Counter()
    for result in ordered:
        counts.update(result.warnings or {})
    error = failed.error if failed is not None else cut
    exception = None if failed is None else failed.exception
    if exception is not None:
        traceback.clear_frames(exception.__traceback__)  # they hold copies of the data
    return Evaluation(
        mean=float(np.mean(scores)) if whole else None,
        std=float(np.std(scores)) if whole else None,
        split_scores=tuple(scores),
        seconds=seconds,
        fit_seconds=sum(r.fit_seconds for r in ordered),
        score_seconds=sum(r.score_seconds for r in ordered),
        error=error,
        error_class=None if exception is None else type(exception).__name__,
        stopped=failed is None and cut == "stopped",
        warnings=dict(counts),
        exception=exception,
    )

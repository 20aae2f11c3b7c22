"""Cross-validation of one configuration, with the folds on threads.

Scores are those of ``sklearn.model_selection.cross_validate`` on the same splits. One failed fold fails the
trial, and no further folds are started. Between folds the run can be stopped, at any time abandoned. With a
pruner the trial reports on its way; one that is not pruned has the same score as without.
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
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic.blas import BlasLimit
from sllmbo_magic.blas import limit_openmp
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluator.early_stopping import fit_stopping_early
from sllmbo_magic.evaluator.early_stopping import found_params
from sllmbo_magic.evaluator.evaluation import Evaluation
from sllmbo_magic.evaluator.evaluation import never
from sllmbo_magic.evaluator.lockstep import LockStep
from sllmbo_magic.evaluator.lockstep import Meet
from sllmbo_magic.evaluator.model import Fold
from sllmbo_magic.evaluator.model import FoldResult
from sllmbo_magic.evaluator.model import build
from sllmbo_magic.evaluator.model import run_fold
from sllmbo_magic.evaluator.quiet import Quiet
from sllmbo_magic.evaluator.reports import Reporting
from sllmbo_magic.evaluator.reports import Reports
from sllmbo_magic.evaluator.rounds import STEPS
from sllmbo_magic.evaluator.rounds import Rounds
from sllmbo_magic.evaluator.rounds import fit_reporting
from sllmbo_magic.evaluator.rounds import rounds_of
from sllmbo_magic.evaluator.rounds import stage
from sllmbo_magic.evaluator.rounds import steps_of
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
        reporting: What a trial reports on its way; None (default): nothing.
        early_stopping: Rounds without gain after which boosting stops; None (default) trains the rounds that
            are set. The library's default configuration always does.
    """

    def __init__(
        self,
        task: Task,
        *,
        n_jobs: int | None = None,
        reporting: Reporting | None = None,
        early_stopping: int | None = None,
    ) -> None:
        if task.estimator is None:
            raise InputError("an objective has no folds.", "Use ObjectiveEvaluator.")
        self.task = task
        at_once = 1 if one_fold_at_a_time(task.estimator) else task.n_folds
        self.fold_threads, self.estimator_threads = layout(at_once, n_jobs, cores())
        self.reporting = reporting
        self.early_stopping = early_stopping
        self._threads: Threads | None = None
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(self.fold_threads)

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
        """See :class:`~sllmbo_magic.evaluator.evaluation.Evaluator`; a trial is needed only to report to."""
        started = time.perf_counter()
        try:
            estimator = build(self.task, params, self.estimator_threads)
        except Exception as error:  # noqa: BLE001 - set_params may raise anything
            return _failed("invalid-parameter", error, time.perf_counter() - started)
        n_folds = self.task.n_folds
        reports = None
        if trial is not None and self.reporting is not None:
            reports = Reports(trial, self.reporting, n_folds)
        rounds = self._rounds(estimator)
        with Quiet(), BlasLimit(self.estimator_threads):
            if reports is not None and reports.kind == "training":
                results, cut = self._in_step(params, reports, should_stop, should_abandon, on_fold, timeout)
            else:
                results, cut = self._run(params, should_stop, should_abandon, on_fold, timeout, reports)
        evaluation = _summary(results, n_folds, cut, time.perf_counter() - started)
        if reports is not None and cut == "pruned" and evaluation.error is None:
            return replace(evaluation, pruned=True, pruned_at=reports.pruned_at)
        if reports is not None:
            reports.end(evaluation.mean)
        found = tuple(results[fold].rounds or 0 for fold in sorted(results))
        if rounds is not None and evaluation.mean is not None and all(found):
            settings = found_params(rounds, estimator, found)
            return replace(evaluation, rounds=found, found=settings)
        return evaluation

    def close(self) -> None:
        """Let the threads end; the next evaluation starts new ones."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.close()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_threads", "_lock", "_slots")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _threads=None, _lock=threading.Lock())
        self._slots = threading.Semaphore(self.fold_threads)

    def _rounds(self, estimator: Any) -> Rounds | None:
        """How it trains in rounds, where that is of interest."""
        if self.reporting != "training" and self.early_stopping is None:
            return None
        return rounds_of(estimator, max(len(train) for train, _ in self.task.splits))

    def _in_step(
        self,
        params: Mapping[str, Any],
        reports: Reports,
        should_stop: Callable[[], bool],
        should_abandon: Callable[[], bool],
        on_fold: Callable[[int, int, float], None] | None,
        timeout: float | None,
    ) -> tuple[dict[int, FoldResult], str | None]:
        """All folds in step; results by fold, and why folds are missing, ``"pruned"`` among the reasons."""
        deadline = None if timeout is None else time.monotonic() + timeout

        def decide(step: int, mean: float) -> str | None:
            if should_stop():
                return "stopped"
            if deadline is not None and time.monotonic() >= deadline:
                return "timeout"
            return "pruned" if reports.step(step, mean) else None

        def on_end(fold: int, result: FoldResult) -> None:
            if on_fold is not None and result.error is None and result.score is not None:
                on_fold(fold, self.task.n_folds, result.score)

        def abandoned() -> bool:
            should_stop()  # asked all the time, so that wishes from other processes are heard
            return should_abandon()

        folds = LockStep(STEPS, self.task.n_folds, self._slots)
        word: str | None = "abandoned"
        try:
            word = folds.run(
                lambda fold, meet: self._fold(params, fold, meet),
                decide=decide,
                should_abandon=abandoned,
                on_end=on_end,
            )
        finally:
            if word == "abandoned":  # or an interrupt: these folds keep their permits until they end
                self._slots = threading.Semaphore(self.fold_threads)
        return folds.results, {"abandoned": "stopped", "failed": None}.get(word or "", word)

    def _run(
        self,
        params: Mapping[str, Any],
        should_stop: Callable[[], bool],
        should_abandon: Callable[[], bool],
        on_fold: Callable[[int, int, float], None] | None,
        timeout: float | None,
        reports: Reports | None,
    ) -> tuple[dict[int, FoldResult], str | None]:
        """Results by fold, and why folds are missing: ``"stopped"``, ``"timeout"``, ``"pruned"`` or None."""
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
                        continue
                    if on_fold is not None and result.score is not None:
                        on_fold(fold, self.task.n_folds, result.score)
                    if cut is None and _pruned(reports, fold, result):
                        cut, todo = "pruned", []
                if flying and should_abandon():
                    return results, "stopped"
        finally:
            if flying:  # abandoned, or an interrupt is on its way up: leave these threads to their folds
                self.close()
        if reports is not None and cut == "pruned":
            # which of the folds in flight came to their end is a matter of timing
            results = {fold: result for fold, result in results.items() if fold < reports.told}
        return results, cut

    def _submit(self, params: Mapping[str, Any], fold: int) -> Future[FoldResult]:
        with self._lock:
            if self._threads is None:
                self._threads = Threads(self.fold_threads)
            return self._threads.submit(lambda: self._fold(params, fold))

    def _fold(self, params: Mapping[str, Any], fold: int, meet: Meet | None = None) -> FoldResult:
        limit_openmp(self.estimator_threads)
        estimator = build(self.task, params, self.estimator_threads)
        rounds = self._rounds(estimator)
        patience = self.early_stopping if params else None
        if rounds is None or (meet is None and patience is None):
            return run_fold(self.task, estimator, fold)

        def fit(data: Fold) -> tuple[Any, int | None]:
            def report(step: int, model: Any) -> None:
                assert meet is not None
                meet(step, _score_on_the_way(data, model))

            if patience is not None:
                return fit_stopping_early(data, rounds, patience, report if meet is not None else None)
            part = stage(data.estimator, data.X, data.y, data.fit_params)
            return fit_reporting(part, rounds, steps_of(rounds, rounds.total(part.last)), report), None

        return run_fold(self.task, estimator, fold, fit)


def _pruned(reports: Reports | None, fold: int, result: FoldResult) -> bool:
    """Tell a fold's score to the pruner, if there is one."""
    return reports is not None and result.score is not None and reports.fold(fold, result.score)


def _score_on_the_way(fold: Fold, model: Any) -> float:
    """NaN where a model cannot be scored yet; whether the whole one can is seen at its end."""
    try:
        return fold.score(model)
    except Exception:  # noqa: BLE001 - a trial that is not pruned has the score that it has without a pruner
        return float("nan")


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
    error = failed.error if failed is not None else None if cut == "pruned" else cut
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

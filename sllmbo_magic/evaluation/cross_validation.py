"""Cross-validation of one configuration, with the folds on threads, or in processes where those pay.

Scores are those of ``sklearn.model_selection.cross_validate`` on the same splits. One failed fold fails the
trial, and no further folds are started. Between folds the run can be stopped, at any time abandoned. With a
pruner the trial reports on its way; one that is not pruned has the same score as without.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic._utils.thread_limits import BlasLimit
from sllmbo_magic._utils.thread_limits import limit_openmp
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.base import NO_FAILURES
from sllmbo_magic.evaluation.base import CutError
from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.base import timeout_text
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.evaluation.early_stopping import fit_stopping_early
from sllmbo_magic.evaluation.early_stopping import refit_params
from sllmbo_magic.evaluation.fold_fit import Fold
from sllmbo_magic.evaluation.fold_fit import FoldResult
from sllmbo_magic.evaluation.fold_fit import build
from sllmbo_magic.evaluation.fold_fit import run_fold
from sllmbo_magic.evaluation.fold_processes import FoldProcesses
from sllmbo_magic.evaluation.fold_processes import LockWatch
from sllmbo_magic.evaluation.fold_processes import can_be_sent
from sllmbo_magic.evaluation.fold_rows import FoldRows
from sllmbo_magic.evaluation.fold_scheduler import Decisions
from sllmbo_magic.evaluation.fold_scheduler import FoldScheduler
from sllmbo_magic.evaluation.fold_scheduler import Meet
from sllmbo_magic.evaluation.iterative_fit import STEPS
from sllmbo_magic.evaluation.iterative_fit import Rounds
from sllmbo_magic.evaluation.iterative_fit import fit_reporting
from sllmbo_magic.evaluation.iterative_fit import rounds_of
from sllmbo_magic.evaluation.iterative_fit import stage
from sllmbo_magic.evaluation.iterative_fit import steps_of
from sllmbo_magic.evaluation.pruning_reports import Reporting
from sllmbo_magic.evaluation.pruning_reports import Reports
from sllmbo_magic.evaluation.threads import Threads
from sllmbo_magic.evaluation.threads import cores
from sllmbo_magic.evaluation.threads import layout
from sllmbo_magic.evaluation.threads import one_fold_at_a_time
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.evaluation.warnings import add_texts
from sllmbo_magic.task.task import Task


class CrossValidator:
    """Scores configurations of a task's estimator on its frozen folds.

    Evaluations from several threads at once share one set of fold threads, so that they fit the cores, too.

    Args:
        task: A task with an estimator.
        n_jobs: Cores to use; None: all. The layout (:func:`~sllmbo_magic.evaluation.threads.layout`) decides
            about the estimator's threads, too; it never gives it more than the user did.
        at_once: Evaluations at once, which share these cores.
        reporting: What a trial reports on its way; None (default): nothing.
        early_stopping: Rounds without gain after which boosting stops; None (default) trains the rounds that
            are set. The library's default configuration always does.
        training_score: Whether the first fold's model is also scored on rows that it was trained on.
        n_evaluations: Evaluations that are expected. Where the threads of the first ones are seen to wait for
            Python's lock, and it pays for so many, later folds run in processes. None (default): never.
    """

    def __init__(
        self,
        task: Task,
        *,
        n_jobs: int | None = None,
        at_once: int = 1,
        reporting: Reporting | None = None,
        early_stopping: int | None = None,
        training_score: bool = False,
        n_evaluations: int | None = None,
    ) -> None:
        if task.estimator is None:
            raise InputError("an objective has no folds.", "Use ObjectiveEvaluator.")
        self.task = task
        folds_at_once = 1 if one_fold_at_a_time(task.estimator) else task.n_folds * at_once
        self.fold_threads, self.estimator_threads = layout(folds_at_once, n_jobs, cores())
        self.reporting = reporting
        self.early_stopping = early_stopping
        self.training_score = training_score
        self._rows = FoldRows(task)
        self._threads: Threads | None = None
        self._watch = LockWatch(task.n_folds, self.fold_threads, n_evaluations, at_once)
        self._processes: FoldProcesses | None = None
        self._lock = threading.Lock()
        self._permits = threading.Semaphore(self.fold_threads)
        self._at_once = at_once

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
        """See :class:`~sllmbo_magic.evaluation.base.Evaluator`; a trial is needed only to report to."""
        started, cpu = time.perf_counter(), time.process_time()
        try:
            estimator = build(self.task, params, self.estimator_threads)
        except NO_FAILURES:
            raise
        except BaseException as error:  # noqa: BLE001 - set_params may raise anything
            return _failed("invalid-parameter", error, time.perf_counter() - started)
        n_folds = self.task.n_folds
        reports = None
        if trial is not None and self.reporting is not None:
            reports = Reports(trial, self.reporting, n_folds)
        rounds = self._rounds(estimator)
        with Quiet(), BlasLimit(self.estimator_threads):
            results, cut, n_begun = self._folds(
                params,
                reports,
                should_stop,
                should_abandon,
                on_fold,
                timeout,
                order=getattr(trial, "number", 0),
            )
        seconds = time.perf_counter() - started
        if cut is None:
            self._learn_from(seconds, time.process_time() - cpu)
        if cut is None and timeout is not None and seconds >= timeout:
            cut = "timeout"  # with as many threads as folds there is no moment between them
        evaluation = _summary(results, n_folds, cut, seconds)
        if evaluation.error == "timeout":
            evaluation = replace(evaluation, cause=timeout_text(timeout))
        if reports is not None and cut == "pruned" and evaluation.error is None:
            skipped = n_folds - n_begun
            return replace(evaluation, pruned=True, pruned_at=reports.pruned_at, skipped_folds=skipped)
        if reports is not None:
            reports.end(evaluation.mean)
        rounds_per_fold = tuple(results[fold].rounds or 0 for fold in sorted(results))
        if rounds is not None and evaluation.mean is not None and all(rounds_per_fold):
            settings = refit_params(rounds, estimator, rounds_per_fold)
            return replace(evaluation, rounds=rounds_per_fold, refit_params=settings)
        return evaluation

    def close(self) -> None:
        """Let the threads end; the next evaluation starts new ones."""
        with self._lock:
            threads, self._threads = self._threads, None
            processes, self._processes = self._processes, None
        if threads is not None:
            threads.close()
        if processes is not None:
            processes.abandoned = True
            processes.close()

    def __getstate__(self) -> dict[str, Any]:
        not_pickled = ("_rows", "_threads", "_watch", "_processes", "_lock", "_permits")
        return {k: v for k, v in self.__dict__.items() if k not in not_pickled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _threads=None, _processes=None, _lock=threading.Lock())
        # where an evaluator was sent, others work beside it: no processes
        self._watch = LockWatch(self.task.n_folds, self.fold_threads, None)
        self._rows = FoldRows(self.task)
        self._permits = threading.Semaphore(self.fold_threads)

    def _rounds(self, estimator: Any) -> Rounds | None:
        """How it trains in rounds, where that is of interest."""
        if self.reporting != "training" and self.early_stopping is None:
            return None
        return rounds_of(estimator, max(len(train) for train, _ in self.task.splits))

    def _folds(
        self,
        params: Mapping[str, Any],
        reports: Reports | None,
        should_stop: Callable[[], bool],
        should_abandon: Callable[[], bool],
        on_fold: Callable[[int, int, float], None] | None,
        timeout: float | None,
        order: int,
    ) -> tuple[dict[int, FoldResult], str | None, int]:
        """Results by fold, why folds are missing (``"stopped"``, ``"timeout"``, ``"pruned"`` or None), and
        the number of folds that began.
        """
        n_folds = self.task.n_folds
        synchronized = reports is not None and reports.kind == "training"

        def on_end(fold: int, result: FoldResult) -> None:
            if on_fold is not None and result.error is None and result.score is not None:
                on_fold(fold, n_folds, result.score)

        def abandoned() -> bool:
            if synchronized:
                should_stop()  # asked between steps, too, so that commands of other processes are carried out
            return should_abandon()

        synchronized_threads = Threads(n_folds) if synchronized else None
        if synchronized_threads is not None:
            scheduler = FoldScheduler(
                n_folds, synchronized_threads.submit, steps=STEPS, permits=self._permits
            )
        else:
            scheduler = FoldScheduler(
                n_folds,
                lambda function: self._submit(function, order),
                # beside another trial all folds wait in line, those of the earlier trial first
                at_once=min(n_folds, self.fold_threads) if self._at_once == 1 else n_folds,
            )
        try:
            reason = scheduler.run(
                lambda fold, meet: self._fold(params, fold, meet if synchronized else None),
                _Decisions(reports, should_stop, timeout),
                should_abandon=abandoned,
                on_end=on_end,
            )
        finally:
            if synchronized_threads is not None:
                synchronized_threads.close()
            if scheduler.running:  # abandoned, or an interrupt is on its way up
                self._leave_running_folds()
        results = scheduler.results
        if reason == "pruned" and reports is not None and not synchronized:
            # which of the folds in flight came to their end is a matter of timing
            results = {fold: result for fold, result in results.items() if fold < reports.n_reported}
        cut = {"abandoned": "stopped", "failed": None}.get(reason or "", reason)
        return results, cut, len(scheduler.begun)

    def _submit(self, function: Callable[[], None], order: int) -> None:
        """Run a function in the threads that all evaluations share."""
        with self._lock:
            if self._threads is None:
                self._threads = Threads(self.fold_threads)
            self._threads.submit(function, order)

    def _learn_from(self, seconds: float, cpu_seconds: float) -> None:
        """Start processes for the folds of the next evaluations, where those pay."""
        with self._lock:
            pays = self._processes is None and self._watch.processes_pay(seconds, cpu_seconds)
            if pays and can_be_sent(self.task):
                self._processes = FoldProcesses(self.task, self.fold_threads, self.estimator_threads)

    def _give_up(self, processes: FoldProcesses) -> None:
        """Go on with threads after a process has died, killed for its memory perhaps.

        Raises:
            CutError: It was ended by us, with the evaluation.
        """
        if processes.abandoned:
            raise CutError
        with self._lock:
            if self._processes is processes:
                self._processes = None
                self._watch = LockWatch(self.task.n_folds, self.fold_threads, None)
        processes.close()

    def _leave_running_folds(self) -> None:
        """Folds in flight keep their threads and permits until they end; what comes next gets new ones."""
        self.close()
        self._permits = threading.Semaphore(self.fold_threads)

    def _fold(self, params: Mapping[str, Any], fold: int, meet: Meet | None = None) -> FoldResult:
        limit_openmp(self.estimator_threads)
        estimator = build(self.task, params, self.estimator_threads)
        rounds = self._rounds(estimator)
        patience = self.early_stopping if params else None
        with_training_score = self.training_score and fold == 0
        if rounds is None or (meet is None and patience is None):
            processes = self._processes
            if processes is not None and processes.take(params):
                try:
                    return processes.run(params, fold, with_training_score=with_training_score)
                except Exception:  # noqa: BLE001 - a failed fit is a result: the processes are at fault
                    self._give_up(processes)
            return run_fold(
                self.task, estimator, fold, rows=self._rows, with_training_score=with_training_score
            )

        def fit(data: Fold) -> tuple[Any, int | None]:
            def report(step: int, model: Any) -> None:
                assert meet is not None
                meet(step, _score_on_the_way(data, model))

            if patience is not None:
                return fit_stopping_early(data, rounds, patience, report if meet is not None else None)
            part = stage(data.estimator, data.X, data.y, data.fit_params)
            return fit_reporting(part, rounds, steps_of(rounds, rounds.total(part.last)), report), None

        return run_fold(
            self.task, estimator, fold, fit, rows=self._rows, with_training_score=with_training_score
        )


class _Decisions(Decisions):
    """Ends a trial for a stop, for its timeout, or because its pruner ends it."""

    def __init__(
        self, reports: Reports | None, should_stop: Callable[[], bool], timeout: float | None
    ) -> None:
        self._reports = reports
        self._should_stop = should_stop
        self._deadline = math.inf if timeout is None else time.monotonic() + timeout

    def before_fold(self) -> str | None:
        if self._should_stop():
            return "stopped"
        return "timeout" if time.monotonic() >= self._deadline else None

    def at_step(self, step: int, mean: float) -> str | None:
        assert self._reports is not None
        return self.before_fold() or ("pruned" if self._reports.step(step, mean) else None)

    def after_fold(self, fold: int, result: FoldResult) -> str | None:
        if self._reports is None or self._reports.kind == "training" or result.score is None:
            return None
        return "pruned" if self._reports.fold(fold, result.score) else None


def _score_on_the_way(fold: Fold, model: Any) -> float:
    """NaN where a model cannot be scored yet; whether the whole one can is seen at its end."""
    try:
        return fold.score(model)
    except Exception:  # noqa: BLE001 - a trial that is not pruned has the score that it has without a pruner
        return float("nan")


def _failed(category: str, error: BaseException, seconds: float) -> Evaluation:
    return Evaluation(
        mean=None,
        seconds=seconds,
        error=category,
        error_class=type(error).__name__,
        cause=error_text(error),
        exception=error,
    )


def _summary(results: dict[int, FoldResult], n_folds: int, cut: str | None, seconds: float) -> Evaluation:
    in_fold_order = [results[fold] for fold in sorted(results)]
    scores = [r.score for r in in_fold_order if r.score is not None and r.error is None]
    failed = next((r for r in in_fold_order if r.error is not None), None)
    complete = len(scores) == n_folds and cut != "timeout"
    counts: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    for result in in_fold_order:
        counts.update(result.warnings or {})
        add_texts(texts, dict(result.warning_texts or {}))
    error = failed.error if failed is not None else None if cut == "pruned" else cut
    exception = None if failed is None else failed.exception
    if exception is not None:
        traceback.clear_frames(exception.__traceback__)  # they hold copies of the data
    return Evaluation(
        mean=float(np.mean(scores)) if complete else None,
        std=float(np.std(scores)) if complete else None,
        split_scores=tuple(scores),
        seconds=seconds,
        fit_seconds=sum(r.fit_seconds for r in in_fold_order),
        score_seconds=sum(r.score_seconds for r in in_fold_order),
        error=error,
        error_class=None if exception is None else type(exception).__name__,
        cause="" if failed is None else failed.cause,
        stopped=failed is None and cut == "stopped",
        warnings=dict(counts),
        warning_texts=dict(texts),
        training_score=results[0].training_score if complete and 0 in results else None,
        exception=exception,
    )

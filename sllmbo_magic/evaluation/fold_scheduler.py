"""The folds of one trial on threads: which are started when, and what ends them early.

With steps the folds are synchronized: each waits at a step until all are there, and one decision holds for
all, so that what is reported at a step is the mean over all folds and compares between trials. Each fold has
a thread of its own then, but no more of them work at a time than there are permits. Without steps the folds
start in their order, a few at a time.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from sllmbo_magic.evaluation.base import CutError
from sllmbo_magic.evaluation.fold_fit import FoldResult

_POLL_SECONDS = 0.05
"""How often ``should_abandon`` is asked while folds run."""

Meet = Callable[[int, float], None]
"""Called by a fold with a step and its score there; returns when the trial goes on, else raises."""


class Decisions:
    """What may end a trial early: each method returns the reason, or None (here always) to go on."""

    def before_fold(self) -> str | None:
        """Asked while there are folds whose work has not begun."""
        return None

    def at_step(self, step: int, mean: float) -> str | None:
        """Asked at each step with the mean score over all folds there."""
        return None

    def after_fold(self, fold: int, result: FoldResult) -> str | None:
        """Asked after each fold that did not fail, unless the trial was ended already."""
        return None


class FoldScheduler:
    """Runs all folds of one trial.

    Args:
        n_folds: Number of folds.
        submit: Runs a function in another thread. With steps it must have a thread for each fold.
        at_once: Folds that may be started and not ended; None (default): all. With steps it must be all.
        steps: The steps, ascending; a fold may miss some.
        permits: One permit per fold that may work at a time; shared with other trials. None (default): every
            fold that is started works.
    """

    def __init__(
        self,
        n_folds: int,
        submit: Callable[[Callable[[], None]], Any],
        *,
        at_once: int | None = None,
        steps: Sequence[int] = (),
        permits: threading.Semaphore | None = None,
    ) -> None:
        self._n_folds = n_folds
        self._submit = submit
        self._at_once = at_once or n_folds
        self._steps = steps
        self._permits = permits or threading.Semaphore(n_folds)
        self._gates = {step: threading.Event() for step in steps}
        self._reached: dict[int, dict[int, float]] = {step: {} for step in steps}
        self._cut = False
        self._news: queue.SimpleQueue[tuple[int, int, float] | tuple[int, FoldResult | BaseException | None]]
        self._news = queue.SimpleQueue()
        self.running: set[int] = set()
        """Folds that are started and not ended; after ``run`` those that were left to themselves."""
        self.begun: set[int] = set()
        """Folds whose work began, whether or not they came to their end."""
        self.results: dict[int, FoldResult] = {}
        """The result of each fold that came to its end."""

    def run(
        self,
        work: Callable[[int, Meet], FoldResult],
        decisions: Decisions,
        *,
        should_abandon: Callable[[], bool],
        on_end: Callable[[int, FoldResult], None],
    ) -> str | None:
        """Run all folds to their end, or until the trial is ended early.

        A trial that is ended early starts no further folds. Those in flight are waited for; they end at their
        next step, or at their end.

        Args:
            work: Fits and scores one fold; called in its thread.
            decisions: What may end the trial early.
            should_abandon: Asked all the time; True leaves the folds to themselves.
            on_end: Called as each fold ends.

        Returns:
            The reason that ``decisions`` gave, ``"abandoned"``, ``"failed"``, or None when all folds came to
            their end. A fold that failed does not keep one before it from being a reason.
        """
        todo, reason = list(range(self._n_folds)), None
        try:
            while todo or self.running:
                if reason is None and (todo or self.running - self.begun):
                    reason = decisions.before_fold()
                if reason is not None:
                    self._end()
                    todo = []
                while todo and len(self.running) < self._at_once:
                    self._start(todo.pop(0), work)
                if self.running:
                    reason = self._next(reason, decisions, on_end)
                if self.running and should_abandon():
                    return "abandoned"
            return reason
        finally:
            self._end()

    def _start(self, fold: int, work: Callable[[int, Meet], FoldResult]) -> None:
        self.running.add(fold)
        self._submit(lambda: self._one(fold, work))

    def _next(
        self, reason: str | None, decisions: Decisions, on_end: Callable[[int, FoldResult], None]
    ) -> str | None:
        """Take what a fold sends next, if it comes soon; the reason to end the trial, if there is one now."""
        try:
            news = self._news.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return reason
        if len(news) == 3:
            fold, step, score = news
            self._reached[step][fold] = score
        else:
            fold, result = news
            self.running.discard(fold)
            if isinstance(result, BaseException):
                raise result
            if result is not None:
                self.results[fold] = result
                on_end(fold, result)
                if result.error is not None:
                    reason = reason or "failed"
                elif reason in (None, "failed"):
                    reason = decisions.after_fold(fold, result) or reason
        if reason is None and self.running:
            reason = self._at_steps(decisions)
        return reason

    def _at_steps(self, decisions: Decisions) -> str | None:
        """Open the steps at which all folds are; a fold that came to its end counts with its last score."""
        for step in self._steps:
            score_by_fold = self._reached[step]
            if self._gates[step].is_set() or not score_by_fold:
                continue
            ended = [r.score for fold, r in self.results.items() if fold not in score_by_fold]
            scores = [*score_by_fold.values(), *(math.nan if s is None else s for s in ended)]
            if len(scores) < self._n_folds:
                continue
            mean = fmean(scores)
            reason = decisions.at_step(step, mean) if math.isfinite(mean) else None
            if reason is not None:
                return reason
            self._gates[step].set()
        return None

    def _end(self) -> None:
        self._cut = True
        for gate in self._gates.values():
            gate.set()

    # In the thread of a fold

    def _one(self, fold: int, work: Callable[[int, Meet], FoldResult]) -> None:
        result: FoldResult | BaseException | None = None
        try:
            with self._permits:
                if not self._cut:
                    self.begun.add(fold)
                    result = work(fold, lambda step, score: self._meet(fold, step, score))
        except CutError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by run
            result = error
        self._news.put((fold, result))

    def _meet(self, fold: int, step: int, score: float) -> None:
        self._permits.release()
        try:
            self._news.put((fold, step, score))
            self._gates[step].wait()
        finally:
            self._permits.acquire()
        if self._cut:
            raise CutError

"""The folds of one trial in step: each waits at a step until all are there, and then one decision is for all.

What is reported at a step is the mean over all folds, so that it compares between trials. Each fold has a
thread of its own, but no more of them work at a time than the layout allows.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from collections.abc import Sequence
from statistics import fmean

from sllmbo_magic.evaluator.model import FoldResult
from sllmbo_magic.evaluator.threads import Threads

_POLL_SECONDS = 0.05

Meet = Callable[[int, float], None]
"""Called by a fold with a step and its score there; returns when the trial goes on, else raises."""


class CutError(BaseException):
    """Ends a fold that waits at a step. No ``Exception``: what a fit raises itself is a failure."""


class LockStep:
    """Runs all folds of one trial.

    Args:
        steps: The steps, ascending; a fold may miss some.
        n_folds: Number of folds.
        slots: One permit per fold that may work at a time; shared with other trials.
    """

    def __init__(self, steps: Sequence[int], n_folds: int, slots: threading.Semaphore) -> None:
        self._steps = steps
        self._n_folds = n_folds
        self._slots = slots
        self._gates = {step: threading.Event() for step in steps}
        self._cut = False
        self._news: queue.SimpleQueue[tuple[int, int, float] | tuple[int, FoldResult | BaseException | None]]
        self._news = queue.SimpleQueue()
        self.results: dict[int, FoldResult] = {}
        """What each fold that came to its end gave."""

    def run(
        self,
        work: Callable[[int, Meet], FoldResult],
        *,
        decide: Callable[[int, float], str | None],
        should_abandon: Callable[[], bool],
        on_end: Callable[[int, FoldResult], None],
    ) -> str | None:
        """Run all folds to their end, or to the step at which they are cut.

        Args:
            work: Fits and scores one fold; called in its thread.
            decide: Called with a step and the mean score over all folds there; a word ends the trial.
            should_abandon: Asked all the time; True leaves the folds to themselves.
            on_end: Called as each fold ends.

        Returns:
            The word of ``decide``, ``"abandoned"``, ``"failed"``, or None when all folds came to their end.
        """
        threads = Threads(self._n_folds)
        reached: dict[int, dict[int, float]] = {step: {} for step in self._steps}
        running, word = set(range(self._n_folds)), None
        try:
            for fold in range(self._n_folds):
                threads.submit(lambda fold=fold: self._one(fold, work))  # type: ignore[misc]
            while running:
                try:
                    news = self._news.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    news = None
                if should_abandon():
                    return "abandoned"
                if news is None:
                    continue
                if len(news) == 3:
                    fold, step, score = news
                    reached[step][fold] = score
                else:
                    fold, result = news
                    running.discard(fold)
                    if isinstance(result, BaseException):
                        raise result
                    if result is not None:
                        self.results[fold] = result
                        on_end(fold, result)
                        if result.error is not None and word is None:
                            word = "failed"
                            self._end()
                if word is None and running:
                    word = self._decided(reached, decide)
            return word
        finally:
            self._end()
            threads.close()

    def _decided(
        self, reached: dict[int, dict[int, float]], decide: Callable[[int, float], str | None]
    ) -> str | None:
        """Open the steps at which all folds are; a fold that came to its end counts with its last score."""
        for step in self._steps:
            there = reached[step]
            if self._gates[step].is_set() or not there:
                continue
            ended = [r.score for fold, r in self.results.items() if fold not in there]
            scores = [*there.values(), *(math.nan if s is None else s for s in ended)]
            if len(scores) < self._n_folds:
                continue
            mean = fmean(scores)
            word = decide(step, mean) if math.isfinite(mean) else None
            if word is not None:
                self._end()
                return word
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
            with self._slots:
                if not self._cut:
                    result = work(fold, lambda step, score: self._meet(fold, step, score))
        except CutError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by run
            result = error
        self._news.put((fold, result))

    def _meet(self, fold: int, step: int, score: float) -> None:
        self._slots.release()
        try:
            self._news.put((fold, step, score))
            self._gates[step].wait()
        finally:
            self._slots.acquire()
        if self._cut:
            raise CutError

"""The folds of one trial: in step with each other, or a few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from sllmbo_magic.evaluation.fold_fit import FoldResult
from sllmbo_magic.evaluation.fold_scheduler import Decisions
from sllmbo_magic.evaluation.fold_scheduler import FoldScheduler
from sllmbo_magic.evaluation.threads import Threads


class Folds:
    """Work for FoldScheduler that counts how many of it run at a time."""

    def __init__(self, steps: tuple[int, ...] = (4, 12), fail: int | None = None) -> None:
        self.steps = steps
        self.fail = fail
        self.now = 0
        self.most = 0
        self.log: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def __call__(self, fold: int, meet: Callable[[int, float], None]) -> FoldResult:
        for step in self.steps:
            self._work()
            if self.fail == fold:
                return FoldResult(None, error="fit-failed")
            self.log.append((fold, step))
            meet(step, float(10 * step + fold))
        self._work()
        self.log.append((fold, 100))
        return FoldResult(float(fold))

    def _work(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.005)
        with self._lock:
            self.now -= 1


class AtStep(Decisions):
    """Decides at the steps only."""

    def __init__(self, decide: Callable[[int, float], str | None]) -> None:
        self.at_step = decide  # type: ignore[method-assign]


def scheduled(
    work: Any,
    n_folds: int,
    permits: int | threading.Semaphore,
    decide: Callable[[int, float], str | None] = lambda step, mean: None,
    abandon: Callable[[], bool] = lambda: False,
) -> tuple[str | None, FoldScheduler]:
    """Folds that meet at the steps 4 and 12."""
    threads = Threads(n_folds)
    if isinstance(permits, int):
        permits = threading.Semaphore(permits)
    folds = FoldScheduler(n_folds, threads.submit, steps=(4, 12), permits=permits)
    try:
        reason = folds.run(work, AtStep(decide), should_abandon=abandon, on_end=lambda fold, result: None)
    finally:
        threads.close()
    return reason, folds


def test_all_folds_meet_at_each_step_and_only_so_many_work_at_a_time() -> None:
    work, means = Folds(), []

    def decide(step: int, mean: float) -> str | None:
        assert [s for _, s in work.log].count(step) == 5, "all folds are there"
        means.append((step, mean))
        return None

    word, folds = scheduled(work, 5, 2, decide)
    assert word is None
    assert means == [(4, 42.0), (12, 122.0)]
    assert [folds.results[i].score for i in range(5)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert work.most == 2


def test_one_decision_ends_all_folds_and_gives_the_permits_back() -> None:
    slots = threading.Semaphore(2)
    work = Folds()
    word, folds = scheduled(work, 4, slots, lambda step, mean: "pruned" if step == 12 else None)
    assert word == "pruned"
    assert folds.results == {}
    assert not any(step == 100 for _, step in work.log)
    assert slots.acquire(timeout=5)
    assert slots.acquire(timeout=5)


def test_a_fold_that_fails_ends_the_others() -> None:
    word, folds = scheduled(Folds(fail=1), 4, 2)
    assert word == "failed"
    assert [fold for fold, result in folds.results.items() if result.error] == [1]


def test_a_fold_that_came_to_its_end_counts_with_its_score() -> None:
    def work(fold: int, meet: Callable[[int, float], None]) -> FoldResult:
        if fold > 0:
            meet(4, 1.0)
        return FoldResult(4.0)

    seen: list[float] = []
    word, _ = scheduled(work, 3, 1, lambda step, mean: seen.append(mean))
    assert (word, seen) == (None, [2.0])


def test_an_abandoned_trial_waits_for_no_fold() -> None:
    hold = threading.Event()

    def work(fold: int, meet: Callable[[int, float], None]) -> FoldResult:
        hold.wait(30)
        return FoldResult(1.0)

    word, _ = scheduled(work, 3, 2, abandon=lambda: True)
    hold.set()
    assert word == "abandoned"


def test_a_bug_in_a_fold_is_raised() -> None:
    def work(fold: int, meet: Callable[[int, float], None]) -> FoldResult:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        scheduled(work, 2, 2)


def test_two_trials_at_once_share_the_permits_and_do_not_block_each_other() -> None:
    slots, work, words = threading.Semaphore(2), Folds(), []

    def one() -> None:
        words.append(scheduled(work, 3, slots)[0])

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert words == [None, None, None]
    assert work.most <= 2


# Without steps


class Log(Decisions):
    """Logs when it is asked, and ends the trial after a fold."""

    def __init__(self, end_after: int | None = None) -> None:
        self.log: list[str] = []
        self.end_after = end_after

    def before_fold(self) -> str | None:
        self.log.append("before")
        return None

    def after_fold(self, fold: int, result: FoldResult) -> str | None:
        self.log.append(f"after {fold}")
        return "pruned" if fold == self.end_after else None


def without_steps(
    work: Callable[[int], FoldResult], decisions: Decisions, n_folds: int = 4, at_once: int = 1
) -> tuple[str | None, FoldScheduler]:
    threads = Threads(at_once)
    folds = FoldScheduler(n_folds, threads.submit, at_once=at_once)
    try:
        reason = folds.run(
            lambda fold, meet: work(fold),
            decisions,
            should_abandon=lambda: False,
            on_end=lambda fold, result: None,
        )
    finally:
        threads.close()
    return reason, folds


def test_folds_start_in_their_order_and_only_so_many_at_once() -> None:
    started: list[int] = []
    both = threading.Barrier(2, timeout=30)

    def work(fold: int) -> FoldResult:
        started.append(fold)
        both.wait()  # two work at a time
        assert len(folds.running) <= 2
        return FoldResult(float(fold))

    threads = Threads(4)
    folds = FoldScheduler(4, threads.submit, at_once=2)

    reason = folds.run(
        lambda fold, meet: work(fold), Log(), should_abandon=lambda: False, on_end=lambda fold, result: None
    )
    threads.close()
    assert reason is None
    assert set(started[:2]) == {0, 1}
    assert {fold: result.score for fold, result in folds.results.items()} == {0: 0, 1: 1, 2: 2, 3: 3}
    assert folds.running == set()


def test_a_decision_after_a_fold_starts_no_further_ones() -> None:
    decisions = Log(end_after=1)
    reason, folds = without_steps(lambda fold: FoldResult(0.0), decisions)
    assert (reason, sorted(folds.results)) == ("pruned", [0, 1])
    assert [entry for entry in decisions.log if entry != "before"] == ["after 0", "after 1"]


def test_a_failed_fold_does_not_hide_the_decision_about_one_in_flight() -> None:
    """Which of two folds ends first is a matter of timing; the outcome is not."""
    failed = threading.Event()

    def work(fold: int) -> FoldResult:
        if fold == 1:
            return FoldResult(None, error="fit-failed")
        assert failed.wait(30)
        return FoldResult(0.0)

    threads = Threads(2)
    folds = FoldScheduler(3, threads.submit, at_once=2)
    reason = folds.run(
        lambda fold, meet: work(fold),
        Log(end_after=0),
        should_abandon=lambda: False,
        on_end=lambda fold, result: failed.set() if result.error else None,
    )
    threads.close()
    assert (reason, sorted(folds.results)) == ("pruned", [0, 1])


def test_a_decision_before_the_first_fold_starts_none() -> None:
    class Stopped(Decisions):
        def before_fold(self) -> str | None:
            return "stopped"

    reason, folds = without_steps(lambda fold: FoldResult(0.0), Stopped())
    assert (reason, folds.results) == ("stopped", {})


def test_what_a_fold_raises_leaves_the_others_to_themselves() -> None:
    hold = threading.Event()

    def work(fold: int) -> FoldResult:
        if fold == 1:
            raise KeyboardInterrupt
        hold.wait(30)
        return FoldResult(0.0)

    threads = Threads(2)
    folds = FoldScheduler(2, threads.submit)
    with pytest.raises(KeyboardInterrupt):
        folds.run(
            lambda fold, meet: work(fold),
            Decisions(),
            should_abandon=lambda: False,
            on_end=lambda fold, result: None,
        )
    assert folds.running == {0}
    hold.set()
    threads.close()

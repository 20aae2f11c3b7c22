"""Trials in parallel: told in order, so that the same seed gives the same trials whatever the timing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import cross_validation
from sllmbo_magic.events import FoldFinished
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.tuning import executors
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.tune import plan

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}


def run(workers: int, *, naps: bool, n_trials: int = 16, **options: Any) -> Any:
    def objective(params: dict[str, float]) -> float:
        if naps:
            time.sleep(0.02 * params["x"])
        return (params["x"] - 0.3) ** 2 + (params["y"] - 0.6) ** 2

    with ThreadPoolExecutor(workers) as pool:
        return tune(
            objective,
            direction="minimize",
            search_space=SPACE,
            n_trials=n_trials,
            seed=1,
            executor=pool,
            folder="",
            **options,
        )


def test_the_same_seed_gives_the_same_trials_whatever_the_timing() -> None:
    assert [t.params for t in run(3, naps=False).trials] == [t.params for t in run(3, naps=True).trials]


def test_trials_overlap_and_are_told_in_order() -> None:
    seen: list[Any] = []
    run(3, naps=True, sinks=[seen.append])
    numbers = [e.number for e in seen if isinstance(e, TrialFinished)]
    assert numbers == sorted(numbers)
    flying, most = set(), 0
    for event in seen:
        if isinstance(event, TrialStarted):
            flying.add(event.number)
        elif isinstance(event, TrialFinished):
            flying.discard(event.number)
        most = max(most, len(flying))
    assert most == 3


@pytest.mark.parametrize("executor", ["threads:2", "processes:2"])
def test_workers_by_their_number_run_the_trials_of_an_executor(executor: str, data: Any, model: Any) -> None:
    options: dict[str, Any] = {"search_space": {"C": (0.01, 10.0, "log")}, "cv": 3, "n_trials": 6}
    options |= {"sampler": "tpe", "seed": 1, "folder": "", "verify": False}
    with ThreadPoolExecutor(2) as pool:
        theirs = tune(model, *data, executor=pool, **options)
    ours = tune(model, *data, executor=executor, **options)
    assert [(t.params, t.values) for t in ours.trials] == [(t.params, t.values) for t in theirs.trials]


@pytest.mark.parametrize("executor", ["threads", "threads:-1"])
def test_threads_without_a_number_are_as_many_as_the_cores(
    executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "cores", lambda: 3)
    pool = executors.pool_of(executor, Settings())
    assert (pool.at_once, pool.is_owned) == (3, True)


def test_an_executor_of_ones_own_says_how_many_trials_it_takes() -> None:
    class Own(Executor):
        max_workers = 5

    assert executors.pool_of(Own(), Settings()).at_once == 5
    assert executors.pool_of(ThreadPoolExecutor(3), Settings()).at_once == 3
    assert executors.pool_of(Executor(), Settings()).at_once == 2


@pytest.mark.parametrize(
    "executor", ["threads:0", "threads:two", "thread:2", "processes:1.5", "ray://h:1", "dask://"]
)
def test_an_executor_that_is_not_known_is_refused_before_the_first_trial(executor: str) -> None:
    with pytest.raises(InputError, match=r"executor '.*' is not known\. Allowed: threads:N, processes:N"):
        plan(lambda params: 1.0, direction="minimize", search_space=SPACE, executor=executor)


class Meeting(Ridge):  # type: ignore[misc]
    """Its fits end when two of them run at the same time; alone, one fails after a while."""

    barrier = threading.Barrier(2)

    def fit(self, X: Any, y: Any) -> Any:
        self.barrier.wait(30)
        return super().fit(X, y)


@pytest.mark.parametrize("executor", ["threads:2", None])
def test_trials_at_once_have_a_core_each(executor: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on a ThreadPoolExecutor shared one thread for all their folds."""
    monkeypatch.setattr(cross_validation, "cores", lambda: 2)
    X, y = make_regression(40, 2, random_state=0)
    space = {"alpha": (0.1, 1.0)}
    options: dict[str, Any] = {"n_trials": 3, "seed": 0, "folder": "", "verify": False, "sampler": "random"}
    with ThreadPoolExecutor(2) as pool:
        result = tune(Meeting(), X, y, search_space=space, cv=2, executor=executor or pool, **options)
    assert all(trial.values for trial in result.trials)


@pytest.mark.parametrize("executor", ["threads:2", "processes:2"])
def test_the_folds_of_trials_at_once_are_shown_before_the_trial_ends(
    executor: str, data: Any, model: Any
) -> None:
    seen: list[Any] = []
    options: dict[str, Any] = {"search_space": {"C": (0.01, 10.0, "log")}, "cv": 3, "n_trials": 4}
    options |= {"sampler": "tpe", "seed": 1, "folder": "", "verify": False, "executor": executor}
    tune(model, *data, sinks=[seen.append], **options)
    for number in range(4):
        of_trial = [event for event in seen if getattr(event, "number", None) == number]
        kinds = [type(event) for event in of_trial]
        assert kinds == [TrialStarted, FoldFinished, FoldFinished, FoldFinished, TrialFinished]
        assert {event.fold for event in of_trial[1:4]} == {0, 1, 2}


class Slow(Ridge):  # type: ignore[misc]
    """Its fits last until the test ends, but for the default's."""

    began = threading.Event()
    gate = threading.Event()

    def fit(self, X: Any, y: Any) -> Any:
        if self.alpha != 1.0:
            self.began.set()
            self.gate.wait(60)
        return super().fit(X, y)


@pytest.mark.timeout(50)
def test_a_second_interrupt_waits_for_no_fit_of_trials_at_once() -> None:
    X, y = make_regression(40, 2, random_state=0)
    control = Control()

    def interrupt_twice() -> None:
        Slow.began.wait(30)
        control.interrupt()
        control.interrupt()

    impatient = threading.Thread(target=interrupt_twice)
    impatient.start()
    try:
        result = tune(
            Slow(), X, y, search_space={"alpha": (2.0, 3.0)}, executor="threads:2", n_trials=9, seed=0, cv=2,
            folder="", control=control, sampler="random",
        )  # fmt: skip
        assert not Slow.gate.is_set()
    finally:
        Slow.gate.set()
        impatient.join(30)
    assert result.status == "interrupted"


def test_stop_keeps_what_is_done() -> None:
    control = Control()

    def sink(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.number == 5:
            control.wish("stop")

    result = run(3, naps=True, n_trials=1000, control=control, sinks=[sink])
    assert result.status == "stopped"
    assert 6 <= len([t for t in result.trials if t.values]) < 12


def test_an_objective_that_suggests_runs_in_threads_too() -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", 0.0, 1.0) ** 2)

    with ThreadPoolExecutor(2) as pool:
        result = tune(objective, direction="minimize", n_trials=6, seed=1, executor=pool, folder="")
    assert all("x" in t.params and t.values for t in result.trials)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("sampler", ["tpe", "llm-tpe"])
def test_patience_ends_a_run_of_trials_at_once_after_those_in_flight(workers: int, sampler: str) -> None:
    with ThreadPoolExecutor(workers) as pool:
        result = tune(
            lambda params: 1.0,
            direction="minimize",
            search_space=SPACE,
            n_trials=40,
            patience=5,
            sampler=sampler,
            seed=1,
            executor=pool,
            folder="",
        )
    # the first trial, five that are no better, and those that ran beside the last of these
    assert len(result.trials) == 6 + workers - 1
    assert "patience 5" in result.summary["reason"]
    assert all(trial.values for trial in result.trials)


def test_a_better_score_in_flight_keeps_a_run_of_trials_at_once_going() -> None:
    def objective(trial: Any) -> float:
        trial.suggest_float("x", 0.0, 1.0)
        return 0.0 if trial.number == 4 else 1.0  # it runs when trials 1 to 3 were no better

    options: dict[str, Any] = {"n_trials": 20, "patience": 3, "sampler": "random", "seed": 1, "folder": ""}
    result = tune(objective, direction="minimize", executor="threads:2", **options)
    assert result.best_trial.number == 4
    assert len(result.trials) == 4 + 1 + 3 + 1

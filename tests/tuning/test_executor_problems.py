"""An executor that can run nothing just now: one line says so, and the run waits, stops or ends as told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import Future
from typing import Any

import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.events import Note
from sllmbo_magic.tuning import evaluations


class Cluster(Executor):
    """Runs a call at once, but for those that come while it has no worker: these wait until it has one.

    Args:
        without_worker: How often it says that it has none.
        from_call: The first call that finds no worker.
    """

    _max_workers = 1

    def __init__(self, without_worker: float = 0, from_call: int = 2) -> None:
        self._left = without_worker
        self._from_call = from_call
        self._calls = 0
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls += 1
        self._waiting.append((future, lambda: function(*args, **options)))
        if self._calls < self._from_call:
            self._work()
        return future

    def problem(self) -> str:
        if self._calls < self._from_call:
            return ""
        if self._left > 0:
            self._left -= 1
            return "the Dask cluster has no worker."
        self._work()
        return ""

    def _work(self) -> None:
        for future, call in self._waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(call())
        self._waiting.clear()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(evaluations, "_PROBLEM_SECONDS", 0.0)


def objective(params: Any) -> float:
    return float(params["x"])


def run(cluster: Cluster, **options: Any) -> TuneResult:
    shared = {"direction": "minimize", "search_space": {"x": (0.0, 1.0)}, "n_trials": 3, "folder": ""}
    return tune(objective, executor=cluster, sampler="random", seed=0, **{**shared, **options})


def notes(result: TuneResult) -> list[str]:
    return [e.text for e in result.events if isinstance(e, Note) and "Dask cluster" in e.text]


def test_a_run_without_workers_says_so_once_and_waits_for_one() -> None:
    result = run(Cluster(without_worker=5))
    assert result.status == "finished"
    assert [t.state.name for t in result.trials] == ["COMPLETE"] * 3
    (said,) = notes(result)
    assert said.startswith("The Dask cluster has no worker. Trials wait until that is mended; a stop or the")


def test_a_stop_ends_a_run_that_waits_for_workers() -> None:
    control = Control()

    def stop(event: Any) -> None:
        if isinstance(event, Note) and "no worker" in event.text:
            control.wish("stop")

    result = run(Cluster(without_worker=float("inf")), control=control, sinks=[stop])
    assert result.status == "stopped"
    assert [t.state.name for t in result.trials if t.state.name == "COMPLETE"] == ["COMPLETE"]
    assert len(notes(result)) == 1


def test_the_time_limit_ends_a_run_that_waits_for_workers() -> None:
    result = run(Cluster(without_worker=float("inf")), timeout=0.3)
    assert result.status == "finished"
    assert "time limit" in result.summary["reason"]


def test_an_executor_without_problems_of_its_own_is_not_asked() -> None:
    cluster = Cluster()
    cluster.problem = None  # type: ignore[assignment, method-assign]
    cluster._from_call = 100
    assert len(run(cluster).trials) == 3

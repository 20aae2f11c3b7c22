"""Trials in parallel: told in order, so that the same seed gives the same trials whatever the timing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted

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

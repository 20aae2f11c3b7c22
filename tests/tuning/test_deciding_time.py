"""The time spent on deciding stands beside that of the fits: in events, bundle, summary and closing text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning import loop
from sllmbo_magic.tuning import trials
from tests.replies import Responder


class Clock:
    """A clock that goes on only when something says that it takes time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.n_readings = 0

    def perf_counter(self) -> float:
        now = self.now
        self.n_readings += 1
        return now

    def wait_until_read(self, times: int) -> None:
        """Return when it was read so often, for instance by another thread."""
        deadline = time.monotonic() + 30
        while self.n_readings < times:
            assert time.monotonic() < deadline, f"read {self.n_readings} times, not {times}"
            time.sleep(0.001)


class SlowSampler(RandomSampler):
    """Needs 3 s for each configuration."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(seed=0)
        self._clock = clock

    def sample_relative(self, *args: Any) -> dict[str, Any]:
        self._clock.now += 3.0
        return super().sample_relative(*args)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (loop, trials):
        monkeypatch.setattr(module, "perf_counter", clock.perf_counter)
    return clock


def run(clock: Clock, sampler: Any = None, **options: Any) -> TuneResult:
    def objective(params: Any) -> float:
        clock.now += 100.0  # not part of deciding
        return float(params["x"])

    shared = {"direction": "minimize", "search_space": {"x": (0.0, 1.0)}, "n_trials": 4, "folder": ""}
    sampler = SlowSampler(clock) if sampler is None else sampler
    return tune(objective, sampler=sampler, **{**shared, **options})


def test_each_trial_says_how_long_its_configuration_took_and_the_end_adds_it_up(clock: Clock) -> None:
    result = run(clock)
    started = [e.deciding_seconds for e in result.events if isinstance(e, TrialStarted)]
    assert started == [3.0] * 4
    assert result.summary["deciding_seconds"] == 12.0
    evaluated = sum(e.seconds for e in result.events if isinstance(e, TrialFinished))
    assert result.summary["fit_seconds"] == pytest.approx(evaluated, abs=0.01)
    assert result.bundle()["cost"]["deciding_seconds"] == 12.0
    assert "Choosing configurations took 12 s, evaluating them " in result.summary["text"]


def test_a_resumed_run_adds_up_all_of_its_processes(clock: Clock, tmp_path: Path) -> None:
    options = {"name": "r", "folder": tmp_path, "n_trials": 2}
    run(clock, **options)
    resumed = run(clock, **{**options, "n_trials": 5}, resume=True)
    assert resumed.summary["deciding_seconds"] == 15.0


def test_the_first_configurations_of_an_llm_are_waited_for_and_count(clock: Clock) -> None:
    answer = Responder(2)

    def slow(*args: Any, **options: Any) -> Any:
        clock.wait_until_read(3)  # before and after trial 0 is asked for, and where the loop begins to wait
        clock.now += 7.0
        return answer(*args, **options)

    result = run(clock, "llm-tpe", llm=FunctionProvider(slow), init="llm", n_trials=2)
    started = [e.deciding_seconds for e in result.events if isinstance(e, TrialStarted)]
    assert started[0] < 7.0 <= started[1]


def test_an_objective_that_suggests_for_itself_is_no_deciding(clock: Clock) -> None:
    def objective(trial: optuna.Trial) -> float:
        clock.now += 50.0
        return trial.suggest_float("x", 0.0, 1.0)

    result = tune(objective, direction="minimize", n_trials=3, sampler="random", folder="")
    assert result.summary["deciding_seconds"] == 0.0
    assert "Choosing" not in result.summary["text"]

"""A joined program on another machine that dies: its trial runs again, once; a living one keeps its trial."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.events import Note
from sllmbo_magic.storage.runs import take_over
from sllmbo_magic.tuning import heartbeat
from sllmbo_magic.tuning.heartbeat import MISSED
from sllmbo_magic.tuning.heartbeat import Heartbeat

ROOT = str(Path(__file__).parents[2])
HERE = {"host": "here", "root": "r", "folder": "shared"}
FAR = {"host": "far", "root": "q", "folder": "shared"}
SPACE: dict[str, Any] = {"search_space": {"x": (-5.0, 5.0)}, "direction": "minimize", "name": "shared"}
CODE = """
import socket, sys
sys.path.insert(0, {root!r})
socket.gethostname = lambda: "far"
from sllmbo_magic import tune
from sllmbo_magic.tuning import heartbeat
from tests.tuning.test_heartbeat import SPACE, parabola

heartbeat.EVERY = {every}
tune(parabola, join=True, n_trials=9, seed=1, storage="journal:shared.log", folder="far", **SPACE)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parabola(params: dict[str, float]) -> float:
    """As slow as the environment says; notes its calls in the working directory."""
    with Path("calls").open("a") as file:
        file.write(f"{os.getpid()} {params['x']!r}\n")
    time.sleep(float(os.environ.get("SECONDS_OF_A_TRIAL", "0.1")))
    return (params["x"] - 1.0) ** 2


class Clock:
    """Seconds that a test sets."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


def looks(observer: Heartbeat, clock: Clock, n: int, seconds: float = 30.0) -> None:
    for _ in range(n):
        clock.seconds += seconds
        observer.look()


def watched(skew: float = 0.0) -> tuple[optuna.Study, Heartbeat, Clock, Heartbeat]:
    """A study, its observer with a clock, and a program far away that has renewed its stamp once."""
    study, clock = optuna.create_study(), Clock(1e6)
    far = Heartbeat(study, FAR, clock=Clock(1e6 + skew))
    far.beat()
    observer = Heartbeat(study, HERE, clock=clock)
    observer.look()
    return study, observer, clock, far


# --- who is dead ----------------------------------------------------------------------------------------


def test_a_program_that_misses_its_renewals_is_dead_and_not_before() -> None:
    _, observer, clock, far = watched()
    looks(observer, clock, MISSED - 1)
    assert not observer.is_dead(FAR)
    looks(observer, clock, 1)
    assert observer.is_dead(FAR)
    far.beat()  # it was only suspended
    observer.look()
    assert not observer.is_dead(FAR)


@pytest.mark.parametrize("skew", [-1e5, 1e5])
def test_clocks_of_two_machines_may_differ(skew: float) -> None:
    _, observer, clock, far = watched(skew)
    for _ in range(3 * MISSED):
        far.beat()
        looks(observer, clock, 1)
    assert not observer.is_dead(FAR)
    looks(observer, clock, MISSED)
    assert observer.is_dead(FAR)


def test_a_gap_of_the_observer_is_no_silence_of_the_other() -> None:
    """The storage was away, or the observer's machine was suspended."""
    _, observer, clock, _ = watched()
    looks(observer, clock, 3, seconds=1e5)
    assert not observer.is_dead(FAR)


def test_who_never_had_a_stamp_is_not_dead() -> None:
    _, observer, clock, _ = watched()
    looks(observer, clock, 3 * MISSED)
    assert not observer.is_dead({**FAR, "folder": "another"})
    assert not observer.is_dead(None)
    assert not observer.is_dead({})
    assert not observer.is_dead(HERE), "itself"


def test_the_interval_is_that_of_the_program_which_renews() -> None:
    study, clock = optuna.create_study(), Clock(0.0)
    Heartbeat(study, FAR, every=600.0).beat()
    observer = Heartbeat(study, HERE, every=1.0, clock=clock)
    observer.look()
    looks(observer, clock, 5 * MISSED, seconds=60.0)
    assert not observer.is_dead(FAR)
    looks(observer, clock, 5 * MISSED, seconds=60.0)
    assert observer.is_dead(FAR)


def test_a_thread_renews_the_stamp_also_after_the_storage_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    write = study._storage.set_study_system_attr
    n_calls, renewed = 0, threading.Event()

    def flaky(*args: Any, **options: Any) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls in (2, 3):
            raise ConnectionError
        write(*args, **options)
        if n_calls > 4:
            renewed.set()

    monkeypatch.setattr(study._storage, "set_study_system_attr", flaky)
    with Heartbeat(study, FAR, every=0.01):
        assert renewed.wait(60)
    (stamp,) = study._storage.get_study_system_attrs(study._study_id).values()
    assert stamp["n"] > 4


# --- its trial ------------------------------------------------------------------------------------------


def test_of_several_programs_one_takes_a_trial_over() -> None:
    study = optuna.create_study()
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    trial.set_user_attr(attrs.OWNER, FAR)
    trial.set_user_attr(attrs.SOURCE, "tpe")
    (frozen,) = study.get_trials()
    assert [take_over(study, frozen), take_over(study, frozen)] == [True, False]
    ended, queued = study.get_trials()
    assert ended.state == TrialState.FAIL
    assert ended.user_attrs[attrs.EVALUATION] == {"error": attrs.STOPPED}
    assert queued.state == TrialState.WAITING
    assert queued.system_attrs["fixed_params"] == trial.params
    assert queued.user_attrs == {attrs.SOURCE: "tpe"}


def test_a_program_whose_trial_was_taken_over_goes_on() -> None:
    """It was suspended for so long that it was taken for dead."""
    events: list[Any] = []

    def objective(params: dict[str, float]) -> float:
        study = optuna.load_study(study_name="shared", storage=storage())
        if len(study.trials) == 3:
            assert take_over(study, study.trials[2])
        return params["x"] ** 2

    options: dict[str, Any] = {"storage": "journal:shared.log", "sinks": [events.append], **SPACE}
    result = tune(objective, join=True, n_trials=6, seed=1, **options)
    states = [trial.state.name for trial in result.study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert result.study.trials[3].params == result.study.trials[2].params
    texts = [event.text for event in events if isinstance(event, Note)]
    assert any(text.startswith("Trial 2 was taken over by another program") for text in texts)


def storage() -> JournalStorage:
    return JournalStorage(JournalFileBackend("shared.log"))


def far_away(child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch, every: float) -> Popen[str]:
    """A program on another machine, in a trial that takes for ever; it renews its stamp so often."""
    monkeypatch.setattr(heartbeat, "EVERY", 0.1)
    monkeypatch.setenv("SECONDS_OF_A_TRIAL", "600")
    process = child(CODE.format(root=ROOT, every=every))
    monkeypatch.delenv("SECONDS_OF_A_TRIAL")
    while not Path("calls").exists() or not Path("calls").read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_the_trial_of_a_machine_that_died_runs_again_once(
    child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = far_away(child, monkeypatch, every=0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    events: list[Any] = []
    lost = optuna.load_study(study_name="shared", storage=storage()).trials[0]

    def stop_two_trials_later(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        earlier = study.trials[1:-2]
        if lost.params in [one.params for one in earlier if one.state == TrialState.COMPLETE]:
            study.stop()

    result = tune(
        parabola, join=True, n_trials=200, seed=1, storage="journal:shared.log", sinks=[events.append],
        callbacks=[stop_two_trials_later], **SPACE,
    )  # fmt: skip
    trials = result.study.trials
    states = Counter(trial.state.name for trial in trials)
    assert states == {"FAIL": 1, "COMPLETE": len(trials) - 1}
    assert len(trials) < 200
    assert trials[0].state == TrialState.FAIL
    again = [trial for trial in trials[1:] if trial.params == lost.params]
    assert len(again) == 1
    owners = [trial.user_attrs[attrs.OWNER]["host"] for trial in (trials[0], again[0])]
    assert owners[0] == "far" != owners[1]
    texts = [event.text for event in events if isinstance(event, Note)]
    assert texts.count("Trial 0 runs again: the program that evaluated it no longer answers.") == 1


def test_the_trial_of_a_slow_machine_that_lives_is_left_alone(
    child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    far_away(child, monkeypatch, every=0.5)
    began = time.monotonic()

    def stop(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if time.monotonic() - began > 1.5 * 0.5 * MISSED:  # long enough to miss them all
            study.stop()

    result = tune(
        parabola, join=True, n_trials=200, seed=1, storage="journal:shared.log", callbacks=[stop], **SPACE
    )
    states = Counter(trial.state.name for trial in result.study.trials)
    assert states == {"RUNNING": 1, "COMPLETE": len(result.study.trials) - 1}
    assert result.study.trials[0].state == TrialState.RUNNING

"""Isolated trials: fits that crash, hang or are killed cost one trial; devices are shared out."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.base import CATEGORIES
from sllmbo_magic.events import Event
from sllmbo_magic.events import FoldFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.tuning import isolation
from sllmbo_magic.tuning.devices import devices_of
from sllmbo_magic.tuning.devices import free_device
from tests.estimators import AtStart
from tests.estimators import Ending
from tests.estimators import EndingLater
from tests.estimators import OnDevice
from tests.estimators import Shift
from tests.estimators import UnpickledHereOnly
from tests.marks import long

X = np.zeros((20, 2))
Y = np.linspace(0.0, 1.0, 20)
SPACE = {"way": ["well", "exit", "segfault", "kill", "hang"]}


def run(*args: Any, **options: Any) -> Any:
    defaults: dict[str, Any] = {"sampler": "random", "seed": 0, "folder": "", "verify": False}
    if len(args) > 1:  # an estimator with its data
        defaults["cv"] = 2
    return tune(*args, **{**defaults, **options})


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_each_way_to_die_costs_one_trial_and_its_reason_is_kept() -> None:
    ways = ["segfault", "exit", "kill", "hang", "well"]
    result = run(
        Ending(), X, Y, search_space=SPACE, n_trials=6, isolate=True, trial_timeout=4.0,
        enqueue=[{"way": way} for way in ways],
    )  # fmt: skip
    trials = result.study.trials
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "FAIL", "FAIL", "FAIL", "COMPLETE"]
    stored = [t.user_attrs["sllmbo:evaluation"] for t in trials]
    assert [e.get("error") for e in stored[1:5]] == ["process-died"] * 3 + ["timeout"]
    causes = [e["cause"] for e in stored[1:5]]
    assert causes[0] == "the process of the trial crashed (SIGSEGV)"
    assert causes[1] == "the process of the trial crashed (exit code 3)"
    assert causes[2] == "the process of the trial was killed (SIGKILL)"
    assert "trial_timeout=4 s" in causes[3]
    assert "process-died" in CATEGORIES
    assert result.best_value == trials[0].value  # the scores before and after are those of the fits


def test_scores_and_trials_are_those_of_a_run_without_isolation() -> None:
    options = {"search_space": {"shift": (-1.0, 1.0)}, "n_trials": 5, "sampler": "tpe"}
    events: list[Event] = []
    apart = run(Shift(), X, Y, isolate=True, sinks=[events.append], **options)
    plain = run(Shift(), X, Y, **options)
    assert [t.params for t in apart.study.trials] == [t.params for t in plain.study.trials]
    assert [t.values for t in apart.study.trials] == [t.values for t in plain.study.trials]
    assert sum(isinstance(event, FoldFinished) for event in events) == 10


@pytest.mark.parametrize(
    ("select", "way", "why"),
    [
        ("best", "exit", "a fit failed there: the process of the trial crashed (exit code 3)"),
        ("recheck", "hang", "a fit failed there: it took longer than the time limit of a trial"),
        long("best", "hang", "a fit failed there: it took longer than the time limit of a trial"),
    ],
)
def test_a_fit_that_dies_in_the_closing_check_ends_the_check_only(
    tmp_path: Path, select: str, way: str, why: str
) -> None:
    file = tmp_path / "searched"

    def search_ends(study: optuna.Study, trial: Any) -> None:
        if trial.number == 2:
            file.touch()

    result = run(
        EndingLater(shift=0.5, file=str(file)), X, Y, n_trials=3,
        search_space={"way": [way], "shift": (-1.0, 1.0)}, isolate=True, trial_timeout=2.0,
        verify=select == "best", select=select, callbacks=[search_ends],
        enqueue=[{"way": way, "shift": 0.0}, {"way": way, "shift": 0.1}], X_test=X, y_test=Y,
    )  # fmt: skip
    assert [t.state.name for t in result.study.trials] == ["COMPLETE"] * 3
    if select == "recheck":
        assert why in result.summary["selection"]["text"]
        return
    check = result.summary["verification"]
    assert check["verdict"] == "unknown"
    assert check["text"].startswith(
        f"The gain could not be checked on folds, since {why}. The test data could"
    )


def test_the_closing_check_in_processes_finds_what_it_finds_in_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One process makes all its fits: each that starts costs seconds, for what it imports."""
    started = []

    class Counted(isolation._Child):
        def __init__(self, *args: Any) -> None:
            started.append(self)
            super().__init__(*args)

    monkeypatch.setattr(isolation, "_Child", Counted)
    options = {"search_space": {"shift": [0.0, 1.0]}, "enqueue": [{"shift": 0.0}], "n_trials": 2}
    options |= {"verify": True, "X_test": X, "y_test": Y}
    apart, plain = (run(Shift(0.5), X, Y, isolate=isolate, **options) for isolate in (True, False))
    assert plain.summary["verification"]["test_interval"] is not None
    assert apart.summary["verification"] == plain.summary["verification"]
    assert len(started) == 2, "one for the trials, one for the check"
    assert not [child for child in started if child.alive]


@pytest.mark.parametrize("select", ["best", long("recheck")])
def test_the_fits_of_the_closing_check_have_a_device_too(select: str) -> None:
    result = run(
        OnDevice(0.5), X, Y, search_space={"shift": [0.0, 0.1, 0.5]}, n_trials=3, isolate=True,
        devices="cuda:3,7", enqueue=[{"shift": 0.0}, {"shift": 0.1}], select=select, verify=True,
        X_test=X, y_test=Y,
    )  # fmt: skip
    assert [t.state.name for t in result.study.trials] == ["COMPLETE"] * 3
    check = result.summary["verification"]
    assert (check["n_folds"] > 0, check["test_best"] is not None) == (True, True)
    if select == "recheck":
        assert result.summary["selection"]["n_folds"] > 0


@pytest.mark.parametrize("how", ["isolate", long("processes:2"), "a pool"])
def test_a_process_that_cannot_load_the_estimator_says_why(how: str) -> None:
    """Its class may have been renamed since it was imported; the process ended with exit code 1."""
    options: dict[str, Any] = {"search_space": {"shift": (0.0, 1.0)}, "n_trials": 8}
    model = UnpickledHereOnly(os.getpid())
    if how == "a pool":
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            result = run(model, X, Y, executor=pool, **options)
    elif how == "isolate":
        result = run(model, X, Y, isolate=True, **options)
    else:
        result = run(model, X, Y, executor=how, **options)
    assert result.status == "failed"
    cause = result.failures[0]["cause"]
    assert cause == (
        "the process of the trial could not load what is tuned: AttributeError: Can't get attribute 'Mine' on"
        " <module 'mine'>"
    )
    assert cause in result.summary["reason"]


def test_an_objective_asks_the_trial_in_the_process_of_the_run() -> None:
    here = os.getpid()

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr("elsewhere", os.getpid() != here)
        trial.report(x, 0)
        if trial.should_prune():
            raise optuna.TrialPruned
        if trial.number == 2:
            os._exit(1)
        return x + len(trial.params)

    result = run(objective, direction="minimize", n_trials=4, isolate=True)
    trials = result.study.trials
    assert [t.state.name for t in trials] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert all(t.user_attrs["elsewhere"] for t in trials)
    assert trials[0].intermediate_values == {0: trials[0].params["x"]}
    assert trials[0].value == pytest.approx(1 + trials[0].params["x"])


def test_errors_of_an_isolated_objective_are_its_own() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 1.0, 0.0)
        return 0.0

    result = run(objective, direction="minimize", n_trials=1, isolate=True)
    (trial,) = result.study.trials
    evaluation = trial.user_attrs["sllmbo:evaluation"]
    assert (evaluation["error"], evaluation["error_class"]) == ("fit-failed", "ValueError")


def test_a_second_interrupt_ends_a_fit_that_hangs() -> None:
    control = Control()

    def stop(event: Event) -> None:
        if type(event).__name__ == "TrialStarted" and event.number == 1:  # type: ignore[attr-defined]
            control.interrupt()
            control.interrupt()

    result = run(
        Ending(), X, Y, search_space=SPACE, enqueue=[{"way": "hang"}], n_trials=3, isolate=True,
        control=control, sinks=[stop],
    )  # fmt: skip
    assert result.status == "interrupted"
    assert [t.state.name for t in result.study.trials][:2] == ["COMPLETE", "FAIL"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupt_that_reaches_a_process_while_it_starts_costs_no_trial() -> None:
    result = run(AtStart("interrupt"), X, Y, search_space={"shift": (0.0, 1.0)}, n_trials=1, isolate=True)
    assert [t.state.name for t in result.study.trials] == ["COMPLETE"]


def test_a_start_that_an_interrupt_ended_is_run_again_by_a_resume(tmp_path: Path) -> None:
    control, file = Control(), tmp_path / "file"
    options = {"search_space": {"shift": (0.0, 1.0)}, "isolate": True, "folder": tmp_path, "name": "a"}

    def stop(event: Event) -> None:
        if isinstance(event, TrialStarted):
            control.interrupt()
            file.touch()

    model = AtStart(str(file))
    cut_off = run(model, X, Y, n_trials=1, control=control, sinks=[stop], **options)
    assert [t.user_attrs["sllmbo:evaluation"]["error"] for t in cut_off.study.trials[:1]] == ["stopped"]
    file.unlink()
    result = run(model, X, Y, n_trials=1, resume=True, **options)
    assert result.summary["default_value"] is not None


def test_what_cannot_be_sent_is_said_before_the_run() -> None:
    lock = threading.Lock()

    def objective(params: dict[str, Any]) -> float:
        with lock:
            return 0.0

    with pytest.raises(InputError, match="objective cannot be sent to the process of an isolated trial"):
        run(objective, direction="minimize", search_space={"x": (0.0, 1.0)}, n_trials=1, isolate=True)


def test_processes_isolate_already() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(InputError, match="isolate has no effect"):
        run(Shift(), X, Y, search_space={"shift": (0.0, 1.0)}, executor=pool, isolate=True)


def test_threads_have_a_process_for_each_trial() -> None:
    with ThreadPoolExecutor(2) as pool:
        result = run(
            Ending(), X, Y, search_space=SPACE, n_trials=3, executor=pool, isolate=True,
            enqueue=[{"way": "exit"}, {"way": "well"}],
        )  # fmt: skip
    assert [t.state.name for t in result.study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_each_device_has_one_trial_at_a_time() -> None:
    busy: set[str] = set()
    lock = threading.Lock()
    both = threading.Barrier(2)

    def objective(trial: optuna.Trial) -> float:
        device = trial.user_attrs["device"]
        with lock:
            assert device not in busy
            busy.add(device)
        both.wait(30)  # two trials are in flight, or this breaks
        with lock:
            busy.remove(device)
        return trial.suggest_float("x", 0.0, 1.0)

    result = run(objective, direction="minimize", n_trials=6, devices="left, right")
    trials = result.study.trials
    assert [t.state.name for t in trials] == ["COMPLETE"] * 6
    assert {t.user_attrs["device"] for t in trials} == {"left", "right"}


def test_an_isolated_trial_sees_its_device_only() -> None:
    def objective(params: dict[str, Any]) -> float:
        return float(os.environ["CUDA_VISIBLE_DEVICES"])

    result = run(
        objective, direction="minimize", search_space={"x": (0.0, 1.0)}, n_trials=4, isolate=True,
        devices=["cuda:3", "7"],
    )  # fmt: skip
    seen = {t.user_attrs["device"]: t.value for t in result.study.trials}
    assert seen == {"cuda:3": 3.0, "7": 7.0}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize("bad", ["", ",", "a,,b", "a,a", ["a", "a"], [1], 3, [], {"a": 1}])
def test_devices_that_are_no_names_are_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="devices"):
        run(lambda trial: 0.0, direction="minimize", devices=bad, n_trials=1)


def test_devices_need_somebody_who_reads_them() -> None:
    space = {"shift": (0.0, 1.0)}
    with pytest.raises(InputError, match="isolated trials"):
        run(Shift(), X, Y, search_space=space, devices="a,b")
    with ThreadPoolExecutor(2) as pool, pytest.raises(InputError, match="devices and executor"):
        run(lambda trial: 0.0, direction="minimize", devices="a,b", executor=pool)


def test_the_first_free_device_is_taken() -> None:
    assert devices_of("a, b") == ("a", "b")
    assert free_device(("a", "b"), ["b", None]) == "a"
    assert free_device(("a", "b"), ["a"]) == "b"

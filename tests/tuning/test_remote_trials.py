"""Trials in the processes of an executor report, are pruned and suggest parameters as they do here."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Executor
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from typing import Any

import optuna
import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.tuning.local_channel import LocalChannel
from sllmbo_magic.tuning.remote_trial import TRIAL_METHODS
from sllmbo_magic.tuning.remote_trial import TRIAL_VALUES
from tests.marks import long

OPTIONS: dict[str, Any] = {"direction": "minimize", "seed": 0, "folder": "", "verify": False}


def suggesting(trial: optuna.Trial) -> float:
    """Trial 4 and later are worse the longer they run."""
    x = trial.suggest_float("x", 0.0, 1.0)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr("pid", os.getpid())
    trial.set_constraint("x is 0.8 at most", x - 0.8)
    for step in range(3):
        trial.report(x + step * (trial.number >= 4), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    assert trial.params == {"x": x, "kind": kind}
    assert trial.constraints == {"x is 0.8 at most": x - 0.8}
    return x


def asking_for_the_study(trial: optuna.Trial) -> float:
    return float(len(trial.study.trials))


@pytest.fixture(params=["concurrent.futures", "loky"])
def pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "loky":
        from joblib.externals.loky import get_reusable_executor

        executor = get_reusable_executor(2)
    else:
        executor = ProcessPoolExecutor(2)
    yield executor
    executor.shutdown()


def check(result: TuneResult) -> None:
    trials = result.study.trials
    assert result.status == "finished"
    assert len(trials) == 10
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert all(trial.user_attrs["pid"] != os.getpid() for trial in trials)
    assert all(trial.intermediate_values for trial in trials)
    assert set(trials[-1].params) == {"x", "kind"}
    assert all(trial.constraints for trial in trials)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("storage", [long(None), "memory", long("sqlite:///runs.db")])
def test_an_objective_in_a_process_asks_its_trial(
    storage: str | None, pool: Executor, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    median = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=0)
    check(tune(suggesting, n_trials=10, executor=pool, storage=storage, pruner=median, **OPTIONS))


@pytest.mark.timeout(120)
def test_an_estimator_in_a_process_reports_its_folds(data: Any, model: Any) -> None:
    """One trial at a time: with two, the pruner's answer depends on which one has ended."""
    options: dict[str, Any] = {"sampler": "random", "n_trials": 12, "seed": 1, "folder": "", "verify": False}
    with ProcessPoolExecutor(1) as pool, ThreadPoolExecutor(1) as threads:
        there = tune(model, *data, executor=pool, pruner="folds", **options)
        here = tune(model, *data, executor=threads, pruner="folds", **options)
    assert "PRUNED" in {t.state.name for t in here.study.trials}
    assert [t.state.name for t in there.study.trials] == [t.state.name for t in here.study.trials]
    assert [t.params for t in there.study.trials] == [t.params for t in here.study.trials]
    assert all(t.intermediate_values for t in there.study.trials)


def test_a_trial_in_a_process_has_all_that_an_optuna_trial_has() -> None:
    public = {name for name in dir(optuna.Trial) if not name.startswith("_")}
    assert public - TRIAL_METHODS - TRIAL_VALUES == {"number"}, "RemoteTrial has that itself"


@pytest.mark.timeout(120)
def test_what_a_trial_in_a_process_lacks_is_named(pool: Executor) -> None:
    result = tune(asking_for_the_study, n_trials=2, executor=pool, **OPTIONS)
    causes = [trial.user_attrs["sllmbo:evaluation"]["cause"] for trial in result.study.trials]
    assert all("a trial in another process has no attribute 'study'" in cause for cause in causes)


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_channel_carries_results_and_errors_and_needs_its_key() -> None:
    calls: list[Any] = []

    def answer(number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        calls.append((number, name, args, options, threading.current_thread().name))
        if name == "raise":
            raise ValueError("not so")
        return number + len(args)

    channel = LocalChannel(answer)
    other_end = pickle.loads(pickle.dumps(channel))
    assert other_end.ask(3, "report", (0.5, 1), {"k": 2}) == 5
    with pytest.raises(ValueError, match="not so"):
        other_end.ask(3, "raise", (), {})
    assert calls[0][:4] == (3, "report", (0.5, 1), {"k": 2})
    assert calls[0][4] == "sllmbo-trial-calls"
    with pytest.raises(AuthenticationError):
        Client(other_end._address, authkey=b"not the key")
    assert other_end.ask(1, "report", (), {}) == 1, "a stranger does not end the channel"
    wait_until(lambda: len(channel._connections) == 1)  # the stranger's is closed, once
    channel.close()
    with pytest.raises((EOFError, OSError)):
        other_end.ask(1, "report", (), {})


def test_a_process_that_stops_while_it_connects_holds_neither_others_nor_the_end_of_a_run() -> None:
    channel = LocalChannel(lambda number, *call: number)
    other_end = pickle.loads(pickle.dumps(channel))
    answers: list[int] = []
    with socket.create_connection(other_end._address):
        asking = threading.Thread(
            target=lambda: answers.append(other_end.ask(7, "report", (), {})), daemon=True
        )
        asking.start()
        asking.join(20)
        assert answers == [7]
        closing = threading.Thread(target=channel.close, daemon=True)
        closing.start()
        closing.join(20)
        assert not closing.is_alive()

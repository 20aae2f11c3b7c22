"""Trials on a real Dask cluster: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.tuning import dask_executor
from sllmbo_magic.tuning.dask_executor import DaskExecutor
from sllmbo_magic.tuning.stop_signal import StopSignal

# looked for, not imported: each process that only collects the tests would take a second for it
if importlib.util.find_spec("distributed") is None:
    pytest.skip("needs distributed", allow_module_level=True)

ROOT = str(Path(__file__).parents[2])


class Cluster:
    """A scheduler and workers on this machine, as processes that can be killed."""

    def __init__(self, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10",
        }
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        ready = folder / "scheduler.json"
        self._start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(ready),
        )
        self._file = ready

    def _start(self, command: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + command, *arguments],
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """One more worker with one thread and no nanny that would start it again."""
        arguments = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--scheduler-file", str(self._file))
        return self._start("worker", *arguments)

    def connect(self, n_workers: int) -> str:
        """``HOST:PORT`` once that many workers are there."""
        from distributed import Client

        client = Client(scheduler_file=str(self._file), timeout=60, set_as_default=False)
        if n_workers:
            client.wait_for_workers(n_workers, timeout=60)
        address: str = client.scheduler.address
        client.close()
        return address.removeprefix("tcp://")

    def end(self) -> None:
        """Kill them all."""
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def empty_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str]]:
    """A scheduler, and what is said while it has no workers."""
    running = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        with pytest.raises(InputError) as caught:
            DaskExecutor(running.connect(0))
        yield running, str(caught.value)
    finally:
        running.end()


@pytest.fixture(scope="module")
def cluster(empty_cluster: tuple[Cluster, str]) -> Cluster:
    """With two workers; the tests share it, as its processes take seconds to start."""
    running, _ = empty_cluster
    running.worker()
    running.worker()
    return running


def test_a_run_on_dask_gives_the_trials_of_a_run_here(cluster: Cluster, data: Any, model: Any) -> None:
    address = cluster.connect(2)
    options: dict[str, Any] = {"n_trials": 6, "sampler": "random", "seed": 1, "folder": "", "verify": False}
    there = tune(model, *data, executor=f"dask://{address}", **options)
    here = tune(model, *data, **options)
    assert [t.params for t in there.trials] == [t.params for t in here.trials]
    assert [t.value for t in there.trials] == [t.value for t in here.trials]


@pytest.mark.long
def test_a_scheduler_that_goes_away_ends_the_run_with_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_executor, "CONNECT_SECONDS", 3)  # for which it is looked for again, too
    cluster = Cluster(tmp_path)
    cluster.worker()

    def end(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.number == 1:
            cluster.end()

    try:
        result = tune(
            constant, direction="minimize", search_space={"x": (0.0, 1.0)}, n_trials=9, seed=0, folder="",
            sampler="random", executor=f"dask://{cluster.connect(1)}", sinks=[end],
        )  # fmt: skip
    finally:
        cluster.end()
    assert result.status == "failed"
    assert "the executor takes no more trials: ClosedClientError" in result.summary["reason"]
    assert [t.state.name for t in result.trials][:2] == ["COMPLETE"] * 2


def constant(params: dict[str, float]) -> float:
    return 0.0


class Holder:
    """Counts how often it is pickled."""

    pickled = 0

    def __init__(self) -> None:
        self.array = np.zeros(100_000)

    def __getstate__(self) -> dict[str, Any]:
        type(self).pickled += 1
        return self.__dict__

    def size(self, extra: int) -> tuple[int, int]:
        return len(self.array) + extra, os.getpid()


def test_the_data_travel_once_and_a_call_carries_only_its_arguments(cluster: Cluster) -> None:
    executor = DaskExecutor(cluster.connect(2))
    try:
        holder = Holder()
        Holder.pickled = 0
        answers = [future.result(60) for future in [executor.submit(holder.size, n) for n in range(8)]]
        assert [size for size, _ in answers] == [100_000 + n for n in range(8)]
        assert os.getpid() not in {pid for _, pid in answers}
        assert Holder.pickled == 1
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _pid_after(path: str) -> int:
    """Say who runs this, and wait to be killed once; the second worker finds the mark and answers."""
    mark = Path(path)
    if mark.exists():
        return os.getpid()
    mark.write_text(str(os.getpid()))
    signal.pause()
    return -1


def test_a_trial_whose_worker_is_killed_runs_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    cluster.worker()  # the others keep their two
    executor = DaskExecutor(cluster.connect(3))
    future: Future[int] = executor.submit(_pid_after, str(tmp_path / "mark"))
    while not (tmp_path / "mark").exists() or not (tmp_path / "mark").read_text():
        assert not future.done()
        time.sleep(0.01)
    first = int((tmp_path / "mark").read_text())
    os.kill(first, signal.SIGKILL)
    assert future.result(60) not in (first, -1)
    executor.shutdown(cancel_futures=True)


def test_a_cluster_without_workers_is_named(empty_cluster: tuple[Cluster, str]) -> None:
    assert "has no worker" in empty_cluster[1]


def test_an_address_where_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sllmbo_magic.tuning.dask_executor.CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9") as caught:
        DaskExecutor("127.0.0.1:9")
    assert "dask scheduler" in str(caught.value.hint)


def test_a_package_that_a_worker_lacks_is_named(cluster: Cluster, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "only_here.py").write_text("class Thing:\n    def work(self):\n        return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here  # type: ignore[import-not-found]

    executor = DaskExecutor(cluster.connect(2))
    try:
        with pytest.raises(InputError, match="no package 'only_here'"):
            executor.submit(only_here.Thing().work)
    finally:
        executor.shutdown(cancel_futures=True)


@pytest.mark.timeout(180)
def test_trials_on_dask_are_pruned(cluster: Cluster, data: Any, model: Any) -> None:
    """With two trials at a time, which of them are pruned depends on which one has ended."""
    options: dict[str, Any] = {"sampler": "random", "n_trials": 12, "seed": 1, "folder": "", "verify": False}
    there = tune(model, *data, executor=f"dask://{cluster.connect(2)}", pruner="folds", **options)
    whole = tune(model, *data, **options)
    trials = there.study.trials
    assert {t.state.name for t in trials} == {"COMPLETE", "PRUNED"}
    assert [t.params for t in trials] == [t.params for t in whole.study.trials]
    for trial, same in zip(trials, whole.study.trials, strict=True):
        folds = same.user_attrs["sllmbo:evaluation"]["split_scores"]
        assert trial.intermediate_values[1] == pytest.approx(folds[0])
        if trial.state.name == "COMPLETE":
            assert trial.value == same.value


@pytest.mark.timeout(180)
def test_an_objective_on_dask_asks_its_trial(cluster: Cluster) -> None:
    from tests.tuning.test_remote_trials import OPTIONS
    from tests.tuning.test_remote_trials import check
    from tests.tuning.test_remote_trials import suggesting

    median = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=0)
    address = f"dask://{cluster.connect(2)}"
    check(tune(suggesting, n_trials=10, executor=address, pruner=median, **OPTIONS))


def until_stopped(trial: Any) -> float:
    """Lasts until it is asked to stop."""
    x = trial.suggest_float("x", 0.0, 1.0)
    for step in range(10_000):
        trial.report(x, step)
        if trial.should_prune():
            raise optuna.TrialPruned
        time.sleep(0.02)
    return float(x)


@pytest.mark.timeout(180)
def test_a_stop_reaches_the_trials_on_other_machines(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # another machine does not see the file that tells the processes of this one
    monkeypatch.setattr(StopSignal, "set", lambda signal: None)
    control = Control()

    def stop_soon(event: Any) -> None:
        if isinstance(event, TrialStarted) and event.number == 1:
            threading.Timer(0.5, control.wish, ("stop",)).start()

    result = tune(
        until_stopped, n_trials=10, executor=f"dask://{cluster.connect(2)}", direction="minimize", folder="",
        control=control, sinks=[stop_soon],
    )  # fmt: skip
    assert result.status == "stopped"
    assert not [t for t in result.study.trials if t.state.name == "RUNNING"]

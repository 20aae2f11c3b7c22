"""``--storage`` against the real thing: SQLite, PostgreSQL, and Optuna's gRPC proxy before PostgreSQL."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from typing import Any

import optuna
import pytest

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.storage.backends import check_spec
from sllmbo_magic.storage.backends import open_storage
from tests.storage.postgresql import PostgreSQL
from tests.storage.postgresql import programs
from tests.tuning.test_joining import program as joining_program
from tests.tuning.test_kill import CODE as RUN_TO_KILL
from tests.tuning.test_kill import KILLS
from tests.tuning.test_kill import N_TRIALS

OPTIONS: dict[str, Any] = {"n_trials": 6, "seed": 3, "sampler": "tpe", "verify": False}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    if programs() is None:
        pytest.skip("no PostgreSQL here: install it, or run make test as root, which does")
    folder = Path(tempfile.mkdtemp(prefix="sllmbo-pg-"))  # not below a folder that only root may read
    running = PostgreSQL(folder)
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return "sqlite:///runs.db"
    address: str = request.getfixturevalue("server").url
    return address


def params_of(result: Any) -> list[dict[str, Any]]:
    return [trial.params for trial in result.trials]


@pytest.mark.service
def test_a_database_gives_the_trials_of_the_journal_and_resumes(url: str, data: Any, model: Any) -> None:
    name = f"run-{os.getpid()}-{url.partition(':')[0].partition('+')[0]}"
    journal = tune(model, *data, name="journal", **OPTIONS)
    tune(model, *data, name=name, storage=url, **{**OPTIONS, "n_trials": 4})
    resumed = tune(model, *data, name=name, storage=url, resume=True, **OPTIONS)
    assert params_of(resumed) == params_of(journal)
    assert [t.value for t in resumed.trials] == [t.value for t in journal.trials]


KILLED = """
import os, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
from sllmbo_magic import tune
from sllmbo_magic.events import TrialFinished

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] + rng.normal(scale=0.8, size=60) > 0).astype(int)

def sink(event):
    if isinstance(event, TrialFinished) and event.number == 2:
        print("killed", flush=True)
        os._exit(9)

tune(LogisticRegression(max_iter=50), X, y, name="killed", storage={url!r}, n_trials=6, seed=3, sampler="tpe",
     verify=False, sinks=[sink])
"""


@pytest.mark.service
def test_a_killed_process_loses_no_finished_trial(
    server: PostgreSQL, data: Any, model: Any, child: Callable[[str], Popen[str]]
) -> None:
    process = child(KILLED.format(url=server.url))
    assert process.wait(120) == 9
    resumed = tune(model, *data, name="killed", storage=server.url, resume=True, **OPTIONS)
    whole = tune(model, *data, folder="", **OPTIONS)
    finished = [t.params for t in resumed.trials if t.value is not None]
    assert finished[:3] == params_of(whole)[:3]
    assert len(finished) == 6


PROXY = """
import optuna
from optuna.storages import run_grpc_proxy_server
storage = optuna.storages.RDBStorage({url!r})
import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
print(port, flush=True)
run_grpc_proxy_server(storage, host="127.0.0.1", port=port)
"""


@pytest.mark.service
def test_the_grpc_proxy_before_postgresql(
    server: PostgreSQL, data: Any, model: Any, child: Callable[[str], Popen[str]]
) -> None:
    process = child(PROXY.format(url=server.url))
    assert process.stdout is not None
    address = f"grpc://127.0.0.1:{int(process.stdout.readline())}"
    result = tune(model, *data, name="through-grpc", storage=address, **OPTIONS)
    direct = tune(model, *data, folder="", **OPTIONS)
    assert params_of(result) == params_of(direct)


@pytest.mark.service
def test_a_server_that_is_not_there_is_one_line(server: PostgreSQL, data: Any, model: Any) -> None:
    gone = server.url.replace(str(server.port), "9")
    with pytest.raises(StorageError) as caught:
        tune(model, *data, name="gone", storage=gone, **OPTIONS)
    assert "\n" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///no/such/folder/runs.db", "does not exist"),
        ("sqlite:///notes.txt", "not a database"),
        ("sqlite:///locked.db", "database is locked"),
        ("postgresql+psycopg://ann:planted-secret@127.0.0.1:9/runs", "127.0.0.1"),
        ("nonsense://", "nonsense is not known"),
    ],
)
def test_a_database_that_cannot_be_opened_says_why(url: str, words: str, data: Any, model: Any) -> None:
    Path("notes.txt").write_text("These are notes. " * 100)
    holder = sqlite3.connect("locked.db")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises((StorageError, InputError)) as caught:
            tune(model, *data, storage=url, **OPTIONS)
    finally:
        holder.close()
    text = f"{caught.value} {caught.value.hint}"
    assert words in text
    assert "\n" not in text
    assert "planted-secret" not in text
    assert not Path(".sllmbo").exists(), "no run is left behind"


@pytest.mark.parametrize(
    "storage",
    ["nope", "sqlite:///no/such/folder/runs.db", "journal:no/such/folder/runs.log", "grpc://here"],
)
def test_what_is_wrong_with_a_storage_is_seen_without_opening_it(storage: str) -> None:
    with pytest.raises((StorageError, InputError)) as opened:
        open_storage(storage)
    with pytest.raises((StorageError, InputError)) as checked:
        check_spec(storage)
    assert type(checked.value) is type(opened.value)
    for good in (None, "memory", "sqlite:///runs.db", "journal:runs.log", "grpc://localhost:13000"):
        check_spec(good)
    assert not list(Path().iterdir())


class Restarts:
    """Stops a server when a trial begins, and starts it again a little later."""

    def __init__(self, stop: Callable[[], None], start: Callable[[], None], at: int, seconds: float) -> None:
        self._stop, self._start, self._at, self._seconds = stop, start, at, seconds
        self._timer: threading.Timer | None = None
        self.events: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, TrialStarted) and event.number == self._at:
            self._stop()
            self._timer = threading.Timer(self._seconds, self._start)
            self._timer.start()

    def wait(self) -> None:
        if self._timer is not None:
            self._timer.join()

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note) and "storage" in event.text]


@pytest.fixture
def fragile(server: PostgreSQL) -> Iterator[PostgreSQL]:
    """The server, which the test may stop."""
    yield server
    server.stop()
    server.start()


@pytest.mark.service
@pytest.mark.parametrize("door", ["storage", "study", "threads"])
def test_a_database_server_that_restarts_ends_no_run(
    door: str, fragile: PostgreSQL, data: Any, model: Any
) -> None:
    restarts = Restarts(fragile.stop, fragile.start, at=3, seconds=2.0)
    where: dict[str, Any] = {"storage": fragile.url}
    if door == "study":
        where = {"study": optuna.create_study(storage=fragile.url, study_name="mine", direction="maximize")}
    if door == "threads":
        where["executor"] = ThreadPoolExecutor(2)
    result = tune(model, *data, name="restart", sinks=[restarts], **where, **OPTIONS)
    restarts.wait()
    same = {"executor": ThreadPoolExecutor(2)} if door == "threads" else {}
    direct = tune(model, *data, folder="", **same, **OPTIONS)
    assert result.status == "finished"
    assert params_of(result) == params_of(direct)
    assert len(optuna.load_study(study_name=result.study.study_name, storage=fragile.url).trials) == 6
    assert len(restarts.notes) == 2
    assert restarts.notes[0].startswith("The storage does not answer: ")
    assert restarts.notes[1] == "The storage is back: the run goes on, and nothing is lost."


@pytest.mark.service
def test_a_run_that_waits_for_its_database_can_be_stopped(fragile: PostgreSQL, data: Any, model: Any) -> None:
    control = Control()
    restarts = Restarts(fragile.stop, lambda: control.wish("stop"), at=3, seconds=1.0)
    result = tune(
        model, *data, name="waits", storage=fragile.url, sinks=[restarts], control=control, **OPTIONS
    )
    restarts.wait()
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * len(result.trials)
    assert len(result.trials) >= 3
    assert "in memory" in restarts.notes[-1]


@pytest.mark.service
def test_a_grpc_proxy_whose_database_restarts_ends_no_run(
    fragile: PostgreSQL, data: Any, model: Any, child: Callable[[str], Popen[str]]
) -> None:
    process = child(PROXY.format(url=fragile.url))
    assert process.stdout is not None
    address = f"grpc://127.0.0.1:{int(process.stdout.readline())}"
    restarts = Restarts(fragile.stop, fragile.start, at=3, seconds=2.0)
    result = tune(model, *data, name="proxy", storage=address, sinks=[restarts], **OPTIONS)
    restarts.wait()
    assert result.status == "finished"
    assert params_of(result) == params_of(tune(model, *data, folder="", **OPTIONS))


@pytest.mark.service
def test_two_programs_join_in_postgresql(server: PostgreSQL, child: Callable[[str], Popen[str]]) -> None:
    Path("go").touch()
    processes = [child(joining_program(10, server.url)) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    trials = optuna.load_study(study_name="shared", storage=server.url).trials
    assert 10 <= len(trials) <= 11
    assert all(trial.state.name == "COMPLETE" for trial in trials)
    assert len(Path("calls").read_text().splitlines()) == len(trials)


@pytest.mark.service
def test_kills_at_random_moments_lose_no_finished_trial(
    server: PostgreSQL, data: Any, model: Any, child: Callable[[str], Popen[str]]
) -> None:
    """3 kills; ``make soak``: 25."""
    for name in optuna.get_all_study_names(server.url):
        if name.startswith("killed"):
            optuna.delete_study(study_name=name, storage=server.url)
    rng, kept = random.Random(3), dict[int, Any]()
    for _ in range(max(3, KILLS // 4)):
        code = RUN_TO_KILL.format(
            first=rng.randrange(3), delay=rng.uniform(0.0, 0.5), n_trials=N_TRIALS,
            resume=Path(".sllmbo/killed/run.json").exists(),
            llm=repr("rulebook"), storage=server.url, executor="None",
        )  # fmt: skip
        ending = child(code).wait(180)
        assert ending in (0, -signal.SIGKILL), "neither killed nor done"
        if "killed" in optuna.get_all_study_names(server.url):
            trials = optuna.load_study(study_name="killed", storage=server.url).trials
            finished = {
                trial.number: (trial.params, trial.value) for trial in trials if trial.value is not None
            }
            assert {number: finished[number] for number in kept} == kept
            kept = finished
        if ending == 0:
            break
    options: dict[str, Any] = {"n_trials": N_TRIALS, "seed": 5, "verify": False}
    resumed = tune(model, *data, name="killed", storage=server.url, resume=True, **options)
    values = [trial.value for trial in resumed.trials if trial.value is not None]
    assert len(values) == N_TRIALS
    assert not [trial for trial in resumed.study.trials if trial.state.name in ("RUNNING", "WAITING")]

"""A storage that fails in mid-run: one sentence, and the result so far; a resume goes on once it is back."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages import RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock
from sqlalchemy.event import listen

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.storage import waiting_storage
from sllmbo_magic.storage.journal_file import JournalFile
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import list_runs

SPACE = {"x": (0.0, 1.0)}
OPTIONS: dict[str, Any] = {
    "n_trials": 6,
    "seed": 0,
    "verify": False,
    "search_space": SPACE,
    "direction": "minimize",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def impatient() -> RDBStorage:
    return RDBStorage("sqlite:///runs.db", engine_kwargs={"connect_args": {"timeout": 0.01}})


BREAKS: list[Callable[[], Any]] = []
"""Called once, at the fourth call of the objective."""
CALLS: list[float] = []


def value(params: dict[str, float]) -> float:
    CALLS.append(params["x"])
    if len(CALLS) == 4 and BREAKS:
        BREAKS.pop()()
    return params["x"]


def breaking(break_it: Callable[[], Any]) -> Callable[[dict[str, float]], float]:
    """The objective, whose fourth call breaks something."""
    BREAKS[:], CALLS[:] = [break_it], []
    return value


def check(result: TuneResult, cause: str, events: list[Any]) -> None:
    assert result.status == "failed"
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 4
    assert result.best_value == min(trial.value for trial in result.trials)
    assert cause in result.summary["text"]
    assert result.summary["n_trials"] == 4
    assert len([e for e in events if isinstance(e, TrialFinished)]) == 4
    assert isinstance(events[-1], RunFinished)
    notes = [e.text for e in events if isinstance(e, Note) and e.level == "warning"]
    assert len(notes) == 1
    assert notes[0].startswith(
        f"The storage cannot be used any more: {cause}. The result so far is in memory"
    )
    assert "\n" not in notes[0]
    assert result.save("kept").exists()


@pytest.mark.parametrize("door", ["storage", "study"])
def test_a_database_that_stays_locked(door: str) -> None:
    locks: list[sqlite3.Connection] = []

    def lock() -> None:
        locks.append(sqlite3.connect("runs.db", isolation_level=None, check_same_thread=False))
        locks[-1].execute("BEGIN EXCLUSIVE")

    events: list[Any] = []
    where: dict[str, Any] = {"storage": impatient()}
    if door == "study":
        where = {"study": optuna.create_study(storage=impatient(), study_name="run")}
    result = tune(breaking(lock), sinks=[events.append], name="run", **where, **OPTIONS)
    check(result, "database is locked", events)
    locks[0].close()
    if door == "storage":
        resumed = tune(value, storage="sqlite:///runs.db", name="run", resume=True, **OPTIONS)
        assert resumed.status == "finished"
        assert sum(trial.state.name == "COMPLETE" for trial in resumed.trials) == 6


def test_a_database_that_is_deleted() -> None:
    events: list[Any] = []
    objective = breaking(Path("runs.db").unlink)
    result = tune(objective, sinks=[events.append], storage="sqlite:///runs.db", **OPTIONS)
    assert result.status == "failed"
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 4
    assert "the storage cannot be used any more" in result.summary["text"]


@pytest.mark.parametrize("join", [False, True])
def test_a_database_that_loses_its_trials(join: bool) -> None:
    def drop() -> None:
        with sqlite3.connect("runs.db") as database:
            database.execute("drop table trials")

    result = tune(breaking(drop), storage="sqlite:///runs.db", join=join, **OPTIONS)
    assert result.status == "failed"
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 4


def test_a_journal_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Any, logs: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    events: list[Any] = []
    objective = breaking(lambda: monkeypatch.setattr(JournalFile, "append_logs", failing))
    result = tune(objective, sinks=[events.append], storage="journal:runs.log", folder="", **OPTIONS)
    check(result, "[Errno 5] Input/output error", events)


class Disk:
    """Has no room from the fourth call of the objective on, until the run says so."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, storage: str | None, *, stays_full: bool = False
    ) -> None:
        self.is_full = False
        self.stays_full = stays_full
        self.notes: list[str] = []
        self.storage: Any = storage
        if storage == "object":
            self.storage = JournalStorage(JournalFileBackend("runs.log"))
        if storage == "sqlite":
            self.storage = RDBStorage("sqlite:///runs.db")
            listen(self.storage.engine, "checkout", self._limit_pages)
        if storage == "quota":
            self.storage = RDBStorage("sqlite:///runs.db")
            listen(self.storage.engine, "before_cursor_execute", self._refuse)
        code = errno.EDQUOT if storage == "quota" else errno.ENOSPC
        fsync = os.fsync

        def fsync_or_fail(file: int) -> None:
            if self.is_full:  # after all of it was written, as on some file systems
                raise OSError(code, os.strerror(code))
            fsync(file)

        monkeypatch.setattr(os, "fsync", fsync_or_fail)
        monkeypatch.setattr(waiting_storage, "_FIRST_SECONDS", 0.01)

    def _limit_pages(self, connection: Any, *unused: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={1 if self.is_full else 2**30}")

    def _refuse(self, connection: Any, cursor: Any, statement: str, *unused: Any) -> None:
        """As SQLite does where the user's quota is used up."""
        if self.is_full and not statement.lstrip().startswith("SELECT"):
            raise sqlite3.OperationalError("disk I/O error")

    def fill(self) -> None:
        self.is_full = True

    def sink(self, event: Any) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
            if "has no room" in event.text and not self.stays_full:
                self.is_full = False


@pytest.mark.parametrize(
    ("storage", "join"),
    [("journal:runs.log", False), (None, True), ("sqlite", False), ("quota", False), ("object", False)],
    ids=str,
)
def test_a_run_waits_for_room_on_the_disk(
    storage: str | None, join: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, storage)
    result = tune(
        breaking(disk.fill), sinks=[disk.sink], storage=disk.storage, join=join, name="run",
        **{**OPTIONS, "n_trials": 30},
    )  # fmt: skip
    assert result.status == "finished"
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 30
    assert [trial.value for trial in result.trials] == CALLS, "nothing is written twice"
    about = [text for text in disk.notes if text.startswith("The storage ")]
    assert len(about) == 2
    words = {"sqlite": r"database or disk is full", "quota": r"disk I/O error \(Disk quota exceeded\)"}
    full = words.get(str(storage), r"\[Errno 28\] No space left on device")
    assert re.match(f"The storage has no room: {full}. The run waits", about[0])
    assert about[1].startswith("The storage is back")


def test_a_study_in_a_journal_of_the_users_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, None)
    lock = JournalFileOpenLock("runs.log")
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend("runs.log", lock_obj=lock)))
    result = tune(breaking(disk.fill), sinks=[disk.sink], study=study, folder="", **OPTIONS)
    assert (result.status, result.study) == ("finished", study)
    assert [trial.value for trial in study.trials] == CALLS
    read = JournalStorage(JournalFileBackend("runs.log"))
    again = optuna.load_study(study_name=study.study_name, storage=read)
    assert [trial.value for trial in again.trials] == CALLS, "nothing is written twice"
    assert study._storage._backend._lock is lock  # type: ignore[attr-defined]


def test_a_journal_of_the_users_on_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, "object")
    disk.fill()
    with pytest.raises(StorageError, match="No space left on device") as caught:
        tune(value, storage=disk.storage, folder="", **OPTIONS)
    assert "\n" not in str(caught.value)


def test_the_time_limit_ends_the_waiting_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, "journal:runs.log", stays_full=True)
    result = tune(
        breaking(disk.fill), sinks=[disk.sink], storage=disk.storage, folder="", timeout=2.0,
        **{**OPTIONS, "n_trials": 10_000},
    )  # fmt: skip
    disk.is_full = False
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 4
    assert result.best_value == min(CALLS)
    resumed = tune(value, storage="journal:runs.log", name="run", resume=True, folder="", **OPTIONS)
    assert sum(trial.state.name == "COMPLETE" for trial in resumed.trials) == 6


PARTLY = """
    import contextlib, os, resource, signal
    from sllmbo_magic.storage.buffered_journal import BufferedJournal
    from sllmbo_magic.storage.journal_file import JournalFile
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    def append(*numbers):
        journal.append_logs([{"op_code": 0, "worker_id": "w", "n": n} for n in numbers])
    journal = JOURNAL("study.log")
    append(0, 1)
    n_bytes = os.path.getsize("study.log")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes + n_bytes * 3 // 4, unlimited[1]))
    with contextlib.suppress(OSError):
        append(2, 3, 4)
    print(os.path.getsize("study.log") == n_bytes)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    append(5)
    print([entry["n"] for entry in JournalFile("study.log").read_logs(0)])
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of the system")
@pytest.mark.parametrize("journal", ["JournalFile", "BufferedJournal"])
def test_what_a_full_disk_takes_of_a_write_is_not_in_the_journal(
    journal: str, child: Callable[[str], subprocess.Popen[str]]
) -> None:
    out, _ = child(PARTLY.replace("JOURNAL", journal)).communicate(timeout=120)
    kept = [0, 1, 5] if journal == "JournalFile" else [0, 1, 2, 3, 4, 5]
    assert out.splitlines() == ["True", str(kept)]


def test_a_database_that_fails_before_the_first_trial_is_an_error_of_one_line() -> None:
    storage = impatient()
    lock = sqlite3.connect("runs.db", isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="database is locked") as caught:
        tune(value, storage=storage, folder="", **OPTIONS)
    lock.close()
    assert "\n" not in str(caught.value)


def test_a_journal_with_a_line_that_is_none() -> None:
    def spoil() -> None:
        with Path("runs.log").open("a") as journal:
            journal.write("no line of a journal\n")

    events: list[Any] = []
    result = tune(breaking(spoil), sinks=[events.append], storage="journal:runs.log", **OPTIONS)
    assert result.status == "failed"
    assert result.best_value == min(trial.value for trial in result.trials)
    assert "The storage cannot be used any more" in "".join(e.text for e in events if isinstance(e, Note))
    with pytest.raises(StorageError, match=r"journal .*runs.log cannot be opened \(JSONDecodeError\)"):
        tune(value, storage="journal:runs.log", **OPTIONS)


def empty(path: str) -> None:
    os.truncate(path, 0)


def cut_short(path: str) -> None:
    os.truncate(path, 500)


def cut_and_grown(path: str) -> None:
    """As when another program begins anew in it: the file is longer than before, with other lines."""
    n_bytes = os.path.getsize(path)
    os.truncate(path, 0)
    while os.path.getsize(path) < 2 * n_bytes:
        optuna.create_study(storage=JournalStorage(JournalFileBackend(path)))


@pytest.mark.parametrize(
    ("break_it", "cause"),
    [
        (os.remove, "No such file or directory"),
        (lambda path: shutil.rmtree(os.path.dirname(path)), "No such file or directory"),
        (empty, "was cut or replaced"),
        (cut_short, "was cut or replaced"),
        (cut_and_grown, "was cut or replaced"),
    ],
    ids=["deleted", "folder deleted", "emptied", "cut", "cut and grown"],
)
def test_a_shared_journal_that_does_not_only_grow(break_it: Callable[[str], Any], cause: str) -> None:
    Path("disk").mkdir()
    left: list[Any] = []

    def break_and_look() -> None:
        break_it("disk/runs.log")
        left[:] = files_of_disk()

    result = tune(breaking(break_and_look), storage="journal:disk/runs.log", **OPTIONS)
    assert result.status == "failed"
    assert cause in result.summary["text"]
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 4
    assert result.best_value == min(CALLS)
    assert files_of_disk() == left, "nothing is written that nobody could read"


def files_of_disk() -> list[tuple[str, int]]:
    paths = [path for path in [Path("disk"), *Path("disk").glob("*")] if path.exists()]
    return [(str(path), path.stat().st_size if path.is_file() else 0) for path in sorted(paths)]


GARBAGE = [b"\0\0\0\n", b"null\n", b"{}\n", b"\xff\xfe\n", b"no line\n[]\n7\n", b'"op_code\n']


@pytest.mark.parametrize("garbage", GARBAGE)
def test_damage_at_the_end_of_a_runs_journal_is_cut_and_kept(garbage: bytes) -> None:
    first = tune(value, **{**OPTIONS, "n_trials": 3})
    journal = Path(".sllmbo/run/study.log")
    good = journal.read_bytes()
    journal.write_bytes(good + garbage)
    assert len(TuneResult.load(".sllmbo/run").trials) == 3
    assert [info.n_done for info in list_runs()] == [3]
    assert journal.read_bytes() == good + garbage, "who only reads changes nothing"
    events: list[Any] = []
    resumed = tune(value, resume=True, sinks=[events.append], **OPTIONS)
    assert resumed.status == "finished"
    assert [trial.params for trial in resumed.trials[:3]] == [trial.params for trial in first.trials]
    assert len(resumed.trials) == 6
    assert journal.with_name("study.log.damaged").read_bytes() == garbage
    texts = [event.text for event in events if isinstance(event, Note)]
    assert sum("damaged" in text for text in texts) == 1
    assert len(TuneResult.load(".sllmbo/run").trials) == 6


@pytest.mark.parametrize(
    "garbage", [*GARBAGE, b'{"op_code":4,"worker_id":"a"}\n', b'{"op_code":99,"worker_id":"a"}\n']
)
def test_damage_before_good_lines_is_one_line_and_hides_no_other_run(garbage: bytes) -> None:
    tune(value, **{**OPTIONS, "n_trials": 2})
    tune(value, name="other", **{**OPTIONS, "n_trials": 2})
    journal = Path(".sllmbo/run/study.log")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:5], garbage, *lines[5:]]))
    RunFolder(".sllmbo/run").write_meta({"status": "running"})  # its process died: its trials are counted
    for read in (lambda: TuneResult.load(".sllmbo/run"), lambda: tune(value, resume=True, **OPTIONS)):
        with pytest.raises(StorageError, match=r"study\.log is damaged and cannot be read") as caught:
            read()
        assert "\n" not in str(caught.value)
    assert {info.name: info.status for info in list_runs()} == {"run": "unreadable", "other": "finished"}
    assert tune(value, **OPTIONS).status == "finished"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"folder": 5}, "folder is 5, not a path"),
        ({"folder": "a\0b"}, r"cannot be made \(.*embedded null"),
        ({"name": 5}, "5 cannot be the name of a run"),
    ],
)
def test_what_cannot_be_a_folder_or_a_name_is_one_line(options: dict[str, Any], what: str) -> None:
    with pytest.raises(SllmboError, match=what):
        tune(value, **options, **OPTIONS)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    options = {**OPTIONS, "n_trials": 1}
    assert tune(value, folder="~/runs", **options).path == home / "runs" / "run"
    tune(value, folder="", storage="sqlite:///~/runs.db", **options)
    assert (home / "runs.db").exists()
    assert not Path("~").exists()

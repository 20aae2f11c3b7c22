"""A disk that is full and a folder that is deleted end no run: a sentence with the path, and the result."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import list_runs
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.archive import exchanges_in
from tests.magic.conftest import Shell
from tests.marks import long
from tests.replies import Responder

SPACE = {"x": (0.0, 1.0)}
FULL = """
    import json, resource, signal
    from pathlib import Path
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    from sllmbo_magic import TuneResult, tune
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    calls = []
    def objective(params):
        calls.append(params)
        if len(calls) == 4:  # from here on no file may grow: every write fails, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, unlimited[1]))
        if len(calls) == RECOVERS:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        return params["x"]
    notes = []
    def sink(event):
        if type(event).__name__ == "Note":
            notes.append(event.text)
    result = tune(objective, search_space={"x": (0.0, 1.0)}, direction="maximize", n_trials=9, seed=1,
                  name="full", sinks=[sink])
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    print("KEPT", len(result.trials), result.status)
    print("NOTES", json.dumps(notes))
    print("STORED", len(TuneResult.load(".sllmbo/full").trials))
"""


WITH_LLM = """
    from sllmbo_magic.testing import FunctionProvider
    from tests.replies import Responder
    llm = FunctionProvider(Responder(0), id="test:double")
"""


def lines_of(
    child: Callable[[str], subprocess.Popen[str]], recovers: int, *, llm: bool = False
) -> dict[str, str]:
    code = FULL.replace("RECOVERS", str(recovers))
    if llm:
        code = WITH_LLM + code.replace('name="full"', 'name="full", llm=llm, candidates=2')
    process = child(code)
    out, _ = process.communicate(timeout=120)
    return dict(line.split(" ", 1) for line in out.splitlines() if line.split(" ")[0].isupper())


def test_a_full_disk_ends_no_run(child: Callable[[str], subprocess.Popen[str]]) -> None:
    seen = lines_of(child, recovers=0)
    assert seen["KEPT"] == "9 finished"
    notes = [text for text in json.loads(seen["NOTES"]) if "cannot be written" in text]
    assert len(notes) == 1, "said once"
    assert (
        ".sllmbo/full cannot be written (File too large): trials wait in memory until it can be." in notes[0]
    )
    assert int(seen["STORED"]) <= 4


def test_what_waited_is_written_when_there_is_room_again(
    child: Callable[[str], subprocess.Popen[str]],
) -> None:
    seen = lines_of(child, recovers=7)
    assert seen["KEPT"] == "9 finished"
    assert "all trials are stored there again" in seen["NOTES"]
    assert seen["STORED"] == "9"


@pytest.mark.parametrize("recovers", [long(0), 7])
def test_what_an_llm_says_on_a_full_disk_is_used_and_counted(
    child: Callable[[str], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, recovers: int
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    seen = lines_of(child, recovers=recovers, llm=True)
    assert seen["KEPT"] == "9 finished"
    assert "cannot be written" in seen["NOTES"] or "stored there again" in seen["NOTES"]
    assert (seen["STORED"] == "9") == bool(recovers)


@pytest.mark.parametrize("what", ["study.log", ".", ".."])
def test_what_is_deleted_is_written_again_from_memory(what: str) -> None:
    calls: list[Any] = []

    def objective(params: dict[str, Any]) -> float:
        calls.append(params)
        if len(calls) == 4:
            target = Path(".sllmbo/gone") / what
            shutil.rmtree(target.resolve()) if target.is_dir() else target.unlink()
        return float(params["x"])

    notes: list[str] = []

    def sink(event: Any) -> None:
        if type(event).__name__ == "Note":
            notes.append(event.text)

    result = tune(
        objective, search_space=SPACE, direction="maximize", n_trials=8, seed=1, name="gone", sinks=[sink]
    )
    assert len(result.trials) == 8
    stored = TuneResult.load(".sllmbo/gone")
    assert [t.params for t in stored.trials] == [t.params for t in result.trials]
    assert sum("deleted or could not be written" in text for text in notes) == 1


@pytest.mark.parametrize("storage", [None, "journal:j.log", "sqlite:///s.db"])
def test_the_chat_of_a_deleted_folder_is_written_again(storage: str | None) -> None:
    notes: list[str] = []
    seen: list[Any] = []

    def sink(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.number == 5:
            shutil.rmtree(".sllmbo")
        if isinstance(event, TrialFinished) and event.number == 7:
            folder = RunFolder(".sllmbo/gone")
            seen.append((folder.owner(), folder.read_meta()["status"]))
        if isinstance(event, Note) and event.level == "warning":
            notes.append(event.text)

    options: dict[str, Any] = {"search_space": SPACE, "direction": "maximize", "seed": 1, "name": "gone"}
    options |= {"llm": FunctionProvider(Responder(0), id="test:double"), "storage": storage, "candidates": 2}
    tune(lambda params: params["x"], n_trials=12, sinks=[sink], **options)
    ((owner, status),) = seen
    assert owner is not None, "other kernels see that it runs, and can steer it"
    assert status == "running"
    what = "all trials" if storage is None else "chat and events"
    assert [text.partition(" was ")[2] for text in notes] == [
        f"deleted or could not be written; {what} are stored there again."
    ]
    (info,) = list_runs()
    assert info.status == "finished"
    requests = [e["id"] for e in exchanges_in(Path(".sllmbo/gone")) if e["kind"] == "exchange"]
    assert len(requests) >= 3
    assert requests == list(range(len(requests)))
    resumed = tune(lambda params: params["x"], n_trials=13, resume=True, **options)
    assert [event.number for event in resumed.events if isinstance(event, TrialFinished)] == list(range(13))


def test_a_folder_that_cannot_be_made_anew_holds_no_trials_of_another_storage() -> None:
    notes: list[str] = []

    def sink(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.number == 2:
            shutil.rmtree(".sllmbo")
            Path(".sllmbo").write_text("a file")
        if isinstance(event, Note) and event.level == "warning":
            notes.append(event.text)

    options: dict[str, Any] = {"search_space": SPACE, "direction": "maximize", "seed": 1, "name": "gone"}
    result = tune(lambda params: params["x"], n_trials=5, storage="journal:j.log", sinks=[sink], **options)
    assert result.status == "finished"
    assert len(result.trials) == 5
    (text,) = notes
    assert text.endswith(
        ".sllmbo/gone cannot be written (Not a directory): chat and events, not the trials, which the storage"
        " keeps, wait in memory until it can be."
    )


def test_in_a_notebook_the_result_is_in_the_variable(shell: Shell) -> None:
    cell = """
import shutil
calls = []
def objective(params):
    calls.append(params)
    if len(calls) == 4:
        shutil.rmtree(".sllmbo")
    return params["x"]
search_space = {"x": (0.0, 1.0)}
"""
    out = shell.ok(f"%%sllmbo gone --direction maximize --trials 6 --seed 1 --no-widget\n{cell}")
    assert len(shell.user_ns["gone"].trials) == 6
    assert ".sllmbo/gone was deleted or could not be written" in out
    assert "Traceback" not in out + shell.err

"""Paths are fixed when the cell starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.storage.locations import absolute_storage
from tests.magic.conftest import Shell

GATED = """
import os, threading
gate = threading.Event()
def objective(params):
    gate.wait(20)
    return params["x"]
search_space = {"x": (0.0, 1.0)}
"""
LINE = "--background --direction maximize --trials 3 --seed 1 --no-widget"


@pytest.mark.parametrize("storage", ["", "--storage sqlite:///s.db", "--storage journal:s.log"])
def test_a_background_run_stays_where_its_cell_started(shell: Shell, storage: str) -> None:
    home = Path.cwd()
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    shell.ok(f"%%sllmbo go {LINE} {storage}\n{GATED}")
    shell.ok(f"os.chdir({str(elsewhere)!r})\ngate.set()")
    shell.ok("%sllmbo wait go")
    assert shell.user_ns["go"].path == home / ".sllmbo" / "go"
    assert list(elsewhere.iterdir()) == []
    assert len(shell.user_ns["go"].trials) == 3
    if not storage:
        assert len(TuneResult.load(home / ".sllmbo" / "go").trials) == 3


def test_an_objective_that_changes_the_folder_moves_nothing() -> None:
    home = Path.cwd()
    (home / "elsewhere").mkdir()

    def objective(params: dict[str, float]) -> float:
        import os

        os.chdir(home / "elsewhere")
        return params["x"]

    space = {"x": (0.0, 1.0)}
    for n, storage in enumerate(("sqlite:///s.db", "journal:s.log", None)):
        import os

        os.chdir(home)
        tune(
            objective,
            search_space=space,
            direction="maximize",
            n_trials=3,
            seed=1,
            storage=storage,
            name=f"r{n}",
        )
    assert list((home / "elsewhere").iterdir()) == []
    assert {"s.db", "s.log"} <= {path.name for path in home.iterdir()}


def test_a_storage_is_named_by_its_whole_path() -> None:
    here = Path.cwd()
    assert absolute_storage("journal:runs/s.log") == f"journal:{here}/runs/s.log"
    assert absolute_storage("sqlite:///s.db") == f"sqlite:///{here}/s.db"
    assert absolute_storage("sqlite+pysqlite:///s.db") == f"sqlite+pysqlite:///{here}/s.db"
    for same in (
        "memory",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////tmp/s.db",
        "grpc://h:1",
        None,
        "journal:",
    ):
        assert absolute_storage(same) == same


def test_a_replay_takes_the_name_of_a_run(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from sllmbo_magic.llm.providers.replay import ReplayProvider
    from sllmbo_magic.testing import FunctionProvider
    from tests.replies import Responder

    shell.user_ns["double"] = FunctionProvider(Responder(0), id="test:double")
    cell = "def objective(params): return params['x']\nsearch_space = {'x': (0.0, 1.0)}"
    line = "--direction maximize --trials 6 --seed 1 --no-widget"
    shell.ok(f"%%sllmbo first {line} --llm {{double}}\n{cell}")
    values = [trial.value for trial in shell.user_ns["first"].trials]
    shell.ok(f"%%sllmbo again {line} --llm replay:first")
    assert [trial.value for trial in shell.user_ns["again"].trials] == values
    Path("elsewhere").mkdir()
    shell.ok(f"%%sllmbo third {line} --llm replay:first --background\nimport os")
    shell.ok("os.chdir('elsewhere')")
    shell.ok("%sllmbo wait third")
    assert [trial.value for trial in shell.user_ns["third"].trials] == values
    with pytest.raises(Exception, match=r"no recorded run at nothing\. Give the name of a run"):
        ReplayProvider("nothing")

"""Runs stored by version 0.1.0, before the modules moved into folders, open, show and go on.

``tests/data/runs-0.1.0`` was written by the code of commit cb63c4e on the task of ``tests/small_task.py``
with ``LogisticRegression(max_iter=50)``:

* ``finished``: 8 trials, seed 1; also saved as ``result.zip``.
* ``llm``: 12 trials, seed 1, answers of ``tests.replies.Responder(1)``.
* ``killed``: 9 trials, seed 4, ended by ``os._exit`` after trial 4; ``killed.json`` holds the
  parameters of the same run when nothing ends it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.storage.runs import list_runs

STORED = Path(__file__).parents[1] / "data" / "runs-0.1.0"


@pytest.fixture
def runs() -> Path:
    """The stored runs, copied to where runs are kept."""
    return Path(shutil.copytree(STORED / "runs", ".sllmbo"))


@pytest.mark.parametrize(("name", "n_trials"), [("finished", 8), ("llm", 12), ("killed", 5)])
def test_a_stored_run_opens_with_its_trials_and_its_report(runs: Path, name: str, n_trials: int) -> None:
    result = TuneResult.load(runs / name)
    assert sum(trial.state.is_finished() for trial in result.trials) == n_trials
    assert result.best_value == max(trial.value for trial in result.trials if trial.value is not None)
    assert result.space_versions
    assert "LogisticRegression" in result.code()
    assert Path(result.report("report.html")).stat().st_size > 10_000


def test_the_conversation_of_a_stored_run_is_there(runs: Path) -> None:
    history = TuneResult.load(runs / "llm").history
    assert len(history) > 1
    assert any("choices" in str(exchange) or "configurations" in str(exchange) for exchange in history)


def test_a_saved_result_opens() -> None:
    result = TuneResult.load(STORED / "result.zip")
    stored = json.loads((STORED / "runs" / "finished" / "run.json").read_text())["summary"]
    assert result.best_value == stored["best_value"]
    assert len(result.trials) == 8


def test_stored_runs_are_listed(runs: Path) -> None:
    assert {info.name for info in list_runs()} == {"finished", "llm", "killed"}


def test_a_killed_run_is_resumed_with_the_trials_it_had(runs: Path, data: Any, model: Any) -> None:
    pytest.importorskip("sklearn", "1.8", reason="LogisticRegression had other parameters before")
    before = json.loads((STORED / "killed.json").read_text())
    result = tune(model, *data, name="killed", n_trials=9, seed=4, resume=True, verify=False)
    assert [trial.params for trial in result.trials][:5] == before[:5]
    assert len([trial for trial in result.trials if trial.value is not None]) == 9

"""The magic in real kernels: blocking, interrupts, controls that answer, background runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic.storage.runs import list_runs
from tests.magic.conftest import Shell
from tests.magic.kernels import Cell
from tests.magic.kernels import Kernel

RUN_MIME = "application/vnd.sllmbo.run+json"
OBJECTIVE = """
import time
def objective(params):
    time.sleep(0.05)
    print("tried", flush=True)
    return -(params["x"] - 1) ** 2
search_space = {"x": (-5.0, 5.0)}
"""
LINE = "--direction maximize --seed 1"


@pytest.fixture
def kernel(module_kernel: Kernel) -> Iterator[Kernel]:
    yield module_kernel
    module_kernel.run("get_ipython().magics_manager.registry['SllmboMagics'].started.clear()")


def the_picture(cell: Cell) -> dict[str, Any]:
    """The one output that the saved notebook keeps; it must need no kernel."""
    (data,) = cell.data
    assert set(data) >= {"text/plain", "text/html", "image/png", RUN_MIME}
    assert "application/vnd.jupyter.widget-view+json" not in data
    assert 'src="data:image/png;base64,' in data["text/html"]
    return data


def several_trials(cell: Cell) -> bool:
    return cell.text.count("tried") >= 4


def test_a_cell_blocks_binds_its_name_and_leaves_a_picture(kernel: Kernel) -> None:
    cell = kernel.run(f"%%sllmbo best {LINE} --trials 5\n{OBJECTIVE}")
    assert cell.status == "ok", cell
    bundle = the_picture(cell)[RUN_MIME]
    assert [trial["n"] for trial in bundle["trials"]] == [0, 1, 2, 3, 4]
    assert bundle["run"]["taken"] == "objective, search_space (x) from this cell"
    assert cell.text.count("tried") == 5, "what the objective prints belongs to its cell"
    assert kernel.value("type(best).__name__, len(best.trials)") == "('TuneResult', 5)"


def test_an_interrupt_keeps_everything_and_ends_the_cell_as_interrupted(kernel: Kernel) -> None:
    cell = kernel.start(f"%%sllmbo cut {LINE} --trials 500\n{OBJECTIVE}")
    kernel.follow(cell, until=several_trials)
    kernel.interrupt()
    kernel.follow(cell)
    assert cell.status == "error"
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert cell.error.count("\n") == 1, "one line, no traceback"
    assert the_picture(cell)[RUN_MIME]["run"]["status"] == "interrupted"
    assert kernel.value("cut.status") == "'interrupted'"
    assert 3 < int(kernel.value("len(cut.trials)")) < 500


def test_a_second_interrupt_abandons_the_trial_in_flight(kernel: Kernel) -> None:
    slow = OBJECTIVE.replace("time.sleep(0.05)", "print('asleep', flush=True); time.sleep(100)")
    cell = kernel.start(f"%%sllmbo cut {LINE} --trials 500\n{slow}")
    kernel.follow(cell, until=lambda c: "asleep" in c.text)
    kernel.interrupt()
    kernel.follow(cell, until=lambda c: stopping(c))
    kernel.interrupt()
    kernel.follow(cell)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert kernel.value("cut.status") == "'interrupted'"


def stopping(cell: Cell) -> bool:
    """Whether the view says that the first interrupt was heard."""
    return any("stopping" in update.get("text/plain", "") for update in cell.updates)


def test_an_interrupt_of_the_cell_s_own_code_is_felt_at_once(kernel: Kernel) -> None:
    cell = kernel.start("%%sllmbo x\nimport time\nprint('begun', flush=True)\ntime.sleep(100)")
    kernel.follow(cell, until=lambda c: "begun" in c.text)
    kernel.interrupt()
    kernel.follow(cell)
    assert cell.status == "error"
    assert "the cell was interrupted, so no run was started" in cell.error


def test_called_from_code_an_interrupt_does_the_same(kernel: Kernel) -> None:
    cell = kernel.start(
        f"r = get_ipython().run_cell_magic('sllmbo', 'code {LINE} --trials 500', {OBJECTIVE!r})"
    )
    kernel.follow(cell, until=several_trials)
    kernel.interrupt()
    kernel.follow(cell)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert kernel.value("code.status") == "'interrupted'"


def test_an_error_in_a_run_leaves_no_live_view(kernel: Kernel) -> None:
    broken = (
        "from sklearn.svm import SVC\nclass Bad(SVC):\n    def fit(self, *a, **k): raise ValueError('no')\n"
    )
    broken += "search_space = None\n"
    cell = kernel.run(f"%%sllmbo bad --cv 3\n{broken}X = [[0], [1]] * 9\ny = [0, 1] * 9\nmodel = Bad()")
    assert cell.status == "error"
    assert cell.reply["ename"] == "InputError"
    assert the_picture(cell)[RUN_MIME]["run"]["status"] == "failed", cell


def test_a_person_may_answer_as_the_llm(kernel: Kernel) -> None:
    space = {"name": "x", "type": "float", "low": 0, "high": 1, "log": False, "choices": None}
    configuration = {"reason": "r", "expects": "better", "params": [{"name": "x", "value": 0.875}]}
    answer = {"reasoning": "why", "space": [space], "configurations": [configuration]}
    cell = kernel.start(
        f"%%sllmbo man {LINE} --trials 2 --llm manual\n{OBJECTIVE}", answers=[json.dumps(answer)]
    )
    kernel.follow(cell)
    assert cell.status == "ok", cell
    (picture,) = (data for data in cell.data if RUN_MIME in data)
    assert {"text/plain": "A prompt was answered by hand."} in cell.data
    assert {"x": 0.875} in [trial["params"] for trial in picture[RUN_MIME]["trials"]]


def test_where_nobody_can_type_a_person_is_not_asked(kernel: Kernel) -> None:
    cell = kernel.run(f"%%sllmbo man {LINE} --trials 2 --llm manual\n{OBJECTIVE}")
    assert cell.reply["ename"] == "InputError"
    assert "--llm manual needs somebody to paste the answers" in cell.reply["evalue"]


# ---- the dashboard


def widget_of(cell: Cell) -> str | None:
    """The model id of the widget that the cell shows."""
    views = [o["data"].get("application/vnd.jupyter.widget-view+json") for o in cell.outputs if "data" in o]
    return next((str(view["model_id"]) for view in views if view), None)


def test_controls_are_answered_while_the_cell_runs(kernel: Kernel) -> None:
    cell = kernel.start(f"%%sllmbo live {LINE} --trials 500\n{OBJECTIVE}", front_end=True)
    kernel.follow(cell, until=lambda c: widget_of(c) is not None and several_trials(c))
    comm = widget_of(cell)
    assert comm is not None
    for wish, value in (("ratio", 0.3), ("stop", None)):
        sent = time.monotonic()
        answer = kernel.ask_comm(cell, comm, {"wish": wish, "value": value, "id": f"id-{wish}"})
        assert answer["ok"], answer
        assert time.monotonic() - sent < 5, "answered only after the cell"
        assert cell.status == "", "the cell still runs"
    kernel.follow(cell)
    assert cell.status == "ok", "a stop in the widget ends the cell normally"
    bundle = the_picture(cell)[RUN_MIME]
    assert bundle["run"]["status"] == "stopped"
    applied = {item["wish"]: item["state"] for item in bundle["chat"] if item["kind"] == "wish"}
    assert applied["ratio"] == "applied"
    assert cell.text.count("tried") == len(bundle["trials"]), "prints stay with their cell, messages or not"


def test_no_widget_shows_text(kernel: Kernel) -> None:
    cell = kernel.run(f"%%sllmbo text {LINE} --trials 3 --no-widget\n{OBJECTIVE}", front_end=True)
    assert cell.status == "ok"
    assert any("3/3 trials" in update.get("text/plain", "") for update in cell.updates)
    the_picture(cell)


# ---- background, and other kernels


def test_a_background_run_goes_on_between_cells(kernel: Kernel) -> None:
    launch = kernel.run(f"%%sllmbo back {LINE} --trials 40 --background\n{OBJECTIVE}")
    assert launch.status == "ok"
    assert "back goes on in the background" in launch.text
    steered = kernel.run("%sllmbo range x -2 2")
    assert "back: range is noted" in steered.text
    waited = kernel.run("%sllmbo wait back")
    assert waited.status == "ok", waited
    assert kernel.value("type(back).__name__, len(back.trials)") == "('TuneResult', 40)"


def test_prints_of_a_background_run_belong_to_its_cell(kernel: Kernel) -> None:
    gated = OBJECTIVE.replace("time.sleep(0.05)", "gate.wait(20)").replace(
        "import time", "import threading\ngate = threading.Event()"
    )
    launch = kernel.run(f"%%sllmbo quiet {LINE} --trials 3 --background\n{gated}")
    other = kernel.start("gate.set()\nquiet.wait()\nprint('end', flush=True)")
    kernel.follow(other, also=launch)
    assert other.status == "ok"
    assert other.text == "end\n"
    assert launch.text.count("tried") == 3


def test_a_background_run_that_fails_says_so_in_its_cell(kernel: Kernel) -> None:
    launch = kernel.run(f"%%sllmbo bad {LINE} --background --llm replay:nowhere\n{OBJECTIVE}")
    assert launch.status == "ok"
    other = kernel.start(
        "import asyncio\nwhile not bad.done: await asyncio.sleep(0.1)\nawait asyncio.sleep(1)"
    )
    kernel.follow(other, also=launch)
    assert "bad failed: " in launch.text
    assert "nowhere" in launch.text


def test_an_interrupt_of_wait_lets_the_run_go_on(kernel: Kernel) -> None:
    kernel.run(f"%%sllmbo on {LINE} --trials 1000 --background\n{OBJECTIVE}")
    cell = kernel.start("print('waiting', flush=True)\n%sllmbo wait on")
    kernel.follow(cell, until=lambda c: "waiting" in c.text)
    kernel.interrupt()
    kernel.follow(cell)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert kernel.value("on.done") == "False"
    assert kernel.run("%sllmbo stop on").status == "ok"
    assert kernel.run("%sllmbo wait on").status == "ok"
    assert kernel.value("on.status") == "'stopped'"


def test_a_blocking_run_is_steered_from_another_process(
    kernel: Kernel, kernel_folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = kernel.start(f"%%sllmbo far {LINE} --trials 500\n{OBJECTIVE}")
    kernel.follow(cell, until=several_trials)
    root = kernel_folder / ".sllmbo"
    (info,) = [info for info in list_runs(root) if info.name == "far"]
    assert info.running
    monkeypatch.chdir(kernel_folder)
    assert "far: stop is noted" in shell.ok("%sllmbo stop")
    assert "far has ended" in shell.ok("%sllmbo wait far")
    assert "far: objective" in shell.ok("%sllmbo show far")
    kernel.follow(cell)
    assert cell.status == "ok"
    assert kernel.value("far.status") == "'stopped'"
    meta = json.loads((root / "far" / "run.json").read_text(encoding="utf-8"))
    assert meta["status"] == "stopped"

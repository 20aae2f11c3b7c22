"""What a run may bind: its result goes where nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic.comparison.result import Comparison
from sllmbo_magic.tuning.result import TuneResult
from tests.magic.conftest import Shell

QUICK = "--direction maximize --trials 2 --seed 1 --no-widget"
OBJECTIVE = "def objective(params): return -(params['x'] - 1) ** 2\nsearch_space = {'x': (-5.0, 5.0)}\n"
GATED = """
import threading
gate = threading.Event()
calls = []
def objective(params):
    calls.append(params)
    gate.wait(20)
    return params["x"]
search_space = {"x": (0.0, 1.0)}
"""


@pytest.mark.parametrize(
    ("setup", "name", "what"),
    [
        ("churn = [1, 2]", "churn", "a variable 'churn' (of type list), which the result would replace"),
        ("churn = None", "churn", "a variable 'churn' (of type NoneType)"),
        ("import numpy as np", "np", "a variable 'np' (the module numpy)"),
        ("class churn: pass", "churn", "a variable 'churn' (the class churn)"),
        ("def churn(): pass", "churn", "a variable 'churn' (of type function)"),
        ("def run(): pass", "", "'run' (of type function), where a run without a name puts its result"),
    ],
)
def test_a_variable_of_the_user_is_not_replaced(shell: Shell, setup: str, name: str, what: str) -> None:
    shell.ok(setup)
    before = shell.user_ns[name or "run"]
    for more in ("", " --background"):
        result = shell.run(f"%%sllmbo {name} {QUICK}{more}\nprint('RUNS')\n{OBJECTIVE}")
        message = str(result.error_in_exec)
        assert what in message
        assert f"or del {name or 'run'} first." in message
        assert "RUNS" not in shell.out, "said before the cell's text runs"
    assert shell.user_ns[name or "run"] is before
    assert not Path(".sllmbo").exists()


@pytest.mark.parametrize("text", ["churn = [1, 2]", "import numpy as churn", "for churn in [1]: pass"])
def test_a_name_that_the_cell_assigns_is_not_replaced(shell: Shell, text: str) -> None:
    result = shell.run(f"%%sllmbo churn {QUICK}\n{text}\n{OBJECTIVE}")
    message = str(result.error_in_exec)
    assert "this cell assigns 'churn', which the result would replace." in message
    assert message.endswith("Choose another name, e.g. 'churn_run'."), (
        "del would not help: the cell assigns it"
    )
    assert "churn" not in shell.user_ns


def test_a_name_that_the_cell_binds_as_it_runs_is_not_replaced(shell: Shell) -> None:
    Path("setup.py").write_text("churn = [1, 2]\n", encoding="utf-8")
    result = shell.run(f"%%sllmbo churn {QUICK}\n%run setup.py\n{OBJECTIVE}")
    assert "'churn' (of type list)" in str(result.error_in_exec)
    assert shell.user_ns["churn"] == [1, 2]


def test_a_result_is_replaced_and_may_be_read_by_its_own_cell(shell: Shell) -> None:
    shell.ok(f"%%sllmbo churn {QUICK}\n{OBJECTIVE}")
    first = shell.user_ns["churn"]
    shell.ok(f"%%sllmbo churn {QUICK}\nenqueue = [churn.best_params]\n{OBJECTIVE}")
    assert isinstance(shell.user_ns["churn"], TuneResult)
    assert shell.user_ns["churn"] is not first


def test_a_dry_run_binds_nothing_and_refuses_nothing(shell: Shell) -> None:
    shell.ok(f"churn = 1\n{OBJECTIVE}")
    shell.ok(f"%%sllmbo churn {QUICK} --dry-run")
    assert shell.user_ns["churn"] == 1


def test_a_comparison_and_a_renamed_run_replace_nothing_either(shell: Shell) -> None:
    shell.ok(f"%%sllmbo churn {QUICK}\n{OBJECTIVE}")
    shell.ok("churn_comparison = other = 'mine'")
    result = shell.run("%sllmbo compare churn --samplers tpe,random --seeds 1")
    assert "a variable 'churn_comparison' (of type str)" in str(result.error_in_exec)
    assert shell.user_ns["churn_comparison"] == "mine"
    result = shell.run("%sllmbo rename churn other")
    assert "a variable 'other' (of type str)" in str(result.error_in_exec)
    assert shell.user_ns["other"] == "mine"
    assert Path(".sllmbo/churn").is_dir(), "nothing is renamed either"
    shell.ok("del churn_comparison")
    for _ in range(2):
        shell.ok("%sllmbo compare churn --samplers tpe,random --seeds 1")
    assert isinstance(shell.user_ns["churn_comparison"], Comparison)


# ---- a name that is busy


@pytest.mark.parametrize("again", [f"{QUICK} --background", QUICK])
def test_a_second_run_of_a_name_leaves_the_first_one_alone(shell: Shell, again: str) -> None:
    shell.ok(f"%%sllmbo go {QUICK} --background\n{GATED}")
    handle = shell.user_ns["go"]
    result = shell.run(f"%%sllmbo go {again}\nprint('RUNS')\nsearch_space = {{'x': (0.5, 1.0)}}")
    message = str(result.error_in_exec)
    assert "run 'go' goes on in the background" in message
    assert "%sllmbo wait go" in message
    assert "RUNS" not in shell.out
    assert shell.user_ns["go"] is handle
    assert "ratio is noted" in shell.ok("%sllmbo ratio 0.4"), "it is still steered"
    shell.user_ns["gate"].set()
    shell.ok("%sllmbo wait go")
    assert isinstance(shell.user_ns["go"], TuneResult)
    assert shell.user_ns["go"].best_value <= 1.0
    shell.ok(f"%%sllmbo go {QUICK}\n{OBJECTIVE}")


def test_a_background_run_that_fails_gives_the_name_back(shell: Shell) -> None:
    shell.ok(f"%%sllmbo go {QUICK}\n{OBJECTIVE}")
    result: Any = shell.user_ns["go"]
    shell.ok("%%sllmbo go --background --direction maximize\nsearch_space = {'x': (3.0, 1.0)}")
    error = shell.run("%sllmbo wait go").error_in_exec
    assert "x" in str(error)
    assert error is not None
    assert shell.user_ns["go"] is result


def test_what_the_user_binds_while_a_run_goes_on_stays(shell: Shell) -> None:
    shell.ok(f"%%sllmbo go {QUICK} --background\n{GATED}")
    shell.ok("go = 'mine'\ngate.set()")
    shell.ok("%sllmbo wait go")
    assert shell.user_ns["go"] == "mine"

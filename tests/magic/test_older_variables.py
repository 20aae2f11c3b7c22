"""A variable that an earlier cell left behind is named in the error that it causes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.magic.conftest import Shell

DATA = """
import numpy as np
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
X, y = make_regression(60, 4, noise=5, random_state=0)
model = Ridge()
"""
LINE = "%%sllmbo fit --trials 2 --seed 1 --cv 3 --no-widget"


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("search_space", {"n_layers": (1, 3)}, "n_layers"),
        ("search_space", "alpha", "search"),
        ("groups", [1, 2, 3], "groups"),
        ("sample_weight", [1.0, 2.0], "sample_weight"),
        ("cv", "three", "cv"),
        ("scoring", "rocauc", "rocauc"),
        ("fit_params", {"eval_metric": "auc"}, "eval_metric"),
        ("enqueue", [{"n_layers": 3}], "n_layers"),
    ],
)
def test_an_older_variable_is_named_with_what_to_do(
    shell: Shell, name: str, value: object, part: str
) -> None:
    shell.user_ns[name] = value
    line = LINE.replace("--cv 3 ", "") if name == "cv" else LINE
    message = str(shell.run(f"{line}\n{DATA}").error_in_exec)
    assert part in message
    assert f"{name} is from an earlier cell; del {name}, or define it here." in message
    message = str(shell.run(f"{line}\n{DATA}{name} = {value!r}").error_in_exec)
    assert part in message
    assert "earlier cell" not in message


def test_only_the_cause_is_named(shell: Shell) -> None:
    shell.user_ns.update(search_space={"n_layers": (1, 3)}, sample_weight=np.ones(60))
    message = str(shell.run(f"{LINE}\n{DATA}").error_in_exec)
    assert "search_space is from an earlier cell" in message
    assert "sample_weight" not in message


def test_test_data_of_another_cell_are_named(shell: Shell) -> None:
    shell.user_ns.update(X_test=np.zeros((5, 9)), y_test=np.zeros(5))
    cell = DATA.replace("X, y =", "X_train, y_train =")
    message = str(shell.run(f"{LINE}\n{cell}").error_in_exec)
    assert "X_test and y_test are from an earlier cell; del X_test, y_test, or define them here." in message


def test_a_dry_run_and_a_background_run_name_it_too(shell: Shell) -> None:
    shell.user_ns["search_space"] = {"n_layers": (1, 3)}
    expected = "search_space is from an earlier cell"
    assert expected in str(shell.run(f"{LINE} --dry-run\n{DATA}").error_in_exec)
    shell.run(f"{LINE} --background\n{DATA}")
    assert expected in str(shell.run("%sllmbo wait fit").error_in_exec)


def test_other_errors_name_no_variable(shell: Shell) -> None:
    shell.user_ns["search_space"] = {"alpha": (0.1, 1.0)}
    message = str(shell.run(f"{LINE} --metric nope\n{DATA}").error_in_exec)
    assert "metric 'nope'" in message
    assert "earlier cell" not in message

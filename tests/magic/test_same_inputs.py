"""What ``tune`` reads or refuses, from a cell: a stored study of another task, notations of a space."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Shell

DATA = """
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
X, y = make_regression(60, 4, noise=5, random_state=0)
Xc, c = make_classification(60, 4, random_state=0)
"""
RIDGE = "from sklearn.linear_model import Ridge\nmodel = Ridge()"
LOGISTIC = "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression()\nX, y = Xc, c"
OPTIONS = "--trials 3 --seed 0 --no-widget"


def error_of(shell: Shell, cell: str) -> str:
    """The sentence with which a cell is refused."""
    result = shell.run(cell)
    assert not result.success
    return str(result.error_in_exec)


@pytest.fixture
def loaded(shell: Shell) -> Shell:
    shell.ok(DATA)
    return shell


def test_an_edited_cell_does_not_return_the_old_models_result(loaded: Shell, tmp_path: Path) -> None:
    line = f"%%sllmbo model_run {OPTIONS} --storage sqlite:///{tmp_path / 's.db'}"
    loaded.ok(f"{line}\n{RIDGE}")
    first = loaded.user_ns["model_run"]
    loaded.ok(f"{line}\n{LOGISTIC}")
    second = loaded.user_ns["model_run"]
    assert len(second.trials) == 3
    assert all("C" in t.params or not t.params for t in second.trials)
    assert second.study.study_name != first.study.study_name


def test_resume_of_another_task_is_refused_with_what_differs(loaded: Shell, tmp_path: Path) -> None:
    line = f"%%sllmbo model_run {OPTIONS} --storage sqlite:///{tmp_path / 's.db'}"
    loaded.ok(f"{line}\n{RIDGE}")
    error = error_of(loaded, f"{line} --resume\n{LOGISTIC}")
    assert "estimator" in error
    assert "\n" not in error.strip()


@pytest.mark.parametrize(
    "notation",
    [
        "range(1, 20)",
        "__import__('numpy').arange(1, 20)",
        "__import__('scipy.stats').stats.randint(1, 20)",
        "__import__('hyperopt').hp.uniformint('k', 1, 19)",
        "[1, 3, 5, 9]",
        "(1, 20)",
    ],
)
def test_notations_are_read_in_a_cell(loaded: Shell, notation: str) -> None:
    cell = (
        "from sklearn.neighbors import KNeighborsClassifier\nmodel = KNeighborsClassifier()\nX, y = Xc, c\n"
        f"search_space = {{'n_neighbors': {notation}}}"
    )
    loaded.ok(f"%%sllmbo near {OPTIONS}\n{cell}")
    values = [t.params["n_neighbors"] for t in loaded.user_ns["near"].trials]
    assert len(values) == 3
    assert all(isinstance(v, int) and 1 <= v <= 20 for v in values)


def test_a_notation_with_several_meanings_is_refused_with_the_line_to_write(loaded: Shell) -> None:
    error = error_of(loaded, f"%%sllmbo near {OPTIONS}\n{RIDGE}\nsearch_space = {{'alpha': (10, 50, 10)}}")
    assert "range(10, 51, 10)" in error


def test_objects_as_choices_are_read_in_a_cell(loaded: Shell) -> None:
    cell = (
        "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression()\nX, y = Xc, c\n"
        "search_space = {'class_weight': [None, 'balanced', {0: 1, 1: 3}], 'C': (0.1, 10.0, 'log')}"
    )
    loaded.ok(f"%%sllmbo weights {OPTIONS}\n{cell}")
    assert len(loaded.user_ns["weights"].trials) == 3


def test_a_command_without_quotes_gets_the_line_to_write(loaded: Shell) -> None:
    error = error_of(loaded, f"%%sllmbo served {OPTIONS} --llm command:llm -m small\n{RIDGE}")
    assert '--llm "command:llm -m small"' in error


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("space", ["", "search_space = {'hidden_layer_sizes': [(5,), (6, 3)]}"])
def test_layers_are_searched_from_a_cell(loaded: Shell, space: str) -> None:
    network = (
        "from sklearn.neural_network import MLPClassifier\nmodel = MLPClassifier(max_iter=3)\nX, y = Xc, c"
    )
    loaded.ok(f"%%sllmbo model_run {OPTIONS} --cv 2\n{network}\n{space}")
    result = loaded.user_ns["model_run"]
    tried = {trial.params["hidden_layer_sizes"] for trial in result.trials[1:]}
    assert tried <= {"(5,)", "(6, 3)"} if space else all(text.startswith("(") for text in tried)
    assert isinstance(result.best_estimator.hidden_layer_sizes, tuple)

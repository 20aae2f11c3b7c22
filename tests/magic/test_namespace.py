"""Which objects a run takes from the notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.namespace import ResolvedTask
from sllmbo_magic.magic.namespace import resolve
from sllmbo_magic.magic.spec import parse
from sllmbo_magic.tuning.tune import plan

X = np.zeros((8, 2))
Y = np.arange(8) % 2
MODEL = LogisticRegression()


def resolved(line: str = "", cell: str = "", **names: Any) -> ResolvedTask:
    return resolve(parse(line, cell), names)


def test_a_model_with_data_is_taken_and_said() -> None:
    task = resolved("", "model = make(); X, y = load()", model=MODEL, X=X, y=Y, other=3)
    assert task.target is MODEL
    assert task.X is X
    assert task.y is Y
    assert task.arguments == {}
    assert task.taken == "model (LogisticRegression), X (8 x 2), y (8) from this cell"


def test_a_class_is_taken_like_an_instance() -> None:
    task = resolved("", "estimator = SVC", estimator=SVC, X=X, y=Y)
    assert task.target is SVC
    assert task.taken == "estimator (SVC) from this cell; X (8 x 2), y (8) from earlier cells"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", "model"),
        ("estimator = SVC()", "estimator"),
        ("def objective(trial): ...", "objective"),
        ("model = SVC()\nestimator = model", "model"),
        ("model = SVC()\ndef objective(trial): ...", "model"),
    ],
)
def test_a_name_that_the_cell_assigns_wins_over_older_ones(cell: str, expected: str) -> None:
    names: dict[str, Any] = {"model": MODEL, "estimator": SVC(), "objective": len, "X": X, "y": Y}
    assert resolve(parse("--direction maximize", cell), names).target is names[expected]


def test_names_bound_by_running_the_cell_count_as_assigned() -> None:
    task = resolve(
        parse("", "%run setup.py"), {"model": MODEL, "estimator": SVC, "X": X, "y": Y}, {"estimator"}
    )
    assert task.target is SVC


TRAIN, Y_TRAIN = np.ones((6, 2)), np.arange(6) % 2


@pytest.mark.parametrize(
    ("cell", "test_data", "expected"),
    [
        ("X, y = load()", True, "whole"),
        ("X_train, X_test, y_train, y_test = split()", True, "split"),
        ("X, y = load()\nX_train, X_test, y_train, y_test = split(X, y)", True, "split"),
        ("", True, "split"),
        ("", False, "whole"),
        ("X_train = X_train[:6]", False, "split"),
    ],
)
def test_fresh_data_wins_and_test_rows_stay_untouched(cell: str, test_data: bool, expected: str) -> None:
    names: dict[str, Any] = {"model": MODEL, "X": X, "y": Y, "X_train": TRAIN, "y_train": Y_TRAIN}
    if test_data:
        names |= {"X_test": X[:2], "y_test": Y[:2]}
    task = resolve(parse("", cell), names)
    if expected == "whole":
        assert task.X is X
        assert "X_test" not in task.arguments
    else:
        assert task.X is TRAIN
        assert task.y is Y_TRAIN
        assert ("X_test" in task.arguments) == test_data


@pytest.mark.parametrize(
    ("line", "cell", "others", "taken"),
    [
        ("", "X, y, X_test, y_test = load()", {}, True),
        ("", "X, y, X_test, y_test = load()", {"X_train": TRAIN, "y_train": Y_TRAIN}, True),
        ("", "", {}, True),
        ("", "X, y = load()", {}, False),
        (
            "--target price",
            "data, X_test, y_test = load()",
            {"data": pd.DataFrame({"a": [1], "price": [2]})},
            True,
        ),
    ],
)
def test_test_data_beside_whole_data_are_taken_and_named(
    line: str, cell: str, others: dict[str, Any], taken: bool
) -> None:
    names = {"model": MODEL, "X": X, "y": Y, "X_test": TRAIN, "y_test": Y_TRAIN, **others}
    task = resolve(parse(line, cell), names)
    assert task.X is not TRAIN
    assert ("X_test" in task.arguments, "y_test" in task.arguments) == (taken, taken)
    assert ("X_test (6 x 2), y_test (6)" in task.taken) == taken


@pytest.mark.parametrize(
    ("cell", "others", "left"),
    [
        (
            "model = make()\ndef objective(trial): ...",
            {"objective": len},
            "not objective, since model is tuned",
        ),
        ("model = make(); estimator = SVC()", {"estimator": SVC()}, "not estimator, since model is tuned"),
        ("model = make(); estimator = model", {"estimator": MODEL}, ""),
        ("model = make()", {"objective": len, "X_test": TRAIN}, ""),
        ("X, y = load(); X_test = read()", {"X_test": TRAIN}, "not X_test, since there is no y_test"),
        ("X, y = load(); y_test = read()", {"y_test": Y_TRAIN}, "not y_test, since there is no X_test"),
        (
            "X, y = load(); X_test = read()",
            {"X_test": TRAIN, "y_test": Y_TRAIN},
            "not X_test, since y_test is older",
        ),
        (
            "X, y = load(); X_train, X_val, y_train, y_val = split(X, y)",
            {"X_train": TRAIN, "y_train": Y_TRAIN},
            "not X_train and y_train, since there are X and y, and no X_test and y_test",
        ),
    ],
)
def test_what_the_cell_assigns_and_is_not_used_is_said(cell: str, others: dict[str, Any], left: str) -> None:
    task = resolve(parse("", cell), {"model": MODEL, "X": X, "y": Y, **others})
    assert task.target is MODEL
    assert task.X is X
    assert task.taken.partition("; not ")[2] == left.removeprefix("not ")


@pytest.mark.parametrize("library", [pd, pl])
def test_a_data_frame_is_split_at_the_target(library: Any) -> None:
    data = library.DataFrame({"age": [1, 2, 3], "price": [3.0, 4.0, 5.0]})
    task = resolved("--target price", "data = read()", model=MODEL, data=data)
    assert list(task.X.columns) == ["age"]
    assert list(task.y) == [3.0, 4.0, 5.0]
    assert "data (3 x 2)" in task.taken
    assert list(data.columns) == ["age", "price"]


def test_what_belongs_to_scikit_learn_is_taken_and_options_win() -> None:
    folds, weights = StratifiedKFold(3), np.ones(8)
    names = {"model": MODEL, "X": X, "y": Y, "cv": folds, "scoring": "f1", "sample_weight": weights}
    names |= {"fit_params": {"verbose": 0}, "groups": Y, "search_space": {"C": (0.1, 1.0)}}
    task = resolve(parse("--cv 4", ""), names)
    assert task.arguments["cv"] == 4
    assert task.arguments["scoring"] == "f1"
    assert task.arguments["sample_weight"] is weights
    assert set(task.arguments) == {"cv", "scoring", "sample_weight", "fit_params", "groups", "search_space"}
    assert "scoring ('f1')" in task.taken
    assert "cv (" not in task.taken


def test_own_configurations_are_taken_and_an_older_thing_of_that_name_is_not() -> None:
    cell = "enqueue = [{'C': 3.0}, {'C': 0.5}]"
    task = resolve(parse("", cell), {"model": MODEL, "X": X, "y": Y, "enqueue": [{"C": 3.0}, {"C": 0.5}]})
    assert task.arguments == {"enqueue": [{"C": 3.0}, {"C": 0.5}]}
    assert task.taken.startswith("enqueue (2) from this cell")
    names = {"objective": len, "enqueue": {"x": 1}}
    assert resolve(parse("--direction minimize", ""), names).arguments["enqueue"] == {"x": 1}
    older = resolve(parse("--direction minimize", ""), names | {"enqueue": len})
    assert older.arguments == {"direction": "minimize"}


def test_an_objective_takes_no_data_of_earlier_cells() -> None:
    task = resolve(
        parse("--direction minimize", "def objective(trial): ..."), {"objective": len, "X": X, "cv": 3}
    )
    assert task.X is None
    assert task.arguments == {"direction": "minimize"}


def test_a_target_column_of_an_objective_is_refused() -> None:
    with pytest.raises(InputError, match="--target names a column for a model"):
        resolve(parse("--target price --direction minimize", ""), {"objective": len, "data": pd.DataFrame()})


def test_variables_hold_option_values() -> None:
    folds, n = StratifiedKFold(3), 7
    task = resolve(
        parse("--cv {folds} --trials {n}", ""), {"model": MODEL, "X": X, "y": Y, "folds": folds, "n": n}
    )
    assert task.arguments == {"cv": folds, "n_trials": 7}


def test_a_preset_gives_way_to_what_was_given() -> None:
    names = {"model": MODEL, "X": X, "y": Y}
    task = resolve(parse("--preset paper --sampler llm --candidates 5 --judge", ""), names)
    settings = plan(task.target, task.X, task.y, **task.arguments, cv=2).settings
    assert (settings.candidates, settings.judge) == (5, True), "also what equals the default"
    assert (settings.history, settings.patience) == ("summary", 15)


def test_the_user_s_words_are_the_option_and_the_docstring() -> None:
    names = {"model": MODEL, "X": X, "y": Y}
    assert resolve(parse("", '"""Words."""'), names).arguments["description"] == "Words."
    both = resolve(parse("--describe First.", '"""Words."""'), names).arguments["description"]
    assert both == "First.\nWords."


@pytest.mark.parametrize(
    ("line", "cell", "names", "parts"),
    [
        ("", "", {}, ["no model", "`model`, `estimator` or `objective`", "model = "]),
        ("", "", {"clf": MODEL}, ["no model", "Is it 'clf'? Then add: model = clf."]),
        ("", "", {"model": MODEL}, ["no data", "Assign X and y"]),
        ("", "", {"model": MODEL, "X": X}, ["there is 'X' but no 'y'"]),
        ("", "", {"model": MODEL, "data": X}, ["'data', which needs --target"]),
        (
            "",
            "data = read()",
            {"model": MODEL, "data": pd.DataFrame({"a": [1]}), "X": X, "y": Y},
            ["--target", "a"],
        ),
        ("--target price", "", {"model": MODEL}, ["--target price", "`data`"]),
        ("--target b", "", {"model": MODEL, "data": X}, ["data is a ndarray", "pandas, polars"]),
        (
            "--target prise",
            "",
            {"model": MODEL, "data": pd.DataFrame({"price": [1], "age": [2]})},
            ["no column 'prise'", "Did you mean 'price'?", "price, age"],
        ),
        (
            "--target a",
            "",
            {"model": MODEL, "data": pl.DataFrame({"a": [1]}).lazy()},
            ["LazyFrame", "collect"],
        ),
        ("", "", {"objective": len}, ["--direction", "maximize, minimize"]),
        ("", "", {"objective": 3}, ["objective is a int"]),
        ("", "model = 'lgbm'", {"model": "lgbm", "X": X, "y": Y}, ["model is a str, not an estimator"]),
        (
            "--cv {fold}",
            "",
            {"model": MODEL, "X": X, "y": Y, "folds": 3},
            ["'fold'", "Did you mean 'folds'?"],
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(line: str, cell: str, names: Any, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        resolve(parse(line, cell), names)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_an_older_search_space_is_not_forced_on_an_objective_that_suggests_for_itself() -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 1))

    def of_params(params: Any) -> float:
        return float(params["x"])

    space = {"x": (0.0, 1.0)}
    line = "--direction minimize"
    alone = resolved(line, "def objective(trial): ...", objective=objective, search_space=space)
    assert alone.arguments.get("search_space") is None
    assert alone.taken == "objective from this cell"
    both = resolved(
        line, "search_space = {}\ndef objective(trial): ...", objective=objective, search_space=space
    )
    assert both.arguments["search_space"] == space
    dicts = resolved(line, "def objective(params): ...", objective=of_params, search_space=space)
    assert dicts.arguments["search_space"] == space

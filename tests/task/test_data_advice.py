"""What a person is told about data that cannot be fitted on, or that look wrong."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.task.data_advice import columns_to_prepare
from sllmbo_magic.task.data_advice import has_decimal_comma
from sllmbo_magic.task.data_advice import suspicious
from sllmbo_magic.task.task import Task

pl = pytest.importorskip("polars")

N = 40
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "area": RNG.normal(80, 20, N),
        "rooms": ["2,5", "3"] * (N // 2),
        "city": ["Baku", "Lund"] * (N // 2),
        "note": ["near the station", None, "quiet", "old, with a garden"] * (N // 4),
        "sold": pd.date_range("2024", periods=N),
    }
)
RENT = 10 * FRAME.area.to_numpy() + RNG.normal(0, 5, N)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_each_kind_of_column_has_its_own_advice(library: str) -> None:
    X = FRAME if library == "pandas" else pl.DataFrame(FRAME.replace({np.nan: None}).to_dict("list"))
    assert columns_to_prepare(X) == (
        "X has columns of text: city, note; numbers with a decimal comma: rooms; dates: sold; gaps: note. "
        "Most estimators need numbers: encode text in a Pipeline (OneHotEncoder); "
        'read a decimal comma with pd.read_csv(..., decimal=","); '
        'turn dates into numbers (X["sold"].dt.month); fill gaps in a Pipeline (SimpleImputer).'
    )
    assert columns_to_prepare(X[["area"]]) == ""
    assert columns_to_prepare(np.ones((3, 2))) == ""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2,5", "3"], True),
        (["1.234,56", "-0,5", None], True),
        ([" 874,04 "], True),
        (["1,234.56"], False),
        (["1", "2"], False),
        (["a,b"], False),
        ([1.5, 2.0], False),
        ([], False),
    ],
)
def test_a_decimal_comma_is_told_from_other_text(texts: list[object], expected: bool) -> None:
    assert has_decimal_comma(np.array(texts, dtype=object)) is expected


@pytest.mark.parametrize(
    ("text_columns", "other_columns", "advice"),
    [
        ("note", ["area"], r"Fill the gaps in texts first, .*fillna\(\{\"note\": \"\"\}\)"),
        (["city"], ["area"], r"takes the name of one column, not a list: \(TfidfVectorizer\(\), \"text\"\)"),
        ("city", ["Area"], "Did you mean 'area' for 'Area'\\? X has the columns area, rooms, city"),
    ],
)
def test_a_fit_that_failed_on_the_data_says_what_to_do(
    text_columns: object, other_columns: list[str], advice: str
) -> None:
    prepare = make_column_transformer((TfidfVectorizer(), text_columns), (SimpleImputer(), other_columns))
    with pytest.raises(InputError, match=advice) as raised:
        tune(make_pipeline(prepare, Ridge()), FRAME, RENT, n_trials=1, folder="", verify=False)
    assert "Most estimators need numbers" not in str(raised.value)


def test_a_target_with_a_decimal_comma_is_no_task_for_a_classifier() -> None:
    y = [f"{value:.2f}".replace(".", ",") for value in RENT]
    with pytest.raises(InputError, match=r"y holds numbers with a decimal comma, as text\. .*decimal=\",\""):
        Task.from_estimator(Ridge(), FRAME[["area"]], y)
    with pytest.raises(InputError, match="y holds text, but Ridge is a regressor"):
        Task.from_estimator(Ridge(), FRAME[["area"]], FRAME.city)


def test_missing_targets_are_refused_with_the_line_that_drops_them() -> None:
    y = pd.Series([None, *RENT[1:]])
    with pytest.raises(InputError) as raised:
        Task.from_estimator(Ridge(), FRAME[["area"]], y)
    (line,) = re.findall(r"\((keep = .*?\])\)", str(raised.value))
    names = {"X": FRAME[["area"]], "y": y}
    exec(line, names)
    assert len(names["X"]) == len(names["y"]) == N - 1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_column_that_holds_the_target_is_noted(library: str) -> None:
    leak = pd.DataFrame({"area": FRAME.area, "rent": RENT})
    X = leak if library == "pandas" else pl.DataFrame(leak.to_dict("list"))
    assert suspicious(X, RENT, "regression") == [
        "rent of X equals y, so the model can read the answer: drop it from X."
    ]
    assert suspicious(X[["area"]], RENT, "regression") == []
    assert suspicious(X, RENT + np.r_[np.zeros(N - 1), 1], "regression") == []
    assert suspicious(np.c_[RENT], RENT, "regression") == []


def test_rows_that_do_not_belong_together_by_their_labels_are_noted() -> None:
    X, y = FRAME[["area"]], pd.Series(RENT)
    by_date = pd.Index(FRAME.sold)
    dated, y_dated = X.set_axis(by_date), y.set_axis(by_date)
    odd = X[X.index % 2 == 1]
    for other_order, target in (
        (X.iloc[::-1], y),
        (X.sample(frac=1, random_state=0), y),
        (dated[::-1], y_dated),
    ):
        (note,) = Task.from_estimator(Ridge(), other_order, target).notes
        assert "the same labels in another order" in note
        assert "y = y.loc[X.index]" in note
    assert "different labels" in Task.from_estimator(Ridge(), dated[:20], y_dated[20:]).notes[0]
    assert "different labels" in Task.from_estimator(Ridge(), odd, y[20:]).notes[0]
    notes = Task.from_estimator(Ridge(), X, y, groups=pd.Series(range(N))[::-1], cv=2).notes
    assert "groups = groups.loc[X.index]" in notes[0]
    notes = Task.from_estimator(Ridge(), X, y, X_test=odd, y_test=y[X.index % 2 == 1][::-1]).notes
    assert "y_test = y_test.loc[X_test.index]" in notes[0]
    for fine, target in (
        (X, y),
        (X[::-1], y[::-1]),
        (dated, y),
        (X, y_dated),
        (odd, y[X.index % 2 == 1].reset_index(drop=True)),
        (X[::-1], y[::-1].to_numpy()),
        (odd.reset_index(drop=True), y[X.index % 2 == 1]),
    ):
        assert Task.from_estimator(Ridge(), fine, target).notes == ()


def test_labels_that_differ_in_capitals_only_are_noted_and_not_quoted() -> None:
    (note,) = suspicious(FRAME, np.array(["Yes", "yes ", "no"] * 13 + ["no"]), "classification")
    assert "differ only in capitals or blanks" in note
    assert "yes" not in note.lower().replace("capitals", "")
    assert suspicious(FRAME[["area"]], FRAME.city, "classification") == []


def test_the_notes_come_with_the_run_and_the_metric_for_two_classes_names_the_classes() -> None:
    y = np.array(["Yes", "yes", "no", "no"] * (N // 4))
    result = tune(LogisticRegression(), FRAME[["area"]], y, n_trials=1, cv=2, folder="", verify=False)
    assert any("differ only in capitals" in getattr(event, "text", "") for event in result.events)
    with pytest.raises(InputError, match=r"y has 3 classes \('Yes', 'no', 'yes'\)"):
        Task.from_estimator(LogisticRegression(), FRAME[["area"]], y, scoring="f1")

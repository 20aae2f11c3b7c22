"""Advice on data that a model cannot be fitted on, and notes on data that look wrong.

The sentences name columns and labels. They are for the owner of the data and are never sent to an LLM.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import numpy as np

from sllmbo_magic.task.data import column_kind
from sllmbo_magic.task.data import column_names
from sllmbo_magic.task.data import is_missing
from sllmbo_magic.task.data import library_of

_MOST_NAMES = 5
"""Columns of one kind that are named."""
_SAMPLE = 1000
"""Rows that are read to tell what a column of text holds."""
_HEAD = 100
"""Rows in which a column is first compared with the target."""
_DECIMAL_COMMA = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})*,\d+|[-+]?\d+,\d+")
_WHOLE = re.compile(r"[-+]?\d+(?:\.\d{3})*")

READ_DECIMAL_COMMA = 'read a decimal comma with pd.read_csv(..., decimal=",")'


def advice_for(cause: str, X: Any) -> str:
    """What to do about a fit or a prediction that failed on the data; ``""`` where there is nothing to say.

    Args:
        cause: The exception of the fit, as :func:`sllmbo_magic.evaluation.causes.error_text` has it.
        X: The data, or None where their columns are not the reason.
    """
    names = column_names(X)
    if names and "not columns of the dataframe" in cause:
        unknown = re.findall(r"'([^']+)'", cause.partition("dataframe")[2].partition("}")[0])
        pairs = [(name, difflib.get_close_matches(name, names, n=1)) for name in unknown]
        similar = [f"{close[0]!r} for {name!r}" for name, close in pairs if close]
        meant = f"Did you mean {', '.join(similar)}? " if similar else ""
        return f"{meant}X has the columns {_listed(names, 20)}."
    if "is an invalid document" in cause:
        texts = [name for name in columns_by_need(X)["gaps"] if name in columns_by_need(X)["columns of text"]]
        column = texts[0] if texts else "text"
        return f'Fill the gaps in texts first, for example X = X.fillna({{"{column}": ""}}).'
    if "all the input array dimensions except for the concatenation axis must match" in cause:
        return 'A text vectorizer takes the name of one column, not a list: (TfidfVectorizer(), "text").'
    if "Found unknown categories" in cause:
        return 'Folds hold categories that their training rows lack: OneHotEncoder(handle_unknown="ignore").'
    if cause.endswith("hold one class)"):
        return "Choose folds (cv) whose training rows hold every class, as those of StratifiedKFold do."
    return columns_to_prepare(X)


def columns_to_prepare(X: Any) -> str:
    """Columns of a data frame that most estimators cannot be fitted on, by name, and what to do about them;
    ``""`` where there are none.
    """
    needs = {need: columns for need, columns in columns_by_need(X).items() if columns}
    if not needs:
        return ""
    parts = [f"{need}: {_listed(columns, _MOST_NAMES)}" for need, columns in needs.items()]
    what_to_do = {
        "columns of text": "encode text in a Pipeline (OneHotEncoder)",
        "numbers with a decimal comma": READ_DECIMAL_COMMA,
        "dates": f'turn dates into numbers (X["{needs.get("dates", [""])[0]}"].dt.month)',
        "gaps": "fill gaps in a Pipeline (SimpleImputer)",
    }
    steps = "; ".join(what_to_do[need] for need in needs)
    return f"X has {'; '.join(parts)}. Most estimators need numbers: {steps}."


def columns_by_need(X: Any) -> dict[str, list[str]]:
    """The columns of a data frame by what they need before a fit; a column may need two things."""
    needs: dict[str, list[str]] = {
        "columns of text": [],
        "numbers with a decimal comma": [],
        "dates": [],
        "gaps": [],
    }
    library = library_of(X)
    if library not in ("pandas", "polars") or not hasattr(X, "columns"):
        return needs
    names = column_names(X)
    columns = [X.iloc[:, i] for i in range(len(names))] if library == "pandas" else list(X)
    for name, dtype, column in zip(names, X.dtypes, columns, strict=True):
        kind = column_kind(str(dtype))
        values = column.to_numpy()
        if kind == "text" and has_decimal_comma(values):
            needs["numbers with a decimal comma"].append(name)
        elif kind in ("text", "category"):
            needs["columns of text"].append(name)
        elif kind == "datetime":
            needs["dates"].append(name)
        if is_missing(values if library == "polars" else column):
            needs["gaps"].append(name)
    return needs


def has_decimal_comma(values: Any) -> bool:
    """Whether texts are numbers that are written with a decimal comma, such as ``"2,5"``."""
    texts = [value.strip() for value in np.ravel(values)[:_SAMPLE] if isinstance(value, str)]
    n_commas = sum(_DECIMAL_COMMA.fullmatch(text) is not None for text in texts)
    return n_commas > 0 and all(_DECIMAL_COMMA.fullmatch(t) or _WHOLE.fullmatch(t) for t in texts)


def suspicious(X: Any, y: Any, kind: str) -> list[str]:
    """One sentence for each thing in the data that is most probably a mistake.

    Args:
        X: The data.
        y: The target, one value per row (others are not looked at).
        kind: ``"classification"``, ``"regression"`` or ``"other"``.
    """
    values = np.asarray(y)
    if values.ndim != 1:
        return []
    notes = []
    if copies := _copies_of(values, X):
        verb = "equals" if len(copies) == 1 else "equal"
        notes.append(
            f"{_listed(copies, _MOST_NAMES)} of X {verb} y, so the model can read the answer: drop it from X."
        )
    if kind == "classification" and _n_same_but_for_case(values):
        notes.append("y has classes that differ only in capitals or blanks. They count as different classes.")
    return notes


def other_rows(X: Any, X_name: str, **per_row: Any) -> list[str]:
    """One sentence for each thing whose index speaks of other rows than that of X, or of another order.

    A fit matches rows by position. An index that counts the rows from 0 and has other labels says nothing: it
    may have been reset.

    Args:
        X: The data.
        X_name: Its name.
        per_row: Name -> target, groups or weights, of as many rows (only pandas objects are looked at).
    """
    notes = []
    for name, values in per_row.items():
        if library_of(X) != "pandas" or library_of(values) != "pandas" or X.index.equals(values.index):
            continue
        if _same_labels(X.index, values.index):
            notes.append(
                f"The indexes of {X_name} and {name} have the same labels in another order, and rows are"
                " matched by position: if the labels say which rows belong together, write"
                f" {name} = {name}.loc[{X_name}.index]."
            )
        elif not (_counts_rows(X.index) or _counts_rows(values.index)):
            notes.append(
                f"The indexes of {X_name} and {name} have different labels, and rows are matched by position:"
                f" take {X_name} and {name} from the same rows."
            )
    return notes


def _counts_rows(index: Any) -> bool:
    """Whether it is pandas' index of data that were given none."""
    return bool(np.array_equal(index, np.arange(len(index)))) if index.dtype.kind in "iu" else False


def _same_labels(a: Any, b: Any) -> bool:
    if a.nlevels != b.nlevels or not a.is_unique:
        return False
    return bool(a.isin(b).all() and b.isin(a).all())


def _copies_of(y: np.ndarray[Any, Any], X: Any) -> list[str]:
    """The columns of a data frame that hold the target itself."""
    library = library_of(X)
    if library not in ("pandas", "polars") or not hasattr(X, "columns"):
        return []
    names = column_names(X)
    columns = [X.iloc[:, i] for i in range(len(names))] if library == "pandas" else list(X)
    return [name for name, column in zip(names, columns, strict=True) if _holds(column, y)]


def _holds(column: Any, y: np.ndarray[Any, Any]) -> bool:
    """Whether a column has the values of y; its first rows are enough to see that most columns do not."""
    head = len(y[:_HEAD])
    return _equal(column[:head].to_numpy(), y[:head]) and _equal(column.to_numpy(), y)


def _equal(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    if a.dtype.kind in "biuf" and b.dtype.kind in "biuf":
        return bool(np.array_equal(a, b))
    try:
        return len(a) == len(b) and all(x == y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    except (TypeError, ValueError):
        return False  # values that do not compare


def _n_same_but_for_case(y: np.ndarray[Any, Any]) -> int:
    """How many labels there are beside another one that differs only in capitals or blanks around it."""
    if y.dtype.kind not in "OUS":
        return 0
    labels = {value for value in y.tolist() if isinstance(value, str)}
    return len(labels) - len({label.strip().casefold() for label in labels})


def _listed(names: list[str], most: int) -> str:
    return ", ".join(names[:most]) + (" and more" if len(names) > most else "")

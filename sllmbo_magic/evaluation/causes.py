"""Why an evaluation failed, in words for the user.

A cause may quote the user's data, as the exception does. It is shown and stored on the user's machine; an LLM
gets the category of a failure alone (see ``history.trials.observe``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.base import message_of
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.task.data import is_missing
from sllmbo_magic.task.data import take

_MOST_CAUSES = 3
_SIGN_TIMES_NONE = "unsupported operand type(s) for *: 'int' and 'NoneType'"
"""What scikit-learn's scorers raise for a metric that returns nothing: they multiply it by their sign."""
MAX_LENGTH = 4000
"""Characters of a cause that are kept."""


def error_text(error: BaseException) -> str:
    """Class and whole message of an exception, keys redacted, at most :data:`MAX_LENGTH` characters.

    What it was raised from follows, as ``RuntimeError: no data; from FileNotFoundError: data.csv``.
    """
    text = "; from ".join(_one_error(one) for one in _with_causes(error))
    inner = getattr(error, "exceptions", None)  # of an ExceptionGroup
    if isinstance(inner, tuple) and inner and all(isinstance(one, BaseException) for one in inner):
        text += f": {'; '.join(_one_error(one) for one in inner[:_MOST_CAUSES])}"
    return text


def _one_error(error: BaseException) -> str:
    message = redact(message_of(error).strip())
    if len(message) > MAX_LENGTH:
        message = f"{message[:MAX_LENGTH].rstrip()} [… {len(message) - MAX_LENGTH:,} more characters]"
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def _with_causes(error: BaseException) -> list[BaseException]:
    """The exception and those that it names as its cause (``raise ... from``) without quoting them itself."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain and len(chain) <= _MOST_CAUSES:
        if type(cause).__name__ == "_RemoteTraceback":  # of a process pool: a traceback, not a cause
            break
        if not message_of(cause).strip() or message_of(cause).strip() not in message_of(error):
            chain.append(cause)
        else:
            break
    return chain


def fit_error_text(error: BaseException, kind: str, y: Any, train: Any, fold: int) -> str:
    """The exception of a fit, and what is special about the training rows of its fold, if anything."""
    text = error_text(error)
    if kind == "classification" and _n_classes(_rows(y, train)) == 1:
        text += f" (the training rows of fold {fold + 1} hold one class)"
    return text


def score_text(
    metric: str,
    kind: str,
    y: Any,
    test: Any,
    fold: int | None,
    *,
    score: float | None = None,
    error: BaseException | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """``roc_auc is nan on fold 4: its test rows hold one class``.

    Args:
        metric: The metric's name.
        kind: ``"classification"``, ``"regression"`` or ``"other"``.
        y: The target, n values or n x outputs; None when there is none.
        test: Row numbers of the fold's test rows.
        fold: Number of the fold from 0; the text counts from 1. None: the rows are the test data, no fold.
        score: The score, if the metric gave one that is not finite.
        error: What the metric raised, if it did.
        warnings: Messages of the metric's warnings, which often say what is undefined.
    """
    outcome = "failed" if score is None else f"is {score:g}"
    head = f"{metric} {outcome}" + ("" if fold is None else f" on fold {fold + 1}")
    reason = _reason(kind, y, test)
    if isinstance(error, TypeError) and _SIGN_TIMES_NONE in str(error):
        return f"{head}: it returned None, not a number (is a return statement missing?)"
    if not reason and warnings:
        reason = redact(" ".join(warnings[0].split()))
    raised = "" if error is None else error_text(error)
    if reason and raised:
        return f"{head}: {reason} ({raised})"
    return f"{head}: {reason or raised}" if reason or raised else head


def _reason(kind: str, y: Any, test: Any) -> str:
    """What is special about the target of the test rows; "" when nothing is."""
    rows = _rows(y, test)
    if rows is None:
        return ""
    missing = is_missing(rows)
    if missing:
        return f"the target of its test rows has {missing} missing {'value' if missing == 1 else 'values'}"
    if kind == "classification" and rows.ndim == 1:
        n_test, n_all = _n_classes(rows), _n_classes(np.asarray(y))
        if n_test == 1:
            return "its test rows hold one class"
        if n_test < n_all:
            return f"its test rows hold {n_test} of the {n_all} classes"
    if len(rows) == 1:
        return "it has one test row"
    return ""


def _rows(y: Any, rows: Any) -> np.ndarray[Any, Any] | None:
    return None if y is None else np.asarray(take(y, rows))


def _n_classes(labels: np.ndarray[Any, Any] | None) -> int:
    if labels is None or labels.ndim != 1:
        return 0
    return len(np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels))

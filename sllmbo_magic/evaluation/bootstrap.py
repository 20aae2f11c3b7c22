"""How sure a difference on test data is: both models are asked once, then test rows are resampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.base import as_score
from sllmbo_magic.evaluation.base import is_finite
from sllmbo_magic.evaluation.fold_fit import scorer_of
from sllmbo_magic.task.data import n_rows
from sllmbo_magic.task.data import take
from sllmbo_magic.task.task import Task

_MIN_ROWS = 10
_RESPONSES = ("predict", "predict_proba", "predict_log_proba", "decision_function")

Scores = Callable[[np.ndarray[Any, Any]], float]
"""Row numbers of the test data -> score on them."""


def test_scores(task: Task, estimator: Any) -> Scores:
    """The task's score of a fitted estimator as a function of test rows.

    Predictions are kept, so that resampling costs the metric only; a scorer that looks at the data itself is
    called with the rows.
    """
    scorer = scorer_of(task, estimator)
    y = np.asarray(task.y_test)
    all_rows = np.arange(n_rows(task.X_test))

    def direct(rows: np.ndarray[Any, Any]) -> float:
        return as_score(scorer(estimator, take(task.X_test, rows), y[rows]))

    answers = _Answers(estimator, task.X_test)

    def from_answers(rows: np.ndarray[Any, Any]) -> float:
        return as_score(scorer(answers, rows, y[rows]))

    if not hasattr(scorer, "_score_func"):
        return direct
    try:
        same = np.isclose(from_answers(all_rows), direct(all_rows), rtol=1e-9, atol=1e-12)
    except (TypeError, ValueError, AttributeError, IndexError):
        return direct
    return from_answers if same else direct


def bootstrap_interval(
    task: Task, default: Scores, best: Scores, seed: int, should_stop: Callable[[], bool]
) -> tuple[float, float] | None:
    """Percentile interval (95 %) of the score of ``best`` minus that of ``default``, resampling test rows.

    Both are scored on the same rows; classes keep their sizes. 200 to 500 resamples, fewer for more rows.
    None with fewer than 10 rows, after a stop, or where the metric is undefined on resamples.
    """
    scores = [resampled_scores(task, one, seed, should_stop) for one in (best, default)]
    return interval_of_difference(*scores)


def resampled_scores(
    task: Task, scores: Scores, seed: int, should_stop: Callable[[], bool]
) -> tuple[float, ...]:
    """The scores on resampled test rows, which are the same for every model with the same seed.

    Empty with fewer than 10 rows, after a stop, or where the metric is undefined on resamples.
    """
    rows = n_rows(task.X_test)
    if rows < _MIN_ROWS:
        return ()
    rng = np.random.default_rng(seed)
    strata = _strata(task, rows)
    values = []
    for _ in range(int(np.clip(1_000_000 // rows, 200, 500))):
        if should_stop():
            return ()
        sample = np.concatenate([rng.choice(stratum, len(stratum)) for stratum in strata])
        try:
            values.append(scores(sample))
        except ValueError:  # the metric is undefined there
            return ()
        if not is_finite(values[-1]):
            return ()
    return tuple(values)


def interval_of_difference(best: tuple[float, ...], default: tuple[float, ...]) -> tuple[float, float] | None:
    """Percentile interval (95 %) of the differences; None where either has no resampled scores."""
    if not best or not default:
        return None
    low, high = np.quantile(np.subtract(best, default), [0.025, 0.975])
    return float(low), float(high)


def _strata(task: Task, rows: int) -> list[np.ndarray[Any, Any]]:
    all_rows = np.arange(rows)
    y = np.asarray(task.y_test)
    if task.kind != "classification" or y.ndim != 1:
        return [all_rows]
    codes = np.unique(y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True)[1]
    return [all_rows[codes == code] for code in np.unique(codes)]


class _Answers:
    """A fitted estimator that has been asked about all rows already: its methods take row numbers."""

    def __init__(self, estimator: Any, X: Any) -> None:
        self._estimator = estimator
        self._X = X
        self._known: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._estimator, name)
        if name not in _RESPONSES:
            return method

        def answer(rows: np.ndarray[Any, Any]) -> Any:
            if name not in self._known:
                self._known[name] = method(self._X)
            answers = self._known[name]
            if isinstance(answers, list):  # one array per output
                return [np.asarray(part)[rows] for part in answers]
            return np.asarray(answers)[rows]

        answer.__name__ = name
        return answer

"""Rows of folds are sliced once for all trials, and no trial sees what another one wrote into them."""

from __future__ import annotations

import pickle
from typing import Any
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.base import RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sllmbo_magic.evaluation import CrossValidator
from sllmbo_magic.evaluation.fold_fit import build
from sllmbo_magic.evaluation.fold_rows import FoldRows
from sllmbo_magic.task.task import Task

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = X @ [1.0, 2.0, -1.0, 0.0] + RNG.normal(size=50)


class Seen(RegressorMixin, BaseEstimator):
    """Keeps its training rows, and may write into them."""

    rows: ClassVar[list[Any]] = []

    def __init__(self, alpha: float = 0.0, writes: str = "") -> None:
        self.alpha = alpha
        self.writes = writes

    def fit(self, X: Any, y: Any) -> Any:
        Seen.rows.append(X)
        self.mean_ = float(np.mean(y)) + self.alpha
        if self.writes == "numpy":
            X[:] = 0.0
            y[:] = 1000.0
        if self.writes == "pandas":
            X.iloc[:, :] = 0.0
            y.iloc[:] = 1000.0
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_) + np.asarray(X)[:, 0]


def scores(validator: CrossValidator, params: dict[str, Any]) -> list[float]:
    evaluation = validator.evaluate(params)
    assert evaluation.error is None, evaluation.cause
    return list(evaluation.split_scores)


def validated(estimator: Any, X: Any = X, y: Any = Y, **options: Any) -> CrossValidator:
    return CrossValidator(Task.from_estimator(estimator, X, y, cv=5, scoring="r2"), n_jobs=1, **options)


def expected(validator: CrossValidator, params: dict[str, Any]) -> list[float]:
    task = validator.task
    estimator = build(task, params, validator.estimator_threads)
    return cross_val_score(estimator, task.X, task.y, cv=list(task.splits), scoring="r2").tolist()


def test_each_fold_is_sliced_once_for_all_trials() -> None:
    Seen.rows.clear()
    validator = validated(Seen())
    for alpha in (0.0, 1.0, 2.0):
        scores(validator, {"alpha": alpha})
    assert len(Seen.rows) == 15
    assert len({rows.__array_interface__["data"][0] for rows in Seen.rows}) == 5


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (LinearRegression(copy_X=False), [{"fit_intercept": True}, {"fit_intercept": False}]),
        (make_pipeline(StandardScaler(copy=False), Ridge()), [{"ridge__alpha": 1.0}, {"ridge__alpha": 9.0}]),
        (
            LGBMRegressor(n_estimators=9, min_child_samples=3, verbose=-1),
            [{"num_leaves": 3}, {"num_leaves": 5}],
        ),
        (RandomForestRegressor(5, random_state=0), [{"max_depth": 2}, {"max_depth": 4}]),
        (SVR(), [{"C": 1.0}, {"C": 3.0}]),
    ],
)
@pytest.mark.parametrize("data", ["numpy", "pandas"])
def test_scores_are_those_of_scikit_learn_to_the_last_bit(
    estimator: Any, params: list[dict[str, Any]], data: str
) -> None:
    given = (X, Y) if data == "numpy" else (pd.DataFrame(X).add_prefix("c"), pd.Series(Y))
    validator = validated(estimator, *given)
    for one in (*params, *params):
        assert scores(validator, one) == expected(validator, one)


@pytest.mark.parametrize("data", ["numpy", "pandas"])
def test_what_a_fit_writes_into_its_rows_no_other_trial_sees(data: str) -> None:
    given = (X.copy(), Y.copy()) if data == "numpy" else (pd.DataFrame(X), pd.Series(Y))
    validator = validated(Seen(writes=data), *given)
    clean = scores(validated(Seen(), X, Y), {"alpha": 1.0})
    assert [scores(validator, {"alpha": 1.0}) for _ in range(3)] == [clean] * 3
    np.testing.assert_array_equal(np.asarray(given[0]), X)


def test_a_kernel_between_all_rows_is_sliced_as_its_estimator_needs_it() -> None:
    kernel = X @ X.T
    validator = validated(SVR(kernel="precomputed"), kernel, Y)
    assert scores(validator, {"C": 1.0}) == expected(validator, {"C": 1.0})
    mixed = validated(SVR(), kernel, Y)
    for params in ({"kernel": "linear"}, {"kernel": "precomputed"}, {"kernel": "linear"}):
        assert scores(mixed, params) == expected(mixed, params)


@pytest.mark.parametrize("given", [sparse.csr_matrix(X), X.tolist(), pd.DataFrame(X).add_prefix("c")])
def test_other_data_are_sliced_for_each_trial(given: Any) -> None:
    validator = validated(Ridge(), given, Y)
    for alpha in (1.0, 2.0):
        assert scores(validator, {"alpha": alpha}) == expected(validator, {"alpha": alpha})
    assert not validator._rows._kept


def test_what_is_too_large_is_not_kept() -> None:
    task = Task.from_estimator(Ridge(), X, Y, cv=5)
    size = 5 * (X.nbytes + Y.nbytes)
    small, large = FoldRows(task, size), FoldRows(task, size - 1)
    for rows in (small, large):
        rows.of(Ridge(), 0)
    assert (len(small._kept), len(large._kept)) == (1, 0)


def test_a_validator_goes_to_another_process_without_them() -> None:
    validator = validated(Ridge())
    before = len(pickle.dumps(validator))
    first = scores(validator, {"alpha": 2.0})
    validator.close()
    assert len(pickle.dumps(validator)) == before
    assert scores(pickle.loads(pickle.dumps(validator)), {"alpha": 2.0}) == first

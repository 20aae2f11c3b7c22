"""A metric is never optimised the wrong way round without a word, whatever form it has."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from optuna.study import StudyDirection
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score
from sklearn.metrics import check_scoring
from sklearn.metrics import fbeta_score
from sklearn.metrics import get_scorer
from sklearn.metrics import log_loss
from sklearn.metrics import make_scorer
from sklearn.metrics import mean_absolute_error
from sklearn.metrics import mean_pinball_loss
from sklearn.metrics import r2_score

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import compare
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.task.metrics import resolve_metric
from sllmbo_magic.task.task import Task


def rmse(y_true: Any, y_pred: Any) -> float:
    return float(((y_true - y_pred) ** 2).mean() ** 0.5)


def mean_absolute_error_of_mine(y_true: Any, y_pred: Any) -> float:
    return float(abs(y_true - y_pred).mean())


def my_loss(y_true: Any, y_pred: Any) -> float:
    return rmse(y_true, y_pred)


def neg_rmse(estimator: Any, X: Any, y: Any) -> float:
    return -rmse(y, estimator.predict(X))


def my_mae(y_true: Any, y_pred: Any) -> float:
    return float(abs(y_true - y_pred).mean())


def neg_rmse_of_values(y_true: Any, y_pred: Any) -> float:
    return -rmse(y_true, y_pred)


def rmse_scorer(estimator: Any, X: Any, y: Any) -> float:
    return rmse(y, estimator.predict(X))


def weighted_error(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    return rmse(y_true, y_pred)


def own_scorer(estimator: Any, X: Any, y: Any) -> float:
    return float(-rmse(y, estimator.predict(X)))


@pytest.mark.parametrize(
    ("scoring", "direction", "what"),
    [
        (make_scorer(mean_absolute_error, greater_is_better=False), "minimize", "greater is better there"),
        (make_scorer(rmse, greater_is_better=False), "minimize", "greater is better there"),
        (get_scorer("neg_mean_absolute_error"), "minimize", "greater is better there"),
        (get_scorer("r2"), "minimize", "greater is better there"),
        (make_scorer(r2_score), "minimize", "greater is better there"),
        ("r2", "minimize", "greater is better there"),
        (make_scorer(mean_absolute_error), None, "makes a large mean_absolute_error the best"),
        (make_scorer(mean_pinball_loss, alpha=0.9), "maximize", "makes a large mean_pinball_loss the best"),
        (make_scorer(log_loss, response_method="predict_proba"), None, "makes a large log_loss the best"),
        (make_scorer(accuracy_score, greater_is_better=False), None, "makes a small accuracy_score the best"),
        (rmse, None, "named like a loss"),
        (my_loss, None, "named like a loss"),
        (my_mae, None, "my_mae is named like a loss"),
        (mean_absolute_error, None, "does not say which way"),
        (mean_absolute_error, "minimize", "does not say which way"),
        (partial(mean_absolute_error, multioutput="uniform_average"), None, "does not say which way"),
        (
            make_scorer(partial(fbeta_score, beta=2)),
            "minimize",
            "scorer fbeta_score: greater is better there",
        ),
        (check_scoring(Ridge()), "minimize", "scorer estimator.score: greater is better there"),
        (neg_rmse, "minimize", "scorer neg_rmse: greater is better there"),
        (rmse_scorer, None, "rmse_scorer is named like a loss"),
        (weighted_error, None, "weighted_error is named like a loss"),
        (partial(weighted_error, sample_weight=None), None, "weighted_error is named like a loss"),
    ],
)
def test_a_direction_that_picks_the_worst_is_refused(scoring: Any, direction: str | None, what: str) -> None:
    with pytest.raises(InputError, match=what):
        resolve_metric(scoring, direction, "regression")


@pytest.mark.parametrize(
    ("scoring", "direction", "expected"),
    [
        (make_scorer(mean_absolute_error, greater_is_better=False), None, "maximize"),
        (make_scorer(mean_absolute_error, greater_is_better=False), "maximize", "maximize"),
        (make_scorer(mean_absolute_error), "minimize", "minimize"),
        (get_scorer("r2"), None, "maximize"),
        (make_scorer(rmse), "minimize", "minimize"),
        (rmse, "minimize", "minimize"),
        (rmse, "maximize", "maximize"),
        (mean_absolute_error_of_mine, None, "maximize"),
        (neg_rmse_of_values, None, "maximize"),
        (own_scorer, None, "maximize"),
        (own_scorer, "minimize", "minimize"),
        ("mae", "minimize", "maximize"),
        ("mae", "MINIMIZE", "maximize"),
        ("mae", StudyDirection.MINIMIZE, "maximize"),
        (rmse_scorer, StudyDirection.MINIMIZE, "minimize"),
        (neg_rmse, None, "maximize"),
        ("neg_mean_absolute_error", None, "maximize"),
    ],
)
def test_a_direction_that_fits_is_taken(scoring: Any, direction: str | None, expected: str) -> None:
    assert resolve_metric(scoring, direction, "regression").direction == expected


def test_it_is_refused_before_the_first_fit_at_every_door() -> None:
    class Unfitted(Ridge):
        def fit(self, *arguments: Any, **more: Any) -> Any:
            raise AssertionError("it was fitted")

    X, y = make_regression(20, 2, random_state=0)
    wrong = make_scorer(mean_absolute_error, greater_is_better=False)
    with pytest.raises(InputError, match="greater is better there"):
        tune(Unfitted(), X, y, scoring=wrong, direction="minimize", n_trials=2, folder="")
    with pytest.raises(InputError, match="makes a large mean_absolute_error the best"):
        SLLMBOSearchCV(Unfitted(), scoring=make_scorer(mean_absolute_error), n_trials=2).fit(X, y)
    own: Any = my_mae
    for search in (
        lambda: tune(Unfitted(), X, y, scoring=own, n_trials=2, folder=""),
        lambda: SLLMBOSearchCV(Unfitted(), scoring=own, n_trials=2).fit(X, y),
        lambda: compare(Unfitted(), X, y, scoring=own, n_trials=2),
    ):
        with pytest.raises(InputError, match="is named like a loss"):
            search()


def test_a_metric_function_that_is_maximised_is_noted() -> None:
    X, y = make_regression(20, 2, random_state=0)
    for direction, n_notes in ((None, 1), ("minimize", 0)):
        task = Task.from_estimator(Ridge(), X, y, scoring=mean_absolute_error_of_mine, direction=direction)
        assert sum("mean_absolute_error_of_mine is maximised" in note for note in task.notes) == n_notes


def test_a_metric_with_an_optional_third_argument_is_a_metric() -> None:
    X, y = make_regression(20, 2, noise=1, random_state=0)
    options: dict[str, Any] = {"n_trials": 1, "folder": "", "verify": False, "cv": 2, "direction": "minimize"}
    plain, more = (tune(Ridge(), X, y, scoring=one, **options).best_value for one in (rmse, weighted_error))
    assert plain == more


@pytest.mark.parametrize("direction", [StudyDirection.MINIMIZE, "MINIMIZE", [StudyDirection.MINIMIZE]])
def test_an_objectives_direction_has_the_same_forms(direction: Any) -> None:
    options: dict[str, Any] = {"n_trials": 3, "folder": "", "search_space": {"x": (0.0, 1.0)}}
    result = tune(lambda params: params["x"], direction=direction, **options)
    assert result.study.direction is StudyDirection.MINIMIZE


def test_several_directions_may_be_one_text_as_in_a_cells_line() -> None:
    options: dict[str, Any] = {"n_trials": 2, "folder": "", "search_space": {"x": (0.0, 1.0)}}
    result = tune(lambda params: (params["x"], 1.0), direction="minimize, maximize", **options)
    assert result.study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]

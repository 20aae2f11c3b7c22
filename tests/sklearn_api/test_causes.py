"""The cause of a failed candidate is kept and said in the user's terms."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.neighbors import KNeighborsClassifier

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic.errors import InputError
from sllmbo_magic.sklearn_api.causes import cause_in

X, y = make_regression(60, 4, noise=5, random_state=0)
Xc, c = make_classification(60, 4, random_state=0)


class Picky(Ridge):
    """Fails above an alpha of 1, and on some rows above 0.7."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.alpha > 1:
            raise ValueError("alpha is too large:\n    on its second line")
        if self.alpha > 0.7 and y[0] != FIRST:
            raise KeyError("some fold")
        return super().fit(X, y, sample_weight)


FIRST = y[0]


def causes(search: SLLMBOSearchCV) -> list[tuple[Any, str | None, str | None]]:
    """Parameter, category and cause of each trial."""
    return [
        (t.params.get("alpha"), e.get("error"), e.get("cause"))
        for t in search.result_.trials
        for e in [t.user_attrs["sllmbo:evaluation"]]
    ]


def test_the_message_of_a_failed_fit_is_kept_whole() -> None:
    space = {"alpha": (0.5, 100.0)}
    enqueue = [{"alpha": 50.0}, {"alpha": 0.9}, {"alpha": 0.6}]
    search = SLLMBOSearchCV(
        Picky(alpha=0.5), n_trials=4, random_state=0, search_space=space, tune_options={"enqueue": enqueue}
    )
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        search.fit(X, y)
    by_alpha = {alpha: (category, cause) for alpha, category, cause in causes(search)}
    assert by_alpha[50.0] == ("fit-failed", "ValueError: alpha is too large:\n    on its second line")
    assert by_alpha[0.9] == ("fit-failed", "KeyError: 'some fold'")
    assert by_alpha[0.6] == (None, None)
    failed = [str(m.message) for m in messages if issubclass(m.category, FitFailedWarning)]
    assert any("on its second line" in text for text in failed), "its own warnings are shown"


@pytest.mark.filterwarnings("ignore")
def test_a_parameter_that_scikit_learn_refuses_has_its_category() -> None:
    search = SLLMBOSearchCV(
        LogisticRegression(max_iter=500),
        n_trials=3,
        random_state=0,
        search_space={"solver": ["lbfgs", "nope"]},
        tune_options={"enqueue": [{"solver": "nope"}]},
    ).fit(Xc, c)
    evaluation = search.result_.trials[1].user_attrs["sllmbo:evaluation"]
    assert evaluation["error"] == "invalid-parameter"
    assert evaluation["error_class"] == "InvalidParameterError"
    assert "The 'solver' parameter of LogisticRegression must be" in evaluation["cause"]


@pytest.mark.parametrize(
    ("estimator", "data", "options", "cause"),
    [
        (
            LogisticRegression(),
            (Xc[:12], np.repeat([0, 1], [10, 2])),
            {"scoring": "roc_auc", "cv": 3},
            "roc_auc is nan on fold 1: its test rows hold one class",
        ),
        (Ridge(), (X[:8], y[:8]), {"scoring": "r2", "cv": 8}, "r2 is nan on fold 1: it has one test row"),
    ],
)
def test_an_undefined_score_names_fold_and_reason(
    estimator: Any, data: tuple[Any, Any], options: dict[str, Any], cause: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError) as caught:
            SLLMBOSearchCV(estimator, n_trials=3, **options).fit(*data)
    assert cause in str(caught.value)
    assert "not-finite-score; not-finite-score" not in str(caught.value)


def test_a_metric_that_raises_is_the_cause() -> None:
    def broken(y_true: Any, y_pred: Any) -> float:
        raise RuntimeError("no such score")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=r"score-failed\): RuntimeError: no such score"):
            SLLMBOSearchCV(Ridge(), n_trials=3, scoring=make_scorer(broken)).fit(X, y)


def test_keys_in_a_message_are_redacted_and_other_texts_are_read() -> None:
    text = (
        "2 fits failed with the following error:\n"
        "Traceback (most recent call last):\n  File 'a'\n    call()\n"
        "package.module.ServerError: bad key sk-abcdef0123456789abcdef\n"
    )
    cause = cause_in(text, "fit-failed")
    assert (cause.category, cause.error_class) == ("fit-failed", "ServerError")
    assert cause.text.startswith("ServerError: bad key ")
    assert "abcdef0123456789" not in cause.text
    assert cause_in("no traceback", "fit-failed").text == "no traceback"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("refit", [True, False])
def test_a_search_without_any_score_returns_no_model(refit: bool) -> None:
    search = SLLMBOSearchCV(
        KNeighborsClassifier(),
        search_space={"n_neighbors": [10, 20]},
        cv=2,
        n_trials=5,
        random_state=0,
        refit=refit,
    )
    with pytest.raises(InputError, match=r"no candidate has a score: 3 failed with: .*Expected n_neighbors"):
        search.fit(Xc[:8], np.array([0, 1] * 4))
    assert [t.state.name for t in search.result_.trials] == ["FAIL"] * 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error_score", [np.nan, 0])
@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ((np.where(np.arange(60)[:, None] % 3, Xc, np.nan), c), "ValueError: Input X contains NaN"),
        ((Xc, None), "TypeError: .* missing 1 required positional argument: 'y'"),
    ],
)
def test_data_that_nothing_can_be_fitted_to_is_named(data: Any, cause: str, error_score: float) -> None:
    """Also with a number as error_score, as scikit-learn's searches: there is no model to return."""
    search = SLLMBOSearchCV(
        LogisticRegression(), search_space={"C": (0.1, 10.0)}, n_trials=3, cv=3, error_score=error_score
    )
    with pytest.raises(InputError, match=f"no candidate has a score: 3 failed with: {cause}"):
        search.fit(*data)
    assert len(search.result_.trials) == 3


@pytest.mark.filterwarnings("ignore")
def test_a_search_in_which_no_fold_can_be_fitted_names_the_cause() -> None:
    search = SLLMBOSearchCV(
        Picky(alpha=2.0), search_space={"alpha": (1.5, 3.0)}, cv=2, n_trials=2, random_state=0
    )
    with pytest.raises(InputError, match=r"no candidate has a score: 2 failed with: .*alpha is too large"):
        search.fit(X, y)
    assert [t.state.name for t in search.result_.trials] == ["FAIL"] * 2

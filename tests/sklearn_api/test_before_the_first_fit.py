"""``SLLMBOSearchCV`` says what is wrong before it fits anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.samplers import PartialFixedSampler
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupKFold
from sklearn.model_selection import KFold
from sklearn.model_selection import cross_val_score

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import compare
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.tune import plan

X, y = make_regression(60, 4, noise=5, random_state=0)
Xc, c = make_classification(60, 4, random_state=0)
FITS: list[int] = []


class Counted(Ridge):
    """Counts its fits."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        FITS.append(len(y))
        return super().fit(X, y, sample_weight)


class Unknown(Counted):
    """Has nothing that can be searched by itself."""

    def __init__(self, words: str = "") -> None:
        super().__init__()
        self.words = words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search_space": {"n_layers": (1, 3)}}, "Counted has no parameter 'n_layers'"),
        ({"search_space": {"alpha": (3, 1)}}, "alpha"),
        ({"search_space": {}}, "the search space has no parameter"),
        ({"search_space": 3}, "search_space"),
        ({"tune_options": {"enqueue": [{"depth": 3}]}}, "the search space has no parameter 'depth'"),
        ({"tune_options": {"enqueue": "alpha"}}, "enqueue is a str"),
        ({"tune_options": {"callbacks": print}}, "callbacks is a function, not a list of functions"),
        ({"tune_options": {"judge": "no"}}, "judge 'no'"),
        ({"tune_options": {"max_cost": -1}}, "max_cost -1 is out of range"),
        ({"tune_options": {"preset": "papers"}}, "preset 'papers' is not known"),
        ({"llm": "replay:nothing"}, "no recorded run at nothing"),
        (
            {"llm": "ollama:m", "tune_options": {"base_url": "localhost"}},
            "--base-url 'localhost' is no address",
        ),
        ({"tune_options": {"base_url": "localhost"}}, "--base-url 'localhost' is no address"),
        (
            {"llm": FunctionProvider(str), "tune_options": {"max_cost": 1.0}},
            "--max-cost needs the price of test:function",
        ),
        ({"random_state": -1}, "random_state -1 is out of range"),
        ({"random_state": 2**32}, "random_state 4294967296 is out of range"),
        ({"random_state": "a"}, "random_state 'a' is not known"),
        ({"timeout": 0}, "timeout 0 is out of range"),
        ({"patience": 0}, "patience 0 is out of range"),
        ({"n_trials": 2.5}, "n_trials 2.5 is out of range"),
        ({"n_trials": True}, "n_trials is a bool"),
        ({"sampler": object()}, "sampler is an object"),
    ],
)
def test_an_option_is_checked_before_the_first_fit(options: dict[str, Any], message: str) -> None:
    FITS.clear()
    with pytest.raises(InputError, match=message):
        SLLMBOSearchCV(Counted(), **{"n_trials": 3, **options}).fit(X, y)
    assert FITS == []


def test_an_estimator_without_a_known_space_is_refused_before_its_first_fit() -> None:
    FITS.clear()
    with pytest.raises(InputError, match="no search space is known for Unknown"):
        SLLMBOSearchCV(Unknown(), n_trials=3).fit(X, y)
    assert FITS == []


@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_absolute_error"])
@pytest.mark.parametrize("kind", ["numpy", "pandas", "list"])
def test_gaps_in_the_target_are_named(kind: str, scoring: str | None) -> None:
    gaps = y.copy()
    gaps[3] = np.nan
    target = {"numpy": gaps, "pandas": pd.Series(gaps), "list": list(gaps)}[kind]
    FITS.clear()
    with pytest.raises(InputError, match=r"y has 1 missing value\. Drop those rows"):
        SLLMBOSearchCV(Counted(), n_trials=3, scoring=scoring).fit(X, target)
    assert FITS == []
    labels = pd.Series(c).astype(object)
    labels[5] = None
    with pytest.raises(InputError, match="y has 1 missing value"):
        SLLMBOSearchCV(LogisticRegression(), n_trials=3).fit(Xc, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed -1 is out of range. Allowed: a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "seed 4294967296 is out of range"),
        ({"seed": "a"}, "seed 'a' is not known"),
        ({"seed": 1.5}, "seed 1.5 is out of range"),
        ({"callbacks": print}, "callbacks is a function, not a list of functions"),
        ({"callbacks": [print, 3]}, "callbacks is a list"),
        ({"resume": "yes"}, "resume 'yes' is not known. Allowed: True, False"),
        ({"judge": "off"}, "judge 'off' is not known"),
        ({"max_requests": -1}, "max_requests -1 is out of range"),
        ({"timeout": "soon"}, "timeout 'soon' is not known. Allowed: seconds above 0, or like 90s"),
        ({"timeout": float("nan")}, "timeout nan is out of range"),
        ({"llm_ratio": "0,5"}, "llm_ratio '0,5' is not known"),
        ({"candidates": None}, "candidates is None"),
    ],
)
def test_tune_checks_the_same_before_the_first_fit(options: dict[str, Any], message: str) -> None:
    FITS.clear()
    with pytest.raises(InputError) as caught:
        tune(Counted(), X, y, folder="", n_trials=3, **options)
    assert message in str(caught.value)
    assert FITS == []


def test_values_of_numpy_and_times_in_words_are_read() -> None:
    result = tune(
        Counted(),
        X,
        y,
        folder="",
        verify=False,
        n_trials=np.int64(2),
        seed=np.uint32(3),
        llm_ratio=np.float32(0.5),
        judge=np.bool_(False),
        timeout="10m",
        patience="OFF",
    )
    assert len(result.trials) == 2


def test_folds_from_a_generator_that_is_used_up_are_named() -> None:
    X, y = np.arange(24.0).reshape(12, 2), np.arange(12.0)
    search = SLLMBOSearchCV(
        Ridge(), search_space={"alpha": (0.1, 1.0)}, n_trials=2, random_state=0, cv=KFold(3).split(X)
    )
    search.fit(X, y)
    with pytest.raises(InputError, match=r"cv gives no folds.*write cv=list\(...\)"):
        search.fit(X, y)


class OtherNumber(KFold):
    """Says another number of folds than it makes."""

    def get_n_splits(self, *arguments: Any, **names: Any) -> int:
        return 5


@pytest.mark.parametrize("space", [None, {"alpha": (0.1, 1.0)}])
@pytest.mark.parametrize("error_score", [np.nan, 0])
@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (90, "n_splits=90"),
        (GroupKFold(3), "'groups' parameter should not be None"),
        (OtherNumber(3), "cv gives 3 folds, and its get_n_splits says 5"),
    ],
)
def test_an_error_of_the_splitter_is_its_own(space: Any, error_score: float, cv: Any, message: str) -> None:
    """It is no failure of the default's fit, which the search space might mend."""
    FITS.clear()
    search = SLLMBOSearchCV(Counted(), search_space=space, n_trials=3, cv=cv, error_score=error_score)
    with pytest.raises(ValueError, match=message):
        search.fit(X, y)
    assert FITS == []


@pytest.mark.parametrize("estimator", [None, 5, "a"])
@pytest.mark.parametrize("space", [None, {"a": (0, 1)}])
def test_what_is_no_estimator_is_one_line(estimator: Any, space: Any) -> None:
    with pytest.raises(InputError, match=r"estimator is .*\. Allowed: an estimator with fit"):
        SLLMBOSearchCV(estimator, search_space=space).fit(X, y)


def error(model: Any, X: Any, y: Any) -> float:
    return float(np.abs(y - model.predict(X)).mean())


def neg_error(model: Any, X: Any, y: Any) -> float:
    return -error(model, X, y)


def errors(model: Any, X: Any, y: Any) -> dict[str, float]:
    return {"mae": error(model, X, y), "neg_mae": neg_error(model, X, y)}


def my_mae(y_true: Any, y_pred: Any) -> float:
    return float(np.abs(y_true - y_pred).mean())


def agreement(y_true: Any, y_pred: Any) -> float:
    return -my_mae(y_true, y_pred)


NEGATIVE = "Return its negative, and name it neg_"


@pytest.mark.parametrize(
    ("scoring", "refit", "hint"),
    [
        (error, True, f"error is named like a loss, and greater is better here. {NEGATIVE}error."),
        (my_mae, True, "Write make_scorer(my_mae, greater_is_better=False)."),
        (errors, "mae", f"mae is named like a loss, and greater is better here. {NEGATIVE}mae."),
        ({"a": error, "r2": "r2"}, "a", f"{NEGATIVE}error."),
        ({"mae": lambda *arguments: error(*arguments), "r2": "r2"}, "mae", f"{NEGATIVE}mae."),
        ({"mae": make_scorer(mean_absolute_error), "r2": "r2"}, "mae", "(mean_absolute_error, greater_is"),
        ({"a": make_scorer(mean_absolute_error), "r2": "r2"}, "a", "(mean_absolute_error, greater_is"),
        ({"loss": make_scorer(agreement), "r2": "r2"}, "loss", "make_scorer(agreement, greater_is_better"),
        ({"a": my_mae, "r2": "r2"}, "a", "Write make_scorer(my_mae, greater_is_better=False)."),
        (
            agreement,
            True,
            "agreement takes (y_true, y_pred), and a scorer takes (estimator, X, y). Write make",
        ),
        ({"a": agreement, "r2": "r2"}, "a", "Write make_scorer(agreement), of sklearn.metrics."),
        ("mae", True, "scikit-learn has no scorer 'mae'. Write 'neg_mean_absolute_error'."),
        (["r2", "mae"], "mae", "Write 'neg_mean_absolute_error'."),
        ("r_2", True, "scikit-learn has no scorer 'r_2'. Did you mean 'r2'?"),
        ("f1_macro", True, "metric 'f1_macro' is for classes, but Counted is a regressor."),
        (["r2", "f1_macro"], "f1_macro", "metric 'f1_macro' is for classes, but Counted is a regressor."),
    ],
)
def test_a_metric_that_would_keep_the_worst_or_cannot_score_is_refused_before_the_first_fit(
    scoring: Any, refit: Any, hint: str
) -> None:
    FITS.clear()
    with pytest.raises(InputError) as caught:
        SLLMBOSearchCV(Counted(), n_trials=3, scoring=scoring, refit=refit).fit(X, y)
    assert hint in str(caught.value)
    assert "direction" not in str(caught.value)
    assert FITS == []


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (neg_error, True),
        (errors, "neg_mae"),
        ({"mae": neg_error, "error": error}, "mae"),
        ({"mae": "neg_mean_absolute_error", "error": error}, "mae"),
        ({"mae": make_scorer(mean_absolute_error, greater_is_better=False), "error": error}, "mae"),
        (["r2", "neg_mean_absolute_error"], "neg_mean_absolute_error"),
    ],
)
def test_a_negative_error_is_maximised_whatever_its_key(scoring: Any, refit: Any) -> None:
    space = {"alpha": (1e-3, 1e4, "log")}
    search = SLLMBOSearchCV(
        Ridge(), n_trials=4, search_space=space, scoring=scoring, refit=refit, random_state=0
    ).fit(X, y)
    expected = cross_val_score(Ridge(**search.best_params_), X, y, scoring="neg_mean_absolute_error").mean()
    assert search.best_score_ == pytest.approx(expected)
    assert search.best_score_ == max(search.cv_results_[f"mean_test_{'score' if refit is True else refit}"])


def test_labels_that_the_metric_cannot_score_are_named() -> None:
    with pytest.raises(
        InputError, match=r"scores the class 1 of two, but no label of y is 1\. Use 'f1_weigh"
    ):
        SLLMBOSearchCV(LogisticRegression(), n_trials=3, scoring="f1").fit(Xc, np.where(c, "y", "n"))


def test_a_scorer_of_two_arguments_scores_without_a_target() -> None:
    def inertia(model: Any, X: Any) -> float:
        return float(model.score(X))

    search = SLLMBOSearchCV(
        KMeans(2, n_init=1, random_state=0), n_trials=2, scoring=inertia, search_space={"n_clusters": (2, 5)}
    )
    assert search.fit(X).best_score_ < 0.0


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        lambda sampler: sampler,
        lambda sampler: PartialFixedSampler({"alpha": 1.0}, sampler),
        lambda sampler: LLMTPESampler(base_sampler=sampler),
    ],
    ids=["itself", "in PartialFixedSampler", "beside the rulebook"],
)
@pytest.mark.parametrize("door", ["tune", "plan", "SLLMBOSearchCV", "compare"])
def test_a_sampler_that_asks_an_llm_by_itself_is_refused(door: str, wrap: Any) -> None:
    """Names of columns, and more than the limits allow, would leave by it."""
    provider = FunctionProvider(lambda request: "{}")
    sampler = wrap(LLMSampler(provider))
    FITS.clear()
    open_door: Any = {
        "tune": lambda: tune(Counted(), X, y, sampler=sampler, n_trials=2, folder=""),
        "plan": lambda: plan(Counted(), X, y, sampler=sampler),
        "SLLMBOSearchCV": lambda: SLLMBOSearchCV(Counted(), sampler=sampler, n_trials=2).fit(X, y),
        "compare": lambda: compare(
            Counted(), X, y, variants={"a": {"sampler": sampler}, "b": {"sampler": "tpe"}}, n_trials=2
        ),
    }[door]
    with pytest.raises(InputError, match="LLMSampler, which asks test:function by itself") as refusal:
        open_door()
    assert "Write sampler='llm', and give its LLM as llm=" in str(refusal.value)
    assert provider.requests == []
    assert FITS == []


def test_a_sampler_with_the_rulebook_is_a_sampler_like_others() -> None:
    result = tune(Counted(), X, y, sampler=LLMTPESampler(seed=0), n_trials=3, folder="", verify=False)
    assert len(result.trials) == 3

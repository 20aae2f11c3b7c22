"""``SLLMBOSearchCV`` behaves as scikit-learn's own searches do, and its search is that of ``tune``."""

from __future__ import annotations

import math
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.base import ClassifierMixin
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection import KFold
from sklearn.model_selection import ShuffleSplit
from sklearn.model_selection import cross_val_score
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.llm.base import Request
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

X, y = load_iris(return_X_y=True)
RNG = np.random.default_rng(0)
SHUFFLED = RNG.permutation(len(y))
X, y = X[SHUFFLED], y[SHUFFLED]


def search(estimator: Any = None, **options: Any) -> SLLMBOSearchCV:
    """A small search over a decision tree."""
    estimator = DecisionTreeClassifier(random_state=0) if estimator is None else estimator
    return SLLMBOSearchCV(estimator, **{"n_trials": 5, "cv": 3, "random_state": 0, **options})


# ---- scikit-learn's own suite, as its own searches take it (sklearn/utils/_test_common)

# GridSearchCV does not pass this one either, and says so there with the same words.
EXPECTED_FAILED = {"check_supervised_y_2d": "DataConversionWarning not caught"}
INNER = (
    Ridge(),
    LogisticRegression(),
    Pipeline([("pca", PCA()), ("ridge", Ridge())]),
    Pipeline([("pca", PCA()), ("logisticregression", LogisticRegression())]),
)


@parametrize_with_checks(
    [SLLMBOSearchCV(e, n_trials=3, cv=2, random_state=0, error_score="raise") for e in INNER],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED,
)
@pytest.mark.filterwarnings("ignore")
def test_it_passes_the_checks_that_scikit_learns_searches_pass(estimator: Any, check: Any) -> None:
    check(estimator)


# ---- results


def test_results_are_those_of_scikit_learn_for_the_same_candidates() -> None:
    options: dict[str, Any] = {"scoring": "f1_weighted", "return_train_score": True, "cv": KFold(3)}
    found = search(**options).fit(X, y)
    grid = [{name: [value] for name, value in params.items()} for params in found.cv_results_["params"]]
    known = GridSearchCV(found.estimator, grid, **options).fit(X, y)
    assert found.cv_results_["params"] == known.cv_results_["params"]
    assert set(known.cv_results_) | {"source"} == set(found.cv_results_)
    for key, column in known.cv_results_.items():
        if "time" not in key and key != "params":
            np.testing.assert_array_equal(found.cv_results_[key], column, err_msg=key)
    assert found.best_index_ == known.best_index_
    assert found.best_score_ == known.best_score_
    assert found.best_params_ == known.best_params_
    assert found.n_splits_ == 3
    assert found.refit_time_ > 0
    np.testing.assert_array_equal(found.predict(X), known.predict(X))
    assert found.score(X, y) == known.score(X, y)


def test_the_first_candidate_is_the_estimator_as_it_is() -> None:
    found = search(DecisionTreeClassifier(max_depth=1, random_state=0)).fit(X, y)
    assert found.cv_results_["params"][0] == {}
    assert found.cv_results_["source"][0] == "default"
    assert "rulebook" in found.cv_results_["source"]
    default = cross_val_score(found.estimator, X, y, cv=3)
    assert [found.cv_results_[f"split{i}_test_score"][0] for i in range(3)] == list(default)
    assert found.cv_results_["param_max_depth"].mask[0]


def test_the_search_is_that_of_tune() -> None:
    """The same metric, folds and seed: the same trials."""
    options: dict[str, Any] = {"n_trials": 6, "sampler": "tpe"}
    folds = KFold(3, shuffle=True, random_state=1)
    found = search(cv=folds, scoring="accuracy", random_state=7, **options).fit(X, y)
    result = tune(found.estimator, X, y, cv=folds, scoring="accuracy", seed=7, folder="", **options)
    tuned = [t.params for t in result.study.trials[1:]]
    assert [{k: v for k, v in p.items() if k in tuned[0]} for p in found.cv_results_["params"][1:]] == tuned
    assert found.best_score_ == result.best_value


def test_the_default_metric_is_the_estimators_own() -> None:
    target = X[:, 0] * 2 + RNG.normal(size=len(X))
    for estimator, goal, metric in ((Ridge(), target, "r2"), (LogisticRegression(), y, "accuracy")):
        found = search(estimator, n_trials=1).fit(X, goal)
        known = cross_val_score(estimator, X, goal, cv=3, scoring=metric)
        assert found.best_score_ == known.mean()
        assert found.result_.bundle()["run"]["metric"] == metric


def test_the_result_tells_the_whole_run_and_holds_no_data() -> None:
    found = search().fit(X, y)
    assert isinstance(found.result_, TuneResult)
    assert found.result_.status == "finished"
    assert found.result_.best_value == found.best_score_
    assert found.result_.best_params == found.best_params_
    assert found.result_.bundle()["run"]["n_folds"] == 3
    assert "DecisionTreeClassifier" in found.result_.code()
    with pytest.raises(InputError, match="no estimator to fit"):
        _ = found.result_.best_estimator
    assert X.tobytes() in pickle.dumps(X)
    assert X.tobytes() not in pickle.dumps(found)


def test_folds_are_drawn_once() -> None:
    """A shuffling splitter without a seed gives each call other folds; all candidates must see the same."""
    no_effect = {"min_impurity_decrease": (0.0, 1e-9)}
    found = search(n_trials=4, cv=ShuffleSplit(2, test_size=0.3), search_space=no_effect).fit(X, y)
    scores = {tuple(found.cv_results_[f"split{i}_test_score"][row] for i in range(2)) for row in range(4)}
    assert len(scores) == 1


def test_an_iterable_of_splits_and_groups_work() -> None:
    splits = list(KFold(4).split(X))
    assert search(n_trials=2, cv=splits).fit(X, y).n_splits_ == 4
    from sklearn.model_selection import GroupKFold

    groups = np.arange(len(y)) % 5
    found = search(n_trials=2, cv=GroupKFold(5)).fit(X, y, groups=groups)
    assert found.n_splits_ == 5


def test_sample_weights_reach_the_fits() -> None:
    weight = (y == 1).astype(float)
    found = search(LogisticRegression(), n_trials=2).fit(X, y, sample_weight=weight)
    assert set(found.predict(X)) == {1}


def test_an_estimator_without_target_works() -> None:
    found = search(KMeans(2, n_init=1, random_state=0), n_trials=3, search_space={"n_clusters": (2, 8)})
    found.fit(X)
    assert found.best_params_["n_clusters"] > 2
    assert found.transform(X).shape == (len(X), found.best_params_["n_clusters"])


# ---- several metrics, refit


def test_of_several_metrics_refit_names_the_optimised_one() -> None:
    scoring = {"acc": "accuracy", "loss": "neg_log_loss"}
    found = search(LogisticRegression(max_iter=300), scoring=scoring, refit="loss").fit(X, y)
    assert found.result_.study.trials[2].value == found.cv_results_["mean_test_loss"][2]
    assert found.best_score_ == max(found.cv_results_["mean_test_loss"])
    assert "mean_test_acc" in found.cv_results_
    with pytest.raises(InputError, match="Name in refit the one that is optimised"):
        search(scoring=["accuracy", "f1_weighted"], refit=False).fit(X, y)


def test_a_scorer_that_gives_several_metrics_needs_refit_too() -> None:
    def both(estimator: Any, X: Any, y: Any) -> dict[str, float]:
        return {"a": estimator.score(X, y), "b": -1.0}

    assert search(scoring=both, refit="a").fit(X, y).best_score_ > 0.8
    with pytest.raises(InputError, match="Name in refit"):
        search(scoring=both).fit(X, y)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("several", [False, True])
def test_an_infinite_score_is_a_failure_and_not_the_best(several: bool) -> None:
    def scorer(model: Any, X: Any, y: Any) -> float:
        return np.inf if model.C > 1.0 else float(model.score(X, y))

    options = {"scoring": {"a": scorer, "b": "accuracy"}, "refit": "a"} if several else {"scoring": scorer}
    space = {"C": (1e-3, 1e3, "log")}
    found = search(LogisticRegression(), search_space=space, n_trials=6, **options).fit(X, y)
    states = [trial.state.name for trial in found.result_.trials]
    assert {"COMPLETE", "FAIL"} == set(states)
    assert (found.best_index_, found.best_score_) == (
        found.result_.best_trial.number,
        found.result_.best_value,
    )
    assert np.isfinite(found.best_score_)
    assert found.best_params_ == found.result_.best_params


def test_refit_may_be_off_or_a_function() -> None:
    found = search(refit=False).fit(X, y)
    assert found.best_score_ == max(found.cv_results_["mean_test_score"])
    assert not hasattr(found, "best_estimator_")
    assert not hasattr(found, "predict")
    picked = search(refit=lambda results: len(results["params"]) - 1).fit(X, y)
    assert picked.best_params_ == picked.cv_results_["params"][-1]


# ---- failures


class Moody(ClassifierMixin, BaseEstimator):
    """Fits for small ``a`` only; fails half of its folds in between."""

    def __init__(self, a: float = 0.1) -> None:
        self.a = a

    def fit(self, X: Any, y: Any) -> Moody:
        if self.a > 0.7 or (self.a > 0.4 and X[0, 0] == _FIRST_OF_FOLD):
            raise RuntimeError("too much")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[int(self.a * 3) % 3])


_FIRST_OF_FOLD = X[:1][0, 0]  # of the training rows of every fold but the first


def moody(**options: Any) -> SLLMBOSearchCV:
    space = {"a": (0.0, 1.0)}
    return search(Moody(), search_space=space, sampler="random", n_trials=12, cv=KFold(3), **options)


def test_a_failed_candidate_has_a_row_and_the_search_goes_on() -> None:
    with pytest.warns(FitFailedWarning, match="too much"):
        found = moody().fit(X, y)
    results = found.cv_results_
    a = np.array([p.get("a", 0.1) for p in results["params"]])
    assert len(a) == 12
    assert (a > 0.7).any()
    assert ((a > 0.4) & (a < 0.7)).any()
    np.testing.assert_array_equal(np.isnan(results["mean_test_score"]), a > 0.4)
    np.testing.assert_array_equal(results["param_a"].mask, [True] + [False] * 11)
    np.testing.assert_array_equal(results["param_a"].filled(0.1), a)
    known = np.nan_to_num(results["mean_test_score"], nan=-1)
    assert results["rank_test_score"].tolist() == [1 + int((known > v).sum()) for v in known]
    assert found.best_params_.get("a", 0.1) <= 0.4
    states = [t.state.name for t in found.result_.study.trials]
    assert states == ["FAIL" if bad else "COMPLETE" for bad in a > 0.4]
    assert {len(column) for column in results.values()} == {12}


@pytest.mark.parametrize("error_score", [0.0, 0, -1, np.int64(0)])
def test_a_number_as_error_score_is_the_score_of_failed_folds(error_score: Any) -> None:
    with pytest.warns(FitFailedWarning):
        found = moody(error_score=error_score, return_train_score=True).fit(X, y)
    a = np.array([p.get("a", 0.1) for p in found.cv_results_["params"]])
    means = found.cv_results_["mean_test_score"]
    assert (means[a > 0.7] == error_score).all()
    assert [t.value for t in found.result_.study.trials] == list(means)
    assert found.best_score_ == means.max() > 0
    train = {c.dtype for name, c in found.cv_results_.items() if "_train_" in name}
    assert train == {np.dtype(float)}


def test_error_score_raise_raises_the_estimators_own_error() -> None:
    with pytest.raises(RuntimeError, match="too much"):
        moody(error_score="raise").fit(X, y)


def test_an_estimator_that_cannot_be_fitted_raises_scikit_learns_error() -> None:
    with pytest.raises(ValueError, match=r"All the 3 fits failed(.|\n)*too much"):
        search(Moody(a=1.0)).fit(X, y)


def test_where_the_space_may_mend_it_the_search_goes_on_with_a_failed_default() -> None:
    with pytest.warns(FitFailedWarning, match="too much"):
        found = search(Moody(a=1.0), search_space={"a": (0.0, 0.3)}, n_trials=3).fit(X, y)
    assert [t.state.name for t in found.result_.trials] == ["FAIL", "COMPLETE", "COMPLETE"]


# ---- in scikit-learn's other tools


def test_nested_cross_validation_and_pipelines() -> None:
    outer = cross_validate(search(n_trials=3), X, y, cv=3, return_estimator=True)
    assert len(outer["test_score"]) == 3
    assert all(len(e.cv_results_["params"]) == 3 for e in outer["estimator"])
    assert not Path(".sllmbo").exists()
    piped = make_pipeline(StandardScaler(), search(n_trials=3)).fit(X, y)
    assert piped.score(X, y) > 0.9
    inside = search(make_pipeline(StandardScaler(), LogisticRegression()), n_trials=4).fit(X, y)
    assert any(name.startswith("logisticregression__") for name in inside.cv_results_["params"][1])


def test_it_is_cloned_and_pickled_with_all_of_its_parameters() -> None:
    given = search(
        search_space={"max_depth": (1, 5)}, tune_options={"judge": False}, description="flowers", timeout=60
    )
    copy = clone(given)
    assert {k: v for k, v in copy.get_params(deep=False).items() if k != "estimator"} == {
        k: v for k, v in given.get_params(deep=False).items() if k != "estimator"
    }
    fitted = pickle.loads(pickle.dumps(given.fit(X, y)))
    check_is_fitted(fitted)
    np.testing.assert_array_equal(fitted.predict(X), given.predict(X))
    assert fitted.result_.best_value == given.best_score_


def test_methods_are_those_of_the_estimator() -> None:
    found = search(n_trials=2)
    assert hasattr(found, "predict_proba")
    assert not hasattr(found, "transform")
    assert not hasattr(found, "n_features_in_")
    assert not hasattr(search(Ridge()), "predict_proba")
    found.fit(X, y)
    assert found.n_features_in_ == 4
    assert found.classes_.tolist() == [0, 1, 2]


def test_data_frames_keep_their_columns() -> None:
    pandas = pytest.importorskip("pandas")
    found = search(n_trials=2).fit(pandas.DataFrame(X, columns=list("abcd")), y)
    assert found.feature_names_in_.tolist() == list("abcd")


def test_a_random_state_object_gives_other_searches_one_after_the_other() -> None:
    def params(random_state: Any) -> Any:
        return search(sampler="random", random_state=random_state).fit(X, y).cv_results_["params"]

    assert params(np.random.RandomState(1)) == params(np.random.RandomState(1)) != params(0)
    shared = np.random.RandomState(1)
    assert params(shared) != params(shared)
    first = int(np.random.RandomState(1).randint(np.iinfo(np.int32).max))
    assert params(np.random.RandomState(1)) == params(first), "one draw, as scikit-learn's searches take it"


def test_metadata_routing_reaches_the_splitter() -> None:
    from sklearn.model_selection import GroupKFold

    with sklearn.config_context(enable_metadata_routing=True):
        found = search(n_trials=2, cv=GroupKFold(3)).fit(X, y, groups=np.arange(len(y)) % 3)
    assert found.n_splits_ == 3


# ---- options


def test_options_reach_tune_and_wrong_ones_are_said_before_any_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: Any, *arguments: Any, **keywords: Any) -> None:
        raise AssertionError("fitted before the options were checked")

    with monkeypatch.context() as patched:
        patched.setattr(DecisionTreeClassifier, "fit", refuse)
        for options, message in {
            ("n_trials", 0): "n_trials 0 is out of range",
            ("sampler", "tpee"): "Did you mean 'tpe'",
            ("llm", "openai:gpt-4o"): "OPENAI_API_KEY",
            ("patience", "never"): "patience 'never' is not known",
        }.items():
            with pytest.raises(InputError, match=message):
                search(**{options[0]: options[1]}).fit(X, y)
        with pytest.raises(InputError, match=r"'judges' is not one of its options. Allowed: .*judge"):
            search(tune_options={"judges": False}).fit(X, y)
        with pytest.raises(InputError, match="'n_trials' is an argument of SLLMBOSearchCV itself"):
            search(tune_options={"n_trials": 3}).fit(X, y)
    stopped = search(n_trials=30, patience=3, verbose=1).fit(X, y)
    assert len(stopped.cv_results_["params"]) < 30
    assert "trial 0 (default): 0." in capsys.readouterr().out


def test_the_best_candidate_of_a_search_can_be_enqueued_with_what_is_fixed() -> None:
    def search(n_trials: int, **options: Any) -> Any:
        space = {"C": (0.1, 10.0, "log"), "tol": 1e-3}
        one = SLLMBOSearchCV(
            LogisticRegression(), n_trials=n_trials, random_state=0, search_space=space, **options
        )
        return one.fit(X, y)

    mine = {**search(3).cv_results_["params"][1]}
    assert mine["tol"] == 1e-3
    again = search(2, tune_options={"enqueue": [mine]})
    assert again.cv_results_["params"][1] == mine


def test_a_name_keeps_the_run_on_disk() -> None:
    found = search(name="kept").fit(X, y)
    assert TuneResult.load(Path(".sllmbo/kept")).best_value == found.best_score_
    assert pickle.loads(pickle.dumps(found)).best_score_ == found.best_score_


def test_a_provider_sees_the_description_and_the_scores() -> None:
    def reply(request: Request) -> Any:
        n = request.trial_number or 0
        params = {"max_depth": 2 + n, "min_samples_leaf": 1}
        return {
            "reasoning": "deeper",
            "configurations": [{"params": params, "reason": "r", "expects": "better"}],
        }

    provider = FunctionProvider(reply)
    space = {"max_depth": (1, 20), "min_samples_leaf": (1, 10)}
    found = search(llm=provider, sampler="llm", description="three flowers", search_space=space)
    found.fit(X, y)
    text = "\n".join(m.content for request in provider.requests for m in request.messages)
    assert "three flowers" in text
    assert "accuracy" in text
    assert f"{found.cv_results_['mean_test_score'][0]:.4g}" in text
    assert "llm" in found.cv_results_["source"] or "llm-init" in found.cv_results_["source"]


# ---- interrupts


class Interrupting(DecisionTreeClassifier):
    """Presses Ctrl-C in its n-th fit."""

    left = 10**9

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Any:
        type(self).left -= 1
        if type(self).left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return super().fit(X, y, sample_weight, check_input)


@pytest.fixture
def interrupt_at() -> Callable[[int], Interrupting]:
    def at(n: int) -> Interrupting:
        Interrupting.left = n
        return Interrupting(random_state=0)

    return at


def test_an_interrupt_ends_the_fit_at_once_and_keeps_what_was_scored(
    interrupt_at: Callable[[int], Interrupting],
) -> None:
    found = search(interrupt_at(8), n_trials=20)
    with pytest.raises(KeyboardInterrupt):
        found.fit(X, y)
    values = [t.value for t in found.result_.study.trials if t.value is not None]
    assert len(values) == 2  # three fits each; the eighth was in the third
    assert found.result_.status == "interrupted"
    assert math.isfinite(found.result_.best_value)
    assert Interrupting.left == 0, "folds went on after the interrupt"


def test_a_language_model_is_asked_about_choices_of_numpy() -> None:
    space = {"C": list(np.linspace(0.1, 1.0, 6)), "solver": list(np.array(["lbfgs", "newton-cg"]))}
    search = SLLMBOSearchCV(
        LogisticRegression(max_iter=500), search_space=space, n_trials=5, cv=2, random_state=0,
        llm=FunctionProvider(Responder(0)),
    )  # fmt: skip
    search.fit(X, y)
    assert {"llm", "llm-init"} & set(search.cv_results_["source"])


def at_most(depth: int) -> optuna.samplers.TPESampler:
    """A sampler for which deeper trees are infeasible."""
    with pytest.warns(FutureWarning):
        return optuna.samplers.TPESampler(
            seed=0, constraints_func=lambda t: [t.params.get("max_depth", 20.0) - depth]
        )


def test_an_infeasible_candidate_is_not_the_best() -> None:
    tree = DecisionTreeClassifier(max_depth=5, random_state=0)
    options: dict[str, Any] = {"search_space": {"max_depth": [1, 2, 5]}, "n_trials": 3}
    found = search(tree, sampler=at_most(1), **options).fit(X, y)
    assert {t.params.get("max_depth") for t in found.result_.trials} == {1, 2, 5}
    assert found.cv_results_["rank_test_score"][found.best_index_] > 1, "else this shows nothing"
    assert found.best_params_ == {"max_depth": 1} == found.result_.best_params
    assert found.best_estimator_.get_depth() == 1
    with pytest.raises(InputError, match="no candidate is feasible: a constraint does not hold in 3"):
        search(tree, sampler=at_most(0), **options).fit(X, y)

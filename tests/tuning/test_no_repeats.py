"""No configuration is tried twice in the user's space, and a space that is used up ends the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.history.trials import observe
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

X, y = make_classification(60, 4, random_state=0)
K: dict[str, Any] = {"n_trials": 5, "seed": 0, "folder": "", "verify": False}


def configurations(result: TuneResult) -> list[tuple[Any, ...]]:
    """What each trial really had of the searched parameters."""
    names = [*result.space_versions[0].space]
    return [tuple(observe(t).params.get(name) for name in names) for t in result.trials]


SPACES = {
    "experts beyond the range": (RandomForestClassifier(n_jobs=1), {"n_estimators": (1, 20)}),
    "few neighbours": (KNeighborsClassifier(), {"n_neighbors": (1, 4)}),
    "a failing choice": (
        LogisticRegression(),
        {"penalty": ["nonsense", "worse", "worst"], "C": [0.5, 2.0, 3.0]},
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", SPACES)
@pytest.mark.parametrize("sampler", ["llm-tpe", "llm", "tpe", "random"])
def test_no_configuration_is_tried_twice(case: str, sampler: str) -> None:
    model, space = SPACES[case]
    result = tune(model, X, y, search_space=space, sampler=sampler, **K)
    tried = configurations(result)
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize("init", ["llm", "random"])
def test_first_configurations_are_compared_with_the_users_own(init: str) -> None:
    llm = FunctionProvider(Responder(0))
    space = {"n_neighbors": (1, 9)}
    options = {**K, "n_trials": 8, "init": init, "enqueue": [{"n_neighbors": 2}, {"n_neighbors": 7}]}
    result = tune(KNeighborsClassifier(), X, y, search_space=space, llm=llm, **options)
    tried = configurations(result)
    assert len(set(tried)) == len(tried) == 8


@pytest.mark.parametrize("sampler", ["llm-tpe", "llm", "tpe", "random"])
def test_a_space_that_is_used_up_ends_the_run(sampler: str) -> None:
    options = {**K, "n_trials": 12, "sampler": sampler}
    space = {"n_neighbors": [1, 3], "weights": ["uniform", "distance"]}
    result = tune(KNeighborsClassifier(n_neighbors=7), X, y, search_space=space, **options)
    assert sorted(configurations(result)[1:]) == [
        (1, "distance"),
        (1, "uniform"),
        (3, "distance"),
        (3, "uniform"),
    ]
    assert result.status == "finished"
    assert "all 4 configurations of the search space have been tried" in str(result.events[-1])
    inside = tune(KNeighborsClassifier(n_neighbors=3), X, y, search_space=space, **options)
    assert len(inside.trials) == 4, "the default is one of them"


@pytest.mark.parametrize("sampler", ["llm-tpe", "tpe", "random", "cmaes"])
def test_a_point_of_a_grid_is_one_however_its_steps_are_added_up(sampler: str) -> None:
    steps = optuna.distributions.FloatDistribution(0, 1, step=0.1)

    def objective(trial: optuna.Trial) -> float:  # 0.1 + 0.1 + 0.1 is not 0.3
        return (trial.suggest_float("x", 0, 1, step=0.1) - 1) ** 2

    options: dict[str, Any] = {"direction": "minimize", "sampler": sampler, "seed": 1, "folder": ""}
    result = tune(objective, search_space={"x": steps}, n_trials=20, **options)
    assert "all 11 configurations" in result.summary["reason"]
    assert sorted(round(10 * trial.params["x"]) for trial in result.trials) == list(range(11))


def test_conditions_count() -> None:
    space = {
        "params": [
            {"name": "kind", "type": "categorical", "choices": ["a", "b"]},
            {"name": "n", "type": "int", "low": 1, "high": 3, "when": {"param": "kind", "in": ["b"]}},
        ]
    }
    result = tune(
        lambda params: float(params.get("n", 0)),
        direction="minimize",
        search_space=space,
        **{**K, "n_trials": 20},
    )
    assert len(result.trials) == 4


def test_an_endless_space_goes_on() -> None:
    result = tune(lambda p: p["x"], direction="minimize", search_space={"x": (0.0, 1.0), "k": [1]}, **K)
    assert len(result.trials) == 5


@pytest.mark.parametrize("sampler", [LLMTPESampler, LLMSampler])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_used_by_hand_repeats_nothing_and_stops(sampler: Any) -> None:
    space = {"k": optuna.distributions.IntDistribution(1, 6)}
    study = optuna.create_study(sampler=sampler(search_space=space, seed=0))

    def objective(trial: optuna.Trial) -> float:
        k = trial.suggest_int("k", 1, 6)
        if k == 2:
            raise ValueError("two")
        return float(k)

    study.optimize(objective, n_trials=30, catch=ValueError)
    assert sorted(t.params["k"] for t in study.trials) == [1, 2, 3, 4, 5, 6]


def test_the_search_of_scikit_learn_ends_too() -> None:
    search = SLLMBOSearchCV(KNeighborsClassifier(), search_space={"n_neighbors": [1, 2]}, n_trials=9)
    assert len(search.fit(X, y).cv_results_["params"]) == 3


def test_reasons_are_about_what_is_searched() -> None:
    space = {"n_estimators": (1, 20), "max_depth": (2, 4)}
    result = tune(RandomForestClassifier(n_jobs=1), X, y, search_space=space, **{**K, "n_trials": 8})
    reasons = " ".join(t.user_attrs[attrs.PROVENANCE].get("reason", "") for t in result.trials[1:])
    for word in ("leaves", "rows", "columns", "learning rate"):
        assert word not in reasons, reasons


# --- when only the default fails ------------------------------------------------------------------------

FEW, CLASSES = np.arange(16.0).reshape(8, 2), np.array([0, 1] * 4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", ["tune", "search"])
def test_a_space_that_mends_the_default_is_searched(door: str) -> None:
    space = {"n_neighbors": [1, 2, 3]}
    if door == "search":
        search = SLLMBOSearchCV(KNeighborsClassifier(), search_space=space, n_trials=4, cv=2, random_state=0)
        result = search.fit(FEW, CLASSES).result_
        assert np.isnan(search.cv_results_["mean_test_score"][0])
        assert search.best_params_["n_neighbors"] in (1, 2, 3)
    else:
        given = {"search_space": space} if door == "tune" else {}
        result = tune(KNeighborsClassifier(), FEW, CLASSES, cv=2, **given, **{**K, "n_trials": 4})
    states = [t.state.name for t in result.trials]
    assert states[0] == "FAIL"
    assert "COMPLETE" in states
    assert result.default_value is None
    assert result.summary["gain"] is None
    assert "the default has no score" in result.summary["text"]
    assert "gain of" not in result.summary["text"]


def test_a_space_of_one_configuration_is_said_in_the_singular() -> None:
    result = tune(KNeighborsClassifier(), X, y, search_space={"n_neighbors": [3]}, **{**K, "n_trials": 12})
    assert len(result.trials) == 2, "the default and the one configuration"
    assert "the only configuration of the search space has been tried" in str(result.events[-1])


@pytest.mark.parametrize("sampler", ["llm-tpe", "tpe"])
def test_an_objective_of_a_trial_is_told_when_its_trials_begin_to_repeat(sampler: str) -> None:
    def objective(trial: Any) -> float:
        k = trial.suggest_int("k", 1, 3)
        if k == 2:
            raise ValueError("two")
        return float(k)

    options: dict[str, Any] = {"n_trials": 8, "seed": 0, "folder": "", "direction": "minimize"}
    result = tune(objective, sampler=sampler, **options)
    assert {t.params["k"] for t in result.trials[:3]} == {1, 2, 3}
    said = [e.text for e in result.events if type(e).__name__ == "Note" and "repeat" in e.text]
    assert said == [
        "All 3 configurations of the search space have been tried, as far as the trials show; further trials"
        " repeat them. With search_space= the run ends then."
    ]

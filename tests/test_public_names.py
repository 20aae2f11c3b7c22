"""``from sllmbo_magic import NAME``: functions and classes, each of which does its work."""

from __future__ import annotations

import inspect
from typing import Any

import optuna
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import sllmbo_magic
from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import Task
from sllmbo_magic import TuneResult
from sllmbo_magic import compare
from sllmbo_magic import tune

SPACE = {"x": (-1.0, 1.0)}
X, y = load_iris(return_X_y=True)


def bowl(params: dict[str, Any]) -> float:
    return float(params["x"] ** 2)


@pytest.mark.parametrize("name", sllmbo_magic.__all__)
def test_a_public_name_is_a_function_or_a_class(name: str) -> None:
    value = getattr(sllmbo_magic, name)
    assert inspect.isfunction(value) or inspect.isclass(value), f"{name} is a {type(value).__name__}"
    assert value.__doc__


def test_tune_and_its_result() -> None:
    result = tune(bowl, search_space=SPACE, direction="minimize", n_trials=2, seed=0, folder="")
    assert isinstance(result, TuneResult)


def test_compare() -> None:
    comparison = compare(
        bowl, search_space=SPACE, direction="minimize", samplers=("tpe", "random"), seeds=1, n_trials=2
    )
    assert len(comparison.runs) == 2


def test_the_search_space_and_the_task() -> None:
    assert list(SearchSpace.from_user(SPACE)) == ["x"]
    assert Task.from_estimator(DecisionTreeClassifier(), X, y, cv=3).n_folds == 3


def test_the_search() -> None:
    search = SLLMBOSearchCV(
        DecisionTreeClassifier(random_state=0), n_trials=2, cv=2, search_space={"max_depth": (1, 3)}
    )
    assert len(search.fit(X, y).cv_results_["params"]) == 2


@pytest.mark.parametrize("sampler", [LLMSampler, LLMTPESampler])
def test_the_samplers(sampler: Any) -> None:
    study = optuna.create_study(sampler=sampler())
    study.optimize(lambda trial: trial.suggest_float("x", -1.0, 1.0) ** 2, n_trials=2)
    assert len(study.trials) == 2

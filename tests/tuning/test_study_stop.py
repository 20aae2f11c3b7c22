"""``study.stop()`` and Optuna's ways to call it: the run ends after that trial, with its result."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from optuna.samplers import BruteForceSampler
from optuna.samplers import GridSampler
from optuna.study import MaxTrialsCallback
from sklearn.neighbors import KNeighborsClassifier

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import compare
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError

OPTIONS: dict[str, Any] = {"direction": "minimize", "n_trials": 20, "seed": 0, "folder": ""}
SPACE = {"x": (0.0, 1.0)}


def value(params: dict[str, float]) -> float:
    return float(params["x"])


def n_ended(result: Any) -> int:
    assert result.status == "finished"
    assert result.best_params
    assert not any(t.state.name == "RUNNING" for t in result.study.trials)
    return int(result.summary["n_trials"])


def stop_at(number: int) -> Any:
    def callback(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.number == number:
            study.stop()

    return callback


@pytest.mark.parametrize(("callback", "n"), [(MaxTrialsCallback(3), 3), (stop_at(1), 2), (stop_at(0), 1)])
def test_in_a_callback(callback: Any, n: int) -> None:
    result = tune(value, search_space=SPACE, callbacks=[callback], **OPTIONS)
    assert n_ended(result) == n
    assert "study.stop()" in result.summary["reason"]


def test_in_a_callback_of_a_run_with_estimator_and_storage(data: Any, model: Any) -> None:
    options = {"n_trials": 9, "seed": 0, "verify": False, "storage": "sqlite:///s.db"}
    result = tune(model, *data, callbacks=[MaxTrialsCallback(3)], **options)
    assert result.summary["n_trials"] == 3
    assert not any(t.state.name == "WAITING" for t in result.study.trials)


@pytest.mark.parametrize("threads", [0, 2])
def test_in_an_objective(threads: int) -> None:
    def objective(trial: Any) -> float:
        if trial.number == 2:
            trial.study.stop()
        return float(trial.suggest_float("x", 0, 1))

    if not threads:
        assert n_ended(tune(objective, **OPTIONS)) == 3
        return
    with ThreadPoolExecutor(threads) as executor:
        assert 3 <= n_ended(tune(objective, executor=executor, **OPTIONS)) <= 5


def test_in_an_objective_through_the_users_own_study() -> None:
    study = optuna.create_study(direction="minimize")

    def objective(params: dict[str, float]) -> float:
        if len(study.trials) == 3:
            study.stop()
        return params["x"]

    assert n_ended(tune(objective, search_space=SPACE, study=study, **OPTIONS)) == 3
    assert n_ended(tune(objective, search_space=SPACE, study=study, **{**OPTIONS, "n_trials": 5})) == 5


def test_outside_of_a_run_optuna_still_refuses_it() -> None:
    study = optuna.create_study(direction="minimize")
    tune(value, search_space=SPACE, study=study, **{**OPTIONS, "n_trials": 1})
    with pytest.raises(RuntimeError):
        study.stop()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("make", [BruteForceSampler, lambda: GridSampler({"x": [1, 2], "y": [3, 4]})])
@pytest.mark.parametrize("declared", [True, False])
def test_in_a_sampler_that_has_tried_everything(make: Any, declared: bool) -> None:
    def total(params: dict[str, float]) -> float:
        return params["x"] + params["y"]

    def objective(trial: Any) -> float:
        return total({name: trial.suggest_categorical(name, choices) for name, choices in space.items()})

    space = {"x": [1, 2], "y": [3, 4]}
    if declared:
        result = tune(total, search_space=space, sampler=make(), **OPTIONS)
    else:
        result = tune(objective, sampler=make(), **OPTIONS)
    assert n_ended(result) == 4
    assert len({tuple(sorted(t.params.items())) for t in result.trials}) == 4
    assert result.best_value == 4


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("make", [BruteForceSampler, lambda: GridSampler({"n_neighbors": [1, 2, 3]})])
@pytest.mark.parametrize("n_neighbors", [2, 5])
def test_a_default_outside_the_space_is_no_part_of_what_a_sampler_has_tried(
    make: Any, n_neighbors: int, data: Any
) -> None:
    estimator = KNeighborsClassifier(n_neighbors)
    options = {**OPTIONS, "direction": None, "verify": False, "search_space": {"n_neighbors": [1, 2, 3]}}
    result = tune(estimator, *data, sampler=make(), **options)
    searched = [trial.params["n_neighbors"] for trial in result.trials if trial.params]
    assert sorted(set(searched)) == [1, 2, 3]


def failing(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    if trial.number == 1:
        raise KeyError("mlflow")


def test_a_callback_that_raises_ends_the_run_with_its_result() -> None:
    result = tune(value, search_space=SPACE, callbacks=[failing], **OPTIONS)
    assert result.status == "failed"
    assert result.summary["reason"] == "the callback failing raised KeyError: 'mlflow'"
    assert result.summary["n_trials"] == 2
    assert result.best_params
    assert not any(t.state.name == "RUNNING" for t in result.study.trials)


@pytest.mark.parametrize("door", ["tune", "search", "compare"])
def test_a_callback_that_cannot_be_called_is_refused_before_the_first_fit(door: str, data: Any) -> None:
    class Unfitted(KNeighborsClassifier):  # type: ignore[misc]
        def fit(self, *arguments: Any) -> Any:
            raise AssertionError("it was fitted")

    wrong: Any = {"callbacks": [lambda trial: None]}
    doors: dict[str, Any] = {
        "tune": lambda: tune(Unfitted(), *data, folder="", **wrong),
        "search": lambda: SLLMBOSearchCV(Unfitted(), tune_options=wrong).fit(*data),
        "compare": lambda: compare(Unfitted(), *data, **wrong),
    }
    with pytest.raises(InputError, match=r"callbacks\[0\] cannot be called with a study and a trial"):
        doors[door]()


def test_no_callbacks_may_be_none_as_in_optuna() -> None:
    assert tune(value, search_space=SPACE, callbacks=None, **{**OPTIONS, "n_trials": 1}).status == "finished"

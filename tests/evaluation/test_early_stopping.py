"""Boosting rounds found by early stopping: on held-back training rows, refitted, and told as not searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import ClassVar

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from lightgbm import LGBMRegressor
from optuna.trial import TrialState
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.evaluation import CrossValidator
from sllmbo_magic.evaluation import early_stopping as es
from sllmbo_magic.evaluation.fold_fit import Fold
from sllmbo_magic.evaluation.fold_fit import build
from sllmbo_magic.events import Note
from sllmbo_magic.report.code import code
from sllmbo_magic.task.task import Task
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

XC, YC = make_classification(160, 6, n_informative=4, n_classes=2, flip_y=0.2, random_state=0)
XR, YR = make_regression(160, 6, noise=60.0, random_state=0)


def task_of(estimator: Any, **options: Any) -> Task:
    X, y = (XR, YR) if "Regressor" in repr(estimator) else (XC, YC)
    return Task.from_estimator(estimator, X, y, **{"cv": 3, **options})


BOOSTING: dict[str, tuple[Any, dict[str, Any], str]] = {
    "lightgbm": (LGBMRegressor(verbose=-1), {"learning_rate": 0.2}, "n_estimators"),
    "lightgbm by alias": (LGBMRegressor(verbose=-1, num_iterations=9), {"num_leaves": 4}, "num_iterations"),
    "xgboost": (XGBClassifier(), {"max_depth": 3}, "n_estimators"),
    "boosting": (GradientBoostingRegressor(), {"learning_rate": 0.3}, "n_estimators"),
    "histograms": (HistGradientBoostingClassifier(), {"learning_rate": 0.3}, "max_iter"),
    "pipeline": (
        make_pipeline(StandardScaler(), LGBMClassifier(verbose=-1)),
        {"lgbmclassifier__num_leaves": 4},
        "lgbmclassifier__n_estimators",
    ),
}


@pytest.mark.parametrize("name", BOOSTING)
def test_each_fold_finds_its_rounds_and_is_scored_with_them_on_all_its_training_rows(name: str) -> None:
    estimator, params, parameter = BOOSTING[name]
    task = task_of(estimator)
    validator = CrossValidator(task, n_jobs=1, early_stopping=5)
    evaluation = validator.evaluate(params)
    assert evaluation.error is None
    assert len(evaluation.rounds) == task.n_folds
    assert all(1 <= n < es.CAP for n in evaluation.rounds)
    assert evaluation.refit_params[parameter] == max(1, round(np.mean(evaluation.rounds)))
    off = {k: v for k, v in evaluation.refit_params.items() if k != parameter}
    for fold, n in enumerate(evaluation.rounds):
        whole = build(task, {**params, **off, parameter: n}, 1)
        one = cross_val_score(whole, task.X, task.y, scoring=task.scoring, cv=[task.splits[fold]])
        assert evaluation.split_scores[fold] == one[0]
    assert evaluation.to_json()["rounds"] == list(evaluation.rounds)
    assert validator.evaluate(params).rounds == evaluation.rounds, "the same again"


def test_the_library_default_keeps_its_rounds() -> None:
    task = task_of(LGBMRegressor(verbose=-1))
    stopping = CrossValidator(task, n_jobs=1, early_stopping=5).evaluate({})
    assert stopping.split_scores == CrossValidator(task, n_jobs=1).evaluate({}).split_scores
    assert stopping.rounds == ()
    assert stopping.refit_params == {}


class Peeking(LGBMRegressor):
    """Keeps the rows that it stops by."""

    held: ClassVar[list[Any]] = []

    def fit(self, X: Any, y: Any, eval_set: Any = None, **rest: Any) -> Any:
        if eval_set is not None:
            Peeking.held.append((X, eval_set[0][0]))
        return super().fit(X, y, eval_set=eval_set, **rest)


def test_the_rows_that_score_a_fold_never_decide_when_it_stops() -> None:
    Peeking.held.clear()
    task = task_of(Peeking(verbose=-1))
    CrossValidator(task, n_jobs=1, early_stopping=5).evaluate({"num_leaves": 4})
    assert len(Peeking.held) == 3
    for (train, test), (fitted, held) in zip(task.splits, Peeking.held, strict=True):
        rows = [{row.tobytes() for row in part} for part in (task.X[train], task.X[test], fitted, held)]
        assert rows[2] | rows[3] == rows[0]
        assert not rows[2] & rows[3]
        assert not rows[3] & rows[1]


def fold_of(task: Task) -> Fold:
    train, _ = task.splits[0]
    return Fold(task, task.estimator, task.X[train], task.y[train], {}, train, lambda model: 0.0)


def test_rows_are_held_back_by_groups_by_time_and_by_classes() -> None:
    groups = np.arange(160) // 8
    by_group = fold_of(task_of(LGBMClassifier(), groups=groups, cv=GroupKFold(3)))
    inner, held = es.inner_split(by_group)
    assert not {*groups[by_group.train][inner]} & {*groups[by_group.train][held]}
    assert len(held)
    in_time = fold_of(task_of(LGBMClassifier(), cv=TimeSeriesSplit(3)))
    inner, held = es.inner_split(in_time)
    assert inner.max() < held.min()
    at_random = fold_of(task_of(LGBMClassifier()))
    inner, held = es.inner_split(at_random)
    assert abs(at_random.y[inner].mean() - at_random.y[held].mean()) < 0.05
    rare = task_of(LGBMClassifier())
    alone = Fold(
        rare, rare.estimator, XC[:40], np.array([1] + [0] * 39), {}, np.arange(40), lambda model: 0.0
    )
    inner, held = es.inner_split(alone)
    assert sorted([*inner, *held]) == [*range(40)]


def test_few_rows_hold_back_more() -> None:
    assert es.held_share(200) == 0.25
    assert es.held_share(500) == 0.2
    assert es.held_share(100_000) == 0.1


@pytest.mark.parametrize("estimator", [Ridge(), RandomForestRegressor(), LGBMRegressor(boosting_type="dart")])
def test_estimators_without_it_are_refused_in_one_line(estimator: Any) -> None:
    with pytest.raises(InputError, match="early"):
        tune(estimator, XR, YR, early_stopping_rounds=5, n_trials=2, folder="")


def test_other_misuse_is_refused_too() -> None:
    with pytest.raises(InputError, match="early_stopping_rounds 0 is out of range"):
        tune(LGBMRegressor(), XR, YR, early_stopping_rounds=0)
    with pytest.raises(InputError, match="needs an estimator"):
        tune(lambda trial: 1.0, direction="minimize", early_stopping_rounds=5)
    with pytest.raises(InputError, match="boosting rounds only"):
        tune(LGBMRegressor(), XR, YR, search_space={"n_estimators": (5, 50)}, early_stopping_rounds=5)
    task = task_of(LGBMRegressor(verbose=-1))
    with pytest.raises(InputError, match="evaluator of yours"):
        tune(task, early_stopping_rounds=5, evaluator=CrossValidator(task), folder="")


# A whole run

LLM = FunctionProvider(Responder(2))


@pytest.fixture(scope="module")
def stopped() -> TuneResult:
    return tune(
        make_pipeline(StandardScaler(), LGBMRegressor(verbose=-1, n_estimators=300, learning_rate=0.3)),
        XR,
        YR,
        cv=3,
        n_trials=8,
        seed=3,
        folder="",
        llm=LLM,
        early_stopping_rounds=5,
    )


NAME = "lgbmregressor__n_estimators"


def test_rounds_are_not_searched_and_the_best_configuration_is_whole(stopped: TuneResult) -> None:
    assert stopped.best_params, "the default does badly here"
    assert all(NAME not in t.params for t in stopped.study.trials)
    best = stopped.best_trial.user_attrs["sllmbo:evaluation"]
    assert stopped.best_params[NAME] == max(1, round(np.mean(best["rounds"])))
    assert stopped.best_estimator.named_steps["lgbmregressor"].n_estimators == stopped.best_params[NAME]
    assert f"{NAME.rpartition('__')[2]}={stopped.best_params[NAME]}" in stopped.code()
    assert stopped.summary["best_params"] == stopped.best_params
    assert stopped.summary["verification"]["verdict"] in ("real", "within noise", "worse")
    shown = next(t for t in stopped.bundle()["trials"] if t["n"] == stopped.best_trial.number)
    assert shown["params"][NAME] == stopped.best_params[NAME]


def test_the_code_of_the_winner_is_the_model_that_is_delivered(stopped: TuneResult) -> None:
    names: dict[str, Any] = {}
    exec(code(stopped._task.estimator, stopped.best_params), names)
    model = names["best_model"].fit(XR, YR)
    assert np.allclose(model.predict(XR), stopped.best_estimator.predict(XR), atol=1e-6)


def test_the_llm_and_the_user_are_told(stopped: TuneResult) -> None:
    text = LLM.requests[0].messages[-1].content
    assert f"{NAME} is not searched: each fold stops boosting after 5 rounds without gain" in text
    ranges = text.split("Search space to begin with")[1]
    assert NAME not in ranges, "neither a range nor a parameter that may be added"
    assert any(
        e.text.startswith(f"Boosting rounds: {NAME} is not searched")
        for e in stopped.events
        if isinstance(e, Note)
    )


def test_a_range_of_the_user_for_the_rounds_is_left_out() -> None:
    space = {"n_estimators": (5, 50), "num_leaves": (2, 8)}
    result = tune(
        LGBMRegressor(verbose=-1),
        XR,
        YR,
        cv=3,
        search_space=space,
        n_trials=3,
        early_stopping_rounds=5,
        seed=0,
        folder="",
        verify=False,
    )
    default, *searched = result.trials
    assert default.params == {}, "LightGBM's 31 leaves are no point of this space"
    assert [set(trial.params) for trial in searched] == [{"num_leaves"}] * 2


def test_a_wish_cannot_bring_the_rounds_back() -> None:
    control = Control()
    control.wish("range", {"param": "n_estimators", "low": 5, "high": 50})
    model = LGBMRegressor(verbose=-1)
    options: dict[str, Any] = {"seed": 0, "folder": "", "verify": False, "control": control}
    result = tune(model, XR, YR, cv=3, n_trials=2, early_stopping_rounds=5, **options)
    warned = [e.text for e in result.events if isinstance(e, Note) and e.level == "warning"]
    assert warned
    assert "n_estimators is found by early stopping" in warned[0]


def test_the_best_parameters_can_be_given_to_the_next_run(stopped: TuneResult) -> None:
    """They have the rounds that were found, which the next run's search space has not."""
    best = stopped.best_params
    control = Control()
    options: dict[str, Any] = {"cv": 2, "n_trials": 3, "seed": 0, "folder": "", "verify": False}
    control.wish("enqueue", {**best, "lgbmregressor__num_leaves": 9})
    again = tune(
        stopped._task.estimator, XR, YR, early_stopping_rounds=5, enqueue=[best], control=control, **options
    )
    queued = [t for t in again.trials if t.user_attrs["sllmbo:source"] == "user"]
    assert len(queued) == 2
    assert {name: best[name] for name in queued[0].params} == queued[0].params
    with pytest.raises(InputError, match=f"{NAME} is found by early stopping"):
        tune(
            stopped._task.estimator, XR, YR, early_stopping_rounds=5, enqueue=[{NAME: best[NAME]}], **options
        )
    with pytest.raises(InputError, match=r"warm_start is a configuration, not a run. Write enqueue=\["):
        tune(stopped._task.estimator, XR, YR, warm_start=best, **options)
    with pytest.raises(InputError, match="is no run"):
        tune(stopped._task.estimator, XR, YR, warm_start="x" * 500, **options)


def test_with_a_pruner_the_search_for_the_rounds_is_what_reports() -> None:
    result = tune(
        LGBMRegressor(verbose=-1, min_child_samples=5),
        XR,
        YR,
        cv=3,
        search_space={"learning_rate": (0.001, 0.3, "log")},
        n_trials=12,
        init="random",
        early_stopping_rounds=20,
        pruner="asha",
        seed=0,
        folder="",
        verify=False,
    )
    assert any(t.state == TrialState.PRUNED for t in result.study.trials)
    assert all(
        "rounds" in t.user_attrs["sllmbo:evaluation"]
        for t in result.study.trials[1:]
        if t.state == TrialState.COMPLETE
    )


def test_a_resumed_run_must_find_its_rounds_in_the_same_way(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "cv": 3,
        "search_space": {"num_leaves": (2, 8)},
        "folder": tmp_path,
        "verify": False,
    }
    model = LGBMRegressor(verbose=-1, n_estimators=20)
    tune(model, XR, YR, n_trials=2, early_stopping_rounds=5, **options)
    with pytest.raises(RunChangedError, match="early_stopping_rounds"):
        tune(model, XR, YR, n_trials=3, resume=True, **options)
    assert len(tune(model, XR, YR, n_trials=3, resume=True, early_stopping_rounds=5, **options).trials) == 3

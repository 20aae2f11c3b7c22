"""Reports on the way: exact scores for trials that are not pruned, comparable values, folds in step."""

from __future__ import annotations

import pickle
import time
from typing import Any
from typing import ClassVar

import numpy as np
import optuna
import pytest
from lightgbm import LGBMClassifier
from lightgbm import LGBMRegressor
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier
from xgboost import XGBRegressor
from xgboost import XGBRFRegressor

from sllmbo_magic.evaluation import CrossValidator
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation.fold_fit import build
from sllmbo_magic.evaluation.iterative_fit import rounds_of
from sllmbo_magic.evaluation.pruning_reports import Reporting
from sllmbo_magic.task.task import Task

XC, YC = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
XR, YR = make_regression(90, 6, noise=20.0, random_state=0)


class Asked:
    """Stands for Optuna's trial: keeps what is reported, and says where to prune."""

    def __init__(self, prune_at: int | None = None) -> None:
        self.values: dict[int, float] = {}
        self.prune_at = prune_at
        self.asked: list[int] = []

    def report(self, value: float, step: int) -> None:
        assert step not in self.values
        self.values[step] = value

    def should_prune(self) -> bool:
        step = max(self.values)
        self.asked.append(step)
        return step == self.prune_at


def task_of(estimator: Any, scoring: str | None = None, cv: Any = 3, **options: Any) -> Task:
    regression = "Regressor" in type(estimator).__name__
    X, y = (XR, YR) if regression else (XC, YC)
    return Task.from_estimator(estimator, X, y, scoring=scoring, cv=cv, **options)


def evaluated(
    task: Task, params: dict[str, Any], trial: Any, reporting: Reporting = "training", **options: Any
) -> Evaluation:
    validator = CrossValidator(task, n_jobs=2, reporting=reporting)
    try:
        return validator.evaluate(params, trial=trial, **options)
    finally:
        validator.close()


def plain(task: Task, params: dict[str, Any]) -> list[float]:
    found = cross_validate(
        build(task, params, 1),
        task.X,
        task.y,
        scoring=task.scoring,
        cv=list(task.splits),
        params=task.fit_params or None,
    )
    return [float(score) for score in found["test_score"]]


IN_ROUNDS: dict[str, tuple[Any, str, str | None, int]] = {
    "lightgbm": (LGBMRegressor(verbose=-1), "n_estimators", None, 12),
    "lightgbm, bagged": (
        LGBMClassifier(verbose=-1, subsample=0.5, subsample_freq=1),
        "n_estimators",
        "neg_log_loss",
        12,
    ),
    "lightgbm, dart": (LGBMClassifier(verbose=-1, boosting_type="dart"), "n_estimators", "accuracy", 12),
    "lightgbm, by alias": (LGBMRegressor(verbose=-1, num_iterations=7), "num_iterations", None, 12),
    "xgboost": (XGBRegressor(subsample=0.7), "n_estimators", None, 12),
    "xgboost, classes": (XGBClassifier(), "n_estimators", "neg_log_loss", 12),
    "forest": (RandomForestClassifier(), "n_estimators", "neg_log_loss", 12),
    "extra trees": (ExtraTreesRegressor(random_state=3), "n_estimators", None, 12),
    "boosting": (GradientBoostingRegressor(subsample=0.5), "n_estimators", None, 12),
    "histograms": (HistGradientBoostingClassifier(), "max_iter", "neg_log_loss", 12),
    "pipeline": (
        make_pipeline(StandardScaler(), LGBMClassifier(verbose=-1)),
        "lgbmclassifier__n_estimators",
        "neg_log_loss",
        12,
    ),
}


@pytest.mark.parametrize("name", IN_ROUNDS)
def test_the_score_is_that_of_cross_validate_and_each_report_that_of_a_shorter_training(name: str) -> None:
    estimator, parameter, scoring, total = IN_ROUNDS[name]
    task = task_of(estimator, scoring)
    trial = Asked()
    evaluation = evaluated(task, {parameter: total}, trial)
    assert list(evaluation.split_scores) == plain(task, {parameter: total})
    assert evaluation.error is None
    assert not evaluation.pruned
    shorter = {step: plain(task, {parameter: n}) for n, step in ((3, 25), (6, 50))}
    assert trial.values == pytest.approx(
        {**{step: np.mean(scores) for step, scores in shorter.items()}, 100: evaluation.mean}, rel=1e-12
    )
    assert trial.asked == [25, 50], "after the whole training nobody is asked"


class Grown(ExtraTreesRegressor):
    """Notes how many trees it has when a fit begins."""

    begun: ClassVar[list[int]] = []

    def fit(self, *data: Any, **more: Any) -> Any:
        Grown.begun.append(len(getattr(self, "estimators_", ())))
        return super().fit(*data, **more)


def test_a_forest_goes_on_from_the_trees_that_it_has() -> None:
    Grown.begun.clear()
    task = task_of(Grown(), cv=2)
    assert evaluated(task, {"n_estimators": 8}, Asked()).ok
    assert sorted(Grown.begun) == [0, 0, 2, 2, 4, 4]


IN_SHORT_FITS: dict[str, tuple[Any, dict[str, Any], list[int]]] = {
    "sgd": (SGDClassifier(loss="log_loss", tol=None), {"max_iter": 40}, [25, 100]),
    "sgd that converges": (SGDClassifier(tol=1e9, n_iter_no_change=1), {"max_iter": 400}, [100]),
    "network": (MLPClassifier((8,), tol=0.0), {"max_iter": 40}, [25, 100]),
    "pipeline": (
        make_pipeline(StandardScaler(), MLPClassifier((8,))),
        {"mlpclassifier__max_iter": 40},
        [25, 100],
    ),
    "a generator of one's own": (
        RandomForestClassifier(random_state=np.random.RandomState(0)),
        {"n_estimators": 8},
        [25, 100],
    ),
    "boosting that stops by itself": (
        GradientBoostingClassifier(n_iter_no_change=2, tol=0.01),
        {"n_estimators": 40},
        [25, 100],
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", IN_SHORT_FITS)
def test_where_training_cannot_go_on_short_fits_report_and_the_score_is_still_exact(name: str) -> None:
    estimator, params, steps = IN_SHORT_FITS[name]
    task = task_of(estimator)
    trial = Asked()
    evaluation = evaluated(task, params, trial)
    assert list(evaluation.split_scores) == plain(task, params)
    assert list(trial.values) == steps
    assert evaluation.warnings.get("ConvergenceWarning", 0) in (0, task.n_folds), "short fits are no news"


def test_weights_and_callbacks_of_the_user_reach_the_fit() -> None:
    seen: list[int] = []
    weights = np.random.default_rng(0).uniform(size=len(YC))
    estimator = make_pipeline(StandardScaler(), LGBMClassifier(verbose=-1, n_estimators=50))
    task = task_of(
        estimator,
        "neg_log_loss",
        sample_weight=weights,
        fit_params={"lgbmclassifier__callbacks": [lambda env: seen.append(env.iteration)]},
    )
    evaluation = evaluated(task, {}, Asked())
    assert len(seen) == 150, "50 rounds of 3 folds"
    assert list(evaluation.split_scores) == plain(task, {})
    assert list(evaluation.split_scores) != plain(task_of(estimator, "neg_log_loss"), {})


def test_short_trainings_report_what_they_can() -> None:
    trial = Asked()
    assert evaluated(task_of(LGBMRegressor(verbose=-1)), {"n_estimators": 2}, trial).error is None
    assert list(trial.values) == [50, 100]
    trial = Asked()
    assert evaluated(task_of(LGBMRegressor(verbose=-1)), {"n_estimators": 1}, trial).error is None
    assert list(trial.values) == [100]


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(),
        LogisticRegression(),
        XGBRFRegressor(),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
    ],
)
def test_others_do_not_train_in_rounds(estimator: Any) -> None:
    assert rounds_of(estimator) is None


@pytest.mark.parametrize("estimator", [LGBMRegressor(verbose=-1), GradientBoostingRegressor()])
def test_a_pruned_trial_ends_at_its_step_without_a_score(estimator: Any) -> None:
    ended: list[int] = []
    trial = Asked(prune_at=50)
    evaluation = evaluated(
        task_of(estimator), {"n_estimators": 40}, trial, on_fold=lambda fold, *_: ended.append(fold)
    )
    assert (evaluation.pruned, evaluation.mean, evaluation.error) == (True, None, None)
    assert evaluation.pruned_at == "50 % of its training"
    assert list(trial.values) == [25, 50]
    assert ended == []
    assert not evaluation.ok
    assert evaluation.to_json()["pruned_at"] == "50 % of its training"


def test_a_model_that_cannot_be_scored_yet_is_not_reported_and_keeps_its_score() -> None:
    def scorer(model: Any, X: Any, y: Any) -> float:
        if model.n_estimators_ < 20:
            raise ValueError("too early")
        return float(model.score(X, y))

    class Early(GradientBoostingRegressor):
        """Its trees can be counted."""

    task = task_of(Early(), scoring=scorer)  # type: ignore[arg-type]
    trial = Asked()
    evaluation = evaluated(task, {"n_estimators": 20}, trial)
    assert evaluation.error is None
    assert list(trial.values) == [100]
    assert list(evaluation.split_scores) == plain(task, {"n_estimators": 20})


def test_stop_and_time_limit_are_heard_at_a_step() -> None:
    task, asked = task_of(LGBMRegressor(verbose=-1)), Asked()
    evaluation = evaluated(task, {"n_estimators": 20}, asked, should_stop=lambda: True)
    assert (evaluation.stopped, evaluation.error, asked.values) == (True, "stopped", {})
    evaluation = evaluated(task, {"n_estimators": 20}, asked, timeout=0.0)
    assert (evaluation.stopped, evaluation.error, asked.values) == (False, "timeout", {})


def test_a_fit_that_fails_is_a_failure_and_no_pruning() -> None:
    evaluation = evaluated(task_of(LGBMRegressor(verbose=-1)), {"objective": "no such loss"}, Asked())
    assert (evaluation.error, evaluation.pruned) == ("fit-failed", False)


@pytest.mark.parametrize(("reporting", "steps"), [("folds", [1, 2, 3, 4, 5]), ("scores", [1, 2, 3, 4, 5])])
def test_others_report_after_each_fold_in_the_order_of_the_folds(
    reporting: Reporting, steps: list[int]
) -> None:
    class Uneven(KNeighborsClassifier):
        """The first folds take longest."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            time.sleep(0.02 * float(X[0, 0] > 0))
            return float(super().score(X, y))

    task, trial = task_of(Uneven(), "accuracy", cv=5), Asked()
    evaluation = evaluated(task, {"n_neighbors": 3}, trial, reporting)
    scores = plain(task, {"n_neighbors": 3})
    assert list(evaluation.split_scores) == scores
    assert list(trial.values) == steps
    wanted = scores if reporting == "scores" else [float(np.mean(scores[: k + 1])) for k in range(5)]
    assert list(trial.values.values()) == pytest.approx(wanted)
    assert trial.asked == [1, 2, 3, 4]


def test_a_trial_pruned_after_some_folds_keeps_only_those() -> None:
    task, trial = task_of(KNeighborsClassifier(), cv=5), Asked(prune_at=2)
    evaluation = evaluated(task, {"n_neighbors": 3}, trial, "folds")
    assert (evaluation.pruned, evaluation.pruned_at) == (True, "2 of 5 folds")
    assert list(evaluation.split_scores) == plain(task, {"n_neighbors": 3})[:2]
    assert evaluation.mean is None


def test_without_a_trial_or_a_pruner_nothing_is_reported() -> None:
    task = task_of(LGBMRegressor(verbose=-1))
    assert evaluated(task, {"n_estimators": 5}, None).ok
    trial = Asked()
    assert CrossValidator(task).evaluate({"n_estimators": 5}, trial=trial).ok
    assert trial.values == {}


def test_a_validator_that_reports_can_be_sent_to_another_process() -> None:
    validator = CrossValidator(task_of(LGBMRegressor(verbose=-1)), n_jobs=1, reporting="training")
    again = pickle.loads(pickle.dumps(validator))
    trial = Asked()
    assert again.evaluate({"n_estimators": 20}, trial=trial).ok
    assert list(trial.values) == [25, 50, 100]


def test_optunas_pruner_is_asked_with_the_values_of_the_study() -> None:
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(lower=0.0), direction="maximize")
    trial = study.ask()
    evaluation = evaluated(task_of(LGBMRegressor(verbose=-1)), {"n_estimators": 20}, trial)
    assert evaluation.pruned
    assert list(study.trials[0].intermediate_values) == [25]

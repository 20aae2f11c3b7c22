"""What ends more than a fit: ``sys.exit()``, an interrupt, a time limit per trial."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Executor
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.cross_validation import CrossValidator
from sllmbo_magic.evaluation.fold_scheduler import Decisions
from sllmbo_magic.evaluation.fold_scheduler import FoldScheduler
from sllmbo_magic.task.task import Task

X, y = make_regression(60, 4, noise=5, random_state=0)
OPTIONS: dict[str, Any] = {"n_trials": 5, "seed": 0, "folder": "", "verify": False}
SPACE = {"x": (0.0, 1.0)}
EXECUTORS = [None, ThreadPoolExecutor, ProcessPoolExecutor]


class PanicException(BaseException):
    """As an extension in Rust raises it."""


def exits(params: dict[str, float]) -> float:
    if params["x"] > 0.5:
        sys.exit("no licence for large x")
    return params["x"]


def exits_itself(trial: optuna.Trial) -> float:
    return exits({"x": trial.suggest_float("x", 0.0, 1.0)})


class Exits(Ridge):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.alpha > 2:
            sys.exit("the licence server is not there")
        return super().fit(X, y, sample_weight)


class ExitsAtOnce(Ridge):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        sys.exit(3)


class ExitsInSetParams(Ridge):
    def set_params(self, **params: Any) -> Any:
        if params.get("alpha", 1.0) > 2:
            raise PanicException("index out of bounds")
        return super().set_params(**params)


def causes(result: Any) -> list[str]:
    return [row["cause"] for row in result.failures]


@pytest.mark.parametrize(
    ("objective", "pool"), [*((exits, pool) for pool in EXECUTORS), (exits_itself, None)]
)
def test_an_objective_that_exits_is_a_failed_trial(objective: Any, pool: type[Executor] | None) -> None:
    options = {**OPTIONS, "n_trials": 8, "direction": "minimize"}
    if objective is exits:
        options["search_space"] = SPACE
    if pool is None:
        result = tune(objective, **options)
    else:
        with pool(2) as executor:
            result = tune(objective, executor=executor, **options)
    assert result.status == "finished"
    assert len(result.trials) == 8
    assert causes(result) == ["SystemExit: no licence for large x"]
    assert result.best_value <= 0.5
    assert "SystemExit: no licence for large x" in result.summary["text"]


@pytest.mark.parametrize("model", [Exits(), ExitsInSetParams()])
def test_an_estimator_that_exits_is_a_failed_trial(model: Any) -> None:
    space = {"alpha": (0.1, 10.0)}
    result = tune(model, X, y, search_space=space, enqueue=[{"alpha": 5.0}], **OPTIONS)
    assert result.status == "finished"
    assert len(causes(result)) == 1
    assert causes(result)[0] in (
        "SystemExit: the licence server is not there",
        "PanicException: index out of bounds",
    )


def test_a_metric_that_exits_is_a_failed_trial() -> None:
    def metric(model: Any, X: Any, y: Any) -> float:
        if model.alpha > 2:
            sys.exit("no metric")
        return float(model.score(X, y))

    options = {**OPTIONS, "search_space": {"alpha": (0.1, 10.0)}, "enqueue": [{"alpha": 5.0}]}
    result = tune(Ridge(), X, y, scoring=metric, **options)
    assert len(causes(result)) == 1
    assert "SystemExit: no metric" in causes(result)[0]


def test_a_default_that_exits_says_so() -> None:
    with pytest.raises(InputError, match=r"cannot be fitted with its default parameters.*SystemExit: 3"):
        tune(ExitsAtOnce(), X, y, **OPTIONS)
    with pytest.raises(InputError, match="cannot be fitted with its default parameters: SystemExit: 3"):
        SLLMBOSearchCV(ExitsAtOnce(), n_trials=3).fit(X, y)


@pytest.mark.filterwarnings("ignore")
def test_a_candidate_of_a_search_that_exits_is_a_failed_row() -> None:
    search = SLLMBOSearchCV(
        Exits(), search_space={"alpha": (0.1, 10.0)}, n_trials=4, tune_options={"enqueue": [{"alpha": 5.0}]}
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 4
    assert scores[1] != scores[1]
    assert causes(search.result_) == ["SystemExit: the licence server is not there"]


@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor])
@pytest.mark.parametrize("takes_trial", [False, True])
def test_an_interrupt_in_an_objective_ends_the_run_with_its_result(
    pool: type[Executor] | None, takes_trial: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = iter(range(100))

    def value(x: float) -> float:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return x

    def of_params(params: dict[str, float]) -> float:
        return value(params["x"])

    def of_trial(trial: optuna.Trial) -> float:
        return value(trial.suggest_float("x", 0.0, 1.0))

    options: dict[str, Any] = {**OPTIONS, "direction": "minimize"}
    if not takes_trial:
        options["search_space"] = SPACE
    objective = of_trial if takes_trial else of_params
    if pool is None:
        result = tune(objective, **options)
    else:
        with pool(1) as executor:
            result = tune(objective, executor=executor, **options)
    assert result.status == "interrupted"
    assert result.summary["n_trials"] == 2
    assert result.best_value is not None
    assert "2 trials in" in result.summary["text"]
    assert "(1 cut off)" in result.summary["text"]
    assert "failed" not in result.summary["text"]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("takes_trial", [False, True])
def test_the_time_limit_of_a_trial_holds_for_an_objective_that_does_not_end(takes_trial: bool) -> None:
    release = threading.Event()
    calls = iter(range(100))

    def value() -> float:
        if next(calls) == 0:
            assert release.wait(60)
        return 1.0

    def of_params(params: dict[str, float]) -> float:
        return value()

    def of_trial(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0.0, 1.0)
        return value()

    options: dict[str, Any] = {**OPTIONS, "direction": "minimize", "n_trials": 1, "trial_timeout": 0.05}
    if not takes_trial:
        options["search_space"] = SPACE
    try:
        result = tune(of_trial if takes_trial else of_params, **options)
    finally:
        release.set()
    assert [trial.state.name for trial in result.trials] == ["FAIL"]
    assert causes(result) == [
        "the trial reached its time limit (trial_timeout=0.05 s); its code runs on in the background until it"
        " returns"
    ]


def test_an_objective_that_returns_too_late_has_failed() -> None:
    options = {**OPTIONS, "direction": "minimize", "n_trials": 2, "trial_timeout": 1e-9}
    result = tune(lambda trial: trial.suggest_float("x", 0.0, 1.0), **options)
    assert [trial.state.name for trial in result.trials] == ["FAIL", "FAIL"]
    assert all("time limit (trial_timeout=1e-09 s)" in cause for cause in causes(result))


def test_the_time_limit_holds_where_all_folds_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many cores as folds nothing is asked between them."""
    monkeypatch.setattr(FoldScheduler, "run", _without_questions(FoldScheduler.run))
    evaluator = CrossValidator(Task.from_estimator(Ridge(), X, y, cv=KFold(2)), n_jobs=1)
    evaluation = evaluator.evaluate({}, timeout=1e-9)
    evaluator.close()
    assert (evaluation.error, evaluation.mean) == ("timeout", None)
    assert len(evaluation.split_scores) == 2


def _without_questions(run: Any) -> Any:
    def instead(self: FoldScheduler, work: Any, decisions: Any, **options: Any) -> Any:
        return run(self, work, Decisions(), **options)

    return instead

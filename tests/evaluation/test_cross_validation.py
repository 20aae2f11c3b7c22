"""Evaluations: scikit-learn's scores, failures by category, a layout that fits the cores, stop, abandon."""

from __future__ import annotations

import contextvars
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from typing import ClassVar

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.ensemble import BaggingClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.metrics import check_scoring
from sklearn.metrics import f1_score
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.model_selection import RepeatedKFold
from sklearn.model_selection import ShuffleSplit
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree import DecisionTreeRegressor

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import CATEGORIES
from sllmbo_magic.evaluation import CrossValidator
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation import ObjectiveEvaluator
from sllmbo_magic.evaluation import cross_validation
from sllmbo_magic.evaluation import evaluator_for
from sllmbo_magic.evaluation import layout
from sllmbo_magic.evaluation import refit
from sllmbo_magic.evaluation.fold_fit import build
from sllmbo_magic.evaluation.threads import cores
from sllmbo_magic.evaluation.threads import thread_settings
from sllmbo_magic.task.task import Task
from tests.estimators import GATES
from tests.estimators import SEEN
from tests.estimators import Failing
from tests.estimators import Shift
from tests.estimators import Waiting
from tests.estimators import Warner
from tests.estimators import Watching

XC, YC = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
XR, YR = make_regression(120, 6, noise=10.0, random_state=0)
NAMES = np.array(["low", "mid", "high"])[YC]
GROUPS = np.arange(120) % 12
WEIGHTS = np.linspace(0.1, 3.0, 120)


def task_of(estimator: Any, **options: Any) -> Task:
    return Task.from_estimator(estimator, **{"X": XR, "y": YR, **options})


def evaluate(estimator: Any, params: dict[str, Any] | None = None, **options: Any) -> Evaluation:
    return CrossValidator(task_of(estimator, **options)).evaluate(params or {})


# ---- scikit-learn's own scores


def worst(estimator: Any, X: Any, y: Any) -> float:
    return float(np.abs(estimator.predict(X) - y).max())


MIXED = pd.DataFrame({"number": XC[:, 0], "word": np.array(["a", "b"])[YC % 2]})
HALVES = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
POLARS = pl.DataFrame({"number": XC[:, 0], "word": MIXED["word"].tolist()})
COLUMNS = make_column_transformer((StandardScaler(), ["number"]), (OneHotEncoder(), ["word"]))
OWN = make_scorer(f1_score, average="macro")
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "logistic f1": (LogisticRegression(), {"X": XC, "y": YC, "scoring": "f1_weighted"}, {"C": 0.1}),
    "logistic log loss": (LogisticRegression(), {"X": XC, "y": NAMES, "scoring": "neg_log_loss"}, {"C": 3.0}),
    "forest auc": (
        RandomForestClassifier(5, random_state=0),
        {"X": XC, "y": YC, "scoring": "roc_auc_ovr", "cv": StratifiedKFold(3)},
        {"max_depth": 3},
    ),
    "svc own scorer": (SVC(), {"X": XC, "y": YC, "scoring": OWN}, {"C": 2.0, "kernel": "linear"}),
    "kernel": (SVC(kernel="precomputed"), {"X": XC @ XC.T, "y": YC, "scoring": "accuracy"}, {}),
    "sparse": (LogisticRegression(), {"X": sp.csr_array(XC), "y": YC, "scoring": "accuracy"}, {}),
    "lists": (KNeighborsClassifier(), {"X": XC.tolist(), "y": NAMES.tolist(), "scoring": "accuracy"}, {}),
    "pandas": (
        make_pipeline(COLUMNS, LogisticRegression()),
        {"X": MIXED, "y": pd.Series(NAMES, index=range(7, 127))},
        {},
    ),
    "polars": (make_pipeline(COLUMNS, LogisticRegression()), {"X": POLARS, "y": NAMES}, {}),
    "boosting": (
        HistGradientBoostingClassifier(max_iter=5),
        {"X": XC, "y": YC, "scoring": "balanced_accuracy"},
        {"max_depth": 2},
    ),
    "ridge mae": (Ridge(), {"scoring": "neg_mean_absolute_error"}, {"alpha": 10.0}),
    "ridge r2": (
        Ridge(),
        {"scoring": "r2", "cv": RepeatedKFold(n_splits=3, n_repeats=2, random_state=1)},
        {},
    ),
    "tree time": (DecisionTreeRegressor(random_state=0), {"cv": TimeSeriesSplit(4)}, {"max_depth": 2}),
    "forest shuffle": (RandomForestRegressor(5, random_state=0), {"cv": ShuffleSplit(3, random_state=0)}, {}),
    "groups": (Ridge(), {"cv": GroupKFold(4), "groups": GROUPS}, {}),
    "one group out": (Ridge(), {"cv": LeaveOneGroupOut(), "groups": GROUPS}, {}),
    "weights": (Ridge(), {"sample_weight": WEIGHTS}, {}),
    "fit params": (Ridge(), {"fit_params": {"sample_weight": WEIGHTS}}, {"alpha": 0.5}),
    "pipeline weights": (
        make_pipeline(StandardScaler(), Ridge()),
        {"sample_weight": WEIGHTS},
        {"ridge__alpha": 5.0},
    ),
    "own loss": (Ridge(), {"scoring": worst}, {}),
    "two targets": (Ridge(), {"y": np.column_stack([YR, -YR]), "scoring": "r2"}, {}),
    "own score": (Ridge(), {"scoring": "r2", "cv": HALVES}, {}),
    "replaced step": (make_pipeline(StandardScaler(), Ridge()), {}, {"standardscaler": "passthrough"}),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_cross_validate(name: str) -> None:
    estimator, options, params = CASES[name]
    task = task_of(estimator, **options)
    mine = CrossValidator(task).evaluate(params)
    theirs = cross_validate(
        clone(estimator).set_params(**params),
        task.X,
        task.y,
        groups=task.groups,
        cv=task.cv,
        scoring=task.scoring,
        params=task.fit_params,
        error_score="raise",
    )["test_score"]
    assert mine.error is None
    assert list(mine.split_scores) == list(theirs)
    assert mine.mean == np.mean(theirs)
    assert mine.std == np.std(theirs)


@pytest.mark.parametrize("kind", ["numpy", "pandas", "polars"])
def test_boosting_libraries_score_as_in_cross_validate(kind: str) -> None:
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    names = list("abcdef")
    X = {"numpy": XC, "pandas": pd.DataFrame(XC, columns=names), "polars": pl.DataFrame(XC, schema=names)}[
        kind
    ]
    models = [
        lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
        xgboost.XGBClassifier(n_estimators=5, n_jobs=1),
    ]
    for model in models:
        task = task_of(model, X=X, y=YC, scoring="neg_log_loss", cv=3)
        params = {"n_estimators": 6, "learning_rate": 0.3}
        mine = CrossValidator(task).evaluate(params)
        theirs = cross_validate(
            clone(model).set_params(**params),
            task.X,
            YC,
            cv=task.cv,
            scoring="neg_log_loss",
            error_score="raise",
        )
        assert list(mine.split_scores) == list(theirs["test_score"])


def test_an_evaluation_leaves_no_trace_on_the_users_objects() -> None:
    step = StandardScaler()
    model = make_pipeline(step, RandomForestRegressor(3, n_jobs=-1))
    before = repr(model.get_params(deep=True))
    X, y = XR.copy(), YR.copy()
    task = Task.from_estimator(model, X, y)
    validator = CrossValidator(task)
    validator.evaluate({"randomforestregressor__max_depth": 2, "standardscaler": step})
    assert repr(model.get_params(deep=True)) == before
    assert not hasattr(step, "mean_")
    assert np.array_equal(X, XR)
    assert np.array_equal(y, YR)


def test_all_trials_share_the_folds_of_a_random_splitter() -> None:
    validator = CrossValidator(task_of(Ridge(), cv=ShuffleSplit(4)))
    assert validator.evaluate({}).split_scores == validator.evaluate({}).split_scores


def test_folds_are_told_in_the_callers_thread() -> None:
    told: list[tuple[int, int, float]] = []
    threads = set()

    def on_fold(fold: int, n: int, score: float) -> None:
        told.append((fold, n, score))
        threads.add(threading.current_thread())

    evaluation = CrossValidator(task_of(Ridge())).evaluate({}, on_fold=on_fold)
    assert sorted(told) == [(i, 5, score) for i, score in enumerate(evaluation.split_scores)]
    assert threads == {threading.current_thread()}


def test_folds_run_under_the_callers_configuration_and_context() -> None:
    place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")
    seen = []

    def scorer(estimator: Any, X: Any, y: Any) -> float:
        seen.append((sklearn.get_config()["transform_output"], place.get()))
        return 0.0

    validator = CrossValidator(task_of(make_pipeline(StandardScaler(), Ridge()), scoring=scorer, cv=2))
    validator.evaluate({})  # its threads are older than the configuration
    place.set("cell 3")
    with sklearn.config_context(transform_output="pandas"):
        validator.evaluate({})
    assert seen == [("default", "nowhere")] * 2 + [("pandas", "cell 3")] * 2


def test_lightgbm_does_not_print(capfd: pytest.CaptureFixture[str]) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    model = make_pipeline(StandardScaler(), lightgbm.LGBMRegressor(n_estimators=2))
    task = task_of(model)
    assert CrossValidator(task).evaluate({}).ok
    refit(task, {})
    assert capfd.readouterr() == ("", "")


# ---- failures


@pytest.mark.parametrize(
    ("estimator", "params", "category", "name"),
    [
        (Failing(ValueError("no")), {}, "fit-failed", "ValueError"),
        (Failing(RuntimeError("no"), where="predict"), {}, "score-failed", "RuntimeError"),
        (Failing(MemoryError()), {}, "out-of-memory", "MemoryError"),
        (Failing(RuntimeError("std::bad_alloc")), {}, "out-of-memory", "RuntimeError"),
        (Shift(float("nan")), {}, "score-failed", "ValueError"),
        (Ridge(), {"alpha": -1.0}, "invalid-parameter", "InvalidParameterError"),
        (Ridge(), {"alfa": 1.0}, "invalid-parameter", "ValueError"),
        (Ridge(), {"alpha__deep": 1.0}, "invalid-parameter", "AttributeError"),
    ],
)
def test_failures_have_a_category(estimator: Any, params: dict[str, Any], category: str, name: str) -> None:
    evaluation = evaluate(estimator, params)
    assert (evaluation.error, evaluation.error_class) == (category, name)
    assert category in CATEGORIES
    assert evaluation.mean is None
    assert not evaluation.ok
    assert type(evaluation.exception).__name__ == name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_fails_the_trial(value: float) -> None:
    evaluation = evaluate(Ridge(), scoring=lambda estimator, X, y: value)
    assert (evaluation.error, evaluation.error_class) == ("not-finite-score", None)
    assert evaluation.mean is None


@pytest.mark.parametrize("value", [None, "high", {"a": 1.0}, np.ones(3)])
def test_a_score_that_is_no_number_fails_the_trial(value: Any) -> None:
    evaluation = evaluate(Ridge(), scoring=lambda estimator, X, y: value)
    assert (evaluation.error, evaluation.error_class) == ("score-failed", "TypeError")


def test_one_failed_fold_fails_the_trial_and_starts_no_further_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "fits", 0)
    validator = CrossValidator(task_of(Failing(ValueError("no"), after=2), cv=10), n_jobs=1)
    evaluation = validator.evaluate({})
    assert evaluation.error == "fit-failed"
    assert evaluation.mean is None
    assert len(evaluation.split_scores) == 2
    assert Failing.fits == 3
    assert validator.evaluate({"error": None}).ok  # and the next trial goes on


def test_an_interrupt_inside_a_fold_is_not_a_failed_trial() -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate(Failing(KeyboardInterrupt()))  # type: ignore[arg-type]


def test_an_exception_keeps_no_copy_of_the_data() -> None:
    evaluation = evaluate(Failing(ValueError("no")))
    assert evaluation.exception is not None
    trace, held = evaluation.exception.__traceback__, []
    while trace is not None:
        held += [v for v in trace.tb_frame.f_locals.values() if isinstance(v, np.ndarray)]
        trace = trace.tb_next
    assert held == []


# ---- warnings


@pytest.mark.parametrize("category", [UserWarning, RuntimeWarning, ConvergenceWarning, FutureWarning])
def test_warnings_of_folds_are_counted_and_not_shown(category: type[Warning]) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        evaluation = evaluate(Warner(3, category))
    assert shown == []
    assert evaluation.warnings == {category.__name__: 15}
    assert evaluation.ok


def test_the_users_filters_and_other_threads_warnings_are_left_alone() -> None:
    gate = GATES["warnings"]
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        filters, hook = list(warnings.filters), warnings.showwarning
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(evaluate, Waiting("warnings"))
            assert gate.started.acquire(timeout=60)
            warnings.warn("mine", UserWarning, stacklevel=1)
            gate.open.set()
            assert future.result(60).warnings == {}
        assert list(warnings.filters) == filters
        assert warnings.showwarning == hook
    assert [str(w.message) for w in shown] == ["mine"]


def test_warnings_that_the_user_made_errors_fail_the_fold_as_in_scikit_learn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        evaluation = evaluate(Warner(1, RuntimeWarning))
    assert (evaluation.error, evaluation.error_class) == ("fit-failed", "RuntimeWarning")


# ---- the layout


@given(st.integers(1, 50), st.one_of(st.none(), st.integers(-20, 200).filter(bool)), st.integers(1, 256))
def test_no_layout_exceeds_the_cores(n_folds: int, n_jobs: int | None, n_cores: int) -> None:
    folds, each = layout(n_folds, n_jobs, n_cores)
    assert 1 <= folds <= n_folds
    assert each >= 1
    assert folds * each <= n_cores
    if n_jobs is not None and n_jobs > 0:
        assert folds * each <= n_jobs


@pytest.mark.parametrize(
    ("n_folds", "n_jobs", "n_cores", "expected"),
    [
        (5, None, 2, (2, 1)),
        (5, None, 16, (5, 3)),
        (5, 1, 16, (1, 1)),
        (2, 8, 4, (2, 2)),
        (5, -2, 4, (3, 1)),
        (1, -1, 8, (1, 8)),
    ],
)
def test_layouts(n_folds: int, n_jobs: int | None, n_cores: int, expected: tuple[int, int]) -> None:
    assert layout(n_folds, n_jobs, n_cores) == expected


@pytest.mark.parametrize("n_jobs", [0, 1.5, "two", True])
def test_a_number_of_jobs_that_is_none(n_jobs: Any) -> None:
    with pytest.raises(InputError, match="n_jobs"):
        layout(5, n_jobs, 2)


@pytest.mark.parametrize("wanted", [None, -1, 8])
def test_folds_times_threads_fit_the_cores(wanted: int | None) -> None:
    name = f"watching {wanted}"
    validator = CrossValidator(task_of(Watching(name, n_jobs=wanted), cv=8))
    assert validator.evaluate({}).ok
    assert len(SEEN[name]) == 8
    assert max(seen["running"] for seen in SEEN[name]) <= validator.fold_threads
    assert len({seen["thread"] for seen in SEEN[name]}) <= validator.fold_threads
    for seen in SEEN[name]:
        own = 1 if seen["n_jobs"] is None else seen["n_jobs"] % 1000  # -1 would be a lot
        assert own <= validator.estimator_threads
        assert validator.fold_threads * own <= cores()


def test_thread_pools_are_limited_inside_folds_and_restored_after() -> None:
    pytest.importorskip("lightgbm")
    code = """
        import json
        import lightgbm
        from sklearn.datasets import make_regression
        from threadpoolctl import threadpool_info
        from sllmbo_magic.evaluation import CrossValidator
        from sllmbo_magic.task.task import Task
        from tests.estimators import SEEN, Watching
        X, y = make_regression(60, 3)
        before = [pool["num_threads"] for pool in threadpool_info()]
        validator = CrossValidator(Task.from_estimator(Watching("pools"), X, y))
        validator.evaluate({})
        pools = {name: n for seen in SEEN["pools"] for name, n in seen["pools"].items()}
        after = [pool["num_threads"] for pool in threadpool_info()]
        print(json.dumps([pools, validator.fold_threads, before, after]))
    """
    # no variable of the environment limits the pools there
    pools, fold_threads, before, after = json.loads(run(code, OMP_NUM_THREADS="", OPENBLAS_NUM_THREADS=""))
    assert {name.split(":")[0] for name in pools} == {"blas", "openmp"}
    assert max(pools.values()) * fold_threads <= cores()
    assert before == after


@pytest.mark.parametrize(
    ("estimator", "threads", "expected"),
    [
        (Ridge(), 4, {}),
        (LogisticRegression(), 4, {}),
        (KNeighborsClassifier(n_jobs=-1), 4, {"n_jobs": 4}),
        (KNeighborsClassifier(n_jobs=2), 4, {}),
        (KNeighborsClassifier(n_jobs=8), 4, {"n_jobs": 4}),
        (RandomForestClassifier(), 4, {}),
        (
            make_pipeline(StandardScaler(), RandomForestClassifier(n_jobs=-1)),
            1,
            {"randomforestclassifier__n_jobs": 1},
        ),
        (
            BaggingClassifier(RandomForestClassifier(n_jobs=-1), n_jobs=-1),
            3,
            {"n_jobs": 3, "estimator__n_jobs": 1},
        ),
        (
            VotingClassifier(
                [("a", RandomForestClassifier(n_jobs=-1)), ("b", KNeighborsClassifier(n_jobs=2))], n_jobs=2
            ),
            4,
            {"a__n_jobs": 1, "b__n_jobs": 1},
        ),
    ],
)
def test_threads_of_nested_estimators(estimator: Any, threads: int, expected: dict[str, int]) -> None:
    assert thread_settings(estimator, threads) == expected


def test_threads_of_boosting_libraries() -> None:
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    assert thread_settings(lightgbm.LGBMRegressor(), 1) == {"n_jobs": 1}
    assert thread_settings(xgboost.XGBRegressor(), 2) == {"n_jobs": 2}
    assert thread_settings(lightgbm.LGBMRegressor(num_threads=8), 2) == {"n_jobs": 2, "num_threads": 2}

    class CatBoostRegressor(Shift):
        """CatBoost is too large to install for this; it lists only the parameters that were set."""

    CatBoostRegressor.__module__ = "catboost.core"
    assert thread_settings(CatBoostRegressor(), 2) == {"thread_count": 2}


def test_libraries_with_one_random_state_run_one_fold_at_a_time() -> None:
    class NeuralNetClassifier(Shift):
        """skorch needs torch, which is too large to install for this."""

    NeuralNetClassifier.__module__ = "skorch.classifier"
    validator = CrossValidator(task_of(make_pipeline(StandardScaler(), NeuralNetClassifier())))
    assert (validator.fold_threads, validator.estimator_threads) == (1, cores())


def test_an_estimator_without_a_seed_gives_the_same_scores_again() -> None:
    model = make_pipeline(StandardScaler(), BaggingClassifier(DecisionTreeClassifier(), 3))
    task = task_of(model, X=XC, y=YC)
    first, second = (CrossValidator(task).evaluate({}) for _ in range(2))
    assert first.split_scores == second.split_scores
    assert np.array_equal(refit(task, {}).predict(XC), refit(task, {}).predict(XC))
    assert model.get_params()["baggingclassifier__random_state"] is None
    assert (
        build(task, {"baggingclassifier__random_state": 7}).get_params()["baggingclassifier__random_state"]
        == 7
    )
    lightgbm = pytest.importorskip("lightgbm")
    assert build(task_of(lightgbm.LGBMRegressor()), {}).random_state is None  # a fixed seed of its own


# ---- stop, timeout, abandon


@pytest.fixture
def gate() -> Iterator[str]:
    name = f"gate {len(GATES)}"
    yield name
    GATES[name].open.set()


def start(function: Callable[[], Any]) -> Future[Any]:
    """Run in a thread of its own; a test must never hang on a gate."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - shown by the test that asks for the result
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def test_a_stop_ends_after_the_folds_in_flight_and_keeps_their_scores(gate: str) -> None:
    stop = threading.Event()
    validator = CrossValidator(task_of(Waiting(gate)), n_jobs=1)
    future = start(lambda: validator.evaluate({}, should_stop=stop.is_set))
    assert GATES[gate].started.acquire(timeout=60)
    stop.set()
    assert not future.done()
    GATES[gate].open.set()
    evaluation = future.result(60)
    assert (evaluation.stopped, evaluation.error, len(evaluation.split_scores)) == (True, "stopped", 1)
    assert evaluation.mean is None


def test_a_stop_in_the_last_folds_loses_nothing(gate: str) -> None:
    stop = threading.Event()
    folds = [(np.arange(60), np.arange(60, 120))]
    validator = CrossValidator(task_of(Waiting(gate), cv=folds))
    future = start(lambda: validator.evaluate({}, should_stop=stop.is_set))
    assert GATES[gate].started.acquire(timeout=60)
    stop.set()
    GATES[gate].open.set()
    assert future.result(60).ok


def test_an_abandoned_fold_is_not_waited_for_and_the_next_trial_works(gate: str) -> None:
    abandon = threading.Event()
    validator = CrossValidator(task_of(Waiting(gate)), n_jobs=1)
    future = start(lambda: validator.evaluate({}, should_abandon=abandon.is_set))
    assert GATES[gate].started.acquire(timeout=60)
    abandon.set()
    evaluation = future.result(60)  # though the gate is shut
    assert (evaluation.stopped, evaluation.split_scores) == (True, ())
    GATES["open"].open.set()
    assert validator.evaluate({"gate": "open"}).ok


def test_an_abandoned_fold_does_not_keep_the_interpreter_from_ending() -> None:
    code = """
        from sklearn.datasets import make_regression
        from sllmbo_magic.evaluation import CrossValidator
        from sllmbo_magic.task.task import Task
        from tests.estimators import GATES, Waiting
        X, y = make_regression(60, 3)
        validator = CrossValidator(Task.from_estimator(Waiting("shut"), X, y))
        started = GATES["shut"].started
        print(validator.evaluate({}, should_abandon=lambda: started.acquire(blocking=False)).stopped)
    """
    assert run(code) == "True"


def test_a_timeout_starts_no_further_folds() -> None:
    evaluation = CrossValidator(task_of(Ridge()), n_jobs=1).evaluate({}, timeout=0.0)
    assert (evaluation.error, evaluation.stopped, evaluation.split_scores) == ("timeout", False, ())
    assert CrossValidator(task_of(Ridge())).evaluate({}, timeout=60.0).ok


def test_a_closed_evaluator_leaves_no_threads_and_can_be_used_again() -> None:
    before = set(threading.enumerate())
    validator = CrossValidator(task_of(Ridge()))
    first = validator.evaluate({})
    mine = set(threading.enumerate()) - before
    assert len(mine) == validator.fold_threads
    validator.close()
    for thread in mine:
        thread.join(60)
        assert not thread.is_alive()
    assert validator.evaluate({}).split_scores == first.split_scores
    validator.close()


def test_evaluations_at_once_share_the_threads() -> None:
    validator = CrossValidator(task_of(Watching("at once"), cv=6))
    with ThreadPoolExecutor(4) as pool:
        evaluations = list(pool.map(lambda shift: validator.evaluate({"shift": shift}), [0.0, 1.0, 2.0, 3.0]))
    assert all(evaluation.ok for evaluation in evaluations)
    assert len({evaluation.mean for evaluation in evaluations}) == 4
    assert max(seen["running"] for seen in SEEN["at once"]) <= validator.fold_threads


def test_evaluations_at_once_use_the_cores_that_one_leaves_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_validation, "cores", lambda: 8)
    one, two = CrossValidator(task_of(Ridge())), CrossValidator(task_of(Ridge()), at_once=2)
    assert (one.fold_threads, one.estimator_threads) == (5, 1)
    assert (two.fold_threads, two.estimator_threads) == (8, 1)
    assert CrossValidator(task_of(Ridge()), n_jobs=3, at_once=2).fold_threads == 3
    assert CrossValidator(task_of(Ridge(), cv=2), at_once=2).estimator_threads == 2


class Numbered:
    """Of a trial what an evaluation reads."""

    def __init__(self, number: int) -> None:
        self.number = number


class Begun(Ridge):  # type: ignore[misc]
    """Notes which fits begin; the first one lasts until others wait in line."""

    fits: ClassVar[list[float]] = []
    may_end = threading.Event()

    def fit(self, X: Any, y: Any) -> Any:
        self.fits.append(self.alpha)
        assert self.may_end.wait(30)
        return super().fit(X, y)


def test_the_folds_of_an_earlier_trial_come_first() -> None:
    validator = CrossValidator(task_of(Begun(), cv=4), n_jobs=1, at_once=2)
    with ThreadPoolExecutor(2) as pool:
        later = pool.submit(validator.evaluate, {"alpha": 2.0}, trial=Numbered(2))
        while not Begun.fits:
            time.sleep(0.01)
        earlier = pool.submit(validator.evaluate, {"alpha": 1.0}, trial=Numbered(1))
        assert validator._threads is not None
        while len(validator._threads._tasks._heap) < 7:
            time.sleep(0.01)
        Begun.may_end.set()
        assert earlier.result().ok
        assert later.result().ok
    assert Begun.fits == [2.0, *[1.0] * 4, *[2.0] * 3]
    validator.close()


def test_the_threads_of_an_evaluator_that_nobody_holds_end() -> None:
    """Worker processes get an evaluator for each trial, and do not close it."""
    before = set(threading.enumerate())
    validator = CrossValidator(task_of(Ridge()))
    assert validator.evaluate({}).ok
    mine = set(threading.enumerate()) - before
    assert mine
    del validator
    gc.collect()
    for thread in mine:
        thread.join(60)
        assert not thread.is_alive()


def test_an_evaluator_pickles_to_other_processes() -> None:
    validator = CrossValidator(task_of(Ridge()))
    here = validator.evaluate({"alpha": 2.0})
    there = pickle.loads(pickle.dumps(validator)).evaluate({"alpha": 2.0})
    assert there.split_scores == here.split_scores


# ---- refit


def test_refit_uses_all_rows_the_parameters_and_the_users_threads() -> None:
    model = RandomForestRegressor(3, random_state=0, n_jobs=2)
    task = task_of(model, sample_weight=WEIGHTS)
    fitted = refit(task, {"max_depth": 2})
    expected = clone(model).set_params(max_depth=2).fit(XR, YR, sample_weight=WEIGHTS)
    assert np.allclose(fitted.predict(XR), expected.predict(XR), rtol=1e-12)
    assert fitted.n_jobs == 2
    assert not hasattr(model, "estimators_")
    with pytest.raises(ValueError, match="no"):
        refit(task_of(Failing(ValueError("no"))), {})


# ---- objectives


def objective_task(objective: Callable[..., Any], direction: Any = "minimize") -> Task:
    return Task.from_objective(objective, direction=direction, search_space={"x": (0.0, 1.0)})


def call(objective: Callable[..., Any], direction: Any = "minimize", **options: Any) -> Evaluation:
    return evaluator_for(objective_task(objective, direction)).evaluate({"x": 0.5}, **options)


def test_an_objective_gets_a_dict_of_its_own() -> None:
    given: list[dict[str, Any]] = []

    def objective(params: dict[str, Any]) -> float:
        given.append(params)
        return params.pop("x") * 2

    params = {"x": 0.5}
    evaluation = ObjectiveEvaluator(objective_task(objective)).evaluate(params)
    assert (evaluation.mean, evaluation.ok, evaluation.split_scores) == (1.0, True, ())
    assert params == {"x": 0.5}


@pytest.mark.parametrize("value", [2, np.float32(2.0), np.array(2.0), np.array([2.0])])
def test_numbers_of_every_kind(value: Any) -> None:
    assert call(lambda params: value).mean == 2.0


@pytest.mark.parametrize(
    ("value", "category"),
    [
        (None, "score-failed"),
        ("2", "score-failed"),
        ((1.0, 2.0), "score-failed"),
        (float("nan"), "not-finite-score"),
    ],
)
def test_results_that_are_no_value(value: Any, category: str) -> None:
    evaluation = call(lambda params: value)
    assert (evaluation.error, evaluation.mean) == (category, None)


def test_several_values_for_several_directions() -> None:
    evaluation = call(lambda params: (1, 2.5), ["minimize", "maximize"])
    assert (evaluation.values, evaluation.mean, evaluation.ok) == ((1.0, 2.5), None, True)
    assert call(lambda params: 1.0, ["minimize", "maximize"]).error == "score-failed"


@pytest.mark.parametrize(
    ("error", "category"),
    [(ValueError("secret"), "fit-failed"), (MemoryError(), "out-of-memory"), (TimeoutError(), "fit-failed")],
)
def test_errors_of_objectives(error: Exception, category: str) -> None:
    def objective(params: dict[str, Any]) -> float:
        raise error

    evaluation = call(objective)
    assert (evaluation.error, evaluation.error_class) == (category, type(error).__name__)
    assert evaluation.exception is error


def run_study(objective: Callable[[optuna.Trial], Any], **options: Any) -> tuple[optuna.Trial, Evaluation]:
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=10.0))
    trial = study.ask()
    return trial, evaluator_for(objective_task(objective)).evaluate({}, trial=trial, **options)


def test_an_objective_that_takes_a_trial_suggests_reports_and_prunes() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(x, 0)
        if trial.should_prune():
            raise optuna.TrialPruned
        trial.report(99.0, 1)
        if trial.should_prune():
            raise optuna.TrialPruned
        return x

    trial, evaluation = run_study(objective)
    assert (evaluation.pruned, evaluation.error, evaluation.ok) == (True, None, False)
    assert set(trial.params) == {"x"}
    frozen = trial.study.trials[trial.number]
    assert list(frozen.intermediate_values) == [0, 1]
    with pytest.raises(ValueError, match="needs one"):
        evaluator_for(objective_task(objective)).evaluate({})


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"should_stop": lambda: True}, ("stopped", True)), ({"timeout": 0.0}, ("timeout", False))],
)
def test_an_objective_that_reports_hears_of_stop_and_timeout(options: dict[str, Any], expected: Any) -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.report(1.0, 0)
        if trial.should_prune():
            raise optuna.TrialPruned
        return 1.0

    _, evaluation = run_study(objective, **options)
    assert (evaluation.error, evaluation.stopped) == expected
    assert not evaluation.pruned


def test_an_abandoned_objective_is_left_to_itself(gate: str) -> None:
    def objective(params: dict[str, Any]) -> float:
        GATES[gate].started.release()
        assert GATES[gate].open.wait(60)
        return 1.0

    evaluator = ObjectiveEvaluator(objective_task(objective))
    started = GATES[gate].started
    evaluation = evaluator.evaluate({}, should_abandon=lambda: started.acquire(blocking=False))
    assert (evaluation.error, evaluation.stopped) == ("stopped", True)
    GATES[gate].open.set()
    assert evaluator.evaluate({}).mean == 1.0


def test_each_task_has_its_evaluator() -> None:
    assert isinstance(evaluator_for(task_of(Ridge()), 1), CrossValidator)
    assert isinstance(evaluator_for(objective_task(lambda params: 0.0)), ObjectiveEvaluator)
    with pytest.raises(InputError):
        ObjectiveEvaluator(task_of(Ridge()))
    with pytest.raises(InputError):
        CrossValidator(objective_task(lambda params: 0.0))


def run(code: str, **environment: str) -> str:
    """What a process of its own prints; it ends long before a shut gate would let go."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_training_score_is_of_as_many_training_rows_as_there_are_test_rows() -> None:
    task = task_of(Ridge())
    train, test = task.splits[0]
    rows = train[np.linspace(0, len(train) - 1, len(test)).round().astype(int)]
    fitted = Ridge().fit(task.X[train], task.y[train])
    expected = check_scoring(fitted, scoring=task.scoring)(fitted, task.X[rows], task.y[rows])
    plain = CrossValidator(task).evaluate({})
    more = CrossValidator(task, training_score=True).evaluate({})
    assert plain.training_score is None
    assert "training_score" not in plain.to_json()
    assert more.training_score == pytest.approx(expected, rel=1e-12)
    assert more.split_scores == plain.split_scores
    assert more.to_json()["training_score"] == more.training_score


def test_a_training_score_that_cannot_be_had_costs_no_trial() -> None:
    calls = iter(range(100))

    def scorer(estimator: Any, X: Any, y: Any) -> float:
        call = next(calls)
        if call == 1:  # after the first fold's test rows
            raise ValueError("training rows")
        return float(call)

    evaluation = CrossValidator(task_of(Ridge(), scoring=scorer), n_jobs=1, training_score=True).evaluate({})
    assert evaluation.training_score is None
    assert evaluation.ok

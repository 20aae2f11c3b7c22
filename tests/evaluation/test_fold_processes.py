"""Folds in processes: when they pay, what may go there, and that nothing but the time changes."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.metrics import make_scorer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.preprocessing import StandardScaler

from sllmbo_magic.evaluation import CrossValidator
from sllmbo_magic.evaluation import cross_validation
from sllmbo_magic.evaluation import fold_processes
from sllmbo_magic.evaluation.fold_processes import FoldProcesses
from sllmbo_magic.evaluation.fold_processes import LockWatch
from sllmbo_magic.evaluation.fold_processes import can_be_sent
from sllmbo_magic.task.task import Task

X, y = make_classification(80, 5, random_state=0)
START_SECONDS = fold_processes._START_SECONDS
MLP = MLPClassifier((5,), max_iter=5, random_state=0)


def task_of(estimator: Any = MLP, **options: Any) -> Task:
    return Task.from_estimator(estimator, X, y, cv=3, **{"scoring": "accuracy", **options})


@pytest.fixture(autouse=True)
def folds_may_leave_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for users; in the other tests they stay."""
    monkeypatch.setattr(fold_processes, "_START_SECONDS", START_SECONDS)


class OwnModel(LogisticRegression):
    """Of the user: it may have effects that another process would not have."""


# ---- when processes pay


@pytest.mark.parametrize(
    ("seconds", "cpu", "n_folds", "threads", "n", "pays"),
    [
        (1.0, 1.0, 4, 2, 50, True),
        (1.0, 1.95, 4, 2, 50, False),  # side by side
        (1.0, 1.65, 5, 2, 50, False),  # side by side, and the fifth fold alone
        (1.0, 1.0, 5, 2, 50, True),
        (1.0, 1.0, 4, 2, 4, False),  # over before the processes have started
        (0.05, 0.05, 4, 2, 50, False),
        (1.0, 1.0, 4, 1, 50, False),  # one thread waits for no other
        (1.0, 1.2, 4, 4, 20, True),
        (1.0, 1.0, 4, 2, None, False),
    ],
)
def test_processes_pay_where_threads_wait_and_there_is_time_to_win(
    seconds: float, cpu: float, n_folds: int, threads: int, n: int | None, pays: bool
) -> None:
    assert LockWatch(n_folds, threads, n).processes_pay(seconds, cpu) is pays


@pytest.mark.parametrize(
    ("seconds", "cpu", "n", "pays"),
    [
        (1.0, 1.95, 50, False),  # side by side
        (1.0, 1.65, 50, False),
        (1.0, 1.55, 50, True),  # no fold runs alone: the other evaluation's run beside it
        (1.0, 1.0, 50, True),
        (1.0, 1.0, 8, False),  # over before the processes have started: two evaluations wait at a time
    ],
)
def test_when_processes_pay_beside_another_evaluation(seconds: float, cpu: float, n: int, pays: bool) -> None:
    """CPU is that of both evaluations."""
    assert LockWatch(5, 2, n, at_once=2).processes_pay(seconds, cpu) is pays


def test_evaluations_at_once_start_the_processes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockWatch, "processes_pay", lambda *_: True)
    made: list[FoldProcesses] = []

    def make(*arguments: Any) -> FoldProcesses:
        made.append(FoldProcesses(*arguments))
        return made[-1]

    monkeypatch.setattr(cross_validation, "FoldProcesses", make)
    validator = CrossValidator(task_of(), n_evaluations=50, at_once=2)
    with ThreadPoolExecutor(4) as pool:
        scores = {e.split_scores for e in pool.map(lambda _: validator.evaluate({}), range(8))}
    validator.close()
    assert len(made) == 1
    assert scores == {CrossValidator(task_of()).evaluate({}).split_scores}


def test_what_is_left_of_the_run_counts() -> None:
    watch = LockWatch(4, 2, 8)
    assert [watch.processes_pay(1.0, 2.0) for _ in range(4)] == [False] * 4
    assert not watch.processes_pay(1.0, 1.0), "three evaluations would win 1.5 s, the start takes 2"


# ---- what may go there


@pytest.mark.parametrize(
    ("estimator", "options", "allowed"),
    [
        (MLP, {}, True),
        (make_pipeline(StandardScaler(), PCA(2), MLP), {}, True),
        (MLP, {"scoring": None}, True),
        (MLP, {"scoring": make_scorer(accuracy_score)}, False),
        (OwnModel(), {}, False),
        (make_pipeline(OwnModel()), {}, False),
        (make_pipeline(FunctionTransformer(lambda rows: rows), MLP), {}, False),
        (make_pipeline(FunctionTransformer(np.log1p), MLP), {}, True),
        (make_pipeline(TfidfVectorizer(tokenizer=str.split), MLP), {}, True),
        (MLP, {"sample_weight": np.ones(80)}, False),
    ],
)
def test_only_parts_of_known_libraries_are_sent(
    estimator: Any, options: dict[str, Any], allowed: bool
) -> None:
    if "sample_weight" in options:
        estimator = LogisticRegression()
    assert can_be_sent(task_of(estimator, **options)) is allowed


def test_large_data_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sllmbo_magic.evaluation.fold_processes.MAX_BYTES", X.nbytes)
    assert not can_be_sent(task_of())


# ---- nothing but the time changes


PIPELINE = make_pipeline(FunctionTransformer(np.log), MLP)


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, CrossValidator]]:
    """Evaluators whose folds are in processes, which take seconds to start."""
    validators: dict[str, CrossValidator] = {}
    yield validators
    for validator in validators.values():
        validator.close()


@pytest.fixture(params=["MLP"])
def apart(
    request: pytest.FixtureRequest, started: dict[str, CrossValidator], monkeypatch: pytest.MonkeyPatch
) -> CrossValidator:
    """An evaluator whose threads were seen to wait: the folds of an evaluation are in processes."""
    monkeypatch.setattr(LockWatch, "processes_pay", lambda *_: True)
    monkeypatch.setattr("sllmbo_magic.evaluation.cross_validation.cores", lambda: 2)
    name = request.param
    if name not in started or started[name]._processes is None:
        started[name] = CrossValidator(task_of({"MLP": MLP, "pipeline": PIPELINE}[name]), n_evaluations=50)
        started[name].evaluate({})
    in_processes(started[name])
    return started[name]


def in_processes(validator: CrossValidator) -> FoldProcesses:
    processes = validator._processes
    assert processes is not None
    deadline = time.monotonic() + 60
    while not processes.take({}):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return processes


def pids_of(processes: FoldProcesses) -> set[int]:
    return set(processes._pool._processes)


def test_scores_are_the_same_to_the_last_bit(apart: CrossValidator, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"alpha": 0.03}
    before = CrossValidator(task_of()).evaluate(params)
    here: list[int] = []
    monkeypatch.setattr("sllmbo_magic.evaluation.cross_validation.run_fold", lambda *a, **k: here.append(1))
    folds: list[int] = []
    after = apart.evaluate(params, on_fold=lambda fold, n, score: folds.append(fold))
    assert not here, "no fold was fitted in this process"
    assert after.split_scores == before.split_scores
    assert after.warnings == before.warnings
    assert sorted(folds) == [0, 1, 2]


def test_a_failure_keeps_its_kind_and_cause(apart: CrossValidator) -> None:
    before = CrossValidator(task_of()).evaluate({"alpha": -1.0})
    after = apart.evaluate({"alpha": -1.0})
    assert (after.error, after.error_class) == (before.error, before.error_class)
    assert after.cause == before.cause
    assert "alpha" in after.cause


@pytest.mark.parametrize("apart", ["pipeline"], indirect=True)
def test_a_configuration_with_functions_of_the_user_stays_on_threads(apart: CrossValidator) -> None:
    called: list[int] = []

    def own(rows: Any) -> Any:
        called.append(len(rows))
        return rows

    assert apart.evaluate({"functiontransformer__func": own}).ok
    assert called, "the effect is seen in this process"


@pytest.mark.parametrize("apart", ["pipeline"], indirect=True)
def test_filters_of_warnings_and_numpys_errors_hold_there_too(apart: CrossValidator) -> None:
    """Both belong to the process, and both can make a fit fail."""
    here = CrossValidator(task_of(PIPELINE))
    assert here.evaluate({}).error_class == "ValueError", "NaN in the data"
    with np.errstate(invalid="raise"):  # numpy 1 keeps it for one thread, so that a fold does not see it
        on_a_thread = here.evaluate({}).error_class
    assert on_a_thread == ("FloatingPointError" if np.__version__[0] != "1" else "ValueError")
    with np.errstate(invalid="raise"):
        assert apart.evaluate({}).error_class == on_a_thread
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert apart.evaluate({}).error_class == "RuntimeWarning"
    assert apart._processes is not None


def test_a_process_that_dies_costs_no_fold(apart: CrossValidator, monkeypatch: pytest.MonkeyPatch) -> None:
    before = CrossValidator(task_of()).evaluate({})
    monkeypatch.undo()  # no new ones after that
    for pid in pids_of(in_processes(apart)):
        os.kill(pid, signal.SIGKILL)
    after = apart.evaluate({})
    assert after.split_scores == before.split_scores
    assert apart._processes is None, "it goes on with threads"


def test_an_abandoned_evaluation_ends_its_processes(apart: CrossValidator) -> None:
    pids = pids_of(in_processes(apart))
    begun = threading.Event()
    slow = {"max_iter": 10_000_000, "tol": 0.0, "n_iter_no_change": 10_000_000}

    def abandon() -> bool:
        if not begun.is_set():
            begun.set()
            return False
        return True

    evaluation = apart.evaluate(slow, should_abandon=abandon)
    assert evaluation.stopped
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < deadline, "the fit goes on"
        time.sleep(0.05)
    assert apart.evaluate({}).ok

"""Trials on an executor have the limits that they have without one, and none stays RUNNING."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import Future
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from threading import Event
from threading import Lock
from threading import Thread
from threading import Timer
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.tuning.stop_signal import StopSignal
from tests.estimators import Shift

SPACE = {"x": (0.0, 1.0)}
OPTIONS: dict[str, Any] = {
    "search_space": SPACE,
    "direction": "minimize",
    "sampler": "random",  # no design that waits for the first trial
    "seed": 0,
    "folder": "",
}
EXECUTORS = [ThreadPoolExecutor, ProcessPoolExecutor]


def square(params: dict[str, float]) -> float:
    return params["x"] ** 2


class UntilStopped:
    """An evaluator whose evaluations last until they are stopped."""

    def evaluate(
        self, params: Any, *, should_stop: Callable[[], bool], trial: Any = None, **unused: Any
    ) -> Evaluation:
        while not should_stop():
            Event().wait(0.01)
        return Evaluation(None, error="stopped", stopped=True)

    def close(self) -> None:
        pass


class Raising(UntilStopped):
    def evaluate(self, params: Any, **unused: Any) -> Evaluation:
        raise RuntimeError("a bug at x > 0.123")


class Dying(UntilStopped):
    def evaluate(self, params: Any, **unused: Any) -> Evaluation:
        os._exit(1)


def states(result: Any) -> list[str]:
    return [trial.state.name for trial in result.study.trials]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("pool", EXECUTORS)
def test_a_stop_reaches_the_trials_in_flight(pool: type[Executor]) -> None:
    control = Control()

    def sink(event: Any) -> None:
        if isinstance(event, TrialStarted) and event.number == 1:
            control.wish("stop")

    with pool(2) as executor:
        result = tune(
            square,
            n_trials=9,
            evaluator=UntilStopped(),
            executor=executor,
            control=control,
            sinks=[sink],
            **OPTIONS,
        )
    assert result.status == "stopped"
    assert states(result) == ["FAIL", "FAIL", "WAITING", "WAITING"]
    assert result.summary["n_trials"] == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("pool", EXECUTORS)
def test_the_time_limit_of_the_run_reaches_the_trials_in_flight(pool: type[Executor]) -> None:
    with pool(2) as executor:
        result = tune(square, n_trials=9, evaluator=UntilStopped(), executor=executor, timeout=0.2, **OPTIONS)
    assert result.status == "finished"
    assert "RUNNING" not in states(result)


@pytest.mark.parametrize("pool", [None, *EXECUTORS])
def test_the_time_limit_of_a_trial_holds_on_every_executor(
    pool: type[Executor] | None, data: Any, model: Any
) -> None:
    options = {**OPTIONS, "search_space": {"C": (0.1, 1.0)}, "direction": None, "verify": False}
    options |= {"n_trials": 3, "trial_timeout": 1e-9}
    if pool is None:
        result = tune(model, *data, **options)
    else:
        with pool(2) as executor:
            result = tune(model, *data, executor=executor, **options)
    evaluations = [trial.user_attrs["sllmbo:evaluation"] for trial in result.trials]
    assert [evaluation["error"] for evaluation in evaluations] == ["timeout"] * 3
    assert all("trial_timeout=1e-09 s" in evaluation["cause"] for evaluation in evaluations)


def test_a_copy_of_the_signal_in_another_process_sees_the_stop_and_the_deadline() -> None:
    signal = StopSignal(lambda: False)
    copy = pickle.loads(pickle.dumps(signal))
    assert not copy()
    signal.set()
    assert copy()
    assert not signal()
    signal.close()
    assert not copy()
    assert pickle.loads(pickle.dumps(StopSignal(lambda: False, seconds=0)))()


@pytest.mark.parametrize("pool", EXECUTORS)
def test_an_exception_of_an_executor_is_a_failed_trial_with_its_cause(pool: type[Executor]) -> None:
    with pool(2) as executor:
        result = tune(square, n_trials=3, evaluator=Raising(), executor=executor, **OPTIONS)
    assert states(result) == ["FAIL"] * 3
    stored = result.trials[0].user_attrs["sllmbo:evaluation"]
    assert stored["error"] == "executor-failed"
    assert stored["cause"] == "RuntimeError: a bug at x > 0.123"


@pytest.mark.parametrize("broken", ["worker dies", "shut down before"])
def test_an_executor_that_breaks_ends_the_run_with_its_result_and_keeps_the_trials(broken: str) -> None:
    executor = ProcessPoolExecutor(2)
    if broken == "shut down before":
        executor.shutdown()
    result = tune(square, n_trials=9, evaluator=Dying(), executor=executor, **OPTIONS)
    executor.shutdown()
    assert result.status == "failed"
    assert "the executor takes no more trials" in result.summary["reason"]
    assert set(states(result)) == {"FAIL", "WAITING"}
    assert result.summary["n_trials"] <= (broken == "worker dies")  # the first may have been alone


def test_a_trial_that_breaks_its_executor_alone_has_failed_and_is_not_run_again(tmp_path: Path) -> None:
    options = {**OPTIONS, "folder": tmp_path, "name": "a"}
    with ProcessPoolExecutor(1) as executor:
        result = tune(square, n_trials=3, evaluator=Dying(), executor=executor, **options)
    assert result.status == "failed"
    assert "the executor takes no more trials: BrokenProcessPool" in result.summary["reason"]
    assert states(result) == ["FAIL"]
    stored = result.trials[0].user_attrs["sllmbo:evaluation"]
    assert stored["error"] == "process-died"
    assert "the executor broke while it evaluated this trial alone: BrokenProcessPool" in stored["cause"]
    with ProcessPoolExecutor(1) as executor:
        again = tune(square, n_trials=3, resume=True, executor=executor, **options)
    assert states(again) == ["FAIL", "COMPLETE", "COMPLETE"]


class Refusing(ThreadPoolExecutor):
    """Its third call to ``submit`` raises an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(2)
        self.error = error
        self.n_calls = 0

    def submit(self, *args: Any, **options: Any) -> Any:
        self.n_calls += 1
        if self.n_calls == 3:
            raise self.error
        return super().submit(*args, **options)


@pytest.mark.parametrize("kind", [ConnectionError, OSError, TypeError])
def test_whatever_submit_raises_ends_the_run_with_its_result(kind: type[Exception]) -> None:
    with Refusing(kind("no answer")) as executor:
        result = tune(square, n_trials=9, executor=executor, **OPTIONS)
    text = f"the executor takes no more trials: {kind.__name__}: no answer"
    assert (result.status, result.summary["reason"]) == ("failed", text)
    assert "COMPLETE" in states(result)
    assert "RUNNING" not in states(result)


class Interrupted(Executor):
    """Ctrl-C has ended its workers, and reaches the run a moment later."""

    max_workers = 1

    def __init__(self, control: Control, *, in_submit: bool) -> None:
        self.control = control
        self.in_submit = in_submit

    def submit(self, *args: Any, **options: Any) -> Any:
        Timer(0.1, self.control.interrupt).start()
        error = BrokenProcessPool("terminated abruptly")
        if self.in_submit:
            raise error
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


@pytest.mark.parametrize("in_submit", [False, True])
def test_an_interrupt_that_also_ends_the_workers_interrupts_the_run(in_submit: bool) -> None:
    """It failed, since the executor took no more trials; one that ran alone counted as the cause."""
    control = Control()
    executor = Interrupted(control, in_submit=in_submit)
    result = tune(square, n_trials=3, executor=executor, control=control, **OPTIONS)
    assert (result.status, result.summary["reason"]) == ("interrupted", "interrupted")
    assert result.summary["n_trials"] == 0
    assert states(result) == ["FAIL", "WAITING"]


class UntilToldToStop(UntilStopped):
    """Makes a file when it begins."""

    def __init__(self, began: Path) -> None:
        self.began = began

    def evaluate(self, params: Any, **options: Any) -> Evaluation:
        self.began.touch()
        return super().evaluate(params, **options)


@pytest.mark.timeout(120)
def test_a_trial_that_a_second_interrupt_leaves_to_a_worker_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that says so was removed at once, and the worker went on."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    control, began = Control(), tmp_path / "began"

    def interrupt_twice() -> None:
        while not began.exists():
            Event().wait(0.01)
        control.interrupt()
        control.interrupt()

    impatient = Thread(target=interrupt_twice)
    impatient.start()
    with ProcessPoolExecutor(1) as executor:  # waits for its workers in the end
        evaluator = UntilToldToStop(began)
        result = tune(square, n_trials=3, evaluator=evaluator, executor=executor, control=control, **OPTIONS)
    impatient.join()
    assert result.status == "interrupted"
    assert list(tmp_path.iterdir()) == [began]


class NoFuture(ThreadPoolExecutor):
    def submit(self, *args: Any, **options: Any) -> Any:
        return None


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        (ThreadPoolExecutor, "executor is the class ThreadPoolExecutor, not an object of it"),
        (object(), "executor is of type object, which has no submit"),
        (4, "executor 4 is out of range. Allowed: text, or a concurrent.futures.Executor"),
        (NoFuture(1), r"submit of the executor \(NoFuture\) returned an object of type NoneType"),
    ],
)
def test_what_is_no_executor_is_refused_in_one_line(executor: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        tune(square, n_trials=2, executor=executor, **OPTIONS)
    assert "\n" not in str(refused.value)


def test_objectives_on_threads_run_at_the_same_time() -> None:
    barrier = Barrier(2, timeout=60)

    def meet(params: dict[str, float]) -> float:
        barrier.wait()
        return params["x"]

    with ThreadPoolExecutor(2) as executor:
        result = tune(meet, n_trials=4, executor=executor, **OPTIONS)
    assert states(result) == ["COMPLETE"] * 4


@pytest.mark.timeout(120)
def test_trials_that_were_cut_off_count_neither_for_patience_nor_against_a_source() -> None:
    control = Control()
    started = Event()

    class Hanging(UntilStopped):
        def evaluate(self, params: Any, *, trial: Any = None, **unused: Any) -> Evaluation:
            if trial.number == 0:
                return Evaluation(0.0)
            started.wait(60)
            return Evaluation(1.0)

    def sink(event: Any) -> None:
        if isinstance(event, TrialStarted) and event.number == 6:
            control.interrupt()
            control.interrupt()

    options = {**OPTIONS, "folder": None, "name": "cut", "patience": 6}
    with ThreadPoolExecutor(6) as executor:
        first = tune(
            square,
            n_trials=20,
            evaluator=Hanging(),
            executor=executor,
            control=control,
            sinks=[sink],
            **options,
        )
        started.set()
    assert first.status == "interrupted"
    assert states(first).count("FAIL") >= 5
    again = tune(square, n_trials=8, resume=True, **options)
    assert again.summary["n_trials"] > first.summary["n_trials"]


@pytest.mark.skipif(os.name == "nt", reason="no fork")
@pytest.mark.parametrize("what", ["objective", "estimator", "metric"])
def test_workers_that_were_forked_before_an_edit_run_the_edited_code(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = make_regression(20, 2, random_state=0)
    options = {**OPTIONS, "n_trials": 2}

    def tuned(version: float, executor: Executor) -> Any:
        """A run whose code is in the notebook, in the version whose value is this."""

        class Model(Shift):
            def predict(self, X: Any) -> Any:
                return np.full(len(X), version)

        def code(*args: Any) -> float:
            return version

        for written in (Model, code):
            written.__module__, written.__qualname__ = "__main__", written.__name__
            monkeypatch.setattr(sys.modules["__main__"], written.__name__, written, raising=False)
        if what == "objective":
            return tune(code, executor=executor, **options)
        scoring = make_scorer(code) if what == "metric" else make_scorer(mean_of_predictions)
        more = {"search_space": {"shift": (0.0, 1.0)}, "scoring": scoring, "verify": False, "cv": 2}
        return tune(Model(), X, y, executor=executor, **{**options, **more, "direction": "maximize"})

    with ProcessPoolExecutor(1, get_context("fork")) as executor:
        values = [[t.value for t in tuned(version, executor).trials] for version in (1.0, 2.0)]
    assert values == [[1.0, 1.0], [2.0, 2.0]]


def mean_of_predictions(y: Any, predicted: Any) -> float:
    return float(np.mean(predicted))


def test_functions_of_a_notebook_reach_pools_of_loky() -> None:
    executor = get_reusable_executor(1)
    result = tune(lambda params: params["x"], n_trials=2, executor=executor, **OPTIONS)
    executor.shutdown()
    assert states(result) == ["COMPLETE"] * 2


@pytest.mark.parametrize("folder", ["", None])
def test_what_cannot_be_sent_to_a_process_is_refused_before_the_first_trial(folder: str | None) -> None:
    with ProcessPoolExecutor(1) as executor:
        options = {**OPTIONS, "folder": folder, "executor": executor, "n_trials": 3}
        lock = Lock()
        for objective in (lambda params: lock.locked(), lambda trial: lock.locked()):
            with pytest.raises(InputError, match=r"<lambda> cannot be sent to the processes.*ThreadPool"):
                tune(objective, **options)


def test_an_object_among_the_choices_must_be_fit_to_be_sent() -> None:
    X, y = make_regression(20, 2, random_state=0)
    lock = Lock()
    space = {"functiontransformer__func": [None, lambda rows: lock and rows], "ridge__alpha": (0.1, 1.0)}
    model = make_pipeline(FunctionTransformer(), Ridge())
    with (
        ProcessPoolExecutor(1) as executor,
        pytest.raises(InputError, match=r"<lambda> cannot be sent to the processes"),
    ):
        tune(model, X, y, search_space=space, executor=executor, n_trials=3, folder="", seed=0, verify=False)

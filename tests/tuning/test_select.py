"""``select``: the best of the search, or the best of its three best configurations on fresh folds."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.base import RegressorMixin
from sklearn.model_selection import KFold
from sklearn.model_selection import TimeSeriesSplit

from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import CheckProgress
from sllmbo_magic.events import Event
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.sklearn_api.search_cv import SLLMBOSearchCV
from sllmbo_magic.storage.runs import send_command
from sllmbo_magic.tuning import commands
from sllmbo_magic.tuning.loop import Limits
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.tune import tune
from tests.marks import long

RNG = np.random.default_rng(0)
X = np.column_stack([np.arange(60.0), RNG.normal(size=60)])
Y = RNG.normal(size=60)
CV = KFold(5, shuffle=True, random_state=3)


class Lucky(RegressorMixin, BaseEstimator):
    """With ``shift`` 1 it is perfect on the folds of the search, and the worst on any others."""

    searched: ClassVar[set[frozenset[float]]] = {frozenset(X[train, 0]) for train, _ in CV.split(X)}

    def __init__(self, shift: float = 0.5) -> None:
        self.shift = shift

    def fit(self, X: Any, y: Any) -> Lucky:
        known = frozenset(np.asarray(X)[:, 0]) in self.searched
        self.error_ = (0.0 if known else 9.0) if self.shift == 1.0 else abs(self.shift)
        return self

    def predict(self, X: Any) -> Any:
        return Y[np.asarray(X)[:, 0].astype(int)] + self.error_


ENQUEUE = [{"shift": 1.0}, {"shift": 0.2}, {"shift": 0.1}, {"shift": 0.3}]
OPTIONS: dict[str, Any] = {
    "cv": CV,
    "sampler": "random",
    "search_space": {"shift": (0.05, 1.0)},
    "enqueue": ENQUEUE,
    "n_trials": 5,
    "seed": 0,
    "folder": "",
}


def test_the_best_score_is_kept_unless_a_recheck_is_asked_for() -> None:
    result = tune(Lucky(), X, Y, **OPTIONS)
    assert result.best_params == {"shift": 1.0}
    assert "selection" not in result.summary


@pytest.mark.parametrize("verify", [False, True])
def test_a_recheck_keeps_the_best_of_three_on_fresh_folds(verify: bool) -> None:
    result = tune(Lucky(), X, Y, select="recheck", verify=verify, **OPTIONS)
    summary = result.summary
    selection = summary["selection"]
    assert [row["number"] for row in selection["candidates"]] == [1, 3, 2]
    assert [row["fresh_mean"] for row in selection["candidates"]] == pytest.approx([-9.0, -0.1, -0.2])
    assert (selection["number"], selection["n_folds"]) == (3, 10)
    assert result.best_params == summary["best_params"] == {"shift": 0.1}
    assert result.best_trial.number == summary["best_number"] == 3
    assert result.best_value == summary["best_value"] == pytest.approx(-0.1)
    assert [t.number for t in result.best_trials] == [3]
    assert "trial 3 is kept instead of trial 1" in summary["text"]
    assert "MAE 9 (trial 1), 0.1 (trial 3), 0.2 (trial 2) on 10 fresh folds" in summary["text"]
    assert "trial 3" in summary["verdict"]
    assert "0.1" in result.code()
    assert "shift=0.1" in repr(result)
    if verify:
        assert summary["verification"]["best_mean"] == pytest.approx(-0.1)


@pytest.mark.parametrize("select", ["best", "recheck"])
@pytest.mark.parametrize("over_after", [TrialFinished, CheckProgress])
def test_the_time_limit_ends_what_is_scored_again(
    monkeypatch: pytest.MonkeyPatch, select: str, over_after: type[Event]
) -> None:
    seen: list[Event] = []
    n_events = OPTIONS["n_trials"] if over_after is TrialFinished else 4
    monkeypatch.setattr(Limits, "over_for_checks", property(lambda self: len(seen) >= n_events))

    def look(event: Event) -> None:
        if isinstance(event, over_after):
            seen.append(event)

    result = tune(Lucky(), X, Y, select=select, timeout=60, n_jobs=1, sinks=[look], **OPTIONS)
    assert result.status == "finished"
    assert not any(isinstance(e, CheckProgress) and e.done > 3 for e in result.events)
    text = "The gain could not be checked on folds, since the time limit of 60 s is over."
    assert result.summary["verification"]["text"] == text
    assert text in result.summary["text"]
    if select == "recheck":
        assert "without a recheck: the time limit of 60 s is over." in result.summary["selection"]["text"]


def at_fit(number: int, do: Callable[[], Any]) -> Callable[[Event], None]:
    """A sink that acts when so many fits of what is scored again are done."""

    def sink(event: Event) -> None:
        if isinstance(event, CheckProgress) and event.done == number:
            do()

    return sink


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("select", ["best", "recheck"])
@pytest.mark.parametrize("how", ["stop", "from another kernel", "interrupt", "ctrl-c"])
def test_a_stop_ends_what_is_scored_again_after_the_fold_in_flight(
    how: str, select: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt was raised there and the run failed; a stop had no effect."""
    monkeypatch.setattr(commands, "_POLL_SECONDS", 0.0)
    control = Control()
    act = {
        "stop": lambda: control.wish("stop"),
        "from another kernel": lambda: send_command("a", "stop", root=tmp_path),
        "interrupt": control.interrupt,
        "ctrl-c": ctrl_c,
    }[how]
    options = OPTIONS | {"folder": tmp_path, "name": "a"}
    seen: list[Event] = []
    sinks = [at_fit(3, act), seen.append]
    result = tune(Lucky(), X, Y, select=select, n_jobs=1, control=control, sinks=sinks, **options)
    assert [e.done for e in seen if isinstance(e, CheckProgress)][-1] <= 4
    assert len(result.trials) == 5
    text = "The gain could not be checked on folds, since the user stopped it."
    assert result.summary["verification"]["text"] == text
    assert text in result.summary["text"]
    if select == "recheck":
        assert "without a recheck: the user stopped it." in result.summary["selection"]["text"]
    if how in ("stop", "from another kernel"):
        ended = ("finished", "all 5 trials are done")
    else:  # whoever calls tune in a loop has to see that
        ended = ("interrupted", "after the last trial (all 5 trials are done)")
    assert (result.status, result.summary["reason"]) == ended
    stored = TuneResult.load(tmp_path / "a")
    assert (stored.status, stored.best_value) == (result.status, result.best_value)
    checked = tune(Lucky(), X, Y, select=select, resume=True, **options)
    assert (checked.status, checked.summary["verification"]["n_folds"] > 0) == ("finished", True)
    assert len(checked.trials) == 5


@pytest.mark.parametrize("stop", ["after five folds", "in the fits for the test data"])
def test_what_a_check_found_before_a_stop_stands_in_its_text(stop: str) -> None:
    control = Control()
    n_fits = 11 if stop == "after five folds" else 20
    options = OPTIONS | {"enqueue": [{"shift": 0.3}], "search_space": {"shift": [0.3, 0.5]}, "n_trials": 2}
    test_data = {"X_test": X, "y_test": Y}
    result = tune(
        NoisyShift(), X, Y, n_jobs=1, control=control, sinks=[at_fit(n_fits, lambda: control.wish("stop"))],
        **test_data, **options,
    )  # fmt: skip
    check = result.summary["verification"]
    if stop == "after five folds":
        assert check["n_folds"] == 5
        assert check["text"].startswith("On 5 of 10 fresh folds (the user stopped it) the best configuration")
    else:
        assert check["n_folds"] == 10
        assert check["text"].startswith("On 10 fresh folds the best configuration")
    assert check["text"].endswith("The test data were not scored, since the user stopped it.")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("select", ["best", "recheck"])
@pytest.mark.parametrize("isolate", [False, long(True)])
@pytest.mark.parametrize(
    ("default", "n_trials", "name"),
    [(0.0, 3, "the default"), (0.5, 1, "the default"), (float("nan"), 3, "the best configuration")],
)
def test_the_test_data_are_scored_also_where_there_is_no_gain_to_check(
    default: float, n_trials: int, name: str, isolate: bool, select: str
) -> None:
    """They were left out without a word where the default stayed the best, or had no score."""
    options = {"search_space": {"shift": [0.2, 0.3]}, "n_trials": n_trials, "enqueue": [], "isolate": isolate}
    result = tune(Lucky(default), X, Y, select=select, X_test=X, y_test=Y, **{**OPTIONS, **options})
    shift = result.best_params.get("shift", default)
    check = result.summary["verification"]
    assert check["text"] == f"On the test data {name} scores MAE {shift:.4g}."
    assert check["text"] in result.summary["text"]
    assert check["test_best"] == pytest.approx(-shift)
    assert check["test_default"] == (pytest.approx(-shift) if name == "the default" else None)
    assert "Scoring the best configuration on the test data." in [
        getattr(e, "text", "") for e in result.events
    ]
    assert tune(Lucky(0.0), X, Y, **{**OPTIONS, **options}).summary["verification"] is None


class NoisyShift(Lucky):
    """Its gain over the default differs so much between folds that five of them decide nothing."""

    def fit(self, X: Any, y: Any) -> NoisyShift:
        rows = np.asarray(X)[:, 0]
        self.error_ = 1.0 if self.shift == 0.5 else 0.7 + 0.5 * float(np.sin(np.sum(rows)))
        return self


def test_a_run_that_was_stopped_before_has_its_check() -> None:
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == 3:
            control.wish("stop")

    result = tune(Lucky(), X, Y, control=control, sinks=[stop], **OPTIONS)
    assert result.status == "stopped"
    assert result.summary["verification"]["n_folds"] > 0
    assert "the user stopped it" not in result.summary["text"]


class Waiting(Lucky):
    """Its fits on other folds than those of the search last until the test ends."""

    gate: ClassVar = threading.Event()

    def fit(self, X: Any, y: Any) -> Waiting:
        if frozenset(np.asarray(X)[:, 0]) not in self.searched:
            self.gate.wait(60)
        super().fit(X, y)
        return self


@pytest.mark.timeout(50)
@pytest.mark.parametrize("select", ["best", "recheck"])
def test_a_second_interrupt_waits_for_no_fit_that_is_made_again(select: str) -> None:
    control = Control()

    def interrupt_twice() -> None:
        control.interrupt()
        control.interrupt()

    Waiting.gate.clear()
    try:
        result = tune(
            Waiting(), X, Y, select=select, control=control, sinks=[at_fit(0, interrupt_twice)], **OPTIONS
        )
        assert not Waiting.gate.is_set()
    finally:
        Waiting.gate.set()
    assert result.status == "interrupted"
    assert "the user stopped it" in result.summary["text"]


class Interrupting(Lucky):
    """Ctrl-C comes in its first fit on other folds than those of the search."""

    left: ClassVar = 0

    def fit(self, X: Any, y: Any) -> Interrupting:
        if Interrupting.left and frozenset(np.asarray(X)[:, 0]) not in self.searched:
            Interrupting.left = 0
            ctrl_c()
        super().fit(X, y)
        return self


def test_an_interrupt_of_a_recheck_ends_a_search_with_what_it_has() -> None:
    Interrupting.left = 1
    search = SLLMBOSearchCV(
        Interrupting(), cv=CV, sampler="random", search_space=OPTIONS["search_space"], n_trials=3,
        random_state=0, tune_options={"select": "recheck"},
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert (search.result_.status, len(search.result_.trials)) == ("interrupted", 3)


def test_the_verdict_names_a_trial_that_is_kept_in_the_place_of_the_default() -> None:
    """The default is the best of the search; on fresh folds another is."""
    result = tune(Lucky(shift=1.0), X, Y, select="recheck", verify=False, **OPTIONS)
    assert result.best_trial.number > 0
    text = (
        f"Trial {result.best_trial.number}, user, is kept, since it scored best on fresh folds; on the folds"
        " of the search it has MAE 0.100, and the default 0.000."
    )
    assert result.summary["verdict"] == text
    assert text in result.summary["text"]


def test_the_winner_stays_the_same_after_load_resume_and_in_a_report(tmp_path: Path) -> None:
    options = OPTIONS | {"folder": tmp_path, "name": "a"}
    result = tune(Lucky(), X, Y, select="recheck", **options)
    assert result.best_trial.number == 3
    assert TuneResult.load(tmp_path / "a").best_params == {"shift": 0.1}
    assert "trial 3 is kept" in result.report(tmp_path / "a.html").read_text()
    saved = TuneResult.load(result.save(tmp_path / "a.zip"))
    assert saved.best_params == {"shift": 0.1}
    resumed = tune(Lucky(), X, Y, resume=True, **options)
    assert (resumed.best_trial.number, resumed.summary["selection"]["number"]) == (3, 3)
    again = tune(Lucky(), X, Y, resume=True, select="best", **options)
    assert again.best_trial.number == 1


def test_without_other_folds_the_best_of_the_search_is_kept_and_that_is_said() -> None:
    result = tune(Lucky(), X, Y, select="recheck", **(OPTIONS | {"cv": TimeSeriesSplit(3)}))
    assert result.summary["selection"]["number"] == result.summary["best_number"]
    assert "this cv has no other folds" in result.summary["text"]


def test_equal_configurations_are_scored_once() -> None:
    twice = [{"shift": 0.2}, {"shift": 0.2}]
    result = tune(Lucky(), X, Y, select="recheck", **(OPTIONS | {"enqueue": twice, "n_trials": 3}))
    rows = result.summary["selection"]["candidates"]
    values = [result.study.trials[row["number"]].params["shift"] for row in rows]
    assert len(values) == len(set(values))


def test_what_has_no_folds_is_refused_before_the_first_trial() -> None:
    def objective(params: dict[str, Any]) -> float:
        raise AssertionError("evaluated")

    with pytest.raises(InputError, match="an objective has none"):
        tune(objective, search_space={"x": (0.0, 1.0)}, direction="minimize", select="recheck", folder="")
    with pytest.raises(InputError, match="select"):
        tune(Lucky(), X, Y, select="second", **OPTIONS)


def test_several_objectives_say_that_there_is_no_winner() -> None:
    def objective(params: dict[str, Any]) -> tuple[float, float]:
        return params["x"], 1 - params["x"]

    result = tune(
        objective,
        search_space={"x": (0.0, 1.0)},
        direction=["minimize", "minimize"],
        select="recheck",
        n_trials=3,
        seed=0,
        folder="",
    )
    notes = [e.text for e in result.events if type(e).__name__ == "Note"]
    assert any("select recheck is not used" in text for text in notes)


def test_search_cv_keeps_the_same_winner_and_its_rows_are_those_of_the_search() -> None:
    def search(select: str) -> SLLMBOSearchCV:
        return SLLMBOSearchCV(
            Lucky(),
            cv=CV,
            sampler="random",
            search_space={"shift": (0.05, 1.0)},
            n_trials=5,
            random_state=0,
            scoring="neg_mean_absolute_error",
            tune_options={"enqueue": ENQUEUE, "select": select},
        ).fit(X, Y)

    best, recheck = search("best"), search("recheck")
    assert best.best_params_ == {"shift": 1.0}
    assert recheck.best_params_ == {"shift": 0.1}
    assert recheck.best_index_ == 3
    assert recheck.best_score_ == pytest.approx(-0.1)
    assert recheck.result_.best_trial.number == 3
    for name in best.cv_results_:
        if "time" not in name:
            np.testing.assert_array_equal(best.cv_results_[name], recheck.cv_results_[name])

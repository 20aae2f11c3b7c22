"""The life of a run: archive, resume, changed data, interrupt, stop, crash, pause, wishes."""

from __future__ import annotations

import json
import shutil
import signal
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from scipy.sparse.linalg import aslinearoperator
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.events import Event
from sllmbo_magic.events import FoldFinished
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.events import WishApplied
from sllmbo_magic.report.summary import plain_text
from sllmbo_magic.storage.locations import is_there
from sllmbo_magic.storage.locations import noted_storage
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import delete_run
from sllmbo_magic.storage.runs import list_runs
from sllmbo_magic.storage.runs import rename_run
from sllmbo_magic.storage.runs import send_command
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.captured_values import captured_values
from sllmbo_magic.tuning.tune import plan
from tests.marks import long
from tests.replies import Responder

SPACE = {"C": (1e-3, 1e3, "log"), "tol": (1e-6, 1e-1, "log")}


def params_of(result: TuneResult) -> list[dict[str, Any]]:
    return [t.params for t in result.trials if t.state == TrialState.COMPLETE]


def at(number: int, do: Callable[[], Any], kind: type[Event] = TrialStarted) -> Callable[[Event], None]:
    """A sink that acts once, at an event of that trial."""
    done: list[bool] = []

    def sink(event: Event) -> None:
        if isinstance(event, kind) and getattr(event, "number", None) == number and not done:
            done.append(True)
            do()

    return sink


def test_same_seed_and_replies_give_the_same_trials(data: Any, model: Any) -> None:
    def run(seed: int) -> list[dict[str, Any]]:
        llm = FunctionProvider(Responder(5))
        return params_of(tune(model, *data, llm=llm, n_trials=16, seed=seed, folder="", verify=False, cv=2))

    once = run(1)
    assert run(1) == once
    assert run(2) != once


def test_an_answer_that_comes_late_changes_no_trial(data: Any, model: Any) -> None:
    def run(delay: float) -> list[dict[str, Any]]:
        responder = Responder(5)

        def slow(request: Any) -> Any:
            time.sleep(delay)
            return responder(request)

        options: dict[str, Any] = {"n_trials": 16, "seed": 1, "folder": "", "verify": False, "cv": 2}
        return params_of(tune(model, *data, llm=FunctionProvider(slow), **options))

    assert run(0.0) == run(0.15)


def test_running_a_name_again_keeps_the_old_run(data: Any, model: Any) -> None:
    first = tune(model, *data, verify=False, name="gas", n_trials=3, seed=1)
    second = tune(model, *data, verify=False, name="gas", n_trials=4, seed=2)
    assert len(TuneResult.load(".sllmbo/gas").trials) == 4
    old = TuneResult.load(".sllmbo/gas.1")
    assert params_of(old) == params_of(first) != params_of(second)
    assert old.summary["best_value"] == first.best_value


def test_resume_goes_on_to_the_total_as_if_never_ended(data: Any, model: Any) -> None:
    whole = tune(model, *data, verify=False, name="whole", n_trials=14, seed=4)
    tune(model, *data, verify=False, name="parts", n_trials=9, seed=4)
    parts = tune(model, *data, verify=False, name="parts", n_trials=14, seed=4, resume=True)
    assert params_of(parts) == params_of(whole)
    assert [v.to_json() for v in parts.space_versions] == [v.to_json() for v in whole.space_versions]
    fits: list[Event] = []
    again = tune(model, *data, verify=False, name="parts", n_trials=14, resume=True, sinks=[fits.append])
    assert not [e for e in fits if isinstance(e, TrialStarted | FoldFinished)]
    assert again.best_value == parts.best_value


def test_a_renamed_run_is_resumed_with_its_trials(data: Any, model: Any) -> None:
    first = tune(model, *data, name="old", n_trials=5, seed=4, verify=False)
    rename_run("old", "new")
    rest = tune(model, *data, name="new", n_trials=8, resume=True, verify=False)
    assert params_of(rest)[:5] == params_of(first)
    assert len(TuneResult.load(".sllmbo/new").trials) == len(rest.trials) == 8


def test_resume_keeps_the_seed_when_none_is_given(data: Any, model: Any) -> None:
    tune(model, *data, verify=False, name="r", n_trials=3)
    seed = json.loads(Path(".sllmbo/r/run.json").read_text())["seed"]
    tune(model, *data, verify=False, name="r", n_trials=5, resume=True)
    assert json.loads(Path(".sllmbo/r/run.json").read_text())["seed"] == seed


def test_a_resumed_llm_run_goes_on_with_its_chat(data: Any, model: Any) -> None:
    tune(model, *data, verify=False, name="c", llm=FunctionProvider(Responder(1)), n_trials=12, seed=1)
    result = tune(
        model,
        *data,
        verify=False,
        name="c",
        llm=FunctionProvider(Responder(2)),
        n_trials=24,
        seed=1,
        resume=True,
    )
    numbers = [entry["request"] for entry in result.history]
    assert numbers == list(range(len(numbers)))
    assert sum(entry["purpose"] == "initialize" for entry in result.history) == 1
    assert len(result.trials) == 24


def test_a_resume_with_another_llm_says_so_and_credits_each_with_its_own(data: Any, model: Any) -> None:
    options = {"name": "two", "seed": 1, "sampler": "llm", "judge": False, "verify": False}
    tune(model, *data, n_trials=4, llm=FunctionProvider(Responder(1), id="acme:a"), **options)
    other = FunctionProvider(Responder(2), id="acme:b")
    result = tune(model, *data, n_trials=12, llm=other, resume=True, **options)
    sources = [t.user_attrs["sllmbo:source"] for t in result.trials]
    of_a = sum(
        t.user_attrs[attrs.PROVENANCE].get("provider") == "acme:a"
        for t, source in zip(result.trials, sources, strict=True)
        if source in ("llm", "llm-init")
    )
    of_b = sum(source in ("llm", "llm-init") for source in sources) - of_a
    assert of_a
    assert of_b
    text = result.summary["text"]
    assert f"The LLM acme:a proposed {of_a} trials" in text
    assert f"The LLM acme:b proposed {of_b} trials" in text
    notes = [e.text for e in result.events if isinstance(e, Note)]
    assert notes.count("The LLM is acme:b from here on; until now it was acme:a.") == 1
    last = tune(model, *data, n_trials=13, resume=True, **options)
    text = last.summary["text"]
    assert f"The LLM acme:b proposed {of_b} trials" in text
    assert "LLM rulebook" not in text
    notes = [e.text for e in last.events if isinstance(e, Note)]
    assert "The LLM is none (the rulebook) from here on; until now it was acme:b." in notes


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"X": "shifted"}, "data"),
        ({"scoring": "accuracy"}, "metric"),
        ({"cv": 3}, "cv"),
        ({"model": LogisticRegression(max_iter=51)}, "estimator"),
    ],
)
def test_resume_refuses_what_changed(data: Any, model: Any, change: dict[str, Any], named: str) -> None:
    X, y = data
    tune(model, X, y, name="r", n_trials=2, seed=1)
    other = {"X": X + 1.0} if "X" in change else change
    given = {"cv": other.get("cv", 5), "scoring": other.get("scoring")}
    with pytest.raises(RunChangedError, match=named):
        tune(other.get("model", model), other.get("X", X), y, name="r", n_trials=4, resume=True, **given)
    assert len(TuneResult.load(".sllmbo/r").trials) == 2


def test_an_interrupt_keeps_all_and_is_resumable(data: Any, model: Any) -> None:
    control = Control()
    stop = at(5, control.interrupt, FoldFinished)
    result = tune(model, *data, verify=False, name="i", n_trials=10, seed=1, control=control, sinks=[stop])
    assert result.status == "interrupted"
    assert len(params_of(result)) == 5
    assert not [t for t in result.trials if t.state == TrialState.RUNNING]
    assert result.best_value is not None
    resumed = tune(model, *data, verify=False, name="i", n_trials=10, seed=1, resume=True)
    assert len(params_of(resumed)) == 10
    cut = next(t for t in result.trials if t.state == TrialState.FAIL)
    assert params_of(resumed)[5] == cut.params, "the trial that was cut off is evaluated again"


def test_ctrl_c_in_a_script_returns_the_result_so_far(child: Callable[[str], Popen[str]]) -> None:
    process = child(
        """
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from sllmbo_magic import tune
        from sllmbo_magic.events import TrialFinished
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)
        def show(event):
            if isinstance(event, TrialFinished): print("trial", event.number)
        result = tune(LogisticRegression(), X, y, n_trials=100000, sinks=[show])
        print("status", result.status, len(result.trials) >= 3)
        """
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("trial 3"):
            process.send_signal(signal.SIGINT)
        if line.startswith("status"):
            assert line.split() == ["status", "interrupted", "True"]
            break
    assert process.wait(30) == 0


def test_stop_ends_normally(data: Any, model: Any) -> None:
    control = Control()
    sink = at(3, lambda: control.wish("stop"))
    result = tune(model, *data, verify=False, n_trials=10, seed=1, control=control, sinks=[sink])
    assert result.status == "stopped"
    assert len(params_of(result)) >= 3


KILLED = """
    import os, signal
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sllmbo_magic import tune
    from sllmbo_magic.events import TrialStarted
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)
    def die(event):
        if isinstance(event, TrialStarted) and event.number == 6:
            os.kill(os.getpid(), signal.SIGKILL)
    tune(LogisticRegression(), X, y, name="k", n_trials=12, seed=3, sinks=[die])
"""


def test_kill_9_loses_at_most_the_trial_in_flight(child: Callable[[str], Popen[str]]) -> None:
    process = child(KILLED)
    assert process.wait(60) == -signal.SIGKILL
    stored = TuneResult.load(".sllmbo/k")
    assert len(params_of(stored)) == 6
    lost = next(t for t in stored.trials if t.state == TrialState.RUNNING)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    result = tune(LogisticRegression(), X, y, name="k", n_trials=12, seed=3, resume=True)
    assert len(params_of(result)) == 12
    assert params_of(result)[6] == lost.params
    assert not [t for t in result.trials if t.state == TrialState.RUNNING]


def test_so_does_a_run_with_several_objectives_whose_space_is_shown() -> None:
    options: dict[str, Any] = {
        "search_space": {"x": (0.0, 5.0), "n": (1, 9)}, "direction": "minimize,maximize", "name": "m",
    }  # fmt: skip
    events: list[Event] = []

    def objective(params: dict[str, Any]) -> tuple[float, float]:
        return params["x"], params["x"] * params["n"]

    tune(objective, n_trials=3, sinks=[events.append], **options)
    (shown,) = (e for e in events if isinstance(e, SpaceChanged))
    assert [param["name"] for param in shown.params] == ["x", "n"]
    with RunFolder.open("m", resume=True) as folder:
        study = optuna.load_study(study_name="m", storage=folder.storage())
        lost = study.ask(
            {"x": optuna.distributions.FloatDistribution(0.0, 5.0)}
        )  # and the process was killed
    result = tune(objective, n_trials=6, resume=True, **options)
    assert not [t for t in result.trials if t.state == TrialState.RUNNING]
    assert len(params_of(result)) == 6
    assert lost.params["x"] in [params["x"] for params in params_of(result)[3:]], (
        "its configuration runs again"
    )


def test_a_run_that_goes_on_cannot_be_taken(data: Any, model: Any) -> None:
    with RunFolder.open("busy"), pytest.raises(RunLockedError, match="busy"):
        tune(model, *data, name="busy", n_trials=2)


def test_pause_waits_and_resume_goes_on(data: Any, model: Any) -> None:
    control = Control()
    seen: list[Event] = []

    def sink(event: Event) -> None:
        seen.append(event)
        if isinstance(event, TrialFinished) and event.number == 2:
            control.wish("pause")
        if isinstance(event, Note) and event.text.startswith("Paused"):
            control.wish("resume")

    result = tune(model, *data, n_trials=5, seed=1, control=control, sinks=[sink])
    assert len(params_of(result)) == 5
    notes = [e.trial_number for e in seen if isinstance(e, Note) and "Paused" in e.text]
    assert notes == [3]


def test_the_list_of_runs_has_the_total_of_an_extended_run(data: Any, model: Any) -> None:
    control = Control()
    seen: list[int | None] = []

    def sink(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == 2:
            control.wish("extend", 2)
        if isinstance(event, TrialFinished):
            seen.append(list_runs()[0].n_trials)

    tune(model, *data, n_trials=4, seed=1, name="longer", control=control, sinks=[sink], verify=False)
    assert seen == [4, 4, 4, 6, 6, 6]
    (info,) = list_runs()
    assert (info.n_done, info.n_trials) == (6, 6)
    tune(model, *data, n_trials=8, name="longer", resume=True, verify=False)
    assert list_runs()[0].n_trials == 8


def test_a_resume_to_fewer_trials_than_the_run_was_extended_to_says_so(data: Any, model: Any) -> None:
    control = Control()
    control.wish("extend", 3)
    sinks = [at(2, control.interrupt, TrialFinished)]
    tune(model, *data, n_trials=4, seed=1, name="longer", control=control, sinks=sinks, verify=False)
    again = tune(model, *data, n_trials=4, name="longer", resume=True, verify=False)
    text = "The run was extended to 7 trials; it now ends at 4. Give n_trials=7 (--n-trials 7) to run all."
    assert len(again.trials) == 4
    assert text in [e.text for e in again.events if isinstance(e, Note)]
    all_of_them = tune(model, *data, n_trials=7, name="longer", resume=True, verify=False)
    assert [e.text for e in all_of_them.events if isinstance(e, Note)].count(text) == 1
    fewer = tune(model, *data, n_trials=3, name="longer", resume=True, verify=False)
    assert fewer.summary["reason"] == "n_trials is 3, and 7 trials are done"
    assert not any("extended" in e.text for e in fewer.events[-3:] if isinstance(e, Note))


def test_resume_does_not_overtake_the_commands_before_it(data: Any, model: Any) -> None:
    """Commands go on coming in while the first of them is applied."""
    control = Control()
    seen: list[Event] = []

    def sink(event: Event) -> None:
        seen.append(event)
        if isinstance(event, TrialFinished) and event.number == 2:
            control.wish("pause")
        if isinstance(event, Note) and event.text.startswith("Paused"):
            control.wish("range", {"param": "C", "low": 0.5, "high": 2.0})
        if isinstance(event, WishApplied) and event.wish == "range":
            control.wish("sampler", "tpe")
            control.wish("resume")

    given = {"search_space": SPACE, "init": "default", "control": control, "sinks": [sink]}
    tune(model, *data, n_trials=5, seed=1, **given)
    applied = [e for e in seen if isinstance(e, WishApplied)]
    assert [e.wish for e in applied] == ["pause", "range", "sampler", "resume"]
    assert len({e.trial_number for e in applied[1:]}) == 1
    goes_on = next(i for i, e in enumerate(seen) if isinstance(e, Note) and "continues" in e.text)
    assert goes_on > seen.index(applied[-1])


def test_wishes_are_applied_before_the_next_trial(data: Any, model: Any) -> None:
    control = Control()
    seen: list[Event] = []

    def wish() -> None:
        control.wish("sampler", "tpe")
        control.wish("ratio", 0.3)
        control.wish("range", {"param": "C", "low": 0.5, "high": 2.0})
        control.wish("lock", "C")
        control.wish("extend", 4)
        control.wish("enqueue", {"C": 1.25, "tol": 1e-3})
        control.wish("enqueue", {"nothing": 1})

    result = tune(
        model,
        *data,
        n_trials=14,
        seed=1,
        search_space=SPACE,
        control=control,
        sinks=[at(8, wish), seen.append],
    )
    applied = {e.wish: e.trial_number for e in seen if isinstance(e, WishApplied)}
    assert set(applied) == {"sampler", "ratio", "range", "lock", "extend", "enqueue"}
    assert set(applied.values()) == {9}
    assert any(isinstance(e, Note) and "nothing" in e.text for e in seen), "a wish that cannot be met is said"
    assert len(result.trials) == 18
    assert result.trials[9].params == {"C": 1.25, "tol": 1e-3}
    later = result.trials[10:]
    assert {t.user_attrs["sllmbo:source"] for t in later} == {"tpe"}
    assert all(0.5 <= t.params["C"] <= 2.0 for t in later)


def test_resume_keeps_the_wishes_of_the_user_but_not_against_a_new_option(data: Any, model: Any) -> None:
    control = Control()

    def wish() -> None:
        control.wish("ratio", 0.2)
        control.wish("sampler", "tpe")
        control.wish("range", {"param": "C", "low": 0.5, "high": 2.0})
        control.wish("lock", "tol")

    def on(n_trials: int, **options: Any) -> tuple[Any, dict[str, Any]]:
        seen: list[Event] = []
        given = {"search_space": SPACE, "seed": 1, "name": "w", "verify": False, "judge": False}
        result = tune(model, *data, n_trials=n_trials, sinks=[seen.append], **given, **options)
        started = next(e for e in seen if isinstance(e, RunStarted))
        return result, started.run

    on(12, control=control, callbacks=[lambda study, trial: wish() if trial.number == 8 else None])
    result, run = on(20, resume=True)
    assert (run["llm_ratio"], run["sampler"]) == (0.2, "tpe")
    assert {t.user_attrs["sllmbo:source"] for t in result.trials[9:]} == {"tpe"}
    assert all(0.5 <= t.params["C"] <= 2.0 for t in result.trials[9:])
    assert on(21, resume=True)[1] == run | {"n_trials": 21, "n_done": 20}, "also after a second resume"
    result, run = on(30, resume=True, sampler="llm")
    assert (run["llm_ratio"], run["sampler"]) == (0.2, "llm"), "an option that is new was asked for last"
    assert {t.user_attrs["sllmbo:source"] for t in result.trials[21:]} == {"rulebook"}
    assert on(31, resume=True, sampler="llm", llm_ratio=0.7)[1]["llm_ratio"] == 0.7


def test_another_process_steers_through_the_folder(data: Any, model: Any) -> None:
    sink = at(2, lambda: send_command("far", "stop"))
    result = tune(model, *data, verify=False, name="far", n_trials=40_000, seed=1, sinks=[sink])
    assert result.status == "stopped"


def test_a_hint_from_another_process_to_a_run_without_an_llm_is_refused(data: Any, model: Any) -> None:
    refused: list[str] = []

    def hint() -> None:
        with pytest.raises(InputError) as error:
            send_command("far", "hint", "deeper")
        refused.append(str(error.value))

    tune(model, *data, name="far", n_trials=2, seed=1, sinks=[at(1, hint)], verify=False)
    assert refused == ["The rulebook reads no hints: change a range instead, or give an LLM by --llm."]
    told: list[str] = []
    sinks = [at(1, lambda: told.append(send_command("near", "hint", "deeper").value))]
    llm = FunctionProvider(Responder(1))
    tune(model, *data, name="near", n_trials=2, seed=1, llm=llm, sinks=sinks, verify=False)
    assert told == ["deeper"]


def test_a_view_that_raises_is_dropped(data: Any, model: Any) -> None:
    calls: list[Event] = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("a bug of the view")

    result = tune(model, *data, n_trials=3, seed=1, sinks=[broken])
    assert len(params_of(result)) == 3
    assert len(calls) == 1


def test_time_limit_and_patience_end_the_run(data: Any, model: Any) -> None:
    limited = tune(model, *data, n_trials=100_000, timeout=0.6, seed=1, verify=False)
    assert limited.status == "finished"
    assert "time limit" in limited.summary["reason"]
    patient = tune(model, *data, n_trials=200, patience=4, seed=1, verify=False)
    best = patient.best_trial.number
    assert len(patient.trials) == best + 5
    assert "patience 4" in patient.summary["reason"]


def test_an_estimator_that_cannot_fit_is_one_line(data: Any) -> None:
    class Broken(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            raise ValueError("the reason")

    with pytest.raises(InputError, match=r"Broken cannot be fitted.*the reason"):
        tune(Broken(), *data, name="broken", n_trials=5, seed=1)
    stored = TuneResult.load(".sllmbo/broken")
    assert stored.status == "failed"
    assert "ValueError: the reason" in stored.summary["reason"]
    assert stored.study.trials[0].user_attrs["sllmbo:evaluation"]["cause"] == "ValueError: the reason"


def test_a_missing_key_is_one_line_before_any_fit_and_a_plan_needs_none(data: Any, model: Any) -> None:
    fits: list[Event] = []
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        tune(model, *data, name="k", llm="openai:gpt-4o", n_trials=5, sinks=[fits.append])
    assert not fits
    assert not Path(".sllmbo/k").exists()
    assert "Write the search space" in plan(model, *data, llm="openai:gpt-4o").first_request()


def test_a_saved_result_opens_elsewhere(data: Any, model: Any, tmp_path: Path) -> None:
    result = tune(model, *data, llm=FunctionProvider(Responder(1)), n_trials=8, seed=1)
    saved = result.save(tmp_path / "new" / "run")
    assert saved.name == "run.zip"
    loaded = TuneResult.load(saved)
    assert loaded.summary["text"] == result.summary["text"]
    assert loaded.best_params == result.best_params
    assert loaded.best_value == result.best_value
    assert [e["prompt"] for e in loaded.history] == [e["prompt"] for e in result.history]
    assert loaded.bundle() == result.bundle()
    assert loaded.best_trial.distributions == result.best_trial.distributions


def test_a_verdict_that_an_older_version_stored_is_shown_in_todays_words(data: Any, model: Any) -> None:
    result = tune(model, *data, n_trials=4, seed=1, folder="", verify=False)
    known = result.bundle()["run"]["summary"]["verdict"]
    *events, end = result.events
    result.events = [*events, replace(end, summary={**end.summary, "verdict": "f1_weighted rose."})]
    assert result.bundle()["run"]["summary"]["verdict"] == known


@pytest.mark.parametrize("folder", [None, ""], ids=["folder", "memory"])
def test_a_saved_result_that_is_saved_again_has_lost_nothing(
    data: Any, model: Any, folder: str | None
) -> None:
    class Warns(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            warnings.warn("as libraries do", stacklevel=1)
            return super().fit(X, y)

    llm = FunctionProvider(Responder(1))
    result = tune(Warns(), *data, verify=False, name="kept", llm=llm, n_trials=8, seed=1, folder=folder)
    result.note(2, "a note", star=True)
    result.study.enqueue_trial({"C": 0.5})
    if folder is None:
        result.path.rename(result.path.with_name("renamed"))
    assert result.warnings
    once = TuneResult.load(result.save("once.zip"))
    twice = TuneResult.load(once.save("twice.zip"))
    for one in (once, twice):
        assert one.bundle() == result.bundle()
        assert one.name == result.name
        assert one.history == result.history
        assert one.warnings == result.warnings
        assert one.space_versions == result.space_versions
        assert one.code() == result.code()
        assert one.status == result.status
        # but for the task in words: a file may be given away
        known = {n: v for n, v in result.study.user_attrs.items() if n != attrs.DESCRIBED}
        assert one.study.user_attrs == known
        assert [(t.state, t.params, t.values, t.user_attrs, t.system_attrs) for t in one.study.trials] == [
            (t.state, t.params, t.values, t.user_attrs, t.system_attrs) for t in result.study.trials
        ]
    files = [zipfile.ZipFile(name) for name in ("once.zip", "twice.zip")]
    assert sorted(files[0].namelist()) == sorted(files[1].namelist())
    for name in ("events.jsonl", "transcript.jsonl", "code.json"):
        assert files[0].read(name) == files[1].read(name), name
    again = tune(Warns(), *data, verify=False, llm="replay:twice.zip", n_trials=8, seed=1, folder="")
    assert [e["reply"] for e in again.history] == [e["reply"] for e in result.history]
    assert not [e for e in again.events if isinstance(e, Note) and "left its recording" in e.text]


def test_a_saved_result_keeps_the_values_of_queued_trials_and_is_a_journal_of_optuna(tmp_path: Path) -> None:
    study = optuna.create_study(direction="minimize")
    study.set_user_attr("of the user", [1, 2])
    study.add_trial(
        optuna.trial.create_trial(
            params={"x": 0.5},
            distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
            value=0.5,
            intermediate_values={1: 0.7},
            system_attrs={"by a sampler": 3},
        )
    )
    study.enqueue_trial({"x": 0.3}, user_attrs={"note": "mine"})
    path = TuneResult(study, []).save(tmp_path / "saved")

    loaded = TuneResult.load(path).study
    assert loaded.user_attrs == study.user_attrs
    assert [t.state for t in loaded.trials] == [t.state for t in study.trials]
    assert loaded.trials[0].system_attrs == {"by a sampler": 3}
    assert loaded.trials[0].intermediate_values == {1: 0.7}
    queued = loaded.ask()
    assert queued.suggest_float("x", 0, 1) == 0.3
    assert queued.user_attrs == {"note": "mine"}

    with zipfile.ZipFile(path) as file:
        file.extract("study.log", tmp_path)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    plain = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert [t.params for t in plain.trials] == [{"x": 0.5}, {}]


def test_a_result_whose_name_was_used_again_is_saved_with_its_own_conversation(data: Any, model: Any) -> None:
    def saved(result: TuneResult) -> list[str]:
        with zipfile.ZipFile(result.save("kept.zip")) as file:
            records = [json.loads(line) for line in file.read("transcript.jsonl").splitlines()]
        return [record["messages"][-1]["content"] for record in records if "messages" in record]

    first = tune(
        model, *data, verify=False, name="again", llm=FunctionProvider(Responder(1)), n_trials=6, seed=1
    )
    sent = saved(first)
    second = tune(
        model, *data, verify=False, name="again", llm=FunctionProvider(Responder(2)), n_trials=12, seed=2
    )
    assert saved(first) == sent != saved(second)
    assert (first.path.name, first.name, second.name) == ("again.1", "again.1", "again")


def test_a_result_that_cannot_be_saved_or_loaded_is_one_line(data: Any, model: Any, tmp_path: Path) -> None:
    result = tune(model, *data, n_trials=1, seed=1, folder="", verify=False)
    with pytest.raises(InputError, match="is a folder"):
        result.save(tmp_path)
    (tmp_path / "file").write_text("no zip")
    with pytest.raises(StorageError, match=r"cannot be written: (File exists|Not a directory)"):
        result.save(tmp_path / "file" / "run.zip")
    with pytest.raises(StorageError, match="is not a saved run"):
        TuneResult.load(tmp_path / "file")
    with pytest.raises(StorageError, match="is not a saved run"):
        TuneResult.load(tmp_path / "nothing.zip")


def test_a_study_in_memory_is_saved_with_attributes_that_json_lacks() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("array", np.arange(3))
        trial.set_user_attr("number", np.float32(0.5))
        trial.set_user_attr("set", {1})
        return trial.suggest_float("x", 0, 1)

    result = tune(objective, study=optuna.create_study(), n_trials=1, sampler="random", folder="")
    (trial,) = TuneResult.load(result.save("a.zip")).trials
    attributes = {name: trial.user_attrs[name] for name in ("array", "number", "set")}
    assert attributes == {"array": [0, 1, 2], "number": 0.5, "set": "{1}"}


@pytest.mark.parametrize("path", [None, 3, "", b"run.zip", "~no_such_user_here/run"])
def test_what_is_no_path_is_refused_in_one_line(path: Any) -> None:
    result = TuneResult(optuna.create_study(), [RunStarted(run={"name": "a"})])
    for use in (result.save, result.report, TuneResult.load):
        with pytest.raises(InputError, match=r"^the path .*(is none\. Give|does not exist\. Write)"):
            use(path)


def of_square(name: str, **options: Any) -> TuneResult:
    """A run of three trials of an objective."""
    return tune(
        lambda p: p["x"] ** 2,
        search_space={"x": (0.0, 1.0)},
        direction="minimize",
        sampler="random",
        n_trials=3,
        name=name,
        seed=0,
        **options,
    )


def test_a_run_whose_process_died_is_not_said_to_run(tmp_path: Path) -> None:
    of_square("dead")
    transcript = Path(".sllmbo/dead/transcript.jsonl")
    lines = transcript.read_text().splitlines(keepends=True)
    last = next(i for i, line in enumerate(lines) if '"TrialFinished"' in line and '"number": 2' in line)
    transcript.write_text("".join(lines[:last]))
    loaded = TuneResult.load(".sllmbo/dead")
    for result in (loaded, TuneResult.load(loaded.save(tmp_path / "dead.zip"))):
        bundle = result.bundle()
        assert (result.status, bundle["run"]["status"]) == ("interrupted", "interrupted")
        assert bundle["trials"][2]["cause"] == "cut off when its process ended"
        text = plain_text(bundle)
        assert "Interrupted: its process ended." in text
        assert "2 trials in" in text
        assert "1 cut off" in text
    with RunFolder(".sllmbo/dead") as folder:
        folder.acquire()
        assert TuneResult.load(".sllmbo/dead").status == "running"


def test_a_note_reaches_the_folder_wherever_the_notebook_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_square("a")
    loaded = TuneResult.load(".sllmbo/a")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    loaded.note(1, "the one to keep")
    again = TuneResult.load(tmp_path / ".sllmbo" / "a")
    assert again.bundle()["trials"][1]["note"] == "the one to keep"


def test_a_loaded_run_stays_itself_when_its_name_is_used_again_or_its_folder_is_deleted() -> None:
    first = of_square("a")
    loaded = TuneResult.load(".sllmbo/a")
    tune(lambda p: p["z"], search_space={"z": (2.0, 3.0)}, direction="minimize", n_trials=6, name="a", seed=1)
    assert [t.value for t in loaded.trials] == [t.value for t in first.trials]
    assert (loaded.name, loaded.best_params) == ("a.1", first.best_params)
    loaded.note(1, "of the first")
    assert TuneResult.load(".sllmbo/a.1").bundle()["trials"][1]["note"] == "of the first"
    assert attrs.TRIAL_NOTES not in TuneResult.load(".sllmbo/a").study.user_attrs
    delete_run("a.1")
    assert (loaded.path, len(loaded.trials), loaded.best_params) == (None, 3, first.best_params)


def test_a_run_in_another_storage_is_loaded_from_its_folder() -> None:
    for storage in ("sqlite:///runs.db", "journal:runs.log"):
        result = of_square("away", storage=storage)
        loaded = TuneResult.load(".sllmbo/away")
        assert (repr(loaded), loaded.code()) == (repr(result), result.code())
        Path(storage.rpartition("/")[2].rpartition(":")[2]).unlink()
        with pytest.raises(StorageError, match=r"keeps its trials in .*runs.* TuneResult.load\(.*storage="):
            TuneResult.load(".sllmbo/away")
        assert not Path("runs.db").exists(), "none is made"
    study_storage = optuna.storages.InMemoryStorage()
    of_square("object", storage=study_storage)
    with pytest.raises(StorageError, match="holds no stored study"):
        TuneResult.load(".sllmbo/object")
    assert TuneResult.load(".sllmbo/object", storage=study_storage).best_params


def test_a_run_without_its_transcript_has_its_trials_and_its_end() -> None:
    """Somebody takes the conversation away before a folder is handed on."""
    result = of_square("a")
    Path(".sllmbo/a/transcript.jsonl").unlink()
    loaded = TuneResult.load(".sllmbo/a")
    assert (loaded.name, loaded.status, loaded.summary) == ("a", "finished", result.summary)
    assert "Best <lambda>" in repr(loaded)
    assert f"(trial {result.best_trial.number}, random)" in repr(loaded)
    assert [t["value"] for t in loaded.bundle()["trials"]] == [t.value for t in result.trials]
    assert "lower is better; 3 trials, finished" in repr(TuneResult.load(loaded.save("a.zip")))


@pytest.mark.parametrize(
    ("storage", "noted", "is_open"),
    [
        ("postgresql+psycopg://me:p@ss:w/o@host/db", "postgresql+psycopg://me:***@host/db", False),
        ("mysql://me@host/db?password=word", "mysql://me@host/db?***", False),
        ("postgresql://me@host/db", "postgresql://me@host/db", True),
        ("grpc://host:13000", "grpc://host:13000", True),
        ("sqlite:////no/such.db", "sqlite:////no/such.db", False),
        ("memory", "memory", False),
    ],
)
def test_a_run_notes_its_storage_without_a_password(storage: str, noted: str, is_open: bool) -> None:
    assert noted_storage(storage) == noted
    assert is_there(noted) is is_open


def test_a_damaged_run_is_loaded_as_far_as_it_goes_or_refused_in_one_line() -> None:
    text = repr(of_square("whole"))
    transcript = Path(".sllmbo/whole/transcript.jsonl")
    with transcript.open("a") as file:
        file.write('{"kind": "exchange"}\n{"kind": "event", "type": "TrialFinished"}\n')
    file_of = TuneResult.load(".sllmbo/whole").save("whole.zip")
    assert repr(TuneResult.load(".sllmbo/whole")) == text
    Path(".sllmbo/whole/run.json").unlink()
    shutil.move(".sllmbo/whole", ".sllmbo/renamed")
    assert repr(TuneResult.load(".sllmbo/renamed")) == text.replace("whole:", "renamed:")
    Path(".sllmbo/renamed/study.log").write_text("")
    with pytest.raises(StorageError, match="has no study 'renamed'"):
        TuneResult.load(".sllmbo/renamed")

    def rewritten(name: str, change: Callable[[bytes], bytes]) -> Path:
        with zipfile.ZipFile(file_of) as old, zipfile.ZipFile("changed.zip", "w") as new:
            for part in old.namelist():
                new.writestr(part, change(old.read(part)) if part == name else old.read(part))
        return Path("changed.zip")

    newer = b'{"type": "OfANewerVersion", "time": 1}\n{"type": "Note", "time": 1}\n'
    assert repr(TuneResult.load(rewritten("events.jsonl", lambda data: data + newer))) == text
    for part, damage in (("study.log", b"1\n"), ("study.log", b""), ("code.json", b"{")):
        with pytest.raises(StorageError, match="is not a saved run"):
            TuneResult.load(rewritten(part, lambda _, damage=damage: damage))  # type: ignore[misc]


@pytest.mark.parametrize("candidates", [long(1), 5])
def test_a_recorded_run_replays_without_its_llm(data: Any, model: Any, candidates: int) -> None:
    options: dict[str, Any] = {"n_trials": 16, "seed": 1, "candidates": candidates, "verify": False, "cv": 2}
    first = tune(model, *data, name="rec", llm=FunctionProvider(Responder(1)), **options)
    again = tune(model, *data, name="again", llm="replay:.sllmbo/rec", **options)
    assert params_of(again) == params_of(first)
    same = tune(model, *data, name="rec", llm="replay:.sllmbo/rec", **options)
    assert params_of(same) == params_of(first)


def test_a_refused_resume_names_the_parameters_that_changed(data: Any, model: Any) -> None:
    tune(model, *data, verify=False, name="r", n_trials=2, seed=1)
    other = LogisticRegression(max_iter=51, tol=0.5)
    with pytest.raises(RunChangedError) as caught:
        tune(other, *data, name="r", n_trials=4, resume=True)
    assert "It had `max_iter=50` and has `max_iter=51`; it had `tol=0.0001` and has `tol=0.5`." in str(
        caught.value
    )


def test_a_resume_of_a_name_without_a_run_says_so(data: Any, model: Any) -> None:
    def says(result: TuneResult) -> bool:
        text = "Nothing is resumed: there is no stored run 'new', so a new one begins."
        return text in [event.text for event in result.events if isinstance(event, Note)]

    options: dict[str, Any] = {"name": "new", "seed": 1, "resume": True}
    assert says(tune(model, *data, n_trials=1, **options))
    assert not says(tune(model, *data, n_trials=2, **{**options, "resume": False, "folder": ""}))
    resumed = tune(model, *data, n_trials=2, **options)
    assert len(resumed.trials) == 2
    stored = [e.text for e in resumed.events if isinstance(e, Note) and "Nothing is resumed" in e.text]
    assert len(stored) == 1, "that of the first process"


OTHER_SPACES: list[tuple[Any, Any, str]] = [
    (SPACE, {**SPACE, "C": (1e-3, 1e4, "log")}, "It had `C: 0.001 to 1000, log scale` and has `C: 0.001 to"),
    (SPACE, {"C": (1e-3, 1e3, "log")}, "It had `tol: 1e-06 to 0.1, log scale`."),
    (None, {"C": (1e-3, 1e3, "log")}, "It had `known ranges for this estimator` and has `C: 0.001 to 1000"),
    (SPACE, None, "has `known ranges for this estimator`."),
]


@pytest.mark.parametrize(("first", "second", "change"), OTHER_SPACES)
@pytest.mark.parametrize("storage", [None, "sqlite:///runs.db"])
def test_a_resume_with_another_search_space_is_refused(
    data: Any, model: Any, first: Any, second: Any, change: str, storage: Any
) -> None:
    """Such a space had no effect, and nothing said so."""
    options: dict[str, Any] = {"name": "s", "seed": 1, "storage": storage, "folder": "" if storage else None}
    tune(model, *data, n_trials=2, search_space=first, **options)
    with pytest.raises(RunChangedError) as caught:
        tune(model, *data, n_trials=4, resume=True, search_space=second, **options)
    message = str(caught.value)
    assert "the search space is not the same as in the stored run" in message
    assert change in message
    assert "choose another name" in message
    assert "%sllmbo range" in message


def test_the_same_search_space_in_another_spelling_is_resumed(data: Any, model: Any) -> None:
    space = {"C": (1e-3, 1e3, "log"), "solver": ["lbfgs", "saga"], "l1_ratio": (0.0, 1.0)}
    same = {
        "l1_ratio": {"low": 0.0, "high": 1.0},
        "solver": np.array(["saga", "lbfgs"]),
        "C": optuna.distributions.FloatDistribution(1e-3, 1e3, log=True),
    }
    tune(model, *data, verify=False, name="s", n_trials=2, seed=1, search_space=space)
    assert (
        len(tune(model, *data, verify=False, name="s", n_trials=3, resume=True, search_space=same).trials)
        == 3
    )


def test_a_run_whose_ranges_were_changed_resumes_with_the_search_space_that_was_given(
    data: Any, model: Any
) -> None:
    control = Control()
    change = at(1, lambda: control.wish("range", {"param": "C", "low": 0.1, "high": 10.0}))
    tune(
        model,
        *data,
        verify=False,
        name="s",
        n_trials=4,
        seed=1,
        search_space=SPACE,
        control=control,
        sinks=[change],
    )
    result = tune(model, *data, verify=False, name="s", n_trials=7, seed=1, search_space=SPACE, resume=True)
    assert all(0.1 <= t.params["C"] <= 10.0 for t in result.trials[4:])


def test_a_run_of_an_earlier_version_resumes_whatever_search_space_it_is_given(data: Any, model: Any) -> None:
    tune(
        model,
        *data,
        verify=False,
        name="s",
        n_trials=2,
        seed=1,
        search_space=SPACE,
        storage="sqlite:///runs.db",
    )
    path = Path(".sllmbo/s/run.json")
    stored = json.loads(path.read_text())
    del stored["fingerprint"]["search space"], stored["described"]["search space"]
    path.write_text(json.dumps(stored))
    study = optuna.load_study(study_name="s", storage="sqlite:///runs.db")
    study.set_user_attr(attrs.FINGERPRINT, stored["fingerprint"])
    options: dict[str, Any] = {"storage": "sqlite:///runs.db", "resume": True}
    assert len(tune(model, *data, name="s", n_trials=3, **options).trials) == 3


def objective_of(text: str, folder: Path) -> Any:
    """A function as a cell has it: with a source that ``inspect`` finds."""
    path = folder / f"cell_{abs(hash(text))}.py"
    path.write_text(text)
    names: dict[str, Any] = {}
    exec(compile(text, str(path), "exec"), names)
    return names["objective"]


def test_a_refused_resume_names_the_changed_lines_of_the_objective(tmp_path: Path) -> None:
    secret = "sk-" + "proj-" + "abcdefghijklmnopqrstuvwxyz0123456789"
    first = f"def objective(p):\n    key = '{secret}'\n    x = p['x']\n    return x * 2\n"
    second = first.replace("return x * 2", "return x * 3") + "\n# a comment\n"
    options: dict[str, Any] = {
        "search_space": {"x": (0.0, 1.0)},
        "direction": "minimize",
        "name": "o",
        "folder": tmp_path,
        "seed": 1,
    }
    tune(objective_of(first, tmp_path), n_trials=2, **options)
    with pytest.raises(RunChangedError) as caught:
        tune(objective_of(second, tmp_path), n_trials=4, resume=True, **options)
    message = str(caught.value)
    assert "the objective is not the same" in message
    assert "It had `return x * 2` and has `return x * 3`." in message
    assert "\n" not in message
    stored = "".join(p.read_text() for p in (tmp_path / "o").iterdir() if p.suffix in (".json", ".log"))
    assert secret not in stored
    tune(objective_of(first + "# only a comment\n", tmp_path), n_trials=3, resume=True, **options)


def _scaled(scale: Any) -> Any:
    calls, log = 0, []

    def objective(params: dict[str, Any], offset: float = 0.0) -> float:
        nonlocal calls
        calls += 1
        log.append(params["x"])
        return float(params["x"] * np.sum(scale) + offset)

    return objective


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (_scaled(1.0), _scaled(2.0), "scale"),
        (_scaled(np.arange(3)), _scaled(np.arange(4)), "scale"),
        (partial(_scaled(1.0), offset=0.5), partial(_scaled(1.0), offset=1.5), "offset"),
    ],
)
def test_a_resumed_run_says_what_its_objective_has_from_outside_and_had_not_before(
    first: Any, second: Any, name: str, tmp_path: Path
) -> None:
    """It goes on: what has changed may be the name of a folder."""
    notes: list[str] = []

    def sink(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    options: dict[str, Any] = {
        "search_space": {"x": (0.0, 1.0)}, "direction": "minimize", "name": "o", "folder": tmp_path,
        "sampler": "random", "seed": 1,
    }  # fmt: skip
    tune(first, n_trials=1, **options)
    tune(first, n_trials=2, resume=True, sinks=[sink], **options)
    assert not [text for text in notes if "from outside" in text]
    assert len(tune(second, n_trials=3, resume=True, sinks=[sink], **options).trials) == 3
    assert [text.split(",")[0] for text in notes if "from outside" in text] == [name]


def test_of_keys_nothing_is_kept() -> None:
    def scored(params: dict[str, Any], api_key: str = "x", rate: float = 42.42) -> float:
        return params["x"] * rate * len(api_key)

    kept = captured_values(scored, None)
    assert [*kept] == ["rate"]
    assert len(kept["rate"]) == 16


def test_a_value_that_cannot_be_compared_keeps_no_run_from_its_start() -> None:
    operator = aslinearoperator(np.eye(2))  # of scipy, with a shape, and no table

    def scored(params: dict[str, Any], weight: float = 2.0) -> float:
        return params["x"] * weight * operator.shape[0]

    assert [*captured_values(scored)] == ["weight"]
    assert tune(scored, search_space={"x": (0.0, 1.0)}, direction="minimize", n_trials=1, seed=0, name="odd")

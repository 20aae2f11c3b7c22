"""Stars and notes on trials, and configurations that are taken back: what a command leaves in the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import CheckProgress
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import WishApplied

SPACE = {"C": (1e-3, 1e3, "log")}
POOR = LogisticRegression(C=1e-6)
CHECKED = {"verify": True, "cv": 2, "scoring": "neg_log_loss"}
"""A run of :data:`POOR` whose gain over the default is checked."""


def after(number: int, do: Callable[[], Any]) -> Callable[[Event], None]:
    def sink(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == number:
            do()

    return sink


def run(data: Any, model: Any, control: Control, *sinks: Callable[[Event], None], **options: Any) -> Any:
    given = {"n_trials": 6, "seed": 1, "sampler": "tpe", "verify": False, "judge": False}
    return tune(model, *data, search_space=SPACE, control=control, sinks=sinks, **{**given, **options})


def test_a_star_and_a_note_are_kept_in_the_study_and_in_the_bundle(data: Any, model: Any) -> None:
    control = Control()
    result = run(
        data,
        model,
        control,
        after(1, lambda: control.wish("note", {"trial": 0, "star": True, "text": "the default"})),
        after(2, lambda: control.wish("note", {"trial": 2, "text": "  odd  "})),
        after(3, lambda: control.wish("note", {"trial": 2, "text": ""})),
    )
    assert result.study.user_attrs[attrs.TRIAL_NOTES] == {"0": {"star": True, "text": "the default"}}
    trials = result.bundle()["trials"]
    assert (trials[0]["star"], trials[0]["note"]) == (True, "the default")
    assert (trials[2]["star"], trials[2]["note"]) == (False, "")


def test_a_note_on_a_trial_that_is_not_there_says_so(data: Any, model: Any) -> None:
    control, seen = Control(), []
    wish = lambda: control.wish("note", {"trial": 40, "star": True})  # noqa: E731
    run(data, model, control, after(1, wish), seen.append)
    assert not [e for e in seen if isinstance(e, WishApplied)]
    assert any("no trial 40" in e.text for e in seen if isinstance(e, Note))


@pytest.mark.parametrize(
    "value", [None, {}, {"star": True}, {"trial": -1}, {"trial": 1.5}, {"trial": 0, "text": "x" * 501}]
)
def test_a_malformed_note_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        Control().wish("note", value)
    assert "\n" not in str(caught.value)


def test_notes_outlive_a_resume(data: Any, model: Any, tmp_path: Path) -> None:
    control = Control()
    wish = lambda: control.wish("note", {"trial": 0, "star": True})  # noqa: E731
    folder = tmp_path / "noted"
    run(data, model, control, after(1, wish), folder=folder)
    result = run(data, model, Control(), n_trials=9, folder=folder, resume=True)
    assert result.bundle()["trials"][0]["star"] is True


def test_a_queued_configuration_that_is_taken_back_never_runs_and_counts_for_nothing(
    data: Any, model: Any, tmp_path: Path
) -> None:
    control = Control()

    def wish() -> None:
        control.wish("enqueue", {"C": 0.125})
        control.wish("dequeue", {"C": 0.125})

    folder = tmp_path / "queued"
    result = run(data, model, control, after(1, wish), folder=folder)
    finished = [t for t in result.trials if t.state.name == "COMPLETE"]
    assert len(finished) == 6, "the run has all of its trials"
    assert all(t.params.get("C") != 0.125 for t in finished)
    result = run(data, model, Control(), n_trials=9, folder=folder, resume=True)
    assert all(t.params.get("C") != 0.125 for t in result.trials), "nor after a resume"


def test_what_does_not_wait_is_not_taken_back(data: Any, model: Any) -> None:
    control, seen = Control(), []
    run(data, model, control, after(1, lambda: control.wish("dequeue", {"C": 0.125})), seen.append)
    assert any("does not wait" in e.text for e in seen if isinstance(e, Note))


def test_each_objective_of_a_trial_is_in_the_bundle() -> None:
    def objective(trial: Any) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return x, 1 - x

    result = tune(objective, n_trials=5, direction=["maximize", "minimize"], seed=1)
    trials = result.bundle()["trials"]
    assert [len(t["values"]) for t in trials] == [2] * 5
    assert trials[3]["values"] == pytest.approx(result.trials[3].values, rel=1e-4)


# ---- after the run's end


def test_notes_and_stars_after_the_run_are_kept_in_study_folder_and_report(
    data: Any, model: Any, tmp_path: Path
) -> None:
    result = run(data, model, Control(), folder=tmp_path)
    seconds = result.bundle()["run"]["seconds"]
    result.note(2, "the <b>one</b> to keep")
    result.note(2, star=True)
    result.note(3, star=True)
    result.note(3, star=False)
    for one in (result, TuneResult.load(result.path)):
        trials = one.bundle()["trials"]
        assert (trials[2]["star"], trials[2]["note"]) == (True, "the <b>one</b> to keep")
        assert trials[3]["star"] is False
        assert one.study.user_attrs[attrs.TRIAL_NOTES] == {
            "2": {"star": True, "text": "the <b>one</b> to keep"}
        }
        assert one.status == "finished"
        assert one.bundle()["run"]["seconds"] == seconds, "a note does not make the run longer"
    assert "to keep" in result.report(tmp_path / "run.html").read_text()
    loaded = TuneResult.load(result.path)
    loaded.note(2, "")
    assert (
        TuneResult.load(result.path).bundle()["trials"][2] | {"star": True, "note": ""}
        == (TuneResult.load(result.path).bundle()["trials"][2])
    )


def test_notes_on_a_run_in_memory_and_on_a_saved_file_are_kept_by_save(
    data: Any, model: Any, tmp_path: Path
) -> None:
    result = run(data, model, Control(), folder="")
    result.note(1, "odd")
    loaded = TuneResult.load(result.save(tmp_path / "run.zip"))
    loaded.note(0, star=True)
    again = TuneResult.load(loaded.save(tmp_path / "again.zip"))
    trials = again.bundle()["trials"]
    assert (trials[1]["note"], trials[0]["star"]) == ("odd", True)


def test_a_resumed_run_keeps_notes_that_were_made_in_between(data: Any, model: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"folder": tmp_path}
    run(data, model, Control(), **options).note(1, "odd")
    result = run(data, model, Control(), n_trials=8, resume=True, **options)
    assert result.bundle()["trials"][1]["note"] == "odd"
    assert result.study.user_attrs[attrs.TRIAL_NOTES]["1"]["text"] == "odd"
    assert len(result.trials) == 8


def test_a_note_on_a_run_that_another_process_goes_on_with_is_sent_to_it(
    data: Any, model: Any, tmp_path: Path
) -> None:
    control = Control()

    def note() -> None:
        TuneResult.load(next(tmp_path.glob("*/study.log")).parent).note(0, "from outside")

    result = run(data, model, control, after(1, note), folder=tmp_path, n_trials=12)
    assert result.bundle()["trials"][0]["note"] == "from outside"


@pytest.mark.parametrize(
    ("trial", "text"), [(6, "x"), (-1, "x"), (1.5, "x"), ("a", "x"), (0, "x" * 501), (0, None)]
)
def test_a_note_that_cannot_be_kept_says_so_in_one_line(data: Any, model: Any, trial: Any, text: Any) -> None:
    result = run(data, model, Control(), folder="")
    with pytest.raises(InputError) as caught:
        result.note(trial, text)
    assert "\n" not in str(caught.value)
    assert attrs.TRIAL_NOTES not in result.study.user_attrs


@pytest.mark.parametrize("moment", ["check", "importances", "end"])
def test_a_mark_is_kept_whenever_it_comes(
    data: Any, moment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    control, seen = Control(), []
    star = {"trial": 2, "star": True}

    def sink(event: Event) -> None:
        seen.append(event)
        is_check = isinstance(event, CheckProgress) and event.done == 1
        is_now = {"check": is_check, "end": isinstance(event, RunFinished)}
        if is_now.get(moment):
            control.wish("note", star)

    if moment == "importances":
        wishes = iter([lambda: control.wish("note", star)])
        monkeypatch.setattr(TuneResult, "importances", lambda self: [do() for do in wishes] and {})
    result = run(data, POOR, control, sink, folder=tmp_path, **CHECKED)
    monkeypatch.undo()
    assert [e.value["trial"] for e in seen if isinstance(e, WishApplied)] == [2]
    for one in (result, TuneResult.load(result.path)):
        assert one.bundle()["trials"][2]["star"] is True
        assert one.study.user_attrs[attrs.TRIAL_NOTES] == {"2": {"star": True, "text": ""}}


def test_a_mark_that_comes_with_a_stop_is_kept(data: Any, model: Any) -> None:
    control = Control()

    def commands() -> None:
        control.wish("note", {"trial": 1, "text": "odd"})
        control.wish("stop")

    result = run(data, model, control, after(2, commands), n_trials=50)
    assert (result.status, result.bundle()["trials"][1]["note"]) == ("stopped", "odd")


def test_during_the_closing_check_a_stop_works_and_what_is_too_late_is_told(data: Any) -> None:
    control, seen = Control(), []
    live, answers = LiveRun(control), []

    def sink(event: Event) -> None:
        live.sink(event)
        seen.append(event)
        if isinstance(event, CheckProgress) and event.done == 1:
            live.receive({"wish": "extend", "value": 5, "id": "v1"}, answers.append)
            live.receive({"wish": "note", "value": {"trial": 1, "star": True}, "id": "v2"}, answers.append)
            live.receive({"wish": "stop", "id": "v3"}, answers.append)
            control.wish("extend", 5)  # as it comes from the run's folder

    result = run(data, POOR, control, sink, **CHECKED)
    assert [(a["ack"], a["ok"]) for a in answers] == [("v1", False), ("v2", True), ("v3", True)]
    assert answers[0]["error"] == "The trials have ended. Run it again with --resume and more trials."
    assert [(e.wish, e.id) for e in seen if isinstance(e, WishApplied)] == [("note", "v2"), ("stop", "v3")]
    assert "extend is not applied: the trials have ended." in [e.text for e in seen if isinstance(e, Note)]
    assert "user stopped it" in str(result.summary["verification"])

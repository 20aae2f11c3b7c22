"""Stars and notes on trials, and configurations that are taken back: what a command leaves in the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import WishApplied

SPACE = {"C": (1e-3, 1e3, "log")}


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

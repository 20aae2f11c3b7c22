"""The runs that the dashboard compares: those of the kernel and those that the folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard import curves
from sllmbo_magic.dashboard import runs
from sllmbo_magic.dashboard.curves import curve
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.tuning.archive import stored_events
from tests.sample_run import run_events


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "_entries", [])
    monkeypatch.chdir(tmp_path)


def asked(live: LiveRun) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    live.receive({"get": "compare"}, answers.append)
    (answer,) = answers
    return list(answer["curves"])


def test_runs_of_kernel_and_folder_are_told_and_each_once(data: Any, model: Any) -> None:
    options: dict[str, Any] = {"n_trials": 4, "sampler": "tpe", "verify": False, "judge": False}
    stored = tune(model, *data, name="stored", seed=1, **options)
    live = LiveRun(Control())
    tune(model, *data, name="here", seed=2, sinks=[live.sink], **options)
    runs.add(live)
    other = runs.add(LiveRun(Control()))
    for event in run_events(20, name="beside"):
        other.sink(event)
    told = asked(live)
    assert sorted(c["name"] for c in told) == ["beside", "here", "stored"]
    assert told[0]["name"] == "here"
    assert [c["here"] for c in told] == [True, False, False]
    of_stored = next(c for c in told if c["name"] == "stored")
    assert of_stored["best_value"] == pytest.approx(stored.best_value, rel=1e-4)
    assert of_stored["steps"][-1][2] == pytest.approx(stored.best_value, rel=1e-4)
    assert of_stored["steps"][-1][0] == 3


def test_a_broken_folder_hides_no_other_run(data: Any, model: Any) -> None:
    tune(model, *data, name="good", n_trials=3, sampler="tpe", verify=False, judge=False)
    broken = Path(".sllmbo") / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{}")
    (broken / "transcript.jsonl").write_text("no json\n")
    live = LiveRun(Control())
    for event in run_events(5, name="live"):
        live.sink(event)
    names = [c["name"] for c in asked(live)]
    assert "good" in names


@pytest.mark.parametrize(("direction", "pick"), [("maximize", max), ("minimize", min)])
def test_the_best_so_far_follows_the_direction_over_trials_and_seconds(direction: str, pick: Any) -> None:
    view = RunView()
    for event in run_events(30):
        view.apply(event)
    bundle = view.snapshot()
    bundle["run"]["direction"] = direction
    steps = curve(bundle, here=True, id="x")["steps"]
    values = [t["value"] for t in bundle["trials"] if t["state"] == "COMPLETE"]
    assert [s[2] for s in steps] == [pick(values[: i + 1]) for i in range(len(values))]
    seconds = [s[1] for s in steps]
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(sum(t["seconds"] for t in bundle["trials"]), abs=0.01)


def test_a_stored_run_is_read_again_only_where_it_changed(
    data: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"n_trials": 3, "sampler": "tpe", "verify": False, "judge": False}
    result = tune(model, *data, name="stored", **options)
    tune(model, *data, name="other", **options)
    read: list[str] = []

    def counted(transcript: Path) -> Any:
        read.append(transcript.parent.name)
        return stored_events(transcript)

    monkeypatch.setattr(curves, "stored_events", counted)
    live = LiveRun(Control())
    for event in run_events(5, name="live"):
        live.sink(event)
    first = asked(live)
    assert sorted(read) == ["other", "stored"]
    assert asked(live) == first
    assert len(read) == 2, "nothing changed, so nothing is read"
    tune(model, *data, name="stored", resume=True, **{**options, "n_trials": 5})
    changed = next(c for c in asked(live) if c["name"] == "stored")
    assert read[2:] == ["stored"]
    assert changed["n_trials"] == 5
    assert result.name == "stored"

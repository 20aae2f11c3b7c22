"""Run the quickstart notebook from top to bottom and say what the search gained (``make demo``).

The executed notebook, its HTML and the run's folder are left in ``demo-output/``.
"""

from __future__ import annotations

import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from sllmbo_magic.storage.runs import RunInfo
from sllmbo_magic.storage.runs import list_runs
from sllmbo_magic.task.display_metric import display_metric

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "quickstart.ipynb"
OUTPUT = HERE.parent / "demo-output"


def main() -> int:
    """Exit code 0 if every cell ran and a run was finished."""
    OUTPUT.mkdir(exist_ok=True)
    started = time.time()
    try:
        executed, page = execute(NOTEBOOK, OUTPUT)
    except CellExecutionError as error:
        print(f"\n{NOTEBOOK.name} failed:\n{error}", file=sys.stderr)
        return 1
    runs = [run for run in list_runs(OUTPUT / ".sllmbo") if run.updated >= started]
    if not runs:
        print(f"{NOTEBOOK.name} ran, but it made no run.", file=sys.stderr)
        return 1
    for run in sorted(runs, key=lambda run: run.updated):
        print(f"\n{report(run)}")
    print(f"\nNotebook  {shown(executed)}\nHTML      {shown(page)}")
    return 0


def execute(notebook: Path, folder: Path) -> tuple[Path, Path]:
    """Execute a notebook with a folder as its working directory; gives the executed notebook and its HTML."""
    content = nbformat.read(notebook, as_version=4)
    total = sum(cell.cell_type == "code" for cell in content.cells)
    seen = 0

    def on_cell(cell: Any, cell_index: int) -> None:
        nonlocal seen
        if cell.cell_type == "code":
            seen += 1
            first = next((line for line in cell.source.splitlines() if line.strip()), "")
            print(f"cell {seen}/{total}  {first[:70]}", flush=True)

    client = NotebookClient(
        content,
        timeout=600,
        extra_arguments=["--log-level=ERROR"],  # not that the loopback is not encrypted
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=on_cell,
    )
    client.execute()
    executed = folder / notebook.name
    nbformat.write(content, executed)
    page = executed.with_suffix(".html")
    text, _ = HTMLExporter().from_notebook_node(content)
    page.write_text(text, encoding="utf-8")
    return executed, page


def report(run: RunInfo) -> str:
    """What a run gained over the library's defaults, in a few aligned lines."""
    summary = json.loads((run.path / "run.json").read_text(encoding="utf-8")).get("summary") or {}
    verification = summary.get("verification") or {}
    metric = display_metric(run.metric)
    rows = [
        ("Run", f"{run.name} ({run.status})"),
        ("Metric", f"{metric.label}, {metric.better}"),
        ("Default", number(metric.shown(summary.get("default_value")))),
        ("Best", number(metric.shown(summary.get("best_value")))),
        ("Gain", signed(summary.get("gain"))),
        ("  re-scored on fresh folds", signed(verification.get("gain"))),
        ("  standard error of that", number(verification.get("noise"))),
        ("  verdict", verification.get("verdict") or "not verified"),
        ("Trials", f"{run.n_done} of {run.n_trials}"),
        ("Seconds", f"{summary.get('seconds', float('nan')):.0f}"),
        ("Folder", shown(run.path)),
    ]
    lines = [f"{name:<28}{value}" for name, value in rows]
    return "\n".join([*lines, *textwrap.wrap(verification.get("text") or "", 100)])


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def shown(path: Path) -> str:
    """The path as seen from where make was called."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())

"""Run the example notebooks from fresh kernels and save them with their outputs.

    python examples/save.py              # all that can run here
    python examples/save.py text compare # these

Saved notebooks are read on GitHub, without a kernel, so they hold pictures and text. What changes from run to
run without a meaning (times of cells, state of widgets) is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
LARGEST = 500_000
"""Bytes of a saved notebook; GitHub shows larger ones slowly or not at all."""


def notebooks() -> list[Path]:
    return sorted(HERE.glob("*.ipynb"))


def execute(notebook: NotebookNode, folder: Path, timeout: float = 600) -> NotebookNode:
    """Run all cells in a fresh kernel that works in ``folder``, with the examples' data beside it.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed that is not tagged ``raises-exception``.
    """
    shutil.copytree(HERE / "data", folder / "data", dirs_exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        extra_arguments=["--log-level=ERROR"],
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    client.execute(env=environment)
    return notebook


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Without what differs between two runs and means nothing to a reader."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
    return notebook


def faults(text: str) -> list[str]:
    """Why a notebook cannot be saved as it is: too large, or with a path of this machine."""
    found = []
    if len(text.encode()) > LARGEST:
        found.append(f"{len(text.encode()):,} bytes, more than {LARGEST:,}")
    for path in {str(Path.home()), str(HERE.parent), tempfile.gettempdir()} - {"/"}:
        if match := re.search(rf"{re.escape(path)}/.{{0,60}}", text):
            found.append(f"a path of this machine: {match[0]}")
    return found


def main(names: list[str]) -> int:
    wrong = 0
    for path in notebooks():
        if names and path.stem not in names:
            continue
        started = time.time()
        with tempfile.TemporaryDirectory() as folder:
            notebook = tidy(execute(nbformat.read(path, as_version=4), Path(folder)))
        text = nbformat.writes(notebook) + "\n"
        problems = faults(text)
        wrong += bool(problems)
        print(
            f"{path.name:24} {time.time() - started:4.0f} s  {len(text.encode()):>8,} bytes",
            *problems,
            sep="  ",
        )
        if not problems:
            path.write_text(text, encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

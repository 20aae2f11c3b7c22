"""nbconvert and papermill: they wait for the run, and the notebook that they write shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.magic.conftest import environment
from tests.marks import long

LOAD = "%load_ext sllmbo_magic"
TUNE = """%%sllmbo best --direction maximize --trials 4 --seed 1
def objective(params):
    return -(params["x"] - 1) ** 2
search_space = {"x": (-5.0, 5.0)}"""
NEXT = "print('trials:', len(best.trials), best.status)"


def executed(tool: str, cells: list[str], folder: Path) -> tuple[int, NotebookNode, str]:
    """Run a notebook by a tool: its exit code, the notebook that it wrote, and what it said."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "in.ipynb")
    command = {
        "nbconvert": ["nbconvert", "--to", "notebook", "--execute", "in.ipynb", "--output", "out.ipynb"],
        "papermill": ["papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"],
    }[tool]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    out = folder / "out.ipynb"
    read = nbformat.read(out, as_version=4) if out.exists() else nbformat.v4.new_notebook()
    return done.returncode, read, done.stdout + done.stderr


@pytest.mark.parametrize("tool", ["nbconvert", long("papermill")])
def test_the_notebook_waits_and_shows_the_run(tool: str, tmp_path: Path) -> None:
    code, notebook, said = executed(tool, [LOAD, TUNE, NEXT], tmp_path)
    assert code == 0, said
    tune, after = [cell for cell in notebook.cells if cell.cell_type == "code"][-2:]
    assert after.outputs[0].text == "trials: 4 finished\n"
    pictures = [output.data for output in tune.outputs if output.output_type == "display_data"]
    assert len(pictures) == 1, "one picture, no trace of the live view"
    assert {"image/png", "text/html", "text/plain", "application/vnd.sllmbo.run+json"} <= set(pictures[0])
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("tool", ["nbconvert", long("papermill")])
def test_a_failing_cell_fails_the_notebook_by_its_one_line(tool: str, tmp_path: Path) -> None:
    code, notebook, said = executed(tool, [LOAD, TUNE.replace("--trials", "--trails"), NEXT], tmp_path)
    sentence = "unknown option '--trails' of %%sllmbo. Did you mean '--trials'?"
    assert code != 0
    assert f"InputError: {sentence}" in said
    if tool == "papermill":  # nbconvert writes no notebook then
        errors = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
        assert [error.ename for error in errors] == ["InputError"]
        assert errors[0].evalue.startswith(sentence)
        assert errors[0].traceback == [f"InputError: {errors[0].evalue}"], "one line for a person"

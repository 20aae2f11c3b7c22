"""The quickstart notebook: clean, short, and what it says is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from sllmbo_magic.llm.registry import parse as parse_llm
from sllmbo_magic.magic.commands import parse as parse_command
from sllmbo_magic.magic.spec import parse_line
from tests.magic.conftest import environment

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


@pytest.fixture
def notebook() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_committed_without_outputs(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_all_that_it_names_exists(notebook: NotebookNode) -> None:
    """Options, line commands and providers, in cells and in the text."""
    text = "\n".join(cell.source for cell in notebook.cells)
    for line in re.findall(r"^%%sllmbo (.*)$", text, re.MULTILINE):
        parse_line(line)
    for line in re.findall(r"(?<!%)%sllmbo (\w+(?: \w+)?)", text):
        parse_command(line)
    for option in re.findall(r"`(--[a-z-]+)[ `]", text):
        assert option == "--llm" or parse_line(option)
    for llm in re.findall(r"--llm ([\w.:-]+)", text):
        parse_llm(llm)
    assert "rulebook" in text


def test_it_runs(notebook: NotebookNode, tmp_path: Path) -> None:
    """With fewer trials; ``make demo`` runs all of them."""
    for cell in notebook.cells:
        cell.source = cell.source.replace("--trials 40", "--trials 3")
    nbformat.write(notebook, tmp_path / "quickstart.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", "quickstart.ipynb"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "quickstart.ipynb", as_version=4)
    (search,) = [cell for cell in executed.cells if cell.source.startswith("%%sllmbo diabetes --metric")]
    (picture,) = [output for output in search.outputs if output.output_type == "display_data"]
    assert "image/png" in picture.data
    assert "fresh folds" in picture.data["text/plain"]

"""The documentation site is built without a warning, and its pages that are made from code are complete."""

from __future__ import annotations

import ast
import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

import sllmbo_magic
from sllmbo_magic import errors
from sllmbo_magic.priors import FAMILIES
from sllmbo_magic.priors import Facts
from tests.docs.pages import ROOT

PACKAGE = ROOT / "sllmbo_magic"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; links and anchors between its pages are checked as it is built, and a warning fails."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "WARNING" not in done.stderr
    return folder


def test_the_reference_documents_every_public_name(site: Path) -> None:
    page = (site / "reference" / "api.html").read_text(encoding="utf-8")
    for name in sllmbo_magic.__all__:
        assert re.search(rf'id="sllmbo_magic\.[\w.]*\b{name}"', page), name
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert "n_trials: int = 50" in text  # the option table's default, not the name of an object
    assert "DEFAULT." not in text


def test_every_page_is_whole_without_a_network(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', text)
        assert [url for url in loaded if "canonical" not in url] == [], path.name


def test_the_example_notebooks_are_pages_with_their_pictures(site: Path) -> None:
    page = (site / "examples" / "quickstart.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="(quickstart-\d+\.png)"', page)
    assert pictures
    assert all((site / "examples" / name).stat().st_size > 1000 for name in pictures)


@pytest.mark.long
def test_the_notebooks_are_readable_in_jupyterlite(tmp_path: Path) -> None:
    pytest.importorskip("jupyterlite_core")
    command = [sys.executable, "-m", "jupyterlite_core.app", "build", "--contents", str(ROOT / "examples")]
    subprocess.run([*command, "--output-dir", "lite"], cwd=tmp_path, check=True, capture_output=True)
    notebook = nbformat.read(tmp_path / "lite" / "files" / "quickstart.ipynb", as_version=4)
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    listing = json.loads((tmp_path / "lite" / "api" / "contents" / "all.json").read_text(encoding="utf-8"))
    assert "quickstart.ipynb" in [file["name"] for file in listing["content"]]


def test_the_page_of_errors_has_every_class_of_errors() -> None:
    meaning = load("_errors").MEANING
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SllmboError) and name != "SllmboError"
    }
    assert set(meaning) == classes


def test_the_page_of_errors_has_every_message_of_the_code() -> None:
    """Counted another way: each place that makes an error with words of its own."""
    module = load("_errors")
    listed = {(message.place, message.text) for message in module.messages(PACKAGE)}
    page = module.page(PACKAGE)
    seen = 0
    for path in PACKAGE.rglob("*.py"):
        place = str(path.relative_to(PACKAGE).with_suffix(""))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            if node.func.id not in module.MEANING or not isinstance(node.args[0], ast.Constant):
                continue
            seen += 1
            assert (place, node.args[0].value) in listed
            assert module._cell(node.args[0].value) in page
    assert seen > 60
    assert len(listed) > 150


def test_the_page_of_errors_has_the_notes_of_a_run() -> None:
    module = load("_errors")
    listed = [text for text, _ in module.notes(PACKAGE)]
    page = module.page(PACKAGE)
    for words in (
        "The storage is back: the run goes on",
        "trials wait in memory until it can be",
        "Folds keep groups together",
        "count as different classes",
    ):
        assert [text for text in listed if words in text], words
        assert words in page
    assert len(listed) >= 25


def test_a_message_says_what_it_fills_in() -> None:
    module = load("_errors")
    node = ast.parse('f"cv={k} needs {k} rows, but there are {len(rows)}: {task.name!r}."', mode="eval").body
    assert list(module._texts(node)) == ["cv=⟨k⟩ needs ⟨k⟩ rows, but there are ⟨rows⟩: ⟨task⟩."]


def test_the_page_of_priors_is_current() -> None:
    page = (ROOT / "docs" / "priors.md").read_text(encoding="utf-8")
    assert page == load("_priors").markdown(), "run: python docs/_priors.py > docs/priors.md"


def test_the_page_of_priors_names_every_source_that_is_used() -> None:
    page = load("_priors").markdown()
    sources = {row.source.removeprefix("after ") for f in FAMILIES for row in f.table(Facts()).ranges}
    for source in sources:
        assert page.count(source) >= 2  # in a table and among the references
    for family in FAMILIES:
        assert f"## {family.name}\n" in page

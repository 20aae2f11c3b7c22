"""The pages on providers say what is true: their cells parse, their tables are complete, their code runs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import sllmbo_magic.llm
from sllmbo_magic.llm import credentials
from sllmbo_magic.llm.registry import NO_LLM
from sllmbo_magic.llm.registry import list_providers
from sllmbo_magic.llm.registry import parse

DOCS = Path(__file__).parents[2] / "docs"
PROVIDERS = (DOCS / "providers.md").read_text("utf-8")
SOURCES = "".join(p.read_text("utf-8") for p in Path(inspect.getfile(sllmbo_magic.llm)).parent.rglob("*.py"))


def test_every_provider_that_is_named_is_one():
    named = re.findall(r"--llm ([\w-]+(?::[^\s`]+)?)", PROVIDERS)
    assert len(named) >= 8
    for spec in named:
        if spec not in NO_LLM and not spec.startswith("acme"):
            parse(spec)


def test_every_provider_has_a_row_and_its_variables():
    for info in list_providers():
        assert f"| `{info.id}" in PROVIDERS
    for source in credentials.SOURCES.values():
        if source.required:
            assert source.variables[0] in PROVIDERS


def test_every_provider_with_a_model_has_a_cell():
    cells = re.findall(r"```\n%%sllmbo \w+ --llm \"?([\w-]+)", PROVIDERS)
    assert set(cells) == {info.id for info in list_providers()} - {"rulebook"}


def test_every_category_of_error_is_explained():
    raised = set(re.findall(r'(?:category|why)="([a-z-]+)"', SOURCES)) | set(
        re.findall(r'_unusable\("([a-z-]+)"', SOURCES)
    )
    explained = set(re.findall(r"`([a-z-]+)`", PROVIDERS.partition("When something goes wrong")[2]))
    assert len(raised) > 20
    assert raised - explained == set()


@pytest.mark.parametrize("page", ["providers.md", "what-is-sent.md"])
def test_the_pages_links_and_files_exist(page):
    text = (DOCS / page).read_text("utf-8")
    for path in re.findall(r"`(sllmbo_magic/[\w/.]+)`", text):
        assert (DOCS.parent / path).exists()


def test_the_example_of_an_own_provider_runs():
    blocks = re.findall(r"```python\n(.*?)```", PROVIDERS.partition("A provider of your own")[2], re.DOTALL)
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)
    assert "Acme" in scope

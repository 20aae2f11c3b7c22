"""README and docs say what is true: their code runs; options, commands, links and make targets exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sllmbo_magic import options
from sllmbo_magic.magic import spec
from tests.magic.conftest import Shell

HERE = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "benchmarks/README.md",
    *(f"docs/{p.name}" for p in sorted((HERE / "docs").glob("*.md"))),
]
OF_COMMANDS = {"--run"}
"""Options of line commands that no table has."""


def text_of(page: str) -> str:
    return (HERE / page).read_text(encoding="utf-8")


def code_of(page: str) -> str:
    """All that stands in a block of code or between backticks, a line each."""
    text = text_of(page)
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(
        r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    )
    return "\n".join([*blocks, *spans])


def test_the_code_of_the_readme_runs_in_its_order(shell: Shell) -> None:
    pytest.importorskip("lightgbm")
    blocks = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        shell.ok(
            re.sub(r"--trials \d+", "--trials 3 --no-widget", block).replace("n_trials=10", "n_trials=3")
        )
    diabetes = shell.user_ns["diabetes"]
    attributes = re.findall(r"`diabetes\.(\w+)", text_of("README.md"))
    assert len(attributes) >= 4
    assert [name for name in attributes if not hasattr(diabetes, name)] == []
    assert len(shell.user_ns["study"].trials) == 20


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", text_of(page))
    missing = [x for x in links if not x.startswith("https://") and not ((HERE / page).parent / x).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_option_and_command_exists(page: str) -> None:
    code = code_of(page)
    known = {*options.BY_SPELLING, *(s for o in options.COMPARE_OPTIONS for s in o.spellings), *OF_COMMANDS}
    if page != "benchmarks/README.md":  # whose scripts have options of their own
        assert set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w/-])", code)) - known == set()
    named = re.findall(r"(?<!%)%sllmbo ([a-z]+)", code)
    assert set(named) - set(options.BY_NAME) == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_cell_has_a_line_that_parses(page: str) -> None:
    for line in re.findall(r"^%%sllmbo (?!NAME)(.*)$", text_of(page), re.MULTILINE):
        spec.parse_line(line)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", text_of("README.md"), re.MULTILINE))
    assert len(named) >= 3
    assert named - targets == set()

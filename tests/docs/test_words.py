"""What README, docs and examples name exists: options, line commands, providers, links, make targets."""

from __future__ import annotations

import re

import nbformat
import pytest

from sllmbo_magic import options
from sllmbo_magic.llm import registry
from sllmbo_magic.magic import command_table
from sllmbo_magic.magic import spec
from tests.docs.pages import PAGES
from tests.docs.pages import ROOT
from tests.docs.pages import text_of

NOTEBOOKS = sorted(f"examples/{path.name}" for path in (ROOT / "examples").glob("*.ipynb"))
TEXTS = [*PAGES, "benchmarks/README.md", "examples/data/README.md", *NOTEBOOKS]
WITHOUT_A_ROW = {"--help", "--run"}
"""Options in no table: the help of a cell, and the run that a line command steers."""
OF_OTHER_PROGRAMS = {"tensorboard": {"--logdir"}, "pip install": {"--index-url"}}
"""Programs that a page may call with options, and which ones."""
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w/-])")

MADE_WITH_THE_SITE = {"reference/errors.md"}


def words_of(page: str) -> str:
    """The text of a page; of a notebook, the sources of its cells."""
    if not page.endswith(".ipynb"):
        return text_of(page)
    return "\n\n".join(
        cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
        for cell in nbformat.read(ROOT / page, as_version=4).cells
    )


def code_of(page: str) -> str:
    """All that stands in a block of code or between backticks, a line each; without commands of a shell."""
    text = re.sub(r"^```(?:sh|diff)\n.*?^```", "", words_of(page), flags=re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    code = "\n".join([*blocks, *re.findall(r"(?<!`)`([^`]+)`(?!`)", rest)])
    return re.sub(r"command:[^\"'\n]*", "command:", code)  # options of another program


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", words_of(page))
    local = [link for link in links if not link.startswith("https://")]
    missing = [
        link
        for link in local
        if not ((ROOT / page).parent / link).exists()
        and not any(link.endswith(m) for m in MADE_WITH_THE_SITE)
    ]
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_every_file_that_is_named_exists(page: str) -> None:
    named = re.findall(
        r"`((?:sllmbo_magic|labextension|tests|benchmarks|examples|docs)/[\w./-]+)`", text_of(page)
    )
    built = ("sllmbo_magic/static", "sllmbo_magic/labextension")
    missing = [path for path in named if not path.startswith(built) and not (ROOT / path).exists()]
    assert missing == []


def options_of(line: str) -> set[str]:
    """The options that may stand in a line of code: those of the program that it calls."""
    for program, spellings in OF_OTHER_PROGRAMS.items():
        if line.lstrip("!%$ ").startswith(program):
            return spellings
    if script := re.search(r"(?<![\w/])(?:benchmarks/)?(\w+\.py) ", line):
        path = ROOT / "benchmarks" / script[1]
        if path.exists():
            return set(re.findall(r'add_argument\("(--[a-z-]+)"', path.read_text(encoding="utf-8")))
    spellings = {*options.BY_SPELLING, *WITHOUT_A_ROW}
    if line.startswith("--") or re.match(r"(?:%sllmbo )?compare ", line):
        spellings.update(spelling for option in options.COMPARE_OPTIONS for spelling in option.spellings)
    return spellings


@pytest.mark.parametrize("page", TEXTS)
def test_every_option_and_command_exists(page: str) -> None:
    code = code_of(page)
    wrong = [
        (option, line)
        for line in code.splitlines()
        for option in OPTION.findall(line)
        if option not in options_of(line)
    ]
    assert wrong == []
    assert set(re.findall(r"(?<!%)%sllmbo ([a-z]+)", code)) - set(command_table.BY_NAME) == set()


@pytest.mark.parametrize("page", TEXTS)
def test_every_benchmark_in_a_command_exists_with_its_options(page: str) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", words_of(page), re.DOTALL | re.MULTILINE)
    for line in re.sub(r"\\\n", "", "\n".join(blocks)).splitlines():
        if script := re.search(r"benchmarks/\w+\.py", line):
            assert (ROOT / script[0]).exists(), line
            arguments = line.partition(script[0])[2].partition("#")[0]
            assert set(OPTION.findall(arguments)) <= options_of(f"{script[0]} "), line


def test_an_option_of_another_program_is_no_option_of_a_cell() -> None:
    assert "--data" in options_of("real_data.py rescore --data DIR")
    for line in ("%%sllmbo --data DIR", "--data DIR", "no_harm.py --data DIR", "tensorboard --data DIR"):
        assert "--data" not in options_of(line), line
    assert "--ablate" in options_of("%sllmbo compare churn --ablate init")
    assert "--ablate" not in options_of("%%sllmbo churn --ablate init")


@pytest.mark.parametrize("page", TEXTS)
def test_every_cell_has_a_line_that_parses(page: str) -> None:
    for line in re.findall(r"^`?%%sllmbo (?!NAME|\[NAME)([^`\n]*)", words_of(page), re.MULTILINE):
        spec.parse_line(line)


@pytest.mark.parametrize("page", TEXTS)
def test_every_provider_that_is_named_exists(page: str) -> None:
    for llm in re.findall(r"--llm ([a-z-]+:[^\s`]+)", code_of(page)):
        if not llm.startswith("acme:"):
            registry.parse(llm)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"^make ([a-z-]+)", text_of(page), re.MULTILINE))
        assert named, page
        assert named <= targets


def test_the_readme_names_what_a_result_has() -> None:
    from sllmbo_magic import TuneResult

    attributes = set(re.findall(r"`diabetes\.(\w+)", text_of("README.md")))
    assert len(attributes) >= 4
    assert {name for name in attributes if not hasattr(TuneResult, name) and name != "study"} == set()

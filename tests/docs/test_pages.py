"""README and docs say what is true: every block of code runs, in its page's order, a shell for each page."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import PAGES
from tests.docs.pages import ROOT
from tests.docs.pages import blocks_of
from tests.docs.pages import shortened
from tests.docs.pages import text_of
from tests.magic.conftest import Shell
from tests.magic.conftest import shell  # noqa: F401

NOT_PROGRAMS = {"text", "sh", "toml", "json", "diff", "ts"}
"""Languages of blocks that are no Python: output, commands, settings, changes."""

NOT_EXECUTED = {"docs/migrate/wandb.md": 1, "docs/migrate/ray-tune.md": 1, "docs/how-to/workers.md": 1}
"""Pages with blocks that this machine cannot execute, and how many; each says so to its reader."""

ASKS_AN_LLM = re.compile(r"--llm (?!rulebook\b|\{)\S+")


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.is_cell for b in blocks_of(page))])
def test_every_program_of_the_page_runs(
    page: str,
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_: "typed-by-nobody")
    monkeypatch.setenv("OPENAI_API_KEY", "")  # a page sets it; it is gone after the test
    monkeypatch.setenv("WANDB_MODE", "offline")
    program = Path(
        "bin", "llm"
    )  # that a page names: a dry run looks whether it is there, and does not start it
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent.absolute()), prepend=os.pathsep)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # reports go to a server
    shutil.copytree(ROOT / "examples" / "data", "data")
    shell.ok("%load_ext sllmbo_magic")
    skipped = []
    for block in blocks_of(page):
        if not block.is_cell or block.not_executed:
            continue
        if block.missing:
            skipped.append(f"{block}: {', '.join(block.missing)}")
            continue
        code = shortened(block.code)
        if (
            ASKS_AN_LLM.search(code) and "--dry-run" not in code
        ):  # shown, not sent: nothing here may reach a server
            code = re.sub(r"^(%%sllmbo .*)$", r"\1 --dry-run", code, flags=re.MULTILINE)
        result = shell.run(code)
        is_not_recorded = "--llm replay:" in code and "no recorded run at" in str(result.error_in_exec)
        assert result.success or is_not_recorded, f"{block}\n{code}\n{shell.out}{shell.err}"
    if skipped:
        pytest.skip("not installed for " + "; ".join(skipped))


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_what_it_is(page: str) -> None:
    for block in blocks_of(page):
        assert block.is_cell or block.language in NOT_PROGRAMS, f"{block} has no language"
        if block.language == "json":
            json.loads(block.code)
        if block.language == "toml":
            tomllib.loads(block.code)
        if block.not_executed:
            ast.parse(block.code)


def test_a_page_with_a_block_that_is_not_executed_says_so() -> None:
    counts = {page: sum(bool(b.not_executed) for b in blocks_of(page)) for page in PAGES}
    assert {page: n for page, n in counts.items() if n} == NOT_EXECUTED
    for page in NOT_EXECUTED:
        assert re.search(r"not executed\*{0,2} by our tests", text_of(page))

"""Any program as a provider, from a cell: the quoted value reaches it, in a run and in the doctor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .conftest import Shell

PROGRAM = """
import json, re, sys
prompt = sys.stdin.read()
if "ready" in prompt:
    print(json.dumps({"ready": True, "number": 7}))
else:
    values = [(i + 1) / 7 + len(prompt) % 97 / 1e4 for i in range(5)]
    rows = [{"reason": sys.argv[1], "expects": "explore", "params": {"x": x}} for x in values]
    print(json.dumps({"reasoning": "r", "space": [], "space_changes": [], "configurations": rows}))
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    """What stands after ``command:``, with a blank in an argument."""
    path = tmp_path / "ask.py"
    path.write_text(PROGRAM)
    return f"{sys.executable} {path} 'two words'"


def test_a_quoted_command_serves_a_cell(shell: Shell, command: str) -> None:
    cell = "def objective(params): return params['x']\nsearch_space = {'x': (0.0, 1.0)}"
    line = f'--direction minimize --trials 6 --seed 1 --no-widget --llm "command:{command}"'
    shell.ok(f"%%sllmbo served {line}\n{cell}")
    trials = shell.user_ns["served"].trials
    reasons = {t.user_attrs["sllmbo:provenance"].get("reason") for t in trials}
    assert "two words" in reasons


def test_the_doctor_takes_a_quoted_command(shell: Shell, command: str) -> None:
    out = shell.ok(f'%sllmbo doctor "command:{command}"')
    assert "FAILED" not in out
    assert "structured output" in out


def test_a_program_that_is_not_there_is_one_line(shell: Shell) -> None:
    out = shell.ok('%sllmbo doctor "command:no-such-program -x"')
    assert "there is no program 'no-such-program'" in out

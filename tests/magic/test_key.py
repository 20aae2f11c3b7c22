"""``%sllmbo key``: a key is typed without being shown, and is nowhere but in memory."""

from __future__ import annotations

import getpass
from typing import Any

import pytest

from sllmbo_magic.llm import credentials


def test_a_key_is_asked_for_and_never_shown(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_prompted", {})
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "sk-typed-0123456789abcdef")
    said = shell.ok("%sllmbo key openai")
    assert "openai" in said
    assert "typed" not in said
    found = credentials.find_key("openai")
    assert found is not None
    assert found.reveal() == "sk-typed-0123456789abcdef"


def test_an_unknown_provider_is_one_line(shell: Any) -> None:
    assert not shell.run("%sllmbo key nobody").success
    assert "Allowed: openai" in shell.err + shell.out

"""The LLM layer's tests: real SDKs, a real server on this machine, no key of the user's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sllmbo_magic.llm import credentials
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.providers import capabilities
from sllmbo_magic.testing import block_network_requests

SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": ["number", "null"]}, "kind": {"enum": ["a", "b"]}},
    "required": ["x", "kind"],
    "additionalProperties": False,
}


def request(text: str = "question", **fields) -> Request:
    """A request with a system turn and one question."""
    return Request((Message("system", "You tune."), Message("user", text)), **fields)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for source in credentials.SOURCES.values():
        for variable in (*source.variables, source.sdk or "UNUSED"):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "SLLMBO_PRICES"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr(capabilities, "_learned", {})
    monkeypatch.setattr(credentials, "_prompted", {})
    with block_network_requests(allow_commands=True):
        yield

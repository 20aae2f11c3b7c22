"""A small real task that fits in milliseconds, and runs against a loopback server through the real SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.loopback import LoopbackServer
from tests.loopback import Received
from tests.replies import Responder


@pytest.fixture(scope="session")
def data() -> tuple[Any, Any]:
    """60 rows, 3 columns, two classes that overlap."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + rng.normal(scale=0.8, size=60) > 0).astype(int)
    return X, y


@pytest.fixture
def model() -> LogisticRegression:
    """Fits in a millisecond and has an expert prior."""
    return LogisticRegression(max_iter=50)


def text_of(seen: Received) -> str:
    """All text of a request that arrived at the server, whichever protocol it speaks."""
    parts: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(seen.body)
    return "\n".join(parts)


class Server(LoopbackServer):
    """A loopback server that answers our two questions with :class:`Responder`."""

    def __init__(self, seed: int = 0, **options: Any) -> None:
        self.responder = Responder(seed)
        super().__init__(self._reply, **options)

    def _reply(self, seen: Received) -> dict[str, Any]:
        return self.responder(_Question(text_of(seen)))


class _Question:
    def __init__(self, text: str) -> None:
        self.messages = (self,)
        self.content = text


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers; its requests are in ``server.requests``."""
    with Server() as running:
        yield running


@pytest.fixture(params=["openai", "anthropic"])
def provider(
    request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """``llm`` and ``base_url`` of each SDK against the server, with a key that must never be seen again."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-openai-key-1234567890abcdef")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted-anthropic-key-1234567890")
    if request.param == "openai":
        return "openai:test-model", server.url
    return "anthropic:test-model", server.anthropic_url

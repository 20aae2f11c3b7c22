"""Many requests, a third of them failing: each ends in a reply or an error of ours, nothing piles up."""

from __future__ import annotations

import gc
import random
import threading
import tracemalloc

import pytest

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.llm.transcript import read
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.loopback import Received
from tests.marks import long

from .conftest import SCHEMA
from .conftest import request

KINDS = ("reset", "reset-mid-body", "cut-json", "html", "refusal", "truncated", "empty")


@pytest.mark.parametrize(("protocol", "n"), [long("openai", 400), ("anthropic", 200)])
def test_many_requests_with_a_third_failing(protocol, n, tmp_path):
    rng = random.Random(5)

    def answer(seen: Received):
        if rng.random() > 1 / 3:
            return {"x": rng.random(), "kind": "a"}
        if rng.random() < 0.5:
            return Fault(
                status=rng.choice([400, 408, 409, 413, 429, 500, 502, 503, 529]),
                headers={"Retry-After-Ms": "0"},
            )
        return Fault(rng.choice(KINDS))

    path = tmp_path / "transcript.jsonl"
    outcomes = []
    with LoopbackServer(answer) as server:
        url = server.anthropic_url if protocol == "anthropic" else server.url
        provider = make_provider(
            f"{protocol}:m", base_url=url, api_key="planted-0123456789", transcript=Transcript(path)
        )
        provider.retries = 0

        def ask(many: int) -> None:
            for i in range(many):
                try:
                    outcomes.append(provider.complete(request(f"q{i}", schema=SCHEMA)).text != "")
                except ProviderError:
                    outcomes.append(False)
                server.requests.clear()

        ask(100)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        ask(n - 100)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        waiting = [t.name for t in threading.enumerate() if t.name == "sllmbo-llm"]
    assert len(outcomes) == n
    assert 0.5 < sum(outcomes) / n < 0.8
    assert len(list(read(path))) == n
    assert grown < 1_000_000
    assert waiting == []

"""What a limit refuses is neither counted nor called a failure of the LLM: in summary, chat and replay."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from typing import Any

import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import RequestSent
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.transcript import read
from sllmbo_magic.llm.transcript import was_sent
from sllmbo_magic.testing import FunctionProvider
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.loopback import Received
from tests.replies import Responder

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}


class Question:
    """A request as :class:`Responder` reads it."""

    def __init__(self, received: Received) -> None:
        self.content = "\n".join(str(m["content"]) for m in received.body["messages"])
        self.messages = (self,)


def run(llm: str, **options: Any):
    return tune(
        lambda params: params["x"] + params["y"],
        direction="minimize",
        search_space=SPACE,
        sampler="llm",
        llm=llm,
        n_trials=24,
        seed=0,
        **options,
    )


@pytest.fixture
def limited(tmp_path):
    responder = Responder(0)
    with LoopbackServer(lambda received: responder(Question(received))) as server:
        result = run(
            "openai-compatible:m", base_url=server.url, max_requests=2, folder=tmp_path, name="limited"
        )
    return result, server, tmp_path


def test_a_refused_request_is_not_counted(limited):
    result, server, folder = limited
    assert len(server.requests) == 2
    assert "Cost: 2 requests" in result.summary["text"]
    assert result.summary["cost"]["requests"] == 2
    assert result.bundle()["cost"]["requests"] == 2
    assert len([e for e in result.events if isinstance(e, RequestSent)]) == 2
    exchanges = [r for r in read(folder / "limited" / "transcript.jsonl") if r["kind"] == "exchange"]
    assert sum(was_sent(r) for r in exchanges) == 2
    assert [r["error"]["category"] for r in exchanges if not was_sent(r)] == ["budget"]


def test_a_limit_of_the_users_is_no_failure_of_the_llm(limited):
    result, _, _ = limited
    assert "no usable proposal" not in result.summary["text"]
    assert "A limit was reached" in result.summary["text"]
    (fallback,) = [e for e in result.events if isinstance(e, Fallback)]
    assert (fallback.category, fallback.permanent) == ("budget", True)


def test_a_replay_ends_asking_where_the_run_did(limited):
    result, _, folder = limited
    again = run("replay:limited", folder=folder, name="again")
    assert [t.params for t in again.trials] == [t.params for t in result.trials]
    (fallback,) = [e for e in again.events if isinstance(e, Fallback)]
    assert fallback.category == "budget"
    assert len([e for e in again.events if isinstance(e, RequestSent)]) == 2


def test_options_reach_the_server_and_the_deadline():
    responder = Responder(0)
    with LoopbackServer(lambda received: responder(Question(received))) as server:
        result = run(
            "openai-compatible:m", base_url=server.url, max_output_tokens=777, llm_timeout=30, folder=""
        )
    assert {r.body["max_tokens"] for r in server.requests} == {777}
    with LoopbackServer([{}], latency=30.0) as server:
        late = run("openai-compatible:m", base_url=server.url, llm_timeout=0.2, folder="", max_requests=1)
    assert len(late.trials) == len(result.trials) == 24
    first = next(e for e in late.events if isinstance(e, Fallback))
    assert "did not answer within 0.2 s" in first.message
    assert "--llm-timeout" in first.message


def test_retries_are_counted_as_the_limit_counts_them():
    """Every second attempt fails: result, text and transcript give what the server got."""
    responder, n = Responder(0), itertools.count()
    busy = Fault(status=503, headers={"Retry-After": "0"})

    def answer(received):
        return busy if next(n) % 2 == 0 else responder(Question(received))

    with LoopbackServer(answer) as server:
        result = run("openai-compatible:m", base_url=server.url, folder="", max_requests=6)
    assert len(server.requests) == 6
    assert result.summary["cost"]["requests"] == result.bundle()["cost"]["requests"] == 6
    assert "Cost: 6 requests" in result.summary["text"]


def test_a_request_under_way_at_the_end_is_in_the_totals():
    """It is waited for briefly; one that is cut short counts with the most that it can have cost."""

    class Slow(FunctionProvider):
        remote = True

    asked, answers = threading.Event(), threading.Event()

    def late(request):
        asked.set()
        answers.wait(60)
        return "{}"

    request = Request((Message("user", "Propose."),), max_output_tokens=100)
    for may_wait in (True, False):
        asked.clear(), answers.clear()
        provider = RecordingProvider(Slow(late, id="test:slow"))
        thread = threading.Thread(target=lambda p=provider: ended(p, request))
        thread.start()
        assert asked.wait(60)
        if may_wait:
            answers.set()
        provider.end(60 if may_wait else 0)
        (exchange,) = provider.transcript.exchanges()
        cost = provider.cost()
        assert cost["requests"] == exchange["charged"]["requests"] == 1
        assert cost["input_tokens"] + cost["output_tokens"] == exchange["charged"]["tokens"] > 0
        assert cost.get("unreported_tokens", 0) == (0 if may_wait else exchange["charged"]["tokens"])
        answers.set()
        thread.join(60)


def test_a_server_that_reports_no_usage_is_not_free():
    """What its requests can have used at most counts against the limit, so it is what is shown, too."""
    responder = Responder(0)

    def answer(received):
        return Completion(json.dumps(responder(Question(received))), Usage())

    with LoopbackServer(answer) as server:
        result = run("openai-compatible:m", base_url=server.url, folder="", max_requests=2)
    cost = result.summary["cost"]
    assert cost["unreported_tokens"] == cost["input_tokens"] + cost["output_tokens"] > 0
    assert (
        "where no use was reported, the most that a request can have cost is counted"
        in result.summary["text"]
    )


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda text: None, "complete() returned NoneType, no Completion"),
        (lambda text: text, "complete() returned str, no Completion"),
        (lambda text: Completion(None), "whose text or model is no string"),
        (lambda text: Completion(text, Usage(-5000, -5000)), "no counts of 0 or more"),
        (lambda text: Completion(text, Usage(10.5, "7")), "no counts of 0 or more"),
        (lambda text: Completion(text, Usage(10, 10, money=-3.0)), "no counts of 0 or more"),
        (lambda text: Completion(text, Usage(10, 10, money=float("nan"))), "no counts of 0 or more"),
    ],
)
@pytest.mark.parametrize("remote", [True, False])
def test_what_a_provider_returns_is_checked(returned, words, remote):
    class Wrong(BaseProvider):
        id = "own:m"

        def complete(self, request):
            return returned("{}")

    provider = Wrong()
    provider.remote = remote
    result = run(provider, folder="", max_tokens=500_000)
    (fallback,) = [e for e in result.events if isinstance(e, Fallback)]
    assert words in fallback.message
    assert (fallback.category, fallback.permanent) == ("provider", True)
    assert result.summary["cost"]["requests"] == 1
    assert result.summary["cost"]["input_tokens"] > 0, "it may have been billed"


def ended(provider, request):
    """Ask, whatever comes of it."""
    with contextlib.suppress(ProviderError):
        provider.complete(request)

"""What a limit refuses is neither counted nor called a failure of the LLM: in summary, chat and replay."""

from __future__ import annotations

from typing import Any

import pytest

from sllmbo_magic import tune
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import RequestSent
from sllmbo_magic.llm.transcript import read
from sllmbo_magic.llm.transcript import was_sent
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

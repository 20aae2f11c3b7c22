"""The doctor names what is wrong and what to do, with one tiny request."""

from __future__ import annotations

import pytest

from sllmbo_magic.llm.doctor import doctor
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.loopback import Received

PONG = {"ready": True, "number": 7}


def report(server: LoopbackServer, spec: str = "openai-compatible:test-model", **options):
    url = server.anthropic_url if spec.startswith("anthropic") else server.url
    return {check.name: check for check in doctor(spec, url, **options)}


@pytest.mark.parametrize("spec", ["openai:gpt-4o", "anthropic:claude-haiku-4-5", "openai-compatible:m"])
def test_all_is_well_after_one_request(spec):
    with LoopbackServer([PONG]) as server:
        checks = report(server, spec, api_key="planted-0123456789")
        assert len(server.requests) == 1
    assert list(checks) == ["key", "server", "model", "structured output", "latency"]
    assert all(check.ok for check in checks.values())
    assert "JSON schema" in checks["structured output"].detail
    assert "100 + 20 tokens" in checks["latency"].detail


def test_a_wrong_model_name_has_its_closest_matches():
    with LoopbackServer([Fault(status=404)], models=["gpt-4o", "gpt-4o-mini", "o3"]) as server:
        checks = report(server, "openai-compatible:gpt4o")
    assert checks["server"].ok
    assert checks["model"].ok is False
    assert "Closest: gpt-4o, gpt-4o-mini." in checks["model"].detail
    assert checks["latency"].ok is None


def test_a_wrong_model_name_that_is_like_none():
    with LoopbackServer([Fault(status=404)], models=["b", "a"]) as server:
        assert "The server has: a, b." in report(server, "openai-compatible:zzzz")["model"].detail
    with LoopbackServer([Fault(status=404)], models=[]) as server:
        assert (
            "does not list its models" in report(server, "anthropic:x", api_key="planted-01")["model"].detail
        )


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (Fault(status=401), "key"),
        (Fault(status=403), "account"),
        (Fault(status=402), "account"),
        (Fault(status=500, headers={"Retry-After": "0"}), "server"),
        (Fault("silent"), "server"),
        (Fault("html"), "structured output"),
        (Fault("truncated"), "structured output"),
    ],
)
def test_each_failure_is_under_its_name(fault, name):
    with LoopbackServer([fault]) as server:
        checks = report(server, timeout=5.0)
    failed = [check.name for check in checks.values() if check.ok is False]
    assert failed == [name]
    assert "base sampler" not in checks[name].detail
    assert "LLM is asked" not in checks[name].detail


def test_no_server():
    with LoopbackServer([PONG]) as server:
        pass
    checks = report(server)
    assert checks["server"].ok is False
    assert "no connection" in checks["server"].detail
    assert checks["model"].ok is None


def test_a_server_without_structured_output():
    def answer(seen: Received):
        if "response_format" in seen.body:
            return Fault(status=400, body={"error": {"message": "response_format is not supported"}})
        return "Here you are: " + '{"ready": true, "number": 7}'

    with LoopbackServer(answer) as server:
        check = report(server)["structured output"]
    assert check.ok
    assert "plain text" in check.detail


def test_a_model_that_cannot_follow_a_schema():
    with LoopbackServer(["I am ready!"]) as server:
        check = report(server)["structured output"]
    assert check.ok is False
    assert "larger model" in check.detail


def test_before_any_request():
    checks = {c.name: c for c in doctor("openai:gpt-4o")}
    assert checks["key"].ok is False
    assert "OPENAI_API_KEY" in checks["key"].detail
    assert checks["server"].ok is None
    assert doctor("openaii:gpt-4o")[0].ok is False
    assert doctor("manual")[0].ok
    assert doctor("rulebook")[0].ok

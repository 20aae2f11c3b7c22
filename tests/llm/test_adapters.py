"""What is sent and what is read, on the wire of the real SDKs."""

from __future__ import annotations

import json

import pytest

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.registry import make_provider
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.loopback import Received

from .conftest import SCHEMA
from .conftest import request

KEY = "planted-key-0123456789"
GOOD = {"x": 0.5, "kind": "a"}


def openai(server, model="gpt-4o", **options):
    return make_provider(f"openai:{model}", base_url=server.url, api_key=KEY, **options)


def anthropic(server, model="claude-sonnet-4-5", **options):
    return make_provider(f"anthropic:{model}", base_url=server.anthropic_url, api_key=KEY, **options)


def test_openai_is_asked_with_a_strict_schema_and_no_temperature():
    with LoopbackServer([GOOD]) as server:
        completion = openai(server).complete(request(schema=SCHEMA, max_output_tokens=321))
    body = server.requests[0].body
    assert server.requests[0].path == "/v1/chat/completions"
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert body["response_format"]["json_schema"] == {"name": "reply", "schema": SCHEMA, "strict": True}
    assert body["max_completion_tokens"] == 321
    assert not {"temperature", "top_p", "max_tokens", "reasoning_effort"} & set(body)
    assert json.loads(completion.text) == GOOD
    assert completion.model == "gpt-4o"


def test_a_schema_outside_the_strict_subset_is_not_called_strict():
    loose = {"type": "object", "properties": {"x": {"type": "number"}}, "required": []}
    with LoopbackServer([GOOD]) as server:
        openai(server).complete(request(schema=loose))
    assert server.requests[0].body["response_format"]["json_schema"]["strict"] is False


def test_free_text_asks_for_no_format():
    with LoopbackServer(["words"]) as server:
        assert openai(server).complete(request()).text == "words"
        assert anthropic(server).complete(request()).text == "words"
    assert "response_format" not in server.requests[0].body
    assert "output_config" not in server.requests[1].body


@pytest.mark.parametrize("model", ["o3", "o4-mini", "gpt-5", "gpt-5.4-mini", "gpt-6-sol"])
def test_reasoning_models_think_little_so_that_the_bound_is_left_for_the_reply(model):
    with LoopbackServer([GOOD]) as server:
        openai(server, model).complete(request())
    assert server.requests[0].body["reasoning_effort"] == "low"


def refuse_unless(accepts, message) -> LoopbackServer:
    """A server that answers 400 with words until a body is acceptable to it."""

    def answer(seen: Received):
        return (
            GOOD if accepts(seen.body) else Fault(status=400, body={"error": {"message": message(seen.body)}})
        )

    return LoopbackServer(answer)


def test_structured_output_is_stepped_down_and_the_step_is_remembered():
    def accepts(body):
        return "response_format" not in body

    with refuse_unless(
        accepts, lambda b: f"unsupported response_format {b['response_format']['type']}"
    ) as server:
        completion = openai(server).complete(request(schema=SCHEMA))
        openai(server).complete(request(schema=SCHEMA))  # another provider object, the same server and model
    formats = [r.body.get("response_format", {}).get("type") for r in server.requests]
    assert formats == ["json_schema", "json_object", None, None]
    assert completion.retries == 2
    last = server.requests[-1].body["messages"][-1]["content"]
    assert json.dumps(SCHEMA) in last


def test_json_mode_has_the_schema_in_words():
    def accepts(body):
        return body["response_format"]["type"] == "json_object"

    with refuse_unless(accepts, lambda b: "json_schema is not supported") as server:
        openai(server).complete(request(schema=SCHEMA))
    assert json.dumps(SCHEMA) in server.requests[-1].body["messages"][-1]["content"]


def test_other_token_fields_and_unknown_fields_are_learned():
    def accepts(body):
        return "max_completion_tokens" not in body and "reasoning_effort" not in body

    def message(body):
        field = "reasoning_effort" if "reasoning_effort" in body else "max_completion_tokens"
        return f"Unrecognized request argument supplied: {field}"

    with refuse_unless(accepts, message) as server:
        openai(server, "o3").complete(request())
        openai(server, "o3").complete(request())
    assert len(server.requests) == 4
    assert server.requests[-1].body["max_tokens"] == 4096


def test_a_compatible_server_that_wants_the_newer_token_field():
    def accepts(body):
        return "max_completion_tokens" in body

    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    with refuse_unless(accepts, lambda b: words) as server:
        make_provider("openai-compatible:m", base_url=server.url).complete(request())
    assert len(server.requests) == 2


def test_contradicting_refusals_end():
    def message(body):
        return (
            "use max_completion_tokens, not max_tokens"
            if "max_tokens" in body
            else "no max_completion_tokens"
        )

    with refuse_unless(lambda body: False, message) as server, pytest.raises(PermanentProviderError):
        openai(server).complete(request())
    assert len(server.requests) <= 3


def test_a_model_of_the_responses_api_is_asked_there_without_being_stored():
    def answer(seen: Received):
        if seen.path == "/v1/chat/completions":
            words = "This model is only supported in v1/responses and not in v1/chat/completions."
            return Fault(status=404, body={"error": {"message": words}})
        return Completion(json.dumps(GOOD), Usage(100, 20, 60))

    with LoopbackServer(answer) as server:
        completion = openai(server, "gpt-5-pro").complete(request(schema=SCHEMA, max_output_tokens=99))
    body = server.requests[-1].body
    assert server.requests[-1].path == "/v1/responses"
    assert body["store"] is False
    assert body["max_output_tokens"] == 99
    assert body["text"]["format"]["schema"] == SCHEMA
    assert body["reasoning"] == {"effort": "low"}
    assert json.loads(completion.text) == GOOD
    assert completion.usage.cached_input_tokens == 60


def test_other_servers_get_nothing_that_is_meant_for_openai(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-only-for-openai-0123456789")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: secret\nAuthorization: Bearer mine")
    with LoopbackServer(["hello"]) as server:
        make_provider("openai-compatible:m", base_url=server.url).complete(request())
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer none"
    assert "x-mine" not in headers
    assert not any("mine" in value or "openai-0123" in value for value in headers.values())


def test_usage_counts_thinking_that_only_the_total_has():
    body = {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115},
    }
    with LoopbackServer([Fault(status=200, body=body)]) as server:
        completion = make_provider("openai-compatible:m", base_url=server.url).complete(request())
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (10, 105)


def test_a_server_that_reports_no_usage():
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    with LoopbackServer([Fault(status=200, body=body)]) as server:
        completion = make_provider("openai-compatible:m", base_url=server.url).complete(request())
    assert (completion.text, completion.usage) == ("hi", Usage())


def test_anthropic_caches_the_system_turn_and_sends_the_schema():
    with LoopbackServer([Completion(json.dumps(GOOD), Usage(100, 20, 60))]) as server:
        completion = anthropic(server).complete(request(schema=SCHEMA, max_output_tokens=321))
    body = server.requests[0].body
    assert body["system"] == [{"type": "text", "text": "You tune.", "cache_control": {"type": "ephemeral"}}]
    assert body["messages"] == [{"role": "user", "content": "question"}]
    assert body["max_tokens"] == 321
    assert "temperature" not in body
    sent = body["output_config"]["format"]["schema"]
    assert sent["properties"]["x"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert sent["properties"]["kind"] == {"enum": ["a", "b"]}
    assert completion.usage == Usage(100, 20, 60, money=completion.usage.money)
    assert completion.usage.money == pytest.approx((40 * 3 + 60 * 0.3 + 20 * 15) / 1e6)


def test_anthropic_steps_down_to_a_tool_and_then_to_text():
    def accepts(body):
        return "output_config" not in body and "tools" not in body

    def message(body):
        return (
            "output_config: extra inputs are not permitted"
            if "output_config" in body
            else "tools: not supported"
        )

    with refuse_unless(accepts, message) as server:
        anthropic(server).complete(request(schema=SCHEMA))
        anthropic(server).complete(request(schema=SCHEMA))
    kinds = [
        "schema" if "output_config" in r.body else "tool" if "tools" in r.body else "text"
        for r in server.requests
    ]
    assert kinds == ["schema", "tool", "text", "text"]


def test_anthropic_reads_a_tool_call():
    with refuse_unless(lambda body: "tools" in body, lambda b: "output_config is not supported") as server:
        completion = anthropic(server).complete(request(schema=SCHEMA))
    assert json.loads(completion.text) == GOOD
    assert server.requests[-1].body["tool_choice"] == {"type": "tool", "name": "reply"}


def test_anthropic_leaves_thoughts_out_and_reports_a_full_context():
    body = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "answer"},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    full = {**body, "stop_reason": "model_context_window_exceeded"}
    with LoopbackServer([Fault(status=200, body=body), Fault(status=200, body=full)]) as server:
        assert anthropic(server).complete(request()).text == "answer"
        with pytest.raises(ReplyError) as caught:
            anthropic(server).complete(request())
    assert caught.value.category == "context-length"
    assert caught.value.usage.output_tokens == 2


def test_turns_of_a_conversation_are_kept_in_order():
    turns = Request(
        (Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    )
    with LoopbackServer(["hello"]) as server:
        openai(server).complete(turns)
        anthropic(server).complete(turns)
    assert [m["content"] for m in server.requests[0].body["messages"]] == ["s", "a", "b", "c"]
    assert [m["content"] for m in server.requests[1].body["messages"]] == ["a", "b", "c"]

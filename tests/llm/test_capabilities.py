"""Limits and layouts that are learned from refusals, per server and model, through the real SDKs."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.layout import turns
from sllmbo_magic.llm.providers.capabilities import MOST_OUTPUT
from sllmbo_magic.llm.registry import make_provider
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.loopback import Received

from .conftest import SCHEMA
from .conftest import request

GOOD = {"x": 0.5, "kind": "a"}
TALK = (
    Message("system", "s"),
    Message("user", "a"),
    Message("assistant", "b"),
    Message("user", "c"),
    Message("user", "d"),
)


def connect(protocol: str, server: LoopbackServer, **options):
    if protocol == "anthropic":
        return make_provider(
            "anthropic:m", base_url=server.anthropic_url, api_key="planted-key-01", **options
        )
    return make_provider("openai-compatible:m", base_url=server.url, **options)


def bound_of(body):
    return body.get("max_tokens") or body.get("max_completion_tokens") or body.get("max_output_tokens")


def refusing(refusal, status: int = 400):
    """A server that answers with an error while ``refusal(body)`` has words for it."""

    def answer(received: Received):
        words = refusal(received.body)
        return GOOD if words is None else Fault(status=status, body={"error": {"message": words}})

    return LoopbackServer(answer)


# Models that think


def thinking(needs: int):
    """A server whose model uses up any bound below ``needs``."""

    def answer(received: Received):
        return GOOD if bound_of(received.body) >= needs else Fault("truncated")

    return LoopbackServer(answer)


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_the_bound_is_raised_for_a_model_that_thinks_and_remembered(protocol):
    with thinking(9_000) as server:
        completion = connect(protocol, server).complete(request(schema=SCHEMA, max_output_tokens=3_000))
        connect(protocol, server).complete(request(schema=SCHEMA, max_output_tokens=3_000))
    assert [bound_of(r.body) for r in server.requests] == [3_000, 12_000, 12_000]
    assert json.loads(completion.text) == GOOD
    assert completion.usage.output_tokens == 20, "the second attempt's, and 0 of the cut one"


def test_the_bound_is_not_raised_for_ever():
    with thinking(10**9) as server, pytest.raises(ReplyError) as caught:
        connect("openai", server).complete(request(max_output_tokens=3_000))
    assert caught.value.category == "truncated"
    assert "--max-output-tokens" in str(caught.value)
    assert [bound_of(r.body) for r in server.requests] == [3_000, 12_000, MOST_OUTPUT]


def test_the_bound_is_raised_within_the_budget():
    budget = Budget(max_tokens=12_000)
    with thinking(5_000) as server:
        connect("openai", server, budget=budget).complete(request(max_output_tokens=3_000))
    assert [bound_of(r.body) for r in server.requests] == [3_000, 6_000]
    assert budget.charged.tokens <= 12_000


def test_a_request_that_would_be_cut_off_again_is_not_sent():
    budget = Budget(max_tokens=5_200)
    with thinking(5_000) as server, pytest.raises(ReplyError) as caught:
        connect("openai", server, budget=budget).complete(request(max_output_tokens=3_000))
    assert caught.value.category == "truncated"
    assert len(server.requests) == 1


def test_the_users_own_bound_is_never_exceeded():
    with thinking(9_000) as server:
        provider = connect("openai", server, max_output_tokens=2_000)
        with pytest.raises(ReplyError):
            provider.complete(request(max_output_tokens=3_000))
        assert [bound_of(r.body) for r in server.requests] == [2_000]
        generous = connect("openai", server, max_output_tokens=10_000)
        generous.complete(request(max_output_tokens=3_000))
    assert bound_of(server.requests[-1].body) == 10_000


# A cap below our bound

CAPS = [
    ("max_tokens is too large: 9000. This model supports at most 4096 completion tokens.", 4096),
    ("max_tokens: 9000 > 4096, which is the maximum allowed number of output tokens for m", 4096),
    ("Range of max_tokens should be [1, 8192]", 8192),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
    (
        "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than"
        " the `context_window` for this model",
        8192,
    ),
    (
        "This model's maximum context length is 4,096 tokens. However, you requested 9,800 tokens (800 in the"
        " messages, 9,000 in the completion). Please reduce the length of the messages or completion.",
        4096 - 800 - 32,
    ),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is"
        " 8192 tokens and your request has 500 input tokens (9000 > 8192 - 500).",
        8192 - 500 - 32,
    ),
    (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a"
        " total of 10000 tokens: 1000 tokens from the input messages and 9000 tokens for the completion.",
        4096 - 1000 - 32,
    ),
    (
        "input length and `max_tokens` exceed context limit: 192000 + 9000 > 200000, decrease input length or"
        " `max_tokens` and try again",
        200000 - 192000 - 32,
    ),
    ("max_tokens is too large", 4500),
]


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize(("words", "cap"), CAPS)
def test_a_cap_is_learned_from_the_servers_words(protocol, words, cap):
    with refusing(lambda body: words if bound_of(body) > cap else None) as server:
        connect(protocol, server).complete(request(max_output_tokens=9_000))
        connect(protocol, server).complete(request(max_output_tokens=9_000))
        connect(protocol, server).complete(request(max_output_tokens=700))
    assert [bound_of(r.body) for r in server.requests] == [9_000, cap, cap, 700]


def test_the_code_of_an_error_is_no_cap():
    body = {"object": "error", "message": "max_tokens is too large", "type": "BadRequestError", "code": 400}

    def answer(received: Received):
        return Fault(status=400, body=body) if bound_of(received.body) > 4_500 else GOOD

    with LoopbackServer(answer) as server:
        connect("openai", server).complete(request(max_output_tokens=9_000))
    assert [bound_of(r.body) for r in server.requests] == [9_000, 4_500]


def test_a_prompt_that_leaves_no_room_is_too_long():
    words = (
        "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens (4090 in the"
        " messages, 4910 in the completion)."
    )
    with refusing(lambda body: words) as server, pytest.raises(ReplyError) as caught:
        connect("openai", server).complete(request())
    assert caught.value.category == "context-length"
    assert len(server.requests) == 1


# Layouts


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Developer instruction is not enabled for models/m",
        "Only user and assistant roles are supported!",
        "messages.0.role: Input should be 'user' or 'assistant'",
        'messages: Unexpected role "system".',
        "Conversation roles must alternate user/assistant/user/assistant/...",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_server_without_a_system_role(words, status):
    def refusal(body):
        return words if body["messages"][0]["role"] == "system" else None

    with refusing(refusal, status) as server:
        connect("openai", server).complete(request("question", schema=SCHEMA))
        connect("openai", server).complete(request("question", schema=SCHEMA))
    assert len(server.requests) == 3
    assert server.requests[-1].body["messages"] == [{"role": "user", "content": "You tune.\n\nquestion"}]
    assert "response_format" in server.requests[-1].body, "nothing else was given up"


def test_an_anthropic_server_without_a_system_field():
    def refusal(body):
        return "system prompts are not supported" if "system" in body else None

    with refusing(refusal) as server:
        connect("anthropic", server).complete(request("question"))
    assert server.requests[-1].body["messages"] == [{"role": "user", "content": "You tune.\n\nquestion"}]


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_no_two_turns_of_one_role_in_a_row(protocol):
    def refusal(body):
        return (
            "response_format output_config tools"
            if {"response_format", "output_config", "tools"} & set(body)
            else None
        )

    with refusing(refusal) as server:
        connect(protocol, server).complete(Request(TALK, schema=SCHEMA))
    for received in server.requests:
        roles = [m["role"] for m in received.body["messages"]]
        assert all(a != b for a, b in pairwise(roles))
    assert json.dumps(SCHEMA) in server.requests[-1].body["messages"][-1]["content"]


def test_turns():
    assert [(m.role, m.content) for m in turns(TALK)] == [
        ("system", "s"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c\n\nd"),
    ]
    assert turns(TALK, system_role=False)[0] == Message("user", "s\n\na")
    assert turns(TALK, instruction="json")[-1] == Message("user", "c\n\nd\n\njson")


# Servers that do nothing but stream


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "words",
    [
        "This model only support stream mode, please enable the stream parameter to access the model.",
        "Stream must be set to true",
        "Non-streaming requests are not supported",
        "stream=true is required",
    ],
)
def test_a_server_that_only_streams(protocol, words):
    def answer(received: Received):
        if not received.body.get("stream"):
            return Fault(status=400, body={"error": {"message": words}})
        return Completion(json.dumps(GOOD), Usage(100, 20))

    with LoopbackServer(answer) as server:
        provider = connect(protocol, server)
        completion = provider.complete(request(schema=SCHEMA))
        provider.complete(request(schema=SCHEMA))
    assert json.loads(completion.text) == GOOD
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (100, 20)
    assert [bool(r.body.get("stream")) for r in server.requests] == [False, True, True]


def test_a_server_that_streams_without_being_asked():
    events = 'data: {"choices": [{"delta": {"content": "{}"}}]}\n\ndata: [DONE]\n\n'

    def answer(received: Received):
        headers = {"Content-Type": "text/event-stream"}
        return GOOD if received.body.get("stream") else Fault(status=200, body=events, headers=headers)

    with LoopbackServer(answer) as server:
        completion = connect("openai", server).complete(request(schema=SCHEMA))
    assert json.loads(completion.text) == GOOD
    assert [bool(r.body.get("stream")) for r in server.requests] == [False, True]


def test_a_server_that_only_streams_and_takes_no_stream_options():
    def answer(received: Received):
        if not received.body.get("stream"):
            return Fault(status=400, body={"error": {"message": "stream must be true"}})
        if "stream_options" in received.body:
            return Fault(
                status=400, body={"error": {"message": "stream_options: extra inputs not permitted"}}
            )
        return GOOD

    with LoopbackServer(answer) as server:
        completion = connect("openai", server).complete(request(schema=SCHEMA))
    assert json.loads(completion.text) == GOOD
    assert len(server.requests) == 3


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_a_stream_that_is_cut_off(protocol):
    def only_streams(received: Received):
        return (
            None if received.body.get("stream") else Fault(status=400, body={"error": "stream must be true"})
        )

    with (
        LoopbackServer(lambda r: only_streams(r) or Fault("truncated")) as server,
        pytest.raises(ReplyError) as cut,
    ):
        connect(protocol, server, max_output_tokens=100).complete(request())
    assert cut.value.category == "truncated"


# What cannot be learned


def test_contradicting_refusals_end_with_the_servers_words():
    def refusal(body):
        return "max_tokens is not supported" if "max_tokens" in body else "no max_completion_tokens, please"

    with refusing(refusal) as server, pytest.raises(PermanentProviderError) as caught:
        connect("openai", server).complete(request())
    assert len(server.requests) <= 3
    assert "max_" in caught.value.message


def test_another_server_is_asked_afresh():
    words = "System role not supported"
    refused = refusing(lambda body: words if body["messages"][0]["role"] == "system" else None)
    with refused as one, LoopbackServer([GOOD]) as two:
        connect("openai", one).complete(request())
        connect("openai", two).complete(request())
    assert two.requests[0].body["messages"][0]["role"] == "system"

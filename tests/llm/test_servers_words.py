"""The server's own words reach the user, whatever the status and the shape of the body."""

from __future__ import annotations

import pytest

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.error_bodies import message_of
from sllmbo_magic.llm.error_mapping import from_status
from sllmbo_magic.llm.error_rules import RULES
from sllmbo_magic.llm.registry import make_provider
from tests.loopback import Fault
from tests.loopback import LoopbackServer

from .conftest import SCHEMA
from .conftest import request

KEY = "planted-key-0123456789"


def error_of(fault: Fault, protocol: str = "openai") -> ProviderError:
    with LoopbackServer([fault]) as server:
        if protocol == "anthropic":
            provider = make_provider("anthropic:m", base_url=server.anthropic_url, api_key=KEY)
        else:
            provider = make_provider("openai-compatible:m", base_url=server.url, api_key=KEY)
        provider.retries = 0
        with pytest.raises(ProviderError) as caught:
            provider.complete(request(schema=SCHEMA))
    return caught.value


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 529]
)
def test_words_come_with_every_status_and_without_the_key(status, protocol):
    words = f"the blue flag is up for {KEY}"
    error = error_of(Fault(status=status, body={"error": {"message": words}}), protocol)
    assert 'The server says: "the blue flag is up for [redacted]".' in error.message
    assert f"({status})" in error.message
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "plain words"}, "plain words"),
        ({"error": {"message": "in error"}}, "in error"),
        ([{"error": {"code": 400, "message": "in a list", "status": "INVALID_ARGUMENT"}}], "in a list"),
        ({"detail": "in detail"}, "in detail"),
        ({"detail": [{"loc": ["body"], "msg": "in a list of details"}]}, "in a list of details"),
        ({"message": "at the top", "object": "error"}, "at the top"),
        ({"error": {"code": "only_a_code"}}, "only_a_code"),
        ({"error": True, "message": "beside a flag"}, "beside a flag"),
        ({"success": False, "errors": [{"code": 1, "message": "in errors"}]}, "in errors"),
        ({"error_msg": "by another name"}, "by another name"),
        ({"error": {"message": {"nested": "one level down"}}}, '{"nested": "one level down"}'),
        ("plain text", "plain text"),
        ("<html><head><title>503 Service Unavailable</title></head></html>", "503 Service Unavailable"),
        ("<html>no title</html>", ""),
        (" <!DOCTYPE html><title>Bad gateway</title>", "Bad gateway"),
        ("<?xml version='1.0'?><Error/>", ""),
        ({"error": {"message": "<|im_start|> is not a token"}}, "<|im_start|> is not a token"),
        ("<think> is not closed", "<think> is not closed"),
        (
            {"error": {"message": "gateway", "metadata": {"raw": '{"error": {"message": "behind it"}}'}}},
            "gateway: behind it",
        ),
        ({"error": {"message": "gateway", "metadata": {"raw": "behind it"}}}, "gateway: behind it"),
        (None, ""),
        ([], ""),
        ({}, ""),
        (7, "7"),
    ],
)
def test_the_words_in_a_body_of_any_shape(body, words):
    assert message_of(body) == words
    assert words in str(from_status(500, provider_id="a:b", body=body))


def test_no_key_stays_in_what_is_kept_of_a_body():
    key = "sk-ant-planted0123456789abcdef"
    error = from_status(400, provider_id="a:b", body={"error": {"message": f"bad {key}"}, "detail": key})
    assert "bad" in error.server_message
    assert key not in error.server_message + str(error)


def test_ollamas_words_on_memory():
    words = "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"
    error = error_of(Fault(status=500, body={"error": {"message": words, "type": "api_error"}}))
    assert words in error.message


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404, body="404 page not found", headers={"Content-Type": "text/plain"}),
        Fault(status=404, body={"detail": "Not Found"}),
        Fault(
            status=404, body={"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}
        ),
        Fault(status=405, body={"detail": "Method Not Allowed"}),
        Fault(status=405, body=""),
        Fault(status=200, body={"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    ],
)
def test_a_missing_v1_has_the_address_to_write(fault):
    with LoopbackServer([fault]) as server, pytest.raises(PermanentProviderError) as caught:
        make_provider("openai-compatible:m", base_url=server.url).complete(request())
    assert caught.value.category == "wrong-address"
    assert caught.value.hint.endswith(f"--base-url {server.url}")


@pytest.mark.parametrize("status", [404, 400])
@pytest.mark.parametrize(
    "words",
    [
        'model "llama9" not found, try pulling it first',
        "The model `m` does not exist or you do not have access to it.",
        "The model `m` has been decommissioned and is no longer supported.",
        "Model Not Exist",
        "m is not a valid model ID",
        "model: m",
    ],
)
def test_an_unknown_model(status, words):
    assert error_of(Fault(status=status, body={"error": {"message": words}})).category == "unknown-model"


# An error inside a 200


@pytest.mark.parametrize(
    ("error", "category"),
    [
        ({"message": "w", "code": 429}, "rate-limit"),
        ({"message": "w", "code": "429"}, "rate-limit"),
        ({"message": "w", "code": "rate_limit_exceeded"}, "rate-limit"),
        ({"message": "w", "code": "insufficient_quota"}, "quota"),
        ({"message": "w", "status": "RESOURCE_EXHAUSTED"}, "rate-limit"),
        ({"message": "w", "status": "UNAVAILABLE", "code": 503}, "server"),
        ({"message": "w", "type": "overloaded_error"}, "overloaded"),
        ({"message": "w", "code": "invalid_api_key"}, "bad-key"),
        ({"message": "w", "code": "model_not_found"}, "unknown-model"),
        ({"message": "w", "code": None}, "server"),
        ("w", "server"),
    ],
)
def test_an_error_inside_a_200(error, category):
    found = error_of(Fault(status=200, body={"error": error}))
    assert found.category == category
    assert 'The server says: "w".' in found.message


@pytest.mark.parametrize(
    "body",
    [
        [{"error": {"code": 429, "message": "w", "status": "RESOURCE_EXHAUSTED"}}],
        {"object": "error", "message": "w", "type": "RateLimitError", "code": 429},
        {"error": True, "message": "w", "code": "429"},
        {"errors": [{"code": 429, "message": "w"}]},
        {"choices": [{"error": {"code": 429, "message": "w"}, "finish_reason": "error"}]},
    ],
)
def test_an_error_inside_a_200_of_another_shape(body):
    assert error_of(Fault(status=200, body=body)).category == "rate-limit"


def test_an_anthropic_error_inside_a_200():
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "w"}}
    assert error_of(Fault(status=200, body=body), "anthropic").category == "overloaded"


def test_an_error_inside_a_200_teaches_like_any_other():
    refusal = {"error": {"message": "response_format is not supported", "code": 400}}

    def answer(received):
        return (
            Fault(status=200, body=refusal) if "response_format" in received.body else {"x": 1, "kind": "a"}
        )

    with LoopbackServer(answer) as server:
        assert make_provider("openai-compatible:m", base_url=server.url).complete(request(schema=SCHEMA)).text
    assert len(server.requests) == 3


# Too many requests, or no credit

GEMINI = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "40s"},
        ],
    }
}
PER_MINUTE = [
    (
        "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Used 29000"
        ", Requested 4000. Please try again in 6ms. You can increase your rate limit by adding a payment"
        " method to your account at https://platform.openai.com/settings/organization/billing/overview.",
        0.006,
    ),
    (
        "Rate limit reached for model `m` on requests per day (RPD). Please try again in 1m3.5s. Need more?"
        " Upgrade today at https://console.groq.com/settings/billing",
        63.5,
    ),
    ("This request would exceed your organization's rate limit of 50,000 input tokens per minute.", None),
    (
        "Requests have exceeded token rate limit of your pricing tier. Please retry after 20 seconds.",
        20.0,
    ),
    ("Rate limit exceeded: free-models-per-min. Add 10 credits to unlock more.", None),
]


@pytest.mark.parametrize(("words", "seconds"), PER_MINUTE)
def test_a_rate_limit_is_never_called_no_credit(words, seconds):
    error = error_of(Fault(status=429, body={"error": {"message": words, "code": "rate_limit_exceeded"}}))
    assert isinstance(error, TransientProviderError)
    assert error.category == "rate-limit"
    assert error.retry_after == seconds


@pytest.mark.parametrize("body", [GEMINI, [GEMINI]])
def test_geminis_rate_limit_and_its_delay_are_read_from_the_body(body):
    error = error_of(Fault(status=429, body=body))
    assert (error.category, error.retry_after) == ("rate-limit", 40.0)
    assert "exceeded your current quota" in error.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"message": "You exceeded your current quota, please check your plan and billing details.",
               "type": "insufficient_quota", "code": "insufficient_quota"}),
        (429, {"message": "You exceeded your current quota, please check your plan and billing details."}),
        (400, {"message": "Your credit balance is too low to access the Anthropic API."}),
        (402, {"message": "Insufficient Balance"}),
        (403, {"message": "Your team has used all available credits or reached its monthly spending limit."}),
    ],
)  # fmt: skip
def test_no_credit(status, body):
    error = error_of(Fault(status=status, body={"error": body}))
    assert isinstance(error, PermanentProviderError)
    assert error.category == "quota"


@pytest.mark.parametrize(
    ("status", "words", "category"),
    [
        (400, "API key not valid. Please pass a valid API key.", "bad-key"),
        (400, "Incorrect API key provided: x***9.", "bad-key"),
        (403, "Your API key has expired.", "bad-key"),
        (403, "m requires moderation. Your input was flagged", "content-filter"),
        (400, "max_tokens must be at least 1, got -404.", "context-length"),
        (400, "Budget has been exceeded! Current cost: 10, Max budget: 5", "quota"),
        (407, "Proxy Authentication Required", "proxy"),
    ],
)
def test_what_servers_say_with_a_status_that_others_use_for_something_else(status, words, category):
    assert error_of(Fault(status=status, body={"error": {"message": words}})).category == category


def test_a_gateway_without_a_server_for_the_format_is_asked_without_it():
    words = "No endpoints found that can handle the requested parameters."

    def answer(received):
        refused = Fault(status=404, body={"error": {"message": words, "code": 404}})
        return refused if "response_format" in received.body else {"x": 1, "kind": "a"}

    with LoopbackServer(answer) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url)
        assert provider.complete(request(schema=SCHEMA)).text


def test_an_anthropic_server_is_not_told_to_end_in_v1():
    error = error_of(Fault(status=200, body={"choices": []}), "anthropic")
    assert error.category == "not-json"
    assert "/v1" not in str(error)


def test_every_rule_of_the_table_can_decide():
    """No rule is hidden by one above it."""
    for number, rule in enumerate(RULES):
        above = RULES[:number]
        statuses = [s for s in range(300, 600) if s in rule.statuses]
        free = [s for s in statuses if not any(s in r.statuses and r.words is None for r in above)]
        assert free, f"{rule.category} {rule.message}"


@pytest.mark.parametrize(
    ("spec", "path", "meant"),
    [
        ("openai-compatible:m", "", "/v1"),
        ("openai-compatible:m", "/api", "/v1"),
        ("openai-compatible:m", "/v1", None),
        ("openai-compatible:m", "/v1/", None),
        ("anthropic:m", "/v1", ""),
        ("anthropic:m", "", None),
    ],
)
def test_a_wrong_address_is_never_answered_with_itself(spec, path, meant):
    body = {"error": {"message": "404 page not found"}}
    hint = from_status(404, provider_id=spec, body=body, base_url=f"http://127.0.0.1:9{path}").hint
    if meant is None:
        assert "Most such servers" not in hint
        assert "Check host, port and path" in hint
    else:
        assert hint.endswith(f"--base-url http://127.0.0.1:9{meant}")

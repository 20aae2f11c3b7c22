"""Limits are never exceeded; prices are known or not, never guessed; forecasts say which."""

from __future__ import annotations

import json

import pytest

from sllmbo_magic.errors import BudgetExceededError
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.budget import bound
from sllmbo_magic.llm.prices import Price
from sllmbo_magic.llm.prices import Prices
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.testing import FunctionProvider
from tests.loopback import Fault
from tests.loopback import LoopbackServer

from .conftest import SCHEMA
from .conftest import request


def spend(provider, n: int = 50, **fields) -> BudgetExceededError:
    """Ask until the budget ends it; the error that did."""
    for _ in range(n):
        try:
            provider.complete(request("q" * 50, max_output_tokens=100, **fields))
        except BudgetExceededError as error:
            return error
        except ProviderError:
            continue
    raise AssertionError("the budget never ended it")


def test_requests_are_counted_on_the_wire_retries_and_learning_included():
    answers = [
        Fault(status=400, body={"error": {"message": "json_schema is not supported"}}),
        Fault(status=503, headers={"Retry-After": "0"}),
        {"x": 1},
    ]
    with LoopbackServer(answers) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url, budget=Budget(max_requests=7))
        error = spend(provider, schema=SCHEMA)
        assert len(server.requests) == 7
    assert error.category == "budget"
    assert "--max-requests 7 is spent" in str(error)
    assert provider.transcript.exchanges()[-1]["error"]["category"] == "budget"


def test_a_refusal_says_what_is_left_and_what_the_next_request_can_take():
    """Not that a limit is spent of which something is left."""
    asked = request("q" * 50, max_output_tokens=100)
    needs = bound(asked, None).tokens
    for limit, spent, expected in (
        (Budget(max_tokens=needs - 1), 0, f"is too low for a request, which can take {needs:,}."),
        (Budget(max_tokens=needs + 9), 20, f"has {needs - 11:,} left, too little for the next request"),
        (Budget(max_tokens=needs), needs, f"--max-tokens {needs} is spent."),
        (Budget(max_requests=0), 0, "--max-requests 0 allows no request."),
    ):
        if spent:
            limit.settle(limit.reserve(asked, "x:m"), Completion("", Usage(spent, 0)), "x:m")
        with pytest.raises(BudgetExceededError) as refusal:
            limit.reserve(asked, "x:m")
        assert expected in str(refusal.value)


def test_a_retry_that_the_budget_forbids_is_not_sent():
    with LoopbackServer([Fault(status=503, headers={"Retry-After": "0"})]) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url, budget=Budget(max_requests=2))
        with pytest.raises(BudgetExceededError):
            provider.complete(request())
        assert len(server.requests) == 2


def test_tokens_are_never_exceeded_by_a_model_that_uses_all_it_may():
    def greedy(asked):
        most = bound(asked, None).tokens
        return Completion("x", Usage(most - asked.max_output_tokens, asked.max_output_tokens))

    provider = RecordingProvider(FunctionProvider(greedy), budget=Budget(max_tokens=10_000))
    error = spend(provider)
    assert 0 < provider.spent.input_tokens + provider.spent.output_tokens <= 10_000
    assert "--max-tokens" in str(error)


def test_unused_reservations_are_given_back():
    provider = RecordingProvider(
        FunctionProvider(lambda r: Completion("x", Usage(10, 10))), budget=Budget(max_tokens=2_000)
    )
    spend(provider)
    assert 700 < provider.spent.input_tokens + provider.spent.output_tokens <= 2_000


def test_money_is_never_exceeded():
    prices = Prices({"test:function": Price(10.0, 50.0, 1.0, 12.5)})

    def greedy(asked):
        most = bound(asked, None).tokens - asked.max_output_tokens
        return Completion("x", Usage(most, asked.max_output_tokens, cache_write_tokens=most))

    budget = Budget(max_cost=0.1, prices=prices)
    provider = RecordingProvider(FunctionProvider(greedy), budget=budget)
    error = spend(provider)
    assert 0.05 < provider.spent.money <= 0.1
    assert "--max-cost $0.1" in str(error)


@pytest.mark.parametrize("fault", [Fault("silent"), Fault("reset-mid-body")])
def test_a_request_that_may_have_been_billed_keeps_its_reservation(fault):
    with LoopbackServer([fault]) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url, timeout=0.2)
        provider.retries = 0
        with pytest.raises(ProviderError):
            provider.complete(request())
    assert provider.budget.charged == bound(request(), None)
    assert provider.spent == Usage()


def test_a_refused_request_is_not_charged_for_tokens():
    with LoopbackServer([Fault(status=401)]) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url)
        with pytest.raises(ProviderError):
            provider.complete(request())
    assert (provider.budget.charged.requests, provider.budget.charged.tokens) == (1, 0)


@pytest.mark.parametrize(
    "text", ["plain words", "数値最適化" * 20, "🎉" * 30, '{"a": [1, 2]}' * 10, "\ud800"]
)
def test_the_bound_is_at_least_a_token_for_each_byte(text):
    asked = request(text, schema=SCHEMA, max_output_tokens=10)
    size = sum(len(m.content.encode("utf-8", "surrogatepass")) for m in asked.messages) + len(
        json.dumps(SCHEMA)
    )
    assert bound(asked, None).tokens >= size + 10


def test_a_resumed_run_has_one_budget(tmp_path):
    path = tmp_path / "transcript.jsonl"
    for expected in (3, 0):
        provider = RecordingProvider(
            FunctionProvider(lambda r: "x"), Transcript(path), Budget(max_requests=3)
        )
        spend(provider)
        assert len(provider.provider.requests) == expected
        assert provider.spent.output_tokens == 0
        assert provider.budget.charged.requests == 3


def test_no_limit_no_end():
    provider = RecordingProvider(FunctionProvider(lambda r: "x"))
    with pytest.raises(AssertionError, match="never"):
        spend(provider)


def test_a_limit_of_zero_sends_nothing():
    for budget in (Budget(max_requests=0), Budget(max_tokens=0)):
        provider = RecordingProvider(FunctionProvider(lambda r: "x"), budget=budget)
        spend(provider, 1)
        assert provider.provider.requests == []


@pytest.mark.parametrize("limits", [{"max_requests": -1}, {"max_tokens": -5}, {"max_cost": float("nan")}])
def test_limits_that_are_none(limits):
    with pytest.raises(InputError, match="is not a limit"):
        Budget(**limits)


def test_a_limit_on_money_needs_a_price():
    with pytest.raises(InputError, match="price of openai-compatible:my-model, which is not known") as caught:
        make_provider(
            "openai-compatible:my-model", base_url="http://localhost:1/v1", budget=Budget(max_cost=1)
        )
    assert "SLLMBO_PRICES" in str(caught.value)


def test_an_own_price_file_wins(tmp_path, monkeypatch):
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps(
            {"prices": {"openai:gpt-4o": {"input": 7, "output": 8}, "acme:m": {"input": 1, "output": 2}}}
        )
    )
    monkeypatch.setenv("SLLMBO_PRICES", str(path))
    prices = Budget().prices
    assert prices.of("openai:gpt-4o") == Price(7, 8)
    assert prices.of("acme:m").cost(Usage(1_000_000, 1_000_000)) == 3
    assert prices.of("openai:gpt-4o-mini") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"openai:gpt-4o": 1}',
        '{"prices": {"a:b": {"input": 1}}}',
        '{"prices": {"a:b": {"input": 1, "output": "2"}}}',
        '{"prices": {"a:b": {"input": -1, "output": 2}}}',
        '{"prices": {"a:b": {"input": NaN, "output": 2}}}',
        '{"prices": {"a:b": {"input": 1, "output": 2, "currency": 1}}}',
    ],
)
def test_a_price_file_of_another_shape(tmp_path, text):
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is not a table of prices"):
        Prices.load(path)


def test_a_price_file_that_is_missing(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Prices.load(tmp_path / "none.json")


def test_the_shipped_prices():
    prices = Prices.load()
    assert len(prices.date.split("-")) == 3
    assert prices.of("openai:gpt-4o").cost(Usage(1_000_000, 100_000, 400_000)) == pytest.approx(
        1.5 + 0.5 + 1.0
    )
    assert prices.of("openai:gpt-4o-2024-08-06") == prices.of("openai:gpt-4o")
    assert prices.of("anthropic:claude-haiku-4-5-20251001") == prices.of("anthropic:claude-haiku-4-5")
    assert prices.of("openai:gpt-4o-of-somebody") is None
    assert prices.of("ollama:anything").cost(Usage(1000, 1000)) == 0


def test_a_long_prompt_has_the_longer_price():
    price = Prices.load().of("gemini:gemini-2.5-pro")
    assert price.cost(Usage(300_000, 0)) == pytest.approx(0.3 * 2.5)
    assert price.bound(300_000, 0) == pytest.approx(0.3 * 2.5)
    assert price.cost(Usage(100_000, 0)) == pytest.approx(0.1 * 1.25)


def test_the_forecast_of_a_known_price():
    forecast = Budget().forecast("openai:gpt-4o", 12, 8000)
    assert forecast["requests"] == 12
    assert forecast["tokens"] == 12 * 2000 + 12 * 700
    assert forecast["money"] == pytest.approx((24_000 * 2.5 + 8_400 * 10) / 1e6)
    assert forecast["money"] < forecast["money_at_most"]
    assert "12 requests" in forecast["text"]
    assert "$0.14" in forecast["text"]


def test_requests_are_expected_until_a_limit_refuses_one():
    asked = [request("q" * 4000, max_output_tokens=1000)] * 10
    likely = (sum(len(m.content) for m in asked[0].messages) + len("null")) // 4 + 700
    budget = Budget(max_tokens=bound(asked[0], None).tokens + 2 * likely + 50)
    n, refusal = budget.allows(asked, "x:m")
    assert n == 3
    assert "too little for the next request" in refusal
    assert budget.charged.requests == 0  # the budget itself is as it was
    assert budget.allows(asked, "command:llm")[0] == 1  # a program does not say what it used
    assert Budget(max_requests=4).allows(asked, "x:m") == (4, "--max-requests 4 is spent.")
    assert Budget(max_tokens=100).allows(asked, "x:m")[0] == 0
    assert Budget().allows(asked, "x:m") == (10, "")


def test_the_forecast_of_an_unknown_price_invents_none():
    forecast = Budget().forecast("openai-compatible:m", 12, 8000)
    assert forecast["money"] is None
    assert forecast["money_at_most"] is None
    assert "price of openai-compatible:m is not known" in forecast["text"]
    assert "no charge" in Budget().forecast("ollama:m", 12, 8000)["text"]

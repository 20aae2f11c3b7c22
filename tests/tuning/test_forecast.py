"""A forecast of tokens is near what a run uses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.samplers.expected_requests import expected_requests
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.forecast import forecast
from sllmbo_magic.tuning.forecast import typical_chars
from sllmbo_magic.tuning.planning import make_plan
from sllmbo_magic.tuning.tune import plan
from tests.marks import long
from tests.replies import Expert
from tests.replies import Responder
from tests.small_task import Server
from tests.tokens import SPACE


def objective(params: dict[str, Any]) -> float:
    return float(params["learning_rate"] + params["num_leaves"])


@pytest.mark.parametrize("n_trials", [20, long(50)])
@pytest.mark.parametrize("kind", ["objective", "estimator"])
def test_the_size_of_a_request_is_forecast_within_a_quarter(kind: str, n_trials: int, data: Any) -> None:
    llm = FunctionProvider(Responder(0))
    options: dict[str, Any] = {"n_trials": n_trials, "seed": 0, "llm": llm}
    if kind == "objective":
        arguments: tuple[Any, ...] = (objective,)
        options |= {"direction": "minimize", "search_space": SPACE}
    else:
        arguments = (LogisticRegression(max_iter=50), *data)
    plan = make_plan(*arguments, **options)
    requests = int(forecast(plan)["requests"])
    tune(*arguments, folder="", **({"verify": False} if kind == "estimator" else {}), **options)
    sizes = [sum(len(m.content) for m in r.messages) + len(json.dumps(r.schema)) for r in llm.requests]
    assert typical_chars(plan, requests) == pytest.approx(sum(sizes) / len(sizes), rel=0.25)


def distance(params: dict[str, Any]) -> float:
    """Squared distance of the unit positions to a point, with small waves."""
    total = 0.0
    for place, (name, (low, high, *log)) in zip(
        np.linspace(0.2, 0.8, len(SPACE)), SPACE.items(), strict=True
    ):
        value = params[name]
        unit = np.log(value / low) / np.log(high / low) if log else (value - low) / (high - low)
        total += (unit - place) ** 2 + 0.1 * abs(np.sin(9 * unit))
    return float(total)


@pytest.mark.parametrize("n_params", [2, 9])
@pytest.mark.parametrize(("n_trials", "candidates"), [(20, 5), long(50, 5), long(50, 8)])
def test_requests_and_tokens_are_forecast_within_a_quarter(
    server: Server, n_params: int, n_trials: int, candidates: int
) -> None:
    """Against an OpenAI-compatible server whose answers are as long as a language model's."""
    space = dict(list(SPACE.items())[:n_params])
    expert = Expert(1, n=candidates)
    characters = 0

    def respond(request: Any) -> dict[str, Any]:
        nonlocal characters
        answer = expert(request)
        characters += len(json.dumps(answer))
        return answer

    server.responder = respond  # type: ignore[assignment]
    options: dict[str, Any] = {
        "n_trials": n_trials,
        "candidates": candidates,
        "seed": 1,
        "direction": "minimize",
        "search_space": space,
        "llm": "openai-compatible:m",
        "base_url": server.url,
    }

    def objective(params: dict[str, Any]) -> float:
        return distance({**{name: low for name, (low, *_) in SPACE.items()}, **params})

    expected = forecast(make_plan(objective, **options))
    result = tune(objective, folder="", **options)
    for seen in server.requests:
        characters += sum(len(str(m["content"])) for m in seen.body["messages"])
        characters += len(json.dumps(seen.body.get("response_format") or {}))
    n_requests = result.summary["cost"]["requests"]
    assert n_requests == pytest.approx(expected["requests"], rel=0.25, abs=1)
    assert characters / 4 == pytest.approx(expected["tokens"], rel=0.25)


@pytest.mark.parametrize(
    ("adviser", "candidates"),
    [
        (Expert, 5),
        (Responder, 2),
        *(long(adviser, n) for adviser in (Expert, Responder) for n in (1, 3, 8)),
        long(Expert, 2),
        long(Responder, 5),
    ],
)
def test_requests_of_any_batch_size_are_forecast_within_a_quarter(adviser: Any, candidates: int) -> None:
    """On average over seeds: how many turns a language model gets depends on its luck."""
    space = dict(list(SPACE.items())[:2])
    options: dict[str, Any] = {"n_trials": 50, "candidates": candidates, "search_space": space}

    def objective(params: dict[str, Any]) -> float:
        return distance({**{name: low for name, (low, *_) in SPACE.items()}, **params})

    seen = []
    for seed in (1, 2, 3):
        llm = FunctionProvider(adviser(seed, n=candidates))
        tune(objective, folder="", llm=llm, seed=seed, direction="minimize", **options)
        seen.append(len(llm.requests))
    expected = forecast(make_plan(objective, llm=llm, direction="minimize", **options))["requests"]
    assert expected == pytest.approx(np.mean(seen), rel=0.25), seen


@pytest.mark.parametrize(("candidates", "requests"), [(1, 19), (2, 10), (3, 7), (5, 4), (8, 3)])
def test_a_language_model_that_has_all_trials_is_asked_for_each_batch(candidates: int, requests: int) -> None:
    assert expected_requests(20, candidates, 1.0) == requests


def test_the_forecast_of_a_long_run_takes_no_longer() -> None:
    assert expected_requests(10_000, 5, 0.5) == pytest.approx(1119, rel=0.1)
    assert expected_requests(2, 5, 0.5) == expected_requests(1, 1, 0.5) == 1
    assert expected_requests(50, 5, 0.0) <= 2


QUICK: dict[str, Any] = {"direction": "minimize", "search_space": SPACE, "n_trials": 20, "folder": ""}


@pytest.mark.parametrize(
    "wrong",
    [
        {"llm": "grok:x"},
        {"llm": "openai"},
        {"llm": "replay:nothing"},
        {"llm": "replay:nothing?then=openai:gpt-4o"},
        {"llm": "command:no-such-program"},
        {"llm": "openai-compatible:m"},
        {"llm": "openai-compatible:unpriced", "base_url": "http://localhost:1", "max_cost": 1.0},
        {"llm": "openai:gpt-4o", "base_url": "localhost"},
        {"llm": "ollama:m", "ask": str},
        {"base_url": "localhost"},
        {"callbacks": [3]},
    ],
    ids=str,
)
def test_a_plan_refuses_what_the_run_refuses_in_the_same_words(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_COMPATIBLE_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef0123")
    with pytest.raises(InputError) as of_run:
        tune(objective, **QUICK, **wrong)
    with pytest.raises(InputError) as of_plan:
        plan(objective, **QUICK, **wrong)
    assert str(of_plan.value) == str(of_run.value)


def test_a_plan_needs_no_key_and_says_that_the_run_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    planned = plan(objective, **QUICK, llm="openai:gpt-4o", max_cost=1.0)
    assert forecast(planned)["requests"] > 1
    assert planned.first_request()
    with pytest.raises(InputError) as of_run:
        tune(objective, **QUICK, llm="openai:gpt-4o", max_cost=1.0)
    assert planned.notes[-1] == f"The run itself would not start yet: {of_run.value}"
    with pytest.raises(InputError, match="needs the price of openai:unpriced"):
        plan(objective, **QUICK, llm="openai:unpriced", max_cost=1.0)
    beside_tpe = plan(objective, **QUICK, llm="openai:gpt-4o", sampler="tpe")
    assert "openai:gpt-4o cannot be asked" in beside_tpe.notes[-1]


@pytest.mark.parametrize(
    "limit", [{"max_requests": 2}, {"max_tokens": 16_000}, {"max_cost": 0.06}, {"max_tokens": 500}], ids=str
)
def test_a_forecast_ends_at_the_limits(
    limit: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text('{"prices": {"test": {"input": 2.0, "output": 10.0}}}')
    monkeypatch.setenv("SLLMBO_PRICES", str(prices))
    options = {**QUICK, "seed": 1, "sampler": "llm"}

    def llm() -> FunctionProvider:
        provider = FunctionProvider(Expert(1, n=5))
        provider.id = "test"
        return provider

    unlimited = forecast(plan(objective, **options, llm=llm()))
    expected = forecast(plan(objective, **options, llm=llm(), **limit))
    assert expected["requests"] < unlimited["requests"]
    assert expected["tokens"] < unlimited["tokens"]
    assert f"--{next(iter(limit)).replace('_', '-')} " in expected["text"]
    if limit == {"max_tokens": 500}:
        assert expected["text"].startswith("No request: --max-tokens 500 is too low")
    else:
        assert expected["requests"] >= 1
        assert f"Without it, about {unlimited['requests']} requests." in expected["text"]
    if expected["requests"] == limit.get("max_requests", 0):
        asked = llm()
        tune(objective, **options, llm=asked, **limit)
        assert len(asked.requests) == expected["requests"]

"""A forecast of tokens is near what a run uses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import tune
from sllmbo_magic.samplers.expected_requests import expected_requests
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.forecast import forecast
from sllmbo_magic.tuning.forecast import typical_chars
from sllmbo_magic.tuning.planning import make_plan
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


@pytest.mark.parametrize("candidates", [long(1), 2, long(3), 5, long(8)])
@pytest.mark.parametrize("adviser", [Expert, Responder])
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

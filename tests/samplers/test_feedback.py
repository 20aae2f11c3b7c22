"""What became of an LLM's answer is in its next prompt, also after a resume."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.history.history import History
from sllmbo_magic.llm.base import Request
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.reply import read_propose
from sllmbo_magic.testing import FunctionProvider
from tests.replies import reply

SPACE = SearchSpace.from_user({"x": (0.001, 10.0, "log"), "n": (1, 50)})


def study(answer: Any, n_trials: int, **options: Any) -> list[str]:
    """The prompts of a run."""
    provider = FunctionProvider(answer)
    sampler = LLMTPESampler(
        provider, search_space=SPACE, schedule="alternate", seed=3, **{"judge": False, **options}
    )
    made = optuna.create_study(sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        params = SPACE.suggest(trial)
        return float(abs(np.log(params["x"])) + abs(params["n"] - 20) / 10)  # type: ignore[arg-type, operator]

    made.optimize(objective, n_trials=n_trials)
    return [r.messages[-1].content for r in provider.requests]


def answering(change: dict[str, Any] | None = None, bad: dict[str, Any] | None = None) -> Any:
    asked: list[Request] = []

    def answer(request: Request) -> Any:
        asked.append(request)
        data = reply(request.messages[-1].content, np.random.default_rng(len(asked)))
        if len(asked) == 1:
            data["space_changes"] = [change] if change else []
            if bad is not None:
                data["configurations"][0]["params"] = bad
        return data

    return answer


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"action": "narrow", "name": "x", "low": 0.5, "high": None}, "- narrow x: its low stays 0.001: "),
        (
            {"action": "widen", "name": "n", "low": 5, "high": 90},
            "- widen n: its high is 50, where its",
        ),
        ({"action": "drop", "name": "x", "value": 500}, "- drop x: 500 is out of range"),
        ({"action": "narrow", "name": "n", "low": 40, "high": 3}, "- narrow n: its low is not below its"),
        ({"action": "narrow", "name": "x", "low": 20, "high": None}, "- narrow x: its low is not below its"),
    ],
)
def test_a_change_that_was_refused_or_made_otherwise_is_told_once(change: dict[str, Any], line: str) -> None:
    prompts = study(answering(change), 22)
    assert line in prompts[1]
    assert all("Of your last answer" not in prompt for prompt in (prompts[0], *prompts[2:]))


def test_a_rejected_configuration_is_told() -> None:
    prompts = study(answering(bad={"x": 99.0, "n": 5}), 16)
    assert "- configuration 1: x: 99 is out of range; allowed: 0.001 to 10, log scale" in prompts[1]


def test_a_vetoed_candidate_is_told() -> None:
    prompts = study(lambda request: reply_at_the_bounds(request), 60, judge=True, llm_ratio=0.5)
    told = [
        line for prompt in prompts for line in prompt.splitlines() if line.startswith("- vetoed at trial")
    ]
    assert told
    assert "where the surrogate expects more of" in told[0]
    assert "x=" in told[0]


def reply_at_the_bounds(request: Request) -> dict[str, Any]:
    """Candidates of which each is bad and no two are the same."""
    rng = np.random.default_rng(len(request.messages[-1].content))
    data = reply(request.messages[-1].content, rng)
    for configuration in data["configurations"]:
        configuration["params"] = {"x": float(rng.uniform(8, 10)), "n": int(rng.integers(45, 51))}
        configuration["expects"] = "better"
    return data


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        ({"rate": 0.33, "size": 20}, "rate is 0.3, the nearest to 0.33 in steps of 0.1"),
        ({"rate": 0.3, "size": "25"}, "size is 20, the nearest to 25 in steps of 10"),
        ({"rate": 0.3001, "size": 20}, ""),
    ],
)
def test_a_value_between_two_points_of_a_grid_is_told(sent: dict[str, Any], line: str) -> None:
    steps = {
        "rate": optuna.distributions.FloatDistribution(0.0, 1.0, step=0.1),
        "size": optuna.distributions.IntDistribution(0, 100, step=10),
    }
    space = SearchSpace.from_user(steps)
    data = {"space_changes": [], "configurations": [{"params": sent}]}
    proposal, problems = read_propose(data, Ask(space, space, History()), [*space])
    assert not problems
    assert space.contains("rate", proposal.candidates[0].params["rate"])
    assert list(proposal.feedback) == ([f"configuration 1: {line}"] if line else [])


def test_an_infinite_score_is_shown_as_a_failure() -> None:
    provider = FunctionProvider(answering())
    made = optuna.create_study(sampler=LLMSampler(provider, search_space={"x": (0.0, 1.0)}, seed=0))
    made.enqueue_trial({"x": 0.1})
    made.optimize(lambda t: math.inf if t.suggest_float("x", 0.0, 1.0) == 0.1 else 0.5, n_trials=8)
    prompt = provider.requests[-1].messages[-1].content
    assert "#0,user,FAILED (not-finite-score),0.1" in prompt
    assert ", 1 failed." in prompt
    assert "COMPLETE" not in prompt

"""A parameter that an answer leaves out keeps its default, or the answer is told what it has instead."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier

from sllmbo_magic.history.history import History
from sllmbo_magic.proposers import prompts
from sllmbo_magic.proposers.reply import read_initialize
from sllmbo_magic.proposers.reply import read_propose
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.planning import make_plan

LACKING = "These have defaults that their ranges do not hold"
SPACE = [
    {"name": "learning_rate", "type": "float", "low": 0.01, "high": 0.3, "log": True},
    {"name": "n_estimators", "type": "int", "low": 50, "high": 1200, "log": True},
    {"name": "num_leaves", "type": "int", "low": 2, "high": 32, "log": True},
]


def first_answer(*configurations: dict[str, Any], space: list[dict[str, Any]]) -> Any:
    pairs = [[{"name": n, "value": v} for n, v in c.items()] for c in configurations]
    answer = {
        "reasoning": "r",
        "space": space,
        "configurations": [{"reason": "why", "expects": "better", "params": p} for p in pairs],
    }
    return json.loads(json.dumps(answer))


def test_what_the_space_leaves_out_is_held_at_the_librarys_default(data: Any) -> None:
    """A real model left the L1 penalty out; all five configurations were rejected for it."""
    plan = make_plan(LGBMClassifier(verbose=-1), *data, llm=FunctionProvider(lambda request: ""))
    ask = plan.first_ask(History())
    configuration = {"learning_rate": 0.05, "n_estimators": 300, "num_leaves": 8}
    proposal, problems = read_initialize(
        first_answer(configuration, space=SPACE), ask, plan.allowed, plan.limits
    )
    assert problems == []
    assert [c.params for c in proposal.candidates] == [configuration]
    assert proposal.space is not None
    assert {*proposal.space} == {*configuration}
    fixed = proposal.space.fixed
    assert fixed["min_child_samples"] == 20
    assert (fixed["subsample"], fixed["colsample_bytree"]) == (1.0, 1.0)
    assert fixed["reg_alpha"] <= 1e-5, "off: a logarithmic scale has no 0"  # type: ignore[operator]


def test_a_default_that_the_range_lacks_is_kept(data: Any) -> None:
    plan = make_plan(RandomForestClassifier(), *data, llm=FunctionProvider(lambda request: ""))
    ask = plan.first_ask(History())
    lacking = [n for n in ask.space if not ask.space.contains(n, ask.defaults[n])]
    assert lacking, "the share of columns has sqrt as its default"
    text = prompts.initialize(ask, plan.allowed)[-1].content
    assert all(f"{name} (" in text.partition(LACKING)[2] for name in lacking)
    given = {n: v for n, v in ask.space.clip(ask.defaults).items() if n not in lacking}
    proposal, _ = read_initialize(first_answer(given, space=[]), ask, plan.allowed, plan.limits)
    assert [c.at_default for c in proposal.candidates] == [tuple(lacking)]
    assert not proposal.feedback


@pytest.mark.parametrize("name", ["reg_alpha", "reg_lambda"])
def test_a_penalty_that_is_off_needs_no_word(data: Any, name: str) -> None:
    plan = make_plan(LGBMClassifier(verbose=-1), *data, llm=FunctionProvider(lambda request: ""))
    text = prompts.initialize(plan.first_ask(History()), plan.allowed)[-1].content
    assert f"{name} (" not in text.partition(LACKING)[2]


def test_a_range_that_the_user_set_holds_what_is_left_out(data: Any) -> None:
    plan = make_plan(RandomForestClassifier(), *data, llm=FunctionProvider(lambda request: ""))
    ask = replace(plan.first_ask(History()), locked=frozenset({"max_features"}))
    given = {
        n: v for n, v in ask.space.clip(ask.defaults).items() if n not in ("max_features", "max_samples")
    }
    proposal, _ = read_initialize(first_answer(given, space=[]), ask, plan.allowed, plan.limits)
    (candidate,) = proposal.candidates
    assert candidate.at_default == ("max_samples",)
    assert ask.space.contains("max_features", candidate.params["max_features"])
    assert any("max_features is " in line and "the user's range" in line for line in proposal.feedback)
    text = prompts.propose(ask, "")[-1].content.partition(LACKING)[2]
    assert "max_samples (null)" in text
    assert "max_features (" not in text
    named = {**given, "max_features": "sqrt", "max_samples": None}
    later = {"configurations": [{"params": named}]}
    proposal, problems = read_propose(later, ask, [*ask.space])
    assert not proposal.candidates
    assert "max_features: 'sqrt' is not a number" in problems[0]

"""What becomes of an LLM's space changes, and of the configurations that come with them."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.reply import read_initialize
from sllmbo_magic.proposers.reply import read_propose
from sllmbo_magic.proposers.space_extension import ExtensionPolicy
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.planning import make_plan

SPACE = SearchSpace.from_user({"rate": (0.001, 1.0, "log")})
POLICY = ExtensionPolicy(names=("trees", "gamma"), by_llm=True, defaults={"trees": 1, "gamma": 0.0})


def answer(change: dict[str, Any], *configurations: dict[str, Any]) -> tuple[Proposal, list[str]]:
    history = History(tuple(Observation(i, {"rate": 0.1 + i / 50}, value=0.5) for i in range(3)), "maximize")
    ask = Ask(SPACE, SPACE, history, trial_number=3, extension=POLICY)
    data = {"space_changes": [change], "configurations": list(configurations)}
    return read_propose(data, ask, [*SPACE])


@pytest.mark.parametrize("named", [True, False])
def test_a_first_answer_leaves_a_locked_range_as_it_is(named: bool) -> None:
    """Also one that it does not name, which would else be held at its default."""
    space = SearchSpace.from_user({"rate": (0.001, 1.0, "log"), "depth": (1, 9)})
    ask = Ask(
        space,
        space,
        History(),
        trial_number=1,
        locked=frozenset({"rate"}),
        defaults={"rate": 0.1, "depth": 3},
    )
    ranges = [{"name": "depth", "type": "int", "low": 2, "high": 5}]
    ranges += [{"name": "rate", "type": "float", "low": 0.1, "high": 0.2}] if named else []
    proposal, _ = read_initialize({"space": ranges, "configurations": []}, ask, (), {})
    assert proposal.space is not None
    assert proposal.space["rate"] == space["rate"]
    assert proposal.space["depth"] != space["depth"]


ADD = {"action": "add", "name": "trees", "low": 1, "high": 5, "reason": "bagging may help"}


def test_the_configurations_of_an_answer_may_use_what_it_adds() -> None:
    added = {"params": {"rate": 0.3}, "added": [{"name": "trees", "value": 4}]}
    proposal, problems = answer(ADD, added, {"params": {"rate": 0.4, "trees": 2}})
    assert problems == []
    assert [c.params["trees"] for c in proposal.candidates] == [4, 2]


@pytest.mark.parametrize(("value", "expected"), [(None, 1), (3, 3)])
def test_one_that_does_not_name_it_has_its_value_or_the_estimators_default(value: Any, expected: int) -> None:
    proposal, _ = answer({**ADD, "value": value}, {"params": {"rate": 0.3}})
    assert proposal.candidates[0].params == {"rate": 0.3, "trees": expected}, "not the middle of the range"


@pytest.mark.parametrize(
    ("value", "held", "told"),
    [
        (0.6, 0.25, "add s: its value is 0.5, the nearest to 0.6 in steps of 0.25"),
        (None, 0.25, ""),
        (0.5, 0.25, ""),
        (7.0, 0.25, "add s: its value 7 is out of range"),
    ],
)
def test_a_value_of_an_addition_that_the_grid_moves_is_told(value: Any, held: float, told: str) -> None:
    outer = SearchSpace({"rate": FloatDistribution(0, 1), "s": FloatDistribution(0, 1, step=0.25)})
    space = outer.drop("s", held)
    ask = Ask(space, outer, History((Observation(0, {"rate": 0.1, "s": held}, value=0.5),), "maximize"))
    change = {"action": "add", "name": "s", "low": 0.0, "high": 1.0, "value": value}
    data = {"space_changes": [change], "configurations": [{"params": {"rate": 0.3}}]}
    proposal, _ = read_propose(data, ask, [*space])
    assert told in "".join(proposal.feedback)
    assert bool(told) == bool(proposal.feedback)


def test_a_value_of_a_drop_that_the_grid_moves_is_told() -> None:
    space = SearchSpace({"rate": FloatDistribution(0, 1), "s": FloatDistribution(0, 1, step=0.25)})
    data = {
        "space_changes": [{"action": "drop", "name": "s", "value": 0.6}],
        "configurations": [{"params": {"rate": 0.3}}],
    }
    proposal, _ = read_propose(data, Ask(space, space, History((), "maximize")), [*space])
    assert "drop s: its value is 0.5, the nearest to 0.6 in steps of 0.25" in proposal.feedback


def test_without_a_value_that_the_range_holds_it_must_be_named() -> None:
    """Else the addition is not made; the configurations are not lost for it."""
    change = {"action": "add", "name": "gamma", "low": 0.01, "high": 10.0, "log": True}
    proposal, problems = answer(change, {"params": {"rate": 0.3}})
    assert [c.params for c in proposal.candidates] == [{"rate": 0.3}]
    assert any("add gamma: not every configuration names it" in problem for problem in problems)
    proposal, _ = answer(change, {"params": {"rate": 0.3, "gamma": 0.5}})
    assert proposal.candidates[0].params == {"rate": 0.3, "gamma": 0.5}


@pytest.mark.parametrize(("log", "is_log"), [(True, True), (False, False), (None, True)])
def test_an_added_range_has_the_scale_that_is_asked_for(log: bool | None, is_log: bool) -> None:
    change = {"action": "add", "name": "gamma", "low": 0.01, "high": 10.0, "log": log, "value": 0.1}
    proposal, _ = answer(change, {"params": {"rate": 0.3}})
    assert proposal.space is not None
    assert proposal.space["gamma"].log is is_log  # type: ignore[attr-defined]


def test_no_plumbing_of_a_pipeline_may_be_added(data: Any) -> None:
    transformer = make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough")
    model = make_pipeline(transformer, LogisticRegression())
    plan = make_plan(model, *data, llm=FunctionProvider(lambda request: ""))
    plumbing = ("verbose_feature_names_out", "sparse_threshold", "force_int_remainder_cols", "remainder")
    assert not [name for name in plan.allowed if name.endswith(plumbing)]

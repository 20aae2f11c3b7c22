"""Conditions in a search space that a user writes as a dict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.diversity import is_near
from sllmbo_magic.space.search_space import Condition
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

KERNELS: dict[str, Any] = {
    "kernel": ["rbf", "poly", "linear"],
    "degree": {"if": {"kernel": "poly"}, "low": 2, "high": 5},
    "gamma": {"if": {"kernel": ["rbf", "poly"]}, "range": (1e-4, 1.0, "log")},
    "C": (0.01, 100.0, "log"),
}


def test_if_makes_a_parameter_active_only_with_its_parents_value() -> None:
    space = SearchSpace.from_user(KERNELS)
    assert {*space.conditions} == {
        Condition("degree", "kernel", ("poly",)),
        Condition("gamma", "kernel", ("rbf", "poly")),
    }
    assert space["degree"] == IntDistribution(2, 5), "whole numbers, as in a tuple"
    assert space["gamma"] == FloatDistribution(1e-4, 1.0, log=True)
    assert {*space.active({"kernel": "linear", "degree": 3, "gamma": 0.1, "C": 1.0})} == {"kernel", "C"}


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"if": {"kernel": "polly"}, "low": 2, "high": 5}, "being 'polly'; it can be one of 'rbf', 'poly'"),
        ({"if": {"kernl": "poly"}, "low": 2, "high": 5}, "depends on 'kernl', which is no parameter"),
        ({"if": "kernel", "low": 2, "high": 5}, "when needs"),
        ({"if": {"kernel": "poly"}}, "low is None, not a finite number"),
        ({"if": {"C": 1000.0}, "low": 2, "high": 5}, "being 1000; it can be 0.01 to 100"),
    ],
)
def test_a_condition_that_can_never_hold_is_one_line(entry: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as error:
        SearchSpace.from_user({**KERNELS, "degree": entry})
    assert named in error.value.message
    assert "degree" in error.value.message


def test_inactive_parameters_are_neither_given_nor_shown() -> None:
    given: list[dict[str, Any]] = []

    def objective(params: dict[str, Any]) -> float:
        given.append(dict(params))
        return float(params["C"] + params.get("degree", 0))

    llm = FunctionProvider(Responder(1))
    tune(objective, direction="minimize", search_space=KERNELS, llm=llm, n_trials=40, seed=0, folder="")
    for params in given:
        assert ("degree" in params) == (params["kernel"] == "poly")
        assert ("gamma" in params) == (params["kernel"] != "linear")
    text = llm.requests[-1].messages[-1].content
    assert "degree: int 2 to 5, only when kernel is poly" in text
    rows = [line.split(",") for line in text.splitlines() if line.startswith("#") and ",rbf," in line]
    header = next(line for line in text.splitlines() if line.startswith("#,by,score")).split(",")
    assert rows
    assert all(row[header.index("degree")] == "-" for row in rows)


def test_inactive_parameters_are_no_dimensions_of_a_distance() -> None:
    switches = {f"p{i}": {"if": {"kernel": "poly"}, "low": 0.0, "high": 1.0} for i in range(30)}
    space = SearchSpace.from_user({"kernel": ["rbf", "poly"], "x": (0.0, 1.0), **switches})
    trial = Observation(0, {"kernel": "rbf", "x": 0.1}, value=1.0)
    assert is_near({"kernel": "rbf", "x": 0.12}, trial, space)
    assert not is_near({"kernel": "rbf", "x": 0.4}, trial, space)
    assert np.isfinite(space.to_unit(trial.params)).all()

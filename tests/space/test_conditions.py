"""Conditions in a search space that a user writes as a dict."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import RandomSampler
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

from sllmbo_magic import LLMTPESampler
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


PARENTS: dict[str, Any] = {
    "fix": 5,
    "n": (1, 9),
    "clf": [SVC(), Ridge(alpha=2), Ridge()],
    "layers": [(8,), (8, 8)],
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
        ({"if": {"gamma": "x"}, "range": (2, 5)}, "being 'x'; it can be 0.0001 to 1, log scale"),
        ({"if": {"fix": 3}, "range": (2, 5)}, "depends on 'fix' being 3; it is fixed at 5"),
        (
            {"if": {"clf": "nonsense"}, "range": (2, 5)},
            "it can be one of 'SVC()', 'Ridge(alpha=2)', 'Ridge()'",
        ),
        ({"if": {"clf": "Ridge"}, "range": (2, 5)}, "it can be one of 'SVC()', 'Ridge(alpha=2)', 'Ridge()'"),
        ({"if": {"clf": SVC(C=3)}, "range": (2, 5)}, "being 'SVC(C=3)'; it can be one of 'SVC()'"),
        ({"if": {"layers": (8, 9)}, "range": (2, 5)}, "being '(8, 9)'; it can be one of '(8,)', '(8, 8)'"),
        ({"if": {"n": (2, 5)}, "range": (2, 5)}, "write range(2, 6) for 2 to 5, or [2, 5] for these values"),
        ({"iff": {"n": 3}, "range": (0.0, 1.0)}, "Did you mean 'if'? Allowed: if, range, low"),
        ({"low": 1e-6, "high": 1.0, "logg": True}, "Did you mean 'log'?"),
        ({"low": 2, "high": 6, "stepp": 2}, "Did you mean 'step'?"),
        ({"min": 2, "max": 6, "log": True}, "the key 'log' is not known in a sweep"),
        ({"range": (2, 6), "low": 3}, "range and low exclude each other"),
        ({"choices": [2, 6], "log": True}, "choices and log exclude each other"),
        ({"range": {"low": 2, "high": 6, "if": {"n": 3}}}, 'write it beside "range"'),
    ],
)
def test_a_condition_that_can_never_hold_is_one_line(entry: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as error:
        SearchSpace.from_user({**KERNELS, **PARENTS, "degree": entry})
    assert named in error.value.message
    assert "degree" in error.value.message


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ({"clf": "SVC"}, ("SVC()",)),
        ({"clf": [SVC, Ridge(alpha=2)]}, ("SVC()", "Ridge(alpha=2)")),
        ({"clf": PARENTS["clf"][2]}, ("Ridge()",)),
        ({"layers": (8, 8)}, ("(8, 8)",)),
        ({"n": range(2, 5)}, (2, 3, 4)),
        ({"n": np.array([2, 5])}, (2, 5)),
    ],
)
def test_a_condition_names_objects_by_themselves_or_by_their_class(condition: Any, values: Any) -> None:
    space = SearchSpace.from_user({**PARENTS, "x": {"if": condition, "range": (0.0, 1.0)}})
    assert space.conditions == (Condition("x", *condition, values),)


@pytest.mark.parametrize(
    "written",
    [
        {"range": (1, 19)},
        {"range": range(1, 20, 3)},
        {"range": FloatDistribution(1e-3, 1, log=True)},
        {"range": stats.loguniform(1e-3, 1.0)},
        {"range": ["a", (1, 2)]},
        {"choices": np.array([3, 4])},
        {"min": 1, "max": 4},
        {"values": [1, 4]},
    ],
)
def test_ranges_beside_if_are_written_in_every_notation(written: dict[str, Any]) -> None:
    bare = written.get("range", written.get("choices", written))
    space = SearchSpace.from_user({"n": (1, 9), "x": {"if": {"n": 3}, **written}})
    assert space["x"] == SearchSpace.from_user({"x": bare})["x"]
    assert space.conditions == (Condition("x", "n", (3,)),)


@pytest.mark.parametrize("written", [(1, 21, 10), (1, 20, "lin"), (1, 2, 3, 4), {1, 2}])
@pytest.mark.parametrize("beside", [{}, {"if": {"n": 3}}])
def test_a_range_in_a_dict_is_refused_as_one_outside(written: Any, beside: dict[str, Any]) -> None:
    """The first two were searched on a log scale."""
    with pytest.raises(InputError) as bare:
        SearchSpace.from_user({"n": (1, 9), "x": written})
    with pytest.raises(InputError) as in_dict:
        SearchSpace.from_user({"n": (1, 9), "x": {"range": written, **beside}})
    assert in_dict.value.message == bare.value.message


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


def test_a_point_of_a_grid_meets_its_condition_however_its_steps_are_added_up() -> None:
    """Optuna draws 0.30000000000000004 there, which left the parameter out."""
    written = {"q": FloatDistribution(0, 0.4, step=0.1), "d": {"if": {"q": 0.3}, "range": (0.0, 1.0)}}
    space = SearchSpace.from_user(written)
    assert "d" in space.active({"q": 3 * 0.1, "d": 0.5})
    assert "d" not in space.active({"q": 0.2, "d": 0.5})
    sampler = LLMTPESampler(search_space=space, base_sampler=RandomSampler(seed=0), mode="tpe", seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(space.suggest(trial)), n_trials=20)
    assert {round(t.params["q"], 6) for t in study.trials if "d" in t.params} == {0.3}
    assert {round(t.params["q"], 6) for t in study.trials if "d" not in t.params} == {0.0, 0.1, 0.2, 0.4}

"""Whole runs with a scripted language model.

A trial has what the answer said, or the next prompt says what it has instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from lightgbm import LGBMClassifier
from sklearn.datasets import make_regression
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import ElasticNet
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.history.trials import real_configuration
from sllmbo_magic.llm.base import Request
from sllmbo_magic.testing import FunctionProvider


@pytest.fixture(scope="module")
def regression_data() -> Any:
    return make_regression(60, 3, noise=10, random_state=0)


Answer = Callable[[int, Request], Any]
TOLD = "Of your last answer not taken, or changed:"


def entry(
    name: str, kind: str, low: Any = None, high: Any = None, *, log: Any = None, choices: Any = None
) -> Any:
    return {"name": name, "type": kind, "low": low, "high": high, "log": log, "choices": choices}


def pairs(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in configuration.items()]


def first(space: list[Any], *configurations: dict[str, Any], expects: str = "better") -> dict[str, Any]:
    return {
        "reasoning": "r",
        "space": space,
        "configurations": [
            {
                "reason": f"first {i}",
                "expects": expects,
                "params": [{"name": n, "value": v} for n, v in c.items()],
            }
            for i, c in enumerate(configurations)
        ],
    }


def later(*configurations: dict[str, Any], changes: Any = (), expects: str = "explore") -> dict[str, Any]:
    return {
        "reasoning": "r",
        "space_changes": list(changes),
        "configurations": [
            {"reason": f"later {i}", "expects": expects, "params": c, "added": []}
            for i, c in enumerate(configurations)
        ],
    }


def change(action: str, name: str, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("low", "high", "log", "choices", "value"))
    return {"action": action, "name": name, **empty, "reason": "r", **more}


def usable(request: Request, i: int) -> dict[str, Any]:
    """An answer with one configuration of the space that a request is about, another one for each request."""
    params: dict[str, Any] = {}
    for line in space_in(request).splitlines():
        name, _, kind = line.partition(": ")
        if kind.startswith("one of "):
            params[name] = json.loads(kind[7:].split("]")[0] + "]")[0]
        else:
            low, high = (float(text) for text in re.findall(r"[\d.e+-]+", kind)[:2])
            part = (0.37 + 0.19 * i) % 1
            value = low + (high - low) * part
            params[name] = round(value) if kind.startswith("int") else value
    return later(params)


def run(target: Any, data: Any, answer: Answer, **options: Any) -> tuple[TuneResult, list[Request]]:
    """A run of the LLM alone, and the requests that it was sent."""
    n = [-1]

    def reply(request: Request) -> Any:
        n[0] += 1
        return answer(n[0], request)

    provider = FunctionProvider(reply)
    options = {
        "n_trials": 5,
        "seed": 0,
        "folder": "",
        "verify": False,
        "sampler": "llm",
        "judge": False,
        **options,
    }
    if data is not None:
        options = {"cv": 2, **options}
    result = tune(*((target,) if data is None else (target, *data)), llm=provider, **options)
    return result, provider.requests


def first_then_usable(answer: dict[str, Any]) -> Answer:
    """This first answer, and later ones that can be used as they are."""
    return lambda i, request: usable(request, i) if i else answer


def sources(result: TuneResult, source: str) -> list[dict[str, Any]]:
    """The real configurations of a source's trials."""
    return [
        real_configuration(t)[0] for t in result.study.trials if t.user_attrs.get("sllmbo:source") == source
    ]


def space_in(request: Request) -> str:
    """The search space as a request shows it."""
    return request.messages[-1].content.partition("Current search space:\n")[2].partition("\n\n")[0]


def told(requests: list[Request]) -> str:
    """What all requests say of earlier answers."""
    texts = [request.messages[-1].content.partition(TOLD)[2].partition("\n\n")[0] for request in requests]
    return "\n".join(texts)


def test_a_value_for_a_parameter_that_the_first_space_leaves_out_is_used(data: Any) -> None:
    configurations = [{"learning_rate": 0.2, "max_depth": 2, "n_estimators": n} for n in (40, 60)]
    space = [entry("learning_rate", "float", 0.01, 0.3, log=True), entry("max_depth", "int", 1, 6)]
    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    result, requests = run(model, data, first_then_usable(first(space, *configurations)))
    assert [c["n_estimators"] for c in sources(result, "llm-init")] == [40, 60]
    assert "n_estimators is searched" in told(requests)


def test_a_value_for_a_parameter_that_is_held_is_told(data: Any) -> None:
    def answer(i: int, request: Request) -> Any:
        if i == 0:
            space = [entry("learning_rate", "float", 0.01, 0.3, log=True), entry("max_depth", "int", 1, 6)]
            return first(space, {"learning_rate": 0.2, "max_depth": 2})
        params = {"learning_rate": 0.05 * i, "max_features": 0.5, "max_depth": 5, "n_estimators": 500}
        return later(params, changes=[change("drop", "max_depth", value=6)] if i == 1 else [])

    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    result, requests = run(model, data, answer, n_trials=6)
    assert {c["n_estimators"] for c in sources(result, "llm")} == {20}
    assert "n_estimators is held at 20, not 500" in told(requests)
    assert "max_depth is held at" in told(requests)


@pytest.mark.parametrize("kernel", ["sigmoid", "poly"])
def test_the_width_belongs_to_every_kernel_that_has_one(data: Any, kernel: str) -> None:
    space = [
        entry("svc__C", "float", 0.01, 100, log=True),
        entry("svc__gamma", "float", 1e-4, 10, log=True),
        entry("svc__kernel", "categorical", choices=["rbf", kernel]),
    ]
    widths = [{"svc__C": 1, "svc__kernel": kernel, "svc__gamma": gamma} for gamma in (0.01, 0.1)]
    model = make_pipeline(StandardScaler(), SVC())
    result, requests = run(model, data, first_then_usable(first(space, *widths)))
    assert [c["svc__gamma"] for c in sources(result, "llm-init")] == [0.01, 0.1]
    assert f"only when svc__kernel is rbf or {kernel}" in requests[1].messages[-1].content
    assert (
        "linear"
        not in requests[1].messages[-1].content.partition("Current search space")[2].partition("\n\n")[0]
    )


def test_a_left_out_parameter_keeps_a_default_that_its_range_lacks(data: Any) -> None:
    space = [
        entry("max_depth", "int", 2, 20),
        entry("max_features", "float", 0.1, 1.0),
        entry("min_samples_leaf", "int", 1, 10, log=True),
    ]
    sent: list[dict[str, Any]] = [
        {"max_depth": 5},
        {"max_features": 0.4},
        {"max_features": "sqrt", "min_samples_leaf": 3},
    ]
    model = RandomForestClassifier(n_estimators=20, random_state=0)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    result, _ = run(
        model, data, first_then_usable(first(space, *sent)), scoring="accuracy",
        cv=cv, n_trials=4,
    )  # fmt: skip
    trials = sources(result, "llm-init")
    assert [(c["max_depth"], c["max_features"], c["max_samples"]) for c in trials] == [
        (5, "sqrt", None), (None, 0.4, None), (None, "sqrt", None)
    ]  # fmt: skip
    trial = next(t for t in result.study.trials if t.user_attrs["sllmbo:source"] == "llm-init")
    by_hand = cross_val_score(
        RandomForestClassifier(n_estimators=20, random_state=0, max_depth=5), *data, scoring="accuracy", cv=cv
    )
    assert trial.value == pytest.approx(by_hand.mean())
    assert "max_samples" not in result.best_params


def test_an_objective_is_told_what_a_left_out_parameter_has() -> None:
    def objective(p: dict[str, Any]) -> float:
        return -abs(math.log10(p["C"])) - abs(math.log10(p.get("gamma", 1.0)) + 2)

    space = {
        "kernel": ["linear", "rbf"],
        "C": (0.01, 100.0, "log"),
        "gamma": {"range": (1e-4, 1.0, "log"), "if": {"kernel": "rbf"}},
    }
    sent: list[dict[str, Any]] = [{"kernel": "rbf", "C": 10}, {"kernel": "linear"}]
    _, requests = run(
        objective, None,
        lambda i, request: later({"kernel": "linear", "C": 0.1 * i}) if i else first([], *sent),
        search_space=space, direction="maximize", sampler="llm-tpe", n_trials=10,
    )  # fmt: skip
    assert "C was left out: it is" in told(requests)
    assert "as in trial 0" in told(requests)


def test_a_penalty_may_be_zero(data: Any) -> None:
    space = [
        entry("num_leaves", "int", 4, 31, log=True),
        entry("reg_alpha", "float", 0, 5, log=False),
        entry("reg_lambda", "float", 0, 5, log=True),
    ]
    sent = [{"num_leaves": 4 + k, "reg_alpha": 0, "reg_lambda": 1.0 * k} for k in range(3)]
    model = LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1)
    result, requests = run(model, data, first_then_usable(first(space, *sent)))
    trials = sources(result, "llm-init")
    assert [c["num_leaves"] for c in trials] == [4, 5, 6]
    assert all(c["reg_alpha"] <= 1e-5 for c in trials)
    assert [round(c["reg_lambda"], 3) for c in trials] == [0.0, 1.0, 2.0]
    assert "out of range" not in told(requests)


def test_a_first_range_from_0_that_says_no_scale_keeps_the_log_scale(data: Any) -> None:
    space = [
        entry("num_leaves", "int", 4, 31),
        entry("reg_alpha", "float", 0, 5),
        entry("learning_rate", "float", 0, 0.3),
    ]
    sent = [{"num_leaves": 4 + k, "reg_alpha": 0, "learning_rate": 0.1} for k in range(3)]
    model = LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1)
    result, requests = run(model, data, first_then_usable(first(space, *sent)))
    searched = next(v.space for v in result.space_versions if v.by == "llm")
    assert all(searched[name].log for name in ("reg_alpha", "learning_rate"))
    assert (searched["reg_alpha"].high, searched["learning_rate"].high) == (5, 0.3)
    assert "learning_rate: its range is cut to the outer one" in told(requests)
    assert "reg_alpha" not in told(requests), "without an effect, as at 0"


def test_a_range_where_there_are_choices_takes_the_nearest_ones(data: Any) -> None:
    space = [entry("C", "float", 0.05, 100, log=True), entry("gamma", "float", 1e-3, 2, log=True)]
    sent = [{"C": 1, "gamma": 0.05}, {"C": 3, "gamma": 0.02}]
    result, requests = run(SVC(), data, first_then_usable(first(space, *sent)))
    assert [c["gamma"] for c in sources(result, "llm-init")] == [0.1, 0.01]
    assert "gamma is 0.1, the choice nearest to 0.05" in told(requests)


def test_choices_where_there_is_a_range_leave_the_range(data: Any) -> None:
    space = [entry("max_features", "categorical", choices=["sqrt", "log2", 0.5])]
    result, requests = run(
        RandomForestClassifier(n_estimators=10, random_state=0), data,
        first_then_usable(first(space, {"max_features": 0.5})),
    )  # fmt: skip
    assert "max_features: it is searched as a number, 0.3" in told(requests)
    assert [c["max_features"] for c in sources(result, "llm-init")] == [0.5]


def test_a_new_choice_that_the_estimator_does_not_take_is_refused(data: Any) -> None:
    space = [
        entry("n_neighbors", "int", 1, 30, log=True),
        entry("metric", "categorical", choices=["minkowski", "no_such_distance"]),
    ]
    sent = [{"n_neighbors": 7, "metric": "minkowski"}]
    result, requests = run(
        KNeighborsClassifier(), data, first_then_usable(first(space, *sent)), n_trials=8,
        sampler="llm-tpe",
    )  # fmt: skip
    assert {t.state.name for t in result.study.trials} == {"COMPLETE"}
    assert "metric: the estimator does not take no_such_distance" in told(requests)


def test_a_range_without_a_whole_number_for_a_parameter_of_whole_numbers_is_refused(data: Any) -> None:
    space = [entry("max_features", "float", 0.3, 1.0), entry("max_leaf_nodes", "float", 2.2, 2.8)]
    result, requests = run(
        RandomForestClassifier(n_estimators=10, random_state=0), data,
        first_then_usable(first(space, {"max_features": 0.5})), n_trials=4,
    )  # fmt: skip
    assert {t.state.name for t in result.study.trials} == {"COMPLETE"}
    assert "max_leaf_nodes: the estimator takes whole numbers" in told(requests)


def test_an_addition_without_a_value_does_not_cost_the_configurations(data: Any) -> None:
    params = {"n_estimators": 20, "max_features": 0.5, "bootstrap": False, "criterion": "gini"}

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([], {"n_estimators": 100, "max_features": 0.4, "bootstrap": False})
        add = change("add", "max_depth", low=2, high=12, log=False)
        return later({**params, "n_estimators": 100 + i, "min_samples_leaf": 1 + i}, changes=[add])

    result, requests = run(ExtraTreesClassifier(n_estimators=10, random_state=0), data, answer)
    assert len(sources(result, "llm")) >= 2
    assert "add max_depth: not every configuration names it" in told(requests)


def boosting(
    data: Any, changes: list[Any], **added: Any
) -> tuple[list[dict[str, Any]], str, str]:  # the LLM's configurations, what was told, the space after it
    space = [
        entry("learning_rate", "float", 0.01, 0.3, log=True),
        entry("num_leaves", "int", 7, 127, log=True),
        entry("subsample", "float", 0.5, 1.0),
    ]
    start = {"learning_rate": 0.02, "num_leaves": 10, "subsample": 0.8}

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first(space, start)
        if i == 1:
            return later({**start, "num_leaves": 20}, {**start, "num_leaves": 30}, changes=changes)
        return usable(request, i)

    model = LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1, random_state=0)
    result, requests = run(model, data, answer, n_trials=5, candidates=2, **added)
    return sources(result, "llm"), told(requests), space_in(requests[-1])


@pytest.mark.parametrize(
    ("wanted", "line", "after"),
    [
        (
            change("widen", "subsample", low=0.3, log=True),
            "its scale stays linear",
            "subsample: float 0.3 to 1",
        ),
        (
            change("narrow", "num_leaves", log=False, low=7, high=127),
            "its scale stays logarithmic",
            "num_leaves: int 7 to 127, log",
        ),
        (
            change("add", "colsample_bytree", low=0.1, high=1, log=True, value=0.5),
            "its scale stays linear",
            "colsample_bytree: float 0.1 to 1",
        ),
        (
            change("add", "colsample_bytree", type="int", low=0.1, high=1, value=0.5),
            "its type stays float",
            "colsample_bytree: float 0.1 to 1",
        ),
        (
            change("add", "colsample_bytree", type="categorical", choices=[0.3, 0.5, 1.0], value=0.5),
            "from the least to the greatest of its choices",
            "colsample_bytree: float 0.3 to 1",
        ),
        (
            change("add", "colsample_bytree", choices=["few", "all"], value=0.5),
            "its choices are not taken: it is searched as a number",
            "colsample_bytree: float",
        ),
        (
            change("add", "min_child_samples", low=1, high=50, value=500),
            "its value 500 is out of range; allowed: whole number 1 to 50, log scale; a configuration that"
            " does not name it has 20",
            "min_child_samples: int 1 to 50",
        ),
    ],
)
def test_what_a_change_cannot_bring_is_told(data: Any, wanted: Any, line: str, after: str) -> None:
    _, feedback, space = boosting(data, [wanted])
    assert f"{wanted['action']} {wanted['name']}: " in feedback
    assert line in feedback
    assert after in space


def test_an_addition_may_begin_at_the_zero_of_a_penalty(data: Any) -> None:
    zero = change("add", "reg_alpha", low=0, high=1, value=0, log=True)
    ran, feedback, space = boosting(data, [zero])
    assert "reg_alpha" in space
    assert "reg_alpha" not in feedback
    assert ran[0]["reg_alpha"] <= 1e-6


def test_dropping_and_adding_again_needs_the_evidence_of_a_narrowing(data: Any) -> None:
    again = [
        change("drop", "learning_rate", value=0.02),
        change("add", "learning_rate", low=0.01, high=0.03, value=0.02),
        change("drop", "subsample", value=0.8),
        change("add", "subsample", low=0.2, high=0.9, value=0.8),
    ]
    _, feedback, space = boosting(data, again)
    assert "narrow learning_rate: its high stays 0.3: " in feedback
    assert "narrow subsample: its high stays 1: " in feedback
    assert "held at" not in feedback
    assert "learning_rate: float 0.01 to 0.3" in space
    assert "subsample: float 0.2 to 1" in space


def test_a_condition_comes_back_with_its_parameter() -> None:
    def objective(p: dict[str, Any]) -> float:
        return (
            {"poly": 0.5, "rbf": 0.7}[p["kernel"]]
            - 0.05 * abs(math.log10(p["C"]))
            - 0.02 * float(p.get("degree", 0))
        )

    space = {
        "kernel": ["poly", "rbf"],
        "C": (0.01, 100.0, "log"),
        "degree": {"range": (2, 5), "if": {"kernel": "poly"}},
    }

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([], {"kernel": "poly", "C": 1, "degree": 2})
        changes = {
            1: [change("drop", "degree", value=3)],
            2: [change("add", "degree", low=2, high=5, value=3)],
        }
        return later({"kernel": "rbf", "C": 0.2 * i}, changes=changes.get(i, ()))

    result, requests = run(
        objective, None, answer, search_space=space, direction="maximize", n_trials=9, candidates=1
    )
    assert "degree: is missing" not in told(requests)
    assert "degree: int 2 to 5, only when kernel is poly" in requests[-1].messages[-1].content
    assert all("degree" not in c for c in sources(result, "llm"))


def test_small_values_of_a_linear_scale_are_different_values(regression_data: Any) -> None:
    space = [entry("alpha", "float", 1e-4, 10, log=False), entry("l1_ratio", "float", 0, 1)]
    sent = [{"alpha": alpha, "l1_ratio": 0.5} for alpha in (0.0001, 0.001, 0.004, 0.03, 0.034)]
    result, requests = run(
        ElasticNet(),
        regression_data,
        first_then_usable(first(space, *sent)),
        n_trials=6,
    )
    assert len(sources(result, "llm-init")) == 5
    assert "twice in this answer" not in told(requests)


def test_what_became_of_an_answer_is_told_once(regression_data: Any) -> None:
    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([entry("alpha", "float", 0.01, 100, log=True)], {"alpha": 0.05}, {"alpha": 7777})
        return later({"alpha": 0.3 * (i + 1)})

    _, requests = run(Ridge(), regression_data, answer, n_trials=8, sampler="llm-tpe")
    assert told(requests).count("7777") == 1


@pytest.mark.parametrize("n_first", [1, 2])
@pytest.mark.parametrize("sampler", ["llm", "llm-tpe"])
def test_what_a_request_without_an_answer_held_is_told_again(
    regression_data: Any, n_first: int, sampler: str
) -> None:
    def answer(i: int, request: Request) -> Any:
        if i == 0:
            good = [{"alpha": 0.05}, {"alpha": 0.07}][:n_first]
            return first([entry("alpha", "float", 0.01, 100, log=True)], *good, {"alpha": 7777})
        if i == 1:
            raise TransientProviderError("no answer in time", category="timeout")
        return later({"alpha": 0.3 * (i + 1)})

    _, requests = run(Ridge(), regression_data, answer, n_trials=9, sampler=sampler)
    assert len(requests) > 2
    assert any("7777" in told([request]) for request in requests[2:])
    assert told(requests[3:]).count("7777") == ("7777" not in told([requests[2]]))


def test_candidates_that_make_room_for_newer_ones_are_told(regression_data: Any) -> None:
    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([entry("alpha", "float", 0.01, 100, log=True)], {"alpha": 0.05})
        return later(*[{"alpha": 0.1 * (i + 1) + 0.01 * k} for k in range(5)])

    result, requests = run(
        Ridge(), regression_data, answer, n_trials=45, sampler="llm-tpe", llm_ratio=0.2, schedule="bernoulli"
    )
    tried = {round(params["alpha"], 6) for params in sources(result, "llm")}
    sent = {round(0.1 * (i + 1) + 0.01 * k, 6) for i in range(1, len(requests) - 2) for k in range(5)}
    assert len(sent - tried) > 3
    assert "not tried, as newer ones came before their turn" in told(requests)


def test_an_answer_that_could_not_be_used_is_told(regression_data: Any) -> None:
    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([entry("alpha", "float", 0.01, 100, log=True)], {"alpha": 0.05})
        return later({"alpha": 1000.0 + i} if i in (1, 2) else {"alpha": 0.3 * (i + 1)})

    _, requests = run(Ridge(), regression_data, answer, n_trials=8)
    assert "nothing of it: The answer of" in told(requests)


def test_a_first_answer_that_could_not_be_used_is_told(regression_data: Any) -> None:
    _, requests = run(
        Ridge(), regression_data,
        lambda i, request: first([], {"alpha": -1.0}) if i < 2 else later({"alpha": 0.3 * i}), n_trials=8,
    )  # fmt: skip
    assert "nothing of it: The answer of" in told(requests)


def test_no_request_goes_out_while_an_addition_waits(data: Any) -> None:
    params = {"n_estimators": 120, "max_features": 0.5, "min_samples_leaf": 1, "bootstrap": False,
              "criterion": "gini"}  # fmt: skip

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first(
                [], *({"n_estimators": 100 + k, "max_features": 0.4, "bootstrap": False} for k in range(2))
            )
        if i > 1:
            return later({**params, "max_features": 0.3 + 0.05 * i, "max_depth": 5})
        add = change("add", "max_depth", low=2, high=12, log=False, value=3)
        return later(
            *({**params, "max_features": 0.5 + 0.1 * k, "max_depth": 4} for k in range(3)), changes=[add]
        )

    model = ExtraTreesClassifier(n_estimators=10, random_state=0)
    result, requests = run(model, data, answer, n_trials=9)
    assert (
        "max_depth"
        in requests[2].messages[-1].content.partition("Current search space")[2].partition("\n\n")[0]
    )
    assert [c["max_depth"] for c in sources(result, "llm")][:3] == [4, 4, 4]


def test_a_default_that_is_the_best_keeps_its_value_in_the_space(data: Any) -> None:
    base = {"bootstrap": True, "criterion": "gini", "max_features": 0.3, "max_samples": 0.3}

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([entry("min_samples_leaf", "int", 1, 10, log=True), entry("max_depth", "int", 1, 8)],
                         *({**base, "n_estimators": 100 + k, "max_depth": 1, "min_samples_leaf": 1}
                           for k in range(5)))  # fmt: skip
        cut = [change("narrow", "min_samples_leaf", low=4)] if i == 2 else []
        return later(*({"n_estimators": 100, "max_depth": 1, "min_samples_leaf": 4 + k, "max_features": 0.3,
                        "max_samples": 0.3} for k in range(5)), changes=cut)  # fmt: skip

    _, requests = run(RandomForestClassifier(n_estimators=100, random_state=0), data, answer, n_trials=16)
    last = requests[-1].messages[-1].content
    if "Incumbent: trial #0" in last:
        assert "min_samples_leaf: int 1 to 10" in last


def test_a_first_promise_is_measured_by_a_noise_that_is_known(data: Any) -> None:
    """When it was asked for, there was one trial; a thousandth of the score was taken for the noise."""
    sent = [{"C": c, "solver": "lbfgs"} for c in (0.97, 0.9)]
    result, _ = run(
        LogisticRegression(), data,
        first_then_usable(first([], *sent, expects="SIMILAR")),
        scoring="neg_log_loss", n_trials=4,
    )  # fmt: skip
    trials = [t for t in result.study.trials if t.user_attrs["sllmbo:source"] == "llm-init"]
    default = result.study.trials[0]
    for trial in trials:
        splits = [t.user_attrs["sllmbo:evaluation"]["split_scores"] for t in (trial, default)]
        differences = np.subtract(*splits)
        error = differences.std(ddof=1) / math.sqrt(len(differences))
        if trial.value > default.value - error / 2:
            assert trial.user_attrs["sllmbo:evaluation"]["came_true"]


def test_a_parameter_that_all_trials_have_at_its_bound_is_no_finding(data: Any) -> None:
    space = [entry("learning_rate", "float", 0.01, 0.3, log=True), entry("max_bin", "int", 15, 255)]
    sent = [{"learning_rate": rate} for rate in (0.02, 0.04, 0.08, 0.15)]
    model = LGBMClassifier(verbose=-1, n_estimators=20, n_jobs=1)
    _, requests = run(
        model,
        data,
        lambda i, request: first(space, *sent) if not i else later({"learning_rate": 0.1, "max_bin": 255}),
    )
    assert "bound of max_bin" not in requests[-1].messages[-1].content


def test_one_line_about_too_many_configurations(data: Any) -> None:
    space = [entry("num_leaves", "int", 40, 4)]
    sent = [{"num_leaves": 5 + k, "learning_rate": 0.01 + 0.005 * k} for k in range(25)]
    model = LGBMClassifier(verbose=-1, n_estimators=10, n_jobs=1)
    _, requests = run(model, data, first_then_usable(first(space, *sent)), n_trials=7)
    assert "low 40 is not below high 4" in told(requests)
    assert "configurations more than the 5 asked for: left out" in told(requests)
    assert "configuration 6" not in told(requests)


def test_a_parameter_that_some_trials_have_may_be_named_or_left_out() -> None:
    """Of an objective that asks for it in a part of the trials only."""

    def objective(trial: optuna.Trial) -> float:
        kernel = trial.suggest_categorical("kernel", ["linear", "rbf"])
        c = trial.suggest_float("C", 1e-2, 1e2, log=True)
        width = trial.suggest_int("width", 1, 9) if kernel == "rbf" else 4
        return float(kernel == "rbf") - 0.01 * abs(width - 4) - 0.01 * abs(math.log(c))

    def answer(i: int, request: Request) -> Any:
        return later(
            {"kernel": "rbf", "C": 0.5 + 0.1 * i, "width": 4}, {"kernel": "linear", "C": 0.5 + 0.1 * i}
        )

    result, requests = run(objective, None, answer, direction="maximize", n_trials=16, sampler="llm-tpe")
    kernels = [c["kernel"] for c in sources(result, "llm")]
    assert {*kernels} == {"linear", "rbf"}
    assert "is no parameter of this space" not in told(requests)
    assert "is missing" not in told(requests)
    assert "width was left out: where the objective asks for it, it is" in told(requests)


def of_kernels(trial: optuna.Trial) -> float:
    """Each kernel has a parameter of its own; the middle of each is the best."""
    kernel = trial.suggest_categorical("kernel", ["linear", "poly", "rbf"])
    c = trial.suggest_float("C", 1e-2, 1e2, log=True)
    cost = math.log(c) ** 2
    if kernel == "poly":
        cost += abs(trial.suggest_int("degree", 2, 5) - 3)
    elif kernel == "rbf":
        cost += abs(math.log10(trial.suggest_float("gamma", 1e-4, 1.0, log=True)) + 2)
    return cost


@pytest.mark.parametrize("door", ["tune", "sampler"])
@pytest.mark.parametrize("under", ["params", "added"])
def test_a_branch_of_the_objective_runs_as_it_was_sent(door: str, under: str) -> None:
    """Also one that no trial has had yet."""
    kernels: list[dict[str, Any]] = [{"kernel": "rbf", "gamma": 0.01}, {"kernel": "poly", "degree": 3}]

    def answer(i: int, request: Request) -> Any:
        reply = later(*[{"C": 1 + 0.3 * i + 0.1 * k, **one} for k, one in enumerate(kernels)])
        if under == "added":
            for one in reply["configurations"]:
                extra = {n: one["params"].pop(n) for n in ("gamma", "degree") if n in one["params"]}
                one["added"] = pairs(extra)
        return reply

    if door == "tune":
        study = run(of_kernels, None, answer, direction="minimize", n_trials=12, candidates=2)[0].study
    else:
        provider = FunctionProvider(lambda request: answer(len(provider.requests), request))
        sampler = LLMTPESampler(provider, llm_ratio=1.0, candidates=2, judge=False, seed=0)
        study = optuna.create_study(sampler=sampler)
        study.optimize(of_kernels, n_trials=12)
    ran = [t.params for t in study.trials if t.user_attrs.get("sllmbo:source") == "llm"]
    assert {params["kernel"] for params in ran} == {"rbf", "poly"}
    assert {params["gamma"] for params in ran if params["kernel"] == "rbf"} == {0.01}
    assert {params["degree"] for params in ran if params["kernel"] == "poly"} == {3}


def test_a_value_that_the_objective_cannot_take_is_told_and_so_is_a_name_that_it_never_asks_for() -> None:
    def answer(i: int, request: Request) -> Any:
        return later(
            {"kernel": "rbf", "C": 1 + i, "gamma": 7.0}, {"kernel": "linear", "C": 2 + i, "shape": 1}
        )

    _, requests = run(of_kernels, None, answer, direction="minimize", n_trials=10, candidates=2)
    said = told(requests)
    assert "gamma: 7 is out of range; allowed: 0.0001 to 1, log scale, so the sampler drew it" in said
    assert "shape: the objective has not asked for it in any trial" in said


def test_a_prompt_names_the_parameters_that_only_some_trials_have() -> None:
    _, requests = run(
        of_kernels, None, lambda i, request: later({"kernel": "rbf", "C": 1.0 + i, "gamma": 0.01}),
        direction="minimize", n_trials=6, candidates=1,
    )  # fmt: skip
    assert "Only some trials have" in requests[-1].messages[-1].content
    assert "gamma" in requests[-1].messages[-1].content
    schema = requests[-1].schema
    assert schema is not None
    assert "added" in json.dumps(schema)


def test_without_folds_the_prompt_says_by_what_a_promise_is_checked() -> None:
    _, requests = run(
        lambda params: params["x"] ** 2, None, lambda i, request: usable(request, i), direction="minimize",
        n_trials=5, search_space={"x": (0.0, 1.0)},
    )  # fmt: skip
    for request in (r for r in requests if r.purpose != "repair"):
        text = request.messages[-1].content
        assert "by more than 0.1% of its score" in text
        assert "more than the noise" not in text
        assert "a rulebook would use" not in text
        assert "its default" not in text


def test_bounds_may_be_numbers_in_text(data: Any) -> None:
    space = [entry("num_leaves", "int", "4", "31"), entry("learning_rate", "float", "1e-2", "0.3", log=True)]
    sent = [{"num_leaves": "7", "learning_rate": "5e-2"}]
    model = LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1)
    result, requests = run(model, data, first_then_usable(first(space, *sent)), n_trials=3)
    assert [(c["num_leaves"], c["learning_rate"]) for c in sources(result, "llm-init")] == [(7, 0.05)]
    assert "learning_rate: float 0.01 to 0.3, log" in space_in(requests[1])


NO_RANGE_HOLDS = "These have defaults that their ranges do not hold"


@pytest.mark.parametrize(
    "named", [{"max_features": "sqrt", "max_samples": None}, {}], ids=["named", "left out"]
)
@pytest.mark.parametrize("options", [{}, {"sampler": "llm-tpe", "judge": True, "llm_ratio": 1.0}], ids=str)
def test_a_later_configuration_may_keep_defaults_that_no_range_holds(
    data: Any, named: dict[str, Any], options: dict[str, Any]
) -> None:
    space = [entry("max_depth", "int", 1, 8), entry("min_samples_leaf", "int", 1, 20)]

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first(space, {"max_depth": 1}, {"max_depth": 8, "min_samples_leaf": 10})
        repeated = {"max_depth": 1, "min_samples_leaf": 1, **named}
        return later(repeated, {"max_depth": 2, "min_samples_leaf": 1 + i, **named})

    model = RandomForestClassifier(n_estimators=10, random_state=0)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    result, requests = run(
        model, data, answer, scoring="accuracy", cv=cv, n_trials=5, candidates=2, **options
    )  # fmt: skip
    trials = sources(result, "llm")
    assert trials
    assert {(c["max_depth"], c["max_features"], c["max_samples"]) for c in trials} == {(2, "sqrt", None)}
    trial = next(t for t in result.study.trials if t.user_attrs["sllmbo:source"] == "llm")
    assert "max_features" not in trial.params, "no model learns from a value that it did not have"
    model.set_params(max_depth=2, min_samples_leaf=trials[0]["min_samples_leaf"])
    assert trial.value == pytest.approx(cross_val_score(model, *data, scoring="accuracy", cv=cv).mean())
    assert {request.purpose for request in requests} == {"initialize", "propose"}
    assert "configuration 1: the same as trial 1" in told(requests) or len(requests) == 2


def test_prompts_say_which_defaults_no_range_holds(data: Any) -> None:
    answer = first([entry("max_depth", "int", 1, 8)], {"max_depth": 3})
    result, requests = run(
        RandomForestClassifier(n_estimators=5, random_state=0), data,
        lambda i, request: later({"max_depth": 1 + i}) if i else answer, n_trials=3,
    )  # fmt: skip
    before, after = (request.messages[-1].content for request in requests[:2])
    assert "stay searched in the ranges above" in before
    left = before.partition("stay searched in the ranges above")[2]
    assert all(name in left for name in ("n_estimators", "max_features", "max_samples"))
    listed = after.partition(NO_RANGE_HOLDS)[2].partition("\n")[0]
    assert all(text in listed for text in ("n_estimators (5)", "max_features (sqrt)", "max_samples (null)"))
    assert "The incumbent's values that lie in the ranges stay inside" in after
    schema = requests[1].schema
    assert schema is not None
    properties = schema["properties"]["configurations"]["items"]["properties"]["params"]["properties"]
    assert {"type": "string"} in properties["max_features"]["anyOf"]
    assert {"type": "null"} in properties["max_samples"]["anyOf"]
    assert sources(result, "llm")[0]["n_estimators"] == 5


def test_a_parameter_that_only_the_library_has_a_default_for_may_be_left_out(data: Any) -> None:
    space = {"learning_rate": (0.01, 0.3, "log"), "num_leaves": (4, 64), "drop_rate": (0.01, 0.5)}
    model = LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1, random_state=0, boosting_type="dart")

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([], {"learning_rate": 0.2, "num_leaves": 5}, {"num_leaves": 6, "drop_rate": 0.2})
        return later({"learning_rate": 0.05 * i, "num_leaves": 7, "drop_rate": None})

    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    result, requests = run(model, data, answer, search_space=space, scoring="accuracy", cv=cv, n_trials=4)
    assert [c.get("drop_rate") for c in sources(result, "llm-init")] == [None, 0.2]
    assert [c.get("drop_rate") for c in sources(result, "llm")] == [None]
    assert {request.purpose for request in requests} == {"initialize", "propose"}
    assert "drop_rate (null)" in requests[0].messages[-1].content.partition(NO_RANGE_HOLDS)[2]
    model.set_params(learning_rate=0.2, num_leaves=5)
    by_hand = cross_val_score(model, *data, scoring="accuracy", cv=cv).mean()
    assert result.study.trials[1].value == pytest.approx(by_hand)


def test_only_a_configuration_that_runs_opens_a_parameter(data: Any) -> None:
    space = [entry("learning_rate", "float", 0.01, 0.3, log=True)]
    wrong = {"learning_rate": 0.1, "n_estimators": 7, "no_such_parameter": 1}
    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    _, requests = run(model, data, first_then_usable(first(space, {"learning_rate": 0.2}, wrong)))
    assert "n_estimators is held at 20, not 7" in told(requests)
    assert "is searched" not in told(requests)
    assert "n_estimators" not in space_in(requests[1])


def test_a_parameter_that_is_opened_keeps_its_usual_range(data: Any) -> None:
    space = [entry("learning_rate", "float", 0.01, 0.3, log=True)]
    named = {"learning_rate": 0.1, "n_estimators": 12}
    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    result, requests = run(model, data, first_then_usable(first(space, named)))
    usual = next(
        line for line in requests[0].messages[-1].content.split("\n") if line.startswith("n_estimators:")
    )
    high = re.findall(r"\d+", usual)[1]
    assert f"n_estimators is searched (whole number 12 to {high}" in told(requests)
    assert sources(result, "llm-init")[0]["n_estimators"] == 12


def test_what_a_request_is_not_about_stays_as_the_incumbent_has_it(data: Any) -> None:
    """Of more than 24 parameters; the default is the best, and lies outside the ranges."""
    shares = ["subsample", "colsample_bytree", "feature_fraction_bynode", "neg_bagging_fraction", "drop_rate"]
    shares += ["reg_alpha", "reg_lambda", "path_smooth", "max_delta_step", "linear_lambda", "min_split_gain"]
    shares += [
        "cat_l2",
        "cat_smooth",
        "skip_drop",
        "pos_bagging_fraction",
        "scale_pos_weight",
        "min_child_weight",
    ]
    numbers: dict[str, tuple[float, float]] = dict.fromkeys(shares, (0.5, 0.9))
    numbers |= {"learning_rate": (0.001, 0.01), "num_leaves": (2, 4), "max_depth": (2, 12), "max_bin": (4, 8)}
    numbers |= {"min_child_samples": (25, 30), "subsample_freq": (1, 5), "min_data_in_bin": (4, 10)}
    numbers |= {"max_cat_threshold": (8, 64), "top_k": (10, 40), "n_estimators": (2, 4)}
    middle = {name: type(low)((low + high) / 2) for name, (low, high) in numbers.items()}

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            return first([], middle)
        schema = request.schema
        assert schema is not None
        params = schema["properties"]["configurations"]["items"]["properties"]["params"]["properties"]
        return later({name: middle[name] for name in params})

    model = LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1, random_state=0)
    result, requests = run(model, data, answer, search_space=numbers, scoring="neg_log_loss", n_trials=3)
    text = requests[-1].messages[-1].content
    others = text.partition("they stay as the incumbent has them")[2].partition(": ")[2].partition(".\n")[0]
    assert result.study.best_trial.number == 0
    assert "Incumbent: trial #0" in text
    default = real_configuration(result.study.trials[0])[0]
    (configuration,) = sources(result, "llm")
    names = others.split(", ")
    assert names
    assert {n: configuration.get(n) for n in names} == {n: default.get(n) for n in names}


CODES = {
    "kernel": ["linear", "rbf"],
    "C": (0.01, 100.0, "log"),
    "gamma": {"range": (1e-4, 1.0, "log"), "if": {"kernel": "rbf"}},
    "code": ["1", "2", "10"],
}


def of_code(p: dict[str, Any]) -> float:
    return -abs(math.log10(p["C"])) - abs(math.log10(p.get("gamma", 0.03)) + 2) - int(p["code"]) / 10


def test_a_rejection_names_what_was_held(data: Any) -> None:
    def answer(i: int, request: Request) -> Any:
        if i == 0:
            best = {"kernel": "rbf", "C": 1.0, "gamma": 0.01, "code": "1"}
            return first([], best, {**best, "C": 3.0})
        drops = [change("drop", "kernel", value="rbf"), change("drop", "code", value="1")]
        fine = {"C": 1.0 + i, "gamma": 0.01, "kernel": "rbf", "code": 1 if i % 2 else "1"}
        return later(
            fine, {"kernel": "linear", "C": 2.0, "code": "1"}, {**fine, "code": "2"},
            changes=drops if i == 1 else (),
        )  # fmt: skip

    _, requests = run(
        of_code, None, answer, search_space=CODES, direction="maximize", n_trials=6, candidates=3
    )
    assert "configuration 2: kernel is held at rbf, not linear; gamma: is missing" in told(requests)
    assert "configuration 3: code is held at 1, not 2; twice in this answer" in told(requests)
    assert "code is held at 1, not 1" not in told(requests)


@pytest.mark.parametrize("keyed", [True, False])
def test_parts_of_an_answer_in_another_shape_are_read_or_told(data: Any, keyed: bool) -> None:
    depth = {"type": "int", "low": 2, "high": 9}
    sent = {"reason": "r", "expects": "better", "params": {"max_depth": 3}}
    narrow = {"action": "narrow", "low": 2, "high": 8}

    def answer(i: int, request: Request) -> Any:
        if i == 0:
            space: Any = (
                {"max_depth": depth} if keyed else [{"name": "max_depth", **depth}, "min_samples_leaf"]
            )
            return {"space": space, "configurations": {"first": sent} if keyed else ["max_depth=5", sent]}
        params = {"max_depth": 3 + i, "max_features": 0.5, "max_samples": 0.5}
        space_changes: Any = {"max_depth": narrow} if keyed else "none"
        return {
            "space_changes": space_changes,
            "configurations": {"params": params} if keyed else [{"params": params}],
        }

    model = RandomForestClassifier(n_estimators=100, random_state=0)
    result, requests = run(model, data, answer, n_trials=4)
    assert [c["max_depth"] for c in sources(result, "llm-init")] == [3]
    assert [c["max_depth"] for c in sources(result, "llm")] == [4, 5]
    assert "max_depth: int 2 to 9" in space_in(requests[1])
    if keyed:
        assert "narrow max_depth" in told(requests), "few trials support it"
    else:
        assert "space: number 2 is not an object" in told(requests)
        assert "configuration 1: params is not an object" in told(requests)
        assert "space_changes is not a list of objects" in told(requests)


def test_changes_of_a_space_that_must_stay_are_told(data: Any) -> None:
    space = {"learning_rate": (0.01, 0.3, "log"), "max_depth": (1, 6)}

    def answer(i: int, request: Request) -> Any:
        params = {"learning_rate": 0.04 * (i + 1), "max_depth": 3}
        if i == 0:
            return first([entry("max_depth", "int", 1, 3)], params)
        return later(params, changes=[change("drop", "max_depth", value=3)])

    model = GradientBoostingClassifier(n_estimators=5, random_state=0)
    _, requests = run(model, data, answer, search_space=space, dynamic_space=False, n_trials=4)
    assert "space must be empty" in requests[0].messages[-1].content
    assert told(requests).count("the search space stays as it is") == 2
    assert {space_in(request) for request in requests[1:]} == {space_in(requests[1])}
    assert "max_depth: int 1 to 6" in space_in(requests[1])

"""Search spaces in the notations that people bring: read, or refused with the line to write instead."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.tuning.plan_space import read_space


def ray(kind: str, scale: str = "Uniform", q: float | None = None, **values: Any) -> Any:
    """An object like those of ``ray.tune.search.sample``, which is too large to install for a test."""

    def made(name: str, **attributes: Any) -> Any:
        members = {"sample": lambda self: None, "get_sampler": lambda self: self.sampler}
        return type(name, (), {**members, **attributes, "__module__": "ray.tune.search.sample"})()

    sampler = made(f"_{scale}")
    if q is not None:
        sampler = made("Quantized", q=q, sampler=sampler)
    return made(kind, sampler=sampler, **values)


def made(module: str, name: str, **attributes: Any) -> Any:
    """An object of a class of that name in a library that is not installed for a test."""
    return type(name, (), {**attributes, "__module__": module})()


READ: dict[str, tuple[Any, Any]] = {
    "range": (range(1, 10, 2), IntDistribution(1, 9, step=2)),
    "a range that falls": (range(10, 0, -3), IntDistribution(1, 10, step=3)),
    "a range of one": (range(3, 4), IntDistribution(3, 3)),
    "integer array": (np.array([1, 2, 5]), CategoricalDistribution([1, 2, 5])),
    "float array": (np.linspace(0.0, 1.0, 3), CategoricalDistribution([0.0, 0.5, 1.0])),
    "text array": (np.array(["l1", "l2"]), CategoricalDistribution(["l1", "l2"])),
    "scipy loguniform": (stats.loguniform(1e-3, 10), FloatDistribution(1e-3, 10.0, log=True)),
    "scipy uniform": (stats.uniform(2, 3), FloatDistribution(2.0, 5.0)),
    "scipy uniform by name": (stats.uniform(loc=1, scale=2), FloatDistribution(1.0, 3.0)),
    "scipy randint": (stats.randint(1, 5), IntDistribution(1, 4)),
    "scipy randint moved": (stats.randint(1, 5, loc=2), IntDistribution(3, 6)),
    "ray uniform": (ray("Float", lower=0.0, upper=2.0), FloatDistribution(0.0, 2.0)),
    "ray loguniform": (
        ray("Float", "LogUniform", lower=0.1, upper=2.0),
        FloatDistribution(0.1, 2.0, log=True),
    ),
    "ray quniform": (ray("Float", q=0.5, lower=0.0, upper=2.0), FloatDistribution(0.0, 2.0, step=0.5)),
    "ray randint": (ray("Integer", lower=1, upper=5), IntDistribution(1, 4)),
    "ray lograndint": (ray("Integer", "LogUniform", lower=1, upper=65), IntDistribution(1, 64, log=True)),
    "ray qrandint": (ray("Integer", q=5, lower=5, upper=20), IntDistribution(5, 20, step=5)),
    "ray choice": (ray("Categorical", categories=["a", None]), CategoricalDistribution(["a", None])),
    "ray grid_search": ({"grid_search": [1, 2]}, CategoricalDistribution([1, 2])),
    "flaml choice": (
        made("flaml.tune.sample", "Categorical", sample=None, categories=[1, 2]),
        CategoricalDistribution([1, 2]),
    ),
    "skopt Real": (
        made("skopt.space.space", "Real", prior="log-uniform", low=0.1, high=2),
        FloatDistribution(0.1, 2.0, log=True),
    ),
    "skopt Integer": (
        made("skopt.space.space", "Integer", prior="uniform", low=1, high=5),
        IntDistribution(1, 5),
    ),
    "skopt Categorical": (
        made("skopt.space.space", "Categorical", prior=None, categories=("a", "b")),
        CategoricalDistribution(["a", "b"]),
    ),
    "sweep values": ({"values": ["a", "b"]}, CategoricalDistribution(["a", "b"])),
    "sweep of whole numbers": ({"min": 1, "max": 9}, IntDistribution(1, 9)),
    "sweep of floats": ({"min": 0.5, "max": 9}, FloatDistribution(0.5, 9.0)),
    "sweep uniform": ({"distribution": "uniform", "min": 1, "max": 9}, FloatDistribution(1.0, 9.0)),
    "sweep log": (
        {"distribution": "log_uniform_values", "min": 0.1, "max": 9},
        FloatDistribution(0.1, 9.0, log=True),
    ),
    "sweep steps": ({"distribution": "q_uniform", "min": 2, "max": 9, "q": 2}, IntDistribution(2, 8, step=2)),
    "pandas Categorical": (pd.Categorical(["a", "b", "a"]).unique(), CategoricalDistribution(["a", "b"])),
    "keys of a dict": ({"a": 1, "b": 2}.keys(), CategoricalDistribution(["a", "b"])),
    "values of a dict": ({"a": 1, "b": 2}.values(), CategoricalDistribution([1, 2])),
    "array of the standard library": (array("i", [1, 5]), CategoricalDistribution([1, 5])),
}


@pytest.mark.parametrize("name", READ)
def test_other_notations_are_read(name: str) -> None:
    raw, distribution = READ[name]
    assert SearchSpace.from_user({"p": raw})["p"] == distribution


def test_hyperopts_notation_is_read() -> None:
    hp = pytest.importorskip("hyperopt").hp
    space = SearchSpace.from_user(
        {
            "a": hp.uniform("a", 0, 1),
            "b": hp.loguniform("b", math.log(0.5), math.log(8)),
            "c": hp.quniform("c", 1, 10, 2),
            "d": hp.uniformint("d", 1, 5),
            "e": hp.randint("e", 5),
            "f": hp.randint("f", 2, 5),
            "g": hp.choice("g", ["l1", "l2"]),
            "h": hp.pchoice("h", [(0.2, 1), (0.8, 2)]),
            "i": hp.qloguniform("i", 0, math.log(64), 1),
        }
    )
    assert space["a"] == FloatDistribution(0.0, 1.0)
    assert space["b"].low == pytest.approx(0.5)  # type: ignore[attr-defined]
    assert space["b"].log  # type: ignore[attr-defined]
    assert space["c"] == IntDistribution(2, 10, step=2)
    assert space["d"] == IntDistribution(1, 5)
    assert space["e"] == IntDistribution(0, 4)
    assert space["f"] == IntDistribution(2, 4)
    assert space["g"] == CategoricalDistribution(["l1", "l2"])
    assert space["h"] == CategoricalDistribution([1, 2])
    assert space["i"] == IntDistribution(1, 64, log=True)
    for other in (hp.normal("x", 0, 1), hp.choice("x", [{"a": hp.uniform("y", 0, 1)}, 3])):
        with pytest.raises(InputError, match="write"):
            SearchSpace.from_user({"p": other})


REFUSED: dict[str, tuple[Any, str]] = {
    "low, high, step": ((10, 50, 10), r"'p': \(10, 50, 10\) has several meanings; write range\(10, 51, 10\)"),
    "choices as a tuple": (("gini", "entropy"), r"choices are a list: write \['gini', 'entropy'\]"),
    "tuples as a tuple": (((50,), (100,)), r"choices are a list: write \[\(50,\), \(100,\)\]"),
    "four numbers": ((1, 2, 3, 4), r"write \[1, 2, 3, 4\]"),
    "another scale": ((1, 10, "linear"), "the scale 'linear' is not known"),
    "a set": ({2, 1}, r"write a list: \[1, 2\]"),
    "an iterator": (iter([1, 2]), "iterator, which can be read only once; write a list"),
    "a matrix": (np.zeros((2, 2)), "2 dimensions; write a list"),
    "an empty range": (range(3, 3), "is empty; write range"),
    "a normal distribution": (stats.norm(0, 1), r"scipy.stats.norm is no range; write \(low, high\)"),
    "a beta distribution": (stats.beta(1, 2), r"scipy.stats.beta is no range; write \(0, 1\)"),
    "ray normal": (ray("Float", "Normal", lower=-math.inf, upper=math.inf), "Normal is no range; write"),
    "ray sample_from": (ray("Function"), "Function is no range; write"),
    "a huge bound": ((1, 10**18), r"larger than 2\*\*53.*write \(1.0, 1e\+18, \"log\"\)"),
    "floats low, high, step": (
        (0.1, 1.0, 0.1),
        r'write \{"low": 0.1, "high": 1, "step": 0.1\} for steps of 0.1, or \[0.1, 1, 0.1\]',
    ),
    "a class": ([StandardScaler, None], r"StandardScaler is a class.*write StandardScaler\(\)"),
    "True and 1": ([True, False, 1], "True and 1 are one choice for Optuna"),
    "a sweep's normal": (
        {"distribution": "normal", "mu": 0, "sigma": 1, "values": []},
        "at least one choice",
    ),
    "a sweep without an end": ({"min": 0}, "is no range of a sweep that can be read; write"),
    "a dict": ({"a": 1}, r"write a list of one choice: \[\{'a': 1\}\]"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("door", ["from_user", "tune", "search", "sampler"])
def test_what_names_no_range_is_refused_with_the_line_to_write(name: str, door: str) -> None:
    raw, says = REFUSED[name]
    if name == "an iterator":
        raw = iter([1, 2])
    fits: list[int] = []

    class Counted(KNeighborsClassifier):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Any:
            fits.append(1)
            return super().fit(X, y)

    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    doors: dict[str, Callable[[], Any]] = {
        "from_user": lambda: SearchSpace.from_user({"p": raw}),
        "tune": lambda: tune(Counted(), X, y, search_space={"p": raw}, folder=""),
        "search": lambda: SLLMBOSearchCV(Counted(), search_space={"p": raw}).fit(X, y),
        "sampler": lambda: LLMTPESampler(search_space={"p": raw}),
    }
    with pytest.raises(InputError, match=says):
        doors[door]()
    assert not fits, "refused before the first fit"


@pytest.mark.parametrize("value", ["1..5", 3.0, None])
def test_a_space_of_single_values_only_says_which(value: object) -> None:
    with pytest.raises(InputError, match=r"nothing to search: alpha has one value, .*Write a range"):
        read_space({"alpha": value}, Ridge())

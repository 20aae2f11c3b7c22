"""A sampler in plain Optuna whose space nobody declared: it comes from the trials, and each
configuration of a finite one is tried before any is repeated.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.samplers import TPESampler

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

SAMPLERS = {
    "rulebook": lambda: LLMTPESampler(seed=0),
    "llm-tpe": lambda: LLMTPESampler(FunctionProvider(Responder(0)), seed=0),
    "llm": lambda: LLMSampler(FunctionProvider(Responder(0)), seed=0),
    "tpe": lambda: LLMTPESampler(mode="tpe", seed=0),
    "random": lambda: LLMTPESampler(base_sampler=optuna.samplers.RandomSampler(seed=0), seed=0),
}


def configurations(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [tuple(sorted(trial.params.items())) for trial in study.trials]


def of_six(trial: optuna.Trial) -> float:
    k = trial.suggest_int("k", 1, 3)
    return k + (trial.suggest_categorical("w", ["a", "b"]) == "a")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_finite_space_is_searched_before_anything_is_repeated_which_is_said_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(finite.optuna_logger, "warning", said.append)
    study = optuna.create_study(sampler=SAMPLERS[name]())
    study.optimize(of_six, n_trials=9)
    tried = configurations(study)
    assert len(tried) == 9
    assert len(set(tried[:6])) == 6
    assert said == [
        "All 6 configurations of the search space have been tried; further trials repeat them. With"
        " search_space= the sampler ends the study then."
    ]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_failing_configuration_is_not_tried_again(name: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = of_six(trial)
        if trial.params["w"] == "b":
            raise ValueError("no b")
        return value

    study = optuna.create_study(sampler=SAMPLERS[name]())
    study.optimize(objective, n_trials=6, catch=(ValueError,))
    assert len(set(configurations(study))) == 6


def test_configurations_that_all_fail_are_not_tried_again() -> None:
    def objective(trial: optuna.Trial) -> float:
        of_six(trial)
        raise ValueError("never")

    study = optuna.create_study(sampler=LLMTPESampler(seed=0))
    study.optimize(objective, n_trials=6, catch=(ValueError,))
    assert len(set(configurations(study))) == 6


def test_one_value_beside_a_finite_space_is_no_obstacle() -> None:
    def objective(trial: optuna.Trial) -> float:
        return of_six(trial) + trial.suggest_int("one", 4, 4)

    study = optuna.create_study(sampler=LLMTPESampler(seed=0))
    study.optimize(objective, n_trials=6)
    assert len(set(configurations(study))) == 6


def test_a_branch_with_parameters_of_its_own_does_not_end_the_study() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("kind", ["plain", "deep"]) == "plain":
            return trial.suggest_float("x", 0.0, 1.0)
        return trial.suggest_float("y", 0.0, 1.0)

    study = optuna.create_study(sampler=LLMTPESampler(seed=0))
    study.optimize(objective, n_trials=12)
    assert len(study.trials) == 12
    assert {trial.params["kind"] for trial in study.trials} == {"plain", "deep"}


def of_branches(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("classifier", ["SVC", "forest"]) == "SVC":
        return trial.suggest_float("C", 1e-3, 1e3, log=True)
    return 1.0 / trial.suggest_int("max_depth", 2, 32)


@pytest.mark.parametrize("name", ["llm-tpe", "llm"])
def test_a_branch_with_parameters_of_its_own_leaves_the_llm_its_turns(name: str) -> None:
    """What all trials have in common is the choice of the branch, which every answer repeats."""
    study = optuna.create_study(sampler=SAMPLERS[name]())
    study.optimize(of_branches, n_trials=16)
    sources = [trial.user_attrs["sllmbo:source"] for trial in study.trials]
    assert "fallback" not in sources
    assert sources.count("llm") >= (15 if name == "llm" else 4)
    assert len({*configurations(study)}) > 12, "the sampler draws the rest"


def test_a_range_that_changes_while_all_trials_fail_is_sampled_anew() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("k", 1, 3 + trial.number)
        if trial.number < 3:
            raise ValueError("not yet")
        return 1.0

    study = optuna.create_study(sampler=LLMTPESampler(seed=0))
    study.optimize(objective, n_trials=6, catch=(ValueError,))
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 3 + ["COMPLETE"] * 3


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_tuples_as_choices_are_sampled_as_optuna_does(name: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        layers = trial.suggest_categorical("layers", [(8,), (8, 8)])
        return trial.suggest_float("x", 0, 1) + len(layers)

    study = optuna.create_study(sampler=SAMPLERS[name]())
    study.optimize(objective, n_trials=16)
    assert {trial.params["layers"] for trial in study.trials} == {(8,), (8, 8)}


@pytest.mark.parametrize("kind", [LLMTPESampler, LLMSampler])
@pytest.mark.parametrize("seed", [-1, 2**32, "a", True])
def test_a_seed_that_is_none_is_refused_when_the_sampler_is_made(kind: Any, seed: Any) -> None:
    with pytest.raises(InputError, match=r"seed.*Allowed: a whole number from 0"):
        kind(seed=seed)


CHOICES = [[1.0, math.inf], [1.0, -math.inf, math.nan], [1, 2**60]]


def of_choices(sampler: LLMTPESampler, choices: list[float]) -> set[str]:
    """What trials had of a parameter with these choices."""

    def objective(trial: optuna.Trial) -> float:
        value = trial.suggest_categorical("c", choices)
        assert any(value is choice for choice in choices)
        return trial.suggest_float("x", 0, 1) + (value != 1)

    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=16)
    return {str(trial.params["c"]) for trial in study.trials}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_numbers_without_a_place_in_a_space_are_choices_as_in_optuna(name: str, choices: list[float]) -> None:
    assert of_choices(SAMPLERS[name](), choices) == set(map(str, choices))


@pytest.mark.parametrize("mode", ["llm-tpe", "tpe"])
@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_they_may_be_declared_too(mode: str, choices: list[float]) -> None:
    sampler = LLMTPESampler(mode=mode, seed=0, search_space={"c": choices, "x": (0.0, 1.0)})
    assert of_choices(sampler, choices) == set(map(str, choices))


WRITTEN: dict[str, Callable[[Any], Any]] = {
    "a value": lambda one: {"c": one, "x": (0, 2)},
    "fixed": lambda one: {"c": {"fixed": one}, "x": (0, 2)},
    "one choice": lambda one: {"c": [one], "x": (0, 2)},
    "the constructor": lambda one: SearchSpace({"x": IntDistribution(0, 2)}, fixed={"c": one}),
    "held": lambda one: SearchSpace.from_user({"c": [one, 0.0], "x": (0, 2)}).held({"c": one}),
    "drop": lambda one: SearchSpace.from_user({"c": [one, 0.0], "x": (0, 2)}).drop("c", one),
}


@pytest.mark.parametrize(
    ("written", "one"),
    [*((written, math.nan) for written in WRITTEN), ("a value", -math.inf), ("a value", 2**60)],
)
def test_such_a_number_is_kept_where_the_space_has_it_alone(written: str, one: Any) -> None:
    space = WRITTEN[written](one)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical("c", [one, 0.0])
        return trial.suggest_int("x", 0, 2)

    study = optuna.create_study(sampler=LLMTPESampler(seed=0, search_space=space))
    study.optimize(objective, n_trials=6)
    assert [str(trial.params["c"]) for trial in study.trials] == [str(one)] * 3, "a finite space ends"
    run = tune(objective, direction="minimize", search_space=space, n_trials=6, seed=0)
    assert [str(trial.params["c"]) for trial in run.study.trials] == [str(one)] * 3
    assert str(run.best_params["c"]) == str(one)
    trial = optuna.trial.FixedTrial({"x": 0, "c": str(one)})
    assert str(SearchSpace.from_user(space).suggest(trial)["c"]) == str(one)  # no label


class Text(str, enum.Enum):  # noqa: UP042 - its str() is "Text.A", where a StrEnum's is "a"
    A = "a"
    B = "b"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    "choices",
    [[*np.linspace(0.1, 1.0, 4)], [*np.array(["a", "b"])], [*np.arange(3)], [*Text], [*Number]],
    ids=str,
)
def test_choices_of_numpy_and_enumerations_are_choices_as_in_optuna(name: str, choices: list[Any]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = trial.suggest_categorical("c", choices)
        assert type(value) is type(choices[0])
        return trial.suggest_float("x", 0, 1) + choices.index(value)

    sampler = SAMPLERS[name]()
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=16)
    assert {trial.params["c"] for trial in study.trials} == set(choices)
    if name.startswith("llm"):
        requests = sampler.queue.proposer.provider.requests  # type: ignore[attr-defined]
        prompt = requests[-1].messages[-1].content
        assert not any(word in prompt for word in ("np.", "Text.", "Number."))


@pytest.mark.parametrize("kind", [LLMTPESampler, LLMSampler])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"base_sampler": "tpe"}, r"base_sampler is a str\. Allowed: a sampler of Optuna"),
        ({"base_sampler": TPESampler}, r"base_sampler is the class TPESampler\. Allowed:"),
        ({"base_source": 3}, r"base_source is an int\. Allowed: text"),
        ({"llm": None}, r"llm is None\. Allowed:"),
        ({"llm": 5}, r"llm is an int\. Allowed:"),
        ({"candidates": "a"}, r"candidates 'a' is not known\. Allowed: a whole number"),
        ({"candidates": 1.5}, r"candidates 1\.5 is out of range\. Allowed: a whole number"),
        ({"candidates": 0}, r"candidates 0 is out of range\. Allowed: a whole number"),
        ({"llm_ratio": "a"}, r"llm_ratio 'a' is not known\. Allowed: a number from 0 to 1"),
        ({"n_trials": "a"}, r"n_trials 'a' is not known\. Allowed:"),
        ({"judge": "no"}, r"judge 'no' is not known\. Allowed: True, False"),
        ({"dynamic_space": "no"}, r"dynamic_space is a str\. Allowed: True, False"),
        ({"hints": "abc"}, r"hints is no list of hints\. Write"),
        ({"history": "bad"}, r"history 'bad' is not known\. Allowed: state"),
        ({"description": 5}, r"description is an int\. Allowed: text"),
        ({"proposer": 5}, r"proposer is an int\. Allowed"),
        ({"rulebook": "a"}, r"rulebook is a str\. Allowed"),
        ({"emit": 5}, r"emit is an int\. Allowed: a function"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_one_line_when_the_sampler_is_made(
    kind: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        kind(**arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda seed: None, "the function base_sampler returns None, no sampler"),
        (lambda seed: TPESampler, "the function base_sampler returns the class TPESampler, no sampler"),
        (lambda: TPESampler(), "base_sampler cannot be called with a seed: too many positional arguments"),
    ],
    ids=["nothing", "a class", "no seed"],
)
def test_so_is_a_function_that_makes_no_base_sampler(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=rf"{words}\. Allowed: a sampler of Optuna"):
        LLMTPESampler(base_sampler=make)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_differs_only_in_parameters_that_are_left_out_is_not_tried_again(name: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return 1.0
        return abs(trial.suggest_int("deg", 1, 40) - 20) + 0.5

    space = SearchSpace.from_user({"kind": ["a", "b"], "deg": (1, 40)})
    sampler = SAMPLERS[name]()
    sampler = type(sampler)(
        sampler.queue.proposer.provider if name.startswith("llm") else "rulebook",  # type: ignore[attr-defined]
        search_space=space,
        mode=sampler.mode,
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=30)
    assert [t.params["kind"] for t in study.trials].count("a") <= 2


def test_a_parameter_that_was_not_searched_before_makes_no_repeat() -> None:
    outer = SearchSpace.from_user({"kind": ["a", "b"], "deg": (1, 40)})
    state = SpaceState(outer.subspace(["kind"]), outer)
    sampler = LLMTPESampler(search_space=state, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_categorical("kind", ["a", "b"]) == "a", n_trials=4)
    state.change(outer, 4, "a test", "llm")
    known = finite._asked_for_less(outer, state.number, sampler.history(study))
    assert known == {}

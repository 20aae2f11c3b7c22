"""Optuna's constraints: ``Trial.set_constraint``, and ``constraints_func`` of the base sampler."""

from __future__ import annotations

import statistics
from typing import Any

import optuna
import pytest
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import tune
from sllmbo_magic.samplers import HyperoptSampler
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

SPACE = {"x": (-5.0, 5.0), "y": (-5.0, 5.0)}
WAYS: dict[str, dict[str, Any]] = {
    "rulebook": {},
    "declared": {"search_space": SPACE},
    "base sampler": {"mode": "tpe", "search_space": SPACE},
}


def objective(trial: optuna.Trial) -> float:
    """Best where it is infeasible: 0 at the origin; 4 where the constraint holds."""
    x, y = trial.suggest_float("x", -5.0, 5.0), trial.suggest_float("y", -5.0, 5.0)
    trial.set_constraint("x is 2 at least", 2.0 - x)
    return x * x + y * y


def searched(sampler: Any, objective: Any = objective, n_trials: int = 40) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=n_trials)
    return study


@pytest.mark.parametrize("way", WAYS)
def test_a_constrained_problem_is_solved_as_well_as_by_tpe(way: str) -> None:
    seeds = range(4)
    random = [searched(optuna.samplers.RandomSampler(seed=s)).best_value for s in seeds]
    ours = [searched(LLMTPESampler(seed=s, **WAYS[way])).best_value for s in seeds]
    assert statistics.mean(ours) < 0.75 * statistics.mean(random)


@pytest.mark.parametrize("way", WAYS)
def test_the_incumbent_is_feasible(way: str) -> None:
    sampler = LLMTPESampler(seed=0, **WAYS[way])
    study = searched(sampler)
    history = sampler.history(study)
    assert history.incumbent is not None
    assert history.incumbent.number == study.best_trial.number
    assert {o.number for o in history.infeasible} == {t.number for t in study.trials if t.params["x"] < 2}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("from_function", [True, False])
def test_a_base_samplers_constraints_are_the_studys(declared: bool, from_function: bool) -> None:
    def tpe(seed: int) -> optuna.samplers.TPESampler:
        return optuna.samplers.TPESampler(seed=seed, constraints_func=lambda t: [t.user_attrs["c"]])

    def squares(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", -5.0, 5.0), trial.suggest_float("y", -5.0, 5.0)
        trial.set_user_attr("c", 2.0 - x)
        return x * x + y * y

    base, space = tpe if from_function else tpe(0), SPACE if declared else None
    study = searched(LLMTPESampler(base_sampler=base, mode="tpe", search_space=space, seed=0), squares, 60)
    assert study.best_params["x"] >= 2.0
    assert all(t.constraints == {"0": 2.0 - t.params["x"]} for t in study.trials)
    assert sum(t.params["x"] >= 2.0 for t in study.trials[30:]) > 12


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("fixed", [False, True])
def test_a_default_outside_the_space_is_asked_about_with_its_real_values(
    data: Any, model: Any, fixed: bool
) -> None:
    asked: list[Any] = []

    def holds(trial: optuna.trial.FrozenTrial) -> list[float]:
        asked.append(trial.params["C"])
        return [trial.params["C"] - 0.5]

    base: Any = optuna.samplers.TPESampler(seed=0, constraints_func=holds)
    base = optuna.samplers.PartialFixedSampler({"tol": 1e-3}, base) if fixed else base
    space = {"C": (0.01, 0.9), "tol": (1e-4, 1e-2, "log")}
    result = tune(model, *data, search_space=space, sampler=base, n_trials=8, seed=0, folder="", verify=False)
    assert asked[0] == model.C == 1.0, "beyond the range"
    assert result.trials[0].constraints == {"0": 0.5}
    assert [trial.constraints["0"] > 0 for trial in result.trials[1:]] == [
        trial.params["C"] > 0.5 for trial in result.trials[1:]
    ]
    assert result.best_params["C"] <= 0.5


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_default_that_the_constraint_cannot_read_is_infeasible(data: Any) -> None:
    base = optuna.samplers.TPESampler(seed=0, constraints_func=lambda t: [t.params["max_depth"] - 2])
    result = tune(
        DecisionTreeClassifier(random_state=0), *data, search_space={"max_depth": (1, 4)}, sampler=base,
        n_trials=4, seed=0, folder="", verify=False,
    )  # fmt: skip
    assert (result.status, len(result.trials)) == ("finished", 4)
    assert result.best_params["max_depth"] <= 2
    assert result.trials[0].constraints == {"constraints_func raised TypeError": 1.0}


def test_hyperopt_searches_where_the_constraint_holds() -> None:
    pytest.importorskip("hyperopt")
    beside = LLMTPESampler(base_sampler=HyperoptSampler(seed=0), mode="tpe", search_space=SPACE, seed=0)
    for sampler in (HyperoptSampler(seed=0), beside):
        study = searched(sampler, n_trials=60)
        assert sum(t.params["x"] >= 2.0 for t in study.trials[30:]) > 9, "more than by chance"


def test_an_llm_reads_that_a_trial_is_infeasible() -> None:
    provider = FunctionProvider(Responder(0))
    searched(LLMTPESampler(provider, search_space=SPACE, seed=0), n_trials=12)
    assert ",INFEASIBLE," in provider.requests[-1].messages[-1].content


def test_without_any_feasible_trial_the_search_goes_on() -> None:
    def hopeless(trial: optuna.Trial) -> float:
        trial.set_constraint("never", 1.0 + abs(x := trial.suggest_float("x", -5.0, 5.0)))
        return x

    for way in ({}, {"search_space": {"x": (-5.0, 5.0)}}, {"llm": FunctionProvider(Responder(0))}):
        sampler = LLMTPESampler(seed=0, **way)
        assert sampler.history(searched(sampler, hopeless, n_trials=25)).incumbent is None


BASES: dict[str, Any] = {
    "tpe": lambda of: optuna.samplers.TPESampler(seed=0, constraints_func=of),
    "nsga": lambda of: optuna.samplers.NSGAIISampler(seed=0, constraints_func=of),
    "fixed": lambda of: optuna.samplers.PartialFixedSampler({"x": 1.0}, BASES["tpe"](of)),
    "function": lambda of: lambda seed: BASES["tpe"](of),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("base", BASES)
def test_a_function_of_constraints_is_called_once_for_a_trial(base: str) -> None:
    """It may be slow, or write a line for each trial. With a fixed value it was called without that value."""
    called: list[int] = []

    def of(trial: optuna.trial.FrozenTrial) -> tuple[float]:
        called.append(trial.number)
        return (2.0 - trial.params["x"],)

    def plain(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", -5.0, 5.0) + trial.suggest_float("y", -5.0, 5.0)

    for mode in ("tpe", "llm-tpe"):
        called.clear()
        study = searched(
            LLMTPESampler(base_sampler=BASES[base](of), mode=mode, search_space=SPACE, seed=0), plain, 6
        )
        assert called == [*range(6)]
        assert all([*t.constraints.values()] == [2.0 - t.params["x"]] for t in study.trials)
    called.clear()
    if base != "function":
        options = {"direction": "minimize", "sampler": BASES[base](of), "n_trials": 4, "folder": ""}
        tune(plain, search_space=SPACE, seed=0, **options)
        assert called == [*range(4)]

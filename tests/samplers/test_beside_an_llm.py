"""Beside an LLM: the trials that are not its own are the surrogate's, as often as that is reliable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.samplers.surrogate_source import SurrogateSource
from sllmbo_magic.samplers.trial_spaces import TrialSpaces
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder
from tests.replies import bounds_pick
from tests.replies import random_pick

SPACE = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(3)})


def bowl(trial: optuna.Trial) -> float:
    return float(sum((value - 0.3) ** 2 for value in SPACE.suggest(trial).values()))


def noise(trial: optuna.Trial) -> float:
    SPACE.suggest(trial)
    return float(np.random.default_rng(trial.number).normal())


def sampler(seed: int = 0, pick: Any = random_pick, **options: Any) -> LLMTPESampler:
    return LLMTPESampler(FunctionProvider(Responder(seed, pick)), search_space=SPACE, seed=seed, **options)


def searched(
    n_trials: int, objective: Callable[[optuna.Trial], float] = bowl, **options: Any
) -> optuna.Study:
    study = optuna.create_study(sampler=sampler(**options))
    study.optimize(objective, n_trials=n_trials)
    return study


def sources(study: optuna.Study) -> list[str]:
    return [trial.user_attrs["sllmbo:source"] for trial in study.trials]


def test_after_some_trials_the_surrogate_takes_those_that_are_not_the_llms() -> None:
    found = sources(searched(40))
    assert "gp" not in found[:N_STARTS]
    later = found[N_STARTS:]
    assert later.count("gp") > 5 * max(1, later.count("tpe"))
    assert later.count("llm") > 3


def test_on_noise_the_base_sampler_has_more_of_them() -> None:
    smooth, noisy = (sources(searched(45, objective)).count("gp") for objective in (bowl, noise))
    assert smooth > noisy + 5


@pytest.mark.parametrize("pick", [random_pick, bounds_pick])
def test_a_useless_adviser_keeps_the_search_from_no_smooth_optimum(pick: Any) -> None:
    def best(seed: int, base: Any) -> float:
        study = optuna.create_study(sampler=base)
        study.optimize(bowl, n_trials=40)
        return study.best_value

    advised = [best(seed, sampler(seed, pick)) for seed in range(5)]
    alone = [best(seed, optuna.samplers.TPESampler(seed=seed)) for seed in range(5)]
    assert np.median(advised) < 0.2 * np.median(alone)


@pytest.mark.parametrize(
    "options",
    [{"judge": False}, {"mode": "llm"}, {"mode": "tpe"}, {"base_sampler": RandomSampler(seed=1)}],
    ids=["no surrogate", "the llm alone", "tpe alone", "own sampler"],
)
def test_what_the_user_chose_stays(options: dict[str, Any]) -> None:
    assert "gp" not in sources(searched(30, **options))


def test_the_same_seed_and_answers_give_the_same_trials() -> None:
    first, second = searched(30), searched(30)
    assert [t.params for t in first.trials] == [t.params for t in second.trials]


def test_of_the_best_configurations_the_one_with_fewer_rounds_is_taken() -> None:
    space = SearchSpace.from_user({"x": (0.0, 1.0), "n_estimators": (10, 1000, "log")})
    rng = np.random.default_rng(0)
    configurations = [space.from_unit(rng.random(2)) for _ in range(20)]
    history = History(
        tuple(
            Observation(n, params, value=(params["x"] - 0.3) ** 2, source="llm")
            for n, params in enumerate(configurations)
        ),
        "minimize",
    )
    rounds: dict[bool, list[int]] = {False: [], True: []}
    for seed in range(8):
        for per_cost, found in rounds.items():
            spaces = TrialSpaces(SpaceState(space), dict(space), seed, 20)
            trial = optuna.trial.create_trial(value=0.0)
            trial.number = 20
            context = TrialContext(
                optuna.create_study(), trial, np.random.default_rng(seed), history, [], spaces, False
            )
            source = SurrogateSource()
            surrogate = source.fit(context)
            assert surrogate is not None
            suggestion = source.suggest(context, surrogate, per_cost=per_cost)
            assert suggestion is not None
            found.append(suggestion.params["n_estimators"])
    assert sum(np.log(rounds[True])) < sum(np.log(rounds[False]))
    assert all(cheap <= free for cheap, free in zip(rounds[True], rounds[False], strict=True))

"""Trials that are neither the LLM's nor the rulebook's: the surrogate's, as often as it is reliable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.testing import FunctionProvider
from tests.marks import long
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


def searched_from_the_middle(
    n_trials: int, objective: Callable[[optuna.Trial], float] = bowl, seed: int = 0, **options: Any
) -> optuna.Study:
    """Without an LLM."""
    study = optuna.create_study(sampler=LLMTPESampler(search_space=SPACE, seed=seed, **options))
    study.enqueue_trial(dict.fromkeys(SPACE, 0.5))
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


def test_without_an_llm_it_takes_turns_of_the_base_sampler_after_a_start() -> None:
    found = [sources(searched_from_the_middle(40, seed=seed)) for seed in range(3)]
    assert all("gp" not in run[:N_STARTS] for run in found)
    later = [source for run in found for source in run[N_STARTS:]]
    assert later.count("gp") > later.count("tpe")
    assert later.count("rulebook") > 20


@pytest.mark.parametrize("search", [searched, searched_from_the_middle])
def test_on_noise_the_base_sampler_has_more_of_them(search: Callable[..., optuna.Study]) -> None:
    smooth, noisy = (
        sum(sources(search(45, objective, seed=seed)).count("gp") for seed in range(3))
        for objective in (bowl, noise)
    )
    assert smooth > noisy + 15


@pytest.mark.parametrize("pick", [random_pick, long(bounds_pick)])
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
@pytest.mark.parametrize("search", [searched, searched_from_the_middle])
def test_what_the_user_chose_stays(search: Callable[..., optuna.Study], options: dict[str, Any]) -> None:
    assert "gp" not in sources(search(30, **options))


@pytest.mark.parametrize("search", [searched, searched_from_the_middle])
def test_the_same_seed_and_answers_give_the_same_trials(search: Callable[..., optuna.Study]) -> None:
    first, second = search(30), search(30)
    assert [t.params for t in first.trials] == [t.params for t in second.trials]

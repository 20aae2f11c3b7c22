"""A search without a start: an initial design, then several kinds of draws, which the surrogate rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.proposers.space_filling import initial_configuration
from sllmbo_magic.samplers import base_sampler
from sllmbo_magic.samplers.surrogate import Rating

SPACE = SearchSpace.from_user({"x": (0.0, 1.0), "y": (0.01, 100.0, "log"), "kind": ["a", "b", "c"]})


def bowl(trial: optuna.Trial) -> float:
    params = SPACE.suggest(trial)
    units = SPACE.to_unit(params)
    return float(((units[:2] - 0.3) ** 2).sum()) + 0.1 * (params["kind"] != "b")


def searched(n_trials: int, *first: dict[str, Any], **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=LLMTPESampler(search_space=SPACE, seed=1, **options))
    for params in first:
        study.enqueue_trial(params)
    study.optimize(bowl, n_trials=n_trials)
    return study


@pytest.fixture
def per_parameter(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the TPE samplers that were made to model each parameter by itself."""
    seeds: list[int] = []
    make = base_sampler.univariate_tpe

    def counted(seed: int) -> optuna.samplers.TPESampler:
        seeds.append(seed)
        return make(seed)

    monkeypatch.setattr(base_sampler, "univariate_tpe", counted)
    return seeds


def sources(study: optuna.Study) -> list[str]:
    return [trial.user_attrs["sllmbo:source"] for trial in study.trials]


def test_the_first_trials_are_the_design_whoever_takes_them() -> None:
    study = searched(N_STARTS)
    assert [t.params for t in study.trials] == [initial_configuration(SPACE, 1, n) for n in range(N_STARTS)]
    assert set(sources(study)) == {"tpe", "rulebook"}


def test_the_design_covers_every_eighth_of_every_range_once() -> None:
    units = np.array([SPACE.to_unit(initial_configuration(SPACE, 7, n)) for n in range(1, 9)])
    for column in (0, 1):
        assert sorted(np.floor(units[:, column] * 8)) == list(range(8))
    assert {initial_configuration(SPACE, 7, n)["kind"] for n in range(1, 9)} == {"a", "b", "c"}
    assert SPACE.to_unit(initial_configuration(SPACE, 7, 0)) == pytest.approx([0.5] * 3)


def test_after_it_tpe_models_each_parameter_by_itself_outside_of_a_contest(per_parameter: list[int]) -> None:
    study = searched(30)
    provenance = [t.user_attrs["sllmbo:provenance"] for t in study.trials[N_STARTS:]]
    in_contests = [
        p for p in provenance if p["source"] == "tpe" and "surrogate expects more" in p.get("reason", "")
    ]
    outside = [p for p in provenance if p["source"] == "tpe" and p not in in_contests]
    assert len(per_parameter) == len(outside) > 5


@pytest.mark.parametrize(
    ("first", "options"),
    [
        ([{"x": 0.5, "y": 1.0, "kind": "a"}], {}),
        ([], {"mode": "tpe"}),
        ([], {"judge": False}),
        ([], {"base_sampler": RandomSampler(seed=1)}),
        ([], {"base_sampler": base_sampler.univariate_tpe}),
    ],
    ids=["a start", "tpe alone", "no surrogate", "own sampler", "own maker"],
)
def test_a_start_or_a_choice_of_the_users_leaves_the_base_sampler_as_it_is(
    first: list[dict[str, Any]], options: dict[str, Any], per_parameter: list[int]
) -> None:
    study = searched(20, *first, **options)
    assert per_parameter == []
    design = [initial_configuration(SPACE, 1, n) for n in range(1, N_STARTS)]
    base = [t.params for t in study.trials[1:N_STARTS] if t.user_attrs["sllmbo:source"] != "rulebook"]
    assert base
    assert all(params not in design for params in base)


class Preference:
    """A surrogate that rates the candidates of the queue above, or below, the base sampler's draw."""

    mature = True

    def __init__(self, sampler: LLMTPESampler, *, candidates: bool) -> None:
        self.queue = sampler.queue
        self.candidates = candidates

    def rate(self, configurations: list[dict[str, Any]]) -> list[Rating]:
        waiting = [queued.candidate.params for queued in self.queue.candidates]
        return [Rating(float((c in waiting) is self.candidates), 0.5) for c in configurations]


@pytest.mark.parametrize(("candidates", "source"), [(True, "rulebook"), (False, "tpe")])
def test_the_draw_that_the_surrogate_rates_highest_runs(candidates: bool, source: str) -> None:
    sampler = LLMTPESampler(search_space=SPACE, seed=1, schedule="alternate")
    preference = Preference(sampler, candidates=candidates)
    sampler._sources.prefetch.get = lambda number, space, history: preference  # type: ignore[assignment,method-assign,return-value]
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=20)
    turns = [trial for trial in study.trials[N_STARTS:] if trial.number % 2]
    assert {trial.user_attrs["sllmbo:source"] for trial in turns} == {source}
    reasons = {trial.user_attrs["sllmbo:provenance"]["reason"] for trial in turns}
    assert all(("surrogate expects more" in reason) is not candidates for reason in reasons)

"""A search without a start: an initial design, then the surrogate and TPE in turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.proposers.space_filling import initial_configuration
from sllmbo_magic.samplers import base_sampler
from sllmbo_magic.samplers.surrogate import Surrogate
from sllmbo_magic.samplers.surrogate_source import chance

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


def test_a_point_of_the_design_that_the_rulebook_took_early_is_not_drawn_again() -> None:
    """A trial of another program was close to the rulebook's own point."""
    n_different = {}
    for number in range(1, N_STARTS - 1):
        near = initial_configuration(SPACE, 1, number)
        near["x"] *= 1 + 1e-9
        study = optuna.create_study(sampler=LLMTPESampler(search_space=SPACE, seed=1))
        study.add_trial(optuna.create_trial(params=near, distributions=dict(SPACE), value=1.0))
        study.optimize(bowl, n_trials=N_STARTS)
        n_different[number] = len({tuple(sorted(trial.params.items())) for trial in study.trials})
    assert set(n_different.values()) == {N_STARTS + 1}, n_different


def test_the_design_covers_every_eighth_of_every_range_once() -> None:
    units = np.array([SPACE.to_unit(initial_configuration(SPACE, 7, n)) for n in range(1, 9)])
    for column in (0, 1):
        assert sorted(np.floor(units[:, column] * 8)) == list(range(8))
    assert {initial_configuration(SPACE, 7, n)["kind"] for n in range(1, 9)} == {"a", "b", "c"}
    assert SPACE.to_unit(initial_configuration(SPACE, 7, 0)) == pytest.approx([0.5] * 3)


def test_after_it_the_surrogate_proposes_and_tpe_models_each_parameter_by_itself(
    per_parameter: list[int],
) -> None:
    study = searched(30)
    after = sources(study)[N_STARTS:]
    assert len(per_parameter) == after.count("tpe") > 0
    assert after.count("gp") == len(after) - after.count("tpe") > 5
    reasons = {
        t.user_attrs["sllmbo:provenance"]["reason"]
        for t in study.trials
        if t.user_attrs["sllmbo:source"] == "gp"
    }
    assert reasons == {"The Gaussian process expects the largest improvement here."}


@pytest.mark.parametrize(
    ("reliability", "ratio", "share"),
    [
        (0.0, 0.5, 0.1),
        (0.5, 0.5, 0.5),
        (0.9, 0.5, 0.9),
        (1.0, 0.5, 0.95),
        (0.5, 0.75, 0.75),
        (0.9, 0.0, 0.0),
        (0.0, 1.0, 1.0),
    ],
)
def test_the_surrogate_has_the_more_trials_the_more_reliable_it_is(
    reliability: float, ratio: float, share: float
) -> None:
    assert chance(reliability, ratio) == pytest.approx(share)


def noise(trial: optuna.Trial) -> float:
    SPACE.suggest(trial)
    return float(np.random.default_rng(trial.number).normal())


@pytest.mark.parametrize("how", ["fails", "is pruned", "is pruned after a report"])
def test_the_design_has_ten_trials_also_where_some_have_no_score(how: str) -> None:
    """Pruned ones did not count, so that the search began the later, the more were pruned."""

    def objective(trial: optuna.Trial) -> float:
        value = bowl(trial)
        if trial.params["x"] < 0.3 and how == "fails":
            raise ValueError
        if trial.params["x"] < 0.3:
            if "report" in how:
                trial.report(value, 1)
            raise optuna.TrialPruned
        return value

    study = optuna.create_study(sampler=LLMTPESampler(search_space=SPACE, seed=1))
    study.optimize(objective, n_trials=N_STARTS + 2, catch=(ValueError,))
    design = study.trials[:N_STARTS]
    assert [t.params for t in design] == [initial_configuration(SPACE, 1, n) for n in range(N_STARTS)]
    assert sum(trial.state != TrialState.COMPLETE for trial in design) == 4
    assert "gp" in sources(study)[N_STARTS:]


def test_on_noise_tpe_has_more_of_the_trials() -> None:
    counts = []
    for objective in (bowl, noise):
        study = optuna.create_study(sampler=LLMTPESampler(search_space=SPACE, seed=1))
        study.optimize(objective, n_trials=35)
        counts.append(sources(study).count("gp"))
    assert counts[0] > counts[1] + 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"llm_ratio": 0.0}, {"tpe"}), ({"llm_ratio": 1.0}, {"gp"}), ({"schedule": "alternate"}, {"gp", "tpe"})],
)
def test_the_share_that_the_user_sets_is_the_surrogates(options: dict[str, Any], expected: set[str]) -> None:
    after = sources(searched(20, **options))[N_STARTS:]
    assert set(after) == expected
    if options.get("schedule") == "alternate":
        assert after.count("gp") == len(after) / 2


def test_no_configuration_of_the_surrogate_is_tried_twice() -> None:
    space = SearchSpace.from_user({"a": (0, 120), "b": (0, 120)})

    def objective(trial: optuna.Trial) -> float:
        params = space.suggest(trial)
        return float(abs(params["a"] - 60) + abs(params["b"] - 60))

    study = optuna.create_study(sampler=LLMTPESampler(search_space=space, seed=1, llm_ratio=1.0))
    study.optimize(objective, n_trials=40)
    assert len({tuple(t.params.values()) for t in study.trials}) == 40
    assert study.best_value <= 1


def test_trials_that_run_at_the_same_time_are_not_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_distance() -> float:
        study = searched(12, llm_ratio=1.0)
        running = [study.ask() for _ in range(3)]
        units = np.array([SPACE.to_unit(SPACE.suggest(trial)) for trial in running])
        assert {t.user_attrs["sllmbo:source"] for t in study.trials[-3:]} == {"gp"}
        return min(float(np.abs(units[i] - units[j]).max()) for i, j in ((0, 1), (0, 2), (1, 2)))

    apart = least_distance()
    monkeypatch.setattr(Surrogate, "with_pending", lambda surrogate, configurations: surrogate)
    assert apart > 1.5 * least_distance()


def test_a_sampler_that_goes_on_with_a_study_proposes_what_the_first_one_would_have() -> None:
    whole = searched(40)
    for n in (16, 17, 18):
        first = searched(n)
        later = optuna.create_study(sampler=LLMTPESampler(search_space=SPACE, seed=1))
        later.add_trials(first.trials)
        later.optimize(bowl, n_trials=40 - n)
        assert [t.params for t in later.trials] == [t.params for t in whole.trials]


def test_the_surrogate_finds_a_smooth_optimum_where_tpe_is_on_its_way() -> None:
    def best(sampler: Any) -> float:
        study = optuna.create_study(sampler=sampler)
        study.optimize(bowl, n_trials=25)
        return study.best_value

    ours = [best(LLMTPESampler(search_space=SPACE, seed=seed)) for seed in range(5)]
    peers = [best(optuna.samplers.TPESampler(seed=seed)) for seed in range(5)]
    assert np.median(ours) < 0.1 * np.median(peers)


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
    assert first or "gp" not in sources(searched(30, *first, **options))


def test_where_no_space_is_declared_the_rulebook_takes_no_trial_of_the_surrogates() -> None:
    """There is no outer space that ranges could grow into."""
    taken: set[str] = set()
    for seed in range(4):
        study = optuna.create_study(sampler=LLMTPESampler(seed=seed))
        study.optimize(lambda trial: (trial.suggest_float("x", 0.0, 1.0) - 0.4) ** 2, n_trials=30)
        taken |= set(sources(study)[N_STARTS:])
    assert taken == {"gp", "tpe"}


def test_where_no_space_is_declared_earlier_trials_are_not_placed_in_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places: list[Any] = []
    to_unit = SearchSpace.to_unit
    monkeypatch.setattr(SearchSpace, "to_unit", lambda space, c: places.append(c) or to_unit(space, c))
    study = optuna.create_study(sampler=LLMTPESampler(seed=1))
    study.optimize(bowl, n_trials=40)
    n_rated = 10 * sources(study).count("gp")  # the finalists of each search
    assert len(places) <= len(study.trials) + n_rated

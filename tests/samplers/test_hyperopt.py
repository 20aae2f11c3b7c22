"""Hyperopt's TPE passes Optuna's sampler suites and tunes alone and beside an LLM; the paper's TPE is
univariate.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.testing.pytest_samplers import RelativeSamplerTestCase
from optuna.testing.pytest_samplers import SingleOnlySamplerTestCase

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.comparison.compare import compare
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.samplers import HyperoptSampler
from sllmbo_magic.tuning.settings import base_sampler
from sllmbo_magic.tuning.settings import make_settings

SPACE = SearchSpace.from_user(
    {"x": (-1.0, 1.0), "rate": (1e-3, 1.0, "log"), "n": (1, 30), "kind": ["a", "b", "c"]}
)


def bowl(trial: optuna.Trial) -> float:
    p = SPACE.suggest(trial)
    x, rate, n = (float(p[k] or 0) for k in ("x", "rate", "n"))
    return (x - 0.3) ** 2 + (rate - 0.1) ** 2 + abs(n - 12) / 30 + (p["kind"] == "b")


def of_params(p: dict[str, Any]) -> float:
    return float((p["x"] - 0.3) ** 2 + (p["rate"] - 0.1) ** 2 + abs(p["n"] - 12) / 30 + (p["kind"] == "b"))


def run(sampler: BaseSampler, n: int = 45) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=n)
    return study


class TestOptunaSuites(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's Basic, Relative and SingleOnly cases, for both: alone, and as the base of LLM-TPE."""

    @pytest.fixture(params=["alone", "base"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        if request.param == "alone":
            return HyperoptSampler
        return lambda: LLMTPESampler(base_sampler=HyperoptSampler())


def test_it_learns_from_the_trials_in_both_directions() -> None:
    """Over three seeds: another version of numpy draws other trials."""
    ours, by_chance = (
        [run(sampler(seed=seed), 80).best_value for seed in (1, 2, 3)]
        for sampler in (HyperoptSampler, RandomSampler)
    )
    assert sum(ours) < sum(by_chance)
    study = optuna.create_study(direction="maximize", sampler=HyperoptSampler(seed=3))
    study.optimize(lambda trial: -bowl(trial), n_trials=80)
    assert study.best_value == -ours[-1]


def test_the_same_seed_gives_the_same_trials_and_another_others() -> None:
    same = [[t.params for t in run(HyperoptSampler(seed=seed), 30).trials] for seed in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


def test_a_pickled_copy_goes_on_as_the_original() -> None:
    study = run(HyperoptSampler(seed=1), 25)
    other = pickle.loads(pickle.dumps(study))
    for s in (study, other):
        s.optimize(bowl, n_trials=10)
    assert [t.params for t in other.trials] == [t.params for t in study.trials]


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(3, 5), [3, 4, 5]),
        (IntDistribution(2, 8, step=3), [2, 5, 8]),
        (FloatDistribution(-0.5, 0.5, step=0.5), [-0.5, 0.0, 0.5]),
        (IntDistribution(1, 3, log=True), [1, 2, 3]),
    ],
    ids=str,
)
def test_a_rounded_range_is_reached_at_both_ends(distribution: Any, values: list[float]) -> None:
    study = optuna.create_study(sampler=HyperoptSampler(seed=0))
    drawn = [study.ask({"a": distribution}).params["a"] for _ in range(200)]
    assert sorted(set(drawn)) == values
    if not distribution.log:
        assert min(map(drawn.count, values)) > 40, "the ends are as likely as the inside"


def test_a_conditional_parameter_learns_from_the_trials_that_have_it() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("kind", ["a", "b"]) == "b":
            return 2.0
        return (trial.suggest_float("only-a", 0.0, 10.0) - 7.0) ** 2

    study = optuna.create_study(sampler=HyperoptSampler(seed=0))
    study.optimize(objective, n_trials=120)
    late = [t.params["only-a"] for t in study.trials[60:] if "only-a" in t.params]
    assert len(late) > 30
    assert sum(abs(v - 7.0) < 2.0 for v in late) > 0.65 * len(late), "by chance: 0.4"


def test_pruned_trials_count_as_bad_and_failed_ones_are_left_out() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        if x > 0.5:
            raise optuna.TrialPruned
        return 0.0

    late = []
    for seed in range(6):
        study = optuna.create_study(sampler=HyperoptSampler(seed=seed))
        study.optimize(objective, n_trials=70)
        late += [t.params["x"] for t in study.trials[40:]]
    assert sum(x > 0.5 for x in late) <= 70, "by chance: 90 with a standard deviation of 7"

    sampler = HyperoptSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for i in range(30):
        trial = study.ask()
        value = bowl(trial)
        study.tell(trial, *([value] if i % 3 else [None, optuna.trial.TrialState.FAIL]))
    run_before_the_last = [t.number for t in study.trials[:29] if t.number % 3]
    converted = sampler._by_names[tuple(sorted(SPACE))]
    assert [doc["tid"] for doc in converted.trials.trials] == run_before_the_last


def test_each_trial_is_translated_once() -> None:
    sampler = HyperoptSampler(seed=0)
    study = run(sampler, 30)
    converted = sampler._by_names[tuple(sorted(SPACE))]
    docs = list(converted.trials.trials)
    study.optimize(bowl, n_trials=5)
    assert sampler._by_names[tuple(sorted(SPACE))] is converted
    assert all(a is b for a, b in zip(docs, converted.trials.trials, strict=False))


def test_tune_with_it_says_so_and_a_resumed_run_goes_on_as_an_uninterrupted_one(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "search_space": dict(SPACE),
        "direction": "minimize",
        "sampler": "hyperopt",
        "seed": 4,
        "folder": tmp_path,
    }
    whole = tune(of_params, name="whole", n_trials=34, **options)
    tune(of_params, name="parts", n_trials=26, **options)
    parts = tune(of_params, name="parts", n_trials=34, resume=True, **options)
    assert [t.params for t in parts.study.trials] == [t.params for t in whole.study.trials]
    assert {t.user_attrs["sllmbo:source"] for t in whole.study.trials} == {"hyperopt"}
    assert "hyperopt" in TuneResult.load(tmp_path / "whole").study.trials[-1].user_attrs.values()


def test_it_is_compared_like_any_other() -> None:
    found = compare(
        of_params,
        samplers=("hyperopt", "tpe"),
        seeds=2,
        n_trials=4,
        search_space=dict(SPACE),
        direction="minimize",
    )
    assert "hyperopt" in found.table()


def test_without_hyperopt_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "sllmbo_magic.samplers.hyperopt.find_spec", lambda name: None if name == "hyperopt" else find(name)
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'sllmbo-magic\[hyperopt\]'") as raised:
        tune(of_params, search_space=dict(SPACE), direction="minimize", sampler="hyperopt", folder="")
    assert "\n" not in str(raised.value)


# The paper's TPE


@pytest.mark.parametrize(("preset", "multivariate"), [(None, True), ("paper", False)])
def test_the_paper_s_tpe_models_each_parameter_by_itself(preset: str | None, multivariate: bool) -> None:
    asked: dict[str, Any] = {} if multivariate else {"multivariate": False}
    for given in ({}, {"sampler": "tpe"}, {"sampler": "llm"}):
        make, source = base_sampler(make_settings(preset, dict(given)))
        sampler: Any = make(1)  # type: ignore[operator]
        assert isinstance(sampler, TPESampler)
        assert source == "tpe"
        assert sampler._multivariate in ((None, True) if multivariate else (False,))
    own, _ = base_sampler(make_settings(None, asked))
    assert own is make


def test_a_run_under_the_preset_has_the_trials_of_the_univariate_sampler() -> None:
    def trials(**options: Any) -> list[Any]:
        result = tune(
            of_params,
            search_space=dict(SPACE),
            direction="minimize",
            sampler="tpe",
            n_trials=30,
            patience=30,
            seed=1,
            folder="",
            **options,
        )
        return [t.params for t in result.study.trials]

    paper, joint = trials(preset="paper", history="full"), trials()
    assert paper[:10] == joint[:10], "the random start"
    assert paper[10:] != joint[10:]
    assert paper[10:] == trials(multivariate=False)[10:]

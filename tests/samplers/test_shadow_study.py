"""What the base sampler is shown of the real study."""

from __future__ import annotations

import itertools
import re
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.samplers import BruteForceSampler
from optuna.samplers import CmaEsSampler
from optuna.samplers import GridSampler
from optuna.samplers import NSGAIISampler
from optuna.samplers import PartialFixedSampler
from optuna.samplers import QMCSampler
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.samplers.shadow_study import ShadowStudy
from sllmbo_magic.testing import FunctionProvider

OUTER = SearchSpace.from_user({"x": (0.0, 1.0), "y": (0.0, 4.0)})


def shadow_of(params: dict[str, float]) -> dict[str, Any]:
    """The parameters of the shadow trial of a finished trial, whose own study has wide ranges."""
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        params=params,
        distributions={name: FloatDistribution(-100.0, 100.0) for name in params},
    )
    shadow = ShadowStudy(OUTER, optuna.study.StudyDirection.MAXIMIZE)
    shadow.sync([trial], optuna.samplers.RandomSampler())
    return shadow.study.trials[0].params


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"x": 0.25, "y": 3.0}, {"x": 0.25, "y": 3.0}),
        ({"x": 0.25}, {"x": 0.25, "y": 2.0}),  # missing: the middle
        ({"x": 0.25, "y": 3.0, "z": 9.0}, {"x": 0.25, "y": 3.0}),  # not in the outer space
    ],
)
def test_every_trial_is_a_point_of_the_outer_space(
    params: dict[str, float], expected: dict[str, float]
) -> None:
    assert shadow_of(params) == expected


class Contract(TPESampler):
    """A sampler that counts on being asked what it searches before it is asked for values, as Optuna does."""

    inferred: Any = None

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        self.inferred = trial.number
        return super().infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        assert self.inferred == trial.number
        return super().sample_relative(study, trial, search_space)


SPACE = {"x": [-1, 0, 1], "k": (1, 3), "only": [7]}
BASES: dict[str, Any] = {
    "group": lambda: TPESampler(multivariate=True, group=True, seed=0),
    "brute force": lambda: BruteForceSampler(seed=0),
    "grid": lambda: GridSampler({"x": [-1, 0, 1], "k": [1, 2, 3], "only": [7]}, seed=0),
    "nsga": lambda: NSGAIISampler(seed=0),
    "qmc": lambda: QMCSampler(seed=0),
    "contract": lambda: Contract(seed=0),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("mode", ["tpe", "llm-tpe"])
@pytest.mark.parametrize("declared", [True, False])
def test_optunas_samplers_work_as_base_sampler(base: str, mode: str, declared: bool) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_categorical("x", [-1, 0, 1])
        branch = trial.suggest_int("a", 1, 1) if x == 0 and not declared and base != "grid" else 0
        return x**2 + trial.suggest_int("k", 1, 3) + trial.suggest_categorical("only", [7]) + branch

    sampler = LLMTPESampler(
        base_sampler=BASES[base](), mode=mode, search_space=SPACE if declared else None, seed=0
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=20)
    assert len(study.trials) == 20 or len({tuple(t.params.items()) for t in study.trials}) == 9


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_grid_is_tried_to_its_end_beside_other_sources(declared: bool, seed: int) -> None:
    """A trial of another source took a point of the grid with it, so that the study ended too early."""
    grid = {"x": [-1.0, 0.0, 1.0], "k": ["a", "b"], "n": [1, 5]}

    def objective(trial: optuna.Trial) -> float:
        k = trial.suggest_categorical("k", ["a", "b"])
        return (trial.suggest_float("x", -5, 5) - 1) ** 2 + trial.suggest_int("n", 1, 10) + (k == "a")

    space = {"x": (-5.0, 5.0), "k": ["a", "b"], "n": (1, 10)} if declared else None
    sampler = LLMTPESampler(base_sampler=GridSampler(grid, seed=0), search_space=space, seed=seed)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=60)
    sources = [trial.user_attrs["sllmbo:source"] for trial in study.trials]
    assert sources.count("base") == 12
    assert len(sources) > 12
    assert sources[-1] == "base", "its last point ends the study"
    tried = {tuple(trial.params[name] for name in grid) for trial in study.trials}
    assert tried >= {*itertools.product(*grid.values())}


@pytest.mark.parametrize("mode", ["tpe", "llm-tpe"])
@pytest.mark.parametrize("per_process", [1, 2])
def test_a_grid_goes_on_in_a_new_process(mode: str, per_process: int) -> None:
    """It began again, as its notes were in the memory of the process; a failed trial had its point, too."""
    grid = {"x": [-1.0, 0.0, 1.0], "y": [1.0, 5.0]}
    storage = optuna.storages.InMemoryStorage()

    def objective(trial: optuna.Trial) -> float:
        total = trial.suggest_float("x", -5, 5) + trial.suggest_float("y", 0, 9)
        if trial.number == 1:
            raise ValueError
        return total

    while True:
        sampler = LLMTPESampler(
            base_sampler=GridSampler(grid, seed=0), search_space={"x": (-5.0, 5.0), "y": (0.0, 9.0)},
            mode=mode, seed=0,
        )  # fmt: skip
        study = optuna.create_study(sampler=sampler, storage=storage, study_name="a", load_if_exists=True)
        study.optimize(objective, n_trials=per_process, catch=(ValueError,))
        of_grid = [t.params for t in study.trials if t.user_attrs["sllmbo:source"] == "base"]
        if len(of_grid) == 6 or len(study.trials) == 30:
            break
    assert sorted(map(str, of_grid)) == sorted(str({"x": x, "y": y}) for x in grid["x"] for y in grid["y"])


PARTIAL: dict[str, Any] = {
    "tpe": lambda: TPESampler(seed=0),
    "univariate": lambda: TPESampler(multivariate=False, seed=0),
    "group": BASES["group"],
    "cmaes": lambda: CmaEsSampler(seed=0, warn_independent_sampling=False),
    "qmc": lambda: QMCSampler(seed=0, warn_independent_sampling=False),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("base", PARTIAL)
@pytest.mark.parametrize("declared", [True, False])
def test_a_parameter_that_the_base_sampler_keeps_fixed_stays_so(base: str, declared: bool) -> None:
    if base == "cmaes":
        pytest.importorskip("cmaes")

    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 4.0)
        return float((x - 0.2) ** 2 + y + (trial.suggest_categorical("kind", ["a", "b"]) == "a"))

    space = {"x": (0.0, 1.0), "y": (0.0, 4.0), "kind": ["a", "b"]} if declared else None
    sampler = PartialFixedSampler({"x": 0.75}, PARTIAL[base]())
    ours = LLMTPESampler(base_sampler=sampler, search_space=space, mode="tpe", seed=0)
    study = optuna.create_study(sampler=ours)
    study.optimize(objective, n_trials=16)
    assert {trial.params["x"] for trial in study.trials} == {0.75}
    assert len({trial.params["y"] for trial in study.trials}) == 16
    assert {trial.params["kind"] for trial in study.trials} == {"a", "b"}
    if declared:
        result = tune(
            objective, direction="minimize", search_space=space, sampler=sampler, n_trials=14, folder=""
        )
        assert {trial.params["x"] for trial in result.trials} == {0.75}


AROUND: dict[str, Any] = {
    "as base sampler": lambda fixed, llm, **k: LLMTPESampler(
        llm, base_sampler=PartialFixedSampler(fixed, TPESampler(seed=0)), **k
    ),
    "from a function": lambda fixed, llm, **k: LLMTPESampler(
        llm, base_sampler=lambda seed: PartialFixedSampler(fixed, TPESampler(seed=seed)), **k
    ),
    "around ours": lambda fixed, llm, **k: PartialFixedSampler(fixed, LLMTPESampler(llm, **k)),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("place", AROUND)
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_it_stays_so_for_every_source(place: str, declared: bool, asked: bool) -> None:
    """The rulebook and the surrogate had other values; an LLM was asked for one that was then replaced."""

    def objective(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", -5, 5) - 1) ** 2 + trial.suggest_int("n", 1, 10)

    def answer(request: Any) -> dict[str, Any]:
        added = [{"name": "n", "value": 8}]
        configurations = [
            {"reason": "r", "expects": "explore", "params": {"x": next(numbers)}, "added": added}
            for _ in range(5)
        ]
        return {"reasoning": "", "space_changes": [], "configurations": configurations}

    numbers = itertools.count(-4.9, 0.06)
    provider = FunctionProvider(answer)
    space = {"x": (-5.0, 5.0), "n": (1, 10)} if declared else None
    sampler = AROUND[place](
        {"n": 3}, provider if asked else "rulebook", search_space=space, seed=0, schedule="alternate"
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=40)
    assert {trial.params["n"] for trial in study.trials} == {3}
    assert len({trial.params["x"] for trial in study.trials}) == 40
    sources = {trial.user_attrs["sllmbo:source"] for trial in study.trials}
    assert sources & ({"llm"} if asked else {"rulebook", "gp"})
    for request in provider.requests:
        assert "n: int" not in request.messages[-1].content
        assert "n=3" in request.messages[-1].content
        assert "Only some trials have" not in request.messages[-1].content

    other = optuna.create_study(sampler=sampler._base_sampler if place == "around ours" else sampler)
    other.optimize(objective, n_trials=12)
    assert ({trial.params["n"] for trial in other.trials} == {3}) is (place != "around ours")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("place", AROUND)
def test_an_llm_is_told_what_is_held_where_only_some_trials_have_it(place: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        more = trial.suggest_int("n", 1, 10) if kind == "a" else trial.suggest_int("m", 1, 10)
        return (trial.suggest_float("x", -5, 5) - 1) ** 2 + more

    def answer(request: Any) -> dict[str, Any]:
        added = [{"name": "n", "value": 8}, {"name": "m", "value": 2}]
        params = {"x": next(numbers), "kind": "a"}
        return {"configurations": [{"reason": "r", "expects": "explore", "params": params, "added": added}]}

    numbers = itertools.count(-4.9, 0.06)
    provider = FunctionProvider(answer)
    study = optuna.create_study(sampler=AROUND[place]({"n": 3}, provider, seed=0, schedule="alternate"))
    study.enqueue_trial({"kind": "b"})
    study.enqueue_trial({"kind": "a"})
    study.optimize(objective, n_trials=10)
    prompt = provider.requests[-1].messages[-1].content
    assert {trial.params["n"] for trial in study.trials if "n" in trial.params} == {3}
    assert "not to be changed: n=3 (where a trial has it)" in prompt
    assert "Only some trials have m:" in prompt
    assert "n is held at 3, not 8" in prompt


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("place", AROUND)
def test_a_finite_space_then_has_the_other_configurations_only(place: str) -> None:
    sampler = AROUND[place]({"a": 2}, "rulebook", search_space={"a": (1, 4), "b": (1, 4)}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: t.suggest_int("a", 1, 4) + t.suggest_int("b", 1, 4), n_trials=12)
    assert sorted((t.params["a"], t.params["b"]) for t in study.trials) == [(2, 1), (2, 2), (2, 3), (2, 4)]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_run_shows_it_as_held() -> None:
    result = tune(
        lambda params: (params["x"] - 0.2) ** 2 + params["k"],
        direction="minimize",
        search_space={"x": (0.0, 1.0), "k": (1, 4)},
        sampler=PartialFixedSampler({"x": 1}, TPESampler(seed=0)),
        n_trials=9,
        folder="",
    )
    assert sorted(tuple(trial.params.values()) for trial in result.trials) == [(1.0, k) for k in range(1, 5)]
    [version] = [event for event in result.events if isinstance(event, SpaceChanged)]
    assert {p["name"]: p["fixed"] for p in version.params if "fixed" in p} == {"x": 1.0}
    assert result.best_params == {"x": 1.0, "k": 1}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("declared", [True, False])
def test_it_stays_so_where_no_other_configuration_is_left(declared: bool) -> None:
    sampler = LLMTPESampler(
        base_sampler=PartialFixedSampler({"x": 0}, TPESampler(seed=0)),
        search_space={"x": [-1, 0, 1], "k": (1, 3)} if declared else None,
        mode="tpe",
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: t.suggest_categorical("x", [-1, 0, 1]) + t.suggest_int("k", 1, 3), n_trials=8)
    assert [trial.params["x"] for trial in study.trials] == [0] * (3 if declared else 8), "3 are the space"
    assert {trial.params["k"] for trial in study.trials[:3]} == {1, 2, 3}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    ("fixed", "problem"),
    [
        ({"x": 3.0}, "x, and 3 is out of range; allowed: 0 to 1"),
        ({"kind": "c"}, "kind, and 'c' is no choice; allowed: one of 'a', 'b'"),
    ],
)
def test_a_fixed_value_that_a_declared_space_lacks_is_refused(fixed: dict[str, Any], problem: str) -> None:
    """It was moved to the nearest value, where Optuna evaluates it as it is."""

    def objective(params: dict[str, Any]) -> float:
        raise AssertionError("nothing runs")

    space: dict[str, Any] = {"x": (0.0, 1.0), "kind": ["a", "b"]}
    sampler = PartialFixedSampler({"unknown": 7}, PartialFixedSampler(fixed, TPESampler(seed=0)))
    options: dict[str, Any] = {"search_space": space, "sampler": sampler, "folder": ""}
    for call in (
        lambda: LLMTPESampler(base_sampler=sampler, search_space=space),
        lambda: LLMTPESampler(base_sampler=lambda seed: sampler, search_space=space),
        lambda: tune(objective, direction="minimize", **options),
        lambda: tune(objective, direction=["minimize", "maximize"], **options),
    ):
        with pytest.raises(InputError, match=re.escape(f"PartialFixedSampler fixes {problem}.")):
            call()
    LLMTPESampler(base_sampler=PartialFixedSampler({"x": 1}, TPESampler()), search_space=space)


class Numbers(TPESampler):
    """A sampler whose joint model has no categories, as that of CMA-ES."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        inferred = super().infer_relative_search_space(study, trial)
        return {n: d for n, d in inferred.items() if not isinstance(d, CategoricalDistribution)}

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        assert not any(isinstance(d, CategoricalDistribution) for d in search_space.values())
        return super().sample_relative(study, trial, search_space)


@pytest.mark.parametrize("declared", [True, False])
def test_the_joint_model_is_asked_for_what_it_has(declared: bool) -> None:
    sampler = LLMTPESampler(
        base_sampler=Numbers(seed=0), mode="tpe", search_space=SPACE if declared else None, seed=0
    )
    optuna.create_study(sampler=sampler).optimize(
        lambda t: t.suggest_categorical("x", [-1, 0, 1]) ** 2 + t.suggest_int("k", 1, 3), n_trials=14
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_grouped_tpe_draws_in_the_current_version_of_the_space() -> None:
    sampler = LLMTPESampler(base_sampler=BASES["group"](), mode="tpe", search_space=OUTER, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: t.suggest_float("x", 0.0, 1.0) + t.suggest_float("y", 0.0, 4.0), n_trials=12)
    # the user's own range, which the wide space follows
    sampler.space_state.change(OUTER.narrow("x", low=0.9), 12, "a test", "user")
    study.optimize(lambda t: t.suggest_float("x", 0.0, 1.0) + t.suggest_float("y", 0.0, 4.0), n_trials=8)
    assert min(t.params["x"] for t in study.trials[12:]) >= 0.9


def queued_outside(search_space: SearchSpace | None = OUTER, **options: Any) -> optuna.Study:
    """Of a function that is best at the end of the range, says a configuration outside of it."""

    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 4.0)
        return -1000.0 if x > 1.0 else (x - 0.2) ** 2 + (y / 4 - 0.2) ** 2

    study = optuna.create_study(sampler=LLMTPESampler(search_space=search_space, seed=0, **options))
    study.enqueue_trial({"x": 50.0, "y": 3.9})
    study.optimize(objective, n_trials=40)
    return study


@pytest.mark.filterwarnings("ignore:Fixed parameter")
@pytest.mark.parametrize("options", [{}, {"mode": "tpe"}, {"mode": "tpe", "base_sampler": TPESampler()}])
def test_a_trial_outside_the_outer_space_is_no_point_of_it(options: dict[str, Any]) -> None:
    study = queued_outside(**options)
    sampler: Any = study.sampler
    assert [o.number for o in sampler.history(study).observations if o.outside] == [0]
    shadow = sampler._base_sampler._shadow.study.get_trials(states=(TrialState.COMPLETE,))
    assert min(t.value for t in shadow) >= 0.0
    assert sum(t.params["x"] > 0.9 for t in study.trials[10:]) < 8


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_where_no_space_is_declared_it_is_outside_of_what_the_trials_share() -> None:
    study = queued_outside(None)
    sampler: Any = study.sampler
    assert [o.number for o in sampler.history(study).observations if o.outside] == [0]


def test_one_outside_a_range_that_was_narrowed_is_a_point() -> None:
    study = optuna.create_study(sampler=LLMTPESampler(search_space=OUTER, seed=0))
    study.optimize(lambda t: t.suggest_float("x", 0.0, 1.0) + t.suggest_float("y", 0.0, 4.0), n_trials=6)
    sampler: Any = study.sampler
    sampler.space_state.change(OUTER.narrow("x", high=0.1), 6, "a test", "llm")
    assert len(sampler.history(study).points.complete) == 6

"""The search space changes while the study goes on: no old trial is lost, and all values are recorded under
one fixed outer space.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.space import Condition
from sllmbo_magic.testing import FunctionProvider
from tests.replies import reply

OUTER = SearchSpace.from_user(
    {"x": (0.0, 1.0), "rate": (1e-4, 1.0, "log"), "n": (1, 100), "kind": ["a", "b", "c", "d"]}
)
START = (
    OUTER.narrow("x", low=0.2, high=0.8)
    .narrow("rate", low=1e-3, high=0.1)
    .narrow("kind", choices=["a", "b", "c"])
)


def bowl(params: dict[str, Any]) -> float:
    return float(
        (params["x"] - 0.7) ** 2
        + (np.log10(params["rate"]) + 2) ** 2 / 4
        + ((params["n"] - 40) / 100) ** 2
        + {"a": 0.3, "b": 0.0, "c": 0.2, "d": 0.1}[params["kind"]]
    )


class Spy(BaseSampler):
    """TPE that notes what it is given: the trials that its joint model can use."""

    def __init__(self) -> None:
        self.inner = TPESampler(seed=5)
        self.usable: list[int] = []
        self.finished: list[int] = []
        self.asked: list[dict[str, BaseDistribution]] = []
        self.told: list[dict[str, Any]] = []

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        done = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        together = IntersectionSearchSpace().calculate(study)
        in_all = [t for t in done if {*search_space} <= {*t.params}]
        self.finished.append(len(done))
        self.told = [t.params for t in done]
        self.usable.append(len(in_all) if {*search_space} <= {*together} or not done else 0)
        self.asked.append(dict(search_space))
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        return self.inner.sample_independent(study, trial, name, distribution)


Plan = dict[int, list[dict[str, Any]]]


def changing(plan: Plan) -> Any:
    """A provider that answers at random, with these changes in its first, second, ... later reply."""
    asked: list[int] = []

    def answer(request: Any) -> Any:
        asked.append(1)
        changes = [{"reason": f"reply {len(asked)}", **c} for c in plan.get(len(asked), [])]
        return reply(request.messages[-1].content, np.random.default_rng(len(asked)), changes=changes)

    return FunctionProvider(answer)


def started(
    plan: dict[int, list[dict[str, Any]]], n: int, **options: Any
) -> tuple[Study, LLMTPESampler, list[Event]]:
    events: list[Event] = []
    given = {"judge": False, "schedule": "alternate", "seed": 3, **options}
    sampler = LLMTPESampler(changing(plan), emit=events.append, **given)
    sampler.declare(START, OUTER)
    sampler.defaults = {"n": 31}
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=n)
    return study, sampler, events


ALL: dict[int, list[dict[str, Any]]] = {
    1: [
        {"action": "narrow", "name": "x", "low": 0.5, "high": 0.75},
        {"action": "narrow", "name": "kind", "choices": ["b", "c"]},
    ],
    2: [
        {"action": "widen", "name": "rate", "low": 1e-4, "high": 0.5},
        {"action": "drop", "name": "n", "value": 50},
    ],
    3: [
        {"action": "widen", "name": "kind", "choices": ["d", "d"]},
        {"action": "widen", "name": "x", "low": 0.1, "high": 0.95},
    ],
    4: [{"action": "add", "name": "n", "low": 20, "high": 60}],
}


def test_every_change_keeps_all_earlier_trials_usable_for_the_base_sampler() -> None:
    spy = Spy()
    study, sampler, _ = started(ALL, 80, base_sampler=spy)
    assert len(sampler.versions) == 5
    assert len(spy.usable) >= 30
    assert spy.usable == spy.finished, "every finished trial holds every parameter that is asked for"
    others = [t for t in study.trials if t.user_attrs["sllmbo:source"] == "base"]
    assert spy.finished[-1] == others[-1].number
    # A trial outside a narrowed range keeps its place. What was dropped when it ran has its own value too.
    assert spy.told == [t.params for t in study.trials[: others[-1].number]]
    space = sampler.space
    assert space is not None
    assert sum(not space.contains({n: p[n] for n in space}) for p in spy.told) >= 5


def test_a_parameter_that_was_inactive_costs_the_base_sampler_no_trial() -> None:
    space = SearchSpace(
        {**OUTER, "only-a": FloatDistribution(0.0, 1.0)}, conditions=[Condition("only-a", "kind", ("a",))]
    )
    spy = Spy()
    sampler = LLMTPESampler(search_space=space, base_sampler=spy, seed=3)
    sampler.mode = "tpe"
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(space.suggest(trial)), n_trials=25)
    assert {"only-a" in t.params for t in study.trials} == {True, False}
    assert spy.usable == spy.finished == [*range(25)]


def incumbent(study: Study, upto: int) -> dict[str, Any]:
    """The best configuration before a trial."""
    return min(study.trials[:upto], key=lambda t: t.value or 0.0).params


def test_each_version_is_stored_with_its_reason_and_followed() -> None:
    study, sampler, events = started(ALL, 80)
    told = [e for e in events if isinstance(e, SpaceChanged)][1:]
    assert [e.version for e in told] == [1, 2, 3, 4]
    assert [e.by for e in told] == ["llm"] * 4
    assert told[0].reason == "narrow x: reply 1; narrow kind: reply 1"
    versions = sampler.versions
    assert [v.reason for v in versions[1:]] == [e.reason for e in told]
    assert [v.trial_number for v in versions[1:]] == [e.trial_number for e in told]
    narrow, dropped, wide, added = (v.space for v in versions[1:])
    best = [incumbent(study, v.trial_number - 1) for v in versions]
    assert narrow["x"] == FloatDistribution(min(0.5, best[1]["x"]), 0.75)
    assert dropped.fixed == {"n": best[2]["n"]}
    assert isinstance(wide["kind"], CategoricalDistribution)
    assert {*wide["kind"].choices} == {"b", "c", "d"}
    assert (wide["x"].low, wide["x"].high) == (0.1, 0.95)  # type: ignore[attr-defined]
    assert (added["n"].low, added["n"].high) == (20, 60)  # type: ignore[attr-defined]
    for trial in study.trials:
        version = versions[trial.user_attrs["sllmbo:provenance"]["space_version"]]
        assert version.trial_number <= trial.number
        inside = {n: v for n, v in trial.params.items() if n not in version.space.fixed}
        assert version.space.contains(inside), (trial.number, trial.params, version.space)
        assert {n: trial.params[n] for n in version.space.fixed} == version.space.fixed
    stored = json.loads(json.dumps(study.user_attrs))
    assert [v["reason"] for v in stored["sllmbo:space_versions"]] == [v.reason for v in versions]
    assert SearchSpace.from_json(stored["sllmbo:outer_space"]) == OUTER


def test_the_stored_study_has_one_distribution_per_parameter_and_works_in_optuna() -> None:
    study, _, _ = started(ALL, 80)
    for name in OUTER:
        kinds = {str(t.distributions[name]) for t in study.trials}
        assert len(kinds) == 1, name
    together = IntersectionSearchSpace().calculate(study)
    assert {*together} == {*OUTER}
    plain = optuna.create_study(sampler=TPESampler(seed=0))
    plain.add_trials(study.trials)
    plain.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=5)
    assert len(optuna.importance.get_param_importances(plain)) == 4


def tpe_after(n_before: int, narrow: dict[str, float]) -> list[dict[str, Any]]:
    """Fifteen trials of TPE alone in a narrowed space, after this many in the wide one."""
    sampler = LLMTPESampler(search_space=OUTER, seed=8, judge=False)
    sampler.mode = "tpe"
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=n_before)
    assert sampler.space is not None
    space = sampler.space.narrow("x", **narrow).narrow("kind", choices=["a", "b", "c"])
    sampler.change_space(space, n_before, "test", "user")
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=15)
    return [t.params for t in study.trials[n_before:]]


def test_tpe_goes_on_with_what_it_knew_when_the_space_narrows() -> None:
    informed = tpe_after(60, {"low": 0.4, "high": 1.0})
    fresh = tpe_after(0, {"low": 0.4, "high": 1.0})
    assert all(0.4 <= p["x"] <= 1.0 and p["kind"] != "d" for p in informed + fresh)
    assert np.mean([bowl(p) for p in informed]) < 0.5 * np.mean([bowl(p) for p in fresh])
    assert sum(p["kind"] == "b" for p in informed) >= 10, "it knows which category is good"


def test_a_narrowed_category_is_never_drawn_again_and_comes_back_when_it_widens() -> None:
    plan = {
        1: [{"action": "narrow", "name": "kind", "choices": ["b"]}],
        4: [{"action": "widen", "name": "kind", "choices": ["a", "b", "c", "d"]}],
    }
    study, sampler, _ = started(plan, 70)
    first, second = (v.trial_number for v in sampler.versions[1:])
    assert {t.params["kind"] for t in study.trials[first:second]} == {"b"}
    assert {"a", "d"} <= {t.params["kind"] for t in study.trials[second:]}


def test_a_version_of_the_llm_still_holds_the_incumbent() -> None:
    away: Plan = {
        2: [
            {"action": "narrow", "name": "x", "low": 0.21, "high": 0.22},
            {"action": "narrow", "name": "kind", "choices": ["c"]},
            {"action": "drop", "name": "n", "value": 99},
        ],
    }
    study, sampler, events = started(away, 40)
    version = sampler.versions[1]
    best = incumbent(study, version.trial_number - 1)
    assert best["kind"] != "c"
    assert version.space.contains({k: v for k, v in best.items() if k != "n"})
    assert version.space.fixed == {"n": best["n"]}
    assert version.space["x"] == FloatDistribution(0.21, best["x"])
    told = "\n".join(e.reasoning for e in events if isinstance(e, ReplyReceived))
    assert re.search(
        r"Not done: x still holds 0\.\d+ of trial \d+, the best; kind still holds b of trial", told
    )
    assert re.search(r"n is held at \d+, where trial \d+, the best, has it", told)


def test_what_the_user_locked_stays_and_is_said() -> None:
    events: list[Event] = []
    sampler = LLMTPESampler(changing(ALL), emit=events.append, judge=False, schedule="alternate", seed=3)
    sampler.declare(START, OUTER)
    sampler.locked |= {"x", "n"}
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=60)
    for version in sampler.versions:
        assert version.space["x"] == START["x"]
        assert version.space["n"] == START["n"]
    told = "\n".join(e.reasoning for e in events if isinstance(e, ReplyReceived))
    assert "x is locked by the user" in told
    assert "n is locked by the user" in told
    asked: Any = sampler.batches.proposer
    assert "Locked by the user, do not touch: n, x." in asked.provider.requests[0].messages[-1].content


def test_without_a_dynamic_space_no_change_is_made() -> None:
    study, sampler, events = started(ALL, 40, dynamic_space=False)
    assert len(sampler.versions) == 1
    assert [e.version for e in events if isinstance(e, SpaceChanged)] == [0]
    asked: Any = sampler.batches.proposer
    assert "space_changes must be empty" in asked.provider.requests[0].messages[-1].content
    assert "llm" in {t.user_attrs["sllmbo:source"] for t in study.trials}


def test_no_version_leaves_the_outer_space() -> None:
    far = {
        1: [{"action": "widen", "name": "x", "low": -50, "high": 50}],
        2: [{"action": "widen", "name": "kind", "choices": ["z", "d"]}],
        3: [{"action": "add", "name": "new", "low": 0, "high": 1}],
    }
    _, sampler, _ = started(far, 40)
    for version in sampler.versions:
        assert version.space.within(OUTER) == version.space
    x, kind = sampler.versions[-1].space["x"], sampler.versions[-1].space["kind"]
    assert (x.low, x.high) == (0.0, 1.0)  # type: ignore[attr-defined]
    assert isinstance(kind, CategoricalDistribution)
    assert {*kind.choices} == {"a", "b", "c", "d"}


def restarted(name: str, n_trials: int, resume: bool, seed: int = 3) -> Any:
    return tune(
        bowl,
        direction="minimize",
        search_space=OUTER,
        llm=changing(ALL) if not resume else changing({}),
        judge=False,
        schedule="alternate",
        name=name,
        n_trials=n_trials,
        seed=seed,
        resume=resume,
    )


def test_a_resumed_run_goes_on_with_the_versions() -> None:
    first = restarted("versions", 50, False)
    assert len(first.space_versions) == 3
    rest = restarted("versions", 70, True)
    assert [v.to_json() for v in rest.space_versions] == [v.to_json() for v in first.space_versions]
    space = rest.space_versions[-1].space
    for trial in rest.trials[50:]:
        inside = {n: v for n, v in trial.params.items() if n not in space.fixed}
        assert space.contains(inside)


def test_a_range_that_the_user_sets_is_a_version_of_its_own() -> None:
    control = Control()

    def sink(event: Event) -> None:
        if isinstance(event, TrialStarted) and event.number == 9:
            control.wish("range", {"param": "x", "low": 0.6, "high": 0.8})
            control.wish("lock", "x")

    result = tune(
        bowl,
        direction="minimize",
        search_space=OUTER,
        llm=changing(ALL),
        judge=False,
        schedule="alternate",
        n_trials=40,
        seed=3,
        folder="",
        control=control,
        sinks=[sink],
    )
    mine = [v for v in result.space_versions if v.by == "user" and v.version > 0]
    assert [v.trial_number for v in mine] == [10]
    assert all(0.6 <= t.params["x"] <= 0.8 for t in result.trials[10:])
    assert all(
        v.space["x"] == mine[0].space["x"] for v in result.space_versions if v.version > mine[0].version
    )


def test_a_space_with_nothing_left_is_refused() -> None:
    with pytest.raises(InputError, match="nothing of its range is left"):
        OUTER.narrow("x", low=5.0, high=9.0)

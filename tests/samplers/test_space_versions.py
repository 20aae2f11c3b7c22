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
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.space.search_space import Condition
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
    dynamic = options.pop("dynamic_space", True)
    state = SpaceState(START, OUTER, defaults={"n": 31}, dynamic=dynamic, emit=events.append)
    arguments = {"judge": False, "schedule": "alternate", "seed": 3, **options}
    sampler = LLMTPESampler(changing(plan), search_space=state, emit=events.append, **arguments)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=n)
    return study, sampler, events


ALL: dict[int, list[dict[str, Any]]] = {
    1: [
        {"action": "widen", "name": "rate", "low": 1e-4, "high": 0.5},
        {"action": "drop", "name": "n", "value": 50},
    ],
    2: [
        {"action": "widen", "name": "kind", "choices": ["d", "d"]},
        {"action": "widen", "name": "x", "low": 0.1, "high": 0.95},
    ],
    3: [{"action": "add", "name": "n", "low": 20, "high": 60}],
    5: [
        {"action": "narrow", "name": "rate", "low": 0.001, "high": 0.3},
        {"action": "narrow", "name": "kind", "choices": ["b", "c", "d"]},
    ],
}


def test_every_change_keeps_all_earlier_trials_usable_for_the_base_sampler() -> None:
    spy = Spy()
    study, sampler, _ = started(ALL, 80, base_sampler=spy)
    assert len(sampler.space_state.versions) == 5
    assert len(spy.usable) >= 30
    assert spy.usable == spy.finished, "every finished trial holds every parameter that is asked for"
    others = [t for t in study.trials if t.user_attrs["sllmbo:source"] == "base"]
    assert spy.finished[-1] == others[-1].number
    # A trial outside a narrowed range keeps its place. What was dropped when it ran has its own value too.
    assert spy.told == [t.params for t in study.trials[: others[-1].number]]
    space = sampler.space_state.space
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


def incumbent_when_asked(study: Study, change: int) -> dict[str, Any]:
    """The best configuration that the LLM was told of when it was asked for the change of that trial."""
    asked = max(
        t.number for t in study.trials[:change] if t.user_attrs.get(attrs.EXCHANGE, {}).get("sent_request")
    )
    return min(study.trials[:asked], key=lambda t: t.value or 0.0).params


def test_each_version_is_stored_with_its_reason_and_followed() -> None:
    study, sampler, events = started(ALL, 80)
    told = [e for e in events if isinstance(e, SpaceChanged)][1:]
    assert [e.version for e in told] == [1, 2, 3, 4]
    assert [e.by for e in told] == ["llm"] * 4
    assert told[0].reason == "widen rate: reply 1; drop n: reply 1"
    versions = sampler.space_state.versions
    assert [v.reason for v in versions[1:]] == [e.reason for e in told]
    assert [v.trial_number for v in versions[1:]] == [e.trial_number for e in told]
    dropped, wide, added, narrow = (v.space for v in versions[1:])
    best = [{}, *(incumbent_when_asked(study, v.trial_number) for v in versions[1:])]
    assert dropped.fixed == {"n": best[1]["n"]}
    assert isinstance(wide["kind"], CategoricalDistribution)
    assert {*wide["kind"].choices} == {"a", "b", "c", "d"}
    assert "a" not in narrow["kind"].choices  # type: ignore[attr-defined]
    assert (wide["x"].low, wide["x"].high) == (0.1, 0.95)  # type: ignore[attr-defined]
    assert (added["n"].low, added["n"].high) == (20, 60)  # type: ignore[attr-defined]
    for trial in study.trials:
        version = versions[trial.user_attrs["sllmbo:provenance"]["space_version"]]
        assert version.trial_number <= trial.number
        if trial.user_attrs["sllmbo:provenance"].get("wide_space"):
            assert trial.user_attrs["sllmbo:source"] in ("tpe", "rulebook")
            continue
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
    assert sampler.space_state.space is not None
    space = sampler.space_state.space.narrow("x", **narrow).narrow("kind", choices=["a", "b", "c"])
    sampler.space_state.change(space, n_before, "test", "user")
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=15)
    return [t.params for t in study.trials[n_before:]]


def test_tpe_goes_on_with_what_it_knew_when_the_space_narrows() -> None:
    informed = tpe_after(60, {"low": 0.4, "high": 1.0})
    fresh = tpe_after(0, {"low": 0.4, "high": 1.0})
    assert all(0.4 <= p["x"] <= 1.0 and p["kind"] != "d" for p in informed + fresh)
    assert np.mean([bowl(p) for p in informed]) < 0.5 * np.mean([bowl(p) for p in fresh])
    assert sum(p["kind"] == "b" for p in informed) >= 10, "it knows which category is good"


def narrowed_by(by: str) -> list[dict[str, Any]]:
    """Forty trials of TPE alone after a narrowing."""
    sampler = LLMTPESampler(search_space=OUTER, seed=8, judge=False, mode="tpe")
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=5)
    narrow = OUTER.narrow("x", low=0.0, high=0.3).narrow("kind", choices=["a"]).drop("n", 90)
    sampler.space_state.change(narrow, 5, "test", by)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=40)
    return [t.params for t in study.trials[5:]]


def test_an_llms_error_confines_no_more_than_a_share_of_the_base_samplers_trials() -> None:
    trials = narrowed_by("llm")
    inside = [p["x"] <= 0.3 and p["kind"] == "a" and p["n"] == 90 for p in trials]
    assert 10 <= sum(inside) <= 30
    assert sum(p["x"] > 0.3 and p["kind"] == "b" for p in trials) >= 5, "the good region stays in reach"


def test_what_the_user_narrows_is_never_drawn_again() -> None:
    assert all(p["x"] <= 0.3 and p["kind"] == "a" and p["n"] == 90 for p in narrowed_by("user"))


@pytest.mark.parametrize("options", [{"mode": "tpe", "judge": False}, {"llm_ratio": 0.0}], ids=["tpe", "gp"])
def test_a_lock_holds_the_range_that_the_user_sees_also_where_the_llm_had_narrowed_it(
    options: dict[str, Any],
) -> None:
    """TPE and the Gaussian process had the wider range of the versions before."""
    sampler = LLMTPESampler(search_space=OUTER, seed=8, **options)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=10)
    state = sampler.space_state
    narrow = OUTER.narrow("x", low=0.0, high=0.3).narrow("kind", choices=["a"]).drop("n", 90)
    state.change(narrow, 10, "test", "llm")
    assert state.wide == OUTER
    state.locked |= {"x", "n"}
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=12)
    later = [t.params for t in study.trials[10:]]
    assert all(p["x"] <= 0.3 and p["n"] == 90 for p in later)
    assert any(p["kind"] != "a" for p in later), "what is not locked stays wide in a part of the trials"
    state.locked |= {*OUTER}
    assert state.wide is state.space
    state.locked.clear()
    assert state.wide == OUTER


def test_a_version_of_the_llm_still_holds_the_incumbent() -> None:
    away: Plan = {
        2: [
            {"action": "narrow", "name": "x", "low": 0.21, "high": 0.22},
            {"action": "narrow", "name": "kind", "choices": ["c"]},
            {"action": "drop", "name": "n", "value": 99},
        ],
    }
    study, sampler, events = started(away, 40)
    version = sampler.space_state.versions[1]
    best = incumbent_when_asked(study, version.trial_number)
    assert best["kind"] != "c"
    assert version.space.contains({k: v for k, v in best.items() if k != "n"})
    assert version.space.fixed == {"n": best["n"]}
    told = "\n".join(e.reasoning for e in events if isinstance(e, ReplyReceived))
    assert re.search(r"Not done: narrow x: its low stays 0\.2: ", told)
    assert re.search(r"narrow kind: 'b' stays: trial \d+, one of the best \d+, has it", told)
    assert re.search(r"drop n: held at \d+, where trial \d+, the best, has it", told)


def test_what_the_user_locked_stays_and_is_said() -> None:
    events: list[Event] = []
    state = SpaceState(START, OUTER, locked={"x", "n"}, emit=events.append)
    sampler = LLMTPESampler(
        changing(ALL), search_space=state, emit=events.append, judge=False, schedule="alternate", seed=3
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: bowl(OUTER.suggest(trial)), n_trials=60)
    for version in sampler.space_state.versions:
        assert version.space["x"] == START["x"]
        assert version.space["n"] == START["n"]
    told = "\n".join(e.reasoning for e in events if isinstance(e, ReplyReceived))
    assert "x is locked by the user" in told
    assert "n is locked by the user" in told
    asked: Any = sampler.queue.proposer
    assert "Locked by the user, do not touch: n, x." in asked.provider.requests[0].messages[-1].content


def test_without_a_dynamic_space_no_change_is_made() -> None:
    study, sampler, events = started(ALL, 40, dynamic_space=False)
    assert len(sampler.space_state.versions) == 1
    assert [e.version for e in events if isinstance(e, SpaceChanged)] == [0]
    asked: Any = sampler.queue.proposer
    assert "space_changes must be empty" in asked.provider.requests[0].messages[-1].content
    assert "llm" in {t.user_attrs["sllmbo:source"] for t in study.trials}


def test_no_version_leaves_the_outer_space() -> None:
    far = {
        1: [{"action": "widen", "name": "x", "low": -50, "high": 50}],
        2: [{"action": "widen", "name": "kind", "choices": ["z", "d"]}],
        3: [{"action": "add", "name": "new", "low": 0, "high": 1}],
    }
    _, sampler, _ = started(far, 40)
    for version in sampler.space_state.versions:
        assert version.space.within(OUTER) == version.space
    x, kind = sampler.space_state.versions[-1].space["x"], sampler.space_state.versions[-1].space["kind"]
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
    assert len(first.space_versions) == 2
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

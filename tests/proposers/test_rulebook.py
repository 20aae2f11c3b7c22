"""The rulebook: experts' starts and steps, without a network, always the same, never wasted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.events import Note
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.priors import inert
from sllmbo_magic.priors import prior_for
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.space.search_space import Condition

SPACE = SearchSpace.from_user(
    {
        "learning_rate": (0.005, 0.3, "log"),
        "n_estimators": (50, 2000, "log"),
        "num_leaves": (4, 256, "log"),
        "max_depth": (3, 12),
        "booster": ["gbdt", "dart"],
        "drop_rate": (0.0, 0.5),
    }
)
CONDITIONAL = SearchSpace(SPACE.distributions, conditions=[Condition("drop_rate", "booster", ("dart",))])
BEST = {"learning_rate": 0.1, "n_estimators": 200, "num_leaves": 31, "max_depth": 4, "booster": "gbdt"}


def after(n: int, space: SearchSpace = CONDITIONAL) -> History:
    """n random trials before, and the best one last."""
    rng = np.random.default_rng(1)
    found = [
        Observation(
            i,
            space.sample(rng),
            value=float(rng.uniform(0, 0.5)),
            source="tpe" if i else "default",
        )
        for i in range(n)
    ]
    return History((*found, Observation(n, BEST, value=0.9)), "maximize")


def asked(proposer: RulebookProposer, n: int = 12, **more: Any) -> Proposal:
    history = after(n)
    return proposer.propose(Ask(CONDITIONAL, CONDITIONAL, history, trial_number=len(history), **more))


def moved(params: Mapping[str, Any]) -> set[str]:
    return {k for k in BEST if params.get(k) != BEST[k]}


def test_it_starts_with_the_configurations_of_experts() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    prior = prior_for(lightgbm.LGBMClassifier())
    rulebook = RulebookProposer(prior.configurations)
    proposal = rulebook.initialize(Ask(prior.space, prior.outer, History()))
    assert 3 <= len(proposal.candidates) <= 5
    assert proposal.space is None, "the prior's ranges are its own"
    for candidate, (params, reason) in zip(proposal.candidates, prior.configurations, strict=False):
        assert candidate.params == {k: v for k, v in params.items() if k in prior.space}
        assert candidate.reason == reason


def test_configurations_outside_the_space_are_left_out() -> None:
    rulebook = RulebookProposer((({**BEST, "max_depth": 40}, "too deep"), (BEST, "fine")))
    proposal = rulebook.initialize(Ask(CONDITIONAL, CONDITIONAL, History()))
    assert [c.reason for c in proposal.candidates] == ["fine"]


def test_the_same_seed_and_history_give_the_same_answer() -> None:
    assert asked(RulebookProposer(seed=3)) == asked(RulebookProposer(seed=3))
    assert asked(RulebookProposer(seed=3)) != asked(RulebookProposer(seed=4))


def test_it_refines_the_incumbent_trades_the_rate_and_explores_once() -> None:
    rates: list[float] = []
    for seed in range(20):
        candidates = asked(RulebookProposer(seed=seed)).candidates
        assert len(candidates) == 5
        assert [c.expects for c in candidates] == ["better", "similar", "similar", "similar", "explore"]
        assert all(CONDITIONAL.contains(c.params) for c in candidates)
        traded = candidates[0].params
        assert traded["learning_rate"] * traded["n_estimators"] == pytest.approx(0.1 * 200, rel=0.01)
        assert 0.05 <= traded["learning_rate"] <= 0.07 or 0.14 <= traded["learning_rate"] <= 0.2
        rates.append(traded["learning_rate"])
        assert moved(traded) == {"learning_rate", "n_estimators"}
        for step in candidates[1:4]:
            assert 1 <= len(moved(step.params)) <= 3, "what it does not move stays exactly as it was"
            assert "Trial 12 with " in step.reason
            assert "→" in step.reason
    assert min(rates) < 0.1 < max(rates), "to more rounds, and as often to fewer, which are quicker"


def test_no_step_is_spent_on_what_has_no_effect() -> None:
    def dead(params: Mapping[str, Any]) -> dict[str, str]:
        return {"num_leaves": "a tree of depth 4 has at most 16 leaves"} if params["max_depth"] == 4 else {}

    free = [c for s in range(30) for c in asked(RulebookProposer(seed=s)).candidates[1:4]]
    kept = [c for s in range(30) for c in asked(RulebookProposer(seed=s, inert=dead)).candidates[1:4]]
    assert any("num_leaves" in moved(c.params) for c in free)
    assert not [c for c in kept if "num_leaves" in moved(c.params)]


def test_a_real_estimators_inert_parameter_is_left_alone() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    estimator = lightgbm.LGBMClassifier()
    space = SearchSpace.from_user(
        {"subsample": (0.5, 1.0), "num_leaves": (4, 256, "log"), "learning_rate": (0.01, 0.3, "log")}
    )
    start = {"subsample": 0.8, "num_leaves": 31, "learning_rate": 0.1}
    rulebook = RulebookProposer(seed=1, inert=lambda params: inert(estimator, params))
    history = History((Observation(0, start, value=1.0),), "maximize")
    for number in range(1, 30):
        for candidate in rulebook.propose(Ask(space, space, history, trial_number=number)).candidates:
            if candidate.expects != "explore":
                assert candidate.params["subsample"] == 0.8


def test_nothing_is_proposed_twice() -> None:
    small = SearchSpace.from_user({"a": (1, 3), "b": ["x", "y"]})
    history = History(
        tuple(Observation(i, {"a": i + 1, "b": "x"}, value=float(i)) for i in range(3)), "maximize"
    )
    proposal = RulebookProposer().propose(Ask(small, small, history, trial_number=3))
    keys = {small.key(c.params) for c in proposal.candidates}
    assert len(keys) == len(proposal.candidates) <= 3
    assert not keys & {small.key(o.params) for o in history.observations}


def test_a_search_without_a_start_begins_with_the_middle_and_an_even_cover() -> None:
    space = SearchSpace.from_user({"x": (0.0, 1.0), "y": (0.01, 100.0, "log")})
    proposal = RulebookProposer(seed=0).propose(Ask(space, space, History()))
    assert [c.expects for c in proposal.candidates] == ["explore"]
    assert proposal.candidates[0].params == pytest.approx({"x": 0.5, "y": 1.0})

    sampler = LLMTPESampler(search_space=space, seed=3)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: sum(space.suggest(t).values()), n_trials=N_STARTS)  # type: ignore[arg-type]
    units = np.array([space.to_unit(t.params) for t in study.trials])
    assert units[0] == pytest.approx([0.5, 0.5])
    for column in units[1:9].T:  # eight points of the sequence, whoever proposed them: one per eighth
        assert sorted(np.floor(column * 8)) == list(range(8))


def test_a_default_or_a_users_trial_is_a_start_and_is_refined_at_once() -> None:
    for source, refined in (("default", True), ("user", True), ("tpe", False)):
        history = History((Observation(0, BEST, value=0.9, source=source),), "maximize")
        ask = Ask(CONDITIONAL, CONDITIONAL, history, trial_number=1)
        reasons = [c.reason for c in RulebookProposer().propose(ask).candidates]
        assert any(reason.startswith("Trial 0 with") for reason in reasons) is refined


@pytest.mark.parametrize("n", [2, 5])
def test_it_beats_random_search_by_far(n: int) -> None:
    space = SearchSpace.from_user({f"x{i}": (-1.0, 1.0) for i in range(n)})

    def best(sampler: Any, seed: int) -> float:
        centre = np.random.default_rng(seed).uniform(-0.6, 0.6, n)
        study = optuna.create_study(sampler=sampler)
        study.optimize(
            lambda trial: float(((np.array([*space.suggest(trial).values()]) - centre) ** 2).sum()),
            n_trials=40,
        )
        return study.best_value

    rules = [best(LLMSampler(search_space=space, seed=s, judge=False), s) for s in range(8)]
    random = [best(RandomSampler(seed=s), s) for s in range(8)]
    assert np.median(rules) < 0.4 * np.median(random)


# ---- ranges that are too small

NARROW = SearchSpace.from_user({"x": (1.0, 10.0, "log"), "y": (0.0, 1.0), "n_estimators": (10, 100)})
WIDE = SearchSpace.from_user({"x": (0.1, 100.0, "log"), "y": (-1.0, 2.0), "n_estimators": (10, 1000)})
AT_THE_END = {"x": 10.0, "y": 0.5, "n_estimators": 100}


def crowded(n: int = 9) -> History:
    """Trials whose best three lie at the upper ends of x and n_estimators."""
    rng = np.random.default_rng(0)
    found = [
        Observation(i, NARROW.sample(rng), value=0.0, source="tpe" if i else "default") for i in range(n - 3)
    ]
    top = [Observation(n - 3 + i, {**AT_THE_END, "y": 0.3 + 0.2 * i}, value=1.0 + i) for i in range(3)]
    return History((*found, *top), "maximize")


def test_a_range_grows_where_the_best_trials_lie_at_its_end() -> None:
    proposal = RulebookProposer().propose(Ask(NARROW, WIDE, crowded(), trial_number=9))
    assert proposal.space is not None
    assert proposal.space["x"].high == 32.0  # type: ignore[attr-defined]
    assert proposal.space["x"].low == 1.0, "one end only"  # type: ignore[attr-defined]
    assert proposal.space["n_estimators"] == NARROW["n_estimators"], "more rounds cost time"
    assert proposal.space["y"] == NARROW["y"]
    assert "x" in proposal.space_reason
    first = proposal.candidates[0]
    assert 10.0 < first.params["x"] < 32.0
    assert {**first.params, "x": 10.0} == {**AT_THE_END, "y": 0.7}, "the incumbent, further on"
    assert all(proposal.space.contains(c.params) for c in proposal.candidates)


@pytest.mark.parametrize(
    "more",
    [{"locked": frozenset({"x"})}, {"frozen_space": True}, {"outer": NARROW}, {"history": crowded(7)}],
    ids=["locked", "frozen", "no room", "too few trials"],
)
def test_a_range_stays_as_it_is(more: dict[str, Any]) -> None:
    ask = Ask(**{"space": NARROW, "outer": WIDE, "history": crowded(), "trial_number": 9, **more})
    proposal = RulebookProposer().propose(ask)
    assert proposal.space is None
    assert proposal.space_reason == ""
    assert all(NARROW.contains(c.params) for c in proposal.candidates)


def test_a_run_finds_what_lies_beyond_the_first_range() -> None:
    sampler = LLMTPESampler(search_space=SpaceState(NARROW, WIDE), seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: abs(np.log(t.suggest_float("x", 0.1, 100.0, log=True) / 40.0)), n_trials=50)
    assert 30.0 < study.best_params["x"] < 50.0, "two ranges further"
    assert [v.by for v in sampler.space_state.versions[1:]].count("rulebook") >= 2


def test_a_run_of_the_rulebook_speaks_of_no_llm() -> None:
    result = tune(
        lambda params: (params["x"] - 0.3) ** 2 + params["y"],
        search_space={"x": (0.0, 1.0), "y": (0.0, 1.0)},
        direction="minimize",
        n_trials=30,
        seed=1,
        folder="",
    )
    reasons = [str(t.user_attrs["sllmbo:provenance"].get("reason")) for t in result.trials]
    assert any("Gaussian process expects" in reason for reason in reasons)
    said = [*reasons, result.summary["text"], *(e.text for e in result.events if isinstance(e, Note))]
    assert not [text for text in said if "LLM" in text]

"""Batches: no configuration twice, values as they were sent, late batches look elsewhere, all of it shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.events import Event
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder
from tests.replies import at

SPACE = SearchSpace.from_user(
    {"rate": (0.001, 1.0, "log"), "depth": (1, 20), "share": (0.5, 1.0), "kind": ["a", "b"]}
)
BASE = {"rate": 0.05, "depth": 6, "share": 0.8, "kind": "a"}


def proposed(
    configurations: list[dict[str, Any]], earlier: list[dict[str, Any]] | None = None, **more: Any
) -> tuple[Proposal, list[dict[str, Any]]]:
    """What becomes of these configurations after these trials; the last trial is the best."""
    found = [Observation(i, p, value=float(i)) for i, p in enumerate(earlier or [])]
    ask = Ask(SPACE, SPACE, History(tuple(found), "maximize"), trial_number=len(found), **more)
    events: list[Event] = []
    provider = FunctionProvider(
        lambda request: {"configurations": [{"reason": "why", "params": c} for c in configurations]}
    )
    proposal = LLMProposer(provider, emit=events.append).propose(ask)
    told = next(e for e in events if isinstance(e, ReplyReceived))
    return proposal, told.candidates


def test_a_configuration_that_means_the_same_as_a_trial_is_dropped() -> None:
    rates = [0.050001, 0.08, 0.08003]
    proposal, told = proposed([*({**BASE, "rate": r} for r in rates), {**BASE, "depth": 7}], [BASE])
    assert [c.params["rate"] for c in proposal.candidates] == [0.08, 0.05]
    assert [(c["status"], c["why"]) for c in told[2:]] == [
        ("rejected", "the same as trial 0"),
        ("rejected", "twice in this answer"),
    ]


def test_more_than_was_asked_for_is_cut() -> None:
    many = [{**BASE, "rate": 0.01 + 0.017 * i, "share": 0.8123} for i in range(9)]
    proposal, told = proposed(many)
    assert [c.params for c in proposal.candidates] == many[:5]
    assert {c["why"] for c in told[5:]} == {"more configurations than asked for"}


def test_values_that_earlier_trials_had_stay_as_they_were_sent() -> None:
    earlier = [{**BASE, "depth": d, "share": 0.6 + d / 50} for d in (2, 4, 9)]
    proposal, told = proposed([{**BASE, "depth": 12}], earlier)
    assert proposal.candidates[0].params == {**BASE, "depth": 12}
    assert told[0]["why"] == ""


def near(rng: np.random.Generator) -> dict[str, Any]:
    return {
        **BASE,
        "rate": 0.05 * float(np.exp(rng.normal(0, 0.2))),
        "share": 0.8 + float(rng.normal(0, 0.02)),
    }


def test_a_batch_that_must_explore_keeps_half_of_it_near_the_incumbent() -> None:
    rng = np.random.default_rng(0)
    close = [near(rng) for _ in range(5)]
    far = [
        {"rate": 0.9, "depth": 19, "share": 0.5, "kind": "b"},
        {"rate": 0.002, "depth": 1, "share": 1.0, "kind": "b"},
    ]
    earlier = [{**BASE, "depth": 9, "kind": "b"}, BASE]
    free, _ = proposed(close, earlier)
    assert len(free.candidates) == 5
    proposal, told = proposed(close + far, earlier, explore=True)
    assert [c.params for c in proposal.candidates] == [*close[:3], *far]
    assert {c["why"] for c in told[5:]} == {"too close to trial 1; this batch must explore"}
    one, _ = proposed(close[:1], earlier, explore=True, n_candidates=1)
    assert len(one.candidates) == 1, "one at a time is free"


def test_in_a_study_late_batches_explore() -> None:
    """An adviser that always proposes near one place keeps at most three of five from the third batch on."""
    events: list[Event] = []

    def hug(space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return at(space, lambda: float(np.clip(0.6 + rng.normal(0, 0.04), 0, 1)))

    space = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(4)})
    sampler = LLMTPESampler(
        FunctionProvider(Responder(0, hug)),
        search_space=space,
        judge=False,
        schedule="bernoulli",
        seed=1,
        emit=events.append,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: sum((v - 0.6) ** 2 for v in space.suggest(trial).values()), n_trials=60)
    told = [e for e in events if isinstance(e, ReplyReceived) and e.purpose == "propose"]
    taken = [sum(c["status"] == "accepted" for c in e.candidates) for e in told]
    assert taken[:2] == [5, 5]
    assert max(taken[2:]) <= 3
    why = {c["why"] for e in told[2:] for c in e.candidates if c["status"] == "rejected"}
    assert all("this batch must explore" in w for w in why)
    texts = [r.messages[-1].content for r in sampler.queue.proposer.provider.requests]  # type: ignore[attr-defined]
    assert ["must test regions" in t for t in texts[:5]] == [False, False, True, True, True]


def queued(space: SearchSpace, change: dict[str, Any], *configurations: dict[str, Any]) -> CandidateQueue:
    """The queue with an answer to a request about ``space``."""
    sent = [{"reason": "r", "params": params} for params in configurations]
    provider = FunctionProvider(lambda request: {"space_changes": [change], "configurations": sent})
    queue = CandidateQueue(LLMProposer(provider), 5)
    queue.add(queue.proposer.propose(Ask(space, SPACE, History((), "maximize"))), asked_at=0)
    return queue


def runs(queue: CandidateQueue, space: SearchSpace) -> list[dict[str, Any]]:
    return [queue.take(0, space).params for _ in range(len(queue.candidates))]


def test_a_candidate_of_an_answer_that_held_what_is_locked_meanwhile_runs_as_it_was_meant() -> None:
    rest = [{"share": 0.7, "kind": "b", "rate": rate} for rate in (0.2, 0.4)]
    queue = queued(SPACE, {"action": "drop", "name": "depth", "value": 6}, *rest)
    assert queue.drop_unusable(SPACE, History((), "maximize")) == [], "locked: its range stays"
    assert runs(queue, SPACE) == [{**params, "depth": 6} for params in rest]


def test_a_candidate_that_moves_what_is_held_runs_with_the_held_value_and_that_is_told_once() -> None:
    held = SPACE.drop("depth", 6)
    add = {"action": "add", "name": "depth", "low": 1, "high": 20, "value": 6}
    queue = queued(held, add, {**BASE, "rate": 0.2, "depth": 9}, {**BASE, "rate": 0.4, "depth": 6})
    told = queue.drop_unusable(held, History((), "maximize"))
    assert len(told) == 1
    assert told[0].startswith("depth is held at 6, not 9, now: ")
    assert queue.drop_unusable(held, History((), "maximize")) == []
    assert runs(queue, held) == [{**BASE, "rate": rate, "depth": 6} for rate in (0.2, 0.4)]


def test_a_candidate_that_leaves_a_locked_range_is_told() -> None:
    widen = {"action": "widen", "name": "depth", "low": 1, "high": 20}
    now = SPACE.narrow("depth", high=8)
    queue = queued(now, widen, {**BASE, "depth": 12}, {**BASE, "depth": 7})
    (told,) = queue.drop_unusable(now, History((), "maximize"))
    assert "depth: 12 is out of range; allowed: whole number 1 to 8" in told
    assert runs(queue, now) == [{**BASE, "depth": 7}]

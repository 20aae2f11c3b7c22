"""A candidate of the queue, or a rival that stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sllmbo_magic import SearchSpace
from sllmbo_magic.history.history import History
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.candidate_queue import QueuedCandidate
from sllmbo_magic.samplers.candidate_selection import accepted_or_rival
from sllmbo_magic.samplers.candidate_selection import highest_rated
from sllmbo_magic.samplers.surrogate import Rating

SPACE = SearchSpace.from_user({"x": (0.0, 1.0)})


class RatesByX:
    """A surrogate whose rating is the value of x."""

    mature = True

    def rate(self, configurations: Sequence[Mapping[str, Any]], *, per_cost: bool = False) -> list[Rating]:
        self.per_cost = per_cost
        return [Rating(float(c["x"]), 0.0) for c in configurations]


def queue(*values: float, source: str = "llm") -> CandidateQueue:
    proposer: Any = SimpleNamespace(source=source, id="test", instant=source == "rulebook")
    filled = CandidateQueue(proposer, 5)
    filled.candidates = [QueuedCandidate(Candidate({"x": value}), 1, 3) for value in values]
    return filled


def context(space: SearchSpace = SPACE) -> Any:
    return SimpleNamespace(history=History(), spaces=SimpleNamespace(current=space, wide=space))


def left_in(queue: CandidateQueue) -> list[float]:
    return [queued.candidate.params["x"] for queued in queue.candidates]


def test_a_vetoed_candidate_leaves_the_queue_and_the_others_stay() -> None:
    candidates = queue(0.1, 0.3, 0.2)
    rivals = [Suggestion({"x": 0.9}, "tpe", {})]
    suggestion, vetoed = accepted_or_rival(
        context(), candidates, rivals, RatesByX(), share=0.0, may_explore=False
    )
    assert suggestion.source == "tpe"
    assert vetoed is not None
    assert vetoed.candidate.params == {"x": 0.3}
    assert left_in(candidates) == [0.1, 0.2]


def test_an_accepted_candidate_leaves_the_queue() -> None:
    candidates = queue(0.1, 0.8, 0.2)
    rivals = [Suggestion({"x": 0.5}, "tpe", {})]
    suggestion, vetoed = accepted_or_rival(
        context(), candidates, rivals, RatesByX(), share=0.5, may_explore=False
    )
    assert (suggestion.source, suggestion.params, vetoed) == ("llm", {"x": 0.8}, None)
    assert left_in(candidates) == [0.1, 0.2]


@pytest.mark.parametrize(("draw", "source", "left"), [(0.5, "llm", [0.1]), (0.9, "gp", [0.1])])
def test_the_highest_rated_runs_and_the_rules_best_leaves_the_queue(
    draw: float, source: str, left: list[float]
) -> None:
    candidates = queue(0.1, 0.8)
    suggestion = highest_rated(context(), candidates, Suggestion({"x": draw}, "gp", {}), RatesByX())
    assert suggestion.source == source
    assert left_in(candidates) == left
    if source == "gp":
        assert "the surrogate expects more of it than of the" in suggestion.provenance["reason"]


@pytest.mark.parametrize(
    ("source", "rounds", "counts"),
    [("rulebook", "n_estimators", True), ("rulebook", "max_depth", False), ("llm", "n_estimators", False)],
)
def test_rules_and_draws_are_rated_for_their_cost_and_an_llm_for_its_scores(
    source: str, rounds: str, counts: bool
) -> None:
    space = SearchSpace.from_user({"x": (0.0, 1.0), rounds: (10, 500)})
    surrogate, draw = RatesByX(), Suggestion({"x": 0.9, rounds: 10}, "tpe", {})
    suggestion, _ = accepted_or_rival(
        context(space), queue(0.1, source=source), [draw], surrogate, share=0.0, may_explore=False
    )
    assert surrogate.per_cost is counts
    assert ("expects more of it for its cost than of" in suggestion.provenance["reason"]) is counts

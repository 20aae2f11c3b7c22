"""A part of a range is cut off only where the scores say so."""

from __future__ import annotations

from typing import Any

import pytest

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.evidence import supported
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.search_space import SearchSpace

SPACE = SearchSpace.from_user({"rate": (0.001, 1.0, "log"), "kind": ["a", "b", "c"]})


def history(*trials: tuple[float, str, float]) -> History:
    """Trials of (rate, kind, score); a higher score is better."""
    return History(
        tuple(Observation(i, {"rate": r, "kind": k}, value=v) for i, (r, k, v) in enumerate(trials)),
        "maximize",
    )


GOOD = [(0.05, "a", 0.9), (0.06, "a", 0.91), (0.07, "b", 0.92), (0.08, "a", 0.93)]
BAD_FAST = [(0.5, "b", 0.5), (0.6, "b", 0.4), (0.7, "b", 0.3), (0.8, "b", 0.2)]


def test_a_cut_that_many_bad_trials_support_is_made() -> None:
    change = Narrow("rate", high=0.2)
    assert supported(change, SPACE, history(*GOOD, *BAD_FAST)) == (change, [])


def test_a_cut_that_few_trials_support_is_refused_with_the_reason() -> None:
    change, notes = supported(Narrow("rate", high=0.2), SPACE, history(*GOOD, BAD_FAST[0]))
    assert change is None
    assert notes == [
        "its high stays 1: only 1 scored trial lies above 0.2, and 4 are needed to rule that out"
    ]


def test_before_any_score_nothing_is_cut() -> None:
    change, notes = supported(Narrow("rate", 0.01, 0.2), SPACE, history())
    assert change is None
    assert len(notes) == 2
    assert "no scored trial lies below 0.01" in notes[0]


def test_a_cut_never_leaves_a_good_trial_outside() -> None:
    fine = (0.3, "a", 0.99)
    change, notes = supported(Narrow("rate", high=0.1), SPACE, history(*GOOD, fine, *BAD_FAST))
    assert change == Narrow("rate", high=0.3)
    assert notes == ["its high is 0.3: trial 4, one of the best 3, has that"]


def test_one_end_may_be_supported_and_the_other_not() -> None:
    change, notes = supported(Narrow("rate", 0.01, 0.2), SPACE, history(*GOOD, *BAD_FAST))
    assert change == Narrow("rate", high=0.2)
    assert len(notes) == 1
    assert notes[0].startswith("its low stays 0.001: no scored trial lies below")


def test_an_end_that_is_not_moved_needs_no_evidence() -> None:
    change = Narrow("rate", 0.001, 0.2)
    assert supported(change, SPACE, history(*GOOD, *BAD_FAST)) == (change, [])


def test_a_choice_goes_when_enough_trials_had_it_and_none_was_good() -> None:
    change, notes = supported(Narrow("kind", choices=("a",)), SPACE, history(*GOOD, *BAD_FAST))
    assert change is None
    assert notes == [
        "'b' stays: trial 2, one of the best 3, has it",
        "'c' stays: no scored trial had it, and 3 are needed to rule it out",
    ]
    worse = [(r, "c", v) for r, _, v in BAD_FAST]
    change, notes = supported(Narrow("kind", choices=("a", "b")), SPACE, history(*GOOD, *worse))
    assert change == Narrow("kind", choices=("a", "b"))
    assert notes == []


@pytest.mark.parametrize("state", ["FAIL", "PRUNED", "RUNNING"])
def test_trials_without_a_score_are_no_evidence(state: Any) -> None:
    unscored = tuple(Observation(9 + i, {"rate": 0.5 + i / 10, "kind": "b"}, state=state) for i in range(4))
    trials = history(*GOOD)
    change, _ = supported(
        Narrow("rate", high=0.2), SPACE, History((*trials.observations, *unscored), "maximize")
    )
    assert change is None

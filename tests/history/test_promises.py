"""What a proposer expected of a configuration is checked as it was asked."""

from __future__ import annotations

import pytest

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation

FOLDS = (0.01, -0.01, 0.02, -0.02)
"""Differences of a fold to a trial's mean; those of the trials after the default are their mirror image."""


def observed(number: int, value: float, source: str = "tpe") -> Observation:
    sign = 1 if number == 0 else -1
    splits = tuple(value + sign * d for d in FOLDS)
    return Observation(number, {"x": number / 10}, value=value, splits=splits, source=source)


HISTORY = History(
    (observed(0, 0.5, "default"), observed(1, 0.9), observed(2, 0.7), observed(3, 0.95)), "maximize"
)


def test_a_first_configuration_is_compared_with_the_default() -> None:
    assert HISTORY.promise_kept("better", 0.6, source="llm-init", asked_at=1)
    assert not HISTORY.promise_kept("better", 0.4, source="llm-init", asked_at=1)


def test_a_later_one_is_compared_with_the_incumbent_when_it_was_asked_for() -> None:
    assert HISTORY.promise_kept("better", 0.92, source="llm", asked_at=3), "trial 3 came later"
    assert not HISTORY.promise_kept("better", 0.92, source="llm", asked_at=4)


@pytest.mark.parametrize(("part", "kept"), [(0.9, True), (1.1, False), (1.9, False)])
def test_similar_is_no_worse_than_the_noise_that_was_told(part: float, kept: bool) -> None:
    before = HISTORY.before(3)
    assert before.noise > 0
    score = 0.9 - part * before.noise
    assert HISTORY.promise_kept("similar", score, source="llm", asked_at=3) is kept


def test_nothing_promised_or_nothing_to_compare_with_is_no_verdict() -> None:
    assert HISTORY.promise_kept("explore", 0.9, source="llm", asked_at=3) is None
    assert HISTORY.promise_kept("better", None, source="llm", asked_at=3) is None
    assert HISTORY.promise_kept("better", 0.9, source="llm", asked_at=0) is None

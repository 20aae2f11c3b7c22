"""Looks at some of the differences: they end a test early, and luck is called a gain no more often for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sllmbo_magic.evaluation.sequential_test import LEVEL
from sllmbo_magic.evaluation.sequential_test import SequentialTest
from sllmbo_magic.evaluation.sequential_test import in_parts


def outcome(differences: np.ndarray, size: int) -> tuple[str, int]:
    """What the test says of independent differences that come in parts, and how many it took."""
    test, n = SequentialTest(len(differences)), len(differences)
    for n_seen in [*range(size, n, size), n]:
        seen = differences[:n_seen]
        gain, noise = float(seen.mean()), float(seen.std(ddof=1) / np.sqrt(n_seen))
        if n_seen < n and test.look(gain, noise, n_seen):
            break
    return test.end(gain, noise, n_seen), n_seen


@pytest.mark.parametrize(("n", "size"), [(10, 5), (20, 5)])
def test_luck_is_called_a_gain_no_more_often_than_the_level_says(n: int, size: int) -> None:
    rng = np.random.default_rng(0)
    outcomes = [outcome(rng.normal(size=n), size) for _ in range(3000)]
    real = np.mean([found == "real" for found, _ in outcomes])
    worse = np.mean([found == "worse" for found, _ in outcomes])
    # three standard errors of a share of 5 % among 3,000
    assert max(real, worse) <= 1 - LEVEL + 3 * np.sqrt(0.05 * 0.95 / 3000)
    assert np.mean([n_seen < n for _, n_seen in outcomes]) > 0.3


def test_a_look_costs_little_power_and_a_large_gain_needs_half_of_the_differences() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(0.8, 1.0, size=(2000, 10))
    early = np.mean([outcome(row, 5)[0] == "real" for row in drawn])
    once = np.mean([outcome(row, 10)[0] == "real" for row in drawn])
    assert once - 0.06 < early <= once + 0.02
    large = [outcome(row, 5) for row in rng.normal(5.0, 1.0, size=(300, 10))]
    assert {found for found, _ in large} == {"real"}
    assert np.mean([n_seen for _, n_seen in large]) < 6


def test_the_levels_of_all_looks_add_up_to_one_test() -> None:
    test = SequentialTest(20)
    bounds = []
    for n in (5, 10, 15):
        low, high = 0.0, 1000.0  # the gain in standard errors at which a look decides for "real"
        for _ in range(60):
            middle = (low + high) / 2
            probe = SequentialTest(20)
            for earlier in range(5, n, 5):
                probe.look(1.9, 1.0, earlier)  # too little to decide, too much to be hopeless
            assert probe.finding is None
            decided = probe.look(middle, 1.0, n) and probe.finding == "real"
            low, high = (low, middle) if decided else (middle, high)
        bounds.append(stats.t.sf(high, n - 1))
        test.look(1.9, 1.0, n)
    last = next(z for z in np.arange(1.5, 3, 0.0005) if test.end(z, 1.0, 20) == "real")
    assert sum(bounds) + stats.t.sf(last, 19) == pytest.approx(1 - LEVEL, abs=2e-4)
    assert bounds == sorted(bounds)  # the earlier, the stricter


def test_a_test_that_something_else_ended_spends_the_rest() -> None:
    test = SequentialTest(10)
    assert not test.look(1.5, 1.0, 5)
    bound = stats.t.isf(1 - LEVEL, 7)
    assert SequentialTest(10).end(bound + 0.001, 1.0, 8) == "real"
    assert test.end(bound + 0.001, 1.0, 8) == "within noise"  # a look has spent some of it


def test_equal_scores_decide_and_so_does_a_difference_without_any_noise() -> None:
    equal, constant = SequentialTest(10), SequentialTest(10)
    assert equal.look(0.0, 0.0, 5)
    assert equal.end(0.0, 0.0, 5) == "within noise"
    assert constant.look(-0.5, 0.0, 5)
    assert constant.end(-0.5, 0.0, 5) == "worse"


@pytest.mark.parametrize(
    ("n", "sizes"), [(3, [3]), (5, [5]), (9, [9]), (10, [5, 5]), (13, [6, 7]), (20, [5, 5, 5, 5])]
)
def test_parts_have_the_size_at_least(n: int, sizes: list[int]) -> None:
    parts = in_parts(tuple(range(n)), 5)
    assert [len(part) for part in parts] == sizes
    assert sum(parts, ()) == tuple(range(n))

"""The noise of a difference: paired, of no single reference, and steady within a run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation

SIGMA = 0.02
"""Standard deviation of a fold's score around trial and fold."""


def run(n: int, seed: int, folds: int = 5, sigma: float = SIGMA) -> History:
    """Trials that differ in level, on folds that differ much more."""
    rng = np.random.default_rng(seed)
    fold = rng.normal(0.0, 0.2, folds)
    trials = []
    for i in range(n):
        splits = 0.8 - 0.02 * rng.exponential() + fold + rng.normal(0.0, sigma, folds)
        trials.append(Observation(i, {}, value=float(splits.mean()), splits=tuple(map(float, splits))))
    return History(tuple(trials), "maximize")


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_standard_error_of_a_difference(seed: int) -> None:
    expected = np.sqrt(2 * SIGMA**2 / 5)
    assert run(60, seed).noise == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize("seed", range(8))
def test_it_does_not_jump_from_trial_to_trial(seed: int) -> None:
    history = run(50, seed)
    values = [history.before(n).noise for n in range(10, 51)]
    steps = [max(a, b) / min(a, b) for a, b in pairwise(values)]
    assert max(steps) < 1.3
    assert max(values) / min(values) < 2.0, "0.041 to 0.017 within a run was seen before"


def test_two_trials_give_the_paired_difference() -> None:
    a, b = (0.5, 0.6, 0.7, 0.9), (0.4, 0.55, 0.7, 0.7)
    pair = (Observation(0, {}, value=np.mean(a), splits=a), Observation(1, {}, value=np.mean(b), splits=b))
    difference = np.array(a) - np.array(b)
    assert History(pair, "maximize").noise == pytest.approx(difference.std(ddof=1) / 2)


def test_equal_trials_and_single_folds_have_none() -> None:
    same = tuple(Observation(i, {}, value=0.5, splits=(0.4, 0.6)) for i in range(3))
    assert History(same, "maximize").noise == 0.0
    assert History((Observation(0, {}, value=0.5), Observation(1, {}, value=0.6)), "maximize").noise == 0.0


def test_a_plateau_of_equals_does_not_hide_it() -> None:
    equal = tuple(Observation(i, {}, value=0.9, splits=(0.8, 0.9, 1.0)) for i in range(6))
    other = (
        Observation(6, {}, value=0.6, splits=(0.5, 0.7, 0.6)),
        Observation(7, {}, value=0.5, splits=(0.3, 0.6, 0.6)),
    )
    assert History((*equal, *other), "maximize").noise > 0

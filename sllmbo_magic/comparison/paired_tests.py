"""Paired differences between two ways to search, worded so that they claim no more than the runs show.

Each pair is one seed: the same seed, folds and default configuration on both sides. Test and interval are the
exact sign-flip ones: if the two ways were alike, each difference could as well have had the other sign. They
take no distribution for granted, and say by themselves when there are too few pairs to show anything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

import numpy as np

from sllmbo_magic.report.comparison_html import signed
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import score

LEVEL = 0.05
_EXACT = 14
_DRAWS = 20_000


@dataclass(frozen=True)
class Difference:
    """How much better ``variant`` ended than ``baseline``, in units of the metric; positive is better.

    Attributes:
        n: Pairs.
        mean: Mean difference; None without pairs.
        interval: 95 % interval of the mean; None under six pairs, which have none.
        better, equal, worse: Pairs by outcome.
        p: Two-sided p-value of the sign-flip test, adjusted for ``n_tests`` comparisons (Holm).
        n_tests: Comparisons made with the same baseline.
    """

    variant: str
    baseline: str
    n: int
    mean: float | None
    interval: tuple[float, float] | None
    better: int
    equal: int
    worse: int
    p: float
    n_tests: int = 1

    @property
    def verdict(self) -> str:
        """``"better"``, ``"worse"``, ``"the same"`` (in every pair), or ``"no difference shown"``."""
        if self.n and self.equal == self.n:
            return "the same"
        if self.mean and self.p <= LEVEL:
            return "better" if self.mean > 0 else "worse"
        return "no difference shown"

    def text(self, digits: int = 4) -> str:
        """The difference as one sentence."""
        pair = f"{self.variant} against {self.baseline}"
        if self.mean is None:
            return f"{pair}: no pair of finished runs."
        if self.verdict == "the same":
            return f"{pair}: the same best value in {count(self.n, 'pair')}."
        side = "better" if self.mean >= 0 else "worse"
        parts = [f"{score(abs(self.mean), digits)} {side} on average"]
        if self.interval is not None:
            low, high = (signed(end, digits) for end in self.interval)
            parts.append(f"(95 % interval {low} to {high})")
        pairs = f"better in {self.better}, equal in {self.equal}, worse in {self.worse}"
        parts[-1] += f", {pairs} of {count(self.n, 'pair')}"
        return f"{pair}: {' '.join(parts)}, p {self.p:.2g}: {self.verdict}."


def differences(
    baseline: str, others: Sequence[tuple[str, Sequence[float]]], *, seed: int = 0
) -> list[Difference]:
    """The differences of several variants to one baseline, with p-values adjusted for their number.

    Args:
        baseline: Its name.
        others: Per variant its name and the paired differences, positive where it was better.
        seed: For the drawn sign flips, used above 14 pairs.
    """
    differences = [
        _difference(name, baseline, np.asarray(values, dtype=float), seed) for name, values in others
    ]
    order = sorted(range(len(differences)), key=lambda i: differences[i].p)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, differences[i].p * (len(differences) - rank)))
        differences[i] = replace(differences[i], p=highest, n_tests=len(differences))
    return differences


def pairs_needed(n_tests: int) -> int:
    """The fewest pairs with which a difference can be shown at all, all of them pointing the same way."""
    return math.ceil(1 - math.log2(LEVEL / max(n_tests, 1)))


def _difference(variant: str, baseline: str, values: np.ndarray, seed: int) -> Difference:
    n = len(values)
    return Difference(
        variant=variant,
        baseline=baseline,
        n=n,
        mean=float(values.mean()) if n else None,
        interval=_interval(values, seed),
        better=int((values > 0).sum()),
        equal=int((values == 0).sum()),
        worse=int((values < 0).sum()),
        p=_sign_flip(values, seed),
    )


def _interval(values: np.ndarray, seed: int) -> tuple[float, float] | None:
    """The means of all subsets split the line into equally likely places of the true mean (Hartigan 1969)."""
    if not len(values):
        return None
    subsets = _subsets(len(values), seed)
    subsets = subsets[subsets.any(axis=1)]
    outside = int(LEVEL / 2 * (len(subsets) + 1))
    if not outside:
        return None
    means = np.sort((subsets @ values) / subsets.sum(axis=1))
    return float(means[outside - 1]), float(means[-outside])


def _sign_flip(values: np.ndarray, seed: int) -> float:
    """The p-value of the sign-flip test: exact, or by drawn signs where there are too many."""
    from scipy.stats import permutation_test

    if len(values) < 2 or not values.any():
        return 1.0
    test = permutation_test(
        (values,),
        np.sum,
        permutation_type="samples",
        n_resamples=2 ** len(values) if len(values) <= _EXACT else _DRAWS,
        vectorized=True,
        random_state=seed,
    )
    return float(test.pvalue)


def _subsets(n: int, seed: int) -> np.ndarray:
    """Shape (subsets, n), 1 for a member: all subsets, or 20,000 drawn ones where there are too many."""
    if n <= _EXACT:
        return np.array(list(itertools.product((0, 1), repeat=n))).reshape(-1, n)
    return np.random.default_rng(seed).integers(0, 2, size=(_DRAWS, n))

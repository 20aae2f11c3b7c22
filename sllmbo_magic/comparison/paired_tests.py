"""Paired differences between two ways to search, worded so that they claim no more than the runs show.

Each pair is one seed: the same seed, folds and default configuration on both sides. Test and interval are the
exact sign-flip ones: if the two ways were alike, each difference could as well have had the other sign. They
take no distribution for granted, and say by themselves when there are too few pairs to show anything. Where a
run found no score, which is worse than any, the signs of ranks are flipped (Wilcoxon), and there is no mean.
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
        mean: Mean difference; None without pairs, and where a run found no score.
        interval: 95 % interval of the mean; None under six pairs, which have none.
        better, equal, worse: Pairs by outcome; a run without a score is worse than any with one.
        p: Two-sided p-value of the sign-flip test, adjusted for ``n_tests`` comparisons (Holm); of the
            differences, or of their ranks where a run found no score.
        sign: Which side the test is on: 1 for better, -1 for worse, 0 for neither.
        n_tests: Comparisons made with the same baseline.
        n_unscored: Pairs in which one run, or both, found no score.
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
    sign: int
    n_tests: int = 1
    n_unscored: int = 0

    @property
    def verdict(self) -> str:
        """``"better"``, ``"worse"``, ``"the same"`` (in every pair), or ``"no difference shown"``."""
        if self.n and self.equal == self.n and not self.n_unscored:
            return "the same"
        if self.sign and self.p <= LEVEL:
            return "better" if self.sign > 0 else "worse"
        return "no difference shown"

    def text(self, digits: int = 4) -> str:
        """The difference as one sentence."""
        pair = f"{self.variant} against {self.baseline}"
        if not self.n:
            return f"{pair}: no pair of finished runs."
        if self.verdict == "the same":
            return f"{pair}: the same best value in {count(self.n, 'pair')}."
        pairs = f"better in {self.better}, equal in {self.equal}, worse in {self.worse}"
        pairs += f" of {count(self.n, 'pair')}{self.unscored_text}"
        p = f"p {self.p:.2g}"
        if self.mean is None:
            return f"{pair}: {pairs}, {p} by ranks: {self.verdict}."
        side = "better" if self.mean >= 0 else "worse"
        mean = f"{score(abs(self.mean), digits)} {side} on average"
        if self.interval is not None:
            low, high = (signed(end, digits) for end in self.interval)
            mean += f" (95 % interval {low} to {high})"
        return f"{pair}: {mean}, {pairs}, {p}: {self.verdict}."

    @property
    def unscored_text(self) -> str:
        """How many pairs lack a score, in brackets; "" for none."""
        if not self.n_unscored:
            return ""
        return f" (in {self.n_unscored} a run found no score, which counts as worse than any)"


def differences(
    baseline: str, others: Sequence[tuple[str, Sequence[float]]], *, seed: int = 0
) -> list[Difference]:
    """The differences of several variants to one baseline, with p-values adjusted for their number.

    Args:
        baseline: Its name.
        others: Per variant its name and the paired differences, positive where it was better; infinite where
            one of the two runs found no score, NaN where neither did.
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
    from scipy.stats import rankdata

    n, n_unscored = len(values), int((~np.isfinite(values)).sum())
    values = np.where(np.isnan(values), 0.0, values)
    tested = np.sign(values) * rankdata(np.abs(values)) if n_unscored else values
    return Difference(
        variant=variant,
        baseline=baseline,
        n=n,
        mean=float(values.mean()) if n and not n_unscored else None,
        interval=None if n_unscored else _interval(values, seed),
        better=int((values > 0).sum()),
        equal=int((values == 0).sum()),
        worse=int((values < 0).sum()),
        p=_sign_flip(tested, seed),
        sign=int(np.sign(tested.sum())),
        n_unscored=n_unscored,
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

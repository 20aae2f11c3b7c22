"""A test of paired differences that come in parts and may be decided before all of them are there.

Whoever tests after each part and stops at the first significant result calls luck a gain too often. So each
look has a level of its own, and the levels of all looks add up to that of one test. How much is spent until a
look follows the spending function of Lan and DeMets ("Discrete sequential boundaries for clinical trials",
Biometrika 1983) in the shape of O'Brien and Fleming: with a one-sided error probability ``a``, the share
``t`` of the differences may have spent ``2 - 2 Phi(z / sqrt(t))``, ``z`` being the normal quantile at
``1 - a / 2``. At half of the differences that is 0.0056 of 0.05, which leaves nearly all of it for the end.
The increments are spent as they are (Bonferroni), without the correlation of the looks: that is conservative,
and it holds for any dependence between the differences for which the test of a single look holds.

A test also ends where a significant result has become unlikely: where, if things go on as they were, the
chance of one at the end is under :data:`HOPELESS` (stochastic curtailment, Lan, Simon and Halperin 1982, in
the Brownian approximation). That can only make a false "real" or "worse" rarer.
"""

from __future__ import annotations

import itertools
from typing import Any
from typing import Literal

import numpy as np

Finding = Literal["real", "within noise", "worse"]

LEVEL = 0.95
"""Level of the one-sided test, all looks together, from which a gain is called real (or worse)."""

HOPELESS = 0.1
"""The chance of a significant result at the end below which a test ends."""


class SequentialTest:
    """One-sided t tests, in both directions, of a mean difference at several looks.

    Args:
        n_planned: Number of differences when all are there.
        level: Probability of no false finding in one direction, all looks together.
    """

    def __init__(self, n_planned: int, level: float = LEVEL) -> None:
        self.n_planned = n_planned
        self._error = 1.0 - level
        self._spent = 0.0
        self.finding: Finding | None = None
        """What an early look decided; None while none has."""

    def look(self, gain: float, noise: float, n: int) -> bool:
        """Whether ``n`` differences, fewer than planned, decide; :attr:`finding` then says what.

        Args:
            gain: Their mean.
            noise: Its standard error, estimated with ``n - 1`` degrees of freedom.
            n: Their number, larger than at the look before.
        """
        share = n / self.n_planned
        error_so_far = _spending(self._error, share)
        error, self._spent = error_so_far - self._spent, error_so_far
        finding = _t_test(gain, noise, n, error)
        if finding == "within noise" and self._chance(gain, noise, share) >= HOPELESS:
            return False
        self.finding = finding
        return True

    def end(self, gain: float, noise: float, n: int) -> Finding:
        """The finding, with whatever was not spent before when no look decided.

        Args:
            gain: As :meth:`look` has it.
            noise: Likewise.
            n: Likewise; fewer than planned where something else than the differences ended the test.
        """
        return self.finding or _t_test(gain, noise, n, self._error - self._spent)

    def _chance(self, gain: float, noise: float, share: float) -> float:
        """The probability of a significant result at the end, if the differences go on as they were.

        The score process at ``share`` has the value ``z sqrt(share)``; its drift is estimated from that.
        """
        from scipy.special import ndtr
        from scipy.special import ndtri

        if noise == 0.0:
            return 0.0 if gain == 0.0 else 1.0
        bound = -ndtri(self._error - self._spent)
        at_end = abs(gain) / noise / np.sqrt(share)
        return float(ndtr((at_end - bound) / np.sqrt(1.0 - share)))


def _spending(error: float, share: float) -> float:
    from scipy.special import ndtr
    from scipy.special import ndtri

    return float(2.0 * ndtr(ndtri(error / 2.0) / np.sqrt(share)))


def _t_test(gain: float, noise: float, n: int, error: float) -> Finding:
    from scipy.special import stdtrit

    bound = -float(stdtrit(n - 1, error)) * noise
    if gain > bound:
        return "real"
    return "worse" if gain < -bound else "within noise"


def in_parts(items: tuple[Any, ...], size: int) -> list[tuple[Any, ...]]:
    """Parts of at least ``size`` items, as equal as can be; fewer than twice as many items make one part."""
    ends = np.linspace(0, len(items), max(1, len(items) // size) + 1).round().astype(int)
    return [items[begin:end] for begin, end in itertools.pairwise(ends)]

"""The surrogate as a source of trials: configurations of large expected improvement, found by a short search.

It takes trials of a search without a start, and in other searches those that are neither the LLM's nor the
rulebook's (docs/method.md): the more of them, the better it predicts each trial from the others. On a smooth
function it finds the best region within few trials; on a ragged one it would mislead. Its trials are labelled
``"gp"``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.history.history import History
from sllmbo_magic.samplers import surrogate as surrogates
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers.gaussian_process import Kernel
from sllmbo_magic.samplers.surrogate import Surrogate
from sllmbo_magic.space.search_space import SearchSpace

LABEL = "gp"
KERNEL_EVERY = 3
"""Trials for which one kernel is kept: its search is nearly all of a fit's cost."""
N_RANDOM = 100
"""Random points that the search begins with."""
N_BEST = 3
"""Trials from which steps start, the best ones."""
STEPS = ((0.2, 20), (0.07, 20))
"""Standard deviation in the unit cube, and number of the steps from each of the best trials."""
CLIMB = ((0.04, 30), (0.1, 30), (0.04, 30), (0.1, 30))
"""The same for the rounds of steps from the best point so far."""
MOST_MOVED = 3
"""Parameters that one step moves."""
FINALISTS = 10
"""Points that are rounded to real configurations and rated again."""


def chance(reliability: float, ratio: float = 0.5) -> float:
    """The share of the trials that the surrogate takes.

    Args:
        reliability: Rank correlation of the scores with what is predicted of each from all others, 0 to 1.
        ratio: The share that the user set, 0 to 1; 0.5 (default) leaves all to the reliability.
    """
    if ratio <= 0.0 or ratio >= 1.0:
        return ratio
    share = min(max(reliability, 0.1), 0.95)
    odds = ratio / (1.0 - ratio) * share / (1.0 - share)
    return odds / (1.0 + odds)


class SurrogateSource:
    """Fits a surrogate to all trials so far, and proposes where it expects most."""

    def __init__(self) -> None:
        self._kernel: tuple[tuple[int, SearchSpace], Kernel | None] | None = None

    def fit(self, context: TrialContext) -> Surrogate | None:
        """The surrogate of this trial; None while too few trials have a score.

        Its kernel is that of the trials before the last multiple of :data:`KERNEL_EVERY`, so that a resumed
        run has the same one.
        """
        space, history, number = context.spaces.wide, context.history, context.trial.number
        earlier = history.before(number - number % KERNEL_EVERY)
        key = (len(earlier), space)
        if self._kernel is None or self._kernel[0] != key:
            self._kernel = key, surrogates.search_kernel(earlier, space, priors=True)
        return surrogates.fit(history, space, self._kernel[1])

    def suggest(self, context: TrialContext, surrogate: Surrogate) -> Suggestion | None:
        """The configuration of the largest expected improvement that the search found; None where each one
        that it found had a trial.
        """
        space, history = context.spaces.base, context.history
        running = [o.params for o in history.observations if o.state == "RUNNING" and o.is_in(space)]
        surrogate = surrogate.with_pending(running)
        points = _search(surrogate, context.spaces.wide, history, context.rng)
        tried = set(history.keys(space))
        finalists = [{**space.clip(context.spaces.wide.from_unit(point)), **space.fixed} for point in points]
        untried = [params for params in finalists if space.key(params) not in tried]
        if not untried:
            return None
        ratings = [rating.log_improvement for rating in surrogate.rate(untried)]
        params = untried[int(np.argmax(ratings))]
        more = {} if space is context.spaces.current else {"wide_space": True}
        reason = "The Gaussian process expects the largest improvement here."
        return Suggestion(params, LABEL, {"reason": reason, **more})

    def __getstate__(self) -> dict[str, None]:
        return {"_kernel": None}


def _search(
    surrogate: Surrogate, space: SearchSpace, history: History, rng: np.random.Generator
) -> Sequence[np.ndarray]:
    """Points of the unit cube with the largest expected improvement, the best first."""
    is_choice = np.array([isinstance(d, CategoricalDistribution) for d in space.distributions.values()])
    best = [o.unit(space) for o in history.points.ranked()[:N_BEST]]
    pool = [rng.random((N_RANDOM, len(space)))]
    pool += [_steps(start, scale, n, is_choice, rng) for start in best for scale, n in STEPS]
    points = np.vstack(pool)
    ratings = surrogate.log_improvement(points)
    for scale, n in CLIMB:
        steps = _steps(points[int(ratings.argmax())], scale, n, is_choice, rng)
        points = np.vstack([points, steps])
        ratings = np.concatenate([ratings, surrogate.log_improvement(steps)])
    order = np.argsort(-ratings, kind="stable")[:FINALISTS]
    return list(points[order])


def _steps(
    start: np.ndarray, scale: float, n: int, is_choice: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Points with one to three parameters moved from ``start``, shape (n, d); reflected at the bounds."""
    d = len(start)
    moved = rng.random((n, d)).argsort(axis=1) < rng.integers(1, MOST_MOVED + 1, size=(n, 1))
    places = np.abs(start + rng.normal(0.0, scale, (n, d)))
    places = np.clip(np.where(places > 1.0, 2.0 - places, places), 0.0, 1.0)
    return np.where(moved, np.where(is_choice, rng.random((n, d)), places), start)

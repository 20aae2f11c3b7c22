"""The surrogate: a Gaussian process over the unit cube of the search space that rates proposed
configurations.

The rating is the expected improvement over the incumbent. "Accept a proposal only if the surrogate agrees"
follows LLINBO (arXiv 2505.14756); without it a fixed share of bad proposals costs 1.5 to 2.2 times the regret
of plain TPE (docs/method.md). How a rating decides is in ``acceptance.py``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.rounds import log_cost
from sllmbo_magic.proposers.rounds import rounds_in
from sllmbo_magic.space.search_space import SearchSpace

if TYPE_CHECKING:
    from sllmbo_magic.samplers.gaussian_process import Columns
    from sllmbo_magic.samplers.gaussian_process import GaussianProcess
    from sllmbo_magic.samplers.gaussian_process import Kernel

MIN_TRIALS = 6
"""Scored trials below which there is no surrogate and every valid candidate is accepted."""
MAX_TRIALS = 120
"""Trials in the surrogate: of the scored ones the best half and the latest, of the pruned ones the latest.
OpenBLAS would factorise a larger matrix with several threads (``gaussian_process._product``).
"""
MAX_PRUNED = 40
"""Pruned trials among them."""
MAX_INFEASIBLE = 40
"""Infeasible and failed trials among them, the latest."""
MAX_SCORE = 1e100
"""A trial with a score beyond this, such as ``sys.float_info.max`` as a penalty, counts as failed, as one
with an infinite score does: it measures nothing, and its square overflows.
"""
_NEIGHBOURS = 3
"""Nearest trials of a failed one; where most of them have failed too, it failed for its parameters."""
_SHARED, _SHARED_JUMP, _JUMP = 3, 3.0, 1e4
"""What is a penalty: a worst score that so many trials have, so many spreads of all others below them; or any
scores so many spreads of those above them below these. It takes more than ``_SHARED`` others to tell.
"""
_FLAT = 1e-3
"""The best quarter of the scores is flat within this part of the scale."""
VETO_TRIALS_PER_PARAMETER = 3
"""Scored trials per parameter below which the surrogate ranks candidates but vetoes none."""
_DIGITS = 6
LAG = 1
"""The surrogate leaves out the latest trial, so that it can be fitted while that trial runs."""
REFIT_ALWAYS_UNTIL, REFIT_EVERY = 30, 5
"""The kernel is searched at each trial until so many have a score, then at every fifth: the search is nearly
all of a fit's cost, and it grows with the trials, while the length scales hardly move any more.
"""


@dataclass(frozen=True)
class Rating:
    """What the surrogate expects of one configuration.

    Attributes:
        log_improvement: Logarithm of the expected improvement over the incumbent, in standard deviations of
            the better half's scores; of that per unit of training time where it was asked for.
        chance: Probability that it is better than the incumbent, 0 to 1.
    """

    log_improvement: float
    chance: float


class Surrogate:
    """A Gaussian process fitted to one history. Use :func:`fit`.

    Attributes:
        mature: Whether it has enough trials for its number of parameters to veto a candidate.
    """

    def __init__(self, model: GaussianProcess, space: SearchSpace, *, mature: bool) -> None:
        self._model = model
        self._space = space
        self._columns = _columns(space)
        self.mature = mature

    def predict_mean(self, points: np.ndarray) -> np.ndarray:
        """The posterior mean at points of the unit cube, shape (n, n_parameters); higher is better."""
        return self._model.predict(self._columns.of(points))[0]

    def log_improvement(self, points: np.ndarray) -> np.ndarray:
        """Logarithm of the expected improvement at points of the unit cube, shape (n,)."""
        from sllmbo_magic.samplers.gaussian_process import log_expected_improvement

        mean, std = self._model.predict(self._columns.of(points))
        # The last digits depend on where arrays lie in memory; the same run must rate the same.
        return log_expected_improvement(mean, std, self._model.best).round(_DIGITS)

    def reliability(self) -> float:
        """Rank correlation of the scores with what is predicted of each from all others, 0 to 1; one below
        0 counts as 0.
        """
        from scipy.stats import spearmanr

        predicted, scores = self._model.leave_one_out().round(_DIGITS), self._model.scores
        if np.ptp(predicted) == 0.0 or np.ptp(scores) == 0.0:
            return 0.0
        return max(0.0, float(spearmanr(predicted, scores).statistic))

    def with_pending(self, configurations: Sequence[Mapping[str, Any]]) -> Surrogate:
        """As if these configurations, whose trials run, had the scores that are predicted for them."""
        if not configurations:
            return self
        points = np.array([self._space.to_unit(self._space.clip(c)) for c in configurations])
        model = self._model.with_pending(self._columns.of(points))
        return Surrogate(model, self._space, mature=self.mature)

    def rate(self, configurations: Sequence[Mapping[str, Any]], *, per_cost: bool = False) -> list[Rating]:
        """A rating for each configuration.

        Args:
            configurations: In the space; what they lack is completed.
            per_cost: Divide the expected improvement by the time of a fit, as far as the number of rounds
                sets it (``proposers/rounds.py``): expected improvement per second (Snoek et al. 2012), with a
                time that does not depend on the machine, so that a seed gives the same run everywhere.
        """
        from scipy.special import ndtr

        from sllmbo_magic.samplers.gaussian_process import log_expected_improvement

        if not configurations:
            return []
        clipped = [self._space.clip(c) for c in configurations]
        points = np.array([self._space.to_unit(c) for c in clipped])
        mean, std = self._model.predict(self._columns.of(points))
        log_improvement = log_expected_improvement(mean, std, self._model.best)
        if per_cost:
            rounds = rounds_in(self._space)
            log_improvement = log_improvement - np.array([log_cost(c, rounds) for c in clipped])
        chance = ndtr((mean - self._model.best) / std)
        # The last digits depend on where arrays lie in memory; the same run must rate the same.
        return [
            Rating(round(float(e), _DIGITS), round(float(p), _DIGITS))
            for e, p in zip(log_improvement, chance, strict=True)
        ]


def fit(history: History, space: SearchSpace, kernel: Kernel | None = None) -> Surrogate | None:
    """The surrogate for this history; None while it has fewer than :data:`MIN_TRIALS` scored trials.

    A pruned trial counts with what it last reported, but as no better than the median: else the surrogate
    would have no data in the regions where trials are pruned, and send more of them there. For the same
    reason infeasible trials, and failed ones where most of the nearest trials have failed too, count as worse
    than the median.

    Args:
        kernel: Of an earlier fit (:func:`search_kernel`); None searches one here.
    """
    data = _training_data(history, space)
    if data is None:
        return None
    from sllmbo_magic.samplers.gaussian_process import GaussianProcess
    from sllmbo_magic.samplers.gaussian_process import fit_kernel

    points, scores = data
    columns = _columns(space)
    points = columns.of(points)
    model = GaussianProcess(points, scores, kernel or fit_kernel(points, scores, columns.owners))
    return Surrogate(model, space, mature=is_mature(history, space))


def search_kernel(history: History, space: SearchSpace, *, priors: bool = False) -> Kernel | None:
    """The kernel that fits this history; None as for :func:`fit`.

    Args:
        priors: As for ``gaussian_process.fit_kernel``. A search by the surrogate is better with them; where
            it only rates what rules and TPE propose, it was slightly worse (docs/evidence.md).
    """
    from sllmbo_magic.samplers.gaussian_process import fit_kernel

    data = _training_data(history, space)
    if data is None:
        return None
    points, scores = data
    columns = _columns(space)
    return fit_kernel(columns.of(points), scores, columns.owners, priors=priors)


def is_mature(history: History, space: SearchSpace) -> bool:
    """Whether there are several scored trials per parameter. A condition's inactive parameters do not
    count.
    """
    history = history.points
    active = max((sum(name in o.params for name in space) for o in history.complete), default=0)
    return len(history.complete) >= VETO_TRIALS_PER_PARAMETER * max(active, 1)


class SurrogatePrefetch:
    """Fits surrogates in the background, one trial ahead, without making a result depend on timing.

    The surrogate of trial ``n`` is fitted to the trials before ``n - LAG``, and in a long run its kernel to
    those before the last multiple of :data:`REFIT_EVERY`, whether it was fitted ahead or, after a resume, on
    demand.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._future: Future[Surrogate | None] | None = None
        self._kernel: tuple[tuple[Any, ...], Kernel | None] | None = None

    def prepare(self, number: int, space: SearchSpace, history: History) -> None:
        """Begin to fit the surrogate of trial ``number``.

        One surrogate is kept, so call this only once the one of the trial before was taken by :meth:`get`.
        """
        lagged = history.before(number - LAG)
        key = _key(number, space, lagged)
        if self._key == key or len(lagged.complete) < MIN_TRIALS:
            return
        future: Future[Surrogate | None] = Future()
        self._key, self._future = key, future

        def work() -> None:
            try:
                future.set_result(self._fit(number, space, lagged))
            except BaseException as error:  # noqa: BLE001 - raised by get
                future.set_exception(error)

        threading.Thread(
            target=copy_context().run, args=(work,), name="sllmbo-surrogate", daemon=True
        ).start()

    def get(self, number: int, space: SearchSpace, history: History) -> Surrogate | None:
        """The surrogate of trial ``number``; None while too few trials have a score."""
        lagged = history.before(number - LAG)
        if self._future is not None and self._key == _key(number, space, lagged):
            return self._future.result()
        return self._fit(number, space, lagged)

    def _fit(self, number: int, space: SearchSpace, lagged: History) -> Surrogate | None:
        earlier = lagged.before(number - LAG - (number - LAG) % REFIT_EVERY)
        if len(earlier.complete) < REFIT_ALWAYS_UNTIL:
            return fit(lagged, space)
        key, last = _key(0, space, earlier), self._kernel
        kernel = last[1] if last is not None and last[0] == key else search_kernel(earlier, space)
        self._kernel = key, kernel
        return fit(lagged, space, kernel)

    def __getstate__(self) -> dict[str, Any]:
        return {"_key": None, "_future": None, "_kernel": None}


def _key(number: int, space: SearchSpace, history: History) -> tuple[Any, ...]:
    return number, space, sum(o.state != "RUNNING" for o in history.observations)


def _columns(space: SearchSpace) -> Columns:
    from sllmbo_magic.samplers.gaussian_process import Columns

    distributions = space.distributions.values()
    return Columns([len(d.choices) if isinstance(d, CategoricalDistribution) else 0 for d in distributions])


def _training_data(history: History, space: SearchSpace) -> tuple[np.ndarray, np.ndarray] | None:
    """Points in the unit cube, shape (n, n_parameters), and robust scores, shape (n,), higher is better."""
    history = history.points
    if len(history.complete) < MIN_TRIALS or not len(space):
        return None
    pruned = _pruned(history)
    worse = sorted([*history.infeasible, *_failed(history, space)], key=lambda o: o.number)[-MAX_INFEASIBLE:]
    data = [*_scored(history, MAX_TRIALS - len(pruned) - len(worse)), *pruned]
    data = [(observation, value) for observation, value in data if abs(value) <= MAX_SCORE]
    if len(data) < MIN_TRIALS:
        return None
    points = np.array([o.unit(space) for o in (*(observation for observation, _ in data), *worse)])
    sign = 1.0 if history.direction == "maximize" else -1.0
    scores = robust_scores(sign * np.array([value for _, value in data]))
    violations = [o.violation if o.state == "INFEASIBLE" else math.inf for o in worse]
    return points, np.concatenate([scores, _below_median(violations)])


def _scored(history: History, n: int) -> list[tuple[Observation, float]]:
    """At most ``n`` scored trials with their scores."""
    selected = history.ranked()
    if len(selected) > n:
        best, further = selected[: n // 2], selected[n // 2 :]
        selected = best + sorted(further, key=lambda o: o.number)[len(best) - n :]
    return [(o, float(o.value or 0.0)) for o in selected]


def _pruned(history: History) -> list[tuple[Observation, float]]:
    """The latest pruned trials, with the value that they count with."""
    median = history.ranked()[len(history.complete) // 2].value
    assert median is not None
    return [
        (o, median if history.better(o.reported, median) else o.reported)
        for o in history.pruned[-MAX_PRUNED:]
        if o.reported is not None
    ]


def _failed(history: History, space: SearchSpace) -> list[Observation]:
    """The latest trials that failed for their parameters, as far as the trials around them show.

    A failure that has nothing to do with them, as of a full disk, says nothing of its place: there it would
    spoil what its neighbours say.
    """
    ended = [
        o
        for o in history.observations
        if o.state != "RUNNING" and not o.cut_off and any(name in o.params for name in space)
    ]
    is_failed = np.array([_has_failed(o) for o in ended], dtype=bool)
    numbers = np.flatnonzero(is_failed)[-MAX_INFEASIBLE:]
    if not len(numbers):
        return []
    points = _columns(space).of(np.array([o.unit(space) for o in ended]))
    distances = ((points[numbers, None] - points[None]) ** 2).sum(axis=2)
    distances[np.arange(len(numbers)), numbers] = np.inf
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : min(_NEIGHBOURS, len(ended) - 1)]
    return [ended[i] for i, near in zip(numbers, nearest, strict=True) if is_failed[near].mean() > 0.5]


def _has_failed(trial: Observation) -> bool:
    """Whether a trial that has ended gave nothing that measures it: no number, or one beyond
    :data:`MAX_SCORE`.
    """
    value = {"COMPLETE": trial.value, "PRUNED": trial.reported}.get(trial.state)
    return trial.state != "INFEASIBLE" and (value is None or abs(value) > MAX_SCORE)


def _below_median(violations: Sequence[float] | np.ndarray) -> np.ndarray:
    """Robust scores of trials without a score: below the median, 0, and the lower, the larger the violation.

    Below all other scores would be a cliff at the bound of a constraint, where the best feasible
    configuration often lies: the process would see nothing but the cliff there. Of the violations only
    the order counts, since constraints have units of their own.
    """
    ranks = np.searchsorted(np.sort(violations), violations, side="right")
    return -0.5 * ranks / max(len(violations), 1)


def robust_scores(scores: np.ndarray) -> np.ndarray:
    """Scores (higher is better) with median 0 and unit spread of the upper half; the lower tail is
    compressed.

    A few disasters would otherwise flatten the region that matters. Penalties, however many, are no part of
    median and spread; they count as infeasible trials do.
    """
    median = float(np.median(scores))
    upper = scores[scores >= median] - median
    scale = float(np.sqrt(np.mean(upper**2))) or float(scores.std()) or 1.0
    penalised = _penalised(scores, median, scale)
    if penalised.any():
        robust = np.empty(len(scores))
        robust[~penalised] = robust_scores(scores[~penalised])
        robust[penalised] = _below_median(-scores[penalised])
        return robust
    with np.errstate(over="ignore"):
        z = np.maximum((scores - median) / scale, -MAX_SCORE)
    return np.where(z < -1.0, -1.0 - np.log1p(np.maximum(-1.0 - z, 0.0)), z)


def _penalised(scores: np.ndarray, median: float, scale: float) -> np.ndarray:
    """Which scores are penalties, shape (n,): a worst score that several trials share, far below all others
    or in more than half of the trials; scores very far below those above them; or the worse half, where
    beside it the best quarter would be flat.
    """
    worst = scores == scores.min()
    others = scores[~worst]
    if worst.sum() >= _SHARED and len(others) > _SHARED:
        drop = others.min() - scores.min()
        if worst.sum() > len(others) or drop > _SHARED_JUMP * np.ptp(others):
            return np.asarray(worst)
    ordered = np.sort(scores)[::-1]
    drops, spreads = -np.diff(ordered)[_SHARED:], (ordered[0] - ordered[:-1])[_SHARED:]
    below = ordered[_SHARED + 1 :][(drops > _JUMP * spreads) & (spreads > 0.0)]
    if len(below):
        return np.asarray(scores <= below[0])
    best = scores[scores >= np.quantile(scores, 0.75)]
    is_flat = len(best) >= _SHARED and 0.0 < np.ptp(best) < _FLAT * scale
    return np.asarray((scores <= median) & is_flat)

"""The judge: a surrogate that ranks proposed configurations and vetoes those that the scores speak against.

A Gaussian process (scikit-learn's) over the unit cube of the search space gives each candidate its expected
improvement over the incumbent. The base sampler's own suggestion is judged with them: an LLM's candidate
takes the trial only if the surrogate does not think clearly less of it. "Accept only if the surrogate agrees"
follows LLINBO (arXiv 2505.14756); without it a fixed share of bad proposals costs 1.5 to 2.2 times the regret
of plain TPE (docs/method.md).
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.space import SearchSpace

if TYPE_CHECKING:
    from sklearn.gaussian_process.kernels import Kernel

MIN_TRIALS = 6
"""Scored trials before the judge speaks; until then every valid candidate is welcome."""
MAX_TRIALS = 120
"""Trials in the surrogate: the best half, and the latest of the others."""
DRAWS = 4
"""Draws of the base sampler that stand against the candidates."""
LAG = 1
"""The surrogate leaves out the latest trial, so that it can be fitted while that trial runs."""
EACH, EVERY = 50, 5
"""The length scales are looked for at each trial until so many have a score, then at every fifth: that is
nearly all of a fit's cost, and it grows with the trials, while the scales hardly move any more.
"""


def strictness(share: float) -> float:
    """The part of the best rival's expected improvement that a candidate must reach.

    An LLM that earned a large share is trusted more than the surrogate; one whose proposals do not pay has to
    be as good as its rivals in the surrogate's eyes.
    """
    return min(1.0, max(0.2, 1.25 * (1.0 - share)))


class Judge:
    """A surrogate fitted to one history. Use :func:`fit`."""

    def __init__(self, model: Any, space: SearchSpace, best: float) -> None:
        self._model = model
        self._space = space
        self._best = best

    def improvements(self, configurations: list[dict[str, Any]]) -> list[float]:
        """Expected improvement of each configuration, in standard deviations of the scores."""
        if not configurations:
            return []
        units = np.array([self._space.to_unit(self._space.clip(c)) for c in configurations])
        mean, std = self._model.predict(units, return_std=True)
        return [_expected_improvement(m, s, self._best) for m, s in zip(mean, std, strict=True)]


def fit(history: History, space: SearchSpace, shape: Kernel | None = None) -> Judge | None:
    """The judge for this history; None while it has too few scored trials to speak.

    A pruned trial counts with what it last reported, but as no better than the median: else the surrogate
    would know nothing of the regions where trials are pruned, and send more of them there.

    Scores are centred on their median and scaled by the spread of the better half; the worse half's tail is
    compressed, so that a few disasters do not flatten the region that matters.

    Args:
        shape: A kernel with length scales found before (:func:`shape_of`); None looks for them here.
    """
    from sllmbo_magic.blas import BlasLimit

    known = _known(history, space)
    if known is None:
        return None
    with BlasLimit(1):  # threads only slow such small matrices down, tenfold on two busy cores
        return _fitted(*known, shape or _shape(*known), space)


def shape_of(history: History, space: SearchSpace) -> Kernel | None:
    """A kernel with the length scales that fit this history; None as for :func:`fit`."""
    from sllmbo_magic.blas import BlasLimit

    known = _known(history, space)
    if known is None:
        return None
    with BlasLimit(1):
        return _shape(*known)


def _known(history: History, space: SearchSpace) -> tuple[np.ndarray, np.ndarray] | None:
    """Places in the unit cube, shape (n, n_parameters), and tamed scores, shape (n,), higher is better."""
    done = _chosen(history)
    if len(done) < MIN_TRIALS or not len(space):
        return None
    done = [*done, *_pruned(history)]
    units = np.array([space.to_unit(space.clip(o.params)) for o in done])
    sign = 1.0 if history.direction == "maximize" else -1.0
    return units, _tamed(sign * np.array([float(o.value or 0.0) for o in done]))


def _shape(units: np.ndarray, scores: np.ndarray) -> Kernel:
    from scipy.optimize import minimize
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel
    from sklearn.gaussian_process.kernels import Matern
    from sklearn.gaussian_process.kernels import WhiteKernel

    n, width = units.shape
    scale: Any = np.full(width, 0.5) if n >= 3 * width else 0.5  # one for all while trials are few
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(scale, (0.05, 10.0), nu=2.5) + WhiteKernel(
        0.01, (1e-6, 0.5)
    )
    model = GaussianProcessRegressor(kernel, optimizer=None, alpha=1e-6).fit(units, scores)
    # The library's own optimizer warns of bounds that it meets, and a thread cannot silence warnings safely.

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = model.log_marginal_likelihood(theta, eval_gradient=True)
        return -float(value), -gradient

    found = minimize(
        loss,
        kernel.theta,
        jac=True,
        method="L-BFGS-B",
        bounds=kernel.bounds,
        options={"maxiter": 30},
    )
    return kernel.clone_with_theta(found.x)


def _fitted(units: np.ndarray, scores: np.ndarray, shape: Kernel, space: SearchSpace) -> Judge:
    from sklearn.gaussian_process import GaussianProcessRegressor

    model = GaussianProcessRegressor(shape, optimizer=None, alpha=1e-6, random_state=0).fit(units, scores)
    return Judge(model, space, float(model.predict(units).max()))


class JudgeAhead:
    """Fits judges in the background, one trial ahead, without making a result depend on timing.

    The judge of trial ``n`` knows the trials before ``n - LAG``, and in a long run its length scales are
    those of the trials before the last multiple of ``EVERY``, whether it was fitted ahead or, after a
    resume, on demand.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._future: Future[Judge | None] | None = None
        self._shape: tuple[tuple[Any, ...], Kernel | None] | None = None

    def prepare(self, number: int, space: SearchSpace, history: History) -> None:
        """Begin to fit the judge of trial ``number``, if it is not begun."""
        known = history.before(number - LAG)
        key = _key(number, space, known)
        if self._key == key or len(known.complete) < MIN_TRIALS:
            return
        future: Future[Judge | None] = Future()
        self._key, self._future = key, future

        def work() -> None:
            try:
                future.set_result(self._fit(number, space, known))
            except BaseException as error:  # noqa: BLE001 - raised by get
                future.set_exception(error)

        threading.Thread(target=work, name="sllmbo-judge", daemon=True).start()

    def get(self, number: int, space: SearchSpace, history: History) -> Judge | None:
        """The judge of trial ``number``; None while too few trials have a score."""
        known = history.before(number - LAG)
        if self._future is not None and self._key == _key(number, space, known):
            return self._future.result()
        return self._fit(number, space, known)

    def _fit(self, number: int, space: SearchSpace, known: History) -> Judge | None:
        earlier = known.before(number - LAG - (number - LAG) % EVERY)
        if len(earlier.complete) < EACH:
            return fit(known, space)
        key, last = _key(0, space, earlier), self._shape
        shape = last[1] if last is not None and last[0] == key else shape_of(earlier, space)
        self._shape = key, shape
        return fit(known, space, shape)

    def __getstate__(self) -> dict[str, Any]:
        return {"_key": None, "_future": None, "_shape": None}


def _key(number: int, space: SearchSpace, known: History) -> tuple[Any, ...]:
    return number, space, len(known.complete), len(known.pruned)


def _chosen(history: History) -> list[Any]:
    ranked = history.ranked()
    if len(ranked) <= MAX_TRIALS:
        return ranked
    best = ranked[: MAX_TRIALS // 2]
    rest = sorted(ranked[MAX_TRIALS // 2 :], key=lambda o: o.number)[-(MAX_TRIALS - len(best)) :]
    return best + rest


def _pruned(history: History) -> list[Observation]:
    """The latest pruned trials, with the value that they count with."""
    half = history.ranked()[len(history.complete) // 2].value
    assert half is not None
    return [
        replace(o, value=half if history.better(o.reported, half) else o.reported)
        for o in history.pruned[-MAX_TRIALS:]
        if o.reported is not None
    ]


def _tamed(scores: np.ndarray) -> np.ndarray:
    """Scores (higher is better) with median 0 and unit spread of the upper half; the lower tail is
    compressed.
    """
    median = float(np.median(scores))
    upper = scores[scores >= median] - median
    spread = float(np.sqrt(np.mean(upper**2))) or float(scores.std()) or 1.0
    z = (scores - median) / spread
    return np.where(z < -1.0, -1.0 - np.log1p(np.maximum(-1.0 - z, 0.0)), z)


def _expected_improvement(mean: float, std: float, best: float) -> float:
    if std <= 0:
        return max(mean - best, 0.0)
    z = (mean - best) / std
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return std * (z * 0.5 * math.erfc(-z / math.sqrt(2)) + density)

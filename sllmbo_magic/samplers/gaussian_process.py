"""A small Gaussian process for the surrogate: Matern 5/2 kernel, one length scale per parameter, noise.

scikit-learn's ``GaussianProcessRegressor`` gives the same posterior (a test compares both), but builds
kernel objects and full matrices at every step of the search: that took 54 ms of CPU per trial at 50 trials,
ten times the TPE beside it. Here one Cholesky factorisation per step gives likelihood and gradient, over
pairs of points only (``benchmarks/sampler_cost.py --judge``).

Notation: n points, whose columns belong to d parameters (a choice can have several columns, see
:class:`Columns`); theta = log of (signal variance, length scales, noise variance).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf
from scipy.linalg.lapack import dpotrs
from scipy.linalg.lapack import dtrtri
from scipy.special import erfcx
from scipy.special import ndtr

_SIGNAL = (0.05, 20.0)
_LENGTH = (0.05, 10.0)
_NOISE = (1e-6, 0.5)
"""Bounds of the hyperparameters, for points in the unit cube and scores of about unit spread."""
_START = (1.0, 0.5, 0.01)
_JITTER = 1e-6
_EVALUATIONS = 45
_FLAT, _NO_GAIN = 1e-3, 1e-5
"""The search of the hyperparameters ends below this gradient, and below this relative gain of a step."""
_FIRST_STEP, _LONGEST_STEP = 0.1, 2.0
_SINGLE_THREADED = 200_000
"""Multiplications in a matrix product that OpenBLAS still does in the calling thread."""
_TRIALS_PER_LENGTH = 3
"""Points per dimension below which all dimensions share one length scale, where there are no priors."""
_LENGTH_PRIOR = 0.1
_SIGNAL_PRIOR = (2.0, 1.0)
_NOISE_PRIOR = (1.1, 30.0)
"""Weak priors, those of Optuna's GP sampler: exp(-0.1 (length^2 + length^-2)), and shape and rate of gamma
distributions.
"""


class Columns:
    """The columns of points: a number has one, a choice among more than two values has one for each value.

    Choices have no order, so any two different values are at distance 1 from each other.

    Args:
        n_choices: For each parameter how many values it is a choice among; 0 for a number.

    Attributes:
        owners: The parameter that each column belongs to, shape (columns,).
    """

    def __init__(self, n_choices: Sequence[int]) -> None:
        self._n_choices = n_choices
        widths = [n if n > 2 else 1 for n in n_choices]
        self.owners = np.repeat(np.arange(len(widths)), widths)
        self._one_each = len(self.owners) == len(widths)

    def of(self, points: np.ndarray) -> np.ndarray:
        """Points of the unit cube of the parameters, shape (n, d), as columns."""
        if self._one_each:
            return points
        parts = []
        for column, n in zip(points.T, self._n_choices, strict=True):
            if n > 2:
                index = np.minimum((column * n).astype(int), n - 1)
                parts.append(np.eye(n)[index] * math.sqrt(0.5))
            else:
                parts.append(column[:, None])
        return np.hstack(parts)


@dataclass(frozen=True)
class Kernel:
    """Hyperparameters: ``signal`` and ``noise`` are variances, ``lengths`` has one scale per column."""

    signal: float
    lengths: np.ndarray
    noise: float


def fit_kernel(
    points: np.ndarray, scores: np.ndarray, owners: np.ndarray | None = None, *, priors: bool = False
) -> Kernel:
    """The kernel of highest likelihood, or with priors of highest posterior density: a local maximum, from a
    fixed start.

    Args:
        points: Shape (n, columns), in the unit cube.
        scores: Shape (n,).
        owners: The parameter of each column, which have one length scale together; None: one column each.
        priors: Weak priors, and with them a length scale for each parameter as soon as there are as many
            points. Without them that takes three times as many points.
    """
    n = len(points)
    owners = np.arange(points.shape[1]) if owners is None else owners
    d = int(owners[-1]) + 1
    n_lengths = d if n >= (1 if priors else _TRIALS_PER_LENGTH) * d else 1
    start = np.log([_START[0], *[_START[1]] * n_lengths, _START[2]])
    bounds = np.log(np.array([_SIGNAL, *[_LENGTH] * n_lengths, _NOISE]))
    values = np.exp(_minimize(_Loss(points, scores, owners, n_lengths, priors), start, bounds))
    lengths = np.broadcast_to(values[1:-1], (d,))[owners]
    return Kernel(float(values[0]), lengths, float(values[-1]))


def _minimize(
    loss: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, bounds: np.ndarray
) -> np.ndarray:
    """A local minimum inside bounds of shape (n, 2), by BFGS over the coordinates that no bound holds.

    scipy's L-BFGS-B takes as many evaluations, but wakes OpenBLAS's threads for its triangular solves
    (see :func:`_product`): 130 ms of CPU instead of 8 for 50 points in 9 dimensions.
    """
    x, curvature = start, _FIRST_STEP * np.eye(len(start))  # of the inverse Hessian
    value, gradient = loss(x)
    evaluations = 1
    while evaluations < _EVALUATIONS:
        at_bound = ((x <= bounds[:, 0]) & (gradient > 0)) | ((x >= bounds[:, 1]) & (gradient < 0))
        slope = np.where(at_bound, 0.0, gradient)
        if np.abs(slope).max() < _FLAT:
            break
        direction = np.where(at_bound, 0.0, -curvature @ slope)
        direction *= min(1.0, _LONGEST_STEP / max(np.abs(direction).max(), 1e-12))
        length = 1.0
        while True:
            new = np.clip(x + length * direction, bounds[:, 0], bounds[:, 1])
            new_value, new_gradient = loss(new)
            evaluations += 1
            step = new - x
            accepted = new_value <= value + 1e-4 * (gradient @ step)
            if accepted or evaluations >= _EVALUATIONS or length < 1e-3:
                break
            length *= 0.4
        if not accepted:
            break
        change = new_gradient - gradient
        product = step @ change
        if product > 1e-10:
            if evaluations == 2:  # the scale of the first step's curvature fits better than a guess
                curvature = product / (change @ change) * np.eye(len(start))
            along = curvature @ change
            curvature = (
                curvature
                + (1.0 + change @ along / product) / product * np.outer(step, step)
                - (np.outer(step, along) + np.outer(along, step)) / product
            )
        converged = value - new_value < _NO_GAIN * max(1.0, abs(value))
        x, value, gradient = new, new_value, new_gradient
        if converged:
            break
    return x


class _Loss:
    """Negative log of the marginal likelihood, or of that times the priors; and its gradient, over the
    n (n - 1) / 2 pairs of points.
    """

    def __init__(
        self, points: np.ndarray, scores: np.ndarray, owners: np.ndarray, n_lengths: int, priors: bool
    ) -> None:
        n = len(points)
        self._priors = priors
        self._n, self._scores = n, scores
        self._rows, self._columns = np.tril_indices(n, -1)
        squares = (points[self._rows] - points[self._columns]) ** 2
        if n_lengths == 1:
            squares = squares.sum(axis=1, keepdims=True)
        elif n_lengths < len(owners):
            squares = squares @ (owners[:, None] == np.arange(n_lengths))
        self._squares = squares
        self._places = self._rows * n + self._columns
        self._matrix = np.zeros((n, n))

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:

        n, values = self._n, np.exp(theta)
        signal, inverse_squares, noise = values[0], values[1:-1] ** -2.0, values[-1]
        r = np.sqrt(5.0 * (self._squares @ inverse_squares))
        decay = np.exp(-r)
        slope = (1.0 + r) * decay
        correlation = slope + r * r / 3.0 * decay
        flat = self._matrix.reshape(-1)
        flat[self._places] = signal * correlation
        flat[:: n + 1] = signal + noise + _JITTER
        # LAPACK reads columns: the lower triangle of the transposed view is the upper one of the matrix.
        factor, info = dpotrf(self._matrix.T, lower=0, clean=0)
        if info:
            return 1e25, np.zeros_like(theta)
        weights, _ = dpotrs(factor, self._scores, lower=0)
        loss = (
            0.5 * self._scores @ weights + np.log(factor.diagonal()).sum() + 0.5 * n * math.log(2.0 * math.pi)
        )
        inverse = _inverse(factor)
        # d likelihood = 1/2 trace((weights weights' - inverse) dK); dK is symmetric, so each pair counts
        # twice.
        pairs = weights[self._rows] * weights[self._columns] - inverse.reshape(-1)[self._places]
        trace = float((weights * weights - inverse.diagonal()).sum())
        gradient = np.empty_like(theta)
        gradient[0] = signal * (pairs @ correlation + 0.5 * trace)
        gradient[1:-1] = 5.0 / 3.0 * signal * ((pairs * slope) @ self._squares) * inverse_squares
        gradient[-1] = 0.5 * noise * trace
        if not self._priors:
            return float(loss), -gradient
        log_prior, slopes = _log_prior(theta)
        return float(loss) - log_prior, -gradient - slopes


def _log_prior(theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Log density of the hyperparameters, up to a constant, and its gradient by theta."""
    values = np.exp(theta)
    squares = values[1:-1] ** 2
    total = -_LENGTH_PRIOR * float((squares + 1.0 / squares).sum())
    slopes = np.empty_like(theta)
    slopes[1:-1] = -2.0 * _LENGTH_PRIOR * (squares - 1.0 / squares)
    for place, (shape, rate) in ((0, _SIGNAL_PRIOR), (-1, _NOISE_PRIOR)):
        total += (shape - 1.0) * theta[place] - rate * values[place]
        slopes[place] = shape - 1.0 - rate * values[place]
    return total, slopes


class GaussianProcess:
    """The posterior for one kernel.

    Args:
        points: Shape (n, columns).
        scores: Shape (n,).

    Attributes:
        scores: As given.
        best: The largest posterior mean at the points.
    """

    def __init__(self, points: np.ndarray, scores: np.ndarray, kernel: Kernel) -> None:

        self._points, self.scores, self._kernel = points, scores, kernel
        signal = self._covariance(points)
        noisy = signal + (kernel.noise + _JITTER) * np.eye(len(points))
        factor, _ = dpotrf(noisy, lower=1)
        self._inverse_factor, _ = dtrtri(factor, lower=1)
        self._weights, _ = dpotrs(factor, scores, lower=1)
        self.best = float((signal @ self._weights).max())

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the function without its noise, each of shape (m,).

        Optuna's and BoTorch's acquisition functions use the same deviation: the noise of one more
        measurement is no improvement.
        """

        cross = self._covariance(points)
        half = _product(self._inverse_factor, cross)
        variance = self._kernel.signal - (half * half).sum(axis=0)
        return cross.T @ self._weights, np.sqrt(np.maximum(variance, 1e-12))

    def leave_one_out(self) -> np.ndarray:
        """What is predicted of each score from all others, shape (n,) (Rasmussen and Williams 2006, eq.
        5.12).
        """
        precision = (self._inverse_factor**2).sum(axis=0)
        return np.asarray(self.scores - self._weights / precision)

    def with_pending(self, points: np.ndarray) -> GaussianProcess:
        """As if these points had the scores that are predicted for them (Ginsbourger's "kriging believer"),
        so that trials that run at the same time are not proposed twice.
        """
        scores = np.concatenate([self.scores, self.predict(points)[0]])
        return GaussianProcess(np.vstack([self._points, points]), scores, self._kernel)

    def _covariance(self, points: np.ndarray) -> np.ndarray:
        a, b = self._points / self._kernel.lengths, points / self._kernel.lengths
        squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * _product(a, b.T)
        r = np.sqrt(5.0 * np.maximum(squares, 0.0))
        covariance: np.ndarray = self._kernel.signal * (1.0 + r + r * r / 3.0) * np.exp(-r)
        return covariance


def _inverse(factor: np.ndarray) -> np.ndarray:
    """Of a matrix, from its upper Cholesky factor, whose other half is not read."""
    inverse, _ = dtrtri(factor, lower=0)
    inverse = np.triu(inverse)
    return _product(inverse, inverse.T)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product in parts that OpenBLAS does in the calling thread.

    Its threads would take longer to wake up than such a product takes, and each spins for some 30 ms of
    CPU afterwards; so do ``dpotri`` and ``dtrsm``, which are not used here. To limit the threads for a
    moment does not help: they are started anew, and spin, when the limit ends.
    """
    rows = max(1, _SINGLE_THREADED // b.size)
    return np.concatenate([a[i : i + rows] @ b for i in range(0, len(a), rows)])


def log_expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Logarithm of the expected improvement over ``best``, exact far in the tail, where the improvement
    itself is 0.0 and ranks nothing (Ament et al., "Unexpected Improvements to Expected Improvement",
    NeurIPS 2023).
    """

    z = (mean - best) / std
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        near = np.log(density + z * ndtr(z))
        tail = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
        far = tail + np.log1p(z * math.sqrt(math.pi / 2.0) * erfcx(-z / math.sqrt(2.0)))
        limit = tail - 2.0 * np.log(-z)  # what ``far`` tends to, without its cancellation
    log_h = np.where(z > -1.0, near, np.where(z > -1e4, far, limit))
    return np.asarray(np.log(std) + log_h)

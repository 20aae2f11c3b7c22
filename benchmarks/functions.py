"""Test functions with known minima, as search spaces and objectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.distributions import FloatDistribution

from sllmbo_magic import SearchSpace


@dataclass(frozen=True)
class TestFunction:
    """``f`` is to be minimized over ``space``; ``minimum`` is its known least value."""

    name: str
    space: SearchSpace
    f: Callable[[np.ndarray], float]
    minimum: float

    def __call__(self, trial: object) -> float:
        params = self.space.suggest(trial)
        return self.f(np.array([params[n] for n in self.space], dtype=float))


def _box(low: float, high: float, n: int) -> SearchSpace:
    return SearchSpace({f"x{i}": FloatDistribution(low, high) for i in range(n)})


def _branin(x: np.ndarray) -> float:
    a, b, c, r, s, t = 1.0, 5.1 / (4 * np.pi**2), 5 / np.pi, 6.0, 10.0, 1 / (8 * np.pi)
    return float(a * (x[1] - b * x[0] ** 2 + c * x[0] - r) ** 2 + s * (1 - t) * np.cos(x[0]) + s)


_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _hartmann(x: np.ndarray) -> float:
    alpha = np.array([1.0, 1.2, 3.0, 3.2])
    return float(-(alpha * np.exp(-(_A * (x - _P) ** 2).sum(axis=1))).sum())


def _levy(x: np.ndarray) -> float:
    w = 1 + (x - 1) / 4
    head = np.sin(np.pi * w[0]) ** 2
    tail = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    return float(head + middle + tail)


FUNCTIONS = (
    TestFunction(
        "branin",
        SearchSpace({"x0": FloatDistribution(-5.0, 10.0), "x1": FloatDistribution(0.0, 15.0)}),
        _branin,
        0.397887,
    ),
    TestFunction("hartmann6", _box(0.0, 1.0, 6), _hartmann, -3.32237),
    TestFunction("levy4", _box(-10.0, 10.0, 4), _levy, 0.0),
)

"""Boosting rounds and learning rate of a search space, found by their names: what makes a fit long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.space.search_space import SearchSpace

_RATES = ("learning_rate", "learning_rate_init", "eta")
_ROUNDS = ("n_estimators", "iterations", "num_boost_round")
_STEPS = "max_iter"
"""Boosting rounds of scikit-learn's histogram models; of other estimators only a bound."""
_FREE = 20
"""So many rounds are taken to cost as much as the part of a fit that does not grow with them."""


def are_rounds(name: str) -> bool:
    """Whether a parameter's name, with or without its pipeline step, stands for rounds or iterations."""
    return name.rpartition("__")[2] in (*_ROUNDS, _STEPS)


def rate_in(space: SearchSpace) -> str | None:
    """The parameter that is a learning rate. A choice of that name, as of ``SGDClassifier``, is none."""
    names = (name for name in space if name.rpartition("__")[2] in _RATES)
    return next((name for name in names if not isinstance(space[name], CategoricalDistribution)), None)


def rounds_in(space: SearchSpace) -> str | None:
    """The parameter that is a number of rounds, or of trees of a forest: each of them costs the same time.

    ``max_iter`` counts beside a learning rate only: elsewhere a fit mostly ends before it.
    """
    rounds = next((name for name in space if are_rounds(name)), None)
    is_bound = rounds is not None and rounds.rpartition("__")[2] == _STEPS and rate_in(space) is None
    return None if is_bound else rounds


def log_cost(params: Mapping[str, Any], rounds: str | None) -> float:
    """Logarithm of the time of a fit, up to a constant, as far as the rounds set it; 0.0 without rounds.

    Args:
        params: A configuration.
        rounds: Its parameter that is a number of rounds (:func:`rounds_in`), or None.
    """
    value = params.get(rounds) if rounds is not None else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return math.log(_FREE + max(float(value), 0.0))

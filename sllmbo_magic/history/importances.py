"""How much of the score each parameter explains, from the trials alone."""

from __future__ import annotations

import numpy as np

from sllmbo_magic.history.history import History
from sllmbo_magic.space.search_space import SearchSpace

_IMPORTANCE_TRIALS = 300
"""Latest scored trials that importances are read off."""


def importances(history: History, space: SearchSpace) -> dict[str, float]:
    """Share of the score's rank correlation that each parameter explains, largest first; {} under 8 trials.

    The absolute Spearman correlation of a parameter's position in its range with the score, or of the squared
    distance to the middle of the best five (a hump has no slope); cheap, and enough to order a prompt.
    """
    key = ("importances", space)
    if key not in history._cache:
        history._cache[key] = _importances(history, space)
    return dict(history._cache[key])


def _importances(history: History, space: SearchSpace) -> dict[str, float]:
    history = history.points
    scored = history.complete[-_IMPORTANCE_TRIALS:]
    if len(scored) < 8 or not len(space):
        return {}
    units = np.array([o.unit(space) for o in scored])
    scores = np.array([float(o.value or 0.0) for o in scored])
    centre = np.median(np.array([o.unit(space) for o in history.ranked()[:5]]), axis=0)
    slopes = _rank_correlations(units, scores)
    humps = _rank_correlations((units - centre) ** 2, scores)
    weights = dict(zip(space, np.maximum(np.abs(slopes), np.abs(humps)) ** 2, strict=True))
    total = sum(weights.values())
    if total <= 0:
        return {}
    shares = {name: float(weight / total) for name, weight in weights.items()}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _rank_correlations(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each column with the values, 0 where either is constant; shape
    (n_columns,).
    """
    from scipy.stats import rankdata

    ranks = rankdata(columns, axis=0)
    ranks -= ranks.mean(axis=0)
    value_ranks = rankdata(values)
    value_ranks -= value_ranks.mean()
    norms = np.sqrt((ranks**2).sum(axis=0) * (value_ranks**2).sum())
    correlations: np.ndarray = np.divide(
        value_ranks @ ranks, norms, out=np.zeros(len(norms)), where=norms > 0
    )
    return correlations

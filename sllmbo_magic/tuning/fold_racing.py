"""A pruner for cross-validation: a trial that cannot win, as its first folds have it, gets no further folds.

Two configurations on the same folds share the luck with the folds, so their differences, fold by fold, vary
much less than their scores. After ``k`` of ``K`` folds the mean difference to the best trial predicts the one
after all folds with a standard deviation of ``s sqrt(1/k - 1/K)``, where ``s`` is that of the differences
between folds. A trial ends where its gap is larger than that by a margin.

The rule forgives: it ends what is far behind, never what is only behind. That racing over folds seldom costs
the best configuration is published ("Don't Waste Your Time: Early Stopping Cross-Validation", arXiv
2405.03389); ``benchmarks/fold_racing.py`` measures what this rule saves and loses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.history.trials import scored

MARGIN = 1.0
"""The gap after one fold that ends a trial, in standard deviations of the differences between folds."""
N_STARTUP_TRIALS = 4
"""Trials with a score before any is ended: the differences between folds are estimated from them."""


class FoldRacingPruner(BasePruner):
    """Ends a trial whose paired differences to the best trial say that it will not beat it.

    The trial reports the mean score over its first ``k`` folds at step ``k``. It is compared with the best
    trial that has a score on all folds.

    Args:
        n_folds: Number of folds, at least 2.
        margin: The gap after one fold that ends a trial, in standard deviations of the differences.
        n_startup_trials: Trials with a score on all folds before any is ended.
    """

    def __init__(
        self, n_folds: int, margin: float = MARGIN, n_startup_trials: int = N_STARTUP_TRIALS
    ) -> None:
        self.n_folds = n_folds
        self.margin = margin
        self.n_startup_trials = n_startup_trials

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to end the trial after the folds that it reported; the rule of Optuna's pruners."""
        n_scored = trial.last_step
        if n_scored is None or not 1 <= n_scored < self.n_folds:
            return False
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        table = sign * np.array(self._fold_scores(study), dtype=float).reshape(-1, self.n_folds)
        if len(table) < max(2, self.n_startup_trials):
            return False
        best = table[table.mean(axis=1).argmax()]
        gap = float(best[:n_scored].mean()) - sign * trial.intermediate_values[n_scored]
        return gap > self.margin * gap_deviation(table) * _shrinkage(n_scored, self.n_folds)

    def _fold_scores(self, study: Study) -> list[Sequence[float]]:
        """The scores on all folds of each trial that has them."""
        evaluations: list[dict[str, Any]] = [
            trial.user_attrs.get(attrs.EVALUATION) or {}
            for trial in study.get_trials(deepcopy=False)
            if scored(trial)
        ]
        rows = [evaluation.get("split_scores") or () for evaluation in evaluations]
        return [row for row in rows if len(row) == self.n_folds]


def gap_deviation(table: np.ndarray[Any, Any]) -> float:
    """Standard deviation, between folds, of the difference between a good trial and the best one.

    The median over the better half of the trials, since bad ones differ by more than noise; infinite where
    all are equal fold by fold.

    Args:
        table: A row of scores per trial, larger ones better, shape (n_trials, n_folds).
    """
    order = np.argsort(-table.mean(axis=1), kind="stable")
    best, other_rows = table[order[0]], table[order[1:]]
    deviations = np.std(best - other_rows, axis=1, ddof=1)
    distinct = deviations[deviations > 0]
    return float(np.median(distinct[: max(2, (len(distinct) + 1) // 2)])) if len(distinct) else math.inf


def _shrinkage(n_scored: int, n_folds: int) -> float:
    """How uncertain the mean over all folds is after some of them; 1 after the first."""
    return math.sqrt((1.0 / n_scored - 1.0 / n_folds) / (1.0 - 1.0 / n_folds))

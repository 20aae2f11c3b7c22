"""What a trial reports to its pruner on the way: scores after parts of its training, or after each fold."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any
from typing import Literal

from sllmbo_magic.evaluation.iterative_fit import WHOLE

Reporting = Literal["training", "folds", "scores"]
"""``"training"``: the mean over all folds after a percentage of the rounds. ``"folds"``: the mean over the
folds so far, after each fold. ``"scores"``: the score of each fold by itself, for the Wilcoxon test."""


class Reports:
    """Reports of one trial, in the order of the steps, and the pruner's answer.

    Args:
        trial: Optuna's trial: ``report`` and ``should_prune``.
        kind: What a step is.
        n_folds: Number of folds.
    """

    def __init__(self, trial: Any, kind: Reporting, n_folds: int) -> None:
        self._trial = trial
        self.kind = kind
        self._n_folds = n_folds
        self._scores: dict[int, float] = {}
        self._n_reported = 0
        self.pruned_at = ""
        """Where the trial was pruned, in words; empty while it was not."""

    def step(self, step: int, value: float) -> bool:
        """Report a value; whether the trial is to be pruned there."""
        self._trial.report(value, step)
        if not self._trial.should_prune():
            return False
        folds_text = f"{step} of {self._n_folds} folds"
        self.pruned_at = f"{step} % of its training" if self.kind == "training" else folds_text
        return True

    def fold(self, fold: int, score: float) -> bool:
        """One fold has its score; whether to prune.

        Folds are reported in their order, whatever the timing. After the last one the pruner is not asked.
        """
        self._scores[fold] = score
        while not self.pruned_at and self._n_reported in self._scores:
            self._n_reported += 1
            scores = [self._scores[i] for i in range(self._n_reported)]
            value = scores[-1] if self.kind == "scores" else fmean(scores)
            if not math.isfinite(value):
                return False
            if self._n_reported == self._n_folds:
                self._trial.report(value, self._n_reported)
            elif self.step(self._n_reported, value):
                return True
        return bool(self.pruned_at)

    def end(self, value: float | None) -> None:
        """The value of a trial that reported as it trained, once it is whole."""
        if self.kind == "training" and value is not None and math.isfinite(value):
            self._trial.report(value, WHOLE)

    @property
    def n_reported(self) -> int:
        """Number of folds whose score was reported, in the order of the folds."""
        return self._n_reported

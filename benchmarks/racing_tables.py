"""Fold racing on tables that others made: the recorded repetitions of a configuration stand in for its folds.

8 data sets of HPOBench-MLP (5 repetitions) and 4 of FCNet (4 repetitions), Optuna's TPE with the same seeds
with and without racing, by the rule of ``sllmbo_magic/tuning/fold_racing.py``. Cost is counted
in repetitions.
``--order telling`` runs first the repetitions whose scores rank the trials so far most as their means do.
What the columns mean stands in ``fold_racing.py``; differences are in units of the noise there, too.

    python benchmarks/racing_tables.py --seeds 20 --trials 50
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from fold_racing import MORE_TRIALS
from fold_racing import Pair
from fold_racing import row
from recorded_tables import Table
from recorded_tables import table
from recorded_tables import tasks
from scipy.stats import spearmanr

from sllmbo_magic import attrs
from sllmbo_magic.tuning.fold_racing import MARGIN
from sllmbo_magic.tuning.fold_racing import N_STARTUP_TRIALS
from sllmbo_magic.tuning.fold_racing import FoldRacingPruner
from sllmbo_magic.tuning.fold_racing import gap_deviation

SUITES = ("hpobench", "fcnet")


class Search:
    """One run of TPE on a table: the score of each trial on all repetitions, and how many it ran."""

    def __init__(self, task: Table, seed: int, n_trials: int, margin: float | None, order: str) -> None:
        self._task = task
        self._order = order
        self.n_folds = len(task.losses(task.default))
        self.rows: list[np.ndarray] = []
        """The repetitions of the trials that ran all of them, in their own order."""
        self.used: list[int] = []
        self.values: list[float] = []
        """The mean of a whole trial; infinite for one that was ended."""
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if margin is not None:
            pruner = FoldRacingPruner(self.n_folds, margin)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
        study = optuna.create_study(sampler=sampler, pruner=pruner)
        study.optimize(self._objective, n_trials=n_trials)

    def _objective(self, trial: optuna.Trial) -> float:
        params = {name: trial._suggest(name, space) for name, space in self._task.space.items()}
        losses = self._task.losses(params)
        folds = self._folds()
        if self._order == "telling":  # the pruner compares the first scores; in memory they can be reordered
            for other in trial.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
                scores = np.asarray(other.user_attrs["whole"])[folds]
                other.user_attrs[attrs.EVALUATION]["split_scores"] = [float(score) for score in scores]
        for step, _ in enumerate(folds, start=1):
            trial.report(float(losses[folds[:step]].mean()), step)
            if step < self.n_folds and trial.should_prune():
                self.used.append(step)
                self.values.append(np.inf)
                raise optuna.TrialPruned
        self.used.append(self.n_folds)
        self.values.append(float(losses.mean()))
        self.rows.append(losses)
        trial.set_user_attr("whole", [float(loss) for loss in losses])
        trial.set_user_attr(attrs.EVALUATION, {"split_scores": [float(loss) for loss in losses[folds]]})
        return float(losses.mean())

    def _folds(self) -> Sequence[int]:
        if self._order == "fixed" or len(self.rows) < N_STARTUP_TRIALS:
            return range(self.n_folds)
        scores = np.array(self.rows)
        means = scores.mean(axis=1)
        told = [float(np.nan_to_num(spearmanr(scores[:, fold], means)[0])) for fold in range(self.n_folds)]
        return [int(fold) for fold in np.argsort(np.negative(told), kind="stable")]


def compared(suite: str, name: str, seed: int, n_trials: int, margin: float, order: str) -> Pair:
    task = table(suite, name, "")
    whole = Search(task, seed, n_trials, None, order)
    raced = Search(task, seed, int(MORE_TRIALS * n_trials), margin, order)
    noise = gap_deviation(-np.array(whole.rows)) / np.sqrt(whole.n_folds)
    used = np.cumsum(raced.used)
    best = min(whole.values)
    affordable = [v for v, fits in zip(raced.values, used, strict=True) if fits <= n_trials * whole.n_folds]
    return Pair(
        float(used[n_trials - 1] / (n_trials * whole.n_folds)),
        float((best - min(raced.values[:n_trials])) / noise),
        float((best - min(affordable)) / noise),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--margin", type=float, default=MARGIN)
    parser.add_argument("--order", choices=("fixed", "telling"), default="fixed")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    print(
        f"{args.trials} trials, {args.seeds} seeds, margin {args.margin:g}, order {args.order};"
        " differences in units of the noise.\n"
    )
    print(
        "| suite | tasks | share of repetitions | equal trials: not worse than 0.25 | mean (worst task)"
        " | equal cost: same or better | not worse than 0.25 | mean (worst task) |"
    )
    print("| --- " * 8 + "|")
    all_tasks: list[list[Pair]] = []
    for suite in SUITES:
        pairs = [
            [compared(suite, name, seed, args.trials, args.margin, args.order) for seed in range(args.seeds)]
            for name in tasks(suite, "")
        ]
        all_tasks += pairs
        print(row(suite, pairs), flush=True)
    print(row("all", all_tasks))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

"""Fold racing (``pruner="folds"``) against scoring each trial on all folds: what it saves, and what it costs.

12 small data sets (five that scikit-learn ships, seven made by its generators), three families (LightGBM,
random forest, support vectors), TPE, the same seeds with and without. Cost is counted in fits, with one fold
at a time, so that nothing depends on the machine. Each racing run goes on until it has made as many fits as
the other one:

* *equal trials*: the best score after as many trials as the run without racing made;
* *equal fits*: the best score after as many fits.

A difference is told in units of the folds' noise (the standard error of a difference between two
configurations on the same folds, ``History.noise``); negative is worse. After the first trial that racing
ends, TPE draws other configurations, so that differences in both directions are luck, too.

    python benchmarks/fold_racing.py --seeds 2 --trials 25
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from statistics import median
from typing import Any

import numpy as np
import optuna
from lightgbm import LGBMClassifier
from lightgbm import LGBMRegressor
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import SVR

from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.history.history import History
from sllmbo_magic.history.trials import observe
from sllmbo_magic.history.trials import scored

N_FOLDS = 5
MORE_TRIALS = 1.8
"""Trials of a racing run at most, in those of the other one; it ends when it has made as many fits."""


def _shipped(load: Callable[..., Any], n: int = 600) -> Callable[[int], tuple[Any, Any]]:
    """A data set that scikit-learn ships; the seed draws ``n`` of its rows where it has more."""

    def make(seed: int) -> tuple[Any, Any]:
        X, y = load(return_X_y=True)
        rows = np.random.default_rng(seed).permutation(len(y))[:n]
        return X[rows], y[rows]

    return make


def _classes(n: int, **options: Any) -> Callable[[int], tuple[Any, Any]]:
    return lambda seed: datasets.make_classification(n, random_state=seed, **options)


CLASSIFICATION = {
    "breast_cancer": _shipped(datasets.load_breast_cancer),
    "wine": _shipped(datasets.load_wine),
    "digits": _shipped(datasets.load_digits, 400),
    "moons": lambda seed: datasets.make_moons(400, noise=0.35, random_state=seed),
    "hastie": lambda seed: datasets.make_hastie_10_2(500, random_state=seed),
    "noisy": _classes(500, n_features=12, n_informative=5, flip_y=0.2),
    "imbalanced": _classes(600, n_features=10, n_informative=6, weights=[0.9], flip_y=0.02),
}
REGRESSION = {
    "diabetes": _shipped(datasets.load_diabetes),
    "friedman1": lambda seed: datasets.make_friedman1(400, noise=1.0, random_state=seed),
    "friedman2": lambda seed: datasets.make_friedman2(400, noise=50.0, random_state=seed),
    "friedman3": lambda seed: datasets.make_friedman3(400, noise=0.1, random_state=seed),
    "linear": lambda seed: datasets.make_regression(300, 15, n_informative=8, noise=30.0, random_state=seed),
}
DATA = {**CLASSIFICATION, **REGRESSION}


@dataclass(frozen=True)
class Family:
    """An estimator for each kind of task, what it is scored by, and the space to search."""

    classifier: Any
    regressor: Any
    scoring: str
    space: dict[str, Any]


FAMILIES = {
    "lightgbm": Family(
        LGBMClassifier(random_state=0, verbose=-1),
        LGBMRegressor(random_state=0, verbose=-1),
        "neg_log_loss",
        {
            "n_estimators": (10, 60),
            "learning_rate": (0.02, 0.5, "log"),
            "num_leaves": (2, 31),
            "min_child_samples": (2, 40),
            "colsample_bytree": (0.4, 1.0),
        },
    ),
    "forest": Family(
        RandomForestClassifier(20, random_state=0),
        RandomForestRegressor(20, random_state=0),
        "neg_log_loss",
        {"max_features": (0.1, 1.0), "min_samples_leaf": (1, 30, "log"), "max_depth": (2, 16)},
    ),
    "svm": Family(
        make_pipeline(StandardScaler(), SVC()),
        make_pipeline(StandardScaler(), SVR()),
        "accuracy",
        {"C": (1e-2, 1e3, "log"), "gamma": (1e-4, 1.0, "log")},
    ),
}


@dataclass(frozen=True)
class Pair:
    """One seed of one task: shares of fits, and the differences in units of noise.

    Attributes:
        fits: Fits of the racing run after as many trials, as a part of the other run's.
        at_trials: Best score with racing minus that without, after as many trials.
        at_fits: The same after as many fits.
    """

    fits: float
    at_trials: float
    at_fits: float


def run(family: Family, name: str, seed: int, n_trials: int, pruner: str) -> TuneResult:
    X, y = DATA[name](seed)
    classes = name in CLASSIFICATION
    space = family.space
    model = family.classifier if classes else family.regressor
    if "C" in space:
        space = {f"sv{'c' if classes else 'r'}__{key}": given for key, given in space.items()}
    return tune(
        model, X, y, scoring=family.scoring if classes else "neg_mean_absolute_error", cv=N_FOLDS,
        search_space=space, sampler="tpe", n_trials=n_trials, seed=seed, pruner=pruner, n_jobs=1,
        verify=False, folder="",
    )  # fmt: skip


def n_fits(trial: optuna.trial.FrozenTrial) -> int:
    return N_FOLDS - (trial.user_attrs.get(attrs.EVALUATION) or {}).get("skipped_folds", 0)


def best_of(trials: list[optuna.trial.FrozenTrial]) -> float:
    """All scores here are scikit-learn's: larger is better."""
    return max(trial.values[0] for trial in trials if scored(trial))


def compared(family: Family, name: str, seed: int, n_trials: int) -> Pair:
    whole = run(family, name, seed, n_trials, "none").study.trials
    raced = run(family, name, seed, int(MORE_TRIALS * n_trials), "folds").study.trials
    noise = History(tuple(observe(trial) for trial in whole), "maximize").noise or np.nan
    used = np.cumsum([n_fits(trial) for trial in raced])
    affordable = [trial for trial, fits in zip(raced, used, strict=True) if fits <= n_trials * N_FOLDS]
    return Pair(
        used[n_trials - 1] / (n_trials * N_FOLDS),
        (best_of(raced[:n_trials]) - best_of(whole)) / noise,
        (best_of(affordable) - best_of(whole)) / noise,
    )


def row(label: str, tasks: list[list[Pair]]) -> str:
    """A row of the table; a task is the list of its seeds, and counts with their mean."""
    pairs = [pair for task in tasks for pair in task]
    at_trials = [mean(pair.at_trials for pair in task) for task in tasks]
    at_fits = [mean(pair.at_fits for pair in task) for task in tasks]
    cells = [
        label,
        f"{len(tasks)}",
        f"{median(pair.fits for pair in pairs):.2f}",
        f"{mean(d >= -0.25 for d in at_trials):.2f}",
        f"{mean(at_trials):+.2f} ({min(at_trials):+.2f})",
        f"{mean(d >= 0 for d in at_fits):.2f}",
        f"{mean(d >= -0.25 for d in at_fits):.2f}",
        f"{mean(at_fits):+.2f} ({min(at_fits):+.2f})",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=25)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    print(f"{args.trials} trials, {args.seeds} seeds, {N_FOLDS} folds; differences in units of the noise.\n")
    print(
        "| family | tasks | share of fits | equal trials: not worse than 0.25 | mean (worst task)"
        " | equal fits: same or better | not worse than 0.25 | mean (worst task) |"
    )
    print("| --- " * 8 + "|")
    found: list[list[Pair]] = []
    for key in args.families:
        tasks = [
            [compared(FAMILIES[key], name, seed, args.trials) for seed in range(args.seeds)]
            for name in args.data
        ]
        found += tasks
        print(row(key, tasks), flush=True)
    print(row("all", found))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

"""Boosting, without an LLM: ``tune`` with default options against TPE from the default, after as many trials
and after as much training time.

Both search the same space on the same folds, from the library's default. Normalised regret: 0 is the best
score that either found for a task and seed, 1 the default's. *Equal time* cuts both after the fit time of the
one that was quicker. Rounds are counted as well, since they do not depend on the machine.

    python benchmarks/equal_cost.py --trials 30 --seeds 5
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from lightgbm import LGBMClassifier
from lightgbm import LGBMRegressor
from optuna.distributions import BaseDistribution
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_diabetes
from sklearn.datasets import load_wine
from sklearn.datasets import make_classification
from sklearn.model_selection import KFold
from sklearn.model_selection import StratifiedKFold
from xgboost import XGBClassifier
from xgboost import XGBRegressor
from yardstick import MODELS

from sllmbo_magic import tune


def _overlapping(seed: int) -> tuple[Any, Any]:
    return make_classification(1_000, 8, n_informative=4, flip_y=0.1, class_sep=0.7, random_state=seed)


def _saved(load: Callable[..., Any]) -> Callable[[int], tuple[Any, Any]]:
    return lambda _: load(return_X_y=True)


@dataclass(frozen=True)
class TaskOf:
    """Data for a seed, an estimator and a metric; ``space`` None searches the expert ranges of the family."""

    data: Callable[[int], tuple[Any, Any]]
    make: Callable[[], Any]
    scoring: str
    space: dict[str, BaseDistribution] | None = None


def _lightgbm(kind: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: kind(random_state=0, verbose=-1, n_jobs=1)


TASKS = {
    "overlapping, LightGBM, a user's space": TaskOf(
        _overlapping, _lightgbm(LGBMClassifier), "roc_auc", dict(MODELS["lightgbm"].space)
    ),
    "overlapping, XGBoost, a user's space": TaskOf(
        _overlapping,
        lambda: XGBClassifier(random_state=0, n_jobs=1),
        "roc_auc",
        dict(MODELS["xgboost"].space),
    ),
    "breast cancer, LightGBM": TaskOf(_saved(load_breast_cancer), _lightgbm(LGBMClassifier), "neg_log_loss"),
    "diabetes, XGBoost": TaskOf(
        _saved(load_diabetes), lambda: XGBRegressor(random_state=0, n_jobs=1), "neg_mean_absolute_error"
    ),
    "diabetes, LightGBM": TaskOf(_saved(load_diabetes), _lightgbm(LGBMRegressor), "neg_mean_absolute_error"),
    "wine, LightGBM": TaskOf(_saved(load_wine), _lightgbm(LGBMClassifier), "neg_log_loss"),
}
ARMS: dict[str, dict[str, Any]] = {"tpe": {"sampler": "tpe"}, "default options": {}}


@dataclass(frozen=True)
class Searched:
    """Per trial: score (higher is better), rounds, and seconds of its evaluation."""

    scores: np.ndarray
    rounds: np.ndarray
    seconds: np.ndarray

    def best_after(self, spent: np.ndarray, budget: float) -> float:
        """The best score of the trials that a budget pays for; the default's trial is free."""
        n = max(1, int(np.searchsorted(np.cumsum(spent), budget, side="right")))
        return float(self.scores[:n].max())


def search(task: TaskOf, seed: int, n_trials: int, options: dict[str, Any]) -> Searched:
    """One search, without the closing check."""
    X, y = task.data(seed)
    folds: Any = KFold if task.scoring == "neg_mean_absolute_error" else StratifiedKFold
    if task.space is not None:
        options = {**options, "search_space": dict(task.space)}
    result = tune(
        task.make(), X, y, cv=folds(5, shuffle=True, random_state=seed), scoring=task.scoring, seed=seed,
        n_trials=n_trials, folder="", verify=False, **options,
    )  # fmt: skip
    rounds = task.make().get_params()["n_estimators"] or 100
    trials = [t for t in result.study.trials if t.state.name == "COMPLETE"]
    return Searched(
        np.array([t.value for t in trials]),
        np.array([t.params.get("n_estimators", rounds) for t in trials], dtype=float),
        np.array([t.duration.total_seconds() for t in trials]),
    )


def rows(name: str, seeds: int, n_trials: int) -> dict[str, list[list[float]]]:
    """For each arm and seed: regret at 10 trials, at all, after equal rounds, after equal time; rounds and
    seconds over those of TPE.
    """
    out: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    for seed in range(seeds):
        found = {arm: search(TASKS[name], seed, n_trials, options) for arm, options in ARMS.items()}
        best = max(one.scores.max() for one in found.values())
        default = found["tpe"].scores[0]
        if best == default:
            continue
        rounds = min(one.rounds.sum() for one in found.values())
        seconds = min(one.seconds.sum() for one in found.values())
        for arm, one in found.items():
            scores = (
                one.scores[:10].max(),
                one.scores.max(),
                one.best_after(one.rounds, rounds),
                one.best_after(one.seconds, seconds),
            )
            regrets = [float((best - score) / (best - default)) for score in scores]
            ratios = [
                one.rounds.sum() / found["tpe"].rounds.sum(),
                one.seconds.sum() / found["tpe"].seconds.sum(),
            ]
            out[arm].append([*regrets, *map(float, ratios)])
    return out


def row(name: str, arm: str, found: list[list[float]]) -> str:
    means = np.array(found).mean(axis=0)
    ratios = np.exp(np.log(np.array(found)[:, 4:]).mean(axis=0))
    return f"| {name} | {arm} | " + " | ".join(f"{v:.3f}" for v in (*means[:4], *ratios)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print("Mean regret, and geometric means of the ratios to TPE.\n")
    columns = "at 10 trials | at the end | equal rounds | equal time | rounds / TPE | fit time / TPE"
    print(f"| task | arm | {columns} |")
    print("| --- " * 8 + "|")
    together: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    for name in args.tasks:
        for arm, found in rows(name, args.seeds, args.trials).items():
            together[arm] += found
            if found:
                print(row(name, arm, found), flush=True)
    for arm, found in together.items():
        if found:
            print(row("all", arm, found))


if __name__ == "__main__":
    main()

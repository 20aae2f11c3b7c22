"""Rulebook + TPE against plain TPE on real data, several paired seeds, and the spread.

Four tasks ship with scikit-learn, so anyone can run them. The paper's own need data that is not part of
the project: ``--data`` is a folder with ``concrete_strength.csv.gz`` and ``energy.csv.gz`` (UCI, CC BY
4.0); there the task is LightGBM, MAE, five folds on the 80 % training part. Both sides search the same
space, the rulebook's. The rulebook is an adviser of expert rules, not an LLM: this is no result about LLMs.

    python benchmarks/real_data.py --seeds 6 --trials 30
    python benchmarks/real_data.py --data DIR --tasks concrete_strength --seeds 6 --trials 50
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from lightgbm import LGBMRegressor
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_diabetes
from sklearn.datasets import load_wine
from sklearn.model_selection import KFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic.compare import compare

MAE = "neg_mean_absolute_error"
SHIPPED: dict[str, tuple[Any, Any, str]] = {
    "diabetes-lightgbm": (LGBMRegressor(random_state=42, verbose=-1), load_diabetes, MAE),
    "diabetes-svr": (make_pipeline(StandardScaler(), SVR()), load_diabetes, MAE),
    "breast-cancer-svc": (make_pipeline(StandardScaler(), SVC()), load_breast_cancer, "f1_weighted"),
    "wine-tree": (DecisionTreeClassifier(random_state=42), load_wine, "f1_weighted"),
}
PAPER = {
    "concrete_strength": (
        "strength",
        ["age", "fine_aggregate"],
        KFold(5, shuffle=True, random_state=42),
        True,
    ),
    "energy": ("Appliances", ["date"], TimeSeriesSplit(5, test_size=100), False),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of the paper's data")
    parser.add_argument("--tasks", nargs="*", default=[*SHIPPED], choices=[*SHIPPED, *PAPER])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    if args.data is None and not {*args.tasks} <= {*SHIPPED}:
        parser.error("the paper's tasks need --data DIR")
    for name in args.tasks:
        estimator, X, y, options = _shipped(name) if name in SHIPPED else _paper(name, args.data)
        found = compare(
            estimator,
            X,
            y,
            samplers=("llm-tpe", "tpe"),
            seeds=range(args.seeds),
            n_trials=args.trials,
            llm="rulebook",
            **options,
        )
        print(f"{name}: {args.trials} trials, {args.seeds} seeds\n{found.table()}\n", flush=True)


def _shipped(name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
    estimator, load, scoring = SHIPPED[name]
    X, y = load(return_X_y=True)
    return estimator, X, y, {"scoring": scoring}


def _paper(name: str, folder: Path) -> tuple[Any, Any, Any, dict[str, Any]]:
    target, drop, cv, shuffle = PAPER[name]
    frame = pd.read_csv(folder / f"{name}.csv.gz").drop(columns=drop)
    train, _ = train_test_split(frame, test_size=0.2, random_state=42 if shuffle else None, shuffle=shuffle)
    estimator = LGBMRegressor(random_state=42, verbose=-1)
    return estimator, train.drop(columns=target), train[target], {"scoring": MAE, "cv": cv}


if __name__ == "__main__":
    main()

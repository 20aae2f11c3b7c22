"""Rulebook + TPE against plain TPE on the paper's data, several paired seeds, and the spread.

The data is not part of the project: ``--data`` is a folder with ``concrete_strength.csv.gz`` and
``energy.csv.gz`` (UCI, CC BY 4.0). The task is the paper's: LightGBM, MAE, five folds on the 80 % training
part; both sides search the same space, the rulebook's. The rulebook is an adviser of expert rules, not an
LLM: this is no result about LLMs.

    python benchmarks/real_data.py --data DIR --seeds 6 --trials 50
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from lightgbm import LGBMRegressor
from sklearn.model_selection import KFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection import train_test_split

from sllmbo_magic.compare import compare

TASKS = {
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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="*", default=["concrete_strength"], choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=50)
    args = parser.parse_args()
    for name in args.tasks:
        target, drop, cv, shuffle = TASKS[name]
        frame = pd.read_csv(args.data / f"{name}.csv.gz").drop(columns=drop)
        seed = 42 if shuffle else None
        train, _ = train_test_split(frame, test_size=0.2, random_state=seed, shuffle=shuffle)
        found = compare(
            LGBMRegressor(random_state=42, verbose=-1),
            train.drop(columns=target),
            train[target],
            samplers=("llm-tpe", "tpe"),
            seeds=range(args.seeds),
            n_trials=args.trials,
            scoring="neg_mean_absolute_error",
            cv=cv,
            llm="rulebook",
        )
        print(f"{name}: {args.trials} trials, {args.seeds} seeds\n{found.table()}\n", flush=True)


if __name__ == "__main__":
    main()

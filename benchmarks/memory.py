"""Memory of a run on large data, over that of scikit-learn's cross-validation of the same configurations.

Each side runs in a process of its own: three trials of a linear model, 5 folds on two threads. The peak is
that of the resident memory above what the process had with the data loaded, in sizes of X. The rows of a fold
are a copy of X, 0.8 for training and 0.2 to be scored, and two folds run at a time, so that 2 is what nobody
can avoid here.

    python benchmarks/memory.py --rows 1000000 --columns 500
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import joblib
import numpy as np
import psutil
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_val_score

from sllmbo_magic import tune

N_TRIALS = 3
SIDES = ("scikit-learn", "tune", "tune, threads:2")


def data(n_rows: int, n_columns: int) -> tuple[Any, Any]:
    """float32, made in parts, so that making it needs no second copy."""
    random = np.random.default_rng(0)
    X = np.empty((n_rows, n_columns), dtype=np.float32)
    for start in range(0, n_rows, 50_000):
        part = X[start : start + 50_000]
        part[:] = random.standard_normal(part.shape, dtype=np.float32)
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def search(side: str, X: Any, y: Any) -> None:
    model = SGDClassifier(max_iter=2, tol=None, random_state=0)
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    if side == "scikit-learn":
        for alpha in np.logspace(-5, -3, N_TRIALS):
            with joblib.parallel_config("threading", n_jobs=2):
                cross_val_score(model.set_params(alpha=alpha), X, y, cv=cv)
        return
    executor = "threads:2" if side.endswith("threads:2") else None
    space = {"alpha": (1e-6, 1e-2, "log")}
    tune(
        model, X, y, cv=cv, scoring="accuracy", search_space=space, n_trials=N_TRIALS, n_jobs=2, folder="",
        seed=0, executor=executor,
    )  # fmt: skip


def measure(side: str, n_rows: int, n_columns: int) -> None:
    """Print a row of the table; the search runs in this process."""
    warnings.simplefilter("ignore")
    X, y = data(n_rows, n_columns)
    process = psutil.Process()
    before = peak = process.memory_info().rss
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    search(side, X, y)
    seconds = time.perf_counter() - began
    over.set()
    watcher.join()
    print(f"| {side} | {(peak - before) / X.nbytes:.2f} | {seconds:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--side", choices=SIDES, help="only this one, in this process")
    args = parser.parse_args()
    if args.side:
        measure(args.side, args.rows, args.columns)
        return
    print(f"{args.rows:,} rows of {args.columns} columns, {args.rows * args.columns * 4 / 1e9:.1f} GB.\n")
    print("| side | peak, in sizes of X | seconds, closing check included |")
    print("| --- " * 3 + "|", flush=True)
    for side in SIDES:
        options = ["--rows", str(args.rows), "--columns", str(args.columns), "--side", side]
        subprocess.run([sys.executable, __file__, *options], check=True)


if __name__ == "__main__":
    main()

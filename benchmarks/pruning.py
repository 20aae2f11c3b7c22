"""Pruned against whole trials: how much training is saved, and what the saving costs in score.

LightGBM on two data sets that scikit-learn ships (diabetes, breast cancer), rulebook and TPE together, the
same seeds with and without a pruner. Training is counted in boosting rounds, which do not move with the
machine: the rounds of a trial, or the part of them after which it was pruned. What is lost is told as a share
of what the search without a pruner gained over the default; both sides have the same number of trials. The
rulebook is no LLM.

    python benchmarks/pruning.py --seeds 5 --trials 40
"""

from __future__ import annotations

import argparse
from statistics import mean

from lightgbm import LGBMClassifier
from lightgbm import LGBMRegressor
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_diabetes

from sllmbo_magic.comparison.compare import compare
from sllmbo_magic.comparison.result import ComparedRun

TASKS = {
    "diabetes": (LGBMRegressor(random_state=0, verbose=-1), load_diabetes, "neg_mean_absolute_error"),
    "breast_cancer": (LGBMClassifier(random_state=0, verbose=-1), load_breast_cancer, "neg_log_loss"),
}


def rounds(run: ComparedRun) -> float:
    """Boosting rounds that the run trained, in each fold."""
    assert run.result is not None
    total = 0.0
    for trial in run.result.trials[1:]:
        part = trial.last_step / 100 if trial.state.name == "PRUNED" else 1.0
        total += part * trial.params["n_estimators"]
    return total


def best(run: ComparedRun) -> float:
    assert run.result is not None
    return run.result.best_value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--pruners", nargs="*", default=["asha", "hyperband"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    args = parser.parse_args()
    pruners = ["none", *args.pruners]
    for name in args.tasks:
        model, load, scoring = TASKS[name]
        X, y = load(return_X_y=True)
        found = compare(
            model,
            X,
            y,
            variants={pruner: {"pruner": pruner} for pruner in pruners},
            seeds=range(args.seeds),
            n_trials=args.trials,
            scoring=scoring,
        )
        by_variant = [found.runs[i :: len(pruners)] for i in range(len(pruners))]
        whole = by_variant[0]
        gain = mean(best(run) - run.result.default_value for run in whole)
        print(f"{name}: {args.trials} trials, {args.seeds} seeds, gain without a pruner {gain:.4g}")
        for pruner, runs in zip(pruners, by_variant, strict=True):
            pairs = list(zip(runs, whole, strict=True))
            lost = [(best(other) - best(run)) / gain for run, other in pairs]
            print(
                f"  {pruner:9s} rounds {mean(rounds(a) / rounds(b) for a, b in pairs):.2f}"
                f"  seconds {mean(a.seconds / b.seconds for a, b in pairs):.2f}"
                f"  share of the gain lost {mean(lost):+.2f} ({', '.join(f'{v:+.2f}' for v in lost)})",
                flush=True,
            )


if __name__ == "__main__":
    main()

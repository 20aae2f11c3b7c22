"""What stopping early gives away: patience 5 and 15 (the paper's) and ``auto`` on runs of plain TPE.

Each run of 100 trials is made once, and each rule is asked where it would have ended it. Data sets ship with
scikit-learn; small estimators, so that it takes minutes.

    python benchmarks/patience.py --seeds 5
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_diabetes
from sklearn.datasets import load_digits
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree import DecisionTreeRegressor

from sllmbo_magic import tune
from sllmbo_magic.history.history import History
from sllmbo_magic.history.trials import observe
from sllmbo_magic.tuning.stopping import make_rule

TASKS = (
    (DecisionTreeClassifier(random_state=0), load_wine, "f1_weighted", 178),
    (DecisionTreeClassifier(random_state=0), load_breast_cancer, "neg_log_loss", 569),
    (DecisionTreeRegressor(random_state=0), load_diabetes, "neg_mean_absolute_error", 442),
    (make_pipeline(StandardScaler(), SVR()), load_diabetes, "neg_mean_absolute_error", 442),
    (make_pipeline(StandardScaler(), SVC()), load_breast_cancer, "f1_weighted", 569),
    (make_pipeline(StandardScaler(), SVC()), load_digits, "accuracy", 400),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100)
    args = parser.parse_args()
    curves = []
    for model, load, scoring, rows in TASKS:
        X, y = load(return_X_y=True)
        for seed in range(args.seeds):
            result = tune(
                model,
                X[:rows],
                y[:rows],
                scoring=scoring,
                sampler="tpe",
                n_trials=args.trials,
                seed=seed,
                folder="",
                verify=False,
            )
            curves.append([observe(trial) for trial in result.trials])
    print(f"{len(curves)} runs of {args.trials} trials; 'given away' in standard errors of a difference")
    for patience in (5, 15, "auto"):
        ends, lost = np.array([_ended(patience, curve) for curve in curves]).T
        print(
            f"patience {patience}: ends after {np.median(ends):.0f} trials"
            f" ({ends.min():.0f} to {ends.max():.0f});"
            f" given away {np.median(lost):.2f} (median), {lost.max():.2f} (most)"
        )


def _ended(patience: int | str, curve: list) -> tuple[int, float]:
    """After how many trials the rule ends this run, and what the rest would have gained, over the noise."""
    rule, whole = make_rule(patience), History(tuple(curve))
    ends = (n for n in range(2, len(curve)) if rule.reason(History(tuple(curve[:n]))) is not None)
    end = next(ends, len(curve))
    reached = History(tuple(curve[:end])).incumbent
    return end, (whole.incumbent.value - reached.value) / whole.noise


if __name__ == "__main__":
    main()

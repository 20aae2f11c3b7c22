"""What a user would write instead, against ours: wall time for the same number of trials.

The loop of a user is ``study.optimize`` over ``cross_val_score``, (a) as people write it, and (b) with the
folds on processes (``n_jobs=-1``) and one thread per estimator. Ours is ``tune`` with default options and no
LLM, closing check included, and ``tune(sampler="tpe", verify=False)``, which does what the loop does; both
also with ``executor="threads:2"``, two trials at a time. All sides have the same space, folds, seed and
number of trials, and run in turns whose order changes from seed to seed. ``reached`` is the time until ours,
with default options, has a score as good as the one that (a) ends with, as a part of the time of (a); ``-``
where ours never has it.

The second table is the evaluator alone: one evaluation by ours over scikit-learn's ``cross_validate`` with
the folds on as many threads, in turns, and whether all scores are equal to the last bit.

    python benchmarks/yardstick.py --trials 50 --seeds 3 --models lightgbm forest --sizes small
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import joblib
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_val_score
from sklearn.model_selection import cross_validate
from sklearn.neural_network import MLPClassifier

from sllmbo_magic import tune
from sllmbo_magic.evaluation import CrossValidator
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.task.task import Task

SCORING = "roc_auc"
SIZES = {"small": (1_000, 8), "middle": (20_000, 20)}


@dataclass(frozen=True)
class Model:
    """An estimator as people write it, the parameter that sets its threads, and the space to search."""

    make: Callable[[], Any]
    threads: str | None
    space: Mapping[str, BaseDistribution]


def lightgbm() -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(random_state=0, verbose=-1)


def xgboost() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=0)


BOOSTING: dict[str, BaseDistribution] = {
    "n_estimators": IntDistribution(50, 500, log=True),
    "learning_rate": FloatDistribution(0.01, 0.3, log=True),
    "subsample": FloatDistribution(0.5, 1.0),
    "colsample_bytree": FloatDistribution(0.5, 1.0),
    "reg_lambda": FloatDistribution(1e-3, 10.0, log=True),
}

MODELS = {
    "lightgbm": Model(lightgbm, "n_jobs", {**BOOSTING, "num_leaves": IntDistribution(4, 128, log=True)}),
    "xgboost": Model(xgboost, "n_jobs", {**BOOSTING, "max_depth": IntDistribution(2, 10)}),
    "forest": Model(
        lambda: RandomForestClassifier(random_state=0),
        "n_jobs",
        {
            "n_estimators": IntDistribution(50, 300, log=True),
            "max_features": FloatDistribution(0.1, 1.0),
            "min_samples_leaf": IntDistribution(1, 20, log=True),
        },
    ),
    "mlp": Model(
        lambda: MLPClassifier(random_state=0, max_iter=50),
        None,
        {
            "hidden_layer_sizes": IntDistribution(16, 128, log=True),
            "alpha": FloatDistribution(1e-6, 1e-1, log=True),
            "learning_rate_init": FloatDistribution(1e-4, 1e-2, log=True),
        },
    ),
}


@dataclass(frozen=True)
class Searched:
    """One search: wall seconds, best score, and (seconds, best score so far) after each trial."""

    seconds: float
    best: float
    course: list[tuple[float, float]]


def users_loop(
    model: Model, X: Any, y: Any, cv: Any, seed: int, n_trials: int, *, processes: bool
) -> Searched:
    """``study.optimize`` over ``cross_val_score``."""
    estimator = model.make()
    if processes and model.threads is not None:
        estimator.set_params(**{model.threads: 1})

    def objective(trial: optuna.Trial) -> float:
        params = {name: trial._suggest(name, one) for name, one in model.space.items()}
        candidate = clone(estimator).set_params(**params)
        jobs = -1 if processes else None
        return float(cross_val_score(candidate, X, y, cv=cv, scoring=SCORING, n_jobs=jobs).mean())

    course: list[tuple[float, float]] = []
    started = time.perf_counter()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(
        objective,
        n_trials=n_trials,
        callbacks=[lambda s, _: course.append((time.perf_counter() - started, s.best_value))],
    )
    return Searched(time.perf_counter() - started, study.best_value, course)


def ours(model: Model, X: Any, y: Any, cv: Any, seed: int, n_trials: int, **options: Any) -> Searched:
    """``tune``, kept in memory as the user's study is."""
    course: list[tuple[float, float]] = []
    started = time.perf_counter()

    def note(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.best_value is not None:
            course.append((time.perf_counter() - started, event.best_value))

    result = tune(
        model.make(), X, y, cv=cv, scoring=SCORING, search_space=dict(model.space), seed=seed,
        n_trials=n_trials, folder="", sinks=[note], **options,
    )  # fmt: skip
    return Searched(time.perf_counter() - started, result.best_value, course)


SIDES: dict[str, Callable[..., Searched]] = {
    "a": lambda *where: users_loop(*where, processes=False),
    "b": lambda *where: users_loop(*where, processes=True),
    "ours": ours,
    "ours, no check": lambda *where: ours(*where, verify=False),
    "tpe": lambda *where: ours(*where, sampler="tpe", verify=False),
    "ours, 2 trials": lambda *where: ours(*where, executor="threads:2"),
    "tpe, 2 trials": lambda *where: ours(*where, sampler="tpe", verify=False, executor="threads:2"),
}
COLUMNS = (
    ("ours", "a"), ("ours", "b"), ("ours, no check", "b"), ("tpe", "a"), ("tpe", "b"),
    ("ours, 2 trials", "a"), ("ours, 2 trials", "b"), ("tpe, 2 trials", "a"), ("tpe, 2 trials", "b"),
)  # fmt: skip
"""Which side over which loop."""


def reached(course: list[tuple[float, float]], score: float) -> float | None:
    """Seconds until a score was reached; None when it never was."""
    return next((seconds for seconds, best in course if best >= score), None)


def search_rows(model: str, size: str, seeds: int, n_trials: int) -> str:
    """A row of the first table."""
    n, p = SIZES[size]
    by_side: dict[str, list[Searched]] = {side: [] for side in SIDES}
    for seed in range(seeds):
        X, y = make_classification(n, p, n_informative=p // 2, flip_y=0.1, class_sep=0.7, random_state=seed)
        cv = StratifiedKFold(5, shuffle=True, random_state=seed)
        order = list(SIDES)
        for side in order[seed % len(order) :] + order[: seed % len(order)]:
            by_side[side].append(SIDES[side](MODELS[model], X, y, cv, seed, n_trials))

    def over(side: str, other: str) -> str:
        pairs = zip(by_side[side], by_side[other], strict=True)
        return f"{median(s.seconds / o.seconds for s, o in pairs):.2f}"

    parts = [
        None if (when := reached(mine.course, user.best)) is None else when / user.seconds
        for mine, user in zip(by_side["ours"], by_side["a"], strict=True)
    ]
    shown = ", ".join("-" if part is None else f"{part:.2f}" for part in parts)
    seconds = " / ".join(f"{median(s.seconds for s in found):.1f}" for found in by_side.values())
    gains = [m.best - u.best for m, u in zip(by_side["ours"], by_side["a"], strict=True)]
    ratios = [over(*columns) for columns in COLUMNS]
    cells = [f"{model}, {n:,} x {p}", *ratios, shown, f"{median(gains):+.4f}", seconds]
    return f"| {' | '.join(cells)} |"


def overhead_row(model: str, size: str, repeats: int) -> str:
    """A row of the second table."""
    n, p = SIZES[size]
    X, y = make_classification(n, p, n_informative=p // 2, flip_y=0.1, class_sep=0.7, random_state=0)
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    task = Task.from_estimator(MODELS[model].make(), X, y, cv=cv, scoring=SCORING)
    evaluator = CrossValidator(task)
    estimator = MODELS[model].make()
    if MODELS[model].threads is not None and estimator.get_params()[MODELS[model].threads] is None:
        estimator.set_params(**{MODELS[model].threads: evaluator.estimator_threads})
    times: dict[str, list[float]] = {"theirs": [], "ours": []}
    scores: dict[str, list[float]] = {}
    # the sides swap places from one repetition to the next
    for side in itertools.islice(itertools.cycle(("ours", "theirs", "theirs", "ours")), 2 * repeats + 2):
        started = time.perf_counter()
        if side == "ours":
            scores[side] = list(evaluator.evaluate({}).split_scores)
        else:
            with joblib.parallel_config("threading", n_jobs=evaluator.fold_threads):
                found = cross_validate(clone(estimator), X, y, cv=cv, scoring=SCORING, error_score="raise")
            scores[side] = found["test_score"].tolist()
        times[side].append(time.perf_counter() - started)
    evaluator.close()
    ratio = median(a / b for a, b in zip(times["ours"][1:], times["theirs"][1:], strict=True))
    same = "yes" if scores["ours"] == scores["theirs"] else "NO"
    return f"| {model}, {n:,} x {p} | {ratio:.3f} | {same} | {median(times['theirs']):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7, help="of the evaluator alone; 0: leave it out")
    parser.add_argument("--only-overhead", action="store_true")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if not args.only_overhead:
        print(
            f"Wall time of ours over the user's loop: {args.trials} trials, median of {args.seeds} seeds.\n"
        )
        heads = [f"{side} / ({other})" for side, other in COLUMNS]
        heads += ["reached", "best, ours - (a)", f"seconds: {' / '.join(SIDES)}"]
        print(f"| model, data | {' | '.join(heads)} |")
        print("| --- " * (len(heads) + 1) + "|")
        for size, model in itertools.product(args.sizes, args.models):
            print(search_rows(model, size, args.seeds, args.trials), flush=True)
        print()
    if args.repeats:
        print("| model, data | CrossValidator / cross_validate | scores equal | seconds |")
        print("| --- " * 4 + "|")
        for size, model in itertools.product(args.sizes, args.models):
            print(overhead_row(model, size, args.repeats), flush=True)


if __name__ == "__main__":
    main()

"""Rulebook + TPE against TPE that starts from the default, on real data; the paper's scores; ``--select``.

Tasks ``sklearn`` ship with scikit-learn, so anyone can run them; a fifth of their rows, another one for each
seed, is kept for the test. Tasks ``paper`` are LightGBM on three of the paper's data sets (UCI, CC BY 4.0),
which are no part of the project: ``--data`` is a folder with ``concrete_strength.csv.gz``,
``energy.csv.gz`` and ``adult_census.csv.gz``; rows, folds and test part are the paper's. Both arms evaluate
the library's default first, search the same space (the prior's) and have the same folds. The rulebook is an
adviser of expert rules, not an LLM: this is no result about LLMs.

Of each run the three best configurations are scored again on fresh folds and, fitted on all training rows, on
the test rows, which neither search nor choice has seen.

Every run (task, arm, seed) is one line of ``--out`` (JSON lines). A run that is there is not made again, so
the benchmark can be stopped and continued. ``rescore`` evaluates configurations that the paper's authors
recorded (``paper_trials.csv.gz``) on our folds.

    python benchmarks/real_data.py run --out real.jsonl --seeds 5 --trials 25
    python benchmarks/real_data.py run --out real.jsonl --data DIR --tasks paper --seeds 5 --trials 50
    python benchmarks/real_data.py show --out real.jsonl
    python benchmarks/real_data.py rescore --data DIR --count 5
"""

from __future__ import annotations

import argparse
import csv
import datetime
import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from lightgbm import LGBMRegressor
from scipy.stats import wilcoxon
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_diabetes
from sklearn.datasets import load_digits
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import attrs
from sllmbo_magic.evaluation.cross_validation import CrossValidator
from sllmbo_magic.evaluation.fold_fit import refit
from sllmbo_magic.evaluation.fold_fit import scorer_of
from sllmbo_magic.evaluation.fresh_splits import fresh_tasks
from sllmbo_magic.evaluation.paired_scores import Fits
from sllmbo_magic.evaluation.paired_scores import paired_scores
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.result import winning_params
from sllmbo_magic.tuning.tune import tune

MAE, F1 = "neg_mean_absolute_error", "f1_weighted"
MARKS = (10, 25)
WHOLE = ("num_leaves", "max_depth", "n_estimators", "min_child_samples")
LIGHTGBM = (*WHOLE, "learning_rate", "subsample", "colsample_bytree", "reg_alpha", "reg_lambda")
N_TOP = 3
ARMS: dict[str, dict[str, Any]] = {
    "rulebook": {"sampler": "llm-tpe", "llm": "rulebook"},
    "tpe": {"sampler": "tpe"},
}


def _scaled(estimator: Any) -> Any:
    return make_pipeline(StandardScaler(), estimator)


SKLEARN: dict[str, tuple[Any, Callable[..., Any], str]] = {
    "diabetes-lightgbm": (LGBMRegressor(random_state=42, verbose=-1), load_diabetes, MAE),
    "diabetes-svr": (_scaled(SVR()), load_diabetes, MAE),
    "diabetes-forest": (RandomForestRegressor(random_state=42), load_diabetes, MAE),
    "breast-cancer-lightgbm": (LGBMClassifier(random_state=42, verbose=-1), load_breast_cancer, F1),
    "breast-cancer-svc": (_scaled(SVC()), load_breast_cancer, F1),
    "breast-cancer-logistic": (_scaled(LogisticRegression()), load_breast_cancer, F1),
    "breast-cancer-forest": (RandomForestClassifier(random_state=42), load_breast_cancer, F1),
    "wine-tree": (DecisionTreeClassifier(random_state=42), load_wine, F1),
    "wine-mlp": (_scaled(MLPClassifier(random_state=42)), load_wine, F1),
    "digits-knn": (KNeighborsClassifier(), load_digits, F1),
    "digits-svc": (_scaled(SVC()), load_digits, F1),
}
PAPER: dict[str, dict[str, Any]] = {
    "concrete_strength": {
        "target": "strength",
        "drop": ["age", "fine_aggregate"],
        "cv": KFold(5, shuffle=True, random_state=42),
        "recorded": -9.5110,
    },
    "adult_census": {
        "target": "class",
        "keep": ["age", "education-num", "hours-per-week"],
        "cv": StratifiedKFold(5, shuffle=True, random_state=42),
        "recorded": 0.78256,
    },
    "energy": {
        "target": "Appliances",
        "drop": ["date"],
        "cv": TimeSeriesSplit(5, test_size=100),
        "recorded": -41.808,
    },
}
"""``recorded``: the best score of any method with LightGBM in ``paper_results.csv``, larger is better."""


def task_of(name: str, seed: int, data: Path | None) -> Task:
    """Training and test rows, folds, estimator and metric of one run."""
    if name in SKLEARN:
        estimator, load, scoring = SKLEARN[name]
        X, y = load(return_X_y=True)
        train = train_test_split(
            X, y, test_size=0.2, random_state=seed, stratify=y if scoring == F1 else None
        )
        cv: Any = 5
    else:
        assert data is not None
        paper = PAPER[name]
        frame = pd.read_csv(data / f"{name}.csv.gz")
        y = frame[paper["target"]]
        X = frame[paper["keep"]] if "keep" in paper else frame.drop(columns=[*paper["drop"], y.name])
        if y.dtype == object or str(y.dtype) == "str":
            y = pd.Series(pd.factorize(y, sort=True)[0], name=y.name)
        shuffled = name != "energy"
        train = train_test_split(X, y, test_size=0.2, random_state=42 if shuffled else None, shuffle=shuffled)
        scoring, cv = (F1 if name == "adult_census" else MAE), paper["cv"]
        model = LGBMClassifier if scoring == F1 else LGBMRegressor
        estimator = model(random_state=42, verbose=-1)
    X_train, X_test, y_train, y_test = train
    return Task.from_estimator(
        estimator, X_train, y_train, X_test=X_test, y_test=y_test, scoring=scoring, cv=cv
    )


def run(name: str, arm: str, seed: int, n_trials: int, data: Path | None, n_jobs: int | None) -> Any:
    """One run as a line of the output."""
    task = task_of(name, seed, data)
    result = tune(task, n_trials=n_trials, seed=seed, folder="", verify=False, n_jobs=n_jobs, **ARMS[arm])
    trials = [t for t in result.trials if t.state.is_finished()]
    scored = [t for t in trials if t.values]
    incumbents = [t for i, t in enumerate(scored) if all(t.values[0] > o.values[0] for o in scored[:i])]
    top: list[Any] = []
    for trial in sorted(scored, key=lambda t: (-t.values[0], t.number)):
        if len(top) < N_TOP and all(winning_params(trial) != winning_params(other) for other in top):
            top.append(trial)
    tasks = fresh_tasks(task, seed + 1000)

    def params_of(trial: Any) -> dict[str, Any]:
        """As the estimator takes them: layers are tuples, for which a trial has labels."""
        return decoded(winning_params(trial), result.objects)

    table = paired_scores(tasks, [params_of(t) for t in top], Fits(n_jobs)) if tasks else ""
    fresh = None if isinstance(table, str) else table
    tests = {t.number: test_score(task, params_of(t)) for t in [*incumbents, *top]}
    return {
        "task": name,
        "arm": arm,
        "seed": seed,
        "n_trials": n_trials,
        "values": [t.values[0] if t.values else None for t in trials],
        "default": result.default_value,
        "seconds": result.summary["seconds"],
        "incumbents": [[t.number, t.values[0], tests[t.number]] for t in incumbents],
        "top": [
            {
                "trial": t.number,
                "value": t.values[0],
                "splits": list(t.user_attrs[attrs.EVALUATION]["split_scores"]),
                "fresh": None if fresh is None else list(fresh[i]),
                "test": tests[t.number],
                "params": winning_params(t),
            }
            for i, t in enumerate(top)
        ],
        "date": datetime.date.today().isoformat(),
        "versions": {n: version(n) for n in ("sllmbo-magic", "optuna", "scikit-learn", "lightgbm", "numpy")},
    }


def test_score(task: Task, params: Any) -> float:
    """The score on the test rows of the estimator fitted on all training rows."""
    model = refit(task, params)
    return float(scorer_of(task, model)(model, task.X_test, task.y_test))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="make the runs that are not there yet")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--data", type=Path, help="folder of the paper's data")
    running.add_argument("--tasks", nargs="*", default=["sklearn"], help="sklearn, paper, or names of tasks")
    running.add_argument("--arms", nargs="*", default=[*ARMS], choices=[*ARMS])
    running.add_argument("--seeds", type=int, default=5)
    running.add_argument("--first-seed", type=int, default=0)
    running.add_argument("--trials", type=int, default=25)
    running.add_argument("--n-jobs", type=int)
    showing = commands.add_parser("show", help="the tables, as Markdown")
    showing.add_argument("--out", type=Path, required=True)
    rescoring = commands.add_parser("rescore", help="evaluate recorded LightGBM configurations of the paper")
    rescoring.add_argument("--data", type=Path, required=True)
    rescoring.add_argument("--count", type=int, default=5, help="configurations per data set")
    args = parser.parse_args()
    if args.command == "run":
        groups = {"sklearn": [*SKLEARN], "paper": [*PAPER]}
        names = [name for task in args.tasks for name in groups.get(task, [task])]
        unknown = [name for name in names if name not in {**SKLEARN, **PAPER}]
        if unknown:
            parser.error(f"no task {unknown[0]}; there are: {', '.join({**SKLEARN, **PAPER})}")
        if args.data is None and not {*names} <= {*SKLEARN}:
            parser.error("the paper's tasks need --data DIR")
        run_all(names, args)
    elif args.command == "show":
        print(show(read(args.out)))
    else:
        rescore(args.data, args.count)


def read(out: Path) -> list[dict[str, Any]]:
    """The runs; a line that was cut off is left out."""
    runs = []
    for line in out.read_text().splitlines() if out.exists() else ():
        try:
            runs.append(json.loads(line))
        except ValueError:
            continue
    return runs


def run_all(names: list[str], args: argparse.Namespace) -> None:
    done = {(r["task"], r["arm"], r["seed"], r["n_trials"]) for r in read(args.out)}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for name in names:
            for arm in args.arms:
                if (name, arm, seed, args.trials) in done:
                    continue
                row = run(name, arm, seed, args.trials, args.data, args.n_jobs)
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(name, arm, seed, row["seconds"], flush=True)


def show(runs: list[dict[str, Any]]) -> str:
    """The tables in Markdown: regret, the paper's recorded scores, what ``--select`` changes on test data."""
    return "\n\n".join([*_regret(runs), _recorded(runs), *_selection(runs)])


def _best_so_far(run: dict[str, Any]) -> np.ndarray:
    values = [-np.inf if value is None else value for value in run["values"]]
    return np.maximum.accumulate(values)


def _pairs(runs: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    """Runs by (task, seed) and arm, where both arms are there."""
    by_key: dict[tuple[str, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for run in runs:
        by_key[run["task"], run["seed"]][run["arm"]] = run
    return {key: arms for key, arms in by_key.items() if len(arms) == len(ARMS)}


def _regret(runs: list[dict[str, Any]]) -> list[str]:
    """Normalised regret: 0 is the best score that an arm found for this task and seed, 1 the default's."""
    pairs = _pairs(runs)
    regrets: dict[str, list[list[float]]] = defaultdict(list)
    for (task, _), arms in pairs.items():
        curves = {arm: _best_so_far(run) for arm, run in arms.items()}
        default, best = arms["tpe"]["default"], max(curve[-1] for curve in curves.values())
        scale = best - default
        if scale > 0:
            row = [(best - curves[arm][mark - 1]) / scale for mark in MARKS for arm in ARMS]
            regrets[task].append(row)
    if not regrets:
        return ["No pair of runs."]
    columns = [f"{arm} at {mark}" for mark in MARKS for arm in ARMS]
    lines = [f"| task | pairs | {' | '.join(columns)} |", "| --- " * (len(columns) + 2) + "|"]
    for task, rows in regrets.items():
        cells = " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))
        lines.append(f"| {task} | {len(rows)} | {cells} |")
    means = np.array([np.mean(rows, axis=0) for rows in regrets.values()])
    lines.append(f"| mean of {len(means)} tasks | | {' | '.join(f'{m:.3f}' for m in means.mean(axis=0))} |")
    every = np.array([row for rows in regrets.values() for row in rows])
    p_tasks = _holm([_p(means[:, 2 * i] - means[:, 2 * i + 1]) for i in range(len(MARKS))])
    p_pairs = _holm([_p(every[:, 2 * i] - every[:, 2 * i + 1]) for i in range(len(MARKS))])
    tests = []
    for i, mark in enumerate(MARKS):
        wins, losses = (int((s * (every[:, 2 * i] - every[:, 2 * i + 1]) < 0).sum()) for s in (1, -1))
        tests.append(
            f"At {mark} trials rulebook + TPE is better in {wins} pairs, worse in {losses} and equal in "
            f"{len(every) - wins - losses}; Wilcoxon, Holm-corrected for two budgets: p = {p_tasks[i]:.3g} "
            f"over {len(means)} tasks, {p_pairs[i]:.3g} over {len(every)} pairs (those of a task depend on "
            "each other)."
        )
    return ["\n".join(lines), "\n".join(tests)]


def _p(differences: np.ndarray) -> float:
    return float(wilcoxon(differences, zero_method="zsplit").pvalue) if len(differences) > 1 else 1.0


def _holm(p_values: list[float]) -> list[float]:
    """Holm's correction of a family of p-values."""
    order = np.argsort(p_values)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _recorded(runs: list[dict[str, Any]]) -> str:
    """At which trial each run reached the best score that the paper's authors recorded."""
    lines = ["| task | arm | recorded | reached (trial number by seed) | best by seed |", "| --- " * 5 + "|"]
    for task, paper in PAPER.items():
        for arm in ARMS:
            mine = sorted((r for r in runs if (r["task"], r["arm"]) == (task, arm)), key=lambda r: r["seed"])
            if not mine:
                continue
            target = paper["recorded"]
            digits = 5 if target > 0 else 4
            reached, best = [], []
            for run in mine:
                curve = np.round(_best_so_far(run), digits)
                reached.append(str(int(np.argmax(curve >= target))) if curve[-1] >= target else "no")
                best.append(f"{abs(curve[-1]):.{digits}f}")
            n = sum(text != "no" for text in reached)
            when = f"{n} of {len(mine)}: {', '.join(reached)}"
            lines.append(f"| {task} | {arm} | {abs(target)} | {when} | {', '.join(best)} |")
    return "\n".join(lines)


def _selection(runs: list[dict[str, Any]]) -> list[str]:
    """Gain on test data of the winner that each rule keeps; 1 is the best gain of all incumbents there."""
    rules: dict[str, Callable[[dict[str, Any]], float]] = {
        "best": lambda one: one["value"],
        "recheck": lambda one: float(np.mean(one["fresh"])),
        "search and fresh folds": lambda one: float(np.mean([*one["splits"], *one["fresh"]])),
    }
    usable = [r for r in runs if len(r["top"]) > 1 and all(one["fresh"] for one in r["top"])]
    tests: dict[str, dict[str, list[float]]] = {rule: defaultdict(list) for rule in rules}
    shares: dict[str, list[float]] = {rule: [] for rule in rules}
    for run in usable:
        default, best = run["incumbents"][0][2], max(row[2] for row in run["incumbents"])
        for rule, key in rules.items():
            winner = max(run["top"], key=key)
            tests[rule][run["task"]].append(winner["test"])
            if best > default:
                shares[rule].append((best - winner["test"]) / (best - default))
    lines = [
        "| rule | another winner than best | better / worse / equal on test data | p | median relative "
        "over-tuning (mean) |",
        "| --- " * 5 + "|",
    ]
    for rule in rules:
        scaled = []
        changed = better = worse = 0
        for task in tests[rule]:
            gaps = np.array(tests[rule][task]) - np.array(tests["best"][task])
            spread = float(np.std(tests["best"][task])) or 1.0
            scaled.append(float(np.mean(gaps)) / spread)
            better, worse = better + int((gaps > 0).sum()), worse + int((gaps < 0).sum())
        for run in usable:
            changed += max(run["top"], key=rules[rule]) is not run["top"][0]
        p = "" if rule == "best" else f"{_p(np.array(scaled)):.3g}"
        counts = "" if rule == "best" else f"{better} / {worse} / {len(usable) - better - worse}"
        median, mean = np.median(shares[rule]), np.mean(shares[rule])
        lines.append(f"| {rule} | {changed} of {len(usable)} | {counts} | {p} | {median:.3f} ({mean:.3f}) |")
    note = (
        f"p: Wilcoxon over {len(tests['best'])} tasks of the mean change in standard deviations. Over-tuning "
        f"over the {len(shares['best'])} runs in which an incumbent beat the default on test data."
    )
    return ["\n".join(lines), note] if usable else ["No run with fresh folds."]


def rescore(data: Path, count: int) -> None:
    """Evaluate recorded configurations, spread evenly over all LightGBM trials, on our folds."""
    with gzip.open(data / "paper_trials.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "lightgbm" and row["value"]]
    names = {"concrete_strength": ("concrete_strength", "cement_strength")}
    print("| task | study, trial | recorded | ours | equal to 6 decimals |\n| --- | --- | --- | --- | --- |")
    for task_name in PAPER:
        task = task_of(task_name, 0, data)
        mine = [row for row in rows if row["dataset"] in names.get(task_name, (task_name,))]
        for index in np.linspace(0, len(mine) - 1, min(count, len(mine))).astype(int):
            row = mine[index]
            params = {n: float(row[n]) for n in LIGHTGBM if row.get(n)}
            params = {n: int(v) if n in WHOLE else v for n, v in params.items()}
            validator = CrossValidator(task)
            mean = validator.evaluate(params).mean
            validator.close()
            ours, recorded = abs(mean or np.nan), abs(float(row["value"]))
            same = "yes" if round(ours, 6) == round(recorded, 6) else "no"
            where = f"{row['method']}, {row['trial']}"
            print(f"| {task_name} | {where} | {recorded:.6f} | {ours:.6f} | {same} |", flush=True)


if __name__ == "__main__":
    main()

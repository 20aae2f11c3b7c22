"""How soon ours has the score that a user's own loop ends with, on real data.

The loop is what people write: ``study.optimize`` with Optuna's default sampler over ``cross_val_score``, one
fold after the other, ``--trials`` trials. Ours is ``tune`` with default options and no LLM; the closing check
comes after its last trial. Both have the same space (the prior's, as Optuna's distributions), the same folds,
seed and number of trials; which one runs first changes from seed to seed. Tasks and data are those of
``real_data.py`` that ship with scikit-learn.

``reached`` is the time until ours has a score as good as the one that the loop ends with, as a part of the
time that the loop takes; ``never`` where it has none. ``loop itself`` is the same for the loop's own first
trial with that score: what is left after it is the time that a user could have saved by stopping earlier.

Every pair of runs is one line of ``--out`` (JSON lines); a pair that is there is not made again. Without it
nothing is kept.

    python benchmarks/time_to_score.py run --out reached.jsonl --seeds 5 --trials 50
    python benchmarks/time_to_score.py show --out reached.jsonl
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
import warnings
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from real_data import SKLEARN
from real_data import read
from real_data import task_of
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from sllmbo_magic import tune
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.priors import prior_for
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.task.task import Task

NEVER = float("inf")


def loop(task: Task, seed: int, n_trials: int) -> dict[str, Any]:
    """A user's loop: its seconds, and (seconds, best score so far) after each trial."""
    space = prior_for(task.estimator, task.describe()).space
    course: list[tuple[float, float]] = []
    started = time.perf_counter()

    def objective(trial: optuna.Trial) -> float:
        candidate = clone(task.estimator).set_params(**decoded(space.suggest(trial), space.objects))
        return float(cross_val_score(candidate, task.X, task.y, cv=task.cv, scoring=task.scoring).mean())

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        course.append((time.perf_counter() - started, study.best_value))

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=n_trials, callbacks=[note])
    return {"seconds": time.perf_counter() - started, "course": course}


def ours(task: Task, seed: int, n_trials: int) -> dict[str, Any]:
    """The same of ``tune``, whose closing check is in its seconds."""
    course: list[tuple[float, float]] = []
    started = time.perf_counter()

    def note(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.best_value is not None:
            course.append((time.perf_counter() - started, event.best_value))

    tune(task, n_trials=n_trials, seed=seed, folder="", sinks=[note])
    return {"seconds": time.perf_counter() - started, "course": course}


SIDES = {"loop": loop, "ours": ours}


def pair(name: str, seed: int, n_trials: int) -> dict[str, Any]:
    """Both runs of one task and seed, as a line of the output."""
    sides = {}
    for side in list(SIDES) if seed % 2 else reversed(SIDES):
        task = replace(task_of(name, seed, None), X_test=None, y_test=None)
        sides[side] = SIDES[side](task, seed, n_trials)
    date = datetime.date.today().isoformat()
    return {"task": name, "seed": seed, "n_trials": n_trials, "date": date, **sides}


def reached(course: list[tuple[float, float]], score: float) -> float:
    """Seconds until a score was reached."""
    return next((seconds for seconds, best in course if best >= score), NEVER)


def show(pairs: list[dict[str, Any]]) -> str:
    """The table, as Markdown: a row for each task, medians over its seeds."""
    by_task: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in pairs:
        by_task[one["task"]].append(one)
    lines = ["| task | seeds | reached | loop itself | never | ours / loop |", "| --- " * 6 + "|"]
    columns: list[tuple[float, float, float]] = []
    n_never = 0
    for task, found in by_task.items():
        parts = [
            [
                reached(one[side]["course"], one["loop"]["course"][-1][1]) / one["loop"]["seconds"]
                for one in found
            ]
            for side in ("ours", "loop")
        ]
        whole = median(one["ours"]["seconds"] / one["loop"]["seconds"] for one in found)
        never = sum(part == NEVER for part in parts[0])
        n_never += never
        columns.append((median(parts[0]), median(parts[1]), whole))
        cells = [text(columns[-1][0]), f"{columns[-1][1]:.2f}", str(never), f"{whole:.2f}"]
        lines.append(f"| {task} | {len(found)} | {' | '.join(cells)} |")
    middle = [median(column) for column in zip(*columns, strict=True)]
    cells = [text(middle[0]), f"{middle[1]:.2f}", str(n_never), f"{middle[2]:.2f}"]
    lines.append(f"| median of {len(by_task)} tasks | {len(pairs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def text(part: float) -> str:
    return "never" if part == NEVER else f"{part:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="make the pairs that are not there yet")
    running.add_argument("--out", type=Path)
    running.add_argument("--tasks", nargs="*", default=[*SKLEARN], choices=[*SKLEARN])
    running.add_argument("--seeds", type=int, default=5)
    running.add_argument("--trials", type=int, default=50)
    showing = commands.add_parser("show", help="the table, as Markdown")
    showing.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.command == "show":
        print(show(read(args.out)))
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    for side in SIDES.values():  # libraries are imported, and compiled parts read, before the first pair
        side(replace(task_of("wine-tree", 0, None), X_test=None, y_test=None), 0, 12)
    out = args.out or Path(tempfile.mkdtemp()) / "reached.jsonl"
    there = {(one["task"], one["seed"], one["n_trials"]) for one in read(out)}
    for seed in range(args.seeds):
        for name in args.tasks:
            if (name, seed, args.trials) not in there:
                line = json.dumps(pair(name, seed, args.trials))
                with out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    print(show(read(out)))


if __name__ == "__main__":
    main()

"""Samplers on tables of real tuning results that others recorded (recorded_tables.py), paired by seed.

A sampler sees one random repetition of each configuration. The incumbent is the configuration with the best
value seen, scored by the mean of its repetitions: normalised regret 0 is the best mean of the table, 1 the
median.

Every run (suite, task, arm, seed) is one line of ``--out`` (JSON lines). A run that is there is not made
again, so the benchmark can be stopped and continued.

    python benchmarks/tables.py run --out tables.jsonl --xgboost XGBoost.csv.zip --seeds 20 --workers 2
    python benchmarks/tables.py show --out tables.jsonl --markdown tables.md --figure tables.png
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is imported

import numpy as np  # noqa: E402
import optuna  # noqa: E402
from optuna.distributions import BaseDistribution  # noqa: E402
from optuna.distributions import CategoricalDistribution  # noqa: E402
from optuna.distributions import IntDistribution  # noqa: E402
from recorded_tables import table  # noqa: E402
from recorded_tables import tasks  # noqa: E402
from table_arms import ARMS  # noqa: E402
from table_results import Results  # noqa: E402
from table_results import figure  # noqa: E402
from table_results import markdown  # noqa: E402

SUITES = ("hpobench", "fcnet", "xgboost", "nasbench")


@dataclass(frozen=True)
class Job:
    """One run: where, how, with which seed."""

    suite: str
    task: str
    arm: str
    seed: int
    n_trials: int
    xgboost: str

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        return (self.suite, self.task, self.arm, self.seed, self.n_trials)


def run(job: Job) -> dict[str, Any]:
    """The regret of the incumbent after each trial, and the CPU seconds of the whole run."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = table(job.suite, job.task, job.xgboost)
    repetition = np.random.default_rng([job.seed, 17])
    seen, true = [], []

    def objective(trial: Any) -> float:
        params = {name: _suggest(trial, name, distribution) for name, distribution in data.space.items()}
        losses = data.losses(params)
        seen.append(float(losses[repetition.integers(len(losses))]))
        true.append(float(losses.mean()))
        return seen[-1]

    arm = ARMS[job.arm]
    if arm.make is None:
        import rustuna

        study: Any = rustuna.create_study(
            sampler=rustuna.samplers.TPESampler(seed=job.seed, multivariate=True)
        )
    else:
        study = optuna.create_study(sampler=arm.make(data.space, job.seed, job.n_trials))
    if arm.default_first:
        study.enqueue_trial(data.default)
    start = time.process_time()
    study.optimize(objective, n_trials=job.n_trials)
    seconds = time.process_time() - start
    incumbent = [int(np.argmin(seen[: n + 1])) for n in range(len(seen))]
    regret = (np.array([true[i] for i in incumbent]) - data.best) / (data.median - data.best)
    return {
        "suite": job.suite,
        "task": job.task,
        "arm": job.arm,
        "seed": job.seed,
        "n_trials": job.n_trials,
        "regret": [round(float(value), 6) for value in regret],
        "cpu": round(seconds, 4),
    }


def _suggest(trial: Any, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, list(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high)
    return trial.suggest_float(name, distribution.low, distribution.high)


def run_all(jobs: list[Job], out: Path, workers: int) -> None:
    """All jobs that are not in ``out`` yet; each is written when it ends."""
    done = {(r["suite"], r["task"], r["arm"], r["seed"], r["n_trials"]) for r in read(out)}
    rest = [job for job in jobs if job.key not in done]
    print(f"{len(jobs) - len(rest)} runs are there, {len(rest)} to make", flush=True)
    with ProcessPoolExecutor(workers) as pool, out.open("a", encoding="utf-8") as file:
        futures = [pool.submit(run, job) for job in rest]
        for n, future in enumerate(as_completed(futures), 1):
            file.write(json.dumps(future.result()) + "\n")
            file.flush()
            if n % 100 == 0:
                print(f"{n} of {len(rest)}", flush=True)


def read(out: Path) -> Iterator[dict[str, Any]]:
    """The runs that were made."""
    if out.exists():
        for line in out.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("run", help="make the runs that are not there yet")
    make.add_argument("--suites", nargs="*", default=list(SUITES), choices=SUITES)
    make.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    make.add_argument("--seeds", type=int, default=20)
    make.add_argument("--trials", type=int, default=50)
    make.add_argument("--workers", type=int, default=2)
    make.add_argument(
        "--xgboost", default="", help="path of XGBoost.csv.zip; without it that suite is left out"
    )
    show = commands.add_parser("show", help="one Markdown table and one figure")
    show.add_argument("--trials", type=int, default=50)
    show.add_argument("--suites", nargs="*", default=list(SUITES), choices=SUITES)
    show.add_argument("--markdown", type=Path)
    show.add_argument("--figure", type=Path)
    for command in (make, show):
        command.add_argument("--out", type=Path, default=Path("tables.jsonl"))
    args = parser.parse_args()
    if args.command == "run":
        suites = [suite for suite in args.suites if suite != "xgboost" or args.xgboost]
        arms = [arm for arm in args.arms if find_spec(ARMS[arm].needs)]
        for name in [*(set(args.suites) - set(suites)), *(arm for arm in args.arms if arm not in arms)]:
            print(f"left out: {name}", flush=True)
        jobs = [
            Job(suite, task, arm, seed, args.trials, args.xgboost)
            for seed in range(args.seeds)
            for suite in suites
            for task in tasks(suite, args.xgboost)
            for arm in arms
        ]
        run_all(jobs, args.out, args.workers)
        return
    results = Results.of([r for r in read(args.out) if r["suite"] in args.suites], args.trials)
    text = markdown(results, args.trials)
    print(text)
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    if args.figure:
        figure(results, args.figure)


if __name__ == "__main__":
    main()

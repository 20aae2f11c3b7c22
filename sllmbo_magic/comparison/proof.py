"""``compare(..., prove=True)``: what an LLM is worth on a task, measured against what needs none.

Six ways to search, all with the same seeds: the default alone, TPE that starts at the default, the rulebook,
the LLM, the LLM without names and description, the LLM with permuted scores. Each seed holds out other rows,
so that the scores on untouched rows vary as they would on another sample of the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic import attrs
from sllmbo_magic.comparison.paired_tests import Difference
from sllmbo_magic.comparison.paired_tests import differences
from sllmbo_magic.comparison.result import ComparedRun
from sllmbo_magic.comparison.result import Comparison
from sllmbo_magic.comparison.result import gap
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.bootstrap import test_scores
from sllmbo_magic.evaluation.fold_fit import refit
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.history.trials import scored
from sllmbo_magic.report import proof_tables
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import score
from sllmbo_magic.task.data import n_rows
from sllmbo_magic.task.data import take
from sllmbo_magic.task.splits import describe_folds
from sllmbo_magic.task.splits import freeze
from sllmbo_magic.task.splits import has_classes
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.result import winning_params

DEFAULT_ALONE = "default alone"
TPE = "TPE"
RULEBOOK = "rulebook"
LLM = "LLM"
NO_NAMES = "LLM without names"
PERMUTED = "LLM, permuted scores"

WAYS: dict[str, dict[str, Any]] = {
    DEFAULT_ALONE: {"sampler": "tpe", "n_trials": 1},
    TPE: {"sampler": "tpe"},
    RULEBOOK: {"llm": "rulebook"},
    LLM: {},
    NO_NAMES: {"anonymize": True, "share_columns": False},
    PERMUTED: {"permute_scores": True},
}
"""Label to the arguments of ``tune`` in which a way differs from the run with the LLM as the user has it."""

SEEDS = 8
"""With five comparisons, fewer pairs can show no difference, whatever the outcome."""

_SMALL_SHARE = 0.1
"""Where the LLM proposed less of the trials, the verdict names its share and is one about the runs."""

HELD_OUT = 0.25
"""Share of the rows that a seed keeps untouched, where the task has no test data of its own."""


def task_of_seed(task: Task, seed: int) -> Task:
    """The task of one seed: the same, or with a quarter of its rows held out as test data.

    Rows are drawn by class or by group where the task has them. A task with test data of its own keeps it,
    and a splitter that does not shuffle (time series) holds out the last quarter.

    Raises:
        InputError: The folds are a list of row numbers, which fit all rows only.
    """
    if task.estimator is None or task.X_test is not None:
        return task
    if type(task.cv).__name__ == "_CVIterableWrapper":
        raise InputError(
            "prove holds out rows, and cv is a list of splits of all rows.",
            "Give X_test and y_test, or cv as a number or a splitter.",
        )
    train, test = _held_out_split(task, seed)
    rows = n_rows(task.X)
    X, y = take(task.X, train), take(task.y, train)
    groups = None if task.groups is None else take(task.groups, train)
    splits = freeze(task.cv, X, y, groups)
    return replace(
        task,
        X=X,
        y=y,
        X_test=take(task.X, test),
        y_test=take(task.y, test),
        groups=groups,
        sample_weight=None if task.sample_weight is None else take(task.sample_weight, train),
        fit_params={name: _of_rows(value, rows, train) for name, value in task.fit_params.items()},
        splits=splits,
        n_folds=len(splits),
        cv_text=describe_folds(task.cv, len(splits)),
    )


def _held_out_split(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import model_selection as ms

    rows = np.arange(n_rows(task.X))
    if getattr(task.cv, "shuffle", True) is False or isinstance(task.cv, ms.TimeSeriesSplit):
        n_test = max(1, round(HELD_OUT * len(rows)))
        return rows[:-n_test], rows[-n_test:]
    options: dict[str, Any] = {"test_size": HELD_OUT, "random_state": seed, "n_splits": 1}
    splitter = ms.ShuffleSplit(**options)
    if task.groups is not None:
        splitter = ms.GroupShuffleSplit(**options)
    elif task.kind == "classification" and has_classes(task.y):
        smallest = np.unique(np.asarray(task.y), return_counts=True)[1].min()
        if smallest >= 2:
            splitter = ms.StratifiedShuffleSplit(**options)
    train, test = next(splitter.split(rows, task.y, task.groups))
    return train, test


def _of_rows(value: Any, rows: int, indices: np.ndarray) -> Any:
    """An argument of ``fit``, cut where it has one entry per row."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__") or len(value) != rows:
        return value
    return take(value, indices)


def with_test_scores(run: ComparedRun, task: Task, result: TuneResult) -> ComparedRun:
    """The run with the scores of its incumbents on the test data, in the order in which they were best."""
    if task.X_test is None:
        return run
    sign = 1.0 if task.direction == "maximize" else -1.0
    all_rows = np.arange(n_rows(task.X_test))
    scores: list[float | None] = []
    best = -np.inf
    for trial in result.trials:
        if not scored(trial) or sign * trial.values[0] <= best:
            continue
        best = sign * trial.values[0]
        with Quiet(), CountWarnings():
            try:
                scores.append(float(test_scores(task, refit(task, winning_params(trial)))(all_rows)))
            except Exception:  # noqa: BLE001 - whatever the estimator raises: this incumbent has no score
                scores.append(None)
    return replace(run, test_values=tuple(scores))


@dataclass(frozen=True)
class Proof(Comparison):
    """What an LLM is worth on a task; ``print`` it, ``.verdict``, ``.plot()``, ``.to_dict()``.

    Attributes:
        llm: The id of the LLM.
    """

    llm: str = ""

    @property
    def has_test_scores(self) -> bool:
        """Whether all finished runs have a score on rows that they did not see."""
        finals = [run.test_values[-1] if run.test_values else None for run in self.runs]
        return bool(finals) and None not in finals

    def differences(self, *, on_test: bool | None = None) -> list[Difference]:
        """The LLM's final score against that of each other way, paired by seed, p-values adjusted (Holm).

        Args:
            on_test: On the untouched rows, or on the folds of the search; None: on the rows, if any.
        """
        on_test = self.has_test_scores if on_test is None else on_test
        value = _test_value if on_test else self._final
        of_llm = {run.seed: value(run) for run in self.of(LLM)}
        gains = []
        for way in self.variants:
            if way == LLM:
                continue
            of_way = {run.seed: value(run) for run in self.of(way)}
            pairs = [gap(self._sign, of_llm[seed], of_way[seed]) for seed in of_way if seed in of_llm]
            gains.append((way, pairs))
        return [replace(d, variant=LLM, baseline=d.variant) for d in differences(LLM, gains)]

    @property
    def verdict(self) -> str:
        """What the runs show, in one sentence with its uncertainty."""
        by_way = {difference.baseline: difference for difference in self.differences()}
        rows_text = "on untouched rows" if self.has_test_scores else "on the folds of the search"
        tpe, permuted = by_way.get(TPE), by_way.get(PERMUTED)
        if tpe is None or not tpe.n:
            return f"No pair of finished runs compares {self.llm} with TPE, so nothing is shown."
        share = self._llm_share(LLM)
        if not share:
            return f"{self.llm} proposed no trial, so nothing about it is measured."
        subject, verb = self.llm, "finds"
        if share < _SMALL_SHARE:  # what the others found is no merit of the LLM's
            subject, verb = f"runs in which {self.llm} proposed only {share:.1%} of the trials", "find"
        start = {
            "better": f"{subject} {verb} better configurations than TPE {rows_text}",
            "worse": f"{subject} {verb} worse configurations than TPE {rows_text}",
        }.get(tpe.verdict, f"No difference between {subject} and TPE is shown {rows_text}")
        if share < _SMALL_SHARE:
            start = f"{start[0].upper()}{start[1:]}"  # the id of an LLM is written as it is
        return f"{start}: {_numbers(tpe)}{self._about_scores(permuted)}."

    def _llm_share(self, way: str) -> float:
        """The LLM's own share of the trials of a way's runs; what the rulebook did in its place is none."""
        sources = [source for run in self.of(way) for source in run.sources.items()]
        n_trials = sum(n for _, n in sources)
        return sum(n for source, n in sources if source in attrs.ASKED_SOURCES) / max(1, n_trials)

    def _about_scores(self, permuted: Difference | None) -> str:
        if permuted is None or not permuted.n or not self._llm_share(PERMUTED):
            return ""
        if permuted.verdict == "better":
            return "; with permuted scores it does worse, so it uses what it is told of the trials"
        return "; with permuted scores it is not shown to do worse, so no use of the scores is shown"

    def relative_overtuning(self, way: str) -> list[float]:
        """Per run the share of the gain on untouched rows that the search gave away by going on.

        0: the winner is the best of all incumbents on untouched rows; 1: it is no better there than the
        default; above 1: worse (Schneider, Bischl and Feurer, arXiv 2506.19540). Runs without any gain there
        are left out.
        """
        shares = []
        for run in self.of(way):
            values = [self._sign * value for value in run.test_values if value is not None]
            if len(values) == len(run.test_values) > 0 and max(values) > values[0]:
                shares.append((max(values) - values[-1]) / (max(values) - values[0]))
        return shares

    def regret(self, variant: str) -> np.ndarray:
        """Shape (runs, n_trials): distance to the best value of the same seed, whose rows the runs share."""
        curves = []
        for run, curve in zip(self.of(variant), self.best_so_far(variant), strict=True):
            same_seed = [v for r in self.runs if r.seed == run.seed for v in r.values if v is not None]
            target = max(same_seed, key=lambda value: self._sign * value, default=np.nan)
            curves.append(self._sign * ((target if self.optimum is None else self.optimum) - curve))
        return np.array(curves).reshape(-1, self.n_trials)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data that JSON can hold."""
        data = super().to_dict()
        data["llm"] = self.llm
        data["verdict"] = self.verdict
        data["has_test_scores"] = self.has_test_scores
        for row in data["rows"]:
            row.update(self._test_row(row["variant"]))
        return data

    def table(self) -> str:
        """Verdict, table and how to read it, as plain text."""
        return proof_tables.plain_text(self.to_dict())

    __str__ = __repr__ = table

    def _repr_html_(self) -> str:
        return proof_tables.html(self.to_dict())

    def _test_row(self, way: str) -> dict[str, Any]:
        """What the table shows of a way besides the columns of a comparison."""
        runs = self.of(way)
        values = np.array([_test_value(run) for run in runs])
        shares = self.relative_overtuning(way)
        below = [run for run in runs if len(run.test_values) > 1 and self._is_below_default(run)]
        return {
            "test": float(values.mean()) if self.has_test_scores else None,
            "test_sd": float(values.std(ddof=1)) if self.has_test_scores and len(values) > 1 else None,
            "overtuning": float(np.median(shares)) if shares else None,
            "below_default": len(below) if self.has_test_scores else None,
        }

    def _is_below_default(self, run: ComparedRun) -> bool:
        first, last = run.test_values[0], run.test_values[-1]
        return first is not None and last is not None and self._sign * (last - first) < 0

    def _regret_note(self) -> str:
        return "Regret (in the figure): distance to the best value of the same seed."

    def _notes(self, differences: list[Difference]) -> list[str]:
        notes = super()._notes(differences)
        if self.has_test_scores:
            notes.append(
                "Over-tuning: the median share of the gain on untouched rows that was lost again by going on "
                "(0: none, 1: all of it, above 1: worse than the default)."
            )
        notes.append(
            "The surrogate sees the true scores also where the LLM sees permuted ones, which understates "
            "what they are worth to it; --ablate scores compares without the surrogate."
        )
        return notes


def _test_value(run: ComparedRun) -> float:
    """The winner's score on the test data; NaN without one."""
    value = run.test_values[-1] if run.test_values else None
    return float("nan") if value is None else value


def _numbers(difference: Difference) -> str:
    mean = ""
    if difference.mean is not None:
        mean = (
            f"{score(abs(difference.mean), 4)} {'better' if difference.mean >= 0 else 'worse'} on average, "
        )
    if difference.interval is not None:
        low, high = (f"{'−' if end < 0 else '+'}{score(abs(end), 4)}" for end in difference.interval)
        mean += f"95 % interval {low} to {high}, "
    return (
        f"{mean}better in {difference.better} of {count(difference.n, 'seed')}{difference.unscored_text}, "
        f"p {difference.p:.2g} after Holm"
    )

"""Pruners by name: trials that do badly on the way are stopped there.

What a step is depends on what can report. An estimator that trains in rounds reports the mean score over all
folds after a quarter and half of its rounds; another one after each fold; an objective, what it reports. The
named pruners are Optuna's, set for those steps; ``folds`` is ours (``fold_racing.py``).
"""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.pruners import HyperbandPruner
from optuna.pruners import MedianPruner
from optuna.pruners import NopPruner
from optuna.pruners import SuccessiveHalvingPruner
from optuna.pruners import WilcoxonPruner

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.iterative_fit import STEPS
from sllmbo_magic.evaluation.iterative_fit import WHOLE
from sllmbo_magic.evaluation.iterative_fit import rounds_of
from sllmbo_magic.evaluation.pruning_reports import Reporting
from sllmbo_magic.evaluation.threads import one_fold_at_a_time
from sllmbo_magic.tuning.fold_racing import FoldRacingPruner

if TYPE_CHECKING:
    from sllmbo_magic.task.task import Task

PRUNERS = ("none", "asha", "folds", "hyperband", "median", "wilcoxon")
_FACTOR = 2
"""Of the trials at a step one in so many goes on."""


@dataclass(frozen=True)
class Pruning:
    """How the trials of a run are pruned.

    Attributes:
        pruner: Optuna's.
        reporting: What an estimator reports; None for an objective.
        note: One sentence for the user.
        for_llm: One sentence for the LLM.
    """

    pruner: BasePruner
    reporting: Reporting | None
    note: str
    for_llm: str


def check_pruner(pruner: Any) -> None:
    """Raises InputError when it is no name of :data:`PRUNERS`, no pruner of Optuna's and not None."""
    if pruner is None or isinstance(pruner, BasePruner) or pruner in PRUNERS:
        return
    close = difflib.get_close_matches(str(pruner), PRUNERS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise InputError(
        f"pruner {pruner!r} is not known.",
        f"{hint}Allowed: {', '.join(PRUNERS)}, or an Optuna pruner object.",
    )


def pruning_of(task: Task, pruner: Any) -> Pruning | None:
    """How a task is pruned; None when it is not.

    Args:
        task: What is tuned.
        pruner: A name of :data:`PRUNERS`, or an Optuna pruner.

    Raises:
        InputError: Nothing of the task can report.
    """
    if pruner is None or pruner == "none" or isinstance(pruner, NopPruner):
        return None
    name = pruner if isinstance(pruner, str) else type(pruner).__name__
    if task.directions is not None:
        raise InputError(f"pruner {name} needs one objective, and this has several.", "Leave pruner out.")
    if task.estimator is None:
        if pruner == "folds":
            raise InputError(
                "pruner folds compares folds, and an objective has none.",
                "Choose asha or median for an objective(trial) that reports, or leave pruner out.",
            )
        if not task.objective_takes_trial:
            raise InputError(
                f"objective(params) cannot report on its way, so pruner {name} has nothing to look at.",
                "Write objective(trial) with trial.report(value, step), or leave pruner out.",
            )
        note = f"Pruner: {name}, asked where the objective calls trial.should_prune()."
        for_llm = "an evaluation may be stopped on its way (PRUNED) where earlier ones were better"
        return Pruning(_pruner_object(pruner), None, note, for_llm)
    if not _compares_folds(pruner) and _reports(task.estimator):
        at = ", ".join(str(step) for step in STEPS[:-1]) + f" or {STEPS[-1]}"
        description = f"trial that others beat after {at} % of its training is stopped there"
        pruner_object = _pruner_object(pruner, STEPS[0], WHOLE)
        return Pruning(
            pruner_object, "training", f"Pruner: {name}. A {description}.", f"a {description} (PRUNED)"
        )
    return _by_folds(task, pruner, name)


def _by_folds(task: Task, pruner: Any, name: str) -> Pruning:
    compares_folds = _compares_folds(pruner)
    if task.n_folds < 2:
        why = "" if compares_folds else f"{type(task.estimator).__name__} cannot report as it trains, and "
        raise InputError(
            f"{why}there is one fold only, so pruner {name} has nothing to look at.",
            "Use more folds (cv), or leave pruner out.",
        )
    if pruner == "folds":
        description = (
            f"trial that after some of its {task.n_folds} folds is too far behind the best trial on the"
        )
        description += " same folds is stopped there"
        return Pruning(
            FoldRacingPruner(task.n_folds),
            "folds",
            f"Pruner: folds. A {description}.",
            f"a {description} (PRUNED)",
        )
    description = f"trial that others beat after some of its {task.n_folds} folds is stopped there"
    why = "A" if compares_folds else f"{type(task.estimator).__name__} cannot report as it trains, so a"
    pruner_object = _pruner_object(pruner, 1, task.n_folds)
    reporting: Reporting = "scores" if compares_folds else "folds"
    return Pruning(
        pruner_object, reporting, f"Pruner: {name}. {why} {description}.", f"a {description} (PRUNED)"
    )


def _compares_folds(pruner: Any) -> bool:
    return pruner in ("folds", "wilcoxon") or isinstance(pruner, WilcoxonPruner | FoldRacingPruner)


def _reports(estimator: Any) -> bool:
    return rounds_of(estimator) is not None and not one_fold_at_a_time(estimator)


def _pruner_object(pruner: Any, first: int = 0, last: int = 0) -> BasePruner:
    """The pruner of that name for steps from ``first`` to ``last``, or with Optuna's defaults; an object is
    taken as it is.
    """
    if isinstance(pruner, BasePruner):
        return pruner
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if pruner == "asha":
            return SuccessiveHalvingPruner(first, _FACTOR) if first else SuccessiveHalvingPruner()
        if pruner == "hyperband":
            return HyperbandPruner(first, last, _FACTOR) if first else HyperbandPruner()
        return WilcoxonPruner() if pruner == "wilcoxon" else MedianPruner()

"""Configurations in, scores out: ``evaluator_for(task).evaluate(params) -> Evaluation``."""

from __future__ import annotations

from sllmbo_magic.evaluation.base import CATEGORIES
from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.base import Evaluator
from sllmbo_magic.evaluation.cross_validation import CrossValidator
from sllmbo_magic.evaluation.fold_fit import refit
from sllmbo_magic.evaluation.objective import ObjectiveEvaluator
from sllmbo_magic.evaluation.pruning_reports import Reporting
from sllmbo_magic.evaluation.threads import layout
from sllmbo_magic.evaluation.verification import Verification
from sllmbo_magic.evaluation.verification import verify
from sllmbo_magic.task.task import Task

__all__ = [
    "CATEGORIES",
    "CrossValidator",
    "Evaluation",
    "Evaluator",
    "ObjectiveEvaluator",
    "Verification",
    "evaluator_for",
    "layout",
    "refit",
    "verify",
]


def evaluator_for(
    task: Task,
    n_jobs: int | None = None,
    *,
    at_once: int = 1,
    reporting: Reporting | None = None,
    early_stopping: int | None = None,
    training_score: bool = False,
    n_evaluations: int | None = None,
) -> Evaluator:
    """The evaluator of a task; the arguments as :class:`CrossValidator` has them."""
    if task.estimator is None:
        return ObjectiveEvaluator(task)
    return CrossValidator(
        task,
        n_jobs=n_jobs,
        at_once=at_once,
        reporting=reporting,
        early_stopping=early_stopping,
        training_score=training_score,
        n_evaluations=n_evaluations,
    )

"""Scores of several configurations on the same folds: their differences hold no luck with the folds."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.base import Evaluator
from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.cross_validation import CrossValidator
from sllmbo_magic.evaluation.warnings import add_to_run
from sllmbo_magic.task.task import Task

_MOST_CHARACTERS = 200
"""Characters of a cause in the text of a check."""


def _here(evaluator: Evaluator) -> Evaluator:
    return evaluator


def _stopped() -> str:
    return "the user stopped it"


@dataclass(frozen=True)
class Fits:
    """How the fits of a check are made, and what ends them.

    Attributes:
        n_jobs: Cores to use, as :class:`CrossValidator` has it.
        should_stop: Asked between folds; what was done in full until then counts.
        should_abandon: Asked all the time; folds in flight are then not waited for.
        why_stopped: Why they ended, as the end of a sentence.
        timeout: Seconds for a configuration on the folds of one task; None: no limit.
        apart: Makes an evaluator whose fits run where a crash does no harm; it is given the one to use.
    """

    n_jobs: int | None = None
    should_stop: Callable[[], bool] = never
    should_abandon: Callable[[], bool] = never
    why_stopped: Callable[[], str] = _stopped
    timeout: float | None = None
    apart: Callable[[Evaluator], Evaluator] = _here


def paired_scores(
    tasks: Sequence[Task],
    configurations: Sequence[Mapping[str, Any]],
    fits: Fits,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_enough: Callable[[np.ndarray[Any, Any]], bool] = lambda table: False,
) -> np.ndarray[Any, Any] | str:
    """One row of scores per configuration, one column per split.

    Args:
        tasks: One task on different splits.
        configurations: Parameters to set on its estimator.
        fits: How they are fitted; tasks that all configurations finished until a stop count.
        on_progress: Called with the number of fits that are scored and the number of all, from 0 on.
        is_enough: Called after each task but the last one with the scores so far, laid out as the returned
            ones; True ends it there.

    Returns:
        Why there are none, as the end of a sentence, when a fit failed, or under two splits were scored for
        every configuration.
    """
    scores: list[list[float]] = [[] for _ in configurations]
    total = len(configurations) * sum(task.n_folds for task in tasks)
    done = itertools.count(1)
    on_progress(0, total)

    def one_more(*_: Any) -> None:
        on_progress(next(done), total)

    for task in tasks:
        evaluations = _evaluated(task, configurations, fits, one_more)
        for evaluation in evaluations:
            add_to_run(evaluation.warnings, evaluation.warning_texts)
        failed = next((one for one in evaluations if one.error is not None and not one.stopped), None)
        if failed is not None:
            part = "the metric" if failed.error in ("score-failed", "not-finite-score") else "a fit"
            return f"{part} failed there: {failure_text(failed)}"
        if len(evaluations) < len(configurations) or not all(evaluation.ok for evaluation in evaluations):
            break
        for row, evaluation in zip(scores, evaluations, strict=True):
            row.extend(evaluation.split_scores)
        if task is not tasks[-1] and is_enough(np.array(scores)):
            break
    return np.array(scores) if len(scores[0]) > 1 else fits.why_stopped()


def failure_text(evaluation: Evaluation) -> str:
    """Why a fit or its score failed, on one line; it may quote data, as the cause of a trial does."""
    if evaluation.error == "timeout":
        return "it took longer than the time limit of a trial"
    text = evaluation.cause or evaluation.error_class or str(evaluation.error)
    return textwrap.shorten(text, _MOST_CHARACTERS, placeholder=" …").rstrip(".")


def _evaluated(
    task: Task, configurations: Sequence[Mapping[str, Any]], fits: Fits, on_fold: Callable[..., None]
) -> list[Evaluation]:
    """The outcomes of the configurations on a task, up to the first that has no score."""
    evaluator = fits.apart(CrossValidator(task, n_jobs=fits.n_jobs))
    evaluations: list[Evaluation] = []
    try:
        for params in configurations:
            evaluation = evaluator.evaluate(
                params,
                should_stop=fits.should_stop,
                should_abandon=fits.should_abandon,
                on_fold=on_fold,
                timeout=fits.timeout,
            )
            evaluations.append(evaluation)
            if not evaluation.ok:
                break
    finally:
        evaluator.close()
    return evaluations

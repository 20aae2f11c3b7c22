"""The estimator of one configuration: a clone with parameters, seeds and threads set; fitted and scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.base import NO_FAILURES
from sllmbo_magic.evaluation.base import as_score
from sllmbo_magic.evaluation.base import category_of
from sllmbo_magic.evaluation.base import is_finite
from sllmbo_magic.evaluation.causes import fit_error_text
from sllmbo_magic.evaluation.causes import score_text
from sllmbo_magic.evaluation.fold_rows import FoldRows
from sllmbo_magic.evaluation.threads import BOOSTING
from sllmbo_magic.evaluation.threads import module_of
from sllmbo_magic.evaluation.threads import thread_settings
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.task.splits import SEED
from sllmbo_magic.task.task import Task

_VERBOSITY = ("verbose", "verbosity", "logging_level", "silent", "verbose_eval", "metric_period")


@dataclass(frozen=True)
class FoldResult:
    """One fold: a score, or the kind of its failure with the exception."""

    score: float | None
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    error: str | None = None
    cause: str = ""
    exception: BaseException | None = None
    warnings: Mapping[str, int] | None = None
    warning_texts: Mapping[str, int] | None = None
    rounds: int | None = None
    """The boosting rounds that early stopping found."""
    training_score: float | None = None
    """The score on rows that the model was trained on."""


@dataclass(frozen=True)
class Fold:
    """One fold on its way: what is fitted on what, and how it is scored.

    ``train`` holds the row numbers of the training rows in the task's data.
    """

    task: Task
    estimator: Any
    X: Any
    y: Any
    fit_params: dict[str, Any]
    train: Any
    score: Callable[[Any], float]
    """A fitted estimator -> its score on the fold's test rows."""


Fit = Callable[[Fold], tuple[Any, int | None]]
"""Gives the fitted estimator, and the rounds that early stopping found or None."""


def plain_fit(fold: Fold) -> tuple[Any, int | None]:
    """``fit``, as ``cross_validate`` does."""
    fold.estimator.fit(fold.X, fold.y, **fold.fit_params)
    return fold.estimator, None


def build(task: Task, params: Mapping[str, Any], threads: int | None = None) -> Any:
    """A clone of the task's estimator with these parameters.

    Seeds that are None become 0 (see :func:`seed_settings`), and LightGBM and CatBoost print nothing.

    Args:
        task: A task with an estimator; it is not changed.
        params: Parameters to set, nested ones as ``step__param``; parameters that are estimators are cloned.
        threads: Upper bound of the threads that it may use; None leaves what the user set.

    Raises:
        ValueError, TypeError: The estimator does not take a parameter.
    """
    from sklearn.base import clone

    estimator = clone(task.estimator)
    if params:
        estimator.set_params(**clone(dict(params), safe=False))
    settings: dict[str, Any] = {**quiet_settings(estimator), **seed_settings(estimator)}
    if threads is not None:
        settings.update(thread_settings(estimator, threads))
    return estimator.set_params(**settings) if settings else estimator


def seed_settings(estimator: Any) -> dict[str, int]:
    """Seeds for all parts that have none, so that a run can be repeated and trials differ by parameters only.

    Left alone: boosting libraries, whose None is a fixed seed of their own.
    """
    params: dict[str, Any] = estimator.get_params(deep=True)
    parts = {"": estimator, **params}
    unseeded = [n for n in params if n.rpartition("__")[2] == "random_state" and params[n] is None]
    return {n: SEED for n in unseeded if module_of(parts.get(n.rpartition("__")[0])) not in BOOSTING}


def quiet_settings(estimator: Any) -> dict[str, Any]:
    """Parameters that stop LightGBM and CatBoost from printing at each fit, unless the user asked for it."""
    params: dict[str, Any] = estimator.get_params(deep=True)
    settings: dict[str, Any] = {}
    for prefix, part in [("", estimator), *((f"{k}__", v) for k, v in params.items())]:
        module = module_of(part)
        if module in ("lightgbm", "catboost") and not any(f"{prefix}{name}" in params for name in _VERBOSITY):
            settings[f"{prefix}verbose"] = -1 if module == "lightgbm" else False
    return settings


def refit(task: Task, params: Mapping[str, Any]) -> Any:
    """The estimator with these parameters, fitted on all of X and y with the user's own thread settings.

    Raises:
        Exception: Whatever the estimator raises.
    """
    estimator = build(task, params)
    estimator.fit(task.X, task.y, **task.fit_params)
    return estimator


def scorer_of(task: Task, estimator: Any) -> Any:
    """The scorer ``(estimator, X, y) -> float`` of a task, as ``cross_validate`` makes it."""
    from sklearn.metrics import check_scoring

    return check_scoring(estimator, scoring=task.scoring)


def _failed(
    task: Task, fold: int, error: BaseException, scoring: bool, fit_seconds: float, warnings: CountWarnings
) -> FoldResult:
    """The result of a fold whose fit, or with ``scoring`` whose metric, raised an error."""
    train, test = task.splits[fold]
    if scoring:
        cause = score_text(task.scorer_name, task.kind, task.y, test, fold, error=error)
    else:
        cause = fit_error_text(error, task.kind, task.y, train, fold)
    return FoldResult(
        None,
        fit_seconds,
        0.0,
        category_of(error, scoring=scoring),
        cause,
        error,
        dict(warnings.counts),
        dict(warnings.texts),
    )


def run_fold(
    task: Task,
    estimator: Any,
    fold: int,
    fit: Fit = plain_fit,
    *,
    rows: FoldRows | None = None,
    with_training_score: bool = False,
) -> FoldResult:
    """Fit on one fold's training rows and score on its test rows, as ``cross_validate`` does.

    ``rows`` keeps the rows of the folds between trials; None slices them. ``with_training_score`` also scores
    as many training rows as there are test rows.

    Whatever is raised becomes a failed result, but for ``NO_FAILURES`` (KeyboardInterrupt), which propagate.
    """
    from sklearn.base import clone
    from sklearn.utils.validation import _check_method_params

    rows = rows or FoldRows(task, 0)
    unfitted = estimator
    train, test = task.splits[fold]
    scoring, started, fitted = False, time.perf_counter(), None
    with CountWarnings() as warning_counts:
        try:
            fit_params = _check_method_params(task.X, params=task.fit_params, indices=train)
            X_train, y_train, X_test, y_test = rows.of(estimator, fold)

            def score_of(model: Any) -> float:
                return as_score(scorer_of(task, model)(model, X_test, y_test))

            one = Fold(task, estimator, X_train, y_train, fit_params, train, score_of)
            estimator, rounds = fit(one)
            scoring, fitted = True, time.perf_counter()
            score = score_of(estimator)
        except NO_FAILURES:
            raise
        except BaseException as error:  # noqa: BLE001 - scikit-learn's policy: a failed fold fails the trial
            if rows.must_be_sliced_again(error):
                again = clone(unfitted)
                return run_fold(task, again, fold, fit, rows=rows, with_training_score=with_training_score)
            fit_seconds = (fitted or time.perf_counter()) - started
            return _failed(task, fold, error, scoring, fit_seconds, warning_counts)
    ended = time.perf_counter()
    bad, cause = None, ""
    if not is_finite(score):
        bad = "not-finite-score"
        cause = score_text(
            task.scorer_name, task.kind, task.y, test, fold, score=score, warnings=warning_counts.undefined
        )
    training = _training_score(task, estimator, fold) if with_training_score and bad is None else None
    return FoldResult(
        score,
        fitted - started,
        ended - fitted,
        bad,
        cause,
        warnings=dict(warning_counts.counts),
        warning_texts=dict(warning_counts.texts),
        rounds=rounds,
        training_score=training,
    )


def _training_score(task: Task, estimator: Any, fold: int) -> float | None:
    """The score of a fold's model on training rows, evenly spread and no more than there are test rows."""
    from sklearn.utils.metaestimators import _safe_split

    train, test = task.splits[fold]
    places = np.linspace(0, len(train) - 1, min(len(train), len(test))).round().astype(int)
    with CountWarnings():
        try:
            X, y = _safe_split(estimator, task.X, task.y, np.asarray(train)[places], train)
            score = as_score(scorer_of(task, estimator)(estimator, X, y))
        except Exception:  # noqa: BLE001 - it is an extra; the trial has its score
            return None
    return score if is_finite(score) else None

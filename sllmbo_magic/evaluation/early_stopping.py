"""Boosting rounds found by early stopping instead of searched.

Each fold stops on some of its *training* rows, never on the rows that score it: a number of rounds chosen on
the test rows would make the score too good. LightGBM and XGBoost are given those rows as ``eval_set``;
scikit-learn's boosting sets them aside by itself. They stop by the library's own loss. Then the fold is
fitted again on all of its training rows with the rounds that were found: the score of a model that lacks some
of the rows would not compare with the default's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.fold_fit import Fold
from sllmbo_magic.evaluation.iterative_fit import STEPS
from sllmbo_magic.evaluation.iterative_fit import WHOLE
from sllmbo_magic.evaluation.iterative_fit import Report
from sllmbo_magic.evaluation.iterative_fit import Rounds
from sllmbo_magic.evaluation.iterative_fit import fit_reporting
from sllmbo_magic.evaluation.iterative_fit import rounds_of
from sllmbo_magic.evaluation.iterative_fit import stage
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.task.data import take
from sllmbo_magic.task.splits import SEED

CAP = 5000
"""Rounds that early stopping may use at most."""
NOMINAL = 200
"""Rounds whose percentages are the steps of a pruner: their number is not known before the fit."""
_SHARE, _MOST, _ENOUGH = 0.1, 0.25, 100
"""Of the training rows a tenth is held back to decide when to stop; more where that is less than 100 rows, at
most a quarter.
"""
_SUPPORTED = "LightGBM, XGBoost, and scikit-learn's GradientBoosting and HistGradientBoosting"


def stopping_rounds(estimator: Any) -> Rounds:
    """How the rounds of an estimator are counted.

    Raises:
        InputError: It cannot stop early.
    """
    rounds = rounds_of(estimator)
    if rounds is None or not rounds.boosting:
        name = type(estimator if rounds is None else rounds.of(estimator)).__name__
        raise InputError(f"{name} has no boosting rounds to stop early.", f"Allowed: {_SUPPORTED}.")
    params = rounds.of(estimator).get_params(deep=False)
    kind = params.get("booster") or params.get("boosting_type")
    if kind in ("dart", "gblinear", "rf"):
        raise InputError(f"boosting of type {kind} cannot stop early.", "Leave early_stopping_rounds out.")
    return rounds


def refit_params(rounds: Rounds, estimator: Any, per_fold: tuple[int, ...]) -> dict[str, Any]:
    """What to set for a fit on all rows: the mean of the folds' rounds, and no early stopping."""
    off: dict[str, Any] = {}
    if rounds.way != "callback":
        current = rounds.of(estimator).get_params(deep=False)
        off = {"early_stopping": False} if "early_stopping" in current else {"n_iter_no_change": None}
    params = {rounds.name: max(1, round(float(np.mean(per_fold)))), **off}
    return {rounds.prefix + name: value for name, value in params.items()}


def fit_stopping_early(
    fold: Fold, rounds: Rounds, patience: int, report: Report | None = None
) -> tuple[Any, int]:
    """Find the rounds that pay, and fit with them.

    Args:
        fold: The fold; its estimator has the parameters of the trial.
        rounds: How it trains.
        patience: Rounds without gain after which it stops.
        report: Called for the early-stopped fit; see
            :func:`~sllmbo_magic.evaluation.iterative_fit.fit_reporting`.

    Returns:
        The estimator, fitted on all training rows of the fold, and its number of rounds.
    """
    from sklearn.base import clone

    at = {} if report is None else {round(NOMINAL * step / WHOLE): step for step in STEPS}
    trial_fit = replace(fold, estimator=clone(fold.estimator))
    find = _by_held_rows if rounds.way == "callback" else _by_itself
    with CountWarnings():  # the rounds of the whole fit are reported
        used = find(trial_fit, rounds, patience, at, report or _silent)
    estimator = fold.estimator.set_params(**refit_params(rounds, fold.estimator, (used,)))
    estimator.fit(fold.X, fold.y, **fold.fit_params)
    return estimator, used


def _by_itself(fold: Fold, rounds: Rounds, patience: int, at: Mapping[int, int], report: Report) -> int:
    """scikit-learn's boosting has early stopping."""
    last = rounds.of(fold.estimator)
    settings = {
        rounds.name: CAP,
        "n_iter_no_change": patience,
        "validation_fraction": held_share(len(fold.train)),
    }
    if "early_stopping" in last.get_params(deep=False):
        settings["early_stopping"] = True
    last.set_params(**settings)
    part = stage(fold.estimator, fold.X, fold.y, fold.fit_params)
    fitted = rounds.of(fit_reporting(part, replace(rounds, way="short"), at, report))
    used = getattr(fitted, "n_iter_", None)
    return int(fitted.n_estimators_ if used is None else used)


def _by_held_rows(fold: Fold, rounds: Rounds, patience: int, at: Mapping[int, int], report: Report) -> int:
    """LightGBM and XGBoost are fitted on most of the rows and stop by the others."""
    from sklearn.utils.validation import _check_method_params

    inner, held = inner_split(fold)
    fit_params = _check_method_params(fold.X, params=fold.fit_params, indices=inner)
    y = np.asarray(fold.y)
    part = stage(fold.estimator, take(fold.X, inner), y[inner], fit_params)
    X_held = take(fold.X, held)
    pair = (X_held if part.head is None else part.head.transform(X_held), y[held])
    arguments: dict[str, Any] = {**part.fit_params, "eval_set": [pair]}
    part.last.set_params(**{rounds.name: CAP})
    if rounds.package == "lightgbm":
        from lightgbm import early_stopping

        arguments["callbacks"] = [
            *(arguments.get("callbacks") or []),
            early_stopping(patience, verbose=False),
        ]
        fit_reporting(replace(part, fit_params=arguments), rounds, at, report)
        return int(part.last.best_iteration_ or CAP)
    part.last.set_params(early_stopping_rounds=patience)
    fit_reporting(replace(part, fit_params={**arguments, "verbose": False}), rounds, at, report)
    return int(part.last.best_iteration) + 1


def _silent(step: int, model: Any) -> None:
    """Nobody asks."""


def held_share(n_rows: int) -> float:
    """The share of a fold's training rows that is held back."""
    return min(_MOST, max(_SHARE, _ENOUGH / n_rows))


def inner_split(fold: Fold) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions in a fold's training rows: to fit on, and to stop by.

    By whole groups where there are groups, the last ones where the folds are a time series, else at random,
    with the classes' shares where they allow it.
    """
    from sklearn.model_selection import GroupShuffleSplit
    from sklearn.model_selection import TimeSeriesSplit
    from sklearn.model_selection import train_test_split

    positions = np.arange(len(fold.train))
    share = held_share(len(positions))
    if isinstance(fold.task.cv, TimeSeriesSplit):
        n = max(1, round(share * len(positions)))
        return positions[:-n], positions[-n:]
    if fold.task.groups is not None:
        groups = np.asarray(fold.task.groups)[fold.train]
        if len(np.unique(groups)) > 1:
            splitter = GroupShuffleSplit(1, test_size=share, random_state=SEED)
            inner, held = next(splitter.split(positions, groups=groups))
            return inner, held
    stratify = np.asarray(fold.y) if fold.task.kind == "classification" else None
    try:
        inner, held = train_test_split(positions, test_size=share, stratify=stratify, random_state=SEED)
    except ValueError:  # a class too rare to be on both sides
        inner, held = train_test_split(positions, test_size=share, random_state=SEED)
    return np.sort(inner), np.sort(held)

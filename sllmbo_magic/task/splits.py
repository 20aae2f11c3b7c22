"""Which rows are trained on and which are scored: any ``cv`` of scikit-learn, computed once and frozen."""

from __future__ import annotations

import copy
import numbers
import warnings
from collections.abc import Iterable
from typing import Any
from typing import TypeAlias

import numpy as np

from sllmbo_magic.errors import InputError
from sllmbo_magic.task.data import n_rows

Split: TypeAlias = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""Row numbers to train on, row numbers to score on."""

SEED = 0
"""Seed of splitters that shuffle and were given none: a resumed run must see the same folds."""


def resolve_cv(cv: Any, X: Any, y: Any, groups: Any, kind: str) -> tuple[Any, list[str]]:
    """A splitter for ``cv`` and remarks for the user.

    Args:
        cv: A number of folds, a splitter, or an iterable of (train, test) row numbers. A number means
            shuffled folds (seed 0): stratified for classes, by group when groups are given. A splitter that
            shuffles without a seed gets seed 0 on a copy.
        X: Data, for its number of rows.
        y: Target.
        groups: One group per row, or None.
        kind: ``"classification"``, ``"regression"`` or ``"other"``.

    Raises:
        InputError: Not one of these, fewer rows, groups or members of a class than folds, or groups and a
            splitter that do not go together.
    """
    from sklearn.model_selection import check_cv

    if isinstance(cv, numbers.Integral) and not isinstance(cv, bool):
        return _folds(int(cv), X, y, groups, kind)
    if isinstance(cv, str | bytes | dict) or not (hasattr(cv, "split") or isinstance(cv, Iterable)):
        raise InputError(
            f"cv is {cv!r}, which is no number of folds, no splitter and no list of splits.",
            "Examples: cv=5, cv=TimeSeriesSplit(5).",
        )
    if isinstance(cv, type):
        raise InputError(f"cv is the class {cv.__name__}, not a splitter.", f"Write cv={cv.__name__}().")
    if not hasattr(cv, "split"):
        return check_cv([_split(fold, pair) for fold, pair in enumerate(cv, 1)]), []
    _check_groups(cv, groups)
    if getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True):
        cv = copy.copy(cv)
        cv.random_state = SEED
    return cv, []


def no_folds() -> InputError:
    """The error for a cv without folds, which a generator is after its first use."""
    return InputError(
        "cv gives no folds.", "Example: cv=5; a generator is used up after one run: write cv=list(...)."
    )


def freeze(cv: Any, X: Any, y: Any, groups: Any) -> tuple[Split, ...]:
    """All splits of a splitter, so that each trial has the same.

    Raises:
        InputError: The splitter cannot split these data, or a part is empty.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # rare classes: said once, by resolve_cv
            splits = tuple(_split(fold, pair) for fold, pair in enumerate(cv.split(X, y, groups), 1))
    except (ValueError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cv cannot split these data: {error}", "Check cv, groups and y.") from error
    if not splits:
        raise no_folds()
    rows = n_rows(X)
    for fold, (train, test) in enumerate(splits, 1):
        if not len(train) or not len(test):
            raise InputError(
                f"fold {fold} of cv has no rows to {'score' if len(train) else 'train on'}.",
                "Each fold needs rows of both kinds: check cv and groups.",
            )
        for part in (train, test):
            if part.dtype != bool and (part.max() >= rows or part.min() < -rows):
                row = part.max() if part.max() >= rows else part.min()
                raise InputError(
                    f"fold {fold} of cv names row {row}, but there are {rows} rows.",
                    "Rows are counted from 0.",
                )
    return splits


def describe_folds(cv: Any, n_folds: int) -> str:
    """The folds in words, without any content of theirs."""
    name = type(cv).__name__
    if name == "_CVIterableWrapper":
        return f"own splits, {n_folds} folds"
    shuffled = ", shuffled" if getattr(cv, "shuffle", False) is True else ""
    return f"{name}, {n_folds} folds{shuffled}"


def has_classes(y: Any) -> bool:
    """Whether a target holds classes that folds can be stratified by."""
    from sklearn.utils.multiclass import type_of_target

    return type_of_target(y) in ("binary", "multiclass")


def _folds(k: int, X: Any, y: Any, groups: Any, kind: str) -> tuple[Any, list[str]]:
    from sklearn import model_selection as ms

    rows = n_rows(X)
    if k < 2:
        raise InputError(
            f"cv={k} is too few folds: one part is scored, the rest trained on.",
            "Allowed: 2 or more, or a splitter.",
        )
    if k > rows:
        if rows == 1:
            raise InputError("X has one row, and folds need two or more.", "Give more rows.")
        raise InputError(f"cv={k} needs at least {k} rows, but there are {rows}.", f"Allowed: 2 to {rows}.")
    notes = []
    stratified = kind == "classification" and has_classes(y)
    if groups is not None:
        n_groups = len(np.unique(np.asarray(groups)))
        if n_groups < k:
            raise InputError(
                f"cv={k} needs {k} groups, but there {'is 1' if n_groups == 1 else f'are {n_groups}'}.",
                f"Allowed: 2 to {n_groups}."
                if n_groups > 1
                else "Folds keep groups together: give two groups or more, or leave groups out.",
            )
        notes.append("Folds keep groups together, because groups are given.")
    if stratified:
        counts = np.unique(np.asarray(y), return_counts=True)[1]
        if counts.max() < k:
            raise InputError(
                f"cv={k} needs {k} rows of a class, but the largest class has {counts.max()}.",
                "Use fewer folds, or check that the target holds classes.",
            )
        rare = int((counts < k).sum())
        if rare:
            notes.append(
                f"{rare} of {len(counts)} classes have fewer rows than the {k} folds; some folds miss them."
            )
    if groups is not None:
        cls = ms.StratifiedGroupKFold if stratified else ms.GroupKFold
        if cls is ms.GroupKFold:
            return cls(k), notes
    else:
        cls = ms.StratifiedKFold if stratified else ms.KFold
    return cls(k, shuffle=True, random_state=SEED), notes


def _check_groups(cv: Any, groups: Any) -> None:
    from sklearn import model_selection as ms

    name = type(cv).__name__
    mixin: Any = getattr(ms._split, "GroupsConsumerMixin", ())
    by_group = isinstance(cv, mixin)
    if by_group and groups is None:
        raise InputError(f"cv={name} needs groups.", "Give groups, one value per row.")
    is_splitter = isinstance(cv, ms.BaseCrossValidator | ms.BaseShuffleSplit)
    if groups is not None and is_splitter and not by_group and type(cv).__module__.startswith("sklearn."):
        raise InputError(
            f"groups are given, but cv={name} ignores them.",
            "Use GroupKFold, StratifiedGroupKFold, GroupShuffleSplit, LeaveOneGroupOut or a number of folds.",
        )


def _split(fold: int, pair: Any) -> Split:
    """A pair of ``cv`` as arrays; ``fold`` counts from 1, for the messages."""
    try:
        train, test = pair
        parts = np.asarray(train), np.asarray(test)
    except (TypeError, ValueError):
        raise InputError(
            f"fold {fold} of cv is no pair (train, test) of row numbers.",
            "Example: cv=list(KFold(5).split(X)).",
        ) from None
    if any(p.ndim != 1 or p.dtype.kind not in "iub" for p in parts if p.size):
        raise InputError(f"fold {fold} of cv holds no row numbers.", "Example: cv=list(KFold(5).split(X)).")
    return parts

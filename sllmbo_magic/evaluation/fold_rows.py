"""Training and test rows of each fold, sliced once for all trials where that is safe and memory permits.

A fit may write into the data that it is given (``copy_X=False``), and the next trial must not see that. So
what is kept is read-only. Only plain numpy arrays are: a pandas frame that shares its memory with another one
has another layout once an estimator copies it, and then the last bit of a score may differ. From the moment
at which a fit complains about a read-only array, nothing is kept.
"""

from __future__ import annotations

from typing import Any
from typing import TypeAlias

import numpy as np

from sllmbo_magic.task.task import Task

MAX_BYTES = 256 * 2**20
"""Memory that the rows of all folds may take; each fold holds a copy of X and y. More is sliced per trial."""

Rows: TypeAlias = tuple[Any, Any, Any, Any]
"""``X_train, y_train, X_test, y_test``."""


class FoldRows:
    """Gives the rows of a fold.

    Args:
        task: A task with an estimator.
        max_bytes: Memory that is kept at most.
    """

    def __init__(self, task: Task, max_bytes: int = MAX_BYTES) -> None:
        self._task = task
        self._kept: dict[int, Rows] = {}
        self._keeps = max_bytes > 0 and _is_safe(task)
        if self._keeps:
            self._keeps = task.n_folds * (_n_bytes(task.X) + _n_bytes(task.y)) <= max_bytes

    def of(self, estimator: Any, fold: int) -> Rows:
        """The rows of one fold, as ``cross_validate`` slices them for this estimator."""
        if not self._keeps:
            return self._sliced(estimator, fold)
        if fold not in self._kept:
            X_train, y_train, X_test, y_test = self._sliced(estimator, fold)
            self._kept[fold] = _locked(X_train), _locked(y_train), _locked(X_test), _locked(y_test)
        return self._kept[fold]

    def must_be_sliced_again(self, error: BaseException) -> bool:
        """Whether a fit failed since it may not write into the rows; from then on nothing is kept."""
        text = str(error)
        if not self._keeps or not any(word in text for word in ("read-only", "WRITEABLE", "not writeable")):
            return False
        self._keeps = False
        self._kept.clear()
        return True

    def _sliced(self, estimator: Any, fold: int) -> Rows:
        from sklearn.utils.metaestimators import _safe_split

        task = self._task
        train, test = task.splits[fold]
        X_train, y_train = _safe_split(estimator, task.X, task.y, train)
        X_test, y_test = _safe_split(estimator, task.X, task.y, test, train)
        return X_train, y_train, X_test, y_test


def _is_safe(task: Task) -> bool:
    if type(task.X) is not np.ndarray or not (task.y is None or type(task.y) is np.ndarray):
        return False
    # a kernel between all rows is sliced in another way, by estimators whose parameters say so
    return len(set(task.X.shape[:2])) > 1


def _n_bytes(data: Any) -> int:
    return 0 if data is None else int(data.nbytes)


def _locked(data: Any) -> Any:
    if data is not None:
        data.setflags(write=False)
    return data

"""A storage that fails in mid-run: the message for the user, and the study that goes on in memory."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic.errors import StorageError
from sllmbo_magic.llm.redact import redact


def storage_problem(error: BaseException) -> StorageError | None:
    """The sentence for an error of Optuna's storage; None for any other error.

    Optuna's own text names none of the causes that people have (a lock, a full disk, a server that is gone).
    """
    if not isinstance(error, StorageInternalError) and not _is_of_grpc(error):
        return None
    cause = storage_cause(error)
    hint = "Check that the storage can be reached and written."
    if "locked" in cause:
        hint = "Another program writes to it: wait for it or end it, or use journal:PATH."
    return StorageError(f"the storage cannot be used any more: {cause}.", hint)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raises StorageError, one sentence, for an error of Optuna's storage inside."""
    try:
        yield
    except Exception as error:
        problem = storage_problem(error)
        if problem is None:
            raise
        raise problem from error


def storage_cause(error: BaseException) -> str:
    """The driver's own words in one line, at most 300 characters."""
    inner = error.__cause__ if isinstance(error, StorageInternalError) else None
    inner = inner or error
    text = getattr(inner, "orig", None) or (inner.details() if _is_of_grpc(inner) else inner)  # type: ignore[attr-defined]
    return redact(" ".join(str(text).split())).removesuffix(".")[:300] or type(inner).__name__


def is_full(cause: str) -> bool:
    """Whether a cause (see :func:`storage_cause`), perhaps of another machine, is a disk without room."""
    texts = os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "disk is full"  # the last one is SQLite's
    return any(text in cause for text in texts)


def _is_of_grpc(error: BaseException) -> bool:
    grpc = sys.modules.get("grpc")
    return grpc is not None and isinstance(error, grpc.RpcError)


def study_in_memory(
    name: str,
    directions: Sequence[optuna.study.StudyDirection],
    trials: Sequence[FrozenTrial],
    user_attrs: Mapping[str, Any],
) -> Study:
    """A study of these finished trials, in the order of their numbers.

    The trials keep their order, not their numbers, where some are missing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(study_name=name, directions=list(directions))
        study.add_trials(sorted(trials, key=lambda trial: trial.number))
    for key, value in user_attrs.items():
        study.set_user_attr(key, value)
    return study

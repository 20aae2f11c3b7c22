"""The fits of a scikit-learn search in joblib's worker processes, whatever may happen to these."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.base import timeout_text
from sllmbo_magic.evaluation.threads import cores
from sllmbo_magic.tuning.isolation import died

_ANSWER_SECONDS = 0.002
"""For which a worker answers, so that the next one takes the next task."""
_MOST_WARM_UP_SECONDS = 60.0


def check_jobs(n_jobs: int | None, *, isolate: bool) -> None:
    """Raise an InputError if one fit at a time is asked for, which joblib never runs in another process."""
    if isolate and n_jobs == 1:
        raise InputError(
            "isolate needs processes, and with n_jobs=1 joblib starts none.",
            "Leave n_jobs out, or give 2 or more.",
        )


@contextmanager
def in_processes(*, isolate: bool) -> Iterator[None]:
    """The surroundings in which ``BaseSearchCV.fit`` makes its workers."""
    if not isolate:
        yield
        return
    from joblib import parallel_config

    with parallel_config("loky", n_jobs=max(2, cores())):  # holds from its construction on
        yield


@contextmanager
def ended_after(seconds: float | None, search: Any) -> Iterator[Callable[[], bool]]:
    """End joblib's workers, whatever they do, when the time is over.

    Gives a function that says whether that happened. New workers first import what fits need: scikit-learn
    and what the search is made of, which is sent along with each fit. That does not count.
    """
    over = threading.Event()

    def end() -> None:
        from joblib.externals.loky import reusable_executor

        over.set()
        pool = reusable_executor._executor
        if pool is not None:
            pool.shutdown(wait=False, kill_workers=True)

    timer = threading.Timer(seconds or 0.0, end)
    timer.daemon = True
    if seconds is not None:
        _warm_up(search)
        timer.start()
    try:
        yield over.is_set
    finally:
        timer.cancel()


def _warm_up(search: Any) -> None:
    """Wait until each worker has answered: the first one there would take the tasks of the others, too."""
    from joblib.externals.loky import reusable_executor
    from sklearn.model_selection import cross_validate  # of the module of the function that fits and scores

    def process(*needs: Any) -> int:
        time.sleep(_ANSWER_SECONDS)
        return os.getpid()

    pool = reusable_executor._executor
    if pool is None:
        return
    answered: set[int] = set()
    end = time.monotonic() + _MOST_WARM_UP_SECONDS
    with suppress(Exception):  # whatever it is, the fits have it too
        while len(answered) < pool._max_workers and time.monotonic() < end:
            tasks = [pool.submit(process, cross_validate, search) for _ in range(pool._max_workers)]
            answered |= {task.result(_MOST_WARM_UP_SECONDS) for task in tasks}


def failure(error: Exception, seconds: float, timeout: float | None, *, over: bool) -> Evaluation:
    """The outcome of a candidate whose workers ended."""
    if over:
        return Evaluation(None, seconds=seconds, error="timeout", cause=timeout_text(timeout))
    return died(error, seconds, out_of_memory=False)

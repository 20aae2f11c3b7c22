"""Threads over folds without oversubscription.

Measured: where fits release Python's lock (``fold_processes`` has the others), two threads over folds beat
two processes (no start-up, no pickling), and folds times threads of the estimator above the number of cores
is slower than one thread. So one layout holds for a whole run: ``fold_threads * estimator_threads <= cores``.
Three things enforce it: the estimator's own thread parameters, OpenMP's limit in each of our threads, and a
limit on BLAS while an evaluation runs.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import numbers
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import sklearn

from sllmbo_magic.errors import InputError

THREAD_PARAMETERS = ("n_jobs", "num_threads", "nthread", "nthreads", "num_thread", "thread_count")
"""Names by which estimators take a number of threads (scikit-learn, LightGBM, XGBoost, CatBoost)."""


BOOSTING = ("lightgbm", "xgboost", "catboost")
"""Libraries whose estimators use all cores unless a parameter limits them."""

ONE_FOLD_AT_A_TIME = ("torch", "skorch", "keras", "tensorflow", "scikeras", "pytorch_tabnet")
"""Libraries that draw from one random state of the whole process: their folds run one after the other."""


def cores() -> int:
    """Cores that this process may use (affinity and container limits counted)."""
    import joblib

    return int(joblib.cpu_count())


def layout(n_folds: int, n_jobs: int | None, cores: int) -> tuple[int, int]:
    """Threads over folds, and threads of each estimator; their product never exceeds ``cores``.

    Args:
        n_folds: Folds that may run at the same time, those of all evaluations at once, at least 1.
        n_jobs: Cores to use; None: all; negative as in joblib (-1 all, -2 all but one); more than there are
            means all.
        cores: Cores there are.

    Raises:
        InputError: ``n_jobs`` is 0 or no whole number.
    """
    jobs = cores_to_use(n_jobs, cores)
    over_folds = min(n_folds, jobs)
    return over_folds, jobs // over_folds


def cores_to_use(n_jobs: int | None, cores: int) -> int:
    """The cores that ``n_jobs`` means, of those that there are; see :func:`layout`."""
    if n_jobs is None:
        n_jobs = -1
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral) or n_jobs == 0:
        raise InputError(f"n_jobs is {n_jobs!r}.", "Allowed: 1 or more cores, or -1 for all.")
    jobs = int(n_jobs)
    return max(1, cores + 1 + jobs) if jobs < 0 else min(jobs, cores)


def thread_settings(estimator: Any, threads: int) -> dict[str, int]:
    """Parameters that make an estimator use at most so many threads, where they differ from what it has.

    Every nested thread parameter is looked at; one inside another (a forest in a bagging) gets 1. A positive
    number set by the user is kept as an upper bound. None means all cores to boosting libraries and gets the
    number; to scikit-learn it means one thread and stays: a forest adds up its trees in the order in which
    threads end, so that more threads would change the last digits of a score from run to run.
    """
    params: dict[str, Any] = estimator.get_params(deep=True)
    parts = {"": estimator, **params}
    names = [name for name in params if name.rpartition("__")[2] in THREAD_PARAMETERS]
    for owner, part in parts.items():
        name = f"{owner}__thread_count".removeprefix("__")
        if module_of(part) == "catboost" and name not in params:
            names.append(name)  # CatBoost lists only parameters that were set
    owners = {name.rpartition("__")[0] for name in names}
    settings = {}
    for name in names:
        owner, n_threads = name.rpartition("__")[0], params.get(name)
        if n_threads is None and module_of(parts.get(owner)) not in BOOSTING:
            continue
        nested = any(o != owner and (not o or owner.startswith(f"{o}__")) for o in owners)
        bound = n_threads if isinstance(n_threads, int) and n_threads > 0 else threads
        number = 1 if nested else min(threads, bound)
        if number != n_threads:
            settings[name] = number
    return settings


def module_of(part: Any) -> str:
    """The library that an estimator, or the first known class that it extends, comes from."""
    roots = [str(c.__module__).split(".")[0] for c in type(part).__mro__]
    return next((root for root in roots if root in (*BOOSTING, *ONE_FOLD_AT_A_TIME)), roots[0])


def one_fold_at_a_time(estimator: Any) -> bool:
    """Whether folds on threads would disturb each other through one random state of the whole process."""
    return any(module_of(p) in ONE_FOLD_AT_A_TIME for p in (estimator, *estimator.get_params().values()))


class Threads:
    """A few daemon threads that run functions, until they are closed or nobody holds this object any more.

    Like ``ThreadPoolExecutor``, but what was begun first can be served first, and an abandoned function does
    not keep the interpreter from ending: an executor's threads are joined at exit, however long a fold takes.
    """

    def __init__(self, n: int) -> None:
        self._tasks = _Tasks()
        for i in range(n):
            # the threads hold no reference to this object: evaluators that were sent to a worker process
            # are not closed there, only dropped after each trial
            threading.Thread(target=_work, args=(self._tasks,), name=f"sllmbo-fold-{i}", daemon=True).start()
        self._close = weakref.finalize(self, self._tasks.end, n)

    def submit(self, function: Callable[[], Any], order: int = 0) -> Future[Any]:
        """Run a function without arguments as soon as a thread is free, in the caller's surroundings.

        Both belong to a thread: scikit-learn's configuration (``set_config(transform_output="pandas")`` may
        change scores), and the context, which says to which notebook cell a print belongs.

        Args:
            order: Of the functions that wait, those with the lowest one come first.
        """
        future: Future[Any] = Future()
        context, config = contextvars.copy_context(), sklearn.get_config()

        def as_here() -> Any:
            with sklearn.config_context(**config):
                return context.run(function)

        self._tasks.put(order, future, as_here)
        return future

    def close(self) -> None:
        """Let the threads end after what they are doing."""
        self._close()


class _Tasks:
    """What waits for a thread."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Future[Any], Callable[[], Any]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """Whether there is one more. It takes no lock: the garbage collector may call ``end`` anywhere."""

    def put(self, order: int, future: Future[Any], function: Callable[[], Any]) -> None:
        with self._lock:
            heapq.heappush(self._heap, (order, next(self._numbers), future, function))
        self._news.put(True)

    def get(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next one, waited for; None ends the thread."""
        if not self._news.get():
            return None
        with self._lock:
            return heapq.heappop(self._heap)[2:]

    def end(self, n: int) -> None:
        """Let ``n`` threads end once what waits now is done."""
        for _ in range(n):
            self._news.put(False)


def _work(tasks: _Tasks) -> None:
    while (task := tasks.get()) is not None:
        future, function = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken, as executors do
            future.set_exception(error)
            del error
        else:
            future.set_result(result)
            del result
        del task, future, function

"""Tiny estimators that do one thing each: fail, warn, wait, count. Four rows of data are enough for most."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.base import ClassifierMixin
from sklearn.base import RegressorMixin


class Shift(RegressorMixin, BaseEstimator):
    """Predicts the mean of its training targets plus ``shift``."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Shift:
        self.value_ = float(np.average(np.asarray(y, dtype=float), weights=sample_weight)) + self.shift
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.value_)


class Failing(Shift):
    """Raises ``error`` in the method named ``where``, after so many fits of all its kind."""

    fits = 0
    _lock = threading.Lock()

    def __init__(
        self, error: Exception | None = None, where: str = "fit", after: int = 0, shift: float = 0.0
    ) -> None:
        super().__init__(shift)
        self.error = error
        self.where = where
        self.after = after

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Failing:
        with Failing._lock:
            Failing.fits += 1
        super().fit(X, y)
        self._raise("fit")
        return self

    def predict(self, X: Any) -> Any:
        self._raise("predict")
        return super().predict(X)

    def _raise(self, where: str) -> None:
        if self.error is not None and self.where == where and Failing.fits > self.after:
            raise self.error


class Quoting(ClassifierMixin, BaseEstimator):
    """Fails with a message that quotes the data, as real estimators do."""

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, X: Any, y: Any) -> Quoting:
        raise ValueError(f"could not convert {X!r} with labels {list(y)}")


class Warner(Shift):
    """Warns ``times`` times in each fit."""

    def __init__(self, times: int = 1, category: type[Warning] = UserWarning, shift: float = 0.0) -> None:
        super().__init__(shift)
        self.times = times
        self.category = category

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Warner:
        for _ in range(self.times):
            warnings.warn("a value of the data: 42", self.category, stacklevel=2)
        super().fit(X, y)
        return self


class Gate:
    """Lets fits wait for the test, and the test for fits: ``started`` counts, ``open`` lets them go."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.open = threading.Event()


GATES: dict[str, Gate] = defaultdict(Gate)
"""By name, because an estimator's clone shares nothing but its parameters."""


class Waiting(Shift):
    """Each fit waits at the gate called ``gate``."""

    def __init__(self, gate: str = "", shift: float = 0.0) -> None:
        super().__init__(shift)
        self.gate = gate

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Waiting:
        GATES[self.gate].started.release()
        assert GATES[self.gate].open.wait(60)
        super().fit(X, y)
        return self


SEEN: dict[str, list[dict[str, Any]]] = defaultdict(list)
"""By name: what each fit of :class:`Watching` saw."""


class Watching(Shift):
    """Notes in :data:`SEEN` how many fits run at once, its own ``n_jobs`` and the limits of thread pools."""

    _lock = threading.Lock()
    _running = 0

    def __init__(self, name: str = "", n_jobs: int | None = None, shift: float = 0.0) -> None:
        super().__init__(shift)
        self.name = name
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Watching:
        from threadpoolctl import threadpool_info

        with Watching._lock:
            Watching._running += 1
        pools = {f"{pool['user_api']}:{pool['filepath']}": pool["num_threads"] for pool in threadpool_info()}
        np.linalg.svd(np.random.default_rng(0).normal(size=(60, 60)))  # some work, so that fits overlap
        with Watching._lock:
            seen = {"running": Watching._running, "n_jobs": self.n_jobs, "pools": pools}
            SEEN[self.name].append({**seen, "thread": threading.current_thread().name})
            Watching._running -= 1
        super().fit(X, y)
        return self


# Of fits in processes of their own, which import this module and so not all that the tests import.


class Ending(Shift):
    """Ends its process in the way that ``way`` says."""

    def __init__(self, way: str = "well", shift: float = 0.0) -> None:
        super().__init__(shift)
        self.way = way

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Ending:
        if self.way == "exit":
            os._exit(3)
        if self.way == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.way == "hang":
            threading.Event().wait()
        super().fit(X, y)
        return self


class EndingLater(Ending):
    """Ends its process in that way once the file is there."""

    def __init__(self, way: str = "well", shift: float = 0.0, file: str = "") -> None:
        super().__init__(way, shift)
        self.file = file

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EndingLater:
        if os.path.exists(self.file):
            super().fit(X, y)
        else:
            Shift.fit(self, X, y)
        return self


class AtStart(Shift):
    """Its process gets an interrupt, or ends where a file exists, before it can evaluate."""

    def __init__(self, what: str = "", shift: float = 0.0) -> None:
        super().__init__(shift)
        self.what = what

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.what == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        elif os.path.exists(self.what):
            os._exit(1)


class OnDevice(Shift):
    """Fits where one device is set only."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnDevice:
        assert os.environ["CUDA_VISIBLE_DEVICES"] in ("3", "7")
        super().fit(X, y)
        return self


class UnpickledHereOnly(Shift):
    """Cannot be unpickled in another process than ``pid``."""

    def __init__(self, pid: int = 0, shift: float = 0.0) -> None:
        super().__init__(shift)
        self.pid = pid

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if os.getpid() != self.pid:
            raise AttributeError("Can't get attribute 'Mine' on <module 'mine'>")

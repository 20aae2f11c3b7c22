"""A storage that may fail for a while: calls wait until its server is back, or its disk has room again."""

from __future__ import annotations

import abc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.storage.journal_file import JournalFile
from sllmbo_magic.storage.storage_problems import is_full
from sllmbo_magic.storage.storage_problems import storage_cause

_FIRST_SECONDS, _MOST_SECONDS = 0.25, 10.0
"""Between two attempts: it doubles from the first to the most."""
_POLL_SECONDS = 0.1
_UNCLEAR_SECONDS = 300.0
"""For which a call is repeated whose error may have another cause than a server that is away."""
_PROBE_BYTES = 2**20
"""More than SQLite writes in one piece."""
_OWNER_SECONDS = 5.0
"""For which a program has time to write its name into a trial that it has taken."""


_Base: Any = BaseStorage
"""Untyped, since the methods of :class:`WaitingStorage` are made below."""


class WaitingStorage(_Base):  # type: ignore[misc]
    """Forwards to a storage, and repeats a call that failed because its server could not be reached, or its
    disk was full.

    A server that restarts then ends no run, and the scores of trials in flight are kept until they can be
    written. Errors that waiting does not mend are raised at once.

    Args:
        inner: The storage.
        should_stop: Asked while a call waits; the error is raised once it returns True.
        report: Called with the cause when the first call has failed, and with None once one was answered.
        is_on_server: Whether the storage has a server that may go away.
    """

    def __init__(
        self,
        inner: BaseStorage,
        should_stop: Callable[[], bool],
        report: Callable[[str | None], None],
        *,
        is_on_server: bool = True,
    ) -> None:
        self.inner = inner
        self._is_on_server = is_on_server
        self._should_stop = should_stop
        self._report = report
        self._lock = threading.Lock()
        self._is_away = False
        self._is_closed = False

    def close(self) -> None:
        """From now on no call waits."""
        self._is_closed = True

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """The result of a method of the storage, once its server answers and its disk has room.

        Raises:
            Exception: Of the storage, where waiting does not mend it or the run was stopped.
        """
        pause = _FIRST_SECONDS
        n_unclear = 0  # attempts that the server may have carried out before the connection was lost
        began = time.monotonic()
        while True:
            try:
                answer = getattr(self.inner, name)(*args, **options)
            except UpdateFinishedTrialError:
                if n_unclear and name == "set_trial_state_values":
                    self._answered()
                    # that was this program, or another one, which took the trial first
                    return not any(value is TrialState.RUNNING for value in (*args, *options.values()))
                raise
            except Exception as error:
                cause = _cause(self.inner, error)
                has_no_room = is_full(cause)
                is_mendable = (
                    has_no_room
                    or (self._is_on_server and is_away(error))
                    or (_may_be_away(error) and time.monotonic() - began < _UNCLEAR_SECONDS)
                )
                if self._is_closed or not is_mendable or not self._wait(cause, pause):
                    raise
                n_unclear += not has_no_room
                pause = min(2 * pause, _MOST_SECONDS)
            else:
                self._answered()
                if answer is False and n_unclear and name == "set_trial_state_values":
                    return self._is_taken_by_nobody_else(*args, **options)
                return answer

    def _is_taken_by_nobody_else(self, trial_id: int, *unused: Any, **unused_too: Any) -> bool:
        """Whether the queued trial is this program's: the server had noted so before the connection was lost.

        Another program that took it meanwhile would write its name at once.
        """
        end = time.monotonic() + _OWNER_SECONDS
        while True:
            trial = self.call("get_trial", trial_id)
            if trial.state != TrialState.RUNNING or attrs.OWNER in trial.user_attrs:
                return False
            if time.monotonic() > end:
                return True
            time.sleep(_POLL_SECONDS)

    def _wait(self, cause: str, seconds: float) -> bool:
        """Whether to try again, after so many seconds."""
        with self._lock:
            was_away, self._is_away = self._is_away, True
        if not was_away:
            self._report(cause)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._should_stop():
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _answered(self) -> None:
        if self._is_away:
            with self._lock:
                was_away, self._is_away = self._is_away, False
            if was_away:
                self._report(None)

    def __getattr__(self, name: str) -> Any:
        # what a kind of storage has beyond BaseStorage: heartbeats, its engine
        if name == "inner":  # not there yet, while it is unpickled
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self.inner,)  # another process does not wait


def _forwarded(name: str) -> Callable[..., Any]:
    def method(self: WaitingStorage, *args: Any, **options: Any) -> Any:
        return self.call(name, *args, **options)

    method.__name__ = name
    method.__doc__ = f"See ``BaseStorage.{name}``."
    return method


for _name in [name for name, member in vars(BaseStorage).items() if callable(member) and name[0] != "_"]:
    setattr(WaitingStorage, _name, _forwarded(_name))
abc.update_abstractmethods(WaitingStorage)


def _same(storage: BaseStorage) -> BaseStorage:
    return storage


@contextmanager
def waiting(
    study: Study, should_stop: Callable[[], bool], report: Callable[[str | None], None]
) -> Iterator[None]:
    """Calls of a study to its storage wait for its server, or for room on its disk, in this context.

    Args:
        study: Nothing changes where its storage is neither on a server nor in a file in which a failed write
            leaves nothing: SQLite's, and a journal that this package has opened.
        should_stop: See :class:`WaitingStorage`.
        report: See :class:`WaitingStorage`.
    """
    storage = study._storage
    is_on_server = on_server(storage)
    # Optuna caches a database's trials
    if not is_on_server and not isinstance(getattr(storage, "_backend", storage), RDBStorage | JournalFile):
        yield
        return
    study._storage = wrapper = WaitingStorage(storage, should_stop, report, is_on_server=is_on_server)
    try:
        yield
    finally:
        wrapper.close()  # studies that the run has made since keep it
        study._storage = storage


def on_server(storage: BaseStorage) -> bool:
    """Whether a storage is on a server: a database other than SQLite, or Optuna's gRPC proxy."""
    database = getattr(storage, "_backend", storage)  # Optuna caches a database's trials
    if isinstance(database, RDBStorage):
        return str(database.engine.dialect.name) != "sqlite"
    return type(storage).__name__ == "GrpcStorageProxy"


def _cause(storage: BaseStorage, error: Exception) -> str:
    """The cause of an error. SQLite calls a quota that is used up an I/O error: a file beside its own fails,
    too.
    """
    cause = storage_cause(error)
    database = getattr(storage, "_backend", storage)  # Optuna caches a database's trials
    if "disk I/O error" not in cause or not isinstance(database, RDBStorage):
        return cause
    try:
        with tempfile.TemporaryFile(
            dir=os.path.dirname(os.path.abspath(database.engine.url.database or ""))
        ) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        text = os.strerror(problem.errno or 0)
        return f"{cause} ({text})" if is_full(text) else cause
    return cause


def is_away(error: BaseException) -> bool:
    """Whether an error means that the server cannot be reached, or is not ready, just now."""
    grpc = sys.modules.get("grpc")
    if grpc is not None and isinstance(error, grpc.RpcError):
        return bool(error.code() == grpc.StatusCode.UNAVAILABLE)
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    exc = sys.modules.get("sqlalchemy.exc")
    if exc is None or not isinstance(cause, exc.DBAPIError):
        return False
    return cause.connection_invalidated or isinstance(cause, exc.OperationalError | exc.InterfaceError)


def _may_be_away(error: BaseException) -> bool:
    """Whether Optuna's gRPC proxy may have lost its own database: it has no status for that."""
    grpc = sys.modules.get("grpc")
    if grpc is None or not isinstance(error, grpc.RpcError):
        return False
    text = str(error.details())
    return "during the commit" in text or "OperationalError" in text

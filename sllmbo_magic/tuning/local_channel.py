"""From the worker processes of an executor to the process of the run, on one machine: a socket and a key."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from multiprocessing.connection import Connection
from multiprocessing.connection import Listener
from multiprocessing.connection import answer_challenge
from multiprocessing.connection import deliver_challenge
from typing import Any

from sllmbo_magic.tuning.remote_trial import Answer

_KEY_BYTES = 32
_WAKE_UP_SECONDS = 1.0


class LocalChannel:
    """Answers calls of worker processes, each of them in a thread of its own.

    The socket is opened when the channel is sent to a process for the first time, takes connections of this
    machine only, and only from who has its key.

    Args:
        answer: Carries out a call.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._key = os.urandom(_KEY_BYTES)
        self._listener: Listener | None = None
        self._connections: list[Connection] = []
        self._is_closed = False

    def ask(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Carry out a call in this process."""
        return self._answer(number, name, args, options)

    def close(self) -> None:
        """End all connections; calls that are under way fail in their process."""
        with self._lock:
            self._is_closed = True
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, []
        if listener is not None:
            _wake_up(listener)
            listener.close()
        for connection in connections:
            connection.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _WorkerChannel, (self._address(), self._key)

    def _address(self) -> Any:
        with self._lock:
            if self._listener is None:
                self._listener = Listener(("127.0.0.1", 0))
                self._start(self._accept, self._listener)
            return self._listener.address

    def _start(self, target: Any, *args: Any) -> None:
        threading.Thread(target=target, args=args, name="sllmbo-trial-calls", daemon=True).start()

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:  # closed
                return
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: Connection) -> None:
        try:
            self._answer_calls(connection)
        finally:
            with self._lock:
                is_open = connection in self._connections  # else :meth:`close` has closed it
                if is_open:
                    self._connections.remove(connection)
            if is_open:
                connection.close()

    def _answer_calls(self, connection: Connection) -> None:
        # The listener has no key, since it would wait for this one's proof while others want to connect.
        try:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
        except (AuthenticationError, EOFError, OSError, TypeError):
            return
        while True:
            try:
                number, name, args, options = connection.recv()
            except (EOFError, OSError):  # the process has ended
                return
            except TypeError:  # what ``recv`` raises where :meth:`close` has closed the connection meanwhile
                return
            try:
                reply: tuple[bool, Any] = True, self._answer(number, name, args, options)
            except Exception as error:  # noqa: BLE001 - raised again where it was asked for
                reply = False, error
            try:
                connection.send(reply)
            except OSError:
                return
            except Exception as error:  # noqa: BLE001 - the reply cannot be pickled
                connection.send((False, TypeError(str(error))))


def _wake_up(listener: Listener) -> None:
    """Closing a socket does not end an ``accept`` that waits on it: a last connection does."""
    with contextlib.suppress(OSError):
        socket.create_connection(listener.address, timeout=_WAKE_UP_SECONDS).close()


# In the worker process

_connections: dict[Any, tuple[Connection, threading.Lock]] = {}
_lock = threading.Lock()


class _WorkerChannel:
    """The same channel in a worker process, which has one connection for all its trials."""

    def __init__(self, address: Any, key: bytes) -> None:
        self._address = address
        self._key = key

    def ask(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with _lock:
            if (os.getpid(), self._address) not in _connections:
                connection = Client(self._address, authkey=self._key)
                _connections[os.getpid(), self._address] = connection, threading.Lock()
            connection, lock = _connections[os.getpid(), self._address]
        with lock:
            connection.send((number, name, args, options))
            done, answer = connection.recv()
        if not done:
            raise answer
        return answer

"""Trials on the workers of a Dask cluster.

The evaluator, which holds the data, travels to each worker once, as a worker plugin: a worker that joins
later gets it too. A trial carries only its parameters. The conversation with the LLM, the study and its
storage stay in this process. A trial whose worker dies runs again on another one (Dask's own retries).
"""

from __future__ import annotations

import contextlib
import pickle
import re
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import Executor
from concurrent.futures import Future
from functools import partial
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.tuning.remote_trial import Answer
from sllmbo_magic.tuning.sent_evaluator import NotLoaded

CONNECT_SECONDS = 10
_QUEUE_SECONDS = 0.5
"""For which the process of the run waits for a call before it looks whether the run has ended."""
_ANSWER_SECONDS = 120.0
"""For which a worker waits for an answer: a suggestion may wait for the LLM."""
RETRIES = 3
"""How often a trial whose worker died runs again elsewhere."""


class DaskExecutor(Executor):
    """``concurrent.futures.Executor`` over a Dask cluster.

    Args:
        address: ``HOST:PORT`` of the scheduler, or an address with a protocol (``tls://...``).

    Raises:
        MissingExtraError: ``distributed`` is not installed.
        InputError: No scheduler answers there, or it has no worker.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise MissingExtraError(
                "dask is not installed.", 'Install it with: pip install "sllmbo-magic[dask]"'
            ) from None
        url = address if "://" in address else f"tcp://{address}"
        try:
            self._client = Client(url, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {url} ({type(error).__name__}).",
                "Start one with: dask scheduler; and workers with: dask worker HOST:8786",
            ) from None
        self.n_slots = sum(self._client.nthreads().values())
        if not self.n_slots:
            self._client.close()
            raise InputError(
                f"the Dask cluster at {url} has no worker.", f"Start one with: dask worker {url}"
            )
        self._executor = self._client.get_executor(retries=RETRIES)
        self._plugins: dict[int, tuple[Any, str]] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` on a worker. Of a bound method only the name and the arguments travel with each call;
        its object is sent to each worker once.

        Raises:
            InputError: The object cannot be sent, or a worker lacks a package that it needs.
        """
        if isinstance(fn, partial):
            return self.submit(fn.func, *fn.args, *args, **{**fn.keywords, **kwargs})
        owner = getattr(fn, "__self__", None)
        if owner is None:
            future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        else:
            future = self._executor.submit(_call, self._sent_owner(owner), fn.__name__, args, kwargs)
        return future

    def channel(self, answer: Answer) -> DaskChannel:
        """The way from the workers to this process, for what trials ask of the run."""
        return DaskChannel(self._client, answer)

    def problem(self) -> str:
        """Why no trial can run just now, in one sentence; empty when trials can run."""
        if self._client.status != "running":
            return "the connection to the Dask scheduler is lost."
        try:
            has_worker = bool(self._client.nthreads())
        except Exception:  # noqa: BLE001 - Dask has several errors for that
            return "the connection to the Dask scheduler is lost."
        return "" if has_worker else "the Dask cluster has no worker."

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Drop what was sent to the workers and close the connection; the cluster goes on."""
        if self._client.status == "closed":
            return
        with contextlib.suppress(Exception):  # a scheduler that has gone meanwhile has nothing to drop
            if cancel_futures or not wait:
                self._executor.shutdown(wait=False)
            elif self._client.status == "running":
                self._executor.shutdown(wait=True)
            if self._client.status == "running":
                for _, name in self._plugins.values():
                    self._client.unregister_worker_plugin(name)
        self._plugins.clear()
        self._client.close()

    def _sent_owner(self, owner: Any) -> str:
        if id(owner) not in self._plugins:
            name = f"sllmbo-{uuid.uuid4().hex}"
            try:
                self._client.register_plugin(_plugin(owner), name=name)
            except Exception as error:
                # Dask wraps what a worker raises: the missing module is in the text only
                if missing := re.search(
                    r"No module named '([\w.]+)'|No module named \\'([\w.]+)\\'", str(error)
                ):
                    raise InputError(
                        f"a Dask worker has no package {(missing[1] or missing[2])!r}.",
                        "Install on every worker what the notebook uses, sllmbo-magic too.",
                    ) from None
                raise InputError(
                    f"the task cannot be sent to the Dask workers: {type(error).__name__}: {error}",
                    "Objects that travel must be picklable: define functions and classes in a module.",
                ) from error
            self._plugins[id(owner)] = (owner, name)
        return self._plugins[id(owner)][1]


class DaskChannel:
    """From the workers of a cluster to the process of the run, through queues on the scheduler: a worker need
    not reach the machine of the notebook.

    Args:
        client: Of the cluster.
        answer: Carries out a call.
    """

    reaches_machines = True

    def __init__(self, client: Any, answer: Answer) -> None:
        self._client = client
        self._answer = answer
        self._name = f"sllmbo-calls-{uuid.uuid4().hex}"
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def ask(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Carry out a call in this process."""
        return self._answer(number, name, args, options)

    def close(self) -> None:
        """Answer no further calls."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(2 * _QUEUE_SECONDS)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="sllmbo-trial-calls", daemon=True)
            self._thread.start()
        return _WorkerChannel, (self._name,)

    def _serve(self) -> None:
        from distributed import Queue

        calls = Queue(self._name, client=self._client)
        while not self._closing.is_set():
            try:
                reply_to, *call = pickle.loads(calls.get(timeout=_QUEUE_SECONDS))
            except TimeoutError:
                continue
            except Exception:  # noqa: BLE001 - the connection is lost; Dask has several errors for that
                if self._client.status in ("closed", "closing"):
                    return
                self._closing.wait(_QUEUE_SECONDS)
                continue
            try:
                reply: tuple[bool, Any] = True, self._answer(*call)
            except Exception as error:  # noqa: BLE001 - raised again where it was asked for
                reply = False, error
            with contextlib.suppress(Exception):  # the worker that asked is gone
                Queue(reply_to, client=self._client).put(pickle.dumps(reply))


class _WorkerChannel:
    """The same channel on a worker."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ask(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        from distributed import Queue
        from distributed import get_client

        client = get_client()
        replies = Queue(f"{self._name}-{uuid.uuid4().hex}", client=client)
        try:
            call = pickle.dumps((replies.name, number, name, args, options))
            Queue(self._name, client=client).put(call)
            done, answer = pickle.loads(replies.get(timeout=_ANSWER_SECONDS))
        finally:
            replies.close()
        if not done:
            raise answer
        return answer


def _plugin(owner: Any) -> Any:
    """A worker plugin that keeps an object; the class is made here because ``distributed`` is optional."""
    from distributed import WorkerPlugin

    class Carrier(WorkerPlugin):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self.owner = owner

        def setup(self, worker: Any) -> None:
            if isinstance(self.owner, NotLoaded):
                raise self.owner.error

    return Carrier()


def _call(name: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs on the worker."""
    from distributed import get_worker

    plugin = get_worker().plugins.get(name)
    if plugin is None:  # the run that sent it has ended
        raise CancelledError
    return getattr(plugin.owner, method)(*args, **kwargs)

"""What a run needs of the process around it: a pool, a quiet Optuna, Ctrl-C as a wish, early imports."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError

if TYPE_CHECKING:
    from sllmbo_magic.llm.base import Provider


def warm_up(provider: Provider | None) -> None:
    """Imports of a second or two, made while the default is evaluated."""
    with contextlib.suppress(Exception):  # whatever it is, it comes again where it is needed
        if provider is not None and hasattr(provider, "warm_up"):
            provider.warm_up()
        import_module("sklearn.gaussian_process")


def executor_of(executor: Executor | str | None) -> tuple[Executor | None, int, bool]:
    """The pool, how many trials it takes at once, and whether it is ours to shut down."""
    if executor is None:
        return None, 1, False
    if isinstance(executor, str):
        if not executor.startswith("dask://"):
            raise InputError(
                f"executor {executor!r} is not known.", "Allowed: dask://HOST:PORT, or an Executor object."
            )
        try:
            from distributed import Client  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            from sllmbo_magic.errors import MissingExtraError

            raise MissingExtraError(
                "dask is not installed.", "Install it with: pip install distributed"
            ) from None
        client = Client("tcp://" + executor.removeprefix("dask://"))
        return client.get_executor(), max(1, sum(client.nthreads().values())), True
    workers = getattr(executor, "_max_workers", None) or 2
    return executor, int(workers), False


@contextlib.contextmanager
def interrupts(control: Control) -> Iterator[None]:
    """Ctrl-C in the main thread becomes a wish; a second one abandons the fold in flight, a third one
    raises.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if control.abandoning:
            raise KeyboardInterrupt
        control.interrupt()

    previous = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, handle)
    except ValueError:  # not the main interpreter
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)

"""Ctrl-C (SIGINT) while a block runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any


@contextmanager
def on_interrupt(handler: Callable[[int, Any], Any]) -> Iterator[None]:
    """Call ``handler`` at an interrupt while the block runs, instead of what was called before.

    Only the main thread of the main interpreter can do this; elsewhere the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:  # not the main interpreter
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Around the start of a process of loky's: an interrupt waits there until :func:`ignore_interrupts`.

    Ctrl-C reaches all processes of a terminal or kernel, and a process that still imports has no way of its
    own to ignore it: what is blocked here is blocked in the child from its first moment. Where a system has
    no such thing (Windows), the start can be interrupted.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # a tracker that is started meanwhile would let interrupts through again (Python up to 3.13)
    resource_tracker.ensure_running()
    import_module("joblib.externals.loky.backend.resource_tracker").ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """In a child process: an interrupt is the parent's to answer, also one that came while it started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

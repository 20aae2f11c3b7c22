"""``study.stop()`` outside ``study.optimize``, which Optuna allows only inside; runs ask and tell instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_allowed(study: Any) -> Iterator[None]:
    """Let code of this thread call ``study.stop()``: callbacks, objectives and samplers may.

    Optuna has no public way to say so; the flag belongs to the thread.
    """
    in_thread = study._thread_local
    before = in_thread.in_optimize_loop
    in_thread.in_optimize_loop = True
    try:
        yield
    finally:
        in_thread.in_optimize_loop = before


def forget_stop(study: Any) -> None:
    """As ``study.optimize`` does when it begins: an earlier ``study.stop()`` ends no later run."""
    study._stop_flag = False


def is_stopped(study: Any) -> bool:
    """Whether ``study.stop()`` was called since :func:`forget_stop`."""
    return bool(study._stop_flag)

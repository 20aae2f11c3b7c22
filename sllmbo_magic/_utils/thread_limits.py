"""Limits on the threads of BLAS and OpenMP, shared by all that compute in this process."""

from __future__ import annotations

import sys
import threading
from typing import Any

_controller: tuple[int, Any] | None = None


def _pools() -> Any:
    """A controller of the loaded BLAS and OpenMP libraries; finding them takes milliseconds, so kept."""
    from threadpoolctl import ThreadpoolController

    global _controller
    loaded = len(sys.modules)
    if _controller is None or _controller[0] != loaded:
        _controller = (loaded, ThreadpoolController())
    return _controller[1]


def limit_openmp(threads: int) -> None:
    """Limit OpenMP in the calling thread for good; the limit belongs to the thread and ends with it."""
    _pools().limit(limits=threads, user_api="openmp")


class BlasLimit:
    """Limits BLAS while something is computed.

    BLAS limits hold for the whole process, so that computations that overlap share one: the first sets it,
    the last restores what was before.
    """

    _lock = threading.Lock()
    _users = 0
    _limiter: Any = None

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def __enter__(self) -> None:
        with BlasLimit._lock:
            if BlasLimit._users == 0:
                BlasLimit._limiter = _pools().limit(limits=self._threads, user_api="blas")
            BlasLimit._users += 1

    def __exit__(self, *_: object) -> None:
        with BlasLimit._lock:
            BlasLimit._users -= 1
            if BlasLimit._users == 0:
                BlasLimit._limiter.restore_original_limits()
                BlasLimit._limiter = None

"""Whether a program on this machine still lives: each locks a file of its own in the temporary folder.

The lock is one of the operating system, which drops it with the process. The file of a program that was
killed stays for a week: it says that the program is dead.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from pathlib import Path
from types import TracebackType

from filelock import FileLock
from filelock import Timeout

_PREFIX = "sllmbo-magic-"
_KEPT_SECONDS = 7 * 24 * 3600.0
"""For which the file of a killed program stays; later its heartbeat in the storage tells that it is dead."""


class ProgramLock:
    """Held while it is open.

    Attributes:
        token: Names it; other programs look for it by :func:`lives`.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        # the thread that ends a run may be another one than the one that began it
        self._lock = FileLock(_path(self.token), thread_local=False)

    def __enter__(self) -> ProgramLock:
        with contextlib.suppress(OSError):  # then nobody can tell whether this program lives
            self._lock.acquire(timeout=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release(force=True)
        with contextlib.suppress(OSError):
            _path(self.token).unlink()
        _remove_old()


def lives(token: str) -> bool | None:
    """Whether the program with this token lives.

    None where this machine has nothing of it: it runs on another one, or has ended its run.
    """
    path = _path(token)
    if not path.exists():
        return None
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # of another user
        return None


def _remove_old() -> None:
    """Remove the files of programs that were killed a week ago or earlier. No program takes the lock of
    another one's file for its own, so that none of them comes alive meanwhile.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*.lock"):
        with contextlib.suppress(OSError):  # of another user, or the program lives (``Timeout``)
            if path.stat().st_mtime < time.time() - _KEPT_SECONDS:
                with FileLock(path).acquire(timeout=0):
                    path.unlink()


def _path(token: str) -> Path:
    return Path(tempfile.gettempdir(), f"{_PREFIX}{token}.lock")

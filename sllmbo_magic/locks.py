"""Who owns a run's folder, and who may write to its journal, when processes can die at any moment.

Two locks, for two lengths of time:

* :class:`Owner` names the process of a run for the run's whole life: pid, host and the process's start time
  (a pid alone is reused). It is only a note in a file; whether it still holds is asked of the operating
  system, so that a ``kill -9`` leaves nothing that anybody would have to wait for.
* :class:`JournalLock` is held for one write to an Optuna journal. The operating system drops it with its
  process. Optuna's own file locks stay behind when their process is killed, and the next writer then waits
  out their grace period of 30 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from optuna.storages.journal import JournalFileOpenLock

FOREIGN_GRACE = 30.0
"""Seconds after which another program's journal lock counts as abandoned (Optuna's own default)."""


def process_started(pid: int) -> str | None:
    """When a process of this machine started, as an opaque stamp; None when there is no such living process.

    A killed process that its parent has not waited for yet (a zombie) is not living.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # the second field is the program's name in parentheses and may hold anything
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    import psutil  # a dependency on the systems that have no /proc

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None


@dataclass(frozen=True)
class Owner:
    """The process that runs a study.

    Attributes:
        pid: Process id.
        host: Name of the machine.
        started: Start time of the process as :func:`process_started` gives it.
        since: When the run was taken, in seconds since the epoch.
    """

    pid: int
    host: str
    started: str
    since: float

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(pid, socket.gethostname(), process_started(pid) or "", time.time())

    @classmethod
    def read(cls, path: Path) -> Owner | None:
        """The owner noted in a file; None without one (a torn note is of a process that died writing it)."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Note this owner in a file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def local(self) -> bool:
        """Whether the owner is on this machine, so that :attr:`alive` can be known."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the process still lives; True where that cannot be known (another machine)."""
        return not self.local or process_started(self.pid) == self.started


class JournalLock(JournalFileOpenLock):
    """Exclusive right to append to a journal file; never outlives its process.

    The lock proper is one of the operating system, on ``PATH.guard``. While it is held, the lock file that
    other programs look for (optuna-dashboard, plain Optuna: ``PATH.lock``) exists too, as a symbolic link to
    the guard; one found pointing there was left by a killed process and is replaced at once. Where links
    cannot be made, the guard alone serves. Taking the lock also cuts a torn last line, which a killed writer
    leaves and which would make the journal unreadable once something is appended to it.

    Args:
        path: The journal file.
        sleep: Waits so many seconds.
        clock: Gives seconds that never go back.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(os.fspath(path))
        self._path = os.fspath(path)
        self._sleep = sleep
        self._clock = clock
        self._link = self._path + ".lock"
        self._mark = os.path.basename(self._path) + ".guard"
        self._guard = FileLock(self._path + ".guard")

    def __reduce__(self) -> tuple[type[JournalLock], tuple[str]]:
        return (JournalLock, (self._path,))

    def acquire(self) -> bool:
        """Take the lock, waiting for living holders."""
        self._guard.acquire(poll_interval=0.002)
        try:
            self._show_link()
            cut_torn_tail(self._path)
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._link_is_ours():
            os.unlink(self._link)
        self._guard.release()

    def _show_link(self) -> None:
        patience = self._clock() + FOREIGN_GRACE
        while True:
            try:
                os.symlink(self._mark, self._link)
                return
            except FileExistsError:
                if self._link_is_ours() or self._clock() > patience:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self._link)
                else:
                    self._sleep(0.005)
            except OSError:
                return  # a file system without symbolic links

    def _link_is_ours(self) -> bool:
        try:
            return os.readlink(self._link) == self._mark
        except OSError:
            return False


def cut_torn_tail(path: str | Path) -> None:
    """Remove what follows the last line end of a file of lines; call it only while nobody can be writing."""
    if not os.path.exists(path):
        return
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        keep = end
        while keep > 0:
            start = max(0, keep - 65536)
            file.seek(start)
            found = file.read(keep - start).rfind(b"\n")
            if found >= 0:
                keep = start + found + 1
                break
            keep = start
        if keep < end:
            file.truncate(keep)

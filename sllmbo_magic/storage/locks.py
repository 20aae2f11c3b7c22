"""Which process runs a run, and which one writes to its journal, when processes can die at any moment.

Both are locks of the operating system, which drops them with their process: a ``kill -9`` leaves nothing
that anybody would have to wait for.

* :class:`RunLock` is held for the run's whole life. A note beside it names the process, for messages only.
* :class:`JournalLock` is held for one write to an Optuna journal. Optuna's own file locks stay behind when
  their process is killed, and the next writer then waits out their grace period of 30 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from filelock import Timeout
from optuna.storages.journal import JournalFileOpenLock

from sllmbo_magic._utils.library_logs import quiet_library

quiet_library("filelock")  # it reports every lock that is taken and released

FOREIGN_GRACE = 30.0
"""Seconds after which another program's journal lock counts as abandoned (Optuna's own default)."""
_PATIENCE = 0.3
"""Seconds for which :meth:`RunLock.acquire` tries: a reader that looks whether a run is free holds the lock
for a moment.
"""


@dataclass(frozen=True)
class Owner:
    """The process that runs a run, as a message names it; whether it still does is the lock's business.

    Attributes:
        pid: Process id; 0 when not known.
        host: Name of its machine.
        since: When it took the run, in seconds since the epoch; 0 when not known.
    """

    pid: int = 0
    host: str = ""
    since: float = 0.0

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), socket.gethostname(), time.time())

    @classmethod
    def read(cls, path: Path) -> Owner:
        """The process that a note names; an unknown one when there is no note, or half of one."""
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(note["pid"]), str(note["host"]), float(note["since"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, path: Path) -> None:
        """Note it in a file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def local(self) -> bool:
        """Whether it is a process of this machine, as far as is known."""
        return self.host in ("", socket.gethostname())


class RunLock:
    """The right to run what a folder holds.

    An object that is dropped without :meth:`release` gives the lock back; so does the end of its process. A
    forked child does not hold its parent's lock.

    Args:
        path: The lock file; it stays where it is when the lock is given back.
        note: Where the owner is noted.
    """

    def __init__(self, path: Path, note: Path) -> None:
        self._path = path
        self._note = note
        # the thread that ends a run may be another one than the one that began it
        self._lock = FileLock(path, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    @property
    def is_deleted(self) -> bool:
        """Whether this object holds it, but its file is gone, so that nobody else can see that."""
        return self.held and not self._path.exists()

    def acquire(self) -> bool:
        """Take the lock and note this process; False when somebody else holds it."""
        try:
            self._lock.acquire(timeout=_PATIENCE, poll_interval=0.01)
        except Timeout:
            return False
        Owner.current().write(self._note)
        return True

    def release(self) -> None:
        """Give the lock back and remove the note."""
        if self.held:
            with contextlib.suppress(OSError):  # the folder may have been deleted
                self._note.unlink()
            self._lock.release(force=True)

    def owner(self) -> Owner | None:
        """Who holds it; None when nobody does."""
        if self.held:
            return Owner.read(self._note)
        if not self._path.exists():
            return None
        try:
            with FileLock(self._path).acquire(timeout=0):
                return None
        except Timeout:
            return Owner.read(self._note)
        except OSError:  # a file that this user may not open: its owner cannot be read
            return None


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
    """Remove what follows the last line end of a file of lines; no process may be writing to it."""
    if not os.path.exists(path):
        return
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        keep = end
        while keep > 0:
            start = max(0, keep - 65536)
            file.seek(start)
            newline = file.read(keep - start).rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
        if keep < end:
            file.truncate(keep)

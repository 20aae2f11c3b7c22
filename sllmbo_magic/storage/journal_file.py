"""Optuna's journal file, of which each append is in the file as a whole, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from sllmbo_magic.storage.locks import JournalLock


class JournalFile(JournalFileBackend):
    """A journal whose failed writes leave nothing behind.

    A full disk takes the first bytes of a write, or takes all of it and fails when it is flushed. Whoever
    writes the entries once more would then have some of them twice: a trial that nobody made.

    Args:
        path: The journal file.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(os.fspath(path), lock_obj=JournalLock(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, each a line.

        Raises:
            OSError: They could not be written; the file is as it was.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self._lock.acquire()
        try:
            file = open(self._file_path, "ab")  # noqa: SIM115 - closed below, where it may fail, too
            n_bytes = file.tell()
            try:
                with file:
                    file.write(lines)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    os.truncate(self._file_path, n_bytes)
                raise
        finally:
            self._lock.release()

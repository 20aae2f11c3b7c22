"""The journal of a run: entries that cannot be written wait in memory until they can be."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from sllmbo_magic.storage.journal_file import JournalFile
from sllmbo_magic.storage.journal_lines import check_only_tail_is_damaged
from sllmbo_magic.storage.journal_lines import is_entry


class BufferedJournal(BaseJournalBackend):
    """Optuna's journal file, for the one process that owns the run.

    A full disk or a deleted folder ends no run: from the first failure on the entries in memory are the
    journal. Each later append tries to write what waits; where the file is gone or was cut, it is written
    anew from its first entry.

    Args:
        path: The journal file.
        report: Called with what is wrong at the first failure, and with None when all is written again.
    """

    def __init__(self, path: str | Path, report: Callable[[OSError | None], None] | None = None) -> None:
        self._path = os.fspath(path)
        self._file = JournalFile(self._path)
        self._report = report
        self._entries: list[dict[str, Any]] = []
        self._n_waiting = 0
        self._size = 0
        self._is_broken = False
        self._is_incomplete = False
        """Whether entries are not in the file now."""

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The entries from this number on, those that wait included.

        Damaged lines at the end are left out: the owner of the run cuts them.

        Raises:
            StorageError: There is a damaged line before good ones.
        """
        if not self._is_broken:
            try:
                self._read_file()
                self._size = os.path.getsize(self._path)
            except OSError as error:
                self._fail(error)
        return iter(self._entries[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries to the file, or to what waits."""
        if not self._is_broken and self._is_whole():
            try:
                self._file.append_logs(logs)
                return
            except OSError as error:
                self._fail(error)
        if not self._is_whole():
            self._fail(FileNotFoundError(2, "the journal is gone"))
        self._entries.extend(logs)
        self._n_waiting += len(logs)
        self._write_waiting()

    def __reduce__(self) -> tuple[type[BufferedJournal], tuple[str]]:
        return (BufferedJournal, (self._path,))

    def _read_file(self) -> None:
        try:
            for entry in self._file.read_logs(len(self._entries)):
                if not is_entry(entry):
                    raise ValueError
                self._entries.append(entry)
        except (ValueError, RecursionError):
            check_only_tail_is_damaged(Path(self._path), len(self._entries))

    def _is_whole(self) -> bool:
        try:
            return os.path.getsize(self._path) >= self._size
        except OSError:
            return False

    def _write_waiting(self) -> None:
        is_whole = self._is_whole()
        entries = self._entries[-self._n_waiting :] if is_whole else self._entries
        try:
            if not is_whole:
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                Path(self._path).unlink(missing_ok=True)
            self._file.append_logs(entries)
            self._size = os.path.getsize(self._path)
        except OSError as error:
            self._fail(error)
            return
        self._n_waiting = 0
        if self._is_incomplete and self._report is not None:
            self._report(None)
        self._is_incomplete = False

    def _fail(self, error: OSError) -> None:
        """From here on the entries in memory count, since the file may lack some."""
        self._is_broken = self._is_incomplete = True
        if self._report is not None:
            self._report(error)

"""A journal file that several programs write to, and what it does for an Optuna storage of the user's."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sllmbo_magic.storage.journal_file import JournalFile
from sllmbo_magic.storage.journal_lines import is_entry

_COMPARED_BYTES = 200
"""At the end of what was read of a journal; each line has a worker's id and a number or a time in it."""


class SharedJournal(JournalFile):
    """Several processes may write to it, so no entries wait in memory: trouble is an error of the storage.

    The file may only grow. Optuna would make a missing one anew and append to one that was cut, and its
    replay, which counts lines, would never see what was written there.

    Args:
        path: The journal file.
        lock: Held for each write; None: ours.
    """

    def __init__(self, path: str | Path, lock: Any = None) -> None:
        super().__init__(path)
        self._lock = lock or self._lock
        self._known: tuple[int, bytes] = 0, b""
        """Bytes of the whole lines that were read, and the last ones of them."""

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        try:
            self._check_has_only_grown()
            for entry in super().read_logs(log_number_from):
                if not is_entry(entry):
                    raise ValueError("a line is no entry of a journal")
                yield entry
            self._remember_end()
        except (OSError, ValueError) as error:  # the latter also for a line that is no JSON
            raise StorageInternalError(str(error)) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            self._check_has_only_grown()  # before the lock, which would make a deleted folder anew
            super().append_logs(logs)
        except OSError as error:
            raise StorageInternalError(str(error)) from error

    def _check_has_only_grown(self) -> None:
        length, end = self._known
        if self._bytes_before(length) != end:
            raise OSError(f"{self._file_path} was cut or replaced by another file")

    def _remember_end(self) -> None:
        length = next(reversed(self._log_number_offset.values()))
        self._known = length, self._bytes_before(length)

    def _bytes_before(self, end: int) -> bytes:
        start = max(0, end - _COMPARED_BYTES)
        with open(self._file_path, "rb") as file:
            file.seek(start)
            return file.read(end - start)


def use_shared_journal(storage: BaseStorage) -> None:
    """Let a journal storage of the user's write its file as ours does: a write that a full disk refuses
    leaves nothing, and can wait until there is room.

    File, lock and what was read stay. A backend of another kind, or of a class of the user's, is left alone.
    """
    if isinstance(storage, JournalStorage) and type(storage._backend) is JournalFileBackend:
        storage._backend = SharedJournal(storage._backend._file_path, storage._backend._lock)

"""Damage in the journal of a run, as a power cut or a failing disk leaves it: lines that are no entries.

Those at the end are cut, once, by the owner of the run, and kept beside the journal; they held the last few
writes. Those before good lines are left alone, since what follows builds on them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sllmbo_magic.errors import StorageError


def entry_of(line: bytes) -> dict[str, Any] | None:
    """The entry of an Optuna journal that a line holds; None where it holds none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):  # the former also for bytes that are no text
        return None
    return entry if is_entry(entry) else None


def is_entry(value: Any) -> bool:
    """Whether a value is an entry of an Optuna journal."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("op_code"), int)
        and isinstance(value.get("worker_id"), str)
    )


def n_good_bytes(path: Path) -> int:
    """Up to the end of the last line that is an entry; what follows is damaged."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        if entry_of(data[start:end]) is not None:
            return end
        end = start
    return 0


def check_only_tail_is_damaged(path: Path, n_read: int) -> None:
    """Raises StorageError when an entry follows the first damaged line, or there is none at all.

    Args:
        path: The journal.
        n_read: Entries before the first damaged line.
    """
    keep = n_good_bytes(path)
    with path.open("rb") as file:
        n_lines = file.read(keep).count(b"\n")
    if n_lines > n_read or not n_lines:
        raise damaged(path, f"line {n_read + 1} is no entry of a journal")


def damaged(path: Path, why: str) -> StorageError:
    """The error for a journal that cannot be read."""
    return StorageError(
        f"{path} is damaged and cannot be read: {why}.",
        "Restore it from a copy, delete the run, or begin anew without --resume (the stored run is kept).",
    )


def cut_damaged_tail(path: Path) -> str:
    """Cut what follows the last entry, and keep it in a file beside; no process may be writing to it.

    A file without any entry is left as it is: it is no journal.

    Returns:
        What was done, in words; "" where nothing was damaged.
    """
    if not path.exists() or not (keep := n_good_bytes(path)) or keep == path.stat().st_size:
        return ""
    kept = next(other for other in _names_beside(path) if not other.exists())
    with path.open("rb+") as file:
        file.seek(keep)
        kept.write_bytes(file.read())
        file.truncate(keep)
    return (
        f"The last lines of {path} were damaged and could not be read: the run goes on without them. They are"
        f" kept in {kept.name}."
    )


def _names_beside(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.damaged")
    for number in range(2, 10_000):
        yield path.with_name(f"{path.name}.damaged-{number}")

"""Paths of runs: the folder of all runs, the names in it, and which of them this package may change."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError

ROOT = Path(".sllmbo")
"""Where runs are kept by default, relative to the working directory."""


def shared_journal(root: Path, study_name: str) -> Path:
    """The journal of a study that several runs in this folder share (``--join``)."""
    return root / f"{study_name}.study.log"


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a run, which this package may change.

    It is a real folder (a link may lead anywhere) that is empty, as an owner leaves it that dies early, or
    holds a run.json of ours, or, where that is missing or torn, a journal or the note of an owner.
    """
    if path.is_symlink() or not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    if "run.json" in names:
        try:
            meta = json.loads((path / "run.json").read_text(encoding="utf-8"))
            return isinstance(meta, dict) and isinstance(meta.get("schema"), int)
        except (OSError, ValueError):
            pass
    return not names or bool(names & {"study.log", "owner.json", "owner.lock"})


def check_is_run(path: Path) -> None:
    """Raises InputError when something that is no run has the path."""
    if is_run(path):
        return
    kind = "a link" if path.is_symlink() else "another folder" if path.is_dir() else "a file"
    raise InputError(f"{path} is {kind}, not the folder of a run; it is left alone.", "Choose another name.")


def check_name(name: str) -> str:
    """The name of a run, if it can be that of a folder on every system.

    Raises:
        InputError: It cannot.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w(?:[\w.-]{0,98}\w)?", name):
        raise InputError(
            f"{name!r} cannot be the name of a run.",
            "Allowed: letters, digits and _, with . and - inside; at most 100 characters.",
        )
    return name


def root_path(root: str | Path | None) -> Path:
    """The folder of all runs.

    Raises:
        InputError: It is no path.
    """
    if not isinstance(root, str | os.PathLike | None):
        raise InputError(
            f"folder is {root!r}, not a path.", 'Example: folder="runs"; "" keeps nothing on disk.'
        )
    return ROOT if root is None else Path(os.path.expanduser(root))


def prepare_root(root: str | Path | None) -> Path:
    """The folder of all runs, made if needed, with a .gitignore that keeps it out of commits.

    Its path is absolute: an objective may change the working directory during a run.
    """
    path = root_path(root)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not any(path.iterdir()):  # in a folder of the user's it would hide their files from git
            (path / ".gitignore").write_text("*\n", encoding="utf-8")
    except (OSError, ValueError) as error:  # the latter for a null character
        why = getattr(error, "strerror", None) or str(error)
        raise StorageError(
            f"the folder {path} for runs cannot be made ({why}).",
            "Start in a folder that you can write to, or give another one.",
        ) from error
    return path.absolute()


@contextlib.contextmanager
def root_guard(root: Path) -> Iterator[None]:
    """Held while folders are made, taken, renamed or deleted; never longer than that, never nested."""
    with FileLock(root / ".lock").acquire(poll_interval=0.005):
        yield


def archives(path: Path) -> list[tuple[int, Path]]:
    """The earlier runs of a name, oldest first, each with its number."""
    numbered = []
    for other in path.parent.glob(f"{path.name}.*"):
        number = other.name[len(path.name) + 1 :]
        if number.isdecimal() and number.isascii():
            numbered.append((int(number), other))
    return sorted(numbered)


def move_to_archive(path: Path) -> None:
    earlier = archives(path)
    number = earlier[-1][0] + 1 if earlier else 1
    path.rename(path.with_name(f"{path.name}.{number}"))

"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError


def user_path(path: object) -> Path:
    """A path of the user's, absolute where it begins with ``~``.

    Raises:
        InputError: It is no path, or names a home that is not there.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(
            f"the path is {path!r}, which is none.", 'Give a text or a Path, such as "run.html".'
        )
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"the path {os.fspath(path)} names a home that does not exist.", "Write it in full."
        ) from None


def write_whole(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file in one step, making its folders; a file that was there stays as it was until then.

    Returns:
        The path.

    Raises:
        InputError: The path is a folder, or none.
        StorageError: The file cannot be written.
    """
    target = user_path(path)
    if target.is_dir():
        raise InputError(f"{target} is a folder.", "Give the path of a file.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(part, 0o644)
            os.replace(part, target)
        except OSError:
            os.unlink(part)
            raise
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}.", "Choose another path.") from None
    return target

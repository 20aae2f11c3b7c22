"""Where a run is stored, fixed when it starts: a later change of the working directory moves nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_JOURNAL = "journal:"
_HIDDEN = "***"


def absolute_storage(storage: Any) -> Any:
    """A storage with its path made absolute: ``journal:PATH`` and SQLite's URLs; all else as it is."""
    if not isinstance(storage, str):
        return storage
    if storage.startswith(_JOURNAL) and len(storage) > len(_JOURNAL):
        return _JOURNAL + os.path.abspath(os.path.expanduser(storage.removeprefix(_JOURNAL)))
    scheme, separator, path = storage.partition(":///")
    is_file = bool(path) and not path.startswith(("/", ":memory:", "file:")) and not Path(path).is_absolute()
    if separator and scheme.partition("+")[0] == "sqlite" and is_file:
        return f"{scheme}:///{os.path.abspath(os.path.expanduser(path))}"
    return storage


def noted_storage(storage: Any) -> str | None:
    """A storage as a run's folder may name it: text without password; None for an object of the program."""
    if not isinstance(storage, str):
        return None
    text = re.sub(r"://([^:/@]*):.*@", rf"://\1:{_HIDDEN}@", absolute_storage(storage))
    address, mark, _ = text.partition("?")  # what follows may hold a password, too
    return f"{address}?{_HIDDEN}" if mark and not storage.startswith((_JOURNAL, "sqlite")) else text


def is_there(noted: str) -> bool:
    """Whether a storage that :func:`noted_storage` named can be opened; a file has to be there already."""
    kind, _, rest = noted.partition(":")
    if noted == "memory" or _HIDDEN in noted:
        return False
    if kind == "journal":
        return Path(rest).is_file()
    return not kind.startswith("sqlite") or Path(rest.removeprefix("///").partition("?")[0]).is_file()

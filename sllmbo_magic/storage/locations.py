"""Where a run is stored, fixed when it starts: a later change of the working directory moves nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_JOURNAL = "journal:"


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

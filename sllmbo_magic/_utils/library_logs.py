"""Log messages of libraries that a run uses for its own ends.

A user who sets the root logger to DEBUG expects the messages of the program, not hundreds from the libraries
under this package. A level that the user gave to a library's own logger is left as it is.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_blocks: Counter[str] = Counter()


def quiet_library(name: str) -> None:
    """Let a library that only this package's own work needs report warnings and errors only."""
    logger = logging.getLogger(name)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


@contextmanager
def quiet_while_used(name: str) -> Iterator[None]:
    """The same while a block runs, for a library that the user may use, too."""
    logger = logging.getLogger(name)
    with _lock:
        counts = logger.level == logging.NOTSET or bool(_blocks[name])
        if counts:
            _blocks[name] += 1
            logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        with _lock:
            if counts:
                _blocks[name] -= 1
                if not _blocks[name]:
                    logger.setLevel(logging.NOTSET)

"""Worker processes end with the process that started them, also when that one is killed."""

from __future__ import annotations

import os
import threading
import time

POLL_SECONDS = 2.0


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent has died.

    A worker waits for work on a pipe that other workers hold open too, so that it does not notice when the
    process at its other end dies: after a ``kill -9`` the workers would stay, with the data in memory.

    Args:
        parent: Id of the process that started this one; it may have died already.
    """
    if os.name != "posix":  # elsewhere the id of a dead parent stays
        return
    threading.Thread(target=_watch, args=(parent,), name="sllmbo-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)

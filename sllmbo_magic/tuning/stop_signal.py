"""Whether an evaluation should stop, asked where it runs: in this process or in another one."""

from __future__ import annotations

import contextlib
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sllmbo_magic.tuning.remote_trial import Channel

STOP = "should_stop"
"""What a copy on another machine asks the process of the run."""


class StopSignal:
    """A ``should_stop`` that can be sent to worker processes.

    In the process of the run it asks a function. A copy in another process looks at a deadline, and for a
    file that :meth:`set` writes; a process on another machine asks through the channel, if there is one that
    reaches other machines.

    Args:
        should_stop: Asked in the process of the run.
        seconds: Seconds until the run ends; None: no limit.
        channel: From other processes to this one.
    """

    def __init__(
        self,
        should_stop: Callable[[], bool],
        seconds: float | None = None,
        channel: Channel | None = None,
    ) -> None:
        self._channel = channel if getattr(channel, "reaches_machines", False) else None
        self._should_stop: Callable[[], bool] | None = should_stop
        self._deadline = None if seconds is None else time.time() + seconds
        self._flag = Path(tempfile.gettempdir()) / f"sllmbo-stop-{uuid.uuid4().hex}"

    def __call__(self) -> bool:
        if self._should_stop is not None:
            return self._should_stop()
        if (self._deadline is not None and time.time() >= self._deadline) or self._flag.exists():
            return True
        return self._channel is not None and bool(self._channel.ask(-1, STOP, (), {}))

    def set(self) -> None:
        """Let the copies in other processes stop."""
        with contextlib.suppress(OSError):  # a full disk: they end by themselves
            self._flag.touch()

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._flag.unlink(missing_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_should_stop": None}

"""One call of ``tune`` in a worker thread, watched from the notebook's thread.

The worker only puts events into a queue; whatever shows them does so from the thread that runs cells, so that
output lands under its cell and figures are drawn where matplotlib expects it.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic._utils.interrupts import on_interrupt
from sllmbo_magic.control import Control
from sllmbo_magic.events import Event
from sllmbo_magic.events import Sink

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult

HEARTBEAT = 0.1
"""Seconds between two looks at the queue; an interrupt is felt within this time."""


class RunThread:
    """A run in a thread of its own, from its start on.

    Args:
        name: Its name.
        work: Takes a control and a sink, and returns the result; called once, in the worker thread.

    Attributes:
        control: Commands for it.
        result: The result, once it ended well; else None.
        error: What ended it, if something did.
    """

    def __init__(self, name: str, work: Callable[[Control, Sink], TuneResult]) -> None:
        self.name = name
        self.control = Control()
        self.result: TuneResult | None = None
        self.error: BaseException | None = None
        self._work = work
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._done = threading.Event()
        # two things belong to a thread: the context, by which prints go to their cell, and the
        # configuration of scikit-learn
        context = contextvars.copy_context()
        sklearn = sys.modules.get("sklearn")
        self._sklearn_config: dict[str, Any] = {} if sklearn is None else sklearn.get_config()
        self._thread = threading.Thread(
            target=lambda: context.run(self._main), name=f"sllmbo-{name}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it has ended."""
        return self._done.wait(seconds)

    def events(self) -> list[Event]:
        """The events since the last call, oldest first."""
        events = []
        while True:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                return events

    def interrupt(self) -> None:
        """End after the fold in flight; asked a second time, do not wait for that fold."""
        self.control.interrupt()

    def _main(self) -> None:
        try:
            if self._sklearn_config:
                sys.modules["sklearn"].set_config(**self._sklearn_config)
            self.result = self._work(self.control, self._events.put)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting thread raises it
            self.error = error
        finally:
            self._done.set()


def watch(run: RunThread, show: Callable[[], None]) -> None:
    """Block until the run has ended, showing what happens; an interrupt stops the run, not the waiting."""
    with _interrupts() as count:
        n_passed_on = 0
        while not run.wait(HEARTBEAT):
            show()
            n_passed_on = _pass_on(count(), n_passed_on, run)
    show()


async def watch_async(run: RunThread, show: Callable[[], None]) -> None:
    """The same without blocking the event loop, so that a widget's controls answer meanwhile."""
    with _interrupts() as count:
        n_passed_on = 0
        while not run.done:
            try:
                await asyncio.sleep(HEARTBEAT)
            except asyncio.CancelledError:  # an interrupt where the signal could not be taken (subshells)
                _uncancel()
                run.interrupt()
            show()
            n_passed_on = _pass_on(count(), n_passed_on, run)
    show()


def _pass_on(count: int, n_passed_on: int, run: RunThread) -> int:
    for _ in range(count - n_passed_on):
        run.interrupt()
    if count > 2:  # the way out of a fit that cannot be interrupted: its thread is left alone
        raise KeyboardInterrupt
    return count


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


@contextmanager
def _interrupts() -> Iterator[Callable[[], int]]:
    """Count interrupts instead of raising KeyboardInterrupt; yields the count so far.

    ipykernel cancels an awaited cell at the first interrupt only; the second one would be lost.
    """
    count = 0

    def handle(signum: int, frame: Any) -> None:
        nonlocal count
        count += 1

    with on_interrupt(handle):
        yield lambda: count


def interruptible() -> AbstractContextManager[None]:
    """Let an interrupt raise KeyboardInterrupt in the code inside, even in an awaited cell.

    There ipykernel only notes an interrupt for its event loop, which does not run while ordinary code does.
    """
    return on_interrupt(signal.default_int_handler)


def load_libraries() -> None:
    """Import what a run may import, before it goes on in the background.

    Another run, or the next cell, may import the same at the same time; where modules import one another in a
    circle, Python then gives one of the two threads a half imported module.
    """
    for name in (
        "sllmbo_magic.tuning.tune",
        "sklearn.ensemble",
        "sklearn.gaussian_process",
        "sklearn.inspection",
        "sklearn.model_selection",
    ):
        import_module(name)


class BackgroundRun:
    """What NAME is while a ``--background`` run goes on; afterwards it answers as its ``TuneResult``."""

    def __init__(self, run: RunThread) -> None:
        self._run = run

    def is_of(self, run: RunThread) -> bool:
        """Whether it is the handle of this run."""
        return self._run is run

    @property
    def control(self) -> Control:
        """Commands for it: ``control.wish("pause")``."""
        return self._run.control

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._run.done

    def wait(self, timeout: float | None = None) -> TuneResult:
        """Wait for the end.

        Args:
            timeout: Seconds to wait at most; None: no limit.

        Returns:
            The result.

        Raises:
            TimeoutError: It goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._run.wait(HEARTBEAT):
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"run {self._run.name!r} goes on after {timeout:g} s.")
        if self._run.error is not None:
            raise self._run.error
        assert self._run.result is not None
        return self._run.result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._run.result is None:
            state = "failed" if self._run.done else "goes on"
            raise AttributeError(
                f"run {self._run.name!r} {state}; %sllmbo wait {self._run.name} waits for it."
            )
        return getattr(self._run.result, name)

    def __repr__(self) -> str:
        if not self._run.done:
            return f"<run {self._run.name!r} goes on in the background>"
        return repr(self._run.result) if self._run.result is not None else f"<run {self._run.name!r} failed>"

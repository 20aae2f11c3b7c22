"""``%sllmbo wait``: until a background run, or a run of another kernel, has ended.

An interrupt ends the waiting, not the run.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.running import HEARTBEAT
from sllmbo_magic.magic.running import BackgroundRun
from sllmbo_magic.magic.running import interrupted

if TYPE_CHECKING:
    from sllmbo_magic.magic.magics import SllmboMagics
    from sllmbo_magic.magic.magics import Started
    from sllmbo_magic.run_folder import RunFolder


def wait(magics: SllmboMagics, name: str | None) -> None:
    """Wait, blocking.

    Args:
        magics: The notebook's magics.
        name: The run; None: the only one that goes on in this notebook.

    Raises:
        InputError: There is no such run, or there are several; or what the run itself raised.
    """
    what = _find(magics, name)
    while not _ended(what):
        time.sleep(HEARTBEAT)
    _take_over(magics, what)


async def wait_async(magics: SllmboMagics, name: str | None) -> None:
    """Wait without blocking the event loop."""
    what = _find(magics, name)
    try:
        while not _ended(what):
            await asyncio.sleep(HEARTBEAT)
    except asyncio.CancelledError:
        raise interrupted("the run goes on; %sllmbo stop ends it.") from None
    _take_over(magics, what)


def _find(magics: SllmboMagics, name: str | None) -> Started | RunFolder:
    if name is not None and name in magics.started:
        return magics.started[name]
    if name is not None:
        from sllmbo_magic.storage import find_run

        return find_run(name)
    going_on = magics.going_on() or {
        name: started
        for name, started in magics.started.items()
        if isinstance(magics.shell.user_ns.get(name), BackgroundRun)
    }
    if len(going_on) == 1:
        return next(iter(going_on.values()))
    if going_on:
        raise InputError(
            f"{len(going_on)} runs go on: {', '.join(going_on)}.", "Name one: %sllmbo wait NAME."
        )
    raise InputError("no run of this notebook goes on.", "Start one with %%sllmbo NAME --background.")


def _ended(what: Started | RunFolder) -> bool:
    from sllmbo_magic.magic.magics import Started

    if isinstance(what, Started):
        what.show()
        return what.run.done
    return what.owner() is None


def _take_over(magics: SllmboMagics, what: Started | RunFolder) -> None:
    """Show the end; the name of a background run holds the result from here on."""
    from sllmbo_magic.magic.magics import Started

    if not isinstance(what, Started):
        print(f"{what.name} has ended; %sllmbo show {what.name} shows it.")
        return
    run = what.run
    what.finish_view()
    if isinstance(magics.shell.user_ns.get(run.name), BackgroundRun) and run.result is not None:
        magics.shell.user_ns[run.name] = run.result
    if run.error is not None:
        raise run.error

"""The live view of a run and the way back to it: a widget, and the list of runs for JupyterLab's side panel.

Importing this package imports nothing else: ``Dashboard`` loads the widget library when it is first asked
for, and the list of runs is loaded when a panel first connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.tuning import observers

if TYPE_CHECKING:
    from sllmbo_magic.control import Control
    from sllmbo_magic.dashboard.widget import Dashboard
    from sllmbo_magic.events import Event
    from sllmbo_magic.events import Sink
    from sllmbo_magic.tuning.result import TuneResult

__all__ = ["TARGET", "Dashboard", "register", "unregister"]

TARGET = "sllmbo:runs"
"""Name of the comm target on which a kernel tells of its runs (see ``dashboard.runs``)."""


def register(shell: Any) -> None:
    """Make the kernel of an IPython shell answer on :data:`TARGET`, also for runs that code starts by
    ``tune``. Without a kernel: nothing.
    """
    manager = getattr(getattr(shell, "kernel", None), "comm_manager", None)
    if manager is not None:
        manager.register_target(TARGET, _opened)
        observers.add(_ONLOOKER)


def unregister(shell: Any) -> None:
    """Undo :func:`register`."""
    manager = getattr(getattr(shell, "kernel", None), "comm_manager", None)
    observers.remove(_ONLOOKER)
    if manager is not None:
        manager.targets.pop(TARGET, None)


def _opened(comm: Any, message: Any) -> None:
    from sllmbo_magic.dashboard import runs

    runs.opened(comm, message)


class _Onlooker:
    """The list of runs, which is loaded when there is something for it."""

    def sink(self, control: Control) -> Sink | None:
        from sllmbo_magic.dashboard import runs

        return runs.observe(control)

    def ended(self, control: Control, result: TuneResult) -> None:
        from sllmbo_magic.dashboard import runs

        runs.ended(control, result)

    def marked(self, result: TuneResult, event: Event) -> None:
        from sllmbo_magic.dashboard import runs

        runs.marked(result, event)


_ONLOOKER = _Onlooker()


def __getattr__(name: str) -> Any:
    if name == "Dashboard":
        from sllmbo_magic.dashboard.widget import Dashboard

        return Dashboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

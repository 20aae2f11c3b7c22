"""Who wants to see every run of this process, whoever started it: the list in JupyterLab's side panel.

``tune`` is called from code as well as by the magic. A run with a folder asks here who else takes its events,
so that the modules that run trials need not know the notebook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sllmbo_magic.control import Control
from sllmbo_magic.events import Sink

Onlooker: TypeAlias = Callable[[Control], Sink | None]
"""Takes the control of a run that is about to start; gives what takes its events, or None."""

_onlookers: list[Onlooker] = []


def add(onlooker: Onlooker) -> None:
    """Ask this one at the start of each run, once."""
    if onlooker not in _onlookers:
        _onlookers.append(onlooker)


def remove(onlooker: Onlooker) -> None:
    """Do not ask it any more."""
    if onlooker in _onlookers:
        _onlookers.remove(onlooker)


def sinks(control: Control) -> tuple[Sink, ...]:
    """What else takes the events of a run that starts."""
    return tuple(sink for onlooker in list(_onlookers) if (sink := onlooker(control)) is not None)

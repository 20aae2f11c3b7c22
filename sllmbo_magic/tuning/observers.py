"""Observers of every run of this process, whether code or a cell started it: JupyterLab's side panel.

``tune`` is called from code as well as by the magic. A run with a folder gets its further sinks here,
so that the modules that run trials import nothing of the notebook. A run whose events nobody else takes
tells Python's log of its problems.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Protocol

from sllmbo_magic.control import Control
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.events import Sink

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult

_log = logging.getLogger(__name__)


def log_problems(event: Event) -> None:
    """A sink: warnings, and why an LLM gave no proposal, as warnings of Python's log."""
    if isinstance(event, Fallback) and event.category not in ("cancelled", "skipped"):  # the user's own wish
        _log.warning(event.message)
    elif isinstance(event, Note) and event.level == "warning":
        _log.warning(event.text)


class Onlooker(Protocol):
    """Sees the runs of this process, from their start to what becomes of their results."""

    def sink(self, control: Control) -> Sink | None:
        """What takes the events of a run that is about to start, or None."""
        ...

    def ended(self, control: Control, result: TuneResult) -> None:
        """A run has ended, and this is its result."""
        ...

    def marked(self, result: TuneResult, event: Event) -> None:
        """The user marked a trial of a result."""
        ...


_onlookers: list[Onlooker] = []


def add(onlooker: Onlooker) -> None:
    """Tell this one of each run, once."""
    if onlooker not in _onlookers:
        _onlookers.append(onlooker)


def remove(onlooker: Onlooker) -> None:
    """Do not tell it any more."""
    if onlooker in _onlookers:
        _onlookers.remove(onlooker)


def sinks(control: Control) -> tuple[Sink, ...]:
    """What else takes the events of a run that starts."""
    all_sinks = [onlooker.sink(control) for onlooker in list(_onlookers)]
    return tuple(sink for sink in all_sinks if sink is not None)


def ended(control: Control, result: TuneResult) -> None:
    """Tell of the result of a run."""
    for onlooker in list(_onlookers):
        onlooker.ended(control, result)


def marked(result: TuneResult, event: Event) -> None:
    """Tell of a mark on a trial of a result."""
    for onlooker in list(_onlookers):
        onlooker.marked(result, event)

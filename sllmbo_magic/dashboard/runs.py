"""The runs of this kernel, for JupyterLab's side panel: one comm target lists, steers and shows them.

A run is listed from its first event on, whatever shows it in its cell: the widget, text, or nothing, when
code called ``tune`` (:func:`observe`).

The labextension opens a comm on ``dashboard.TARGET`` and gets ``{"runs": [row, ...]}``, then
``{"run": row}`` for each change. It may say, with ``"of": row id``, whatever a view may say (see
``dashboard.live``; the answers carry ``"of"`` too), and:

=====================================  =================================================================
``{"of": id, "get": "deltas"}``        also the run's deltas, from now on: a dashboard in a tab
``{"of": id, "get": "final"}``         ``{"of": id, "final": MIME bundle}``: the run's final output
=====================================  =================================================================
"""

from __future__ import annotations

import contextvars
import logging
import threading
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import events as ev
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import Channel
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.report.bundle import MIME

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult

KEPT = 20
"""Runs that are remembered; an older one leaves the list."""

_log = logging.getLogger(__name__)
_lock = threading.RLock()
_entries: list[Entry] = []
_comms: dict[str, Channel] = {}
_viewed: weakref.WeakSet[Control] = weakref.WeakSet()


class Entry:
    """One run in the list.

    Args:
        live: The run.
        model_id: The widget in its cell, if there is one.
        cell_id: The cell, if the front end names it.
        blocks: Whether it runs in the thread of the cells, so that the kernel may receive nothing meanwhile.
    """

    def __init__(
        self, live: LiveRun, model_id: str | None, cell_id: str | None, *, blocks: bool = False
    ) -> None:
        self.live = live
        self.model_id = model_id
        self.cell_id = cell_id
        self.blocks = blocks
        self.id = model_id or uuid.uuid4().hex
        self.final: dict[str, Any] | None = None
        self._listed = False

    def row(self) -> dict[str, Any]:
        """What the list shows of the run."""
        return {
            "id": self.id,
            "model": self.model_id,
            "cell": self.cell_id,
            "blocks": self.blocks,
            "final": None if self.final is None else _start_and_length(self.final),
            **self.live.head(),
        }

    def sink(self, event: ev.Event) -> None:
        """Take an event for the run and its row, from any thread."""
        self.live.sink(event)
        self.changed(event)

    def changed(self, event: ev.Event) -> None:
        """Tell the panels, for an event that changes the row."""
        if not self._listed:
            self._listed = True
            with _lock:
                _entries.append(self)
                del _entries[:-KEPT]
        if _comms and isinstance(event, ev.RunStarted | ev.TrialFinished | ev.WishApplied | ev.RunFinished):
            _broadcast({"run": self.row()})

    def finish(self, picture: dict[str, Any]) -> None:
        """Keep the final output, and say that it is there."""
        self.final = picture
        if self._listed:
            _broadcast({"run": self.row()})


def add(live: LiveRun, *, model_id: str | None = None, blocks: bool = False) -> Entry:
    """A run that is to be listed once it starts; it belongs to the cell that is being executed."""
    _viewed.add(live.control)
    live.others = lambda: [entry.live for entry in entries()]
    return Entry(live, model_id, _current_cell(), blocks=blocks)


def observe(control: Control) -> Callable[[ev.Event], None] | None:
    """What takes the events of a run that code started; None if a view tells of it already."""
    if control in _viewed:
        return None
    blocks = threading.current_thread() is threading.main_thread()
    return add(LiveRun(control), blocks=blocks).sink


def ended(control: Control, result: TuneResult) -> None:
    """A run has ended: with its result, its views can mark trials and ask for more."""
    for entry in entries():
        if entry.live.control is control:
            entry.live.keep(result)


def marked(result: TuneResult, event: ev.Event) -> None:
    """A trial of a result was marked: show it in the views of its run."""
    for entry in entries():
        if entry.live.shows(result):
            entry.live.sink(event)


def entries() -> list[Entry]:
    """The runs of this kernel, oldest first, whatever shows them."""
    with _lock:
        return list(_entries)


def rows() -> list[dict[str, Any]]:
    """The runs of this kernel, oldest first."""
    with _lock:
        return [entry.row() for entry in _entries]


def opened(comm: Any, _message: Any) -> None:
    """A panel opened its comm: send it the runs and answer its messages until it closes."""
    followed: dict[str, tuple[LiveRun, Channel]] = {}
    context = contextvars.copy_context()

    def send(message: dict[str, Any]) -> None:
        # ipykernel 7.4 routes a panel's next message to the shell whose request is being answered when one is
        # sent to it. In the context of the request that opened the comm that is JupyterLab's own subshell,
        # which receives messages while a cell runs.
        context.copy().run(comm.send, message)

    def closed(_message: Any) -> None:
        with _lock:
            _comms.pop(comm.comm_id, None)
        for live, channel in followed.values():
            live.leave(channel)

    def on_message(message: dict[str, Any]) -> None:
        request = message["content"].get("data") or {}
        entry = next((e for e in list(_entries) if e.id == request.get("of")), None)
        if entry is None:
            return

        def reply(answer: dict[str, Any]) -> None:
            send({**answer, "of": entry.id})

        if request.get("get") == "final":
            if entry.final is not None:
                reply({"final": entry.final})
        elif request.get("get") == "deltas":
            if entry.id not in followed:
                followed[entry.id] = (entry.live, reply)
                entry.live.follow(reply)
        else:
            entry.live.receive(request, reply)

    comm.on_msg(on_message)
    comm.on_close(closed)
    with _lock:
        _comms[comm.comm_id] = send
    send({"runs": rows()})


def _broadcast(message: dict[str, Any]) -> None:
    with _lock:
        for id, send in list(_comms.items()):
            try:
                send(message)
            except Exception:  # noqa: BLE001 - a panel's connection may break in any way; the run goes on
                _log.warning("a panel is gone", exc_info=True)
                del _comms[id]


def _start_and_length(picture: dict[str, Any]) -> list[Any]:
    """What distinguishes the final outputs of two runs in one cell: start and length."""
    run = (picture.get(MIME) or {}).get("run") or {}
    return [run.get("started_at"), run.get("seconds")]


def _current_cell() -> str | None:
    """The id of the cell that is being executed, where the front end sends it (Lab, Notebook 7)."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    parent = getattr(shell, "get_parent", None)
    if parent is None:
        return None
    try:
        metadata = parent().get("metadata") or {}
    except LookupError:
        return None
    cell = metadata.get("cellId")
    return cell if isinstance(cell, str) else None

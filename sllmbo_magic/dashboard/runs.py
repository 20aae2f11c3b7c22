"""The runs of this kernel, for JupyterLab's side panel: one comm target lists, steers and shows them.

The labextension opens a comm on ``dashboard.TARGET`` and gets ``{"runs": [row, ...]}``, then
``{"run": row}`` for each change. It may say, with ``"of": row id``, whatever a view may say (see
``dashboard.live``; the answers carry ``"of"`` too), and:

=====================================  =================================================================
``{"of": id, "get": "deltas"}``        also the run's deltas, from now on: a dashboard in a tab
``{"of": id, "get": "final"}``         ``{"of": id, "final": MIME bundle}``: the run's final output
=====================================  =================================================================
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from sllmbo_magic import events as ev
from sllmbo_magic.dashboard.live import Channel
from sllmbo_magic.dashboard.live import LiveRun

KEPT = 20
"""Runs that are remembered; an older one leaves the list."""

_log = logging.getLogger(__name__)
_lock = threading.RLock()
_entries: list[Entry] = []
_comms: dict[str, Any] = {}


class Entry:
    """One run in the list."""

    def __init__(self, live: LiveRun, model_id: str | None, cell_id: str | None) -> None:
        self.live = live
        self.model_id = model_id
        self.cell_id = cell_id
        self.final: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        return str(self.model_id or id(self.live))

    def row(self) -> dict[str, Any]:
        """What the list shows of the run."""
        return {
            "id": self.id,
            "model": self.model_id,
            "cell": self.cell_id,
            "final": self.final is not None,
            **self.live.head(),
        }

    def changed(self, event: ev.Event) -> None:
        """Tell the panels, for an event that changes the row."""
        if _comms and isinstance(event, ev.RunStarted | ev.TrialFinished | ev.WishApplied | ev.RunFinished):
            _tell({"run": self.row()})

    def finish(self, picture: dict[str, Any]) -> None:
        """Keep the final output, and say that it is there."""
        self.final = picture
        _tell({"run": self.row()})


def add(live: LiveRun, *, model_id: str | None = None) -> Entry:
    """Put a run on the list; it belongs to the cell that is being executed."""
    entry = Entry(live, model_id, _current_cell())
    with _lock:
        _entries.append(entry)
        del _entries[:-KEPT]
    _tell({"run": entry.row()})
    return entry


def rows() -> list[dict[str, Any]]:
    """The runs of this kernel, oldest first."""
    with _lock:
        return [entry.row() for entry in _entries]


def opened(comm: Any, _message: Any) -> None:
    """A panel opened its comm: tell it the runs, answer what it says, until it closes."""
    followed: dict[str, tuple[LiveRun, Channel]] = {}

    def closed(_message: Any) -> None:
        with _lock:
            _comms.pop(comm.comm_id, None)
        for live, channel in followed.values():
            live.leave(channel)

    def hear(message: dict[str, Any]) -> None:
        said = message["content"].get("data") or {}
        entry = next((e for e in list(_entries) if e.id == said.get("of")), None)
        if entry is None:
            return

        def reply(answer: dict[str, Any]) -> None:
            comm.send({**answer, "of": entry.id})

        if said.get("get") == "final":
            if entry.final is not None:
                reply({"final": entry.final})
        elif said.get("get") == "deltas":
            if entry.id not in followed:
                followed[entry.id] = (entry.live, reply)
                entry.live.follow(reply)
        else:
            entry.live.receive(said, reply)

    comm.on_msg(hear)
    comm.on_close(closed)
    with _lock:
        _comms[comm.comm_id] = comm
    comm.send({"runs": rows()})


def _tell(message: dict[str, Any]) -> None:
    with _lock:
        for id, comm in list(_comms.items()):
            try:
                comm.send(message)
            except Exception:  # noqa: BLE001 - a panel's connection may break in any way; the run goes on
                _log.warning("a panel is gone", exc_info=True)
                del _comms[id]


def _current_cell() -> str | None:
    """The id of the cell that is being executed, where the front end says it (Lab, Notebook 7)."""
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

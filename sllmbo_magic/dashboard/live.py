"""One run and its live views: events go out as small deltas, commands come in.

Views (the widget, a tab in Lab) are channels: callables that take a message. They may come and go at any
time, and messages may arrive on any thread; one lock keeps the state and the order of messages. What a view
says only ever puts a command into :class:`~sllmbo_magic.control.Control`, or asks for a part of the state.

=================================================  ====================================================
a view sends                                       it gets
=================================================  ====================================================
``{"wish": name, "value": ..., "id": "..."}``      ``{"ack": id, "ok": bool, "error": str}`` at once
``{"get": "snapshot"}``                            ``{"snapshot": bundle}``
``{"get": "item", "kind": "chat", "id": "r4"}``    ``{"item": entry, "kind": "chat"}``
``{"get": "compare"}``                             ``{"curves": [...]}``: this run and others
``{"get": "html"}``                                ``{"html": "..."}``: the report, as one page
``{"get": "importances", "kind": "surrogate"}``    ``{"shares": {...}, "intervals": {...}, ...}``, after
                                                   some seconds
(nothing)                                          ``{"delta": {...}}`` for each event
=================================================  ====================================================

After the end of a run its views can still mark trials and ask for importances, while the kernel holds the
result or the run's folder does (:meth:`LiveRun.keep`).
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

from sllmbo_magic import events as ev
from sllmbo_magic.control import Control
from sllmbo_magic.control import check
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.html import render_report
from sllmbo_magic.report.limits import bounded_text
from sllmbo_magic.report.limits import json_ready

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult

Channel: TypeAlias = Callable[[dict[str, Any]], None]

LIMITS = {"limit_trials": 1000, "limit_chat": 200, "limit_versions": 100, "limit_text": 2000}
"""Bounds of a snapshot for a live view; what it leaves out can be asked for."""

FOLDS_EVERY = 0.2
"""Seconds between two messages that only tell of folds."""

_log = logging.getLogger(__name__)


class LiveRun:
    """A run's state and the views that follow it.

    Args:
        control: Takes the commands.
        clock: Seconds that never go back; for tests.

    Attributes:
        others: Gives the other runs of this kernel, to compare with.
    """

    def __init__(self, control: Control, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.control = control
        self.others: Callable[[], list[LiveRun]] = list
        self._clock = clock
        self._lock = threading.RLock()
        self._view = RunView()
        self._channels: list[Channel] = []
        self._held: dict[str, Any] | None = None
        self._folds_sent = float("-inf")
        self._ended = False
        self._result: Callable[[], TuneResult | None] = lambda: None
        self._last: ev.Event | None = None
        self._folder: Path | None = None
        self._importances: dict[str, dict[str, Any]] = {}

    def sink(self, event: ev.Event) -> None:
        """Take one event, from any thread; the views get what it changed."""
        with self._lock:
            self._last = event
            delta = self._view.delta(event)
            if isinstance(event, ev.RunStarted | ev.RunFinished):
                self._ended = isinstance(event, ev.RunFinished)
                self._importances.clear()
            self._publish(delta, only_folds=isinstance(event, ev.FoldFinished))

    def snapshot(self) -> dict[str, Any]:
        """The bundle so far, bounded by :data:`LIMITS`."""
        with self._lock:
            return self._view.snapshot(**LIMITS)

    def keep(self, result: TuneResult) -> None:
        """The run has ended with this result. It is not held: its data would stay in memory with it."""
        with self._lock:
            self._result = weakref.ref(result)
            self._folder = result.path
            self._publish(self._view.result_is_kept())

    def shows(self, result: TuneResult) -> bool:
        """Whether this is the result of the run."""
        return self._result() is result

    def head(self) -> dict[str, Any]:
        """A few fields for a list of runs: name, status, trials, scores."""
        with self._lock:
            return self._view.head()

    def follow(self, channel: Channel) -> None:
        """Send every further delta to this channel too."""
        with self._lock:
            if channel not in self._channels:
                self._channels.append(channel)

    def leave(self, channel: Channel) -> None:
        """Send nothing more to this channel."""
        with self._lock:
            self._channels = [c for c in self._channels if c != channel]

    def receive(self, message: Any, reply: Channel) -> None:
        """Answer a view's message, at once; never raises, whatever the message is."""
        if not isinstance(message, dict):
            return
        if "wish" in message:
            self._command(message, reply)
        elif message.get("get") == "snapshot":
            with self._lock:
                self._flush()
                reply({"snapshot": self._view.snapshot(**LIMITS)})
        elif message.get("get") == "compare":
            from sllmbo_magic.dashboard.curves import curves_beside  # it reads runs: not needed by every view

            reply({"curves": curves_beside(self, self.others())})
        elif message.get("get") == "html":
            with self._lock:
                bundle = self._view.snapshot()
            reply({"html": render_report(bundle)})
        elif message.get("get") == "importances":
            kind = str(message.get("kind"))
            name = "sllmbo-importances"  # it takes seconds, and views and cells go on meanwhile
            threading.Thread(
                target=self._send_importances, args=(kind, reply), name=name, daemon=True
            ).start()
        elif message.get("get") == "item":
            kind = str(message.get("kind"))
            with self._lock:
                item = self._view.item(kind, message.get("id"))
                if item is not None:
                    reply({"item": item, "kind": kind})

    def _command(self, message: dict[str, Any], reply: Channel) -> None:
        name, value, id = message["wish"], message.get("value"), str(message.get("id"))
        try:
            if self._ended and name == "note":
                self._mark(value, id)
                reply({"ack": id, "ok": True, "error": ""})
                return
            if self._ended:
                raise InputError("The run has ended.")
            self.control.check(str(name), value)
            command = self.control.wish(str(name), value, id=id)
        except SllmboError as error:
            reply({"ack": id, "ok": False, "error": str(error)})
            return
        reply({"ack": id, "ok": True, "error": ""})
        with self._lock:
            delta = self._view.command_sent(command.name, command.value, command.id, command.time)
            if delta is not None:
                self._publish(delta)

    def _mark(self, value: Any, id: str) -> None:
        """Put a star or a note on a trial of the run, which has ended."""
        value = check("note", value)
        for event in self._kept_result().apply_mark(value, id):
            if event is not self._last:  # the list of runs may have brought it already
                self.sink(event)

    def _kept_result(self) -> TuneResult:
        """The result, or a copy from the run's folder where the notebook holds it no more."""
        result = self._result()
        if result is not None:
            return result
        if self._folder is None:
            raise InputError("The run has ended, and its result is gone.")
        from sllmbo_magic.tuning.result import TuneResult

        return TuneResult.load(self._folder)

    def _send_importances(self, kind: str, reply: Channel) -> None:
        try:
            if kind not in self._importances:
                result = self._kept_result()
                shares, intervals = result.importances(kind), result.importance_intervals(kind)
                self._importances[kind] = {"shares": shares, "intervals": json_ready(intervals)}
            answer = {**self._importances[kind], "error": ""}
        except Exception as error:  # noqa: BLE001 - whatever it is, the view waits for an answer
            _log.warning("importances of a run could not be computed", exc_info=True)
            answer = {"shares": {}, "intervals": {}, "error": bounded_text(error_text(error), 300)}
        reply({"kind": kind, **answer})

    def _publish(self, delta: dict[str, Any], *, only_folds: bool = False) -> None:
        earlier, self._held = self._held, None
        if earlier is not None:
            same = "trial" in delta and delta["trial"]["n"] == earlier["trial"]["n"]
            if same and ("folds" in delta["trial"] or "state" in delta["trial"]):
                # the newer delta holds all that the pending one does
                delta = {**delta, "since": earlier.get("since", earlier["seq"] - 1)}
            else:
                self._send(earlier)
        now = self._clock()
        if only_folds and now - self._folds_sent < FOLDS_EVERY:
            self._held = delta
            return
        if only_folds:
            self._folds_sent = now
        self._send(delta)

    def _flush(self) -> None:
        pending, self._held = self._held, None
        if pending is not None:
            self._send(pending)

    def _send(self, delta: dict[str, Any]) -> None:
        for channel in list(self._channels):
            try:
                channel({"delta": delta})
            except Exception:  # noqa: BLE001 - a view's connection may break in any way; the run goes on
                _log.warning("a view of the run is gone", exc_info=True)
                self.leave(channel)

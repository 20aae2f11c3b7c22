"""The dashboard as a widget: the one view of ``static/widget.js`` around a live run.

What it costs a run: one custom message of at most 1 kB per event. The bounded ``snapshot`` is made only when
a page opens or reloads; the conversation is never sent again. The widget's state holds no key, and of prompts
only what the snapshot's limits leave. The picture that a notebook keeps comes from ``report.static``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anywidget
import traitlets

from sllmbo_magic.control import Control
from sllmbo_magic.dashboard import runs
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.events import Event
from sllmbo_magic.report.html import static_file


class Dashboard(anywidget.AnyWidget):
    """See a run and steer it while it goes on.

    Args:
        control: Takes the commands of the view.
        snapshot: A bundle to show until the first event comes.
    """

    _esm = static_file("widget.js")
    snapshot = traitlets.Dict().tag(sync=True)

    def __init__(self, control: Control, *, snapshot: dict[str, Any] | None = None) -> None:
        self._live = LiveRun(control)
        self._initial_snapshot = snapshot
        super().__init__()
        self._live.follow(self._send_message)
        self.on_msg(self._on_message)
        self._entry = runs.add(self._live, model_id=self.model_id)

    @property
    def run_id(self) -> str:
        """What the list of runs calls the run."""
        return self._entry.id

    def sink(self, event: Event) -> None:
        """Take one event of the run, from any thread."""
        self._initial_snapshot = None
        self._live.sink(event)
        self._entry.changed(event)

    def finish(self, picture: dict[str, Any]) -> None:
        """Keep the run's final output (a MIME bundle), for a page that was reloaded and so missed it."""
        self._entry.finish(picture)

    def get_state(
        self, key: str | Iterable[str] | None = None, drop_defaults: bool = False
    ) -> dict[str, Any]:
        """The widget's state; the snapshot in it is made now."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "snapshot" in state:
            state["snapshot"] = self._initial_snapshot or self._live.snapshot()
        return state

    def _send_message(self, message: dict[str, Any]) -> None:
        self.send(message)

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        self._live.receive(message, self._send_message)

    def __repr__(self) -> str:
        head = self._live.head()
        best = head["best_value"]
        return (
            f"<Dashboard of {head['name']}: {head['status']}, {head['done']} of {head['n_trials']} trials, "
            f"best {'none' if best is None else format(best, '.4g')}>"
        )

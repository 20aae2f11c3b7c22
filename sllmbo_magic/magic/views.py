"""What shows a run while it goes on: lines in a terminal, one updating block or the dashboard in a notebook.

Whatever it is, a notebook's view is replaced at the end by one static picture, also after an error or an
interrupt, so that the saved notebook shows the run without a kernel.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from typing import Protocol

from sllmbo_magic.control import Control
from sllmbo_magic.events import Event
from sllmbo_magic.magic.progress import Progress

_UPDATE_EVERY = 0.5
"""Seconds between two updates of a text block when nothing happens but time."""

WIDGET_VARIABLE = "SLLMBO_WIDGET"
"""Environment variable: ``1`` shows the dashboard, ``0`` text, where the front end is not recognised."""


class View(Protocol):
    """Shows events, in order, from the thread that runs cells."""

    def show(self, events: list[Event]) -> None:
        """Show what happened since the last call; called several times a second, also with nothing."""
        ...

    def finish(self, bundle: dict[str, Any] | None) -> None:
        """Replace the live view by the final one. None: the run failed; the last state stays."""
        ...


def open_view(shell: Any, name: str, control: Control, *, widget: bool = True) -> View:
    """The view that fits where we are. ``widget=False`` asks for text."""
    if not in_kernel(shell):
        return TerminalView(name, control)
    if widget and has_front_end(shell):
        try:
            return DashboardView(name, control)
        except ImportError:  # ipywidgets or anywidget is not installed: text is all there is
            pass
    return TextView(name, control)


def in_kernel(shell: Any) -> bool:
    """Whether cells come from a Jupyter client (and can have updating output) and not from a terminal."""
    return getattr(shell, "kernel", None) is not None


def has_front_end(shell: Any) -> bool:
    """Whether somebody can see widgets.

    Lab, Notebook and VS Code send the id of the cell with each execution; nbconvert and papermill do not.
    """
    setting = os.environ.get(WIDGET_VARIABLE)
    if setting in ("0", "1"):
        return setting == "1"
    if "google.colab" in sys.modules:
        return True
    try:
        metadata = shell.get_parent().get("metadata") or {}
    except (AttributeError, LookupError):
        return False
    return "cellId" in metadata


class TerminalView:
    """Plain lines: the start, each better trial, every tenth of the way, notes, the end."""

    def __init__(self, name: str, control: Control) -> None:
        self._progress = Progress(name)
        self._control = control

    def show(self, events: list[Event]) -> None:
        for event in events:
            for line in self._progress.apply(event):
                print(line, flush=True)
        if self._control.stopping and not self._progress.stopping:
            self._progress.stopping = True
            print(self._progress.line(), flush=True)

    def finish(self, bundle: dict[str, Any] | None) -> None:
        if bundle is not None:
            print(plain_text(bundle), flush=True)


class _Replaced:
    """A notebook output that is replaced by the static picture at the end."""

    def __init__(self) -> None:
        from sllmbo_magic.report.bundle import RunView

        self._state = RunView()
        self._handle: Any = None

    def _keep(self, events: list[Event]) -> None:
        for event in events:
            self._state.apply(event)

    def finish(self, bundle: dict[str, Any] | None) -> None:
        if bundle is None:
            if self._handle is None:  # it failed before anything was shown
                return
            bundle = self._state.snapshot()
            if bundle["run"]["status"] in ("running", "paused"):
                bundle["run"]["status"] = "failed"
        picture = self._picture(bundle)
        if self._handle is None:
            show_output(picture, raw=True)
        else:
            self._handle.update(picture, raw=True)
        self._finished(picture)

    def _picture(self, bundle: dict[str, Any]) -> dict[str, Any]:
        return static_picture(bundle)

    def _finished(self, picture: dict[str, Any]) -> None:
        """Called with the final picture after it was shown."""


class TextView(_Replaced):
    """One block of text that updates in place. JupyterLab's side panel lists the run all the same."""

    def __init__(self, name: str, control: Control) -> None:
        from sllmbo_magic.dashboard import runs
        from sllmbo_magic.dashboard.live import LiveRun

        super().__init__()
        self._entry = runs.add(LiveRun(control))
        self._progress = Progress(name)
        self._control = control
        self._updated = 0.0

    def show(self, events: list[Event]) -> None:
        self._keep(events)
        for event in events:
            self._progress.apply(event)
            self._entry.sink(event)
        self._progress.stopping = self._control.stopping
        now = time.time()
        if events or (self._handle is not None and now - self._updated >= _UPDATE_EVERY):
            self._show({"text/plain": self._progress.block(now)})
            self._updated = now

    def _show(self, block: dict[str, str]) -> None:
        mark = {"sllmbo": {"run": self._entry.id}}  # by it the extension finds the output after a reload
        if self._handle is None:
            self._handle = show_output(block, raw=True, metadata=mark, display_id=True)
        else:
            self._handle.update(block, raw=True, metadata=mark)

    def _finished(self, picture: dict[str, Any]) -> None:
        self._entry.finish(picture)


class DashboardView(_Replaced):
    """The live dashboard.

    Raises:
        ImportError: ipywidgets or anywidget is not installed.
    """

    def __init__(self, name: str, control: Control) -> None:
        from sllmbo_magic.dashboard import Dashboard

        super().__init__()
        self._dashboard = Dashboard(control)

    def show(self, events: list[Event]) -> None:
        self._keep(events)
        for event in events:
            self._dashboard.sink(event)
        if self._handle is None and events:
            self._handle = show_output(self._dashboard, display_id=True)

    def _picture(self, bundle: dict[str, Any]) -> dict[str, Any]:
        # by its id the extension finds the run, which takes marks while the kernel lives
        from sllmbo_magic.report.bundle import MIME

        picture = super()._picture(bundle)
        return {**picture, MIME: {**picture[MIME], "live": self._dashboard.run_id}}

    def _finished(self, picture: dict[str, Any]) -> None:
        self._dashboard.finish(picture)  # for a page that was reloaded and misses the update


def static_picture(bundle: dict[str, Any]) -> dict[str, Any]:
    """The MIME bundle that shows a run without a kernel: picture, table, text, and the run as data."""
    from sllmbo_magic.report.static import mimebundle

    return mimebundle(bundle)


def plain_text(bundle: dict[str, Any]) -> str:
    """A run in a few lines of text."""
    from sllmbo_magic.report.summary import plain_text as text_of

    return text_of(bundle)


def show_output(output: Any, **options: Any) -> Any:
    """IPython's ``display``: a handle to update it by, with ``display_id=True``."""
    from IPython.display import display

    return display(output, **options)  # type: ignore[no-untyped-call]

"""The runs that this notebook started, what shows them, and the variables that hold their results."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from types import ModuleType
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.control import NO_HINTS
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.events import Sink
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.magic.ipykernel6 import answer_widgets
from sllmbo_magic.magic.running import BackgroundRun
from sllmbo_magic.magic.running import RunThread
from sllmbo_magic.magic.running import load_libraries
from sllmbo_magic.magic.spec import DEFAULT_NAME
from sllmbo_magic.magic.views import View
from sllmbo_magic.magic.views import open_view

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult

_FOLLOW_EVERY = 0.2
"""Seconds between two looks at a background run while other cells run."""


@dataclass
class StartedRun:
    """A run of this notebook.

    Attributes:
        run: Its thread.
        view: What shows it.
        shell: The notebook's shell.
        background: Whether other cells may run meanwhile.
        previous: The result that its variable held before; None: none.
        is_bound: Whether its variable holds the result.
        is_over: Whether its cell, or ``%sllmbo wait``, has reported its end.
    """

    run: RunThread
    view: View
    shell: Any
    background: bool = False
    previous: Any = None
    is_bound: bool = False
    is_over: bool = False
    _is_shown: bool = field(default=False, repr=False)

    def show(self) -> None:
        """Show what happened since the last call, and let widgets be answered."""
        self.view.show(self.run.events())
        answer_widgets(self.shell)

    def show_final(self) -> None:
        """Show the final picture, once."""
        if not self._is_shown:
            self._is_shown = True
            self.view.show(self.run.events())
            self.view.finish(None if self.run.result is None else self.run.result.bundle())


class Session:
    """The runs of one notebook.

    Attributes:
        shell: The notebook's shell.
        runs: Every run that was started, by name, the last one of each name.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.runs: dict[str, StartedRun] = {}
        self._followers: set[asyncio.Task[None]] = set()

    def active(self) -> dict[str, StartedRun]:
        """The runs that have not ended, by name."""
        return {name: started for name, started in self.runs.items() if not started.run.done}

    def not_waited_for(self) -> dict[str, StartedRun]:
        """The background runs whose end has not been waited for, by name."""
        return {
            name: started for name, started in self.runs.items() if started.background and not started.is_over
        }

    # ---- names

    def check_name(self, name: str, cell_names: frozenset[str] = frozenset()) -> None:
        """Check that a run of this name can start and that its result replaces nothing of the user's.

        Args:
            name: The run's name.
            cell_names: The names that the cell assigns.

        Raises:
            InputError: A run of the name goes on, or the variable holds something that is not a result.
        """
        if name in self.active():
            raise InputError(
                f"run {name!r} goes on in the background.",
                f"Wait for it (%sllmbo wait {name}), end it (%sllmbo stop {name}), or choose another name.",
            )
        self.check_variable(name, cell_names)

    def check_variable(self, name: str, cell_names: frozenset[str] = frozenset()) -> None:
        """Check that a result may be bound to a name.

        Raises:
            InputError: The notebook, or the cell, has something else under this name.
        """
        remedy = f", or del {name} first"
        if name in cell_names:
            owner, remedy = f"this cell assigns {name!r}", ""
        elif name in self.shell.user_ns and not is_result(self.shell.user_ns[name]):
            owner = f"the notebook has a variable {name!r} ({_kind(self.shell.user_ns[name])})"
        else:
            return
        suggestion = f"{name}_run"
        while suggestion in self.shell.user_ns or hasattr(builtins, suggestion):
            suggestion += "_"
        unnamed = name == DEFAULT_NAME
        role = "where a run without a name puts its result" if unnamed else "which the result would replace"
        raise InputError(f"{owner}, {role}.", f"Choose another name, e.g. {suggestion!r}{remedy}.")

    # ---- one run

    def start(
        self,
        name: str,
        work: Callable[[Control, Sink], TuneResult],
        *,
        background: bool,
        widget: bool,
        reads_hints: bool,
    ) -> StartedRun:
        """Start a run; one in the background is followed, and its variable holds a :class:`BackgroundRun`."""
        if background:
            load_libraries()
        run = RunThread(name, work)
        if not reads_hints:
            run.control.refuse("hint", NO_HINTS)  # from the first moment on, before its thread has begun
        view = open_view(self.shell, name, run.control, widget=widget)
        started = StartedRun(run, view, self.shell, background, self._result(name))
        self.runs[name] = started
        run.start()
        if background:
            self.shell.user_ns[name] = BackgroundRun(run)
            self._follow(started)
        return started

    def finish(self, started: StartedRun) -> None:
        """Bind the result of a run that has ended and show its final picture.

        Raises:
            BaseException: What ended the run.
        """
        self._bind(started)
        started.is_over = True
        started.show_final()
        if started.run.error is not None:
            raise started.run.error

    def _bind(self, started: StartedRun) -> None:
        """Put the result where it belongs; where there is none, an earlier result of the name comes back."""
        run, names = started.run, self.shell.user_ns
        if started.is_bound:
            return
        started.is_bound = True
        value = names.get(run.name)
        if started.background and not (isinstance(value, BackgroundRun) and value.is_of(run)):
            return  # the user has put something else there meanwhile
        result = run.result if run.result is not None else started.previous
        if result is not None:
            names[run.name] = result

    def _result(self, name: str) -> Any:
        value = self.shell.user_ns.get(name)
        if isinstance(value, BackgroundRun):
            return value.result
        return value if is_result(value) else None

    def _follow(self, started: StartedRun) -> None:
        """Show a background run while other cells run, where an event loop goes on between cells."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a terminal: %sllmbo wait shows it
            return

        async def follow() -> None:
            while not started.run.done:
                await asyncio.sleep(_FOLLOW_EVERY)
                started.show()
            self._bind(started)
            started.show_final()
            error = started.run.error
            if error is not None:
                text = str(error) if isinstance(error, SllmboError) else f"{type(error).__name__}: {error}"
                print(f"{started.run.name} failed: {redact(' '.join(text.split()))}")

        task = loop.create_task(follow())
        self._followers.add(task)
        task.add_done_callback(self._followers.discard)


def is_result(value: Any) -> bool:
    """Whether a variable holds a result of ours, or the handle of a background run."""
    if isinstance(value, BackgroundRun):
        return True
    if not type(value).__module__.startswith("sllmbo_magic."):
        return False
    from sllmbo_magic.comparison.result import Comparison
    from sllmbo_magic.tuning.result import TuneResult

    return isinstance(value, TuneResult | Comparison)


def _kind(value: Any) -> str:
    """What a variable holds, in words."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}"
    return f"of type {type(value).__name__}"

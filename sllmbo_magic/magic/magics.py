"""``%%sllmbo`` and ``%sllmbo``: the only place that imports IPython at the top.

A cell that starts with ``%%sllmbo`` is awaited: an input transformer turns the call of the magic into an
``await``, so that the kernel's event loop is free while a worker thread runs the trials, and a widget's
controls are answered at once. Called from code (``run_cell_magic``) the magic blocks in the ordinary way.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from typing import Any

from IPython import get_ipython
from IPython.core.error import StdinNotImplementedError
from IPython.core.error import UsageError
from IPython.core.magic import Magics
from IPython.core.magic import cell_magic
from IPython.core.magic import line_magic
from IPython.core.magic import magics_class
from IPython.core.magic import no_var_expand
from IPython.display import display

from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.events import Sink
from sllmbo_magic.llm.credentials import SOURCES
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.magic import commands
from sllmbo_magic.magic import spec as specs
from sllmbo_magic.magic.body import run_body
from sllmbo_magic.magic.body import run_body_async
from sllmbo_magic.magic.dry_run import dry_run
from sllmbo_magic.magic.help import help_text
from sllmbo_magic.magic.namespace import ResolvedTask
from sllmbo_magic.magic.namespace import resolve
from sllmbo_magic.magic.old_kernel import answer_widgets
from sllmbo_magic.magic.running import BackgroundRun
from sllmbo_magic.magic.running import Run
from sllmbo_magic.magic.running import interrupted
from sllmbo_magic.magic.running import load_libraries
from sllmbo_magic.magic.running import watch
from sllmbo_magic.magic.running import watch_async
from sllmbo_magic.magic.spec import RunSpec
from sllmbo_magic.magic.views import View
from sllmbo_magic.magic.views import open_view

if TYPE_CHECKING:
    from sllmbo_magic.result import TuneResult


@contextmanager
def one_line_errors(debug: bool) -> Iterator[None]:
    """Our errors become a plain UsageError, which IPython shows as one line (a subclass gets a traceback)."""
    try:
        yield
    except SllmboError as error:
        if debug:
            raise
        raise UsageError(redact(" ".join(str(error).split()))) from None


@dataclass
class Started:
    """A run and the view that shows it."""

    run: Run
    view: View
    shell: Any
    finished: bool = False

    def show(self) -> None:
        """Show what happened since the last call, and let widgets be answered."""
        self.view.show(self.run.events())
        answer_widgets(self.shell)

    def finish_view(self) -> None:
        """Show the final picture, once."""
        if not self.finished:
            self.finished = True
            self.view.show(self.run.events())
            self.view.finish(None if self.run.result is None else self.run.result.bundle())


@magics_class
class SllmboMagics(Magics):
    """The magics and the runs that they started in this kernel."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.started: dict[str, Started] = {}
        self._followers: set[asyncio.Task[None]] = set()

    @no_var_expand
    @cell_magic("sllmbo")  # type: ignore[arg-type]  # IPython's own annotation of its decorators is wrong
    def cell(self, line: str, cell: str) -> TuneResult | None:
        """Tune the model of this cell, blocking; the result."""
        with one_line_errors(_debug(line)):
            spec, body = self._read(line, cell)
            changed = run_body(self.shell, body)
            started = self._start(spec, changed)
            if started is None:
                return None
            watch(started.run, started.show)
            return self._finish(started)

    def blocking(self, line: str, cell: str) -> None:
        """The same at the top of a cell that cannot be awaited: without an output of its own."""
        self.cell(line, cell)

    async def awaited(self, line: str, cell: str) -> None:
        """Tune the model of this cell without blocking the event loop."""
        with one_line_errors(_debug(line)):
            spec, body = self._read(line, cell)
            changed = await run_body_async(self.shell, body)
            started = self._start(spec, changed)
            if started is not None:
                await watch_async(started.run, started.show)
                self._finish(started)

    @no_var_expand
    @line_magic("sllmbo")  # type: ignore[arg-type]
    def line(self, line: str) -> Any:
        """Steer and look at runs, blocking where there is something to wait for."""
        with one_line_errors(_debug(line)):
            return commands.run(self, line)

    async def awaited_line(self, line: str) -> None:
        """``%sllmbo wait`` without blocking the event loop."""
        with one_line_errors(_debug(line)):
            await commands.wait_async(self, line)

    def going_on(self) -> dict[str, Started]:
        """The runs of this notebook that have not ended, by name."""
        return {name: started for name, started in self.started.items() if not started.run.done}

    # ---- one run

    def _read(self, line: str, cell: str) -> tuple[RunSpec, str]:
        try:
            python = self.shell.transform_cell(cell)
        except Exception:  # noqa: BLE001 - running the cell shows what is wrong with it
            python = cell
        return specs.parse(line, python), cell

    def _start(self, spec: RunSpec, changed: set[str]) -> Started | None:
        task = resolve(spec, self.shell.user_ns, changed)
        print(f"{spec.name} takes {task.taken}.")
        _say_found_keys(task)
        if spec.flag("dry_run"):
            print(dry_run(spec, task))
            return None

        def work(control: Control, sink: Sink) -> TuneResult:
            from sllmbo_magic.tuning import tune

            return tune(
                task.target,
                task.X,
                task.y,
                name=spec.name,
                **task.arguments,
                sinks=(sink,),
                control=control,
                taken=task.taken,
                ask=_ask,
            )

        if spec.flag("background"):
            load_libraries()
        run = Run(spec.name, work)
        view = open_view(self.shell, spec.name, run.control, widget=not spec.flag("no_widget"))
        started = self.started[spec.name] = Started(run, view, self.shell)
        run.start()
        if not spec.flag("background"):
            return started
        self.shell.user_ns[spec.name] = BackgroundRun(run)
        self._follow(started)
        print(f"{spec.name} goes on in the background: %sllmbo wait, pause, stop, show (%sllmbo help).")
        return None

    def _finish(self, started: Started) -> TuneResult:
        run = started.run
        if run.result is not None:
            self.shell.user_ns[run.name] = run.result
        started.finish_view()
        if run.error is not None:
            raise run.error
        assert run.result is not None
        if run.control.interrupted:
            raise interrupted(f"run {run.name!r} was interrupted; {run.name} holds the result so far.")
        return run.result

    def _follow(self, started: Started) -> None:
        """Show a background run while other cells run, where an event loop goes on between cells."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a terminal: %sllmbo wait shows it
            return

        async def follow() -> None:
            while not started.run.done:
                await asyncio.sleep(0.2)
                started.show()
            started.finish_view()
            error = started.run.error
            if error is not None:
                told = str(error) if isinstance(error, SllmboError) else f"{type(error).__name__}: {error}"
                print(f"{started.run.name} failed: {redact(' '.join(told.split()))}")

        task = loop.create_task(follow())
        self._followers.add(task)
        task.add_done_callback(self._followers.discard)


for _name in ("cell", "line"):
    getattr(SllmboMagics, _name).__doc__ = help_text()  # what %%sllmbo? and %sllmbo? show


def _ask(prompt: str) -> str:
    """The answer that a person pastes, for ``--llm manual``."""
    from sllmbo_magic.llm.manual import ask_in_terminal
    from sllmbo_magic.llm.manual import read_answer

    try:
        if getattr(get_ipython(), "kernel", None) is None:
            return ask_in_terminal(prompt)
        shown = {"text/html": copy_box(prompt), "text/plain": prompt}
        handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        try:
            return read_answer()
        finally:
            handle.update({"text/plain": "A prompt was answered by hand."}, raw=True)
    except (StdinNotImplementedError, EOFError):
        raise InputError(
            "--llm manual needs somebody to paste the answers, and here nobody can type.",
            "Run the notebook in JupyterLab or a terminal, or use --llm rulebook.",
        ) from None


def copy_box(prompt: str) -> str:
    """The prompt with a button that copies it; the text can be selected where a button may not act."""
    box = "width:100%;box-sizing:border-box;font-family:monospace;font-size:12px"
    copy = (
        "navigator.clipboard.writeText(this.parentNode.querySelector('textarea').value);"
        "this.textContent='Copied'"
    )
    return (
        f'<div><textarea readonly rows="12" aria-label="Prompt" style="{box}">{escape(prompt)}</textarea>'
        f'<button type="button" onclick="{copy}">Copy the prompt</button></div>'
    )


def _debug(line: str) -> bool:
    return "--debug" in line.split()


def _say_found_keys(task: ResolvedTask) -> None:
    if task.arguments.get("llm", "rulebook") not in ("rulebook", "offline"):
        return
    for source in SOURCES.values():
        variable = next((v for v in source.variables if os.environ.get(v)), None)
        if source.required and variable:
            print(f"{variable} is set but not used: --llm {source.provider}:MODEL asks that LLM.")
            return


# ---- input transformers

_CELL_CALL = "get_ipython().run_cell_magic('sllmbo', "
_WAIT_CALL = "get_ipython().run_line_magic('sllmbo', 'wait"
_REGISTRY = "get_ipython().magics_manager.registry['SllmboMagics']"


class AwaitMagic:
    """Turns the magic's call at the top of a cell, and ``%sllmbo wait``, into an ``await``."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        if lines and lines[0].startswith(_CELL_CALL):
            arguments = lines[0][len(_CELL_CALL) :]
            call = "await {}.awaited({}" if self._can_await() else "{}.blocking({}"
            return [call.format(_REGISTRY, arguments), *lines[1:]]
        if any(line.startswith(_WAIT_CALL) for line in lines) and self._can_await():
            return [self._awaited_wait(line) for line in lines]
        return lines

    def _can_await(self) -> bool:
        if _inside_cell_magic():
            return False
        runner = self._shell.loop_runner  # a function, or an object of IPython's class for asyncio
        name = getattr(runner, "__name__", type(runner).__name__)
        return bool(self._shell.autoawait) and "asyncio" in name.lower()

    @staticmethod
    def _awaited_wait(line: str) -> str:
        if line.startswith(_WAIT_CALL):
            return f"await {_REGISTRY}.awaited_line('wait{line[len(_WAIT_CALL) :]}"
        return line


def _inside_cell_magic() -> bool:
    """Whether another cell magic (%%time, %%capture) is about to run the text; those cannot await."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "run_cell_magic":
            return True
        frame = frame.f_back
    return False


class RefuseMisplaced:
    """Says what is wrong with a ``%%sllmbo`` that is not on the first line of its cell."""

    has_side_effects = True  # it raises: not for a console's question whether a cell is complete

    def __call__(self, lines: list[str]) -> list[str]:
        error = specs.misplaced(lines)
        if error is not None:
            raise UsageError(str(error))
        return lines


# ---- loading and unloading


def register(shell: Any) -> None:
    """Add magics, transformers and completion to a shell; what an earlier load left is replaced."""
    from sllmbo_magic import dashboard
    from sllmbo_magic.magic.completion import add_matcher

    unregister(shell)
    shell.register_magics(SllmboMagics(shell))
    shell.input_transformers_post.append(AwaitMagic(shell))
    shell.input_transformers_cleanup.append(RefuseMisplaced())
    add_matcher(shell)
    dashboard.register(shell)


def unregister(shell: Any) -> None:
    """Take everything away again. Background runs go on; their variables stay."""
    from sllmbo_magic import dashboard
    from sllmbo_magic.magic.completion import remove_matcher

    remove_matcher(shell)
    dashboard.unregister(shell)
    for transformers in (shell.input_transformers_post, shell.input_transformers_cleanup):
        transformers[:] = [t for t in transformers if type(t).__module__ != __name__]
    manager = shell.magics_manager
    manager.registry.pop("SllmboMagics", None)
    for kind in ("line", "cell"):
        manager.magics[kind].pop("sllmbo", None)


__all__ = ["SllmboMagics", "one_line_errors", "register", "unregister"]

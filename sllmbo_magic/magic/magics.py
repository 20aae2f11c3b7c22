"""``%%sllmbo`` and ``%sllmbo``: the functions that IPython calls, and how they are added to a shell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from IPython.core.magic import Magics
from IPython.core.magic import cell_magic
from IPython.core.magic import line_magic
from IPython.core.magic import magics_class
from IPython.core.magic import no_var_expand

from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Sink
from sllmbo_magic.llm.credentials import SOURCES
from sllmbo_magic.magic import commands
from sllmbo_magic.magic.ask import ask
from sllmbo_magic.magic.body import run_body
from sllmbo_magic.magic.body import run_body_async
from sllmbo_magic.magic.dry_run import dry_run
from sllmbo_magic.magic.errors import interrupted
from sllmbo_magic.magic.errors import one_line_errors
from sllmbo_magic.magic.help import help_text
from sllmbo_magic.magic.lexer import join_continued
from sllmbo_magic.magic.line import asks_for_help
from sllmbo_magic.magic.namespace import ResolvedTask
from sllmbo_magic.magic.namespace import resolve
from sllmbo_magic.magic.older_variables import named_in_errors
from sllmbo_magic.magic.running import watch
from sllmbo_magic.magic.running import watch_async
from sllmbo_magic.magic.session import Session
from sllmbo_magic.magic.session import StartedRun
from sllmbo_magic.magic.spec import RunSpec
from sllmbo_magic.magic.spec import parse
from sllmbo_magic.magic.transformers import AwaitMagic
from sllmbo_magic.magic.transformers import RefuseMisplaced

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult


@magics_class
class SllmboMagics(Magics):
    """The magics, and the session of this notebook."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.session = Session(shell)

    @no_var_expand
    @cell_magic("sllmbo")  # type: ignore[arg-type]  # IPython's own annotation of its decorators is wrong
    def cell(self, line: str, cell: str) -> TuneResult | None:
        """Tune the model of this cell, blocking; the result."""
        line, cell = join_continued(line, cell)
        with one_line_errors(_debug(line)):
            spec = self._read(line, cell)
            if spec is None:
                return None
            started = self._start(spec, run_body(self.shell, cell))
            if started is None:
                return None
            watch(started.run, started.show)
            return self._finish(started)

    def blocking(self, line: str, cell: str) -> None:
        """The same at the top of a cell that cannot be awaited: without an output of its own."""
        self.cell(line, cell)

    async def awaited(self, line: str, cell: str) -> None:
        """Tune the model of this cell without blocking the event loop."""
        line, cell = join_continued(line, cell)
        with one_line_errors(_debug(line)):
            spec = self._read(line, cell)
            if spec is None:
                return
            started = self._start(spec, await run_body_async(self.shell, cell))
            if started is not None:
                await watch_async(started.run, started.show)
                self._finish(started)

    @no_var_expand
    @line_magic("sllmbo")  # type: ignore[arg-type]
    def line(self, line: str) -> Any:
        """Steer and look at runs, blocking where there is something to wait for."""
        with one_line_errors(_debug(line)):
            return commands.run(self.session, line)

    async def awaited_line(self, line: str) -> None:
        """``%sllmbo wait`` without blocking the event loop."""
        with one_line_errors(_debug(line)):
            await commands.wait_async(self.session, line)

    def _read(self, line: str, cell: str) -> RunSpec | None:
        """What the cell asks for, checked before its text runs; None when it asks for help, shown here."""
        if asks_for_help(line):
            print(help_text())
            return None
        try:
            python = self.shell.transform_cell(cell)
        except Exception:  # noqa: BLE001 - running the cell shows what is wrong with it
            python = cell
        spec = parse(line, python)
        if not spec.flag("dry_run"):
            self.session.check_name(spec.name, spec.assigned)
        return spec

    def _start(self, spec: RunSpec, changed: set[str]) -> StartedRun | None:
        """Start the run of a cell whose text has run; None when there is nothing to wait for."""
        task = resolve(spec, self.shell.user_ns, changed)
        print(f"{spec.name} takes {task.taken}.")
        _print_unused_key(task)
        if spec.flag("dry_run"):
            print(dry_run(spec, task))
            return None
        self.session.check_name(spec.name)

        # Now, in the cell's own thread: the next cell may change the working directory.
        root = Path.cwd() / ".sllmbo"
        arguments = _fixed_paths(task.arguments) if spec.flag("background") else task.arguments

        def work(control: Control, sink: Sink) -> TuneResult:
            from sllmbo_magic.tuning.tune import tune

            with named_in_errors(task):
                return tune(
                    task.target,
                    task.X,
                    task.y,
                    name=spec.name,
                    folder=root,
                    **arguments,
                    sinks=(sink,),
                    control=control,
                    taken=task.taken,
                    ask=ask if "manual" in str(arguments.get("llm")) else None,
                )

        started = self.session.start(
            spec.name,
            work,
            background=spec.flag("background"),
            widget=not spec.flag("no_widget"),
            reads_hints=not _is_of_the_rulebook(task),
        )
        if started.background:
            print(f"{spec.name} goes on in the background: %sllmbo wait, pause, stop, show (%sllmbo help).")
            return None
        return started

    def _finish(self, started: StartedRun) -> TuneResult:
        self.session.finish(started)
        run = started.run
        assert run.result is not None
        if run.control.interrupted:
            raise interrupted(f"run {run.name!r} was interrupted; {run.name} holds the result so far.")
        return run.result


for _name in ("cell", "line"):
    getattr(SllmboMagics, _name).__doc__ = help_text()  # what %%sllmbo? and %sllmbo? show


def _debug(line: str) -> bool:
    return "--debug" in line.split()


def _is_of_the_rulebook(task: ResolvedTask) -> bool:
    return task.arguments.get("llm", "rulebook") in ("rulebook", "offline")


def _print_unused_key(task: ResolvedTask) -> None:
    """Name a key in the environment that this run does not use, and how to use it."""
    if not _is_of_the_rulebook(task):
        return
    for source in SOURCES.values():
        variable = next((v for v in source.variables if os.environ.get(v)), None)
        if source.required and variable:
            print(f"{variable} is set but not used: --llm {source.provider}:MODEL asks that LLM.")
            return


def _fixed_paths(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a background run, without relative paths: a replay is read now."""
    fixed = dict(arguments)
    if "storage" in fixed:
        from sllmbo_magic.storage.locations import absolute_storage

        fixed["storage"] = absolute_storage(fixed["storage"])
    llm, earlier = fixed.get("llm"), fixed.get("warm_start")
    if isinstance(llm, str) and llm.startswith("replay:") and "?" not in llm:
        from sllmbo_magic.llm.providers.replay import ReplayProvider

        with contextlib.suppress(InputError):  # the run itself reports it, as it does any other error
            fixed["llm"] = ReplayProvider(llm.removeprefix("replay:"))
    if isinstance(earlier, str | Path) and Path(earlier).exists():
        fixed["warm_start"] = str(Path(earlier).absolute())
    return fixed


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
        transformers[:] = [t for t in transformers if not type(t).__module__.startswith("sllmbo_magic.")]
    manager = shell.magics_manager
    manager.registry.pop("SllmboMagics", None)
    for kind in ("line", "cell"):
        manager.magics[kind].pop("sllmbo", None)


__all__ = ["SllmboMagics", "register", "unregister"]

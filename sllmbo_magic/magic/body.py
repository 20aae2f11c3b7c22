"""Run the text of a ``%%sllmbo`` cell as an ordinary cell of the notebook."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.running import interruptible


async def run_body_async(shell: Any, cell: str) -> set[str]:
    """Run the cell's text in the notebook's namespace, from a cell that is awaited.

    Returns:
        The public names that it bound to another object.

    Raises:
        InputError: It raised; its own traceback has been shown.
    """
    before = dict(shell.user_ns)
    coroutine, is_async = _coroutine(shell, cell)
    if coroutine is None:
        return set()
    with nullcontext() if is_async else interruptible():
        result = await coroutine
    return _outcome(shell, result, before)


def run_body(shell: Any, cell: str) -> set[str]:
    """The same from ordinary code, blocking."""
    before = dict(shell.user_ns)
    coroutine, is_async = _coroutine(shell, cell)
    if coroutine is None:
        return set()
    if not is_async:
        result = _finish_now(coroutine)
    elif _loop_runs():
        coroutine.close()
        raise InputError(
            "the cell awaits, which it cannot when %%sllmbo is called from code.",
            "Put %%sllmbo on the first line of a cell of its own, or await in an earlier cell.",
        )
    else:
        result = shell.loop_runner(coroutine)
    return _outcome(shell, result, before)


def _coroutine(shell: Any, cell: str) -> tuple[Any, bool]:
    """IPython's own execution of the text, and whether the text awaits. None when there is nothing to run."""
    if not cell.strip():
        return None, False
    problem = None
    try:
        python = shell.transform_cell(cell)
    except Exception:  # noqa: BLE001 - IPython shows it as that of any cell
        python, problem = cell, sys.exc_info()
    is_async = shell.should_run_async(cell, transformed_cell=python, preprocessing_exc_tuple=problem)
    # lines in front, for the magic's own and blank ones that IPython dropped, so that a traceback's line
    # numbers are those of the cell
    lines = cell.splitlines()
    blank = next(i for i, line in enumerate(lines) if line.strip())
    run = shell.run_cell_async(
        f"\n{cell}",
        transformed_cell="\n" * (1 + blank) + python,
        preprocessing_exc_tuple=problem,
        store_history=False,
    )
    return run, is_async


def _finish_now(coroutine: Any) -> Any:
    """Drive a coroutine that never suspends, as IPython does for cells without an await."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("the cell suspended without awaiting")


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _outcome(shell: Any, result: Any, before: dict[str, Any]) -> set[str]:
    shell.events.trigger("post_execute")  # inline figures of the cell are shown now, not after the run
    error = result.error_before_exec or result.error_in_exec
    if error is not None:
        if isinstance(error, KeyboardInterrupt):
            raise InputError("the cell was interrupted, so no run was started.")
        name = type(error).__name__
        raise InputError(f"the cell raised {name}, so no run was started.", "Correct it and run it again.")
    missing = object()
    return {
        name
        for name, value in shell.user_ns.items()
        if not name.startswith("_") and before.get(name, missing) is not value
    }

"""Input transformers: what becomes of a ``%%sllmbo`` call before IPython runs it.

A cell that starts with ``%%sllmbo`` is awaited: the call of the magic becomes an ``await``, so that the
kernel's event loop is free while a worker thread runs the trials, and a widget's controls are answered at
once. Called from code (``run_cell_magic``) the magic blocks in the ordinary way.
"""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.errors import one_line

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
    """Refuses a ``%%sllmbo`` that is not on the first line of its cell, with the reason."""

    has_side_effects = True  # it raises: not for a console's question whether a cell is complete

    def __call__(self, lines: list[str]) -> list[str]:
        error = misplaced(lines)
        if error is not None:
            raise one_line(error)
        return lines


def misplaced(lines: list[str]) -> InputError | None:
    """What is wrong with a cell in which ``%%sllmbo`` is not on the first line; None when nothing is.

    IPython takes a cell magic only from the first line, and calls any other an unknown line magic.
    """
    for i, line in enumerate(lines):
        text = line.strip()
        if not text.startswith("%%"):
            continue
        if not re.match(r"%%sllmbo(?![\w?])", text):
            return None  # another cell magic owns the cell, and this is its text
        above = [above for above in lines[:i] if above.strip() and not above.lstrip().startswith(("%", "!"))]
        if not any(above_line.strip() for above_line in lines[:i]) or not _is_python("".join(above)):
            return None  # it is on the first line that counts, or inside a string
        comments = all(above_line.lstrip().startswith("#") for above_line in above)
        kind = "a comment" if comments and above else "code"
        return InputError(
            f"%%sllmbo is on line {i + 1} of the cell, below {kind}.",
            "It must be the first line of its cell: move it up, or split the cell.",
        )
    return None


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True

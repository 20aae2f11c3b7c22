"""What a function of the user's has from outside: values of its closure, defaults and bound arguments.

Another value there can be another objective, though its lines are the same. It can as well be a folder or a
time that is another one in each process, so a resumed run says what has changed, and goes on.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any

from sllmbo_magic.llm.redact import redact
from sllmbo_magic.task.data import library_of
from sllmbo_magic.task.fingerprint import fingerprint

_TABLES = ("numpy", "pandas", "polars", "scipy")
_SECRETS = ("key", "token", "secret", "password", "credential")


def captured_values(*functions: Any) -> dict[str, str]:
    """Name -> hash of each value that these functions have from outside: of numbers, texts, tuples of them,
    arrays and tables. Of keys there is nothing, and nothing of lists and dicts, which the objective may fill.
    """
    found: dict[str, str] = {}
    for function in functions:
        for name, value in _outside(function):
            if any(word in name.lower() for word in _SECRETS) or not _is_plain(value):
                continue
            with contextlib.suppress(Exception):  # an odd table shall not keep a run from its start
                found[name] = fingerprint(value)
    return found


def _outside(function: Any) -> Iterator[tuple[str, Any]]:
    """Name and value, but for variables of a closure that the function itself assigns."""
    if isinstance(function, functools.partial):
        yield from _outside(function.func)
        yield from ((f"argument {number}", value) for number, value in enumerate(function.args))
        yield from function.keywords.items()
        return
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return
    assigned = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_DEREF"}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if name not in assigned:
            yield name, value
    defaults = function.__defaults__ or ()
    yield from zip(
        code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True
    )
    yield from (function.__kwdefaults__ or {}).items()


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return redact(value) == value
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if value is None or isinstance(value, bool | int | float):
        return True
    is_table = library_of(value) in _TABLES and hasattr(value, "shape")
    return is_table and str(getattr(value, "dtype", "")) != "object"

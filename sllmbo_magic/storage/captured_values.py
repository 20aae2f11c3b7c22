"""What a function of the user's has from outside: values of its closure, defaults and bound arguments.

Another value there is another objective, though its lines are the same. A run keeps a short hash of each
value that is plain data, never the value; of anything else it keeps nothing, since an object that looks
different in each process must not keep a run from being resumed.
"""

from __future__ import annotations

import dis
import functools
import inspect
import json
import types
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from sllmbo_magic.llm.redact import redact
from sllmbo_magic.task.data import library_of
from sllmbo_magic.task.fingerprint import fingerprint

CAPTURED = "captured values"
"""The part of a run's fingerprint, as JSON: name -> hash."""

_SECRETS = ("key", "token", "secret", "password", "credential")
_CHANGERS = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft",
    "remove", "reverse", "setdefault", "shuffle", "sort", "update",
}  # fmt: skip
"""Methods that change what they are called of."""
_CHANGING = {"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR"}
_MOST_DEPTH = 4


def captured_values(*functions: Any) -> dict[str, str]:
    """The part of a fingerprint for these functions; empty where they have no plain data from outside."""
    found = {
        name: fingerprint(value)
        for function in functions
        if callable(function)
        for name, value in _outside(function)
    }
    return {CAPTURED: json.dumps(found, sort_keys=True)} if found else {}


def changed_values(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """The names that two fingerprints both have and whose values differ."""
    before, now = (json.loads(part.get(CAPTURED) or "{}") for part in (stored, current))
    return [name for name in before if name in now and before[name] != now[name]]


def in_words(names: list[str]) -> str:
    """These values as the subject of a sentence."""
    return f"the captured value{'s' * (len(names) > 1)} of {', '.join(names)}"


def _outside(function: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of what a function has from outside, as far as it is plain data that it only reads."""
    if isinstance(function, functools.partial):
        inner = inspect.unwrap(getattr(function.func, "__func__", function.func))
        if isinstance(getattr(inner, "__code__", None), types.CodeType):
            yield "functools.partial", inner
        yield from _outside(function.func)
        bound = {f"argument {number}": value for number, value in enumerate(function.args)}
        yield from ((n, v) for n, v in {**bound, **function.keywords}.items() if _counts(n, v, True))
        return
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return
    changed, is_reader = _changes(code)
    for name, value in _named(function, code):
        if name not in changed and _counts(name, value, is_reader):
            yield name, value


def _named(function: Any, code: types.CodeType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    positional = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _changes(code: types.CodeType) -> tuple[set[str], bool]:
    """The outer variables that a function assigns, and whether it changes no container at all."""
    assigned: set[str] = set()
    is_reader = not _CHANGERS & {*code.co_names}
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_DEREF":
            assigned.add(str(instruction.argval))
        is_reader = is_reader and instruction.opname not in _CHANGING
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            further, reads = _changes(inner)
            assigned, is_reader = assigned | further, is_reader and reads
    return assigned, is_reader


def _counts(name: str, value: Any, is_reader: bool) -> bool:
    """Whether a value is plain data that only the user changes: no key, which may be renewed, and no
    container that may hold what the objective has noted.
    """
    if any(word in name.lower() for word in _SECRETS):
        return False
    if isinstance(value, np.ndarray):
        return is_reader and value.dtype.kind in "biufcSU"
    if library_of(value) in ("pandas", "polars", "scipy"):
        return is_reader and bool(getattr(value, "shape", ()))
    return _is_plain(value, is_reader)


def _is_plain(value: Any, is_reader: bool, depth: int = 0) -> bool:
    if isinstance(value, str):
        return redact(value) == value
    if value is None or isinstance(value, bool | int | float | complex | bytes | np.generic):
        return True
    if depth > _MOST_DEPTH:
        return False
    if type(value) in (list, dict, set) and not (is_reader and value):
        return False
    if type(value) is dict:
        return all(isinstance(k, str | int) and _is_plain(v, is_reader, depth + 1) for k, v in value.items())
    if type(value) in (tuple, list, set, frozenset):
        return all(_is_plain(item, is_reader, depth + 1) for item in value)
    return False

"""Values as Python expressions: literals, things importable by name, and estimators made of both.

An expression is a :data:`Tree`, JSON-able, so that it can be stored before it is laid out: a string, or a
group ``{"open": "f(", "parts": [("x=", tree), ...], "close": ")"}``.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import TypeAlias

import numpy as np

from sllmbo_magic.report.text import one_line

Tree: TypeAlias = "str | dict[str, Any]"
_MISSING = object()


class NoSpellingError(Exception):
    """A value cannot be written as code; the message names it and gives the reason."""


def group(opening: str, parts: Iterable[tuple[str, Tree]], closing: str) -> Tree:
    """An expression with parts."""
    return {"open": opening, "parts": list(parts), "close": closing}


def flat(tree: Tree) -> str:
    """The expression on one line."""
    if isinstance(tree, str):
        return tree
    single = "," if tree["open"] == "(" and len(tree["parts"]) == 1 else ""
    return (
        f"{tree['open']}{', '.join(key + flat(part) for key, part in tree['parts'])}{single}{tree['close']}"
    )


def literal(given: Any) -> str:
    """A parameter's value: None, boolean, number or string; anything else as the string it reads as."""
    if isinstance(given, np.generic):
        given = given.item()
    if isinstance(given, float):
        return repr(given) if math.isfinite(given) else f'float("{given}")'
    if given is None or isinstance(given, bool | int):
        return repr(given)
    return quoted(str(given))


def quoted(text: str) -> str:
    """The text as a string literal, in double quotes where that needs no escape."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain


def constructor(estimator: Any) -> dict[str, Any]:
    """The call that makes the estimator: ``imports``, ``name``, ``arguments``, ``accepts``.

    Raises:
        NoSpellingError: Some part of it cannot be written down.
    """
    homes: dict[str, str] = {}
    name, arguments, accepts = _call(estimator, homes)
    imports = sorted(f"from {module} import {name}" for name, module in homes.items())
    return {"imports": imports, "name": name, "arguments": arguments, "accepts": accepts}


@dataclass(frozen=True)
class Expression:
    """A value of which only the Python expression is at hand; it shows as its label."""

    tree: Tree
    imports: tuple[str, ...]
    label: str = ""

    def __repr__(self) -> str:
        return self.label


def expression(value: Any, where: str) -> Expression:
    """The expression of a value of any kind, and the imports that it needs.

    Raises:
        NoSpellingError: It, or some part of it, cannot be written down.
    """
    if isinstance(value, Expression):
        return value
    homes: dict[str, str] = {}
    tree = _spell(value, where, homes)
    return Expression(tree, tuple(sorted(f"from {module} import {name}" for name, module in homes.items())))


def _call(estimator: Any, homes: dict[str, str]) -> tuple[str, list[tuple[str, Tree]], list[str] | None]:
    cls = type(estimator)
    defaults, accepts = _defaults(cls)
    current = estimator.get_params(deep=False)
    if accepts is not None and not set(current) <= set(accepts):
        raise NoSpellingError(f"{one_line(cls.__name__)} has parameters that its constructor does not take")
    name = _name(cls, homes)
    changed = [(k, v) for k, v in current.items() if not _equal(v, defaults.get(k, _MISSING))]
    return name, [(k, _spell(v, k, homes)) for k, v in changed], accepts


def _spell(given: Any, where: str, homes: dict[str, str]) -> Tree:
    kind = type(given)
    if given is None or kind in (bool, int, float, str) or isinstance(given, np.generic):
        return literal(given)
    if kind in (list, tuple):
        opening, closing = ("[", "]") if kind is list else ("(", ")")
        return group(opening, [("", _spell(item, where, homes)) for item in given], closing)
    if kind is set and given:
        return group("{", [("", _spell(item, where, homes)) for item in sorted(given, key=repr)], "}")
    if kind is dict:
        keys = [(f"{flat(_spell(k, where, homes))}: ", _spell(v, where, homes)) for k, v in given.items()]
        return group("{", keys, "}")
    if kind is slice:
        ends = (given.start, given.stop, given.step)
        return group("slice(", [("", _spell(end, where, homes)) for end in ends], ")")
    if isinstance(given, type | np.ufunc) or inspect.isroutine(given):
        return _name(given, homes)
    if callable(getattr(given, "get_params", None)):
        name, arguments, _ = _call(given, homes)
        if all(key.isidentifier() for key, _ in arguments):
            return group(f"{name}(", [(f"{key}=", value) for key, value in arguments], ")")
    if kind.__name__ == "make_column_selector" and kind.__module__.startswith("sklearn."):
        keywords = ("pattern", "dtype_include", "dtype_exclude")
        selected = [(key, getattr(given, key)) for key in keywords if getattr(given, key) is not None]
        arguments = [(f"{key}=", _spell(value, key, homes)) for key, value in selected]
        return group(f"{_name(kind, homes)}(", arguments, ")")
    raise NoSpellingError(
        f"its {one_line(where)} is a {one_line(kind.__name__)}, which cannot be written as code"
    )


def _name(given: Any, homes: dict[str, str]) -> str:
    """The name of a class or function, imported from the shortest public module that has it."""
    name = str(getattr(given, "__name__", ""))
    home = getattr(given, "__module__", None) or ("numpy" if isinstance(given, np.ufunc) else "")
    if home == "builtins" and name.isidentifier():
        return name
    parts = home.split(".")
    for module in (".".join(parts[: i + 1]) for i in range(len(parts))):
        public = not any(part.startswith("_") for part in module.split("."))  # nor __main__
        if public and name.isidentifier() and getattr(sys.modules.get(module), name, None) is given:
            if homes.setdefault(name, module) != module:
                raise NoSpellingError(f"two of its parts are named {one_line(name)}")
            return name
    raise NoSpellingError(f"{one_line(name or type(given).__name__)} cannot be imported from a public module")


def _defaults(cls: type) -> tuple[dict[str, Any], list[str] | None]:
    """A constructor's defaults and the names it takes, through the classes that its ``**kwargs`` go on to.

    The names are None when it takes any keyword.
    """
    defaults: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                given = _MISSING if parameter.default is parameter.empty else parameter.default
                defaults.setdefault(parameter.name, given)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return defaults, list(defaults)
    return defaults, None


def _equal(a: Any, b: Any) -> bool:
    """Whether two values are the same for a constructor; in doubt they are not."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and math.isnan(a) and math.isnan(b):
        return True
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False

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
from dataclasses import replace
from enum import Enum
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


def literal(value: Any) -> str:
    """A parameter's value: None, boolean, number or string, also as NumPy's scalar or as member of an enum.

    Raises:
        NoSpellingError: It is anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):  # one that is also a text or a number; it would read as ``Kind.A``
        value = value.value
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, str):
        return quoted(value)
    raise NoSpellingError(f"a {one_line(type(value).__name__)} cannot be written as code")


def quoted(text: str) -> str:
    """The text as a string literal, in double quotes where that needs no escape."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain


def constructor(estimator: Any) -> dict[str, Any]:
    """The call that makes the estimator: ``imports``, ``name``, ``arguments``, ``accepts``.

    Raises:
        NoSpellingError: Some part of it cannot be written down.
    """
    modules: dict[str, str] = {}
    name, arguments, accepts = _call(estimator, modules)
    imports = sorted(f"from {module} import {name}" for name, module in modules.items())
    return {"imports": imports, "name": name, "arguments": arguments, "accepts": accepts}


@dataclass(frozen=True)
class Expression:
    """A value of which only the Python expression is at hand; it shows as its label.

    Attributes:
        seeds: Of an estimator, the names of the seeds that it lacks.
    """

    tree: Tree
    imports: tuple[str, ...]
    label: str = ""
    seeds: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.label

    def beside(self, names: dict[str, str]) -> Expression:
        """The expression where these names are taken: one of another module gets that module's name in front.

        Args:
            names: Names in the code and the modules that they come from; those of this one are added.
        """
        tree, imports = self.tree, []
        for line in self.imports:
            module, name = line.removeprefix("from ").split(" import ")
            alias = name
            while names.setdefault(alias, module) != module:
                alias = f"{module.partition('.')[0]}_{alias}"
            tree = tree if alias == name else _renamed(tree, name, alias)
            imports.append(line if alias == name else f"{line} as {alias}")
        return replace(self, tree=tree, imports=tuple(imports))


def expression(value: Any, place: str) -> Expression:
    """The expression of a value of any kind, and the imports that it needs.

    Raises:
        NoSpellingError: It, or some part of it, cannot be written down.
    """
    if isinstance(value, Expression):
        return value
    modules: dict[str, str] = {}
    tree = _spell(value, place, modules)
    return Expression(tree, tuple(sorted(f"from {module} import {name}" for name, module in modules.items())))


def _renamed(tree: Tree, name: str, alias: str) -> Tree:
    if isinstance(tree, str):
        return alias if tree == name else tree
    parts = [(key, _renamed(part, name, alias)) for key, part in tree["parts"]]
    opening = f"{alias}(" if tree["open"] == f"{name}(" else tree["open"]
    return {**tree, "open": opening, "parts": parts}


def _call(estimator: Any, modules: dict[str, str]) -> tuple[str, list[tuple[str, Tree]], list[str] | None]:
    cls = type(estimator)
    defaults, accepts = _defaults(cls)
    current = estimator.get_params(deep=False)
    if accepts is not None and not set(current) <= set(accepts):
        raise NoSpellingError(f"{one_line(cls.__name__)} has parameters that its constructor does not take")
    name = _name(cls, modules)
    arguments = [(k, v) for k, v in current.items() if not _equal(v, defaults.get(k, _MISSING))]
    return name, [(k, _spell(v, k, modules)) for k, v in arguments], accepts


def _spell(obj: Any, place: str, modules: dict[str, str]) -> Tree:
    kind = type(obj)
    if obj is None or kind in (bool, int, float, str) or isinstance(obj, np.generic):
        return literal(obj)
    if kind in (list, tuple):
        opening, closing = ("[", "]") if kind is list else ("(", ")")
        return group(opening, [("", _spell(item, place, modules)) for item in obj], closing)
    if kind is set and obj:
        return group("{", [("", _spell(item, place, modules)) for item in sorted(obj, key=repr)], "}")
    if kind is dict:
        keys = [(f"{flat(_spell(k, place, modules))}: ", _spell(v, place, modules)) for k, v in obj.items()]
        return group("{", keys, "}")
    if kind is slice:
        ends = (obj.start, obj.stop, obj.step)
        return group("slice(", [("", _spell(end, place, modules)) for end in ends], ")")
    if isinstance(obj, type | np.ufunc) or inspect.isroutine(obj):
        return _name(obj, modules)
    if callable(getattr(obj, "get_params", None)):
        name, arguments, _ = _call(obj, modules)
        if all(key.isidentifier() for key, _ in arguments):
            return group(f"{name}(", [(f"{key}=", value) for key, value in arguments], ")")
    if kind.__name__ == "make_column_selector" and kind.__module__.startswith("sklearn."):
        keywords = ("pattern", "dtype_include", "dtype_exclude")
        selected = [(key, getattr(obj, key)) for key in keywords if getattr(obj, key) is not None]
        arguments = [(f"{key}=", _spell(value, key, modules)) for key, value in selected]
        return group(f"{_name(kind, modules)}(", arguments, ")")
    raise NoSpellingError(
        f"its {one_line(place)} is a {one_line(kind.__name__)}, which cannot be written as code"
    )


def _name(obj: Any, modules: dict[str, str]) -> str:
    """The name of a class or function, imported from the shortest public module that has it."""
    name = str(getattr(obj, "__name__", ""))
    defined_in = getattr(obj, "__module__", None) or ("numpy" if isinstance(obj, np.ufunc) else "")
    if defined_in == "builtins" and name.isidentifier():
        return name
    parts = defined_in.split(".")
    for module in (".".join(parts[: i + 1]) for i in range(len(parts))):
        public = not any(part.startswith("_") for part in module.split("."))  # nor __main__
        if public and name.isidentifier() and getattr(sys.modules.get(module), name, None) is obj:
            if modules.setdefault(name, module) != module:
                raise NoSpellingError(f"two of its parts are named {one_line(name)}")
            return name
    raise NoSpellingError(f"{one_line(name or type(obj).__name__)} cannot be imported from a public module")


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
                default = _MISSING if parameter.default is parameter.empty else parameter.default
                defaults.setdefault(parameter.name, default)
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

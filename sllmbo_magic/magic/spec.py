"""A ``%%sllmbo`` cell as a frozen value: what its line and its text say, before anything runs. Pure.

Names of the notebook meet the spec in :mod:`sllmbo_magic.magic.namespace`.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import lexer
from sllmbo_magic.magic.line import hint_for_stray
from sllmbo_magic.magic.line import parse_words
from sllmbo_magic.options.values import shorten

DEFAULT_NAME = "run"
LOOKED_UP = (
    "model",
    "estimator",
    "objective",
    "X",
    "y",
    "X_train",
    "y_train",
    "X_test",
    "y_test",
    "data",
    "cv",
    "groups",
    "scoring",
    "sample_weight",
    "fit_params",
    "search_space",
    "enqueue",
)
"""The names that a run takes from the notebook."""

_OF_IPYTHON = re.compile(r"_+|_\d+|_i+|_i\d+|_[iod]h|In|Out")
"""Variables that IPython assigns again after every cell: a result there would be lost."""


@dataclass(frozen=True)
class RunSpec:
    """What a cell asks for.

    Attributes:
        name: The variable that becomes the result, and the run's folder.
        options: The options that were given, by :attr:`Option.key`; a value may be a
            :class:`~sllmbo_magic.magic.line.Variable`.
        docstring: The cell's docstring, or "".
        assigned: The names that the cell's own text assigns.
    """

    name: str = DEFAULT_NAME
    options: Mapping[str, Any] = field(default_factory=dict)
    docstring: str = ""
    assigned: frozenset[str] = frozenset()

    def flag(self, key: str) -> bool:
        """Whether a flag was given."""
        return bool(self.options.get(key, False))


def parse(line: str, cell: str) -> RunSpec:
    """The spec of a cell.

    Args:
        line: What follows ``%%sllmbo``.
        cell: The rest of the cell, as Python. Text that is no Python is left to Python's own message.

    Raises:
        InputError: One line: what is wrong, where, what is allowed, what to do next.
    """
    name, options = parse_line(line)
    docstring, assigned = read_cell(cell)
    return RunSpec(name, options, docstring, assigned)


def parse_line(line: str) -> tuple[str, dict[str, Any]]:
    """The run's name and the options that were given, by key."""
    names, options = parse_words(lexer.split(line))
    if len(names) > 1:
        raise InputError(
            f"unexpected {shorten(names[1])!r} after the name {shorten(names[0])!r}.",
            hint_for_stray(names[1]),
        )
    return check_name(names[0]) if names else DEFAULT_NAME, options


def check_name(name: str) -> str:
    """The name, if it can be a variable that takes nothing else away.

    Raises:
        InputError: It is no identifier, a keyword, a builtin, a variable of IPython's, or one of
            :data:`LOOKED_UP`.
    """
    name = unicodedata.normalize("NFKC", name)  # as Python reads a name
    short = shorten(name)
    if "=" in name:
        raise InputError(f"{short!r} is no name for a run.", hint_for_stray(name))
    if not name.isidentifier() or keyword.iskeyword(name):
        suggestion = re.sub(r"\W+", "_", name).strip("_") or DEFAULT_NAME
        if not suggestion.isidentifier() or keyword.iskeyword(suggestion):
            suggestion = f"run_{suggestion}"
        raise InputError(
            f"{short!r} is no name for a run: it becomes a Python variable.",
            f"Allowed: letters, digits and _, not first a digit. Try {shorten(suggestion)!r}.",
        )
    if _OF_IPYTHON.fullmatch(name):
        raise InputError(
            f"{short!r} is no name for a run: IPython assigns it after every cell.",
            f"Choose another name, e.g. {DEFAULT_NAME!r}.",
        )
    if name in LOOKED_UP or hasattr(builtins, name) or name.startswith("__"):
        raise InputError(
            f"{short!r} is no name for a run: the result would replace your {short!r}.",
            f"Try {name + '_run'!r}.",
        )
    return name


def read_cell(cell: str) -> tuple[str, frozenset[str]]:
    """The docstring of a cell, and the names that its top level assigns (loops and branches included)."""
    try:
        tree = ast.parse(cell)
    except (SyntaxError, ValueError):  # running the cell shows Python's own message
        return "", frozenset()
    docstring = ast.get_docstring(tree) or ""
    return docstring.strip(), frozenset(_assigned_names(tree))


def _assigned_names(node: ast.AST) -> set[str]:
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(child.name)
            continue  # what is inside belongs to it
        if isinstance(child, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            names |= {n.target.id for n in ast.walk(child) if isinstance(n, ast.NamedExpr)}
            continue
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            names.add(child.id)
        elif isinstance(child, ast.alias):
            names.add((child.asname or child.name).partition(".")[0])
        elif isinstance(child, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and child.name:
            names.add(child.name)
        names |= _assigned_names(child)
    return names

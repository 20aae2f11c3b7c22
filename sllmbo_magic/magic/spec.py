"""A ``%%sllmbo`` cell as a frozen value: what its line and its text say, before anything runs. Pure.

Names of the notebook meet the spec in :mod:`sllmbo_magic.magic.namespace`.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import lexer
from sllmbo_magic.magic import values
from sllmbo_magic.options import BY_SPELLING
from sllmbo_magic.options import COMMANDS
from sllmbo_magic.options import Option

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
)
"""The names that a run takes from the notebook."""


@dataclass(frozen=True)
class RunSpec:
    """What a cell asks for.

    Attributes:
        name: The variable that becomes the result, and the run's folder.
        options: The options that were given, by :attr:`Option.key`; a value may be a
            :class:`~sllmbo_magic.magic.values.Variable`.
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
    words = lexer.split(line)
    names: list[str] = []
    options: dict[str, Any] = {}
    i = 0
    while i < len(words):
        word = words[i]
        i += 1
        if word.quoted or not _DASHES.match(word.text):
            names.append(word.text)
            continue
        flag, equals, attached = word.text.partition("=")
        option = find_option(flag)
        if option.key in options:
            raise InputError(f"{option.flag} is given twice.", "Keep one of them.")
        if not option.takes_value:
            if equals:
                raise InputError(f"{flag} takes no value.", f"Write {flag} alone.")
            options[option.key] = _normal(flag) != option.negative
            continue
        if not equals:
            if i == len(words) or (not words[i].quoted and words[i].text.startswith("--")):
                raise InputError(f"{flag} needs a value.", f"Example: {option.flag} {option.example}.")
            attached = words[i].text
            i += 1
        options[option.key] = values.read(option, attached)
    if len(names) > 1:
        raise InputError(
            f"unexpected {lexer.shorten(names[1])!r} after the name {lexer.shorten(names[0])!r}.",
            _hint_for_stray(names[1]),
        )
    return check_name(names[0]) if names else DEFAULT_NAME, options


_DASHES = re.compile(r"^[-\u2010-\u2015\u2212]+(?=[^\W\d])")


def _normal(flag: str) -> str:
    return "--" + _DASHES.sub("", flag).replace("_", "-").lower()


def find_option(flag: str) -> Option:
    """The option that a word with dashes means; underscores and upper case are taken for what is meant.

    Raises:
        InputError: There is none; with the closest match.
    """
    normal = _normal(flag)
    option = BY_SPELLING.get(normal)
    if option is None or not flag.startswith("--"):
        known = values.closest(normal, BY_SPELLING)
        raise InputError(
            f"unknown option {lexer.shorten(flag)!r} of %%sllmbo.",
            f"{known}%sllmbo help shows all options.",
        )
    return option


def _hint_for_stray(word: str) -> str:
    key = word.partition("=")[0].replace("_", "-")
    if f"--{key}" in BY_SPELLING:
        return f"Options start with two dashes: --{key}."
    return "A value with blanks needs quotes; options start with two dashes (%sllmbo help)."


def check_name(name: str) -> str:
    """The name, if it can be a variable that takes nothing else away.

    Raises:
        InputError: It is no identifier, a keyword, a builtin, or one of :data:`LOOKED_UP`.
    """
    shown = lexer.shorten(name)
    if "=" in name:
        raise InputError(f"{shown!r} is no name for a run.", _hint_for_stray(name))
    if not name.isidentifier() or keyword.iskeyword(name):
        suggestion = re.sub(r"\W+", "_", name).strip("_") or DEFAULT_NAME
        if not suggestion.isidentifier() or keyword.iskeyword(suggestion):
            suggestion = f"run_{suggestion}"
        raise InputError(
            f"{shown!r} is no name for a run: it becomes a Python variable.",
            f"Allowed: letters, digits and _, not first a digit. Try {lexer.shorten(suggestion)!r}.",
        )
    if name in LOOKED_UP or hasattr(builtins, name) or name.startswith("__"):
        raise InputError(
            f"{shown!r} is no name for a run: the result would replace your {shown!r}.",
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
    return docstring.strip(), frozenset(_assigned(tree))


def _assigned(node: ast.AST) -> set[str]:
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
        names |= _assigned(child)
    return names


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
        what = "a comment" if comments and above else "code"
        return InputError(
            f"%%sllmbo is on line {i + 1} of the cell, below {what}.",
            "It must be the first line of its cell: move it up, or split the cell.",
        )
    return None


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def find_command(word: str) -> str:
    """The line command that a word means.

    Raises:
        InputError: There is none; with the closest match.
    """
    names = [command.name for command in COMMANDS]
    if word in names:
        return word
    raise InputError(
        f"unknown command {lexer.shorten(word)!r} of %sllmbo.",
        f"{values.closest(word, names)}Allowed: {', '.join(names)}.",
    )

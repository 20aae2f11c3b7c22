"""A magic's line cut into words. Pure.

Words are separated by blanks. Quotes (single or double) keep blanks together. A backslash escapes a quote or
a backslash inside double quotes and is itself everywhere else, so that Windows paths survive. A word that
starts with ``{`` or ``[`` runs to the bracket that closes it, so that a dict needs no quotes. A word that
starts with ``#`` begins a comment. A backslash at the end continues the line on the next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sllmbo_magic.errors import InputError
from sllmbo_magic.llm.redact import looks_like_key
from sllmbo_magic.options.values import shorten

_CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True)
class Word:
    """One word: its text without quotes, whether quotes started it, and how it was written."""

    text: str
    quoted: bool = False
    written: str = ""


def split(line: str, *, comments: bool = True) -> list[Word]:
    """The words of a line.

    Args:
        line: The line.
        comments: Whether a word that starts with ``#`` ends the line.

    Raises:
        InputError: A quote or bracket is not closed, or a key was typed.
    """
    refuse_keys(line)
    words: list[Word] = []
    i = 0
    while i < len(line):
        if line[i].isspace():
            i += 1
        elif line[i] == "#" and comments:
            break
        elif line[i] in _CLOSING:
            end = _bracket(line, i)
            words.append(Word(line[i:end], written=line[i:end]))
            i = end
        else:
            text, end = _plain(line, i)
            words.append(Word(text, quoted=line[i] in "'\"", written=line[i:end]))
            i = end
    return words


def _plain(line: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    i = start
    while i < len(line) and not line[i].isspace():
        if line[i] in "'\"":
            text, i = _quoted(line, i)
            parts.append(text)
        elif line[i] == "{" and parts and parts[-1] == "=":  # --option={variable}
            end = _bracket(line, i)
            parts.append(line[i:end])
            i = end
        else:
            parts.append(line[i])
            i += 1
    return "".join(parts), i


def _quoted(line: str, start: int) -> tuple[str, int]:
    quote = line[start]
    parts: list[str] = []
    i = start + 1
    while i < len(line):
        if line[i] == quote:
            return "".join(parts), i + 1
        if quote == '"' and line[i] == "\\" and line[i + 1 : i + 2] in ('"', "\\"):
            i += 1
        parts.append(line[i])
        i += 1
    raise InputError(
        f"the quote {quote} before {shorten(line[start + 1 :])!r} is not closed.",
        "Close it, or put the whole value in quotes of the other kind.",
    )


def split_at_commas(text: str) -> list[Word]:
    """The parts between commas that stand in no quotes and no round brackets, without the blanks around
    them.

    Raises:
        InputError: A quote is not closed.
    """
    parts: list[str] = [""]
    depth, i = 0, 0
    while i < len(text):
        end = _quoted(text, i)[1] if text[i] in "'\"" else i + 1
        piece = text[i:end]
        depth += (piece == "(") - (piece == ")")
        if piece == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += piece
        i = end
    return [_whole(part.strip()) for part in parts]


def _whole(written: str) -> Word:
    """A word that may hold blanks."""
    is_quoted = written[:1] in ("'", '"') and _quoted(written, 0)[1] == len(written)
    return Word(_quoted(written, 0)[0] if is_quoted else written, is_quoted, written)


def _bracket(line: str, start: int) -> int:
    """The position after the bracket that closes the one at ``start``."""
    stack = [_CLOSING[line[start]]]
    i = start + 1
    while i < len(line):
        char = line[i]
        if char in "'\"":
            _, i = _quoted(line, i)
            continue
        if char in _CLOSING:
            stack.append(_CLOSING[char])
        elif char == stack[-1]:
            stack.pop()
            if not stack:
                return i + 1
        i += 1
    raise InputError(f"the bracket in {shorten(line[start:])!r} is not closed.", f"Add {stack[-1]}.")


def join_continued(line: str, cell: str) -> tuple[str, str]:
    """The whole line of a cell that continues it with ``\\`` at the end, and the rest of the cell.

    The lines that were taken stay in the cell as blank ones, so that its line numbers are still right. A
    backslash right after a word, as in a Windows path, continues only where an option follows.
    """
    lines = cell.split("\n")
    n_joined = 0
    while line.rstrip().endswith("\\") and n_joined < len(lines):
        text, following = line.rstrip()[:-1], lines[n_joined].strip()
        if text and not text[-1].isspace() and not following.startswith("-"):
            break
        line = f"{text} {following}"
        n_joined += 1
    return line, "\n".join([""] * n_joined + lines[n_joined:])


_KEY_OPTION = re.compile(
    r"(?:^|\s)--?(?:[\w-]*[-_])?(?:api[-_]?key|key|token|secret|password)(?=[\s=]|$)", re.IGNORECASE
)
_BEARER = re.compile(r"\bBearer\s+\S{8,}", re.IGNORECASE)


def refuse_keys(line: str) -> None:
    """Refuse a line that holds a key: notebooks are saved and shared. The message never repeats the key.

    Raises:
        InputError: An option that asks for a key, or a value that looks like one.
    """
    if looks_like_key(line) or _KEY_OPTION.search(line) or _BEARER.search(line):
        raise InputError(
            "keys are never typed into a cell: notebooks are saved and shared.",
            "Delete it here, set it in the environment before Jupyter starts (OPENAI_API_KEY, "
            "ANTHROPIC_API_KEY, ...; see %sllmbo providers), and revoke it if this notebook was shared.",
        )

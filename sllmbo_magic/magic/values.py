"""One option's value: from text, or from the object that a ``{variable}`` holds. Pure."""

from __future__ import annotations

import datetime
import difflib
import math
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.lexer import shorten
from sllmbo_magic.options import Option

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?"
)
_VARIABLE = re.compile(r"\{\s*([^\W\d]\w*)\s*\}")


@dataclass(frozen=True)
class Variable:
    """``{name}``: the value is in the notebook's namespace, once the cell has run."""

    name: str


def closest(word: str, known: Iterable[str]) -> str:
    """``"Did you mean 'x'? "``, or nothing when nothing is close."""
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"Did you mean {by_lower[close[0]]!r}? " if close else ""


def read(option: Option, text: str) -> Any:
    """The value that the text of an option means; a :class:`Variable` for ``{name}``.

    Raises:
        InputError: It is none of what the option allows.
    """
    match = _VARIABLE.fullmatch(text.strip())
    if match:
        return Variable(match[1])
    return _from_text(option, text, option.flag)


def from_object(option: Option, value: Any, variable: str) -> Any:
    """The value of an option whose ``{variable}`` holds this object.

    Raises:
        InputError: The object is none of what the option allows.
    """
    where = f"{option.flag} {{{variable}}}"
    if isinstance(value, str):
        return _from_text(option, value, where)
    if option.objects and value is not None:
        return value
    if isinstance(value, datetime.timedelta) and option.kind == "duration":
        return _from_number(option, value.total_seconds(), where)
    if not isinstance(value, bool):
        try:
            return _from_number(option, operator.index(value), where)
        except TypeError:
            pass
        if isinstance(value, float):
            return _from_number(option, value, where)
    raise _wrong(option, where, f"a {type(value).__name__}")


def allowed(option: Option) -> str:
    """What an option allows, as a sentence for messages."""
    match option.kind:
        case "count":
            text = f"a whole number from {option.low}"
        case "jobs":
            text = "a whole number from 1, or -1 for all cores"
        case "share":
            text = "a number from 0 to 1"
        case "amount":
            text = "a number above 0"
        case "duration":
            text = "seconds above 0, or like 90s, 10m, 1h30m"
        case "patience":
            text = "a whole number from 1, auto, off"
        case "choice" | "directions":
            text = ", ".join(option.choices)
        case _:
            text = "text"
    return f"Allowed: {text}{', or {variable}' if option.objects else ''}."


def _from_text(option: Option, text: str, where: str) -> Any:
    text = text.strip()
    if not text:
        raise InputError(f"{where} is empty.", allowed(option))
    if option.kind == "text":
        return text
    if option.kind == "choice":
        return _choice(option, text, where)
    if option.kind == "directions":
        words = [_choice(option, word.strip(), where) for word in text.split(",")]
        return words[0] if len(words) == 1 else words
    if option.kind == "patience" and text.lower() in option.choices:
        return text.lower()
    number = _duration(text) if option.kind == "duration" else _number(text)
    if number is None:
        known = option.choices if option.kind == "patience" else ()
        raise _wrong(option, where, repr(shorten(text)), closest(text, known))
    return _from_number(option, number, where)


def _choice(option: Option, text: str, where: str) -> str:
    for choice in option.choices:
        if text.lower().replace("_", "-") == choice:
            return choice
    raise _wrong(option, where, repr(shorten(text)), closest(text, option.choices))


def _number(text: str) -> float | int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _duration(text: str) -> float | int | None:
    number = _number(text)
    if number is not None:
        return number
    match = _DURATION.fullmatch(text.lower().replace(" ", ""))
    if not match or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _from_number(option: Option, number: float | int, where: str) -> Any:
    whole = isinstance(number, int) or (math.isfinite(number) and number == int(number))
    match option.kind:
        case "count" if whole and number >= option.low:
            return int(number)
        case "jobs" if whole and (number >= 1 or number == -1):
            return int(number)
        case "patience" if whole and number >= 1:
            return int(number)
        case "share" if 0 <= number <= 1:
            return float(number)
        case "amount" | "duration" if 0 < number < math.inf:
            return float(number)
    raise _wrong(option, where, f"{number:g}")


def _wrong(option: Option, where: str, given: str, hint: str = "") -> InputError:
    return InputError(f"{where}: {given} is not allowed.", f"{hint}{allowed(option)}")

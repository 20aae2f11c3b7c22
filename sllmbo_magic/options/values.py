"""The value of an option, checked: from text or from a Python object, by the same rules everywhere."""

from __future__ import annotations

import datetime
import difflib
import math
import re
from collections.abc import Iterable
from numbers import Integral
from numbers import Real
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.options.option import Option

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?"
)


def check(option: Option, value: Any, label: str) -> Any:
    """The value of an argument, in its normal form (``int``, ``float``, ``bool``, a word, or the object).

    Args:
        option: The row of the table.
        value: What the caller gave. None is allowed where it is the default.
        label: The argument, or the option and its ``{variable}``, for the message.

    Raises:
        InputError: The value is none of what the option allows.
    """
    if (value is None and option.default is None) or (value == "" and option.default == ""):
        return value
    if isinstance(value, str):
        return from_text(option, value, label)
    if option.objects and value is not None and not isinstance(value, bool | Real):
        return value
    if not option.takes_value:
        if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
            return bool(value)
    elif option.kind == "directions" and isinstance(value, list | tuple):
        return value
    elif isinstance(value, datetime.timedelta) and option.kind == "duration":
        return _number(option, value.total_seconds(), label)
    elif isinstance(value, Integral) and not isinstance(value, bool):
        return _number(option, int(value), label)
    elif isinstance(value, Real) and not isinstance(value, bool):
        return _number(option, float(value), label)
    raise refusal(option, label, type_name(value))


def from_text(option: Option, text: str, label: str) -> Any:
    """The value that a text means.

    Raises:
        InputError: The text is none of what the option allows.
    """
    text = text.strip()
    if not text:
        raise InputError(f"{label} is empty.", allowed(option, label))
    if option.kind == "text":
        return text
    if option.kind == "choice":
        return _choice(option, text, label)
    if option.kind == "directions":
        directions = [_choice(option, word.strip(), label) for word in text.split(",")]
        return directions[0] if len(directions) == 1 else directions
    if option.kind == "patience" and text.lower() in option.choices:
        return text.lower()
    number = _seconds(text) if option.kind == "duration" else _parse_number(text)
    if number is None or not option.takes_value:
        words = option.choices if option.kind == "patience" else ()
        raise refusal(option, label, repr(shorten(text)), closest(text, words))
    return _number(option, number, label)


def allowed(option: Option, label: str = "") -> str:
    """What an option allows, as a sentence for messages."""
    match option.kind:
        case "flag" | "switch":
            text = "True, False"
        case "count":
            text = f"a whole number from {option.low}" + (f" to {option.high}" if option.high else "")
        case "jobs":
            text = "a whole number from 1, or -1 for all cores"
        case "share":
            text = "a number from 0 to 1"
        case "amount":
            text = "a number above 0"
        case "duration":
            text = "seconds above 0, or like 90s, 10m, 1h30m"
        case "patience":
            text = f"a whole number from 1, {', '.join(option.choices)}"
        case "choice" | "directions":
            text = ", ".join(option.choices)
        case _:
            text = "text"
    if option.objects:
        text += (
            f", or {{variable}} with {option.objects}" if label.startswith("-") else f", or {option.objects}"
        )
    return f"Allowed: {text}."


def closest(word: str, candidates: Iterable[str], least: float = 0.5) -> str:
    """``"Did you mean 'x'? "``, or nothing when nothing is at least so close (0 to 1)."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    similar = most_similar(word.lower(), by_lower, least)
    return f"Did you mean {by_lower[similar]!r}? " if similar else ""


def most_similar(word: str, candidates: Iterable[str], least: float = 0.5) -> str | None:
    """The candidate with the same letters in another order, else the one that difflib finds closest.

    difflib alone takes "medae" for "mea", though two letters of "mae" are only swapped.
    """
    known = list(candidates)
    swapped = [candidate for candidate in known if sorted(candidate) == sorted(word)]
    close = swapped or difflib.get_close_matches(word, known, n=1, cutoff=least)
    return close[0] if close else None


def type_name(value: Any) -> str:
    """The type of a value with its article: ``"a list"``, ``"an int"``; ``"None"`` for None."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def shorten(text: str, limit: int = 40) -> str:
    """Text short enough to quote in a message."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _choice(option: Option, text: str, label: str) -> str:
    for choice in option.choices:
        if text.lower().replace("_", "-") == choice:
            return choice
    raise refusal(option, label, repr(shorten(text)), closest(text, option.choices))


def _parse_number(text: str) -> float | int | None:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _seconds(text: str) -> float | int | None:
    number = _parse_number(text)
    if number is not None:
        return number
    match = _DURATION.fullmatch(text.lower().replace(" ", ""))
    if not match or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _number(option: Option, number: float | int, label: str) -> Any:
    is_whole = isinstance(number, int) or (math.isfinite(number) and number == int(number))
    match option.kind:
        case "count" if is_whole and option.low <= number <= (option.high or math.inf):
            return int(number)
        case "jobs" if is_whole and number != 0:
            return int(number)
        case "patience" if is_whole and number >= 1:
            return int(number)
        case "share" if 0 <= number <= 1:
            return float(number)
        case "amount" | "duration" if 0 < number < math.inf:
            return float(number)
    raise refusal(option, label, f"{number:g}" if isinstance(number, float) else str(number))


def refusal(option: Option, label: str, value_text: str, hint: str = "") -> InputError:
    """The error for a value that an option does not allow.

    Args:
        option: The row of the table.
        label: The option as typed, or the argument.
        value_text: The value: a text in quotes, a number, or "a TYPE".
        hint: Stands before what is allowed.
    """
    if label.startswith("-"):
        text = f"{label}: {value_text} is not allowed."
    elif value_text.startswith("'"):
        text = f"{label} {value_text} is not known."
    elif value_text.startswith(("a ", "an ", "None")):
        text = f"{label} is {value_text}."
    else:
        text = f"{label} {value_text} is out of range."
    return InputError(text, f"{hint}{allowed(option, label)}")

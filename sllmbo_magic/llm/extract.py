"""Reply text to JSON data. The text is a stranger's: it is parsed, never evaluated, and never guessed at.

Tried in this order: the whole text; what is inside a code fence (the last one first); the largest object
anywhere in the prose; and then json_repair, for what cannot change a value: comments, trailing commas, single
quotes, Python's ``True``. A text that ends in the middle is first cut back to its last complete inner object,
because a number cut short (0.0 of 0.01) is a wrong number.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.redact import one_line

MAX_BYTES = 200_000
MAX_DEPTH = 40

_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_KEY = re.compile(r"""[{,]\s*["']?[\w -]+["']?\s*:""")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.%/*])")
_NOT_FINITE = re.compile(r"[:\[,]\s*[-+]?(?:NaN|Infinity|inf)\b", re.IGNORECASE)


def extract_json(text: str) -> Any:
    """The JSON object or array in a reply.

    Returns:
        Plain data: dict or list, all numbers finite, all strings free of lone surrogates.

    Raises:
        ReplyError: Category ``"too-large"`` (over 200 kB or 40 levels), ``"not-json"`` (nothing usable
            found), ``"not-finite"`` (NaN, Infinity, 1e999) or ``"duplicate-key"`` (one key, two values).
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _unusable("too-large", f"the reply is larger than {MAX_BYTES // 1000} kB.")
    text = _THOUGHT.sub("", text.lstrip("\ufeff")).strip()
    candidates = list(_candidates(text))
    for candidate in candidates:
        try:
            data = json.loads(candidate, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        except RecursionError:
            raise _too_deep() from None
        except ValueError:
            continue
        if isinstance(data, dict | list):
            return _checked(data)
    for candidate in candidates[1:] or candidates:
        data = _repaired(candidate)
        if data is not None:
            return _checked(data)
    raise _unusable("not-json", "the reply holds no usable JSON object.")


def _candidates(text: str) -> Iterator[str]:
    """The places where the data may be, the likeliest first."""
    yield text
    yield from (match.group(1).strip() for match in reversed(list(_FENCE.finditer(text))))
    scan = _scan(text)
    yield from sorted((text[a:b] for a, b in scan.outer), key=len, reverse=True)
    if scan.open:
        yield text[scan.start :]


def _repaired(text: str) -> Any:
    """What json_repair makes of a piece of text, where that is safe; None where it is not."""
    if not _KEY.search(text):
        return None
    if _NOT_FINITE.search(text):
        raise _unusable("not-finite", "the reply holds NaN or Infinity where a number belongs.")
    scan = _scan(text)
    if scan.open:
        closing = "".join("}" if bracket == "{" else "]" for bracket in reversed(scan.open_at_last))
        text = text[scan.start : scan.last] + closing
    import json_repair

    try:
        data = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict | list) or not data:
        return None
    written = {float(number.replace("_", "")) for number in _NUMBER.findall(text)}
    if any(
        not isinstance(n, bool) and _as_float(n) not in written
        for n in _leaves(data)
        if isinstance(n, int | float)
    ):
        return None  # a number that is not in the text as such was guessed, e.g. 10 for "10%"
    return data


@dataclass
class _Scan:
    """Where the brackets of a text stand, strings left out.

    Attributes:
        outer: Start and end of every balanced object or array that is in no other one.
        open: The brackets still open at the end; ``start`` is where the first of them is.
        last: End of the last object or array that was closed; 0 if there was none.
        open_at_last: The brackets that were open there.
    """

    outer: list[tuple[int, int]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    start: int = 0
    last: int = 0
    open_at_last: list[str] = field(default_factory=list)


def _scan(text: str) -> _Scan:
    found = _Scan()
    quote = '"' if '"' in text else "'"
    string = re.compile(rf"{quote}(?:[^{quote}\\]|\\.)*(?:{quote}|\Z)", re.DOTALL)
    at = 0
    while at < len(text):
        char = text[at]
        if char == quote and found.open:
            match = string.match(text, at)
            at = match.end() if match else len(text)
            continue
        if char in "{[":
            if not found.open:
                found.start, found.last = at, 0
            found.open.append(char)
        elif char in "}]" and found.open:
            found.open.pop()
            found.last, found.open_at_last = at + 1, list(found.open)
            if not found.open:
                found.outer.append((found.start, at + 1))
        at += 1
    return found


def _leaves(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        for value in data.values():
            yield from _leaves(value)
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value)
    else:
        yield data


def _as_float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


def _checked(data: Any, depth: int = 0) -> Any:
    """The data with lone surrogates replaced; refused when too deep or not finite."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(data, dict):
        return {_text(key): _checked(value, depth + 1) for key, value in data.items()}
    if isinstance(data, list):
        return [_checked(value, depth + 1) for value in data]
    if isinstance(data, str):
        return _text(data)
    if isinstance(data, float) and not math.isfinite(data):
        raise _unusable("not-finite", "the reply holds a number too large to be one.")
    return data


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data and data[key] != value:
            raise _unusable("duplicate-key", f"the reply gives {one_line(key, 40)!r} two values.")
        data[key] = value
    return data


def _refuse_constant(name: str) -> Any:
    raise _unusable("not-finite", f"the reply holds {name} where a number belongs.")


def _too_deep() -> ReplyError:
    return _unusable("too-large", f"the reply is nested deeper than {MAX_DEPTH} levels.")


def _unusable(category: str, message: str) -> ReplyError:
    return ReplyError(
        message, "The model is asked once more, else the base sampler takes this trial.", category=category
    )

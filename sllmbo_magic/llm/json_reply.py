"""Reply text to JSON data. The text is untrusted: it is parsed, never evaluated, and never guessed at.

Only what follows a model's thoughts counts (``<think>...</think>`` and the like). Tried in this order: the
whole text; what is inside a code fence (the last one first); the objects anywhere in the prose, of which only
one may answer what was asked; and then json_repair, for what cannot change a value: comments, trailing
commas, single quotes, Python's ``True``. A text that ends in the middle is first cut back to its last
complete inner object, because a number cut short (0.0 of 0.01) is a wrong number. At last, the answer is
taken out of what a model may have wrapped around it: ``{"response": {...}}``, ``[{...}]``, a tool call, JSON
inside a string.
"""

from __future__ import annotations

import html
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
MAX_WRAPPERS = 3

_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_THOUGHT = r"think|thinking|thoughts?|reasoning|reflection|seed:think"
_THOUGHT_END = re.compile(
    rf"</(?:{_THOUGHT})\s*>|<\|end_of_thought\|>|\[/THINK\]|◁/think▷"
    r"|<\|channel\|>\s*final\s*(?:<\|constrain\|>\s*\w+\s*)?<\|message\|>",
    re.IGNORECASE,
)
_THOUGHT_START = re.compile(
    rf"<(?:{_THOUGHT})\s*>|<\|begin_of_thought\|>|\[THINK\]|◁think▷|<\|channel\|>\s*analysis\s*<\|message\|>",
    re.IGNORECASE,
)
_KEY = re.compile(r"""[{,]\s*["']?[\w -]+["']?\s*:""")
_NUMBER = re.compile(
    r"(?<=[:\[,=\s])[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
    r"(?=[ \t]*(?:[,}\]]|//|/\*|#|\r?\n)|[ \t]+[\"']|\s*\Z)"
)
"""A number that stands alone: what ``10^-3``, ``0.1 - 0.5`` or ``1 000`` means would be a guess."""
_QUOTES = str.maketrans("“”„‟«»", '"' * 6)
"""Typographic quotes, which a chat shows in place of JSON's."""
_MINUS = str.maketrans("−", "-")
_NOT_FINITE = re.compile(r"[:\[,]\s*[-+]?(?:NaN|Infinity|inf)\b", re.IGNORECASE)


def final_text(text: str) -> str:
    """A reply without the model's thoughts: what follows the last end of a thought.

    A thought that has no end (the reply was cut off) is left out as well.
    """
    ends = [match.end() for match in _THOUGHT_END.finditer(text)]
    text = text[ends[-1] :] if ends else text
    start = _THOUGHT_START.search(text)
    return (text[: start.start()] if start else text).strip()


def extract_json(text: str, schema: dict[str, Any] | None = None) -> Any:
    """The JSON object or array in a reply.

    Args:
        text: The reply.
        schema: The JSON Schema that was asked for. With it, an answer inside at most three wrappers is found
            by the names of its properties.

    Returns:
        Plain data: dict or list, all numbers finite, all strings free of lone surrogates.

    Raises:
        ReplyError: Category ``"too-large"`` (over 200 kB or 40 levels), ``"not-json"`` (nothing usable
            found), ``"not-finite"`` (NaN, Infinity, 1e999), ``"duplicate-key"`` (one key, two values) or
            ``"ambiguous"`` (several different answers).
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _unusable("too-large", f"the reply is larger than {MAX_BYTES // 1000} kB.")
    text = text.lstrip("\ufeff")
    data = _strict(text)  # a text that is JSON as a whole has no thoughts around it, only inside strings
    if data is None:
        data = _parse(final_text(text), schema)
    if data is None:
        raise _unusable("not-json", "the reply holds no usable JSON object.")
    return data if schema is None else _unwrapped(data, schema)


def _parse(text: str, schema: dict[str, Any] | None = None) -> Any:
    """The data in a text; None where there is none. Raises as :func:`extract_json`."""
    data = _strict(text)
    if data is not None:
        return data
    fences = [match.group(1).strip() for match in reversed(list(_FENCE.finditer(text)))]
    scan = _scan(text)
    objects = sorted((text[a:b] for a, b in scan.outer), key=len, reverse=True)
    if scan.open:
        objects.append(text[scan.start :])
    if not fences and not objects:
        return _repaired(text)
    first, answers = None, []
    for piece in (*fences, *objects):
        data = _strict(piece)
        data = _repaired(piece) if data is None else data
        if data is None or data == schema:  # some models repeat the schema before they answer
            continue
        if schema is None:
            return data
        first = data if first is None else first
        count = _count_of_names(data, schema)
        if count:
            answers.append((count, piece in fences, data))
    most = max((count for count, _, _ in answers), default=0)
    best = [(fenced, data) for count, fenced, data in answers if count == most]
    if best and best[0][0]:  # the last fence
        return best[0][1]
    if any(other != best[0][1] for _, other in best[1:]):
        raise _several_answers()
    return best[0][1] if best else first


def _strict(text: str) -> Any:
    """The object or array that a text is, as a JSON parser reads it; None where it is none."""
    try:
        data = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        return None
    if isinstance(data, str):  # a whole JSON text inside a JSON string
        data = _json_in(data)
    return _checked(data) if isinstance(data, dict | list) else None


# An answer inside wrappers


def _unwrapped(data: Any, schema: dict[str, Any]) -> Any:
    """The one part of the data that answers the schema, or the data as it is if no part does.

    A part answers if it has all the required properties, else half of them, else one. One that stands among
    the words of a text (an argument for the answer, say) only counts where there is no other beside it.
    Nothing deeper than :data:`MAX_WRAPPERS` is looked at.
    """
    names = set(schema.get("properties", ()))
    required = set(schema.get("required", names)) or names
    if not names:
        return data
    for least in (len(required), math.ceil(len(required) / 2), 1):
        layer = [data]
        for _ in range(MAX_WRAPPERS + 1):
            answers = [
                part for part in layer if isinstance(part, dict) and len(required & set(part)) >= least
            ]
            outside_prose = [part for part in answers if not isinstance(part, _FromProse)]
            answers = outside_prose or answers
            if answers:
                if any(other != answers[0] for other in answers[1:]):
                    raise _several_answers()
                return dict(answers[0])
            layer = [inner for part in layer for inner in _inside(part)]
    return data


def _count_of_names(data: Any, schema: dict[str, Any]) -> int:
    """How many of the required properties the data has, or what it wraps; 0 for something else."""
    part = _unwrapped(data, schema)
    names = set(schema.get("required", ())) or set(schema.get("properties", ()))
    return len(names & set(part)) if isinstance(part, dict) else 0


def _inside(part: Any) -> Iterator[Any]:
    """What is directly inside an object or an array; a text that is JSON counts as what it holds."""
    values = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for value in values:
        value = _json_in(value) if isinstance(value, str) else value
        if isinstance(value, list) and isinstance(part, dict):
            yield from (_json_in(item) if isinstance(item, str) else item for item in value)
        else:
            yield value


class _FromProse(dict[str, Any]):
    """An object that was found among the words of a text."""


def _json_in(text: str) -> Any:
    """The data in a string that is itself JSON, perhaps in a code fence; None where it is not."""
    if "{" not in text:
        return None
    text = final_text(text)
    try:
        data = _parse(text)
    except ReplyError:
        return None
    among_words = isinstance(data, dict) and not text.startswith(("{", "[", "`"))
    return _FromProse(data) if among_words else data


# Repair


def _repaired(text: str) -> Any:
    """What json_repair makes of a piece of text, where that is safe; None where it is not."""
    text = _with_plain_quotes(text).translate(_MINUS)
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
    numbers = {float(number.replace("_", "")) for number in _NUMBER.findall(text)}
    if any(
        not isinstance(n, bool) and _as_float(n) not in numbers
        for n in _leaves(data)
        if isinstance(n, int | float)
    ):
        return None  # a number that is not in the text as such was guessed, e.g. 10 for "10%"
    return _checked(data)


def _with_plain_quotes(text: str) -> str:
    """The text with JSON's own quotes, if it has none: a chat or a web page may have changed them all."""
    if '"' not in text:
        text = text.translate(_QUOTES)
        text = html.unescape(text) if "&quot;" in text or "&#34;" in text else text
    elif text.count('"') == text.count('\\"'):
        text = text.replace('\\"', '"').replace("\\n", "\n")
    return text


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
    scan = _Scan()
    quote = '"' if '"' in text else "'"
    string = re.compile(rf"{quote}(?:[^{quote}\\]|\\.)*(?:{quote}|\Z)", re.DOTALL)
    at = 0
    while at < len(text):
        char = text[at]
        if char == quote and scan.open:
            match = string.match(text, at)
            at = match.end() if match else len(text)
            continue
        if char in "{[":
            if not scan.open:
                scan.start, scan.last = at, 0
            scan.open.append(char)
        elif char in "}]" and scan.open:
            scan.open.pop()
            scan.last, scan.open_at_last = at + 1, list(scan.open)
            if not scan.open:
                scan.outer.append((scan.start, at + 1))
        at += 1
    return scan


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


# Checks


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


def _several_answers() -> ReplyError:
    return _unusable("ambiguous", "the reply holds several different answers.")


def _unusable(category: str, message: str) -> ReplyError:
    return ReplyError(message, category=category)

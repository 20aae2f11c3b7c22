"""How long a server asks to wait: in its headers, in its body, or in its words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_IN_WORDS = re.compile(
    r"(?:retry|try again|wait)[^.\d]{0,40}?"
    r"((?:\d+(?:\.\d+)?\s*(?:ms|h|m|s|hours?|min(?:ute)?s?|sec(?:ond)?s?)\s*)+)(?![a-z])"
    r"|\"?retry_?(?:delay|after)\"?\W{1,4}(\d+(?:\.\d+)?s?)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|h|m|s)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def retry_after(headers: Mapping[str, str], body: object = None) -> float | None:
    """Seconds that a server asks to wait; None if it does not ask.

    Args:
        headers: ``Retry-After-Ms`` and ``Retry-After`` (seconds or a date) are read first.
        body: Else an error body: ``"retryDelay": "40s"`` (Google), ``"try again in 1m3.5s"`` (Groq, OpenAI).
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return _in_body(body)


def _in_body(body: object) -> float | None:
    if not body:
        return None
    text = body if isinstance(body, str) else json.dumps(body, default=str)
    match = _IN_WORDS.search(text)
    if match is None:
        return None
    parts = _PART.findall(match.group(1) or match.group(2))
    return sum(float(number) * _SECONDS[unit.lower() or "s"] for number, unit in parts)

"""Make text and numbers safe to store and to show: the one place where an LLM's text is cleaned."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

MAX_TEXT = 100_000
"""Characters kept of one text; a longer one is cut and says so."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_BIDI = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def plain(text: object, limit: int = MAX_TEXT) -> str:
    """The text without what could deceive a reader or break a file.

    Removed: ANSI sequences, control characters but newline and tab, characters that change the direction of
    text, lone surrogates. Cut to ``limit`` characters, with a mark.
    """
    clean = _ANSI.sub("", str(text)).translate(_BIDI)
    if not clean.isprintable():
        clean = "".join(c for c in clean if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return clean if len(clean) <= limit else clean[: limit - 2] + " …"


def number(value: Any, digits: int = 8) -> Any:
    """A float with so many significant digits; None for NaN and infinity, which JSON does not have."""
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def tidy(value: Any) -> Any:
    """Plain data of any depth with clean texts (keys too) and short, finite numbers."""
    if isinstance(value, dict):
        return {plain(k, 200): tidy(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(v) for v in value]
    if value is None or isinstance(value, bool | int | float):
        return number(value)
    return plain(value)

"""Texts, numbers and data as a bundle keeps them: clean, finite, bounded."""

from __future__ import annotations

import math
from typing import Any

from sllmbo_magic.report.text import clean

MAX_TEXT = 100_000
"""Characters kept of one text; a longer one is cut and says so."""


def plain(text: object, limit: int = MAX_TEXT) -> str:
    """The text as ``report.text.clean`` leaves it, cut to ``limit`` characters with a mark."""
    whole = clean(text)
    return whole if len(whole) <= limit else whole[: limit - 2] + " …"


def number(value: Any, digits: int = 8) -> Any:
    """A float with so many significant digits; None for NaN and infinity, which JSON does not have."""
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def tidy(value: Any, digits: int = 8) -> Any:
    """Plain data of any depth with clean texts (keys too) and finite numbers of so many digits."""
    if isinstance(value, dict):
        return {plain(k, 200): tidy(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(v, digits) for v in value]
    if value is None or isinstance(value, bool | int | float):
        return number(value, digits)
    return plain(value)

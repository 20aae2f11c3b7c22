"""Values of parameters as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

_ENDS = 1e-3
"""Part of a range's width by which its ends may be rounded."""


def format_value(value: Any) -> str:
    """A value as a prompt shows it: five significant digits for floats, long text cut."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def texts_apart(values: Iterable[float], *, digits: int = 5, most: int = 10) -> dict[float, str]:
    """Numbers as text: ``digits`` significant digits, and more for those that would read as another one.

    Args:
        most: Digits that a text has at most; numbers that are equal in these have one text.
    """
    exact = {value: f"{value:.{most}g}" for value in values}
    left = {text: value for value, text in exact.items()}
    texts: dict[str, str] = {}
    for n in range(digits, most + 1):
        texts |= {key: f"{value:.{n}g}" for key, value in left.items()}
        counts = Counter(texts[key] for key in left)
        left = {key: value for key, value in left.items() if counts[texts[key]] > 1}
    return {value: texts[key] for value, key in exact.items()}


def range_text(low: float, high: float, *, digits: int = 5, beside: Iterable[float] = ()) -> str:
    """``"0.01 to 0.3"``; with more digits where a range is narrow beside its place.

    Args:
        beside: Numbers that must not read as one of the ends.
    """
    if not isinstance(low, float) and not isinstance(high, float):
        return f"{low} to {high}"
    low, high = float(low), float(high)
    error = _ENDS * (high - low)
    while digits < 17 and any(abs(float(f"{end:.{digits}g}") - end) > error for end in (low, high)):
        digits += 1
    texts = texts_apart([low, high, *beside], digits=digits, most=17)
    return f"{texts[low]} to {texts[high]}"

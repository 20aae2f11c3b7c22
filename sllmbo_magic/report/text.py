"""Untrusted text and numbers, made fit to be shown.

Names, categories and everything an LLM wrote may hold terminal escapes, control characters or bidirectional
overrides that reorder what a reader sees; :func:`clean` takes them out. It does not escape markup: HTML is
escaped where HTML is written.
"""

from __future__ import annotations

import math
import re
from typing import Any

_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[PX^_\]]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, ...
    r"|\x1b[ -/]*[0-~]?"  # any other escape
)
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HIDDEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f"  # controls, except tab and newline
    r"\u00ad\u061c\u180e\u200b\u200e\u200f"  # soft hyphen, bidi marks, zero-width space
    r"\u202a-\u202e\u2060-\u206f"  # bidi embeddings, overrides, isolates, invisible operators
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # byte order mark, annotations, tag characters
    r"\ud800-\udfff]"  # lone surrogates cannot be encoded
)


def clean(text: Any) -> str:
    """``str(text)`` without escapes, controls and bidirectional overrides; line breaks become ``\\n``."""
    return _HIDDEN.sub("", _BREAKS.sub("\n", _ANSI.sub("", str(text))))


def one_line(text: Any, limit: int = 80) -> str:
    """Clean text on one line, at most ``limit`` characters; an ellipsis stands for the rest."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def cut(text: Any, limit: int, rest: str) -> str:
    """Clean text of at most ``limit`` characters; a note says how many more there were and where they are."""
    whole = clean(text)
    if len(whole) <= limit:
        return whole
    return f"{whole[:limit].rstrip()}\n[… {len(whole) - limit:,} more characters {rest}]"


def value(given: Any, limit: int = 40) -> str:
    """A parameter's value as a person would write it: floats with at most 4 significant digits."""
    if isinstance(given, bool) or given is None:
        return str(given)
    if isinstance(given, float):
        if math.isfinite(given) and given == int(given) and abs(given) < 1e6:
            return str(int(given))
        return f"{given:.4g}".replace("e-0", "e-").replace("e+0", "e")
    return one_line(given, limit)


def decimals(*scores: float | None) -> int:
    """How many decimals show the differences between these scores with three digits (2 to 6)."""
    known = [s for s in scores if s is not None and math.isfinite(s)]
    spread = max(known) - min(known) if len(known) > 1 else 0.0
    if spread <= 0:
        spread = abs(known[0]) / 10 if known else 0.0
    if spread <= 0:
        return 4
    return min(6, max(2, 2 - math.floor(math.log10(spread))))


def score(given: float | None, digits: int = 4) -> str:
    """A score with so many decimals; scientific where that would be unreadable; ``–`` for none."""
    if given is None:
        return "–"
    if given != 0 and not 1e-4 <= abs(given) < 1e7:
        return f"{given:.3g}"
    return f"{given:.{digits}f}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``48 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 trial``, ``1,000 trials``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"

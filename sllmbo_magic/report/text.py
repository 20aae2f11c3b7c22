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


def dollars(money: float) -> str:
    """``"$1.20"``; a sum below a cent with four decimals."""
    return f"${money:.2f}" if money >= 0.01 or money == 0 else f"${money:.4f}"


def times(n: int) -> str:
    """``"once"``, ``"twice"``, ``"3 times"``."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def proposed_instead(n: int, n_rulebook: int, sampler: str) -> str:
    """Who proposed in an LLM's place, as the end of a sentence.

    Args:
        n: How often it gave no usable proposal.
        n_rulebook: How often the rulebook's first configurations stood in.
        sampler: What to call the sampler, which stood in the other times.
    """
    if not n_rulebook:
        return f"the {sampler} proposed instead"
    text = "the rulebook's first configurations were used instead"
    rest = n - n_rulebook
    return f"{text} {times(n_rulebook)}, and the {sampler} proposed {times(rest)}" if rest else text


def cut(text: Any, limit: int, note: str) -> str:
    """Clean text of at most ``limit`` characters; a note says how many more there were and where they are."""
    clean_text = clean(text)
    if len(clean_text) <= limit:
        return clean_text
    return f"{clean_text[:limit].rstrip()}\n[… {len(clean_text) - limit:,} more characters {note}]"


def value(raw: Any, limit: int = 40) -> str:
    """A parameter's value as a person would write it: floats with at most 4 significant digits."""
    if isinstance(raw, bool) or raw is None:
        return str(raw)
    if isinstance(raw, float):
        if math.isfinite(raw) and raw == int(raw) and abs(raw) < 1e6:
            return str(int(raw))
        return f"{raw:.4g}".replace("e-0", "e-").replace("e+0", "e")
    return one_line(raw, limit)


def decimals(*scores: float | None) -> int:
    """How many decimals show the differences between these scores with three digits (2 to 6)."""
    finite_scores = [s for s in scores if s is not None and math.isfinite(s)]
    scale = max(finite_scores) - min(finite_scores) if len(finite_scores) > 1 else 0.0
    if scale <= 0:
        scale = abs(finite_scores[0]) / 10 if finite_scores else 0.0
    if scale <= 0:
        return 4
    return min(6, max(2, 2 - math.floor(math.log10(scale))))


def score(number: float | None, digits: int = 4) -> str:
    """A score with so many decimals; scientific where that would be unreadable; ``–`` for none.

    A large one has as many digits as tell it from another that needs so many decimals.
    """
    if number is None:
        return "–"
    if 1e7 <= abs(number) < 1e15 and digits > 2:  # the differences are below 1
        return f"{number:.{digits}f}"
    if abs(number) >= 1e7:
        return f"{number:.7g}"
    if number != 0 and abs(number) < 1e-4:
        return f"{number:.3g}"
    return f"{number:.{digits}f}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``48 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    full_seconds = round(seconds)
    if full_seconds < 60:
        return f"{full_seconds} s"
    minutes, remaining_seconds = divmod(full_seconds, 60)
    if minutes < 60:
        return f"{minutes} min {remaining_seconds} s" if remaining_seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 trial``, ``1,000 trials``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"

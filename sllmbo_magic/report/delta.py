"""Keep an update of the live view below 1 kB: what it gives up first, and how it says so."""

from __future__ import annotations

import json
from typing import Any

MAX_DELTA_BYTES = 1000


def size(data: Any) -> int:
    """Bytes of the data as compact JSON in UTF-8."""
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


_SHORTER: tuple[tuple[str, int | None], ...] = (
    ("text", 240),
    ("reasoning", 240),
    ("reason", 160),
    ("expected", 80),
    ("candidates", None),
    ("summary", None),
    ("value", None),
    ("params", None),
    ("splits", None),
    ("folds", None),
    ("usage", None),
    ("text", 60),
    ("reasoning", 60),
    ("reason", 40),
    ("expected", 0),
)
"""What a delta gives up, in this order, until it is small: a text to so many characters, or a field."""


def shorten(delta: dict[str, Any]) -> dict[str, Any]:
    """The delta in at most :data:`MAX_DELTA_BYTES`; a shortened entry is marked ``"more": true``.

    What does not belong to an entry and still is too large (the outer space, a run's description)
    is left to the next snapshot: ``"stale": true``.
    """
    if size(delta) <= MAX_DELTA_BYTES:
        return delta
    small = {**delta}
    for key in ("trial", "chat", "space"):
        if key in small:
            small[key] = {**small[key]}
    for field, limit in _SHORTER:
        for key in ("trial", "chat", "space"):
            entry = small.get(key)
            if entry is None or not isinstance(entry.get(field), str | list | dict):
                continue
            if limit is None and (key, field) != ("trial", "value"):
                del entry[field]
            elif isinstance(entry[field], str) and limit is not None and len(entry[field]) > limit:
                entry[field] = entry[field][:limit]
            else:
                continue
            entry["more"] = True
        if size(small) <= MAX_DELTA_BYTES:
            return small
    kept = {k: v for k, v in small.items() if k in ("seq", "seconds", "cost", "trial", "chat")}
    return {**kept, "stale": True}

"""Fields of a reply, read from data of any shape."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.space.layers import canonical

_TEXT = 2000
"""Characters of a reason that are kept."""


def items(data: Any) -> list[dict[str, Any]]:
    """The dicts of a list; anything else is left out."""
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def with_pairs(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """Name-value pairs, as the form of an answer asks for where the names are open, become one dict."""
    pairs = entry.get(key)
    if isinstance(pairs, list):
        values = {p["name"]: p.get("value") for p in items(pairs) if isinstance(p.get("name"), str)}
        return {**entry, key: values}
    return entry


def with_text(value: Any) -> Any:
    """The text of a tuple of whole numbers in the place of a list, ``[64, 32]``; anything else as it is."""
    return canonical(value) if isinstance(value, list) else value


def text(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) else ""

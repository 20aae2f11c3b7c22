"""Fields of a reply, read from data of any shape."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.space.layers import canonical

_TEXT = 2000
"""Characters of a reason that are kept."""


def items(data: Any) -> list[dict[str, Any]]:
    """The dicts of a list; anything else is left out."""
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def listed(data: Any, what: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of a list, and a sentence for each part that is none; ``what`` is the list's name.

    In the place of a list may stand its only item, or an object that has the items by name.
    """
    if not data:
        return [], []
    if not isinstance(data, dict | list):
        return [], [f"{what} is not a list of objects"]
    parts = _parts(data)
    wrong = [place for place, part in parts.items() if not isinstance(part, dict)]
    return items([*parts.values()]), [
        f"{what}: {place} is not an object, so it is left out" for place in wrong
    ]


def configurations(data: Any) -> list[dict[str, Any]]:
    """The configurations of an answer, each in its place: what is no object becomes an empty one."""
    parts = [*_parts(data).values()] if isinstance(data, dict | list) else []
    return [part if isinstance(part, dict) else {} for part in parts]


def _parts(data: dict[Any, Any] | list[Any]) -> dict[str, Any]:
    """The items of a list, or of what stands in its place, by how they are called in a sentence."""
    if isinstance(data, list):
        return {f"number {place}": part for place, part in enumerate(data, 1)}
    if isinstance(data.get("name"), str) or "params" in data:
        return {"number 1": data}
    return {
        repr(name[:60]): {"name": name, **part} if isinstance(part, dict) else part
        for name, part in data.items()
    }


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

"""JSON Schemas in the form that each provider accepts."""

from __future__ import annotations

import json
from typing import Any


def in_words(schema: dict[str, Any]) -> str:
    """The instruction that replaces structured output where a server has none."""
    return (
        "Reply with one JSON object and nothing else, no prose and no code fence. "
        "It must satisfy this JSON Schema:\n" + json.dumps(schema)
    )


def is_strict(schema: Any) -> bool:
    """Whether the schema is in OpenAI's strict subset: closed objects with all properties required."""
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if "properties" in schema or schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(schema.get("properties", ())):
            return False
    return all(is_strict(part) for key, part in schema.items() if key not in ("enum", "const", "required"))


def without_type_lists(schema: Any) -> Any:
    """The schema with ``"type": ["number", "null"]`` written as ``anyOf``, as Anthropic's transform needs."""
    if isinstance(schema, list):
        return [without_type_lists(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("type"), list) and "enum" not in schema:
        shared = {k: v for k, v in schema.items() if k in ("title", "description")}
        constraints = {k: v for k, v in schema.items() if k not in ("type", "title", "description")}
        variants = [
            {"type": kind} if kind == "null" else {"type": kind, **without_type_lists(constraints)}
            for kind in schema["type"]
        ]
        return {**shared, "anyOf": variants}
    return {
        key: part if key in ("enum", "const", "required") else without_type_lists(part)
        for key, part in schema.items()
    }

"""JSON Schemas of the answers that an LLM is asked for, in the subset that strict modes take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.space.search_space import SearchSpace

_VALUE = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "null"}]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]}


_EXPECTS = {"type": "string", "enum": ["better", "similar", "explore"]}
_PAIR = _object({"name": {"type": "string"}, "value": _VALUE})


def initialize_schema() -> dict[str, Any]:
    """JSON Schema of the answer to *initialize*: reasoning, typed parameters, first configurations."""
    parameter = _object(
        {
            "name": {"type": "string"},
            "type": {"type": "string", "enum": ["float", "int", "categorical"]},
            "low": _nullable("number"),
            "high": _nullable("number"),
            "log": _nullable("boolean"),
            "choices": {"type": ["array", "null"], "items": _VALUE},
        }
    )
    configuration = _object(
        {"reason": {"type": "string"}, "expects": _EXPECTS, "params": {"type": "array", "items": _PAIR}}
    )
    return _object(
        {
            "reasoning": {"type": "string"},
            "space": {"type": "array", "items": parameter},
            "configurations": {"type": "array", "items": configuration},
        }
    )


def propose_schema(
    space: SearchSpace, *, may_add: bool = False, defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """JSON Schema of the answer to *propose*: reasoning, changes of ranges, whole configurations.

    Args:
        space: Gives the parameters of a configuration.
        may_add: Whether the answer may add parameters; its configurations then name their values under
            ``added``.
        defaults: Values that a parameter may have beside those of its range.
    """
    params = space.configuration_schema(ranges=False)
    for name, value in (defaults or {}).items():
        own = params["properties"][name]
        kind = "null" if value is None else "string" if isinstance(value, str) else "number"
        params["properties"][name] = {"anyOf": [own, {"type": kind}]}
    change = _object(
        {
            "action": {"type": "string", "enum": ["narrow", "widen", "drop", "add"]},
            "name": {"type": "string"},
            "low": _nullable("number"),
            "high": _nullable("number"),
            **({"log": _nullable("boolean")} if may_add else {}),
            "choices": {"type": ["array", "null"], "items": _VALUE},
            "value": _VALUE,
            "reason": {"type": "string"},
        }
    )
    configuration = _object(
        {
            "reason": {"type": "string"},
            "expects": _EXPECTS,
            "params": params,
            **({"added": {"type": "array", "items": _PAIR}} if may_add else {}),
        }
    )
    return _object(
        {
            "reasoning": {"type": "string"},
            "space_changes": {"type": "array", "items": change},
            "configurations": {"type": "array", "items": configuration},
        }
    )

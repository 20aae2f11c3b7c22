"""The JSON Schema of one parameter's value, for replies of an LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.space.configurations import Condition
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import show

_JSON_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def param_schema(
    distribution: Distribution, conditions: Sequence[Condition], *, bounds: bool, ranges: bool = True
) -> dict[str, Any]:
    """JSON Schema of one parameter's value; null is allowed where a condition may switch it off."""
    words = allowed(distribution) if ranges else ""
    if conditions:
        when = " and ".join(
            f"{c.parent} is {' or '.join(show(value) for value in c.values)}" for c in conditions
        )
        words = f"{words}{'; ' if words else ''}only when {when}, else null"
    description = {"description": words} if words else {}
    if isinstance(distribution, CategoricalDistribution):
        choices = list(distribution.choices)
        if conditions and None not in choices:
            choices.append(None)
        types = list(dict.fromkeys(_JSON_TYPES[type(choice)] for choice in choices))
        return {"type": types[0] if len(types) == 1 else types, "enum": choices, **description}
    number: dict[str, Any] = {"type": "integer" if isinstance(distribution, IntDistribution) else "number"}
    if bounds:
        number |= {"minimum": distribution.low, "maximum": distribution.high}
    if conditions:
        return {"anyOf": [number, {"type": "null"}], **description}
    return {**number, **description}

"""Values of parameters as text."""

from __future__ import annotations

from typing import Any


def format_value(value: Any) -> str:
    """A value as a prompt shows it: five significant digits for floats, long text cut."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""Default values as the signature of ``tune`` shows them, and what the caller wrote.

A preset changes defaults, and an explicit value wins over it, also one that equals the default. So the
default in the signature is an object of its own, :class:`Default`, that no caller passes by writing the
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final

from sllmbo_magic.options.option import UNCHANGED
from sllmbo_magic.options.table import BY_ARGUMENT


@dataclass(frozen=True, eq=False)
class Default:
    """The default of an argument. Shown as its value and equal to it, so that a signature reads as usual."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Default) else other))

    def __hash__(self) -> int:
        return hash(self.value)


class _Defaults:
    """``DEFAULT.judge`` is the default of the argument ``judge`` in the table."""

    def __getattr__(self, argument: str) -> Any:
        if argument not in BY_ARGUMENT:
            raise AttributeError(argument)
        return Default(BY_ARGUMENT[argument].default)


DEFAULT: Final = _Defaults()


def explicit(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the caller wrote, without those that hold their :class:`Default`."""
    return {name: value for name, value in arguments.items() if not isinstance(value, Default)}


def preset_values(name: str, sampler: Any = "llm-tpe") -> dict[str, Any]:
    """The arguments of ``tune`` that a preset sets: ``paper`` gives those of the SLLMBO paper.

    Args:
        name: ``"paper"``.
        sampler: The run's sampler; the paper's LLM-only variant differs in history and patience.

    Raises:
        KeyError: There is no such preset.
    """
    if name != "paper":
        raise KeyError(name)
    values = {}
    for argument, option in BY_ARGUMENT.items():
        value = option.paper
        if sampler == "llm" and option.paper_llm is not UNCHANGED:
            value = option.paper_llm
        if value is not UNCHANGED:
            values[argument] = value
    return values

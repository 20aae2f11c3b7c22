"""The estimator's defaults that the ranges of a search space do not hold: None, "sqrt", a number outside."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.versions import is_zero_of_log


def lacking(space: SearchSpace, ask: Ask) -> dict[str, Any]:
    """The defaults that the ranges of a space do not hold, by parameter. A penalty without effect is not
    among them, as the low end of its range is one; nor is a parameter whose range the user locked or set.

    None also stands for a default that only the library has: a trial has it where the parameter is not set.
    """
    if not ask.defaults:
        return {}
    defaults = {name: ask.defaults.get(name) for name in space if name not in ask.locked}
    return {
        name: value
        for name, value in defaults.items()
        if not space.contains(name, value) and not is_small_penalty(name, value, space, ask)
    }


def is_small_penalty(name: str, value: Any, space: SearchSpace, ask: Ask) -> bool:
    """Whether a default is a penalty without effect, as the low end of its range is."""
    if is_zero_of_log(value, space[name]):
        return True
    low = getattr(space[name], "low", None)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and low is not None and 0 <= value < low <= ask.off.get(name, 0.0)

"""Conditions as a user writes them: ``"if": {"kernel": "poly"}``, a value or a list of values of a parent.

They are read when all parameters are known, since a value may be an object among the parent's choices.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.choices import spelled
from sllmbo_magic.space.configurations import Condition
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import check
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.distributions import same
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.notations import NotationError
from sllmbo_magic.space.serialization import Parts
from sllmbo_magic.space.serialization import Problems
from sllmbo_magic.space.serialization import conditions_from_json

_KEYS = ("if", "when")


def split(raw: object) -> tuple[object, dict[str, Any]]:
    """What a user wrote for one parameter without its conditions, and these."""
    if not isinstance(raw, Mapping):
        return raw, {}
    conditions = {key: raw[key] for key in _KEYS if raw.get(key) is not None}
    return {key: value for key, value in raw.items() if key not in _KEYS} if conditions else raw, conditions


def add_conditions(
    name: str, written: Mapping[str, Any], parts: Parts, objects: Objects, problems: Problems
) -> None:
    """Add the conditions of a parameter to the parts, or what is wrong with them to the problems.

    Args:
        name: The parameter.
        written: What :func:`split` gave.
        parts: With all parameters.
        objects: The objects among the choices.
    """
    when = written.get("when", [])
    try:
        listed = [*(when if isinstance(when, list | tuple) else [when]), *_typed(written.get("if"), objects)]
    except NotationError as error:
        problems.add(show(name), str(error))
        return
    conditions = conditions_from_json(name, listed, show(name), problems)
    for condition in conditions:
        _check(condition, parts, problems)
    parts[1].extend(conditions)


def _typed(conditions: object, objects: Objects) -> list[Any]:
    """``if`` as the typed form's ``when``."""
    if conditions is None:
        return []
    if not isinstance(conditions, Mapping) or not conditions:
        return [conditions]  # refused with the form that is needed
    return [
        {"param": parent, "in": [_label(value, parent, objects) for value in _values(raw, parent, objects)]}
        for parent, raw in conditions.items()
    ]


def _values(raw: object, parent: Any, objects: Objects) -> list[Any]:
    """The values of a parent for which a parameter is active."""
    labels = objects.get(parent, {})
    if isinstance(raw, tuple | list) and _label(raw, parent, objects) in labels:
        return [raw]  # one of its choices
    if isinstance(raw, tuple) and not any(isinstance(choice, tuple) for choice in labels.values()):
        raise NotationError(_two_meanings(parent, raw))
    if isinstance(raw, tuple):
        return [raw]
    if hasattr(raw, "tolist") and getattr(raw, "ndim", 0) == 1:
        return list(raw.tolist())
    return list(raw) if isinstance(raw, list | set | frozenset | range) else [raw]


def _two_meanings(parent: object, raw: tuple[Any, ...]) -> str:
    values = spelled(list(raw))
    is_range = len(raw) == 2 and all(isinstance(plain(end)[0], int) for end in raw)
    write = f"; write range({raw[0]}, {raw[1] + 1}) for {raw[0]} to {raw[1]}, or" if is_range else "; write"
    return f'"if" has the tuple {spelled(raw)} for {show(parent)}{write} {values} for these values'


def _label(value: object, parent: Any, objects: Objects) -> object:
    """A value of a parent as its distribution has it: an object, or the name of its class where only one
    choice is of that class, as its label.
    """
    labels = objects.get(parent, {})
    known = encoded({parent: value}, objects)[parent]
    if plain(known)[1] and (not isinstance(known, str) or known in labels):
        return known
    class_name = value.__name__ if inspect.isclass(value) else value
    of_class = [label for label, choice in labels.items() if type(choice).__name__ == class_name]
    if len(of_class) == 1:
        return of_class[0]
    return value if plain(value)[1] else spelled(value)


def _check(condition: Condition, parts: Parts, problems: Problems) -> None:
    """Note a condition that can never hold: its parent is missing, or never has such a value."""
    distributions, _, fixed = parts
    name, parent = show(condition.param), show(condition.parent)
    distribution = normal(distributions[condition.parent]) if condition.parent in distributions else None
    if distribution is not None:
        wrong = [v for v in condition.values if check(distribution, v, repair=False)[1]]
        if wrong:
            values = allowed(distribution)
            problems.add(name, f"depends on {parent} being {show(wrong[0])}; it can be {values}")
    elif condition.parent not in fixed:
        problems.add(name, f"depends on {parent}, which is no parameter")
    elif not any(same(fixed[condition.parent], value) for value in condition.values):
        value = fixed[condition.parent]
        problems.add(
            name, f"depends on {parent} being {show(condition.values[0])}; it is fixed at {show(value)}"
        )

"""Search spaces as a user writes them: tuples, lists, values, Optuna distributions, typed entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.options.values import closest
from sllmbo_magic.space import notations
from sllmbo_magic.space import user_conditions
from sllmbo_magic.space.choices import labelled
from sllmbo_magic.space.choices import spelled
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.serialization import Parts
from sllmbo_magic.space.serialization import Problems
from sllmbo_magic.space.serialization import param_to_json
from sllmbo_magic.space.serialization import parts_from_json
from sllmbo_magic.space.serialization import read_entry

_KEYS = ("range", "low", "high", "log", "step", "choices", "fixed", "type")
"""What describes the values of a parameter in a dict."""
_EXCLUDE = {
    "range": ("low", "high", "choices", "fixed"),
    "choices": ("low", "high", "log", "step", "fixed"),
    "fixed": ("low", "high", "log", "step"),
}
"""Keys beside which others would have no effect."""


def parts_from_user(space: object) -> tuple[Parts, dict[str, dict[str, Any]]]:
    """A user's dict (see ``SearchSpace.from_user``) -> distributions, conditions, fixed values; and the
    objects among its choices by parameter and label.
    """
    if isinstance(space, Mapping) and isinstance(space.get("params"), list):
        return parts_from_json(space), {}
    problems = Problems()
    parts: Parts = ({}, [], {})
    objects: dict[str, dict[str, Any]] = {}
    conditions: dict[str, dict[str, Any]] = {}
    if not isinstance(space, Mapping):
        problems.add("", f"needs a dict of parameters, not {show(space)}")
        space = {}
    for name, raw in space.items():
        if not isinstance(name, str) or not name:
            problems.add("", f"the name {show(name)} is not text")
            continue
        try:
            raw, conditions[name] = user_conditions.split(raw)
            values, labels = _described(name, raw, may_be_empty=bool(conditions[name]))
        except notations.NotationError as error:
            problems.add(show(name), str(error))
            continue
        if labels:
            objects[name] = labels
        if isinstance(values, BaseDistribution):
            parts[0][name] = values
        else:
            read_entry({**values, "name": name}, 0, parts, problems)
    if not problems.texts:  # else a parent may be missing because it could not be read
        for name, written in conditions.items():
            user_conditions.add_conditions(name, written, parts, objects, problems)
    problems.raise_if_any("search_space")
    return parts, objects


def _described(
    name: str, raw: object, *, may_be_empty: bool = False
) -> tuple[Distribution | dict[str, Any], dict[str, Any]]:
    """The values of one parameter as a distribution or typed data, with labels in the place of objects; and
    what these stand for.
    """
    value = notations.read(raw)
    if isinstance(value, CategoricalDistribution):
        value = list(value.choices)
    if isinstance(value, BaseDistribution):
        distribution = normal(value)
        if distribution is None:
            raise notations.NotationError(f"{show(value)} is no Optuna distribution of a known kind")
        return distribution, {}
    if isinstance(value, list):
        choices, labels = labelled(name, value)
        return {"type": "categorical", "choices": choices}, labels
    if isinstance(value, tuple):
        is_int = all(isinstance(plain(bound)[0], int) for bound in value[:2])
        kind = "int" if is_int else "float"
        return {"type": kind, "low": value[0], "high": value[1], "log": len(value) == 3}, {}
    if isinstance(value, Mapping):
        if not may_be_empty and not any(key in value for key in _KEYS):
            raise notations.NotationError(
                f"a dict describes a range; as a choice write a list of one choice: [{spelled(value)}]"
            )
        return _from_dict(name, value)
    (one,), labels = labelled(name, [value])  # one value, which is fixed
    return {"fixed": one}, labels


def _from_dict(name: str, entry: Mapping[Any, Any]) -> tuple[Distribution | dict[str, Any], dict[str, Any]]:
    """The values of a parameter that a user describes by keys; ``range`` and ``choices`` in any notation."""
    _check_keys(entry)
    rest = {key: value for key, value in entry.items() if key not in ("name", "range")}
    labels: dict[str, Any] = {}
    if "range" in entry:
        short, labels = _described(name, entry["range"])
        if not rest:
            return short, labels
        values = short if isinstance(short, dict) else param_to_json(name, short, ())
        rest = {**values, **rest}
        _check_together(rest)
    elif rest.get("choices") is not None:
        choices = rest["choices"]
        choices = list(choices) if isinstance(choices, tuple | range) else notations.read(choices)
        if isinstance(choices, CategoricalDistribution):
            choices = list(choices.choices)
        if isinstance(choices, list):
            choices, labels = labelled(name, choices)
        rest["choices"] = choices  # anything else is refused with all that is wrong
    elif rest.get("fixed") is not None:
        (rest["fixed"],), labels = labelled(name, [rest["fixed"]])
    return _with_kind(rest), labels


def _check_keys(entry: Mapping[Any, Any]) -> None:
    """Raises NotationError for a key that nobody reads, or that has no effect beside another one."""
    for key in entry:
        if key in ("if", "when"):  # those of the parameter itself were taken off
            raise notations.NotationError(f'{key} stands inside "range"; write it beside "range"')
        if key not in (*_KEYS, "name"):
            allowed = ("if", *_KEYS)
            meant = closest(key, allowed) if isinstance(key, str) else ""
            raise notations.NotationError(
                f"the key {show(key)} is not known. {meant}Allowed: {', '.join(allowed)}"
            )
    _check_together(entry)


def _check_together(entry: Mapping[Any, Any]) -> None:
    used = [key for key, value in entry.items() if value is not None and value is not False]
    for key, others in _EXCLUDE.items():
        beside = [other for other in others if other in used]
        if key in used and beside:
            raise notations.NotationError(f"{key} and {beside[0]} exclude each other; write one of them")


def _with_kind(entry: dict[Any, Any]) -> dict[Any, Any]:
    """With whole numbers where both bounds are whole and nothing else is said, as in a tuple."""
    bounds = [plain(entry.get(end))[0] for end in ("low", "high")]
    if entry.get("type") is None and all(isinstance(b, int) and not isinstance(b, bool) for b in bounds):
        return {**entry, "type": "int"}
    return entry

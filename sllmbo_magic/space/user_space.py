"""Search spaces as a user writes them: tuples, lists, values, Optuna distributions, typed entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.space import notations
from sllmbo_magic.space.choices import label_of
from sllmbo_magic.space.choices import labelled
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import check
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.serialization import Parts
from sllmbo_magic.space.serialization import Problems
from sllmbo_magic.space.serialization import parts_from_json
from sllmbo_magic.space.serialization import read_entry


def parts_from_user(space: object) -> tuple[Parts, dict[str, dict[str, Any]]]:
    """A user's dict (see ``SearchSpace.from_user``) -> distributions, conditions, fixed values; and the
    objects among its choices by parameter and label.
    """
    if isinstance(space, Mapping) and isinstance(space.get("params"), list):
        return parts_from_json(space), {}
    problems = Problems()
    parts: Parts = ({}, [], {})
    objects: dict[str, dict[str, Any]] = {}
    if not isinstance(space, Mapping):
        problems.add("", f"needs a dict of parameters, not {show(space)}")
        space = {}
    for name, raw in space.items():
        if not isinstance(name, str) or not name:
            problems.add("", f"the name {show(name)} is not text")
            continue
        try:
            plain_entry, labels = _without_objects(name, notations.read(raw))
        except notations.NotationError as error:
            problems.add(show(name), str(error))
            continue
        if labels:
            objects[name] = labels
        if isinstance(plain_entry, BaseDistribution):
            distribution = normal(plain_entry)
            if distribution is None:
                problems.add(show(name), f"{show(plain_entry)} is no Optuna distribution of a known kind")
            else:
                parts[0][name] = distribution
        else:
            read_entry(_as_entry(name, plain_entry), 0, parts, problems)
    _check_conditions(parts, objects, problems)
    problems.raise_if_any("search_space")
    return parts, objects


_ENTRY_KEYS = ("type", "low", "high", "log", "step", "choices", "fixed", "when", "if", "range")


def _without_objects(name: str, raw: object) -> tuple[object, dict[str, Any]]:
    """What a user wrote for one parameter with labels in the place of objects, and what these stand for."""
    if isinstance(raw, CategoricalDistribution):
        raw = list(raw.choices)
    if isinstance(raw, list):
        return labelled(name, raw)
    if isinstance(raw, Mapping):
        if not any(key in raw for key in _ENTRY_KEYS):
            raise notations.NotationError(
                f"a dict describes a range; as a choice write a list of one choice: [{label_of('', raw)}]"
            )
        if isinstance(raw.get("choices"), list | tuple):
            choices, labels = labelled(name, raw["choices"])
            return {**raw, "choices": choices}, labels
        return raw, {}
    if isinstance(raw, tuple | BaseDistribution):
        return raw, {}
    (value,), labels = labelled(name, [raw])  # one value, which is fixed
    return value, labels


def _check_conditions(parts: Parts, objects: Mapping[str, Any], problems: Problems) -> None:
    """Note each condition that can never hold: its parent is missing, or never has such a value."""
    distributions, conditions, fixed = parts
    for condition in conditions:
        name, parent = show(condition.param), show(condition.parent)
        if condition.parent not in distributions:
            if condition.parent not in fixed:
                problems.add(name, f"depends on {parent}, which is no parameter")
            continue
        distribution = normal(distributions[condition.parent])
        if distribution is None or condition.parent in objects:
            continue
        wrong = [v for v in condition.values if check(distribution, v, repair=False)[1]]
        if wrong:
            problems.add(
                name, f"depends on {parent} being {show(wrong[0])}; it can be {allowed(distribution)}"
            )


def _when(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """``if={"kernel": "poly"}`` (a value, or a list of them) as the typed form's ``when``."""
    conditions = entry.get("if")
    if conditions is None:
        return {}
    if not isinstance(conditions, Mapping) or not conditions:
        return {"when": conditions}  # refused with the form that is needed
    return {
        "when": [
            {"param": parent, "in": list(values) if isinstance(values, list | tuple | set) else [values]}
            for parent, values in conditions.items()
        ]
    }


def _with_range(name: str, entry: Mapping[Any, Any]) -> dict[Any, Any]:
    """``range`` in one of the short forms as the typed form's keys."""
    rest = {key: value for key, value in entry.items() if key not in ("if", "range")}
    if "range" not in entry:
        return rest
    short = _as_entry(name, entry["range"])
    return {**short, **rest} if isinstance(short, Mapping) else rest


def _with_kind(entry: dict[Any, Any]) -> dict[Any, Any]:
    """With whole numbers where both bounds are whole and nothing else is said, as in a tuple."""
    bounds = [plain(entry.get(end))[0] for end in ("low", "high")]
    if entry.get("type") is None and all(isinstance(b, int) and not isinstance(b, bool) for b in bounds):
        return {**entry, "type": "int"}
    return entry


def _as_entry(name: str, value: object) -> object:
    """What a user wrote for one parameter, as typed data."""
    if isinstance(value, Mapping):
        return {**_with_kind(_with_range(name, value)), "name": name, **_when(value)}
    if isinstance(value, list):
        return {"name": name, "type": "categorical", "choices": value}
    if isinstance(value, tuple):
        is_int = all(isinstance(plain(bound)[0], int) for bound in value[:2])
        kind = "int" if is_int else "float"
        return {"name": name, "type": kind, "low": value[0], "high": value[1], "log": len(value) == 3}
    return {"name": name, "fixed": value}

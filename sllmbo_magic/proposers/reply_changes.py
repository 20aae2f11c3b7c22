"""The changes of the search space in a reply, as typed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.reply_fields import items
from sllmbo_magic.proposers.reply_fields import with_text
from sllmbo_magic.space.changes import Add
from sllmbo_magic.space.changes import Drop
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.changes import SpaceChange
from sllmbo_magic.space.changes import Widen
from sllmbo_magic.space.distributions import MAX_NUMBER
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.serialization import MAX_CHOICES

_MAX_CHANGES = 40
_KINDS = {FloatDistribution: "float", IntDistribution: "int", CategoricalDistribution: "categorical"}


def read_changes(data: Any, ask: Ask) -> tuple[list[SpaceChange], list[str]]:
    """The space changes of an answer as typed values, and a sentence for each that cannot be read."""
    changes: list[SpaceChange] = []
    problems: list[str] = []
    names = {*ask.outer, *(ask.extension.names if ask.extension is not None else ())}
    for entry in items(data)[:_MAX_CHANGES]:
        name, verb = entry.get("name"), entry.get("action")
        reader = _READERS.get(verb) if isinstance(verb, str) else None
        if not isinstance(name, str) or name not in names:
            problems.append(f"there is no parameter {str(name)[:60]!r} to change")
        elif name in ask.locked:
            problems.append(f"{name} is locked by the user")
        elif reader is None:
            problems.append(f"{name}: {str(verb)[:20]!r} is no change; allowed: narrow, widen, drop, add")
        else:
            entry, remarks = _of_the_outer_kind(entry, ask)
            problems += [f"{verb} {name}: {remark}"[:200] for remark in remarks]
            try:
                changes.append(reader(name, entry))
            except InputError as error:
                problems.append(f"{verb} {name}: {error.message}"[:200])
    return changes, problems


def _of_the_outer_kind(entry: dict[str, Any], ask: Ask) -> tuple[dict[str, Any], list[str]]:
    """The change for the kind and the scale that its range has, which no change can alter, and a remark on
    each that was asked for otherwise. The 0 of a penalty is the low end of its range.
    """
    entry, name = dict(entry), entry["name"]
    present = normal(ask.outer[name]) if name in ask.outer else None
    if present is None or entry["action"] == "drop":
        return entry, []
    remarks = []
    choices = entry.get("choices")
    choices = choices if isinstance(choices, list) else []
    if isinstance(present, CategoricalDistribution):
        n_unread = sum(not plain(with_text(choice))[1] for choice in choices)
        if n_unread:
            remarks.append(f"{n_unread} of its choices cannot be read: no number, text, true, false or null")
    elif choices:
        numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
        entry["choices"] = None
        if len(numbers) == len(choices):
            entry |= {"low": min(numbers), "high": max(numbers)}
            remarks.append("it is searched as a number, from the least to the greatest of its choices")
        else:
            remarks.append(f"its choices are not taken: it is searched as a number, {allowed(present)}")
    if not isinstance(present, CategoricalDistribution) and 0 < present.low <= ask.off.get(name, 0.0):
        entry |= {key: present.low for key in ("low", "value") if _is_zero(entry.get(key))}
    log, kind = getattr(present, "log", None), _KINDS[type(present)]
    if isinstance(entry.get("log"), bool) and log is not None and entry["log"] != log:
        remarks.append(f"its scale stays {'logarithmic' if log else 'linear'}")
    if entry.get("type") in _KINDS.values() and entry["type"] != kind and not choices:
        remarks.append(f"its type stays {kind}")
    return entry, remarks


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _read_narrow(name: str, entry: dict[str, Any]) -> Narrow:
    return Narrow(name, **_ends(entry), choices=_choices(entry), reason=_reason(entry))


def _read_widen(name: str, entry: dict[str, Any]) -> Widen:
    return Widen(name, **_ends(entry), choices=_choices(entry), reason=_reason(entry))


def _read_drop(name: str, entry: dict[str, Any]) -> Drop:
    value, is_plain = plain(with_text(entry.get("value")))
    if not is_plain:
        raise InputError("its value is no plain value")
    return Drop(name, value, _reason(entry))


def _read_add(name: str, entry: dict[str, Any]) -> Add:
    kind, log = entry.get("type"), entry.get("log")
    if kind not in (None, "float", "int", "categorical"):
        raise InputError("its type is none of float, int, categorical")
    if not isinstance(log, bool | None):
        raise InputError("its log is not true or false")
    return Add(
        name,
        kind,
        **_ends(entry),
        log=log,
        choices=_choices(entry),
        value=plain(with_text(entry.get("value")))[0],
        reason=_reason(entry),
    )


_READERS: dict[str, Callable[[str, dict[str, Any]], SpaceChange]] = {
    "narrow": _read_narrow,
    "widen": _read_widen,
    "drop": _read_drop,
    "add": _read_add,
}


def _ends(entry: dict[str, Any]) -> dict[str, float | None]:
    """Low and high; a categorical's entry may hold anything there."""
    if _choices(entry) is not None:
        return {"low": None, "high": None}
    return {end: _number(entry.get(end), end) for end in ("low", "high")}


def _number(value: Any, end: str) -> float | None:
    """A bound as a number; None when there is none. Raises InputError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"its {end} is not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InputError(f"its {end} is not a number") from None
    if not abs(number) <= MAX_NUMBER:
        raise InputError(f"its {end} is not a number")
    return number


def _choices(entry: dict[str, Any]) -> tuple[Value, ...] | None:
    """The choices of an entry; None when there are none. Raises InputError when they are no list."""
    choices = entry.get("choices")
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list):
        raise InputError("its choices are no list")
    plain_choices = [plain(with_text(choice)) for choice in choices[:MAX_CHOICES]]
    values = tuple(value for value, is_plain in plain_choices if is_plain)
    if not values:
        raise InputError("none of its choices is a plain value")
    return values


def _reason(entry: dict[str, Any]) -> str:
    reason = entry.get("reason")
    return reason[:200] if isinstance(reason, str) else ""

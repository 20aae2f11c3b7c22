"""Search spaces as data: what ``SearchSpace.to_json`` writes, and the checked way back from anything at all.

The data may come from an LLM, a file or a browser, so every part of it is suspect: sizes are bounded before
anything is looked at, nothing is evaluated, and all problems go into one message of bounded length.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.space.configurations import Condition
from sllmbo_magic.space.distributions import MAX_INT
from sllmbo_magic.space.distributions import MAX_NUMBER
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.distributions import same
from sllmbo_magic.space.distributions import show

MAX_PARAMS = 500
MAX_NAME = 200
MAX_CHOICES = 200
MAX_TEXT = 500
"""Longest text that can be a choice."""
MAX_PROBLEMS = 8
"""How many problems one message spells out."""

Parts = tuple[dict[str, BaseDistribution], list[Condition], dict[str, Value]]


class Problems:
    """Collects what is wrong; :meth:`raise_if_any` makes one message of it."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, name: str, text: str) -> None:
        self.texts.append(f"{name}: {text}" if name else text)

    def raise_if_any(self, label: str) -> None:
        """Raises InputError with the first :data:`MAX_PROBLEMS` problems."""
        if not self.texts:
            return
        first_problems = "; ".join(text[:200] for text in self.texts[:MAX_PROBLEMS])
        n = len(self.texts)
        more = f"; and {n - MAX_PROBLEMS} more" if n > MAX_PROBLEMS else ""
        raise InputError(
            f"{label}: {n} problem{'s' if n > 1 else ''}: {first_problems}{more}.",
            "A parameter needs a name, a type (float, int or categorical), and low below high or choices.",
        )


# --- to data --------------------------------------------------------------------------------------------


def param_to_json(name: str, distribution: Distribution, conditions: Iterable[Condition]) -> dict[str, Any]:
    """One parameter as plain data; only the keys that apply."""
    if isinstance(distribution, CategoricalDistribution):
        data: dict[str, Any] = {"name": name, "type": "categorical", "choices": list(distribution.choices)}
    else:
        data = {
            "name": name,
            "type": "int" if isinstance(distribution, IntDistribution) else "float",
            "low": distribution.low,
            "high": distribution.high,
        }
        if distribution.log:
            data["log"] = True
        if distribution.step is not None and not (
            isinstance(distribution, IntDistribution) and distribution.step == 1
        ):
            data["step"] = distribution.step
    whens = [{"param": c.parent, "in": list(c.values)} for c in conditions if c.param == name]
    if whens:
        data["when"] = whens[0] if len(whens) == 1 else whens
    return data


def fixed_to_json(name: str, value: Value, conditions: Iterable[Condition]) -> dict[str, Any]:
    """A fixed parameter as plain data: no range, only its value."""
    kind = "categorical"
    if isinstance(value, int | float) and not isinstance(value, bool):
        kind = "int" if isinstance(value, int) else "float"
    data: dict[str, Any] = {"name": name, "type": kind, "fixed": value}
    whens = [{"param": c.parent, "in": list(c.values)} for c in conditions if c.param == name]
    if whens:
        data["when"] = whens[0] if len(whens) == 1 else whens
    return data


# --- from data ------------------------------------------------------------------------------------------


def parts_from_json(data: object) -> Parts:
    """Anything -> distributions, conditions, fixed values; every problem in one InputError."""
    problems = Problems()
    entries = data.get("params") if isinstance(data, Mapping) else data
    if not isinstance(entries, list | tuple):
        problems.add("", f'needs {{"params": [...]}}, not {show(data)}')
        entries = []
    if len(entries) > MAX_PARAMS:
        problems.add("", f"{len(entries)} parameters; allowed: at most {MAX_PARAMS}")
        entries = []
    parts: Parts = ({}, [], {})
    for position, entry in enumerate(entries):
        read_entry(entry, position, parts, problems)
    distributions, conditions, fixed = parts
    for condition in conditions:
        if condition.parent not in distributions and condition.parent not in fixed:
            problems.add(show(condition.param), f"depends on {show(condition.parent)}, which is no parameter")
    problems.raise_if_any("search space")
    return parts


def read_entry(entry: object, position: int, parts: Parts, problems: Problems) -> None:
    """Add one typed entry to the parts, or what is wrong with it to the problems."""
    distributions, conditions, fixed = parts
    if not isinstance(entry, Mapping):
        problems.add(f"params[{position}]", f"is {show(entry)}, not an object")
        return
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        problems.add(f"params[{position}]", f"the name is {show(name)}")
        return
    label = show(name)
    if name in distributions or name in fixed:
        problems.add(label, "occurs twice")
        return
    has_range = any(entry.get(key) is not None for key in ("low", "high", "choices"))
    if "fixed" in entry and (entry["fixed"] is not None or not has_range):
        value, ok = _choice(entry["fixed"])
        if ok:
            fixed[name] = value
        else:
            problems.add(label, f"cannot be fixed at {show(entry['fixed'])}")
    else:
        distribution = distribution_from_json(entry, label, problems)
        if distribution is not None:
            distributions[name] = distribution
    if entry.get("when") is not None:
        conditions += conditions_from_json(name, entry["when"], label, problems)


def distribution_from_json(entry: Mapping[Any, Any], label: str, problems: Problems) -> Distribution | None:
    """The distribution of one typed entry; None, with the problems recorded, when it is not one."""
    kind = entry.get("type")
    if kind is None:
        kind = "categorical" if entry.get("choices") is not None else "float"
    if kind == "categorical":
        return _categorical(entry.get("choices"), label, problems)
    if kind not in ("float", "int"):
        problems.add(label, f"the type is {show(kind)}; allowed: float, int, categorical")
        return None
    before = len(problems.texts)
    low, high = (_bound(entry.get(key), key, kind, label, problems) for key in ("low", "high"))
    step = None if entry.get("step") is None else _bound(entry["step"], "step", kind, label, problems)
    log = entry.get("log")
    if log is not None and not isinstance(log, bool):
        problems.add(label, f"log is {show(log)}; allowed: true, false")
    if len(problems.texts) > before or low is None or high is None:
        return None
    return _numeric(kind, low, high, bool(log), step, label, problems)


def _numeric(
    kind: str, low: float, high: float, log: bool, step: float | None, label: str, problems: Problems
) -> Distribution | None:
    before = len(problems.texts)
    if low > high:
        problems.add(label, f"low {show(low)} is not below high {show(high)}")
    if log and low <= 0:
        problems.add(label, f"log scale needs low above 0, not {show(low)}")
    if step is not None:
        if step <= 0:
            problems.add(label, f"step {show(step)} is not above 0")
        elif log and step != 1:
            problems.add(label, "log scale and step exclude each other")
        elif low <= high and (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) != 0:
            problems.add(label, f"step {show(step)} does not divide {show(low)} to {show(high)}")
    if len(problems.texts) > before:
        return None
    if kind == "int":
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def _bound(value: object, key: str, kind: str, label: str, problems: Problems) -> float | None:
    number, ok = plain(value)
    if isinstance(value, int) and not isinstance(value, bool) and MAX_INT < abs(value) <= MAX_NUMBER:
        example = f'(1.0, {float(value):g}, "log")' if value > 0 else f"({float(value):g}, 0.0)"
        problems.add(
            label, f"{key} is larger than 2**53, which Optuna keeps as a float; for floats write {example}"
        )
        return None
    if not ok or isinstance(number, bool | str) or number is None or abs(number) > MAX_NUMBER:
        problems.add(label, f"{key} is {show(value)}, not a finite number")
        return None
    if kind == "int":
        if number != int(number) or abs(number) > MAX_INT:
            problems.add(label, f"{key} is {show(value)}, not a whole number")
            return None
        return int(number)
    return float(number)


def _choice(value: object) -> tuple[Value, bool]:
    number, ok = plain(value)
    if isinstance(number, str) and len(number) > MAX_TEXT:
        return None, False
    return number, ok


def _categorical(choices_data: object, label: str, problems: Problems) -> Distribution | None:
    if not isinstance(choices_data, Sequence) or isinstance(choices_data, str | bytes) or not choices_data:
        problems.add(label, "needs a list with at least one choice")
        return None
    if len(choices_data) > MAX_CHOICES:
        problems.add(label, f"{len(choices_data)} choices; allowed: at most {MAX_CHOICES}")
        return None
    choices: list[Value] = []
    for value in choices_data:
        choice, ok = _choice(value)
        if not ok:
            problems.add(label, f"{show(value)} cannot be a choice")
            return None
        equal_choice = next((other for other in choices if other == choice), None)
        if equal_choice is not None and not same(choice, equal_choice):
            problems.add(
                label, f"{show(equal_choice)} and {show(choice)} are one choice for Optuna; write one of them"
            )
            return None
        if any(same(choice, other) for other in choices):
            problems.add(label, f"the choice {show(choice)} occurs twice")
            return None
        choices.append(choice)
    return CategoricalDistribution(choices)


def conditions_from_json(name: str, when: object, label: str, problems: Problems) -> list[Condition]:
    """The conditions of one typed entry, without those that have a problem, which is recorded."""
    conditions = []
    for item in when if isinstance(when, list | tuple) else [when]:
        parent = item.get("param") if isinstance(item, Mapping) else None
        parent_values = item.get("in") if isinstance(item, Mapping) else None
        if (
            not isinstance(parent, str)
            or not isinstance(parent_values, list | tuple)
            or len(parent_values) > MAX_CHOICES
        ):
            problems.add(label, 'when needs {"param": name, "in": [values]}')
            continue
        values = [_choice(value) for value in parent_values]
        if not values or not all(ok for _, ok in values):
            problems.add(label, "when needs at least one plain value")
            continue
        conditions.append(Condition(name, parent, tuple(value for value, _ in values)))
    return conditions

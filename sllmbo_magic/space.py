"""The search space: named Optuna distributions with conditions, as an immutable value.

A *configuration* is a dict of the active parameters' values. Fixed parameters are part of the space but not
of a configuration: :meth:`SearchSpace.suggest` adds them. Everything an LLM says passes through
:meth:`SearchSpace.from_json` (a space) or :meth:`SearchSpace.validate` (a configuration): both check all of
it, evaluate nothing, and answer with short sentences.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic import _distributions as dist
from sllmbo_magic import _space_json as data_form
from sllmbo_magic._distributions import Known
from sllmbo_magic._distributions import Value
from sllmbo_magic.errors import InputError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["Condition", "SearchSpace", "SpaceVersion", "Value", "outer_of"]

_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Condition:
    """``param`` is active only while ``parent`` is active and its value is one of ``values``."""

    param: str
    parent: str
    values: tuple[Value, ...]


class SearchSpace(Mapping[str, BaseDistribution]):
    """An immutable mapping from parameter names to Optuna distributions; parents come before what depends on
    them.

    Args:
        distributions: Float, int and categorical distributions of Optuna.
        conditions: When a parameter is active; several for one parameter must all hold.
        fixed: Parameters that are not searched and keep this value.

    Raises:
        InputError: A distribution of another kind, a name both searched and fixed, a condition on an unknown
            parameter or on itself in a circle.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        *,
        conditions: Iterable[Condition] = (),
        fixed: Mapping[str, Value] | None = None,
    ) -> None:
        known: dict[str, Known] = {}
        for name, distribution in distributions.items():
            normal = dist.normal(distribution)
            if normal is None:
                raise InputError(
                    f"search space: {dist.show(name)} has {dist.show(distribution)} as its distribution.",
                    "Allowed: Optuna's FloatDistribution, IntDistribution, CategoricalDistribution.",
                )
            known[name] = normal
        self._fixed = dict(fixed or {})
        twice = sorted(known.keys() & self._fixed.keys())
        if twice:
            raise InputError(f"search space: {dist.show(twice[0])} is both searched and fixed.")
        self._conditions = tuple(conditions)
        self._by_param: dict[str, list[Condition]] = {}
        for condition in self._conditions:
            for name in (condition.param, condition.parent):
                if name not in known and name not in self._fixed:
                    raise InputError(
                        f"search space: a condition names {dist.show(name)}, which is no parameter."
                    )
            self._by_param.setdefault(condition.param, []).append(condition)
        self._known = {name: known[name] for name in self._parents_first(known) if name in known}

    def _parents_first(self, known: Mapping[str, Known]) -> list[str]:
        """Names in the given order, but each after its parents."""
        order: dict[str, None] = {}
        for start in [*known, *self._by_param]:
            stack = [start]
            while stack:
                waiting = [c.parent for c in self._by_param.get(stack[-1], []) if c.parent not in order]
                if stack[-1] in order or not waiting:
                    order[stack.pop()] = None
                elif waiting[0] in stack:
                    raise InputError(f"search space: {dist.show(waiting[0])} depends on itself.")
                else:
                    stack.append(waiting[0])
        return list(order)

    # --- reading ---

    @classmethod
    def from_user(cls, space: object) -> SearchSpace:
        """A space as people write it.

        Args:
            space: A SearchSpace; data as :meth:`to_json` gives it; or a dict from names to one of: an Optuna
                distribution; ``(low, high)``, whole numbers if both are; ``(low, high, "log")``; a list of
                choices; typed JSON (``{"type": "int", "low": 1, "high": 9}``); one plain value,
                which is fixed.

        Raises:
            InputError: With all problems in one line.
        """
        if isinstance(space, SearchSpace):
            return space
        distributions, conditions, fixed = data_form.parts_from_user(space)
        return cls(distributions, conditions=conditions, fixed=fixed)

    @classmethod
    def from_json(cls, data: object) -> SearchSpace:
        """The space that :meth:`to_json` wrote, from unchecked data (a dict with ``params`` or that list).

        A range whose low equals its high is one value. Unknown keys and null are ignored. At most 500
        parameters, 200 choices each.

        Raises:
            InputError: With all problems in one line of bounded length.
        """
        distributions, conditions, fixed = data_form.parts_from_json(data)
        return cls(distributions, conditions=conditions, fixed=fixed)

    def to_json(self) -> dict[str, Any]:
        """``{"params": [...]}``, one dict per parameter with the keys that apply.

        Keys: ``name``, ``type`` (float, int, categorical), ``low``, ``high``, ``log``, ``step``, ``choices``,
        ``when`` (``{"param", "in"}``, a list of these if several), ``fixed`` (then without a range).
        """
        searched = [
            data_form.param_to_json(name, known, self._by_param.get(name, ()))
            for name, known in self._known.items()
        ]
        fixed = [
            data_form.fixed_to_json(name, value, self._by_param.get(name, ()))
            for name, value in self._fixed.items()
        ]
        return {"params": searched + fixed}

    def configuration_schema(self, *, bounds: bool = False) -> dict[str, Any]:
        """JSON Schema of one whole configuration.

        All parameters are required and no others allowed, as OpenAI's strict mode asks; a parameter with a
        condition may be null. Ranges are in the descriptions; ``bounds=True`` adds minimum and maximum, which
        Anthropic's and OpenAI's strict modes do not take.
        """
        properties = {name: self._property(name, known, bounds) for name, known in self._known.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _property(self, name: str, known: Known, bounds: bool) -> dict[str, Any]:
        conditions = self._by_param.get(name, [])
        words = dist.allowed(known)
        if conditions:
            when = " and ".join(
                f"{c.parent} is {' or '.join(dist.show(value) for value in c.values)}" for c in conditions
            )
            words = f"{words}; only when {when}, else null"
        if isinstance(known, CategoricalDistribution):
            choices = list(known.choices)
            if conditions and None not in choices:
                choices.append(None)
            types = list(dict.fromkeys(_JSON_TYPES[type(choice)] for choice in choices))
            return {"type": types[0] if len(types) == 1 else types, "enum": choices, "description": words}
        number: dict[str, Any] = {"type": "integer" if isinstance(known, IntDistribution) else "number"}
        if bounds:
            number |= {"minimum": known.low, "maximum": known.high}
        if conditions:
            return {"anyOf": [number, {"type": "null"}], "description": words}
        return {**number, "description": words}

    # --- the mapping ---

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The searched parameters, parents first."""
        return dict(self._known)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self._conditions

    @property
    def fixed(self) -> dict[str, Value]:
        """Parameters that are not searched, with their values."""
        return dict(self._fixed)

    def __getitem__(self, name: str) -> BaseDistribution:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        return (
            _comparable(self._known) == _comparable(other._known)
            and set(self._conditions) == set(other._conditions)
            and _typed(self._fixed) == _typed(other._fixed)
        )

    def __hash__(self) -> int:
        return hash((frozenset(self._known), frozenset(self._conditions), frozenset(self._fixed)))

    def __repr__(self) -> str:
        ranges = [f"{name}: {dist.allowed(known)}" for name, known in self._known.items()]
        ranges += [f"{name}: fixed {dist.show(value)}" for name, value in self._fixed.items()]
        return f"SearchSpace({'; '.join(ranges)})"

    # --- one configuration ---

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether all conditions of a parameter hold, those of its parents included."""
        for condition in self._by_param.get(name, ()):
            if condition.parent in self._fixed:
                value: Value = self._fixed[condition.parent]
            elif condition.parent in params:
                value = params[condition.parent]
            else:
                return False
            if not any(dist.same(value, allowed) for allowed in condition.values):
                return False
            if not self.is_active(condition.parent, params):
                return False
        return True

    def validate(self, params: object, *, repair: bool = True) -> tuple[dict[str, Value] | None, list[str]]:
        """An unchecked configuration -> ``(checked, [])`` or ``(None, problems)``. Evaluates nothing.

        With ``repair``, what has one meaning is taken: numeric text, whole numbers written as floats, values
        off a step, values within 1e-9 of a bound, choices in another case. Out of range is never clipped.
        NaN, infinity, a bool for a number, unknown and missing parameters are problems. Parameters that are
        inactive are left out, and so are fixed ones if they have their value.

        Returns:
            The active parameters' values in the space's order, and at most 10 sentences, each with the
            parameter, what was given, and what is allowed.
        """
        if not isinstance(params, Mapping):
            return None, [f"a configuration is an object of parameters, not {dist.show(params)}"]
        problems: list[str] = []
        checked: dict[str, Value] = {}
        broken: set[str] = set()
        for name, known in self._known.items():
            if any(condition.parent in broken for condition in self._by_param.get(name, ())):
                broken.add(name)  # its parent is already a problem
            elif self.is_active(name, checked):
                if name not in params:
                    value, problem = None, f"is missing; allowed: {dist.allowed(known)}"
                else:
                    value, problem = dist.check(known, params[name], repair=repair)
                if problem:
                    problems.append(f"{name}: {problem}")
                    broken.add(name)
                else:
                    checked[name] = value
        for name, value in params.items():
            if name in self._fixed:
                if value is not None and not dist.same(dist.plain(value)[0], self._fixed[name]):
                    problems.append(
                        f"{name}: is fixed at {dist.show(self._fixed[name])}, not {dist.show(value)}"
                    )
            elif name not in self._known:
                problems.append(f"{dist.show(name)}: is no parameter of this space")
        if len(problems) > _MAX_PROBLEMS:
            more = len(problems) - _MAX_PROBLEMS + 1
            problems = [*problems[: _MAX_PROBLEMS - 1], f"and {more} more problems"]
        return (None if problems else checked), problems

    def contains(self, params: object) -> bool:
        """Whether this is a configuration of the space exactly as it is."""
        return self.validate(params, repair=False)[0] is not None

    def clip(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """The nearest configuration; what is missing or of the wrong kind gets the centre of its range.

        For configurations made by code; what an LLM says goes through :meth:`validate`.
        """
        return self.active(
            {n: dist.clip(k, params[n] if n in params else float("nan")) for n, k in self._known.items()}
        )

    def active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Without inactive, fixed and unknown parameters, in the space's order."""
        kept: dict[str, Any] = {}
        for name in self._known:
            if name in params and self.is_active(name, kept):
                kept[name] = params[name]
        return kept

    def complete(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """With the centre of its range for every parameter that is inactive or missing (for joint models)."""
        kept = self.active(params)
        return {
            name: kept[name] if name in kept else dist.centre(known) for name, known in self._known.items()
        }

    def with_fixed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The active parameters and the fixed ones: what the estimator is given."""
        kept = self.active(params)
        return kept | {name: value for name, value in self._fixed.items() if self.is_active(name, kept)}

    def suggest(self, trial: BaseTrial) -> dict[str, Value]:
        """A configuration from an Optuna trial: parents first, conditions respected, fixed values last."""
        params: dict[str, Value] = {}
        for name, known in self._known.items():
            if not self.is_active(name, params):
                continue
            if isinstance(known, CategoricalDistribution):
                params[name] = trial.suggest_categorical(name, known.choices)
            elif isinstance(known, IntDistribution):
                params[name] = trial.suggest_int(name, known.low, known.high, step=known.step, log=known.log)
            else:
                params[name] = trial.suggest_float(
                    name, known.low, known.high, step=known.step, log=known.log
                )
        return self.with_fixed(params)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A configuration, uniform on each parameter's scale."""
        return self.from_unit(rng.random(len(self)))

    def to_unit(self, params: Mapping[str, Any]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Positions on the scales, shape (n_params,), 0 to 1: log-aware, a choice in the middle of its bin,
        0.5 for what is inactive or missing; values outside a range are at its end."""
        kept = self.active(params)
        return np.array(
            [dist.to_unit(known, kept[name]) if name in kept else 0.5 for name, known in self._known.items()],
            dtype=np.float64,
        )

    def from_unit(self, u: Iterable[float]) -> dict[str, Value]:
        """The configuration at these positions, shape (n_params,); inactive parameters are left out."""
        positions = [float(x) for x in u]
        if len(positions) != len(self):
            raise ValueError(f"{len(positions)} positions for {len(self)} parameters")
        return self.active(
            {
                name: dist.from_unit(known, x)
                for (name, known), x in zip(self._known.items(), positions, strict=True)
            }
        )

    def key(self, params: Mapping[str, Any]) -> tuple[float | int | None, ...]:
        """Equal for configurations that mean the same: positions rounded to a thousandth of the range, the
        index of a choice, None for what is inactive."""
        kept = self.active(params)
        parts: list[float | int | None] = []
        for name, known in self._known.items():
            if name not in kept:
                parts.append(None)
            elif isinstance(known, CategoricalDistribution):
                parts.append(dist.index_of(known, kept[name]))
            else:
                parts.append(round(dist.to_unit(known, kept[name]), 3))
        return tuple(parts)

    # --- other spaces from this one ---

    def _with(
        self, known: Mapping[str, BaseDistribution], fixed: Mapping[str, Value] | None = None
    ) -> SearchSpace:
        fixed = self._fixed if fixed is None else fixed
        kept = [c for c in self._conditions if all(n in known or n in fixed for n in (c.param, c.parent))]
        return SearchSpace(known, conditions=kept, fixed=fixed)

    def _of(self, name: str) -> Known:
        if name not in self._known:
            raise InputError(
                f"{dist.show(name)} is no parameter of this space.", f"Allowed: {', '.join(self._known)}."
            )
        return self._known[name]

    def replace(self, name: str, distribution: BaseDistribution) -> SearchSpace:
        """The space with another distribution for a searched parameter."""
        self._of(name)
        return self._with({**self._known, name: distribution})

    def narrow(
        self,
        name: str,
        *,
        low: float | None = None,
        high: float | None = None,
        choices: Iterable[Value] | None = None,
    ) -> SearchSpace:
        """The space with a parameter's range cut to these bounds or choices.

        Raises:
            InputError: The parameter is unknown, or nothing of its range is left.
        """
        known = self._of(name)
        wanted = _wanted(name, known, low, high, choices)
        cut = dist.intersect(wanted, known) if wanted is not None else None
        if cut is None:
            raise InputError(
                f"{dist.show(name)}: nothing of its range is left.", f"Allowed: {dist.allowed(known)}."
            )
        return self.replace(name, cut)

    def widen(
        self,
        name: str,
        *,
        low: float | None = None,
        high: float | None = None,
        choices: Iterable[Value] | None = None,
    ) -> SearchSpace:
        """The space with a parameter's range grown to hold these bounds or choices; it never shrinks."""
        known = self._of(name)
        wanted = _wanted(name, known, low, high, choices)
        if wanted is None:
            raise InputError(f"{dist.show(name)}: low is not below high.", f"Now: {dist.allowed(known)}.")
        return self.replace(name, dist.hull(known, wanted))

    def drop(self, name: str, value: Value) -> SearchSpace:
        """The space with a parameter fixed at a value instead of searched."""
        self._of(name)
        return self._with({n: k for n, k in self._known.items() if n != name}, {**self._fixed, name: value})

    def restore(self, name: str, distribution: BaseDistribution) -> SearchSpace:
        """The space with a fixed (or new) parameter searched again."""
        return self._with(
            {**self._known, name: distribution}, {n: v for n, v in self._fixed.items() if n != name}
        )

    def within(self, outer: SearchSpace) -> SearchSpace:
        """This space cut to an outer one.

        Parameters that ``outer`` lacks are dropped. A range that shares nothing with the outer one becomes
        the outer one, and so does a fixed value that is outside. What is fixed in ``outer`` stays
        fixed there.
        """
        known: dict[str, BaseDistribution] = {}
        fixed: dict[str, Value] = {}
        for name, distribution in self._known.items():
            if name in outer._known:
                known[name] = dist.intersect(distribution, outer._known[name]) or outer._known[name]
        for name, value in self._fixed.items():
            if name in outer._known:
                checked, problem = dist.check(outer._known[name], value, repair=True)
                if problem:
                    known[name] = outer._known[name]
                else:
                    fixed[name] = checked
        fixed |= outer._fixed
        conditions = dict.fromkeys([*outer._conditions, *self._conditions])
        kept = [c for c in conditions if all(n in known or n in fixed for n in (c.param, c.parent))]
        return SearchSpace(known, conditions=kept, fixed=fixed)


_JSON_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _typed(values: Mapping[str, Value]) -> dict[str, tuple[bool, Value]]:
    """Values such that True and 1 differ."""
    return {name: (isinstance(value, bool), value) for name, value in values.items()}


def _comparable(known: Mapping[str, Known]) -> dict[str, object]:
    return {
        name: [(type(c).__name__, c) for c in k.choices] if isinstance(k, CategoricalDistribution) else k
        for name, k in known.items()
    }


def _wanted(
    name: str, known: Known, low: float | None, high: float | None, choices: Iterable[Value] | None
) -> Known | None:
    """The range a user or an LLM asks for, in the kind of ``known``; None when low is above high."""
    if isinstance(known, CategoricalDistribution):
        given = list(choices or ())
        if not given:
            raise InputError(f"{dist.show(name)} needs choices.", f"Now: {dist.allowed(known)}.")
        return dist.choices_of(given)
    if choices is not None:
        raise InputError(f"{dist.show(name)} is a number: give low and high.", f"Now: {dist.allowed(known)}.")
    low = known.low if low is None else low
    high = known.high if high is None else high
    return dist.numeric(known, low, high) if low <= high else None


# --- the outer space and its versions -------------------------------------------------------------------


def outer_of(
    space: SearchSpace,
    prior: SearchSpace | None,
    limits: Mapping[str, tuple[float | None, float | None]],
) -> SearchSpace:
    """The fixed outer space of a run, inside which versions of the space move.

    The hull of ``space`` and ``prior``, widened (ten times on each side of a log scale, one span on each side
    of a linear one), inside the hard limits. Without a limit a range never crosses zero, a whole number that
    starts at 1 or above stays there, and a share that ends at 1 stays below. Categoricals: all choices of
    both. A parameter fixed in one and searched in the other is searched.
    """
    prior = prior if prior is not None else SearchSpace({})
    known: dict[str, BaseDistribution] = {}
    for name in dict.fromkeys([*space, *prior]):
        mine, theirs = space._known.get(name), prior._known.get(name)
        both = dist.hull(mine, theirs) if mine is not None and theirs is not None else mine or theirs
        assert both is not None
        known[name] = both if isinstance(both, CategoricalDistribution) else _widened(both, limits.get(name))
    fixed = {n: v for n, v in {**prior._fixed, **space._fixed}.items() if n not in known}
    conditions = dict.fromkeys([*space.conditions, *prior.conditions])
    kept = [c for c in conditions if all(n in known or n in fixed for n in (c.param, c.parent))]
    return SearchSpace(known, conditions=kept, fixed=fixed)


def _widened(
    known: FloatDistribution | IntDistribution, limit: tuple[float | None, float | None] | None
) -> Known:
    low, high = float(known.low), float(known.high)
    span = high - low
    wide_low, wide_high = (low / 10, high * 10) if known.log else (low - span, high + span)
    if limit is not None:
        floor, ceiling = limit
    else:
        whole = isinstance(known, IntDistribution)
        floor = None if low < 0 else 1.0 if whole and low >= 1 else 0.0
        ceiling = 1.0 if not whole and low >= 0 and high == 1 else 0.0 if high <= 0 else None
    if floor is not None:
        wide_low = min(low, max(wide_low, floor))
    if ceiling is not None:
        wide_high = max(high, min(wide_high, ceiling))
    return dist.numeric(known, wide_low, wide_high)


@dataclass(frozen=True)
class SpaceVersion:
    """One state of an evolving space.

    Attributes:
        version: 0 for the first.
        trial_number: The first trial that uses it.
        reason: Why it was made, one sentence.
        by: ``"prior"``, ``"llm"``, ``"rulebook"`` or ``"user"``.
    """

    version: int
    trial_number: int
    space: SearchSpace
    reason: str
    by: str

    def to_json(self) -> dict[str, Any]:
        """Plain data: version, trial_number, params (see :meth:`SearchSpace.to_json`), reason, by."""
        return {
            "version": self.version,
            "trial_number": self.trial_number,
            **self.space.to_json(),
            "reason": self.reason,
            "by": self.by,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpaceVersion:
        """What :meth:`to_json` wrote. Raises InputError when it is something else."""
        try:
            version, trial_number = int(data["version"]), int(data["trial_number"])
            reason, by = str(data["reason"]), str(data["by"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a space version cannot be read: {type(error).__name__}.") from error
        return cls(version, trial_number, SearchSpace.from_json(data), reason, by)

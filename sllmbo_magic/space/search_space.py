"""The search space: named Optuna distributions with conditions, as an immutable value.

A *configuration* is a dict of the active parameters' values. Fixed parameters are part of the space but not
of a configuration: :meth:`SearchSpace.suggest` adds them. Everything an LLM says passes through
:meth:`SearchSpace.from_json` (a space) or :meth:`SearchSpace.validate` (a configuration): both check all of
it, evaluate nothing, and answer with short sentences.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.options.values import closest
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space import json_schema
from sllmbo_magic.space import serialization
from sllmbo_magic.space import user_space
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.choices import labelled
from sllmbo_magic.space.configurations import Condition
from sllmbo_magic.space.configurations import Configurations
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import Value

__all__ = ["Condition", "SearchSpace", "Value"]


class SearchSpace(Configurations, Mapping[str, BaseDistribution]):
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
        objects: Objects | None = None,
    ) -> None:
        normalized: dict[str, Distribution] = {}
        meanings = {name: dict(labels) for name, labels in (objects or {}).items()}
        for name, distribution in distributions.items():
            normal = dist.normal(distribution)
            if normal is None:
                raise InputError(
                    f"search space: {dist.show(name)} has {dist.show(distribution)} as its distribution.",
                    "Allowed: Optuna's FloatDistribution, IntDistribution, CategoricalDistribution.",
                )
            if isinstance(normal, CategoricalDistribution):
                choices, labels = labelled(name, normal.choices)
                if labels:
                    meanings[name] = labels
                if labels or [*map(type, choices)] != [*map(type, normal.choices)]:
                    normal = CategoricalDistribution(choices)  # no types of numpy, and no enumerations
            normalized[name] = normal
        self._fixed = {}
        for name, value in (fixed or {}).items():
            (self._fixed[name],), labels = labelled(name, [value])
            if labels:
                meanings[name] = {**meanings.get(name, {}), **labels}
        duplicates = sorted(normalized.keys() & self._fixed.keys())
        if duplicates:
            raise InputError(f"search space: {dist.show(duplicates[0])} is both searched and fixed.")
        self._conditions = tuple(dict.fromkeys(conditions))
        self._by_param: dict[str, list[Condition]] = {}
        for condition in self._conditions:
            for name in (condition.param, condition.parent):
                if name not in normalized and name not in self._fixed:
                    raise InputError(
                        f"search space: a condition names {dist.show(name)}, which is no parameter."
                    )
            self._by_param.setdefault(condition.param, []).append(condition)
        self._objects = {n: labels for n, labels in meanings.items() if n in normalized or n in self._fixed}
        self._order = self._parents_first([*normalized, *self._fixed])
        self._distributions = {name: normalized[name] for name in self._order if name in normalized}

    def _parents_first(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names in their order, but each after its parents."""
        order: dict[str, None] = {}
        for start in names:
            stack = [start]
            while stack:
                waiting = [c.parent for c in self._by_param.get(stack[-1], []) if c.parent not in order]
                if stack[-1] in order or not waiting:
                    order[stack.pop()] = None
                elif waiting[0] in stack:
                    raise InputError(f"search space: {dist.show(waiting[0])} depends on itself.")
                else:
                    stack.append(waiting[0])
        return tuple(order)

    # --- reading ---

    @classmethod
    def from_user(cls, space: object) -> SearchSpace:
        """A space as people write it.

        Args:
            space: A SearchSpace; data as :meth:`to_json` gives it; or a dict from names to one of: an Optuna
                distribution; ``(low, high)``, whole numbers if both are; ``(low, high, "log")``; a list of
                choices, which may be objects (see :attr:`objects`); ``range``; an array of choices; a frozen
                ``uniform``, ``loguniform`` or ``randint`` of SciPy; a range of Hyperopt or Ray Tune; typed
                JSON (``{"type": "int", "low": 1, "high": 9}``); one value, which is fixed. Typed JSON with
                ``"if": {"kernel": "poly"}`` (a value, a list of them, or a ``range``; an object or the name
                of its class) is active only then; its range may stand under ``"range"`` in any of the other
                forms.

        Raises:
            InputError: With all problems in one line.
        """
        if isinstance(space, SearchSpace):
            return space
        (distributions, conditions, fixed), objects = user_space.parts_from_user(space)
        return cls(distributions, conditions=conditions, fixed=fixed, objects=objects)

    @classmethod
    def from_json(cls, data: object) -> SearchSpace:
        """The space that :meth:`to_json` wrote, from unchecked data (a dict with ``params`` or that list).

        A range whose low equals its high is one value. Unknown keys and null are ignored. At most 500
        parameters, 200 choices each.

        Raises:
            InputError: With all problems in one line of bounded length.
        """
        distributions, conditions, fixed = serialization.parts_from_json(data)
        return cls(distributions, conditions=conditions, fixed=fixed)

    def to_json(self) -> dict[str, Any]:
        """``{"params": [...]}``, one dict per parameter with the keys that apply.

        Keys: ``name``, ``type`` (float, int, categorical), ``low``, ``high``, ``log``, ``step``, ``choices``,
        ``when`` (``{"param", "in"}``, a list of these if several), ``fixed`` (then without a range).
        """
        searched = [
            serialization.param_to_json(name, distribution, self._by_param.get(name, ()))
            for name, distribution in self._distributions.items()
        ]
        fixed = [
            serialization.fixed_to_json(name, value, self._by_param.get(name, ()))
            for name, value in self._fixed.items()
        ]
        return {"params": searched + fixed}

    def configuration_schema(self, *, bounds: bool = False, ranges: bool = True) -> dict[str, Any]:
        """JSON Schema of one whole configuration.

        All parameters are required and no others allowed, as OpenAI's strict mode asks; a parameter with a
        condition may be null. Ranges are in the descriptions; ``bounds=True`` adds minimum and maximum, which
        Anthropic's and OpenAI's strict modes do not take. ``ranges=False`` leaves the ranges out of the
        descriptions, for a prompt that has them.
        """
        properties = {
            name: json_schema.param_schema(
                distribution, self.conditions_of(name), bounds=bounds, ranges=ranges
            )
            for name, distribution in self._distributions.items()
        }
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    # --- the mapping ---

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The searched parameters, parents first."""
        return dict(self._distributions)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self._conditions

    @property
    def fixed(self) -> dict[str, Value]:
        """Parameters that are not searched, with their values."""
        return dict(self._fixed)

    @property
    def objects(self) -> Objects:
        """The objects among the choices: parameter -> label -> object. The space itself has the labels."""
        return self._objects

    def __getitem__(self, name: str) -> BaseDistribution:
        return self._distributions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._distributions)

    def __len__(self) -> int:
        return len(self._distributions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        return (
            _comparable(self._distributions) == _comparable(other._distributions)
            and set(self._conditions) == set(other._conditions)
            and _typed(self._fixed) == _typed(other._fixed)
        )

    def __hash__(self) -> int:
        return hash((frozenset(self._distributions), frozenset(self._conditions), frozenset(self._fixed)))

    def __repr__(self) -> str:
        ranges = [
            f"{name}: {dist.allowed(distribution)}" for name, distribution in self._distributions.items()
        ]
        ranges += [f"{name}: fixed {dist.show(value)}" for name, value in self._fixed.items()]
        return f"SearchSpace({'; '.join(ranges)})"

    def conditions_of(self, name: str) -> list[Condition]:
        """The conditions of one parameter, with those values only that its parent can have in this space."""
        conditions = []
        for c in self._by_param.get(name, ()):
            values = tuple(value for value in c.values if self._may_have(c.parent, value))
            conditions.append(Condition(c.param, c.parent, values or c.values))
        return conditions

    def _may_have(self, name: str, value: Value) -> bool:
        if name in self._fixed:
            return dist.same(self._fixed[name], value)
        return self.contains(name, value)

    # --- other spaces from this one ---

    def _with(
        self,
        distributions: Mapping[str, BaseDistribution],
        fixed: Mapping[str, Value] | None = None,
        conditions: Iterable[Condition] | None = None,
    ) -> SearchSpace:
        fixed = self._fixed if fixed is None else fixed
        remaining = [
            c
            for c in (self._conditions if conditions is None else conditions)
            if all(n in distributions or n in fixed for n in (c.param, c.parent))
        ]
        return SearchSpace(distributions, conditions=remaining, fixed=fixed, objects=self._objects)

    def no_parameter(self, name: str) -> InputError:
        """The error that names what is searched where a user names something else."""
        if name in self._fixed:
            return InputError(
                f"{name} is held at {dist.show(self._fixed[name])} in the search space, not searched.",
                f"Searched: {', '.join(self)}.",
            )
        hint = f"{closest(name, self)}It has: {', '.join(self)}."
        return InputError(f"the search space has no parameter {name!r}.", hint)

    def _searched(self, name: str) -> Distribution:
        if name not in self._distributions:
            raise InputError(
                f"{dist.show(name)} is no parameter of this space.",
                f"Allowed: {', '.join(self._distributions)}.",
            )
        return self._distributions[name]

    def replace(self, name: str, distribution: BaseDistribution) -> SearchSpace:
        """The space with another distribution for a searched parameter."""
        self._searched(name)
        return self._with({**self._distributions, name: distribution})

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
        current = self._searched(name)
        requested = _requested(name, current, low, high, choices)
        cut = dist.intersect(requested, current) if requested is not None else None
        if cut is None:
            raise InputError(
                f"{dist.show(name)}: nothing of its range is left.", f"Allowed: {dist.allowed(current)}."
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
        current = self._searched(name)
        requested = _requested(name, current, low, high, choices)
        if requested is None:
            raise InputError(f"{dist.show(name)}: low is not below high.", f"Now: {dist.allowed(current)}.")
        return self.replace(name, dist.hull(current, requested))

    def drop(self, name: str, value: Value) -> SearchSpace:
        """The space with a parameter fixed at a value instead of searched."""
        self._searched(name)
        (value,) = encoded({name: value}, self._objects).values()
        return self._with(
            {n: k for n, k in self._distributions.items() if n != name}, {**self._fixed, name: value}
        )

    def held(self, params: Mapping[str, Any]) -> SearchSpace:
        """The space with these parameters fixed, as far as it searches them and allows the values; itself
        where there is none of them.
        """
        space = self
        params = encoded(params, self._objects)
        for name in self._distributions.keys() & params.keys():
            value, problem = self.check(name, params[name])
            space = space if problem else space.drop(name, value)
        return space

    def without(self, names: Collection[str]) -> SearchSpace:
        """Without these parameters, which are neither searched nor held fixed any more."""
        return SearchSpace(
            {n: d for n, d in self.distributions.items() if n not in names},
            conditions=[c for c in self.conditions if c.param not in names and c.parent not in names],
            fixed={n: v for n, v in self.fixed.items() if n not in names},
            objects=self._objects,
        )

    def subspace(self, names: Iterable[str]) -> SearchSpace:
        """Only these of the searched parameters, with the conditions among them; nothing is fixed."""
        distributions = {name: self._distributions[name] for name in names if name in self._distributions}
        conditions = [c for c in self._conditions if c.param in distributions and c.parent in distributions]
        return SearchSpace(distributions, conditions=conditions)

    def restore(
        self, name: str, distribution: BaseDistribution, conditions: Iterable[Condition] = ()
    ) -> SearchSpace:
        """The space with a fixed (or new) parameter searched again, under these conditions as well."""
        return self._with(
            {**self._distributions, name: distribution},
            {n: v for n, v in self._fixed.items() if n != name},
            (*self._conditions, *conditions),
        )

    def within(self, outer: SearchSpace) -> SearchSpace:
        """This space cut to an outer one.

        Parameters that ``outer`` lacks are dropped. A range that shares nothing with the outer one becomes
        the outer one, and so does a fixed value that is outside. What is fixed in ``outer`` stays
        fixed there.
        """
        distributions: dict[str, BaseDistribution] = {}
        fixed: dict[str, Value] = {}
        for name, distribution in self._distributions.items():
            if name in outer._distributions:
                distributions[name] = (
                    dist.intersect(distribution, outer._distributions[name]) or outer._distributions[name]
                )
        for name, value in self._fixed.items():
            if name in outer._distributions:
                value_in_outer, problem = dist.check(outer._distributions[name], value, repair=True)
                if problem:
                    distributions[name] = outer._distributions[name]
                else:
                    fixed[name] = value_in_outer
        fixed |= outer._fixed
        conditions = dict.fromkeys([*outer._conditions, *self._conditions])
        remaining = [
            c for c in conditions if all(n in distributions or n in fixed for n in (c.param, c.parent))
        ]
        return SearchSpace(
            distributions, conditions=remaining, fixed=fixed, objects={**outer._objects, **self._objects}
        )


def _typed(values: Mapping[str, Value]) -> dict[str, tuple[bool, Value]]:
    """Values such that True and 1 differ."""
    return {name: (isinstance(value, bool), value) for name, value in values.items()}


def _comparable(distributions: Mapping[str, Distribution]) -> dict[str, object]:
    return {
        name: [(type(c).__name__, c) for c in distribution.choices]
        if isinstance(distribution, CategoricalDistribution)
        else distribution
        for name, distribution in distributions.items()
    }


def _requested(
    name: str, current: Distribution, low: float | None, high: float | None, choices: Iterable[Value] | None
) -> Distribution | None:
    """The range a user or an LLM asks for, in the kind of ``current``; None when low is above high."""
    if isinstance(current, CategoricalDistribution):
        values = list(choices or ())
        if not values:
            raise InputError(f"{dist.show(name)} needs choices.", f"Now: {dist.allowed(current)}.")
        return dist.choices_of(values)
    if choices is not None:
        raise InputError(
            f"{dist.show(name)} is a number: give low and high.", f"Now: {dist.allowed(current)}."
        )
    low = current.low if low is None else low
    high = current.high if high is None else high
    return dist.numeric(current, low, high) if low <= high else None

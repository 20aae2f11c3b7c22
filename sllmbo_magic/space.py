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
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from sllmbo_magic import _distributions as dist
from sllmbo_magic import _space_json as data_form
from sllmbo_magic._configurations import Condition
from sllmbo_magic._configurations import Configurations
from sllmbo_magic._distributions import Known
from sllmbo_magic._distributions import Value
from sllmbo_magic.errors import InputError

__all__ = ["Condition", "SearchSpace", "SpaceVersion", "Value", "outer_of"]


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
        self._conditions = tuple(dict.fromkeys(conditions))
        self._by_param: dict[str, list[Condition]] = {}
        for condition in self._conditions:
            for name in (condition.param, condition.parent):
                if name not in known and name not in self._fixed:
                    raise InputError(
                        f"search space: a condition names {dist.show(name)}, which is no parameter."
                    )
            self._by_param.setdefault(condition.param, []).append(condition)
        self._order = self._parents_first([*known, *self._fixed])
        self._known = {name: known[name] for name in self._order if name in known}

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
        properties = {
            name: data_form.param_schema(known, self._by_param.get(name, ()), bounds=bounds)
            for name, known in self._known.items()
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

    def without(self, names: Collection[str]) -> SearchSpace:
        """Without these parameters, which are neither searched nor held fixed any more."""
        return SearchSpace(
            {n: d for n, d in self.distributions.items() if n not in names},
            conditions=[c for c in self.conditions if c.param not in names and c.parent not in names],
            fixed={n: v for n, v in self.fixed.items() if n not in names},
        )

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
        known[name] = (
            both if isinstance(both, CategoricalDistribution) else dist.widened(both, limits.get(name))
        )
    fixed = {n: v for n, v in {**prior._fixed, **space._fixed}.items() if n not in known}
    conditions = dict.fromkeys([*space.conditions, *prior.conditions])
    kept = [c for c in conditions if all(n in known or n in fixed for n in (c.param, c.parent))]
    return SearchSpace(known, conditions=kept, fixed=fixed)


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

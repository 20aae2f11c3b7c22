"""What one configuration means in a search space: when a parameter is active, whether values are allowed, and
where they lie.

A *configuration* is a dict of the active parameters' values; fixed parameters are not part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import overload

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

_MAX_PROBLEMS = 10
_SAME_POINT = 1e-6
"""Of a step: two numbers that are closer are one point of a grid."""
_SMALL_PART = 0.02
"""Of the high end of a linear scale: below it, a thousandth of the range is a large part of a value."""


@dataclass(frozen=True)
class Condition:
    """``param`` is active only while ``parent`` is active and its value is one of ``values``."""

    param: str
    parent: str
    values: tuple[Value, ...]


class Configurations:
    """The part of a search space that reads, checks and makes configurations."""

    _distributions: dict[str, Distribution]
    """The searched parameters, parents first."""
    _fixed: dict[str, Value]
    _order: tuple[str, ...]
    """Both, parents first."""
    _by_param: dict[str, list[Condition]]
    """The conditions of each parameter that has any."""
    _objects: Objects

    def _holds(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether the conditions of a parameter hold, given the values of all active ones before it."""
        return all(
            condition.parent in values
            and any(self._meets(condition, values[condition.parent], value) for value in condition.values)
            for condition in self._by_param.get(name, ())
        )

    def _meets(self, condition: Condition, value: Any, wanted: Value) -> bool:
        """Whether a parent has one of its condition's values: on a grid of floats 0.30000000000000004, which
        is how Optuna adds up three steps of 0.1, is 0.3.
        """
        if dist.same(value, wanted):
            return True
        parent = self._distributions.get(condition.parent)
        if not isinstance(parent, FloatDistribution) or parent.step is None:
            return False
        one, other = dist.number_in(value), dist.number_in(wanted)
        return one is not None and other is not None and abs(one - other) <= _SAME_POINT * parent.step

    def with_fixed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The active parameters and, last, the fixed ones: what the estimator is given."""
        values = self._known_and_active(params)
        return self._without_fixed(values) | values

    def active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Without inactive, fixed and unknown parameters, in the space's order."""
        return self._without_fixed(self._known_and_active(params))

    def _known_and_active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in self._order:
            source = self._fixed if name in self._fixed else params
            if name in source and (name not in self._by_param or self._holds(name, values)):
                values[name] = source[name]
        return values

    def _without_fixed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name in self._distributions}

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
        values: dict[str, Value] = {}
        broken: set[str] = set()
        for name in self._order:
            if any(condition.parent in broken for condition in self._by_param.get(name, ())):
                broken.add(name)  # its parent is already a problem
            elif not self._holds(name, values):
                continue
            elif name in self._fixed:
                values[name] = self._fixed[name]
            else:
                value, problem = self._check(name, params, repair)
                if problem:
                    problems.append(f"{name}: {problem}")
                    broken.add(name)
                else:
                    values[name] = value
        problems += self._not_searched(params)
        if len(problems) > _MAX_PROBLEMS:
            more = len(problems) - _MAX_PROBLEMS + 1
            problems = [*problems[: _MAX_PROBLEMS - 1], f"and {more} more problems"]
        return (None if problems else self.active(values)), problems

    def _not_searched(self, params: Mapping[Any, Any]) -> list[str]:
        """A sentence for each fixed parameter with another value, and each that the space does not have."""
        problems = []
        for name, value in params.items():
            if name in self._fixed:
                if value is not None and not dist.same(dist.plain(value)[0], self._fixed[name]):
                    fixed = dist.show(self._fixed[name])
                    problems.append(f"{name}: is fixed at {fixed}, not {dist.show(value)}")
            elif name not in self._distributions:
                problems.append(f"{dist.show(name)}: is no parameter of this space")
        return problems

    def _check(self, name: str, params: Mapping[Any, Any], repair: bool) -> tuple[Value, str]:
        if name not in params:
            return None, f"is missing; allowed: {dist.allowed(self._distributions[name])}"
        return dist.check(self._distributions[name], params[name], repair=repair)

    @overload
    def contains(self, params: object, /) -> bool: ...

    @overload
    def contains(self, name: str, value: object, /) -> bool: ...

    def contains(self, *args: object) -> bool:
        """Whether a configuration is one of the space exactly as it is: ``contains(params)``; or whether a
        value lies in the range of one searched parameter: ``contains(name, value)``.
        """
        if len(args) == 2:
            name, value = args
            return (
                name in self._distributions
                and not dist.check(self._distributions[str(name)], value, repair=False)[1]
            )
        return self.validate(args[0], repair=False)[0] is not None

    # One parameter

    def check(self, name: str, value: object, *, repair: bool = True) -> tuple[Value, str]:
        """An unchecked value of one searched parameter -> ``(value, "")`` or ``(None, what is wrong)``.

        Args:
            repair: As for :meth:`validate`.

        Raises:
            KeyError: The parameter is not searched.
        """
        return dist.check(self._distributions[name], value, repair=repair)

    def clip_value(self, name: str, value: object) -> Value:
        """The nearest valid value of one searched parameter; the centre of its range when there is none near
        (wrong kind, NaN).
        """
        return dist.clip(self._distributions[name], value)

    def position(self, name: str, value: Value) -> float:
        """Where a value lies on the scale of one searched parameter, 0 to 1; see :meth:`to_unit`."""
        return dist.to_unit(self._distributions[name], value)

    def value_at(self, name: str, position: float) -> Value:
        """The value of one searched parameter at a position on its scale, 0 to 1."""
        return dist.from_unit(self._distributions[name], position)

    # Whole configurations

    def clip(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """The nearest configuration; what is missing or of the wrong kind gets the centre of its range.

        For configurations made by code; what an LLM says goes through :meth:`validate`.
        """
        return self.active(
            {
                n: dist.clip(distribution, params[n] if n in params else float("nan"))
                for n, distribution in self._distributions.items()
            }
        )

    def complete(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """With the centre of its range for every parameter that is inactive or missing (for joint models)."""
        values = self.active(params)
        return {
            name: values[name] if name in values else dist.centre(distribution)
            for name, distribution in self._distributions.items()
        }

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """A configuration from an Optuna trial: parents first, conditions respected, fixed values last.

        The trial records the label of an object among the choices (inf and NaN are such, too); this returns
        the object.
        """
        return decoded(self.suggest_labels(trial), self._objects)

    def suggest_labels(self, trial: BaseTrial) -> dict[str, Value]:
        """As :meth:`suggest`, with the labels of objects."""
        params: dict[str, Value] = {}
        for name in self._order:
            if not self._holds(name, params):
                continue
            if name in self._fixed:
                params[name] = self._fixed[name]
                continue
            distribution = self._distributions[name]
            if isinstance(distribution, CategoricalDistribution):
                params[name] = trial.suggest_categorical(name, distribution.choices)
            elif isinstance(distribution, IntDistribution):
                params[name] = trial.suggest_int(
                    name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
                )
            else:
                params[name] = trial.suggest_float(
                    name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
                )
        return self.with_fixed(params)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A configuration, uniform on each parameter's scale."""
        return self.from_unit(rng.random(len(self._distributions)))

    def to_unit(self, params: Mapping[str, Any]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Positions on the scales, shape (n_params,), 0 to 1: log-aware, a choice in the middle of its bin,
        0.5 for what is inactive or missing; values outside a range are at its end."""
        values = self.active(params)
        return np.array(
            [
                dist.to_unit(distribution, values[name]) if name in values else 0.5
                for name, distribution in self._distributions.items()
            ],
            dtype=np.float64,
        )

    def from_unit(self, u: Iterable[float]) -> dict[str, Value]:
        """The configuration at these positions, shape (n_params,); inactive parameters are left out."""
        positions = [float(x) for x in u]
        if len(positions) != len(self._distributions):
            raise ValueError(f"{len(positions)} positions for {len(self._distributions)} parameters")
        return self.active(
            {
                name: dist.from_unit(distribution, x)
                for (name, distribution), x in zip(self._distributions.items(), positions, strict=True)
            }
        )

    def key(self, params: Mapping[str, Any]) -> tuple[float | int | str | None, ...]:
        """Equal for configurations that mean the same: positions rounded to a thousandth of the range (near
        the zero of a linear scale, values rounded to two digits), the index of a choice, None for what is
        inactive."""
        values = self.active(params)
        parts: list[float | int | str | None] = []
        for name, distribution in self._distributions.items():
            if name not in values:
                parts.append(None)
            elif isinstance(distribution, CategoricalDistribution):
                parts.append(dist.index_of(distribution, values[name]))
            else:
                position = dist.to_unit(distribution, values[name])
                # 0.001 and 0.004 are not the same on a linear scale that ends at 10
                is_small = not distribution.log and abs(values[name]) < _SMALL_PART * distribution.high
                parts.append(f"{values[name]:.2g}" if is_small else round(position, 3))
        return tuple(parts)

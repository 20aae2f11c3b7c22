"""What may come into a search space from beyond the outer one, in a run that can go on in a new study.

An LLM may bring in a category that the estimator says it takes, and a parameter of the estimator that is open
to it; never a wider range of numbers, for the outer one already is as wide as makes sense, and nothing beyond
a search space that the user wrote. The user may have anything that the estimator's parameters can be.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic import _distributions as dist
from sllmbo_magic._space_json import MAX_CHOICES
from sllmbo_magic.errors import InputError
from sllmbo_magic.history import number as show
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import outer_of

_LOG_FROM = 100
"""A new range whose high is so many times its low is searched on a log scale."""


def _nobody_says(name: str, value: Any) -> bool | None:
    return None


@dataclass(frozen=True)
class Beyond:
    """What is known of the estimator beyond the outer space.

    Attributes:
        names: Parameters that an LLM may add.
        by_llm: Whether an LLM may bring in anything at all.
        defaults: The estimator's own plain values, by name.
        limits: Hard limits of single parameters.
        accepts: (name, value) -> whether the estimator says that it takes it; None when nobody says.
        check: Raises InputError for a name that is no parameter of the estimator; None: there is no
            estimator, so no new name.
    """

    names: tuple[str, ...] = ()
    by_llm: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    accepts: Callable[[str, Any], bool | None] = _nobody_says
    check: Callable[[list[str]], None] | None = None


def for_llm(outer: SearchSpace, change: Mapping[str, Any], beyond: Beyond) -> SearchSpace:
    """The outer space with what one of an LLM's changes asks for beyond it and may have.

    Raises:
        InputError: It asks for something that it may not have.
    """
    name, action = change["name"], change.get("action")
    known = _known(outer, name)
    if known is None:
        if action != "add" or name not in beyond.names or name in outer.fixed:
            raise InputError("it is no open parameter")
        one = new_parameter(name, change, beyond)
        refused = [v for v in _values(one, name) if beyond.accepts(name, v) is False]
        if refused:
            raise InputError(f"the estimator does not take {show(refused[0])}")
        wide = outer_of(one, None, beyond.limits)
        fits = all(beyond.accepts(name, v) is not False for v in _values(wide, name)) and _can_be_read(wide)
        return outer.restore(name, (wide if fits else one)[name])
    if action not in ("widen", "add") or not isinstance(known, CategoricalDistribution):
        return outer
    return with_choices(outer, name, [c for c in _listed(change.get("choices")) if beyond.accepts(name, c)])


def for_user(outer: SearchSpace, wish: Mapping[str, Any], beyond: Beyond) -> SearchSpace:
    """The outer space grown to hold a range that the user asks for.

    Args:
        wish: ``param``, and ``choices`` or ``low`` and ``high``.

    Raises:
        InputError: The parameter is unknown, the range is of another kind or leaves the hard limits.
    """
    name = wish["param"]
    known = _known(outer, name)
    if known is None and beyond.check is None:
        raise InputError(f"the search space has no parameter {name!r}.", f"It has: {', '.join(outer)}.")
    if known is None:
        assert beyond.check is not None
        beyond.check([name])
        new = _known(new_parameter(name, wish, beyond), name)
        assert new is not None
        if not isinstance(new, CategoricalDistribution):
            _check_limits(name, wish, None, beyond)
        return outer.restore(name, new)
    if isinstance(known, CategoricalDistribution):
        return with_choices(outer, name, wish["choices"]) if "choices" in wish else outer
    if "choices" in wish:
        return outer
    _check_limits(name, wish, known, beyond)
    low, high = min(wish["low"], known.low), max(wish["high"], known.high)
    return outer.replace(name, dist.hull(known, dist.numeric(known, low, high)))


def _check_limits(name: str, wish: Mapping[str, Any], known: dist.Numeric | None, beyond: Beyond) -> None:
    """Raises InputError where a range of numbers leaves what the estimator takes."""
    floor, ceiling = beyond.limits.get(name, (None, None))
    for end in (wish["low"], wish["high"]):
        if known is not None and known.low <= end <= known.high:
            continue
        out = (floor is not None and end < floor) or (ceiling is not None and end > ceiling)
        kinds = [end, int(end)] if end == int(end) else [end]  # a whole bound, whatever the kind of the range
        if out or all(beyond.accepts(name, value) is False for value in kinds):
            now = "" if known is None else f"Now at the widest: {dist.allowed(known)}."
            raise InputError(f"{name}: {end:g} is nothing that the estimator takes.", now)


def new_parameter(name: str, given: Mapping[str, Any], beyond: Beyond) -> SearchSpace:
    """A space of one parameter from low and high, or choices; its kind is the estimator's own value's."""
    entry: dict[str, Any] = {"name": name}
    if given.get("choices") is not None:
        entry |= {"type": "categorical", "choices": given["choices"]}
    else:
        low, high = given.get("low"), given.get("high")
        default = beyond.defaults.get(name)
        whole = all(isinstance(end, int | float) and end % 1 == 0 for end in (low, high))
        kind = "float" if isinstance(default, float) or not whole else "int"
        log = isinstance(low, int | float) and isinstance(high, int | float) and 0 < _LOG_FROM * low <= high
        entry |= {"type": kind, "low": low, "high": high, "log": log}
    return SearchSpace.from_json({"params": [entry]})


def with_choices(outer: SearchSpace, name: str, choices: list[Any]) -> SearchSpace:
    """The outer space with further choices of a categorical parameter."""
    known = outer[name]
    assert isinstance(known, CategoricalDistribution)
    new = [c for c in choices if dist.check(known, c, repair=True)[1]]
    if not new:
        return outer
    wanted = SearchSpace.from_json({"params": [{"name": name, "type": "categorical", "choices": new}]})[name]
    assert isinstance(wanted, CategoricalDistribution)
    if len(known.choices) + len(wanted.choices) > MAX_CHOICES:
        raise InputError(f"{name} would have more than {MAX_CHOICES} choices.")
    return outer.replace(name, dist.choices_of(known.choices, wanted.choices))


def joined(one: SearchSpace, other: SearchSpace) -> SearchSpace:
    """The outer space that holds what both hold, in the order of ``one``."""
    known = one.distributions
    for name in other:
        mine, theirs = _known(one, name), _known(other, name)
        assert theirs is not None
        known[name] = theirs if mine is None else dist.hull(mine, theirs)
    fixed = {n: v for n, v in {**other.fixed, **one.fixed}.items() if n not in known}
    return SearchSpace(known, conditions=(*one.conditions, *other.conditions), fixed=fixed)


def gained(before: SearchSpace, after: SearchSpace) -> str:
    """What an outer space has that an earlier one had not, in words."""
    parts = []
    for name in after:
        had, has = _known(before, name), _known(after, name)
        assert has is not None
        if had is None:
            parts.append(f"{name} is new: {dist.allowed(has)}")
        elif isinstance(has, CategoricalDistribution):
            new = [c for c in has.choices if dist.check(had, c, repair=False)[1]]
            parts += [f"{name} gains {', '.join(map(show, new))}"] if new else []
        elif has != had:
            parts.append(f"{name} may be {dist.allowed(has)}")
    return "; ".join(parts)


def _can_be_read(space: SearchSpace) -> bool:
    """Whether a later process can read the space back: no number is beyond all bounds."""
    try:
        return SearchSpace.from_json(space.to_json()) == space
    except InputError:
        return False


def _known(space: SearchSpace, name: str) -> dist.Known | None:
    return dist.normal(space[name]) if name in space else None


def _listed(given: Any) -> list[Any]:
    if not isinstance(given, list):
        return []
    return [c for c in given[:MAX_CHOICES] if isinstance(c, str | bool | int | float) or c is None]


def _values(space: SearchSpace, name: str) -> list[Any]:
    """The choices of a parameter, or the ends of its range."""
    known = _known(space, name)
    if isinstance(known, CategoricalDistribution):
        return list(known.choices)
    return [] if known is None else [known.low, known.high]

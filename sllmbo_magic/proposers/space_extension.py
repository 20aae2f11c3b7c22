"""What may come into a search space from outside the outer one, in a run that can go on in a new study.

An LLM may add a category that the estimator declares, and a parameter of the estimator that is open
to it; never a wider range of numbers, for the outer one already is as wide as makes sense, and nothing
outside a search space that the user wrote. The user may have anything that the estimator's parameters can be.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.errors import InputError
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.changes import Add
from sllmbo_magic.space.changes import Drop
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.changes import SpaceChange
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.layers import are_layers
from sllmbo_magic.space.layers import canonical
from sllmbo_magic.space.outer_space import outer_of
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.serialization import MAX_CHOICES

_WORDS = {"true": True, "false": False, "none": None, "null": None}
_LOG_FROM = 100
"""A new range whose high is so many times its low is searched on a log scale, unless ``log`` is given."""


def _unknown(name: str, value: Any) -> bool | None:
    return None


@dataclass(frozen=True)
class ExtensionPolicy:
    """What a run may take into its space from outside the outer one.

    Attributes:
        names: Parameters that an LLM may add.
        by_llm: Whether an LLM may bring in anything at all.
        defaults: The estimator's own plain values, by name.
        limits: Hard limits of single parameters.
        accepts: (name, value) -> whether the estimator declares that it takes the value; None when it
            declares nothing.
        keeps_choices: Whether no categorical parameter takes further choices.
        check: Raises InputError for a name that is no parameter of the estimator; None: there is no
            estimator, so no new name.
    """

    names: tuple[str, ...] = ()
    by_llm: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    accepts: Callable[[str, Any], bool | None] = _unknown
    keeps_choices: bool = False
    check: Callable[[list[str]], None] | None = None


def extended(outer: SearchSpace, change: SpaceChange, policy: ExtensionPolicy) -> SearchSpace:
    """The outer space with what one of an LLM's changes asks for outside it and may have.

    Raises:
        InputError: It asks for something that it may not have.
    """
    name = change.name
    present = _distribution(outer, name)
    if present is None:
        if not isinstance(change, Add) or name not in policy.names or name in outer.fixed:
            raise InputError("it is no open parameter")
        space = new_parameter(_with_meant_choices(change, policy), policy)
        refused_values = [v for v in _values(space, name) if policy.accepts(name, v) is False]
        if refused_values:
            raise InputError(f"the estimator does not take {show(refused_values[0])}")
        wide = outer_of(space, None, policy.limits)
        fits = all(policy.accepts(name, v) is not False for v in _values(wide, name))
        return outer.restore(name, (wide if fits and _is_readable(wide) else space)[name])
    if isinstance(change, Drop | Narrow) or not isinstance(present, CategoricalDistribution):
        return outer
    choices = [meant(policy, name, choice) for choice in change.choices or ()]
    return with_choices(outer, name, [choice for choice in choices if policy.accepts(name, choice)])


def _with_meant_choices(change: Add, policy: ExtensionPolicy) -> Add:
    if change.choices is None:
        return change
    return replace(change, choices=tuple(meant(policy, change.name, choice) for choice in change.choices))


def meant(policy: ExtensionPolicy, name: str, value: Any) -> Any:
    """A value that is written as text, where the estimator takes the value and not the text: ``"true"``,
    ``"none"``, ``"0.5"``.
    """
    if not isinstance(value, str) or policy.accepts(name, value) is not False:
        return value
    number = dist.number_in(value)
    number = int(number) if isinstance(number, float) and number.is_integer() else number
    typed = _WORDS.get(value.strip().lower(), number)
    known = value.strip().lower() in _WORDS or number is not None
    return typed if known and policy.accepts(name, typed) is not False else value


def users_choices(
    outer: SearchSpace, name: str, choices: Iterable[Any], policy: ExtensionPolicy
) -> list[dist.Value]:
    """The choices that a user means: those of the outer space as it has them (objects as their labels), new
    ones as the estimator takes them.

    Raises:
        InputError: A new one is an object, which a run cannot take in, or no new one can come in.
    """
    present = _distribution(outer, name)
    if isinstance(present, dist.Numeric) or (present is None and policy.check is None):
        return [*choices]  # it takes no choices at all, which is said elsewhere
    return [_users_choice(outer, name, choice, policy) for choice in choices]


def _users_choice(outer: SearchSpace, name: str, choice: Any, policy: ExtensionPolicy) -> dist.Value:
    problem = ""
    (choice,) = encoded({name: choice}, outer.objects).values()
    if name in outer:
        value, problem = outer.check(name, choice)
        if problem and isinstance(choice, int | float):
            value, problem = outer.check(name, str(choice))  # choices may be texts of numbers
        if not problem:
            return value
        if policy.keeps_choices:
            hint = (
                "The objective suggests its choices itself: add one there and in search_space, for a new run."
            )
            raise InputError(f"{name}: {problem}.", hint)
        if are_layers(_values(outer, name)):
            choice = canonical(choice)
    value, is_plain = dist.plain(meant(policy, name, choice))
    if not is_plain:
        raise InputError(
            f"{name}: {problem or f'{dist.show(choice)} is no choice'}.",
            "A new choice is a text, a number, True, False or None; an object has to stand in search_space.",
        )
    return value


def for_user(outer: SearchSpace, command: Mapping[str, Any], policy: ExtensionPolicy) -> SearchSpace:
    """The outer space extended so that it holds a range that the user asks for.

    Args:
        command: ``param``, and ``choices`` (see :func:`users_choices`) or ``low`` and ``high``.

    Raises:
        InputError: The parameter is unknown, the range is of another kind or leaves the hard limits.
    """
    name = command["param"]
    present = _distribution(outer, name)
    if present is None and policy.check is None:
        raise outer.no_parameter(name)
    if present is None:
        assert policy.check is not None
        policy.check([name])
        choices = command.get("choices")
        add = Add(
            name,
            low=command.get("low"),
            high=command.get("high"),
            choices=None if choices is None else tuple(choices),
        )
        new = _distribution(new_parameter(add, policy), name)
        assert new is not None
        if not isinstance(new, CategoricalDistribution):
            _check_limits(name, command, new, policy, is_new=True)
        return outer.restore(name, new)
    if isinstance(present, CategoricalDistribution):
        return with_choices(outer, name, command["choices"]) if "choices" in command else outer
    if "choices" in command:
        return outer
    _check_limits(name, command, present, policy)
    low, high = min(command["low"], present.low), max(command["high"], present.high)
    return outer.replace(name, dist.hull(present, dist.numeric(present, low, high)))


def _check_limits(
    name: str,
    command: Mapping[str, Any],
    like: dist.Numeric,
    policy: ExtensionPolicy,
    *,
    is_new: bool = False,
) -> None:
    """Raises InputError where a range of numbers leaves what the estimator declares to take; where it
    declares nothing, the hard limits.

    Args:
        like: The parameter's outer range; a new one's range, which says its kind.
    """
    floor, ceiling = policy.limits.get(name, (None, None))
    now = "" if is_new else f"Now at the widest: {dist.allowed(like)}."
    for end in (command["low"], command["high"]):
        if not is_new and like.low <= end <= like.high:
            continue
        is_whole = isinstance(like, IntDistribution) and end == int(end)
        declared = policy.accepts(name, int(end) if is_whole else float(end))
        if declared is False:
            raise InputError(f"{name}: {end:g} is nothing that the estimator takes.", now)
        out = (floor is not None and end < floor) or (ceiling is not None and end > ceiling)
        if out and declared is None:
            raise InputError(
                f"{name}: {end:g} is out of range, and the estimator declares no limits of its own.",
                f"Allowed: {_limits(floor, ceiling)}. Others have to stand in search_space, for a new run.",
            )


def _limits(floor: float | None, ceiling: float | None) -> str:
    if floor is None or ceiling is None:
        return f"at most {ceiling:g}" if floor is None else f"at least {floor:g}"
    return f"{floor:g} to {ceiling:g}"


def new_parameter(change: Add, policy: ExtensionPolicy) -> SearchSpace:
    """A space of one parameter from an addition; what it leaves open follows from the range and
    the estimator's default.

    Raises:
        InputError: It gives no usable range.
    """
    entry: dict[str, Any] = {"name": change.name}
    if change.choices is not None:
        entry |= {"type": "categorical", "choices": list(change.choices)}
    else:
        low, high = change.low, change.high
        is_integer = all(isinstance(end, int | float) and end % 1 == 0 for end in (low, high))
        is_float = isinstance(policy.defaults.get(change.name), float) or not is_integer
        kind = change.kind if change.kind in ("float", "int") else "float" if is_float else "int"
        is_wide = low is not None and high is not None and 0 < _LOG_FROM * low <= high
        log = is_wide if change.log is None else change.log
        entry |= {"type": kind, "low": low, "high": high, "log": log}
    return SearchSpace.from_json({"params": [entry]})


def with_choices(outer: SearchSpace, name: str, choices: Iterable[Any]) -> SearchSpace:
    """The outer space with further choices of a categorical parameter."""
    present = outer[name]
    assert isinstance(present, CategoricalDistribution)
    new = [c for c in choices if outer.check(name, c)[1]]
    if are_layers(present.choices):
        new = list(dict.fromkeys(canonical(choice) for choice in new))
    if not new:
        return outer
    entry = {"name": name, "type": "categorical", "choices": new}
    addition = SearchSpace.from_json({"params": [entry]})[name]
    assert isinstance(addition, CategoricalDistribution)
    if len(present.choices) + len(addition.choices) > MAX_CHOICES:
        raise InputError(f"{name} would have more than {MAX_CHOICES} choices.")
    return outer.replace(name, dist.choices_of(present.choices, addition.choices))


def joined(one: SearchSpace, other: SearchSpace) -> SearchSpace:
    """The outer space that holds what both hold, in the order of ``one``."""
    distributions = one.distributions
    for name in other:
        in_one, in_other = _distribution(one, name), _distribution(other, name)
        assert in_other is not None
        distributions[name] = in_other if in_one is None else dist.hull(in_one, in_other)
    fixed = {n: v for n, v in {**other.fixed, **one.fixed}.items() if n not in distributions}
    return SearchSpace(distributions, conditions=(*one.conditions, *other.conditions), fixed=fixed)


def gained(before: SearchSpace, after: SearchSpace) -> str:
    """What an outer space has that an earlier one had not, in words."""
    parts = []
    for name in after:
        old, new = _distribution(before, name), _distribution(after, name)
        assert new is not None
        if old is None:
            parts.append(f"{name} is new: {dist.allowed(new)}")
        elif isinstance(new, CategoricalDistribution):
            choices = [c for c in new.choices if dist.check(old, c, repair=False)[1]]
            parts += [f"{name} gains {', '.join(map(show, choices))}"] if choices else []
        elif new != old:
            parts.append(f"{name} may be {dist.allowed(new)}")
    return "; ".join(parts)


def _is_readable(space: SearchSpace) -> bool:
    """Whether a later process can read the space back: no number is too large."""
    try:
        return SearchSpace.from_json(space.to_json()) == space
    except InputError:
        return False


def _distribution(space: SearchSpace, name: str) -> dist.Distribution | None:
    return dist.normal(space[name]) if name in space else None


def _values(space: SearchSpace, name: str) -> list[Any]:
    """The choices of a parameter, or the ends of its range."""
    distribution = _distribution(space, name)
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [] if distribution is None else [distribution.low, distribution.high]

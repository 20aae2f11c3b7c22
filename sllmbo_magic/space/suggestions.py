"""What an objective asks an Optuna trial for, against the search space that was declared for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.distributions import check_distribution_compatibility

from sllmbo_magic.errors import InputError
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.space.choices import means_same
from sllmbo_magic.space.choices import numbers_in
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import check
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.search_space import SearchSpace

_SHOWN_CHOICES = 12


def check_suggestion(name: str, declared: BaseDistribution, suggested: BaseDistribution) -> None:
    """Raise InputError where Optuna stores no trial with both: another kind, scale or other choices.

    A whole-number range is not taken for a float's: the versions of the space, the prompts and what a resumed
    run is compared by have the declared one, and it would search whole numbers only.
    """
    try:
        check_distribution_compatibility(declared, suggested)
    except ValueError:
        raise _different(name, declared, suggested) from None


def check_in_suggested(
    name: str, value: Any, declared: BaseDistribution, suggested: BaseDistribution
) -> None:
    """Raise InputError where the objective's own range lacks the value that a trial has already.

    Optuna would give it to the objective all the same.
    """
    if not suggested._contains(suggested.to_internal_repr(value)):
        raise _different(name, declared, suggested)


def _different(name: str, declared: BaseDistribution, suggested: BaseDistribution) -> InputError:
    return InputError(
        f"search_space has {show(name)} as {_described(declared)}, the objective suggests it as"
        f" {_described(suggested)}.",
        f"Write the same in both, in search_space: {show(name)}: {_notation(suggested)}.",
    )


def fixed_value(name: str, space: SearchSpace, suggested: BaseDistribution) -> Any:
    """The one value that the search space has for a parameter, as the objective suggests it.

    Raises:
        InputError: The objective does not allow the value.
    """
    (value,) = decoded({name: space.fixed[name]}, space.objects).values()
    distribution = _normal(suggested)
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            if means_same(choice, value):  # also inf and NaN, which Optuna stores
                return choice
    is_whole = isinstance(distribution, IntDistribution) and isinstance(value, float) and value.is_integer()
    found, problem = check(distribution, int(value) if is_whole else value, repair=False)
    if problem:
        raise InputError(
            f"search_space keeps {show(name)} at {show(value)}, the objective suggests it as"
            f" {_described(suggested)}.",
            "Write a value from there in search_space, or change the objective.",
        )
    return found


def misnamed(unknown: Iterable[str], unasked: Iterable[str]) -> str:
    """That an objective asks for some names that its search space lacks, and not for others that it has."""
    return (
        f"the objective asked for {', '.join(unknown)}, which search_space does not have, and not for"
        f" {', '.join(unasked)}, which it has. Write the same names in both: what is searched and shown has"
        " no effect."
    )


def with_single_numbers_fixed(space: SearchSpace) -> SearchSpace:
    """The space with each parameter fixed whose only choice is a number that no search space has (inf, NaN):
    a trial suggests the number itself, and the space has its label.
    """
    for name in numbers_in(space.objects):
        if name in space and space[name].single():
            space = space.drop(name, next(iter(space.objects[name])))
    return space


def _normal(distribution: BaseDistribution) -> Distribution:
    known = normal(distribution)
    assert known is not None  # a trial suggests these three kinds only
    return known


def _described(distribution: BaseDistribution) -> str:
    kind = "float " if isinstance(distribution, FloatDistribution) else ""
    return kind + allowed(_normal(distribution))


def _notation(distribution: BaseDistribution) -> str:
    """The range as a user writes it."""
    known = _normal(distribution)
    if isinstance(known, CategoricalDistribution):
        more = ", ..." if len(known.choices) > _SHOWN_CHOICES else ""
        return f"[{', '.join(map(show, known.choices[:_SHOWN_CHOICES]))}{more}]"
    if known.step not in (None, 1):
        return repr(known)
    scale = ', "log"' if known.log else ""
    return f"({known.low!r}, {known.high!r}{scale})"

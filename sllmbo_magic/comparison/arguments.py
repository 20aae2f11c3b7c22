"""The seeds and the optimum of a comparison, checked before anything runs."""

from __future__ import annotations

import math
from numbers import Integral
from numbers import Real
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import type_name


def checked_seeds(seeds: Any) -> tuple[int, ...]:
    """The seeds; for a number of them those from 0 on.

    Raises:
        InputError: There is none, one is there twice, or one is no seed.
    """
    try:
        listed = list(range(int(seeds)) if isinstance(seeds, Integral) else seeds)
    except TypeError:
        listed = []
    is_usable = bool(listed) and None not in listed and not isinstance(seeds, bool | str)
    numbers = tuple(check(BY_ARGUMENT["seed"], seed, "seeds") for seed in listed) if is_usable else ()
    if not is_usable or len(set(numbers)) < len(numbers):
        raise InputError(f"seeds {seeds!r} are not usable.", "Give their number, or different seeds from 0.")
    return numbers


def checked_optimum(optimum: Any, metric: str = "") -> float | None:
    """The best possible value as a number; None for None.

    Args:
        optimum: As the user gives it.
        metric: The metric, where it is known: the scores of scikit-learn's losses are negative.

    Raises:
        InputError: It is no finite number, or none that the metric can have.
    """
    if optimum is None:
        return None
    is_number = isinstance(optimum, Real) and not isinstance(optimum, bool)
    if is_number and optimum > 0 and metric.startswith("neg_"):
        raise InputError(
            f"optimum {optimum} is no score of {metric}: its scores are at most 0.",
            f"Give it with scikit-learn's sign: optimum=-{optimum}.",
        )
    if is_number and math.isfinite(optimum):
        return float(optimum)
    text = f"optimum {optimum} is out of range." if is_number else f"optimum is {type_name(optimum)}."
    raise InputError(text, "Allowed: the best possible value, a finite number.")

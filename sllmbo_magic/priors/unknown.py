"""A table for an estimator of no family: from its signature, and where scikit-learn declares what a
parameter may be (``_parameter_constraints``), from that.

Only what plausibly changes how well a model fits: numbers around their defaults, on a log scale where the
default says nothing about the scale; declared options; flags. Seeds, threads, verbosity and the like are
left alone, and so are solvers and losses, which fit together only in pairs that no signature declares.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution

from sllmbo_magic.priors import sources as src
from sllmbo_magic.priors.base import UNLIMITED
from sllmbo_magic.priors.base import Expert
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.base import Limits
from sllmbo_magic.priors.base import Range
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.base import choice
from sllmbo_magic.priors.base import real
from sllmbo_magic.priors.base import whole
from sllmbo_magic.space.search_space import SearchSpace

_SPEED_OR_BOOKKEEPING = """
    random_state seed n_jobs nthread num_threads thread_count device verbose verbosity warm_start
    copy copy_X copy_x copy_X_train cache_size memory leaf_size precompute missing oob_score compute_score
    store_cv_values store_cv_results store_covariance return_std check_inverse assume_centered prefit ensemble
    cv scoring error_score refit eps tol max_iter max_n_iter max_fun max_subpopulation n_restarts_optimizer
    n_iter_no_change validation_fraction early_stopping batch_size shuffle shrinking fit_intercept
    intercept_scaling fit_path break_ties decision_function_shape
"""  # iterations and tolerances: the defaults converge, or warn
_WHAT_IS_PREDICTED = "quantile power positive link outlier_label"
_FITS_ONLY_IN_PAIRS = "solver algorithm loss dual objective multi_class penalty method metric novelty"
LEFT_ALONE = frozenset(f"{_SPEED_OR_BOOKKEEPING} {_WHAT_IS_PREDICTED} {_FITS_ONLY_IN_PAIRS}".split())
_SHARES = ("subsample", "colsample", "fraction", "share", "ratio", "max_features", "max_samples", "dropout")
_SMALLEST = 1e-8
MAX_RANGES = 12


def table_of(cls: type, current: Mapping[str, Any]) -> Table:
    """The table of a class, around the values its instance has; may be empty."""
    constraints = getattr(cls, "_parameter_constraints", {})
    ranges: list[Range] = []
    for name, value in current.items():
        if name in LEFT_ALONE or name.startswith("_"):
            continue
        declared = constraints.get(name) if isinstance(constraints, Mapping) else None
        parameter = _declared(name, declared, value) if declared else _guessed(name, value)
        if parameter is not None:
            distribution, limits = parameter
            ranges.append(Range(name, distribution, src.CONSTRAINTS if declared else src.SIGNATURE, limits))
    ranges = ranges[:MAX_RANGES]
    return Table(tuple(ranges), _experts(ranges), note="")


def family_of(cls: type) -> Family:
    """The family of one class that no other family has."""
    return Family(cls.__name__, (cls.__name__,), (), partial(_table_for, cls))


def _table_for(cls: type, facts: Facts) -> Table:
    return table_of(cls, facts.current)


# --- one parameter --------------------------------------------------------------------------------------


def _declared(name: str, declared: Any, value: Any) -> tuple[BaseDistribution, Limits] | None:
    """From scikit-learn's constraint objects, known by their class names so that nothing is imported."""
    if not isinstance(declared, list):
        return None  # "no_validation"
    if declared == ["boolean"]:
        return choice(False, True), UNLIMITED
    if isinstance(value, str):
        return _among_options(declared, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _in_interval(name, declared, value)
    return None


def _in_interval(
    name: str, declared: list[Any], value: int | float
) -> tuple[BaseDistribution, Limits] | None:
    """A range around a number: whole numbers where an interval of those is declared and the value is one."""
    intervals = [one for one in declared if type(one).__name__ == "Interval"]
    whole = next((one for one in intervals if _is_whole(one)), None)
    if isinstance(value, int) and whole is not None:
        return _around(name, value, _bounds(whole))
    real = next((one for one in intervals if not _is_whole(one)), None)
    return None if real is None else _around(name, float(value), _bounds(real))


def _among_options(declared: list[Any], value: str) -> tuple[BaseDistribution, Limits] | None:
    """The declared texts, where the value is one of them and they are few."""
    for one in declared:
        if type(one).__name__ == "StrOptions":
            options = sorted(set(one.options) - set(getattr(one, "deprecated", ())) - {"precomputed"})
            if value in options and 1 < len(options) <= 12:
                return choice(*options), UNLIMITED
    return None


def _is_whole(interval: Any) -> bool:
    return issubclass(interval.type, numbers.Integral)


def _bounds(interval: Any) -> Limits:
    """An interval's limits; an open end moves inwards a little, so that the limit itself is allowed."""
    step = 1.0 if _is_whole(interval) else _SMALLEST
    low, high = interval.left, interval.right
    if low is not None:
        low = None if math.isinf(low) else low if interval.closed in ("left", "both") else low + step
    if high is not None:
        high = None if math.isinf(high) else high if interval.closed in ("right", "both") else high - step
    return low, high


def _guessed(name: str, value: Any) -> tuple[BaseDistribution, Limits] | None:
    """From a value alone."""
    if isinstance(value, bool):
        return choice(False, True), UNLIMITED
    if isinstance(value, int | float) and math.isfinite(value):
        return _around(name, value, (0.0, None) if value >= 0 else UNLIMITED)
    return None


def _around(name: str, value: float, limits: Limits) -> tuple[BaseDistribution, Limits] | None:
    """A range around a value, inside its limits."""
    floor, ceiling = limits
    if isinstance(value, int):
        return _whole_around(value, floor, ceiling), limits
    if (ceiling == 1.0 or any(word in name for word in _SHARES)) and 0 <= value <= 1:
        limits = (floor or 0.0, ceiling or 1.0)
        return real(0.05 if floor else 0.0, limits[1]), limits
    if value <= 0:
        if floor is None:
            return real(value - 1.0, value + 1.0), limits
        low, high = max(_SMALLEST, floor), min(1.0, ceiling if ceiling is not None else 1.0)
    else:
        factor = 100.0 if value <= 0.1 or value == 1 else 10.0  # 1.35 is better evidence of its scale than 1
        low, high = max(value / factor, floor or 0.0), min(value * factor, ceiling or math.inf)
    return (real(low, high, log=True), limits) if 0 < low < high else None


def _whole_around(value: int, floor: float | None, ceiling: float | None) -> BaseDistribution:
    least = math.ceil(floor) if floor is not None else min(value, 1)
    most = math.floor(ceiling) if ceiling is not None else 10**9
    if value >= 10:
        return whole(max(least, value // 10, 1), min(most, value * 10), log=True)
    return whole(max(least, min(value, 1)), min(most, max(4 * value, value + 4)))


def _experts(ranges: list[Range]) -> tuple[Expert, ...]:
    """Without knowledge, what spreads: low, high and alternating quarters of the ranges."""
    if not ranges:
        return ()
    patterns = (
        ("all parameters in the lower part of their ranges", (0.3, 0.3)),
        ("all parameters in the upper part of their ranges", (0.7, 0.7)),
        ("low and high by turns", (0.25, 0.75)),
        ("high and low by turns", (0.75, 0.25)),
    )
    space = SearchSpace({r.name: r.distribution for r in ranges})
    return tuple(
        Expert(reason, space.from_unit([pattern[i % 2] for i in range(len(ranges))]))
        for reason, pattern in patterns
    )

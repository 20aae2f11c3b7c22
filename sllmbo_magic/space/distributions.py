"""One parameter's distribution: value <-> text, position on its scale, check, clip, hull and intersection.

The three kinds are Optuna's float, int and categorical distributions. Nothing here raises for bad values:
``check`` returns either a value or the sentence that says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral
from numbers import Real
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic._utils.value_format import range_text
from sllmbo_magic._utils.value_format import texts_apart
from sllmbo_magic.space import layers

Value: TypeAlias = bool | int | float | str | None
"""What a parameter's value can be."""

Numeric: TypeAlias = FloatDistribution | IntDistribution
Distribution: TypeAlias = FloatDistribution | IntDistribution | CategoricalDistribution

MAX_NUMBER = 1e100
"""Bounds beyond this cannot be meant, and their span would overflow."""
MAX_INT = 2**53
"""Optuna keeps integers as floats, so larger ones lose digits."""
_NEAR = 1e-9
_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None, "null": None}


def show(value: object, limit: int = 40) -> str:
    """A value in a message: short whatever it is, never the content of a container."""
    if isinstance(value, str):
        text = str.__str__(value)  # numpy's strings and enumerations of text write themselves otherwise
        return repr(text if len(text) <= limit else text[:limit] + "...")
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, Integral):
        return str(int(value)) if abs(int(value)) < 10**limit else "a huge integer"
    if isinstance(value, Real):
        return f"{float(value):.6g}"
    return f"a {type(value).__name__}"


def same(a: Value, b: Value) -> bool:
    """Equality that tells True from 1 but not 1 from 1.0."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def plain(value: object) -> tuple[Value, bool]:
    """A value without numpy's types and enumerations, and whether it can be a parameter's value at all."""
    if type(value) is float:  # most are: the abstract classes below take several times as long to ask
        return value, math.isfinite(value)
    if value is None or isinstance(value, bool):
        return value, True
    if isinstance(value, str):
        return str.__str__(value), True
    if type(value).__name__ in ("bool", "bool_") and hasattr(value, "item"):  # numpy's
        return bool(value), True
    if isinstance(value, Integral):
        return int(value), abs(int(value)) <= MAX_INT
    if isinstance(value, Real):
        number = float(value)
        return number, math.isfinite(number)
    return None, False


def normal(distribution: BaseDistribution) -> Distribution | None:
    """The distribution as one of the three kinds (also Optuna's deprecated subclasses), else None."""
    if isinstance(distribution, FloatDistribution):
        if type(distribution) is FloatDistribution:
            return distribution
        return FloatDistribution(
            distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    if isinstance(distribution, IntDistribution):
        if type(distribution) is IntDistribution:
            return distribution
        return IntDistribution(
            distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    return distribution if isinstance(distribution, CategoricalDistribution) else None


def allowed(distribution: Distribution, *, beside: Sequence[float] = ()) -> str:
    """The range in words: ``0.01 to 0.3, log scale``; ``one of 'gini', 'entropy'``.

    Args:
        beside: Numbers that must not read as one of its ends.
    """
    if isinstance(distribution, CategoricalDistribution):
        apart = texts_apart((c for c in distribution.choices if isinstance(c, float)), digits=6, most=17)
        shown = distribution.choices[:12]
        choices = ", ".join(apart[c] if isinstance(c, float) else show(c) for c in shown)
        more = len(distribution.choices) - 12
        return f"one of {choices}" + (f" and {more} more" if more > 0 else "")
    step = (
        distribution.step if isinstance(distribution, FloatDistribution) or distribution.step != 1 else None
    )
    kind = "" if isinstance(distribution, FloatDistribution) else "whole number "
    scale = ", log scale" if distribution.log else f", in steps of {step:g}" if step else ""
    return f"{kind}{range_text(distribution.low, distribution.high, digits=6, beside=beside)}{scale}"


def _wrong(distribution: Numeric, value: object, what: str) -> str:
    """What is wrong with a number, in digits that tell it from what is allowed."""
    if not isinstance(value, float):
        return f"{show(value)} {what}; allowed: {allowed(distribution)}"
    others = (float(distribution.low), float(distribution.high), float(round(value)))
    text = texts_apart([value, *others, float(_snap(distribution, value))], digits=6, most=17)[value]
    return f"{text} {what}; allowed: {allowed(distribution, beside=(value,))}"


# --- a value against its distribution -------------------------------------------------------------------


def index_of(distribution: CategoricalDistribution, value: Value) -> int | None:
    """Where a value stands among the choices; an exact type wins, so that True is not taken for 1."""
    match = None
    for index, choice in enumerate(distribution.choices):
        if same(choice, value):
            if type(choice) is type(value):
                return index
            match = index if match is None else match
    return match


def check(distribution: Distribution, value: object, *, repair: bool) -> tuple[Value, str]:
    """An unchecked value -> (value, "") or (None, what is wrong)."""
    if isinstance(distribution, CategoricalDistribution):
        return _check_choice(distribution, value, repair)
    number = _number(value, repair)
    if number is None:
        return None, f"{show(value)} is not a number; allowed: {allowed(distribution)}"
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution):
        if number != math.floor(number) or (not repair and not isinstance(value, Integral)):
            return None, _wrong(distribution, value, "is not a whole number")
        number = int(number)
    if repair and not low <= number <= high:
        bound = low if number < low else high
        scale = abs(bound) if distribution.log else max(abs(bound), high - low)
        number = bound if abs(number - bound) <= _NEAR * scale else number
    if not low <= number <= high:
        return None, _wrong(distribution, value, "is out of range")
    snapped = _snap(distribution, number)
    if not repair and abs(snapped - number) > 1e-8 * (distribution.step or 1):
        return None, _wrong(distribution, value, "is off the grid")
    return snapped, ""


def check_value(distribution: BaseDistribution, value: object) -> tuple[Value, str]:
    """A value that nobody checked, for any distribution: (value, "") or (None, what is wrong)."""
    one = normal(distribution)
    if one is None:
        return None, f"{type(distribution).__name__} is not known"
    return check(one, value, repair=True)


def number_in(value: object) -> int | float | None:
    """The finite number that a value is, or that its text is; None for anything else, a bool too."""
    return _number(value, True)


def _number(value: object, repair: bool) -> int | float | None:
    """A finite number, or None; numeric text only with repair."""
    if isinstance(value, str) and repair and len(value) <= 60:
        try:
            value = float(value.strip())
        except ValueError:
            return None
    number, ok = plain(value)
    if not ok or isinstance(number, bool | str) or number is None or abs(number) > MAX_NUMBER:
        return None
    return number


def _check_choice(distribution: CategoricalDistribution, value: object, repair: bool) -> tuple[Value, str]:
    plain_value, ok = plain(value)
    if ok:
        index = index_of(distribution, plain_value)
        if index is None and repair and isinstance(plain_value, str) and len(plain_value) <= 500:
            index = _choice_from_text(distribution, plain_value.strip())
        if index is not None:
            return distribution.choices[index], ""
    tuple_in_choices = _tuple_choice(distribution, value) if repair else None
    if tuple_in_choices is not None:
        return tuple_in_choices, ""
    return None, f"{show(value)} is no choice; allowed: {allowed(distribution)}"


def _tuple_choice(distribution: CategoricalDistribution, value: object) -> str | None:
    """The choice that is the text of this tuple: ``[64, 32]``, ``"(64,32)"``, 64 for one number."""
    one_number = isinstance(value, int) and not isinstance(value, bool)
    wanted = layers.layers_of([value] if one_number else value)
    texts = (choice for choice in distribution.choices if isinstance(choice, str))
    return None if wanted is None else next((t for t in texts if layers.layers_of(t) == wanted), None)


def _choice_from_text(distribution: CategoricalDistribution, text: str) -> int | None:
    word = text.lower()
    if word in _WORDS:
        index = index_of(distribution, _WORDS[word])
        if index is not None:
            return index
    number = _number(text, True)
    if number is not None:
        index = index_of(distribution, number)
        if index is not None:
            return index
    alike = [i for i, c in enumerate(distribution.choices) if isinstance(c, str) and c.lower() == word]
    return alike[0] if len(alike) == 1 else None


def clip(distribution: Distribution, value: object) -> Value:
    """The nearest valid value; the centre when there is none near (wrong kind, NaN)."""
    if isinstance(distribution, CategoricalDistribution):
        choice, problem = _check_choice(distribution, value, True)
        return centre(distribution) if problem else choice
    number: float | int | None
    if isinstance(value, float) and math.isinf(value):
        number = distribution.high if value > 0 else distribution.low
    else:
        number = _number(value, True)
    return centre(distribution) if number is None else _snap(distribution, number)


def _snap(distribution: Numeric, number: float) -> float | int:
    """Nearest point of the grid inside the bounds."""
    low, high = distribution.low, distribution.high
    number = min(max(number, low), high)
    if isinstance(distribution, IntDistribution):
        step = distribution.step
        return min(int(low) + step * round((number - low) / step), int(high))
    if distribution.step is None:
        return float(number)
    return min(max(_point(low, distribution.step, round((number - low) / distribution.step)), low), high)


def _point(low: float, step: float, k: int) -> float:
    """The k-th point of a grid as it is written in decimals: 0.3, not 0.30000000000000004."""
    return float(Decimal(str(low)) + k * Decimal(str(step)))


# --- position on the scale: 0 to 1 ----------------------------------------------------------------------


def _edges(distribution: Numeric) -> tuple[float, float]:
    low, high = float(distribution.low), float(distribution.high)
    return (math.log(low), math.log(high)) if distribution.log else (low, high)


def to_unit(distribution: Distribution, value: Value) -> float:
    """Position of a value on the scale: 0 at low, 1 at high, log-aware; a choice is in the middle of its bin.

    Values beyond a bound are at it; 0.5 for what has no place and for ranges of one value.
    """
    if isinstance(distribution, CategoricalDistribution):
        index = index_of(distribution, value)
        return 0.5 if index is None else (index + 0.5) / len(distribution.choices)
    start, end = _edges(distribution)
    if end <= start or value is None or isinstance(value, bool | str) or math.isnan(value):
        return 0.5
    number = min(max(value, distribution.low), distribution.high)
    place = math.log(number) if distribution.log else float(number)
    return min(max((place - start) / (end - start), 0.0), 1.0)


def from_unit(distribution: Distribution, u: float) -> Value:
    """The value at a position; positions outside [0, 1] are clipped, NaN is the centre.

    Inverse of :func:`to_unit`. The points of a linear grid and choices have equal shares of [0, 1].
    """
    u = 0.5 if math.isnan(u) else min(max(u, 0.0), 1.0)
    if isinstance(distribution, CategoricalDistribution):
        k = len(distribution.choices)
        return distribution.choices[min(int(u * k), k - 1)]
    start, end = _edges(distribution)
    if distribution.step is None or distribution.log:
        place = start + u * (end - start)
        return _snap(distribution, math.exp(place) if distribution.log else place)
    last = round((end - start) / distribution.step)
    # 1e-9: a float just below a bin's edge, e.g. 6/10 * 11/10 * 10, must not fall into the bin before
    k = min(int(u * (last + 1) + _NEAR), last)
    if isinstance(distribution, IntDistribution):
        return distribution.low + k * distribution.step
    return _point(distribution.low, distribution.step, k)


def centre(distribution: Distribution) -> Value:
    """The value in the middle of the scale."""
    return from_unit(distribution, 0.5)


# --- two distributions ----------------------------------------------------------------------------------


def choices_of(*groups: Sequence[Value]) -> CategoricalDistribution:
    """A categorical of all choices, in order, without repeats."""
    union: list[Value] = []
    for value in (value for group in groups for value in group):
        if not any(same(value, other) for other in union):
            union.append(value)
    return CategoricalDistribution(union)


def numeric(like: Numeric, low: float, high: float, *, log: bool | None = None) -> Numeric:
    """A distribution of ``like``'s kind and grid with other bounds, moved inwards onto the grid.

    log falls away where it cannot be. When no point of the grid lies between the bounds, the nearest one is
    the only value.
    """
    log = (like.log if log is None else log) and low > 0
    if isinstance(like, IntDistribution):
        step = 1 if log else like.step
        first = like.low + math.ceil((low - like.low) / step - _NEAR) * step
        last = max(first, like.low + math.floor((high - like.low) / step + _NEAR) * step)
        return IntDistribution(first, last, log=log and first >= 1, step=step)
    if like.step is None or log:
        return FloatDistribution(low, high, log=log)
    start = math.ceil((low - like.low) / like.step - _NEAR)
    end = max(start, math.floor((high - like.low) / like.step + _NEAR))
    return FloatDistribution(
        _point(like.low, like.step, start), _point(like.low, like.step, end), step=like.step
    )


def hull(a: Distribution, b: Distribution) -> Distribution:
    """The smallest distribution that holds both; ``a``'s where one is categorical and the other is not."""
    if isinstance(a, CategoricalDistribution) or isinstance(b, CategoricalDistribution):
        if isinstance(a, CategoricalDistribution) and isinstance(b, CategoricalDistribution):
            return choices_of(a.choices, b.choices)
        return a
    low, high, log = min(a.low, b.low), max(a.high, b.high), a.log or b.log
    if isinstance(a, IntDistribution) and isinstance(b, IntDistribution):
        one_grid = a.step == b.step and (b.low - a.low) % a.step == 0
        return numeric(a if one_grid else IntDistribution(a.low, a.low), low, high, log=log)
    one_grid = isinstance(a, FloatDistribution) and a.step is not None and a.step == b.step
    if one_grid and not log:
        assert a.step is not None
        offset = (b.low - a.low) / a.step
        if abs(offset - round(offset)) < _NEAR:
            return numeric(a, low, high)
    return numeric(FloatDistribution(low, low), low, high, log=log)


def intersect(inner: Distribution, outer: Distribution) -> Distribution | None:
    """``inner`` cut to what ``outer`` holds; None when they share nothing or are of different kinds.

    Numbers as choices become a range inside a numeric ``outer`` and vice versa; the scale (log, step) is
    ``inner``'s where it is possible.
    """
    if isinstance(outer, CategoricalDistribution):
        if isinstance(inner, CategoricalDistribution):
            indices = (index_of(outer, choice) for choice in inner.choices)
            choices = [outer.choices[i] for i in indices if i is not None]
        else:
            choices = [c for c in outer.choices if not check(inner, c, repair=False)[1]]
        return choices_of(choices) if choices else None
    if isinstance(inner, CategoricalDistribution):
        values = [_number(choice, False) for choice in inner.choices]
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            return None
        inner = numeric(outer, min(numbers), max(numbers))
    low, high = max(inner.low, outer.low), min(inner.high, outer.high)
    if low > high:
        return None
    gridded = outer.step is not None and outer.step != 1
    if gridded or isinstance(inner, type(outer)):
        cut: Numeric = numeric(outer if gridded else inner, low, high, log=inner.log and not gridded)
    elif isinstance(outer, IntDistribution):
        cut = numeric(IntDistribution(outer.low, outer.low), low, high, log=inner.log)
    else:
        cut = FloatDistribution(low, high, log=inner.log)
    return cut if low <= cut.low <= cut.high <= high else None  # not so if the grid has no point there


def widened(distribution: Numeric, limit: tuple[float | None, float | None] | None) -> Distribution:
    """Ten times (log) or one span (linear) wider on each side, inside the limit; see ``outer_of``."""
    low, high = float(distribution.low), float(distribution.high)
    span = high - low
    wide_low, wide_high = (low / 10, high * 10) if distribution.log else (low - span, high + span)
    if limit is not None:
        floor, ceiling = limit
    else:
        is_int = isinstance(distribution, IntDistribution)
        floor = None if low < 0 else 1.0 if is_int and low >= 1 else 0.0
        ceiling = 1.0 if not is_int and low >= 0 and high == 1 else 0.0 if high <= 0 else None
    if floor is not None:
        wide_low = min(low, max(wide_low, floor))
    if ceiling is not None:
        wide_high = max(high, min(wide_high, ceiling))
    return numeric(distribution, wide_low, wide_high)

"""Axes with explicit ticks: scores, trial numbers, and a parameter's values on its own scale.

Ticks are set as plain strings, so that no formatter writes formulas or offsets of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import Trial
from sllmbo_magic.report.run_data import finite
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import value as shown


def nice_ticks(low: float, high: float, n: int = 5, *, integer: bool = False) -> list[float]:
    """At most about n round numbers within [low, high]."""
    locator = MaxNLocator(nbins=n, steps=[1, 2, 2.5, 5, 10], integer=integer, min_n_ticks=1)
    slack = 1e-9 * max(abs(low), abs(high), high - low)
    ticks = [float(t) for t in locator.tick_values(low, high) if low - slack <= t <= high + slack]
    return [0.0 if abs(t) < slack else t for t in ticks]


def log_ticks(low: float, high: float, n: int = 4) -> list[float]:
    """At most about n round numbers for a log axis: powers of ten, else 1-2-5, else evenly spaced ones."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    slack = 1e-9
    inside = [
        [
            m * 10.0**e
            for e in range(first, last + 1)
            for m in ms
            if low * (1 - slack) <= m * 10.0**e <= high * (1 + slack)
        ]
        for ms in ((1,), (1, 3), (1, 2, 5))
    ]
    for ticks in inside:
        if len(ticks) >= 3:
            stride = math.ceil(len(ticks) / n) if len(ticks) > n + 1 else 1
            return ticks[::-1][::stride][::-1]
    return inside[-1] if len(inside[-1]) >= 2 else nice_ticks(low, high, n)


def number_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks in one style: as many decimals as they need, or powers like 1e-4."""
    if not ticks:
        return []
    sizes = [abs(t) for t in ticks if t]
    if sizes and (max(sizes) >= 1e6 or min(sizes) < 1e-4 or max(sizes) / min(sizes) > 1e4):
        return [_power(t) for t in ticks]
    digits = next(
        (
            d
            for d in range(8)
            if all(math.isclose(round(t, d), t, rel_tol=1e-9, abs_tol=1e-12) for t in ticks)
        ),
        8,
    )
    even = len(ticks) < 2 or max(sizes, default=1.0) / min(sizes, default=1.0) < 50
    return [minus(f"{t:.{digits}f}" if even else f"{t:.10g}") for t in ticks]


def minus(number: str) -> str:
    """The number with a minus sign in place of a leading hyphen, as it is set in print."""
    return "−" + number[1:] if number.startswith("-") else number


def _power(tick: float) -> str:
    if 1e-3 <= abs(tick) < 1e4 or tick == 0:
        return minus(f"{tick:.6g}")
    mantissa, exponent = f"{tick:.3e}".split("e")
    return minus(f"{float(mantissa):g}e{int(exponent)}")


def trial_axis(ax: Axes, run: RunData, n: int = 8) -> None:
    """The x axis from the first trial to the last."""
    numbers = [t.n for t in run.trials]
    low, high = min(numbers, default=0), max(numbers, default=1)
    margin = max(0.03 * (high - low), 0.6)
    ax.set_xlim(low - margin, high + margin)
    ticks = nice_ticks(low, high, n, integer=True) or [float(low)]
    pieces.ticks(ax, "x", ticks, [f"{int(t)}" for t in ticks])


def score_range(run: RunData) -> tuple[float, float]:
    """The scores worth a place on the axis: all, unless a few very bad ones would flatten the rest.

    Kept are the best nine tenths and the default, with room for fold spreads; what is left out is drawn at
    the edge.
    """
    values = [t.value for t in run.ranked if t.value is not None]
    if run.default_value is not None:
        values.append(run.default_value)
    if not values:
        return (0.0, 1.0)
    best = max(values) if run.maximize else min(values)
    nearest = values[: max(math.ceil(0.9 * len(values)), 1)] + (
        [run.default_value] if run.default_value is not None else []
    )
    reach = max(abs(best - v) for v in nearest)
    near = [v for v in values if abs(best - v) <= 1.6 * reach] or values
    low, high = min(near), max(near)
    spreads = [
        t.spread
        for t in run.scored
        if t.spread is not None and t.value is not None and low <= t.value <= high
    ]
    span = (high - low) or abs(high) * 0.1 or 1.0
    low_bar = min((s[0] for s in spreads), default=low)
    high_bar = max((s[1] for s in spreads), default=high)
    low, high = max(low_bar, low - 0.75 * span), min(high_bar, high + 0.75 * span)
    margin = 0.06 * ((high - low) or span)
    return (low - margin, high + margin)


@dataclass(frozen=True)
class Scale:
    """One parameter's axis. ``kind``: ``"linear"``, ``"log"`` or ``"lanes"`` (categories, one lane each).

    ``low`` and ``high`` are limits in the axis' own units (a value, or a lane's number).
    """

    kind: str
    low: float
    high: float
    integer: bool = False
    categories: tuple[Any, ...] = ()

    def place(self, value: Any) -> float | None:
        """Where a value stands, held inside the limits; None when it has no place here."""
        if self.kind == "lanes":
            return next((float(i) for i, c in enumerate(self.categories) if _same(c, value)), None)
        number = finite(float(value) if isinstance(value, bool) else value)
        return None if number is None else min(max(number, self.low), self.high)

    def unit(self, value: Any) -> float | None:
        """A value's place as a share of the axis, 0 at its lower and 1 at its upper limit."""
        place = self.place(value)
        return None if place is None else self.unit_of(place)

    def unit_of(self, place: float) -> float:
        """The same of a place."""
        if self.kind == "log":
            return math.log(place / self.low) / math.log(self.high / self.low)
        return (place - self.low) / (self.high - self.low)

    def ticks(self, n: int = 4, limit: int = 14) -> tuple[list[float], list[str]]:
        """Places and labels of ticks."""
        if self.kind == "lanes":
            stride = math.ceil(len(self.categories) / 12)
            places = list(range(0, len(self.categories), stride))
            return [float(p) for p in places], [shown(self.categories[p], limit) for p in places]
        if self.kind == "log":
            places_ = log_ticks(self.low, self.high, n)
        else:
            places_ = nice_ticks(self.low, self.high, n, integer=self.integer)
        return places_, number_labels(places_)

    def apply(self, ax: Axes, n: int = 4, limit: int = 14) -> None:
        """Make it the y axis of these axes, with labels of at most ``limit`` characters."""
        ax.set_yscale("log" if self.kind == "log" else "linear")
        ax.minorticks_off()
        ax.set_ylim(self.low, self.high)
        places, labels = self.ticks(n, limit)
        pieces.ticks(ax, "y", places, labels)


def scale_of(name: str, run: RunData) -> Scale:
    """The axis that holds all ranges a parameter had and all values it took."""
    declared = [v.params[name] for v in run.versions if name in v.params]
    values = [t.params[name] for t in run.trials if name in t.params]
    values += [p["fixed"] for p in declared if p.get("fixed") is not None]
    numbers = [n for n in (finite(v) for v in values) if n is not None]
    ranges = [p for p in declared if finite(p.get("low")) is not None and finite(p.get("high")) is not None]
    if any("choices" in p for p in declared) or not (ranges or numbers):
        return _lanes([c for p in declared for c in p.get("choices") or ()] + values)
    ends = [float(p[end]) for p in ranges for end in ("low", "high")]
    log = any(p.get("log") for p in ranges) and all(end > 0 for end in ends)
    inside = [n for n in numbers if n > 0] if log else numbers
    low, high = min([*ends, *inside]), max([*ends, *inside])
    kinds = {p.get("type") for p in ranges} or {"int" if isinstance(v, int) else "float" for v in values}
    integer = kinds == {"int"}
    if log:
        factor = max((high / low) ** 0.06, 1.02)
        return Scale("log", low / factor, high * factor, integer)
    margin = 0.06 * (high - low) or abs(high) * 0.05 or 0.5
    return Scale("linear", low - margin, high + margin, integer)


def _lanes(values: Iterable[Any]) -> Scale:
    categories: list[Any] = []
    for value in values:
        if not any(_same(value, c) for c in categories):
            categories.append(value)
    return Scale("lanes", -0.6, max(len(categories), 1) - 0.4, categories=tuple(categories))


def _same(a: Any, b: Any) -> bool:
    """Equality that keeps True and 1 apart."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def metric_label(run: RunData) -> str:
    """The metric and which way is better; on two lines when it is long."""
    arrow = "higher is better ↑" if run.maximize else "lower is better ↓"
    metric = one_line(run.metric, 28)
    return f"{metric}{' ' if len(metric) <= 18 else chr(10)}({arrow})"


def hull(params: Mapping[str, Any]) -> tuple[float, float] | None:
    """A numeric parameter's declared range."""
    low, high = finite(params.get("low")), finite(params.get("high"))
    return None if low is None or high is None else (low, high)


def outside(trial: Trial, low: float, high: float) -> bool:
    """Whether a scored trial lies beyond the axis."""
    return trial.value is not None and not low <= trial.value <= high

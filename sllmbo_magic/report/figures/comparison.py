"""A comparison: regret over trials by variant with its spread, and each seed's final best by variant."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.figures import scales
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.figures.style import mix
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score

_LOOKS: tuple[tuple[str, Any], ...] = (
    ("llm", "-"),
    ("tpe", (0, (5, 2))),
    ("rulebook", (0, (1.5, 1.5))),
    ("user", (0, (6, 2, 1.5, 2))),
    ("fallback", (0, (3, 3))),
    ("llm-init", (0, (8, 3))),
    ("default", (0, (2, 1, 1, 1))),
)
"""A source, whose mark is borrowed, and a line style: variants differ without colour, too."""


def build(figure: Figure, data: Mapping[str, Any], theme: Theme) -> None:
    """Draw both panes."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    if all(row["best"] is None for row in data["rows"]):
        for ax, heading in ((left, "Regret by trial"), (right, "Final best by seed")):
            pieces.prepare(ax, theme, heading=heading)
            pieces.say(ax, theme, "No run has a score." if data["curves"] else "No run has finished.")
        return
    handles = _regret(left, data, theme)
    _finals(right, data, theme)
    longest = max(len(handle.get_label()) for handle in handles)
    pieces.legend(figure, theme, handles, most=max(1, 110 // (longest + 8)), loc="outside lower left")


def describe(data: Mapping[str, Any]) -> str:
    """The figure in one sentence, for readers who do not see it."""
    digits = decimals(*(row["best"] for row in data["rows"]))
    parts = [
        f"{one_line(row['variant'], 40)} {score(row['best'], digits)} in {count(row['runs'], 'run')}"
        for row in data["rows"]
    ]
    scores_text = "; ".join(parts) or "no run has finished"
    return (
        f"Mean best {one_line(data['metric'], 40)} after {count(data['n_trials'], 'trial')}: {scores_text}."
    )


def _look(i: int) -> tuple[str, Any]:
    return _LOOKS[i % len(_LOOKS)]


def _regret(ax: Axes, data: Mapping[str, Any], theme: Theme) -> list[Any]:
    """Mean regret as lines with marks, the spread as a band; on a log scale where it shrinks a lot.

    Returns the legend's handles.
    """
    curves = {name: _points(curve) for name, curve in data["curves"].items()}
    positive = [mean for points in curves.values() for _, mean, _, _ in points if mean > 0]
    log = bool(positive) and max(positive) > 20 * min(positive)
    floor = min(positive) / 2 if log else 0.0
    touches = log and any(mean <= 0 for points in curves.values() for _, mean, _, _ in points)
    note = "band: middle 80 % of the seeds" if len(data["seeds"]) > 1 else ""
    pieces.prepare(ax, theme, heading="Regret by trial", note=note)
    top = max((high for points in curves.values() for *_, high in points), default=1.0) or 1.0
    handles = []
    for i, (name, points) in enumerate(curves.items()):
        source, dashes = _look(i)
        color = theme.color(source)
        x = [float(n) for n, *_ in points]
        y, low, high = ([max(point[k], floor) for point in points] for k in (1, 2, 3))
        ax.fill_between(
            x, low, high, step="post", color=mix(color, theme, 0.5), alpha=0.22, linewidth=0, zorder=1
        )
        pieces.rule(ax, x, y, color=color, width=1.8, linestyle=dashes, drawstyle="steps-post", zorder=3)
        places = _spread_out(len(x), i, len(curves))
        _marks(ax, theme, source, [x[p] for p in places], [y[p] for p in places])
        handles.append(_handle(theme, source, dashes, one_line(name, 40)))
    _axis(ax, data, floor, top, log)
    y_label = "distance to the best found" if data["optimum"] is None else "distance to the optimum"
    pieces.label_axes(ax, theme, "trials done", f"{y_label}{' (0 at the lower edge)' if touches else ''}")
    return handles


def _points(curve: Mapping[str, Sequence[float | None]]) -> list[tuple[int, float, float, float]]:
    """Trials done, mean, low and high, from where every run has a score."""
    parts = zip(*(curve[f"regret_{key}"] for key in ("mean", "low", "high")), strict=True)
    return [
        (n, mean, low, high)
        for n, (mean, low, high) in enumerate(parts, start=1)
        if mean is not None and low is not None and high is not None
    ]


def _axis(ax: Axes, data: Mapping[str, Any], floor: float, top: float, log: bool) -> None:
    n = data["n_trials"]
    ax.set_xlim(1 - 0.03 * n, n + 0.03 * n)
    ticks = scales.nice_ticks(1, n, 6, integer=True) or [1.0]
    pieces.ticks(ax, "x", ticks, [f"{int(t)}" for t in ticks])
    if log:
        ax.set_yscale("log")
        ax.minorticks_off()
        low, high = floor * 0.85, top * 1.15
        places = scales.log_ticks(floor, high, 5)
    else:
        low, high = -0.03 * top, top * 1.06
        places = scales.nice_ticks(0.0, high, 6)
    ax.set_ylim(low, high)
    pieces.ticks(ax, "y", places, scales.number_labels(places))


def _spread_out(n: int, i: int, of: int, most: int = 6) -> list[int]:
    """Up to so many places along a line, shifted from variant to variant, so that marks stay apart."""
    if not n:
        return []
    step = max(1, n // most)
    return list(range(min(n - 1, (i * step) // max(of, 1)), n, step))


def _marks(ax: Axes, theme: Theme, source: str, x: Sequence[float], y: Sequence[float]) -> None:
    mark = theme.mark(source)
    pieces.points(
        ax,
        x,
        y,
        s=34 * mark.size,
        marker=mark.marker,
        color=theme.color(source),
        edgecolors=theme.background,
        linewidths=0.6,
        zorder=4,
    )


def _handle(theme: Theme, source: str, dashes: Any, label: str) -> Any:
    mark = theme.mark(source)
    return pieces.legend_line(
        label,
        color=theme.color(source),
        linestyle=dashes,
        linewidth=1.8,
        marker=mark.marker,
        markersize=6.2 * mark.size**0.5,
        markeredgecolor=theme.background,
        markeredgewidth=0.5,
    )


def _finals(ax: Axes, data: Mapping[str, Any], theme: Theme) -> None:
    """One row per variant, the first on top; a thin line joins the runs of a seed, a bar is the mean."""
    names = [row["variant"] for row in data["rows"]]
    pieces.prepare(ax, theme, heading="Final best", note="line: one seed, bar: mean", grid="x")
    finals = {(run["variant"], run["seed"]): run["final"] for run in data["runs"] if run["final"] is not None}
    if not finals:
        pieces.say(ax, theme, "No run has a score.")
        return
    for seed in data["seeds"]:
        points = [(finals[name, seed], float(i)) for i, name in enumerate(names) if (name, seed) in finals]
        x, y = [place[0] for place in points], [place[1] for place in points]
        pieces.rule(ax, x, y, color=theme.edge, width=0.8, alpha=0.6, zorder=1)
    for i, row in enumerate(data["rows"]):
        values = [value for (name, _), value in finals.items() if name == row["variant"]]
        _marks(ax, theme, _look(i)[0], values, [float(i)] * len(values))
        if row["best"] is not None:
            pieces.rule(ax, [row["best"]] * 2, [i - 0.28, i + 0.28], color=theme.text, width=2.2, zorder=5)
    low, high = min(finals.values()), max(finals.values())
    margin = 0.08 * (high - low) or abs(high) * 0.02 or 0.1
    ax.set(xlim=(low - margin, high + margin), ylim=(len(names) - 0.5, -0.5))
    places = scales.nice_ticks(low - margin, high + margin, 4)
    pieces.ticks(ax, "x", places, scales.number_labels(places))
    pieces.ticks(ax, "y", list(range(len(names))), [_folded(name) for name in names])
    arrow = "higher is better ↑" if data["direction"] == "maximize" else "lower is better ↓"
    pieces.label_axes(ax, theme, f"{one_line(data['metric'], 28)} ({arrow})")


def _folded(name: str, room: int = 16) -> str:
    """A label of at most three lines."""
    lines = textwrap.wrap(one_line(name, 3 * room), room, max_lines=3, placeholder="…")
    return "\n".join(lines)

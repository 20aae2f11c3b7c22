"""Scores by source: a strip of trials per source, its best, and how often it improved on the best so far."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.figures import scales
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import SourceCount
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score

_GOLDEN = (math.sqrt(5) - 1) / 2
_MEDIAN = 5
"""Scores from which on a source has a median that means something."""


def height(run: RunData) -> float:
    """Inches that the strips need."""
    return 1.35 + 0.4 * max(len(run.sources), 2)


def draw(ax: Axes, run: RunData, theme: Theme, *, columns: bool = True) -> None:
    """Draw the pane into the axes; ``columns`` adds trials, improvements and best as text at the right."""
    pieces.prepare(ax, theme, heading="Scores by source", note=_key(run) if columns else "", grid="x")
    if not run.sources:
        pieces.say(ax, theme, "No trial has ended yet.")
        return
    low, high = scales.score_range(run)
    ax.set(xlim=(low, high), ylim=(max(len(run.sources), 2) - 0.45, -0.6))
    ticks = scales.nice_ticks(low, high, 5 if columns else 4) if run.scored else []
    pieces.ticks(ax, "x", ticks, scales.number_labels(ticks))
    pieces.ticks(ax, "y", list(range(len(run.sources))), [one_line(s.source, 20) for s in run.sources])
    ax.tick_params(axis="y", length=0, labelsize=pieces.SIZE if columns else pieces.SMALL)
    ax.spines["left"].set_visible(False)
    pieces.label_axes(ax, theme, scales.metric_label(run) if run.scored else "no trial has a single score")
    default = run.default_value
    if default is not None and low <= default <= high:
        ax.axvline(default, color=theme.muted, linewidth=1.1, linestyle=pieces.DASHED, zorder=1, marker="")
    for lane, source in enumerate(run.sources):
        _strip(ax, run, theme, lane, source, low, high)
    if columns:
        _columns(ax, run, theme)


def describe(run: RunData) -> str:
    """The pane in one sentence, for readers who do not see it."""
    digits = decimals(run.default_value, run.best_value)
    parts = []
    for source in run.sources:
        best = score(source.best.value if source.best else None, digits)
        trials, bests = count(source.n_trials, "trial"), count(source.n_improvements, "new best", "new bests")
        parts.append(f"{one_line(source.source, 20)}: {trials}, best {best}, {bests}")
    return "Scores by source. " + "; ".join(parts) + "." if parts else "Scores by source: no trial yet."


def _key(run: RunData) -> str:
    """What the lines and rings mean, as far as they are drawn."""
    parts = []
    if any(len(source.scored) >= _MEDIAN for source in run.sources):
        parts.append("bar: median")
    if run.best is not None:
        parts.append("ring: best")
    if run.default_value is not None:
        parts.append("dashed: default")
    return ", ".join(parts)


def _strip(
    ax: Axes, run: RunData, theme: Theme, lane: int, source: SourceCount, low: float, high: float
) -> None:
    mark = theme.mark(source.source)
    placed = [t for t in source.scored if not scales.outside(t, low, high)]
    n = len(placed)
    # Spread evenly over the lane by the golden ratio: no randomness, no two neighbours at one height.
    wide = 0.26 if n > 3 else 0.0
    heights = {t.n: lane + wide * (2 * ((i * _GOLDEN) % 1.0) - 1) for i, t in enumerate(placed)}
    pieces.points(
        ax,
        [t.value for t in placed],
        list(heights.values()),
        s=mark.size * (26 if n <= 60 else 15 if n <= 250 else 8),
        marker=mark.marker,
        color=theme.color(source.source),
        alpha=0.75 if n <= 60 else 0.5,
        edgecolors=theme.background,
        linewidths=0.4,
        zorder=2,
    )
    values = sorted(t.value for t in source.scored if t.value is not None)
    if len(values) >= _MEDIAN:
        middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
        if low <= middle <= high:
            pieces.rule(
                ax, [middle, middle], [lane - 0.33, lane + 0.33], color=theme.text, width=1.6, zorder=3
            )
    best = source.best
    if best is not None and best.n in heights:
        place = (best.value, heights[best.n])
        if run.best is not None and best.n == run.best.n:
            pieces.ring(ax, place, area=95, color=theme.accent, width=1.7)
        elif n > 1:
            pieces.ring(ax, place, area=95, color=theme.text, width=1.0)


def _columns(ax: Axes, run: RunData, theme: Theme) -> None:
    """Three columns of text at fixed distances from the axes' right edge."""
    digits = decimals(run.default_value, run.best_value)
    places = (46, 112, 172)
    for place, word in zip(places, ("trials", "new bests", "best"), strict=True):
        pieces.words(
            ax,
            word,
            (1, 1),
            color=theme.muted,
            at="axes fraction",
            offset=(place, 3),
            ha="right",
            va="bottom",
        )
    for lane, source in enumerate(run.sources):
        share = f" ({source.n_improvements / source.n_trials:.0%})" if source.n_improvements else ""
        best = scales.minus(score(source.best.value if source.best else None, digits))
        winner = run.best is not None and source.best is not None and source.best.n == run.best.n
        cells = (f"{source.n_trials}", f"{source.n_improvements}{share}", best)
        for place, word in zip(places, cells, strict=True):
            pieces.words(
                ax,
                word,
                (1, lane),
                color=theme.text,
                size=pieces.SIZE,
                at=("axes fraction", "data"),
                offset=(place, 0),
                ha="right",
                fontweight="bold" if winner and word is best else "normal",
            )

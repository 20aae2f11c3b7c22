"""Scores over trials: every trial with its fold spread, the best so far, the default as a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.figures import scales
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import Trial
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score

_AXES = "axes fraction"


def draw(ax: Axes, run: RunData, theme: Theme) -> None:
    """Draw the pane into the axes."""
    pieces.prepare(ax, theme, heading="Scores", note=_note(run))
    if not run.trials:
        pieces.say(ax, theme, "No trial has ended yet.")
        return
    scales.trial_axis(ax, run)
    pieces.label_axes(ax, theme, "trial", scales.metric_label(run) if run.scored else "")
    handles: list[Any] = []
    if run.scored:
        low, high = scales.score_range(run)
        ax.set_ylim(low, high)
        ticks = scales.nice_ticks(low, high, 6)
        pieces.ticks(ax, "y", ticks, scales.number_labels(ticks))
        _spreads(ax, run, theme)
        _best_so_far(ax, run, theme)
        _points(ax, run, theme, low, high)
        _labels(ax, run, theme, low, high)
        handles.append(pieces.legend_line("best so far", color=theme.text, linewidth=1.5))
        for source in run.sources:
            if source.scored:
                label = f"{one_line(source.source, 20)} ({source.n_trials})"
                handles.append(pieces.legend_mark(theme, source.source, label))
    else:
        ax.set_yticks([])
        sentence = "No trial has a single score." if run.direction is None else "No trial has a score."
        pieces.words(ax, sentence, (0.5, 0.5), color=theme.muted, size=pieces.SIZE, at=_AXES, ha="center")
    handles += _without_score(ax, run, theme)
    pieces.legend_below(ax, theme, handles)


def describe(run: RunData) -> str:
    """The pane in one sentence, for readers who do not see it."""
    if run.best is None:
        return f"Scores: {count(run.n_trials, 'trial')}, none with a single score."
    digits = decimals(run.default_value, run.best_value)
    infeasible = f", {len(run.infeasible)} infeasible" if run.infeasible else ""
    return (
        f"Scores of {count(run.n_trials, 'trial')} by {one_line(run.metric)}: "
        f"default {score(run.default_value, digits)}, best {score(run.best_value, digits)} "
        f"at trial {run.best.n}, {len(run.failed)} failed, {len(run.pruned)} pruned"
        f"{infeasible}."
    )


def _note(run: RunData) -> str:
    if any(t.std is not None for t in run.scored):
        folds = run.info.get("n_folds")
        return f"bars: ±1 standard deviation over {folds} folds" if folds else "bars: ±1 standard deviation"
    return "bars: range over folds" if any(t.spread for t in run.scored) else ""


def _spreads(ax: Axes, run: RunData, theme: Theme) -> None:
    bars = [(t, t.spread) for t in run.scored if t.spread is not None]
    width, alpha = (1.3, 0.38) if len(bars) <= 60 else (0.9, 0.3) if len(bars) <= 250 else (0.5, 0.2)
    lines = LineCollection(
        [[(t.n, s[0]), (t.n, s[1])] for t, s in bars],
        colors=[theme.color(t.source) for t, _ in bars],
        linewidths=width,
        alpha=alpha,
        zorder=1.5,
    )
    ax.add_collection(lines, autolim=False)


def _best_so_far(ax: Axes, run: RunData, theme: Theme) -> None:
    steps = run.incumbents
    x = [float(t.n) for t in steps] + [float(run.trials[-1].n)]
    y = [t.value or 0.0 for t in steps] + [steps[-1].value or 0.0]
    pieces.rule(ax, x, y, color=theme.text, width=1.5, zorder=2.5, drawstyle="steps-post")


def _points(ax: Axes, run: RunData, theme: Theme, low: float, high: float) -> None:
    area = pieces.marker_area(len(run.trials))
    for source in run.sources:
        mark = theme.mark(source.source)
        inside = [t for t in source.scored if not scales.outside(t, low, high)]
        pieces.points(
            ax,
            [t.n for t in inside],
            [t.value for t in inside],
            s=area * mark.size,
            marker=mark.marker,
            color=theme.color(source.source),
            edgecolors=theme.background,
            linewidths=0.5,
            zorder=3,
        )
    if run.best is not None:
        pieces.ring(ax, (run.best.n, run.best.value), area=max(area * 4.5, 70), color=theme.text, width=1.3)
    outside = [t for t in run.scored if scales.outside(t, low, high)]
    if outside:
        _outside_axis(ax, outside, theme, above=not run.maximize)


def _outside_axis(ax: Axes, trials: Sequence[Trial], theme: Theme, *, above: bool) -> None:
    """Trials too bad for the axis, as arrows at its edge."""
    pieces.points(
        ax,
        [t.n for t in trials],
        [0.985 if above else 0.015] * len(trials),
        transform=ax.get_xaxis_transform(),
        s=26,
        marker=pieces.UP if above else pieces.DOWN,
        color=[theme.color(t.source) for t in trials],
        linewidths=1.0,
        clip_on=False,
        zorder=4,
    )
    text = f"{count(len(trials), 'trial')} beyond the axis"
    pieces.words(ax, text, (0.995, 0.93 if above else 0.07), color=theme.muted, at=_AXES, ha="right")


def _labels(ax: Axes, run: RunData, theme: Theme, low: float, high: float) -> None:
    """Draw the default's line, and name both lines where they end, at the right."""
    digits = decimals(run.default_value, run.best_value)
    marks: list[tuple[float, str, Any, str]] = []
    best = run.best
    if best is not None and best.value is not None and best.value != run.default_value:
        marks.append((best.value, "best", theme.text, "bold"))
    default = run.default_value
    if default is not None and low <= default <= high:
        ax.axhline(default, color=theme.muted, linewidth=1.1, linestyle=pieces.DASHED, zorder=2.2, marker="")
        marks.append((default, "default", theme.muted, "normal"))
    marks.sort()
    places = [(mark[0] - low) / (high - low) for mark in marks]
    if len(places) == 2 and places[1] - places[0] < 0.15:
        middle = min(max(sum(places) / 2, 0.1), 0.92)
        places = [middle - 0.075, middle + 0.075]
    for place, (value, word, color, weight) in zip(places, marks, strict=True):
        text = f"{word}\n{scales.minus(score(value, digits))}"
        pieces.words(
            ax, text, (1, place), color=color, at=_AXES, offset=(6, 0), fontweight=weight, linespacing=1.15
        )


def _without_score(ax: Axes, run: RunData, theme: Theme) -> list[Any]:
    """Trials without a score that counts, on a strip along the lower edge: a cross failed, a bar was pruned,
    three strokes are infeasible.
    """
    handles: list[Any] = []
    kinds = ((run.failed, "x", "failed"), (run.pruned, "|", "pruned"), (run.infeasible, "1", "infeasible"))
    for trials, marker, word in kinds:
        if trials:
            points = pieces.points(
                ax,
                [t.n for t in trials],
                [0.022] * len(trials),
                transform=ax.get_xaxis_transform(),
                marker=marker,
                s=26 if len(run.trials) <= 200 else 14,
                color=theme.muted,
                linewidths=1.3,
                clip_on=False,
                zorder=4,
                label=f"{word} ({len(trials)})",
            )
            handles.append(points)
    return handles

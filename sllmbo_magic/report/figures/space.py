"""The search space over trials: one small multiple per parameter, on its own scale.

The band is the range in force when a trial ran, through all versions; a point is a trial, the more it stands
out the higher its score ranks, shaped by its source. The ring is the best trial, the thin line the best one
so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Patch

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.figures import scales
from sllmbo_magic.report.figures.canvas import RunFigure
from sllmbo_magic.report.figures.scales import Scale
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import one_line

_RANK = Normalize(0, 1)
_WITHOUT_SCORE = ("FAIL", "PRUNED", "INFEASIBLE")


def build(run: RunData, theme: Theme, *, limit: int | None = None) -> RunFigure:
    """The figure with a panel per parameter, the most important first; at most ``limit`` of them."""
    names = run.parameters[:limit]
    if not names:
        figure = RunFigure(9.0, 2.4, theme)
        ax = figure.subplots()
        pieces.prepare(ax, theme, heading="Search space", grid="")
        pieces.say(ax, theme, "No search space yet.")
        return figure
    # As few empty places as can be, then as many columns.
    columns = len(names) if len(names) < 3 else min((5, 4, 3), key=lambda c: (-len(names) % c, -c))
    rows = math.ceil(len(names) / columns)
    figure = RunFigure(9.0, 1.0 + (2.3 if rows == 1 else 1.62 * rows), theme)
    axes = figure.subplots(rows, columns, squeeze=False)
    labels, prefix = pieces.parameter_labels(names, 18 if columns > 3 else 24)
    for i, ax in enumerate(axes.flat):
        if i < len(names):
            panel(ax, run, theme, names[i], labels[names[i]], bottom=i // columns == rows - 1)
        else:
            ax.set_axis_off()
    notes = [f"names without {one_line(prefix)}"] if prefix else []
    if len(names) < len(run.parameters):
        notes.append(f"{len(names)} of {len(run.parameters)} parameters")
    title = "Search space" + (f" ({', '.join(notes)})" if notes else "")
    figure.suptitle(title, x=0.012, ha="left", fontsize=pieces.TITLE, fontweight="bold", color=theme.text)
    _legend(figure, run, theme)
    if len(run.scored) > 1:
        _color_bar(figure, axes, theme)
    return figure


def describe(run: RunData) -> str:
    """The pane in one sentence, for readers who do not see it."""
    return (
        f"Search space: {count(len(run.parameters), 'parameter')} in {count(len(run.versions), 'version')}, "
        f"with the values of {count(len(run.trials), 'trial')}."
    )


def panel(ax: Axes, run: RunData, theme: Theme, name: str, label: str, *, bottom: bool = True) -> None:
    """One parameter: its range as a band, its values as points. ``bottom``: the x axis has a label."""
    pieces.prepare(ax, theme, grid="")
    pieces.title(ax, theme, label, size=pieces.SIZE, pad=4.0)
    scale = scales.scale_of(name, run)
    scales.trial_axis(ax, run, 4)
    scale.apply(ax, limit=10)
    pieces.label_axes(ax, theme, "trial" if bottom else "")
    for start, end, params in _reigns(run, name):
        _band(ax, scale, params, start, end, theme)
    _trail(ax, run, scale, name, theme)
    _points(ax, run, scale, name, theme)


def _reigns(run: RunData, name: str) -> list[tuple[float, float, Mapping[str, Any]]]:
    """The parameter's declarations, each from half a trial before its first trial to where the next
    starts."""
    if not run.versions:  # an objective that suggests for itself
        return []
    last = run.trials[-1].n if run.trials else 0
    starts = [v.trial - 0.5 for v in run.versions]
    ends = [*starts[1:], max(last + 0.5, starts[-1] + 1.0)]
    reigns: list[tuple[float, float, Mapping[str, Any]]] = []
    for start, end, version in zip(starts, ends, run.versions, strict=True):
        params = version.params.get(name)
        if params is None or end <= start:
            continue
        if reigns and reigns[-1][1] == start and reigns[-1][2] == params:
            reigns[-1] = (reigns[-1][0], end, params)
        else:
            reigns.append((start, end, params))
    return reigns


def _band(ax: Axes, scale: Scale, params: Mapping[str, Any], start: float, end: float, theme: Theme) -> None:
    """A range as a band, choices as lanes, a parameter that is no longer searched as a dotted line."""
    x, color = [start, end], theme.band_edge
    fill: dict[str, Any] = {"color": theme.band, "alpha": 0.13, "linewidth": 0, "zorder": 0.8}
    ends = scales.hull(params)
    if ends is not None:
        low, high = (scale.place(e) or 0.0 for e in ends)
        ax.fill_between(x, low, high, **fill)
        for edge in (low, high):
            pieces.rule(ax, x, [edge, edge], color=color, width=0.9, zorder=1)
    elif "choices" in params:
        for lane in (scale.place(choice) for choice in params["choices"]):
            if lane is not None:
                ax.fill_between(x, lane - 0.36, lane + 0.36, **fill)
    elif (place := scale.place(params.get("fixed"))) is not None:
        pieces.rule(ax, x, [place, place], color=color, width=1.4, linestyle=(0, (1, 1.5)), zorder=1)


def _trail(ax: Axes, run: RunData, scale: Scale, name: str, theme: Theme) -> None:
    """The value of the best trial so far; a gap where the best one does not use the parameter."""
    steps = [(t.n, scale.place(t.params[name]) if name in t.params else None) for t in run.incumbents]
    if any(place is not None for _, place in steps):
        steps.append((run.trials[-1].n, steps[-1][1]))
        y = [math.nan if place is None else place for _, place in steps]
        x = [float(n) for n, _ in steps]
        pieces.rule(ax, x, y, color=theme.text, width=0.9, alpha=0.55, zorder=2, drawstyle="steps-post")


def _points(ax: Axes, run: RunData, scale: Scale, name: str, theme: Theme) -> None:
    area = 0.62 * pieces.marker_area(len(run.trials))
    places = {t.n: scale.place(t.params[name]) for t in run.trials if name in t.params}
    lost = [
        (t.n, places[t.n]) for t in (*run.failed, *run.pruned, *run.infeasible) if places.get(t.n) is not None
    ]
    pieces.points(
        ax,
        [n for n, _ in lost],
        [place for _, place in lost],
        s=0.7 * area,
        marker="x",
        color=theme.muted,
        linewidths=0.8,
        zorder=2.4,
    )
    unranked = [t for t in run.trials if t.value is None and t.state not in _WITHOUT_SCORE]
    for trial in (t for t in unranked if places.get(t.n) is not None):  # running, or several objectives
        marker = theme.mark(trial.source).marker
        pieces.points(
            ax, [trial.n], [places[trial.n]], s=area, marker=marker, color=theme.muted, linewidths=0.0
        )
    for source in run.sources:
        mark = theme.mark(source.source)
        placed = [(run.goodness[t.n], t.n) for t in source.scored if places.get(t.n) is not None]
        placed.sort()  # the best on top
        pieces.points(
            ax,
            [n for _, n in placed],
            [places[n] for _, n in placed],
            c=[goodness for goodness, _ in placed],
            cmap=theme.rank,
            norm=_RANK,
            s=area * mark.size,
            marker=mark.marker,
            edgecolors=theme.edge,
            linewidths=0.45,
            zorder=3,
        )
    if run.best is not None and places.get(run.best.n) is not None:
        pieces.ring(ax, (run.best.n, places[run.best.n]), area=max(area * 3.6, 52), color=theme.accent)


def _legend(figure: RunFigure, run: RunData, theme: Theme) -> None:
    handles: list[Any] = [Patch(facecolor=theme.band, alpha=0.25, label="range in force", linewidth=0)]
    if run.best is not None:
        ring = {"marker": "o", "markersize": 7.5, "markerfacecolor": "none", "markeredgecolor": theme.accent}
        handles += [
            pieces.legend_line("best so far", color=theme.text, alpha=0.6, linewidth=1.0),
            pieces.legend_line("best trial", linestyle="none", markeredgewidth=1.6, **ring),
        ]
    for source in run.sources:
        if any(t.source == source.source and t.state not in _WITHOUT_SCORE for t in run.trials):
            handle = pieces.legend_mark(theme, source.source, one_line(source.source, 20))
            handle.set(markerfacecolor=theme.rank(0.45), markeredgecolor=theme.edge)
            handles.append(handle)
    if run.failed or run.pruned or run.infeasible:
        cross = {"marker": "x", "markersize": 5, "color": theme.muted, "markeredgewidth": 1.2}
        handles.append(pieces.legend_line("no score", linestyle="none", **cross))
    pieces.legend(figure, theme, handles, loc="outside lower left", borderaxespad=0.3)


def _color_bar(figure: RunFigure, axes: Any, theme: Theme) -> None:
    bar = figure.colorbar(
        ScalarMappable(norm=_RANK, cmap=theme.rank),
        ax=axes,
        location="right",
        shrink=min(0.7, 0.25 + 0.9 / axes.shape[0]),
        aspect=24,
        pad=0.012,
    )
    bar.outline.set_visible(False)
    pieces.ticks(bar.ax, "y", [0.0, 1.0], ["worst\nscore", "best\nscore"])
    bar.ax.tick_params(labelsize=pieces.SMALL, labelcolor=theme.muted, length=0, pad=3, direction="out")
    bar.ax.tick_params(left=False, labelleft=False, right=True, labelright=True)
    bar.ax.minorticks_off()

"""Parallel coordinates: one axis per parameter and the score last, one line per trial."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.figures import scales
from sllmbo_magic.report.figures import style
from sllmbo_magic.report.figures.scales import Scale
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import Trial
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import one_line

MOST = 10
"""Axes with room for their labels; the most important parameters get them."""
TITLE = "Parallel coordinates"
_UNUSED = -0.13
_AXES = "axes fraction"
_LONGEST_METRIC = 34
"""Characters of the metric's name: as many as the longest of scikit-learn's has."""


def draw(ax: Axes, run: RunData, theme: Theme, *, limit: int = MOST, best: int | None = None) -> None:
    """Draw the pane into the axes: at most ``limit`` parameters, and only the ``best`` trials (None: all)."""
    pieces.prepare(ax, theme, grid="")
    names = run.parameters[:limit]
    if not names or not run.scored:
        pieces.title(ax, theme, TITLE)
        pieces.say(ax, theme, "No trial has a single score." if run.trials else "No trial has ended yet.")
        return
    trials = run.ranked[:best]
    parameter_scales = [scales.scale_of(name, run) for name in names]
    score_scale = Scale("linear", *scales.score_range(run))
    paths = [_path(t, names, parameter_scales, score_scale) for t in trials]
    for spine in ax.spines.values():
        spine.set_visible(False)
    _lines(ax, run, theme, trials, paths)
    labels, prefix = pieces.parameter_labels(names, 20)
    bottom = 0.0
    for x, (name, scale) in enumerate(zip(names, parameter_scales, strict=True)):
        _axis(ax, theme, x, scale, labels[name])
        if any(path[x][1] == _UNUSED for path in paths):
            bottom = _UNUSED - 0.08
            pieces.words(
                ax, "not used", (x, _UNUSED - 0.06), color=theme.muted, size=pieces.SMALL - 1, ha="center"
            )
    _axis(ax, theme, len(names), score_scale, one_line(run.metric, _LONGEST_METRIC), bold=True)
    ax.set(xlim=(-0.45, len(names) + 0.75), ylim=(bottom - 0.03, 1.03), xticks=[], yticks=[])
    # The names stand slanted over their axes: the title goes above the longest of them.
    longest = max(len(label) for label in [*labels.values(), one_line(run.metric, _LONGEST_METRIC)])
    above = 18 + 0.33 * pieces.SMALL * longest
    place: dict[str, Any] = {"at": _AXES, "va": "bottom"}
    pieces.words(
        ax, TITLE, (0, 1), color=theme.text, size=pieces.TITLE, offset=(-4, above), fontweight="bold", **place
    )
    notes = [f"names without {one_line(prefix)}"] if prefix else []
    if len(names) < len(run.parameters):
        notes.append(f"{len(names)} of {len(run.parameters)} parameters")
    if len(trials) < len(run.scored):
        notes.append(f"the best {len(trials)} of {len(run.scored):,} trials")
    if len(trials) > 1:
        notes.append(f"{'darker' if theme.name == 'light' else 'brighter'}: better score")
    notes.append("thick: the best trial")
    pieces.words(ax, "; ".join(notes), (1, 1), color=theme.muted, offset=(0, above), ha="right", **place)


def describe(run: RunData) -> str:
    """The pane in one sentence, for readers who do not see it."""
    if run.best is None:
        return "Parallel coordinates: no trial has a score."
    return f"Parallel coordinates of {count(len(run.scored), 'trial')}; the best one is drawn thick."


def _path(
    trial: Trial, names: tuple[str, ...], parameter_scales: list[Scale], score_scale: Scale
) -> list[tuple[float, float]]:
    """The trial's line; a parameter that it does not use, or that has no place on its axis, is below the
    axis."""
    path = []
    for x, (name, scale) in enumerate(zip(names, parameter_scales, strict=True)):
        unit = scale.unit(trial.params[name]) if name in trial.params else None
        path.append((float(x), _UNUSED if unit is None else unit))
    return [*path, (float(len(names)), score_scale.unit(trial.value) or 0.0)]


def _lines(
    ax: Axes, run: RunData, theme: Theme, trials: tuple[Trial, ...], paths: list[list[tuple[float, float]]]
) -> None:
    """The lines, the best on top. Crowds are pale, not transparent: the picture stays readable, and small."""
    n = len(trials)
    faint = 0.5 if n <= 60 else 0.28 if n <= 250 else 0.15
    goodness = [run.goodness[t.n] for t in trials]
    strength = [min(faint + (0.9 - faint) * max(g - 0.8, 0.0) * 5, 1.0) for g in goodness]
    lines = LineCollection(
        paths[::-1],
        colors=[style.mix(theme.rank(g), theme, s) for g, s in zip(goodness, strength, strict=True)][::-1],
        linewidths=[1.3 if g > 0.9 else 0.7 for g in goodness][::-1],
        zorder=1,
    )
    ax.add_collection(lines, autolim=False)
    x, y = zip(*paths[0], strict=True)
    dots: dict[str, Any] = {
        "marker": "o",
        "markersize": 4.5,
        "markerfacecolor": theme.accent,
        "markeredgewidth": 0.8,
    }
    pieces.rule(ax, x, y, color=theme.accent, width=2.4, zorder=3, markeredgecolor=theme.background, **dots)


def _axis(ax: Axes, theme: Theme, x: float, scale: Scale, label: str, *, bold: bool = False) -> None:
    """One vertical axis with its ticks at the right, its name slanted above."""
    pieces.rule(ax, [x, x], [0, 1], color=theme.edge, width=1.3 if bold else 0.9, zorder=2, clip_on=False)
    behind = {"facecolor": theme.background, "alpha": 0.72, "edgecolor": "none", "pad": 0.6}
    for place, word in zip(*scale.ticks(4, 9), strict=True):
        unit = scale.unit_of(place)
        pieces.rule(ax, [x, x + 0.04], [unit, unit], color=theme.edge, width=0.8, zorder=2, clip_on=False)
        pieces.words(
            ax, word, (x + 0.065, unit), color=theme.text, size=pieces.SMALL - 1, zorder=4, bbox=behind
        )
    pieces.words(
        ax,
        label,
        (x, 1.03),
        color=theme.text,
        offset=(0, 2),
        va="bottom",
        rotation=30,
        rotation_mode="anchor",
        fontweight="bold" if bold else "normal",
    )

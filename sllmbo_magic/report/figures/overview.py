"""The whole run in one picture, for readers that show one only: scores, sources, importance, ranges."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.report.figures import history
from sllmbo_magic.report.figures import importances
from sllmbo_magic.report.figures import sources
from sllmbo_magic.report.figures import space
from sllmbo_magic.report.figures import style
from sllmbo_magic.report.figures.canvas import RunFigure
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.reading import Run

PANELS = 3


def build(run: Run, theme: Theme) -> RunFigure:
    """The figure: scores on top, sources and importance below, the most important parameters last.

    Each row is laid out by itself, so that a long label in one takes no room in another.
    """
    names = run.parameters[:PANELS]
    heights = [3.5, 2.6, 2.1] if names else [3.5, 2.6]
    figure = RunFigure(9.0, sum(heights), theme)
    rows: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    for row in rows:
        row.set_facecolor(theme.background)
    history.draw(rows[0].subplots(), run, theme)
    left, right = rows[1].subplots(1, 2)
    sources.draw(left, run, theme, columns=False)
    importances.draw(right, run, theme, limit=7)
    if names:
        labels, _ = style.parameter_labels(run.parameters)
        for name, ax in zip(names, rows[2].subplots(1, len(names), squeeze=False).flat, strict=True):
            space.panel(ax, run, theme, name, labels[name])
    return figure

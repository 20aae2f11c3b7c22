"""The run in one picture, for readers that show one only: scores, sources and importance."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.report.figures import history
from sllmbo_magic.report.figures import importances
from sllmbo_magic.report.figures import sources
from sllmbo_magic.report.figures.canvas import RunFigure
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.run_data import RunData


def build(run: RunData, theme: Theme) -> RunFigure:
    """The figure: scores on top, sources and importance below.

    Each row is laid out by itself, so that a long label in one takes no room in the other.
    """
    figure = RunFigure(9.0, 6.2, theme)
    rows: Any = figure.subfigures(2, 1, height_ratios=[3.6, 2.6])
    for row in rows:
        row.set_facecolor(theme.background)
    history.draw(rows[0].subplots(), run, theme)
    left, right = rows[1].subplots(1, 2)
    sources.draw(left, run, theme, columns=False)
    importances.draw(right, run, theme, limit=7)
    return figure

"""matplotlib figures of a run, for notebooks and papers, from its bundle alone.

Every function takes the bundle (schema 1) and returns a figure that a notebook shows by itself: no pyplot, no
global state, safe in any thread. A figure drawn into ``ax`` is the figure of these axes. ``theme`` is
``"light"`` or ``"dark"``. A run without trials, without scores or with several objectives gets a figure that
says so.

matplotlib is imported at the first call.

Raises:
    MissingExtraError: matplotlib is not installed.
    InputError: The theme is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic._utils.library_logs import quiet_while_used
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.report.comparison_units import shown
from sllmbo_magic.report.run_data import read

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_comparison",
    "plot_history",
    "plot_importances",
    "plot_overview",
    "plot_parallel",
    "plot_search_space",
    "plot_sources",
]


@quiet_while_used("matplotlib")
def plot_history(bundle: Mapping[str, Any], *, theme: str = "light", ax: Axes | None = None) -> Figure:
    """Each trial's score with its fold spread, shaped and coloured by source; the best so far; the default's
    line.

    Failed (cross), pruned (bar) and infeasible (three strokes) trials stand on the lower edge; scores too bad
    for the axis are arrows there.
    """
    _need_matplotlib()
    from sllmbo_magic.report.figures import history

    return _pane(bundle, history, 9.0, 4.2, theme, ax)


@quiet_while_used("matplotlib")
def plot_search_space(bundle: Mapping[str, Any], *, theme: str = "light", limit: int | None = None) -> Figure:
    """One panel per parameter on its own scale: the range as a band through the versions, each trial a point.

    Points are coloured by the rank of their score and shaped by source; the best trial has a ring. The most
    important parameters come first; ``limit`` keeps only so many.
    """
    _need_matplotlib()
    from sllmbo_magic.report.figures import pieces
    from sllmbo_magic.report.figures import space
    from sllmbo_magic.report.figures import style

    run = read(bundle)
    figure = space.build(run, style.theme_of(theme), limit=limit)
    figure.alt = space.describe(run)
    pieces.finish(figure)
    return figure


@quiet_while_used("matplotlib")
def plot_importances(
    bundle: Mapping[str, Any],
    *,
    theme: str = "light",
    ax: Axes | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """The share of each parameter in the score's variation, as the run computed it.

    ``intervals`` (see ``TuneResult.importance_intervals``) become lines on the bars.
    """
    _need_matplotlib()
    from sllmbo_magic.report.figures import importances

    height = importances.height(read(bundle))
    return _pane(bundle, importances, 6.4, height, theme, ax, intervals=intervals)


@quiet_while_used("matplotlib")
def plot_parallel(
    bundle: Mapping[str, Any],
    *,
    theme: str = "light",
    ax: Axes | None = None,
    limit: int = 10,
    best: int | None = None,
) -> Figure:
    """Parallel coordinates: the most important parameters and the score, the best trial as a thick line.

    ``limit`` is the number of parameters, ``best`` that of trials, the best ones (default: all).
    """
    _need_matplotlib()
    from sllmbo_magic.report.figures import parallel

    return _pane(bundle, parallel, 9.0, 4.4, theme, ax, limit=limit, best=best)


@quiet_while_used("matplotlib")
def plot_sources(bundle: Mapping[str, Any], *, theme: str = "light", ax: Axes | None = None) -> Figure:
    """A strip of scores per source with its median and best, trials, and how often it improved on the
    best."""
    _need_matplotlib()
    from sllmbo_magic.report.figures import sources

    return _pane(bundle, sources, 9.0, sources.height(read(bundle)), theme, ax)


@quiet_while_used("matplotlib")
def plot_overview(bundle: Mapping[str, Any], *, theme: str = "light") -> Figure:
    """Scores, sources and importance in one picture."""
    _need_matplotlib()
    from sllmbo_magic.report.figures import history
    from sllmbo_magic.report.figures import overview
    from sllmbo_magic.report.figures import pieces
    from sllmbo_magic.report.figures import style

    run = read(bundle)
    figure = overview.build(run, style.theme_of(theme))
    figure.alt = history.describe(run)
    pieces.finish(figure)
    return figure


@quiet_while_used("matplotlib")
def plot_comparison(data: Mapping[str, Any], *, theme: str = "light") -> Figure:
    """Several ways to search side by side: regret over trials with its spread, and each seed's final best.

    ``data`` is what ``Comparison.to_dict`` gives.
    """
    _need_matplotlib()
    from sllmbo_magic.report.figures import canvas
    from sllmbo_magic.report.figures import comparison
    from sllmbo_magic.report.figures import pieces
    from sllmbo_magic.report.figures import style

    colors = style.theme_of(theme)
    data = shown(data)
    figure = canvas.RunFigure(10.0, 4.4, colors)
    figure.alt = comparison.describe(data)
    comparison.build(figure, data, colors)
    pieces.finish(figure)
    return figure


def _pane(
    bundle: Mapping[str, Any],
    pane: Any,
    width: float,
    height: float,
    theme: str,
    ax: Axes | None,
    **options: Any,
) -> Figure:
    """A pane that fits into one pair of axes: into the given ones, or into a figure of its own."""
    from sllmbo_magic.report.figures import canvas
    from sllmbo_magic.report.figures import pieces
    from sllmbo_magic.report.figures import style

    run, colors = read(bundle), style.theme_of(theme)
    if ax is not None:
        pane.draw(ax, run, colors, **options)
        pieces.finish(ax)
        figure = ax.get_figure(root=True)
        assert figure is not None, "axes without a figure"
        return figure
    new_figure = canvas.RunFigure(width, height, colors)
    new_figure.alt = pane.describe(run)
    pane.draw(new_figure.subplots(), run, colors, **options)
    pieces.finish(new_figure)
    return new_figure


def _need_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise missing_extra("matplotlib", "plots") from None

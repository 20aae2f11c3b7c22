"""The small pieces that panes are drawn from: dressed axes, lines, markers, words, legends.

Everything is set on the artists themselves. matplotlib's ``rcParams`` are global to the process and
``rc_context`` is not safe beside another thread's figures, so neither is written, and a user's own settings
(``usetex``, a dark style, xkcd) do not change these pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN
from matplotlib.markers import CARETUP
from matplotlib.markers import MarkerStyle
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.text import one_line

FONT = ["DejaVu Sans"]
SIZE, SMALL, TITLE = 9.0, 8.0, 11.0  # points
DASHED = (0, (5, 3))
UP, DOWN = CARETUP, CARETDOWN


def prepare(ax: Axes, theme: Theme, *, heading: str = "", note: str = "", grid: str = "y") -> None:
    """Dress empty axes: faint grid, two spines, a bold title at the left and a muted note after it."""
    ax.set_facecolor(theme.background)
    ax.set_axisbelow(True)
    ax.grid(False, which="both")
    if grid:
        ax.grid(True, axis=grid, which="major", color=theme.grid, linewidth=0.8, linestyle="-", alpha=1.0)  # type: ignore[arg-type]
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=theme.edge, linewidth=0.8, linestyle="-")
    ax.tick_params(
        which="both", direction="out", length=3.0, width=0.8, pad=3.5, color=theme.edge, labelcolor=theme.text
    )
    ax.tick_params(labelsize=SMALL, top=False, right=False, left=True, bottom=True)
    ax.tick_params(labeltop=False, labelright=False, labelleft=True, labelbottom=True)
    ax.minorticks_off()
    title(ax, theme, heading, note=note)


def title(
    ax: Axes, theme: Theme, text: str, *, note: str = "", size: float = TITLE, pad: float = 8.0
) -> None:
    """A bold title at the left and a muted note at the right."""
    ax.set_title("", loc="center")
    ax.set_title(text, loc="left", fontsize=size, fontweight="bold", color=theme.text, pad=pad, y=1.0)
    if note:
        ax.set_title(
            note, loc="right", fontsize=SMALL, fontweight="normal", color=theme.muted, pad=pad, y=1.0
        )


def ticks(ax: Axes, axis: str, places: Sequence[float], labels: Sequence[str]) -> None:
    """Ticks with plain strings as labels."""
    if axis == "x":
        ax.set_xticks(places, labels=labels, ha="center", va="top", fontweight="normal")
    else:
        va = "center_baseline" if ax.yaxis.get_ticks_position() != "right" else "center"
        ax.set_yticks(places, labels=labels, va=va, fontweight="normal")


def label_axes(ax: Axes, theme: Theme, x: str = "", y: str = "") -> None:
    """Axis labels in the muted colour."""
    ax.set_xlabel(x, fontsize=SMALL, color=theme.muted, labelpad=4.0, fontweight="normal", loc="center")
    ax.set_ylabel(y, fontsize=SMALL, color=theme.muted, labelpad=4.0, fontweight="normal", loc="center")


def say(ax: Axes, theme: Theme, sentence: str) -> None:
    """One sentence where there is nothing to draw."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    words(ax, sentence, (0.5, 0.5), color=theme.muted, size=SIZE, at="axes fraction", ha="center")


def rule(ax: Axes, x: Sequence[float], y: Sequence[float], *, color: Any, width: float, **more: Any) -> None:
    """A plain line; ``more`` goes to ``Axes.plot``."""
    plain = {"linestyle": "-", "marker": "", "fillstyle": "full"}
    ax.plot(x, y, **{"color": color, "linewidth": width, **plain, **more})


def points(ax: Axes, x: Sequence[Any], y: Sequence[Any], **more: Any) -> Any:
    """Markers; ``more`` goes to ``Axes.scatter``, whose collection is returned."""
    return ax.scatter(x, y, **{**more, "marker": MarkerStyle(more["marker"], fillstyle="full")})


def words(
    ax: Axes,
    text: str,
    place: tuple[float, float],
    *,
    color: Any,
    size: float = SMALL,
    at: str | tuple[str, str] = "data",
    offset: tuple[float, float] = (0, 0),
    ha: str = "left",
    va: str = "center",
    **more: Any,
) -> None:
    """Text at a place, moved by an offset in points; it may stand outside the axes."""
    ax.annotate(
        text,
        place,
        xycoords=at,
        xytext=offset,
        textcoords="offset points",
        annotation_clip=False,
        ha=ha,
        va=va,
        fontsize=size,
        color=color,
        **{"fontweight": "normal", **more},
    )


def ring(ax: Axes, place: tuple[Any, Any], *, area: float, color: Any, width: float = 1.6) -> None:
    """A circle around a point, to mark it as the best."""
    points(
        ax,
        [place[0]],
        [place[1]],
        s=area,
        marker="o",
        facecolors="none",
        edgecolors=color,
        linewidths=width,
        zorder=4,
        clip_on=False,
    )


def marker_area(n: int) -> float:
    """Area of a marker in square points, so that n trials side by side stay apart."""
    return 36.0 if n <= 60 else 20.0 if n <= 200 else 11.0 if n <= 600 else 7.0


def legend_line(label: str, **look: Any) -> Line2D:
    """A legend's handle, a line or a marker."""
    return Line2D([], [], label=label, **{"linestyle": "-", "marker": "none", "fillstyle": "full", **look})


def legend_mark(theme: Theme, source: str, label: str) -> Line2D:
    """A legend's handle for a source."""
    mark = theme.mark(source)
    return legend_line(
        label,
        linestyle="none",
        marker=mark.marker,
        markersize=6.2 * mark.size**0.5,
        markerfacecolor=theme.color(source),
        markeredgecolor=theme.background,
        markeredgewidth=0.5,
    )


def legend(owner: Any, theme: Theme, handles: Sequence[Any], *, most: int = 8, **place: Any) -> None:
    """A legend without a frame, of axes or of a figure, in rows of about one length, at most ``most`` a
    row."""
    if not handles:
        return
    columns = math.ceil(len(handles) / math.ceil(len(handles) / most))
    owner.legend(
        handles=[h for column in range(columns) for h in handles[column::columns]],  # filled column by column
        ncols=columns,
        frameon=False,
        prop={"family": FONT, "size": SMALL, "weight": "normal", "style": "normal", "stretch": "normal"},
        labelcolor=theme.text,
        markerscale=1.0,
        numpoints=1,
        scatterpoints=1,
        handletextpad=0.5,
        handlelength=1.5,
        handleheight=0.7,
        columnspacing=1.4,
        labelspacing=0.45,
        borderpad=0.2,
        **place,
    )


def legend_below(ax: Axes, theme: Theme, handles: Sequence[Any]) -> None:
    """The legend under the axes, whatever their height."""
    figure: Any = ax.get_figure(root=True)
    below = ax.transAxes + ScaledTranslation(0, -34 / 72, figure.dpi_scale_trans)
    place: dict[str, Any] = {"bbox_to_anchor": (0.0, 0.0), "bbox_transform": below, "borderaxespad": 0.0}
    legend(ax, theme, handles, loc="upper left", **place)


def finish(root: Artist) -> None:
    """Make all artists in it independent of the user's rcParams: font, no TeX, no formulas, smooth edges."""
    for artist in root.findobj():
        artist.set(sketch_params=None, path_effects=[])
        if hasattr(artist, "set_antialiased"):
            artist.set_antialiased(True)
        if isinstance(artist, Text):
            artist.set(fontfamily=FONT, usetex=False, parse_math=False)
            artist.set(fontstyle="normal", fontstretch="normal", fontvariant="normal")
            if (behind := artist.get_bbox_patch()) is not None:
                behind.set(sketch_params=None, path_effects=[])
        elif isinstance(artist, Line2D):
            artist.set(solid_capstyle="projecting", dash_capstyle="butt")


def parameter_labels(names: Sequence[str], limit: int = 22) -> tuple[dict[str, str], str]:
    """Short labels of parameters, and the step prefix (``"clf__"``) that all of them share and none shows."""
    prefix = ""
    if len(names) > 1:
        while all("__" in name[len(prefix) :] for name in names):
            step = names[0][len(prefix) :].split("__", 1)[0] + "__"
            if not all(name.startswith(prefix + step) for name in names):
                break
            prefix += step
    return {name: one_line(name[len(prefix) :], limit) for name in names}, prefix

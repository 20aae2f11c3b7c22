"""How the figures look: two themes, one mark per source, and the small pieces that panes are drawn from.

Everything is set on the artists themselves. matplotlib's ``rcParams`` are global to the process and
``rc_context`` is not safe beside another thread's figures, so neither is written, and a user's own settings
(``usetex``, a dark style, xkcd) do not change these pictures.

Shapes and colours of the sources, and the greys and blues of a score's rank, are those of the live view
(``labextension/src/view``), so that a run looks the same live and saved. Hues are close to Okabe and Ito's
(2008) for colour-blind readers, no shape is used for two hues, and the rank's lightness rises evenly: all of
it reads in grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN
from matplotlib.markers import CARETUP
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

from sllmbo_magic.errors import InputError
from sllmbo_magic.report.text import one_line

FONT = ["DejaVu Sans"]
SIZE, SMALL, TITLE = 9.0, 8.0, 11.0  # points
_CIRCLE = Path.unit_circle()
_HOLE = Path(np.asarray(_CIRCLE.vertices)[::-1] * 0.55, _CIRCLE.codes)
_RING = Path.make_compound_path(_CIRCLE, _HOLE)


@dataclass(frozen=True)
class Mark:
    """Shape and colours of a source; ``size`` evens out the shapes' areas."""

    marker: Any
    light: str
    dark: str
    size: float = 1.0


_BASE = Mark("s", "#c35200", "#f0914a", 0.85)
MARKS: dict[str, Mark] = {
    "default": Mark("P", "#16191d", "#e8eaed", 1.35),
    "llm-init": Mark("h", "#56a5d4", "#a8d4f5", 1.1),
    "llm": Mark("o", "#0072b2", "#5fb4ee"),
    "rulebook": Mark("D", "#00795a", "#3fc79a", 0.8),
    "user": Mark("^", "#a8477d", "#e590bd", 1.2),
    "fallback": Mark("v", "#8a6700", "#e3b341", 1.2),
    "tpe": _BASE,
    "gp": _BASE,
    "cmaes": _BASE,
    "base": _BASE,
    "random": Mark(_RING, "#c35200", "#f0914a", 1.1),
}


@dataclass(frozen=True)
class Theme:
    """Colours that do not depend on a source. ``rank`` runs from worst to best."""

    name: str
    background: str
    text: str
    muted: str
    grid: str
    edge: str
    band: str
    band_edge: str
    bar: str
    accent: str
    rank: Colormap

    def mark(self, source: str) -> Mark:
        return MARKS.get(source, _BASE)

    def color(self, source: str) -> str:
        mark = self.mark(source)
        return mark.dark if self.name == "dark" else mark.light


# The best is what stands out from the background: dark on white, bright on black.
_LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#16191d",
    muted="#5d636b",
    grid="#e7eaee",
    edge="#8c959f",
    band="#0b5f9e",
    band_edge="#6f9fc4",
    bar="#0b5f9e",
    accent="#d55e00",
    rank=LinearSegmentedColormap.from_list(
        "rank-light", ["#b3b7bb", "#8f9eb0", "#7792b3", "#5a84b4", "#3a72ae", "#1d5c9c", "#08427c"]
    ),
)
_DARK = Theme(
    name="dark",
    background="#14171b",
    text="#e8eaed",
    muted="#a3abb5",
    grid="#2a3038",
    edge="#6b7682",
    band="#78bdf2",
    band_edge="#4d7ea6",
    bar="#5fa3d9",
    accent="#ff9c52",
    rank=LinearSegmentedColormap.from_list(
        "rank-dark", ["#59606a", "#6d8094", "#6f90b1", "#74a3cf", "#86b9ea", "#abd2fa", "#e2f1ff"]
    ),
)
THEMES = {theme.name: theme for theme in (_LIGHT, _DARK)}


def theme_of(name: str) -> Theme:
    """The theme of that name. Raises InputError for any but ``light`` and ``dark``."""
    if name not in THEMES:
        raise InputError(f"theme {name!r} is not known.", f"Allowed: {', '.join(THEMES)}.")
    return THEMES[name]


def prepare(ax: Axes, theme: Theme, *, title: str = "", note: str = "", grid: str = "y") -> None:
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
    ax.set_title("", loc="center")
    ax.set_title(title, loc="left", fontsize=TITLE, fontweight="bold", color=theme.text, pad=8.0)
    if note:
        ax.set_title(note, loc="right", fontsize=SMALL, fontweight="normal", color=theme.muted, pad=8.0)


def label_axes(ax: Axes, theme: Theme, x: str = "", y: str = "") -> None:
    """Axis labels in the muted colour."""
    ax.set_xlabel(x, fontsize=SMALL, color=theme.muted, labelpad=4.0, fontweight="normal")
    ax.set_ylabel(y, fontsize=SMALL, color=theme.muted, labelpad=4.0, fontweight="normal")


def say(ax: Axes, theme: Theme, sentence: str) -> None:
    """One sentence where there is nothing to draw."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    words(ax, sentence, (0.5, 0.5), color=theme.muted, size=SIZE, at="axes fraction", ha="center")


def rule(ax: Axes, x: Sequence[float], y: Sequence[float], *, color: Any, width: float, **more: Any) -> None:
    """A plain line; ``more`` goes to ``Axes.plot``."""
    ax.plot(x, y, **{"color": color, "linewidth": width, "linestyle": "-", "marker": "", **more})


def points(ax: Axes, x: Sequence[Any], y: Sequence[Any], **more: Any) -> Any:
    """Markers; ``more`` goes to ``Axes.scatter``, whose collection is returned."""
    return ax.scatter(x, y, **more)


DASHED = (0, (5, 3))


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
        **more,
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


UP, DOWN = CARETUP, CARETDOWN


def marker_area(n: int) -> float:
    """Area of a marker in square points, so that n trials side by side stay apart."""
    return 36.0 if n <= 60 else 20.0 if n <= 200 else 11.0 if n <= 600 else 7.0


def legend_mark(theme: Theme, source: str, label: str) -> Line2D:
    """A legend's handle for a source."""
    mark = theme.mark(source)
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=mark.marker,
        markersize=6.2 * mark.size**0.5,
        markerfacecolor=theme.color(source),
        markeredgecolor=theme.background,
        markeredgewidth=0.5,
        label=label,
    )


def mix(color: Any, theme: Theme, share: float) -> tuple[float, float, float]:
    """The colour laid over the background with this opacity."""
    over, under = to_rgb(color), to_rgb(theme.background)
    red, green, blue = (share * o + (1 - share) * u for o, u in zip(over, under, strict=True))
    return red, green, blue


def legend_columns(n: int, most: int = 8) -> int:
    """Columns for n entries, at most ``most``, with rows of about one length."""
    return math.ceil(n / math.ceil(n / most)) if n else 1


def row_major(handles: Sequence[Any], columns: int) -> list[Any]:
    """The handles so ordered that a legend, which fills column by column, reads row by row."""
    return [handle for column in range(columns) for handle in handles[column::columns]]


def legend_below(ax: Axes, theme: Theme, handles: Sequence[Any]) -> None:
    """A legend without a frame under the axes, in rows of about one length."""
    if not handles:
        return
    columns = legend_columns(len(handles))
    figure: Any = ax.get_figure(root=True)
    below = ax.transAxes + ScaledTranslation(0, -34 / 72, figure.dpi_scale_trans)
    ax.legend(
        handles=row_major(handles, columns),
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=below,
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        labelcolor=theme.text,
        handletextpad=0.4,
        columnspacing=1.4,
        borderaxespad=0.0,
        borderpad=0.2,
        labelspacing=0.5,
        handlelength=1.4,
    )


def finish(drawn: Artist) -> None:
    """Make all artists in it independent of the user's rcParams: font, no TeX, no formulas in names, no
    sketch."""
    for artist in drawn.findobj():
        artist.set(sketch_params=None, path_effects=[])
        if isinstance(artist, Text):
            artist.set(fontfamily=FONT, usetex=False, parse_math=False, fontstyle="normal")


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

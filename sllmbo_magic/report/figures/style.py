"""How the figures look: two themes and one mark per source.

Shapes and colours of the sources, and the greys and blues of a score's rank, are those of the live view
(``labextension/src/view``), so that a run looks the same live and saved. Hues are close to Okabe and Ito's
(2008) for colour-blind readers, no shape is used for two hues, and the rank's lightness rises evenly: all of
it reads in grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Colormap
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import to_rgb
from matplotlib.path import Path

from sllmbo_magic.errors import InputError

_CIRCLE = Path.unit_circle()
_HOLE = Path(np.asarray(_CIRCLE.vertices)[::-1] * 0.55, _CIRCLE.codes)
_RING = Path.make_compound_path(_CIRCLE, _HOLE)
_SQUARE = Path([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)], closed=True)
_FRAME = Path.make_compound_path(
    _SQUARE, Path(np.asarray(_SQUARE.vertices)[::-1] * 0.42, np.asarray(_SQUARE.codes))
)
_HOURGLASS = Path([(-1, 1), (1, 1), (-1, -1), (1, -1), (-1, 1)], closed=True)
_BOW = Path([(-1, 1), (-1, -1), (1, 1), (1, -1), (-1, 1)], closed=True)


@dataclass(frozen=True)
class Mark:
    """Shape and colours of a source; ``size`` evens out the shapes' areas."""

    marker: Any
    light: str
    dark: str
    size: float = 1.0


_ORANGE = ("#c35200", "#f0914a")
_OTHER = Mark("s", *_ORANGE, 0.85)
MARKS: dict[str, Mark] = {
    "default": Mark("P", "#16191d", "#e8eaed", 1.35),
    "llm-init": Mark(">", "#56a5d4", "#a8d4f5", 1.2),
    "llm": Mark("o", "#0072b2", "#5fb4ee"),
    "rulebook": Mark("D", "#00795a", "#3fc79a", 0.8),
    "user": Mark("^", "#a8477d", "#e590bd", 1.2),
    "fallback": Mark("v", "#8a6700", "#e3b341", 1.2),
    "tpe": _OTHER,
    "gp": Mark("<", *_ORANGE, 1.2),
    "cmaes": Mark(_HOURGLASS, *_ORANGE, 1.1),
    "hyperopt": Mark(_BOW, *_ORANGE, 1.1),
    "base": Mark(_FRAME, *_ORANGE, 0.9),
    "random": Mark(_RING, *_ORANGE, 1.1),
}
"""One shape for each source: any two of them can be in one legend, in a study that several programs share."""


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
        return MARKS.get(source, _OTHER)

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


def mix(color: Any, theme: Theme, share: float) -> tuple[float, float, float]:
    """The colour laid over the background with this opacity."""
    over, under = to_rgb(color), to_rgb(theme.background)
    red, green, blue = (share * o + (1 - share) * u for o, u in zip(over, under, strict=True))
    return red, green, blue

"""The panes as PNG, as crisp as a budget of bytes allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sllmbo_magic.report import figures
from sllmbo_magic.report.run_data import read

_SCALES = (2.0, 1.5, 1.25, 1.0)
"""Pixels per CSS pixel, from crisp to small."""
_BYTES_PER_SCALE = 1.25
"""Bytes grow with this power of the scale (seen: 1.1 to 1.3)."""
_PARAMETERS, _AXES, _LINES = 15, 7, 20
"""In a saved notebook: panels of the search space, axes and lines of the parallel coordinates."""


@dataclass(frozen=True)
class Picture:
    """One pane: its name, PNG bytes, a sentence for those who do not see it, its width in CSS pixels."""

    name: str
    png: bytes
    alt: str
    width: int


def pictures(bundle: Mapping[str, Any], theme: str, room: int) -> list[Picture]:
    """``history``, ``space``, ``sources``, ``importances``, ``parallel`` and ``overview``, in this order.

    Args:
        bundle: Schema 1.
        theme: ``"light"`` or ``"dark"``.
        room: Bytes that all of them may have together, as base64. Their resolution falls, evenly, until they
            fit; at one pixel per CSS pixel they are taken as they are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    drawings = {
        "history": figures.plot_history(bundle, theme=theme),
        "space": figures.plot_search_space(bundle, theme=theme, limit=_PARAMETERS),
        "sources": figures.plot_sources(bundle, theme=theme),
        "importances": figures.plot_importances(bundle, theme=theme),
        "parallel": figures.plot_parallel(bundle, theme=theme, limit=_AXES, best=_LINES),
        "overview": figures.plot_overview(bundle, theme=theme),
    }
    from matplotlib.collections import LineCollection

    from sllmbo_magic.report.figures import canvas
    from sllmbo_magic.report.figures import style

    for lines in drawings["parallel"].findobj(LineCollection):
        # Smooth slanted lines are most of this picture's bytes; at these resolutions nobody sees the steps.
        lines.set_antialiased(False)
    palette = canvas.palette_of(style.theme_of(theme), [s.source for s in read(bundle).sources])
    levels = dict.fromkeys(drawings, 0)
    levels["overview"] = 2  # where it is shown at all, it is shown alone and small

    def encode(name: str) -> bytes:
        return canvas.png(drawings[name], scale=_SCALES[levels[name]], palette=palette)

    encoded = {name: encode(name) for name in drawings}
    for drawing in drawings.values():
        drawing.set_layout_engine("none")  # the first drawing found it; to find it again is half of the next
    sizes = {name: len(data) for name, data in encoded.items()}
    while (fitting := _smaller(sizes, levels, room)) != levels:
        changed = [name for name in levels if fitting[name] != levels[name]]
        levels = fitting
        encoded |= {name: encode(name) for name in changed}
        sizes = {name: len(data) for name, data in encoded.items()}
    return [
        Picture(
            name,
            data,
            getattr(drawings[name], "alt", ""),
            round(drawings[name].get_size_inches()[0] * canvas.DPI),
        )
        for name, data in encoded.items()
    ]


def _smaller(sizes: Mapping[str, int], levels: Mapping[str, int], room: int) -> dict[str, int]:
    """The levels at which the pictures should fit; the same ones where they fit already or cannot be smaller.

    A drawing is slow, so the sizes at the next levels are estimated instead of drawn.
    """
    expected: dict[str, float] = dict(sizes)
    smaller = dict(levels)
    while sum(expected.values()) * 4 / 3 > room:
        name = max(expected, key=lambda n: (_SCALES[smaller[n]], expected[n]))
        if smaller[name] + 1 == len(_SCALES):
            break
        smaller[name] += 1
        scale = _SCALES[smaller[name]] / _SCALES[levels[name]]
        expected[name] = sizes[name] * scale**_BYTES_PER_SCALE
    return smaller

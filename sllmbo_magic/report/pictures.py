"""The panes as PNG, as crisp as a budget of bytes allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sllmbo_magic.report import figures
from sllmbo_magic.report.run_data import read

_SCALES = (2.0, 1.5, 1.25, 1.0)
"""Pixels per CSS pixel, from crisp to small."""
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
    encoded = {
        name: canvas.png(f, scale=_SCALES[levels[name]], palette=palette) for name, f in drawings.items()
    }
    while sum(len(data) for data in encoded.values()) * 4 / 3 > room:
        name = max(encoded, key=lambda n: (_SCALES[levels[n]], len(encoded[n])))
        if levels[name] + 1 == len(_SCALES):
            break
        levels[name] += 1
        encoded[name] = canvas.png(drawings[name], scale=_SCALES[levels[name]], palette=palette)
    return [
        Picture(
            name,
            data,
            getattr(drawings[name], "alt", ""),
            round(drawings[name].get_size_inches()[0] * canvas.DPI),
        )
        for name, data in encoded.items()
    ]

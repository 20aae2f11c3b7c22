"""The figure class that shows itself, and figures as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from PIL import Image

from sllmbo_magic._utils.library_logs import quiet_while_used
from sllmbo_magic.report.figures.style import MARKS
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.figures.style import mix

DPI = 100
"""CSS pixels per inch."""


class RunFigure(Figure):
    """A figure that a notebook shows crisply without pyplot or any backend; ``alt`` says what it shows."""

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06, wspace=0.02, hspace=0.02)
        super().__init__(
            figsize=(width, height),
            dpi=DPI,
            facecolor=theme.background,
            edgecolor="none",
            frameon=True,
            layout=layout,
        )
        FigureCanvasAgg(self)
        self.theme = theme
        self.alt = ""

    def _repr_png_(self) -> bytes:
        palette = palette_of(self.theme, MARKS)
        return png(self, palette=palette, more=256 - len(palette))

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        width, height = (round(side * DPI) for side in self.get_size_inches())
        data = {
            "image/png": base64.b64encode(self._repr_png_()).decode("ascii"),
            "text/plain": self.alt or repr(self),
        }
        return data, {"image/png": {"width": width, "height": height}}


@quiet_while_used("PIL")
@quiet_while_used("matplotlib")
def png(figure: Figure, *, scale: float = 2.0, palette: Sequence[Any] = (), more: int = 0) -> bytes:
    """The figure as PNG bytes.

    Args:
        figure: Any figure; its own canvas and resolution stay as they are.
        scale: Pixels per CSS pixel, at 100 CSS pixels per inch.
        palette: Colours to reduce the picture to; empty keeps all. A palette of what was drawn makes a file
            a third of the size and keeps rare colours, which a computed palette loses.
        more: So many further colours are computed from the picture (for what a user has added).
    """
    canvas, dpi = figure.canvas, figure.get_dpi()
    try:
        figure.set_dpi(DPI * scale)
        agg = FigureCanvasAgg(figure)
        agg.draw()  # type: ignore[no-untyped-call]
        rgba = np.asarray(agg.buffer_rgba())  # type: ignore[no-untyped-call]
        pixels = Image.fromarray(rgba[..., :3].copy())
    finally:
        figure.set_dpi(dpi)
        figure.set_canvas(canvas)
    if palette:
        colors = np.array(
            [[round(255 * part) for part in to_rgb(color)] for color in palette], dtype=np.int32
        )
        if more:
            quantized = pixels.quantize(more, dither=Image.Dither.NONE).getpalette() or []
            colors = np.vstack([colors, np.array(quantized[: 3 * more], dtype=np.int32).reshape(-1, 3)])
        pixels = _reduce(pixels, colors[:256])
    out = io.BytesIO()
    pixels.save(out, "PNG", optimize=True)
    return out.getvalue()


def _reduce(pixels: Image.Image, colors: NDArray[np.int32]) -> Image.Image:
    """Each pixel as the nearest of the colours, shape (n, 3). Pillow's own mapping is only about right."""
    parts = np.asarray(pixels).astype(np.int32)
    packed = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    # a table of all colours: to sort the pixels takes seven times as long
    occurs = np.zeros(1 << 24, dtype=bool)
    occurs[packed] = True
    distinct = np.flatnonzero(occurs)
    distinct_colors = np.stack([distinct >> 16, (distinct >> 8) & 255, distinct & 255], axis=1)
    nearest = np.empty(len(distinct_colors), dtype=np.uint8)
    for start in range(0, len(distinct_colors), 1024):
        block = distinct_colors[start : start + 1024, None, :] - colors[None, :, :]
        nearest[start : start + 1024] = (block * block).sum(axis=2).argmin(axis=1)
    nearest_of = np.empty(1 << 24, dtype=np.uint8)
    nearest_of[distinct] = nearest
    reduced = Image.fromarray(nearest_of[packed])
    reduced.putpalette([int(part) for part in colors.flat])
    return reduced


def palette_of(theme: Theme, sources: Iterable[str]) -> list[Any]:
    """All colours that the panes draw with, each with the steps towards the background that smooth edges
    need."""
    lines = [theme.text, theme.muted, theme.accent, theme.bar, *(theme.color(s) for s in sources)]
    soft = [mix(color, theme, share) for color in dict.fromkeys(lines) for share in (1.0, 0.75, 0.5, 0.25)]
    flat = [mix(theme.band, theme, 0.13), mix(theme.band, theme, 0.25), theme.band_edge]
    ranks = [theme.rank(i / 11) for i in range(12)]
    return [theme.background, theme.grid, theme.edge, mix(theme.edge, theme, 0.5), *soft, *flat, *ranks][:256]

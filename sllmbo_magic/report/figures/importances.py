"""How much each parameter mattered, as bars."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from sllmbo_magic.report.figures import pieces
from sllmbo_magic.report.figures.style import Theme
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.text import one_line

MOST = 16
"""More parameters than this become one bar for the rest."""
NONE = "Not enough trials to tell which parameters matter."
NO_SCORE = "Several objectives: there is no one score that parameters matter for."


def shares(run: RunData, limit: int = MOST) -> list[tuple[str, float]]:
    """Parameters and their shares (of 1), the largest first; the rest summed up when there are too many."""
    total = sum(run.importances.values())
    if total <= 0:
        return []
    parts = [(name, importance / total) for name, importance in run.importances.items()]
    if len(parts) <= limit:
        return parts
    smaller = parts[limit - 1 :]
    return [*parts[: limit - 1], (f"{len(smaller)} others", sum(share for _, share in smaller))]


def height(run: RunData) -> float:
    """Inches that the bars need."""
    return 1.3 + 0.27 * max(len(shares(run)), 4)


def draw(
    ax: Axes,
    run: RunData,
    theme: Theme,
    *,
    limit: int = MOST,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Draw the pane into the axes; ``intervals`` of shares by name become lines on the bars."""
    pieces.prepare(ax, theme, heading="Importance of parameters", grid="")
    parts = shares(run, limit)
    if not parts:
        pieces.say(ax, theme, _why_none(run))
        return
    labels, prefix = pieces.parameter_labels(list(run.importances), 26)
    places = range(len(parts))
    ax.barh(places, [share for _, share in parts], height=0.62, color=theme.bar, linewidth=0)
    ends = [max(share, (intervals or {}).get(name, (0.0, 0.0))[1]) for name, share in parts]
    longest = max(ends)
    ax.set(xlim=(0, longest * 1.14), ylim=(max(len(parts), 4) - 0.4, -0.6), xticks=[])
    pieces.ticks(ax, "y", list(places), [labels.get(name, name) for name, _ in parts])
    ax.tick_params(axis="y", length=0)
    ax.spines["bottom"].set_visible(False)
    for place, (name, share) in enumerate(parts):
        if intervals and name in intervals:
            pieces.rule(ax, list(intervals[name]), [place, place], color=theme.text, width=1.2, zorder=3)
        words = f"{share:.0%}" if share >= 0.01 else "<1%"
        pieces.words(ax, words, (ends[place], place), color=theme.muted, offset=(4, 0))
    note = f"; names without {one_line(prefix)}" if prefix else ""
    lines = "; lines: 90 % of resamples of the trials" if intervals else ""
    pieces.label_axes(ax, theme, f"share of the score's variation{lines}{note}")


def describe(run: RunData) -> str:
    """The pane in one sentence, for readers who do not see it."""
    parts = shares(run, 6)
    return "Importance: " + ", ".join(f"{n} {s:.0%}" for n, s in parts) + "." if parts else _why_none(run)


def _why_none(run: RunData) -> str:
    return NO_SCORE if run.direction is None else NONE

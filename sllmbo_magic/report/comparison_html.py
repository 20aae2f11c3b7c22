"""A comparison as text and as HTML, from its plain data (``Comparison.to_dict``)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.report import markup
from sllmbo_magic.report.comparison_units import shown
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import duration
from sllmbo_magic.report.text import score

_Table = tuple[list[str], list[list[str]]]


def plain_text(data: Mapping[str, Any]) -> str:
    """Title, two tables, the differences in words, and how to read them."""
    data = shown(data)
    tables = [aligned(*table) for table in (_scores(data), _costs(data)) if table[1]]
    sentences = [textwrap.fill(s, 100, subsequent_indent="  ") for s in _sentences(data)]
    return clean("\n\n".join([title(data), *tables, "\n".join(sentences)]))


def html(data: Mapping[str, Any]) -> str:
    """The same with a picture, as an untrusted notebook keeps it."""
    raw, data = data, shown(data)
    pieces = [markup.block(markup.escaped(title(data)), f"font-size:15px;{markup.BOLD};margin:0 0 8px 0")]
    if data["rows"]:
        pieces += [picture_of(raw), markup.table("Best value and regret by trial", *_scores(data))]
        pieces.append(markup.table("Per run: who proposed, what it took", *_costs(data)))
    pieces += [markup.block(markup.escaped(sentence), "margin:2px 0") for sentence in _sentences(data)]
    return markup.block("".join(pieces), "font-size:13px;line-height:1.45;max-width:1000px")


def title(data: Mapping[str, Any]) -> str:
    """What was compared, in one line; says when runs are missing."""
    better = "higher is better" if data["direction"] == "maximize" else "lower is better"
    seeds = ", ".join(str(seed) for seed in data["seeds"][:10]) + (", …" if len(data["seeds"]) > 10 else "")
    n_planned = len(data["variants"]) * len(data["seeds"])
    ended = "ended by an error" if data.get("failure") else "interrupted"
    missing = "" if data["complete"] else f" – {ended}: {len(data['runs'])} of {n_planned} runs"
    trials = count(data["n_trials"], "trial")
    subject = data["metric"] if data["metric"] == data["task"] else f"{data['task']}, {data['metric']}"
    return f"{subject} ({better}), {trials} a run, seeds {seeds}{missing}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign, a minus as it is set in print."""
    text = score(abs(value), digits)
    return text if not text.strip("0.") else ("−" if value < 0 else "+") + text


def _sentences(data: Mapping[str, Any]) -> list[str]:
    return [*(difference["text"] for difference in data["differences"]), *data["notes"]]


def picture_of(data: Mapping[str, Any]) -> str:
    """The figure of a comparison as HTML, or why there is none."""
    try:
        from sllmbo_magic.report.figures import plot_comparison

        figure: Any = plot_comparison(data)
    except MissingExtraError as error:
        return markup.block(markup.escaped(f"No picture: {error}"), markup.MUTED)
    width = round(figure.get_size_inches()[0] * 100)
    return markup.picture(figure._repr_png_(), figure.alt, width, "light")


def _scores(data: Mapping[str, Any]) -> _Table:
    rows, milestones = data["rows"], data["milestones"]
    digits = max(4, decimals(*(row["best"] for row in rows)))
    cells = []
    for row in rows:
        deviation = "" if row["best_sd"] is None else f" ± {score(row['best_sd'], digits)}"
        regret = [score(value, digits) for value in row["regret"]]
        cells.append([row["variant"], str(row["runs"]), score(row["best"], digits) + deviation, *regret])
    return ["variant", "runs", "best ± sd", *(f"regret@{m}" for m in milestones)], cells


def _costs(data: Mapping[str, Any]) -> _Table:
    by_variant = {difference["variant"]: difference for difference in data["differences"]}
    digits = max(4, decimals(*(difference["mean"] for difference in by_variant.values())))
    cells = []
    for row in data["rows"]:
        costs = [f"{row['requests']:.3g}", f"{row['tokens']:,.0f}", duration(row["seconds"])]
        gain = _against_first(by_variant.get(row["variant"]), digits)
        cells.append([row["variant"], proposed_by(row), *costs, *gain])
    header = ["variant", "proposed by", "requests", "tokens", "time", "against the first", "+/=/−", "p"]
    return header, cells


def _against_first(difference: Mapping[str, Any] | None, digits: int) -> list[str]:
    if difference is None or not difference["n"]:
        return ["–", "–", "–"]
    text = "–" if difference["mean"] is None else signed(difference["mean"], digits)
    if difference["interval"] is not None:
        low, high = difference["interval"]
        text += f" [{signed(low, digits)}, {signed(high, digits)}]"
    outcomes = f"{difference['better']}/{difference['equal']}/{difference['worse']}"
    return [text, outcomes, f"{difference['p']:.2g}"]


def proposed_by(row: Mapping[str, Any]) -> str:
    """Who proposed what share of the trials, besides the sampler; the rulebook is never called an LLM."""
    shares = ((row["llm_share"], "LLM"), (row["rulebook_share"], "rulebook"))
    return ", ".join(f"{share:.0%} {word}" for share, word in shares if share) or "–"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text: the first column to the left, the others to the right."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )

"""What an LLM is worth on a task, as text and as HTML, from the plain data of ``Proof.to_dict``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report import markup
from sllmbo_magic.report.comparison_html import aligned
from sllmbo_magic.report.comparison_html import picture_of
from sllmbo_magic.report.comparison_html import proposed_by
from sllmbo_magic.report.comparison_html import signed
from sllmbo_magic.report.comparison_html import title
from sllmbo_magic.report.comparison_units import shown
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import dollars
from sllmbo_magic.report.text import score


def plain_text(data: Mapping[str, Any]) -> str:
    """Title, verdict, table and how to read it."""
    data = shown(data)
    parts = [title(data), textwrap.fill(data["verdict"], 100)]
    if data["rows"]:
        parts.append(aligned(*_table(data)))
    notes = [textwrap.fill(note, 100, subsequent_indent="  ") for note in data["notes"]]
    return clean("\n\n".join([*parts, "\n".join(notes)]))


def html(data: Mapping[str, Any]) -> str:
    """The same with a picture, as an untrusted notebook keeps it."""
    raw, data = data, shown(data)
    pieces = [
        markup.block(markup.escaped(title(data)), f"font-size:15px;{markup.BOLD};margin:0 0 8px 0"),
        markup.block(markup.escaped(data["verdict"]), "margin:0 0 8px 0"),
    ]
    if data["rows"]:
        found = markup.table("What each way found, and what it cost", *_table(data), wide=4)
        pieces += [found, picture_of(raw)]
    pieces += [markup.block(markup.escaped(note), "margin:2px 0") for note in data["notes"]]
    return markup.block("".join(pieces), "font-size:13px;line-height:1.45;max-width:1000px")


def _table(data: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    on_test = data["has_test_scores"]
    by_way = {difference["baseline"]: difference for difference in data["differences"]}
    digits = max(4, decimals(*(row["test" if on_test else "best"] for row in data["rows"])))
    header = ["way", "runs", "search folds", *(["untouched rows"] if on_test else [])]
    header += ["LLM against it", "+/=/−", "p", *(["over-tuning", "below default"] if on_test else [])]
    header += ["proposed by", "requests a run", "tokens a run", "cost a run"]
    rows = []
    for row in data["rows"]:
        cells = [row["variant"], str(row["runs"]), _mean(row["best"], row["best_sd"], digits)]
        if on_test:
            cells.append(_mean(row["test"], row["test_sd"], digits))
        cells += _difference(by_way.get(row["variant"]), digits)
        if on_test:
            cells.append("–" if row["overtuning"] is None else f"{row['overtuning']:.2f}")
            cells.append(f"{row['below_default']} of {row['runs']}")
        cost = "–" if row["money"] is None else dollars(row["money"])
        rows.append([*cells, proposed_by(row), f"{row['requests']:.3g}", f"{row['tokens']:,.0f}", cost])
    return header, rows


def _mean(mean: float | None, deviation: float | None, digits: int) -> str:
    return score(mean, digits) + ("" if deviation is None else f" ± {score(deviation, digits)}")


def _difference(difference: Mapping[str, Any] | None, digits: int) -> list[str]:
    if difference is None or not difference["n"]:
        return ["–", "–", "–"]
    text = "–" if difference["mean"] is None else signed(difference["mean"], digits)
    if difference["interval"] is not None:
        text += " [{}, {}]".format(*(signed(end, digits) for end in difference["interval"]))
    outcomes = f"{difference['better']}/{difference['equal']}/{difference['worse']}"
    return [text, outcomes, f"{difference['p']:.2g}"]

"""Pieces of HTML that an untrusted notebook keeps; all text goes through :func:`escaped`.

JupyterLab's sanitizer (apputils' ``Sanitizer``) keeps ``<img>`` with a ``data:`` URI, tables, ``<details>``
and an allow-list of inline styles; ``<svg>``, scripts and ids go. It then looks for formulas in what is left.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from sllmbo_magic.report.text import clean

LINE = "1px solid rgba(128,128,128,0.4)"
MUTED = "opacity:0.75"
BOLD = "font-weight:600"
GROUNDS = {"light": "#ffffff", "dark": "#14171b"}
_CELL = "padding:3px 12px 3px 0;vertical-align:top;text-align:left"


def escaped(text: Any) -> str:
    """The text as HTML that shows just this text.

    Controls are taken out, markup is escaped, and the signs that begin a formula (a dollar, a backslash)
    stand in elements of their own: a notebook's typesetter does not look for formulas across elements.
    """
    safe = escape(clean(text))
    return safe.replace("\\", "<span>\\</span>").replace("$", "<span>$</span>")


def block(inner: str, style: str) -> str:
    """A div around ready HTML."""
    return f'<div style="{style}">{inner}</div>'


def picture(png: bytes, alt: str, width: int, theme: str) -> str:
    """A framed picture of so many CSS pixels, narrower where there is less room."""
    data = base64.b64encode(png).decode("ascii")
    style = f"max-width:100%;height:auto;background-color:{GROUNDS[theme]};border:{LINE};border-radius:6px"
    tag = (
        f'<img alt="{escape(clean(alt))}" width="{width}" style="{style}" src="data:image/png;base64,{data}">'
    )
    return block(tag, "margin:0 0 10px 0")


def table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, note: str = "", wide: int = 0
) -> str:
    """A table of plain texts, the first cell of a row being its head; the last ``wide`` columns may wrap."""

    def line(cells: Sequence[str], weight: int, scope: str) -> str:
        cells_html = []
        for i, text in enumerate(cells):
            tag, attribute = ("td", "") if i and scope == "row" else ("th", f' scope="{scope}"')
            wrap = "" if i >= len(columns) - wide else ";white-space:nowrap"
            cells_html.append(f'<{tag}{attribute} style="{_CELL}{wrap}">{escaped(text)}</{tag}>')
        style = f"border-bottom:{LINE};font-weight:{weight}"
        return f'<tr style="{style}">{"".join(cells_html)}</tr>'

    body = "".join(line(row, 400, "row") for row in rows)
    content = f"<thead>{line(columns, 600, 'col')}</thead><tbody>{body}</tbody>"
    inner = f'<table style="border-collapse:collapse;font-size:13px">{content}</table>'
    after = block(escaped(note), MUTED) if note else ""
    head = block(escaped(caption), BOLD) if caption else ""
    return block(head + inner + after, "overflow-x:auto;margin:0 0 10px 0")


def folded(title: str, inner: str) -> str:
    """Ready HTML under a line that opens it."""
    body = block(inner, "border-left:3px solid rgba(128,128,128,0.4);padding:0 0 0 10px;margin:4px 0")
    return f'<details><summary style="cursor:pointer;{BOLD}">{escaped(title)}</summary>{body}</details>'

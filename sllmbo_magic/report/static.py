"""What stays in the saved notebook: pictures, tables and text that need no kernel, extension or trust.

JupyterLab passes the HTML of an untrusted notebook through a sanitizer (apputils' ``Sanitizer``): ``<svg>``,
scripts, ids and style rules go, ``<img>`` with a ``data:`` URI, tables, ``<details>`` and an allow-list of
inline styles stay. So all styles are inline and from that list, pictures are PNG, and nothing depends on a
class or an id. Text takes the notebook's colour, pictures have a frame and a background of their own: both
themes are readable.

The whole bundle has a budget, for a notebook is kept, sent and compared: see :func:`budget`. Pictures first
lose pixels and colours, then the conversation loses text, and what was left out is said where it is missing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.report import shrink
from sllmbo_magic.report.reading import Run
from sllmbo_magic.report.reading import Trial
from sllmbo_magic.report.reading import read
from sllmbo_magic.report.summary import plain_text
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import cut
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import duration
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import value

MIME = "application/vnd.sllmbo.run+json"
TOP = 10
_LINE = "1px solid rgba(128,128,128,0.4)"
_CELL = f"padding:3px 12px 3px 0;border-bottom:{_LINE};vertical-align:top;white-space:normal;"
_MUTED = "opacity:0.75;"


def budget(n_trials: int) -> int:
    """Bytes that the whole bundle may have: 290 kB up to 50 trials, growing to 1.9 MB for 1,000 and more."""
    share = min(max(n_trials - 50, 0) / 950, 1.0)
    return round(290_000 + share * 1_610_000)


def mimebundle(bundle: Mapping[str, Any], *, theme: str = "light") -> dict[str, Any]:
    """The run as a MIME bundle for ``display(..., raw=True)``.

    Keys: ``text/html`` (all panes as pictures, tables, the conversation), ``text/plain`` (the summary),
    ``application/vnd.sllmbo.run+json`` (the bundle, bounded, for the renderer of the extension) and
    ``image/png`` (base64, one picture for readers that show no HTML). Without matplotlib there are no
    pictures and the HTML says how to get them.

    Args:
        bundle: Schema 1.
        theme: ``"light"`` or ``"dark"``: the pictures' own background.
    """
    run = read(bundle)
    room = budget(len(run.trials))
    try:
        from sllmbo_magic.report.pictures import pictures

        panes = pictures(bundle, theme, room * 64 // 100)
        missing = ""
    except MissingExtraError as error:
        panes, missing = [], str(error)
    pieces = [
        _head(run, bundle),
        *(_figure(p.png, p.alt, p.width, theme) for p in panes if p.name != "overview"),
    ]
    if missing:
        pieces.append(f'<p style="{_MUTED}">No pictures: {escape(missing)}</p>')
    pieces += [_best_table(run), _top_table(run)]
    html_room = room // 8
    chat = shrink.first_that_fits(
        (_chat(run, limit, most) for limit, most in _CHAT_LIMITS), html_room - sum(map(len, pieces[-2:]))
    )
    pieces.append(chat)
    html = f'<div style="font-size:13px;line-height:1.45;max-width:1000px">{"".join(pieces)}</div>'
    text = plain_text(bundle)
    alone = [p for p in panes if p.name == "overview"]
    out: dict[str, Any] = {"text/plain": text, "text/html": html}
    if alone:
        out["image/png"] = base64.b64encode(alone[0].png).decode("ascii")
    used = sum(len(str(part).encode()) for part in out.values()) + html.count('"') + 2_000
    out[MIME] = shrink.bounded(bundle, room - used)
    return out


_CHAT_LIMITS = ((1200, 400), (600, 400), (300, 400), (150, 200), (150, 100), (100, 40), (80, 10))
"""Characters of one text and number of entries: from generous to short."""


def _head(run: Run, bundle: Mapping[str, Any]) -> str:
    title = (
        f"{one_line(run.info.get('name') or 'run')} – {one_line(run.info.get('estimator') or 'objective')}"
    )
    return (
        f'<div style="font-size:16px;font-weight:600">{escape(title)}'
        f'<span style="font-weight:400;{_MUTED}"> {escape(one_line(run.metric))}</span></div>'
        f'<div style="margin:4px 0 10px 0">{escape(summary_text(bundle))}</div>'
    )


def _figure(png: bytes, alt: str, width: int, theme: str) -> str:
    ground = "#111418" if theme == "dark" else "#ffffff"
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<div style="margin:0 0 10px 0"><img alt="{escape(alt)}" width="{width}" '
        f'style="max-width:100%;height:auto;background-color:{ground};border:{_LINE};border-radius:6px" '
        f'src="data:image/png;base64,{data}"></div>'
    )


def _table(caption: str, columns: list[str], rows: list[list[str]], note: str = "") -> str:
    """A table of escaped cells; the first column names the row."""
    head = "".join(
        f'<th scope="col" style="{_CELL}text-align:left;font-weight:600">{escape(c)}</th>' for c in columns
    )
    body = "".join(
        "<tr>"
        + f'<th scope="row" style="{_CELL}text-align:left;font-weight:400">{escape(row[0])}</th>'
        + "".join(f'<td style="{_CELL}text-align:left">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    after = f'<div style="{_MUTED}">{escape(note)}</div>' if note else ""
    return (
        f'<div style="overflow-x:auto;margin:0 0 10px 0"><div style="font-weight:600">{escape(caption)}</div>'
        f'<table style="border-collapse:collapse;font-size:13px;margin:2px 0 0 0">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{after}</div>"
    )


def _best_table(run: Run) -> str:
    if run.best is None:
        return ""
    default = run.default.params if run.default is not None else {}
    names = list(dict.fromkeys((*run.best.params, *default)))
    shown = names[:60]
    rows = [
        [
            one_line(name, 60),
            value(default[name]) if name in default else "–",
            value(run.best.params[name]) if name in run.best.params else "not used",
        ]
        for name in shown
    ]
    digits = decimals(run.default_value, run.best_value)
    rows.insert(
        0, [one_line(run.metric, 60), score(run.default_value, digits), score(run.best_value, digits)]
    )
    note = f"{len(names) - len(shown)} more parameters {shrink.WHERE}." if len(names) > len(shown) else ""
    return _table("Best configuration", ["parameter", "default", f"best (trial {run.best.n})"], rows, note)


def _top_table(run: Run) -> str:
    if not run.ranked:
        return ""
    digits = decimals(run.default_value, run.best_value)
    rows = [
        [
            f"{t.n}",
            _score(t, digits),
            one_line(t.source, 20),
            duration(t.seconds),
            _params(t, 12),
            one_line(t.reason, 160),
        ]
        for t in run.ranked[:TOP]
    ]
    columns = ["trial", one_line(run.metric, 40), "source", "time", "parameters", "reason"]
    return _table(f"Best {count(len(rows), 'trial')} of {run.n_trials:,}", columns, rows)


def _score(trial: Trial, digits: int) -> str:
    spread = f" ± {score(trial.std, digits)}" if trial.std is not None else ""
    return f"{score(trial.value, digits)}{spread}"


def _params(trial: Trial, most: int) -> str:
    pairs = [f"{one_line(name, 40)}={value(given, 24)}" for name, given in list(trial.params.items())[:most]]
    return ", ".join(pairs) + (", …" if len(trial.params) > most else "")


def _chat(run: Run, limit: int, most: int) -> str:
    """The conversation, folded, each text with at most ``limit`` characters, at most ``most`` entries."""
    if not run.chat:
        return ""
    entries = "".join(_entry(entry, limit) for entry in run.chat[:most])
    rest = len(run.chat) - most
    if rest > 0:
        entries += f'<div style="{_MUTED}">{count(rest, "more entry", "more entries")} {shrink.WHERE}.</div>'
    requests = sum(entry.get("kind") == "prompt" for entry in run.chat)
    title = f"Conversation: {count(requests, 'request')}, {count(len(run.chat), 'entry', 'entries')}"
    quoted = "border-left:3px solid rgba(128,128,128,0.4);padding:0 0 0 10px;margin:4px 0"
    return (
        f'<details><summary style="cursor:pointer;font-weight:600">{escape(title)}</summary>'
        f'<div style="{quoted}">{entries}</div></details>'
    )


_SPEAKERS = {
    "prompt": "Asked",
    "reply": "Answer",
    "note": "Note",
    "fallback": "Fallback",
    "wish": "Wish of the user",
    "space": "Search space",
}


def _entry(entry: Mapping[str, Any], limit: int) -> str:
    kind = str(entry.get("kind") or "note")
    trial = entry.get("trial")
    speaker = _SPEAKERS.get(kind, "Note")
    if kind == "reply" and entry.get("provider"):
        speaker = f"{speaker} of {one_line(entry['provider'], 60)}"
    where = f", trial {trial}" if isinstance(trial, int) else ""
    text = str(entry.get("text") or "")
    if kind == "wish":
        text = f"{entry.get('wish', '')} {value(entry.get('value'), limit)} ({entry.get('state', '')})"
    candidates = [c for c in entry.get("candidates") or () if isinstance(c, Mapping)]
    if kind == "reply" and (candidates or entry.get("reasoning")):
        # The raw reply repeats what follows; it is in the bundle and in the transcript.
        text = "\n".join(
            [str(entry.get("reasoning") or ""), *(_candidate(c, limit) for c in candidates)]
        ).strip()
        limit = limit * (1 + len(candidates))
    body = escape(cut(text, limit, shrink.WHERE))
    return (
        f'<div style="margin:6px 0"><span style="font-weight:600">{escape(speaker)}</span>'
        f'<span style="{_MUTED}">{escape(where)}</span>'
        f'<div style="white-space:pre-wrap;overflow-wrap:break-word">{body}</div></div>'
    )


def _candidate(candidate: Mapping[str, Any], limit: int) -> str:
    params = candidate.get("params")
    pairs = (
        ", ".join(f"{one_line(k, 40)}={value(v, 24)}" for k, v in params.items())
        if isinstance(params, Mapping)
        else ""
    )
    why = one_line(candidate.get("why") or candidate.get("reason") or "", limit)
    return f"{one_line(candidate.get('status') or 'proposed', 20)}: {pairs}{' – ' + why if why else ''}"

"""What stays in the saved notebook: pictures, tables and text that need no kernel, extension or trust.

Text takes the notebook's own colour, pictures have a frame and a background of their own: both themes are
readable. What an untrusted notebook keeps of the HTML: ``report.markup``.

The whole bundle has a budget, for a notebook is kept, sent and compared: see :func:`budget`. Pictures lose
pixels first, then the conversation loses text, and what was left out is said where it is missing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.report import card
from sllmbo_magic.report import limits
from sllmbo_magic.report import markup
from sllmbo_magic.report.conversation import LIMITS
from sllmbo_magic.report.conversation import conversation
from sllmbo_magic.report.pictures import pictures
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import Trial
from sllmbo_magic.report.run_data import read
from sllmbo_magic.report.summary import failures
from sllmbo_magic.report.summary import plain_text
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.report.summary import verdict
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import cut
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import duration
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import value

MIME = "application/vnd.sllmbo.run+json"
TOP = 10
"""Trials in the table of the best ones."""
_MOST_PARAMETERS = 60


def budget(n_trials: int) -> int:
    """Bytes that the whole bundle may have: 290 kB up to 50 trials, growing to 1.9 MB for 1,000 and more."""
    share = min(max(n_trials - 50, 0) / 950, 1.0)
    return round(290_000 + share * 1_610_000)


def mimebundle(bundle: Mapping[str, Any], *, theme: str = "light") -> dict[str, Any]:
    """The run as a MIME bundle for ``display(..., raw=True)``.

    Keys: ``text/html`` (all panes as pictures, tables, the conversation), ``text/plain`` (the summary),
    ``application/vnd.sllmbo.run+json`` (the bundle, bounded, for the renderer of the extension) and
    ``image/png`` (base64, one picture for readers that show no HTML). Without matplotlib there are no
    pictures, and the HTML says how to get them.

    Args:
        bundle: Schema 1.
        theme: ``"light"`` or ``"dark"``: the pictures' own background.
    """
    run = read(bundle)
    room = budget(len(run.trials))
    pieces = [_head(run, bundle)]
    out: dict[str, Any] = {"text/plain": plain_text(bundle)}
    try:
        for picture in pictures(bundle, theme, room * 53 // 100):
            if picture.name == "overview":
                out["image/png"] = base64.b64encode(picture.png).decode("ascii")
            else:
                pieces.append(markup.picture(picture.png, picture.alt, picture.width, theme))
    except MissingExtraError as error:
        pieces.append(markup.block(markup.escaped(f"No pictures: {error}"), markup.MUTED))
    tables = _best_table(run) + _top_table(run) + _failure_table(run)
    texts = (conversation(run, limit, most) for limit, most in LIMITS)
    pieces += [tables, limits.first_that_fits(texts, room * 12 // 100 - len(tables))]
    out["text/html"] = markup.block("".join(pieces), "font-size:13px;line-height:1.45;max-width:1000px")
    out[MIME] = limits.limit_bundle(bundle, room - limits.notebook_bytes(out))
    return out


def _head(run: RunData, bundle: Mapping[str, Any]) -> str:
    sentence = markup.block(markup.escaped(verdict(bundle)), "margin:4px 0 8px 0;font-size:14px")
    details = markup.folded(
        "More about this run", markup.escaped(summary_text(bundle))
    ) + card.warnings_table(run)
    return card.title(run) + sentence + card.scores_table(run) + markup.block(details, "margin:0 0 10px 0")


def _best_table(run: RunData) -> str:
    """The best configuration beside the default one, the score first."""
    if run.best is None:
        return ""
    best, default = run.best.params, run.default.params if run.default is not None else {}
    names = list(dict.fromkeys((*best, *default)))
    digits = decimals(run.default_value, run.best_value)
    rows = [[one_line(run.metric, 60), score(run.default_value, digits), score(run.best_value, digits)]]
    for name in names[:_MOST_PARAMETERS]:
        cells = (value(params[name]) if name in params else "–" for params in (default, best))
        rows.append([one_line(name, 60), *cells])
    n_more = len(names) - _MOST_PARAMETERS
    note = f"{count(n_more, 'more parameter')} {limits.IN_FOLDER}." if n_more > 0 else ""
    columns = ["parameter", "default", f"best (trial {run.best.n})"]
    return markup.table("Best configuration", columns, rows, note=note)


def _top_table(run: RunData) -> str:
    if not run.ranked:
        return ""
    digits = decimals(run.default_value, run.best_value)
    rows = []
    for trial in run.ranked[:TOP]:
        deviation = f" ± {score(trial.std, digits)}" if trial.std is not None else ""
        result = [str(trial.n), score(trial.value, digits) + deviation, one_line(trial.source, 20)]
        rows.append([*result, duration(trial.seconds), _params(trial), one_line(trial.reason, 160)])
    columns = ["trial", one_line(run.metric, 28), "source", "time", "parameters", "reason"]
    caption = f"Best {count(len(rows), 'trial')} of {run.n_trials:,}"
    return markup.table(caption, columns, rows, wide=2)


def _failure_table(run: RunData) -> str:
    """Why trials failed, with counts; "" when none did."""
    rows = []
    for row in failures(run)[:TOP]:
        params = row.get("params") or {}
        pairs = ", ".join(f"{one_line(name, 40)}={value(param, 24)}" for name, param in params.items())
        cause = cut(row.get("cause") or "", 1000, limits.IN_FOLDER)
        rows.append([str(row.get("count")), cause, str(row.get("trial")), pairs])
    n_more = len(failures(run)) - TOP
    note = f"{count(n_more, 'more cause')} {limits.IN_FOLDER}." if n_more > 0 else ""
    columns = ["trials", "cause", "first trial", "its parameters"]
    return markup.table("Failed trials", columns, rows, wide=2, note=note) if rows else ""


def _params(trial: Trial, most: int = 12) -> str:
    pairs = [f"{one_line(name, 40)}={value(param, 24)}" for name, param in list(trial.params.items())[:most]]
    return ", ".join(pairs) + (", …" if len(trial.params) > most else "")

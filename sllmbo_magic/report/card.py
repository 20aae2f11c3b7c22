"""A result as a small card: the verdict, default against best, the parameters that changed.

It needs no script and no trust (see ``report.markup``); pictures and conversation are in ``report.static``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report import markup
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import finite
from sllmbo_magic.report.run_data import read
from sllmbo_magic.report.summary import library_warnings
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.report.summary import verdict
from sllmbo_magic.report.summary import warnings_count
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import value

_MOST_PARAMETERS = 30
_MOST_WARNINGS = 12


def card(bundle: Mapping[str, Any]) -> str:
    """The card as HTML."""
    run = read(bundle)
    pieces = [title(run), markup.block(markup.escaped(verdict(bundle)), "margin:4px 0 8px 0;font-size:14px")]
    pieces += [scores_table(run), changed_table(run)]
    pieces.append(markup.folded("More about this run", markup.escaped(summary_text(bundle))))
    pieces.append(warnings_table(run))
    return markup.block("".join(pieces), "font-size:13px;line-height:1.45;max-width:1000px")


def title(run: RunData) -> str:
    """Name, model, metric and size of the run, in one line."""
    info = run.info
    model = one_line(info.get("model") or info.get("estimator") or "objective")
    rows, columns = (finite(info.get(key)) for key in ("n_rows", "n_columns"))
    facts = [
        f"{one_line(run.metric, 60)}, {run.display.better}" if run.direction else one_line(run.metric, 60),
        "" if not rows else f"{rows:,.0f} rows" + (f" × {columns:,.0f} columns" if columns else ""),
        count(run.n_trials, "trial"),
    ]
    text = markup.escaped(", ".join(filter(None, facts)))
    rest = f'<span style="font-weight:400;{markup.MUTED}"> {text}</span>'
    name = f"{one_line(info.get('name') or 'run')} – {model}"
    return markup.block(markup.escaped(name) + rest, f"font-size:16px;{markup.BOLD}")


def scores_table(run: RunData) -> str:
    """Default and best on the search's folds, on fresh folds and on test data; "" without both."""
    if run.default_value is None or run.best_value is None:
        return ""
    check = (run.info.get("summary") or {}).get("verification") or {}
    rows = [_row(run, "search folds", run.default_value, run.best_value, "")]
    scores = {
        key: run.display.shown(finite(check.get(key)))
        for key in ("default_mean", "best_mean", "test_default", "test_best")
    }
    if check.get("fresh") is not False and scores["default_mean"] is not None:
        noise = finite(check.get("noise"))
        rows.append(
            _row(
                run,
                f"{check.get('n_folds') or ''} fresh folds".strip(),
                scores["default_mean"],
                scores["best_mean"],
                "" if noise is None else f" ± {noise:.2g}",
            )
        )
    if scores["test_default"] is not None:
        interval = check.get("test_interval")
        text = "" if not interval else f" (95 %: {interval[0]:.2g} to {interval[1]:.2g})"
        rows.append(_row(run, "test data", scores["test_default"], scores["test_best"], text))
    note = "± is the standard error of the gain." if len(rows) > 1 else ""
    return markup.table("", [one_line(run.metric, 40), "default", "best", "gain"], rows, note=note)


def _row(run: RunData, name: str, default: float, best: float | None, interval_text: str) -> list[str]:
    digits = decimals(default, best)
    gain = "–"
    if best is not None:
        size = best - default if run.maximize else default - best
        gain = f"{'+' if size > 0 else '−' if size < 0 else ''}{score(abs(size), digits)}{interval_text}"
    return [name, score(default, digits), score(best, digits), gain]


def warnings_table(run: RunData) -> str:
    """What libraries warned of, folded away; "" without any."""
    rows = [
        [
            str(row.get("count")),
            "none" if row.get("trial") is None else str(row.get("n_trials")),
            f"{one_line(row.get('category') or '', 60)}: {one_line(row.get('text') or '', 400)}",
        ]
        for row in library_warnings(run)[:_MOST_WARNINGS]
    ]
    if not rows:
        return ""
    n_more = len(library_warnings(run)) - _MOST_WARNINGS
    note = f"and {count(n_more, 'more text')}" if n_more > 0 else ""
    inner = markup.table("", ["times", "trials", "warning"], rows, wide=1, note=note)
    return markup.folded(warnings_count(run), inner)


def changed_table(run: RunData) -> str:
    """The parameters of the best configuration that differ from the default's; "" without any."""
    if run.best is None or run.best.source == "default":
        return ""
    before = run.default.params if run.default is not None else {}
    differences = [(name, new) for name, new in run.best.params.items() if before.get(name, ...) != new]
    rows = [
        [one_line(name, 60), value(before[name]) if name in before else "–", value(new)]
        for name, new in differences[:_MOST_PARAMETERS]
    ]
    if not rows:
        return ""
    n_more = len(differences) - _MOST_PARAMETERS
    note = f"and {count(n_more, 'more parameter')}" if n_more > 0 else ""
    inner = markup.table("", ["parameter", "default", f"best (trial {run.best.n})"], rows, note=note)
    return markup.folded(f"{count(len(differences), 'parameter')} changed", inner)

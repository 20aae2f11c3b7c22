"""Tables of text for the line commands. Pure."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import __version__
from sllmbo_magic.magic.progress import duration
from sllmbo_magic.report.limits import bounded_text
from sllmbo_magic.report.run_data import DIRECTIONS
from sllmbo_magic.report.run_data import read
from sllmbo_magic.task.display_metric import display_metric

if TYPE_CHECKING:
    from sllmbo_magic.llm.doctor import Check
    from sllmbo_magic.llm.registry import ProviderInfo
    from sllmbo_magic.storage.runs import RunInfo


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of text, two blanks between them."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def runs_table(runs: Sequence[RunInfo], now: float | None = None) -> str:
    """The runs on disk, the last changed first."""
    if not runs:
        return "No runs in .sllmbo/ yet. %%sllmbo NAME starts one."
    now = time.time() if now is None else now
    rows = [
        (
            info.name,
            info.status,
            f"{info.n_done}{'' if info.n_trials is None else f'/{info.n_trials}'}",
            _number(display_metric(info.metric).shown(info.best)),
            display_metric(info.metric).label if info.metric else "",
            f"{duration(now - info.updated)} ago",
        )
        for info in runs
    ]
    return table(("name", "status", "trials", "best", "metric", "changed"), rows)


def compare_table(bundles: Mapping[str, dict[str, Any]]) -> str:
    """Runs side by side, and a warning where their scores do not compare."""
    rows = []
    for name, bundle in bundles.items():
        run, cost = bundle["run"], bundle["cost"]
        metric = str(run.get("metric") or "")
        display = display_metric(metric, str(run.get("direction")), bool(run.get("negated")))
        rows.append(
            (
                name,
                str(run.get("estimator") or ""),
                (f"{display.label}, {display.better}" if _has_one_value(run) else display.label)
                if metric
                else "",
                str(run.get("sampler") or ""),
                str(run.get("llm") or ""),
                str(read(bundle).n_trials),
                _number(display.shown(run.get("default_value"))),
                _number(display.shown(run.get("best_value"))),
                duration(run.get("seconds") or 0),
                str(cost.get("requests") or 0),
            )
        )
    header = (
        "name",
        "estimator",
        "metric",
        "sampler",
        "llm",
        "trials",
        "default",
        "best",
        "time",
        "requests",
    )
    text = table(header, rows)
    if differing := [
        word
        for word, fields in _MUST_AGREE.items()
        if len({tuple(bundle["run"].get(field) for field in fields) for bundle in bundles.values()}) > 1
    ]:
        text += f"\nThe runs differ in {' and '.join(differing)}, so their scores do not compare."
    return text


_MUST_AGREE = {
    "metric": ("metric",),
    "direction": ("direction",),
    "folds": ("n_folds",),
    "data": ("n_rows", "n_columns"),
}
"""What two runs must have in common for their scores to compare, and the fields that tell it."""


def _has_one_value(run: Mapping[str, Any]) -> bool:
    return run.get("direction") in DIRECTIONS


_PACKAGES = (
    "optuna",
    "scikit-learn",
    "numpy",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "jupyterlab",
    "matplotlib",
    "pandas",
    "lightgbm",
    "openai",
    "anthropic",
)


def installation_table() -> str:
    """Python and the packages that matter, with their versions."""
    rows = [("python", platform.python_version()), ("sllmbo-magic", __version__)]
    for package in _PACKAGES:
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    return table(("package", "version"), rows)


def providers_table(providers: Sequence[ProviderInfo]) -> str:
    """What ``--llm`` takes."""
    rows = [(info.id, "yes" if info.configured else "no", info.how, info.what) for info in providers]
    return table(("--llm", "ready", "how", "what"), rows)


def checks_table(checks: Sequence[Check]) -> str:
    """What the doctor found."""
    words = {True: "ok", False: "FAILED", None: "-"}
    return table(("check", "", "found"), [(check.name, words[check.ok], check.detail) for check in checks])


def exchanges_text(name: str, exchanges: Sequence[Mapping[str, Any]]) -> str:
    """Every message that a run sent, as it was sent."""
    if not exchanges:
        return f"{name}: nothing was sent to an LLM."
    parts = []
    for exchange in exchanges:
        trial = exchange.get("trial_number")
        when = "" if trial is None else f", trial {trial}"
        request_text = (
            f"request {exchange.get('id')} to {exchange.get('provider')} ({exchange.get('purpose')}{when})"
        )
        messages = exchange.get("messages") or []
        parts.append(
            "\n".join(
                [
                    f"{name}: {request_text}",
                    *(f"--- {m['role']}\n{bounded_text(m['content'], limit=10**9)}" for m in messages),
                ]
            )
        )
    return "\n\n".join(parts)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.5g}"

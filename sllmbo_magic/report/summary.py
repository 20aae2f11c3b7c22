"""A run in one paragraph of plain words: what was gained, whether it is real, who did it, what was learnt,
what it cost. It ends a run (``summary["text"]``), heads its saved picture and is what a terminal shows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report.lessons import lessons
from sllmbo_magic.report.reading import Run
from sllmbo_magic.report.reading import finite
from sllmbo_magic.report.reading import read
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import duration
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import value

_STATUS = {
    "running": "Still running",
    "paused": "Paused",
    "stopped": "Stopped by the user",
    "interrupted": "Interrupted",
    "failed": "Failed",
}

_FRONT = 5
"""Trials of a Pareto front that are named."""


def summary_text(bundle: Mapping[str, Any]) -> str:
    """The paragraph; a function of the bundle alone, so the same run always reads the same."""
    run = read(bundle)
    parts = [
        _status(run),
        _scores(run),
        _verified(run),
        _trials(run),
        *lessons(run),
        _inert(run),
        *_hints(run),
        _fallbacks(run),
        _cost(run),
    ]
    return clean(" ".join(part for part in parts if part))


def plain_text(bundle: Mapping[str, Any]) -> str:
    """The paragraph, and the best parameters on a line of their own: a terminal's picture of the run."""
    run = read(bundle)
    head = f"{one_line(run.info.get('name') or 'run')}: {one_line(run.info.get('estimator') or 'objective')}"
    lines = [f"{head}, {one_line(run.metric)}", summary_text(bundle)]
    if run.best is not None and run.best.source == "default":
        lines.append("Best parameters: those before tuning.")
    elif run.best is not None and run.best.params:
        pairs = ", ".join(f"{one_line(name)}={value(given)}" for name, given in run.best.params.items())
        lines.append(f"Best parameters: {pairs}")
    return "\n".join(lines)


def _status(run: Run) -> str:
    status = str(run.info.get("status") or "finished")
    if status not in _STATUS:
        return ""
    reason = one_line(run.info.get("reason") or "", 200).rstrip(".")
    return f"{_STATUS[status]}: {reason}." if reason else f"{_STATUS[status]}."


def _scores(run: Run) -> str:
    if run.direction is None:
        return _front(run)
    if run.best_value is None:
        return "No trial has a score."
    digits = decimals(run.default_value, run.best_value)
    number = run.best.n if run.best is not None else run.info.get("best_number")
    source = f", {one_line(run.best.source)}" if run.best is not None else ""
    best = f"best {one_line(run.metric, 60)} {score(run.best_value, digits)} (trial {number}{source})"
    if run.default_value is None:
        return f"B{best[1:]}" + ("." if run.default is None else "; the default has no score.")
    default = score(run.default_value, digits)
    if not run.better(run.best_value, run.default_value):
        return f"Default {one_line(run.metric, 60)} {default}; no configuration was better."
    gain = score(abs(run.best_value - run.default_value), digits)
    return f"B{best[1:]}, default {default}: a gain of {gain}."


def _front(run: Run) -> str:
    """The trials that no other beats in every objective."""
    front = _summary(run).get("front") or ()
    if not front:
        return f"{count(run.n_trials, 'trial')} with several objectives; no single best."
    shown = [f"trial {t['number']} ({', '.join(value(v) for v in t['values'])})" for t in front[:_FRONT]]
    more = f" and {len(front) - _FRONT} more" if len(front) > _FRONT else ""
    return f"Several objectives: {len(front)} of {count(run.n_trials, 'trial')} are on the Pareto front: " + (
        f"{', '.join(shown)}{more}."
    )


def _verified(run: Run) -> str:
    """Whether the gain was real, in the words of ``evaluator.verification``."""
    found = _summary(run).get("verification")
    text = one_line((found.get("text") if isinstance(found, Mapping) else None) or "", 800)
    return text if not text or text.endswith((".", "…")) else f"{text}."


def _summary(run: Run) -> Mapping[str, Any]:
    summary = run.info.get("summary")
    return summary if isinstance(summary, Mapping) else {}


def _trials(run: Run) -> str:
    lost = [
        f"{len(trials)} {word}" for trials, word in ((run.failed, "failed"), (run.pruned, "pruned")) if trials
    ]
    seconds = finite(run.info.get("seconds"))
    took = f" in {duration(seconds)}" if seconds else ""
    return f"{count(run.n_trials, 'trial')}{took}{' (' + ', '.join(lost) + ')' if lost else ''}."


def _inert(run: Run) -> str:
    inert = _summary(run).get("inert")
    if not isinstance(inert, Mapping) or not inert:
        return ""
    said = "; ".join(f"{one_line(name, 60)} ({one_line(why, 200)})" for name, why in inert.items())
    return f"Without effect in the best configuration: {said}."


def _hints(run: Run) -> list[str]:
    """What became of the user's hints, in the words of the notes."""
    notes = (one_line(item.get("text") or "", 400) for item in run.chat if item.get("kind") == "note")
    return [text for text in notes if text.startswith("The hint ")]


def _fallbacks(run: Run) -> str:
    n = sum(item.get("kind") == "fallback" for item in run.chat)
    times = {1: "once", 2: "twice"}.get(n, f"{n} times")
    who = one_line(run.info.get("llm") or "The LLM", 60)
    return f"{who} could not serve {times}; the base sampler took over." if n else ""


def _cost(run: Run) -> str:
    requests = int(finite(run.cost.get("requests")) or 0)
    if not requests:
        return ""
    tokens = int((finite(run.cost.get("input_tokens")) or 0) + (finite(run.cost.get("output_tokens")) or 0))
    parts = [count(requests, "request")]
    if tokens:
        parts.append(count(tokens, "token"))
    money = finite(run.cost.get("money"))
    if money is not None:
        parts.append(f"${money:.2f}" if money >= 0.01 or money == 0 else f"${money:.4f}")
    return f"Cost: {', '.join(parts)}."

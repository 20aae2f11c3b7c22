"""The plain paragraph at the end of a run: what was gained, whether it was real, and what the LLM changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.history import number

_PROPOSED = {"llm": "the LLM", "llm-init": "the LLM", "rulebook": "the rulebook"}
_BASES = ("tpe", "random", "gp", "cmaes", "base", "fallback")


def conclusion(summary: dict[str, Any], events: Iterable[Event], metric: str) -> str:
    """A few sentences of plain text; the same events give the same text (but for the seconds in
    ``summary``).
    """
    events = list(events)
    parts = [_outcome(summary, metric)]
    verification = summary.get("verification")
    if verification and verification.get("text"):
        parts.append(verification["text"])
    parts.append(_sources(summary, events))
    versions = [e for e in events if isinstance(e, SpaceChanged) and e.version > 0]
    if versions:
        by = sorted({e.by for e in versions})
        parts.append(f"The search space changed {_times(len(versions))} (by {', '.join(by)}).")
    falls = [e for e in events if isinstance(e, Fallback)]
    if falls:
        parts.append(f"The LLM could not serve {_times(len(falls))}; the base sampler took over.")
    return " ".join(p for p in parts if p)


def _outcome(summary: dict[str, Any], metric: str) -> str:
    n = summary.get("n_trials", 0)
    trials = f"{n} trial{'s' if n != 1 else ''}"
    if summary.get("best_value") is None:
        return f"No score after {trials}."
    best = f"{metric} {number(float(summary['best_value']))} (trial {summary['best_number']} of {trials})"
    default = summary.get("default_value")
    if default is None:
        return f"Best: {best}."
    if not summary.get("best_params"):
        return f"The default stayed best: {best}."
    return f"Best: {best}, default {number(float(default))}, gain {number(float(summary['gain']))}."


def _sources(summary: dict[str, Any], events: list[Event]) -> str:
    """Who improved the best how often."""
    finished = [e for e in events if isinstance(e, TrialFinished)]
    turns: dict[str, int] = {}
    wins: dict[str, int] = {}
    best: int | None = None
    for event in finished:
        who = _PROPOSED.get(event.source) or ("the base sampler" if event.source in _BASES else None)
        if who is not None:
            turns[who] = turns.get(who, 0) + 1
            if event.best_number == event.number and event.number != best:
                wins[who] = wins.get(who, 0) + 1
        best = event.best_number
    if not turns:
        return ""
    said = [
        f"{who} took {_count(n)} and improved the best {_times(wins.get(who, 0))}" for who, n in turns.items()
    ]
    text = "; ".join(said)
    promised = [e.came_true for e in finished if e.came_true is not None]
    text = text[0].upper() + text[1:] + "."
    if promised:
        text += f" Of {len(promised)} predicted effects {sum(promised)} came true."
    return text


def _count(n: int) -> str:
    return f"{n} trial{'s' if n != 1 else ''}"


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n} times")

"""The plain paragraph at the end of a run: what was gained, whether it was real, what the LLM changed against
the base sampler, and what was learnt. Made from the events alone, so a stored run has the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.history import importances
from sllmbo_magic.history import number
from sllmbo_magic.space import SearchSpace

WARM_START = "warm start: "
"""How the reason of a trial begins that an earlier run gave."""
_PROPOSED = {"llm": "the LLM", "llm-init": "the LLM", "rulebook": "the rulebook"}
_BASES = ("tpe", "random", "gp", "cmaes", "base", "fallback")


def conclusion(summary: dict[str, Any], events: Iterable[Event], metric: str) -> str:
    """One paragraph of plain text; the same events give the same text (but for the seconds in ``summary``).

    Args:
        summary: As ``RunFinished.summary``; ``inert`` (parameter -> why it has no effect in the best
            configuration) is said when it is there.
    """
    events = list(events)
    finished = [e for e in events if isinstance(e, TrialFinished)]
    history = _history(finished, str(summary.get("direction") or "maximize"), metric)
    verification = summary.get("verification") or {}
    parts = [
        _outcome(summary, metric),
        str(verification.get("text") or ""),
        _sources(finished),
        _difference(history),
        _warm_start(finished, history),
        _learnt(history, events),
        _space_changes(events),
        _inert(summary.get("inert") or {}),
        *[e.text for e in events if isinstance(e, Note) and e.text.startswith("The hint ")],
    ]
    falls = [e for e in events if isinstance(e, Fallback)]
    if falls:
        parts.append(f"The LLM could not serve {_times(len(falls))}; the base sampler took over.")
    return " ".join(p for p in parts if p)


def _history(finished: list[TrialFinished], direction: str, metric: str) -> History:
    trials = {
        e.number: Observation(
            e.number, e.params, e.state, e.value, tuple(e.split_scores), e.source, reason=e.reason
        )
        for e in finished
    }
    return History(tuple(trials[n] for n in sorted(trials)), direction, metric)


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


def _sources(finished: list[TrialFinished]) -> str:
    """Who improved the best how often, and how often what was promised came true."""
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


def _difference(history: History) -> str:
    """The best of the LLM's (or the rulebook's) trials against the best of all others."""
    theirs = [o for o in history.observations if o.source in _PROPOSED]
    others = [o for o in history.observations if o.source not in _PROPOSED]
    mine, rest = _best(theirs, history), _best(others, history)
    if mine is None or rest is None or not any(o.source in _BASES for o in others):
        return ""
    who = _PROPOSED[mine.source]
    ahead = history.gain(float(mine.value or 0.0), float(rest.value or 0.0))
    size = number(abs(ahead)) + (" (within the noise)" if abs(ahead) <= 2 * history.noise else "")
    other = f"{number(float(rest.value or 0.0))} (trial {rest.number})"
    if ahead > 0:
        return (
            f"Without the trials of {who} the best would be {other}, {size} worse, from a base sampler that"
            " learnt from them."
        )
    own = f"{number(float(mine.value or 0.0))} (trial {mine.number})"
    return f"The best of {who} was {own}, {size} behind the best of the others." if ahead < 0 else ""


def _best(trials: list[Observation], history: History) -> Observation | None:
    return History(tuple(trials), history.direction).incumbent


def _warm_start(finished: list[TrialFinished], history: History) -> str:
    """What the configurations of an earlier run gained, and when the search would have been as far."""
    given = {e.number for e in finished if e.reason.startswith(WARM_START)}
    best = _best([o for o in history.observations if o.number in given], history)
    if best is None or best.value is None:
        return ""
    text = f"Warm start: its best configuration (trial {best.number}) scored {number(best.value)}"
    default = _best([o for o in history.observations if o.source == "default"], history)
    if default is not None and default.value is not None:
        gain = history.gain(best.value, default.value)
        text += f", {number(abs(gain))} {'better' if gain > 0 else 'worse'} than the default" if gain else ""
    own = [o for o in history.complete if o.number not in given]
    reached = next((o for o in own if history.gain(float(o.value or 0.0), best.value) >= 0), None)
    if reached is None:
        return text + "; no other trial of this run reached that."
    return text + f"; without it the run was as far at trial {reached.number}."


def _learnt(history: History, events: list[Event]) -> str:
    """The parameters that mattered, and where the best trials have them."""
    space = _widest(events)
    if space is None:
        return ""
    weights = [(name, w) for name, w in importances(history, space).items() if w >= 1.0 / len(space)][:3]
    if not weights:
        return ""
    best = history.ranked()[:5]
    shown = []
    for name, weight in weights:
        values = [o.params[name] for o in best if o.params.get(name) is not None]
        where = _where(values, space[name]) if values else ""
        shown.append(f"{name} ({weight:.0%}{where})")
    return f"What mattered most: {', '.join(shown)}."


def _where(values: list[Any], distribution: Any) -> str:
    if isinstance(distribution, CategoricalDistribution):
        kinds = list(dict.fromkeys(number(v) for v in values))
        return f"; {' or '.join(kinds)} in the best {len(values)} trials" if len(kinds) <= 2 else ""
    low, high = number(min(values)), number(max(values))
    return f"; {low} to {high} in the best {len(values)} trials" if low != high else f"; {low} in the best"


def _widest(events: list[Event]) -> SearchSpace | None:
    """The outer space, with the parameters that later versions added."""
    params: dict[str, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, SpaceChanged):
            for entry in [*(event.outer or []), *event.params]:
                if "fixed" not in entry:
                    params.setdefault(str(entry.get("name")), entry)
    try:
        return SearchSpace.from_json({"params": [*params.values()]}) if params else None
    except InputError:
        return None


def _space_changes(events: list[Event]) -> str:
    """How often the search space changed, by whom, and how."""
    versions = [e for e in events if isinstance(e, SpaceChanged)]
    done: dict[str, list[str]] = {}
    for before, after in pairwise(versions):
        if after.version == 0:
            continue
        old = {str(p.get("name")): p for p in before.params}
        for entry in after.params:
            word = _changed(old.get(str(entry.get("name"))), entry)
            if word:
                done.setdefault(word, []).append(str(entry.get("name")))
    later = [e for e in versions if e.version > 0]
    if not later:
        return ""
    by = ", ".join(sorted({{"llm": "the LLM", "user": "you"}.get(e.by, e.by) for e in later}))
    how = "; ".join(f"{word} {', '.join(dict.fromkeys(names))}" for word, names in done.items())
    return f"The search space changed {_times(len(later))} (by {by})" + (f": {how}." if how else ".")


def _changed(old: dict[str, Any] | None, new: dict[str, Any]) -> str:
    """What became of one parameter between two versions: one word, or "" for nothing."""
    if old is None or ("fixed" in old and "fixed" not in new):
        return "opened"
    if "fixed" in new:
        return "" if "fixed" in old else "fixed"
    if "choices" in new or "choices" in old:
        less, more = len(new.get("choices") or []), len(old.get("choices") or [])
        return "narrowed" if less < more else "widened" if less > more else ""
    low, high = new["low"] - old["low"], new["high"] - old["high"]
    if low == 0 and high == 0:
        return ""
    return "narrowed" if low >= 0 and high <= 0 else "widened" if low <= 0 and high >= 0 else "moved"


def _inert(inert: dict[str, str]) -> str:
    if not inert:
        return ""
    return (
        "Without effect in the best configuration: "
        + "; ".join(f"{name} ({why})" for name, why in inert.items())
        + "."
    )


def _count(n: int) -> str:
    return f"{n} trial{'s' if n != 1 else ''}"


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n} times")

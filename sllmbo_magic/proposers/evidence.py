"""How much of a narrowed range the scores support.

A model that reads two bad scores into a direction can confine a whole run to its error. So a part of a range
is cut off only where enough scored trials lie in it and none of the good ones; a cut that goes further is
softened to what the trials support, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from optuna.distributions import CategoricalDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.search_space import SearchSpace

MIN_TRIALS = 4
"""Scored trials that must lie in a part of a numeric range before it is cut off."""
MIN_TRIALS_OF_CHOICE = 3
"""Scored trials that a choice must have had before it is taken away."""
_GOOD_SHARE = 1 / 3
"""The best part of the scored trials, which no cut leaves outside."""


def supported(change: Narrow, space: SearchSpace, history: History) -> tuple[Narrow | None, list[str]]:
    """The part of a narrowing that the scores support, and a note on each end or choice that stays.

    Args:
        change: Its parameter is searched in ``space``.

    Returns:
        The change, softened where needed; None when nothing of it is left.
    """
    current = dist.normal(space[change.name])
    assert current is not None
    # the default counts, too, though a model cannot learn from it: its value may not be cut off
    ranked = history.ranked()
    n_good = max(3, round(_GOOD_SHARE * len(ranked)))
    words = f"one of the best {n_good}" if n_good < len(ranked) else "one of the few scored so far"
    good = dict.fromkeys((o.number for o in ranked[:n_good]), words)
    with_value = [o for o in ranked if change.name in o.params and change.name not in o.outside]
    if isinstance(current, CategoricalDistribution):
        return _supported_choices(change, current, with_value, good)
    low, low_note = _supported_end("low", change.low, current.low, change.name, with_value, good)
    high, high_note = _supported_end("high", change.high, current.high, change.name, with_value, good)
    notes = [note for note in (low_note, high_note) if note]
    if low is None and high is None:
        return None, notes
    return replace(change, low=low, high=high), notes


def _supported_choices(
    change: Narrow, current: CategoricalDistribution, ranked: list[Observation], good: dict[int, str]
) -> tuple[Narrow | None, list[str]]:
    choices: list[Value] = list(change.choices or current.choices)
    notes = []
    for choice in current.choices:
        if any(dist.same(choice, value) for value in choices):
            continue
        having = [o for o in ranked if dist.same(o.params[change.name], choice)]
        best = next((o for o in having if o.number in good), None)
        if best is not None:
            notes.append(f"{dist.show(choice)} stays: trial {best.number}, {good[best.number]}, has it")
        elif len(having) < MIN_TRIALS_OF_CHOICE:
            notes.append(
                f"{dist.show(choice)} stays: {_scored(len(having))} had it, and {MIN_TRIALS_OF_CHOICE} are"
                " needed to rule it out"
            )
        else:
            continue
        choices.append(choice)
    if len(choices) == len(current.choices):
        return None, notes
    return replace(change, choices=tuple(choices)), notes


def _supported_end(
    end: str,
    proposed: float | None,
    current: float,
    name: str,
    ranked: Iterable[Observation],
    good: dict[int, str],
) -> tuple[float | None, str]:
    """The end of the range that the scores support; None, where it stays as it is, and why."""
    sign = 1 if end == "low" else -1
    if proposed is None or sign * proposed <= sign * current:
        return proposed, ""
    beyond = {
        o.number: float(o.params[name])
        for o in ranked
        if _is_number(o.params[name]) and sign * o.params[name] < sign * proposed
    }
    side = "below" if end == "low" else "above"
    supported = proposed
    note = ""
    for trial in sorted(beyond.keys() & good.keys(), key=lambda n: sign * beyond[n]):
        supported = beyond[trial]
        note = f"its {end} is {show(supported)}: trial {trial}, {good[trial]}, has that"
        break
    count = sum(sign * value < sign * supported for value in beyond.values())
    if count < MIN_TRIALS:
        verb = "lie" if count > 1 else "lies"
        reason = note.rpartition(": ")[2] if note else f"{_scored(count)} {verb} {side} {show(proposed)}"
        more = "" if note else f", and {MIN_TRIALS} are needed to rule that out"
        return None, f"its {end} stays {show(current)}: {reason}{more}"
    return supported, note


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scored(n: int) -> str:
    return f"only {n} scored trial{'s' if n > 1 else ''}" if n else "no scored trial"

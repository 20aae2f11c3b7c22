"""The configurations in a reply: checked, and split into candidates and rejected ones."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic._utils.value_format import format_value as show
from sllmbo_magic.proposers import diversity
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Rejected
from sllmbo_magic.proposers.reply_fields import text
from sllmbo_magic.proposers.reply_fields import with_text
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.changes import moved_to_grid
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.search_space import SearchSpace

_EXPECTS = ("better", "similar", "explore")
_MISSING = object()

_PLACE = re.compile(r"configuration \d+: ")
_MOST_EXTRA = 20
_MOST_SHOWN = 20
"""Configurations of an answer that are looked at, however few were asked for."""


@dataclass(frozen=True)
class Filling:
    """What stands for the values that configurations leave out or cannot have.

    Attributes:
        values: Values of parameters that may be left out.
        defaults: Of these, the estimator's defaults that their ranges do not hold (None, "sqrt"): a
            configuration that leaves one out, or names just that value, keeps it.
        nearest: Parameters with choices for which a range of numbers was asked for: a number that is no
            choice becomes the nearest one.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    nearest: Collection[str] = ()


@dataclass(frozen=True)
class Checked:
    """The configurations of an answer.

    Attributes:
        candidates: The usable ones.
        places: Their places in the list, from 0.
        rejected: The others.
        problems: Why they are not usable, each with its place in the list.
        changed: What usable ones have otherwise than they were sent, in the same form.
    """

    candidates: tuple[Candidate, ...]
    places: tuple[int, ...]
    rejected: tuple[Rejected, ...]
    problems: tuple[str, ...]
    changed: tuple[str, ...]


def check_configurations(
    entries: list[dict[str, Any]], space: SearchSpace, ask: Ask, filling: Filling | None = None
) -> Checked:
    """Split proposed configurations into usable ones and rejected ones.

    Out-of-range values, unknown or missing parameters and wrong types reject a configuration; so does one
    that equals, after rounding to what a parameter can mean, one that a trial had or that stands earlier in
    the list. Where the batch must explore, at most half of it (rounded up) may lie near the incumbent. More
    than ``ask.n_candidates`` are cut. A parameter that is held fixed keeps its value, whatever is sent.
    Where the space is not declared, further names are kept for a trial whose objective asks for them; where
    trials have further parameters, a repeat of what they have in common is none.

    Args:
        entries: Unchecked, each with ``params``.
        filling: For values that a configuration leaves out; None: it may leave out nothing.
    """
    filling = filling or Filling()
    trial_numbers = _tried(space, ask, filling)
    best = ask.history.points.incumbent
    n_near_left = math.ceil(ask.n_candidates / 2) if ask.explore and ask.n_candidates > 1 else len(entries)
    candidates: list[Candidate] = []
    places: list[int] = []
    rejected: list[Rejected] = []
    problems: list[str] = []
    changed: list[str] = []
    n_too_many = max(0, len(entries) - max(_MOST_SHOWN, ask.n_candidates))

    def reject(place: int, params: dict[str, Any], why: str, reason: str) -> None:
        rejected.append(Rejected(_plain(params), why, reason))
        problems.append(f"configuration {place}: {why}")

    for place, entry in enumerate(entries[: max(_MOST_SHOWN, ask.n_candidates)], 1):
        sent = entry.get("params")
        reason = text(entry.get("reason"))
        if not isinstance(sent, dict):
            reject(place, {}, "params is not an object", reason)
            continue
        extra, of_held = ({}, []) if ask.declared else _extra(sent, space, ask)
        apart = {*extra, *ask.held} - {*space}
        sent = {name: value for name, value in sent.items() if name not in apart}
        raw, at_default, notes = _completed(sent, space, ask, filling)
        notes += of_held
        params, wrong = space.validate(raw)
        if params is None:
            reject(place, raw, "; ".join([*notes, *wrong[:4]]), reason)
            continue
        notes += _moved_to_grid(params, raw, space)
        at_default = tuple(name for name in at_default if name in params)
        key: object = space.key(params)
        if at_default or extra:
            key = (key, at_default, repr(sorted(extra.items())))
        equal_trial = trial_numbers.get(key)
        if equal_trial is None:
            equal_trial = _trial_beyond(params, at_default, extra, ask)
        if equal_trial is not None:
            why = f"the same as trial {equal_trial}" if equal_trial >= 0 else "twice in this answer"
            reject(place, params, "; ".join([*notes, why]), reason)
            continue
        if len(candidates) >= ask.n_candidates:
            rejected.append(Rejected(_plain(params), "more configurations than asked for", reason))
            n_too_many += 1
            continue
        if best is not None and diversity.is_near(params, best, space):
            if n_near_left <= 0:
                why = f"too close to trial {best.number}; this batch must explore"
                reject(place, params, "; ".join([*notes, why]), reason)
                continue
            n_near_left -= 1
        trial_numbers[key] = -1
        expects = str(entry.get("expects")).strip().lower()
        changed += [f"configuration {place}: {note}" for note in notes]
        places.append(place - 1)
        candidates.append(
            Candidate(
                params,
                reason,
                expects if expects in _EXPECTS else "explore",
                "; ".join(notes),
                at_default,
                extra,
                space.fixed,
            )
        )
    if n_too_many:
        problems.append(
            f"{n_too_many} configuration{'s' if n_too_many > 1 else ''} more than the {ask.n_candidates}"
            " asked for: left out"
        )
    return Checked(tuple(candidates), tuple(places), tuple(rejected), tuple(problems), tuple(changed))


def _tried(space: SearchSpace, ask: Ask, filling: Filling) -> dict[object, int]:
    """The configurations that trials had: key -> trial number. Where trials have further parameters, what
    they have in common is no configuration: the sampler draws the rest.
    """
    is_part = not ask.declared and ask.history.is_part(space, ask.held)
    return {**({} if is_part else ask.history.keys(space)), **_keys_at_default(space, ask, filling)}


def _completed(
    sent: dict[str, Any], space: SearchSpace, ask: Ask, filling: Filling
) -> tuple[dict[str, Any], tuple[str, ...], list[str]]:
    """A configuration with what it left out; the parameters that keep a default which their range lacks; and
    what it has otherwise than it was sent.
    """
    raw: dict[str, Any] = {}
    at_default: list[str] = []
    notes: list[str] = []
    for name, value in {**filling.values, **sent}.items():
        if name in space.fixed:
            if value is not None and not _means(value, space.fixed[name]):
                notes.append(f"{name} is held at {show(space.fixed[name])}, not {show(_read(value))[:60]}")
        elif name in filling.defaults and (name not in sent or _means(value, filling.defaults[name])):
            at_default.append(name)
            raw[name] = filling.values[name]
        elif _is_off(name, value, space, ask):
            raw[name] = getattr(space[name], "low", value)
        elif name in filling.nearest and (choice := _nearest(space, name, value)) is not None:
            raw[name] = choice
            notes.append(f"{name} is {show(choice)}, the choice nearest to {show(value)}")
        else:
            raw[name] = value
    return raw, tuple(at_default), notes


def _extra(sent: dict[str, Any], space: SearchSpace, ask: Ask) -> tuple[dict[str, Value], list[str]]:
    """The values of parameters that not all trials have: its objective decides which ones a trial has. And a
    sentence on each that is held at another value.
    """
    names = [name for name in sent if name not in space and name not in space.fixed]
    notes = [
        f"{name} is held at {show(ask.held[name])}, not {show(_read(sent[name]))[:60]}"
        for name in names
        if name in ask.held and sent[name] is not None and not _means(sent[name], ask.held[name])
    ]
    beyond = {name: dist.plain(with_text(sent[name])) for name in names if name not in ask.held}
    read = {name: value for name, (value, is_plain) in beyond.items() if is_plain and value is not None}
    return dict([*read.items()][:_MOST_EXTRA]), notes


def _read(value: Any) -> Value:
    """A value as data: a number that is written as text is the number."""
    number = dist.number_in(value)
    return dist.plain(with_text(value))[0] if number is None else number


def _means(value: Any, wanted: Value) -> bool:
    """Whether a value is that one, in whatever form: ``"1"``, ``"None"``, ``[64, 32]``, or as prompts show
    it.
    """
    written = show(_read(value)) == show(wanted)
    return written or not dist.check(CategoricalDistribution([wanted]), value, repair=True)[1]


def _is_off(name: str, value: Any, space: SearchSpace, ask: Ask) -> bool:
    """Whether the value is the 0 of a penalty whose range begins where it has no effect."""
    low = getattr(space.get(name), "low", None)
    is_zero = isinstance(value, int | float) and not isinstance(value, bool) and value == 0
    return is_zero and low is not None and 0 < low <= ask.off.get(name, 0.0)


def _moved_to_grid(params: Mapping[str, Value], raw: Mapping[str, Any], space: SearchSpace) -> list[str]:
    """What became of values between two points of a grid; rounding of a few digits is not worth a word."""
    moved = {name: moved_to_grid(space.get(name), raw.get(name), value) for name, value in params.items()}
    return [f"{name} {text}" for name, text in moved.items() if text]


def _nearest(space: SearchSpace, name: str, value: Any) -> Value:
    """The choice next to a number that is none; None where that cannot be said."""
    if isinstance(value, bool) or not isinstance(value, int | float) or space.contains(name, value):
        return None
    choices = getattr(space.get(name), "choices", ())
    numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
    if not numbers:
        return None
    if value > 0 and min(numbers) > 0:
        return min(numbers, key=lambda number: abs(math.log(number / value)))
    return min(numbers, key=lambda number: abs(number - value))


def _keys_at_default(space: SearchSpace, ask: Ask, filling: Filling) -> dict[object, int]:
    """Trials that keep defaults which the ranges lack, by the key of their configuration in an answer."""
    numbers: dict[object, int] = {}
    for trial in ask.history.observations if filling.defaults else ():
        at_default = tuple(
            name
            for name in filling.values
            if name in filling.defaults and dist.same(trial.params.get(name), filling.defaults[name])
        )
        stand_in = {**trial.params, **{name: filling.values[name] for name in at_default}}
        at_default = tuple(name for name in at_default if name in space.active(stand_in))
        outside = tuple(name for name in trial.outside if name not in at_default)
        point = replace(trial, params=stand_in, outside=outside)
        if at_default and point.is_in(space):
            numbers[(point.key(space), at_default, repr([]))] = trial.number
    return numbers


def _trial_beyond(
    params: Mapping[str, Any], at_default: tuple[str, ...], extra: Mapping[str, Any], ask: Ask
) -> int | None:
    """A trial that had the same beyond what the space expresses: further parameters, or the library's default
    where a configuration keeps all of its values.
    """
    if extra:
        return ask.history.trial_with({**params, **extra})
    if not at_default:
        return None
    others = [name for name in params if name not in at_default]
    if not all(dist.same(params[name], ask.defaults.get(name, _MISSING)) for name in others):
        return None
    return next((o.number for o in ask.history.observations if o.source == "default"), None)


def in_groups(problems: Sequence[str]) -> list[str]:
    """The problems of :func:`check_configurations` for a reader: one that several configurations share once.

    ``"configuration 1: x is missing"`` and ``"configuration 2: x is missing"`` become
    ``"2 configurations: x is missing"``. Others stay as they are, in their order.
    """
    matches = [_PLACE.match(problem) for problem in problems]
    reasons = Counter(problem[m.end() :] for problem, m in zip(problems, matches, strict=True) if m)
    texts = []
    for problem, m in zip(problems, matches, strict=True):
        reason = problem[m.end() :] if m else ""
        texts.append(f"{reasons[reason]} configurations: {reason}" if reasons[reason] > 1 else problem)
    return list(dict.fromkeys(texts))


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Proposed values as short plain data, for showing only."""
    plain_params: dict[str, Any] = {}
    for name, value in list(params.items())[:60]:
        scalar = isinstance(value, bool | int | float | str) or value is None
        plain_params[str(name)[:80]] = (
            value if scalar and len(str(value)) <= 80 else json.dumps(value, default=str)[:80]
        )
    return plain_params

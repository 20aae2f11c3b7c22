"""The trials so far, in the form of one prompt; ``history_manager.py`` chooses among the forms.

``state`` is deterministic and bounded: incumbent, best 5, last 20, what became of the last answer, failures,
bounds hit, importances. All of it is computed from the study, so that a resumed run has the same prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic._utils.value_format import texts_apart
from sllmbo_magic.attrs import ASKED_SOURCES
from sllmbo_magic.history.history import History
from sllmbo_magic.history.importances import importances
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.trial_table import Columns
from sllmbo_magic.proposers.trial_table import trial_table
from sllmbo_magic.space.search_space import SearchSpace

MAX_COLUMNS = 24
"""Parameters in a prompt; of a larger space the most important ones and a rotating few."""
_ROTATING = 8
BEST, RECENT = 5, 20
"""Trials that a prompt shows: so many of the best, and of the latest."""
_BRIEF_BEST, _BRIEF_RECENT, _BRIEF_COLUMNS = 3, 6, 8
_MAX_RUNNING = 10
_MAX_FEEDBACK = 12
"""Lines at most on what became of the last answer."""
_ABOUT_CODE = {"DeprecationWarning", "PendingDeprecationWarning", "ImportWarning", "ResourceWarning"}
"""Warnings that Python ignores by default, and issues under pytest or -W."""
_SHORT = 0.1
"""Seconds; shorter times are not told apart."""
_EDGE = 0.03
"""Part of a range's scale at its ends that counts as being at the bound."""


@dataclass(frozen=True)
class HistoryPrompt:
    """The trials so far, for one prompt.

    Attributes:
        text: What stands in the question.
        turns: Earlier (question, answer) pairs that stand before it as a conversation.
        volatile: Lines of ``text`` that may differ between two runs of the same work: timings.
    """

    text: str
    turns: tuple[tuple[str, str], ...] = ()
    volatile: tuple[str, ...] = ()


def focus(history: History, space: SearchSpace, trial_number: int) -> list[str]:
    """The parameters that a prompt is about, in the space's order: all of a small space.

    Of one with more than :data:`MAX_COLUMNS`: the most important ones, and eight of the others that change
    from request to request, so that each has its turn. The parents of conditional parameters come along.
    """
    names = [*space]
    if len(names) <= MAX_COLUMNS:
        return names
    weights = importances(history, space)
    by_weight = sorted(names, key=lambda n: (-weights.get(n, 0.0), names.index(n)))
    first, rotating = by_weight[: MAX_COLUMNS - _ROTATING], by_weight[MAX_COLUMNS - _ROTATING :]
    start = trial_number % len(rotating)
    keep = {*first, *(rotating + rotating)[start : start + _ROTATING]}
    waiting = [*keep]
    while waiting:
        child = waiting.pop()
        for condition in space.conditions:
            if condition.param == child and condition.parent not in keep:
                keep.add(condition.parent)
                waiting.append(condition.parent)
    return [n for n in names if n in keep]


def state(ask: Ask, names: list[str], *, brief: bool = False) -> HistoryPrompt:
    """The deterministic, bounded state of the search; ``brief`` is a few lines of it for a model without
    room.
    """
    history, space = ask.history, ask.space
    n_best, n_recent = (_BRIEF_BEST, _BRIEF_RECENT) if brief else (BEST, RECENT)
    if brief:
        weights = importances(history, space)
        names = sorted(names, key=lambda n: -weights.get(n, 0.0))[:_BRIEF_COLUMNS]
    best = history.ranked()[:n_best]
    finished = [o for o in history.observations if o.state != "RUNNING"]
    best_numbers = {o.number for o in best}
    recent = [o for o in finished[-n_recent:] if o.number not in best_numbers]
    running = [o for o in history.observations if o.state == "RUNNING"][-_MAX_RUNNING:]
    groups = {
        f"best {len(best)} of {len(history.complete)} scored trials, best first:": best,
        f"the others of the last {min(n_recent, len(finished))}, oldest first:": recent,
        "running now, score not known yet:": [] if brief else running,
    }
    timing = "" if brief else _seconds([*best, *recent])
    parts = [headline(history), trial_table(groups, columns_of(ask, names)), timing, feedback(history)]
    parts += [*_failures(history), _warnings(history)]
    parts += [
        f"The best 3 trials all lie at the {end} bound of {name}."
        for name, end in [*movable_bounds(ask).items()][:6]
    ]
    parts += [_importance(history, space), _promises(history)]
    return HistoryPrompt(paragraphs(parts), volatile=(timing,) if timing else ())


def columns_of(ask: Ask, names: list[str]) -> Columns:
    defaults = {**({} if ask.extension is None else ask.extension.defaults), **ask.defaults}
    return Columns(names, ask.space, defaults)


def paragraphs(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def full(ask: Ask) -> HistoryPrompt:
    """Every trial. Grows with the run; for comparison."""
    groups = {"all trials:": ask.history.observations}
    table = trial_table(groups, columns_of(ask, [*ask.space]))
    return HistoryPrompt(paragraphs([headline(ask.history), table, feedback(ask.history)]))


def window(ask: Ask, names: list[str], k: int) -> HistoryPrompt:
    """The last ``k`` exchanges as the conversation they were, compacted, and the trials since.

    They are made from the study, so a resumed run has them too: what an exchange saw as news, and those of
    its configurations that became trials.
    """
    history, columns = ask.history, columns_of(ask, names)
    by_request: dict[int, list[Observation]] = {}
    for o in history.observations:
        if o.request is not None and o.source in ASKED_SOURCES:
            by_request.setdefault(o.request, []).append(o)
    starts = {request: min(o.asked for o in trials) for request, trials in by_request.items()}
    order = sorted(by_request)
    turns = []
    in_turns: list[Observation] = []
    for i in range(max(0, len(order) - k), len(order)):
        request = order[i]
        since = starts[order[i - 1]] if i else 0
        news = _between(history, since, starts[request])[-RECENT:]
        in_turns += news
        question = f"Before trial {starts[request]}. Trials since the last question:\n{rows(news, columns)}"
        turns.append((question, _answer(by_request[request], names)))
    since = starts[order[-1]] if order else 0
    news = [o for o in history.observations if o.number >= since][-RECENT:]
    first = with_incumbent(history, columns, [*in_turns, *news])
    last = f"Trials since the last question:\n{rows(news, columns)}"
    return HistoryPrompt(paragraphs([first, last, feedback(history)]), tuple(turns))


def rows(trials: list[Observation], columns: Columns) -> str:
    return trial_table({"": trials}, columns) or "(none)"


def _between(history: History, first: int, end: int) -> list[Observation]:
    return [o for o in history.observations if first <= o.number < end and o.state != "RUNNING"]


def _answer(trials: list[Observation], names: list[str]) -> str:
    """What an exchange proposed, as far as trials took it, in the form in which it was answered."""
    floats = {n: [v for o in trials if isinstance(v := o.params.get(n), float)] for n in names}
    texts = {n: texts_apart(values) for n, values in floats.items()}
    configurations: list[dict[str, Any]] = [
        {
            "reason": o.reason[:120],
            "expects": o.expects or "explore",
            "params": {n: _short(o.params[n], texts[n]) for n in names if n in o.params},
        }
        for o in trials
    ]
    return json.dumps({"configurations": configurations}, default=str)


def _short(value: Any, texts: Mapping[float, str]) -> Any:
    """A float with the digits of its text; anything else as it is."""
    return float(texts[value]) if isinstance(value, float) else value


def with_incumbent(history: History, columns: Columns, trials_in_prompt: Iterable[Observation]) -> str:
    """The headline, and the incumbent's own line where the trials shown do not hold it."""
    best = history.incumbent
    if best is None or any(o.number == best.number for o in trials_in_prompt):
        return headline(history)
    return f"{headline(history)}\n{rows([best], columns)}"


def headline(history: History) -> str:
    """The incumbent, the direction, the noise and the counts: the line that every prompt has."""
    best = history.incumbent
    word = "higher" if history.direction == "maximize" else "lower"
    if best is None or best.value is None:
        return f"No trial has a score yet ({history.metric}: {word} is better)."
    score = texts_apart(float(o.value) for o in history.ranked()[:BEST] if o.value is not None)[best.value]
    noise = f"; the noise of a difference is about {history.noise:.2g}" if history.noise else ""
    return (
        f"Incumbent: trial #{best.number} with {history.metric} {score}"
        f" ({word} is better{noise}). {len(history.complete)} scored, {len(history.failed)} failed"
        f"{f', {len(history.pruned)} pruned on the way' if history.pruned else ''}."
    )


def bounds_hit(history: History, space: SearchSpace) -> dict[str, str]:
    """Numeric parameters whose best three trials all lie at one end of the current range, or outside it,
    while a worse one lies elsewhere: name -> ``"lower"`` or ``"upper"``.
    """
    ranked = history.points.ranked()
    top = ranked[:3]
    if len(top) < 3:
        return {}
    hit = {}
    for name in space:
        if isinstance(space[name], CategoricalDistribution) or any(name not in o.params for o in top):
            continue
        positions = [space.position(name, o.params[name]) for o in ranked if name in o.params]
        at_end = {
            "lower": [position <= _EDGE for position in positions],
            "upper": [position >= 1 - _EDGE for position in positions],
        }
        for end, hits in at_end.items():
            if all(hits[:3]) and not all(hits):
                hit[name] = end
    return hit


def movable_bounds(ask: Ask) -> dict[str, str]:
    """Those of :func:`bounds_hit` that a widen could move: the outer range goes on, and the best three trials
    have values that the outer range really holds.
    """
    if ask.frozen_space:
        return {}
    movable = {}
    top = ask.history.points.ranked()[:3]
    for name, end in bounds_hit(ask.history, ask.space).items():
        if name in ask.locked or name not in ask.outer:
            continue
        bound = ask.space[name].low if end == "lower" else ask.space[name].high  # type: ignore[attr-defined]
        at = ask.outer.position(name, bound)
        has_room = at > _EDGE if end == "lower" else at < 1 - _EDGE
        if has_room and all(ask.outer.contains(name, o.params[name]) for o in top):
            movable[name] = end
    return movable


def _seconds(trials: list[Observation]) -> str:
    """How long the trials of the table took, in its order; "" where that is not known."""
    if not any(o.seconds is not None for o in trials):
        return ""
    if all((o.seconds or 0.0) < _SHORT for o in trials):
        return f"Each of these trials took less than {_SHORT:g} s."
    texts = ["-" if o.seconds is None else f"{o.seconds:.{1 if o.seconds < 10 else 0}f}" for o in trials]
    return f"Seconds that these trials took, in the same order: {' '.join(texts)}"


def feedback(history: History) -> str:
    """What became of the last answer: one line each for what was rejected, refused, changed or vetoed.

    What a request held to which no answer came is said again.
    """
    unanswered = {o.unanswered for o in history.observations}
    request_trials = [o.number for o in history.observations if o.sent_request and o.number not in unanswered]
    since = max(request_trials, default=-1)
    lines: list[str] = []
    for o in history.observations:
        if o.number >= since:
            lines += o.feedback[o.told :] if o.number == since else o.feedback
    if not lines:
        return ""
    more = len(lines) - _MAX_FEEDBACK
    feedback_lines = [f"- {line}" for line in lines[:_MAX_FEEDBACK]]
    feedback_lines += [f"- and {more} more"] if more > 0 else []
    return "Of your last answer not taken, or changed:\n" + "\n".join(feedback_lines)


def _warnings(history: History) -> str:
    """The warnings of the fits by class, with how many trials had each.

    Those about the code of a library are left out: they say nothing about a configuration, and whether Python
    issues them depends on the process, so that a replay in another process would have other prompts.
    """
    trials: dict[str, list[int]] = {}
    for o in history.observations:
        for name in o.warnings:
            if name not in _ABOUT_CODE:
                trials.setdefault(name, []).append(o.number)
    if not trials:
        return ""
    counts = [
        f"{name} in {len(numbers)} trial{'s' if len(numbers) > 1 else ''}"
        f" (last: {', '.join(f'#{n}' for n in numbers[-5:])})"
        for name, numbers in sorted(trials.items(), key=lambda item: -len(item[1]))[:4]
    ]
    return f"Warnings of the fits: {'; '.join(counts)}."


def _failures(history: History) -> list[str]:
    causes: dict[str, list[int]] = {}
    for o in history.failed:
        causes.setdefault(o.error or "fit-failed", []).append(o.number)
    return [
        f"Failed with {category}: {len(numbers)} trial{'s' if len(numbers) > 1 else ''} (last:"
        f" {', '.join(f'#{n}' for n in numbers[-5:])})."
        for category, numbers in causes.items()
    ]


def _importance(history: History, space: SearchSpace) -> str:
    """Parameters grouped by how much of the score they explain; "" while that is not known."""
    weights = importances(history, space)
    if not weights:
        return ""
    fair = 1.0 / len(weights)
    much = [f"{n} {w:.0%}" for n, w in weights.items() if w >= fair][:8]
    some = [n for n, w in weights.items() if fair / 4 <= w < fair][:8]
    little = [n for n, w in weights.items() if w < fair / 4]
    text = "Rough importance: much " + (", ".join(much) or "none")
    text += f"; some {', '.join(some)}" if some else ""
    names_text = ", ".join(little[:8]) + (f" and {len(little) - 8} more" if len(little) > 8 else "")
    return text + (f"; little {names_text}" if little else "") + "."


def _promises(history: History) -> str:
    """How many of the LLM's predictions came true; "" while there are none."""
    counts = []
    for expects in ("better", "similar"):
        outcomes = [
            o.came_true
            for o in history.observations
            if o.source in ASKED_SOURCES and o.expects == expects and o.came_true is not None
        ]
        if outcomes:
            counts.append(f"{sum(outcomes)} of {len(outcomes)} that you expected to be {expects}")
    return f"Your predictions that came true so far: {', '.join(counts)}." if counts else ""

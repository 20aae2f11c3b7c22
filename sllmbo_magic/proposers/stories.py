"""What an LLM is told of the trials so far: the paper's History Manager (section 3.4), and our default.

``state`` is deterministic and bounded: incumbent, best 5, last 20, failures, bounds hit, importances.
``summary`` (an LLM-written summary every ten trials and when the context overflows) and ``window`` (the last
exchanges as a conversation) are the paper's memories; ``full`` grows with the run. All but the words of a
summary are computed from the study, and those are checked against it (``summaries.py``), so that no policy
can name a best that the study does not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.history import POLICIES
from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.history import importances
from sllmbo_magic.history import number
from sllmbo_magic.history import table
from sllmbo_magic.proposers.summaries import checked
from sllmbo_magic.space import SearchSpace

SUMMARY_EVERY = 10
"""Finished trials between two LLM-written summaries (the paper's N_SUMMARIZE_ITER)."""
MAX_COLUMNS = 24
"""Parameters in a prompt; of a larger space the most important ones and a rotating few."""
_ROTATING = 8
_BEST, _RECENT, _FACTS = 5, 20, 40
_BRIEF_BEST, _BRIEF_RECENT, _BRIEF_COLUMNS = 3, 6, 8
_MAX_RUNNING = 10


@dataclass(frozen=True)
class Story:
    """The trials so far, for one prompt: text, and earlier turns (question, answer) to stand before it."""

    text: str
    turns: tuple[tuple[str, str], ...] = ()


def focus(history: History, space: SearchSpace, trial_number: int) -> list[str]:
    """The parameters that a prompt is about, in the space's order: all of a small space.

    Of one with more than :data:`MAX_COLUMNS`: the most important ones, and eight of the others that change
    from request to request, so that each has its turn. The parents of conditional parameters come along.
    """
    names = [*space]
    if len(names) <= MAX_COLUMNS:
        return names
    weights = importances(history, space)
    ordered = sorted(names, key=lambda n: (-weights.get(n, 0.0), names.index(n)))
    first, rest = ordered[: MAX_COLUMNS - _ROTATING], ordered[MAX_COLUMNS - _ROTATING :]
    start = trial_number % len(rest)
    keep = {*first, *(rest + rest)[start : start + _ROTATING]}
    waiting = [*keep]
    while waiting:
        child = waiting.pop()
        for condition in space.conditions:
            if condition.param == child and condition.parent not in keep:
                keep.add(condition.parent)
                waiting.append(condition.parent)
    return [n for n in names if n in keep]


def state(history: History, space: SearchSpace, names: list[str], *, brief: bool = False) -> str:
    """The deterministic, bounded story; ``brief`` is a few lines of it for a model without room."""
    n_best, n_recent = (_BRIEF_BEST, _BRIEF_RECENT) if brief else (_BEST, _RECENT)
    if brief:
        weights = importances(history, space)
        names = sorted(names, key=lambda n: -weights.get(n, 0.0))[:_BRIEF_COLUMNS]
    best = history.ranked()[:n_best]
    finished = [o for o in history.observations if o.state != "RUNNING"]
    parts = [headline(history)]
    if best:
        parts.append(f"Best {len(best)} of {len(history.complete)} scored trials:\n{table(best, names)}")
    if finished:
        recent = finished[-n_recent:]
        parts.append(f"Last {len(recent)} trials, good and bad:\n{table(recent, names)}")
    running = [o for o in history.observations if o.state == "RUNNING"][-_MAX_RUNNING:]
    if running and not brief:
        parts.append(f"Running now, score not known yet:\n{table(running, names)}")
    parts += _failures(history)
    parts += [
        f"Note: the best 3 trials all lie at the {end} bound of {name}."
        for name, end in [*bounds_hit(history, space).items()][:6]
    ]
    parts += [_importance(history, space), _promises(history)]
    return "\n\n".join(part for part in parts if part)


def full(history: History, space: SearchSpace) -> str:
    """Every trial. Grows with the run; for comparison."""
    return f"{headline(history)}\n\nAll trials:\n{table(history.observations, [*space])}"


def window(history: History, names: list[str], k: int) -> Story:
    """The last ``k`` exchanges as the conversation they were, compacted, and the trials since.

    They are made from the study, so a resumed run has them too: what an exchange saw as news, and those of
    its configurations that became trials.
    """
    asked: dict[int, list[Observation]] = {}
    for o in history.observations:
        if o.request is not None and o.source in ("llm", "llm-init"):
            asked.setdefault(o.request, []).append(o)
    starts = {request: min(o.asked for o in found) for request, found in asked.items()}
    order = sorted(asked)
    turns = []
    told: list[Observation] = []
    for i in range(max(0, len(order) - k), len(order)):
        request = order[i]
        since = starts[order[i - 1]] if i else 0
        news = _between(history, since, starts[request])
        told += news[-_RECENT:]
        shown = table(news[-_RECENT:], names) or "(none)"
        question = f"Before trial {starts[request]}. Trials since the last question:\n{shown}"
        turns.append((question, _answer(asked[request], names)))
    since = starts[order[-1]] if order else 0
    news = [o for o in history.observations if o.number >= since]
    first = _with_incumbent(history, names, [*told, *news[-_RECENT:]])
    last = f"Trials since the last question:\n{table(news[-_RECENT:], names) or '(none)'}"
    return Story(f"{first}\n\n{last}", tuple(turns))


def _between(history: History, first: int, end: int) -> list[Observation]:
    return [o for o in history.observations if first <= o.number < end and o.state != "RUNNING"]


def _answer(trials: list[Observation], names: list[str]) -> str:
    """What an exchange proposed, as far as trials took it, in the form in which it was answered."""
    configurations: list[dict[str, Any]] = [
        {
            "reason": o.reason[:120],
            "expects": o.expects or "explore",
            "params": {n: _short(o.params[n]) for n in names if n in o.params},
        }
        for o in trials
    ]
    return json.dumps({"configurations": configurations}, default=str)


def _short(value: Any) -> Any:
    """A float with the five digits that the tables show; anything else as it is."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _with_incumbent(history: History, names: list[str], shown: Iterable[Observation]) -> str:
    """The headline, and the incumbent's own line where the trials shown do not hold it."""
    best = history.incumbent
    if best is None or any(o.number == best.number for o in shown):
        return headline(history)
    return f"{headline(history)}\n{table([best], names)}"


def headline(history: History) -> str:
    """The incumbent, the direction, the noise and the counts: the one line that every story has."""
    best = history.incumbent
    word = "higher" if history.direction == "maximize" else "lower"
    if best is None or best.value is None:
        return f"No trial has a score yet ({history.metric}: {word} is better)."
    noise = f"; differences below about {2 * history.noise:.2g} are noise" if history.noise else ""
    return (
        f"Incumbent: trial #{best.number} with {history.metric} {number(float(best.value))}"
        f" ({word} is better{noise}). {len(history.complete)} scored, {len(history.failed)} failed"
        f"{f', {len(history.pruned)} pruned on the way' if history.pruned else ''}."
    )


def bounds_hit(history: History, space: SearchSpace) -> dict[str, str]:
    """Numeric parameters whose best three trials all lie at one end of the current range: name -> ``"lower"``
    or ``"upper"``.
    """
    top = history.ranked()[:3]
    if len(top) < 3:
        return {}
    units = [space.to_unit(space.clip(o.params)) for o in top]
    found = {}
    for i, name in enumerate(space):
        if isinstance(space[name], CategoricalDistribution):
            continue
        if all(unit[i] <= 0.03 for unit in units):
            found[name] = "lower"
        elif all(unit[i] >= 0.97 for unit in units):
            found[name] = "upper"
    return found


def _failures(history: History) -> list[str]:
    found: dict[str, list[int]] = {}
    for o in history.failed:
        found.setdefault(o.error or "fit-failed", []).append(o.number)
    return [
        f"Failed with {category}: {len(numbers)} trials (last: {', '.join(f'#{n}' for n in numbers[-5:])})."
        for category, numbers in found.items()
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
    shown = ", ".join(little[:8]) + (f" and {len(little) - 8} more" if len(little) > 8 else "")
    return text + (f"; little {shown}" if little else "") + "."


def _promises(history: History) -> str:
    """How many of the LLM's predictions came true; "" while there are none."""
    said = []
    for expects in ("better", "similar"):
        known = [
            o.came_true
            for o in history.observations
            if o.source in ("llm", "llm-init") and o.expects == expects and o.came_true is not None
        ]
        if known:
            said.append(f"{sum(known)} of {len(known)} that you expected to be {expects}")
    return f"Your predictions that came true so far: {', '.join(said)}." if said else ""


class HistoryManager:
    """Turns histories into stories by one policy.

    Args:
        policy: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        k: For ``"window"``: how many exchanges.

    Raises:
        ValueError: The policy is none of these.
    """

    def __init__(self, policy: str = "state", *, k: int = 10) -> None:
        if policy not in POLICIES:
            raise ValueError(f"history {policy!r} is not one of {', '.join(POLICIES)}.")
        self.policy = policy
        self.k = k
        self.written = ""
        """The last summary as the LLM wrote it, unchecked."""
        self.upto = 0
        """The summary tells of the trials before this one."""

    def story(
        self,
        history: History,
        space: SearchSpace,
        names: list[str],
        summarize: Callable[[str], str | None],
    ) -> Story:
        """The story for the next prompt.

        Args:
            names: The parameters it is about.
            summarize: Facts -> the LLM's summary, None when that failed (the old one then stays).
        """
        if self.policy == "full":
            return Story(full(history, space))
        if self.policy == "window":
            return window(history, names, self.k)
        if self.policy == "summary":
            finished = [o for o in history.observations if o.number >= self.upto and o.state != "RUNNING"]
            if len(finished) >= SUMMARY_EVERY:
                self._summarize(history, space, names, summarize)
            return self._summary(history, space, names)
        return Story(state(history, space, names))

    def shorter(
        self,
        history: History,
        space: SearchSpace,
        names: list[str],
        summarize: Callable[[str], str | None],
    ) -> Story:
        """The story for a model whose context the last one overflowed: a summary now, or the state story; of
        that the brief form.
        """
        if self.policy == "summary" and self._summarize(history, space, names, summarize):
            return self._summary(history, space, names)
        return Story(state(history, space, names, brief=self.policy in ("state", "summary")))

    def _summarize(
        self,
        history: History,
        space: SearchSpace,
        names: list[str],
        summarize: Callable[[str], str | None],
    ) -> bool:
        """Have a summary written of the last one and the trials since; False when there was none to be
        had.
        """
        since = [o for o in history.observations if o.number >= self.upto and o.state != "RUNNING"]
        if not since:
            return False
        best = history.ranked()[:_BEST]
        facts = [
            headline(history),
            f"Best {len(best)} trials:\n{table(best, names)}" if best else "",
            f"Your last summary:\n{checked(self.written, history, space)[0]}" if self.written else "",
            f"Trials since, good and bad:\n{table(since[-_FACTS:], names)}",
        ]
        written = summarize("\n\n".join(f for f in facts if f))
        if written is None:
            return False
        self.written, self.upto = written, since[-1].number + 1
        return True

    def _summary(self, history: History, space: SearchSpace, names: list[str]) -> Story:
        newer = [o for o in history.observations if o.number >= self.upto]
        # Checked each time: what was the best when it was written need not be any more.
        text = checked(self.written, history, space)[0]
        parts = [_with_incumbent(history, names, newer[-_RECENT:])]
        if text:
            parts.append(f"Summary of the trials before #{self.upto}:\n{text}")
        if newer:
            parts.append(f"Trials since, good and bad:\n{table(newer[-_RECENT:], names)}")
        return Story("\n\n".join(parts))

"""What a run has seen so far, and the short true story of it that a prompt needs.

An :class:`Observation` is one trial as the method sees it; a :class:`History` is a frozen list of them with
the metric's direction. The policies (``state``, ``summary``, ``window``, ``full``; the paper's memories are
``summary``, section 3.4, and ``window``) turn a history into text for the next prompt. All of them are
computed from the study, so that a resumed run tells the same story, and none can name a best that the study
does not have.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic import keys
from sllmbo_magic.space import SearchSpace

POLICIES = ("state", "summary", "window", "full")
SUMMARY_EVERY = 10
"""Trials between two LLM-written summaries (the paper's N_SUMMARIZE_ITER)."""
_BEST, _RECENT = 5, 20
_MAX_COLUMNS = 24
"""Parameters shown per trial; a larger space shows the most important ones."""


@dataclass(frozen=True)
class Observation:
    """One trial.

    Attributes:
        number: The trial's number, from 0.
        state: ``"COMPLETE"``, ``"FAIL"``, ``"PRUNED"`` or ``"RUNNING"``.
        value: The score in the metric's own sign; None unless complete.
        splits: The score of each fold, empty when there are no folds.
        error: Our category of the failure; never a message.
    """

    number: int
    params: Mapping[str, Any]
    state: str = "COMPLETE"
    value: float | None = None
    splits: tuple[float, ...] = ()
    source: str = "base"
    error: str | None = None
    space_version: int = 0

    @property
    def spread(self) -> float:
        """Standard error of ``value`` over the folds, 0 when unknown."""
        if len(self.splits) < 2:
            return 0.0
        return statistics.stdev(self.splits) / math.sqrt(len(self.splits))


@dataclass(frozen=True)
class Hint:
    """A wish in words, with the trial at which it was given."""

    text: str
    trial_number: int


@dataclass(frozen=True)
class History:
    """Observations in the order of their numbers, and how to compare them."""

    observations: tuple[Observation, ...] = ()
    direction: str = "maximize"
    metric: str = "score"
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def complete(self) -> tuple[Observation, ...]:
        """The trials that have a score."""
        if "complete" not in self._cache:
            self._cache["complete"] = tuple(
                o for o in self.observations if o.state == "COMPLETE" and o.value is not None
            )
        done: tuple[Observation, ...] = self._cache["complete"]
        return done

    @property
    def failed(self) -> tuple[Observation, ...]:
        """The trials that failed."""
        return tuple(o for o in self.observations if o.state == "FAIL")

    def before(self, number: int) -> History:
        """The trials with smaller numbers."""
        return History(
            tuple(o for o in self.observations if o.number < number), self.direction, self.metric
        )

    def ranked(self) -> list[Observation]:
        """The scored trials, best first; of equals the older one first."""
        sign = -1.0 if self.direction == "maximize" else 1.0
        return sorted(self.complete, key=lambda o: (sign * float(o.value or 0.0), o.number))

    @property
    def incumbent(self) -> Observation | None:
        """The best trial so far."""
        ranked = self.ranked()
        return ranked[0] if ranked else None

    @property
    def noise(self) -> float:
        """Standard error of a difference between two configurations on the same folds; 0 without folds.

        All configurations share the folds, so most of a score's spread is common to them; what remains is the
        spread of the fold-wise differences to the incumbent (median over the trials that are not far behind
        it).
        """
        if "noise" not in self._cache:
            self._cache["noise"] = self._noise()
        noise: float = self._cache["noise"]
        return noise

    def _noise(self) -> float:
        ranked = [o for o in self.ranked() if len(o.splits) > 1]
        if len(ranked) < 2:
            return 0.0
        best = np.array(ranked[0].splits)
        near = [o for o in ranked[1 : 2 + len(ranked) // 2] if len(o.splits) == len(best)]
        errors = [float(np.std(np.array(o.splits) - best, ddof=1)) / math.sqrt(len(best)) for o in near[:60]]
        errors = [e for e in errors if e > 0]
        return statistics.median(errors) if errors else 0.0

    def better(self, a: float, b: float) -> bool:
        """Whether score ``a`` is better than ``b``."""
        return a > b if self.direction == "maximize" else a < b

    def gain(self, a: float, b: float) -> float:
        """How much better score ``a`` is than ``b``; negative when it is worse."""
        return a - b if self.direction == "maximize" else b - a

    def permuted(self, seed: int) -> History:
        """The same trials with their scores dealt out at random: the control for "does the LLM use the
        scores?".
        """
        done = [i for i, o in enumerate(self.observations) if o.state == "COMPLETE"]
        order = np.random.default_rng(seed).permutation(len(done))
        changed = list(self.observations)
        for position, other in zip(done, order, strict=True):
            donor = self.observations[done[int(other)]]
            changed[position] = replace(changed[position], value=donor.value, splits=donor.splits)
        return History(tuple(changed), self.direction, self.metric)


def observe(trial: Any, space: SearchSpace | None = None) -> Observation:
    """The observation of one Optuna ``FrozenTrial``. With a space, parameters are limited to its names."""
    attrs = trial.user_attrs
    evaluation = attrs.get(keys.EVALUATION) or {}
    provenance = attrs.get(keys.PROVENANCE) or {}
    scores = evaluation.get("split_scores") or ()
    value = trial.values[0] if trial.values else None
    params = trial.params
    if space is not None:
        params = {name: params[name] for name in (*space, *space.fixed) if name in params}
    return Observation(
        number=trial.number,
        params=params,
        state=trial.state.name,
        value=None if value is None or not math.isfinite(value) else float(value),
        splits=tuple(float(v) for v in scores),
        source=attrs.get(keys.SOURCE, "base"),
        error=evaluation.get("error") if trial.state.name == "FAIL" else None,
        space_version=int(provenance.get("space_version", 0)),
    )


def number(value: Any) -> str:
    """A value as a prompt shows it: five significant digits for floats."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)


def table(observations: Iterable[Observation], names: list[str]) -> str:
    """Trials as lines of ``#number source score ±standard error: name=value, ...``; failures by their
    category.
    """
    lines = []
    for o in observations:
        if o.state == "COMPLETE" and o.value is not None:
            score = number(float(o.value)) + (f" ±{o.spread:.2g}" if o.spread else "")
        elif o.state == "FAIL":
            score = f"FAILED ({o.error or 'fit-failed'})"
        else:
            score = o.state
        shown = ", ".join(f"{n}={number(o.params[n])}" for n in names if n in o.params)
        lines.append(f"#{o.number} {o.source} {score}: {shown}")
    return "\n".join(lines)


def importances(history: History, space: SearchSpace) -> dict[str, float]:
    """Share of the score's rank correlation that each parameter explains, largest first; {} under 8 trials.

    The absolute Spearman correlation of a parameter's position in its range with the score, or of the squared
    distance to the middle of the best five (a hump has no slope); cheap, and enough to order a prompt.
    """
    done = history.complete
    if len(done) < 8 or not len(space):
        return {}
    units = np.array([space.to_unit(space.clip(o.params)) for o in done])
    scores = np.array([float(o.value or 0.0) for o in done])
    centre = np.median(np.array([space.to_unit(space.clip(o.params)) for o in history.ranked()[:5]]), axis=0)
    ranks = _ranks(scores)
    weights = {}
    for i, name in enumerate(space):
        slope = _correlation(_ranks(units[:, i]), ranks)
        hump = _correlation(_ranks((units[:, i] - centre[i]) ** 2), ranks)
        weights[name] = max(abs(slope), abs(hump)) ** 2
    total = sum(weights.values())
    if total <= 0:
        return {}
    return dict(sorted(((n, w / total) for n, w in weights.items()), key=lambda item: (-item[1], item[0])))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, ties averaged."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    ranks: np.ndarray = (starts + (counts - 1) / 2.0)[inverse]
    return ranks


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def bounds_hit(history: History, space: SearchSpace) -> list[str]:
    """Sentences on parameters whose best three trials lie at the edge of the current range."""
    top = history.ranked()[:3]
    if len(top) < 3:
        return []
    units = np.array([space.to_unit(space.clip(o.params)) for o in top])
    found = []
    for i, name in enumerate(space):
        if "choices" in vars(space[name]) or hasattr(space[name], "choices"):
            continue
        if (units[:, i] <= 0.03).all():
            found.append(f"the best 3 trials all lie at the lower bound of {name}")
        elif (units[:, i] >= 0.97).all():
            found.append(f"the best 3 trials all lie at the upper bound of {name}")
    return found


def shown_names(history: History, space: SearchSpace) -> list[str]:
    """The parameters that a prompt shows per trial: all of a small space, the most important of a large
    one.
    """
    names = [*space]
    if len(names) <= _MAX_COLUMNS:
        return names
    weights = importances(history, space)
    keep = sorted(names, key=lambda n: (-weights.get(n, 0.0), n))[:_MAX_COLUMNS]
    return [n for n in names if n in keep]


def state(history: History, space: SearchSpace) -> str:
    """The deterministic, bounded story: incumbent, best 5, last 20, failures, bounds, importances."""
    names = shown_names(history, space)
    best = history.ranked()[:_BEST]
    recent = [o for o in history.observations if o.state != "RUNNING"][-_RECENT:]
    running = [o for o in history.observations if o.state == "RUNNING"]
    parts = [_headline(history)]
    if best:
        parts.append(f"Best {len(best)} of {len(history.complete)} scored trials:\n{table(best, names)}")
    if recent:
        parts.append(f"Last {len(recent)} trials, good and bad:\n{table(recent, names)}")
    if running:
        parts.append(f"Running now, score not known yet:\n{table(running, names)}")
    failures: dict[str, list[int]] = {}
    for o in history.failed:
        failures.setdefault(o.error or "fit-failed", []).append(o.number)
    for category, numbers in failures.items():
        last = ", ".join(f"#{n}" for n in numbers[-5:])
        parts.append(f"Failed with {category}: {len(numbers)} trials (last: {last}).")
    parts.extend(f"Note: {sentence}." for sentence in bounds_hit(history, space)[:6])
    weights = list(importances(history, space).items())[:8]
    if weights:
        parts.append("Rough importance: " + ", ".join(f"{n} {w:.0%}" for n, w in weights) + ".")
    if len(names) < len(space):
        hidden = len(space) - len(names)
        parts.append(f"{hidden} less important parameters are left out of the lists above.")
    return "\n\n".join(parts)


def full(history: History, space: SearchSpace) -> str:
    """Every trial. Grows with the run; for comparison."""
    names = [*space]
    return f"{_headline(history)}\n\nAll trials:\n{table(history.observations, names)}"


def window(history: History, space: SearchSpace, *, k: int = 10) -> str:
    """The last ``k`` trials only: the paper's conversation buffer, with the incumbent as its one fixed
    line.
    """
    recent = history.observations[-k:]
    return f"{_headline(history)}\n\nLast {len(recent)} trials:\n{table(recent, shown_names(history, space))}"


def _headline(history: History) -> str:
    best = history.incumbent
    word = "higher" if history.direction == "maximize" else "lower"
    if best is None or best.value is None:
        return f"No trial has a score yet ({history.metric}: {word} is better)."
    noise = f"; differences below about {2 * history.noise:.2g} are noise" if history.noise else ""
    return (
        f"Incumbent: trial #{best.number} with {history.metric} {number(float(best.value))}"
        f" ({word} is better{noise}). {len(history.complete)} scored, {len(history.failed)} failed."
    )


class HistoryManager:
    """Turns histories into prompt text by one policy.

    Args:
        policy: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        summarize: For ``"summary"``: takes the facts as text, returns the LLM's summary; called every
            :data:`SUMMARY_EVERY` trials. An error of it leaves the last summary in place.
        k: For ``"window"``: how many trials.
    """

    def __init__(
        self, policy: str = "state", *, summarize: Callable[[str], str] | None = None, k: int = 10
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"history {policy!r} is not one of {', '.join(POLICIES)}.")
        self.policy = policy
        self.k = k
        self.summarize = summarize
        self.summary = ""
        self.corrections: list[str] = []
        self._summarized_at = 0

    def text(self, history: History, space: SearchSpace) -> str:
        """The story for the next prompt."""
        if self.policy == "full":
            return full(history, space)
        if self.policy == "window":
            return window(history, space, k=self.k)
        if self.policy == "summary":
            return self._summary(history, space)
        return state(history, space)

    def _summary(self, history: History, space: SearchSpace) -> str:
        done = len(history.complete) + len(history.failed)
        if self.summarize is not None and done - self._summarized_at >= SUMMARY_EVERY:
            written = self.summarize(full(history, space))
            self.summary, self.corrections = corrected(written, history)
            self._summarized_at = done
        newer = [o for o in history.observations if o.number >= self._summarized_at]
        parts = [_headline(history)]
        if self.summary:
            parts.append(f"Summary of the first {self._summarized_at} trials:\n{self.summary}")
        if newer:
            parts.append(f"Trials since:\n{table(newer[-_RECENT:], shown_names(history, space))}")
        return "\n\n".join(parts)


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_CLAIM = re.compile(
    r"[^.\n;]*\b(?:best|incumbent|top|highest|lowest|optimum|optimal)\b[^\n;]*?(?:\.(?=\s|$)|\n|;|$)", re.I
)


def corrected(summary: str, history: History) -> tuple[str, list[str]]:
    """A summary with false claims about the best trial taken out, and what was taken out.

    A sentence that speaks of a best (best, incumbent, top, highest, lowest, optimal) may name as its score or
    trial only what the study holds: a ``#n`` that is not among the five best, or a number that looks like a
    score better than the study's best, makes the sentence false; it is removed, and the true headline stands
    in front anyway.
    """
    best = history.incumbent
    if best is None or best.value is None:
        return summary[:4000], []
    top = {o.number for o in history.ranked()[:5]}
    removed: list[str] = []

    def check(match: re.Match[str]) -> str:
        sentence = match.group(0)
        numbers = {int(n) for n in re.findall(r"(?:#|\btrial\s+#?)(\d+)", sentence, re.I)}
        wrong = bool(numbers - top) or any(_too_good(float(v), history) for v in _scores(sentence))
        if not wrong:
            return sentence
        removed.append(sentence.strip())
        return " "

    text = _CLAIM.sub(check, summary)
    return re.sub(r"[ \t]{2,}", " ", text).strip()[:4000], removed


def _scores(sentence: str) -> list[str]:
    """Numbers of a sentence that may be scores: not trial numbers, not values of a parameter (``name=3``)."""
    plain = re.sub(r"(?:#|\btrial\s+#?)\d+", " ", sentence, flags=re.I)
    plain = re.sub(r"\b[A-Za-z_]\w*\s*(?:=|:|of)\s*-?[\d.]+(?:[eE][+-]?\d+)?", _keep_score, plain)
    return _NUMBER.findall(plain)


def _keep_score(match: re.Match[str]) -> str:
    word = match.group(0).lower()
    return word if re.match(r"(score|value|metric|result|loss|accuracy|error)\b", word) else " "


def _too_good(value: float, history: History) -> bool:
    """Whether a number reads as a score that is better than the best one, but near the scores seen."""
    scores = [float(o.value) for o in history.complete if o.value is not None]
    best = max(scores) if history.direction == "maximize" else min(scores)
    spread = max(max(scores) - min(scores), abs(best) * 0.05, history.noise * 3)
    close = abs(value - best) <= 2 * spread
    rounding = max(abs(best) * 5e-4, 1e-12)
    return close and history.gain(value, best) > rounding

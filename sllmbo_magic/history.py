"""What a run has seen so far: its trials, how to compare them, and what can be read off them.

An :class:`Observation` is one trial as the method sees it; a :class:`History` is a frozen list of them with
the metric's direction, its noise, what matters in it (:func:`importances`) and what became of the user's
hints (:func:`overruled`). All of it is computed from the study, so that a resumed run tells the same story.
``proposers/stories.py`` turns it into a prompt's text.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from sllmbo_magic import keys
from sllmbo_magic.space import SearchSpace

POLICIES = ("state", "summary", "window", "full")
"""What an LLM is told of the trials; ``summary`` and ``window`` are the paper's memories (section 3.4)."""
_IMPORTANCE_TRIALS = 300
"""Latest scored trials that importances are read off."""


@dataclass(frozen=True)
class Observation:
    """One trial.

    Attributes:
        number: The trial's number, from 0.
        state: ``"COMPLETE"``, ``"FAIL"``, ``"PRUNED"`` or ``"RUNNING"``.
        value: The score in the metric's own sign; None unless complete.
        splits: The score of each fold, empty when there are no folds.
        error: Our category of the failure; never a message.
        request: The exchange that proposed it; None when no LLM did.
        asked_at: The trial at whose start that request went out; None when not known.
        reason: The proposer's reason; untrusted text.
        expects: What the proposer promised: ``"better"``, ``"similar"`` or ``"explore"``; "" for nothing.
        came_true: Whether it came true; None when nothing was promised or there is no score.
        reported: What a pruned trial reported last; None for others.
        pruned_at: Where it was pruned, in words.
    """

    number: int
    params: Mapping[str, Any]
    state: str = "COMPLETE"
    value: float | None = None
    splits: tuple[float, ...] = ()
    source: str = "base"
    error: str | None = None
    space_version: int = 0
    request: int | None = None
    asked_at: int | None = None
    reason: str = ""
    expects: str = ""
    came_true: bool | None = None
    reported: float | None = None
    pruned_at: str = ""

    @property
    def spread(self) -> float:
        """Standard error of ``value`` over the folds, 0 when unknown."""
        if len(self.splits) < 2:
            return 0.0
        return statistics.stdev(self.splits) / math.sqrt(len(self.splits))

    @property
    def asked(self) -> int:
        """The trial at whose start it was asked for; its own number when that is not known."""
        return self.number if self.asked_at is None else self.asked_at


@dataclass(frozen=True)
class Hint:
    """A wish in words, with the trial at which it was given."""

    text: str
    trial_number: int

    def weight(self, trial_number: int) -> float:
        """How much it counts at a later trial: 1 when it is given, half of that every ten trials."""
        return float(0.5 ** (max(0, trial_number - self.trial_number) / 10))


@dataclass(frozen=True)
class History:
    """Observations in the order of their numbers, and how to compare them."""

    observations: tuple[Observation, ...] = ()
    direction: str = "maximize"
    metric: str = "score"
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

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

    @property
    def pruned(self) -> tuple[Observation, ...]:
        """The trials that were stopped since others were better on the way."""
        return tuple(o for o in self.observations if o.state == "PRUNED")

    def before(self, number: int) -> History:
        """The trials with smaller numbers."""
        return History(tuple(o for o in self.observations if o.number < number), self.direction, self.metric)

    def ranked(self) -> list[Observation]:
        """The scored trials, best first; of equals the older one first."""
        if "ranked" not in self._cache:
            sign = -1.0 if self.direction == "maximize" else 1.0
            self._cache["ranked"] = sorted(
                self.complete, key=lambda o: (sign * float(o.value or 0.0), o.number)
            )
        return list(self._cache["ranked"])

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
        behind = [o for o in ranked[1:] if len(o.splits) == len(best)]
        errors = (float(np.std(np.array(o.splits) - best, ddof=1)) / math.sqrt(len(best)) for o in behind)
        near = [e for e in islice(errors, min(1 + len(ranked) // 2, 60)) if e > 0]
        # On a plateau the better half equals the incumbent fold by fold, which says nothing of the noise:
        # then the next ones that differ.
        found = near or [*islice((e for e in errors if e > 0), 20)]
        return statistics.median(found) if found else 0.0

    @property
    def n_batches(self) -> int:
        """How many of the LLM's answers (the first one apart) led to trials."""
        return len({o.request for o in self.observations if o.request is not None and o.source == "llm"})

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
            changed[position] = replace(
                changed[position], value=donor.value, splits=donor.splits, came_true=None
            )
        return History(tuple(changed), self.direction, self.metric)


def observe(trial: Any, space: SearchSpace | None = None) -> Observation:
    """The observation of one Optuna ``FrozenTrial``. With a space, parameters are limited to its names."""
    attrs = trial.user_attrs
    evaluation = attrs.get(keys.EVALUATION) or {}
    provenance = attrs.get(keys.PROVENANCE) or {}
    scores = evaluation.get("split_scores") or ()
    value = trial.values[0] if scored(trial) else None
    reported, pruned_at = last_report(trial)
    params = trial.params
    if space is not None:
        params = {name: params[name] for name in (*space, *space.fixed) if name in params}
    return Observation(
        number=trial.number,
        params=params,
        state=trial.state.name,
        value=None if value is None or not math.isfinite(value) else float(value),
        reported=reported,
        pruned_at=pruned_at,
        splits=tuple(float(v) for v in scores),
        source=attrs.get(keys.SOURCE, "base"),
        error=evaluation.get("error") if trial.state.name == "FAIL" else None,
        space_version=int(provenance.get("space_version", 0)),
        request=provenance.get("request"),
        asked_at=provenance.get("asked_at"),
        reason=provenance.get("reason", ""),
        expects=provenance.get("expects", ""),
        came_true=evaluation.get("came_true"),
    )


def last_report(trial: Any) -> tuple[float | None, str]:
    """The last value that a pruned trial reported, and where that was, in words."""
    if trial.state.name != "PRUNED" or trial.last_step is None:
        return None, ""
    evaluation = trial.user_attrs.get(keys.EVALUATION) or {}
    value = trial.intermediate_values[trial.last_step]
    where = str(evaluation.get("pruned_at") or f"step {trial.last_step}")
    return float(value) if math.isfinite(value) else None, where


def counts(trial: Any) -> bool:
    """Whether a trial counts for the total: it has an outcome, and was not cut off by the user or a crash."""
    if trial.state.name in ("COMPLETE", "PRUNED"):
        return True
    evaluation = trial.user_attrs.get(keys.EVALUATION) or {}
    return bool(trial.state.name == "FAIL" and evaluation.get("error", keys.STOPPED) != keys.STOPPED)


def scored(trial: Any) -> bool:
    """Whether a trial has a score: a pruned one has only what it reported on its way."""
    return bool(trial.state.name == "COMPLETE" and trial.values)


def number(value: Any) -> str:
    """A value as a prompt shows it: five significant digits for floats, long text cut."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
        elif o.state == "PRUNED" and o.reported is not None:
            score = f"PRUNED after {o.pruned_at} at {number(o.reported)}"
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
    key = ("importances", space)
    if key not in history._cache:
        history._cache[key] = _importances(history, space)
    return dict(history._cache[key])


def _importances(history: History, space: SearchSpace) -> dict[str, float]:
    done = history.complete[-_IMPORTANCE_TRIALS:]
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


_ENDED = ("COMPLETE", "FAIL", "PRUNED")
HINT_TRIALS = 8
"""Trials of the LLM after which a hint is judged."""
_HINT_CONTROLS = 16
"""Trials before a hint that it is compared with."""
_CLEARLY_WORSE = 0.7


def overruled(hint: Hint, history: History) -> str | None:
    """Why the scores speak against a hint, one clause; None while they do not.

    Judged once, on the first :data:`HINT_TRIALS` trials that the LLM was asked for since: the hint is
    overruled if none of them beat the best before it by more than the noise, and if they lost at least seven
    of ten comparisons (again beyond the noise) with the other trials of that time: the base sampler's since
    then, and the last 16 before.
    """
    since = [
        o
        for o in history.observations
        if o.source == "llm" and o.state in _ENDED and o.asked >= hint.trial_number
    ][:HINT_TRIALS]
    if len(since) < HINT_TRIALS:
        return None
    mine = {o.number for o in since}
    first, last = hint.trial_number - _HINT_CONTROLS, since[-1].number
    others = [o for o in history.complete if first <= o.number <= last and o.number not in mine]
    before = history.before(hint.trial_number).incumbent
    if len(others) < HINT_TRIALS // 2 or before is None or before.value is None:
        return None
    noise = history.noise
    scores = [o.value for o in since]
    if any(v is not None and history.gain(v, before.value) > noise for v in scores):
        return None
    lost = sum(
        v is None or history.gain(float(o.value or 0.0), v) > noise for o in others for v in scores
    ) / (len(others) * len(scores))
    if lost < _CLEARLY_WORSE:
        return None
    return (
        f"of the {len(since)} trials proposed since, none beat trial #{before.number},"
        f" and the {len(others)} others of that time were better in {lost:.0%} of all comparisons"
    )

"""Who proposes the next trial, the LLM or the base sampler: the schedule is an object with one method.

``Bernoulli(0.5)`` is the paper's (equation 4, drawn once per trial, not per parameter). ``Adaptive`` is our
default: it starts at the same share and moves it by what each source has earned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sllmbo_magic.attrs import ASKED_SOURCES
from sllmbo_magic.attrs import BASE_SOURCES
from sllmbo_magic.attrs import LLM_SOURCES
from sllmbo_magic.attrs import STOPPED
from sllmbo_magic.history.history import History

SCHEDULES = ("adaptive", "bernoulli", "alternate", "warmstart")


class Schedule(Protocol):
    """Chooses the source of a trial.

    Attributes:
        ratio: The share of the LLM that the user asked for, 0 to 1; settable while the run goes.
    """

    ratio: float

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        """``"llm"`` or ``"base"``. ``rng`` is the trial's own generator."""
        ...

    def may_choose_llm(self, trial_number: int) -> bool:
        """Whether a trial from this one on can still be the LLM's; else no request is worth its price."""
        ...


@dataclass
class Bernoulli:
    """A coin per trial, as in the paper."""

    ratio: float = 0.5

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if rng.random() < self.ratio else "base"

    def may_choose_llm(self, trial_number: int) -> bool:
        return self.ratio > 0.0


@dataclass
class Alternate:
    """Every second trial at ratio 0.5; in general an evenly spaced share ``ratio`` of the trials."""

    ratio: float = 0.5

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if self._turns(trial_number + 1) > self._turns(trial_number) else "base"

    def _turns(self, n_trials: int) -> int:
        """The LLM's trials among the first ``n_trials``."""
        return math.floor(n_trials * self.ratio + 1e-9)  # 100 * 0.29 is 28.999999999999996

    def may_choose_llm(self, trial_number: int) -> bool:
        return self.ratio > 0.0


@dataclass
class WarmStart:
    """The LLM for the first share ``ratio`` of ``n_trials``, then the base sampler."""

    ratio: float = 0.5
    n_trials: int = 50

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if self.may_choose_llm(trial_number) else "base"

    def may_choose_llm(self, trial_number: int) -> bool:
        return trial_number < self.ratio * self.n_trials


@dataclass
class Adaptive:
    """A coin whose bias follows what each source earned, weighed against the noise.

    A trial earns credit when it beats the best that was credited before by more than the noise of a
    difference, so that many steps inside the noise earn one credit at most; older trials count less (factor
    ``memory`` per trial). The odds for the LLM are the user's odds times its earning rate over the base
    sampler's, or over the expected one (one success in ``prior`` trials) where that is more: an LLM that
    takes trials and brings nothing loses share also when the base sampler brings nothing, one that pays wins
    it, and its share never falls below ``floor`` nor rises above 1 - ``floor``. Beside an LLM the rulebook
    counts as the base sampler: what it earns in the place of a vetoed candidate is not the LLM's. Of several
    programs on one study each counts its own trials, and all of them set the level.
    """

    ratio: float = 0.5
    floor: float = 0.1
    memory: float = 0.96
    prior: float = 6.0

    def share(self, history: History) -> float:
        """The LLM's share now."""
        if self.ratio <= 0.0 or self.ratio >= 1.0:
            return self.ratio
        credits, n_trials = self._accounts(history)
        rate = {s: (1.0 + credits[s]) / (self.prior + n_trials[s]) for s in credits}
        expected = max(rate["base"], 1.0 / self.prior)
        odds = self.ratio / (1.0 - self.ratio) * rate["llm"] / expected
        share = odds / (1.0 + odds)
        return min(max(share, min(self.floor, self.ratio)), 1.0 - min(self.floor, 1.0 - self.ratio))

    def _accounts(self, history: History) -> tuple[dict[str, float], dict[str, float]]:
        """Credits and trials of both sides, with the older ones faded; counted once for a history."""
        key = ("accounts", self.memory)
        if key not in history._cache:
            history._cache[key] = self._count(history)
        accounts: tuple[dict[str, float], dict[str, float]] = history._cache[key]
        return accounts

    def _count(self, history: History) -> tuple[dict[str, float], dict[str, float]]:
        # all trials at each new one: a step calls no function
        credits = {"llm": 0.0, "base": 0.0}
        n_trials = {"llm": 0.0, "base": 0.0}
        noise, sign, memory = history.noise, 1.0 if history.direction == "maximize" else -1.0, self.memory
        sources = {o.source for o in history.observations if not o.by_other}
        has_llm = not sources.isdisjoint(ASKED_SOURCES)
        sides = {source: _side(source, has_llm) for source in sources}
        level: float | None = None
        for o in history.observations:
            if o.state == "RUNNING" or (o.state == "FAIL" and o.error == STOPPED):
                continue  # no outcome yet: a trial that was cut off runs again
            credit = 0.0
            if o.value is not None and o.state == "COMPLETE":
                if level is None:
                    level = o.value
                elif sign * (o.value - level) > noise and sign * (o.value - level) > 1e-12 * abs(level):
                    credit, level = 1.0, o.value
            side = None if o.by_other else sides[o.source]
            if side is None:
                continue
            credits["llm"] *= memory
            credits["base"] *= memory
            n_trials["llm"] *= memory
            n_trials["base"] *= memory
            credits[side] += credit
            n_trials[side] += 1.0
        return credits, n_trials

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if rng.random() < self.share(history) else "base"

    def may_choose_llm(self, trial_number: int) -> bool:
        return self.ratio > 0.0


def _side(source: str | None, has_llm: bool) -> str | None:
    """Whose account a trial of this source is on: ``"llm"``, ``"base"``, or None for neither."""
    if source == "rulebook" and has_llm:
        return "base"
    return "llm" if source in LLM_SOURCES else "base" if source in BASE_SOURCES else None


def make_schedule(name: str, ratio: float, n_trials: int | None = None) -> Schedule:
    """The schedule of that name.

    Raises:
        ValueError: The name is none of :data:`SCHEDULES`, or the ratio is not within 0 and 1.
    """
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"llm_ratio {ratio:g} is out of range; allowed: 0 to 1.")
    if name == "adaptive":
        return Adaptive(ratio)
    if name == "bernoulli":
        return Bernoulli(ratio)
    if name == "alternate":
        return Alternate(ratio)
    if name == "warmstart":
        return WarmStart(ratio, n_trials or 50)
    raise ValueError(f"schedule {name!r} is not one of {', '.join(SCHEDULES)}.")


def share_of(schedule: Schedule, history: History) -> float:
    """The LLM's share of the trials now: what it earned, or what the user set."""
    share = getattr(schedule, "share", None)
    return float(share(history)) if share is not None else schedule.ratio

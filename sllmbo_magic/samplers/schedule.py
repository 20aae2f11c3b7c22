"""Who proposes the next trial, the LLM or the base sampler: the schedule is an object with one method.

``Bernoulli(0.5)`` is the paper's (equation 4, drawn once per trial, not per parameter). ``Adaptive`` is our
default: it starts at the same share and moves it by what each source has earned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sllmbo_magic.history import History

SCHEDULES = ("adaptive", "bernoulli", "alternate", "warmstart")
LLM_SOURCES = ("llm", "llm-init", "rulebook")
BASE_SOURCES = ("tpe", "random", "gp", "cmaes", "base", "fallback")


class Schedule(Protocol):
    """Chooses the source of a trial.

    Attributes:
        ratio: The share of the LLM that the user asked for, 0 to 1; settable while the run goes.
    """

    ratio: float

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        """``"llm"`` or ``"base"``. ``rng`` is the trial's own generator."""
        ...


@dataclass
class Bernoulli:
    """A coin per trial, as in the paper."""

    ratio: float = 0.5

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if rng.random() < self.ratio else "base"


@dataclass
class Alternate:
    """Every second trial at ratio 0.5; in general an evenly spaced share ``ratio`` of the trials."""

    ratio: float = 0.5

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        due = math.floor((trial_number + 1) * self.ratio) > math.floor(trial_number * self.ratio)
        return "llm" if due else "base"


@dataclass
class WarmStart:
    """The LLM for the first share ``ratio`` of ``n_trials``, then the base sampler."""

    ratio: float = 0.5
    n_trials: int = 50

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if trial_number < self.ratio * self.n_trials else "base"


@dataclass
class Adaptive:
    """A coin whose bias follows what each source earned, weighed against the noise.

    A trial earns credit when it beats the best before it by more than the standard error of a score; older
    trials count less (factor ``memory`` per trial). The odds for the LLM are the user's odds times the ratio
    of the two earning rates, each with a prior of one success in ``prior`` trials; so a source that takes
    trials and brings nothing loses share, one that pays wins it, and neither falls below ``floor``.
    """

    ratio: float = 0.5
    floor: float = 0.1
    memory: float = 0.96
    prior: float = 6.0

    def share(self, history: History) -> float:
        """The LLM's share now."""
        if self.ratio <= 0.0 or self.ratio >= 1.0:
            return self.ratio
        earned = {"llm": 0.0, "base": 0.0}
        taken = {"llm": 0.0, "base": 0.0}
        noise = history.noise
        best: float | None = None
        for o in history.observations:
            if o.state == "RUNNING":
                continue
            side = "llm" if o.source in LLM_SOURCES else "base" if o.source in BASE_SOURCES else None
            credit = 0.0
            if o.value is not None and o.state == "COMPLETE":
                if best is not None and history.gain(o.value, best) > max(noise, 1e-12 * abs(best)):
                    credit = 1.0
                if best is None or history.better(o.value, best):
                    best = o.value
            if side is None:
                continue
            for name in earned:
                earned[name] *= self.memory
                taken[name] *= self.memory
            earned[side] += credit
            taken[side] += 1.0
        rate = {s: (1.0 + earned[s]) / (self.prior + taken[s]) for s in earned}
        odds = self.ratio / (1.0 - self.ratio) * rate["llm"] / rate["base"]
        share = odds / (1.0 + odds)
        return min(max(share, min(self.floor, self.ratio)), 1.0 - min(self.floor, 1.0 - self.ratio))

    def choose(self, trial_number: int, history: History, rng: np.random.Generator) -> str:
        return "llm" if rng.random() < self.share(history) else "base"


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

"""The rulebook: expert rules instead of an LLM. No network, deterministic, and called a rulebook everywhere.

It starts from configurations that experts use for the estimator's family (``priors/``) and then moves around
the incumbent the way a practitioner does: trade the learning rate for more trees or back, take one to three
parameters a step up or down (none that has no effect), look where no trial has been while that pays, give a
range more room where the best trials lie at its end. A search without a start has a space-filling design
first (``space_filling.py``). It is what an LLM must beat, and it is never counted as one. docs/evidence.md
has what was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic._utils.value_format import format_value as number
from sllmbo_magic.history.history import History
from sllmbo_magic.history.importances import importances
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import trials_left
from sllmbo_magic.proposers.exploration import stalled
from sllmbo_magic.proposers.exploration import worth_exploring
from sllmbo_magic.proposers.memory import bounds_hit
from sllmbo_magic.proposers.rounds import are_rounds
from sllmbo_magic.proposers.rounds import rate_in
from sllmbo_magic.proposers.rounds import rounds_in
from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.proposers.space_filling import has_initial_design
from sllmbo_magic.proposers.space_filling import initial_configuration
from sllmbo_magic.proposers.space_filling import reason_of
from sllmbo_magic.space.search_space import SearchSpace

_NUMERIC = FloatDistribution | IntDistribution
_EVIDENCE = 8
"""So many scores before a range grows: the best three of fewer lie at an end by chance too often."""
_WORTH = 0.05
"""The part of its scale by which a range must grow to be worth a new version."""


class _Batch:
    """The candidates of one answer: valid, different from each other and from all trials."""

    def __init__(self, space: SearchSpace, ask: Ask) -> None:
        self.space = space
        self.candidates: list[Candidate] = []
        self._n = ask.n_candidates
        self._keys = set(ask.history.keys(space))

    @property
    def is_full(self) -> bool:
        return len(self.candidates) >= self._n

    def add(self, params: Mapping[str, Any], reason: str, expects: str) -> None:
        """Add a configuration if there is room for it and it is a new one."""
        params = self.space.clip(params)
        key = self.space.key(params)
        if key not in self._keys and not self.is_full:
            self._keys.add(key)
            self.candidates.append(Candidate(params, reason, expects))


class RulebookProposer:
    """Proposes by rules.

    Args:
        configurations: First configurations with their reasons, e.g. a prior's; those outside the space are
            left out.
        seed: For the steps; the same seed and history give the same answer.
        inert: A configuration -> its parameters without effect, and why (``priors.inert`` of an estimator);
            no step is spent on these alone.
    """

    id = "rulebook"
    source = "rulebook"
    instant = True

    def __init__(
        self,
        configurations: tuple[tuple[dict[str, Any], str], ...] = (),
        *,
        seed: int = 0,
        inert: Callable[[Mapping[str, Any]], dict[str, str]] | None = None,
    ) -> None:
        self.configurations = configurations
        self.seed = seed
        self.inert = inert

    def initialize(self, ask: Ask) -> Proposal:
        """The prior's space as it is, and its expert configurations."""
        candidates: list[Candidate] = []
        for prior_params, reason in self.configurations:
            open_params = {k: v for k, v in prior_params.items() if k in ask.space}
            params, _ = ask.space.validate(open_params)
            if params is not None and len(candidates) < ask.n_candidates:
                candidates.append(Candidate(params, reason, "better"))
        return Proposal(
            candidates=tuple(candidates), reasoning="Expert configurations for this kind of estimator."
        )

    def propose(self, ask: Ask) -> Proposal:
        """Steps from the incumbent and, where it is worth it, a look elsewhere.

        A search without a configuration to start from has the initial design first. A new version of the
        space comes where the best three trials lie at an end of a range that the outer space, ``locked`` and
        ``frozen_space`` let grow.
        """
        if ask.history.n_evaluated < N_STARTS and self.has_design(ask.history):
            return self._initial_design(ask)
        rng = np.random.default_rng([self.seed, ask.trial_number])
        space, beyond = _with_room(ask)
        batch = _Batch(space, ask)
        explores = self._explores(ask, space)
        if ask.history.incumbent is not None:
            self._refine(batch, ask, beyond, explores, rng)
        for _ in range(4 * ask.n_candidates):
            if not explores or batch.is_full:
                break
            batch.add(_far(space, ask.history, rng), "A region that no trial has covered.", "explore")
        return Proposal(
            candidates=tuple(batch.candidates),
            reasoning="Rules: refine the best, explore where it pays.",
            space=space if beyond else None,
            space_reason=_reason(beyond),
        )

    def _refine(
        self,
        batch: _Batch,
        ask: Ask,
        beyond: Mapping[str, Any],
        explores: bool,
        rng: np.random.Generator,
    ) -> None:
        """Add what follows from the trials so far; with ``explores`` one place stays free."""
        space, best = batch.space, ask.history.incumbent
        assert best is not None
        start = space.clip(best.params)
        inert = {} if self.inert is None else self.inert({**space.fixed, **start})
        if beyond:
            further = ", ".join(f"{n} {number(start.get(n))} → {number(v)}" for n, v in beyond.items())
            batch.add({**start, **beyond}, f"Trial {best.number} beyond the old range: {further}.", "explore")
        traded = _trade_rate(space, start, rng)
        if traded is not None:
            batch.add(
                traded, f"Trial {best.number} with {_differences(start, space.clip(traded))}.", "better"
            )
        weights = importances(ask.history, space)
        scale = max(0.06, 0.22 * 0.97 ** len(ask.history))
        n_steps = max(1, ask.n_candidates - explores - len(batch.candidates))
        n_refined = len(batch.candidates) + n_steps
        for _ in range(4 * ask.n_candidates):
            if len(batch.candidates) >= n_refined:
                break
            params, moved = _step(space, start, weights, scale, {*inert}, rng)
            batch.add(params, f"Trial {best.number} with {moved}.", "similar")

    def _explores(self, ask: Ask, space: SearchSpace) -> bool:
        """Whether one candidate looks away from the incumbent: not in the last batch, and after an initial
        design only once the run stands still.
        """
        if ask.history.incumbent is None:
            return True
        n_left = trials_left(ask.n_trials, ask.history, ask.trial_number)
        if n_left is not None and n_left <= ask.n_candidates:
            return False
        due = stalled if self.has_design(ask.history) else worth_exploring
        return due(ask.history, len(space))

    def has_design(self, history: History) -> bool:
        """Whether the search begins with the initial design: there is no start of an expert, a default or a
        user.
        """
        return not self.configurations and has_initial_design(history)

    def _initial_design(self, ask: Ask) -> Proposal:
        """The design's point for this trial; of a small space, whose points repeat, the next new one."""
        batch = _Batch(ask.space, replace(ask, n_candidates=1))
        for index in range(ask.trial_number, ask.trial_number + 4 * N_STARTS):
            params = initial_configuration(ask.space, self.seed, index)
            batch.add(params, reason_of(index), "explore")
            if batch.is_full:
                break
        return Proposal(candidates=tuple(batch.candidates), reasoning="Rules: first cover the space evenly.")


def _with_room(ask: Ask) -> tuple[SearchSpace, dict[str, Any]]:
    """The space with more room at every end where the best trials lie, and a value in each new part."""
    space, beyond = ask.space, {}
    if ask.frozen_space or len(ask.history.complete) < _EVIDENCE:
        return space, {}
    for name, end in bounds_hit(ask.history, space).items():
        old, limit = space[name], ask.outer.distributions.get(name)
        if name in ask.locked or are_rounds(name):  # more rounds cost time
            continue
        if not isinstance(old, _NUMERIC) or not isinstance(limit, _NUMERIC):
            continue
        # half of the range, and on a log scale at least twice the old end
        step = max(2.0, (old.high / old.low) ** 0.5) if old.log else (old.high - old.low) / 2
        if end == "lower":
            end_value = max(old.low / step if old.log else old.low - step, limit.low)
            grown = space.widen(name, low=_readable(end_value, limit))
        else:
            end_value = min(old.high * step if old.log else old.high + step, limit.high)
            grown = space.widen(name, high=_readable(end_value, limit))
        edge = grown.position(name, old.low if end == "lower" else old.high)
        middle = edge / 2 if end == "lower" else (1 + edge) / 2
        if 2 * abs(middle - edge) > _WORTH:
            space = grown
            beyond[name] = grown.value_at(name, middle)
    return space, beyond


def _reason(beyond: Mapping[str, Any]) -> str:
    return f"More room where the best 3 trials lie at the end of a range: {', '.join(beyond)}." * bool(beyond)


def _readable(bound: float, limit: FloatDistribution | IntDistribution) -> float:
    """A bound of two digits, inside the limit."""
    return min(max(float(f"{bound:.2g}"), limit.low), limit.high)


def _trade_rate(space: SearchSpace, start: dict[str, Any], rng: np.random.Generator) -> dict[str, Any] | None:
    """Half to two thirds of the learning rate with the rounds that this needs, or as often the other way
    round, which is quicker; None when there is no such pair.
    """
    rate, rounds = rate_in(space), rounds_in(space)
    if rate is None or rounds is None:
        return None
    factor = float(rng.uniform(0.5, 0.7))
    if rng.random() < 0.5:
        factor = 1.0 / factor
    old_rate, old_rounds = start.get(rate), start.get(rounds)
    if not isinstance(old_rate, int | float) or not isinstance(old_rounds, int | float):
        return None
    return {**start, rate: old_rate * factor, rounds: round(old_rounds / factor)}


def _step(
    space: SearchSpace,
    start: dict[str, Any],
    weights: Mapping[str, float],
    scale: float,
    inert: set[str],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], str]:
    """The incumbent with one to three parameters moved, important ones more often, ``inert`` ones never."""
    names = [n for n in space.active(start) if n not in inert] or [*space]
    p = np.array([0.3 / len(names) + weights.get(n, 1.0 / len(names)) for n in names])
    count = min(len(names), int(rng.integers(1, 4)))
    indices = rng.choice(len(names), size=count, replace=False, p=p / p.sum())
    values = space.complete(start)
    for name in (names[int(i)] for i in indices):
        if isinstance(space[name], CategoricalDistribution):
            place = float(rng.uniform())
        else:
            place = space.position(name, values[name]) + float(rng.normal(0.0, scale))
            place = abs(place) if place < 0 else 2 - place if place > 1 else place  # reflected at the bounds
        values[name] = space.value_at(name, min(max(place, 0.0), 1.0))
    params = space.active(values)
    return params, _differences(start, params)


def _differences(start: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """What differs between two configurations, in words."""
    texts = [
        f"{name} {number(start.get(name))} → {number(value)}"
        for name, value in params.items()
        if start.get(name) != value
    ]
    return ", ".join(texts) or "no change"


def _far(space: SearchSpace, history: History, rng: np.random.Generator) -> dict[str, Any]:
    """Of 32 random configurations the one farthest from all trials."""
    units = rng.random((32, len(space)))
    if not len(history.points):
        return space.from_unit(units[0])
    points = np.array([o.unit(space) for o in history.points.observations[-200:]])
    nearest = ((units[:, None, :] - points[None, :, :]) ** 2).sum(axis=2).min(axis=1)
    return space.from_unit(units[int(np.argmax(nearest))])

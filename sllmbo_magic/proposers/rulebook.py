"""The rulebook: expert rules instead of an LLM. No network, deterministic, and called a rulebook everywhere.

It starts from configurations that experts use for the estimator's family (``priors/``) and then moves around
the incumbent the way a practitioner does: trade the learning rate for more trees, take one to three
parameters a step up or down (none that has no effect), look once per batch where no trial has been, give a
range more room where the best trials lie at its end. Every second trial a perturbation of the incumbent beat
plain TPE at 10 and 25 trials in our pre-study (docs/method.md). It is what an LLM must beat, and it is never
counted as one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.history import History
from sllmbo_magic.history import importances
from sllmbo_magic.history import number
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.stories import bounds_hit
from sllmbo_magic.space import SearchSpace

_RATES = ("learning_rate", "learning_rate_init", "eta")
_ROUNDS = ("n_estimators", "max_iter", "iterations", "num_boost_round")
_NUMERIC = FloatDistribution | IntDistribution
_EVIDENCE = 8
"""So many scores before a range grows: the best three of fewer lie at an end by chance too often."""
_WORTH = 0.05
"""The part of its scale by which a range must grow to be worth a new version."""


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
        chosen: list[Candidate] = []
        for given, reason in self.configurations:
            open_params = {k: v for k, v in given.items() if k in ask.space}
            params, _ = ask.space.validate(open_params)
            if params is not None and len(chosen) < ask.n_candidates:
                chosen.append(Candidate(params, reason, "better"))
        return Proposal(
            candidates=tuple(chosen), reasoning="Expert configurations for this kind of estimator."
        )

    def propose(self, ask: Ask) -> Proposal:
        """Steps around the incumbent, and one look elsewhere; before any score, spread-out starts.

        A new version of the space comes with them where the best three trials lie at an end of a range that
        the outer space, ``locked`` and ``frozen_space`` let grow.
        """
        rng = np.random.default_rng([self.seed, ask.trial_number])
        best = ask.history.incumbent
        space, beyond = _with_room(ask)
        seen = {space.key(space.clip(o.params)) for o in ask.history.observations}
        chosen: list[Candidate] = []

        def add(params: dict[str, Any], reason: str, expects: str) -> None:
            params = space.clip(params)
            key = space.key(params)
            if key not in seen and len(chosen) < ask.n_candidates:
                seen.add(key)
                chosen.append(Candidate(params, reason, expects))

        if best is not None:
            start = space.clip(best.params)
            dead = {} if self.inert is None else self.inert({**space.fixed, **start})
            weights = importances(ask.history, space)
            scale = max(0.06, 0.22 * 0.97 ** len(ask.history))
            if beyond:
                further = ", ".join(f"{n} {number(start.get(n))} → {number(v)}" for n, v in beyond.items())
                add({**start, **beyond}, f"Trial {best.number} beyond the old range: {further}.", "explore")
            traded = _trade_rate(space, start, rng)
            if traded is not None:
                add(traded, f"Trial {best.number} with a smaller learning rate and more rounds.", "better")
            for _ in range(4 * ask.n_candidates):
                if len(chosen) >= max(1, ask.n_candidates - 1):
                    break
                params, moved = _step(space, start, weights, scale, {*dead}, rng)
                add(params, f"Trial {best.number} with {moved}.", "similar")
        for _ in range(4 * ask.n_candidates):
            if len(chosen) >= ask.n_candidates:
                break
            add(_far(space, ask.history, rng), "A region that no trial has covered.", "explore")
        return Proposal(
            candidates=tuple(chosen),
            reasoning="Rules: refine the incumbent, explore once per batch.",
            space=space if beyond else None,
            space_reason=_reason(beyond),
        )


def _with_room(ask: Ask) -> tuple[SearchSpace, dict[str, Any]]:
    """The space with more room at every end where the best trials lie, and a value in each new part."""
    space, beyond = ask.space, {}
    if ask.frozen_space or len(ask.history.complete) < _EVIDENCE:
        return space, {}
    for name, end in bounds_hit(ask.history, space).items():
        old, limit = space[name], ask.outer.distributions.get(name)
        if name in ask.locked or name.rsplit("__", 1)[-1] in _ROUNDS:  # more rounds cost time
            continue
        if not isinstance(old, _NUMERIC) or not isinstance(limit, _NUMERIC):
            continue
        # half of the range, and on a log scale at least twice the old end
        step = max(2.0, (old.high / old.low) ** 0.5) if old.log else (old.high - old.low) / 2
        if end == "lower":
            wanted = max(old.low / step if old.log else old.low - step, limit.low)
            grown = space.widen(name, low=_readable(wanted, limit))
        else:
            wanted = min(old.high * step if old.log else old.high + step, limit.high)
            grown = space.widen(name, high=_readable(wanted, limit))
        one = SearchSpace({name: grown[name]})
        edge = float(one.to_unit({name: old.low if end == "lower" else old.high})[0])
        middle = edge / 2 if end == "lower" else (1 + edge) / 2
        if 2 * abs(middle - edge) > _WORTH:
            space = grown
            beyond.update(one.from_unit([middle]))
    return space, beyond


def _reason(beyond: Mapping[str, Any]) -> str:
    return f"More room where the best 3 trials lie at the end of a range: {', '.join(beyond)}." * bool(beyond)


def _readable(bound: float, limit: FloatDistribution | IntDistribution) -> float:
    """A bound of two digits, inside the limit."""
    return min(max(float(f"{bound:.2g}"), limit.low), limit.high)


def _trade_rate(space: SearchSpace, start: dict[str, Any], rng: np.random.Generator) -> dict[str, Any] | None:
    """Half to two thirds of the learning rate with the rounds that this needs; None when it has no such
    pair.
    """
    rate = next((n for n in space if n.rsplit("__", 1)[-1] in _RATES), None)
    rounds = next((n for n in space if n.rsplit("__", 1)[-1] in _ROUNDS), None)
    if rate is None or rounds is None:
        return None
    factor = float(rng.uniform(0.5, 0.7))
    old_rate, old_rounds = start.get(rate), start.get(rounds)
    if not isinstance(old_rate, int | float) or not isinstance(old_rounds, int | float):
        return None
    return {**start, rate: old_rate * factor, rounds: round(old_rounds / factor)}


def _step(
    space: SearchSpace,
    start: dict[str, Any],
    weights: Mapping[str, float],
    scale: float,
    dead: set[str],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], str]:
    """The incumbent with one to three parameters moved, important ones more often; those in ``dead`` stay."""
    names = [n for n in space.active(start) if n not in dead] or [*space]
    p = np.array([0.3 / len(names) + weights.get(n, 1.0 / len(names)) for n in names])
    count = min(len(names), int(rng.integers(1, 4)))
    moved = rng.choice(len(names), size=count, replace=False, p=p / p.sum())
    values = space.complete(start)
    for i in moved:
        one = SearchSpace({names[int(i)]: space[names[int(i)]]})
        if isinstance(space[names[int(i)]], CategoricalDistribution):
            place = float(rng.uniform())
        else:
            place = float(one.to_unit(values)[0]) + float(rng.normal(0.0, scale))
            place = abs(place) if place < 0 else 2 - place if place > 1 else place  # reflected at the bounds
        values.update(one.from_unit([min(max(place, 0.0), 1.0)]))
    params = space.active(values)
    texts = []
    for i in sorted(int(i) for i in moved):
        name = names[i]
        before, after = start.get(name), params.get(name)
        if before != after:
            texts.append(f"{name} {number(before)} → {number(after)}")
    return params, ", ".join(texts) or "no change"


def _far(space: SearchSpace, history: History, rng: np.random.Generator) -> dict[str, Any]:
    """Of 32 random configurations the one farthest from all trials."""
    samples = [space.sample(rng) for _ in range(32)]
    if not len(history):
        return samples[0]
    seen = np.array([space.to_unit(space.clip(o.params)) for o in history.observations[-200:]])
    units = np.array([space.to_unit(s) for s in samples])
    nearest = np.sqrt(((units[:, None, :] - seen[None, :, :]) ** 2).sum(axis=2)).min(axis=1)
    return samples[int(np.argmax(nearest))]

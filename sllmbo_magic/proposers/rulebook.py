"""The rulebook: expert rules instead of an LLM. No network, deterministic, and called a rulebook everywhere.

It starts from configurations that experts use for the estimator's family (``priors/``) and then moves around
the incumbent the way a practitioner does: trade the learning rate for more trees, take one to three
parameters a step up or down (none that has no effect), look once per batch where no trial has been. Every
second trial a perturbation of the incumbent beat plain TPE at 10 and 25 trials in our pre-study
(docs/method.md). It is what an LLM must beat, and it is never counted as one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution

from sllmbo_magic.history import History
from sllmbo_magic.history import importances
from sllmbo_magic.history import number
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.space import SearchSpace

_RATES = ("learning_rate", "learning_rate_init", "eta")
_ROUNDS = ("n_estimators", "max_iter", "iterations", "num_boost_round")


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
        """Steps around the incumbent, and one look elsewhere; before any score, spread-out starts."""
        rng = np.random.default_rng([self.seed, ask.trial_number])
        best = ask.history.incumbent
        seen = {ask.space.key(ask.space.clip(o.params)) for o in ask.history.observations}
        chosen: list[Candidate] = []

        def add(params: dict[str, Any], reason: str, expects: str) -> None:
            params = ask.space.clip(params)
            key = ask.space.key(params)
            if key not in seen and len(chosen) < ask.n_candidates:
                seen.add(key)
                chosen.append(Candidate(params, reason, expects))

        if best is not None:
            start = ask.space.clip(best.params)
            dead = {} if self.inert is None else self.inert({**ask.space.fixed, **start})
            weights = importances(ask.history, ask.space)
            scale = max(0.06, 0.22 * 0.97 ** len(ask.history))
            traded = _trade_rate(ask.space, start, rng)
            if traded is not None:
                add(traded, f"Trial {best.number} with a smaller learning rate and more rounds.", "better")
            for _ in range(4 * ask.n_candidates):
                if len(chosen) >= max(1, ask.n_candidates - 1):
                    break
                params, moved = _step(ask.space, start, weights, scale, {*dead}, rng)
                add(params, f"Trial {best.number} with {moved}.", "similar")
        for _ in range(4 * ask.n_candidates):
            if len(chosen) >= ask.n_candidates:
                break
            add(_far(ask.space, ask.history, rng), "A region that no trial has covered.", "explore")
        return Proposal(
            candidates=tuple(chosen), reasoning="Rules: refine the incumbent, explore once per batch."
        )


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

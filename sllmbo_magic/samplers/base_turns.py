"""The base sampler's side: whole configurations from TPE, or any Optuna sampler, in the current search
space.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic.samplers.shadow import Shadow
from sllmbo_magic.samplers.shadow import base_params
from sllmbo_magic.space import SearchSpace

Choose = Callable[[list[dict[str, Any]]], int]
MakeSampler = Callable[[int], BaseSampler]
"""A seed in, a sampler out."""


def tpe(seed: int) -> TPESampler:
    """Optuna's TPE as it is by default."""
    return TPESampler(seed=seed)


def univariate_tpe(seed: int) -> TPESampler:
    """The paper's TPE, which was Optuna's default of its time: one model per parameter."""
    return TPESampler(seed=seed, multivariate=False, constant_liar=False)


class BaseTurns:
    """The wrapped sampler, and the shadow study that it works on when the search space is declared.

    Args:
        sampler: Any Optuna sampler, or a function that gives one for a seed: it is asked for each trial, with
            a seed of the trial's own, so that a resumed run goes on as an uninterrupted one would have.
        seed: Of the run.
    """

    def __init__(self, sampler: BaseSampler | MakeSampler, seed: int) -> None:
        self.sampler = sampler
        self.seed = seed
        self._plain = sampler if isinstance(sampler, BaseSampler) else sampler(seed)
        self._shadow: Shadow | None = None

    def plain(self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """All parameters of an undeclared space."""
        return base_params(self._plain, study, trial, space)

    def independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        """One parameter outside the relative search space."""
        return self._plain.sample_independent(study, trial, name, distribution)

    def declared(
        self,
        study: Study,
        number: int,
        outer: SearchSpace,
        space: SearchSpace,
        rng: np.random.Generator,
        choose: Choose | None = None,
        n: int = 1,
    ) -> dict[str, Any]:
        """A configuration in a version of a declared space; ``choose`` picks one of ``n`` draws."""
        base = self._of(number)
        if self._shadow is None or self._shadow.outer != outer:
            self._shadow = Shadow(outer, study.direction)
        self._shadow.sync(study.get_trials(deepcopy=False), base)
        params = self._shadow.sample(number, space, base, rng, choose, n)
        return {**space.active({k: v for k, v in params.items() if k in space}), **space.fixed}

    def forget(self, number: int) -> None:
        """The trial takes a configuration of another source."""
        if self._shadow is not None:
            self._shadow.forget(number)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forwarded for undeclared spaces; with a declared one the sampler hears of it through the shadow."""
        if self._shadow is None:
            self._plain.after_trial(study, trial, state, values)

    def reseed(self, seed: int) -> None:
        """As Optuna asks before it runs trials in threads."""
        self.seed = seed
        self._plain.reseed_rng()

    def _of(self, number: int) -> BaseSampler:
        if isinstance(self.sampler, BaseSampler):
            return self.sampler
        return self.sampler(int(np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0]))

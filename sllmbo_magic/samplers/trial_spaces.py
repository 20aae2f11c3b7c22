"""The spaces of one trial: where an LLM, the surrogate and the base sampler work."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from optuna.distributions import BaseDistribution

from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.samplers.undeclared_space import UndeclaredSpace
from sllmbo_magic.space.search_space import SearchSpace

_WIDE_SHARE = 0.5
"""Part of the base sampler's trials that it proposes in the wide space where the current one is narrower."""
_WIDE_STREAM = 7
"""Sets the draws of that choice apart from the other draws of a trial."""


class TrialSpaces:
    """The spaces of one trial.

    They are read anew at each use: an answer of the LLM may change the space while its trial is sampled.

    Args:
        state: The declared space and its versions.
        search_space: What Optuna asks the sampler for.
        seed: Of the run.
        trial_number: Number of the trial.
        undeclared: Makes the space where none is declared.

    Attributes:
        outer: The declared outer space; None where ``search_space`` is not that space.
    """

    def __init__(
        self,
        state: SpaceState,
        search_space: Mapping[str, BaseDistribution],
        seed: int,
        trial_number: int,
        undeclared: UndeclaredSpace,
    ) -> None:
        outer = state.outer
        self.outer = outer if outer is not None and search_space == dict(outer) else None
        self._state = state
        self._undeclared = undeclared.space_of(search_space) if self.outer is None else None
        rng = np.random.default_rng([seed, trial_number, _WIDE_STREAM])
        self._base_may_be_wide = rng.random() < _WIDE_SHARE

    @property
    def declared(self) -> bool:
        """Whether the search space is a declared one."""
        return self.outer is not None

    @property
    def current(self) -> SearchSpace:
        """The current version of the search space, where an LLM proposes."""
        if self._undeclared is not None:
            return self._undeclared
        assert self._state.space is not None
        return self._state.space

    @property
    def wide(self) -> SearchSpace:
        """The space of the surrogate, which holds whatever any source may propose."""
        wide = self._state.wide if self.declared else None
        return self.current if wide is None else wide

    @property
    def reachable(self) -> SearchSpace:
        """All that a trial may have."""
        reachable = self._state.reachable if self.declared else None
        return self.current if reachable is None else reachable

    @property
    def base(self) -> SearchSpace:
        """Where the base sampler and the rulebook propose: a share of their trials in the wide space, so that
        an LLM that narrows the wrong way cannot confine the run.
        """
        return self.wide if self._base_may_be_wide else self.current

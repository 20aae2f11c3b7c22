"""The initial design: the first configurations of a search of which nothing is known yet.

The middle of the space, then a scrambled Sobol sequence, which leaves no large gap as random draws do
(docs/evidence.md has both on 22 recorded tables).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sllmbo_magic.history.history import History
from sllmbo_magic.space.search_space import SearchSpace

_WITHOUT_A_START = ("rulebook", "tpe", "random", "base", "fallback")
N_STARTS = 10
"""Trials that belong to the design; as many as Optuna's TPE draws at random before it has a model."""


def initial_configuration(space: SearchSpace, seed: int, index: int) -> dict[str, Any]:
    """One configuration of the design.

    Args:
        seed: Of the scrambling; the same seed gives the same sequence.
        index: 0 is the middle of every range; from 1 on the points of the sequence.
    """
    from scipy.stats import qmc

    if index == 0 or not len(space):
        return space.from_unit(np.full(len(space), 0.5))
    sequence = qmc.Sobol(len(space), seed=seed)
    if index > 1:
        sequence.fast_forward(index - 1)
    return space.from_unit(sequence.random(1)[0])


def reason_of(index: int) -> str:
    """Why the configuration of that index is in the design, one sentence."""
    return "The middle of every range." if index == 0 else "Fills the space evenly."


def has_initial_design(history: History) -> bool:
    """Whether a run begins with the design: none of its first trials is a default, the user's or an LLM's,
    which would be a place to start from.
    """
    return all(o.source in _WITHOUT_A_START for o in history.observations[:N_STARTS])

"""One trial that needs its parameters, and the parameters it gets: all from one source, which it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import keys
from sllmbo_magic.history import History


@dataclass(frozen=True)
class Turn:
    """One trial that needs its parameters."""

    study: Study
    trial: FrozenTrial
    rng: np.random.Generator
    history: History


@dataclass(frozen=True)
class Pick:
    """The parameters of a trial, their one source, and what else its provenance says."""

    params: dict[str, Any]
    source: str
    more: dict[str, Any]


def stamp(turn: Turn, pick: Pick, version: int) -> None:
    """Write the source and the provenance of a trial to the study; ``version`` is the search space's."""
    more = {k: v for k, v in pick.more.items() if v not in ("", None)}
    storage, trial_id = turn.study._storage, turn.trial._trial_id
    storage.set_trial_user_attr(trial_id, keys.SOURCE, pick.source)
    storage.set_trial_user_attr(
        trial_id, keys.PROVENANCE, {"source": pick.source, "space_version": version, **more}
    )

"""Optuna's journal storage, but a read of a study hardly takes longer in a long run."""

from __future__ import annotations

import copy
from collections.abc import Container
from itertools import count
from itertools import takewhile
from typing import Any

from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

_MOST_SINGLE_READS = 20
"""More trials than that are read faster all at once."""


class RunStorage(JournalStorage):
    """A journal storage that looks only at trials which may have changed.

    Optuna's loop asks for the waiting trials before each trial, and its journal storage then looks at all of
    them: 2 ms where 10,000 have ended. The first trials of a study that have all ended never change again, so
    they are kept in a list here, as Optuna's storage in memory does.
    """

    _ended: dict[int, list[FrozenTrial]]
    """Of each study, its first trials: those before the first one that has not ended."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ended = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study in these states, or in any, as Optuna's storages give them."""
        ended = self._ended.get(study_id, [])
        later = self._trials_from(study_id, len(ended))
        n_ended = sum(1 for _ in takewhile(lambda trial: trial.state.is_finished(), later))
        if n_ended:
            # A new list, since another thread may be reading the earlier one.
            ended, later = [*ended, *later[:n_ended]], later[n_ended:]
            self._ended[study_id] = ended
        if states is None:
            trials = [*ended, *later]
        elif states == (TrialState.WAITING,):
            trials = [trial for trial in later if trial.state == TrialState.WAITING]
        else:
            trials = [trial for trial in (*ended, *later) if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def delete_study(self, study_id: int) -> None:
        """Delete a study with its trials."""
        super().delete_study(study_id)
        self._ended.pop(study_id, None)

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "_ended": {}}

    def _trials_from(self, study_id: int, first: int) -> list[FrozenTrial]:
        """The trials from this number on.

        Raises:
            KeyError: There is no such study.
        """
        trials: list[FrozenTrial] = []
        for number in count(first):
            if number == 0 or len(trials) >= _MOST_SINGLE_READS:
                return super().get_all_trials(study_id, deepcopy=False)[first:]
            try:
                trial_id = self.get_trial_id_from_study_id_trial_number(study_id, number)
            except KeyError:
                break
            trials.append(self.get_trial(trial_id))
        return trials

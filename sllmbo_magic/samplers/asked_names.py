"""Whether an objective asks its trials for the names that its search space declares."""

from __future__ import annotations

from collections.abc import Collection

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.suggestions import misnamed

_ENOUGH = 10
"""Complete trials of which one would have asked for a parameter that only some trials have."""


class AskedNames:
    """The names that the objective of one study asks for, against those of the declared space.

    Optuna stores what an objective asks for, and takes any name: one that is misspelt would be searched by
    itself, and the declared one for nothing.
    """

    def __init__(self) -> None:
        self._is_told = False
        self._n_complete = 0

    def problem(
        self,
        study: Study,
        trial: FrozenTrial,
        outer: SearchSpace,
        given: Collection[str],
        known: Collection[str],
    ) -> str:
        """The warning that is due at the end of a complete trial, one in all; "" for none.

        Args:
            outer: The declared space.
            given: The parameters for which the trial had a value of that space.
            known: Other names that an objective may ask for: those that are declared and left to the base
                sampler, and those that a ``PartialFixedSampler`` sets.
        """
        if self._is_told:
            return ""
        self._n_complete += 1
        unknown = [n for n in trial.params if n not in outer and n not in outer.fixed and n not in known]
        unasked = [name for name in outer if name in given and name not in trial.params]
        text = ""
        if unknown and unasked:
            text = f"Trial {trial.number}: {misnamed(unknown, unasked)}"
        elif unknown:
            text = (
                f"Trial {trial.number}: the objective asked for {', '.join(unknown)}, which search_space does"
                " not have: only the base sampler proposes values for it. Add it to search_space, so that it"
                " is searched with the others."
            )
        elif self._n_complete >= _ENOUGH and (never := _never_asked(study, outer)):
            text = (
                f"No trial has asked for {', '.join(never)}, which search_space has: it is searched for"
                " nothing. Suggest it in the objective, or take it out of search_space."
            )
        self._is_told = bool(text) or self._n_complete >= _ENOUGH
        return text


def _never_asked(study: Study, outer: SearchSpace) -> list[str]:
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    asked = {name for trial in trials for name in trial.params}
    return [name for name in outer if name not in asked]

"""Linked studies: a run whose outer space must grow goes on in a new study that holds all its trials.

Optuna raises when a categorical changes within one study, and drops a parameter whose range changed from its
joint model. So the trials are carried over, with their numbers, under the grown distributions. The old study
stays as it was, but for the attribute that names its successor; that attribute is written last, so that a
crash before it leaves the old study in force and a draft that the next attempt deletes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import keys
from sllmbo_magic.space import SearchSpace

_FIXED = "fixed_params"
"""Optuna's system attribute of a queued trial."""


def latest(studies: Iterable[FrozenStudy]) -> FrozenStudy | None:
    """The study that the first of these goes on in; itself when it does not, None when there is none."""
    by_name = {study.study_name: study for study in studies}
    found = next(iter(by_name.values()), None)
    while found is not None and found.user_attrs.get(keys.CONTINUED_IN) in by_name:
        found = by_name[found.user_attrs[keys.CONTINUED_IN]]
    return found


def current(study: Study) -> Study:
    """The study that this one goes on in, through all links; itself when it does not."""
    while keys.CONTINUED_IN in study.user_attrs:
        study = optuna.load_study(
            study_name=study.user_attrs[keys.CONTINUED_IN],
            storage=study._storage,
            sampler=study.sampler,
            pruner=study.pruner,
        )
    return study


def carried_over(study: Study, outer: SearchSpace, defaults: Mapping[str, Any]) -> Study:
    """A new study in the same storage with all trials under the distributions of ``outer``; not linked yet.

    Numbers, states, values, intermediate values, times and attributes stay. A parameter that no trial could
    have so far gets the value that it had unsaid.

    Args:
        study: No trial of this process runs in it; one of another process is carried over as cut off.
        outer: Holds every value that the study has.
        defaults: The values of what is new in ``outer``, as far as they are known.
    """
    storage = study._storage
    _delete_drafts(study)
    new = optuna.create_study(
        study_name=_next_name(study),
        storage=storage,
        directions=study.directions,
        sampler=study.sampler,
        pruner=study.pruner,
    )
    new.set_user_attr(keys.CONTINUES, study.study_name)
    for name, value in study.user_attrs.items():
        if name not in (keys.CONTINUES, keys.CONTINUED_IN):
            new.set_user_attr(name, value)
    for name, value in storage.get_study_system_attrs(study._study_id).items():
        storage.set_study_system_attr(new._study_id, name, value)
    for trial in study.get_trials(deepcopy=False):
        new.add_trial(_relabelled(trial, outer, _unsaid(trial, outer, defaults)))
    return new


def link(study: Study, new: Study) -> None:
    """From here on the run is in the new study, for this process and for whoever opens the storage."""
    study.set_user_attr(keys.CONTINUED_IN, new.study_name)


def _delete_drafts(study: Study) -> None:
    """What a crash left of earlier attempts."""
    for other in study._storage.get_all_studies():
        if other.user_attrs.get(keys.CONTINUES) == study.study_name:
            optuna.delete_study(study_name=other.study_name, storage=study._storage)


def _next_name(study: Study) -> str:
    """NAME~2, NAME~3, ...: the first that is free."""
    base = study.study_name
    if keys.CONTINUES in study.user_attrs:
        base = re.sub(r"~\d+$", "", base)
    taken = {other.study_name for other in study._storage.get_all_studies()}
    number = 2
    while f"{base}~{number}" in taken:
        number += 1
    return f"{base}~{number}"


def _unsaid(trial: FrozenTrial, outer: SearchSpace, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a trial had of parameters which its study did not know."""
    library = (trial.user_attrs.get(keys.PROVENANCE) or {}).get("library_defaults")
    known = trial.system_attrs.get(_FIXED) or trial.params
    found = {}
    for name, value in defaults.items():
        if name not in outer or name in known or not known:
            continue
        one = SearchSpace({name: outer[name]})
        valid, _ = one.validate({name: value}, repair=False)
        if valid is None and library:  # recorded as near as the space allows, see ``Run``
            valid = one.clip({name: value})
        found.update(valid or {})
    return found


def _relabelled(trial: FrozenTrial, outer: SearchSpace, more: Mapping[str, Any]) -> FrozenTrial:
    params, distributions = dict(trial.params), dict(trial.distributions)
    system_attrs, user_attrs, state = dict(trial.system_attrs), dict(trial.user_attrs), trial.state
    for name in params:
        if name in outer and _holds(outer[name], params[name]):
            distributions[name] = outer[name]
    if params:
        params |= more
        distributions |= {name: outer[name] for name in more}
    if _FIXED in system_attrs:
        system_attrs[_FIXED] = {**system_attrs[_FIXED], **more}
    complete = trial.datetime_complete
    if state == TrialState.RUNNING:
        state, complete = TrialState.FAIL, datetime.now()
        user_attrs[keys.EVALUATION] = {"error": keys.STOPPED}
    return FrozenTrial(
        number=trial.number,
        state=state,
        value=None,
        values=trial.values,
        datetime_start=trial.datetime_start,
        datetime_complete=complete,
        params=params,
        distributions=distributions,
        user_attrs=user_attrs,
        system_attrs=system_attrs,
        intermediate_values=dict(trial.intermediate_values),
        trial_id=-1,
    )


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False

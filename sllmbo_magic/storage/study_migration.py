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

from sllmbo_magic import attrs
from sllmbo_magic.space.expression import express
from sllmbo_magic.space.search_space import SearchSpace

_FIXED = "fixed_params"
"""Optuna's system attribute of a queued trial."""


def latest(studies: Iterable[FrozenStudy]) -> FrozenStudy | None:
    """The study that the first of these goes on in; itself when it does not, None when there is none."""
    by_name = {study.study_name: study for study in studies}
    last = next(iter(by_name.values()), None)
    while last is not None and last.user_attrs.get(attrs.CONTINUED_IN) in by_name:
        last = by_name[last.user_attrs[attrs.CONTINUED_IN]]
    return last


def current(study: Study) -> Study:
    """The study that this one goes on in, through all links; itself when it does not."""
    while attrs.CONTINUED_IN in study.user_attrs:
        study = optuna.load_study(
            study_name=study.user_attrs[attrs.CONTINUED_IN],
            storage=study._storage,
            sampler=study.sampler,
            pruner=study.pruner,
        )
    return study


def migrate_trials(
    study: Study, outer: SearchSpace, defaults: Mapping[str, Any], off: Mapping[str, float] | None = None
) -> Study:
    """A new study in the same storage with all trials under the distributions of ``outer``; not linked yet.

    Numbers, states, values, intermediate values, times and attributes stay. A parameter that no trial could
    have so far gets the value that it had unsaid.

    Args:
        study: No trial of this process runs in it; one of another process is carried over as cut off.
        outer: Holds every value that the study has.
        defaults: The values of what is new in ``outer``, as far as they are known.
        off: See :func:`~sllmbo_magic.space.expression.express`.
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
    new.set_user_attr(attrs.CONTINUES, study.study_name)
    for name, value in study.user_attrs.items():
        if name not in (attrs.CONTINUES, attrs.CONTINUED_IN):
            new.set_user_attr(name, value)
    for name, value in storage.get_study_system_attrs(study._study_id).items():
        storage.set_study_system_attr(new._study_id, name, value)
    for trial in study.get_trials(deepcopy=False):
        new.add_trial(_relabelled(trial, outer, defaults, off or {}))
    return new


def link(study: Study, new: Study) -> None:
    """From here on the run is in the new study, for this process and for whoever opens the storage."""
    study.set_user_attr(attrs.CONTINUED_IN, new.study_name)


def _delete_drafts(study: Study) -> None:
    """What a crash left of earlier attempts."""
    for other in study._storage.get_all_studies():
        if other.user_attrs.get(attrs.CONTINUES) == study.study_name:
            optuna.delete_study(study_name=other.study_name, storage=study._storage)


def _next_name(study: Study) -> str:
    """NAME~2, NAME~3, ...: the first that is free."""
    base = study.study_name
    if attrs.CONTINUES in study.user_attrs:
        base = re.sub(r"~\d+$", "", base)
    used_names = {other.study_name for other in study._storage.get_all_studies()}
    number = 2
    while f"{base}~{number}" in used_names:
        number += 1
    return f"{base}~{number}"


def _unrecorded_values(
    trial: FrozenTrial, outer: SearchSpace, defaults: Mapping[str, Any], off: Mapping[str, float]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What a trial had of the parameters that are not recorded among its own: the values that ``outer``
    holds, and the trial's attribute with those that it cannot express (None: the trial needs none).
    """
    recorded = trial.system_attrs.get(_FIXED, trial.params)
    configuration = trial.user_attrs.get(attrs.CONFIGURATION)
    values = {**defaults, **(configuration or {}).get("values", {}), **recorded}
    if configuration is not None and (trial.user_attrs.get(attrs.PROVENANCE) or {}).get("library_defaults"):
        conditions = [c for c in outer.conditions if c.param in outer and c.parent in outer]
        expression = express(values, SearchSpace(outer.distributions, conditions=conditions), off=off)
        fixed = [name for name in configuration.get("outside", ()) if name not in outer]
        more = {name: value for name, value in expression.params.items() if name not in recorded}
        return more, {"values": values, "outside": [*fixed, *expression.outside]}
    if not recorded:
        return {}, None  # nothing of it is recorded: all its values are still to come
    more = {}
    outside_values: dict[str, Any] = {}
    for name in defaults:
        if name in outer and name not in recorded:
            (more if outer.contains(name, values[name]) else outside_values)[name] = values[name]
    if configuration is None and (not outside_values or trial.state == TrialState.WAITING):
        return more, None
    still = {
        name: value for name, value in (configuration or {}).get("values", {}).items() if name not in more
    }
    outside = dict.fromkeys([*(configuration or {}).get("outside", ()), *outside_values])
    return more, {"values": {**still, **outside_values}, "outside": [*outside]}


def _relabelled(
    trial: FrozenTrial, outer: SearchSpace, defaults: Mapping[str, Any], off: Mapping[str, float]
) -> FrozenTrial:
    """The trial under the distributions of ``outer``, with what it had of the parameters that are new there.

    A value that ``outer`` cannot express stays out of the parameters; what it was is kept beside them.
    """
    params, distributions = dict(trial.params), dict(trial.distributions)
    system_attrs, user_attrs, state = dict(trial.system_attrs), dict(trial.user_attrs), trial.state
    for name in params:
        if name in outer and _holds(outer[name], params[name]):
            distributions[name] = outer[name]
    more, configuration = _unrecorded_values(trial, outer, defaults, off)
    if state != TrialState.WAITING:
        params |= more
        distributions |= {name: outer[name] for name in more}
    if configuration is not None:
        user_attrs[attrs.CONFIGURATION] = configuration
    if _FIXED in system_attrs:
        system_attrs[_FIXED] = {**system_attrs[_FIXED], **more}
    complete = trial.datetime_complete
    if state == TrialState.RUNNING:
        state, complete = TrialState.FAIL, datetime.now()
        user_attrs[attrs.EVALUATION] = {"error": attrs.STOPPED}
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

"""The Optuna study of a run: a new one under a free name, the one that is resumed, or one of the user's.

No study's trials are taken for those of another task. What a study's trials were scored on is kept in the
study itself (``attrs.FINGERPRINT``), so that it is compared wherever the study is found: in the run's folder,
in a database that several runs share, or in the user's hands.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.exceptions import DuplicatedStudyError
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.history.trials import counts
from sllmbo_magic.history.trials import is_withdrawn
from sllmbo_magic.history.trials import withdrawn_because
from sllmbo_magic.storage.runs import SEARCH_SPACE
from sllmbo_magic.storage.runs import check_fingerprint
from sllmbo_magic.storage.runs import quiet_optuna
from sllmbo_magic.storage.runs import what_changed
from sllmbo_magic.storage.study_migration import current
from sllmbo_magic.task.metrics import Direction
from sllmbo_magic.tuning.object_choices import changed_labels
from sllmbo_magic.tuning.queued_trials import queued_params
from sllmbo_magic.tuning.queued_trials import waiting_trials
from sllmbo_magic.tuning.queued_trials import withdraw

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from sllmbo_magic.tuning.plan import Plan


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[Direction],
    fingerprint: Mapping[str, str],
    text: Mapping[str, str],
    *,
    resume: bool,
    has_objective: bool = False,
) -> tuple[Study, bool]:
    """The study of a run in a storage, and whether it is one that is resumed.

    Args:
        storage: May hold studies of other runs.
        name: The study's name; a new study gets NAME-2, NAME-3, ... when that is taken.
        fingerprint: Of the task that is tuned.
        text: Its parts in words (see ``tuning.task_text``).
        resume: Whether to go on with the study of that name, if there is one.
        has_objective: Whether the task is an objective.

    Raises:
        RunChangedError: That study's trials would not compare with new ones.
    """
    with warnings.catch_warnings(), quiet_optuna():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if resume and name in _names(storage):
            study = current(optuna.load_study(study_name=name, storage=storage))
            _check_stored(study, fingerprint, text, has_objective)
            return study, True
        for free in _free_names(name, storage):
            try:
                study = optuna.create_study(study_name=free, storage=storage, directions=list(directions))
            except DuplicatedStudyError:  # of another process, since we looked
                continue
            return study, False
    raise StorageError(f"the storage has no free name for run {name!r}.", "Choose another name.")


def check_has_study(storage: BaseStorage, name: str, run: str) -> None:
    """Raises StorageError when the study of a stored run is not in the storage that shall hold it."""
    if name not in _names(storage):
        raise StorageError(
            f"the storage has no study {name!r}, in which run {run!r} keeps its trials.",
            "Give the storage of the stored run, or begin anew without --resume.",
        )


def check_users_study(study: Study, plan: Plan, *, joins: bool = False) -> None:
    """Check that a run of this plan may work in a study of the user's.

    Args:
        study: The study.
        plan: What is run.
        joins: Whether the study is that of a name and several programs, and not given by the user.

    Raises:
        InputError: Its directions do not fit the metric, or it has trials of other parameters or of another
            task.
    """
    task = plan.task
    _check_directions(study, task.directions or [task.direction], task.scorer_name)
    trials = study.get_trials(deepcopy=False)
    again = f"Give a new study: {_call(task.directions or [task.direction])}."
    if joins:
        again = "Run what the other programs on the study run, or choose another name."
    if plan.outer is not None:
        for trial in trials:
            _check_params(trial, plan.outer.distributions, plan.outer.fixed, again)
    changed = changed_labels(study, plan.objects) if trials else []
    if changed:
        raise InputError(
            f"the study has trials with another object for {changed[0]}, whose values do not compare.",
            again if joins else f"{again} With warm_start= its best configurations are tried first.",
        )
    stored = study.user_attrs.get(attrs.FINGERPRINT)
    n_trials = sum(counts(trial) for trial in trials)
    is_under_way = any(trial.state == TrialState.RUNNING for trial in trials)
    # a program that joins may have said what it runs, and have begun no trial yet
    if isinstance(stored, Mapping) and (n_trials or is_under_way or joins):
        expected = plan.fingerprint()
        differ = [part for part in expected if part in stored and stored[part] != expected[part]]
        texts = study.user_attrs.get(attrs.DESCRIBED) or {}, plan.described()
        if SEARCH_SPACE in differ:
            differ.remove(SEARCH_SPACE)
            if joins:  # programs on one study search the ranges that it holds
                changes = what_changed([SEARCH_SPACE], *texts)
                raise InputError(f"the study was begun with another search space.{changes}", again)
        if differ:
            changes = what_changed(differ, *texts)
            trials_text = f"the study has {n_trials} trial{'s' * (n_trials != 1)} of another task"
            raise InputError(
                f"{trials_text if n_trials else 'another program on the study has another task'}:"
                f" {', '.join(differ)} differ from this run's, so their values do not compare.{changes}",
                again,
            )


def check_is_study(study: Any) -> None:
    """Raises InputError when what was given as a study is none."""
    if isinstance(study, Study):
        return
    load = (
        f'optuna.load_study(study_name={study!r}, storage="sqlite:///FILE")' if isinstance(study, str) else ""
    )
    raise InputError(
        f"study is a {type(study).__name__}, not a study of Optuna.",
        f'Write study={load}, or name="{study}" for a run of that name.'
        if load
        else 'Give what optuna.create_study(direction="maximize") returns.',
    )


def directions_of(study: Study) -> str | list[str]:
    """The directions of a study, as ``tune`` takes them."""
    directions = [direction.name.lower() for direction in study.directions]
    return directions[0] if len(directions) == 1 else directions


def remember_task(
    study: Study, fingerprint: Mapping[str, str], text: Mapping[str, str] | None, *, joins: bool = False
) -> None:
    """Keep in a study what its trials are scored on; ``text`` where no folder of the run has it.

    What the first of several programs has written stays: the others are checked by it.
    """
    if joins and attrs.FINGERPRINT in study.user_attrs:
        return
    if study.user_attrs.get(attrs.FINGERPRINT) != dict(fingerprint):
        study.set_user_attr(attrs.FINGERPRINT, dict(fingerprint))
    if text is not None and study.user_attrs.get(attrs.DESCRIBED) != dict(text):
        study.set_user_attr(attrs.DESCRIBED, dict(text))


def withdraw_queued(study: Study) -> None:
    """End the trials that the run queued and never began: another program would evaluate them.

    They count for nothing, and :func:`queue_withdrawn` queues them again. Trials that the user queued stay.
    """
    for trial in waiting_trials(study):
        if attrs.PROVENANCE in trial.user_attrs:
            withdraw(study, trial)


def queue_withdrawn(study: Study) -> None:
    """Queue again what an earlier run withdrew, unless a later trial took it up."""
    trials = study.get_trials(deepcopy=False)
    last = max((t.number for t in trials if not is_withdrawn(t)), default=-1)
    for trial in trials:
        if trial.number > last and withdrawn_because(trial) is True:
            user_attrs = {k: v for k, v in trial.user_attrs.items() if k != attrs.EVALUATION}
            study.enqueue_trial(queued_params(trial), user_attrs=user_attrs)


def _check_stored(
    study: Study, fingerprint: Mapping[str, str], text: Mapping[str, str], has_objective: bool
) -> None:
    stored = study.user_attrs.get(attrs.FINGERPRINT)
    if isinstance(stored, Mapping):
        stored_text = study.user_attrs.get(attrs.DESCRIBED) or {}
        check_fingerprint(
            stored, fingerprint, stored_text=stored_text, current_text=text, has_objective=has_objective
        )
    elif study.get_trials(deepcopy=False) and attrs.SPACE_VERSIONS not in study.user_attrs:
        raise RunChangedError(
            f"cannot resume: study {study.study_name!r} in the storage is no run of this package.",
            "Choose another name, or give that study with study=.",
        )


def _names(storage: BaseStorage) -> set[str]:
    return {study.study_name for study in storage.get_all_studies()}


def _free_names(name: str, storage: BaseStorage) -> Iterator[str]:
    names = _names(storage)
    for number in count(1):
        free = name if number == 1 else f"{name}-{number}"
        if free not in names:
            yield free
        if number > len(names) + 100:
            return


def _check_directions(study: Study, expected: Sequence[Direction], metric: str) -> None:
    directions = [direction.name.lower() for direction in study.directions]
    if directions == list(expected):
        return
    if len(directions) == len(expected) == 1:
        does = {"minimize": "minimizes", "maximize": "maximizes"}
        fact = f"the study {does[directions[0]]}, but {metric} is to be {expected[0]}d"
    else:
        values = "one value" if len(expected) == 1 else f"{len(expected)} values"
        fact = (
            f"the study has {len(directions)} direction{'s' * (len(directions) > 1)}"
            f" ({', '.join(directions)}), but {metric} gives {values},"
            f" to be {', '.join(f'{one}d' for one in expected)}"
        )
    raise InputError(f"{fact}.", f"Make it with {_call(expected)}.")


def _check_params(
    trial: FrozenTrial, distributions: Mapping[str, Any], fixed: Mapping[str, Any], again: str
) -> None:
    unknown = [
        n for n in {**trial.params, **queued_params(trial)} if n not in distributions and n not in fixed
    ]
    if unknown:
        raise InputError(
            f"the study has trials of {', '.join(unknown)} (trial {trial.number}), but this run searches"
            f" {', '.join(distributions)}.",
            again,
        )
    for name, distribution in trial.distributions.items():
        try:
            if name in distributions:
                check_distribution_compatibility(distribution, distributions[name])
        except ValueError:
            raise InputError(
                f"the study has trials with {name} from {distribution} (trial {trial.number}), but this run"
                f" searches {distributions[name]}.",
                again,
            ) from None


def _call(directions: Sequence[Direction]) -> str:
    if len(directions) == 1:
        return f'optuna.create_study(direction="{directions[0]}")'
    return f"optuna.create_study(directions={list(directions)})"

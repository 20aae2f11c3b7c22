"""Trials that wait in the study: withdrawn before they begin, or put behind the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.report.text import count
from sllmbo_magic.space.distributions import Distribution
from sllmbo_magic.space.distributions import allowed

_FIXED_PARAMS = "fixed_params"
"""Optuna's system attribute of a queued trial."""


def queued_params(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters that a trial was queued with."""
    params: dict[str, Any] = trial.system_attrs.get(_FIXED_PARAMS) or {}
    return params


def unmet_text(trial: FrozenTrial) -> str:
    """What an objective that suggests for itself made otherwise of a queued configuration; "" for nothing."""
    queued = queued_params(trial)
    unasked = [name for name in queued if name not in trial.params]
    parts = []
    if unasked:
        parts.append(
            f"the objective did not ask for {', '.join(unasked)} of the queued configuration; it asked for"
            f" {', '.join(trial.params) or 'nothing'}"
        )
    for name, distribution in trial.distributions.items():
        if name not in queued or not isinstance(distribution, Distribution):
            continue
        if not distribution._contains(distribution.to_internal_repr(queued[name])):
            parts.append(f"{name}={queued[name]!r} is outside its range ({allowed(distribution)})")
    return f"Trial {trial.number}: {'; '.join(parts)}." if parts else ""


def waiting_trials(study: Study) -> list[FrozenTrial]:
    """The queued trials, in the order in which they run."""
    return study.get_trials(deepcopy=False, states=(TrialState.WAITING,))


def no_room(study: Study, n_trials: int, n_begun: int) -> str | None:
    """What is said where queued configurations of the user do not fit into the total of a run."""
    n, users = _users(study, max(n_trials - n_begun, 0))
    if n == 0:
        return None
    verb, total = "does" if n == 1 else "do", count(n_trials, "trial")
    return f"{users} {verb} not fit into the total of {total}: extend {n}, or n_trials={n_trials + n}."


def not_run(study: Study, reason: str) -> str | None:
    """What is said at the end of a run where configurations of the user still wait.

    Args:
        reason: Why the run ended.
    """
    n, users = _users(study)
    return f"{users} did not run: {reason}." if n else None


def _users(study: Study, n_before: int = 0) -> tuple[int, str]:
    """How many configurations of the user wait behind so many trials of the queue, as number and words."""
    waiting = waiting_trials(study)[n_before:]
    n = sum(trial.user_attrs.get(attrs.SOURCE) == "user" for trial in waiting)
    return n, count(n, "queued configuration of yours", "queued configurations of yours")


def withdraw(study: Study, trial: FrozenTrial, why: bool | str = True) -> bool:
    """End a queued trial; it stays in the study as one that never ran, and counts for nothing.

    Args:
        why: See ``attrs.WITHDRAWN``.

    Returns:
        Whether it was still waiting; False where another program has begun it meanwhile.
    """
    storage = study._storage
    try:
        # Optuna lets one program alone take a trial out of the queue.
        if not storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING):
            return False
    except UpdateFinishedTrialError:
        return False
    evaluation = {"error": attrs.STOPPED, attrs.WITHDRAWN: why}
    storage.set_trial_user_attr(trial._trial_id, attrs.EVALUATION, evaluation)
    storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
    return True


def drop_first(study: Study, is_dropped: Callable[[dict[str, Any]], bool]) -> int:
    """Withdraw for good the queued first configurations for which the function is true; their number."""
    waiting = [trial for trial in _waiting_first(study) if is_dropped(queued_params(trial))]
    return sum(withdraw(study, trial, attrs.FOR_GOOD) for trial in waiting)


def put_users_first(study: Study) -> None:
    """Queue the first configurations that wait before one of the user's again, behind it."""
    users = [t.number for t in waiting_trials(study) if t.user_attrs.get(attrs.SOURCE) == "user"]
    for trial in _waiting_first(study):
        if users and trial.number < users[-1] and withdraw(study, trial, attrs.MOVED):
            user_attrs = {k: v for k, v in trial.user_attrs.items() if k != attrs.EVALUATION}
            study.enqueue_trial(queued_params(trial), user_attrs=user_attrs)


def _waiting_first(study: Study) -> list[FrozenTrial]:
    """The queued trials that are the Initializer's: of the LLM, the rulebook in its place, or drawn."""
    first = [
        entry["user_attrs"][attrs.PROVENANCE]
        for entry in study.user_attrs.get(attrs.FIRST_CONFIGURATIONS, ())
    ]
    return [
        trial
        for trial in waiting_trials(study)
        if trial.user_attrs.get(attrs.SOURCE) == "random" or trial.user_attrs.get(attrs.PROVENANCE) in first
    ]

"""Warm start: the best configurations of an earlier run are tried first (after the default)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.history.trials import scored
from sllmbo_magic.history.trials import state_of
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.default_trial import is_default
from sllmbo_magic.tuning.object_choices import labels_here

if TYPE_CHECKING:
    from sllmbo_magic.storage.run_directory import RunFolder

BEST = 3
"""Configurations taken from the earlier run."""


def queue_best(
    study: Study, outer: SearchSpace | None, earlier: Any, task: Task, folder: RunFolder | None
) -> str:
    """Queue the best distinct configurations of an earlier run, moved into this run's ranges.

    Scores of other data do not compare, so only configurations are taken over, and each is evaluated again.
    What that gained is then said in the run's own scores: over the default, and when the run's own search
    would have been as far (``summary.py``).

    Args:
        earlier: Name or path of a run, a saved file, a ``TuneResult`` or an Optuna study.

    Returns:
        One sentence on what was queued.

    Raises:
        InputError: There is no such run, or it shares no parameter with this search space.
    """
    source, label = _found(earlier, _stored(earlier, folder))
    configurations, left_out = _best_configurations(source, label, outer)
    for trial, params in configurations:
        reason = f"{attrs.WARM_START}trial {trial.number} of {label}, value there {trial.values[0]:.6g}"
        user_attrs = {
            attrs.SOURCE: "user",
            attrs.PROVENANCE: {"source": "user", "reason": reason, "warm_start": label},
        }
        study.enqueue_trial(params, user_attrs=user_attrs)
    queued = len(configurations)
    subject = "best configuration" if queued == 1 else f"{queued} best configurations"
    among = ", of those whose objects are choices here" if left_out else ""
    return f"Warm start: the {subject} of {label} {'is' if queued == 1 else 'are'} tried first{among}."


def check_warm_start(
    outer: SearchSpace | None, earlier: Any, root: Path | None, folder: RunFolder | None = None
) -> None:
    """Raise the errors of :func:`queue_best` before the run has begun.

    Args:
        root: Where runs are kept; None: this run is in memory.
        folder: Of a run that goes on; None: of a new one, which has none yet.
    """
    stored = _stored(earlier, folder) if folder is not None else None if root is None else root / str(earlier)
    _best_configurations(*_found(earlier, stored), outer)


def is_warm_started(study: Study, earlier: Any, folder: RunFolder | None) -> bool:
    """Whether the study has configurations of that earlier run already."""
    from sllmbo_magic.tuning.result import TuneResult

    if isinstance(earlier, TuneResult | Study):
        label = _found(earlier, None)[1]
    else:
        label = f"run {(_stored(earlier, folder) or Path(str(earlier))).name!r}"
    provenances = (t.user_attrs.get(attrs.PROVENANCE) or {} for t in study.get_trials(deepcopy=False))
    return any(provenance.get("warm_start") == label for provenance in provenances)


def _best_configurations(
    source: Study, label: str, outer: SearchSpace | None
) -> tuple[list[tuple[FrozenTrial, dict[str, Any]]], bool]:
    """The best distinct trials of an earlier run, best first, each with its configuration in this run's
    ranges; and whether better ones were left out, since they have an object that is no choice here.
    """
    if len(source.directions) > 1:
        raise InputError(f"warm start {label} has several objectives.", "Give a run with one.")
    all_trials = source.get_trials(deepcopy=False)
    trials = [t for t in all_trials if scored(t)]
    if not trials and any(state_of(t) == "INFEASIBLE" for t in all_trials):
        raise InputError(f"warm start {label} has no feasible trial.", "Give another run.")
    trials = [t for t in trials if not is_default(t.user_attrs)]  # every run of an estimator begins with it
    trials.sort(key=lambda t: t.values[0], reverse=source.direction.name == "MAXIMIZE")
    labels = {} if outer is None else labels_here(source, outer.objects)
    best: dict[str, tuple[FrozenTrial, dict[str, Any]]] = {}
    left_out: dict[str, None] = {}
    for trial in trials:
        params = dict(trial.params)
        if outer is not None:
            shared = {n: labels[n].get(v, v) if n in labels else v for n, v in params.items() if n in outer}
            if not shared:
                continue
            other = [n for n, v in shared.items() if v is None and params[n] is not None]
            if other:
                left_out |= dict.fromkeys(other if len(best) < BEST else ())
                continue
            params = outer.active({n: v for n, v in outer.complete(outer.clip(shared)).items() if n in outer})
        key = repr(sorted(params.items()) if outer is None else outer.key(params))
        if key not in best and len(best) < BEST:
            best[key] = trial, params
    if not best and left_out:
        raise InputError(
            f"warm start {label} has no scored trial whose object for {', '.join(left_out)} is a choice"
            " here.",
            "Add its objects to the choices, or give another run.",
        )
    if not best:
        raise InputError(
            f"warm start {label} has no scored trial with a parameter of this search space.",
            "Give another run.",
        )
    return list(best.values()), bool(left_out)


def _stored(earlier: Any, folder: RunFolder | None) -> Path | None:
    """Where the run is if ``earlier`` is its name; None for a run in memory."""
    stored = None if folder is None else folder.path.parent / str(earlier)
    if folder is not None and stored == folder.path:
        # a run that starts from its own predecessor of the same name
        from sllmbo_magic.storage.run_paths import archives

        earlier_runs = archives(folder.path)
        stored = earlier_runs[-1][1] if earlier_runs else stored
    return stored


def _found(earlier: Any, stored: Path | None) -> tuple[Study, str]:
    """The study of an earlier run and what to call it.

    Args:
        stored: Where the run is if ``earlier`` is its name.
    """
    from sllmbo_magic.tuning.result import TuneResult

    if isinstance(earlier, Mapping | list | tuple):
        raise InputError(
            "warm_start is a configuration, not a run.",
            "Write enqueue=[result.best_params], or warm_start=result for the best three of a run.",
        )
    if isinstance(earlier, TuneResult):
        return earlier.study, f"run {earlier.name!r}"
    if isinstance(earlier, Study):
        return earlier, f"study {earlier.study_name!r}"
    # before a folder of that name in the working directory; Path.exists raises where the name is too long
    is_run = stored is not None and os.path.exists(stored)
    path = stored if is_run and stored is not None else Path(os.path.expanduser(str(earlier)))
    if not os.path.exists(path):
        raise InputError(
            f"warm start {show(str(earlier))} is no run.", "Give a run's name, its folder or a saved file."
        )
    try:
        return TuneResult.load(path).study, f"run {path.name!r}"
    except StorageError as error:
        raise InputError(f"warm start {str(earlier)!r} cannot be read: {error.message}", error.hint) from None

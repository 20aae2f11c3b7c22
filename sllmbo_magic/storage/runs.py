"""Runs on disk: list, find, rename, delete and steer them.

What one run's folder holds and who may write to it is in :mod:`sllmbo_magic.storage.run_directory`.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic import control
from sllmbo_magic.control import Command
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.run_paths import ROOT
from sllmbo_magic.storage.run_paths import check_is_run
from sllmbo_magic.storage.run_paths import check_name
from sllmbo_magic.storage.run_paths import is_run
from sllmbo_magic.storage.run_paths import root_guard
from sllmbo_magic.storage.study_migration import latest

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = [
    "SEARCH_SPACE",
    "RunFolder",
    "RunInfo",
    "check_fingerprint",
    "delete_run",
    "find_run",
    "list_runs",
    "rename_run",
    "requeue_stale",
    "send_command",
    "stale_trials",
    "what_changed",
]

SEARCH_SPACE = "search space"
"""The part of a fingerprint that says which search space was given; runs of earlier versions have none."""
_MOST_CHANGES = 3
_LONGEST_CHANGE = 120


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs.

    Attributes:
        name: Name of its folder; an earlier run of NAME is NAME.1, NAME.2, ...
        status: ``"running (pid 123)"``, ``"interrupted"`` (also: its process died), ``"finished"``,
            ``"stopped"``, ``"failed"``, or ``"unreadable"``.
        n_done: Trials that ended, failed ones included, but not one that a crash cut off.
        n_trials: Trials asked for, those of ``extend`` included; None when not known.
        best: Best value so far, as the metric gives it; None without a complete,
            feasible trial.
        metric: The metric's name; empty when not known.
        updated: Last change, seconds since the epoch.
        path: Its folder.
    """

    name: str
    status: str
    n_done: int
    n_trials: int | None
    best: float | None
    metric: str
    updated: float
    path: Path

    @property
    def running(self) -> bool:
        """Whether a process runs it now."""
        return self.status.startswith("running")


# ---- the folder of runs


def list_runs(root: str | Path | None = None) -> list[RunInfo]:
    """All runs, the last changed first; empty when there is no such folder."""
    infos = [_info(folder) for folder in _folders(root)]
    return sorted(infos, key=lambda info: info.updated, reverse=True)


def find_run(name: str | Path, root: str | Path | None = None) -> RunFolder:
    """The folder of a run by its name, or by its path; for reading, which takes no lock.

    Raises:
        InputError: There is none; the closest names are named.
    """
    for path in (Path(ROOT if root is None else root) / name, Path(name)):
        if (path / "run.json").exists() or (path / "study.log").exists():
            return RunFolder(path)
    raise _no_run(name, root)


def _changeable_run(name: str, root: str | Path | None) -> RunFolder:
    """The folder of a run to change: by its name only, in the folder of runs only.

    Raises:
        InputError: There is no such run; what else has that name is left alone.
    """
    path = Path(ROOT if root is None else root) / check_name(name)
    if not os.path.lexists(path):
        raise _no_run(name, root)
    check_is_run(path)
    return RunFolder(path)


def _no_run(name: str | Path, root: str | Path | None) -> InputError:
    names = [folder.name for folder in _folders(root)]
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names[:20]) or 'no runs yet'}."
    return InputError(f"there is no run {str(name)!r}.", hint)


def delete_run(name: str, root: str | Path | None = None) -> None:
    """Delete a run with all its files; of a study that runs share, the last of them takes the trials along.

    Raises:
        InputError: There is none in the folder of runs.
        RunLockedError: A living process runs it.
    """
    folder = _changeable_run(name, root)
    with root_guard(folder.path.parent):
        folder.check_free()
        journal = folder.shared_study_path
        shutil.rmtree(folder.path)
        if all(other.shared_study_path != journal for other in _folders(root)):
            for path in (journal, journal.with_name(f"{journal.name}.guard")):
                path.unlink(missing_ok=True)


def rename_run(name: str, new: str, root: str | Path | None = None) -> RunFolder:
    """Give a run another name.

    Raises:
        InputError: There is no such run in the folder of runs, or the new name is taken or cannot be one.
        RunLockedError: A living process runs it.
    """
    folder = _changeable_run(name, root)
    renamed = RunFolder(folder.path.with_name(check_name(new)))
    with root_guard(folder.path.parent):
        folder.check_free()
        if os.path.lexists(renamed.path):
            raise InputError(f"there is already a run {new!r}.", "Choose another name, or delete it first.")
        folder.path.rename(renamed.path)
        renamed.write_meta({"name": new})
    return renamed


def send_command(
    name_or_path: str | Path, command: str, value: Any = None, root: str | Path | None = None
) -> Command:
    """Steer a run of another process on this machine (or a shared disk) through its folder.

    Raises:
        InputError: There is no such run, the command is malformed (see ``control.check``), or it is a hint
            to a run without an LLM.
        StorageError: No process runs it, so the command would not be taken.
    """
    value = control.check(command, value)
    folder = find_run(name_or_path, root)
    if folder.owner() is None:
        raise StorageError(f"run {folder.name!r} is not running.", "Go on with it by --resume.")
    if command == "hint":
        from sllmbo_magic.llm.registry import NO_LLM

        if (folder.read_meta().get("options") or {}).get("llm") in NO_LLM:
            raise InputError(control.NO_HINTS)
    return folder.append_command(command, value)


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna logs each trial and warns of fixed values; our events say the same once."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def folders_of_runs(root: str | Path | None = None) -> list[RunFolder]:
    """The folders of the stored runs that have a transcript, by name."""
    return [folder for folder in _folders(root) if folder.transcript_path.exists()]


def _folders(root: str | Path | None) -> list[RunFolder]:
    path = ROOT if root is None else Path(root)
    if not path.is_dir():
        return []
    return [RunFolder(entry) for entry in sorted(path.iterdir()) if is_run(entry) and any(entry.iterdir())]


def _info(folder: RunFolder) -> RunInfo:
    try:
        meta = folder.read_meta()
        summary = meta.get("summary") or {}
        status = str(meta.get("status", "interrupted"))
        ended = status not in ("new", "running") and "n_trials" in summary
        n_done, best = (None if ended else _progress(folder)) or (
            int(summary.get("n_trials") or 0),
            summary.get("best_value"),
        )
        options = meta.get("options") or {}
        n_trials = meta.get("total", options.get("n_trials"))
        n_trials = None if n_trials is None else int(n_trials)
        metric = str(meta.get("metric") or options.get("scoring") or "")
    except (StorageError, ValueError, LookupError, TypeError, AttributeError):
        # one broken run must not hide the others
        n_done, n_trials, best, metric, status = 0, None, None, "", "unreadable"
    owner = folder.owner()
    if owner is not None:
        pid = owner.pid or "not known"
        status = f"running (pid {pid})" if owner.local else f"running (pid {pid} on {owner.host})"
    elif status in ("new", "running"):
        status = "interrupted"
    files = [path for path in (folder.run_path, folder.study_path) if path.exists()]
    return RunInfo(
        name=folder.name,
        status=status,
        n_done=n_done,
        n_trials=n_trials,
        best=best,
        metric=metric,
        updated=max((path.stat().st_mtime for path in files), default=0.0),
        path=folder.path,
    )


def _progress(folder: RunFolder) -> tuple[int, float | None] | None:
    """Ended trials and best value read from the journal; None when the run keeps its trials elsewhere."""
    from optuna.study import StudyDirection

    from sllmbo_magic.history.trials import counts
    from sllmbo_magic.history.trials import scored

    if not folder.study_path.exists():
        return None
    storage = folder.storage()
    study = latest(storage.get_all_studies())
    if study is None:
        return None
    trials = storage.get_all_trials(study._study_id, deepcopy=False)
    n_done = sum(counts(t) for t in trials)
    if len(study.directions) > 1:
        return n_done, None
    values = [float(t.values[0]) for t in trials if scored(t)]
    better = max if study.direction == StudyDirection.MAXIMIZE else min
    return n_done, better(values, default=None)


# ---- trials


def stale_trials(study: Study) -> list[FrozenTrial]:
    """Trials left RUNNING by a dead process; ask only as the owner of the run, before the first trial."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def requeue_stale(study: Study, stale: list[FrozenTrial] | None = None) -> list[FrozenTrial]:
    """Queue each stale trial's parameters with its attributes, and end it as FAIL, category ``stopped``.

    In this order, so that a process that dies in between loses no configuration: the trial is stale again for
    the next one, which finds its copy in the queue.

    Args:
        stale: Those among the running trials; None: all of them.

    Returns:
        The trials that were stale, as found. One that had no parameters yet is ended and not queued.
    """
    from optuna.trial import Trial
    from optuna.trial import TrialState

    stale = stale_trials(study) if stale is None else stale
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    queued = [(t.system_attrs.get("fixed_params"), _without_evaluation(t)) for t in waiting]
    for trial in stale:
        copy = configuration_of(trial), _without_evaluation(trial)
        if copy in queued:
            queued.remove(copy)
        elif copy[0] or attrs.CONFIGURATION in trial.user_attrs:
            study.enqueue_trial(copy[0], user_attrs=copy[1])
        Trial(study, trial._trial_id).set_user_attr(attrs.EVALUATION, {"error": attrs.STOPPED})
        study.tell(trial.number, state=TrialState.FAIL)
    return stale


def take_over(study: Study, trial: FrozenTrial) -> bool:
    """Queue the configuration of another program's trial again, and end that trial, category ``stopped``.

    Of several programs that try it at once, one does it: whoever ends the trial first.

    Returns:
        Whether it was this one; False where the trial has ended meanwhile.
    """
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    storage = study._storage
    try:
        storage.set_trial_user_attr(trial._trial_id, attrs.EVALUATION, {"error": attrs.STOPPED})
        storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    params = configuration_of(trial)
    if params or attrs.CONFIGURATION in trial.user_attrs:
        study.enqueue_trial(params, user_attrs=_without_evaluation(trial))
    return True


def _without_evaluation(trial: FrozenTrial) -> dict[str, Any]:
    of_one_process = (attrs.EVALUATION, attrs.OWNER)
    return {name: value for name, value in trial.user_attrs.items() if name not in of_one_process}


def configuration_of(trial: FrozenTrial) -> dict[str, Any]:
    """The configuration that a trial was to run: what it was queued with, and what was suggested so far.

    A process can die between two suggestions. The rest of a queued configuration is then known only from the
    queue; without it the trial that runs again would be a mixture of two proposals under one's name.
    """
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def check_fingerprint(
    stored: Mapping[str, Any],
    current: Mapping[str, Any],
    *,
    stored_text: Mapping[str, str] | None = None,
    current_text: Mapping[str, str] | None = None,
    has_objective: bool = False,
) -> None:
    """Refuse to go on with a run whose trials would not compare with new ones.

    Args:
        stored: Parts of the stored run (``data``, ``metric``, ``cv``, ``estimator``, ``options``,
            ``search space``), each with a value that changes when the part does.
        current: The same of the run that is asked for.
        stored_text: What the parts were, in lines (see ``tuning.task_text``), to name what changed.
        current_text: What they are.
        has_objective: Whether the part ``estimator`` is an objective.

    Raises:
        RunChangedError: Parts differ; it names them.
    """
    differ = [part for part in {**stored, **current} if stored.get(part) != current.get(part)]
    if SEARCH_SPACE in differ and SEARCH_SPACE not in stored:
        differ.remove(SEARCH_SPACE)
    if not differ:
        return
    words = {SEARCH_SPACE: "the search space"} | ({"estimator": "the objective"} if has_objective else {})
    names = [words.get(part, part) for part in differ]
    parts = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    changes = what_changed(differ, stored_text or {}, current_text or {})
    verb = "is" if len(differ) == 1 and differ[0] != "options" else "are"
    version = (
        " Another version of its library can have other parameters."
        if "estimator" in differ and not has_objective and not changes
        else ""
    )
    ranges = (
        " A resumed run keeps its own ranges; %sllmbo range changes one while the run goes on."
        if SEARCH_SPACE in differ
        else ""
    )
    raise RunChangedError(
        f"cannot resume: {parts} {verb} not the same as in the stored run.{changes}{version}",
        "Restore what changed, choose another name, or run without --resume to begin anew (the stored run is"
        f" kept).{ranges}",
    )


def what_changed(parts: Iterable[str], stored: Mapping[str, str], current: Mapping[str, str]) -> str:
    """What changed in these parts of a task, a sentence each after a blank; "" where it is not known.

    Args:
        parts: Names of parts (see :func:`check_fingerprint`).
        stored: What they were, in lines.
        current: What they are.
    """
    changes = [_changed_lines(stored.get(part, ""), current.get(part, "")) for part in parts]
    return "".join(f" {text}" for text in changes if text)


def _changed_lines(before: str, after: str) -> str:
    """What changed between two texts, in one sentence: ``It had `C=1.0` and has `C=2.0`.``; "" if unknown."""
    if not before or not after or before == after:
        return ""
    old, new = before.splitlines(), after.splitlines()
    changes = []
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        had, has = (_quoted(lines) for lines in (old[i:i_end], new[j:j_end]))
        changes.append(f"had {had} and has {has}" if had and has else f"had {had}" if had else f"has {has}")
    changes_text = "; it ".join(changes[:_MOST_CHANGES])
    more = f"; and {len(changes) - _MOST_CHANGES} more changes" if len(changes) > _MOST_CHANGES else ""
    return f"It {changes_text}{more}."


def _quoted(lines: list[str]) -> str:
    text = " / ".join(line.strip() for line in lines if line.strip())
    return f"`{text if len(text) <= _LONGEST_CHANGE else text[: _LONGEST_CHANGE - 2] + ' …'}`" if text else ""

"""Stars and notes of the user on trials: kept in the study, and told as an event to views, report and chat.

While a run goes on, its own thread writes them (``tuning.commands``); afterwards :func:`mark_stored` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.control import check
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import WishApplied
from sllmbo_magic.events import to_json
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import quiet_optuna
from sllmbo_magic.storage.study_migration import current


def mark(
    study: Study, trial: int, n_trials: int, *, star: bool | None = None, text: str | None = None
) -> dict[str, Any]:
    """Put a star, a note or both on a trial, in the study.

    Args:
        trial: Number of the trial.
        n_trials: Trials that have begun.
        star: None leaves it as it is; so does None for ``text``, and ``""`` takes the note away.

    Returns:
        What the trial has now: ``trial``, ``star`` and ``text``.

    Raises:
        InputError: There is no such trial.
    """
    if not 0 <= trial < n_trials:
        last = f"The last one is {n_trials - 1}." if n_trials else "None has begun."
        raise InputError(f"there is no trial {trial} so far.", last)
    marks = dict(study.user_attrs.get(attrs.TRIAL_NOTES) or {})
    before = marks.pop(str(trial), {})
    now = {
        "star": bool(before.get("star")) if star is None else star,
        "text": str(before.get("text") or "") if text is None else text,
    }
    if now["star"] or now["text"]:
        marks[str(trial)] = now
    study.set_user_attr(attrs.TRIAL_NOTES, marks)
    return {"trial": trial, **now}


def mark_stored(
    study: Study, folder: Path | None, n_trials: int, value: dict[str, Any], id: str | None = None
) -> list[Event]:
    """Mark a trial of a run that has ended, in its study and in its folder.

    Args:
        study: The result's study.
        folder: The run's folder, where it has one.
        n_trials: Trials that have begun.
        value: As the command ``note`` has it (see ``control.check``).
        id: Of the command, where a view sent it.

    Returns:
        The event of the mark; empty where another process goes on with the run, which gets the command.

    Raises:
        InputError: There is no such trial, or the note is too long.
        StorageError: The folder cannot be written.
    """
    value = check("note", value)
    run_folder = None if folder is None else RunFolder(folder)
    if run_folder is not None and run_folder.owner() is not None:
        run_folder.append_command("note", value)
        return []
    value = mark(study, n_trials=n_trials, **value)
    event = WishApplied(wish="note", value=value, trial_number=n_trials, id=id)
    if run_folder is not None:
        with run_folder:
            run_folder.acquire()
            if run_folder.study_path.exists():
                _mark_in_file(run_folder, value, n_trials)
            Transcript(run_folder.transcript_path).note(to_json(event))
    return [event]


def _mark_in_file(folder: RunFolder, value: dict[str, Any], n_trials: int) -> None:
    name = folder.read_meta().get("study_name") or folder.name
    with quiet_optuna():
        study = current(optuna.load_study(study_name=name, storage=folder.storage()))
    mark(study, value["trial"], n_trials, star=value["star"], text=value["text"])

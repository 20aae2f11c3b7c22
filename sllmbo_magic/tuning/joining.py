"""Several programs on one study: which study that is, and the trials that a program which died left in it.

A trial in a storage that others reach names the program that evaluates it: by its folder, if it has one, and
by a token. Where nobody holds the lock of that folder or token any more, the program has died, and the trial
is queued again. Programs on other machines are known by their stamps (``heartbeat.py``).
"""

from __future__ import annotations

import hashlib
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.storage.backends import open_storage
from sllmbo_magic.storage.program_lock import lives
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.run_paths import is_run
from sllmbo_magic.storage.run_paths import prepare_root
from sllmbo_magic.storage.run_paths import shared_journal
from sllmbo_magic.storage.runs import quiet_optuna
from sllmbo_magic.storage.runs import stale_trials
from sllmbo_magic.tuning.heartbeat import stamps

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from sllmbo_magic.tuning.plan import Plan


def join_study(
    plan: Plan, storage: str | BaseStorage | None, root: str | Path | None, study: Study | None
) -> tuple[Study, bool]:
    """The study of the run's name that several programs share, and whether this program has made it.

    Args:
        plan: What is run.
        storage: As ``tune`` has it; None: a journal beside the folders of the runs.
        root: Folder of all runs, as ``tune`` has it.
        study: Of the user's.

    Raises:
        InputError: No other program could reach the study.
    """
    if study is not None:
        raise InputError(
            "join and study both name a study.", "Leave join out: programs may share the study that you give."
        )
    in_memory = storage == "memory" or isinstance(storage, InMemoryStorage)
    if in_memory or (storage is None and root == ""):
        raise InputError(
            "join needs a storage that other programs reach.",
            "Give storage, for example sqlite:///runs.db, or a folder.",
        )
    name, directions = plan.task.name, plan.task.directions or [plan.task.direction]
    if storage is None:
        storage = f"journal:{shared_journal(prepare_root(root), name)}"
    opened = open_storage(storage)
    with warnings.catch_warnings(), quiet_optuna():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            return optuna.create_study(study_name=name, storage=opened, directions=list(directions)), True
        except DuplicatedStudyError:
            return optuna.load_study(study_name=name, storage=opened), False


def joined_text(study: Study) -> str:
    """What a program says that joins a study."""
    n_trials = len(study.get_trials(deepcopy=False))
    return (
        f"Joined study {study.study_name}, which has {n_trials} trial{'s' * (n_trials != 1)}. Trials of all"
        " programs on it count for the total and are learned from."
    )


def seed_of_joiner(seed: int) -> int:
    """Another seed than that of the program which made the study: with the same one, both would propose the
    same configurations.
    """
    entropy = np.random.SeedSequence().generate_state(1)[0]
    return int(np.random.SeedSequence([seed, int(entropy)]).generate_state(1)[0])


def owner_of(folder: RunFolder | None, token: str) -> dict[str, str]:
    """What a trial says of the program that evaluates it; no path of the machine.

    Args:
        folder: Of the run; None for a run in memory.
        token: Of the program's ``ProgramLock``.
    """
    root, name = ("", token) if folder is None else (_digest(folder.path.parent), folder.path.name)
    return {"host": socket.gethostname(), "root": root, "folder": name, "token": token}


def abandoned_trials(study: Study, folder: RunFolder | None, *, joins: bool) -> list[FrozenTrial]:
    """The running trials whose program has died, as far as this one can tell: those of its own folder's
    earlier process, and of other programs on this machine.

    Call it before the first trial.

    Args:
        study: That other programs can reach.
        folder: Of this run.
        joins: Whether trials that name no program may be those of programs that live.
    """
    return [
        trial
        for trial in stale_trials(study)
        if (not joins and attrs.OWNER not in trial.user_attrs)
        or _lives(trial.user_attrs.get(attrs.OWNER), folder) is False
    ]


def check_not_in_use(study: Study, folder: RunFolder | None) -> None:
    """Raises RunLockedError when a living program on this machine works on a study."""
    at_work = [
        f"evaluates trial {trial.number}"
        for trial in stale_trials(study)
        if _lives(trial.user_attrs.get(attrs.OWNER), folder)
    ]
    # between two trials, and while it checks the best one, a program has no trial that says so
    at_work += [
        "is at work"
        for stamp in stamps(study)
        if stamp.get("host") == socket.gethostname() and lives(str(stamp.get("token")))
    ]
    if at_work:
        raise RunLockedError(
            f"study {study.study_name!r} is in use by another program, which {at_work[0]}.",
            "Add --join (join=True) to work on it together, or wait for that program or stop it.",
        )


def _lives(owner: Mapping[str, Any] | None, folder: RunFolder | None) -> bool | None:
    """Whether a program lives; None where that cannot be told."""
    if not owner or owner.get("host") != socket.gethostname():
        return None
    if folder is not None and owner.get("root") == _digest(folder.path.parent):
        other = folder.path.with_name(str(owner.get("folder")))
        # the lock of its own folder is this program's by now
        return other.name != folder.path.name and is_run(other) and RunFolder(other).owner() is not None
    return lives(str(owner.get("token")))


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]

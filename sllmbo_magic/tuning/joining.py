"""Several programs on one study: which study that is, and the trials that a program which died left in it.

Each of them has a folder of its own for its events and its conversation. A trial names the folder of the
program that evaluates it; where nobody holds the lock of that folder any more, the program has died, and the
trial is queued again.
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
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.storage.backends import open_storage
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.run_paths import is_run
from sllmbo_magic.storage.run_paths import prepare_root
from sllmbo_magic.storage.run_paths import shared_journal
from sllmbo_magic.storage.runs import quiet_optuna
from sllmbo_magic.storage.runs import stale_trials

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
    if storage == "memory" or (storage is None and root == ""):
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


def owner_of(folder: RunFolder) -> dict[str, str]:
    """What a trial says of the program that evaluates it; no path of the machine."""
    return {"host": socket.gethostname(), "root": _digest(folder.path.parent), "folder": folder.path.name}


def abandoned_trials(study: Study, folder: RunFolder) -> list[FrozenTrial]:
    """The running trials whose program has died, as far as this one can tell: those of its own folder's
    earlier process, and of other folders beside it on this machine.

    Call it before the first trial.
    """
    return [trial for trial in stale_trials(study) if _has_died(trial.user_attrs.get(attrs.OWNER), folder)]


def _has_died(owner: Mapping[str, Any] | None, folder: RunFolder) -> bool:
    here = owner_of(folder)
    if not owner or owner.get("host") != here["host"] or owner.get("root") != here["root"]:
        return False
    if owner.get("folder") == here["folder"]:
        return True
    other = folder.path.with_name(str(owner.get("folder")))
    return not is_run(other) or RunFolder(other).owner() is None


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]

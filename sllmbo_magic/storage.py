"""Runs on disk: list, find, rename, delete and steer them, and open the storage of their trials.

What one run's folder holds and who may write to it is in :mod:`sllmbo_magic.run_folder`.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import shutil
import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import control
from sllmbo_magic import keys
from sllmbo_magic.control import Wish
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.linked import latest
from sllmbo_magic.locks import JournalLock
from sllmbo_magic.run_folder import ROOT
from sllmbo_magic.run_folder import RunFolder
from sllmbo_magic.run_folder import check_name
from sllmbo_magic.run_folder import root_guard

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = [
    "RunFolder",
    "RunInfo",
    "check_fingerprint",
    "delete_run",
    "find_run",
    "list_runs",
    "open_storage",
    "rename_run",
    "requeue_stale",
    "send_wish",
    "stale_trials",
]


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs.

    Attributes:
        name: Name of its folder; an earlier run of NAME is NAME.1, NAME.2, ...
        status: ``"running (pid 123)"``, ``"interrupted"`` (also: its process died), ``"finished"``,
            ``"stopped"``, ``"failed"``, or ``"unreadable"``.
        n_done: Trials that ended, failed ones included, but not one that a crash cut off.
        n_trials: Trials asked for; None when not known.
        best: Best value so far, as the metric gives it; None without a complete trial.
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
    """The folder of a run by its name, or by its path; to read, no lock is taken.

    Raises:
        InputError: There is none; the closest names are named.
    """
    for path in (Path(ROOT if root is None else root) / name, Path(name)):
        if (path / "run.json").exists() or (path / "study.log").exists():
            return RunFolder(path)
    names = [folder.name for folder in _folders(root)]
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names[:20]) or 'no runs yet'}."
    raise InputError(f"there is no run {str(name)!r}.", hint)


def delete_run(name: str, root: str | Path | None = None) -> None:
    """Delete a run with all its files.

    Raises:
        InputError: There is none.
        RunLockedError: A living process runs it.
    """
    folder = find_run(check_name(name), root)
    with root_guard(folder.path.parent):
        folder.check_free()
        shutil.rmtree(folder.path)


def rename_run(name: str, new: str, root: str | Path | None = None) -> RunFolder:
    """Give a run another name.

    Raises:
        InputError: There is no such run, or the new name is taken or cannot be one.
        RunLockedError: A living process runs it.
    """
    folder = find_run(check_name(name), root)
    renamed = RunFolder(folder.path.with_name(check_name(new)))
    with root_guard(folder.path.parent):
        folder.check_free()
        if renamed.path.exists():
            raise InputError(f"there is already a run {new!r}.", "Choose another name, or delete it first.")
        folder.path.rename(renamed.path)
        renamed.write_meta({"name": new})
    return renamed


def send_wish(
    name_or_path: str | Path, wish_name: str, value: Any = None, root: str | Path | None = None
) -> Wish:
    """Steer a run of another process on this machine (or a shared disk) through its folder.

    Raises:
        InputError: There is no such run, or the wish is malformed (see ``control.check``).
        StorageError: Nothing runs it, so nobody would take the wish.
    """
    value = control.check(wish_name, value)
    folder = find_run(name_or_path, root)
    if folder.owner() is None:
        raise StorageError(f"run {folder.name!r} is not running.", "Go on with it by --resume.")
    return folder.append_wish(wish_name, value)


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


def _folders(root: str | Path | None) -> list[RunFolder]:
    path = ROOT if root is None else Path(root)
    if not path.is_dir():
        return []
    return [
        RunFolder(entry)
        for entry in sorted(path.iterdir())
        if (entry / "run.json").exists() or (entry / "study.log").exists()
    ]


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
    except (StorageError, ValueError, KeyError):
        # one broken run must not hide the others
        meta, n_done, best, status = {}, 0, None, "unreadable"
    owner = folder.owner()
    if owner is not None:
        status = f"running (pid {owner.pid})" if owner.local else f"running (pid {owner.pid} on {owner.host})"
    elif status in ("new", "running"):
        status = "interrupted"
    options = meta.get("options") or {}
    n_trials = options.get("n_trials")
    files = [path for path in (folder.run_path, folder.study_path) if path.exists()]
    return RunInfo(
        name=folder.name,
        status=status,
        n_done=n_done,
        n_trials=None if n_trials is None else int(n_trials),
        best=best,
        metric=str(meta.get("metric") or options.get("scoring") or ""),
        updated=max((path.stat().st_mtime for path in files), default=0.0),
        path=folder.path,
    )


def _progress(folder: RunFolder) -> tuple[int, float | None] | None:
    """Ended trials and best value read from the journal; None when the run keeps its trials elsewhere."""
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    from sllmbo_magic.history import counts

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
    values = [t.value for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    better = max if study.direction == StudyDirection.MAXIMIZE else min
    return n_done, better(values, default=None)


# ---- trials


def open_storage(spec: str | BaseStorage | None, folder: RunFolder | None = None) -> BaseStorage:
    """An Optuna storage from what ``optuna.create_study`` takes, and a little more.

    Args:
        spec: None: the journal in the run's folder, or memory without a folder. ``"memory"``;
            ``"journal:PATH"``; ``"grpc://HOST:PORT"`` (of ``optuna.storages.run_grpc_proxy_server``); a
            database URL such as ``"sqlite:///runs.db"``; an Optuna storage, which is returned as it is.
        folder: The run's folder.

    Raises:
        InputError: The text is none of these.
        MissingExtraError: A package that it needs is not installed.
        StorageError: It cannot be reached or opened.
    """
    from optuna.storages import InMemoryStorage
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if spec is None:
        return InMemoryStorage() if folder is None else folder.storage()
    if not isinstance(spec, str):
        return spec
    kind, colon, rest = spec.partition(":")
    if spec == "memory":
        return InMemoryStorage()
    if kind == "journal" and rest:
        path = os.path.expanduser(rest)
        try:
            return JournalStorage(JournalFileBackend(path, lock_obj=JournalLock(path)))
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(
                f"the journal {rest} cannot be opened ({type(error).__name__}).",
                "Name an Optuna journal, or a new file in an existing folder.",
            ) from error
    if kind == "grpc":
        return _grpc(spec)
    if colon and rest.startswith("//"):
        return _database(spec)
    raise InputError(
        f"storage {spec!r} is not known.",
        "Allowed: memory, journal:PATH, grpc://HOST:PORT, or a database URL such as sqlite:///runs.db.",
    )


def _grpc(spec: str) -> BaseStorage:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(spec)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InputError(f"storage {spec!r} has no host and port.", "Example: grpc://localhost:13000.")
    try:
        importlib.import_module("grpc")
        importlib.import_module("google.protobuf")
    except ImportError as error:
        raise MissingExtraError(
            "grpcio is not installed.", "Install it with: pip install grpcio protobuf"
        ) from error
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import GrpcStorageProxy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the user asked for it by name
        proxy = GrpcStorageProxy(host=host, port=port)
    try:
        proxy.wait_server_ready(timeout=10)
    except ConnectionError as error:
        proxy.close()
        raise StorageError(
            f"no storage server answers at {host}:{port}.",
            "Start one with optuna.storages.run_grpc_proxy_server, or check host and port.",
        ) from error
    return proxy


def _database(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    kind = url.partition(":")[0]
    try:
        return RDBStorage(url)
    except ImportError as error:
        raise MissingExtraError(
            f"the driver for {kind} is not installed.",
            "Install the one that the URL names, e.g. psycopg2-binary for postgresql.",
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        # the text of these errors may hold the URL, and the URL a password
        raise StorageError(
            f"the {kind} database of --storage cannot be opened ({type(error).__name__}).",
            "Check the URL; example: sqlite:///runs.db.",
        ) from error


def stale_trials(study: Study) -> list[FrozenTrial]:
    """Trials left RUNNING by a dead process; ask only as the owner of the run, before the first trial."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def requeue_stale(study: Study) -> list[FrozenTrial]:
    """End each stale trial as FAIL, category ``stopped``, and queue its parameters with their attributes.

    Returns:
        The trials that were stale, as found. One that had no parameters yet is ended and not queued.
    """
    from optuna.trial import Trial
    from optuna.trial import TrialState

    stale = stale_trials(study)
    for trial in stale:
        Trial(study, trial._trial_id).set_user_attr(keys.EVALUATION, {"error": keys.STOPPED})
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            attrs = {name: value for name, value in trial.user_attrs.items() if name != keys.EVALUATION}
            study.enqueue_trial(trial.params, user_attrs=attrs)
    return stale


def check_fingerprint(stored: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to go on with a run whose trials would not compare with new ones.

    Args:
        stored: Parts of the stored run (``data``, ``metric``, ``cv``, ``estimator``, ``options``), each with
            a value that changes when the part does.
        current: The same of the run that is asked for.

    Raises:
        RunChangedError: Parts differ; it names them.
    """
    differ = [part for part in {**stored, **current} if stored.get(part) != current.get(part)]
    if not differ:
        return
    parts = differ[0] if len(differ) == 1 else ", ".join(differ[:-1]) + " and " + differ[-1]
    verb = "is" if len(differ) == 1 and differ[0] != "options" else "are"
    raise RunChangedError(
        f"cannot resume: {parts} {verb} not the same as in the stored run.",
        "Restore what changed, or run without --resume to begin anew (the stored run is kept).",
    )

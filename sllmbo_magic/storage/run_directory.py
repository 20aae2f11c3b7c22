"""The folder of one run, ``.sllmbo/NAME/``: what outlasts the kernel, and which process may write.

::

    .sllmbo/
    ├── .gitignore            "*": runs are not committed by accident
    ├── NAME/
    │   ├── run.json          options, fingerprint, status, summary; always replaced as a whole
    │   ├── study.log         Optuna journal: every trial, on disk when it is told
    │   ├── transcript.jsonl  every exchange with an LLM
    │   ├── wishes.jsonl      commands from other kernels
    │   ├── owner.lock        locked by the process that runs it, for as long as it does
    │   └── owner.json        names that process, for messages
    └── NAME.1/               an earlier run of this name

Reading needs no lock. Writing is for the owner; an owner that died is noticed at once. Nothing but folders of
runs (:func:`is_run`) is ever moved, deleted or written to.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import control
from sllmbo_magic.control import Command
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.storage.journal_lines import cut_damaged_tail
from sllmbo_magic.storage.journal_lines import damaged
from sllmbo_magic.storage.locks import Owner
from sllmbo_magic.storage.locks import RunLock
from sllmbo_magic.storage.locks import cut_torn_tail
from sllmbo_magic.storage.run_paths import check_is_run
from sllmbo_magic.storage.run_paths import check_name
from sllmbo_magic.storage.run_paths import move_to_archive
from sllmbo_magic.storage.run_paths import prepare_root
from sllmbo_magic.storage.run_paths import root_guard
from sllmbo_magic.storage.run_paths import shared_journal

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_logger = logging.getLogger(__name__)


SCHEMA = 1
"""Version of run.json; a reader refuses a newer one."""


class RunFolder:
    """One run's folder. :meth:`open` makes or takes it; the constructor only looks at an existing one.

    ``run.json`` (see :meth:`write_meta`) holds: name, created and updated (seconds since the epoch), status
    (``new``, ``running``, ``finished``, ``stopped``, ``interrupted``, ``failed``), version (of this package),
    options (the arguments of ``tune``, with ``n_trials``), total (trials, extensions included), metric,
    direction, fingerprint, summary (as in ``events.RunFinished``) and schema.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()  # the notebook may change its folder during a run
        self.write_problem = ""
        """Why the folder cannot be written now; "" when it can be."""
        self.was_rewritten = False
        """Whether entries of the journal had to wait in memory and were written later."""
        self.damage = ""
        """What damage of the journal was mended when this object became the owner, in words; "" for none."""
        self.resumed = False
        """Whether :meth:`open` found a run to go on with."""
        self._lock = RunLock(self.path / "owner.lock", self.owner_path)

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.path.name

    @property
    def study_path(self) -> Path:
        """The Optuna journal."""
        return self.path / "study.log"

    @property
    def shared_study_path(self) -> Path:
        """The journal of a study that the run shares with others; it need not exist."""
        name = self.name
        with contextlib.suppress(StorageError):  # a run that cannot be read
            name = str(self.read_meta().get("study_name") or name)
        return shared_journal(self.path.parent, name)

    @property
    def transcript_path(self) -> Path:
        """The exchanges with an LLM."""
        return self.path / "transcript.jsonl"

    @property
    def run_path(self) -> Path:
        """What is known of the run as a whole."""
        return self.path / "run.json"

    @property
    def owner_path(self) -> Path:
        """The note that names the process that runs it."""
        return self.path / "owner.json"

    @property
    def commands_path(self) -> Path:
        """Commands from other kernels."""
        return self.path / "wishes.jsonl"  # the name in run folders since the first version

    @classmethod
    def open(
        cls,
        name: str,
        *,
        root: str | Path | None = None,
        resume: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Take the folder of a run and become its owner.

        Args:
            name: Name of the run: letters, digits, ``_``, ``-`` and ``.``.
            root: Folder of all runs; default ``.sllmbo`` in the working directory.
            resume: Go on with an existing run, if there is one. Otherwise an existing one is kept as
                ``NAME.1``, ``NAME.2``, ... (the highest number is the latest) and a new one begins.
            meta: First content of a *new* run's run.json; not used on going on.

        Raises:
            InputError: The name cannot be that of a folder, or something else has it.
            RunLockedError: A living process runs it.
            StorageError: The folder cannot be made.
        """
        check_name(name)
        root = prepare_root(root)
        folder = cls(root / name)
        with root_guard(root):
            exists = os.path.lexists(folder.path)
            if exists:
                check_is_run(folder.path)
                folder.check_free()
                if not resume:
                    move_to_archive(folder.path)
            folder.resumed = exists and resume
            folder.path.mkdir(exist_ok=True)
            folder._take()
        try:
            if not folder.resumed:
                start = {"name": name, "created": time.time(), "status": "new", **(meta or {})}
                folder.write_meta(start)
        except BaseException:
            folder.release()
            raise
        return folder

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    # ---- ownership

    def acquire(self) -> None:
        """Become the owner (again). Does nothing when this object already is.

        Raises:
            RunLockedError: A living process runs it.
        """
        if self._lock.held:
            return
        with root_guard(self.path.parent):
            self._take()

    def release(self) -> None:
        """Stop being the owner. Does nothing when this object is not."""
        self._lock.release()

    def restore(self, meta: Mapping[str, Any]) -> None:
        """Make the folder anew, with the lock and this content of run.json, if somebody has deleted it.

        Raises:
            OSError: It cannot be made; nothing is locked anew yet.
        """
        if not self._lock.is_deleted:
            return
        prepare_root(self.path.parent)
        self.path.mkdir(exist_ok=True)
        self.write_meta(meta)
        self._lock.release()
        self._lock.acquire()

    def owner(self) -> Owner | None:
        """The living process that runs it; None when the run is free."""
        return self._lock.owner()

    def check_free(self) -> None:
        """Raise RunLockedError when a living process runs it."""
        owner = self.owner()
        if owner is not None:
            raise self._locked_by(owner)

    def _locked_by(self, owner: Owner) -> RunLockedError:
        if owner.pid == os.getpid() and owner.local:
            owner_text = "this process"
        else:
            owner_text = f"process {owner.pid}" if owner.pid else "another process"
            owner_text += "" if owner.local else f" on {owner.host}"
        since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(owner.since)) if owner.since else ""
        return RunLockedError(
            f"run {self.name!r} is in use by {owner_text}{since}.",
            "Wait for it, stop it with %sllmbo stop, or choose another name.",
        )

    def _take(self) -> None:
        if not self._lock.acquire():
            raise self._locked_by(Owner.read(self.owner_path))
        # what a dead owner left: torn last lines, commands that were not taken, drafts of run.json
        had_trials = self.study_path.exists() and self.study_path.stat().st_size > 0
        for path in (self.study_path, self.transcript_path):
            cut_torn_tail(path)
        self.damage = cut_damaged_tail(self.study_path)
        if had_trials and not self.study_path.stat().st_size:
            self.damage = f"{self.study_path} held no whole entry, so nothing is left of its trials."
        for path in (self.commands_path, *self.path.glob("run.json.*")):
            path.unlink(missing_ok=True)

    # ---- run.json

    @property
    def has_begun(self) -> bool:
        """Whether a run has begun in it: one that is refused before its first event leaves no fingerprint."""
        return self.read_meta().get("status") != "new"

    def read_meta(self) -> dict[str, Any]:
        """What run.json holds; an empty dict when the run died before it was written.

        Raises:
            StorageError: It cannot be read, or a newer version of this package wrote it.
        """
        try:
            meta = json.loads(self.run_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{self.run_path} cannot be read ({type(error).__name__}).", "Restore it or delete the run."
            ) from error
        if not isinstance(meta, dict) or not isinstance(meta.get("schema"), int):
            raise StorageError(
                f"{self.run_path} is not a run of sllmbo_magic.", "Delete it or choose another name."
            )
        if meta["schema"] > SCHEMA:
            raise StorageError(
                f"{self.run_path} was written by sllmbo-magic {meta.get('version', 'of a later version')}.",
                "Update with: pip install -U sllmbo-magic",
            )
        return meta

    def write_meta(self, changes: Mapping[str, Any]) -> None:
        """Replace these keys of run.json and keep the others; a reader sees the old file or the new one.

        numpy scalars become numbers; NaN and infinities become null, so that any program can read the file.
        """
        meta = {**self.read_meta(), **changes, "schema": SCHEMA, "updated": time.time()}
        text = json.dumps(_plain(meta), ensure_ascii=False, indent=1, allow_nan=False)
        draft = self.run_path.with_name(f"run.json.{uuid.uuid4().hex}")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.run_path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(self.path)

    # ---- the study

    def storage(self) -> BaseStorage:
        """The run's trials as an Optuna storage. Reading takes no lock; each write takes a short one.

        Raises:
            StorageError: The journal is damaged.
        """
        from sllmbo_magic.storage.buffered_journal import BufferedJournal
        from sllmbo_magic.storage.run_storage import RunStorage

        try:
            return RunStorage(BufferedJournal(self.study_path, self.note_write_problem))
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
            # entries that lack something, or have it of another kind
            raise damaged(self.study_path, f"an entry is not complete ({type(error).__name__})") from error

    def note_write_problem(self, error: OSError | None) -> None:
        """Keep in words why the folder cannot be written; None: it can be again."""
        self.write_problem = "" if error is None else error.strerror or type(error).__name__
        self.was_rewritten = self.was_rewritten or error is None

    # ---- commands

    def append_command(self, name: str, value: Any = None) -> Command:
        """Leave a command for the owner, from any process.

        Raises:
            InputError: The command is malformed; nothing is written.
        """
        command = Command(name, control.check(name, value), id=uuid.uuid4().hex)
        line = json.dumps(
            {"name": command.name, "value": _plain(command.value), "id": command.id, "time": command.time}
        )
        # the line end in front closes a line that a killed writer left torn
        with self.commands_path.open("ab") as file:
            file.write(b"\n" + line.encode() + b"\n")
        return command

    def read_commands(self, offset: int = 0) -> tuple[list[Command], int]:
        """The commands written since an offset (bytes; 0 at first) and the offset to read from next.

        A line that is not complete yet is left for the next call; one that is no command is logged and
        skipped.
        """
        try:
            with self.commands_path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], 0
        except OSError:  # of a folder that is gone for now: the run goes on without it
            return [], offset
        complete = data[: data.rfind(b"\n") + 1]
        commands = []
        for line in complete.splitlines():
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                name = str(entry["name"])
                commands.append(
                    Command(name, control.check(name, entry["value"]), str(entry["id"]), float(entry["time"]))
                )
            except (ValueError, KeyError, TypeError) as error:
                _logger.warning("%s: a line that is no command was skipped: %s", self.commands_path, error)
        return commands, offset + len(complete)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(value: Any) -> Any:
    """The value as types of JSON."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item"):
        return _plain(value.item())
    return str(value)

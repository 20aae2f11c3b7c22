"""A run as one file and as its folder: study, events, transcript, report, the code of the winner.

A file holds no data, no estimator and no key. Its study is an Optuna journal, which any Optuna can read:
``JournalStorage(JournalFileBackend("study.log"))`` once it is unpacked.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import zipfile
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic._utils.atomic_write import user_path
from sllmbo_magic._utils.atomic_write import write_whole
from sllmbo_magic.errors import StorageError
from sllmbo_magic.events import Event
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import from_json
from sllmbo_magic.events import to_json
from sllmbo_magic.storage.runs import quiet_optuna
from sllmbo_magic.tuning.untold_events import end_of_the_dead
from sllmbo_magic.tuning.untold_events import from_study

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import BaseJournalBackend
    from optuna.study import Study

    from sllmbo_magic.storage.run_directory import RunFolder

_EVENTS, _STUDY, _CODE = "events.jsonl", "study.log", "code.json"
_OLD_STUDY = "study.json"
"""The study in files of version 0.1."""
_NO_TRIALS = "Its trials are lost, or in another storage: TuneResult.load(FOLDER, storage=...)."
_TRANSCRIPT, _REPORT = "transcript.jsonl", "report.html"


def write(
    path: str | Path,
    study: Study,
    events: Iterable[Event],
    bundle: dict[str, Any],
    *,
    code_parts: Mapping[str, Any],
    exchanges: Sequence[dict[str, Any]],
) -> Path:
    """Write a run into one zip file, whole or not at all; its path gets ``.zip`` if it has no suffix.

    Args:
        bundle: Schema 1, for the report; a package without its front end writes none.
        code_parts: What ``report.code`` needs.
        exchanges: What :func:`exchanges_of` gives; they go along, so that the file can be replayed.

    Raises:
        InputError: The path is a folder.
        StorageError: The file cannot be written.
    """
    from sllmbo_magic.report.html import render_report

    parts = {
        _EVENTS: "".join(json.dumps(to_json(e), default=str) + "\n" for e in events),
        _STUDY: _journal_of(study),
        _CODE: json.dumps(code_parts, default=str),
    }
    if exchanges:
        parts[_TRANSCRIPT] = "".join(json.dumps(r) + "\n" for r in exchanges)
    with contextlib.suppress(StorageError):  # a checkout whose front end is not built; the rest is complete
        parts[_REPORT] = render_report(bundle)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    path = user_path(path)
    is_path = path.suffix or path.is_dir()
    return write_whole(path if is_path else path.with_suffix(".zip"), buffer.getvalue())


def exchanges_of(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a replay needs of a transcript: its exchanges, and what they were about."""
    from sllmbo_magic.llm.transcript import BEGIN

    return [r for r in records if r.get("kind") == "exchange" or r.get("event") == BEGIN]


def exchanges_in(folder: Path) -> list[dict[str, Any]]:
    """The exchanges of a run's folder."""
    from sllmbo_magic.llm.transcript import read

    path = folder / _TRANSCRIPT
    return exchanges_of(read(path)) if path.exists() else []


@dataclass(frozen=True)
class StoredRun:
    """What a file of :func:`write`, or a run's folder, holds. The exchanges of a folder stay in it."""

    study: Study
    events: list[Event]
    code_parts: dict[str, Any]
    exchanges: list[dict[str, Any]] = field(default_factory=list)


def read(path: Path, storage: str | BaseStorage | None = None) -> StoredRun:
    """The run in a file of :func:`write`, or in a run's folder.

    Args:
        path: The file or the folder.
        storage: Where the trials of a folder are; None: in the folder, or where its run.json says.

    Raises:
        StorageError: There is no such run, or it cannot be read.
    """
    if path.is_dir():
        return _read_folder(path, storage)
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
            events = _events(_lines(file.read(_EVENTS)))
            code_parts = json.loads(file.read(_CODE))
            exchanges = list(_lines(file.read(_TRANSCRIPT))) if _TRANSCRIPT in names else []
            if _OLD_STUDY in names:
                study = _read_old_study(file.read(_OLD_STUDY).decode())
            else:
                study = _study_in(file.read(_STUDY).decode())
            return StoredRun(study, events, code_parts, exchanges)
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise StorageError(
            f"{path} is not a saved run ({type(error).__name__}).",
            "Give a file of result.save(), or a folder.",
        ) from None


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in data.splitlines() if line.strip())


def _read_folder(path: Path, given: str | BaseStorage | None) -> StoredRun:
    import optuna

    from sllmbo_magic.storage.run_directory import RunFolder
    from sllmbo_magic.storage.study_migration import current
    from sllmbo_magic.storage.study_migration import latest

    folder = RunFolder(path)
    meta = folder.read_meta()
    storage = _storage_of(folder, meta, given)
    studies = storage.get_all_studies()
    name = meta.get("study_name") or folder.name
    if name not in {study.study_name for study in studies}:
        # without its run.json a folder still has its trials; a storage of several runs tells no more
        own = latest(studies) if folder.study_path.exists() and "study_name" not in meta else None
        if own is None:
            raise StorageError(f"the storage of run {folder.name!r} has no study {name!r}.", _NO_TRIALS)
        name = own.study_name
    with quiet_optuna():
        study = current(optuna.load_study(study_name=name, storage=storage))
    if given is None and folder.study_path.exists():
        study = detached(study)  # another run may have this folder's name later, and its trials in this file
    events = stored_events(folder.transcript_path)
    if not any(isinstance(event, RunStarted) for event in events):
        events = from_study(study, meta, folder.name)
    if folder.owner() is None:
        events += end_of_the_dead(events)
    return StoredRun(study, events, meta.get("code") or {})


def _storage_of(folder: RunFolder, meta: Mapping[str, Any], given: str | BaseStorage | None) -> BaseStorage:
    """The storage that holds the trials of a folder's run.

    Raises:
        StorageError: It is not known, or not there.
    """
    from sllmbo_magic.storage.backends import open_storage
    from sllmbo_magic.storage.locations import is_there

    if given is not None:
        return open_storage(given)
    if folder.study_path.exists():
        return folder.storage()
    if folder.shared_study_path.exists():
        return open_storage(f"journal:{folder.shared_study_path}")
    noted = meta.get("storage")
    if isinstance(noted, str) and is_there(noted):
        return open_storage(noted)
    place = f" It keeps its trials in {noted}, which cannot be opened from here." if noted else ""
    hint = f'Name its storage, if it has one: TuneResult.load("{folder.path}", storage=...).'
    raise StorageError(f"{folder.path} holds no stored study.{place}", hint)


def folder_of(path: Path, events: Iterable[Event]) -> Path | None:
    """Where the folder of a run is now: it moves when its name is used again and when it is renamed.

    Args:
        path: Where it was.
        events: The run's events; their start tells it from another run of the same name.
    """
    start = next((e.time for e in events if isinstance(e, RunStarted)), None)
    neighbours = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    places = (place for place in (path, *neighbours) if (place / _TRANSCRIPT).is_file())
    return next((place for place in places if _start(place / _TRANSCRIPT) == start), None)


def _start(transcript: Path) -> float | None:
    """When the run of a transcript began; it is among the first of its lines."""
    with transcript.open("rb") as file:
        for line in itertools.islice(file, 20):
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if record.get("type") == "RunStarted":
                    return float(record["time"])
    return None


def stored_events(transcript: Path) -> list[Event]:
    """The events of a stored run; texts of requests and replies come from its exchanges."""
    from sllmbo_magic.llm.transcript import read

    if not transcript.exists():
        return []
    texts: dict[Any, tuple[str, str]] = {}
    records = [record for record in read(transcript) if isinstance(record, dict)]
    for record in records:
        if record.get("kind") == "exchange":
            messages = record.get("messages") or [{}]
            texts[record.get("id")] = (messages[-1].get("content") or "", record.get("reply") or "")
    return _events(
        record
        if record.get("type") not in ("RequestSent", "ReplyReceived")
        else {**record, "text": texts.get(record.get("request"), ("", ""))[record["type"] != "RequestSent"]}
        for record in records
        if record.get("kind") == "event"
    )


def _events(records: Iterable[dict[str, Any]]) -> list[Event]:
    """The events that can be read; one of a newer version may not be, and the others still tell the story."""
    events: list[Event] = []
    for record in records:
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            events.append(from_json(record))
    return events


def detached(study: Study) -> Study:
    """The same study in memory: it stays readable when its file is moved, as a run's is when its name is used
    again.
    """
    from optuna.storages import InMemoryStorage

    return _copy(study, InMemoryStorage())


def _copy(study: Study, storage: BaseStorage) -> Study:
    """The study in another storage: its trials with all that is known of them, queued ones too."""
    import optuna

    with quiet_optuna():
        optuna.copy_study(from_study_name=study.study_name, from_storage=study._storage, to_storage=storage)
        return optuna.load_study(study_name=study.study_name, storage=storage)


def _journal_of(study: Study) -> str:
    """The study as the lines of a journal file, without the task in words: a file may be given away."""
    from optuna.storages import JournalStorage

    journal = _memory_journal([])
    _copy(study, JournalStorage(journal))
    logs = (log for log in journal.read_logs(0) if attrs.DESCRIBED not in log.get("user_attr", ()))
    return "".join(json.dumps(log, default=_as_json) + "\n" for log in logs)


def _as_json(value: Any) -> Any:
    """What a study in memory may hold and a file may not: arrays as lists, NumPy's scalars, else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _study_in(lines: str) -> Study:
    """The study in the lines of a journal file, in memory."""
    import optuna
    from optuna.storages import JournalStorage

    storage = JournalStorage(_memory_journal([json.loads(line) for line in lines.splitlines()]))
    with quiet_optuna():
        return detached(optuna.load_study(study_name=None, storage=storage))


def _memory_journal(logs: list[dict[str, Any]]) -> BaseJournalBackend:
    """Optuna's journal on a list; the file backend would wait for the disk after every trial."""
    from optuna.storages.journal import BaseJournalBackend

    class MemoryJournal(BaseJournalBackend):
        def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
            return iter(logs[log_number_from:])

        def append_logs(self, more: list[dict[str, Any]]) -> None:
            logs.extend(more)

    return MemoryJournal()


def _read_old_study(text: str) -> Study:
    """The study in a file of version 0.1."""
    from datetime import datetime

    import optuna
    from optuna.distributions import json_to_distribution
    from optuna.trial import TrialState

    data = json.loads(text)
    with quiet_optuna():
        study = optuna.create_study(study_name=data["name"], directions=data["directions"])
    for name, value in data["user_attrs"].items():
        study.set_user_attr(name, value)
    for t in data["trials"]:
        trial = optuna.trial.create_trial(
            state=TrialState[t["state"]],
            values=t["values"],
            params=t["params"],
            distributions={n: json_to_distribution(d) for n, d in t["distributions"].items()},
            user_attrs=t["user_attrs"],
            intermediate_values={int(k): v for k, v in t.get("intermediate_values", {}).items()},
        )
        trial.datetime_start = datetime.fromisoformat(t["start"]) if t["start"] else None
        trial.datetime_complete = datetime.fromisoformat(t["complete"]) if t["complete"] else None
        study.add_trial(trial)
    return study

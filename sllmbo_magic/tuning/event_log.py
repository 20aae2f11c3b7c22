"""What a run writes down as it goes: its events, its transcript and run.json."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sllmbo_magic.errors import StorageError
from sllmbo_magic.events import CheckProgress
from sllmbo_magic.events import Event
from sllmbo_magic.events import FoldFinished
from sllmbo_magic.events import Note
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import RequestSent
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import Sink
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import WishApplied
from sllmbo_magic.events import to_json
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.report.code import parts_of
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.task.description import model_text
from sllmbo_magic.task.display_metric import is_negated
from sllmbo_magic.tuning.archive import stored_events
from sllmbo_magic.tuning.captured_values import captured_values
from sllmbo_magic.tuning.plan import Plan

_log = logging.getLogger(__name__)


class Record:
    """The events of a run: kept, written to the transcript, and passed to the sinks.

    Args:
        plan: What is run.
        folder: Where it is kept; None keeps it in memory.
        sinks: Take the events.
        resumed: Whether to go on with the events that the folder holds.
        own_journal: Whether the folder also holds the trials.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder | None,
        sinks: tuple[Sink, ...],
        resumed: bool,
        *,
        own_journal: bool = True,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self._own_journal = own_journal
        self.sinks = sinks
        self.transcript = Transcript(
            None if folder is None else folder.transcript_path, report=self._note_problem
        )
        self.events: list[Event] = []
        if resumed and folder is not None:
            self.events = stored_events(folder.transcript_path)
        self._lock = threading.Lock()
        self._has_said_problem = False
        self._start: dict[str, Any] = {}

    def emit(self, event: Event) -> None:
        """Keep, store and show an event; never two at once, and a sink that raises is dropped."""
        with self._lock:
            earlier = tuple(self.events) if isinstance(event, RunStarted) else ()
            if not isinstance(event, FoldFinished | CheckProgress):
                self._keep(event)
            if isinstance(event, WishApplied) and event.wish == "extend":
                self._write_total(int(event.value))
            self._show(replace(event, earlier=earlier) if isinstance(event, RunStarted) else event)
            note = self._about_writing()
            if note is not None:
                self._keep(note)
                self._show(note)

    def remember(self, events: Iterable[Event]) -> None:
        """Keep and store what happened before the run; the views get it with the run's first event."""
        with self._lock:
            for event in events:
                self._keep(event)

    @property
    def shown_trials(self) -> set[int]:
        """Numbers of the trials whose end an event of the run has shown."""
        return {event.number for event in self.events if isinstance(event, TrialFinished)}

    def _keep(self, event: Event) -> None:
        if self.folder is not None and self._start:
            try:
                self.folder.restore({**self._start, "status": "running"})
            except (OSError, StorageError):
                _log.debug("the run's folder cannot be made anew", exc_info=True)  # the transcript says why
        self.events.append(event)
        self.transcript.note(_transcript_record(event))

    def _show(self, event: Event) -> None:
        for sink in self.sinks:
            try:
                sink(event)
            except Exception:  # noqa: BLE001 - a view must never end a run
                _log.exception("a view of the run failed; it is not shown any more")
                self.sinks = tuple(s for s in self.sinks if s is not sink)

    def _note_problem(self, error: OSError | None) -> None:
        if self.folder is not None:
            self.folder.note_write_problem(error)

    def _about_writing(self) -> Note | None:
        """What to say when the run's folder cannot be written any more, or can be again."""
        folder = self.folder
        if folder is None:
            return None
        if folder.write_problem and not self._has_said_problem:
            self._has_said_problem = True
            text = f"{folder.path} cannot be written ({folder.write_problem})"
            if self._own_journal:
                return Note(text=f"{text}: trials wait in memory until it can be.", level="warning")
            what = "chat and events, not the trials, which the storage keeps,"
            return Note(text=f"{text}: {what} wait in memory until it can be.", level="warning")
        is_whole = not self._own_journal or folder.study_path.exists()  # else the next trial writes it
        if folder.was_rewritten and not folder.write_problem and is_whole:
            folder.was_rewritten = self._has_said_problem = False
            what = "all trials" if self._own_journal else "chat and events"
            text = f"{folder.path} was deleted or could not be written; {what} are stored there again."
            return Note(text=text, level="warning")
        return None

    def about(self, taken: str, n_done: int) -> dict[str, Any]:
        """The run in a few fields, for ``RunStarted``."""
        s, task = self.plan.settings, self.plan.task
        return {
            "name": task.name,
            "estimator": self.plan.description.estimator if task.estimator is not None else task.scorer_name,
            "model": task.scorer_name if task.estimator is None else model_text(task.estimator),
            "metric": task.scorer_name,
            "negated": is_negated(task.scoring),
            "direction": ", ".join(task.directions or [task.direction]),
            "n_trials": s.n_trials,
            "n_done": n_done,
            "sampler": s.sampler_name,
            "llm": s.llm_id,
            "llm_ratio": s.llm_ratio,
            "schedule": s.schedule,
            "seed": s.seed,
            "n_folds": task.n_folds,
            "n_rows": self.plan.description.n_rows,
            "n_columns": self.plan.description.n_columns,
            "description": task.description,
            "path": None if self.folder is None else self.folder.path.name,
            "taken": taken,
        }

    def write_start(self, study_name: str, storage: str | None = None) -> None:
        """Write to run.json what is known before the first trial.

        Args:
            study_name: Name of the study.
            storage: Where its trials are; None: in the folder, or in an object of the program's.
        """
        if self.folder is None:
            return
        s, task = self.plan.settings, self.plan.task
        values = {k: getattr(s, k) for k in s.names() if k not in ("sampler", "llm")}
        options = {
            k: v if isinstance(v, str | int | float | bool) or v is None else str(type(v).__name__)
            for k, v in values.items()
        }
        self._start = {
            "name": self.folder.name,
            "created": self.folder.read_meta().get("created"),
            "options": options | {"sampler": s.sampler_name, "llm": s.llm_id, "pruner": s.pruner_name},
            "total": s.n_trials,
            "seed": s.seed,
            "study_name": study_name,
            **({} if storage is None else {"storage": storage}),
            "metric": task.scorer_name,
            "direction": ", ".join(task.directions or [task.direction]),
            "fingerprint": self.plan.fingerprint(),
            "described": self.plan.described(),
            "captured": captured_values(task.objective, task.scoring),
            "code": self.code_parts(),
        }
        self.folder.write_meta({**self._start, "status": "running"})

    def _write_total(self, more: int) -> None:
        """Write to run.json that the user has extended the run: its options stay what was asked for."""
        if self.folder is None or "total" not in self._start:
            return
        self._start["total"] += more
        self._write_meta({"total": self._start["total"]})

    def write_end(self, status: str, summary: dict[str, Any]) -> None:
        """Write to run.json how the run ended."""
        self._write_meta({**self._start, "status": status, "summary": summary})

    def _write_meta(self, changes: dict[str, Any]) -> None:
        """Write to run.json; trouble with it ends no run."""
        if self.folder is None:
            return
        try:
            self.folder.write_meta(changes)
        except OSError as error:
            self._note_problem(error)
        except StorageError:
            _log.warning("%s is left as it is", self.folder.run_path, exc_info=True)

    def code_parts(self) -> dict[str, Any]:
        """What ``TuneResult.code`` needs of the estimator."""
        estimator = self.plan.task.estimator
        return {} if estimator is None else parts_of(estimator, seeded=True)


def _transcript_record(event: Event) -> dict[str, Any]:
    """An event as the transcript keeps it; texts of requests and replies stand in the exchanges already."""
    data = to_json(event)
    if isinstance(event, RequestSent | ReplyReceived):
        data.pop("text")
        data.setdefault("text", "")
    return data

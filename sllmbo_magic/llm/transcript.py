"""Every exchange with an LLM, one JSON object per line, on disk before the reply is used.

A line is ``{"kind": "exchange", "id": 0, ...}`` (see :meth:`Transcript.exchange`) or ``{"kind": "event",
...}`` (whatever :meth:`Transcript.note` was given). The file is append-only and each line is flushed to the
disk, so that a killed process loses at most the line it was writing; a torn line is skipped on reading. Keys
are redacted on writing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sllmbo_magic import __version__
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import RunIdentity
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.redact import redactor

BEGIN = "begin"
"""Event of the record that says for what run the exchanges after it were recorded."""


def schema_id(schema: dict[str, Any] | None) -> str | None:
    """A short fingerprint of a schema; None for None."""
    if schema is None:
        return None
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()[:16]


class Transcript:
    """The exchanges of one run, in a file or in memory. Safe to use from several threads.

    Args:
        path: The JSONL file; its folder must exist. An existing file is continued: numbers go on from its
            last. None keeps the records in memory only.
        report: Called with the error when a record cannot be written, and with None when those that waited
            are written, or all of them anew, since the file was deleted or cut; None: the error is raised.

    Raises:
        StorageError: The file cannot be read or written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        report: Callable[[OSError | None], None] | None = None,
    ) -> None:
        self._report = report
        self.path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._data = bytearray()
        """All lines: a file that is deleted while the run goes on is written anew from them."""
        if self.path is not None:
            try:
                _mend(self.path)
                self.path.open("ab").close()
                self._data += self.path.read_bytes()
            except OSError as error:
                raise _unwritable(self.path, error) from None
        self._n_written = len(self._data)
        """The bytes of them that were written to the file."""
        self._next = max((r["id"] for r in self if r["kind"] == "exchange"), default=-1) + 1

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_report": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        if self.path is not None:  # the file may have grown since
            self.__dict__.update(Transcript(self.path).__dict__)

    @property
    def next_id(self) -> int:
        """The number that the next exchange will get."""
        with self._lock:
            return self._next

    def reserve(self) -> int:
        """Take the next number for an exchange that is about to begin."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        return number

    def exchange(
        self,
        request: Request,
        outcome: Completion | ProviderError,
        *,
        provider: str,
        seconds: float,
        retries: int = 0,
        id: int | None = None,
        charged: dict[str, Any] | None = None,
    ) -> int:
        """Write one exchange; on disk when this returns.

        Args:
            request: What was asked.
            outcome: The reply, or the error that came instead.
            provider: The provider's id.
            seconds: Wall time, retries included.
            retries: How often the request was sent again.
            id: A number from :meth:`reserve`; None takes the next.
            charged: What counted against the budget (requests, tokens, money); None if nothing did.

        Returns:
            The exchange's number.
        """
        number = self.reserve() if id is None else id
        reply, model, error = None, "", None
        if isinstance(outcome, Completion):
            reply, model = outcome.text, outcome.model
        else:
            error = {"type": type(outcome).__name__, "category": outcome.category}
            error |= {"message": outcome.message, "hint": outcome.hint}
        record = {
            "kind": "exchange",
            "id": number,
            "time": time.time(),
            "purpose": request.purpose,
            "trial_number": request.trial_number,
            "version": __version__,
            "provider": provider,
            "model": model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "schema": schema_id(request.schema),
            "max_output_tokens": request.max_output_tokens,
            "volatile": list(request.volatile),
            "reply": reply,
            "usage": asdict(outcome.usage) if isinstance(outcome.usage, Usage) else None,
            "seconds": round(seconds, 4),
            "retries": retries,
            "charged": charged,
            "error": error,
        }
        self._write(record)
        return number

    def begin(self, run: RunIdentity) -> None:
        """Note the run whose exchanges follow, for a replay to compare itself with."""
        about = {"fingerprint": dict(run.fingerprint), "options": dict(run.options)}
        self.note({"event": BEGIN, **about})

    def note(self, record: dict[str, Any]) -> None:
        """Write any other JSON-able record as ``{"kind": "event", ...}``."""
        self._write({**record, "kind": "event"})

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps(_clean(record, redactor()), ensure_ascii=True, allow_nan=True, default=str)
        with self._lock:
            waited = self._n_written < len(self._data)
            self._data += f"{line}\n".encode()
            if self.path is None:
                self._n_written = len(self._data)
                return
            is_cut = not self._is_whole(self.path)
            start = 0 if is_cut else self._n_written
            try:  # opened for each line: an open file would stand in the way of renaming the run's folder
                with self.path.open("wb" if is_cut else "ab") as file:
                    file.write(self._data[start:])
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:  # it waits for the next line
                with contextlib.suppress(OSError):  # a full disk takes a part of it
                    os.truncate(self.path, start)
                if self._report is None:
                    raise _unwritable(self.path, error) from None
                self._report(error)
                return
            self._n_written = len(self._data)
        if (waited or is_cut) and self._report is not None:
            self._report(None)

    def _is_whole(self, path: Path) -> bool:
        """Whether the file has what was written to it."""
        try:
            return path.stat().st_size >= self._n_written
        except OSError:
            return False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All records so far, oldest first."""
        with self._lock:
            data = bytes(self._data)
        return parse(data)

    def exchanges(self) -> list[dict[str, Any]]:
        """The exchanges among the records, in the order of their numbers."""
        return sorted((r for r in self if r["kind"] == "exchange"), key=lambda r: int(r["id"]))


def was_sent(exchange: Mapping[str, Any]) -> bool:
    """Whether a recorded request was made; False where the budget refused it before anything was sent."""
    refused_by_budget = (exchange.get("error") or {}).get("category") == "budget"
    return not refused_by_budget or bool(exchange.get("charged"))


def read(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The records of a transcript file, oldest first; lines that are no record (torn by a kill) are skipped.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StorageError(f"the transcript {path} cannot be read: {error.strerror}.") from None
    return parse(data)


def parse(data: bytes) -> Iterator[dict[str, Any]]:
    """The records in the bytes of a transcript; see :func:`read`."""
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("kind") in ("exchange", "event"):
            yield record


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the transcript {path} cannot be written: {error.strerror}.",
        "Check that its folder is there and has space left, then resume the run.",
    )


def _clean(value: Any, redact: Callable[[str], str]) -> Any:
    """The value with every string redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {str(k): _clean(v, redact) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v, redact) for v in value]
    return value


def _mend(path: Path) -> None:
    """Make the file end in a complete line, so that the next record does not continue a torn one."""
    if not path.exists():
        return
    data = path.read_bytes()
    if not data or data.endswith(b"\n"):
        return
    keep = data.rfind(b"\n") + 1
    try:
        json.loads(data[keep:])
    except ValueError:
        with path.open("r+b") as file:
            file.truncate(keep)
    else:
        with path.open("ab") as file:
            file.write(b"\n")

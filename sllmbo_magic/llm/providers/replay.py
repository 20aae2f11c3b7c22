"""A recorded run's answers again: no key, no network.

Answers come in their recorded order, separately for each purpose. Recorded failures are raised again, so that
the fallbacks repeat too; requests that the user cut short are left out.

A recording of the same version of this package is compared request by request, message by message; what both
runs declare volatile (timings) may differ. A difference means that data, code or options have changed: from
there on every request raises :class:`ReplayMismatchError`, or goes to a live provider if there is one. A
recording of another version is not compared so, since its prompts may have changed: its answers are used as
they come, as long as task, data and options are the same by the fingerprint in the recording (in older ones,
by what they say of the run). ``strict`` compares every request whatever the version.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import deque
from collections.abc import Iterable
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sllmbo_magic import __version__
from sllmbo_magic import errors
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import RunIdentity
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.llm.retry import CANCELLED
from sllmbo_magic.llm.transcript import BEGIN
from sllmbo_magic.llm.transcript import parse
from sllmbo_magic.llm.transcript import schema_id
from sllmbo_magic.llm.transcript import was_sent

FILE_NAME = "transcript.jsonl"
_EVENTS = "events.jsonl"
"""In a saved result, the events stand apart from the exchanges."""


class ReplayProvider(BaseProvider):
    """Answers from a transcript.

    The file is read when the provider is made, so that a run may replay a folder that it is about to replace.

    Args:
        path: A run's name (a folder in ``runs``), a run's folder, a transcript, or a saved result (zip).
        then: Answers from the first difference on, also when the transcript is used up (``RecordingProvider``
            makes the change); None: those are errors.
        strict: Whether a recording of another version is compared request by request, too.
        runs: Where runs are kept.

    Raises:
        InputError: There is no transcript at the path, or it holds no exchange.
    """

    remote = False
    free = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        then: BaseProvider | None = None,
        *,
        strict: bool = False,
        runs: str | os.PathLike[str] = ".sllmbo",
    ) -> None:
        self.id = f"replay:{os.fspath(path)}"
        self.then = then
        self._difference: str | None = None
        self._answers: dict[str, deque[dict[str, Any]]] = {}
        self._records = _read(_find(Path(path), Path(runs)))
        exchanges = [r for r in self._records if r["kind"] == "exchange"]
        if not exchanges:
            raise InputError(f"{path} holds no exchange with an LLM.", "Replay needs a run that asked one.")
        for record in sorted(exchanges, key=lambda r: int(r["id"])):
            if (record.get("error") or {}).get("category") != CANCELLED:
                self._answers.setdefault(str(record["purpose"]), deque()).append(record)
        versions = {str(r.get("version") or "") for r in exchanges}
        self._in_order = not strict and versions != {__version__}
        if self._in_order:
            names = " and ".join(f"version {v}" if v else "an older version" for v in sorted(versions))
            self.notice = (
                f"The recording is of {names}, and this is version {__version__}: prompts have changed since."
                " The recorded answers are used in their order."
            )

    def begin_run(self, run: RunIdentity) -> None:
        """Compare what the recording was made for with the run that is about to begin.

        Raises:
            InputError: Task, data or options differ, and there is no provider to go on with.
        """
        if not self._in_order:
            return
        differences = list(_differences(self._records, run))
        if differences and self.then is None:
            raise InputError(
                f"the recorded run differs from this one: {'; '.join(differences)}.",
                "Use the same data and options, or go on live with replay:PATH?then=PROVIDER:MODEL",
            )
        if differences:
            self._difference = "; ".join(differences)

    def check_budget(self, request: Request) -> None:
        """Raise the BudgetExceededError of the recorded run, where its budget refused this request."""
        answers = self._answers.get(request.purpose)
        if self._difference is None and answers and not was_sent(answers[0]):
            _answer(answers.popleft())

    def complete(self, request: Request) -> Completion:
        """The recorded answer to the next request of this purpose.

        Raises:
            ReplayMismatchError: The request differs from the recorded one; the message says where. So does
                every later request.
            ProviderError: The recorded request had failed so.
        """
        answers = self._answers.get(request.purpose)
        if self._in_order and not answers and request.purpose == "repair" and self._difference is None:
            # the recorded run needed no repair here, and the next answer may do
            raise ReplyError("the recording holds no repair of this answer.", category="skipped")
        if self._difference is None and not answers:
            self._difference = f"it holds no further answer to a {request.purpose!r} request"
        if self._difference is None and answers and not self._in_order:
            self._difference = difference(answers[0], request)
        if self._difference is None and answers:
            return _answer(answers.popleft())
        at = "" if request.trial_number is None else f" at trial {request.trial_number}"
        raise ReplayMismatchError(
            f"the transcript does not fit{at}: {self._difference}.",
            "Use the same data, code and options, or go on live with replay:PATH?then=PROVIDER:MODEL.",
            category="replay-mismatch",
        )


# Whether a recording is of the same task, data and options

_OPTIONS = ("n_trials", "sampler", "schedule", "llm_ratio", "seed")
"""The run as its first event describes it, for recordings without a fingerprint."""


def _differences(records: list[dict[str, Any]], run: RunIdentity) -> Iterator[str]:
    """What differs between a recorded run and a new one, in words."""
    begins = [r for r in records if r.get("event") == BEGIN]
    if begins:
        recorded = begins[-1]
        for name, value in run.fingerprint.items():
            if recorded.get("fingerprint", {}).get(name, value) != value:
                yield f"the {name} differs" if name != "data" else "the data differ"
        options = recorded.get("options", {})
    else:
        started: dict[str, Any] = next((r["run"] for r in records if r.get("type") == "RunStarted"), {})
        for name, value in run.names.items():
            if started.get(name, value) != value:
                yield f"the {name} was {one_line(started[name], 60)}, now {one_line(value, 60)}"
        yield from _different_numbers(records, run.task)
        options = {name: str(started[name]) for name in _OPTIONS if name in started}
    for name, value in run.options.items():
        before = options.get(name, value)
        if before != value:
            yield f"{name} was {one_line(before, 60)}, now {one_line(value, 60)}"


def _different_numbers(records: list[dict[str, Any]], task: str) -> Iterator[str]:
    """Differences in the numbers that the first prompt gives of the data (rows, columns, shares)."""
    first = next(r for r in records if r["kind"] == "exchange")
    prompt = first["messages"][-1]["content"] if first["purpose"] == "initialize" else ""
    # Of the data, rows and columns come first; what follows is worded by the version.
    for label, first_numbers in (("Data", 2), ("Classes", None)):
        before, now = _line(prompt, label), _line(task, label)
        if before and now and _numbers(before)[:first_numbers] != _numbers(now)[:first_numbers]:
            yield f"the line {label!r} was {before!r}, now {now!r}"


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", text)


def _line(text: str, label: str) -> str:
    """What follows a label at the beginning of a line; "" if there is no such line."""
    match = re.search(rf"^{label}: (.*)$", text, re.MULTILINE)
    return match.group(1) if match else ""


# Whether a request is the recorded one


def difference(record: dict[str, Any], request: Request) -> str | None:
    """What differs between a recorded request and a new one, in words; None if nothing does."""
    was = record["messages"]
    exchange_text = f"exchange {record['id']}"
    if len(was) != len(request.messages):
        return f"{exchange_text} had {len(was)} messages, now there are {len(request.messages)}"
    for number, (old, new) in enumerate(zip(was, request.messages, strict=True)):
        text = redact(new.content)
        if old["role"] == new.role and _same(
            old["content"], record.get("volatile", ()), text, request.volatile
        ):
            continue
        if old["role"] != new.role:
            return f"message {number} of {exchange_text} was of {old['role']}, now of {new.role}"
        lines = zip_longest(old["content"].splitlines(), text.splitlines(), fillvalue="(nothing)")
        for at, (a, b) in enumerate(lines, 1):
            if not _same(a, record.get("volatile", ()), b, request.volatile):
                a, b = _around_difference(a, b)
                return f"line {at} of message {number} ({new.role}) of {exchange_text} was {a!r}, now {b!r}"
    if record.get("schema") != schema_id(request.schema):
        return f"{exchange_text} asked for another JSON schema"
    return None


def _same(old: str, old_volatile: Iterable[str], new: str, new_volatile: Iterable[str]) -> bool:
    """Whether two texts agree but for their volatile parts.

    First with those parts masked; if a part also occurs elsewhere by chance (0.3 seconds, and a parameter of
    0.3), that masks too much in one of the texts, and the words are compared one by one instead.
    """
    if old == new or _masked(old, old_volatile) == _masked(new, new_volatile):
        return True
    old_words, new_words = _WORD.findall(old), _WORD.findall(new)
    if len(old_words) != len(new_words):
        return False
    old_free = {w for part in old_volatile for w in _WORD.findall(part)}
    new_free = {w for part in new_volatile for w in _WORD.findall(part)}
    return all(a == b or (a in old_free and b in new_free) for a, b in zip(old_words, new_words, strict=True))


_WORD = re.compile(r"[\w.+-]+|[^\w\s]|\s+")


def _masked(text: str, volatile: Iterable[str]) -> str:
    for part in sorted((p for p in volatile if p), key=len, reverse=True):
        text = text.replace(part, "\0")
    return text


def _around_difference(old: str, new: str, width: int = 60) -> tuple[str, str]:
    """The two lines, shortened around their first difference."""
    first = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    start = max(0, first - width // 3) if max(len(old), len(new)) > width else 0

    def cut(line: str) -> str:
        end = start + width
        return ("…" if start else "") + line[start:end] + ("…" if len(line) > end else "")

    return cut(old), cut(new)


def _answer(record: dict[str, Any]) -> Completion:
    failed = record.get("error")
    if failed:
        cls = getattr(errors, str(failed["type"]), ProviderError)
        if not (isinstance(cls, type) and issubclass(cls, ProviderError)):
            cls = ProviderError
        raise cls(failed["message"], failed["hint"], category=failed["category"])
    return Completion(
        text=record["reply"],
        usage=Usage(**(record.get("usage") or {})),
        model=record.get("model", ""),
        seconds=record.get("seconds", 0.0),
        retries=record.get("retries", 0),
    )


# Files


def _find(path: Path, runs: Path) -> Path:
    """The path, or the folder of the run that has it as its name."""
    named = runs / path
    is_name = len(path.parts) == 1 and (named / FILE_NAME).is_file()
    has_transcript = path.is_file() or (path / FILE_NAME).is_file()
    return named if is_name and not has_transcript else path


def _read(path: Path) -> list[dict[str, Any]]:
    """The records of a recording, the events of a saved result among them."""
    hint = f"Give the name of a run, its folder, its {FILE_NAME}, or a file written by result.save()."
    try:
        if path.is_dir():
            path = path / FILE_NAME
        if not zipfile.is_zipfile(path):
            return list(parse(path.read_bytes()))
        with zipfile.ZipFile(path) as bundle:
            names = {n.rpartition("/")[2]: n for n in bundle.namelist()}
            if FILE_NAME not in names:
                raise InputError(f"{path} holds no {FILE_NAME}.", hint)
            records = list(parse(bundle.read(names[FILE_NAME])))
            if _EVENTS in names:
                lines = bundle.read(names[_EVENTS]).splitlines()
                records += [{**json.loads(line), "kind": "event"} for line in lines[:1]]
            return records
    except FileNotFoundError:
        raise InputError(f"no recorded run at {path}.", hint) from None
    except OSError as error:
        raise InputError(f"the recorded run {path} cannot be read: {error.strerror}.", hint) from None

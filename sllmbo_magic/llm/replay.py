"""A recorded run's answers again: no key, no network, the same trials.

Answers come in their recorded order, separately for each purpose. Before one is given, the request is
compared with the recorded one, message by message; what both runs declare volatile (timings) may differ. A
difference means that data, code or options have changed: from there on every request raises
:class:`ReplayMismatchError`, or goes to a live provider if there is one. Recorded failures are raised again,
so that the fallbacks repeat too; requests that the user cut short are left out.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections import deque
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sllmbo_magic import errors
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.llm.sending import CANCELLED
from sllmbo_magic.llm.transcript import parse
from sllmbo_magic.llm.transcript import schema_id

FILE_NAME = "transcript.jsonl"


class ReplayProvider:
    """Answers from a transcript.

    The file is read when the provider is made, so that a run may replay a folder that it is about to replace.

    Args:
        path: A transcript, a run's folder, or a saved result (zip); both hold ``transcript.jsonl``.
        then: Answers from the first difference on, also when the transcript is used up (``RecordingProvider``
            makes the change); None: those are errors.

    Raises:
        InputError: There is no transcript at the path, or it holds no exchange.
    """

    remote = False
    free = True

    def __init__(self, path: str | os.PathLike[str], then: Provider | None = None) -> None:
        self.id = f"replay:{os.fspath(path)}"
        self.then = then
        self._difference: str | None = None
        self._answers: dict[str, deque[dict[str, Any]]] = {}
        exchanges = [r for r in _read(Path(path)) if r["kind"] == "exchange"]
        if not exchanges:
            raise InputError(f"{path} holds no exchange with an LLM.", "Replay needs a run that asked one.")
        for record in sorted(exchanges, key=lambda r: int(r["id"])):
            if (record.get("error") or {}).get("category") != CANCELLED:
                self._answers.setdefault(str(record["purpose"]), deque()).append(record)

    def complete(self, request: Request) -> Completion:
        """The recorded answer to the next request of this purpose.

        Raises:
            ReplayMismatchError: The request differs from the recorded one; the message says where. So does
                every later request.
            ProviderError: The recorded request had failed so.
        """
        waiting = self._answers.get(request.purpose)
        if self._difference is None and not waiting:
            self._difference = f"it holds no further answer to a {request.purpose!r} request"
        if self._difference is None and waiting:
            self._difference = difference(waiting[0], request)
        if self._difference is None and waiting:
            return _answer(waiting.popleft())
        at = "" if request.trial_number is None else f" at trial {request.trial_number}"
        raise ReplayMismatchError(
            f"the transcript does not fit{at}: {self._difference}.",
            "Use the same data, code and options, or go on live with replay:PATH?then=PROVIDER:MODEL.",
            category="replay-mismatch",
        )


def difference(record: dict[str, Any], request: Request) -> str | None:
    """What differs between a recorded request and a new one, in words; None if nothing does."""
    was = record["messages"]
    where = f"exchange {record['id']}"
    if len(was) != len(request.messages):
        return f"{where} had {len(was)} messages, now there are {len(request.messages)}"
    for number, (old, new) in enumerate(zip(was, request.messages, strict=True)):
        text = redact(new.content)
        if old["role"] == new.role and _same(
            old["content"], record.get("volatile", ()), text, request.volatile
        ):
            continue
        if old["role"] != new.role:
            return f"message {number} of {where} was of {old['role']}, now of {new.role}"
        lines = zip_longest(old["content"].splitlines(), text.splitlines(), fillvalue="(nothing)")
        for at, (a, b) in enumerate(lines, 1):
            if not _same(a, record.get("volatile", ()), b, request.volatile):
                a, b = _around_difference(a, b)
                return f"line {at} of message {number} ({new.role}) of {where} was {a!r}, now {b!r}"
    if record.get("schema") != schema_id(request.schema):
        return f"{where} asked for another JSON schema"
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


def _read(path: Path) -> list[dict[str, Any]]:
    hint = f"Give a run's folder, its {FILE_NAME}, or a file written by result.save()."
    try:
        if path.is_dir():
            path = path / FILE_NAME
        if not zipfile.is_zipfile(path):
            return list(parse(path.read_bytes()))
        with zipfile.ZipFile(path) as bundle:
            names = [n for n in bundle.namelist() if n.rpartition("/")[2] == FILE_NAME]
            if not names:
                raise InputError(f"{path} holds no {FILE_NAME}.", hint)
            return list(parse(bundle.read(names[0])))
    except FileNotFoundError:
        raise InputError(f"no recorded run at {path}.", hint) from None
    except OSError as error:
        raise InputError(f"the recorded run {path} cannot be read: {error.strerror}.", hint) from None

"""The user's commands to a run that goes on: pause, stop, sampler, ratio, hint, range, lock, enqueue, extend.

A command comes from any thread (a widget's callback, a line magic, another kernel through the run's folder)
and is only recorded; the thread that runs the trials takes it before the next trial. Nothing here touches a
study.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.errors import InputError

SAMPLER_MODES = ("llm", "llm-tpe", "tpe")
NO_HINTS = "The rulebook reads no hints: change a range instead, or give an LLM by --llm."
_ids = itertools.count(1)


@dataclass(frozen=True)
class Command:
    """One command: ``name`` is one of :data:`COMMANDS`, ``value`` what belongs to it (see :func:`check`)."""

    name: str
    value: Any = None
    id: str = field(default_factory=lambda: f"w{next(_ids)}")
    time: float = field(default_factory=time.time)


def check(name: str, value: Any) -> Any:
    """The value of a command in its normal form.

    ========  =====================================================================
    command   value
    ========  =====================================================================
    pause, resume, stop   None
    sampler   ``"llm"``, ``"llm-tpe"`` or ``"tpe"`` (the base sampler alone)
    ratio     share of the LLM, 0 to 1
    hint      words, at most 500 characters
    range     ``{"param": str, "low": float, "high": float}`` or ``{"param": str, "choices": [...]}``
    lock, unlock          a parameter's name
    enqueue   a configuration: dict of parameter names to values
    dequeue   a configuration that was enqueued and has not begun
    note      ``{"trial": int, "star": bool, "text": str}``: a mark and words (500 characters) on a trial;
              without ``star`` or ``text`` that one stays as it is
    extend    a number of further trials, at least 1
    ========  =====================================================================

    Raises:
        InputError: The command or its value is not one of these.
    """
    parse = _PARSERS.get(name)
    if parse is None:
        raise InputError(f"unknown command {name!r}.", f"Allowed: {', '.join(COMMANDS)}.")
    return parse(name, value)


def _no_value(name: str, value: Any) -> None:
    return None


def _sampler(name: str, value: Any) -> str:
    if value not in SAMPLER_MODES:
        raise InputError(f"sampler {value!r} is not known.", f"Allowed: {', '.join(SAMPLER_MODES)}.")
    return str(value)


def _ratio(name: str, value: Any) -> float:
    ratio = _number(name, value)
    if not 0.0 <= ratio <= 1.0:
        raise InputError(f"ratio {ratio:g} is out of range.", "Allowed: 0 to 1.")
    return ratio


def _hint(name: str, value: Any) -> str:
    text = str(value).strip()
    if not text or len(text) > 500:
        raise InputError("a hint needs 1 to 500 characters.", 'Example: hint "prefer shallow trees".')
    return text


def _extend(name: str, value: Any) -> int:
    number = _number(name, value)
    if number < 1 or number != int(number):
        raise InputError(f"extend {value!r} is no number of trials.", "Allowed: 1 or more.")
    return int(number)


def _parameter(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{name} needs the name of a parameter.")
    return value


def _enqueue(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise InputError(f"{name} needs a dict of values.", "See %sllmbo help.")
    return dict(value)


def _note(name: str, value: Any) -> dict[str, Any]:
    value = _enqueue(name, value)
    trial = _number("trial", value.get("trial"))
    if trial < 0 or trial != int(trial):
        raise InputError(f"trial {value.get('trial')!r} is no number of a trial.", "They begin at 0.")
    note: dict[str, Any] = {"trial": int(trial)}
    if value.get("star") is not None:
        note["star"] = bool(value["star"])
    if value.get("text") is not None:
        note["text"] = str(value["text"]).strip()
    if len(note.get("text", "")) > 500:
        raise InputError(f"a note of {len(note['text'])} characters is too long.", "Allowed: 500 characters.")
    return note


def _range(name: str, value: Any) -> dict[str, Any]:
    value = _enqueue(name, value)
    param = value.get("param")
    if not isinstance(param, str):
        raise InputError("range needs the name of a parameter.", "Example: range learning_rate 0.01 0.1.")
    if "choices" in value:
        if not isinstance(value["choices"], list | tuple) or not value["choices"]:
            raise InputError(f"range of {param!r} needs at least one choice.")
        return {"param": param, "choices": list(value["choices"])}
    low, high = _number("low", value.get("low")), _number("high", value.get("high"))
    if not low < high:
        raise InputError(f"range of {param!r}: {low:g} is not below {high:g}.")
    return {"param": param, "low": low, "high": high}


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} {value!r} is not a number.")
    return number


_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "pause": _no_value,
    "resume": _no_value,
    "stop": _no_value,
    "sampler": _sampler,
    "ratio": _ratio,
    "hint": _hint,
    "range": _range,
    "lock": _parameter,
    "unlock": _parameter,
    "enqueue": _enqueue,
    "dequeue": _enqueue,
    "note": _note,
    "extend": _extend,
}
COMMANDS = tuple(_PARSERS)


class Control:
    """Thread-safe commands to one run.

    :meth:`wish` returns at once; :meth:`take` hands the pending commands to the run, oldest first. ``pause``
    and ``stop`` are also kept as flags, since they matter between two takes. ``resume`` ends a pause when it
    is taken: then the commands given before it are, too.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._pending: list[Command] = []
        self._refused: dict[str, str] = {}
        self._check: Callable[[str, Any], None] | None = None
        self._paused = False
        self._stop = threading.Event()
        self._abandon = threading.Event()
        self._interrupted = threading.Event()

    def wish(self, name: str, value: Any = None, *, id: str | None = None) -> Command:
        """Record a command. Raises InputError when it is malformed, or of no use in this run."""
        value = check(name, value)
        if name in self._refused:
            raise InputError(self._refused[name])
        command = Command(name, value) if id is None else Command(name, value, id)
        with self._lock:
            self._pending.append(command)
            if name == "pause":
                self._paused = True
            elif name == "stop":
                self._paused = False
                self._stop.set()
            self._lock.notify_all()
        return command

    def refuse(self, name: str, reason: str | None) -> None:
        """Refuse a command of this name from now on, for a reason that its sender gets; None accepts it."""
        if reason is None:
            self._refused.pop(name, None)
        else:
            self._refused[name] = reason

    def check_by(self, check_in_run: Callable[[str, Any], None] | None) -> None:
        """What :meth:`check` asks from now on, in any thread: it raises InputError for the name and the value
        of a command that the run cannot carry out. None: nothing.
        """
        self._check = check_in_run

    def check(self, name: str, value: Any = None) -> None:
        """Raise InputError for a command that the run would refuse before its next trial, as far as is known
        now: a range that waits may bring in what it names.
        """
        value, check_in_run = check(name, value), self._check
        with self._lock:
            range_waits = any(command.name == "range" for command in self._pending)
        if check_in_run is not None and not range_waits:
            check_in_run(name, value)

    def take(self) -> list[Command]:
        """The commands recorded since the last take, oldest first."""
        with self._lock:
            commands, self._pending = self._pending, []
            for command in commands:
                if command.name in ("pause", "resume"):
                    self._paused = command.name == "pause" and not self.stopping
        return commands

    @property
    def paused(self) -> bool:
        """Whether the run should wait before its next trial."""
        with self._lock:
            return self._paused

    @property
    def stopping(self) -> bool:
        """Whether the run should end after the fold in flight."""
        return self._stop.is_set()

    @property
    def abandoning(self) -> bool:
        """Whether the fold in flight should not be waited for (a second interrupt)."""
        return self._abandon.is_set()

    @property
    def interrupted(self) -> bool:
        """Whether the stop was an interrupt (Ctrl-C, Jupyter's stop button) and not the Stop control."""
        return self._interrupted.is_set()

    def interrupt(self) -> None:
        """Stop because of an interrupt; a second one abandons the fold in flight."""
        if self._interrupted.is_set():
            self._abandon.set()
        self._interrupted.set()
        self.wish("stop")

    def abandon(self) -> None:
        """End now: do not wait for the fold in flight."""
        self._abandon.set()
        self.wish("stop")

    def wait(self, seconds: float) -> None:
        """Sleep until a command arrives, at most so many seconds."""
        with self._lock:
            if not self._pending:
                self._lock.wait(seconds)

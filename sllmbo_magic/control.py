"""The user's wishes for a running search: pause, stop, sampler, ratio, hint, range, lock, enqueue, extend.

A wish is set from any thread (a widget's callback, a line magic, another kernel through the run's folder) and
only recorded; the thread that runs the trials takes it before the next trial. Nothing here touches a study.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.errors import InputError

WISHES = (
    "pause",
    "resume",
    "stop",
    "sampler",
    "ratio",
    "hint",
    "range",
    "lock",
    "unlock",
    "enqueue",
    "extend",
)
SAMPLER_MODES = ("llm", "llm-tpe", "tpe")
_ids = itertools.count(1)


@dataclass(frozen=True)
class Wish:
    """One wish: ``name`` is one of :data:`WISHES`, ``value`` what belongs to it (see :func:`check`)."""

    name: str
    value: Any = None
    id: str = field(default_factory=lambda: f"w{next(_ids)}")
    time: float = field(default_factory=time.time)


def check(name: str, value: Any) -> Any:
    """The value of a wish in its normal form.

    ========  =====================================================================
    wish      value
    ========  =====================================================================
    pause, resume, stop   None
    sampler   ``"llm"``, ``"llm-tpe"`` or ``"tpe"`` (the base sampler alone)
    ratio     share of the LLM, 0 to 1
    hint      words, at most 500 characters
    range     ``{"param": str, "low": float, "high": float}`` or ``{"param": str, "choices": [...]}``
    lock, unlock          a parameter's name
    enqueue   a configuration: dict of parameter names to values
    extend    a number of further trials, at least 1
    ========  =====================================================================

    Raises:
        InputError: The wish or its value is not one of these.
    """
    if name not in WISHES:
        raise InputError(f"unknown wish {name!r}.", f"Allowed: {', '.join(WISHES)}.")
    if name in ("pause", "resume", "stop"):
        return None
    if name == "sampler":
        if value not in SAMPLER_MODES:
            raise InputError(f"sampler {value!r} is not known.", f"Allowed: {', '.join(SAMPLER_MODES)}.")
        return value
    if name == "ratio":
        ratio = _number(name, value)
        if not 0.0 <= ratio <= 1.0:
            raise InputError(f"ratio {ratio:g} is out of range.", "Allowed: 0 to 1.")
        return ratio
    if name == "hint":
        text = str(value).strip()
        if not text or len(text) > 500:
            raise InputError("a hint needs 1 to 500 characters.", 'Example: hint "prefer shallow trees".')
        return text
    if name == "extend":
        number = _number(name, value)
        if number < 1 or number != int(number):
            raise InputError(f"extend {value!r} is no number of trials.", "Allowed: 1 or more.")
        return int(number)
    if name in ("lock", "unlock"):
        if not isinstance(value, str) or not value:
            raise InputError(f"{name} needs the name of a parameter.")
        return value
    if not isinstance(value, dict) or not value:
        raise InputError(f"{name} needs a dict of values.", "See %sllmbo help.")
    if name == "range":
        if not isinstance(value.get("param"), str):
            raise InputError("range needs the name of a parameter.", "Example: range learning_rate 0.01 0.1.")
        if "choices" in value:
            if not isinstance(value["choices"], list) or not value["choices"]:
                raise InputError(f"range of {value['param']!r} needs at least one choice.")
            return {"param": value["param"], "choices": list(value["choices"])}
        low, high = _number("low", value.get("low")), _number("high", value.get("high"))
        if not low < high:
            raise InputError(f"range of {value['param']!r}: {low:g} is not below {high:g}.")
        return {"param": value["param"], "low": low, "high": high}
    return dict(value)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if number != number or number in (float("inf"), float("-inf")):
        raise InputError(f"{name} {value!r} is not a number.")
    return number


class Control:
    """Thread-safe wishes for one run.

    :meth:`wish` returns at once; :meth:`take` hands the waiting wishes to the run, oldest first. ``pause``
    and ``stop`` are also kept as flags, since they matter between two takes.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting: list[Wish] = []
        self._paused = False
        self._stop = threading.Event()
        self._abandon = threading.Event()
        self._interrupted = threading.Event()

    def wish(self, name: str, value: Any = None, *, id: str | None = None) -> Wish:
        """Record a wish. Raises InputError when it is malformed."""
        value = check(name, value)
        wish = Wish(name, value) if id is None else Wish(name, value, id)
        with self._lock:
            self._waiting.append(wish)
            if name == "pause":
                self._paused = True
            elif name in ("resume", "stop"):
                self._paused = False
            if name == "stop":
                self._stop.set()
            self._lock.notify_all()
        return wish

    def take(self) -> list[Wish]:
        """The wishes recorded since the last take, oldest first."""
        with self._lock:
            wishes, self._waiting = self._waiting, []
        return wishes

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
        """Sleep until a wish arrives, at most so many seconds."""
        with self._lock:
            if not self._waiting:
                self._lock.wait(seconds)

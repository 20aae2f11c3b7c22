"""What happens in a run, as frozen values: the one interface between a run and its views.

An event is JSON-able (:func:`to_json`, :func:`from_json`). A :data:`Sink` takes events in the order in which
they happen, one at a time, but not always from the same thread; one that raises is logged and dropped, and
never ends a run. Trials are numbered from 0. Times are seconds since the epoch, durations seconds.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events."""

    time: float = field(default_factory=time.time)


Sink: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """The first event of a run, also of a resumed one.

    ``run`` holds: name, estimator, metric, direction, n_trials, n_done, sampler, llm, llm_ratio, schedule,
    seed, n_folds, description, path (or None), taken (what was read from the namespace, one line).
    """

    run: dict[str, Any]
    earlier: tuple[Event, ...] = ()
    """What happened in the earlier processes of a resumed run, for the views; it is stored already."""


@dataclass(frozen=True, kw_only=True)
class SpaceChanged(Event):
    """A new version of the search space; version 0 is the first."""

    version: int
    trial_number: int
    params: list[dict[str, Any]]
    """The space as JSON, one dict per parameter (``SearchSpace.to_json()["params"]``)."""
    reason: str
    by: str
    """``"prior"``, ``"llm"``, ``"rulebook"`` or ``"user"``."""
    outer: list[dict[str, Any]] | None = None
    """The outer space, with version 0 and where it has grown."""


@dataclass(frozen=True, kw_only=True)
class TrialStarted(Event):
    """A trial has its parameters and is about to be evaluated."""

    number: int
    params: dict[str, Any]
    source: str
    reason: str = ""
    expected: str = ""
    space_version: int = 0
    request: int | None = None
    """The exchange (its number in the transcript) that proposed it."""
    deciding_seconds: float = 0.0
    """How long the run waited for its configuration: sampler, surrogate and LLM."""


@dataclass(frozen=True, kw_only=True)
class FoldFinished(Event):
    """One fold of a running trial is scored."""

    number: int
    fold: int
    n_folds: int
    score: float


@dataclass(frozen=True, kw_only=True)
class CheckProgress(Event):
    """The trials are done; default and best are scored again on fresh folds, ``done`` of ``total`` so far."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class TrialFinished(Event):
    """A trial was told to the study and is on disk."""

    number: int
    state: str
    """``"COMPLETE"``, ``"INFEASIBLE"`` (evaluated, but a constraint does not hold), ``"FAIL"`` or
    ``"PRUNED"``.
    """
    value: float | None
    """Its score; that of an infeasible trial counts nowhere."""
    params: dict[str, Any]
    source: str
    std: float | None = None
    split_scores: list[float] = field(default_factory=list)
    seconds: float = 0.0
    reason: str = ""
    expected: str = ""
    came_true: bool | None = None
    """Whether the expected effect came true; None when nothing was expected."""
    error: str | None = None
    """Our category of the failure, and the exception's class; all that an LLM may see of it."""
    cause: str = ""
    """Why it failed, in the user's terms, perhaps several lines; it may quote data."""
    space_version: int = 0
    request: int | None = None
    best_number: int | None = None
    best_value: float | None = None
    reported: float | None = None
    """What a pruned trial reported last; it has no value."""
    values: list[float] | None = None
    """Of a run with several objectives: one score for each; ``value`` is None then."""
    pruned_at: str = ""
    """Where it was pruned, in words: ``"12 % of its training"``."""


@dataclass(frozen=True, kw_only=True)
class RequestSent(Event):
    """A request went to the provider."""

    request: int
    purpose: str
    trial_number: int | None
    provider: str
    text: str
    """The question as sent (the last message)."""


@dataclass(frozen=True, kw_only=True)
class ReplyReceived(Event):
    """A reply was judged: what was taken, what was rejected and why.

    ``candidates`` are dicts: params, reason, expected, status (``"accepted"`` or ``"rejected"``), why.
    """

    request: int
    purpose: str
    trial_number: int | None
    provider: str
    text: str
    reasoning: str = ""
    candidates: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Fallback(Event):
    """The LLM could not serve; ``instead`` of it the ``"sampler"`` proposes, or at its first request the
    ``"rulebook"``, whose first configurations are used.
    """

    trial_number: int | None
    category: str
    message: str
    permanent: bool = False
    instead: str = "sampler"


@dataclass(frozen=True, kw_only=True)
class WishApplied(Event):
    """A command of the user took effect; ``trial_number`` is the first trial after it.

    Transcripts store the names of this class and of ``wish``, so they stay.
    """

    wish: str
    value: Any
    trial_number: int
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """One sentence for the user. ``level``: ``"info"`` or ``"warning"``."""

    text: str
    level: str = "info"
    trial_number: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The last event of a run.

    ``status``: ``"finished"``, ``"stopped"``, ``"interrupted"`` or ``"failed"``. ``summary`` holds
    default_value, best_value, best_number, gain, verification (see ``Verification``), seconds, cost, text.
    """

    status: str
    reason: str
    summary: dict[str, Any]


_TYPES: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        RunStarted,
        SpaceChanged,
        TrialStarted,
        FoldFinished,
        CheckProgress,
        TrialFinished,
        RequestSent,
        ReplyReceived,
        Fallback,
        WishApplied,
        Note,
        RunFinished,
    )
}


def to_json(event: Event) -> dict[str, Any]:
    """The event as plain data; ``type`` is its class name."""
    if isinstance(event, RunStarted):
        event = dataclasses.replace(event, earlier=())
    data = dataclasses.asdict(event)
    data.pop("earlier", None)
    return {"type": type(event).__name__, **data}


def from_json(data: dict[str, Any]) -> Event:
    """The event that :func:`to_json` wrote; unknown fields are dropped, so that newer files can be read.

    Raises:
        ValueError: The type is unknown.
    """
    cls = _TYPES.get(str(data.get("type")))
    if cls is None:
        raise ValueError(f"unknown event type {data.get('type')!r}")
    names = {f.name for f in dataclasses.fields(cls)}
    return cls(**{k: v for k, v in data.items() if k in names})

"""Types of the messages between a kernel and the views of a run.

``labextension/scripts/wire.py`` writes them as TypeScript, together with those of ``report.wire``. Trials are
numbered from 0, times are seconds since the epoch, durations seconds.
"""

from __future__ import annotations

from typing import Any
from typing import Literal
from typing import TypeAlias
from typing import TypedDict

from sllmbo_magic.report.wire import Bundle
from sllmbo_magic.report.wire import ChatItem
from sllmbo_magic.report.wire import Delta
from sllmbo_magic.report.wire import Params
from sllmbo_magic.report.wire import Trial
from sllmbo_magic.report.wire import Version

ImportanceKind: TypeAlias = Literal["ped-anova", "surrogate"]

ItemKind: TypeAlias = Literal["chat", "trial", "space"]


class DeltaMessage(TypedDict):
    """From the kernel: the run went on."""

    delta: Delta


class SnapshotMessage(TypedDict):
    """From the kernel: the whole state."""

    snapshot: Bundle


class ChatItemMessage(TypedDict):
    """From the kernel: one entry of the chat in full length."""

    item: ChatItem
    kind: Literal["chat"]


class TrialMessage(TypedDict):
    """From the kernel: one trial in full length."""

    item: Trial
    kind: Literal["trial"]


class VersionMessage(TypedDict):
    """From the kernel: one version of the search space in full length."""

    item: Version
    kind: Literal["space"]


class Ack(TypedDict):
    """From the kernel: whether the command of this id was accepted, else why not."""

    ack: str
    ok: bool
    error: str


class CommandMessage(TypedDict):
    """From a view: a command for the run (see ``control.check``)."""

    wish: str  # the command's name, under the key of stored transcripts
    value: Any
    id: str


class SnapshotRequest(TypedDict):
    """From a view: send the whole state."""

    get: Literal["snapshot"]


class CompareRequest(TypedDict):
    """From a view: send the curves of the runs of this kernel and this folder."""

    get: Literal["compare"]


class PageRequest(TypedDict):
    """From a view: send the run's HTML report."""

    get: Literal["html"]


class Curve(TypedDict):
    """What a run is compared by. ``steps``: one per trial with a score, its number, the seconds that all
    trials up to it took, and the best score so far. ``here``: the run that the view shows.
    """

    id: str
    name: str
    status: str
    metric: str | None
    direction: str | None
    negated: bool
    sampler: str | None
    llm: str | None
    started_at: float | None
    here: bool
    n_trials: int
    seconds: float
    default_value: float | None
    best_value: float | None
    best_number: int | None
    best_params: Params
    steps: list[list[float]]


class ImportancesRequest(TypedDict):
    """From a view: send the shares of one kind, and how sure they are. Takes seconds; after the run only."""

    get: Literal["importances"]
    kind: ImportanceKind


class ImportancesMessage(TypedDict):
    """From the kernel: share of the score's variation of each parameter, and the interval in which 90 % of
    the resamples lie. ``error``: why there are none; "" else.
    """

    kind: ImportanceKind
    shares: dict[str, float]
    intervals: dict[str, list[float]]
    error: str


class CurvesMessage(TypedDict):
    """From the kernel: the runs that can be compared, newest first."""

    curves: list[Curve]


class PageMessage(TypedDict):
    """From the kernel: the HTML report of the run."""

    html: str


class ItemRequest(TypedDict):
    """From a view: send one entry in full length."""

    get: Literal["item"]
    kind: ItemKind
    id: str | int


class RunRow(TypedDict):
    """One line of the side panel's list of runs. ``blocks``: its cell keeps the kernel busy. ``final``: start
    and length of the run that the final output shows, once it is there.
    """

    id: str
    model: str | None
    cell: str | None
    blocks: bool
    final: list[float | None] | None
    name: str | None
    status: str
    done: int
    n_trials: int | None
    best_value: float | None
    default_value: float | None
    direction: str | None
    metric: str | None
    negated: bool


ROOTS = (
    Bundle,
    DeltaMessage,
    SnapshotMessage,
    ChatItemMessage,
    TrialMessage,
    VersionMessage,
    Ack,
    CommandMessage,
    SnapshotRequest,
    ItemRequest,
    CompareRequest,
    CurvesMessage,
    ImportancesRequest,
    ImportancesMessage,
    PageRequest,
    PageMessage,
    RunRow,
)
"""All that is sent or stored; the other types are parts of these."""

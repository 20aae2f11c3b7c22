"""Types of the stored bundle of a run (schema 1), and of the deltas by which it changes.

The messages that carry both are in ``report.messages``; ``labextension/scripts/wire.py`` writes all types
as TypeScript (``labextension/src/view/wire.ts``). Trials and folds are numbered from 0, times are seconds
since the epoch, durations seconds. Scores are scikit-learn's, with its sign. An entry with ``"more": true``
is shortened; a view can ask for all of it.
"""

from __future__ import annotations

from typing import Any
from typing import Literal
from typing import NotRequired
from typing import Required
from typing import TypeAlias
from typing import TypedDict

Value: TypeAlias = str | int | float | bool | None
Params: TypeAlias = dict[str, Value]

Condition = TypedDict("Condition", {"param": str, "in": list[Value]})
"""A parameter is active where another one has one of these values."""


class ParamSpec(TypedDict):
    """One parameter of a search space, as ``SearchSpace.to_json`` writes it."""

    name: str
    type: NotRequired[Literal["float", "int", "categorical"]]
    low: NotRequired[float]
    high: NotRequired[float]
    log: NotRequired[bool]
    step: NotRequired[float | None]
    choices: NotRequired[list[Value]]
    when: NotRequired[Condition | list[Condition]]
    fixed: NotRequired[Value]


class Verification(TypedDict, total=False):
    """``evaluation.verification.Verification`` as data; a gain is positive when the best is better."""

    verdict: Required[str]
    text: Required[str]
    default_mean: float | None
    best_mean: float | None
    gain: float | None
    noise: float | None
    n_folds: int
    fresh: bool
    test_default: float | None
    test_best: float | None
    test_interval: list[float] | None
    overtuning: float | None
    relative_overtuning: float | None


class SelectionCandidate(TypedDict):
    """A configuration that was scored again; ``fresh_mean`` is None where that was not possible."""

    number: int
    value: float
    fresh_mean: float | None


class Selection(TypedDict):
    """How the winner was selected: the best on fresh folds of the ``candidates``, the search's best three."""

    rule: str
    number: int
    n_folds: int
    candidates: list[SelectionCandidate]
    text: str


class FrontTrial(TypedDict):
    """A trial on the Pareto front."""

    number: int
    values: list[float]


class Failure(TypedDict):
    """Trials that failed for one cause. ``cause``, ``trial`` (its number) and ``params`` are of the first."""

    cause: str
    category: str
    count: int
    trial: int
    params: Params


class LibraryWarning(TypedDict):
    """Warnings of libraries that differ in numbers only. ``n_trials`` had it, ``trial`` is the number of the
    first; None and 0 between the fits.
    """

    category: str
    text: str
    count: int
    n_trials: int
    trial: int | None


class Summary(TypedDict, total=False):
    """How a run ended (``RunFinished.summary``), without the importances.

    ``fits_saved``: fits that pruning after some of the folds saved, of the ``fits_planned`` of all trials
    that did not fail.
    """

    status: str
    reason: str
    verdict: str
    text: str
    seconds: float
    direction: str
    metric: str
    n_trials: int
    n_failed: int
    failures: list[Failure]
    n_pruned: int
    deciding_seconds: float
    fit_seconds: float
    fits_saved: int
    fits_planned: int
    warnings: list[LibraryWarning]
    default_value: float | None
    best_value: float | None
    best_number: int | None
    best_params: Params | None
    best_source: str | None
    inert: dict[str, str]
    gain: float | None
    selection: Selection
    verification: Verification | None
    front: list[FrontTrial]
    cost: Usage


class _RunInfo(TypedDict, total=False):
    name: str
    estimator: str
    model: str
    metric: str
    negated: bool
    direction: str
    n_trials: int | None
    sampler: str
    llm: str
    llm_ratio: float | None
    schedule: str
    seed: int | None
    n_folds: int | None
    n_rows: int | None
    n_columns: int | None
    description: str
    taken: str
    started_at: float
    has_result: bool
    """Whether the kernel holds the result, so that a run that has ended takes marks; never stored."""
    checked: list[int]
    """While the closing check runs: fits that are scored, and all of them."""


class Run(_RunInfo):
    """The run in a few fields."""

    seconds: float
    status: str
    reason: str
    locked: list[str]
    default_value: float | None
    best_value: float | None
    best_number: int | None
    summary: Summary | None


class RunPatch(_RunInfo, total=False):
    """Fields of the run that changed."""

    seconds: float
    status: str
    reason: str
    locked: list[str]
    default_value: float | None
    best_value: float | None
    best_number: int | None
    summary: Summary | None


class Version(TypedDict):
    """A version of the search space, in force from trial ``trial`` on."""

    version: int
    trial: int
    params: list[ParamSpec]
    reason: str
    by: str
    time: NotRequired[float]
    more: NotRequired[bool]


class VersionPatch(TypedDict, total=False):
    """A version as an update has it: what made it too long is left out, and ``more`` is true."""

    version: Required[int]
    trial: Required[int]
    params: list[ParamSpec]
    reason: Required[str]
    by: Required[str]
    time: float
    more: bool


class _TrialFields(TypedDict, total=False):
    time: float
    value: float | None
    std: float | None
    splits: list[float | None]
    folds: list[float | None]
    reason: str
    expected: str
    came_true: bool | None
    seconds: float | None
    error: str | None
    cause: str
    pruned: str
    values: list[float | None]
    star: bool
    note: str
    space: int
    request: int | None
    more: bool


class Trial(_TrialFields):
    """One trial. ``state``: Optuna's, or ``"INFEASIBLE"``: evaluated, but a constraint does not hold, so that
    ``value`` and ``values`` count nowhere. ``values``: its scores in a run with several objectives. ``star``
    and ``note``: the user's. ``time``: when it started. ``folds``: scores of a running trial. ``pruned``:
    where it was stopped, and with what.
    """

    n: int
    state: str
    params: Params
    source: str


class TrialPatch(_TrialFields, total=False):
    """Fields of a trial that changed."""

    n: Required[int]
    state: str
    params: Params
    source: str


class Candidate(TypedDict, total=False):
    """A configuration that a reply proposed."""

    params: Params
    reason: str
    expected: str
    status: str
    why: str


class Usage(TypedDict, total=False):
    """What a request or all of them used; ``requests`` with retries.

    ``unreported_tokens``: those among the tokens of attempts without a report, counted with their bound.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    money: float | None
    requests: int
    unreported_tokens: int


class ChatItem(TypedDict, total=False):
    """One entry of the chat."""

    id: Required[str]
    kind: Required[Literal["prompt", "reply", "note", "fallback", "wish"]]
    trial: Required[int | None]
    time: Required[float]
    text: str
    request: int
    purpose: str
    provider: str
    reasoning: str
    candidates: list[Candidate]
    usage: Usage
    seconds: float | None
    wish: str  # the command's name, under the key of stored transcripts
    value: Any
    state: str
    category: str
    permanent: bool
    instead: str  # who proposes in the LLM's place: "sampler" or "rulebook"
    level: str
    more: bool


class Cost(TypedDict):
    """What the run used so far; ``money`` in US dollars.

    ``fit_seconds``: evaluations of all trials. ``deciding_seconds``: for how long the run waited for
    configurations (sampler, surrogate, LLM). ``llm_seconds``: requests, most of which run beside the fits.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    money: float | None
    llm_seconds: float
    fit_seconds: float
    deciding_seconds: float
    unreported_tokens: NotRequired[int]


class CostPatch(TypedDict, total=False):
    """Fields of the cost that changed."""

    requests: int
    input_tokens: int
    output_tokens: int
    money: float | None
    llm_seconds: float
    fit_seconds: float
    deciding_seconds: float
    unreported_tokens: int


class Space(TypedDict):
    """The outer space and the versions inside it."""

    outer: list[ParamSpec]
    versions: list[Version]


class Omitted(TypedDict):
    """How many entries a bounded bundle left out."""

    trials: int
    chat: int
    versions: int


class Bundle(TypedDict):
    """The whole state of a run, schema 1."""

    schema: int
    seq: int
    run: Run
    space: Space
    trials: list[Trial]
    chat: list[ChatItem]
    importances: dict[str, float]
    cost: Cost
    omitted: Omitted
    live: NotRequired[str]
    """In an output of a notebook: the row of the side panel about the run, while its kernel runs."""


class Delta(TypedDict, total=False):
    """What one event changed. ``since``: the state that it builds on, ``seq - 1`` unless said. ``stale``:
    something did not fit, so that a new snapshot is needed.
    """

    seq: Required[int]
    since: int
    seconds: float
    run: RunPatch
    cost: CostPatch
    importances: dict[str, float]
    trial: TrialPatch
    chat: ChatItem
    space: VersionPatch
    outer: list[ParamSpec]
    stale: bool

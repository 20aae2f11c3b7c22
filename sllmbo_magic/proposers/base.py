"""What a proposer is: asked with the state of a run, it answers with configurations, reasons and new ranges.

A *candidate* has been checked against the search space; raw LLM text never leaves ``proposers/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.history import History
from sllmbo_magic.proposers.space_extension import ExtensionPolicy
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.task import TaskDescription

UNUSABLE = "unusable-reply"
"""Category of the error where an LLM answered, and nothing of the answer could be used."""


def trials_left(n_trials: int | None, history: History, trial_number: int) -> int | None:
    """Trials of a run from this one on, 1 at least; None where it has no total, or has gone past it.

    Trials that were cut off run again, so they do not count for the total.
    """
    if n_trials is None:
        return None
    n_cut_off = sum(o.cut_off for o in history.observations if o.number < trial_number)
    n_left = n_trials - (trial_number - n_cut_off)
    return n_left if n_left > 0 else None


@dataclass(frozen=True)
class Candidate:
    """One whole configuration that a trial may take.

    Attributes:
        params: Valid in the search space of the proposal.
        reason: Why, in the proposer's words; untrusted text.
        expects: ``"better"`` than the incumbent, ``"similar"`` or ``"explore"`` (no promise).
        note: What was changed of the proposal and why, in our words; empty when nothing was.
        at_default: Parameters that keep the estimator's default, which their range does not hold; ``params``
            has a stand-in for each, the nearest value or the middle of the range.
        extra: Values of parameters that not all trials have, for a trial whose objective asks for them;
            unchecked, as only the objective knows what they can be.
        held: What the search space of the proposal holds fixed, which ``params`` lacks.
    """

    params: dict[str, Any]
    reason: str = ""
    expects: str = "explore"
    note: str = ""
    at_default: tuple[str, ...] = ()
    extra: Mapping[str, Value] = field(default_factory=dict)
    held: Mapping[str, Value] = field(default_factory=dict)

    @property
    def own_params(self) -> dict[str, Any]:
        """``params`` without stand-ins."""
        return {name: value for name, value in self.params.items() if name not in self.at_default}


@dataclass(frozen=True)
class Rejected:
    """A proposed configuration that no trial will take, and why."""

    params: dict[str, Any]
    why: str
    reason: str = ""


@dataclass(frozen=True)
class Ask:
    """The state of a run that a proposer gets, frozen.

    Attributes:
        space: The current version of the search space.
        outer: The fixed space that no version may leave.
        n_candidates: How many configurations are wanted.
        trial_number: The trial at whose start the proposer is asked.
        n_trials: The run's total; None when open.
        hints: The user's hints in words, oldest first.
        locked: Parameters whose range only the user may change.
        explore: Whether the batch must also look away from the incumbent.
        frozen_space: Whether ranges may not be changed at all.
        declared: Whether the search space is declared; else the objective suggests for itself, and ``space``
            is what its trials have in common.
        held: What is kept at one value wherever an objective that suggests for itself asks for it.
        seconds: Wall time of one evaluation of the default, None when unknown.
        defaults: The estimator's own values, for parameters that a first space leaves out.
        off: Penalties with the value up to which they have no effect: 0 is the low end of such a range.
        words: The user's description of the task, where there is no ``task`` that holds it.
        extension: What the answer may bring in from outside ``outer``; None where nothing can.
    """

    space: SearchSpace
    outer: SearchSpace
    history: History
    n_candidates: int = 5
    trial_number: int = 0
    n_trials: int | None = None
    hints: tuple[Hint, ...] = ()
    locked: frozenset[str] = frozenset()
    explore: bool = False
    frozen_space: bool = False
    declared: bool = True
    held: Mapping[str, Any] = field(default_factory=dict)
    task: TaskDescription | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    off: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    words: str = ""
    extension: ExtensionPolicy | None = None


@dataclass(frozen=True)
class Proposal:
    """A proposer's answer, checked.

    Attributes:
        candidates: In the proposer's order, without duplicates.
        rejected: What was proposed but not taken.
        space: A new version of the search space, or None to keep the current one.
        outer: The grown outer space that ``space`` needs, or None where the present one holds it.
        space_reason: Why the space changes.
        refused: Changes of the search space that were asked for and not made, one sentence each.
        feedback: What the next prompt holds about this answer: one sentence for each configuration that was
            rejected and each change that was refused or made otherwise.
        reasoning: The proposer's overall reasoning; untrusted text.
        request: The exchange's number in the transcript, None without an LLM.
        usage: Tokens and money as plain data.
    """

    candidates: tuple[Candidate, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    space: SearchSpace | None = None
    outer: SearchSpace | None = None
    space_reason: str = ""
    refused: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    reasoning: str = ""
    request: int | None = None
    usage: dict[str, Any] = field(default_factory=dict)


class Proposer(Protocol):
    """Answers asks. Called from one thread at a time, but not always the same.

    Attributes:
        id: ``"openai:gpt-4o"``, ``"rulebook"``, ...
        source: What its trials are labelled with: ``"llm"`` or ``"rulebook"``.
        instant: True when an answer costs no waiting, so that it is asked for when it is needed.
    """

    id: str
    source: str
    instant: bool

    def initialize(self, ask: Ask) -> Proposal:
        """Search space and first configurations, before anything but the default is known.

        Raises:
            ProviderError: The LLM could not serve.
        """
        ...

    def propose(self, ask: Ask) -> Proposal:
        """Next configurations, and new ranges if they should change.

        Raises:
            ProviderError: The LLM could not serve.
        """
        ...

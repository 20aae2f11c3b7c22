"""One trial as a value: what samplers, proposers and stopping rules read of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from typing import Any

import numpy as np

from sllmbo_magic import attrs
from sllmbo_magic.space.expression import express
from sllmbo_magic.space.search_space import SearchSpace

_CACHED_SPACES = 4
"""Search spaces for which an observation keeps what is computed of it."""


class _InSpace:
    """A configuration clipped to one search space, and what is computed of it."""

    def __init__(self, space: SearchSpace, params: Mapping[str, Any]) -> None:
        self.space = space
        self._real = params
        self._params = space.clip(params)

    @cached_property
    def unit(self) -> np.ndarray:
        return self.space.to_unit(self._params)

    @cached_property
    def key(self) -> object:
        return self.space.key(self._params)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in self._params if name not in self._real)

    @cached_property
    def is_exact(self) -> bool:
        not_recorded = [name for name in self.space.fixed if name not in self._real]
        return not express(self._real, self.space, may_differ=not_recorded).outside


@dataclass(frozen=True)
class Observation:
    """One trial.

    Attributes:
        number: The trial's number, from 0.
        params: The values that the trial really had, also those that the search space cannot express.
        state: ``"COMPLETE"``, ``"FAIL"``, ``"PRUNED"``, ``"RUNNING"`` or ``"INFEASIBLE"``: evaluated, but a
            constraint does not hold.
        value: The score in the metric's own sign; None unless complete.
        values: With several objectives one score for each; empty unless complete.
        splits: The score of each fold, empty when there are no folds.
        error: Our category of the failure; never a message.
        request: The exchange that proposed it; None when no LLM did.
        asked_at: The trial at whose start that request went out; None when not known.
        reason: The proposer's reason; untrusted text.
        expects: What the proposer promised: ``"better"``, ``"similar"`` or ``"explore"``; "" for nothing.
        came_true: Whether it came true; None when nothing was promised or there is no score.
        reported: What a pruned trial reported last; None for others.
        pruned_at: Where it was pruned, in words.
        vetoed: Configurations of the LLM that the surrogate vetoed for this trial.
        seconds: Wall time of the evaluation; None when not known.
        training_score: Score of the first fold's model on training rows; None when not computed.
        warnings: Warnings of the fits, counted by class.
        feedback: What became of parts of the LLM's answer at this trial: one sentence for each that was
            rejected, refused, changed or vetoed.
        sent_request: Whether a request to the LLM went out at the start of this trial.
        told: How many lines of ``feedback`` that request held: those that a queued trial brings along.
        unanswered: The trial of the request of which this trial learned that no answer comes; None for none.
        outside: Parameters whose value the search space cannot express. With any of these the trial is no
            point of the space: no model may learn from it.
        violation: Sum of an infeasible trial's constraint values above 0; 0 for others.
        by_other: Whether another program proposed it that works on the same study.
    """

    number: int
    params: Mapping[str, Any]
    state: str = "COMPLETE"
    value: float | None = None
    splits: tuple[float, ...] = ()
    source: str = "base"
    error: str | None = None
    space_version: int = 0
    request: int | None = None
    asked_at: int | None = None
    reason: str = ""
    expects: str = ""
    came_true: bool | None = None
    reported: float | None = None
    pruned_at: str = ""
    vetoed: tuple[Mapping[str, Any], ...] = ()
    seconds: float | None = None
    training_score: float | None = None
    warnings: Mapping[str, int] = field(default_factory=dict)
    feedback: tuple[str, ...] = ()
    sent_request: bool = False
    told: int = 0
    unanswered: int | None = None
    outside: tuple[str, ...] = ()
    violation: float = 0.0
    values: tuple[float, ...] = ()
    by_other: bool = False
    _in_spaces: dict[int, _InSpace] = field(default_factory=dict, init=False, repr=False, compare=False)

    def unit(self, space: SearchSpace) -> np.ndarray:
        """Its place in the unit cube of a search space, clipped to the ranges; shape (n_parameters,).

        Do not change it: it is computed once per space.
        """
        return self._in_space(space).unit

    def key(self, space: SearchSpace) -> object:
        """What configurations that mean the same in a search space have in common (``SearchSpace.key``)."""
        return self._in_space(space).key

    def missing(self, space: SearchSpace) -> tuple[str, ...]:
        """Parameters that are active in this space with its values, and that it does not have."""
        return self._in_space(space).missing

    def is_in(self, space: SearchSpace) -> bool:
        """Whether it is a configuration of this space: every value has a place in its range."""
        return not self.outside and self._in_space(space).is_exact

    def _in_space(self, space: SearchSpace) -> _InSpace:
        # At each trial all earlier ones are asked again; without this a trial's cost grows with their number.
        cached = self._in_spaces.get(id(space))
        if cached is None or cached.space is not space:
            if len(self._in_spaces) >= _CACHED_SPACES:
                self._in_spaces.clear()
            cached = self._in_spaces[id(space)] = _InSpace(space, self.params)
        return cached

    @property
    def spread(self) -> float:
        """Standard error of ``value`` over the folds, 0 when unknown."""
        if len(self.splits) < 2:
            return 0.0
        return statistics.stdev(self.splits) / math.sqrt(len(self.splits))

    @property
    def cut_off(self) -> bool:
        """Whether the user or a crash ended it: it has no outcome, and runs again in a resumed run."""
        return self.state == "FAIL" and self.error == attrs.STOPPED

    @property
    def asked(self) -> int:
        """The trial at whose start it was asked for; its own number when that is not known."""
        return self.number if self.asked_at is None else self.asked_at

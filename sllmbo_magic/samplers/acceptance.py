"""Which configuration takes a trial of the LLM: one of its candidates, or a rival when the surrogate vetoes.

The rule is a value (:class:`AcceptanceRule`) over ratings, without a study or a queue, so that a table of
tests can hold it. A veto costs the one candidate that stood for the trial; the others stay queued.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic.history.history import History
from sllmbo_magic.history.history import has_score
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.diversity import is_near
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import short_text
from sllmbo_magic.samplers.candidate_queue import QueuedCandidate
from sllmbo_magic.samplers.surrogate import Rating
from sllmbo_magic.space.search_space import SearchSpace

EXPLORE_CHANCE = 0.05
"""Probability of an improvement from which a candidate that explores is not vetoed: where the surrogate has
no data it expects little, which is no evidence against looking there.
"""
NEIGHBOUR = 0.1
"""Root mean square distance in the unit cube within which a trial is evidence about a vetoed candidate."""
_ASSUMED_RIGHT = 3
"""Vetoes that count as right before there is a record."""


def acceptance_threshold(share: float) -> float:
    """The part of the base sampler's expected improvement that a candidate must reach.

    The larger the share of the trials that the LLM has earned, the lower: an LLM whose proposals pay is
    trusted more than the surrogate; one whose proposals do not has to be rated as high as
    the base sampler.
    """
    return min(1.0, max(0.2, 1.25 * (1.0 - share)))


@dataclass(frozen=True)
class Choice:
    """Who takes the trial.

    Attributes:
        candidate: Index of the candidate that runs; None when a rival runs.
        rival: Index of the rival that runs; None when a candidate runs.
        vetoed: Index of the candidate that lost the trial; None when none did.
    """

    candidate: int | None = None
    rival: int | None = None
    vetoed: int | None = None


@dataclass(frozen=True)
class AcceptanceRule:
    """Decides between candidates and rivals by their ratings.

    The candidate with the largest expected improvement stands for the trial. It is compared with one draw
    of the base sampler, the first rival: the largest of many noisy ratings would win by luck. The other
    rivals only stand in after a veto.

    Attributes:
        share: The LLM's share of the trials, 0 to 1.
        may_veto: False while the surrogate has too few trials to veto a candidate.
        power: 0 to 1; how much a veto is worth by the surrogate's record (:func:`veto_power`).
    """

    share: float
    may_veto: bool = True
    power: float = 1.0

    @property
    def threshold(self) -> float:
        """The part of the base draw's expected improvement that the candidate must reach; 0 vetoes
        nothing.
        """
        return acceptance_threshold(self.share) * self.power if self.may_veto else 0.0

    def choose(
        self, candidates: Sequence[Rating], rivals: Sequence[Rating], exempt: Sequence[bool] = ()
    ) -> Choice:
        """The winner of one trial.

        Args:
            candidates: May be empty; then the best rival runs.
            rivals: At least one; the base sampler's draw is the first.
            exempt: For each candidate whether it is one that explores, which needs only
                :data:`EXPLORE_CHANCE`; empty: none is.
        """
        best_rival = highest(rivals)
        if not candidates:
            return Choice(rival=best_rival)
        best_candidate = highest(candidates)
        rating = candidates[best_candidate]
        explores = bool(exempt) and exempt[best_candidate]
        if self._reaches(rating, rivals[0]) or (explores and rating.chance >= EXPLORE_CHANCE):
            return Choice(candidate=best_candidate)
        return Choice(rival=best_rival, vetoed=best_candidate)

    def _reaches(self, candidate: Rating, draw: Rating) -> bool:
        if self.threshold <= 0.0:
            return True
        # logarithms: an expected improvement of 1e-400 still is half of another
        return bool(candidate.log_improvement >= np.log(self.threshold) + draw.log_improvement)


def highest(ratings: Sequence[Rating]) -> int:
    """Index of the largest expected improvement."""
    return int(np.argmax([r.log_improvement for r in ratings]))


def rulebook_rivals(rulebook: RulebookProposer, ask: Ask, space: SearchSpace) -> list[Suggestion]:
    """The rulebook's suggestions, which stand in when the LLM has no candidate or lost the trial.

    The rulebook may not change the ranges here: that is the LLM's part.
    """
    return [
        Suggestion({**c.params, **space.fixed}, "rulebook", {"reason": c.reason, "expects": c.expects})
        for c in rulebook.propose(replace(ask, frozen_space=True)).candidates
    ]


def without_near_duplicates(
    rivals: Sequence[Suggestion], ratings: Sequence[Rating], history: History, space: SearchSpace
) -> tuple[list[Suggestion], list[Rating]]:
    """The rivals with only the best-rated one of those near the incumbent.

    Five small steps from the incumbent are one idea; the best of five ratings is mostly noise.
    """
    best = history.incumbent
    if best is None:
        return list(rivals), list(ratings)
    near = [i for i, r in enumerate(rivals) if is_near(space.clip(r.params), best, space)]
    best_near = max(near, key=lambda i: ratings[i].log_improvement, default=None)
    order = [i for i in range(len(rivals)) if i not in near or i == best_near]
    return [rivals[i] for i in order], [ratings[i] for i in order]


def veto_power(history: History, space: SearchSpace) -> float:
    """How much a veto is worth by the surrogate's own record, 0 to 1.

    A veto was right if the vetoed candidate's nearest trial within :data:`NEIGHBOUR` is not better, by more
    than the noise, than the trial that ran instead; any score is better than a failure. 1 without a record;
    0 once half of the vetoes were wrong, which is no better than a coin.
    """
    right = wrong = 0
    worst = -math.inf if history.direction == "maximize" else math.inf
    ended = [o for o in history.observations if has_score(o) or _failed_somewhere(o)]
    points: np.ndarray | None = None
    for trial in ended:
        for params in trial.vetoed:
            if points is None:
                points = np.array([o.unit(space) for o in ended])
                values = [worst if o.value is None else o.value for o in ended]
            place = space.to_unit(space.clip(params))
            distances = np.sqrt(np.mean((points - place) ** 2, axis=1))
            distances[[o.number == trial.number for o in ended]] = np.inf
            nearest = int(np.argmin(distances))
            if distances[nearest] > NEIGHBOUR:
                continue
            gain = history.gain(values[nearest], worst if trial.value is None else trial.value)
            if gain > history.noise:
                wrong += 1
            else:
                right += 1
    share_right = (right + _ASSUMED_RIGHT) / (right + wrong + _ASSUMED_RIGHT)
    return max(0.0, 2.0 * share_right - 1.0)


def _failed_somewhere(trial: Observation) -> bool:
    """Whether a trial with known parameters ended without a score; a pruned one does not count."""
    return bool(trial.params) and trial.state in ("COMPLETE", "FAIL", "INFEASIBLE") and not trial.cut_off


def standing_in(
    rival: Suggestion, vetoed: QueuedCandidate | None, proposer_source: str, *, per_cost: bool = False
) -> Suggestion:
    """The rival with the reason why it runs at the proposer's turn, and the candidate that was vetoed for
    it; ``per_cost`` as for :meth:`Surrogate.rate`.
    """
    name = "the rulebook" if proposer_source == "rulebook" else "the LLM"
    if vetoed is None:
        note = f"no candidate of {name} is left"
        more: dict[str, Any] = {}
    else:
        for_its_cost = " for its cost" if per_cost else ""
        note = f"the surrogate expects more of it{for_its_cost} than of {name}'s candidate"
        more = {"vetoed": [{"params": vetoed.candidate.own_params, "request": vetoed.request}]}
    return _with_note(rival, note, more)


def in_lost_turn(rival: Suggestion) -> Suggestion:
    """The rival with the reason why it runs in a part of the trials that the user gave to the LLM."""
    return _with_note(rival, "the LLM has lost a part of its share", {})


def _with_note(suggestion: Suggestion, note: str, more: Mapping[str, Any]) -> Suggestion:
    reason = suggestion.provenance.get("reason")
    reason = f"{reason} ({note})" if reason else note
    return replace(suggestion, provenance={**suggestion.provenance, "reason": reason, **more})


def veto_message(vetoed: Mapping[str, Any], source: str) -> str:
    """One sentence about a vetoed candidate; ``source`` is that of the suggestion that runs instead."""
    name = "the rulebook" if source == "rulebook" else source
    return f"The surrogate expects less of the LLM's candidate than of {name}: {short_text(vetoed)}"


def veto_feedback(vetoed: Mapping[str, Any], source: str, trial_number: int) -> str:
    """The same for the LLM, which reads it in its next request."""
    return (
        f"vetoed at trial {trial_number}, where the surrogate expects more of {source}'s proposal:"
        f" {short_text(vetoed)}"
    )

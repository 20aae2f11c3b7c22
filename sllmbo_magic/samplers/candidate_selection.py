"""Which configuration takes a trial of the LLM where a surrogate rates its candidates and their rivals."""

from __future__ import annotations

from collections.abc import Sequence

from sllmbo_magic.proposers.exploration import worth_exploring
from sllmbo_magic.proposers.rounds import rounds_in
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers.acceptance import AcceptanceRule
from sllmbo_magic.samplers.acceptance import highest
from sllmbo_magic.samplers.acceptance import standing_in
from sllmbo_magic.samplers.acceptance import veto_power
from sllmbo_magic.samplers.acceptance import without_near_duplicates
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.candidate_queue import QueuedCandidate
from sllmbo_magic.samplers.surrogate import Rating
from sllmbo_magic.samplers.surrogate import Surrogate
from sllmbo_magic.space.search_space import SearchSpace


def best_candidate(queue: CandidateQueue, surrogate: Surrogate | None, space: SearchSpace) -> Suggestion:
    """The queue's candidate with the highest rating; without a surrogate the first one."""
    best = 0 if surrogate is None else highest(rated(queue, surrogate, space))
    return queue.take(best, space)


def highest_rated(
    context: TrialContext, queue: CandidateQueue, rival: Suggestion, surrogate: Surrogate
) -> Suggestion:
    """The rulebook's candidate that the surrogate rates highest, or the rival where that is rated higher:
    rules have no claim to the trial.
    """
    space = context.spaces.current
    candidates = rated(queue, surrogate, space)
    best = highest(candidates)
    if candidates[best].log_improvement >= surrogate.rate([rival.params])[0].log_improvement:
        return queue.take(best, space)
    return standing_in(rival, queue.remove(best), queue.proposer.source)


def highest_rival(rivals: Sequence[Suggestion], surrogate: Surrogate) -> Suggestion:
    """The one of the rivals that the surrogate rates highest."""
    return rivals[highest(surrogate.rate([r.params for r in rivals]))]


def accepted_or_rival(
    context: TrialContext,
    queue: CandidateQueue,
    rivals: Sequence[Suggestion],
    surrogate: Surrogate,
    *,
    share: float,
    may_explore: bool,
) -> tuple[Suggestion, QueuedCandidate | None]:
    """The proposer's best candidate, or a rival if the surrogate vetoes it.

    What the rulebook and the base sampler propose is rated for what it costs: rules lead to many rounds at a
    small learning rate, where a trial takes several times as long for hardly a better score. An LLM's
    candidates are rated for their scores alone; what they cost is its own decision.

    Args:
        rivals: The draw of the base sampler, then the rulebook's suggestions.
        share: The LLM's share of the trials, 0 to 1.
        may_explore: Whether a candidate that explores can be exempt from the veto.

    Returns:
        The suggestion, and the candidate that was vetoed for it.
    """
    history, spaces = context.history, context.spaces
    per_cost = queue.proposer.instant and rounds_in(spaces.wide) is not None
    draw, *steps = rivals
    draw_rating, *step_ratings = surrogate.rate([r.params for r in rivals], per_cost=per_cost)
    steps, step_ratings = without_near_duplicates(steps, step_ratings, history, spaces.wide)
    rule = AcceptanceRule(share, may_veto=surrogate.mature, power=veto_power(history, spaces.wide))
    exempt = _exempt(context, queue) if may_explore else ()
    candidates = rated(queue, surrogate, spaces.current, per_cost=per_cost)
    choice = rule.choose(candidates, [draw_rating, *step_ratings], exempt)
    if choice.candidate is not None:
        return queue.take(choice.candidate, spaces.current), None
    assert choice.rival is not None
    vetoed = None if choice.vetoed is None else queue.remove(choice.vetoed)
    rival = [draw, *steps][choice.rival]
    return standing_in(rival, vetoed, queue.proposer.source, per_cost=per_cost), vetoed


def rated(
    queue: CandidateQueue, surrogate: Surrogate, space: SearchSpace, *, per_cost: bool = False
) -> list[Rating]:
    """The ratings of the queue's candidates."""
    candidates = [{**space.fixed, **q.candidate.params} for q in queue.candidates]
    return surrogate.rate(candidates, per_cost=per_cost)


def _exempt(context: TrialContext, queue: CandidateQueue) -> list[bool]:
    """For each candidate whether it explores and needs no more than a chance: one per request, while
    looking away from the incumbent is worth a trial.
    """
    history = context.history
    if not worth_exploring(history, len(context.spaces.current)):
        return [False] * len(queue.candidates)
    explored = {o.request for o in history.observations if o.expects == "explore"}
    return [c.candidate.expects == "explore" and c.request not in explored for c in queue.candidates]

"""The Initializer: where a run's search space and first configurations come from (paper, section 3.1).

``llm``: one zero-shot request after the default was scored; if it fails, the rulebook's configurations stand
in and are labelled so. ``random``: as many configurations, drawn evenly from the known ranges. ``default``
and ``user``: nothing but the default and the user's own. They exist so that initialisation can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.study import Study

from sllmbo_magic import keys
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.proposers.spaces import grown
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.growth import Growth
from sllmbo_magic.space import SearchSpace

INITS = ("llm", "default", "random", "user")


def initialize(
    study: Study,
    sampler: LLMTPESampler,
    ask: Ask,
    *,
    fallback: RulebookProposer,
    limits: dict[str, tuple[float | None, float | None]],
    emit: Callable[[Event], None],
    grow: Callable[[Growth], Study] | None = None,
) -> None:
    """Ask for the search space and first configurations, and queue them in the study.

    Args:
        grow: Takes the run to a new study, for choices beyond the outer space; None: it has none.

    They are queued, not sampled, so that they are on disk at once and a crash does not lose them. What the
    user has changed meanwhile (ranges, locks, hints) is asked about as it is now.
    """
    proposer: Proposer = sampler.batches.proposer
    assert sampler.space is not None
    assert sampler.outer is not None
    ask = replace(
        ask,
        space=sampler.space,
        outer=sampler.outer,
        locked=frozenset(sampler.locked | sampler.owned),
        hints=tuple(sampler.hints),
        beyond=None if grow is None else ask.beyond,
    )
    try:
        answer = sampler.batches.ask_now(ask, cancelled=sampler.cancelled, initial=True)
        if answer is None:
            return  # the user stopped the run meanwhile
        proposal = answer
    except ProviderError as error:
        emit(
            Fallback(
                trial_number=ask.trial_number,
                category=error.category,
                message=f"{error} The rulebook's first configurations are used.",
                permanent=sampler.batches.off is not None,
            )
        )
        proposer = fallback
        proposal = proposer.initialize(ask)
    reason = proposal.space_reason or "the first search space"
    if proposal.space is not None and proposal.outer is not None and grow is not None:
        study = grow(Growth(proposal.outer, proposal.space, reason, proposer.source))
    elif proposal.space is not None:
        sampler.outer = grown(sampler.outer, proposal.space, limits)
        sampler.change_space(proposal.space, ask.trial_number, reason, proposer.source)
        sampler.store_versions(study)
    source = "llm-init" if proposer.source == "llm" else proposer.source
    more = {"provider": proposer.id, "request": proposal.request, "asked_at": ask.trial_number}
    for candidate in proposal.candidates:
        _queue(study, sampler, candidate, source, more)


def queue_random(study: Study, sampler: LLMTPESampler, n: int) -> None:
    """Queue ``n`` configurations drawn from the current search space; the same seed draws the same."""
    if sampler.space is None:
        return  # an objective that suggests for itself
    rng = np.random.default_rng([sampler.seed, 0])
    for _ in range(n):
        _queue(study, sampler, Candidate(sampler.space.sample(rng), "a random start"), "random", {})


def _queue(
    study: Study, sampler: LLMTPESampler, candidate: Candidate, source: str, more: dict[str, Any]
) -> None:
    space, outer = sampler.space, sampler.outer
    assert space is not None
    assert outer is not None
    provenance = {
        "source": source,
        "reason": candidate.reason,
        "expects": candidate.expects,
        "space_version": sampler.versions[-1].version,
        **{k: v for k, v in more.items() if v is not None},
    }
    if candidate.note:
        provenance["note"] = candidate.note
    study.enqueue_trial(
        complete(space, outer, candidate.params), {keys.SOURCE: source, keys.PROVENANCE: provenance}
    )


def complete(space: SearchSpace, outer: SearchSpace, params: dict[str, Any]) -> dict[str, Any]:
    """A configuration of one version as the stored study records it: every active parameter of the outer
    space.
    """
    known = {**params, **{n: v for n, v in space.fixed.items() if n in outer}}
    return outer.active({n: v for n, v in known.items() if n in outer})

"""The Initializer: where a run's search space and first configurations come from (paper, section 3.1).

``llm``: one zero-shot request after the default was scored; if it fails, the rulebook's configurations stand
in and are labelled so. ``random``: as many configurations, drawn evenly from the known ranges. ``default``
and ``user``: nothing but the default and the user's own. They exist so that initialisation can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.history.trials import observe
from sllmbo_magic.history.trials import withdrawn_because
from sllmbo_magic.proposers.base import UNUSABLE
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.samplers.pending_extension import with_kept
from sllmbo_magic.samplers.requests import unusable_text
from sllmbo_magic.space.expression import with_defaults
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.versions import grown


def initialize(
    study: Study,
    sampler: LLMTPESampler,
    ask: Ask,
    *,
    fallback: RulebookProposer,
    limits: dict[str, tuple[float | None, float | None]],
    emit: Callable[[Event], None],
    grow: Callable[[PendingExtension], Study] | None = None,
) -> None:
    """Ask for the search space and first configurations, and queue them in the study.

    Args:
        grow: Takes the run to a new study, for choices beyond the outer space; None: it has none.

    They are queued, not sampled, so that they are on disk at once and a crash does not lose them. What the
    user has changed meanwhile (ranges, locks, hints) is asked about as it is now.
    """
    proposer: Proposer = sampler.queue.proposer
    sampler.requests.waits_for_space = False
    feedback: list[str] = []
    state = sampler.space_state
    assert state.space is not None
    assert state.outer is not None
    ask = replace(
        ask,
        space=state.space,
        outer=state.outer,
        locked=state.user_controlled,
        hints=tuple(sampler.requests.hints),
        extension=None if grow is None else ask.extension,
    )
    try:
        answer = sampler.queue.ask_now(ask, cancelled=sampler.requests.cancelled, initial=True)
        if answer is None:
            return  # the user stopped the run meanwhile
        proposal = answer
    except ProviderError as error:
        proposer = fallback
        proposal = proposer.initialize(ask)
        has_rules = bool(proposal.candidates)  # there are none for an objective
        instead = "The rulebook's first configurations are used" if has_rules else "The base sampler goes on"
        emit(
            Fallback(
                trial_number=ask.trial_number,
                category=error.category,
                message=f"{error} {instead}.",
                permanent=sampler.queue.off is not None,
                instead="rulebook" if has_rules else "sampler",
            )
        )
        feedback += [unusable_text(error)] * (error.category == UNUSABLE)
    reason = proposal.space_reason or "the first search space"
    state.take_in(study)
    if proposal.space is not None and proposal.outer is not None and grow is not None:
        study = grow(PendingExtension(proposal.outer, proposal.space, reason, proposer.source))
    elif proposal.space is not None:
        state.widen_outer(grown(state.outer, proposal.space, limits))
        names = state.user_controlled if state.is_shared else ()  # those of other programs' users
        space = with_kept(proposal.space, state.space, names)
        state.change(space, ask.trial_number, reason, proposer.source)
        state.store(study)
    source = "llm-init" if proposer.source == "llm" else proposer.source
    more = {"provider": proposer.id, "request": proposal.request, "asked_at": ask.trial_number}
    candidates = _new(study, sampler, proposal.candidates)
    entries = [_entry(sampler, candidate, source, more) for candidate in candidates]
    feedback += proposal.feedback
    if entries and feedback:
        entries[0]["user_attrs"][attrs.EXCHANGE] = {"feedback": feedback}
    else:
        sampler.requests.feedback += feedback
    study.set_user_attr(attrs.FIRST_CONFIGURATIONS, entries)
    queue_first(study)


def queue_first(study: Study) -> None:
    """Queue the first configurations that are not queued yet: all of them, or after a crash the rest.

    One that made room for another in the queue is queued there again; one that the user's commands ruled out
    is not.
    """
    queued = [
        (trial.user_attrs.get(attrs.PROVENANCE), trial.system_attrs.get("fixed_params") or {})
        for trial in study.get_trials(deepcopy=False)
        if withdrawn_because(trial) != attrs.MOVED
    ]
    for entry in study.user_attrs.get(attrs.FIRST_CONFIGURATIONS, ()):
        # Several may have one reason; of a trial in an extended study there may be more parameters.
        provenance, params = entry["user_attrs"][attrs.PROVENANCE], entry["params"].items()
        if not any(provenance == one and params <= fixed.items() for one, fixed in queued):
            study.enqueue_trial(entry["params"], entry["user_attrs"])


def queue_random(study: Study, sampler: LLMTPESampler, n: int) -> None:
    """Queue ``n`` configurations drawn from the current search space; the same seed draws the same."""
    space = sampler.space_state.space
    if space is None:
        return  # an objective that suggests for itself
    rng = np.random.default_rng([sampler.seed, 0])
    candidates = [Candidate(space.sample(rng), "a random start") for _ in range(n)]
    for candidate in _new(study, sampler, candidates):
        entry = _entry(sampler, candidate, "random", {})
        study.enqueue_trial(entry["params"], entry["user_attrs"])


def _new(study: Study, sampler: LLMTPESampler, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Without those that equal a trial, a queued configuration, or an earlier one of them."""
    space = sampler.space_state.space
    assert space is not None
    keys: set[object] = set(sampler.history(study).keys(space))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        queued = observe(trial)
        params = {**trial.system_attrs.get("fixed_params", {}), **queued.params}
        if not queued.outside and set(space.active(params)) == set(space.active(space.clip(params))):
            keys.add(space.key(params))
    new = []
    for candidate in candidates:
        key: object = space.key(candidate.params)
        if candidate.at_default:
            key = (key, candidate.at_default)
        if key not in keys:
            keys.add(key)
            new.append(candidate)
    return new


def _entry(
    sampler: LLMTPESampler, candidate: Candidate, source: str, more: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Parameters and attributes of the trial of one candidate."""
    space, outer = sampler.space_state.space, sampler.space_state.outer
    assert space is not None
    assert outer is not None
    provenance = {
        "source": source,
        "reason": candidate.reason,
        "expects": candidate.expects,
        "space_version": sampler.space_state.number,
        **{k: v for k, v in more.items() if v is not None},
    }
    if sampler.program is not None:
        provenance["program"] = sampler.program
    if candidate.note:
        provenance["note"] = candidate.note
    params, configuration = with_defaults(
        complete(space, outer, candidate.params), outer, candidate.at_default, sampler.space_state.defaults
    )
    user_attrs: dict[str, Any] = {attrs.SOURCE: source, attrs.PROVENANCE: provenance}
    if configuration is not None:
        user_attrs[attrs.CONFIGURATION] = configuration
    return {"params": params, "user_attrs": user_attrs}


def complete(space: SearchSpace, outer: SearchSpace, params: dict[str, Any]) -> dict[str, Any]:
    """A configuration of one version as the stored study records it: every active parameter of the outer
    space.
    """
    values = {**params, **{n: v for n, v in space.fixed.items() if n in outer}}
    return outer.active({n: v for n, v in values.items() if n in outer})


def was_initialized(study: Study) -> bool:
    """Whether an earlier process of the run has its first configurations."""
    if attrs.FIRST_CONFIGURATIONS in study.user_attrs:
        return True
    # a run of version 0.1.0, which kept no list of them
    sources = (t.user_attrs.get(attrs.SOURCE) for t in study.get_trials(deepcopy=False))
    return any(source in ("llm-init", "rulebook") for source in sources)

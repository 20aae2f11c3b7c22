"""The LLM-TPE sampler of a run, from its plan and what the user changed in an earlier process."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler

from sllmbo_magic.events import Event
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.base_sampler import MakeSampler
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.resume import EarlierCommands


def run_sampler(
    plan: Plan,
    state: SpaceState,
    proposer: Proposer,
    base: BaseSampler | MakeSampler,
    base_source: str,
    earlier: EarlierCommands,
    *,
    cancelled: Callable[[], bool],
    emit: Callable[[Event], None],
) -> LLMTPESampler:
    """The sampler of a run with one objective.

    Args:
        plan: What is run.
        state: The search space.
        proposer: The LLM's side.
        base: The base sampler's side.
        base_source: What its trials are labelled with.
        earlier: What the user changed in the earlier process of a resumed run.
        cancelled: Whether the user ends the run.
        emit: Takes the events of the search.
    """
    s = plan.settings
    return LLMTPESampler(
        proposer=proposer,
        search_space=state,
        description=plan.description,
        candidates=s.candidates,
        schedule=s.schedule,
        llm_ratio=s.llm_ratio if earlier.ratio is None else earlier.ratio,
        judge=s.judge,
        base_sampler=base,
        base_source=base_source,
        rulebook=plan.rulebook(),
        mode=earlier.mode or ("tpe" if s.baseline else s.sampler),
        hints=earlier.hints,
        n_trials=s.n_trials,
        seed=s.seed,
        cancelled=cancelled,
        emit=emit,
    )

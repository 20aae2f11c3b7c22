"""The proposer that an ``llm`` argument names."""

from __future__ import annotations

from collections.abc import Callable

from optuna.logging import get_logger

from sllmbo_magic.events import Event
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.rulebook import RulebookProposer

optuna_logger = get_logger("optuna.sampler")


def make_proposer(
    llm: str | Provider, *, history: str, seed: int, emit: Callable[[Event], None] | None
) -> Proposer:
    """The rulebook, or the LLM behind a provider id or a provider.

    Raises:
        InputError: No provider has that id, or its key is missing.
    """
    if isinstance(llm, str):
        if llm in ("rulebook", "offline"):
            return RulebookProposer(seed=seed)
        from sllmbo_magic.llm.registry import make_provider

        llm = make_provider(llm)
        if llm.notice is not None:  # a run shows it itself; here a plain Optuna study is all there is
            optuna_logger.warning(llm.notice)
    return LLMProposer(llm, history=history, emit=emit)

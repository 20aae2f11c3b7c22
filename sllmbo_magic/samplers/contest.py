"""The judge's verdict on one trial: the LLM's waiting candidates against their rivals, the rulebook's and the
base sampler's.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic.history import number as show
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers.batches import Batches
from sllmbo_magic.samplers.batches import Waiting
from sllmbo_magic.samplers.judge import Judge
from sllmbo_magic.samplers.judge import strictness
from sllmbo_magic.samplers.turn import Pick
from sllmbo_magic.space import SearchSpace

_SHOWN = 8


def rules_picks(rules: RulebookProposer, ask: Ask, space: SearchSpace) -> list[Pick]:
    """The rulebook as a rival; it also stands in when the LLM has nothing that passes.

    As a rival it may not change the ranges: that is the LLM's part.
    """
    return [
        Pick({**c.params, **space.fixed}, "rulebook", {"reason": c.reason, "expects": c.expects})
        for c in rules.propose(replace(ask, frozen_space=True)).candidates
    ]


def decide(
    judge: Judge, batches: Batches, rivals: Sequence[Pick], share: float, space: SearchSpace
) -> tuple[Pick, list[Waiting]]:
    """Who takes the trial in the judge's eyes, and the LLM's candidates that it vetoed.

    Args:
        batches: Its queue loses the candidate that is taken, or those that are vetoed.
        rivals: At least one; the last draw of the base sampler is among them.
        share: What the LLM earned; the more, the less its best has to reach.
    """
    worth = judge.improvements([w.candidate.params for w in batches.queue])
    rated = judge.improvements([r.params for r in rivals])
    best = int(np.argmax(rated))
    least = strictness(share) * rated[best]
    if batches.queue and max(worth) >= least:
        return batches.take(int(np.argmax(worth)), space), []
    vetoed = [w for w, value in zip(batches.queue, worth, strict=True) if value < least]
    batches.queue = [w for w in batches.queue if w not in vetoed]
    whose = "the rulebook" if batches.proposer.source == "rulebook" else "the LLM"
    note = f"the judge preferred it to {whose}'s candidates" if vetoed else f"no candidate of {whose} is left"
    pick = rivals[best]
    reason = pick.more.get("reason")
    more = {**pick.more, "reason": f"{reason} ({note})" if reason else note}
    return replace(pick, more=more), vetoed


def words_on(vetoed: Sequence[Waiting], preferred: str) -> str:
    """One sentence on vetoed candidates; ``preferred`` is the source that took the trial."""
    shown = "; ".join(_few(w.candidate.params) for w in vetoed[:5])
    who = "the rulebook" if preferred == "rulebook" else preferred
    n = len(vetoed)
    return f"The judge expects less of {n} candidate{'s' if n != 1 else ''} of the LLM than of {who}: {shown}"


def _few(params: Mapping[str, Any]) -> str:
    """A configuration in words; of a large one the first few parameters."""
    pairs = [f"{name}={show(value)}" for name, value in params.items()]
    rest = len(pairs) - _SHOWN
    return ", ".join(pairs[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

"""What a run sends, and what resending the whole conversation in each request would have sent.

Tokens are counted as characters / 4 on both sides: of all messages and of the reply's schema, which providers
count as part of the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from tests.loopback import LoopbackServer
from tests.loopback import Received
from tests.replies import Responder

SPACE: dict[str, Any] = {
    "learning_rate": (1e-3, 0.3, "log"),
    "n_estimators": (50, 2000, "log"),
    "num_leaves": (4, 256, "log"),
    "min_child_samples": (1, 100, "log"),
    "subsample": (0.4, 1.0),
    "colsample_bytree": (0.4, 1.0),
    "reg_alpha": (1e-8, 10.0, "log"),
    "reg_lambda": (1e-8, 10.0, "log"),
    "max_depth": (2, 16),
}
"""Nine parameters, those of LightGBM."""
ONE_REQUEST_PER_LLM_TRIAL: dict[str, Any] = {
    "candidates": 1,
    "schedule": "bernoulli",
    "judge": False,
}
"""How the paper's reference implementation asks."""


@dataclass(frozen=True)
class Exchange:
    """One request as it arrived at the server, and its reply."""

    messages: tuple[str, ...]
    schema: str
    reply: str

    @property
    def tokens(self) -> float:
        """Of the prompt."""
        return (sum(map(len, self.messages)) + len(self.schema)) / 4


class _Question:
    """A request as :class:`Responder` reads it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.content = "\n".join(texts)
        self.messages = (self,)


def _objective(params: dict[str, float]) -> float:
    return float(sum(abs(np.log(params[name] / (2 * bounds[0]))) for name, bounds in SPACE.items()))


def run(**options: Any) -> tuple[TuneResult, list[Exchange]]:
    """A run against a server on this machine through the real ``openai`` SDK; needs OPENAI_API_KEY."""
    responder = Responder(0)
    exchanges: list[Exchange] = []

    def answer(seen: Received) -> Any:
        texts = tuple(str(m["content"]) for m in seen.body["messages"])
        reply = responder(_Question(texts))
        if options.get("candidates") == 1:
            reply["configurations"] = reply["configurations"][:1]
        schema = json.dumps(seen.body.get("response_format") or {})
        exchanges.append(Exchange(texts, schema, json.dumps(reply)))
        return reply

    with LoopbackServer(answer) as server:
        result = tune(
            _objective,
            direction="minimize",
            search_space=SPACE,
            llm="openai:loopback",
            base_url=server.url,
            seed=0,
            folder="",
            **options,
        )
    return result, exchanges


def sent(exchanges: Sequence[Exchange]) -> float:
    """Prompt tokens that were sent."""
    return sum(e.tokens for e in exchanges)


def resent(exchanges: Sequence[Exchange]) -> float:
    """Prompt tokens if each request held every earlier prompt and reply, the system's message once."""
    total = said = 0.0
    for e in exchanges:
        system, prompt = e.messages[0], e.messages[-1]
        total += (len(system) + said + len(prompt) + len(e.schema)) / 4
        said += len(prompt) + len(e.reply)
    return total

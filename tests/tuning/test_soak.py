"""A long run on a bad line, and a recording that plays in another process."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from subprocess import Popen
from typing import Any

import numpy as np
from optuna.trial import TrialState

from sllmbo_magic import tune
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder
from tests.small_task import Server

SPACE = {f"x{i}": (0.0, 1.0) for i in range(3)}
N_TRIALS = 1000 if os.environ.get("SLLMBO_SOAK") else 300


def megabytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_a_long_run_with_a_third_of_the_requests_failing() -> None:
    rng = np.random.default_rng(0)
    responder = Responder(0)

    def bad_line(request: Any) -> Any:
        if rng.random() < 1 / 3:
            kinds = [
                TransientProviderError("the server is busy.", category="rate-limit"),
                TransientProviderError("no answer.", category="timeout"),
                ReplyError("the answer is cut off.", category="truncated"),
            ]
            raise kinds[int(rng.integers(3))]
        return responder(request)

    memory: dict[int, float] = {}
    falls: list[Fallback] = []

    def watch(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.number in (N_TRIALS // 3, N_TRIALS - 1):
            memory[event.number] = megabytes()
        if isinstance(event, Fallback):
            falls.append(event)

    result = tune(
        lambda params: sum((v - 0.4) ** 2 for v in params.values()),
        direction="minimize",
        search_space=SPACE,
        llm=FunctionProvider(bad_line),
        n_trials=N_TRIALS,
        seed=1,
        judge=False,
        folder="",
        sinks=[watch],
    )
    assert [t.state for t in result.trials] == [TrialState.COMPLETE] * N_TRIALS
    assert len(falls) > N_TRIALS / 50
    assert {f.category for f in falls} >= {"rate-limit", "timeout"}
    sources = [t.user_attrs["sllmbo:source"] for t in result.trials]
    assert sources.count("llm") > N_TRIALS / 10, "the LLM is asked again after each failure"
    assert memory[N_TRIALS - 1] - memory[N_TRIALS // 3] < 20 + N_TRIALS / 50, (
        "a trial keeps some kilobytes, not its prompts"
    )


REPLAY = """
    import json
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sllmbo_magic import tune
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + rng.normal(scale=0.8, size=60) > 0).astype(int)
    model = LogisticRegression(max_iter=50)
    result = tune(model, X, y, name="again", llm="replay:.sllmbo/rec", n_trials=16, seed=1)
    print(json.dumps([[t.params, t.values, t.user_attrs["sllmbo:source"]] for t in result.trials]))
"""


def test_a_recording_of_a_real_sdk_plays_the_same_trials_in_a_fresh_process(
    provider: tuple[str, str],
    server: Server,
    data: Any,
    model: Any,
    monkeypatch: Any,
    child: Callable[[str], Popen[str]],
) -> None:
    llm, base_url = provider
    result = tune(model, *data, name="rec", llm=llm, base_url=base_url, n_trials=16, seed=1)
    asked = len(server.requests)
    assert asked >= 2
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name)
    out, _ = child(REPLAY).communicate(timeout=120)
    played = json.loads(out.strip().splitlines()[-1])
    assert played == [[t.params, t.values, t.user_attrs["sllmbo:source"]] for t in result.trials]
    assert len(server.requests) == asked

"""What a run is likely to cost, and can cost at most, before its first request."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.samplers.expected_requests import expected_requests

if TYPE_CHECKING:
    from sllmbo_magic.tuning.plan import Plan

_FORECAST_REQUESTS = 12
"""Most requests that are previewed for a forecast."""
_UNKNOWN_PARAMETERS = 6
"""Searched parameters where the search space is not known before the run."""
_UNKNOWN_REQUEST = 3000
"""Characters of a typical request where the search space is not known before the run."""


def forecast(plan: Plan) -> dict[str, Any]:
    """Requests, tokens and money that a run is likely to need, and the most it can need.

    Returns:
        As ``Budget.forecast``, for the requests that the limits are likely to allow; without an LLM all
        are 0.
    """
    s = plan.settings
    if not s.uses_llm:
        chooser = f"sampler {s.sampler_name}" if s.baseline else s.llm_id
        return {"requests": 0, "tokens": 0, "money": 0.0, "text": f"No request: {chooser} asks no LLM."}
    wanted = expected_requests(s.n_trials, s.candidates, 1.0 if s.sampler == "llm" else s.llm_ratio)
    previews, reply_chars = _previews(plan, wanted), _reply_chars(plan, wanted)
    most = max(request.max_output_tokens for request in previews)
    allowed, refusal = wanted, ""
    if s.llm_id == "manual":
        allowed = wanted if s.max_requests is None else min(wanted, s.max_requests)
        refusal = f"--max-requests {s.max_requests} is spent." if allowed < wanted else ""
    elif s.llm_id.partition(":")[0] != "replay":
        likely = [previews[round(k * (len(previews) - 1) / max(1, wanted - 1))] for k in range(wanted)]
        allowed, refusal = plan.budget().allows(likely, s.llm_id, reply_chars=reply_chars)
    expected = plan.budget().forecast(
        s.llm_id, allowed, _mean_chars(previews), reply_chars=reply_chars, max_output_tokens=most
    )
    if refusal and not allowed:
        expected["text"] = f"No request: {refusal}"
    elif refusal:
        expected["text"] += f" Then the limit ends them: {refusal} Without it, about {wanted} requests."
    return expected


def _reply_chars(plan: Plan, requests: int) -> int:
    """Characters of an answer on average over a run.

    The lengths are those of the answers of a recorded language model: its reasoning, each range, each
    configuration with its reason, each value (written longer in the first answer).
    """
    n, n_params = plan.settings.candidates, _UNKNOWN_PARAMETERS if plan.space is None else len(plan.space)
    first = 430 + 105 * n_params + n * (140 + 41 * n_params)
    later = 680 + n * (130 + 24 * n_params)
    return round((first + (requests - 1) * later) / max(1, requests))


def typical_chars(plan: Plan, requests: int) -> int:
    """Characters of a request on average over a run: its messages and the schema of its answer."""
    return _mean_chars(_previews(plan, requests))


def _mean_chars(previews: list[Request]) -> int:
    chars = [sum(len(m.content) for m in r.messages) + len(json.dumps(r.schema)) for r in previews]
    return round(sum(chars) / len(chars))


def _previews(plan: Plan, requests: int) -> list[Request]:
    """Requests from the first one to the last one of a run, in even steps; 12 at most.

    Later requests are made from histories of random configurations, as long as they will be.
    """
    if plan.space is None or plan.outer is None:
        text = "-" * (len(plan.first_request()) + _UNKNOWN_REQUEST)
        return [_bounded(plan, Request((Message("user", text),)))]
    proposer = plan.preview_proposer()
    first = plan.first_ask(_random_history(plan, 1))
    previews = [proposer.preview(first)]
    for k in range(1, min(requests, _FORECAST_REQUESTS)):
        after = (
            1
            + plan.settings.candidates
            + round((plan.settings.n_trials - 6) * (k - 1) / max(1, requests - 1))
        )
        history = _random_history(plan, max(2, after))
        previews.append(proposer.preview_propose(replace(first, history=history, trial_number=len(history))))
    return [_bounded(plan, request) for request in previews]


def _bounded(plan: Plan, request: Request) -> Request:
    """The request with the user's own bound on the reply, if there is one."""
    bound = plan.settings.max_output_tokens
    return request if bound is None else replace(request, max_output_tokens=bound)


def _random_history(plan: Plan, n: int) -> History:
    """Random configurations with random scores, for the length of a prompt only."""
    assert plan.space is not None
    rng = np.random.default_rng(0)
    folds = max(1, plan.task.n_folds)
    trials = []
    for number in range(n):
        splits = tuple(float(x) for x in rng.normal(size=folds)) if folds > 1 else ()
        params = plan.space.with_fixed(plan.space.sample(rng))
        score = float(rng.normal())
        trials.append(Observation(number, params, value=score, splits=splits, source="tpe", seconds=1.0))
    return History(tuple(trials), plan.task.direction, plan.task.scorer_name)

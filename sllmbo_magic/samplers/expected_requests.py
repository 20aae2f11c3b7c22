"""How many requests a run sends on average: its queue of candidates, with a coin for whose turn a trial is.

How often the language model gets a turn depends on how good its advice is; the coin has the share that the
user set. The rules are those of ``candidate_queue.py`` and ``requests.py``: a request goes out when one
candidate is left, at most one for as many trials as it has candidates, and old candidates count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sllmbo_magic.samplers.candidate_queue import LATE
from sllmbo_magic.samplers.candidate_queue import LOW_WATER

_RUNS = 40
_TRIALS = 20_000
"""Trials that are simulated at most."""


def expected_requests(n_trials: int, n_candidates: int, share: float) -> int:
    """Requests of a run on average, the first one included.

    Args:
        n_trials: Of the run, the default configuration included.
        n_candidates: Per request.
        share: The language model's part of the trials; with 1 it has all of them.
    """
    if share >= 1.0:
        return 1 + _sent(n_trials, n_candidates, lambda: True, eager=True)
    rng = np.random.default_rng(0)
    n_runs = max(1, min(_RUNS, _TRIALS // max(1, n_trials)))
    runs = [_sent(n_trials, n_candidates, lambda: rng.random() < share) for _ in range(n_runs)]
    return 1 + round(float(np.mean(runs)))


def _sent(n_trials: int, n_candidates: int, is_turn: Callable[[], bool], *, eager: bool = False) -> int:
    """The requests after the first one, whose configurations are the trials 1, 2, ..., ``n_candidates``."""
    if n_candidates == 1:  # asked at the moment of need
        return sum(is_turn() for _ in range(2, n_trials))
    n_sent = 0
    asked_at: list[int] = []
    """For each candidate of the queue the trial at which it was asked for."""
    pending: int | None = None
    for trial in range(n_candidates, n_trials):
        n_fresh = sum(trial - t <= 2 * n_candidates for t in asked_at)
        is_due = n_fresh <= LOW_WATER and (eager or n_sent * n_candidates <= trial)
        if pending is None and is_due and trial < n_trials - 1:
            pending, n_sent = trial, n_sent + 1
        if trial == n_candidates or not is_turn():
            continue
        if pending is not None and pending < trial and (not n_fresh or trial - pending >= LATE):
            asked_at = [t for t in asked_at if pending - t <= 2 * n_candidates] + [pending] * n_candidates
            pending = None
        if asked_at:
            asked_at.pop(0)
        elif pending is None and (eager or n_sent * n_candidates <= trial) and trial < n_trials - 1:
            pending, n_sent = trial, n_sent + 1
    return n_sent

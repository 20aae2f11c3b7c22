"""The judge: what it costs, and that its verdict does not depend on when it was fitted."""

from __future__ import annotations

import numpy as np
import pytest

from sllmbo_magic import SearchSpace
from sllmbo_magic.history import History
from sllmbo_magic.history import Observation
from sllmbo_magic.samplers import judge as judging

SPACE = SearchSpace.from_user({"x": (0.0, 1.0), "y": (1e-4, 1.0, "log")})


def history(n: int) -> History:
    rng = np.random.default_rng(0)
    configurations = [SPACE.sample(rng) for _ in range(n)]
    scores = [-((c["x"] - 0.3) ** 2) + 0.02 * rng.normal() for c in configurations]
    return History(
        tuple(
            Observation(i, c, value=v) for i, (c, v) in enumerate(zip(configurations, scores, strict=True))
        ),
        "maximize",
    )


def test_in_a_long_run_length_scales_are_looked_for_every_fifth_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[int] = []
    search = judging._shape

    def counted(units: np.ndarray, scores: np.ndarray) -> object:
        searched.append(len(scores))
        return search(units, scores)

    monkeypatch.setattr(judging, "_shape", counted)
    ahead, known = judging.JudgeAhead(), history(70)
    for number in range(45, 67):
        ahead.get(number, SPACE, known)
    assert searched == [*range(44, 50), 50, 55, 60, 65]


def test_a_judge_fitted_on_demand_is_the_one_fitted_ahead() -> None:
    """As after a resume: nothing of the trials before is in memory."""
    known, asked = history(64), [{"x": 0.31, "y": 0.1}, {"x": 0.9, "y": 0.5}]
    ahead = judging.JudgeAhead()
    for number in [*range(5, 9), *range(48, 63)]:
        ahead.prepare(number, SPACE, known)
        before = ahead.get(number, SPACE, known)
        fresh = judging.JudgeAhead().get(number, SPACE, known)
        assert (before is None) == (fresh is None) == (number - judging.LAG < judging.MIN_TRIALS)
        if before is not None and fresh is not None:
            assert before.improvements(asked) == fresh.improvements(asked)
    assert before is not None
    near, far = before.improvements(asked)
    assert near > far


def test_other_scores_are_another_judge() -> None:
    """A trial that ended since, and a range that changed, are not answered from memory."""
    known, ahead = history(60), judging.JudgeAhead()
    first = ahead.get(57, SPACE, known)
    late = History(tuple(o for o in known.observations if o.number != 3), "maximize")
    narrow = SPACE.narrow("x", high=0.5)
    for space, story in ((SPACE, late), (narrow, known)):
        again, fresh = ahead.get(57, space, story), judging.JudgeAhead().get(57, space, story)
        assert first is not None
        assert again is not None
        assert fresh is not None
        asked = [{"x": 0.2, "y": 0.01}]
        assert again.improvements(asked) == fresh.improvements(asked) != first.improvements(asked)

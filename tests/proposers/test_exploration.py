"""Exploration pays early; late it needs a reason."""

from __future__ import annotations

import numpy as np

from sllmbo_magic import SearchSpace
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.exploration import FREE
from sllmbo_magic.proposers.exploration import PAUSE
from sllmbo_magic.proposers.exploration import STALLED
from sllmbo_magic.proposers.exploration import worth_exploring
from sllmbo_magic.proposers.rulebook import RulebookProposer

SPACE = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(4)})


def run(*steps: tuple[str, float], direction: str = "maximize", start: str = "default") -> History:
    """Trials with these promises and scores, at random places; ``start`` is the source of the first."""
    rng = np.random.default_rng(0)
    return History(
        tuple(
            Observation(i, SPACE.sample(rng), value=value, expects=expects, source="tpe" if i else start)
            for i, (expects, value) in enumerate(steps)
        ),
        direction,
    )


STEADY = [("similar", 0.5 + 0.01 * i) for i in range(10)]
BAD = [("explore", 0.1)] * FREE


def test_the_first_explorations_need_no_reason() -> None:
    assert worth_exploring(History(), 4)
    assert worth_exploring(run(*STEADY, *BAD[1:]), 4)


def test_after_some_that_came_to_nothing_it_needs_a_reason() -> None:
    assert not worth_exploring(run(*STEADY, *BAD), 4)
    lower = [(expects, -value) for expects, value in [*STEADY, *BAD]]
    assert not worth_exploring(run(*lower, direction="minimize"), 4)


def test_one_that_was_good_is_a_reason() -> None:
    assert worth_exploring(run(*STEADY, *BAD, ("explore", 0.585)), 4)
    assert not worth_exploring(run(*STEADY, ("explore", 0.595), *BAD), 4), "only the latest count"


def test_a_run_that_stands_still_is_a_reason_now_and_then() -> None:
    flat = [("similar", 0.4)] * STALLED
    assert not worth_exploring(run(*STEADY, *BAD, *flat[: STALLED - FREE - 1]), 4)
    assert worth_exploring(run(*STEADY, *BAD, *flat), 4)
    assert not worth_exploring(run(*STEADY, *BAD, *flat), 40), "many parameters need more trials"
    again = [*STEADY, *BAD, *flat, ("explore", 0.1)]
    assert not worth_exploring(run(*again, *flat[: PAUSE - 1]), 4)
    assert worth_exploring(run(*again, *flat[:PAUSE]), 4)


def promises(history: History, n_trials: int | None = None) -> list[str]:
    ask = Ask(SPACE, SPACE, history, trial_number=len(history), n_trials=n_trials)
    return [c.expects for c in RulebookProposer(seed=1).propose(ask).candidates]


def test_the_rulebook_explores_where_it_is_worth_a_trial() -> None:
    assert promises(run(*STEADY)) == ["similar"] * 4 + ["explore"]
    assert promises(run(*STEADY, *BAD)) == ["similar"] * 5
    assert promises(run(*STEADY), n_trials=15) == ["similar"] * 5, "not in the last batch"
    assert promises(run(*STEADY), n_trials=16) == ["similar"] * 4 + ["explore"]


def test_after_an_initial_design_the_rulebook_explores_only_once_the_run_stands_still() -> None:
    flat = [("similar", 0.4)] * STALLED
    assert promises(run(*STEADY, start="tpe")) == ["similar"] * 5
    assert promises(run(*STEADY, *flat[:-1], start="tpe")) == ["similar"] * 5
    assert "explore" in promises(run(*STEADY, *flat, start="tpe"))
    again = [*STEADY, *flat, ("explore", 0.1)]
    assert "explore" not in promises(run(*again, start="tpe")), "one try, then a pause"

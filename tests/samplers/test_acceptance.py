"""The acceptance rule: a table of (improvements of candidates, of rivals, share) -> who runs, and its
record.
"""

from __future__ import annotations

import math

import pytest

from sllmbo_magic import SearchSpace
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers.acceptance import AcceptanceRule
from sllmbo_magic.samplers.acceptance import Choice
from sllmbo_magic.samplers.acceptance import acceptance_threshold
from sllmbo_magic.samplers.acceptance import standing_in
from sllmbo_magic.samplers.acceptance import veto_message
from sllmbo_magic.samplers.acceptance import veto_power
from sllmbo_magic.samplers.acceptance import without_near_duplicates
from sllmbo_magic.samplers.candidate_queue import QueuedCandidate
from sllmbo_magic.samplers.surrogate import Rating


def ratings(*improvements: float, chance: float = 0.01) -> list[Rating]:
    """Ratings with these expected improvements."""
    return [Rating(math.log(i) if i > 0 else -math.inf, chance) for i in improvements]


def runs(n: int) -> Choice:
    return Choice(candidate=n)


def veto(candidate: int, rival: int) -> Choice:
    return Choice(rival=rival, vetoed=candidate)


TABLE = [
    # candidates, rivals (the base sampler's draw first), share of the LLM -> who runs
    ([0.3, 0.5, 0.1], [0.4], 0.5, runs(1)),  # the best candidate stands for the trial
    ([0.25], [0.4], 0.5, runs(0)),  # 0.625 of the draw is enough at the share it starts with
    ([0.24], [0.4], 0.5, veto(0, 0)),
    ([0.24], [0.4], 0.7, runs(0)),  # an LLM that earned trials is trusted more ...
    ([0.25], [0.4], 0.4, veto(0, 0)),  # ... one that did not is trusted less
    ([0.09], [0.4], 0.9, runs(0)),
    ([0.07], [0.4], 0.9, veto(0, 0)),  # a fifth at least, whatever it earned
    ([0.4], [0.4], 0.1, runs(0)),  # never more than the draw itself
    ([0.39], [0.4], 0.1, veto(0, 0)),
    ([0.25], [0.4, 0.9, 0.8, 0.7, 0.9], 0.5, runs(0)),  # compared with one draw, not with the best
    ([0.2, 0.1], [0.4, 0.9, 0.8], 0.5, veto(0, 1)),  # one candidate is lost, and the best rival runs
    ([0.1, 0.2], [0.4, 0.3], 0.5, veto(1, 0)),
    ([], [0.2, 0.3], 0.5, Choice(rival=1)),  # nothing is left: no veto
    ([0.0], [0.0], 0.5, runs(0)),  # nothing to choose between them
]


@pytest.mark.parametrize(("candidates", "rivals", "share", "who"), TABLE)
def test_who_runs(candidates: list[float], rivals: list[float], share: float, who: Choice) -> None:
    assert AcceptanceRule(share).choose(ratings(*candidates), ratings(*rivals)) == who


def test_improvements_too_small_for_a_float_are_still_compared() -> None:
    rule = AcceptanceRule(0.5)
    draw = [Rating(-2000.0, 0.0)]
    assert rule.choose([Rating(-2000.4, 0.0)], draw) == runs(0)
    assert rule.choose([Rating(-2000.6, 0.0)], draw) == veto(0, 0)


def test_the_threshold_falls_with_the_share_that_the_llm_earned() -> None:
    shares = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
    thresholds = [acceptance_threshold(share) for share in shares]
    assert thresholds == pytest.approx([1.0, 1.0, 0.875, 0.625, 0.375, 0.2, 0.2])


def test_a_surrogate_with_few_trials_vetoes_nothing() -> None:
    rule = AcceptanceRule(0.1, may_veto=False)
    assert rule.choose(ratings(1e-9, 1e-8), ratings(0.9)) == runs(1)


@pytest.mark.parametrize(("power", "least"), [(1.0, 0.625), (0.5, 0.3125), (0.0, 0.0)])
def test_its_record_scales_the_power_of_a_veto(power: float, least: float) -> None:
    rule = AcceptanceRule(0.5, power=power)
    assert rule.threshold == pytest.approx(least)
    assert rule.choose(ratings(0.99 * least), ratings(1.0)) == (veto(0, 0) if power else runs(0))
    assert rule.choose(ratings(1.01 * least), ratings(1.0)) == runs(0)


def test_a_candidate_that_explores_is_not_vetoed_for_being_uncertain() -> None:
    rule, draw = AcceptanceRule(0.5), ratings(0.4)
    uncertain, hopeless = Rating(math.log(0.1), 0.08), Rating(math.log(0.1), 0.02)
    assert rule.choose([uncertain], draw, [True]) == runs(0)
    assert rule.choose([uncertain], draw, [False]) == veto(0, 0)
    assert rule.choose([hopeless], draw, [True]) == veto(0, 0)


# --- rivals ---------------------------------------------------------------------------------------------

SPACE = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(3)})


def at(x: float, **more: float) -> dict[str, float]:
    return {"x0": x, "x1": 0.5, "x2": 0.5, **more}


def test_near_duplicates_of_the_incumbent_are_one_rival() -> None:
    history = History((Observation(0, at(0.5), value=1.0), Observation(1, at(0.9), value=0.0)), "maximize")
    steps = [Suggestion(at(0.5, x1=0.5 + d), "rulebook", {}) for d in (0.02, 0.04, 0.06, -0.05)]
    far = Suggestion(at(0.1), "rulebook", {})
    kept, kept_ratings = without_near_duplicates(
        [*steps[:2], far, *steps[2:]], ratings(0.1, 0.3, 0.2, 0.25, 0.05), history, SPACE
    )
    assert kept == [steps[1], far]
    assert kept_ratings == ratings(0.3, 0.2)


# --- its own record -------------------------------------------------------------------------------------


def vetoes(*steps: tuple[float, float, float], noise: float = 0.0) -> History:
    """(value of the trial that ran instead, where the vetoed candidate lay, value of a later trial there)."""
    found = []
    for i, (instead, place, there) in enumerate(steps):
        splits = (-noise, noise, 0.0)
        for params, value, vetoed in (
            (at(0.9, x1=0.1 * i), instead, (at(place, x1=0.1 * i),)),
            (at(place, x1=0.1 * i + 0.01), there, ()),
        ):
            number = len(found)
            own = tuple(value + s * (1 if number % 2 else -1) for s in splits) if noise else ()
            found.append(Observation(number, params, value=value, splits=own, vetoed=vetoed))
    return History(tuple(found), "maximize")


def test_without_a_record_a_veto_has_its_power() -> None:
    assert veto_power(History(), SPACE) == 1.0
    far = vetoes((0.5, 0.1, 0.9))
    moved = [Observation(1, at(0.6), value=0.9)]
    assert veto_power(History((far.observations[0], *moved), "maximize"), SPACE) == 1.0, "no trial lies there"


def test_vetoes_whose_neighbours_did_better_cost_power() -> None:
    right = vetoes(*[(0.5, 0.1, 0.2)] * 6)
    half = vetoes(*[(0.5, 0.1, 0.2), (0.5, 0.1, 0.9)] * 4)
    wrong = vetoes(*[(0.5, 0.1, 0.9)] * 8)
    assert veto_power(right, SPACE) == 1.0
    assert 0.1 < veto_power(half, SPACE) < 0.5
    assert veto_power(wrong, SPACE) == 0.0
    turned = tuple(
        Observation(o.number, o.params, value=-(o.value or 0.0), vetoed=o.vetoed) for o in half.observations
    )
    assert veto_power(History(turned, "minimize"), SPACE) == veto_power(half, SPACE)


def test_a_neighbour_that_is_better_within_the_noise_does_not_speak_against_a_veto() -> None:
    steps = [(0.5, 0.1, 0.51)] * 6
    assert veto_power(vetoes(*steps), SPACE) < 0.2
    noisy = vetoes(*steps, noise=0.1)
    assert noisy.noise > 0.05
    assert veto_power(noisy, SPACE) == 1.0


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("state", ["FAIL", "INFEASIBLE", "COMPLETE"])
def test_a_veto_for_a_trial_that_fails_is_wrong_where_the_vetoed_one_has_a_score(
    direction: str, state: str
) -> None:
    instead = [Observation(i, at(0.9), state=state, vetoed=(at(0.1),)) for i in range(8)]
    near = Observation(8, at(0.1), value=0.5)
    also_failed = Observation(8, at(0.1), state=state)
    assert veto_power(History((*instead, near), direction), SPACE) == 0.0
    assert veto_power(History((*instead, also_failed), direction), SPACE) == 1.0


# --- what is said ---------------------------------------------------------------------------------------


def test_a_veto_over_many_parameters_stays_a_line_that_can_be_read() -> None:
    text = veto_message({f"p{i}": 0.123456789 for i in range(45)}, "rulebook")
    start = "The surrogate expects less of the LLM's candidate than of "
    assert text.startswith(start + "the rulebook: p0=0.12346, ")
    assert text.endswith("p7=0.12346 and 37 more")
    assert veto_message({"x": 1}, "tpe") == start + "tpe: x=1"


def test_the_trial_that_runs_instead_holds_the_vetoed_candidate() -> None:
    rival = Suggestion({"x": 1}, "rulebook", {"reason": "a step", "expects": "similar"})
    queued = QueuedCandidate(Candidate({"x": 2}), 7, 12)
    instead = standing_in(rival, queued, "llm")
    assert instead.provenance == {
        "reason": "a step (the surrogate expects more of it than of the LLM's candidate)",
        "expects": "similar",
        "vetoed": [{"params": {"x": 2}, "request": 7}],
    }
    assert standing_in(rival, None, "llm").provenance["reason"] == "a step (no candidate of the LLM is left)"
    draw = Suggestion({"x": 1}, "tpe", {"reason": ""})
    assert "vetoed" not in standing_in(draw, None, "rulebook").provenance

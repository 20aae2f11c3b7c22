"""Who proposes the next trial: shares, and what the adaptive one learns from the scores and their noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.errors import InputError
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.samplers.schedule import Adaptive
from sllmbo_magic.samplers.schedule import Schedule
from sllmbo_magic.samplers.schedule import make_schedule
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Pick
from tests.replies import Responder
from tests.replies import bounds_pick

FOLDS = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])


def played(steps: list[tuple[str, float]], noise: float = 0.0) -> History:
    """Trials of these sources and values (to be maximized), whose folds differ from trial to trial by
    ``noise``.
    """
    rng = np.random.default_rng(0)
    found = []
    for i, (source, value) in enumerate(steps):
        own = rng.normal(size=5)
        splits = value + FOLDS + noise * (own - own.mean()) / own.std(ddof=1) * np.sqrt(5 / 2)
        found.append(
            Observation(
                i, {"x": 0.0}, value=float(splits.mean()), splits=tuple(map(float, splits)), source=source
            )
        )
    return History(tuple(found), "maximize")


def chosen(schedule: Schedule, n: int, history: History | None = None) -> list[str]:
    told = history or History()
    return [schedule.choose(i, told, np.random.default_rng([7, i])) for i in range(n)]


def climbing(payer: str, gain: float = 0.05, n: int = 40) -> list[tuple[str, float]]:
    """Two sources by turns: one improves each time, the other never."""
    other = "tpe" if payer == "llm" else "llm"
    return [("default", 0.5)] + [
        step for i in range(n // 2) for step in ((payer, 0.5 + gain * (i + 1)), (other, 0.4))
    ]


@pytest.mark.parametrize("payer", ["llm", "tpe"])
def test_what_another_programs_sources_earn_is_not_credited_here(payer: str) -> None:
    other = [replace(o, by_other=True) for o in played(climbing(payer)).observations]
    assert Adaptive().share(History(tuple(other), "maximize")) == 0.5
    own = Observation(len(other), {"x": 0.0}, value=0.6, source="llm")
    assert Adaptive().share(History((*other, own), "maximize")) < 0.5, "the other one was better before"


def test_another_programs_llm_makes_no_difference_to_whom_the_rulebooks_trials_are_credited() -> None:
    own = played([("default", 0.5), *(("rulebook", 0.5 + 0.05 * i) for i in range(1, 9))]).observations
    other = replace(own[-1], number=9, source="llm", by_other=True)
    share = Adaptive().share(History(own, "maximize"))
    assert Adaptive().share(History((*own, other), "maximize")) == pytest.approx(share)


def test_bernoulli_is_a_coin_per_trial() -> None:
    drawn = chosen(make_schedule("bernoulli", 0.3), 2000)
    assert 0.26 <= drawn.count("llm") / 2000 <= 0.34
    assert set(chosen(make_schedule("bernoulli", 0.0), 50)) == {"base"}
    assert set(chosen(make_schedule("bernoulli", 1.0), 50)) == {"llm"}


def test_alternate_is_evenly_spaced() -> None:
    assert chosen(make_schedule("alternate", 0.5), 6) == ["base", "llm"] * 3
    assert chosen(make_schedule("alternate", 0.25), 40).count("llm") == 10


def test_warmstart_is_the_llm_first() -> None:
    assert chosen(make_schedule("warmstart", 0.3, 20), 20) == ["llm"] * 6 + ["base"] * 14


def test_what_the_rulebook_earns_beside_an_llm_is_not_the_llms() -> None:
    """A vetoed candidate's place is taken by the rulebook; an improvement there says nothing for the LLM."""
    steps = [("default", 0.5), ("llm", 0.4), ("tpe", 0.4)]
    steps += [("rulebook", 0.5 + 0.05 * (i + 1)) for i in range(20)]
    beside_an_llm = Adaptive().share(played(steps))
    alone = Adaptive().share(played([step for step in steps if step[0] != "llm"]))
    assert alone > 0.7, "without an LLM the turns are the rulebook's, and it earned"
    assert beside_an_llm < 0.4


class Lowered(Adaptive):
    """The LLM had a half and has kept a tenth."""

    def share(self, history: History) -> float:
        return 0.1


def turns_of(sampler: LLMTPESampler, n: int = 2000) -> dict[str, float]:
    choice = sampler._sources
    drawn = [choice._scheduled(i, History(), np.random.default_rng([7, i])) for i in range(n)]
    return {turn: drawn.count(turn) / n for turn in sorted(set(drawn))}


def test_the_share_that_the_llm_lost_goes_to_the_rulebook() -> None:
    sampler = LLMTPESampler(FunctionProvider(Responder(0)), search_space={"x": (0.0, 1.0)}, seed=0)
    assert turns_of(sampler).keys() == {"base", "llm"}, "nothing is lost before it has lost something"
    sampler._sources.schedule = Lowered()
    turns = turns_of(sampler)
    assert turns == pytest.approx({"base": 0.5, "llm": 0.1, "rulebook": 0.4}, abs=0.03)


@pytest.mark.parametrize("options", [{"judge": False}, {"schedule": "bernoulli"}, {"llm": "rulebook"}])
def test_without_a_surrogate_or_an_llm_or_with_a_fixed_share_nothing_goes_elsewhere(
    options: dict[str, Any],
) -> None:
    arguments = {"llm": FunctionProvider(Responder(0)), "search_space": {"x": (0.0, 1.0)}, "seed": 0}
    sampler = LLMTPESampler(**{**arguments, **options})
    if "schedule" not in options:
        sampler._sources.schedule = Lowered()
    assert "rulebook" not in turns_of(sampler)


def test_a_trial_of_the_lost_share_says_so() -> None:
    sampler = LLMTPESampler(
        FunctionProvider(Responder(0, bounds_pick)), search_space={"x": (0.0, 1.0), "y": (0.0, 1.0)}, seed=0
    )
    sampler._sources.schedule = Lowered()
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda t: (t.suggest_float("x", 0, 1) - 0.4) ** 2 + t.suggest_float("y", 0, 1), n_trials=30
    )
    reasons = {
        t.user_attrs["sllmbo:source"]: t.user_attrs["sllmbo:provenance"]["reason"]
        for t in study.trials
        if "lost a part of its share" in t.user_attrs.get("sllmbo:provenance", {}).get("reason", "")
    }
    assert reasons.keys() <= {"rulebook", "tpe", "gp"}
    assert {"rulebook", "gp"} <= reasons.keys()


def test_requests_are_worth_their_price_only_while_the_llm_can_have_a_turn() -> None:
    for name in ("adaptive", "bernoulli", "alternate"):
        assert make_schedule(name, 0.2).may_choose_llm(500)
        assert not make_schedule(name, 0.0).may_choose_llm(0)
    first = make_schedule("warmstart", 0.3, 20)
    assert [first.may_choose_llm(n) for n in (0, 5, 6, 19)] == [True, True, False, False]


def test_a_ratio_that_changes_is_felt_at_once() -> None:
    for name in ("adaptive", "bernoulli", "alternate", "warmstart"):
        schedule = make_schedule(name, 0.5, 50)
        schedule.ratio = 0.0
        assert set(chosen(schedule, 40)) == {"base"}, name
        schedule.ratio = 1.0
        assert set(chosen(schedule, 40)) == {"llm"}, name


def test_unknown_schedules_and_ratios_are_one_line() -> None:
    with pytest.raises(
        InputError, match="'sometimes' is not one of adaptive, bernoulli, alternate, warmstart"
    ):
        LLMTPESampler(schedule="sometimes")
    with pytest.raises(InputError, match=r"llm_ratio 1\.5 is out of range"):
        LLMTPESampler(llm_ratio=1.5)


def test_the_share_starts_where_the_user_wants_it() -> None:
    for ratio in (0.2, 0.5, 0.8):
        assert Adaptive(ratio).share(History()) == pytest.approx(ratio)


def test_the_share_rises_when_the_llm_pays_and_falls_when_it_does_not() -> None:
    assert Adaptive(0.5).share(played(climbing("llm"))) > 0.65
    assert Adaptive(0.5).share(played(climbing("tpe"))) < 0.25


def test_the_share_falls_when_neither_pays() -> None:
    flat = [("default", 0.5)] + [("llm", 0.45), ("tpe", 0.45)] * 20
    assert Adaptive(0.5).share(played(flat)) < 0.35


def test_trials_that_were_cut_off_cost_nobody_a_share() -> None:
    scored = tuple(Observation(n, {}, value=1.0, source="tpe") for n in range(4))
    cut_off = tuple(Observation(n, {}, state="FAIL", error="stopped", source="llm") for n in range(4, 12))
    assert Adaptive(0.5).share(History(scored + cut_off)) == Adaptive(0.5).share(History(scored))


def test_the_share_stays_between_the_floors() -> None:
    lost = [("default", 0.9), *[("llm", 0.1)] * 300, *[("tpe", 0.9 + 0.001 * i) for i in range(1, 60)]]
    won = [("default", 0.1), *[("tpe", 0.05)] * 300, *[("llm", 0.1 + 0.01 * i) for i in range(1, 80)]]
    for ratio in (0.3, 0.5, 0.9):
        assert 0.1 <= Adaptive(ratio).share(played(lost)) < ratio
        assert ratio <= Adaptive(ratio).share(played(won)) <= 0.9
    assert Adaptive(0.3).share(played(won)) > 0.5
    assert Adaptive(0.05).share(played(lost)) == pytest.approx(0.05), "the user's own ratio may be lower"


def test_gains_inside_the_noise_earn_nothing() -> None:
    """The same small steps pay where the folds agree, and do not where they differ by more."""
    steps = climbing("llm", gain=0.002)
    exact, noisy = played(steps), played(steps, noise=0.05)
    assert exact.noise < 0.0005
    assert noisy.noise > 0.02
    adaptive = Adaptive(0.5)
    assert adaptive.share(exact) > 0.65
    assert adaptive.share(noisy) < 0.5
    assert adaptive.share(noisy) < adaptive.share(played([("default", 0.5)]))


def test_a_plateau_of_equal_trials_does_not_hide_the_noise() -> None:
    """A tree's better half often equals its best fold by fold."""
    few = played([("tpe", 0.9), ("tpe", 0.85), ("tpe", 0.84), ("tpe", 0.86)], noise=0.02)
    assert few.noise > 0.01
    best = few.ranked()[0]
    flat = tuple(replace(best, number=10 + i) for i in range(200))
    assert History((*few.observations, *flat)).noise == pytest.approx(few.noise, rel=0.5)
    assert History(flat).noise == 0.0


def test_many_steps_inside_the_noise_earn_what_they_add_up_to() -> None:
    noisy = played(climbing("llm", gain=0.02), noise=0.05)
    earned, _ = Adaptive(0.5, memory=1.0)._accounts(noisy)
    assert 3 <= earned["llm"] <= 16


def test_the_sign_of_the_score_makes_no_difference() -> None:
    up = played(climbing("llm"))
    turned = [
        replace(o, value=-(o.value or 0.0), splits=tuple(-s for s in o.splits)) for o in up.observations
    ]
    down = History(tuple(turned), "minimize")
    assert Adaptive(0.5).share(up) == pytest.approx(Adaptive(0.5).share(down))


def failing_early(space: SearchSpace, f: Callable[[Any], float], pick: Pick) -> list[str]:
    provider = FunctionProvider(Responder(1, pick))
    sampler = LLMTPESampler(provider, search_space=space, judge=False, seed=3)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: f(space.suggest(trial)), n_trials=80)
    return [t.user_attrs["sllmbo:source"] for t in study.trials]


def test_in_a_study_a_useless_adviser_loses_its_turns() -> None:
    space = SearchSpace.from_user({"x": (-1.0, 1.0), "y": (-1.0, 1.0)})
    taken = failing_early(space, lambda p: p["x"] ** 2 + p["y"] ** 2, bounds_pick)
    assert taken[50:].count("llm") <= 10
    assert taken.count("llm") >= 3


@pytest.mark.parametrize("hundredths", range(101))
def test_alternate_gives_the_llm_exactly_its_share(hundredths: int) -> None:
    drawn = chosen(make_schedule("alternate", hundredths / 100), 100)
    assert drawn.count("llm") == hundredths


def test_trials_that_were_cut_off_do_not_count_against_the_llm() -> None:
    """They have no outcome yet: a resumed run has them again."""
    played_so_far = played([("default", 0.5), ("llm", 0.4), ("tpe", 0.4)])
    number = len(played_so_far)
    cut_off = tuple(
        Observation(number + i, {"x": 0.0}, state="FAIL", error="stopped", source="llm") for i in range(8)
    )
    failed = tuple(replace(o, error="fit-failed") for o in cut_off)
    share = Adaptive(0.5).share(played_so_far)
    assert Adaptive(0.5).share(History((*played_so_far.observations, *cut_off))) == share
    assert Adaptive(0.5).share(History((*played_so_far.observations, *failed))) < share

"""When a run should end by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Note
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.tuning.stopping import AutoPatience
from sllmbo_magic.tuning.stopping import Patience
from sllmbo_magic.tuning.stopping import make_rule


def curve(values: list[float | None], noise: float = 0.0, direction: str = "maximize") -> History:
    """Trials with these values; with ``noise`` they have five folds whose differences have that error."""
    rng = np.random.default_rng(2)
    found = []
    for i, value in enumerate(values):
        splits: tuple[float, ...] = ()
        if value is not None and noise:
            own = rng.normal(size=5)
            own = (own - own.mean()) / own.std(ddof=1) * noise * np.sqrt(5 / 2)
            splits = tuple(float(value + s) for s in own)
        state = "FAIL" if value is None else "COMPLETE"
        found.append(Observation(i, {"x": 0.1 * i}, state, value, splits))
    return History(tuple(found), direction)


def stops_at(
    rule: Any, values: list[float | None], noise: float = 0.0, direction: str = "maximize"
) -> int | None:
    """After how many trials the rule ends a run with these values; None: never."""
    for n in range(1, len(values) + 1):
        if rule.reason(curve(values[:n], noise, direction)) is not None:
            return n
    return None


def rising(n: int, tau: float = 8.0) -> list[float | None]:
    """Best so far of a search that saturates; every second trial is a bad one."""
    return [0.5 if i % 2 else float(0.9 - 0.3 * np.exp(-i / tau)) for i in range(n)]


def test_patience_counts_trials_without_a_better_score() -> None:
    rule = make_rule(3)
    assert stops_at(rule, [0.1, 0.5, 0.4, 0.5, 0.3]) == 5, "a repeated best is no improvement"
    assert stops_at(rule, [0.1, 0.5, 0.4, 0.4, 0.6, 0.1, 0.1]) is None
    assert stops_at(rule, [0.5, 0.1, 0.4, 0.2], direction="minimize") is None
    assert stops_at(rule, [0.1, 0.5, 0.4, 0.2], direction="minimize") == 4
    reason = rule.reason(curve([0.5, 0.1, 0.1, 0.1]))
    assert reason == "no better trial in 3 trials (patience 3)"


def test_failed_trials_count_for_patience_but_no_score_never_stops() -> None:
    assert stops_at(make_rule(3), [0.5, None, None, None]) == 4
    assert stops_at(make_rule(3), [None] * 10) is None


def test_trials_that_were_cut_off_do_not_count_for_patience() -> None:
    cut_off = [Observation(n, {}, state="FAIL", error="stopped") for n in range(1, 7)]
    history = History((Observation(0, {}, value=1.0), *cut_off))
    assert Patience(6).reason(history) is None
    failed = [Observation(n, {}, state="FAIL", error="fit-failed") for n in range(1, 7)]
    assert Patience(6).reason(History((Observation(0, {}, value=1.0), *failed))) is not None


def test_with_several_objectives_a_trial_that_enters_the_front_is_progress() -> None:
    def history(*values: tuple[float, float] | None) -> History:
        return History(
            tuple(
                Observation(n, {}, state="FAIL" if v is None else "COMPLETE", values=v or ())
                for n, v in enumerate(values)
            )
        )

    rule = make_rule(2, ["minimize", "maximize"])
    assert rule.reason(history((1, 1), (1, 2), (1, 3))) is None, "each dominates those before"
    assert rule.reason(history((1, 1), (2, 1), (0.5, 0))) is None, "a trade is progress, too"
    reason = rule.reason(history((1, 1), (1, 1), (2, 1)))
    assert reason == "no trial entered the Pareto front in 2 trials (patience 2)"
    assert rule.reason(history((1, 1), (2, 1))) is None
    assert rule.reason(history((1, 1), (2, 1), None)) is not None, "failed trials count"
    assert rule.reason(history(None, None, None, None)) is None
    infeasible = Observation(1, {}, state="INFEASIBLE"), Observation(2, {}, state="INFEASIBLE")
    assert rule.reason(History((Observation(0, {}, values=(1, 1)), *infeasible))) is not None


def test_a_number_may_come_as_text() -> None:
    assert stops_at(make_rule("2"), [0.5, 0.1, 0.1]) == 3


@pytest.mark.parametrize("wrong", [0, -1, True, "soon", 2.5, 2.5j, [], "0"])
def test_other_patience_is_one_line(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"patience .* is not known\. Allowed: 1 or more, auto, off\."):
        make_rule(wrong)


def test_off_never_stops() -> None:
    assert stops_at(make_rule("off"), [0.5] * 200) is None
    assert stops_at(make_rule(None), [0.5] * 200) is None


def test_auto_stops_once_the_gains_lie_inside_the_noise() -> None:
    auto = make_rule("auto")
    noisy, exact = stops_at(auto, rising(150), noise=0.02), stops_at(auto, rising(150), noise=0.0005)
    assert noisy is not None
    assert exact is not None
    assert 30 <= noisy < exact, "the noisier the scores, the sooner further trials are worth nothing"
    best = max(v for v in rising(150)[:noisy] if v is not None)
    assert 0.9 - best <= 0.02, "what it gave away is less than the noise"


def test_auto_waits_out_a_search_that_stands_still_for_fifteen_trials() -> None:
    """Seen on small data: nothing for 15 trials, then another standard error and more."""
    late: list[float | None] = [0.6, *[0.5] * 9, 0.7, *[0.6] * 15, 0.72, *[0.6] * 40]
    assert stops_at(make_rule("auto"), late, noise=0.01) == 47
    reason = make_rule("auto").reason(curve(late[:47], noise=0.01))
    assert reason is not None
    assert reason.startswith("the last 20 trials gained 0, inside the noise of a difference (0.0")


def test_auto_goes_on_while_the_gains_are_real_where_a_fixed_patience_gives_up() -> None:
    """A search that stalls for seven trials and then finds more, as those of the paper did."""
    stalls = [0.6] + [0.5] * 7 + [0.7] + [0.5] * 7 + [0.8] + [0.5] * 7 + [0.9] + [0.5] * 7
    assert stops_at(make_rule(5), stalls) == 6
    assert stops_at(make_rule("auto"), stalls, noise=0.005) is None


def test_auto_without_folds_looks_at_what_was_gained_in_all() -> None:
    assert stops_at(AutoPatience(), rising(300)) is not None
    assert stops_at(AutoPatience(), [0.01 * i for i in range(100)]) is None
    assert stops_at(AutoPatience(), [0.5] * 50) == 30


def test_a_run_ends_by_its_rule_and_says_why() -> None:
    def flat(params: dict[str, Any]) -> float:
        return 1.0

    def run(patience: Any) -> Any:
        space = {"x": (0.0, 1.0)}
        return tune(
            flat, direction="minimize", search_space=space, n_trials=60, patience=patience, seed=0, folder=""
        )

    fixed = run(7)
    assert len(fixed.trials) == 8
    assert fixed.summary["reason"] == "no better trial in 7 trials (patience 7)"
    auto = run("auto")
    assert len(auto.trials) == 30
    assert auto.summary["reason"] == "the last 20 trials gained 0 of 0 in all"
    assert auto.status == "finished"


def test_a_run_with_several_objectives_goes_on_while_its_front_does() -> None:
    calls: list[int] = []

    def better_in_the_second(params: dict[str, Any]) -> tuple[float, float]:
        calls.append(1)
        return 1.0, -float(min(len(calls), 12))

    def run(patience: Any) -> Any:
        calls.clear()
        space, both = {"x": (-5.0, 5.0)}, ["minimize", "minimize"]
        options: dict[str, Any] = {"n_trials": 20, "patience": patience, "seed": 0, "folder": ""}
        return tune(better_in_the_second, direction=both, search_space=space, **options)

    result = run(3)
    assert len(result.trials) == 15
    assert result.summary["reason"] == "no trial entered the Pareto front in 3 trials (patience 3)"
    auto = run("auto")
    assert len(auto.trials) == 20
    notes = [e.text for e in auto.events if isinstance(e, Note)]
    assert sum("patience auto" in text and "is not used" in text for text in notes) == 1

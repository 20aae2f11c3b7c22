"""``compare``: paired runs, honest numbers, ablations that switch one thing, and nothing finished is lost."""

from __future__ import annotations

import json
import math
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from scipy.stats import permutation_test
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.comparison.compare import compare
from sllmbo_magic.comparison.paired_tests import differences
from sllmbo_magic.comparison.paired_tests import pairs_needed
from sllmbo_magic.comparison.result import ComparedRun
from sllmbo_magic.comparison.result import Comparison
from sllmbo_magic.comparison.variants import ABLATIONS
from sllmbo_magic.comparison.variants import NEEDS_LLM
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import RunStarted
from sllmbo_magic.llm.base import Request
from sllmbo_magic.options import COMPARE_OPTIONS
from sllmbo_magic.testing import FunctionProvider
from tests import replies

SPACE = {"x": (-1.0, 1.0), "z": (-1.0, 1.0)}
X, y = load_iris(return_X_y=True)


def bowl(params: dict[str, Any]) -> float:
    """0 at (0.3, -0.2), the best."""
    return float((params["x"] - 0.3) ** 2 + (params["z"] + 0.2) ** 2)


def of_bowl(**options: Any) -> Comparison:
    plain = {"direction": "minimize", "search_space": SPACE, "n_trials": 6, "samplers": ("tpe", "random")}
    return compare(bowl, **{**plain, "seeds": 2, **options})


def made(
    finals: dict[str, list[float]], *, direction: str = "maximize", metric: str = "m", **options: Any
) -> Comparison:
    """A comparison of runs of one trial with these values."""
    runs = [
        ComparedRun(name, seed, (value,), {"tpe": 1}, 0, 0, 0, 0, None, 1.0)
        for name, values in finals.items()
        for seed, value in enumerate(values)
    ]
    seeds = tuple(range(max(len(values) for values in finals.values())))
    names: dict[str, dict[str, Any]] = {name: {} for name in finals}
    return Comparison("t", metric, direction, 1, names, seeds, tuple(runs), **options)


# ---- the statistics


@pytest.mark.parametrize("n", [3, 6, 9])
def test_the_p_value_is_that_of_the_exact_sign_flip_test(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 1.0, n)
    known = permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert differences("base", [("a", values)])[0].p == pytest.approx(known.pvalue)


def test_the_interval_covers_the_mean_and_the_test_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    covered, shown = 0, 0
    for _ in range(400):
        found = differences("base", [("a", rng.normal(0.5, 1.0, 8))])[0]
        assert found.interval is not None
        covered += found.interval[0] <= 0.5 <= found.interval[1]
        shown += differences("base", [("a", rng.normal(0.0, 1.0, 8))])[0].verdict != "no difference shown"
    assert covered / 400 > 0.92
    assert shown / 400 < 0.08


def test_many_pairs_are_judged_by_drawn_signs() -> None:
    values = np.random.default_rng(1).normal(0.5, 1.0, 40)
    found = differences("base", [("a", values)])[0]
    known = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=20_000)
    assert found.p == pytest.approx(known.pvalue, abs=0.01)
    assert found.interval is not None
    assert found.interval[0] < values.mean() < found.interval[1]
    assert found.interval[1] - found.interval[0] == pytest.approx(4 * values.std() / 40**0.5, rel=0.15)


def test_too_few_pairs_show_nothing_and_say_so() -> None:
    assert (pairs_needed(1), pairs_needed(2), pairs_needed(3)) == (6, 7, 7)
    five, six = (made({"a": [0.0] * n, "b": [1.0 + i for i in range(n)]}) for n in (5, 6))
    assert five.differences()[0].verdict == "no difference shown"
    assert five.differences()[0].interval is None
    assert "give 6 seeds or more" in five.table()
    assert six.differences()[0].verdict == "better"
    assert "seeds or more" not in six.table()


def test_p_values_are_adjusted_for_the_number_of_comparisons() -> None:
    """Holm: the smallest times 3, the next times 2; never out of order."""
    ones = [1.0 + i / 10 for i in range(6)]
    mixed = [1.0, 2.0, 3.0, 4.0, 5.0, -0.5]
    alone = {name: differences("base", [(name, v)])[0].p for name, v in (("a", ones), ("b", mixed))}
    found = differences("base", [("b", mixed), ("c", [0.0] * 6), ("a", ones)])
    assert [d.p for d in found] == [2 * alone["b"], 1.0, 3 * alone["a"]]
    assert found[2].verdict == "no difference shown"
    assert found[1].verdict == "the same"


@pytest.mark.parametrize(("direction", "verdict"), [("maximize", "better"), ("minimize", "worse")])
def test_better_means_better_in_the_metrics_direction(direction: str, verdict: str) -> None:
    comparison = made({"base": [0.0] * 6, "other": [1.0] * 6}, direction=direction)
    found = comparison.differences()[0]
    assert found.verdict == verdict
    assert f"1.0000 {verdict} on average" in found.text()
    assert (found.better, found.worse) == ((6, 0) if verdict == "better" else (0, 6))


def test_only_whole_pairs_are_compared_and_missing_scores_are_no_values() -> None:
    comparison = made({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0]})
    assert comparison.differences()[0].n == 2
    assert comparison.differences()[0].mean == 1.0
    failed = made({"a": [1.0, 2.0], "b": [1.5, None]})  # type: ignore[list-item]
    found = failed.differences()[0]
    assert (found.n, found.n_unscored, found.better, found.worse) == (2, 1, 1, 1)
    assert (found.mean, found.interval) == (None, None), "a mean of some pairs would flatter"
    assert failed.rows()[1]["best"] is None
    assert "–" in failed.table()


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
def test_a_run_without_a_score_is_worse_than_any_with_one(direction: str, sign: float) -> None:
    """Two thirds of the risky runs find nothing; the others are all better."""
    nan = math.nan
    risky = [sign * (1.0 + seed / 10) if seed % 3 == 0 else nan for seed in range(24)]
    finals = {"safe": [0.5 * sign] * 24, "risky": risky}
    found = made(finals, direction=direction).differences()[0]
    assert (found.better, found.equal, found.worse, found.n, found.n_unscored) == (8, 0, 16, 24, 16)
    assert (found.verdict, found.mean, found.interval) == ("worse", None, None)
    ranks = np.array([rank if rank < 9 else -16.5 for rank in range(1, 25)])
    known = permutation_test((ranks,), np.mean, permutation_type="samples", n_resamples=20_000)
    assert found.p == pytest.approx(known.pvalue, abs=0.01)
    table = " ".join(made(finals, direction=direction).table().split())
    assert re.search(
        r"risky against safe: better in 8, equal in 0, worse in 16 of 24 pairs \(in 16 a run found no score,"
        r" which counts as worse than any\), p \S+ by ranks: worse\.",
        table,
    )
    assert re.search(r"risky .* – 8/0/16 0\.0", table), "in the table, too"
    other_way = made({"risky": risky, "safe": finals["safe"]}, direction=direction).differences()[0]
    assert (other_way.verdict, other_way.p) == ("better", found.p)


def test_pairs_in_which_neither_run_has_a_score_show_nothing() -> None:
    comparison = made({"a": [math.nan] * 6, "b": [math.nan] * 6})
    found = comparison.differences()[0]
    assert (found.n, found.n_unscored, found.equal, found.p) == (6, 6, 6, 1.0)
    assert found.verdict == "no difference shown"
    assert "the same best value" not in comparison.table()
    json.dumps(comparison.to_dict(), allow_nan=False)


# ---- runs


def test_runs_are_those_of_tune_and_paired() -> None:
    tree = DecisionTreeClassifier(random_state=0)
    options: dict[str, Any] = {"n_trials": 5, "cv": 3}
    comparison = compare(tree, X, y, samplers=("tpe", "random"), seeds=(3, 5), **options)
    assert [(run.variant, run.seed) for run in comparison.runs] == [
        ("tpe", 3),
        ("random", 3),
        ("tpe", 5),
        ("random", 5),
    ]
    alone = tune(tree, X, y, sampler="random", seed=5, folder="", verify=False, **options)
    assert list(comparison.runs[3].values) == [t.value for t in alone.study.trials]
    assert len({run.values[0] for run in comparison.runs}) == 1, "all start at the same default"
    assert of_bowl(seeds=np.int64(1), n_trials=1, optimum=np.int64(0)).seeds == (0,)
    assert of_bowl(seeds=np.array([3, 5]), n_trials=1).seeds == (3, 5)
    assert comparison.metric == "f1_weighted"
    assert comparison.baseline == "tpe"
    assert comparison.complete
    assert not Path(".sllmbo").exists()


def test_numbers_are_those_of_the_runs() -> None:
    comparison = of_bowl(n_trials=12, seeds=3)
    for row in comparison.rows():
        runs = comparison.of(row["variant"])
        best = np.array([np.minimum.accumulate([t.value for t in r.result.study.trials]) for r in runs])
        target = min(min(run.values) for run in comparison.runs)
        assert row["best"] == pytest.approx(best[:, -1].mean())
        assert row["best_sd"] == pytest.approx(best[:, -1].std(ddof=1))
        assert comparison.milestones == [1, 5, 10, 12]
        assert row["regret"] == pytest.approx([best[:, m - 1].mean() - target for m in (1, 5, 10, 12)])
        np.testing.assert_allclose(comparison.regret(row["variant"]), best - target)
    assert of_bowl(optimum=-1.0).regret("tpe").min() >= 1.0


def test_failed_trials_and_early_ends_keep_the_best_so_far() -> None:
    def picky(params: dict[str, Any]) -> float:
        if params["x"] > 0:
            raise RuntimeError("no")
        return bowl(params)

    options: dict[str, Any] = {"direction": "minimize", "search_space": SPACE, "samplers": ("tpe", "random")}
    comparison = compare(picky, n_trials=20, seeds=2, patience=3, **options)
    short = [run for run in comparison.runs if len(run.values) < 20]
    assert short, "patience ended a run"
    assert any(None in run.values for run in comparison.runs)
    for run in short:
        row = comparison.best_so_far(run.variant)[run.seed]
        assert len(row) == 20
        assert row[-1] == min(v for v in run.values if v is not None)


def test_the_cost_of_an_llm_is_counted_and_the_rulebook_is_called_a_rulebook() -> None:
    provider = FunctionProvider(replies.Responder(0), id="test:double")
    comparison = of_bowl(samplers=("llm-tpe", "tpe"), llm=provider, n_trials=8, judge=False)
    assert list(comparison.variants) == ["llm-tpe (test:double)", "tpe"]
    ours, theirs = comparison.rows()
    assert sum(run.requests for run in comparison.runs) == len(provider.requests) > 0
    assert ours["tokens"] > 0
    assert ours["llm_share"] > 0
    assert theirs["requests"] == theirs["llm_share"] == theirs["rulebook_share"] == 0
    assert "% LLM" in comparison.table()

    plain = of_bowl(samplers=("llm-tpe", "llm", "tpe"))
    assert list(plain.variants) == ["llm-tpe (rulebook)", "llm (rulebook)", "tpe"]
    assert "% rulebook" in plain.table()
    assert "LLM" not in plain.table()
    named = of_bowl(samplers=None, variants={"a": {"llm_ratio": 0.2}, "my rulebook": {"llm_ratio": 0.8}})
    assert list(named.variants) == ["a (rulebook)", "my rulebook"]


def test_an_llm_that_cannot_serve_is_said() -> None:
    provider = FunctionProvider(lambda request: "not JSON", id="test:silent")
    table = of_bowl(samplers=("llm", "tpe"), llm=provider).table()
    assert re.search(
        r"llm \(test:silent\): the LLM gave no usable proposal \d+ times; the sampler proposed instead\.",
        " ".join(table.split()),
    )


def test_variants_may_make_a_sampler_per_seed_and_objects_are_not_shared() -> None:
    comparison = of_bowl(
        samplers=None,
        variants={
            "made": {"sampler": lambda seed: optuna.samplers.RandomSampler(seed=seed)},
            "object": {"sampler": optuna.samplers.RandomSampler(seed=7)},
        },
    )
    values = {(run.variant, run.seed): run.values for run in comparison.runs}
    assert values["made", 0] != values["made", 1]
    assert values["object", 0] == values["object", 1]
    assert "object: the sampler object keeps its own random state" in comparison.table()


def test_events_of_all_runs_reach_the_sinks() -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("a view")

    of_bowl(sinks=(broken, seen.append))
    assert isinstance(seen[0], Note)
    assert seen[0].text == "4 runs of 6 trials."
    started = [event.run["name"] for event in seen if isinstance(event, RunStarted)]
    assert started == ["tpe, seed 0", "random, seed 0", "tpe, seed 1", "random, seed 1"]
    assert sum(isinstance(event, RunFinished) for event in seen) == 4


# ---- ablations


def test_each_ablation_switches_one_argument_and_the_command_offers_all() -> None:
    for variants in ABLATIONS.values():
        assert len({tuple(own) for own in variants.values()}) == 1
        assert len({json.dumps(own) for own in variants.values()}) == len(variants) > 1
    choices = next(option.choices for option in COMPARE_OPTIONS if option.flag == "--ablate")
    assert set(choices) == set(ABLATIONS)


def test_without_an_llm_the_ablations_that_need_one_are_refused() -> None:
    for name in NEEDS_LLM:
        with pytest.raises(InputError, match=f"'{name}' needs an LLM: the rulebook"):
            of_bowl(samplers=None, ablate=name)
    tree = DecisionTreeClassifier(random_state=0)
    for name in set(ABLATIONS) - set(NEEDS_LLM):
        comparison = compare(tree, X, y, ablate=name, seeds=1, n_trials=8, cv=3)
        assert all("rulebook" in label for label in comparison.variants if label != "tpe")
    init = compare(tree, X, y, ablate="init", seeds=1, n_trials=7, cv=3)
    assert [run.sources.get("random", 0) for run in init.runs] == [0, 0, 5]


def asked(ablate: str, **options: Any) -> tuple[Comparison, dict[str, list[Request]]]:
    """A comparison on a real estimator with a double for the LLM; the requests by variant."""
    now = [""]
    responder = replies.Responder(0)

    def note(event: Event) -> None:
        if isinstance(event, RunStarted):
            now[0] = event.run["name"].partition(" (")[0]

    by_variant: dict[str, list[Request]] = {}

    def answer(request: Request) -> Any:
        by_variant.setdefault(now[0], []).append(request)
        return responder(request)

    provider = FunctionProvider(answer, id="test:double")
    options = {"n_trials": 10, "seeds": 1, "cv": 3, "samplers": ("llm",), "candidates": 2, **options}
    model = LogisticRegression(max_iter=50)
    return compare(model, X[::3], y[::3], ablate=ablate, llm=provider, sinks=(note,), **options), by_variant


def text(requests: list[Request]) -> str:
    return "\n".join(m.content for request in requests for m in request.messages)


def test_names_hides_the_words_of_the_user() -> None:
    comparison, requests = asked("names", description="irises of Anderson")
    assert list(comparison.variants) == ["real names (test:double)", "anonymized (test:double)"]
    assert "irises of Anderson" in text(requests["real names"])
    assert "Anderson" not in text(requests["anonymized"])


def test_a_fixed_space_stays_as_it_is() -> None:
    narrower = {
        "action": "narrow",
        "name": "x",
        "low": -0.5,
        "high": 0.5,
        "choices": None,
        "reason": "better there",
    }

    def answer(request: Request) -> Any:
        rng = np.random.default_rng(request.trial_number)
        return replies.reply(request.messages[-1].content, rng, n=2, changes=[narrower])

    provider = FunctionProvider(answer, id="test:double")
    options: dict[str, Any] = {"ablate": "space", "llm": provider, "seeds": 1, "candidates": 2}
    comparison = of_bowl(samplers=("llm",), n_trials=50, **options)  # a narrowing needs evidence
    dynamic, fixed = (run.result.space_versions for run in comparison.runs)
    assert dynamic[-1].space["x"].low == -0.5
    assert {version.space["x"].low for version in fixed} == {-1.0}


def test_history_changes_what_the_llm_is_told() -> None:
    _, requests = asked("history")
    purposes = {name: {request.purpose for request in sent} for name, sent in requests.items()}
    assert set(purposes) == {f"history {policy}" for policy in ("state", "summary", "window", "full")}
    texts = [text(sent[1:2]) for sent in requests.values()]
    assert len(set(texts)) == 4


def test_scores_are_shown_permuted_and_the_judge_is_off() -> None:
    comparison, requests = asked("scores", n_trials=14)
    shown: dict[str, dict[int, float]] = {}
    for name, sent in requests.items():
        rows = replies.trials(text(sent[-1:]))
        shown[name] = {n: float(score) for n, _, score, _ in rows if re.match(r"-?\d", score)}
    real = {t.number: t.value for t in comparison.runs[0].result.study.trials}
    permuted = {t.number: t.value for t in comparison.runs[1].result.study.trials}
    assert all(value == pytest.approx(real[n], abs=1e-4) for n, value in shown["true scores"].items())
    wrong = [n for n, value in shown["permuted scores"].items() if abs(value - permuted[n]) > 1e-4]
    assert wrong
    assert comparison.shared["judge"] is False


def test_an_llm_that_uses_the_scores_does_clearly_worse_when_they_are_permuted() -> None:
    """What ``permute_scores`` is for; the double steps around the best trial that it is shown."""

    def step(request: Request) -> Any:
        rows = replies.trials(request.messages[-1].content)
        rng = np.random.default_rng(request.trial_number)
        known = [(float(score), params) for _, _, score, params in rows if re.match(r"-?\d", score)]
        best = min(known, key=lambda pair: pair[0])[1] if known else {"x": -0.9, "z": 0.9}
        near = [
            {k: float(np.clip(v + rng.normal(0, 0.25), -1, 1)) for k, v in best.items()} for _ in range(3)
        ]
        return {
            "reasoning": "near the best",
            "configurations": [{"params": p, "reason": "near"} for p in near],
        }

    provider = FunctionProvider(step, id="test:step")
    options: dict[str, Any] = {
        "seeds": 6,
        "n_trials": 24,
        "candidates": 3,
        "init": "default",
        "dynamic_space": False,
    }
    comparison = of_bowl(samplers=("llm",), permute_scores=True, llm=provider, **options)
    assert list(comparison.variants) == ["true scores (test:step)", "permuted scores (test:step)"]
    assert comparison.differences()[0].verdict == "worse"


def test_samplers_and_an_ablation_are_crossed() -> None:
    comparison = of_bowl(samplers=("llm-tpe", "llm"), ablate="judge", seeds=1, n_trials=3)
    assert list(comparison.variants) == [
        "llm-tpe, judge (rulebook)",
        "llm-tpe, no judge (rulebook)",
        "llm, judge (rulebook)",
        "llm, no judge (rulebook)",
    ]


# ---- from a run


def test_a_run_is_compared_with_its_own_task_space_and_options() -> None:
    tree = DecisionTreeClassifier(random_state=0)
    space = {"max_depth": (1, 3)}
    result = tune(
        tree, X, y, name="tree", search_space=space, scoring="accuracy", n_trials=4, cv=3, judge=False
    )
    comparison = compare(result, ablate="hybrid", seeds=1)
    assert comparison.metric == "accuracy"
    assert comparison.n_trials == 4
    assert comparison.shared["judge"] is False
    for run in comparison.runs:
        assert set(run.result.study.trials[2].params) == {"max_depth"}
    assert compare(result, seeds=1, n_trials=2, judge=True).shared["judge"] is True
    with pytest.raises(InputError, match="the data of run 'tree' is not in this session"):
        compare(TuneResult.load(Path(".sllmbo/tree")))
    with pytest.raises(InputError, match="the task is given already, so 'scoring' has no place"):
        compare(result, scoring="f1_macro")


# ---- interrupts


def counted() -> tuple[Callable[[dict[str, Any]], float], list[int]]:
    """The bowl, which presses Ctrl-C in the call that ``at[0]`` names; ``at[1]`` counts calls."""
    at = [0, 0]

    def objective(params: dict[str, Any]) -> float:
        at[1] += 1
        if at[1] == at[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return bowl(params)

    return objective, at


def test_an_interrupt_keeps_the_finished_runs_and_the_rest_can_be_run_later() -> None:
    objective, at = counted()
    options: dict[str, Any] = {
        "direction": "minimize",
        "search_space": SPACE,
        "samplers": ("tpe", "random"),
        "n_trials": 5,
    }
    at[0] = 13  # in the third run
    comparison = compare(objective, seeds=2, **options)
    assert [(run.variant, run.seed) for run in comparison.runs] == [("tpe", 0), ("random", 0)]
    assert all(len(run.values) == 5 for run in comparison.runs)
    assert not comparison.complete
    assert "interrupted: 2 of 4 runs" in comparison.table()
    at[:] = [0, 0]
    whole = compare(objective, seeds=3, previous=comparison, **options)
    assert at[1] == 4 * 5, "the two finished runs are not run again"
    assert whole.complete
    assert whole.runs[:2] == comparison.runs
    at_once = compare(objective, seeds=3, **options)
    assert [run.values for run in whole.runs] == [run.values for run in at_once.runs]
    with pytest.raises(InputError, match="previous is a comparison of another task or with other options"):
        compare(objective, seeds=3, previous=comparison, **{**options, "n_trials": 6})


def test_an_interrupt_before_any_run_gives_an_empty_comparison() -> None:
    objective, at = counted()
    at[0] = 2
    comparison = compare(objective, direction="minimize", search_space=SPACE, seeds=2, n_trials=3)
    assert comparison.runs == ()
    assert "0 of 4 runs" in comparison.table()
    assert comparison.to_dict()["rows"] == []
    assert comparison.plot().alt.endswith("no run has finished.")
    assert "0 of 4 runs" in comparison._repr_html_()


# ---- errors


def test_an_error_in_one_run_keeps_the_finished_runs_and_the_rest_can_be_run_later() -> None:
    def sampler(seed: int) -> Any:
        if seed == 2:
            raise ZeroDivisionError("no grid for this seed")
        return optuna.samplers.RandomSampler(seed=seed)

    calls: list[int] = []

    def objective(params: dict[str, Any]) -> float:
        calls.append(1)
        return bowl(params)

    told: list[Event] = []
    options: dict[str, Any] = {
        "direction": "minimize",
        "search_space": SPACE,
        "variants": {"TPE": {"sampler": "tpe"}, "mine": {"sampler": sampler}},
        "n_trials": 3,
    }
    comparison = compare(objective, seeds=4, sinks=(told.append,), **options)
    names = [(run.variant, run.seed) for run in comparison.runs]
    assert names == [("TPE", 0), ("mine", 0), ("TPE", 1), ("mine", 1), ("TPE", 2)]
    text = "The run mine, seed 2 failed: ZeroDivisionError: no grid for this seed."
    assert comparison.failure.startswith(text)
    assert not comparison.complete
    table = " ".join(comparison.table().split())
    assert "ended by an error: 5 of 8 runs" in table
    assert comparison.failure in table
    assert comparison.failure in comparison._repr_html_()
    assert comparison.to_dict()["failure"] == comparison.failure
    assert any(isinstance(event, Note) and event.text == comparison.failure for event in told)
    calls.clear()
    whole = compare(objective, seeds=(0, 1, 3), previous=comparison, **options)
    assert len(calls) == 2 * 3, "finished runs are not run again"
    assert whole.complete
    assert whole.failure == ""


def test_an_error_before_any_run_has_finished_is_raised() -> None:
    """There is nothing to keep, also where an earlier comparison is given."""

    class Broken(optuna.samplers.RandomSampler):
        def __deepcopy__(self, memo: Any) -> Any:
            Broken.copies += 1
            if Broken.copies > 1:
                raise ZeroDivisionError("cannot be copied")
            return self

        copies = 0

    variants = {"broken": {"sampler": Broken()}, "TPE": {"sampler": "tpe"}}
    with pytest.raises(ZeroDivisionError, match="cannot be copied"):
        of_bowl(samplers=None, variants=variants)


# ---- views


def test_a_negated_loss_is_shown_in_its_own_unit_in_every_view_and_kept_as_it_is_in_the_data() -> None:
    comparison = made({"tpe": [-3.5, -4.0], "random": [-5.0, -6.0]}, metric="neg_mean_absolute_error")
    for text in (comparison.table(), comparison._repr_html_()):
        assert "MAE (lower is better)" in text or "t, MAE (lower is better)" in text
        assert "neg_" not in text
        assert "3.750" in text
        assert "-3.750" not in text
        assert "−3.750" not in text
    figure = comparison.plot()
    assert "MAE (lower is better" in figure.axes[1].get_xlabel()
    assert "neg_" not in figure.alt
    low, high = figure.axes[1].get_xlim()
    assert 0 < low < high, "the axis is in the metric's unit"
    data = comparison.to_dict()
    assert (data["metric"], data["rows"][0]["best"]) == ("neg_mean_absolute_error", -3.75)


def test_the_dict_is_json_and_the_figure_and_html_are_made_from_it() -> None:
    comparison = of_bowl(n_trials=8, seeds=2)
    data = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert data["rows"][0]["variant"] == "tpe"
    assert len(data["runs"]) == 4
    assert data["runs"][0]["values"] == pytest.approx(comparison.runs[0].values, rel=1e-6)
    assert len(data["curves"]["tpe"]["regret_mean"]) == 8
    for theme in ("light", "dark"):
        figure = comparison.plot(theme=theme)
        assert figure._repr_png_().startswith(b"\x89PNG")
    regret, finals = figure.axes
    assert "distance to the best found" in regret.get_ylabel()
    assert "bowl (lower is better" in finals.get_xlabel()
    assert [label.get_text() for label in finals.get_yticklabels()] == ["tpe", "random"]
    legend = figure.legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["tpe", "random"]
    marks = {handle.get_marker() for handle in legend.legend_handles}
    assert len(marks) == 2, "variants differ without colour"
    assert len({line.get_linestyle() for line in legend.get_lines()}) == 2
    with pytest.raises(InputError, match="theme 'red'"):
        comparison.plot(theme="red")


@pytest.mark.filterwarnings("error")
def test_large_values_are_told_apart_in_every_view() -> None:
    comparison = made({"a": [123456789.25] * 2, "b": [123456789.75] * 2}, direction="minimize")
    finals = [run["final"] for run in comparison.to_dict()["runs"]]
    assert finals == [123456789.25] * 2 + [123456789.75] * 2
    assert "123456789.2500" in comparison.table()
    assert "123456789.7500" in comparison.table()


def test_an_optimum_that_a_run_beats_is_said_to_be_none() -> None:
    runs = {"a": [0.4, 0.5], "b": [0.6, 0.7]}
    for direction, optimum, best in (("maximize", 0.65, 0.7), ("minimize", 0.65, 0.4)):
        notes = made(runs, direction=direction, optimum=optimum).to_dict()["notes"]
        found = f"{best:.6f} was found, {abs(best - optimum):.6f} better"
        assert any(f"not the best possible value: {found}" in note for note in notes)
        notes = made(runs, direction=direction, optimum=best).to_dict()["notes"]
        assert not any("not the best possible value" in n for n in notes)


def test_an_optimum_in_the_units_of_the_table_is_refused_where_scores_are_negative() -> None:
    with pytest.raises(InputError, match=r"at most 0\. Give it with scikit-learn's sign: optimum=-0\.4"):
        compare(LogisticRegression(), X, y, scoring="neg_log_loss", n_trials=1, seeds=1, optimum=0.4)


def test_many_long_labels_leave_the_figure_room() -> None:
    names = [f"llm-tpe, history number {i} (openai:gpt-4o-mini)" for i in range(8)]
    figure = made({name: [i / 10, 0.3, 0.5] for i, name in enumerate(names)}).plot()
    figure._repr_png_()
    width, height = figure.canvas.get_width_height()
    for ax in figure.axes:
        box = ax.get_window_extent()
        assert box.width > width / 5
        assert box.height > height / 3


def test_html_escapes_labels_and_works_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = made({"<b>a</b>": [1.0, 2.0], "b": [1.5, 2.5]})
    html = comparison._repr_html_()
    assert "&lt;b&gt;a&lt;/b&gt;" in html
    assert "<b>a" not in html
    assert "data:image/png;base64," in html

    def missing(data: Any) -> Any:
        raise MissingExtraError("matplotlib is not installed.", 'pip install "sllmbo-magic[plots]"')

    monkeypatch.setattr("sllmbo_magic.report.figures.plot_comparison", missing)
    bare = comparison._repr_html_()
    assert "No picture: matplotlib is not installed." in bare
    assert "Best value and regret" in bare


def test_the_table_names_what_it_shows() -> None:
    table = str(of_bowl(n_trials=10, seeds=2))
    title, scores, costs, notes = table.split("\n\n", 3)
    assert title == "bowl (lower is better), 10 trials a run, seeds 0, 1"
    assert scores.splitlines()[0].split() == [
        "variant",
        "runs",
        "best",
        "±",
        "sd",
        "regret@1",
        "regret@5",
        "regret@10",
    ]
    assert [line.split()[0] for line in scores.splitlines()[1:]] == ["tpe", "random"]
    assert "requests" in costs
    assert "the true optimum is not known" in notes
    folds = compare(DecisionTreeClassifier(random_state=0), X, y, seeds=1, n_trials=2, cv=3).table()
    assert "not which model does better on new ones" in " ".join(folds.split())


# ---- wrong input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samplers": ("tpe",)}, "only one variant"),
        ({"samplers": ("tpe", "tpee")}, "Did you mean 'tpe'"),
        ({"samplers": (optuna.samplers.RandomSampler(), "tpe")}, "Label it"),
        ({"ablate": "initt"}, "Did you mean 'init'"),
        ({"ablate": "hybrid"}, "'hybrid' compares samplers itself"),
        ({"ablate": "judge", "permute_scores": True}, "permute_scores is an ablation, and 'judge'"),
        ({"samplers": None, "ablate": "judge", "judge": True}, "judge is given, and the variants set it"),
        ({"variants": {"a": {}, "b": {}}}, "Give one of them"),
        ({"samplers": None, "variants": {"a": {}, "b": {"seed": 3}}}, "sets 'seed', which all runs share"),
        ({"samplers": None, "variants": {"a": {}, "b": {"n_trials": 3}}}, "sets 'n_trials'"),
        ({"samplers": None, "variants": {"a": {}, "b": {"judgee": 3}}}, "has no argument 'judgee'"),
        ({"samplers": None, "variants": ["a", "b"]}, "no dict of dicts"),
        ({"samplers": None, "variants": {"a": {}, "a (rulebook)": {}}}, "same label"),
        ({"seeds": 0}, "seeds 0 are not usable"),
        ({"seeds": (1, 1)}, "not usable"),
        ({"seeds": "three"}, "not usable"),
        ({"seeds": True}, "not usable"),
        ({"seeds": np.bool_(True)}, "not usable"),
        ({"seeds": [0, None]}, "not usable"),
        ({"seeds": (0, -1)}, "seeds -1 is out of range. Allowed: a whole number from 0 to 4294967295"),
        ({"seeds": [0.5, 1]}, "seeds 0.5 is out of range"),
        ({"seeds": [0, 2**40]}, "seeds 1099511627776 is out of range"),
        ({"samplers": 5}, "samplers is an int"),
        ({"optimum": "0.9"}, "optimum is a str. Allowed: the best possible value, a finite number"),
        ({"optimum": math.nan}, "optimum nan is out of range"),
        ({"optimum": True}, "optimum is a bool"),
        ({"previous": 3}, "previous is an int. Allowed: what compare has returned"),
        ({"samplers": ("tpe", "llm"), "llm": "openai:gpt-4o"}, "OPENAI_API_KEY"),
        (
            {"samplers": ("tpe", "llm"), "llm": FunctionProvider(str, id="example:a"), "max_cost": 1},
            "--max-cost needs the price of example:a",
        ),
        ({"samplers": None, "variants": {"a": {}, "b": {"callbacks": print}}}, "callbacks is a function"),
        ({"samplers": None, "variants": {"a": {}, "b": {"executor": "x"}}}, "executor 'x' is not known"),
        ({"n_trials": 0}, "n_trials 0 is out of range"),
        ({"name": "x"}, "compare sets 'name' itself"),
        ({"n_trialss": 3}, "Did you mean 'n_trials'"),
        ({"direction": ["minimize", "maximize"]}, "one objective"),
        ({"samplers": ("llm", "tpe"), "llm": "openai:gpt-4o"}, "OPENAI_API_KEY"),
    ],
)
def test_wrong_input_is_said_in_one_line_before_anything_runs(options: dict[str, Any], message: str) -> None:
    ran: list[dict[str, Any]] = []

    def never(params: dict[str, Any]) -> float:
        ran.append(params)  # an error here would only be that of a trial
        return 0.0

    plain = {"direction": "minimize", "search_space": SPACE, "samplers": ("tpe", "random"), "n_trials": 3}
    with pytest.raises(InputError, match=re.escape(message)) as error:
        compare(never, **{**plain, **options})
    assert "\n" not in str(error.value)
    assert ran == []


# ---- the documentation


PAGE = Path(__file__).parents[2] / "docs" / "comparing.md"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_page_runs_and_says_what_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/comparing.md", "exec"), names)
    printed = capsys.readouterr().out
    shown = re.search(r"```text\n(DecisionTree.*?)```", page, re.DOTALL)
    assert shown is not None
    for line, same in zip(shown[1].splitlines()[:9], printed.splitlines(), strict=False):  # both tables
        words = [re.sub(r"[\d.,−+]+|^\s+", "0", word) for word in line.split()]  # numbers differ by version
        assert words == [re.sub(r"[\d.,−+]+|^\s+", "0", word) for word in same.split()]
    assert "the same best value in 6 pairs" in names["check"].differences()[0].text()
    assert list(names["comparison"].variants) == ["half (rulebook)", "little (rulebook)", "quasi-random"]
    assert (pairs_needed(1), pairs_needed(2), pairs_needed(3)) == (6, 7, 7), "the page's numbers of seeds"


def test_the_page_has_all_ablations_and_lines_that_parse() -> None:
    from sllmbo_magic.magic.commands.arguments import Arguments
    from sllmbo_magic.magic.commands.comparing import read_arguments

    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", page, re.MULTILINE)
    assert dict(rows) == {name: "yes" if name in NEEDS_LLM else "no" for name in ABLATIONS}
    lines = re.findall(r"^%sllmbo compare (.* --.*)$", page, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        assert read_arguments(Arguments("compare", line.split()), {})[0] == "churn"


def test_a_preset_wins_over_the_options_of_a_run_and_loses_to_explicit_ones() -> None:
    result = tune(bowl, search_space=SPACE, direction="minimize", n_trials=6, seed=0, name="r", judge=True)
    common: dict[str, Any] = {"samplers": ("llm-tpe", "tpe"), "seeds": 1}

    def options(comparison: Comparison) -> dict[str, Any]:
        return {**comparison.shared, **comparison.variants["llm-tpe (rulebook)"]}

    plain = options(compare(result, **common))
    assert (plain["judge"], plain["candidates"], plain["n_trials"]) == (True, 5, 6)
    paper = options(compare(result, preset="paper", **common))
    assert (paper["judge"], paper["candidates"], paper["multivariate"]) == (False, 1, False)
    explicit = options(compare(result, preset="paper", judge=True, schedule="adaptive", **common))
    assert (explicit["judge"], explicit["schedule"], explicit["candidates"]) == (True, "adaptive", 1)
    variants: dict[str, Any] = {"ours": {}, "paper": {"preset": "paper", "candidates": 5}}
    own = compare(result, variants=variants, seeds=1).variants["paper (rulebook)"]
    assert (own["judge"], own["candidates"]) == (False, 5)


def test_failed_trials_of_a_comparison_have_their_causes() -> None:
    def failing(params: dict[str, float]) -> float:
        raise FileNotFoundError(f"data.csv <b>is</b> not here ({params['x']:.3f})")

    comparison = compare(failing, search_space={"x": (0.0, 1.0)}, direction="minimize", n_trials=3, seeds=2)
    assert "tpe, failed trials: 6 × FileNotFoundError: data.csv <b>is</b> not here (" in str(comparison)
    assert "(first: seed 0, trial 0)." in str(comparison)
    assert "<b>is</b>" not in comparison._repr_html_()


def test_a_comparison_of_which_one_variant_has_no_score_is_drawn() -> None:
    page = made({"good": [0.5, 0.6], "failing": [math.nan, math.nan]})._repr_html_()
    assert "good" in page
    assert "failing" in page


def test_runs_of_a_comparison_that_ended_early_are_named() -> None:
    def report(study: Any, trial: Any) -> None:
        raise KeyError("tracking")

    options: dict[str, Any] = {"search_space": {"x": (0.0, 1.0)}, "direction": "minimize", "n_trials": 3}
    comparison = compare(lambda params: params["x"], callbacks=[report], seeds=2, **options)
    assert "tpe: 2 runs ended early: the callback report raised KeyError: 'tracking'." in str(comparison)

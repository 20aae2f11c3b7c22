"""``compare(prove=True)``: six ways, untouched rows, over-tuning, cost, and a verdict that claims no more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.samplers import TPESampler
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.datasets import make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import Task
from sllmbo_magic import compare
from sllmbo_magic import tune
from sllmbo_magic.comparison.proof import LLM
from sllmbo_magic.comparison.proof import PERMUTED
from sllmbo_magic.comparison.proof import SEEDS
from sllmbo_magic.comparison.proof import TPE
from sllmbo_magic.comparison.proof import WAYS
from sllmbo_magic.comparison.proof import Proof
from sllmbo_magic.comparison.proof import task_of_seed
from sllmbo_magic.comparison.proof import with_test_scores
from sllmbo_magic.comparison.result import ComparedRun
from sllmbo_magic.errors import InputError
from sllmbo_magic.testing import FunctionProvider
from tests.loopback import LoopbackServer
from tests.replies import Responder
from tests.small_task import text_of

X, y = load_wine(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)


def proved(**options: Any) -> Proof:
    plain: dict[str, Any] = {"prove": True, "n_trials": 6, "seeds": 2, "cv": 3, "candidates": 3}
    proof = compare(TREE, X, y, **{**plain, **options})
    assert isinstance(proof, Proof)
    return proof


def test_a_server_that_answers_at_random_is_measured_through_the_real_sdk(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    proof = proved(llm="openai:gpt-4o", base_url=server.url, description="wines of three growers")
    assert list(proof.variants) == list(WAYS)
    assert proof.complete
    assert proof.llm == "openai:gpt-4o"
    rows = {row["variant"]: row for row in proof.to_dict()["rows"]}
    asked = [name for name, row in rows.items() if row["requests"]]
    assert asked == [LLM, "LLM without names", PERMUTED]
    assert sum(run.requests for run in proof.runs) == len(server.requests)
    assert all(rows[name]["tokens"] > 0 and rows[name]["money"] is not None for name in asked)
    of_llm = proof.of(LLM)
    assert rows[LLM]["money"] == pytest.approx(sum(run.money or 0 for run in of_llm) / len(of_llm)), "per run"
    told_sum = next(note for note in proof.to_dict()["notes"] if note.startswith("All runs together cost $"))
    assert float(told_sum.split("$")[1].rstrip(".")) == pytest.approx(
        sum(run.money or 0 for run in proof.runs), abs=0.005
    )
    assert all(f"{name} a run" in proof.table() for name in ("requests", "tokens", "cost"))
    assert [len(run.values) for run in proof.of("default alone")] == [1, 1]
    assert len({run.values[0] for run in proof.runs if run.seed == 0}) == 1, "all start at the same default"
    assert proof.has_test_scores
    for run in proof.runs:
        best = [v for i, v in enumerate(run.values) if v is not None and v > max(run.values[:i], default=-1)]
        assert len(run.test_values) == len(best), "one score per incumbent"
    told = ["growers" in text_of(request) for request in server.requests]
    assert any(told)
    assert not all(told), "one way hides the words"
    table = proof.table()
    assert proof.verdict.split()[0] in table
    assert "give 8 seeds or more" in table
    assert "sk-test" not in json.dumps(proof.to_dict()) + proof._repr_html_()
    assert "<img" in proof._repr_html_()


def test_the_rows_held_out_are_untouched_and_others_for_each_seed() -> None:
    task = Task.from_estimator(TREE, X, y, cv=3)
    parts = [task_of_seed(task, seed) for seed in (0, 1)]
    for part in parts:
        assert len(part.X) + len(part.X_test) == len(X)
        rows = {tuple(row) for row in part.X} | {tuple(row) for row in part.X_test}
        assert len(rows) == len({tuple(row) for row in X})
        assert len(np.unique(part.y_test)) == 3, "drawn by class"
        assert max(split.max() for pair in part.splits for split in pair) < len(part.X)
    assert not np.array_equal(parts[0].X_test, parts[1].X_test)


def test_groups_weights_and_order_are_respected() -> None:
    A, b = make_regression(60, 3, random_state=0)
    groups = np.repeat(np.arange(12), 5)
    weights = np.arange(60.0)
    task = Task.from_estimator(Ridge(), A, b, cv=3, groups=groups, sample_weight=weights)
    part = task_of_seed(task, 3)
    assert len(part.groups) == len(part.X) == len(part.sample_weight)
    held_out = {tuple(row) for row in part.X_test}
    kept_groups = {group for row, group in zip(A, groups, strict=True) if tuple(row) not in held_out}
    lost_groups = {group for row, group in zip(A, groups, strict=True) if tuple(row) in held_out}
    assert kept_groups & lost_groups == set()
    position = {tuple(row): i for i, row in enumerate(A)}
    assert [weights[position[tuple(row)]] for row in part.X] == list(part.sample_weight)
    assert list(part.fit_params["sample_weight"]) == list(part.sample_weight)
    for cv in (TimeSeriesSplit(3), KFold(3)):
        last = task_of_seed(Task.from_estimator(Ridge(), A, b, cv=cv), 0)
        assert np.array_equal(last.X_test, A[-15:]), "the last quarter, where rows have an order"


def test_test_data_of_the_task_stay_the_test_data() -> None:
    task = Task.from_estimator(TREE, X[:100], y[:100], cv=3, X_test=X[100:], y_test=y[100:])
    assert task_of_seed(task, 5) is task


def test_what_cannot_be_proved_is_said_before_anything_runs() -> None:
    provider = FunctionProvider(Responder(0), id="test:double")
    with pytest.raises(InputError, match="prove needs an LLM; the rulebook is one of the ways"):
        proved()
    with pytest.raises(InputError, match="prove compares six ways of its own"):
        proved(llm=provider, samplers=("tpe", "random"))
    splits = [(np.arange(50), np.arange(50, 178)), (np.arange(50, 178), np.arange(50))]
    with pytest.raises(InputError, match="prove holds out rows, and cv is a list of splits"):
        proved(llm=provider, cv=splits)
    assert provider.requests == []


def test_what_one_seed_cannot_be_proved_with_is_said_before_anything_runs() -> None:
    provider = FunctionProvider(Responder(0), id="test:double")
    for options, message in (
        ({"max_cost": 0.5}, "--max-cost needs the price of test:double"),
        ({"seeds": [0, 2**40]}, "seeds 1099511627776 is out of range"),
    ):
        events: list[Any] = []
        with pytest.raises(InputError, match=message):
            proved(llm=provider, sinks=[events.append], **options)
        assert events == []
    assert provider.requests == []


@pytest.mark.filterwarnings("ignore")
def test_rows_of_one_seed_that_the_default_cannot_be_fitted_to_cost_no_finished_run() -> None:
    """A category that only the test rows of a fold hold; seed 3 keeps its row out of the search."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    data = pandas.DataFrame({"city": rng.choice(["a", "b", "c"], 80)})
    data.loc[3, "city"] = "rare"
    target = (rng.random(80) < 0.5).astype(int)
    proof = compare(
        make_pipeline(OneHotEncoder(), LogisticRegression()),
        data,
        target,
        prove=True,
        llm=FunctionProvider(Responder(0), id="test:double"),
        seeds=[3, 0],
        n_trials=2,
        cv=3,
    )
    assert [(run.variant, run.seed) for run in proof.runs] == [(way, 3) for way in WAYS]
    assert proof.failure.startswith(
        "The run default alone, seed 0 failed: Pipeline has no score with its default parameters"
    )
    assert 'OneHotEncoder(handle_unknown="ignore")' in proof.failure
    assert "6 of 12 runs" in proof.table()
    assert "Found unknown categories" in " ".join(proof.table().split())


def test_an_objective_is_proved_on_its_own_scores() -> None:
    def bowl(params: dict[str, Any]) -> float:
        return float((params["x"] - 0.3) ** 2)

    proof = compare(
        bowl,
        direction="minimize",
        search_space={"x": (-1.0, 1.0)},
        prove=True,
        llm=FunctionProvider(Responder(0), id="test:double"),
        seeds=1,
        n_trials=5,
    )
    assert isinstance(proof, Proof)
    assert not proof.has_test_scores
    assert "on the folds of the search" in proof.verdict


# ---- the verdict


def made(values: dict[str, list[float]], *, test: dict[str, list[tuple[float, ...]]] | None = None) -> Proof:
    """A proof of runs with these final values, whose trials the way's first proposer made."""
    runs = [
        ComparedRun(
            way,
            seed,
            (value,),
            {"llm" if "LLM" in way else "tpe": 1},
            *(0, 0, 0, 0, None, 1.0),
            test_values=test[way][seed] if test else (),
        )
        for way, all_values in values.items()
        for seed, value in enumerate(all_values)
    ]
    seeds = tuple(range(len(next(iter(values.values())))))
    return Proof("t", "m", "maximize", 1, {way: {} for way in values}, seeds, tuple(runs), llm="x:y")


EIGHT = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def plus(gain: float) -> list[float]:
    return [value + gain * (1 + i / 10) for i, value in enumerate(EIGHT)]


@pytest.mark.parametrize(
    ("llm", "permuted", "parts"),
    [
        (0.1, 0.0, ["x:y finds better configurations than TPE", "with permuted scores it does worse"]),
        (0.1, 0.1, ["x:y finds better", "it is not shown to do worse, so no use of the scores is shown"]),
        (-0.1, -0.1, ["x:y finds worse configurations than TPE", "0.1350 worse on average"]),
        (0.0, 0.0, ["No difference between x:y and TPE is shown"]),
    ],
)
def test_the_verdict_says_what_the_pairs_show(llm: float, permuted: float, parts: list[str]) -> None:
    ways = {name: plus(0.0) for name in WAYS}
    proof = made({**ways, LLM: plus(llm), PERMUTED: plus(permuted)})
    for part in parts:
        assert part in proof.verdict
    assert proof.verdict.endswith(".")
    assert ". " not in proof.verdict, "one sentence"
    if llm:
        assert "95 % interval" in proof.verdict
        assert "of 8 seeds, p 0.0" in proof.verdict


def test_an_llm_without_a_usable_answer_gets_no_credit_for_the_rulebooks_trials() -> None:
    """Its first request fails, and the rulebook's first configurations stand in."""
    proof = proved(llm=FunctionProvider(lambda request: "I am sorry, I cannot help.", id="test:sorry"))
    assert proof.verdict == "test:sorry proposed no trial, so nothing about it is measured."
    row = next(row for row in proof.to_dict()["rows"] if row["variant"] == LLM)
    assert row["llm_share"] == 0
    assert row["rulebook_share"] > 0
    table = " ".join(proof.table().split())
    assert "proposed by" in table
    assert f"{row['rulebook_share']:.0%} rulebook" in table
    assert "LLM: the LLM proposed no trial, so nothing about it is measured." in table
    assert "no usable proposal" in table
    assert "the rulebook's first configurations were used instead twice, and the sampler proposed" in table


def test_the_forecast_is_that_of_all_ways() -> None:
    provider, told = FunctionProvider(Responder(0), id="test:double"), []
    proof = proved(llm=provider, n_trials=4, sinks=[told.append])
    assert told[0].text == (
        "2 runs of 1 trial and 10 runs of 4 trials, about 6 requests to test:double, and more where an answer"
        " has to be asked for again."
    )
    told.clear()
    proved(llm=provider, n_trials=4, sinks=[told.append], previous=proof)
    assert told[0].text == "0 runs."


def test_the_verdict_names_a_small_share_of_the_llm() -> None:
    proof = made({name: plus(0.0) for name in WAYS} | {LLM: plus(0.1)})
    few = {"llm": 1, "rulebook": 11, "default": 1}
    runs = tuple(replace(run, sources=few) if run.variant == LLM else run for run in proof.runs)
    verdict = replace(proof, runs=runs).verdict
    assert verdict.startswith("Runs in which x:y proposed only 7.7% of the trials find better configurations")
    runs = tuple(replace(run, sources={"tpe": 1}) if run.variant == PERMUTED else run for run in proof.runs)
    assert "permuted" not in replace(proof, runs=runs).verdict, "no answer, so no use of scores to speak of"


def test_the_verdict_counts_an_llm_run_without_a_score_as_worse_than_any() -> None:
    """The seeds in which it found something are no proof."""
    nan = float("nan")
    proof = made({name: plus(0.0) for name in WAYS} | {LLM: [*plus(0.1)[:2], *[nan] * 6]})
    assert proof.verdict.startswith(
        "No difference between x:y and TPE is shown on the folds of the search: better in 2 of 8 seeds"
        " (in 6 a run found no score, which counts as worse than any), p "
    )
    assert "2/0/6" in proof.table()
    test = {name: [(v,) for v in plus(0.0)] for name in WAYS} | {LLM: [(0.9,), (0.9,)] + [(None,)] * 6}
    on_rows = made({name: plus(0.0) for name in WAYS}, test=test).differences(on_test=True)  # type: ignore[arg-type]
    assert {(d.better, d.worse, d.n_unscored) for d in on_rows} >= {(2, 6, 6)}


def test_few_seeds_show_nothing() -> None:
    proof = made({name: [0.1, 0.2] for name in WAYS} | {LLM: [0.9, 0.95]})
    assert proof.verdict.startswith("No difference between x:y and TPE is shown")
    assert f"give {SEEDS} seeds or more" in proof.table()


def test_the_verdict_is_that_of_the_untouched_rows() -> None:
    """A search that fits its folds better and new rows worse is not called better."""
    values = {name: plus(0.0) for name in WAYS} | {LLM: plus(0.5)}
    test = {name: [(v,) for v in plus(0.0)] for name in WAYS} | {LLM: [(v,) for v in plus(-0.2)]}
    proof = made(values, test=test)
    assert proof.verdict.startswith("x:y finds worse configurations than TPE on untouched rows")
    assert next(d for d in proof.differences(on_test=False) if d.baseline == TPE).verdict == "better"


def test_relative_overtuning_is_the_share_of_the_gain_that_was_lost() -> None:
    paths = [(0.5, 0.7, 0.7), (0.5, 0.9, 0.7), (0.5, 0.6, 0.4), (0.5, 0.4, 0.3)]
    test = {name: [(0.5,)] * 4 for name in WAYS} | {LLM: paths}
    proof = made({name: [0.1] * 4 for name in WAYS}, test=test)
    assert proof.relative_overtuning(LLM) == pytest.approx([0.0, 0.5, 2.0]), "no gain: no share"
    row = next(row for row in proof.to_dict()["rows"] if row["variant"] == LLM)
    assert row["overtuning"] == pytest.approx(0.5)
    assert row["below_default"] == 2


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_infeasible_trial_is_no_incumbent_on_the_test_data() -> None:
    """The constraint holds in the worst trial only."""
    base = TPESampler(
        seed=0, constraints_func=lambda trial: [1.0 if trial.params["max_depth"] != 1 else -1.0]
    )
    train, test = (X[::2], y[::2]), (X[1::2], y[1::2])
    options: dict[str, Any] = {"cv": 3, "scoring": "accuracy"}
    result = tune(
        TREE, *train, search_space={"max_depth": (1, 3)}, sampler=base, n_trials=4, seed=0, **options
    )
    assert {trial.params.get("max_depth") for trial in result.trials} >= {1, 2, 3}
    assert result.best_params == {"max_depth": 1}
    task = Task.from_estimator(TREE, *train, X_test=test[0], y_test=test[1], **options)
    run = with_test_scores(ComparedRun.from_result(TPE, 0, result), task, result)
    assert run.test_values == (clone(TREE).set_params(max_depth=1).fit(*train).score(*test),)


def test_answers_that_a_person_pastes_are_proved_too() -> None:
    X, y = load_wine(return_X_y=True)
    asked: list[str] = []
    options: dict[str, Any] = {"llm": "manual", "ask": lambda text: asked.append(text) or "{}", "seeds": 1}
    proof = compare(DecisionTreeClassifier(), X, y, prove=True, n_trials=2, cv=2, **options)
    assert proof.complete, proof.failure
    assert asked

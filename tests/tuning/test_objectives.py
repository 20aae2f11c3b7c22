"""Objectives of one's own, conditional and large spaces, several objectives, parameters without effect."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.comparison.result import ComparedRun
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.history.trials import observe
from sllmbo_magic.report.run_data import read
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import score
from sllmbo_magic.samplers import finite
from sllmbo_magic.space.search_space import Condition
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder
from tests.replies import reply


def sources(result: TuneResult) -> list[str]:
    return [t.user_attrs["sllmbo:source"] for t in result.trials]


def notes(result: TuneResult) -> list[str]:
    return [e.text for e in result.events if isinstance(e, Note)]


def run(objective: Any, llm: Any = "rulebook", n_trials: int = 30, **options: Any) -> TuneResult:
    given = {"direction": "minimize", "seed": 1, "folder": "", **options}
    return tune(objective, llm=llm, n_trials=n_trials, **given)


@pytest.mark.parametrize("direction", ["minimize", ["minimize"] * 2])
def test_what_an_objective_makes_otherwise_of_an_enqueued_configuration_is_said(direction: Any) -> None:
    def objective(trial: Any) -> Any:
        kind, x = trial.suggest_categorical("kind", ["a", "b"]), trial.suggest_float("x", 0.0, 1.0)
        return x if direction == "minimize" else (x, float(kind == "a"))

    mine = [{"x": 0.5, "kind": "a"}, {"x": 0.25, "knid": "a"}, {"x": 7.0, "kind": "b"}]
    result = run(objective, n_trials=4, enqueue=mine, direction=direction)
    assert [text for text in notes(result) if text.startswith("Trial ")] == [
        "Trial 1: the objective did not ask for knid of the queued configuration; it asked for kind, x.",
        "Trial 2: x=7.0 is outside its range (0 to 1).",
    ]


def test_an_objective_of_params_gets_the_whole_configuration() -> None:
    seen: list[dict[str, Any]] = []

    def objective(params: dict[str, Any]) -> float:
        seen.append(params)
        return float((params["x"] - 0.3) ** 2 + params["n"])

    space = {"x": (0.0, 1.0), "n": (0, 9), "kind": ["a", "b"]}
    llm = FunctionProvider(Responder(2))
    result = run(objective, llm, search_space=space)
    assert [t.params for t in result.trials] == seen
    assert {"llm-init", "llm", "tpe"} <= set(sources(result))
    assert result.best_value < 0.05
    assert result.default_value is None
    assert "own objective" in llm.requests[0].messages[-1].content


def test_a_trial_that_has_not_asked_for_its_parameters_yet_is_of_no_source() -> None:
    result = run(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=6)
    begun = {e.number: e.source for e in result.events if isinstance(e, TrialStarted)}
    ended = {e.number: e.source for e in result.events if isinstance(e, TrialFinished)}
    assert all(source in ("", ended[number]) for number, source in begun.items())
    assert "base" not in ended.values()


def test_an_objective_that_asks_for_nothing_is_the_base_samplers() -> None:
    assert set(sources(run(lambda trial: 1.0, n_trials=3))) == {"tpe"}


def test_an_objective_of_a_trial_defines_its_space_as_it_runs() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", -1, 1), trial.suggest_float("y", 1e-3, 1.0, log=True)
        return x**2 + abs(math.log10(y) + 1)

    llm = FunctionProvider(Responder(2))
    result = run(objective, llm, judge=False, schedule="alternate")
    assert "initialize" not in [r.purpose for r in llm.requests]
    assert [r.trial_number for r in llm.requests][:1] == [1], "after the first trial has shown the parameters"
    assert sources(result).count("llm") >= 8
    assert (
        "Current search space:\nx: float -1 to 1\ny: float 0.001 to 1, log"
        in llm.requests[0].messages[-1].content
    )


def test_a_trial_with_branches_is_searched_where_its_trials_agree() -> None:
    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["lin", "deep"])
        base = trial.suggest_float("base", 0, 1)
        if kind == "deep":
            return base + trial.suggest_int("layers", 1, 5) / 10
        return base + 0.3

    result = run(objective, FunctionProvider(Responder(2)), judge=False, schedule="alternate")
    assert len(result.trials) == 30
    assert {t.state.name for t in result.trials} == {"COMPLETE"}
    assert all(("layers" in t.params) == (t.params["kind"] == "deep") for t in result.trials)
    assert {"llm", "tpe"} == set(sources(result)), "the first trial, which had no space yet, has its source"


CONDITIONAL = SearchSpace(
    {
        "model": CategoricalDistribution(["linear", "tree"]),
        "penalty": FloatDistribution(1e-4, 10.0, log=True),
        "depth": IntDistribution(1, 12),
        "rate": FloatDistribution(0.01, 1.0, log=True),
    },
    conditions=[
        Condition("penalty", "model", ("linear",)),
        Condition("depth", "model", ("tree",)),
        Condition("rate", "model", ("tree",)),
    ],
)


def by_model(params: dict[str, Any]) -> float:
    if params["model"] == "linear":
        return 0.5 + abs(math.log10(params["penalty"]))
    return abs(params["depth"] - 6) / 10 + abs(math.log10(params["rate"]) + 1)


@pytest.mark.parametrize("judge", [True, False])
@pytest.mark.parametrize("sampler", ["llm-tpe", "llm", "tpe"])
def test_a_conditional_space_gives_the_active_parameters_only(sampler: str, judge: bool) -> None:
    llm = FunctionProvider(Responder(3))
    result = run(by_model, llm, search_space=CONDITIONAL, sampler=sampler, judge=judge)
    for trial in result.trials:
        active = {"penalty"} if trial.params["model"] == "linear" else {"depth", "rate"}
        assert {*trial.params} == {"model", *active}
    assert result.best_value < 0.5
    if sampler != "tpe":
        text = llm.requests[-1].messages[-1].content
        assert "depth: int 1 to 12, only when model is tree" in text


def test_the_rulebook_knows_conditions() -> None:
    result = run(by_model, search_space=CONDITIONAL, n_trials=40)
    assert result.best_params["model"] == "tree"
    assert "rulebook" in sources(result)


def test_forty_and_more_parameters_need_no_larger_request() -> None:
    names = [f"w{i:02}" for i in range(48)]
    space = dict.fromkeys(names, (-1.0, 1.0))

    def objective(params: dict[str, Any]) -> float:
        return float(sum((params[n] - 0.2) ** 2 for n in names[:4]) * 10 + 0.01 * params["w40"])

    llm = FunctionProvider(Responder(1))
    result = run(objective, llm, n_trials=60, search_space=space)
    sizes = [len(r.messages[-1].content) for r in llm.requests if r.purpose == "propose"]
    assert len(sizes) >= 3
    assert max(sizes) < 16_000
    assert all(len(t.params) == 48 for t in result.trials)
    taken = [t for t in result.trials if t.user_attrs["sllmbo:source"] == "llm"]
    assert taken
    assert "Rough importance: much" in llm.requests[-1].messages[-1].content


def two(params: dict[str, Any]) -> tuple[float, float]:
    return params["x"] ** 2, (params["x"] - 1) ** 2


TWO: dict[str, Any] = {
    "direction": ["minimize", "minimize"],
    "search_space": {"x": (-2.0, 2.0)},
    "n_trials": 15,
}


def test_several_objectives_are_left_to_tpe_and_that_is_said() -> None:
    llm = FunctionProvider(Responder(0))
    result = run(two, llm, **TWO)
    assert len(result.trials) == 15
    assert {*sources(result)} == {"tpe"}
    assert not llm.requests
    assert any("Several objectives" in text and "TPE takes all trials" in text for text in notes(result))


def test_no_key_is_asked_for_where_no_llm_takes_part() -> None:
    assert {*sources(run(two, "openai:gpt-4o", **TWO))} == {"tpe"}


class Counting(optuna.samplers.NSGAIISampler):
    """Notes which trials it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[int] = []

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
        self.asked.append(trial.number)
        return super().sample_relative(study, trial, search_space)


def test_a_sampler_that_takes_several_objectives_is_used_and_another_replaced() -> None:
    assert {*sources(run(two, sampler="random", **TWO))} == {"random"}
    told = notes(run(two, warm_start="earlier", **TWO))
    assert "Several objectives have no single best to start from: --warm-start is not used." in told
    mine = Counting(seed=1, population_size=5)
    nsga = run(two, sampler=mine, **TWO)
    assert mine.asked == [*range(15)]
    assert not any("Several objectives" in text for text in notes(nsga))
    pytest.importorskip("cmaes")
    replaced = run(two, sampler="cmaes", **TWO)
    assert {*sources(replaced)} == {"tpe"}
    assert "Several objectives: sampler cmaes takes one only, so TPE takes all trials." in notes(replaced)


def test_several_objectives_end_with_the_front_and_every_picture_of_it(tmp_path: Path) -> None:
    result = run(two, enqueue=[{"x": 0.5}], **TWO)
    front = [t.number for t in result.best_trials]
    assert sources(result)[0] == "user"
    assert result.trials[0].params == {"x": 0.5}
    assert f"Several objectives: {len(front)} of 15 trials are on the Pareto front" in result.summary["text"]
    assert f"trial {front[0]} (" in result.summary["text"]
    assert [t["number"] for t in result.summary["front"]] == front
    assert result.summary["best_number"] is None
    for plot in ("history", "search_space", "importances", "parallel", "sources"):
        assert getattr(result, f"plot_{plot}")().axes
    page = result.report(tmp_path / "two.html").read_text(encoding="utf-8")
    assert "on the Pareto front" in page
    assert f"returned {result.trials[3].values[0]:.5g}, {result.trials[3].values[1]:.5g}" in page
    for single in ("best_params", "best_value", "code"):
        with pytest.raises(InputError, match="no single best"):
            getattr(result, single) if single != "code" else result.code()


@pytest.mark.parametrize("kind", [LLMSampler, LLMTPESampler])
def test_the_samplers_refuse_several_objectives(kind: type[LLMTPESampler]) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=kind())
    with pytest.raises(ValueError, match="multi-objective"):
        study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 0.0), n_trials=2)


def test_failed_and_pruned_trials_of_an_objective_are_told_by_category() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number in (3, 4):
            raise RuntimeError("secret-4711")
        if trial.number == 5:
            return float("nan")
        if trial.number in (6, 7):
            raise optuna.TrialPruned
        return x

    llm = FunctionProvider(Responder(1))
    result = run(objective, llm, judge=False, schedule="alternate")
    states = [t.state.name for t in result.trials]
    assert states[3:8] == ["FAIL", "FAIL", "FAIL", "PRUNED", "PRUNED"]
    text = llm.requests[2].messages[-1].content
    assert "FAILED (" in text
    assert "PRUNED" in text
    assert "secret" not in "".join(r.messages[-1].content for r in llm.requests)


def test_queued_configurations_keep_their_values_and_their_source() -> None:
    llm = FunctionProvider(Responder(1))
    mine = [{"model": "tree", "depth": 5, "rate": 0.1}, {"model": "linear"}]
    result = run(by_model, llm, search_space=CONDITIONAL, enqueue=mine, n_trials=12)
    assert result.trials[0].params == mine[0]
    assert result.trials[1].params["model"] == "linear"
    assert sources(result)[:2] == ["user", "user"], "also where the sampler fills in the rest"
    assert "penalty" in result.trials[1].params


# --- parameters without effect --------------------------------------------------------------------------


def test_a_parameter_without_effect_is_said_before_to_the_llm_and_at_the_end(data: Any) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)
    space = {"subsample": (0.5, 0.99), "learning_rate": (0.05, 0.5, "log")}
    rng = np.random.default_rng(0)

    def answer(request: Any) -> Any:
        return reply(request.messages[-1].content, rng)

    llm = FunctionProvider(answer)
    result = tune(model, *data, search_space=space, llm=llm, n_trials=9, seed=0, folder="", verify=False)
    why = "rows are sampled only with subsample_freq of at least 1"
    assert f"Searching subsample has no effect here: {why}." in notes(result)
    asked = [r.messages[-1].content for r in llm.requests if r.purpose == "propose"]
    assert asked
    assert all(
        f"Without effect at the incumbent, so do not move them alone: subsample ({why})." in t for t in asked
    )
    if result.best_params:
        assert f"subsample has no effect in the best configuration: {why}." in notes(result)
        assert f"Without effect in the best configuration: subsample ({why})." in result.summary["text"]


def test_the_known_ranges_search_nothing_that_has_no_effect(data: Any) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)
    result = tune(model, *data, n_trials=4, seed=0, folder="", verify=False)
    assert not [text for text in notes(result) if text.startswith("Searching")]


def test_a_run_without_a_score_says_so_in_one_line() -> None:
    def broken(params: dict[str, Any]) -> float:
        raise ValueError

    result = run(broken, sampler="random", search_space={"x": (0.0, 1.0)}, n_trials=3)
    for ask in (lambda: result.best_params, lambda: result.best_value, result.code):
        with pytest.raises(InputError, match="no trial has a score"):
            ask()
    assert result.summary["text"].startswith("No trial has a score. 3 trials")


# --- constraints ----------------------------------------------------------------------------------------


def constrained(trial: optuna.Trial) -> float:
    """Best where it is infeasible: 0 at 1; 1 where the constraint holds."""
    x = trial.suggest_float("x", -5.0, 5.0)
    trial.set_constraint("x is 0 at most", x)
    return (x - 1) ** 2


def never_feasible(trial: optuna.Trial) -> float:
    trial.set_constraint("never", 1.0)
    return trial.suggest_float("x", -5.0, 5.0) ** 2


CONSTRAINED: dict[str, Any] = {"enqueue": [{"x": -4.0}, {"x": 1.0}, {"x": -1.0}, {"x": 2.0}], "n_trials": 4}


def test_an_infeasible_trial_is_nowhere_the_best(tmp_path: Path) -> None:
    result = run(constrained, folder="runs", **CONSTRAINED)
    ends = [e for e in result.events if isinstance(e, TrialFinished)]
    assert [e.state for e in ends] == ["COMPLETE", "INFEASIBLE", "COMPLETE", "INFEASIBLE"]
    assert [(e.value, e.best_number) for e in ends] == [(25.0, 0), (0.0, 0), (4.0, 2), (1.0, 2)]
    assert (result.best_params, result.best_value, result.study.best_trial.number) == ({"x": -1.0}, 4.0, 2)
    assert (result.summary["best_number"], result.summary["best_value"]) == (2, 4.0)
    assert result.summary["text"].startswith("Best constrained 4.000 (trial 2, user). 4 trials in")
    assert "(2 infeasible)" in result.summary["text"]
    assert repr(result).endswith("(trial 2, user).\nBest parameters: x=-1")
    assert "x = -1.0" in result.code() or '"x": -1.0' in result.code()
    bundle = result.bundle()
    assert (bundle["run"]["best_number"], bundle["run"]["best_value"]) == (2, 4.0)
    data = read(bundle)
    assert [t.n for t in data.ranked] == [2, 0] == [t.n for t in reversed(data.incumbents)]
    assert data.n_trials == 4
    compared = ComparedRun.from_result("one", 1, result)
    assert compared.values == (25.0, None, 4.0, None)
    stored = TuneResult.load("runs/run")
    assert (stored.best_value, stored.summary["text"]) == (4.0, result.summary["text"])


def test_trials_of_a_study_with_constraints_are_read_as_those_of_a_run() -> None:
    study = optuna.create_study()
    for x in (-4.0, 1.0, -1.0, 2.0):
        study.enqueue_trial({"x": x})
    study.optimize(constrained, n_trials=4)
    result = run(constrained, study=study, n_trials=5, enqueue=[{"x": 3.0}], folder=None)
    bundle = result.bundle()
    assert [t["state"] for t in bundle["trials"]].count("INFEASIBLE") == 3
    assert [t["value"] for t in bundle["trials"]] == [25.0, 0.0, 4.0, 1.0, 4.0]
    assert (bundle["run"]["best_number"], result.summary["best_number"]) == (2, 2)


def test_the_constraints_of_a_sampler_count_for_an_estimator(data: Any) -> None:
    """The default, too, may be infeasible: then there is nothing to compare with."""
    with pytest.warns(FutureWarning):
        sampler = optuna.samplers.TPESampler(
            seed=0, constraints_func=lambda t: [t.params.get("C", 1.0) - 0.5]
        )
    result = tune(
        LogisticRegression(),
        *data,
        sampler=sampler,
        search_space={"C": (0.001, 10.0, "log")},
        n_trials=12,
        seed=0,
        folder="",
        select="recheck",
    )
    assert {t.constraints["0"] > 0 for t in result.trials} == {True, False}
    assert result.best_params["C"] <= 0.5
    candidates = result.summary["selection"]["candidates"]
    assert all(result.trials[c["number"]].params["C"] <= 0.5 for c in candidates)
    assert result.default_value is None is result.summary["default_value"]
    assert result.bundle()["run"]["default_value"] is None


def test_a_promise_of_an_infeasible_trial_did_not_come_true() -> None:
    llm = FunctionProvider(Responder(0))
    result = run(constrained, llm, search_space={"x": (-5.0, 5.0)}, n_trials=20, schedule="alternate")
    ends = [e for e in result.events if isinstance(e, TrialFinished)]
    infeasible = [e for e in ends if e.state == "INFEASIBLE" and e.expected == "better"]
    assert infeasible
    assert all(e.came_true is None for e in infeasible)
    assert all(observe(result.trials[e.number]).came_true is None for e in infeasible)


@pytest.mark.parametrize("several", [False, True])
def test_a_run_without_a_feasible_trial_keeps_its_trials_and_says_so(several: bool) -> None:
    def two_values(trial: optuna.Trial) -> tuple[float, float]:
        return never_feasible(trial), 1.0

    of_two: dict[str, Any] = {"direction": ["minimize", "minimize"]} if several else {}
    result = run(two_values if several else never_feasible, n_trials=6, **of_two)
    assert result.status == "finished"
    assert len(result.trials) == 6
    sentence = "No trial is feasible: a constraint does not hold in 6 trials."
    assert result.summary["text"].startswith(f"{sentence} 6 trials in")
    assert result.summary["best_number"] is None
    assert sentence in repr(result)
    assert result.best_trials == []
    assert result.trials_dataframe().shape[0] == 6
    for plot in ("history", "search_space", "importances", "parallel", "sources"):
        assert getattr(result, f"plot_{plot}")().axes
    if not several:
        for ask in (lambda: result.best_params, lambda: result.best_value, result.code):
            with pytest.raises(InputError, match="no trial is feasible: a constraint does not hold in 6"):
                ask()


def test_a_run_with_several_objectives_takes_configurations_of_the_user() -> None:
    control = Control()

    def objective(params: dict[str, Any]) -> tuple[float, float]:
        return params["x"] ** 2, sum(params["kind"])

    def sink(event: Any) -> None:
        if isinstance(event, TrialFinished) and event.number == 2:
            control.wish("enqueue", {"x": 0.25, "kind": [2, 3]})
            control.wish("enqueue", {"x": 0.75, "kind": (1,)})
            control.wish("dequeue", {"x": 0.75, "kind": (1,)})
            control.wish("enqueue", {"x": 7.0})

    result = run(
        objective,
        direction=["minimize", "minimize"],
        search_space={"x": (0.0, 1.0), "kind": [(1,), (2, 3)]},
        enqueue=[{"x": 0.5, "kind": (1,)}],
        control=control,
        sinks=[sink],
        n_trials=5,
    )
    users = [t.params for t in result.trials if t.user_attrs.get("sllmbo:source") == "user" and t.values]
    assert users == [{"x": 0.5, "kind": "(1,)"}, {"x": 0.25, "kind": "(2, 3)"}]
    assert "x: 7 is out of range; allowed: 0 to 1. The configuration was not queued." in notes(result)


def test_the_pareto_front_has_feasible_trials_only() -> None:
    def two_values(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", -2.0, 2.0)
        trial.set_constraint("k", x - 0.5)
        return x**2, (x - 1) ** 2

    at = [{"x": 1.0}, {"x": 0.25}, {"x": 0.75}]
    result = run(two_values, direction=["minimize", "minimize"], enqueue=at, n_trials=3)
    assert [t["state"] for t in result.bundle()["trials"]] == ["INFEASIBLE", "COMPLETE", "INFEASIBLE"]
    assert [t["number"] for t in result.summary["front"]] == [1]
    assert [t.number for t in result.best_trials] == [1]


# --- the paragraph at the end ---------------------------------------------------------------------------


def test_the_paragraph_says_what_the_llm_changed_and_what_was_learnt() -> None:
    def objective(params: dict[str, Any]) -> float:
        return float((params["x"] - 0.3) ** 2 + 0.001 * params["y"])

    rng = np.random.default_rng(4)

    def answer(request: Any) -> Any:
        narrow = [{"action": "narrow", "name": "x", "low": 0.1, "high": 0.6, "reason": "the rest is bad"}]
        return reply(request.messages[-1].content, rng, changes=narrow if len(llm.requests) == 4 else [])

    llm = FunctionProvider(answer)
    space = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    result = run(objective, llm, n_trials=40, search_space=space, judge=False, schedule="alternate")
    text = result.summary["text"]
    llm_best = min(t.value for t in result.trials if t.user_attrs["sllmbo:source"] in ("llm", "llm-init"))
    rest = min(t.value for t in result.trials if t.user_attrs["sllmbo:source"] == "tpe")
    digits = decimals(min(llm_best, rest), result.default_value)
    assert text.startswith(
        f"Best objective {score(min(llm_best, rest), digits)} (trial {result.best_trial.number}"
    )
    assert "the default" not in text, "an objective has none"
    n_llm = sum(s in ("llm", "llm-init") for s in sources(result))
    assert re.search(rf"{llm.id} proposed {n_llm} trials and (never )?improved the best score", text)
    if llm_best < rest:
        assert f"The best of the other trials was {score(rest, digits)} (trial" in text
    else:
        assert f"The best trial of {llm.id} was {score(llm_best, digits)} (trial" in text
    assert "Most important parameters: x (" in text
    assert "The search space changed once (by the LLM): narrowed x." in text
    assert text == TuneResult(result.study, result.events).summary["text"]
    assert text == summary_text(result.bundle()), "the saved picture says the same"
    assert "\n" not in text


def test_the_paragraph_of_a_plain_run_speaks_of_no_llm() -> None:
    result = run(lambda p: p["x"], sampler="random", search_space={"x": (0.0, 1.0)}, n_trials=12)
    assert "LLM" not in result.summary["text"]
    assert "the rulebook" not in result.summary["text"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"scoring": "r2"}, "scoring (--metric)"),
        ({"cv": 5}, "cv (--cv)"),
        ({"X": [[1.0]], "y": [1.0]}, "X, y"),
        ({"sample_weight": [1.0]}, "sample_weight"),
        ({"X_test": [[1.0]], "y_test": [1.0]}, "X_test, y_test"),
    ],
)
def test_what_has_no_effect_on_an_objective_is_told(given: dict[str, Any], name: str) -> None:
    result = run(lambda params: params["x"], search_space={"x": (0.0, 1.0)}, **given)
    notes = [event.text for event in result.events if isinstance(event, Note)]
    verb = "have" if "," in name else "has"
    assert f"{name} {verb} no effect: an objective returns its own value." in notes


def asked(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", -5, 5) ** 2 + trial.suggest_int("n", 1, 9)


def both(trial: optuna.Trial) -> tuple[float, float]:
    return asked(trial), trial.params["n"]


FIXED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"x": 2.0, "n": (1, 9)}, {"x": 2.0}),
    ({"x": 2, "n": (1, 9)}, {"x": 2.0}),
    ({"x": (-5.0, 5.0), "n": 3.0}, {"n": 3}),
]


@pytest.mark.parametrize(("space", "fixed"), FIXED, ids=str)
def test_one_value_in_the_space_is_kept_where_the_objective_asks_for_it(
    space: dict[str, Any], fixed: dict[str, Any]
) -> None:
    study = optuna.create_study(sampler=LLMTPESampler(search_space=space, seed=0))
    study.optimize(asked, n_trials=5)
    trials = [
        *study.trials,
        *run(asked, search_space=space, n_trials=5).trials,
        *run(asked, search_space=space, n_trials=5, sampler="random").trials,
        *run(both, search_space=space, n_trials=5, direction=["minimize", "maximize"]).trials,
    ]
    assert len(trials) == 20
    for trial in trials:
        assert {name: trial.params[name] for name in fixed} == fixed
        assert [*map(type, trial.params.values())] == [float if n == "x" else int for n in trial.params]


DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"x": (-5, 5)}, "'x' as whole number -5 to 5, the objective suggests it as float -5 to 5. Write"),
    ({"x": (1.0, 5.0, "log")}, "'x' as float 1 to 5, log scale, the objective suggests it as float -5 to 5."),
    ({"n": (1.0, 9.0)}, "in search_space: 'n': (1, 9)."),
    ({"n": [1, 9]}, "'n' as one of 1, 9, the objective suggests it as whole number 1 to 9."),
    ({"x": 9.0}, "keeps 'x' at 9, the objective suggests it as float -5 to 5. Write a value from there"),
    ({"n": 2.5}, "keeps 'n' at 2.5, the objective suggests it as whole number 1 to 9."),
    ({"n": None}, "keeps 'n' at None, the objective suggests it as whole number 1 to 9."),
]


@pytest.mark.parametrize(("different", "words"), DIFFERENT, ids=lambda given: str(given)[:20])
def test_a_space_that_differs_from_what_the_objective_suggests_is_one_line(
    different: dict[str, Any], words: str
) -> None:
    space = {"x": (-5.0, 5.0), "n": (1, 9), **different}
    study = optuna.create_study(sampler=LLMTPESampler(search_space=space, seed=0))
    with pytest.raises(InputError) as raised:
        study.optimize(asked, n_trials=5)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    for direction, objective in (("minimize", asked), (["minimize", "maximize"], both)):
        result = run(objective, search_space=space, direction=direction, n_trials=20)
        assert result.status == "failed"
        assert len(result.trials) == 5
        assert words in notes(result)[-1]


def test_other_choices_than_the_objective_has_are_one_line() -> None:
    sampler = LLMTPESampler(search_space={"k": ["a", "b"], "x": (0.0, 1.0)}, seed=0)
    with pytest.raises(InputError, match=r"in search_space: 'k': \['a', 'b', 'c'\]\."):
        optuna.create_study(sampler=sampler).optimize(
            lambda trial: len(trial.suggest_categorical("k", ["a", "b", "c"])), n_trials=3
        )


def test_an_objective_may_ask_for_less_than_the_space_has() -> None:
    sampler = LLMTPESampler(search_space={"x": (-5.0, 5.0)}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=20)
    assert all(0 <= trial.params["x"] <= 1 for trial in study.trials)


@pytest.mark.parametrize("sampler", ["llm-tpe", "random"])
def test_a_value_that_the_objectives_own_range_lacks_never_reaches_it(sampler: str) -> None:
    """It did: the run had set it, and Optuna gives a trial's value whatever the range."""
    suggested: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        suggested.append(trial.suggest_float("x", 0, 0.5))
        return suggested[-1]

    options: dict[str, Any] = {"search_space": {"x": (0.0, 1.0)}, "sampler": sampler, "n_trials": 12}
    result = run(objective, **options)
    complete = [trial.value for trial in result.trials if trial.state.name == "COMPLETE"]
    assert suggested == complete
    assert max(complete) <= 0.5
    causes = {row["cause"] for row in result.failures}
    assert causes == {
        "InputError: search_space has 'x' as float 0 to 1, the objective suggests it as float 0 to 0.5. "
        "Write the same in both, in search_space: 'x': (0.0, 0.5)."
    }


def test_an_llm_is_told_that_its_value_is_outside_of_the_objectives_own_range() -> None:
    provider = FunctionProvider(Responder(0))
    sampler = LLMTPESampler(provider, search_space={"x": (0.0, 1.0)}, mode="llm", seed=0)
    optuna.create_study(sampler=sampler).optimize(lambda trial: trial.suggest_float("x", 0, 0.2), n_trials=16)
    text = provider.requests[-1].messages[-1].content
    assert re.search(
        r"x of trial #\d+: 0\.\d+ is out of range; allowed: 0 to 0\.2, so the sampler drew it", text
    )


@pytest.mark.parametrize("isolate", [False, True])
def test_names_that_differ_between_space_and_objective_are_told_once(isolate: bool) -> None:
    events: list[Event] = []
    tune(
        misnamed, direction="minimize", search_space={"learning_rate": (0.0, 1.0), "n": (1, 9)}, n_trials=3,
        seed=0, folder="", sampler="tpe", isolate=isolate, sinks=[events.append],
    )  # fmt: skip
    told = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert [text for text in told if "search_space" in text] == [
        "Trial 0: the objective asked for lr, which search_space does not have, and not for learning_rate,"
        " which it has. Write the same names in both: what is searched and shown has no effect."
    ]


def misnamed(trial: optuna.Trial) -> float:
    return trial.suggest_float("lr", 0, 1) + trial.suggest_int("n", 1, 9)


def test_an_objective_may_leave_out_what_the_space_has_or_ask_for_more() -> None:
    """It may read ``trial.params``, or ask for some parameters in some trials only."""
    events: list[Event] = []
    for objective in (
        lambda trial: trial.params["x"] + trial.suggest_int("n", 1, 9),
        lambda trial: (
            trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 9) + trial.suggest_int("m", 1, 9)
        ),
    ):
        options = {"n_trials": 2, "seed": 0, "folder": "", "sampler": "tpe", "sinks": [events.append]}
        tune(objective, direction="minimize", search_space={"x": (0.0, 1.0), "n": (1, 9)}, **options)
    assert not [event for event in events if isinstance(event, Note) and event.level == "warning"]


NAMES: dict[str, tuple[dict[str, Any], Any, int, str]] = {
    "misspelt": (
        {"learning_rate": (0.0, 1.0), "n": (1, 9)},
        misnamed,
        2,
        "Trial 0: the objective asked for lr, which search_space does not have, and not for learning_rate,",
    ),
    "more": (
        {"lr": (0.0, 1.0)},
        misnamed,
        2,
        "Trial 0: the objective asked for n, which search_space does not have: only the base sampler",
    ),
    "less": (
        {"lr": (0.0, 1.0), "n": (1, 9), "unused": (0, 1)},
        misnamed,
        12,
        "No trial has asked for unused, which search_space has: it is searched for nothing. Suggest it in",
    ),
    "nothing": ({"x": (0.0, 1.0)}, lambda trial: 1.0, 12, "No trial has asked for x, which search_space has"),
    "the same": ({"lr": (0.0, 1.0), "n": (1, 9), "kept": 2}, misnamed, 12, ""),
    "in a branch": (
        {"lr": (0.0, 1.0), "n": (1, 9), "m": (0, 1)},
        lambda trial: misnamed(trial) + (trial.number > 7 and trial.suggest_int("m", 0, 1)),
        12,
        "",
    ),
    "numbers that no space has": (
        {"lr": (0.0, 1.0), "n": (1, 9), "c": [math.inf, 1.0]},
        lambda trial: misnamed(trial) + (trial.suggest_categorical("c", [math.inf, 1.0]) > 1),
        2,
        "",
    ),
    "no space": (None, misnamed, 2, ""),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", NAMES)
def test_a_study_is_told_once_that_space_and_objective_differ(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, objective, n_trials, text = NAMES[case]
    told: list[str] = []
    monkeypatch.setattr(finite.optuna_logger, "warning", told.append)
    study = optuna.create_study(sampler=LLMTPESampler(search_space=space, seed=0, mode="tpe"))
    study.optimize(objective, n_trials=n_trials)
    assert [line[: len(text)] for line in told] == [text] * bool(text)

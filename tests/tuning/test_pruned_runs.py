"""Runs with a pruner: a pruned trial counts, is told as what it is, and confuses no sampler and no rule."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from lightgbm import LGBMRegressor
from optuna.pruners import BasePruner
from optuna.pruners import HyperbandPruner
from optuna.pruners import MedianPruner
from optuna.pruners import NopPruner
from optuna.pruners import SuccessiveHalvingPruner
from optuna.pruners import WilcoxonPruner
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import ShuffleSplit

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.comparison.compare import compare
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.hints import overruled
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.history.trials import observe
from sllmbo_magic.samplers import surrogate
from sllmbo_magic.samplers.shadow_study import ShadowStudy
from sllmbo_magic.task.task import Task
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.pruning import pruning_of
from sllmbo_magic.tuning.stopping import Patience
from tests.replies import Responder

X, Y = make_regression(80, 5, noise=20.0, random_state=0)
SPACE = {"learning_rate": (0.01, 0.5, "log"), "num_leaves": (2, 16), "n_estimators": (8, 24)}
MODEL = LGBMRegressor(verbose=-1, n_estimators=12, min_child_samples=5)


class EveryOther(BasePruner):
    """Prunes trials with odd numbers at their first step, and the default if it is asked about it."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return trial.number % 2 == 1 or trial.number == 0


def run(model: Any = MODEL, **options: Any) -> TuneResult:
    given = {"cv": 3, "n_trials": 10, "seed": 1, "folder": "", "search_space": SPACE, "verify": False}
    return tune(model, X, Y, **{**given, **options})


def states(result: TuneResult) -> list[str]:
    return [t.state.name for t in result.study.trials]


def notes(result: TuneResult) -> list[str]:
    return [e.text for e in result.events if isinstance(e, Note)]


@pytest.fixture(scope="module")
def pruned() -> TuneResult:
    return run(pruner=EveryOther(), llm=FunctionProvider(Responder(3)), n_trials=14, patience=100)


def test_pruned_trials_are_pruned_in_the_study_with_their_values_and_count(pruned: TuneResult) -> None:
    assert states(pruned) == ["COMPLETE", "PRUNED"] * 7
    for trial in pruned.study.trials:
        assert list(trial.intermediate_values) == ([25, 50, 100] if trial.number % 2 == 0 else [25])
    assert pruned.summary["n_trials"] == 14
    assert (pruned.summary["n_pruned"], pruned.summary["n_failed"]) == (7, 0)
    assert pruned.status == "finished"


def test_the_default_reports_but_is_never_pruned(pruned: TuneResult) -> None:
    default = pruned.study.trials[0]
    assert default.state == TrialState.COMPLETE
    assert pruned.default_value == default.value


def test_a_trial_that_is_not_pruned_has_the_value_that_it_has_without_a_pruner(pruned: TuneResult) -> None:
    kept = pruned.study.trials[4]
    same = run(n_trials=2, enqueue=[kept.params], init="user").study.trials[1]
    assert same.params == kept.params
    assert same.value == kept.value


def test_events_and_bundle_show_where_a_trial_was_pruned_and_no_score(pruned: TuneResult) -> None:
    ends = {e.number: e for e in pruned.events if isinstance(e, TrialFinished)}
    assert ends[1].state == "PRUNED"
    assert (ends[1].value, ends[1].error, ends[1].pruned_at) == (None, None, "25 % of its training")
    assert ends[1].reported == pruned.study.trials[1].intermediate_values[25]
    shown = pruned.bundle()["trials"][1]
    assert (shown["state"], shown["value"], shown["error"]) == ("PRUNED", None, None)
    assert shown["pruned"] == f"after 25 % of its training at {ends[1].reported:.5g}"
    assert "pruned" not in pruned.bundle()["trials"][0]
    assert "(7 pruned)" in pruned.summary["text"]


def test_the_method_sees_what_a_pruned_trial_reported_and_no_value(pruned: TuneResult) -> None:
    trial = pruned.study.trials[1]
    seen = observe(trial)
    assert trial.value is not None, "Optuna's"
    assert (seen.state, seen.value, seen.reported, seen.pruned_at) == (
        "PRUNED",
        None,
        trial.value,
        "25 % of its training",
    )


def test_the_llm_is_told_of_pruned_trials_as_pruned_and_of_the_pruner(pruned: TuneResult) -> None:
    llm = FunctionProvider(Responder(3))
    again = run(pruner=EveryOther(), llm=llm, n_trials=14, patience=100)
    assert states(again) == states(pruned)
    text = llm.requests[-1].messages[-1].content
    value = again.study.trials[1].intermediate_values[25]
    assert f"PRUNED after 25 % of its training at {value:.5g}" in text
    assert "FAILED" not in text
    assert "0 failed, " in text
    assert "pruned on the way" in text
    assert "a trial that others beat after 25 or 50 % of its training is stopped there (PRUNED)" in text


def test_a_pruned_trial_is_never_the_best_though_its_value_looks_better() -> None:
    """Optuna gives a pruned trial its last report as its value."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(-100.0 - x if trial.number % 2 else x, 1)
        if trial.should_prune():
            raise optuna.TrialPruned
        return x

    result = tune(
        objective, direction="minimize", n_trials=12, seed=0, folder="", pruner=EveryOther(), llm="rulebook"
    )
    assert result.summary["n_pruned"] >= 5
    assert result.summary["best_value"] == result.best_value >= 0
    assert all(
        e.best_value is None or e.best_value >= 0 for e in result.events if isinstance(e, TrialFinished)
    )
    assert result.bundle()["trials"][1]["pruned"].startswith("after step 1 at -100")


def test_the_base_sampler_sees_pruned_trials_with_their_intermediate_values() -> None:
    seen: list[list[FrozenTrial]] = []

    class Watching(TPESampler):
        def sample_independent(self, study: Study, trial: Any, *rest: Any) -> Any:
            seen.append(study.get_trials(deepcopy=False))
            return super().sample_independent(study, trial, *rest)

    result = run(sampler=Watching(seed=0), pruner=EveryOther(), n_trials=9)
    mine = [t for t in seen[-1] if t.state == TrialState.PRUNED]
    theirs = [t for t in result.study.trials[:8] if t.state == TrialState.PRUNED]
    assert [t.intermediate_values for t in mine] == [t.intermediate_values for t in theirs]
    assert len(mine) == 4


def test_a_new_process_shows_it_the_pruned_trials_of_the_old_one() -> None:
    space = SearchSpace({"x": optuna.distributions.FloatDistribution(0, 1)})
    shadow = ShadowStudy(space, optuna.study.StudyDirection.MAXIMIZE)
    old = optuna.trial.create_trial(
        state=TrialState.PRUNED, params={"x": 0.5}, distributions=dict(space), intermediate_values={25: 0.3}
    )
    shadow.sync([old], TPESampler())
    (seen,) = shadow.study.trials
    assert (seen.state, seen.params, seen.intermediate_values) == (TrialState.PRUNED, {"x": 0.5}, {25: 0.3})


def test_a_run_of_pruned_trials_only_ends_without_a_best() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.report(trial.suggest_float("x", 0, 1), 1)
        raise optuna.TrialPruned

    result = tune(objective, direction="minimize", n_trials=4, seed=0, folder="", pruner="median")
    assert (result.status, result.summary["n_pruned"]) == ("finished", 4)
    assert result.summary["best_value"] is None


def test_a_resumed_run_goes_on_as_an_uninterrupted_one(tmp_path: Path) -> None:
    options: dict[str, Any] = {"pruner": "asha", "n_trials": 8}
    whole = run(**options, folder=tmp_path / "a")
    # the default and all first configurations: a shorter run asks for fewer of them
    run(**{**options, "n_trials": 6}, folder=tmp_path / "b")
    resumed = run(**options, folder=tmp_path / "b", resume=True)
    assert "PRUNED" in states(whole)
    assert [(t.state, t.params, t.value) for t in resumed.study.trials] == [
        (t.state, t.params, t.value) for t in whole.study.trials
    ]
    with pytest.raises(RunChangedError, match="pruner is not the same"):
        run(n_trials=9, folder=tmp_path / "b", resume=True)


def test_a_saved_run_keeps_what_was_reported(pruned: TuneResult, tmp_path: Path) -> None:
    loaded = TuneResult.load(pruned.save(tmp_path / "run"))
    assert [t.intermediate_values for t in loaded.study.trials] == [
        t.intermediate_values for t in pruned.study.trials
    ]
    assert loaded.importances().keys() == pruned.importances().keys()


def test_gain_is_verified_and_told_with_pruned_trials() -> None:
    result = run(pruner="asha", verify=True, n_trials=12)
    verification = result.summary["verification"]
    assert result.best_params == {} or verification["verdict"] in ("real", "within noise", "worse")
    assert result.best_trial.state == TrialState.COMPLETE


def test_two_runs_with_one_seed_are_the_same() -> None:
    assert states(run(pruner="asha")) == states(run(pruner="asha"))


@pytest.mark.parametrize(
    ("pruner", "kind"),
    [("asha", SuccessiveHalvingPruner), ("hyperband", HyperbandPruner), ("median", MedianPruner)],
)
def test_named_pruners_prune_as_the_estimator_trains(pruner: str, kind: type) -> None:
    result = run(pruner=pruner, n_trials=14)
    assert (
        f"Pruner: {pruner}. A trial that others beat after 25 or 50 % of its training is stopped there."
        in notes(result)
    )
    assert "PRUNED" in states(result)
    assert type(pruning_of(Task.from_estimator(MODEL, X, Y), pruner).pruner) is kind  # type: ignore[union-attr]


def test_an_estimator_that_cannot_report_is_pruned_between_folds_and_the_run_says_so() -> None:
    result = run(Ridge(), search_space={"alpha": (1e-3, 1e3, "log")}, pruner="asha", cv=4, n_trials=10)
    assert (
        "Pruner: asha. Ridge cannot report as it trains, so a trial that others beat after some of its 4"
        " folds is stopped there." in notes(result)
    )
    lost = [t for t in result.study.trials if t.state == TrialState.PRUNED]
    assert lost
    assert {max(t.intermediate_values) for t in lost} <= {1, 2, 3}


def test_wilcoxon_compares_folds() -> None:
    result = run(pruner="wilcoxon", cv=ShuffleSplit(8, random_state=0), n_trials=10, init="random")
    assert isinstance(pruning_of(Task.from_estimator(MODEL, X, Y), "wilcoxon").pruner, WilcoxonPruner)  # type: ignore[union-attr]
    lost = [t for t in result.study.trials if t.state == TrialState.PRUNED]
    assert lost
    first = result.study.trials[0]
    scores = first.user_attrs["sllmbo:evaluation"]["split_scores"]
    assert list(first.intermediate_values.values()) == scores, "each fold's own score"


def test_an_objective_that_reports_gets_the_pruner_and_another_one_is_told_it_cannot() -> None:
    asked: list[type] = []

    def objective(trial: optuna.Trial) -> float:
        asked.append(type(trial.study.pruner))
        x = trial.suggest_float("x", 0, 1)
        for step in range(1, 5):
            trial.report(x * step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 4 * x

    result = tune(objective, direction="minimize", n_trials=15, seed=0, folder="", pruner="asha")
    assert {*asked} == {SuccessiveHalvingPruner}
    assert "PRUNED" in states(result)
    asked.clear()
    tune(objective, direction="minimize", n_trials=3, seed=0, folder="", pruner="none")
    assert {*asked} == {NopPruner}
    asked.clear()
    tune(objective, direction="minimize", n_trials=3, seed=0, folder="")
    assert {*asked} == {MedianPruner}, "as Optuna does"
    with pytest.raises(InputError, match=r"objective\(params\) cannot report .*trial\.report"):
        tune(lambda params: 1.0, direction="minimize", search_space={"x": (0.0, 1.0)}, pruner="asha")


def test_a_study_of_the_user_keeps_its_pruner() -> None:
    study = optuna.create_study(direction="maximize", pruner=MedianPruner())
    before = study.pruner
    run(study=study, pruner="asha", n_trials=4)
    assert study.pruner is before


def test_what_cannot_be_is_said_in_one_line_before_a_fit() -> None:
    with pytest.raises(
        InputError, match=r"pruner 'ahsa' is not known\. Did you mean 'asha'\? Allowed: none, "
    ):
        run(pruner="ahsa")
    with pytest.raises(InputError, match="one fold only"):
        run(Ridge(), search_space={"alpha": (0.1, 1.0)}, pruner="asha", cv=ShuffleSplit(1, random_state=0))
    with pytest.raises(InputError, match="needs one objective"):
        tune(lambda trial: (1.0, 2.0), direction=["minimize", "minimize"], pruner="asha")
    with pytest.raises(InputError, match="tune_options: 'pruner' is not one of its options"):
        SLLMBOSearchCV(MODEL, tune_options={"pruner": "asha"}).fit(X, Y)


def test_trials_on_threads_report_too() -> None:
    with ThreadPoolExecutor(2) as pool:
        result = run(pruner=EveryOther(), executor=pool, n_trials=8)
    assert states(result) == ["COMPLETE", "PRUNED"] * 4


def test_compare_puts_pruners_side_by_side_and_takes_no_report_for_a_score() -> None:
    compared = compare(
        MODEL, X, Y, ablate="pruner", seeds=1, n_trials=8, cv=3, search_space=SPACE, sampler="tpe"
    )
    assert [run.variant for run in compared.runs] == ["no pruner", "asha", "hyperband", "folds"]
    asha = compared.runs[1]
    assert asha.result is not None
    assert [v is None for v in asha.values] == [s == "PRUNED" for s in states(asha.result)]
    assert None in asha.values


def test_a_stop_is_heard_at_the_next_step_of_the_training() -> None:
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == 2:
            control.wish("stop")

    result = run(pruner="asha", control=control, sinks=[stop])
    assert result.status == "stopped"


# Hyperband and the samplers by themselves


@pytest.mark.parametrize("declared", [True, False])
def test_hyperband_with_our_sampler_as_with_any_of_optuna(declared: bool) -> None:
    space = SearchSpace({"x": optuna.distributions.FloatDistribution(-5, 5)})
    llm = FunctionProvider(Responder(1))
    sampler = LLMTPESampler(llm, search_space=space if declared else None, seed=0)
    study = optuna.create_study(
        sampler=sampler, pruner=HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)
    )

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5, 5)
        for step in range(1, 10):
            trial.report((x - 1) ** 2 + 9.0 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return (x - 1) ** 2

    study.optimize(objective, n_trials=40)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.best_value < 0.5
    sources = [t.user_attrs["sllmbo:source"] for t in study.trials]
    assert {"llm", "tpe"} <= {*sources}
    text = llm.requests[-1].messages[-1].content
    shown = {int(n) for n in re.findall(r"^#(\d+),", text, re.MULTILINE)}
    asked_at = int(re.findall(r"Next is trial #(\d+)", text)[0])
    assert {*range(asked_at - 20, asked_at)} <= shown, "the story is of all brackets"


# What looks at the history


def history(*rows: tuple[str, float | None], source: str = "tpe") -> History:
    return History(
        tuple(
            Observation(
                i,
                {"x": i / 20},
                state,
                value if state == "COMPLETE" else None,
                source=source,
                reported=value if state == "PRUNED" else None,
                pruned_at="50 % of its training" if state == "PRUNED" else "",
            )
            for i, (state, value) in enumerate(rows)
        ),
        "maximize",
    )


def test_patience_counts_pruned_trials_as_trials_without_gain() -> None:
    rows = [("COMPLETE", 1.0), *[("PRUNED", 5.0)] * 4]
    assert Patience(5).reason(history(*rows)) is None
    assert Patience(5).reason(history(*rows, ("PRUNED", 5.0))) is not None


def test_the_judge_knows_where_trials_were_pruned() -> None:
    space = SearchSpace({"x": optuna.distributions.FloatDistribution(0, 1)})
    scored = [("COMPLETE", 0.5 + 0.01 * i) for i in range(7)]
    known = surrogate.fit(history(*scored, *[("PRUNED", -1.0)] * 12), space)
    unknown = surrogate.fit(history(*scored), space)
    assert known is not None
    assert unknown is not None
    there, else_where = {"x": 0.8}, {"x": 0.3}
    blind, seeing = (
        near.log_improvement - far.log_improvement
        for near, far in (fitted.rate([there, else_where]) for fitted in (unknown, known))
    )
    assert seeing < blind + math.log(0.2)
    # a report that looks better than the scores counts as their median
    kept = surrogate._pruned(history(*scored, ("PRUNED", 99.0), ("PRUNED", -1.0)))
    assert [value for _, value in kept] == pytest.approx([0.53, -1.0])


def test_a_hint_whose_trials_are_pruned_is_overruled() -> None:
    before = [Observation(i, {}, value=0.9, source="tpe") for i in range(10)]
    since = [Observation(10 + i, {}, "PRUNED", source="llm", reported=5.0, asked_at=10 + i) for i in range(8)]
    assert overruled(Hint("go there", 10), History((*before, *since), "maximize")) is not None


def test_asha_saves_training() -> None:
    def rounds(result: TuneResult) -> float:
        total = 0.0
        for trial in result.study.trials[1:]:
            total += trial.params["n_estimators"] * (max(trial.intermediate_values or {100: 0}) / 100)
        return total

    all_of_it = run(n_trials=12, init="random")
    asha = run(n_trials=12, init="random", pruner="asha")
    assert rounds(asha) < 0.75 * rounds(all_of_it)
    assert np.isfinite(asha.best_value)

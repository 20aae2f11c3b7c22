"""How much each parameter matters, by two measures, and how sure that is."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.tuning.importance import KINDS

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0), "same": [3]}


def objective(params: dict[str, Any]) -> float:
    return float((params["x"] - 0.3) ** 2 + 0.01 * params["y"])


def run(n_trials: int, **options: Any) -> Any:
    given = {"search_space": SPACE, "direction": "minimize", "sampler": "random", "seed": 3, "folder": ""}
    return tune(objective, n_trials=n_trials, verify=False, judge=False, **{**given, **options})


@pytest.fixture(scope="module")
def result() -> Any:
    return run(40)


@pytest.mark.parametrize("kind", KINDS)
def test_what_matters_has_the_largest_share_and_lies_in_its_interval(result: Any, kind: str) -> None:
    shares = result.importances(kind)
    assert next(iter(shares)) == "x"
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["x"] > 0.7
    intervals = result.importance_intervals(kind, resamples=8)
    assert set(intervals) == set(shares)
    for name, (low, high) in intervals.items():
        assert 0.0 <= low <= shares[name] <= high <= 1.0
    assert intervals["x"][0] > intervals["y"][1], "told apart"
    assert intervals["x"][0] < intervals["x"][1], "and not without doubt"
    assert result.importance_intervals(kind, resamples=8) == intervals, "the same again"


@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_of_few_trials_is_wider(result: Any, kind: str) -> None:
    few = run(9).importance_intervals(kind, resamples=8)
    many = result.importance_intervals(kind, resamples=8)
    assert few["y"][1] - few["y"][0] > many["y"][1] - many["y"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_trials_have_no_shares_and_no_intervals(kind: str) -> None:
    small = run(5)
    assert small.importances(kind) == {}
    assert small.importance_intervals(kind) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_where_all_scores_are_equal_no_parameter_matters(kind: str) -> None:
    flat = tune(lambda params: 0.5, n_trials=12, search_space=SPACE, direction="minimize", seed=3, folder="")
    assert flat.importances(kind) == {}
    assert flat.importance_intervals(kind, resamples=8) == {}
    assert "Most important" not in flat.summary["text"]


def test_another_kind_is_refused_and_nothing_is_warned(result: Any) -> None:
    with pytest.raises(InputError, match="Allowed: ped-anova, surrogate"):
        result.importances("shap")
    with pytest.raises(InputError, match="Allowed: ped-anova, surrogate"):
        result.importance_intervals("shap")
    before = result.warnings
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result.importance_intervals(resamples=3)
    assert result.warnings == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_figure_has_a_line_on_each_bar(result: Any, kind: str) -> None:
    pytest.importorskip("matplotlib")
    plain = result.plot_importances(kind=kind)
    figure = result.plot_importances(kind=kind, intervals=True)
    assert len(figure.axes[0].lines) == len(plain.axes[0].lines) + len(result.importances(kind))
    assert "90 % of resamples" in figure.axes[0].get_xlabel()


def test_parameters_that_an_objective_asks_for_have_shares() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("kind", ["a", "b"]) == "b":
            trial.suggest_int("only_sometimes", 1, 9)
        return 10 * trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)

    options: dict[str, Any] = {"n_trials": 16, "sampler": "random", "seed": 0, "folder": ""}
    result = tune(objective, direction="minimize", **options)
    shares = result.importances()
    assert next(iter(shares)) == "x"
    assert set(shares) >= {"x", "y", "kind"}
    assert set(result.importance_intervals(resamples=3)) == set(shares)
    assert result.importances("surrogate") == result.importance_intervals("surrogate") == {}
    assert result.plot_importances(intervals=True).alt.startswith("Importance: x ")
    both = tune(lambda trial: (objective(trial), 0.0), direction=["minimize"] * 2, **options)
    assert both.plot_importances().alt.startswith("Several objectives: there is no one score")

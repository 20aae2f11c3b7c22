"""Fold racing: what cannot win gets no further folds, what can has all of them, and savings are told."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from optuna.trial import create_trial
from sklearn.base import BaseEstimator
from sklearn.base import RegressorMixin
from sklearn.datasets import make_regression
from sklearn.model_selection import KFold
from sklearn.model_selection import cross_val_score

from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Note
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.fold_racing import FoldRacingPruner
from sllmbo_magic.tuning.fold_racing import gap_deviation
from tests.estimators import Shift
from tests.replies import Responder

X, Y = make_regression(60, 4, noise=10.0, random_state=0)
N_FOLDS = 5


class CountedShift(Shift):
    """Counts the fits of all configurations."""

    fits = 0
    _lock = threading.Lock()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        with CountedShift._lock:
            CountedShift.fits += 1
        return super().fit(X, y)


def run(model: Any = None, **options: Any) -> TuneResult:
    shared = {"cv": N_FOLDS, "n_trials": 24, "seed": 3, "folder": "", "verify": False, "pruner": "folds"}
    space = {"search_space": {"shift": (-200.0, 200.0)}}
    return tune(CountedShift(120.0) if model is None else model, X, Y, **{**shared, **space, **options})


def study_of(rows: list[list[float]], direction: str = "maximize") -> optuna.Study:
    study = optuna.create_study(direction=direction)
    for row in rows:
        study.add_trial(
            create_trial(
                value=float(np.mean(row)),
                params={"x": 0.5},
                distributions={"x": FloatDistribution(0, 1)},
                user_attrs={attrs.EVALUATION: {"split_scores": row}},
            )
        )
    return study


def asked(study: optuna.Study, scores: list[float], **options: Any) -> bool:
    """What the pruner says of a trial with these fold scores."""
    means = {k: float(np.mean(scores[:k])) for k in range(1, len(scores) + 1)}
    trial = create_trial(state=TrialState.RUNNING, intermediate_values=means)
    return FoldRacingPruner(N_FOLDS, **options).prune(study, trial)


ROWS = [
    [0.80, 0.70, 0.90, 0.60, 0.75],
    [0.79, 0.71, 0.88, 0.61, 0.74],
    [0.78, 0.68, 0.89, 0.58, 0.74],
    [0.70, 0.65, 0.80, 0.50, 0.70],
]
"""The first is the best; differences of the good ones vary by about 0.01 between folds."""


def test_a_gap_of_more_than_one_standard_deviation_after_one_fold_ends_a_trial() -> None:
    study = study_of(ROWS)
    deviation = gap_deviation(np.array(ROWS))
    assert 0.004 < deviation < 0.02
    assert asked(study, [0.80 - 1.01 * deviation])
    assert not asked(study, [0.80 - 0.99 * deviation])
    assert not asked(study, [0.95])


def test_a_fold_on_which_all_do_badly_is_no_reason() -> None:
    """0.60 is by far the lowest score of the best trial's folds, and as good as the best there."""
    rows = [[row[3], *row[:3], row[4]] for row in ROWS]
    assert not asked(study_of(rows), [0.60])
    assert asked(study_of(rows), [0.50])


def test_the_more_folds_there_are_the_smaller_is_the_gap_that_decides() -> None:
    study, deviation = study_of(ROWS), gap_deviation(np.array(ROWS))
    behind = [score - 0.5 * deviation for score in ROWS[0]]
    assert [asked(study, behind[:k]) for k in range(1, 5)] == [False, False, True, True]
    assert not asked(study, ROWS[0]), "after the last fold nothing is left to save"


def test_losses_are_smaller_where_they_are_better() -> None:
    study = study_of([[-v for v in row] for row in ROWS], "minimize")
    assert asked(study, [-0.70])
    assert not asked(study, [-0.80])


def test_without_enough_trials_or_any_noise_nothing_is_ended() -> None:
    assert not asked(study_of(ROWS[:3]), [0.0])
    assert asked(study_of(ROWS[:3]), [0.0], n_startup_trials=3)
    equal = study_of([ROWS[0]] * 6)
    assert not asked(equal, [0.0]), "nothing says how far a difference may be luck"


def test_the_reference_is_a_trial_with_all_of_its_folds() -> None:
    """What a trial reported before it was ended is no score, however good it looks."""
    study = study_of(ROWS)
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED,
            intermediate_values={1: 5.0},
            user_attrs={attrs.EVALUATION: {"split_scores": [5.0]}},
        )
    )
    assert not asked(study, [0.80])


@pytest.fixture(scope="module")
def raced() -> tuple[TuneResult, int]:
    CountedShift.fits = 0
    result = run(n_jobs=1)
    return result, CountedShift.fits


def test_trials_that_cannot_win_are_pruned_after_some_folds_and_the_run_says_what_that_saved(
    raced: tuple[TuneResult, int],
) -> None:
    result, fits = raced
    pruned = [t for t in result.study.trials if t.state == TrialState.PRUNED]
    assert pruned
    assert all(t.intermediate_values for t in pruned)
    assert {t.last_step for t in pruned} <= {1, 2, 3, 4}
    saved = result.summary["fits_saved"]
    assert fits == 24 * N_FOLDS - saved
    assert saved >= len(pruned)
    assert f"Pruning after some folds saved {saved} of 120 fits." in result.summary["text"]
    notes = [e.text for e in result.events if isinstance(e, Note)]
    assert any(text.startswith("Pruner: folds. A trial ") for text in notes)


def test_the_best_trial_has_all_folds_and_the_score_of_scikit_learn(raced: tuple[TuneResult, int]) -> None:
    result, _ = raced
    best = result.study.best_trial
    scores = best.user_attrs[attrs.EVALUATION]["split_scores"]
    cv = KFold(N_FOLDS, shuffle=True, random_state=0)
    expected = cross_val_score(Shift(**best.params), X, Y, cv=cv, scoring="neg_mean_absolute_error")
    assert best.params
    assert scores == expected.tolist()


def test_no_run_without_this_pruner_speaks_of_saved_fits() -> None:
    result = run(pruner=None, n_trials=4)
    assert "fits_saved" not in result.summary
    assert "saved" not in result.summary["text"]


def test_folds_in_flight_are_no_saving() -> None:
    CountedShift.fits = 0
    result = run(n_jobs=2)
    assert CountedShift.fits == 24 * N_FOLDS - result.summary["fits_saved"]


@pytest.mark.parametrize("sampler", ["tpe", "random", "llm-tpe"])
def test_every_sampler_goes_on_with_pruned_trials(sampler: str) -> None:
    llm = FunctionProvider(Responder(3)) if sampler == "llm-tpe" else None
    result = run(sampler=sampler, **({} if llm is None else {"llm": llm}))
    states = [t.state for t in result.study.trials]
    assert states.count(TrialState.PRUNED) + states.count(TrialState.COMPLETE) == 24
    assert TrialState.PRUNED in states
    assert abs(result.best_params["shift"]) < 60


def test_a_resumed_run_races_against_the_trials_of_the_first_process(tmp_path: Path) -> None:
    options = {"n_jobs": 1, "n_trials": 20}
    whole = run(**options, folder=tmp_path / "a")
    run(**{**options, "n_trials": 12}, folder=tmp_path / "b")
    resumed = run(**options, folder=tmp_path / "b", resume=True)
    outcomes = [
        [(t.state, t.params, t.intermediate_values) for t in one.study.trials] for one in (resumed, whole)
    ]
    assert outcomes[0] == outcomes[1]
    assert resumed.summary["fits_saved"] == whole.summary["fits_saved"] > 0


class Objective(RegressorMixin, BaseEstimator):
    """An estimator that only says that it was never fitted."""

    def fit(self, X: Any, y: Any) -> Any:
        raise AssertionError("refused before a fit")


def test_what_has_no_folds_is_refused_in_one_line_before_a_fit() -> None:
    with pytest.raises(InputError, match=r"pruner folds compares folds, and an objective has none"):
        tune(lambda trial: 0.0, direction="minimize", pruner="folds", n_trials=2, folder="")
    with pytest.raises(InputError, match="one fold only"):
        run(Objective(), cv=[(np.arange(40), np.arange(40, 60))])
    with pytest.raises(InputError, match="Did you mean 'folds'"):
        run(pruner="fold")

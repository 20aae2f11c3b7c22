"""Was the gain real? Paired scores on fresh folds, their corrected noise, test data, over-tuning."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.model_selection import KFold
from sklearn.model_selection import PredefinedSplit
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection import cross_val_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic.evaluation import verify
from sllmbo_magic.evaluation.bootstrap import bootstrap_interval
from sllmbo_magic.evaluation.bootstrap import test_scores as scores_on_test_data
from sllmbo_magic.evaluation.fold_fit import refit
from sllmbo_magic.evaluation.fresh_splits import fresh_tasks
from sllmbo_magic.evaluation.paired_scores import Fits
from sllmbo_magic.evaluation.verification import corrected_noise
from sllmbo_magic.task.task import Task
from tests.estimators import Failing
from tests.estimators import Shift

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 2))
Y = RNG.normal(size=N)


def task_of(estimator: Any = None, **options: Any) -> Task:
    return Task.from_estimator(Shift() if estimator is None else estimator, **{"X": X, "y": Y, **options})


def test_a_large_gain_is_real_and_its_mirror_is_worse() -> None:
    task = task_of()
    real = verify(task, {"shift": 3.0}, {"shift": 0.0}, seed=1)
    worse = verify(task, {"shift": 0.0}, {"shift": 3.0}, seed=1)
    assert (real.verdict, worse.verdict) == ("real", "worse")
    assert real.gain == pytest.approx(-worse.gain)
    assert real.gain > 1.5
    assert (real.n_folds, real.fresh) == (5, True)  # half of the folds decide
    assert "On 5 of 10 fresh folds, which were enough," in real.text
    assert "the gain is real" in real.text
    assert "the default is better" in worse.text


class Counting(Ridge):
    """Counts its fits."""

    fits = 0

    def fit(self, *data: Any, **options: Any) -> Any:
        Counting.fits += 1
        return super().fit(*data, **options)


@pytest.mark.parametrize(("cv", "looked"), [(2, 6), (3, 6), (4, 8), (5, 5), (10, 5), (20, 5)])
def test_equal_scores_end_the_check_at_the_first_look(cv: int, looked: int) -> None:
    Counting.fits = 0
    progress: list[tuple[int, int]] = []
    check = verify(
        task_of(Counting(), cv=cv), {}, {"alpha": 1.0}, seed=1, on_progress=lambda *now: progress.append(now)
    )
    assert (check.verdict, check.n_folds, Counting.fits) == ("within noise", looked, 2 * looked)
    assert progress[-1][0] == Counting.fits


def test_a_gain_that_the_first_folds_do_not_decide_takes_all_of_them() -> None:
    check = verify(task_of(Ridge()), {}, {"alpha": 5.0}, seed=1)
    assert check.n_folds == 10
    assert "On 10 fresh folds the best" in check.text


def test_folds_of_the_search_itself_are_all_scored() -> None:
    """The first splits of a time series are its shortest: they do not stand for all."""
    check = verify(task_of(cv=TimeSeriesSplit(10)), {"shift": 9.0}, {}, seed=1)
    assert (check.verdict, check.n_folds, check.fresh) == ("real", 10, False)


def test_a_difference_without_meaning_is_within_noise() -> None:
    verification = verify(task_of(), {}, {"shift": 0.01}, seed=1)
    assert verification.verdict == "within noise"
    assert "it may be luck" in verification.text


def test_a_loss_within_the_noise_is_no_luck() -> None:
    verification = verify(task_of(), {"shift": 0.01}, {}, seed=1)
    assert verification.verdict == "within noise"
    assert verification.gain < 0
    assert verification.text.count("a loss of ") == 1
    assert "so no gain is shown" in verification.text


def test_scores_are_those_of_the_same_kind_of_folds_with_other_seeds() -> None:
    task = task_of(Ridge(), cv=KFold(5, shuffle=True, random_state=0))
    verification = verify(task, {}, {"alpha": 5.0}, seed=1)
    assert verification.n_folds == 10
    seeds = [int(s) for s in np.random.SeedSequence(1).generate_state(2)]
    assert 0 not in seeds
    for mean, alpha in ((verification.default_mean, 1.0), (verification.best_mean, 5.0)):
        scores = [
            cross_val_score(
                Ridge(alpha=alpha), X, Y, cv=KFold(5, shuffle=True, random_state=s), scoring=task.scoring
            )
            for s in seeds
        ]
        assert mean == pytest.approx(np.mean(scores), rel=1e-12)


def test_fresh_folds_are_not_the_searchs_and_repeat_for_the_same_seed() -> None:
    task = task_of()
    first, second = fresh_tasks(task, 5)
    assert [len(t.splits) for t in (first, second)] == [5, 5]
    for one, other in ((task, first), (task, second), (first, second)):
        assert not any(np.array_equal(a[1], b[1]) for a, b in zip(one.splits, other.splits, strict=True))
    again = fresh_tasks(task, 5)
    assert np.array_equal(again[1].splits[0][1], second.splits[0][1])
    assert len(fresh_tasks(task_of(cv=10), 5)) == 1
    assert len(fresh_tasks(task_of(cv=3), 5)) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"cv": TimeSeriesSplit(4)},
        {"cv": GroupKFold(4), "groups": np.arange(N) % 8},
        {"cv": PredefinedSplit(np.arange(N) % 4)},
        {"cv": KFold(4)},
        {"cv": list(KFold(4).split(X))},
    ],
)
def test_folds_that_cannot_be_reshuffled_are_scored_again_and_it_is_said(options: dict[str, Any]) -> None:
    verification = verify(task_of(**options), {"shift": 3.0}, {}, seed=1, default_value=-3.0, best_value=-0.8)
    assert (verification.fresh, verification.n_folds) == (False, 4)
    assert "own 4 folds" in verification.text
    assert verification.overtuning is None  # the same folds cannot tell


def test_the_noise_is_corrected_for_folds_that_share_rows() -> None:
    task = task_of()
    differences = np.array([0.1, 0.3, 0.2, 0.5, 0.4])
    expected = math.sqrt((1 / 5 + 12 / 48) * differences.var(ddof=1))
    assert corrected_noise(differences, [task]) == pytest.approx(expected)
    assert expected > 1.4 * stats.sem(differences)  # the usual one is too small


def test_gains_that_are_not_there_are_seldom_called_real() -> None:
    """Default and best predict equally badly; the corrected test must not find more than its level says."""
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = np.sign(rng.normal(size=N))  # symmetric, so that shifts up and down are equally wrong
        task = task_of(y=y, scoring="neg_mean_squared_error", cv=5)
        verdicts.append(verify(task, {"shift": 0.2}, {"shift": -0.2}, seed=seed).verdict)
    assert verdicts.count("real") + verdicts.count("worse") <= 8


def test_a_loss_that_is_minimised() -> None:
    def loss(y_true: Any, y_pred: Any) -> float:
        return float(np.abs(y_true - y_pred).mean())

    task = task_of(scoring=loss, direction="minimize", X_test=X, y_test=Y)
    verification = verify(task, {"shift": 3.0}, {}, seed=1, default_value=3.0, best_value=0.5)
    assert verification.verdict == "real"
    assert verification.best_mean < verification.default_mean
    assert verification.gain > 0
    assert verification.test_best < verification.test_default
    low, high = verification.test_interval or (0.0, 0.0)
    assert 0 < low < verification.test_default - verification.test_best < high
    assert verification.overtuning == pytest.approx(
        2.5 - (verification.test_default - verification.test_best)
    )


def test_the_same_parameters_need_no_fit() -> None:
    verification = verify(task_of(Failing(ValueError("not to be fitted"))), {}, {}, seed=1)
    assert (verification.verdict, verification.gain) == ("within noise", None)
    assert "No configuration beat the default" in verification.text


def test_overtuning_is_the_seen_gain_minus_the_gain_outside() -> None:
    verification = verify(task_of(), {"shift": 1.0}, {}, seed=1, default_value=-2.0, best_value=-0.5)
    assert verification.overtuning == pytest.approx(1.5 - verification.gain)
    assert verify(task_of(), {"shift": 1.0}, {}, seed=1).overtuning is None


def test_a_failed_fit_and_a_stop_are_no_verdict() -> None:
    failed = verify(task_of(Failing()), {}, {"error": ValueError("no")}, seed=1)
    stopped = verify(task_of(), {}, {"shift": 1.0}, seed=1, fits=Fits(should_stop=lambda: True))
    for verification in (failed, stopped):
        assert (verification.verdict, verification.gain, verification.n_folds) == ("unknown", None, 0)
        assert verification.text.endswith(".")


def test_a_stop_keeps_the_repetitions_that_were_done() -> None:
    asked = iter(range(1000))
    # one question per fold of default and best: the third repetition of 3 folds is cut
    verification = verify(
        task_of(cv=3), {"shift": 3.0}, {}, seed=1, fits=Fits(1, should_stop=lambda: next(asked) > 13)
    )
    assert verification.n_folds == 6
    assert verification.verdict == "real"


def test_an_objective_has_no_folds() -> None:
    task = Task.from_objective(lambda params: 0.0, direction="minimize", search_space={"x": (0, 1)})
    assert verify(task, {}, {"x": 1.0}, seed=1).verdict == "unknown"


# ---- test data

CANCER_X, CANCER_Y = load_breast_cancer(return_X_y=True)
CANCER_Y = np.array(["benign" if y else "malignant" for y in CANCER_Y])
SPLIT = train_test_split(CANCER_X, CANCER_Y, test_size=0.4, random_state=0)


def cancer(scoring: Any) -> Task:
    return Task.from_estimator(
        DecisionTreeClassifier(random_state=0),
        SPLIT[0],
        SPLIT[2],
        scoring=scoring,
        X_test=SPLIT[1],
        y_test=SPLIT[3],
    )


def own_scorer(estimator: Any, X: Any, y: Any) -> float:
    assert X.shape[1] == 30  # an own scorer may look at the data
    return float((estimator.predict(X) == y).mean())


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "roc_auc", "f1_weighted", own_scorer])
def test_test_scores_are_the_scorers_on_any_rows(scoring: Any) -> None:
    from sklearn.metrics import check_scoring

    task = cancer(scoring)
    fitted = refit(task, {"max_depth": 3})
    rows = np.random.default_rng(0).integers(0, len(SPLIT[3]), 200)
    expected = check_scoring(fitted, task.scoring)(fitted, SPLIT[1][rows], SPLIT[3][rows])
    assert scores_on_test_data(task, fitted)(rows) == pytest.approx(expected, rel=1e-12)


def test_the_bootstrap_asks_the_models_once_and_refits_nothing() -> None:
    class Counting(DecisionTreeClassifier):
        fits = 0
        asked = 0

        def fit(self, *args: Any, **options: Any) -> Any:
            Counting.fits += 1
            return super().fit(*args, **options)

        def predict(self, X: Any, check_input: bool = True) -> Any:
            Counting.asked += 1
            return super().predict(X, check_input)

    task = Task.from_estimator(
        Counting(random_state=0), SPLIT[0], SPLIT[2], scoring="accuracy", X_test=SPLIT[1], y_test=SPLIT[3]
    )
    default, best = (scores_on_test_data(task, refit(task, p)) for p in ({"max_depth": 1}, {"max_depth": 4}))
    before = Counting.fits, Counting.asked
    interval = bootstrap_interval(task, default, best, 1, lambda: False)
    assert interval is not None
    assert (Counting.fits, Counting.asked) == before == (2, 4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Two fixed models on fresh test sets of one population, in which their difference is known."""
    X, y = make_classification(20_000, 6, n_informative=3, flip_y=0.2, random_state=0)
    models = [LogisticRegression(C=C).fit(X[:60], y[:60]) for C in (1.0, 0.001)]
    right = [model.predict(X) == y for model in models]
    truth = right[1].mean() - right[0].mean()
    covered = 0
    for i in range(60):
        begin = i * 300
        task = Task.from_estimator(
            LogisticRegression(), X[:60], y[:60], X_test=X[begin : begin + 300], y_test=y[begin : begin + 300]
        )
        default, best = (lambda rows, r=r[begin:]: float(r[rows].mean()) for r in right)
        low, high = bootstrap_interval(task, default, best, i, lambda: False) or (0.0, 0.0)
        covered += low <= truth <= high
    assert 51 <= covered <= 60


def test_the_interval_is_of_paired_differences() -> None:
    task = task_of(X_test=X, y_test=Y)
    low, high = bootstrap_interval(
        task, lambda rows: float(Y[rows].mean()), lambda rows: float(Y[rows].mean()) + 0.01, 0, lambda: False
    ) or (0.0, 0.0)
    assert (low, high) == (pytest.approx(0.01), pytest.approx(0.01))  # however much both scores vary


def test_verification_with_test_data_tells_the_gain_there() -> None:
    verification = verify(cancer("neg_log_loss"), {}, {"max_depth": 3, "min_samples_leaf": 15}, seed=1)
    assert verification.verdict == "real"
    assert verification.test_best > verification.test_default
    low, high = verification.test_interval or (0.0, 0.0)
    assert low < verification.test_best - verification.test_default < high
    assert "On the test data" in verification.text
    assert verification.text.count(".\n") == 0
    assert verification.text.endswith(").")
    assert json.loads(json.dumps(verification.to_json()))["test_interval"] == [low, high]
    assert (
        verify(cancer("neg_log_loss"), {}, {"max_depth": 3, "min_samples_leaf": 15}, seed=1) == verification
    )


def test_test_data_that_cannot_be_scored_do_not_lose_the_check_on_folds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = Task.from_estimator(
        DecisionTreeClassifier(random_state=0),
        SPLIT[0],
        SPLIT[2],
        scoring="roc_auc",
        X_test=SPLIT[1][:12],
        y_test=["benign"] * 12,
    )
    verification = verify(task, {"max_depth": 1}, {"max_depth": 4}, seed=1)
    assert verification.verdict != "unknown"
    assert (verification.test_default, verification.test_interval) == (None, None)
    assert verification.text.endswith("no finite score: roc_auc is nan: its test rows hold one class.")
    failing = task_of(Failing(None, "predict"), X_test=X[:, :1].repeat(2, axis=1), y_test=Y)
    monkeypatch.setattr(Failing, "fits", -10)  # the ten fits of the folds go well
    failed = verify(failing, {}, {"error": ValueError("no"), "shift": 3.0}, seed=1)
    assert failed.verdict == "worse"
    assert failed.text.endswith("The test data could not be scored: ValueError: no.")


def test_a_check_that_fails_says_why_on_one_line() -> None:
    broken = verify(task_of(Failing()), {}, {"error": ValueError("no\nsuch  file. " * 50)}, seed=1)
    assert "since a fit failed there: ValueError: no such file. no such" in broken.text
    assert len(broken.text) < 300

    def unscored(model: Any, X: Any, y: Any) -> float:
        return float(model.shift) or float("nan")

    nan = verify(task_of(scoring=unscored), {"shift": 1.0}, {"shift": 0.0}, seed=1)
    assert "since the metric failed there: unscored is nan on fold 1." in nan.text


def test_without_a_gain_to_check_the_best_configuration_is_scored_on_the_test_data() -> None:
    task = task_of(X_test=X, y_test=Y)
    expected = float(np.abs(Y - Y.mean()).mean())
    same = verify(task, {}, {}, seed=1)
    assert same.text == f"On the test data the default scores MAE {expected:.4g}."
    assert (same.test_default, same.test_best) == (pytest.approx(-expected), pytest.approx(-expected))
    assert (same.verdict, same.gain, same.n_folds) == ("within noise", None, 0)
    alone = verify(task, None, {"shift": 0.0}, seed=1)
    assert alone.text == f"On the test data the best configuration scores MAE {expected:.4g}."
    assert (alone.verdict, alone.test_default, alone.test_best) == ("unknown", None, same.test_best)
    stopped = verify(task, {}, {}, seed=1, fits=Fits(should_stop=lambda: True))
    assert stopped.text == "The test data were not scored, since the user stopped it."
    assert (
        verify(task_of(), None, {}, seed=1).text == "The default has no score, so there is no gain to check."
    )


def test_a_small_test_set_has_no_interval() -> None:
    task = task_of(X_test=X[:5], y_test=Y[:5])
    verification = verify(task, {"shift": 3.0}, {}, seed=1)
    assert verification.test_default is not None
    assert verification.test_interval is None


def test_a_metric_with_labels_is_resampled_within_classes() -> None:
    """Two rare rows stay in each resample, or the area under the curve would have no meaning there."""
    y_test = np.array(["malignant"] * 2 + ["benign"] * 40)
    rows = [*np.flatnonzero(SPLIT[3] == "malignant")[:2], *np.flatnonzero(SPLIT[3] == "benign")[:40]]
    task = Task.from_estimator(
        DecisionTreeClassifier(random_state=0),
        SPLIT[0],
        SPLIT[2],
        scoring="roc_auc",
        X_test=SPLIT[1][rows],
        y_test=y_test,
    )
    functions = [scores_on_test_data(task, refit(task, p)) for p in ({"max_depth": 1}, {"max_depth": 3})]
    assert bootstrap_interval(task, *functions, seed=0, should_stop=lambda: False) is not None


def test_relative_overtuning_is_the_share_of_the_gain_on_test_data_that_was_given_away() -> None:
    task = task_of(X_test=X, y_test=np.full(N, 1.0 + Y.mean()))
    options = {"seed": 0, "incumbents": [{"shift": 1.0}]}
    half = verify(task, {}, {"shift": 0.5}, **options)
    assert half.relative_overtuning == pytest.approx(0.5)
    assert "Relative over-tuning 0.50" in half.text
    assert verify(task, {}, {"shift": -1.0}, **options).relative_overtuning == pytest.approx(2.0)
    assert verify(task, {}, {"shift": 0.5}, seed=0).relative_overtuning is None
    assert verify(task_of(), {}, {"shift": 0.5}, **options).relative_overtuning is None
    worse = verify(task, {}, {"shift": -1.0}, seed=0, incumbents=[{"shift": -2.0}])
    assert worse.relative_overtuning is None

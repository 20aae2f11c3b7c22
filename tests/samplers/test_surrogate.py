"""The surrogate: fitted once per trial, ahead of it; the same picks as scikit-learn's Gaussian process; no
noise in an improvement.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
import optuna
import pytest

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import attrs
from sllmbo_magic._utils.thread_limits import BlasLimit
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.samplers import gaussian_process
from sllmbo_magic.samplers import surrogate as surrogates
from sllmbo_magic.samplers.gaussian_process import Columns
from sllmbo_magic.samplers.gaussian_process import GaussianProcess
from sllmbo_magic.samplers.gaussian_process import Kernel
from sllmbo_magic.samplers.gaussian_process import fit_kernel
from sllmbo_magic.samplers.gaussian_process import log_expected_improvement
from sllmbo_magic.samplers.surrogate import SurrogatePrefetch
from sllmbo_magic.testing import FunctionProvider
from tests.marks import long
from tests.replies import Responder

SPACE = SearchSpace.from_user({"x": (0.0, 1.0), "y": (1e-4, 1.0, "log")})


def history(n: int) -> History:
    rng = np.random.default_rng(0)
    configurations = [SPACE.sample(rng) for _ in range(n)]
    scores = [-((c["x"] - 0.3) ** 2) + 0.02 * rng.normal() for c in configurations]
    return History(
        tuple(
            Observation(i, c, value=v) for i, (c, v) in enumerate(zip(configurations, scores, strict=True))
        ),
        "maximize",
    )


def noisy_data(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of the points anywhere, half near the optimum, as in a run; scores with noise."""
    rng = np.random.default_rng(seed)
    points = rng.random((n, d))
    points[n // 2 :] = 0.25 + 0.3 * points[n // 2 :]
    weights = rng.dirichlet(np.full(d, 0.5))
    values = -20.0 * ((points - 0.4) ** 2 @ weights) + 0.05 * rng.normal(size=n)
    return points, surrogates.robust_scores(values)


def test_a_loss_is_rated_as_the_score_that_it_is_the_negative_of() -> None:
    scores = history(20)
    losses = History(
        tuple(Observation(o.number, o.params, value=-float(o.value or 0.0)) for o in scores.observations),
        "minimize",
    )
    configurations = [o.params for o in scores.observations]
    of_scores, of_losses = surrogates.fit(scores, SPACE), surrogates.fit(losses, SPACE)
    assert of_scores is not None
    assert of_losses is not None
    assert of_losses.rate(configurations) == of_scores.rate(configurations)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_pruned_trial_counts_as_no_better_than_the_median(direction: str) -> None:
    """What it reported on its way may look better than every final score, and says nothing of the end."""
    scored = history(21).observations
    median = sorted(float(o.value or 0.0) for o in scored)[10]
    better, worse = (99.0, -99.0) if direction == "maximize" else (-99.0, 99.0)

    def rating(reported: float) -> float:
        params = {"x": 0.9, "y": 0.5}
        pruned = Observation(21, params, state="PRUNED", reported=reported)
        surrogate = surrogates.fit(History((*scored, pruned), direction), SPACE)
        assert surrogate is not None
        return surrogate.rate([params])[0].log_improvement

    assert rating(better) == rating(median) > rating(worse)


GOOD = [-0.3, -0.2, -0.1, -0.001]


@pytest.mark.parametrize(
    "penalties",
    [
        [-1e9] * 6,
        [-10.0] * 6,
        [-0.5] * 6,
        [-1e9] * 3,
        [-1e9] * 3 + [-1e5] * 4,
        [-1e6, -2e6, -3e6],
    ],
)
def test_penalties_do_not_flatten_the_other_scores(penalties: list[float]) -> None:
    """Few or many, equal or not: the others are told apart as if the penalties were not there."""
    scores = surrogates.robust_scores(np.array([*penalties, *GOOD]))
    assert scores[len(penalties) :] == pytest.approx(surrogates.robust_scores(np.array(GOOD)))
    assert (scores[: len(penalties)] >= -0.5).all()
    assert (scores[: len(penalties)] < 0.0).all()


def test_a_penalty_that_grows_from_a_bound_does_not_flatten_the_other_scores() -> None:
    robust = surrogates.robust_scores(np.array([*(-(2.0**i) for i in range(10, 18)), *GOOD]))
    assert np.ptp(robust[-4:]) > 0.5
    assert (np.diff(robust[-4:]) > 0.0).all()


@pytest.mark.parametrize("scores", [[-0.4] * 4 + GOOD, [-9.0, -2.0, *GOOD], [*GOOD, -0.3, -0.3], [1.0] * 8])
def test_a_bad_score_is_no_penalty(scores: list[float]) -> None:
    """A worst score that some trials share, as on a plateau, or that a single one has."""
    values = np.array(scores)
    robust, median = surrogates.robust_scores(values), np.median(values)
    assert (np.diff(robust[np.argsort(values, kind="stable")]) >= 0.0).all()
    assert ((robust < 0.0) == (values < median)).all()


BEST = {"x": 0.3, "y": 0.01}
AROUND = [{"x": 0.3 + dx, "y": 0.01} for dx in (-0.01, 0.0, 0.01)]


def expected_at(params: dict[str, Any], *further: Observation) -> float:
    """The logarithm of the expected improvement, after scored trials and further ones."""
    surrogate = surrogates.fit(History((*history(30).observations, *further), "maximize"), SPACE)
    assert surrogate is not None
    return surrogate.rate([params])[0].log_improvement


@pytest.mark.parametrize(
    "failure",
    [
        {"state": "FAIL", "error": "error"},
        {"state": "FAIL"},
        {"state": "COMPLETE", "value": None},
        {"state": "COMPLETE", "value": -1e150},
        {"state": "PRUNED"},
        {"state": "PRUNED", "reported": -1e150},
    ],
)
def test_less_is_expected_where_trials_fail(failure: dict[str, Any]) -> None:
    failed = [Observation(30 + i, params, **failure) for i, params in enumerate(AROUND)]
    assert expected_at(BEST, *failed) < expected_at(BEST) - 0.5


def test_a_failure_that_has_nothing_to_do_with_its_parameters_spoils_no_surrogate() -> None:
    alone = Observation(30, BEST, state="FAIL", error="error")
    cut = [Observation(30 + i, p, state="FAIL", error=attrs.STOPPED) for i, p in enumerate(AROUND)]
    unknown = [Observation(30 + i, {}, state="FAIL", error="error") for i in range(3)]
    running = [Observation(30 + i, p, state="RUNNING") for i, p in enumerate(AROUND)]
    for further in ([alone], cut, unknown, running):
        assert expected_at(BEST, *further) == expected_at(BEST)


def test_values_of_a_choice_that_fail_together_are_avoided_though_they_stand_apart_in_the_list() -> None:
    space = SearchSpace.from_user({"kind": ["a", "b", "c", "d"], "x": (0.0, 1.0)})
    rng = np.random.default_rng(0)
    trials = [{"kind": "abcd"[i % 4], "x": float(rng.random())} for i in range(32)]
    observed = tuple(
        Observation(i, p, value=p["x"]) if p["kind"] in "ac" else Observation(i, p, state="FAIL")
        for i, p in enumerate(trials)
    )
    surrogate = surrogates.fit(History(observed, "maximize"), space)
    assert surrogate is not None
    good, fails = surrogate.rate([{"kind": "a", "x": 1.0}, {"kind": "b", "x": 1.0}])
    assert good.log_improvement > fails.log_improvement + 1.0


@pytest.mark.parametrize(
    ("name", "others", "counts"),
    [
        ("n_estimators", {}, True),
        ("model__n_estimators", {}, True),
        ("iterations", {}, True),
        ("max_iter", {"learning_rate": (0.01, 0.3, "log")}, True),
        ("max_iter", {}, False),
        ("max_iter", {"learning_rate": ["optimal", "constant", "adaptive"]}, False),
        ("num_leaves", {}, False),
    ],
)
def test_of_two_configurations_the_quicker_one_is_rated_higher_for_its_cost(
    name: str, others: dict[str, Any], counts: bool
) -> None:
    space = SearchSpace.from_user({"x": (0.0, 1.0), name: (50, 1000, "log"), **others})
    rng = np.random.default_rng(0)
    configurations = [space.sample(rng) for _ in range(20)]
    observations = [Observation(i, c, value=-((c["x"] - 0.3) ** 2)) for i, c in enumerate(configurations)]
    surrogate = surrogates.fit(History(tuple(observations), "maximize"), space)
    assert surrogate is not None
    asked = [{**configurations[0], name: rounds} for rounds in (100, 400)]
    plain, rated = surrogate.rate(asked), surrogate.rate(asked, per_cost=True)
    saved = [p.log_improvement - r.log_improvement for p, r in zip(plain, rated, strict=True)]
    assert [p.chance for p in plain] == [r.chance for r in rated]
    assert saved[1] - saved[0] == pytest.approx(np.log(420 / 120) if counts else 0.0, abs=1e-4)


def test_in_a_long_run_the_kernel_is_searched_every_fifth_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def counted(points: np.ndarray, scores: np.ndarray, owners: np.ndarray, **options: Any) -> Kernel:
        searched.append(len(scores))
        return fit_kernel(points, scores, owners, **options)

    monkeypatch.setattr(gaussian_process, "fit_kernel", counted)
    prefetch, trials = SurrogatePrefetch(), history(70)
    for number in range(25, 47):
        prefetch.get(number, SPACE, trials)
    assert searched == [*range(24, 30), 30, 35, 40, 45]


def test_the_surrogate_of_a_trial_does_not_depend_on_the_trial_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That one has no outcome yet when the surrogate is fitted ahead, and may have one after a resume."""
    seen: list[int] = []
    monkeypatch.setattr(surrogates, "fit", lambda lagged, *_: seen.append(len(lagged.observations)))
    SurrogatePrefetch().get(20, SPACE, history(20))
    assert seen == [19]


def test_a_surrogate_fitted_on_demand_is_the_one_fitted_ahead() -> None:
    """As after a resume: nothing of the trials before is in memory."""
    trials, asked = history(64), [{"x": 0.31, "y": 0.1}, {"x": 0.9, "y": 0.5}]
    prefetch = SurrogatePrefetch()
    for number in [*range(5, 9), *range(27, 43)]:
        prefetch.prepare(number, SPACE, trials)
        before = prefetch.get(number, SPACE, trials)
        fresh = SurrogatePrefetch().get(number, SPACE, trials)
        assert (before is None) == (fresh is None) == (number - surrogates.LAG < surrogates.MIN_TRIALS)
        if before is not None and fresh is not None:
            assert before.rate(asked) == fresh.rate(asked)
    assert before is not None
    near, far = before.rate(asked)
    assert near.log_improvement > far.log_improvement
    assert near.chance > far.chance


def test_other_scores_are_another_surrogate() -> None:
    """A trial that ended since, and a range that changed, are not answered from memory."""
    trials, prefetch = history(60), SurrogatePrefetch()
    first = prefetch.get(57, SPACE, trials)
    late = History(tuple(o for o in trials.observations if o.number != 3), "maximize")
    narrow = SPACE.narrow("x", high=0.5)
    for space, other in ((SPACE, late), (narrow, trials)):
        again, fresh = prefetch.get(57, space, other), SurrogatePrefetch().get(57, space, other)
        assert first is not None
        assert again is not None
        assert fresh is not None
        asked = [{"x": 0.2, "y": 0.01}]
        assert again.rate(asked) == fresh.rate(asked) != first.rate(asked)


# --- with the sampler -----------------------------------------------------------------------------------


class Watched(SurrogatePrefetch):
    """Counts in which thread each surrogate was fitted."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0
        self.fitted: list[str] = []

    def get(self, number: int, space: SearchSpace, history: History) -> Any:
        self.taken += 1
        return super().get(number, space, history)

    def _fit(self, number: int, space: SearchSpace, lagged: History) -> Any:
        if len(lagged.complete) >= surrogates.MIN_TRIALS:
            self.fitted.append(threading.current_thread().name)
        return super()._fit(number, space, lagged)


def watched_study(n_trials: int, prefetch: Watched, **options: Any) -> optuna.Study:
    space = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(4)})
    sampler = LLMTPESampler(FunctionProvider(Responder(0)), search_space=space, seed=1, **options)
    sampler._sources.prefetch = prefetch
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: sum((v - 0.3) ** 2 for v in space.suggest(t).values()), n_trials=n_trials)
    return study


@pytest.mark.parametrize("schedule", ["adaptive", "alternate", "bernoulli"])
def test_the_sampler_takes_the_surrogate_that_was_fitted_ahead_and_no_other_is_fitted(schedule: str) -> None:
    prefetch = Watched()
    watched_study(60, prefetch, schedule=schedule)
    ahead = prefetch.fitted.count("sllmbo-surrogate")
    on_demand = len(prefetch.fitted) - ahead
    assert ahead >= 15
    assert on_demand <= 0.15 * ahead, "the prepared one was not taken"
    assert len(prefetch.fitted) <= 1.2 * prefetch.taken, "surrogates were fitted that no trial took"


def test_without_the_prefetch_the_trials_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = watched_study(40, Watched())
    monkeypatch.setattr(SurrogatePrefetch, "prepare", lambda *args: None)
    on_demand = watched_study(40, Watched())
    assert [t.params for t in on_demand.trials] == [t.params for t in ahead.trials]


# --- the Gaussian process -------------------------------------------------------------------------------


def log_density(model: Any, theta: np.ndarray, priors: bool) -> float:
    """Of scikit-learn's Gaussian process: its likelihood, times the priors of Optuna's GP sampler."""
    from scipy.stats import gamma

    if not priors:
        return float(model.log_marginal_likelihood(theta))
    signal, *lengths, noise = np.exp(theta)
    squares = np.square(lengths)
    prior = gamma(2.0).logpdf(signal) + gamma(1.1, scale=1 / 30).logpdf(noise)
    return float(model.log_marginal_likelihood(theta) + prior - 0.1 * (squares + 1 / squares).sum())


def reference(points: np.ndarray, scores: np.ndarray, priors: bool = False) -> Any:
    """scikit-learn's Gaussian process with the same kernel, priors and start."""
    from scipy.optimize import minimize
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel
    from sklearn.gaussian_process.kernels import Matern
    from sklearn.gaussian_process.kernels import WhiteKernel

    n, d = points.shape
    lengths: Any = np.full(d, 0.5) if n >= (d if priors else 3 * d) else 0.5
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(lengths, (0.05, 10.0), nu=2.5) + WhiteKernel(
        0.01, (1e-6, 0.5)
    )
    model = GaussianProcessRegressor(kernel, optimizer=None, alpha=1e-6).fit(points, scores)

    def loss(theta: np.ndarray) -> float:
        return -log_density(model, theta, priors)

    with BlasLimit(1):
        best = minimize(loss, kernel.theta, method="L-BFGS-B", bounds=kernel.bounds)
    kernel = kernel.clone_with_theta(best.x)
    return GaussianProcessRegressor(kernel, optimizer=None, alpha=1e-6).fit(points, scores)


@pytest.mark.parametrize(("n", "d"), [(8, 3), (12, 6), (9, 12), (40, 3), (40, 9), (90, 6)])
@pytest.mark.parametrize("priors", [False, True])
def test_it_is_scikit_learns_gaussian_process_without_its_noise(n: int, d: int, priors: bool) -> None:
    points, scores = noisy_data(n, d, seed=n + d)
    kernel, slow = fit_kernel(points, scores, priors=priors), reference(points, scores, priors)
    lengths = kernel.lengths if n >= (d if priors else 3 * d) else kernel.lengths[:1]
    theta = np.log([kernel.signal, *lengths, kernel.noise])
    highest = log_density(slow, slow.kernel_.theta, priors)
    assert log_density(slow, theta, priors) >= highest - 0.01
    slow = slow.set_params(kernel=slow.kernel_.clone_with_theta(theta)).fit(points, scores)
    model = GaussianProcess(points, scores, kernel)
    asked = np.random.default_rng(1).random((30, d))
    mean, std = model.predict(asked)
    slow_mean, slow_std = slow.predict(asked, return_std=True)
    assert mean == pytest.approx(slow_mean, abs=1e-6)
    assert std == pytest.approx(np.sqrt(np.maximum(slow_std**2 - kernel.noise, 0.0)), abs=1e-6)
    assert model.best == pytest.approx(slow.predict(points).max(), abs=1e-6)


def test_it_picks_what_scikit_learns_picks() -> None:
    same = 0
    for seed in range(15):
        points, scores = noisy_data(15 + 3 * seed, 5, seed)
        model, slow = GaussianProcess(points, scores, fit_kernel(points, scores)), reference(points, scores)
        asked = np.random.default_rng(seed).random((9, 5))
        mean, std = slow.predict(asked, return_std=True)
        std = np.sqrt(np.maximum(std**2 - slow.kernel_.k2.noise_level, 1e-12))
        best = float(slow.predict(points).max())
        picks = (
            log_expected_improvement(*model.predict(asked), model.best),
            log_expected_improvement(mean, std, best),
        )
        same += int(np.argmax(picks[0])) == int(np.argmax(picks[1]))
    assert same >= 14


def test_noise_is_no_improvement() -> None:
    """Where many noisy trials agree, the function is certain, however much a single score scatters."""
    points = np.repeat(np.linspace(0.0, 1.0, 5), 30)[:, None]
    scores = np.random.default_rng(0).normal(size=150)
    model = GaussianProcess(points, scores, Kernel(1.0, np.array([0.5]), 1.0))
    _, std = model.predict(np.array([[0.5]]))
    assert 0.0 < std[0] < 0.25, "the deviation of one more score would be above 1"


CHOICES = SearchSpace.from_user({"x": (0.0, 1.0), "kind": ["a", "b", "c", "d", "e"]})


def test_choices_have_no_order() -> None:
    """A value that no trial had is not expected to be like the one that stands before it in the list."""
    rng = np.random.default_rng(3)
    scores = {"a": 1.0, "c": -1.0, "e": 0.0}
    trials = [
        ({"x": float(rng.random()), "kind": kind}, value) for kind, value in scores.items() for _ in range(6)
    ]
    observed = tuple(Observation(i, params, value=value) for i, (params, value) in enumerate(trials))
    surrogate = surrogates.fit(History(observed, "maximize"), CHOICES)
    assert surrogate is not None
    after_the_best, after_the_worst = surrogate.rate([{"x": 0.5, "kind": "b"}, {"x": 0.5, "kind": "d"}])
    assert after_the_best == after_the_worst
    best, worst = surrogate.rate([{"x": 0.5, "kind": "a"}, {"x": 0.5, "kind": "c"}])
    assert best.chance > after_the_best.chance > worst.chance


def test_any_two_values_of_a_choice_are_at_distance_one() -> None:
    columns = Columns([0, 5, 2])
    assert columns.owners.tolist() == [0, 1, 1, 1, 1, 1, 2]
    points = columns.of(np.array([[0.3, (i + 0.5) / 5, 0.25] for i in range(5)]))
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    assert distances == pytest.approx(1.0 - np.eye(5))


@pytest.mark.parametrize("priors", [False, True])
@pytest.mark.parametrize("n", [5, 24])
def test_the_gradient_is_that_of_the_density_where_columns_share_a_length_scale(n: int, priors: bool) -> None:
    rng = np.random.default_rng(0)
    columns = Columns([0, 4, 0])
    loss = gaussian_process._Loss(
        columns.of(rng.random((n, 3))), rng.normal(size=n), columns.owners, 3 if n > 9 else 1, priors
    )
    theta = np.log([1.2, *[0.4, 0.9, 0.6][: 3 if n > 9 else 1], 0.05])
    _, gradient = loss(theta)
    for i, step in enumerate(1e-5 * np.eye(len(theta))):
        assert gradient[i] == pytest.approx((loss(theta + step)[0] - loss(theta - step)[0]) / 2e-5, rel=1e-4)


def test_what_is_predicted_of_a_trial_from_all_others_is_what_a_fit_without_it_predicts() -> None:
    points, scores = noisy_data(15, 3, seed=5)
    kernel = fit_kernel(points, scores)
    predicted = GaussianProcess(points, scores, kernel).leave_one_out()
    for i in range(15):
        others = np.arange(15) != i
        model = GaussianProcess(points[others], scores[others], kernel)
        assert predicted[i] == pytest.approx(model.predict(points[i : i + 1])[0][0], abs=1e-6)


def of_function(function: Any, n: int = 30) -> surrogates.Surrogate:
    rng = np.random.default_rng(1)
    params = [SPACE.sample(rng) for _ in range(n)]
    observed = tuple(Observation(i, c, value=float(function(c, rng))) for i, c in enumerate(params))
    surrogate = surrogates.fit(History(observed, "maximize"), SPACE)
    assert surrogate is not None
    return surrogate


def test_a_surrogate_of_a_smooth_function_is_reliable_and_one_of_noise_is_not() -> None:
    smooth = of_function(lambda c, rng: -((c["x"] - 0.4) ** 2) - 0.1 * np.log10(c["y"]))
    assert smooth.reliability() > 0.95
    assert of_function(lambda c, rng: rng.normal()).reliability() < 0.5
    assert of_function(lambda c, rng: 1.0).reliability() == 0.0


def test_where_a_trial_runs_less_improvement_is_expected() -> None:
    surrogate = of_function(lambda c, rng: -((c["x"] - 0.4) ** 2) + 0.01 * rng.normal(), n=8)
    running, elsewhere = {"x": 0.99, "y": 0.9}, {"x": 0.01, "y": 1e-4}
    before, after = (s.rate([running, elsewhere]) for s in (surrogate, surrogate.with_pending([running])))
    assert after[0].log_improvement < before[0].log_improvement - 0.5
    assert after[1].log_improvement == pytest.approx(before[1].log_improvement, abs=0.2)
    assert surrogate.with_pending([]) is surrogate


def integrated(z: float) -> float:
    """log of the integral of u phi(u - z) over u > 0, with its large factors taken out."""
    from scipy.integrate import quad

    scale = max(1.0, -z)
    area, _ = quad(lambda v: v * math.exp(v * z / scale - v * v / (2 * scale**2)), 0.0, 60.0, epsabs=0.0)
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi) + math.log(area) - 2 * math.log(scale)


@pytest.mark.parametrize("z", [3.0, 0.0, -0.999, -1.0, -5.0, -40.0, -9999.0, -10001.0, -1e8])
def test_the_logarithm_of_the_improvement_is_right_far_in_the_tail(z: float) -> None:
    std = 0.5
    value = log_expected_improvement(np.array([z * std]), np.array([std]), 0.0)[0]
    assert value == pytest.approx(math.log(std) + integrated(z), rel=1e-9, abs=1e-6)


def test_two_hopeless_candidates_are_still_ranked() -> None:
    mean = np.array([-60.0, -50.0])
    values = log_expected_improvement(mean, np.array([1.0, 1.0]), 0.0)
    assert np.isfinite(values).all()
    assert values[1] > values[0]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("large", [sys.float_info.max, 1e155, -1e155])
def test_a_huge_score_or_report_spoils_no_surrogate(direction: str, large: float) -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        if trial.number == 5:
            trial.report(large, 0)
            raise optuna.TrialPruned
        score = (x - 0.3) ** 2 + (y - 0.6) ** 2
        return large if trial.number == 3 else score if direction == "minimize" else -score

    study = optuna.create_study(direction=direction, sampler=LLMTPESampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert sum(t.user_attrs["sllmbo:source"] == "gp" for t in study.trials) >= 10


def _raise() -> float:
    raise ValueError


def _prune() -> float:
    raise optuna.TrialPruned


@pytest.mark.parametrize(
    "fails",
    [_raise, _prune, lambda: math.inf, lambda: 1e150, long(lambda: 1e9)],
    ids=["raises", "prunes", "inf", "1e150", "1e9"],
)
def test_the_surrogate_finds_the_best_configuration_beside_a_region_that_fails(fails: Any) -> None:
    """Trials there are no data that it lacks, which it would ask for again and again."""
    best, n_failed, n = [], 0, 0
    for seed in range(3):

        def objective(trial: optuna.Trial) -> float:
            x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
            return float(fails()) if x + y > 0.8 else (x - 0.7) ** 2 + (y - 0.05) ** 2

        space = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
        study = optuna.create_study(sampler=LLMTPESampler(seed=seed, search_space=space))
        study.optimize(objective, n_trials=60, catch=ValueError)
        gp = [t for t in study.trials if t.user_attrs["sllmbo:source"] == "gp"]
        n_failed, n = n_failed + sum(sum(t.params.values()) > 0.8 for t in gp), n + len(gp)
        best.append(study.best_value)
    assert n > 30
    assert n_failed < 0.75 * n
    assert np.median(best) < 2e-4

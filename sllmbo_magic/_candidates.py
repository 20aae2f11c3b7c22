"""Trials of ``tune`` as candidates of a scikit-learn search: the evaluator behind ``SLLMBOSearchCV``.

Each configuration goes through the function ``evaluate_candidates`` that ``BaseSearchCV.fit`` hands out. That
is made for all candidates in one call; what differs when they come one by one is mended here: the folds are
drawn once, and a candidate of which every fold fails (scikit-learn raises then) is a failed trial with a row.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from sllmbo_magic import keys
from sllmbo_magic.checks import kind_of
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluator.evaluation import Evaluation
from sllmbo_magic.folds import Split
from sllmbo_magic.folds import describe_folds
from sllmbo_magic.metrics import resolve_metric
from sllmbo_magic.result import TuneResult
from sllmbo_magic.task import Task


class Candidates:
    """An :class:`~sllmbo_magic.evaluator.Evaluator` that scores as scikit-learn's searches do.

    Args:
        search: The search that is being fitted.
        evaluate_candidates: As ``BaseSearchCV._run_search`` gets it.
    """

    def __init__(self, search: Any, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        self._search = search
        self._evaluate_candidates = evaluate_candidates
        self._folds = _FrozenFolds(search)
        self._results: dict[str, Any] = {}
        self._default: Evaluation | None = None
        self._numbers: list[int] = []  # trial numbers, by row
        self._failed: dict[int, tuple[dict[str, Any], float]] = {}  # by row: params, seconds

    def score_default(self) -> None:
        """Score the estimator as it is; trial 0 will have the outcome.

        Raises:
            Exception: What scikit-learn's searches raise for unfit data or a broken estimator.
        """
        self._default = self._score({}, first=True)

    def evaluate(self, params: Mapping[str, Any], *, trial: Any = None, **unused: Any) -> Evaluation:
        """One trial. All of its folds are run: there is no stop between them, and no limit of time."""
        self._numbers.append(trial.number)
        if self._default is not None and not params:
            evaluation, self._default = self._default, None
            return evaluation
        return self._score(dict(params))

    def close(self) -> None:
        """Nothing to free: the workers are scikit-learn's."""

    def task(self) -> Task:
        """What ``tune`` is told of the problem; its data were fitted already, so nothing is checked again."""
        search, folds = self._search, self._folds
        kind = kind_of(search.estimator)
        if self._metric() != "score":
            metric = self._metric()
        elif search.scoring is None:
            metric = {"classification": "accuracy", "regression": "r2"}.get(kind, "estimator.score")
        else:
            metric = resolve_metric(search.scoring, None, kind).name
        return Task(
            name=search.name or type(search).__name__,
            estimator=search.estimator,
            objective=None,
            objective_takes_trial=False,
            X=folds.X,
            y=folds.y,
            X_test=None,
            y_test=None,
            groups=None,
            sample_weight=None,
            fit_params={},
            scoring=metric,
            scorer_name=metric,
            direction="maximize",
            directions=None,
            cv=folds.cv,
            n_folds=len(folds.splits),
            description=search.description,
            kind=kind,
            cv_text=describe_folds(folds.cv, len(folds.splits)),
            splits=folds.splits,
        )

    def complete_results(self, found: TuneResult) -> None:
        """Add failed candidates and ``source`` to the dict that ``BaseSearchCV.fit`` goes on with."""
        if self._failed:
            self._results.update(
                with_failed(self._results, self._failed, self._search.error_score, len(self._folds.splits))
            )
        trials = found.study.get_trials(deepcopy=False)
        sources = [trials[number].user_attrs.get(keys.SOURCE) for number in self._numbers]
        self._results["source"] = np.array(sources, dtype=object)

    def _score(self, params: dict[str, Any], *, first: bool = False) -> Evaluation:
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                if not first:  # else each later candidate says it again
                    warnings.filterwarnings("ignore", "One or more of the .* scores are non-finite")
                self._results = self._evaluate_candidates([params], cv=self._folds)
        except ValueError as error:
            if first or self._search.error_score == "raise":
                raise
            seconds = time.perf_counter() - started
            return self._all_folds_failed(params, error, seconds)
        return self._last_row(time.perf_counter() - started)

    def _all_folds_failed(self, params: dict[str, Any], error: ValueError, seconds: float) -> Evaluation:
        from sklearn.exceptions import FitFailedWarning

        self._failed[len(self._numbers) - 1] = (params, seconds)
        warnings.warn(f"Candidate {params}: {error}", FitFailedWarning, stacklevel=2)
        score = float(self._search.error_score)
        if math.isnan(score):
            return Evaluation(None, seconds=seconds, error="fit-failed", error_class=type(error).__name__)
        return Evaluation(score, std=0.0, seconds=seconds)

    def _last_row(self, seconds: float) -> Evaluation:
        metric, results, n = self._metric(), self._results, len(self._folds.splits)
        mean = float(results[f"mean_test_{metric}"][-1])
        if not math.isfinite(mean):
            return Evaluation(None, seconds=seconds, error="not-finite-score")
        return Evaluation(
            mean=mean,
            std=float(results[f"std_test_{metric}"][-1]),
            split_scores=tuple(float(results[f"split{i}_test_{metric}"][-1]) for i in range(n)),
            seconds=seconds,
            fit_seconds=float(results["mean_fit_time"][-1]) * n,
            score_seconds=float(results["mean_score_time"][-1]) * n,
        )

    def _metric(self) -> str:
        """What follows ``mean_test_`` in the results: ``score``, or the metric that ``refit`` names."""
        if "mean_test_score" in self._results:
            return "score"
        refit = self._search.refit
        if isinstance(refit, str) and f"mean_test_{refit}" in self._results:
            return refit
        raise InputError("scoring gives several metrics.", "Name in refit the one that is optimised.")


class _FrozenFolds:
    """A splitter that asks the user's once: a shuffling one without a seed splits anew at each call."""

    def __init__(self, search: Any) -> None:
        self._search = search
        self.cv: Any = None
        self.splits: tuple[Split, ...] = ()
        self.X: Any = None
        self.y: Any = None

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[Split]:
        """The folds; ``params`` are what is routed to the user's splitter."""
        if not self.splits:
            from sklearn.base import is_classifier
            from sklearn.model_selection import check_cv

            search = self._search
            # What BaseSearchCV.fit has made of cv; scikit-learn 1.6 keeps it to itself, so it is made again.
            made = getattr(search, "_checked_cv_orig", None)
            self.cv = made or check_cv(search.cv, y, classifier=is_classifier(search.estimator))
            self.splits = tuple(self.cv.split(X, y, **params))
            self.X, self.y = X, y
        return iter(self.splits)


def with_failed(
    results: Mapping[str, Any],
    failed: Mapping[int, tuple[dict[str, Any], float]],
    error_score: float,
    n_splits: int,
) -> dict[str, Any]:
    """``cv_results_`` with rows put in for failed candidates, given by row as (params, seconds)."""
    n = len(results["params"]) + len(failed)
    there = np.array([row not in failed for row in range(n)])
    scored = iter(results["params"])
    params = [next(scored) if there[row] else failed[row][0] for row in range(n)]
    full: dict[str, Any] = {"params": params}
    for name in dict.fromkeys(name for one in params for name in one):
        full[f"param_{name}"] = _param_column(name, params)
    for key, column in results.items():
        if key == "params" or key.startswith(("param_", "rank_")):
            continue
        blank = error_score if "_test_" in key or "_train_" in key else 0.0
        values = np.full(n, 0.0 * blank if key.startswith("std_") else blank)
        if key == "mean_fit_time":
            values[~there] = [seconds / n_splits for _, seconds in failed.values()]
        values[there] = column
        full[key] = values
    for key in (key for key in results if key.startswith("rank_test_")):
        means = full["mean_" + key.removeprefix("rank_")]
        known = np.where(np.isnan(means), -np.inf, means)
        full[key] = np.array([1 + int((known > value).sum()) for value in known], dtype=np.int32)
    return full


def _param_column(name: str, params: list[dict[str, Any]]) -> np.ma.MaskedArray[Any, Any]:
    """One column ``param_NAME``, masked where a candidate does not set it."""
    given = [one[name] for one in params if name in one]
    kind = np.asarray(given).dtype if all(isinstance(v, bool | int | float) for v in given) else object
    column: np.ma.MaskedArray[Any, Any] = np.ma.MaskedArray(np.empty(len(params), dtype=kind), mask=True)
    for row, one in enumerate(params):
        if name in one:
            column[row] = one[name]
    return column

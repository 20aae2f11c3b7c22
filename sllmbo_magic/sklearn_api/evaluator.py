"""Trials of ``tune`` as candidates of a scikit-learn search: the evaluator behind ``SLLMBOSearchCV``.

Each configuration goes through the function ``evaluate_candidates`` that ``BaseSearchCV.fit`` hands out. That
is made for all candidates in one call; what differs when they come one by one is mended here: the folds are
drawn once, and a candidate of which every fold fails (scikit-learn raises then) is a failed trial with a row.
"""

from __future__ import annotations

import inspect
import math
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.evaluation.causes import score_text
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.evaluation.warnings import shown_to_user
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options.values import check
from sllmbo_magic.sklearn_api import isolated_fits
from sllmbo_magic.sklearn_api.causes import Cause
from sllmbo_magic.sklearn_api.causes import cause_in
from sllmbo_magic.sklearn_api.causes import cause_of
from sllmbo_magic.sklearn_api.causes import repeat
from sllmbo_magic.sklearn_api.isolated_fits import ended_after
from sllmbo_magic.task.metrics import resolve_metric
from sllmbo_magic.task.splits import Split
from sllmbo_magic.task.splits import describe_folds
from sllmbo_magic.task.splits import no_folds
from sllmbo_magic.task.task import Task
from sllmbo_magic.task.validation import kind_of
from sllmbo_magic.tuning.result import TuneResult

_NOT_FINITE = re.compile("One or more of the .* scores are non-finite")


class Candidates:
    """An :class:`~sllmbo_magic.evaluation.Evaluator` that scores as scikit-learn's searches do.

    Args:
        search: The search that is being fitted.
        evaluate_candidates: As ``BaseSearchCV._run_search`` gets it.
    """

    def __init__(self, search: Any, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        self._search = search
        self._evaluate_candidates = evaluate_candidates
        self._folds = _FrozenFolds(search, evaluate_candidates)
        self._results: dict[str, Any] = {}
        self._default: Evaluation | None = None
        self._numbers: list[int] = []  # trial numbers, by row
        self._failed: dict[int, tuple[dict[str, Any], float]] = {}  # by row: params, seconds
        self.causes: Counter[str] = Counter()
        """Why all folds of a candidate failed; also where ``error_score`` is the score of these."""
        self._warned: dict[Any, Any] = {}
        self._n_searched: int | None = None  # rows of the search, where configurations were scored again
        options = search.tune_options or {}
        self._isolate = bool(options.get("isolate"))
        self._trial_timeout: float | None = check(
            BY_ARGUMENT["trial_timeout"], options.get("trial_timeout"), "trial_timeout"
        )

    def score_default(self) -> None:
        """Score the estimator as it is; trial 0 will have the outcome.

        Raises:
            Exception: What scikit-learn's searches raise for unfit data or a broken estimator.
        """
        self._default = self._score({}, first=True)

    def evaluate(self, params: Mapping[str, Any], *, trial: Any = None, **unused: Any) -> Evaluation:
        """One trial. All of its folds are run; a limit of time ends them only in processes (``isolate``)."""
        self._numbers.append(trial.number)
        if self._default is not None and not params:
            evaluation, self._default = self._default, None
            return evaluation
        return self._score(dict(params))

    def paired_scores(
        self, tasks: Sequence[Task], configurations: Sequence[Mapping[str, Any]]
    ) -> np.ndarray[Any, Any] | str:
        """One row of scores per configuration on the splits of all tasks, or that a fit failed.

        scikit-learn adds a row per call to its results; those of other folds than the search's are taken out
        again by :meth:`complete_results`.
        """
        self._n_searched = len(self._results["params"])
        n = len(self._folds.splits)
        scores: list[list[float]] = [[] for _ in configurations]
        for task in tasks:
            for row, params in zip(scores, configurations, strict=True):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        self._results = self._evaluate_candidates([dict(params)], cv=_Folds(task.splits))
                    except ValueError:  # every fold failed, and scikit-learn keeps no row
                        return "a fit failed there"
                row.extend(float(self._results[f"split{i}_test_{self._metric()}"][-1]) for i in range(n))
        table = np.array(scores)
        return table if np.isfinite(table).all() else "a fit failed there"

    def close(self) -> None:
        """Nothing to free: the workers are scikit-learn's."""

    def task(self) -> Task:
        """The problem for ``tune``; its data were fitted already, so nothing is checked again."""
        search, folds = self._search, self._folds
        kind = kind_of(search.estimator)
        if self._metric() != "score":
            metric = self._metric()
        elif search.scoring is None:
            metric = {"classification": "accuracy", "regression": "r2"}.get(kind, "estimator.score")
        else:
            metric = resolve_metric(search.scoring, None, kind).name
        return Task.without_data(
            search.estimator,
            name=search.name or type(search).__name__,
            X=folds.X,
            y=folds.y,
            scoring=metric,
            scorer_name=metric,
            cv=folds.cv,
            n_folds=len(folds.splits),
            description=search.description,
            kind=kind,
            cv_text=describe_folds(folds.cv, len(folds.splits)),
            splits=folds.splits,
        )

    @property
    def has_results(self) -> bool:
        """Whether a fold of any candidate could be fitted; scikit-learn keeps no results of the others."""
        return bool(self._results)

    def complete_results(self, result: TuneResult) -> None:
        """Add failed candidates and ``source`` to the dict that ``BaseSearchCV.fit`` goes on with."""
        if self._n_searched is not None:
            self._results.update(first_rows(self._results, self._n_searched))
        if self._failed and self._results:  # else no fold of any candidate was scored
            self._results.update(
                with_failed(self._results, self._failed, self._search.error_score, len(self._folds.splits))
            )
        trials = result.study.get_trials(deepcopy=False)
        sources = [trials[number].user_attrs.get(attrs.SOURCE) for number in self._numbers]
        self._results["source"] = np.array(sources, dtype=object)

    def row_of(self, trial_number: int | None) -> int | None:
        """The row of a trial in ``cv_results_``; None for no trial."""
        return self._numbers.index(trial_number) if trial_number in self._numbers else None

    def _score(self, params: dict[str, Any], *, first: bool = False) -> Evaluation:
        failure: ValueError | SystemExit | None = None
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            with ended_after(self._trial_timeout if self._isolate else None, self._search) as is_over:
                started = time.perf_counter()  # new workers first import what the fits need
                try:
                    self._results = self._evaluate_candidates([params], cv=self._folds)
                except InputError:  # of the folds
                    raise
                except (ValueError, SystemExit) as error:
                    failure = error
                except Exception as error:
                    if not self._isolate or not (is_over() or isinstance(error, BrokenExecutor)):
                        raise
                    seconds = time.perf_counter() - started
                    self._failed[max(len(self._numbers) - 1, 0)] = (params, seconds)
                    return isolated_fits.failure(error, seconds, self._trial_timeout, over=is_over())
        to_repeat = [m for m in messages if first or not _NOT_FINITE.match(str(m.message))]  # said once
        repeat(to_repeat, self._warned)
        seconds = time.perf_counter() - started
        if failure is None:
            counter = CountWarnings()
            for item in messages:
                counter.add(item.message, item.category)
            return replace(
                self._last_row(seconds, messages),
                warnings=dict(counter.counts),
                warning_texts=dict(counter.texts),
            )
        error_is_raised = self._search.error_score == "raise" or not self._folds.splits  # the splitter's own
        if error_is_raised or (first and self._search.search_space is None):
            if isinstance(failure, ValueError):
                raise failure
            name = type(self._search.estimator).__name__
            raise InputError(
                f"{name} cannot be fitted{' with its default parameters' if first else ''}:"
                f" {error_text(failure)}.",
                "A fit must not call sys.exit().",
            ) from failure
        return self._all_folds_failed(params, failure, seconds)

    def _all_folds_failed(
        self, params: dict[str, Any], error: ValueError | SystemExit, seconds: float
    ) -> Evaluation:
        from sklearn.exceptions import FitFailedWarning

        self._failed[max(len(self._numbers) - 1, 0)] = (params, seconds)
        exits = isinstance(error, SystemExit)
        text = f"Candidate {params}: {error_text(error) if exits else error}"
        with shown_to_user():
            warnings.warn(text, FitFailedWarning, stacklevel=2)
        cause = cause_in(str(error), "fit-failed")
        if exits:
            cause = Cause("fit-failed", type(error).__name__, error_text(error))
        self.causes[cause.text] += 1
        score = float(self._search.error_score)
        if math.isnan(score):
            return _failed(cause, seconds)
        return Evaluation(score, std=0.0, seconds=seconds)

    def _last_row(self, seconds: float, messages: Sequence[warnings.WarningMessage]) -> Evaluation:
        metric, results, n = self._metric(), self._results, len(self._folds.splits)
        mean = float(results[f"mean_test_{metric}"][-1])
        if not math.isfinite(mean):
            cause = cause_of(messages)
            return self._not_finite(seconds, messages) if cause is None else _failed(cause, seconds)
        return Evaluation(
            mean=mean,
            std=float(results[f"std_test_{metric}"][-1]),
            split_scores=tuple(float(results[f"split{i}_test_{metric}"][-1]) for i in range(n)),
            seconds=seconds,
            fit_seconds=float(results["mean_fit_time"][-1]) * n,
            score_seconds=float(results["mean_score_time"][-1]) * n,
            training_score=self._training_score(),
        )

    def _training_score(self) -> float | None:
        """The mean training score, where the search has ``return_train_score``."""
        column = self._results.get(f"mean_train_{self._metric()}")
        permuted = (self._search.tune_options or {}).get("permute_scores")
        if column is None or permuted or not math.isfinite(column[-1]):
            return None
        return float(column[-1])

    def _not_finite(self, seconds: float, messages: Sequence[warnings.WarningMessage]) -> Evaluation:
        """A metric that is undefined on a fold, with the first such fold and the reason."""
        metric, folds = self._metric(), self._folds
        scores = [float(self._results[f"split{i}_test_{metric}"][-1]) for i in range(len(folds.splits))]
        fold = next(i for i, score in enumerate(scores) if not math.isfinite(score))
        text = score_text(
            self.task().scorer_name,
            kind_of(self._search.estimator),
            folds.y,
            folds.splits[fold][1],
            fold,
            score=scores[fold],
            warnings=[str(m.message) for m in messages if issubclass(m.category, UndefinedMetricWarning)],
        )
        return Evaluation(None, seconds=seconds, error="not-finite-score", cause=text)

    def _metric(self) -> str:
        """What follows ``mean_test_`` in the results: ``score``, or the metric that ``refit`` names."""
        if "mean_test_score" in self._results:
            return "score"
        refit = self._search.refit
        if not self._results:  # the default could not be fitted
            return refit if isinstance(refit, str) else "score"
        if isinstance(refit, str) and f"mean_test_{refit}" in self._results:
            return refit
        raise InputError("scoring gives several metrics.", "Name in refit the one that is optimised.")


def _failed(cause: Cause, seconds: float) -> Evaluation:
    return Evaluation(
        None, seconds=seconds, error=cause.category, error_class=cause.error_class, cause=cause.text
    )


class _FrozenFolds:
    """A splitter that asks the user's once: a shuffling one without a seed splits anew at each call."""

    def __init__(self, search: Any, evaluate_candidates: Callable[..., Any]) -> None:
        self._search = search
        self._evaluate_candidates = evaluate_candidates
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
            # What BaseSearchCV.fit has made of cv. scikit-learn 1.6 keeps it in the function that it passes
            # on; made again, a generator would have no folds left.
            checked_cv = getattr(search, "_checked_cv_orig", None)
            if checked_cv is None and hasattr(self._evaluate_candidates, "__closure__"):
                checked_cv = inspect.getclosurevars(self._evaluate_candidates).nonlocals.get("cv_orig")
            self.cv = checked_cv or check_cv(search.cv, y, classifier=is_classifier(search.estimator))
            splits = tuple(self.cv.split(X, y, **params))
            if not splits:
                raise no_folds()
            n_splits = self.cv.get_n_splits(X, y, **params)
            if n_splits != len(splits):  # scikit-learn refuses it, too, in the words of a failed fit
                raise InputError(
                    f"cv gives {len(splits)} folds, and its get_n_splits says {n_splits}.",
                    "Both must be the same.",
                )
            self.splits, self.X, self.y = splits, X, y
        return iter(self.splits)


class _Folds:
    """A splitter with the folds that it is made of."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self._splits = splits

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[Split]:
        return iter(self._splits)


def first_rows(results: Mapping[str, Any], n: int) -> dict[str, Any]:
    """``cv_results_`` without the rows after the first ``n``, ranked anew."""
    cut = {key: column[:n] for key, column in results.items()}
    return cut | _ranks(cut)


def with_failed(
    results: Mapping[str, Any],
    failed: Mapping[int, tuple[dict[str, Any], float]],
    error_score: float,
    n_splits: int,
) -> dict[str, Any]:
    """``cv_results_`` with rows put in for failed candidates, given by row as (params, seconds)."""
    n = len(results["params"]) + len(failed)
    has_scores = np.array([row not in failed for row in range(n)])
    scored = iter(results["params"])
    params = [next(scored) if has_scores[row] else failed[row][0] for row in range(n)]
    full: dict[str, Any] = {"params": params}
    for name in dict.fromkeys(name for one in params for name in one):
        full[f"param_{name}"] = _param_column(name, params)
    for key, column in results.items():
        if key == "params" or key.startswith(("param_", "rank_")):
            continue
        blank = error_score if "_test_" in key or "_train_" in key else 0.0
        values = np.full(n, 0.0 * blank if key.startswith("std_") else blank, dtype=float)
        if key == "mean_fit_time":
            values[~has_scores] = [seconds / n_splits for _, seconds in failed.values()]
        values[has_scores] = column
        full[key] = values
    return full | _ranks(full)


def _ranks(results: Mapping[str, Any]) -> dict[str, Any]:
    """The columns ``rank_test_*`` for the means that are there; the best has rank 1."""
    ranks = {}
    for key in [key for key in results if key.startswith("mean_test_")]:
        means = np.where(np.isnan(results[key]), -np.inf, results[key])
        rank = [1 + int((means > value).sum()) for value in means]
        ranks["rank_" + key.removeprefix("mean_")] = np.array(rank, dtype=np.int32)
    return ranks


def _param_column(name: str, params: list[dict[str, Any]]) -> np.ma.MaskedArray[Any, Any]:
    """One column ``param_NAME``, masked where a candidate does not set it."""
    values = [one[name] for one in params if name in one]
    kind = np.asarray(values).dtype if all(isinstance(v, bool | int | float) for v in values) else object
    column: np.ma.MaskedArray[Any, Any] = np.ma.MaskedArray(np.empty(len(params), dtype=kind), mask=True)
    for row, one in enumerate(params):
        if name in one:
            column[row] = one[name]
    return column

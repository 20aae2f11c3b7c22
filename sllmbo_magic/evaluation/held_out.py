"""Scores on test data of default, winner and those that were the best in their time, fitted on all rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.base import NO_FAILURES
from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.base import category_of
from sllmbo_magic.evaluation.base import is_finite
from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.bootstrap import interval_of_difference
from sllmbo_magic.evaluation.bootstrap import resampled_scores
from sllmbo_magic.evaluation.bootstrap import test_scores
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.evaluation.causes import score_text
from sllmbo_magic.evaluation.fold_fit import refit
from sllmbo_magic.evaluation.paired_scores import Fits
from sllmbo_magic.evaluation.paired_scores import failure_text
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.evaluation.warnings import add_to_run
from sllmbo_magic.task.data import n_rows
from sllmbo_magic.task.display_metric import display_metric
from sllmbo_magic.task.display_metric import is_negated
from sllmbo_magic.task.task import Task


@dataclass(frozen=True)
class OnTestData:
    """What default and best score on test data; ``text`` goes on a sentence about the folds."""

    default: float | None = None
    best: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    relative_overtuning: float | None = None
    text: str = ""


class HeldOutEvaluator:
    """Fits a configuration on all of X and y: ``mean`` is its score on the test data.

    Args:
        task: A task with an estimator and test data.
        seed: Of the resampled test rows, whose scores are the ``split_scores``; None: no resamples.
    """

    def __init__(self, task: Task, seed: int | None) -> None:
        self.task = task
        self._seed = seed

    def evaluate(
        self, params: Mapping[str, Any], *, should_stop: Callable[[], bool] = never, **unused: Any
    ) -> Evaluation:
        """See :class:`~sllmbo_magic.evaluation.base.Evaluator`; only a process can end the fit."""
        started = time.perf_counter()
        with Quiet(), CountWarnings() as counter:
            try:
                scores = test_scores(self.task, refit(self.task, params))
                rows = np.arange(n_rows(self.task.X_test))
                value = scores(rows)
                resampled: tuple[float, ...] = ()
                if self._seed is not None and is_finite(value):
                    resampled = resampled_scores(self.task, scores, self._seed, should_stop)
            except NO_FAILURES:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever the estimator or the metric raises
                return Evaluation(
                    None,
                    error=category_of(error),
                    error_class=type(error).__name__,
                    cause=error_text(error),
                    warnings=dict(counter.counts),
                    warning_texts=dict(counter.texts),
                )
        cause = ""
        if not is_finite(value):
            cause = score_text(
                self.task.scorer_name,
                self.task.kind,
                self.task.y_test,
                rows,
                None,
                score=value,
                warnings=counter.undefined,
            )
        return Evaluation(
            None if cause else value,
            error="not-finite-score" if cause else None,
            cause=cause,
            split_scores=resampled,
            seconds=time.perf_counter() - started,
            warnings=dict(counter.counts),
            warning_texts=dict(counter.texts),
        )

    def close(self) -> None:
        """Nothing to free."""


def on_test_data(
    task: Task,
    default_params: Mapping[str, Any],
    best_params: Mapping[str, Any],
    incumbents: Sequence[Mapping[str, Any]],
    seed: int,
    fits: Fits,
) -> OnTestData:
    """Both configurations on the test data.

    Args:
        task: A task with an estimator.
        default_params: Parameters of the default.
        best_params: Parameters of the best configuration.
        incumbents: Parameters of those that were the best in their time.
        seed: Seed of the bootstrap.
        fits: How they are fitted.
    """
    if task.X_test is None:
        return OnTestData()
    evaluations = _evaluated(HeldOutEvaluator(task, seed), [default_params, best_params], fits)
    if why_not := _why_not(evaluations, 2, fits):
        return OnTestData(text=f". {why_not}")
    values = [float(one.mean) for one in evaluations if one.mean is not None]
    sign = 1.0 if task.direction == "maximize" else -1.0
    gain = sign * (values[1] - values[0])
    interval = interval_of_difference(evaluations[1].split_scores, evaluations[0].split_scores)
    if interval is not None and sign < 0:
        interval = -interval[1], -interval[0]
    between = (
        "" if interval is None else f" (95 % interval of the gain: {interval[0]:.2g} to {interval[1]:.2g})"
    )
    share = _relative_overtuning(task, [sign * value for value in values], incumbents, fits)
    lost = ""
    if share is not None:
        lost = f". Relative over-tuning {share:.2f}: the part of the best gain there that was lost again"
    elif incumbents and fits.should_stop():
        lost = f". Relative over-tuning was not computed, since {fits.why_stopped()}"
    text = f". On the test data there is a {gain_text(gain)}{between}{lost}"
    return OnTestData(values[0], values[1], gain, interval, share, text)


def alone_on_test_data(task: Task, params: Mapping[str, Any], name: str, fits: Fits) -> OnTestData:
    """One configuration on the test data, where there is none to compare it with; ``text`` is a sentence
    without a full stop.

    Args:
        task: A task with an estimator.
        params: Parameters of the configuration.
        name: What the configuration is, in words.
        fits: How it is fitted.
    """
    if task.X_test is None:
        return OnTestData()
    evaluations = _evaluated(HeldOutEvaluator(task, None), [params], fits)
    if why_not := _why_not(evaluations, 1, fits):
        return OnTestData(text=why_not)
    value = evaluations[0].mean
    assert value is not None
    display = display_metric(task.scorer_name, task.direction, is_negated(task.scoring))
    text = f"On the test data {name} scores {display.label} {display.shown(value):.4g}"
    return OnTestData(best=value, text=text)


def _why_not(evaluations: Sequence[Evaluation], n: int, fits: Fits) -> str:
    """Why not all of ``n`` configurations have a score on the test data; "" where all have."""
    if any(one.stopped for one in evaluations) or len(evaluations) < n:
        return f"The test data were not scored, since {fits.why_stopped()}"
    failed = next((one for one in evaluations if one.error is not None), None)
    if failed is None:
        return ""
    what = "have no finite score" if failed.error == "not-finite-score" else "could not be scored"
    return f"The test data {what}: {failure_text(failed)}"


def gain_text(value: float) -> str:
    """A gain or loss in words."""
    return f"{'gain' if value >= 0 else 'loss'} of {abs(value):.2g}"


def _relative_overtuning(
    task: Task, values: Sequence[float], incumbents: Sequence[Mapping[str, Any]], fits: Fits
) -> float | None:
    """The share of the best gain on the test data that the winner lacks; None where none is better than the
    default, or after a stop.

    Args:
        task: A task with test data.
        values: Scores of default and winner on the test data; larger is better.
        incumbents: Parameters of the others.
        fits: How they are fitted.
    """
    if not incumbents:
        return None
    evaluations = _evaluated(HeldOutEvaluator(task, None), incumbents, fits)
    if len(evaluations) < len(incumbents) or any(one.stopped for one in evaluations):
        return None
    sign = 1.0 if task.direction == "maximize" else -1.0
    default, winner = values
    # one that failed has no score there
    scores = [sign * one.mean for one in evaluations if one.mean is not None and is_finite(one.mean)]
    best = max([*values, *scores])
    return (best - winner) / (best - default) if best > default else None


def _evaluated(
    evaluator: HeldOutEvaluator, configurations: Sequence[Mapping[str, Any]], fits: Fits
) -> list[Evaluation]:
    """The outcomes of the configurations, up to a stop."""
    evaluations: list[Evaluation] = []
    apart = fits.apart(evaluator)
    try:
        for params in configurations:
            if fits.should_stop():
                break
            evaluation = apart.evaluate(
                params,
                should_stop=fits.should_stop,
                should_abandon=fits.should_abandon,
                timeout=fits.timeout,
            )
            add_to_run(evaluation.warnings, evaluation.warning_texts)
            evaluations.append(evaluation)
    finally:
        apart.close()
    return evaluations

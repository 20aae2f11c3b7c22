"""Was the gain real? Default and best once more, on folds and test data that the search did not see.

The best of many noisy scores looks better than it is, and in about one search of ten the winner is worse on
new data than where the search began (over-tuning, arXiv 2506.19540). Both configurations are therefore scored
in pairs on fresh folds: that takes out the luck with the folds, though not with the rows, for which only test
data can tell. Folds share training rows, which makes the usual standard error too small; the variance is that
of the corrected resampled t-test (Nadeau and Bengio, "Inference for the Generalization Error", 2003):
(1/J + n_test/n_train) s², for J splits.

A few folds often tell enough. The folds are scored in parts of five or more, and after each part a sequential
test (``sequential_test.py``) may end the check: where the gain is significant at the stricter level of that
look, or where it is so small that more folds would hardly make it significant. All looks together have the
level of one test. A gain that ends a check early tends to be shown a little too large, as with any such rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Literal

import numpy as np

from sllmbo_magic.evaluation.fresh_splits import fresh_tasks
from sllmbo_magic.evaluation.held_out import alone_on_test_data
from sllmbo_magic.evaluation.held_out import gain_text
from sllmbo_magic.evaluation.held_out import on_test_data
from sllmbo_magic.evaluation.paired_scores import Fits
from sllmbo_magic.evaluation.paired_scores import paired_scores
from sllmbo_magic.evaluation.sequential_test import SequentialTest
from sllmbo_magic.evaluation.sequential_test import in_parts
from sllmbo_magic.task.display_metric import display_metric
from sllmbo_magic.task.display_metric import is_negated
from sllmbo_magic.task.task import Task

Verdict = Literal["real", "within noise", "worse", "unknown"]

MIN_PART = 5
"""Fresh folds that are scored, at least, before and between the looks that may end the check."""


@dataclass(frozen=True)
class Verification:
    """What default and best score on fresh folds and on test data.

    Scores are scikit-learn's, as they are; ``gain`` and ``overtuning`` are positive when best is better.
    ``noise`` is the standard deviation of the mean paired difference. ``fresh`` says whether the ``n_folds``
    splits that were scored were other ones than the search's. ``test_interval`` is a 95 % interval of the
    gain on the test data. ``overtuning`` is the gain that the search saw minus the gain on test data, or else
    on fresh folds. ``relative_overtuning`` is the share of the gain on the test data that the search gave
    away by going on: 0 when best is the best there of all that were best in their time, 1 when it is as good
    as the default, more when it is worse (arXiv 2506.19540). None stands for what could not be had. ``text``
    is one sentence.
    """

    verdict: Verdict
    text: str
    default_mean: float | None = None
    best_mean: float | None = None
    gain: float | None = None
    noise: float | None = None
    n_folds: int = 0
    fresh: bool = True
    test_default: float | None = None
    test_best: float | None = None
    test_interval: tuple[float, float] | None = None
    overtuning: float | None = None
    relative_overtuning: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data = dataclasses.asdict(self)
        data["test_interval"] = None if self.test_interval is None else list(self.test_interval)
        return data


def verify(
    task: Task,
    default_params: Mapping[str, Any] | None,
    best_params: Mapping[str, Any],
    seed: int,
    fits: Fits | None = None,
    *,
    default_value: float | None = None,
    best_value: float | None = None,
    incumbents: Sequence[Mapping[str, Any]] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Compare the best configuration with the default on data that chose neither.

    Args:
        task: A task with an estimator.
        default_params: Parameters of the default, usually empty; None: the default has no score.
        best_params: Parameters of the best configuration.
        seed: Seed of the fresh folds and of the bootstrap.
        fits: How the fits are made, and what ends them; default: in this process, on all cores.
        default_value: The default's value in the search, for the estimate of over-tuning.
        best_value: The best value in the search.
        incumbents: Parameters of the configurations that were the best in their time, for the relative
            over-tuning; fitted on all of X and y when there is test data.
        on_progress: Called with the number of fits that are scored and the number of all, from 0 on.

    Returns:
        The verification. Where ``cv`` cannot be reshuffled, the search's own folds are scored again, and the
        text says so: that shows the noise of the gain, but not how much of it was luck. Without a gain to
        check, where the default is the best configuration or has no score, the test data alone are scored.
    """
    if task.estimator is None:
        return Verification("unknown", "An objective of one's own has no folds to check the gain on.")
    fits = fits or Fits()
    if default_params is None or dict(default_params) == dict(best_params):
        return _without_gain(task, best_params, fits, is_default=default_params is not None)
    sign = 1.0 if task.direction == "maximize" else -1.0
    fresh = fresh_tasks(task, seed)
    tasks = _parts(fresh) or [task]
    check = SequentialTest(sum(one.n_folds for one in tasks))

    def is_enough(scores: np.ndarray[Any, Any]) -> bool:
        differences = sign * (scores[1] - scores[0])
        n = len(differences)
        return n >= MIN_PART and check.look(differences.mean(), corrected_noise(differences, tasks), n)

    pairs = paired_scores(tasks, (default_params, best_params), fits, on_progress, is_enough=is_enough)
    test = on_test_data(task, default_params, best_params, incumbents, seed, fits)
    verification = _on_folds(pairs, tasks, sign, check, fits.why_stopped, fresh=bool(fresh))
    outside = test.gain if test.gain is not None else (verification.gain if fresh else None)
    gain_in_search = (
        None if default_value is None or best_value is None else sign * (best_value - default_value)
    )
    return dataclasses.replace(
        verification,
        text=verification.text + test.text + ".",
        test_default=test.default,
        test_best=test.best,
        test_interval=test.interval,
        overtuning=None if gain_in_search is None or outside is None else gain_in_search - outside,
        relative_overtuning=test.relative_overtuning,
    )


def _without_gain(task: Task, params: Mapping[str, Any], fits: Fits, *, is_default: bool) -> Verification:
    name = "the default" if is_default else "the best configuration"
    test = alone_on_test_data(task, params, name, fits)
    reason = "No configuration beat the default" if is_default else "The default has no score"
    return Verification(
        "within noise" if is_default else "unknown",
        f"{test.text or f'{reason}, so there is no gain to check'}.",
        test_default=test.best if is_default else None,
        test_best=test.best,
    )


def unchecked(why: str) -> Verification:
    """That nothing was scored again.

    Args:
        why: The reason, as the end of a sentence.
    """
    return Verification("unknown", f"{_unchecked_text(why)}.")


def _unchecked_text(why: str) -> str:
    return f"The gain could not be checked on folds, since {why}"


def _parts(tasks: Sequence[Task]) -> list[Task]:
    """The same folds in parts, after each of which the check may end."""
    return [
        dataclasses.replace(task, splits=part, n_folds=len(part))
        for task in tasks
        for part in in_parts(task.splits, MIN_PART)
    ]


def _on_folds(
    pairs: np.ndarray[Any, Any] | str,
    tasks: list[Task],
    sign: float,
    check: SequentialTest,
    why_stopped: Callable[[], str],
    *,
    fresh: bool,
) -> Verification:
    """The verdict of the paired scores, or why there is none; its text has no full stop at the end yet."""
    if isinstance(pairs, str):
        return Verification("unknown", _unchecked_text(pairs), fresh=fresh)
    differences = sign * (pairs[1] - pairs[0])
    gain, noise = float(differences.mean()), corrected_noise(differences, tasks)
    default, best = float(pairs[0].mean()), float(pairs[1].mean())
    display = display_metric(tasks[0].scorer_name, tasks[0].direction, is_negated(tasks[0].scoring))
    verdict = check.end(gain, noise, len(differences))
    conclusion = {
        "real": "That is more than the noise, so the gain is real",
        "within noise": "That is within the noise, so "
        + ("it may be luck" if gain > 0.0 else "no gain is shown"),
        "worse": "That is more than the noise, so the default is better",
    }[verdict]
    folds = f"{len(differences)} fresh folds" if fresh else f"the search's own {len(differences)} folds"
    if check.finding is not None:
        folds = f"{len(differences)} of {check.n_planned} fresh folds, which were enough,"
    elif len(differences) < check.n_planned:
        folds = f"{len(differences)} of {check.n_planned} fresh folds ({why_stopped()})"
    text = (
        f"On {folds} the best configuration scores {display.label} {display.shown(best):.4g} and the default "
        f"{display.shown(default):.4g}: a {gain_text(gain)} ± {noise:.2g} (standard error). {conclusion}"
    )
    if not fresh:
        text += ". This cv has no other folds, so the gain may look too good"
    return Verification(verdict, text, default, best, gain, noise, len(differences), fresh)


def corrected_noise(differences: np.ndarray[Any, Any], tasks: list[Task]) -> float:
    """Standard deviation of the mean paired difference over splits (Nadeau and Bengio 2003).

    Args:
        differences: One paired difference per split, at least 2.
        tasks: Tasks whose splits they come from.
    """
    ratios = [len(test) / len(train) for task in tasks for train, test in task.splits]
    n = len(differences)
    return float(np.sqrt((1.0 / n + np.mean(ratios)) * np.var(differences, ddof=1)))

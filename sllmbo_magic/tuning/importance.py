"""How much each parameter matters for the score, by two measures, and how sure that is.

PED-ANOVA (Watanabe et al., IJCAI 2023) compares where good trials lie with where all lie. The surrogate's
measure is the total Sobol index of the mean of the Gaussian process that rates the LLM's configurations: the
share of its variation over the search space that goes with a parameter, alone or with others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.evaluation.warnings import counting_libraries
from sllmbo_magic.history.history import History
from sllmbo_magic.history.importances import importances
from sllmbo_magic.history.trials import observe
from sllmbo_magic.history.trials import real_configuration
from sllmbo_magic.history.trials import scored
from sllmbo_magic.samplers import surrogate
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.runs import quiet_optuna

KINDS = ("ped-anova", "surrogate")
LEAST_TRIALS = 8
LEVEL = 0.9
"""Part of the resamples whose shares lie in an interval."""
_POINTS = 256

Shares = dict[str, float]


def study_importances(study: Study, kind: str) -> Shares:
    """Shares over the scored trials of a study, as ``TuneResult.importances`` describes them.

    Raises:
        InputError: The kind is none of :data:`KINDS`.
    """
    points = _points(study, kind)
    if not points:
        return {}
    direction = study.direction.name.lower()
    if kind == "ped-anova" and (shares := ped_anova(points, direction)):
        return shares
    outer = _outer_space(study)
    if outer is None:
        return {}
    history = History(tuple(observe(t) for t in points), direction)
    return of_surrogate(history, outer) if kind == "surrogate" else importances(history, outer)


def study_intervals(study: Study, kind: str, resamples: int) -> dict[str, tuple[float, float]]:
    """The intervals of :func:`study_importances`, as ``TuneResult.importance_intervals`` describes them.

    Raises:
        InputError: The kind is none of :data:`KINDS`.
    """
    points = _points(study, kind)
    if not points:
        return {}
    outer = _outer_space(study)
    if outer is None and kind == "surrogate":
        return {}
    direction = study.direction.name.lower()
    return resampled(kind, points, direction, outer, resamples, study_importances(study, kind))


def _points(study: Study, kind: str) -> list[FrozenTrial]:
    """The scored trials that are points of the search space; none where there are too few, or where all
    have the same score, which no parameter explains.
    """
    if kind not in KINDS:
        raise InputError(f"importances of the kind {kind!r} are not known.", f"Allowed: {', '.join(KINDS)}.")
    if len(study.directions) > 1:
        return []
    scored_trials = [t for t in study.get_trials(deepcopy=False) if scored(t)]
    outer = _outer_space(study)
    # the default, where the search space cannot express it, is no point of that space; nor is what was queued
    # outside of it
    points = [t for t in scored_trials if outer is None or not real_configuration(t, outer)[1]]
    return points if len(points) >= LEAST_TRIALS and not _is_flat(points) else []


def _outer_space(study: Study) -> SearchSpace | None:
    """The outer space; None where an objective asks the trial for its parameters."""
    stored = study.user_attrs.get(attrs.OUTER_SPACE)
    return SearchSpace.from_json(stored) if stored and study.user_attrs.get(attrs.SPACE_VERSIONS) else None


def _is_flat(trials: Sequence[FrozenTrial]) -> bool:
    return len({trial.value for trial in trials}) == 1


def ped_anova(trials: Sequence[FrozenTrial], direction: str) -> Shares:
    """Shares by PED-ANOVA, largest first; {} where no parameter is in all trials, or where scores
    are equal so that they tell no parameter from another.
    """
    if _is_flat(trials):
        return {}
    try:
        with quiet_optuna(), Quiet(), counting_libraries():  # on small runs it always warns
            complete = optuna.create_study(direction=optuna.study.StudyDirection[direction.upper()])
            complete.add_trials(_with_all_parameters(trials))
            weights = optuna.importance.get_param_importances(
                complete, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
            )
    except (ValueError, RuntimeError):
        return {}
    if len(weights) > 1 and len({*weights.values()}) == 1:
        return {}  # too many trials tie with the second best: Optuna then says the same of each parameter
    return _shares({name: weight for name, weight in weights.items() if _varies(name, trials)})


def of_surrogate(history: History, space: SearchSpace, kernel: Any = None) -> Shares:
    """Shares by the surrogate, largest first; {} while it has too few trials.

    Args:
        kernel: Of an earlier fit; None searches one.
    """
    model = surrogate.fit(history, space, kernel)
    if model is None or not len(space):
        return {}
    rng = np.random.default_rng(0)
    a, b = rng.random((2, _POINTS, len(space)))
    mean = model.predict_mean(a)
    weights = {}
    for i, name in enumerate(space):
        mixed = a.copy()
        mixed[:, i] = b[:, i]
        weights[name] = float(((mean - model.predict_mean(mixed)) ** 2).mean() / 2)  # Jansen's estimator
    return _shares(weights)


def resampled(
    kind: str,
    trials: Sequence[FrozenTrial],
    direction: str,
    space: SearchSpace | None,
    resamples: int,
    estimate: Mapping[str, float],
) -> dict[str, tuple[float, float]]:
    """The intervals of one kind of shares; see :func:`intervals` and ``TuneResult.importance_intervals``."""
    observations = [observe(t) for t in trials]
    kernel = None
    if space is not None and kind == "surrogate":
        kernel = surrogate.search_kernel(History(tuple(observations), direction), space)

    def shares_of(rows: np.ndarray) -> Shares:
        if space is None or kind == "ped-anova":
            with CountWarnings():  # those of all trials are counted already
                return ped_anova([trials[i] for i in rows], direction)
        resample = tuple(replace(observations[row], number=i) for i, row in enumerate(rows))
        return of_surrogate(History(resample, direction), space, kernel)

    return intervals(len(trials), resamples, shares_of, estimate)


def intervals(
    n: int, resamples: int, shares_of: Callable[[np.ndarray], Shares], estimate: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """For each parameter the interval of its share over resamples of the trials, drawn with replacement.

    Args:
        n: Number of trials.
        shares_of: Rows of trials -> shares; {} leaves that resample out.
        estimate: Shares of all trials, which lie inside their intervals.
    """
    rng = np.random.default_rng(0)
    samples = [shares for shares in (shares_of(rng.integers(0, n, n)) for _ in range(resamples)) if shares]
    result = {}
    for name, share in estimate.items():
        values = [shares.get(name, 0.0) for shares in samples] or [share]
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        result[name] = min(float(low), share), max(float(high), share)
    return result


def _shares(weights: Mapping[str, float]) -> Shares:
    total = sum(weights.values())
    if not weights or not all(math.isfinite(w) for w in weights.values()) or total <= 0:
        return {}
    return {name: float(w / total) for name, w in sorted(weights.items(), key=lambda item: -item[1])}


def _with_all_parameters(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Without those that had a parameter which stands among the parameters of others only."""
    names = {name for trial in trials for name in trial.params}
    real = [(trial.user_attrs.get(attrs.CONFIGURATION) or {}).get("values", {}) for trial in trials]
    return [t for t, values in zip(trials, real, strict=True) if not (names & set(values)) - set(t.params)]


def _varies(name: str, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a parameter had more than one value."""
    return len({repr(trial.params.get(name)) for trial in trials}) > 1

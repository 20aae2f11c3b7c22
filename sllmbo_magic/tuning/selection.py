"""The configuration that a run keeps: the best of the search, or of its best few on fresh folds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic.evaluation.recheck import N_CANDIDATES
from sllmbo_magic.evaluation.recheck import Scores
from sllmbo_magic.evaluation.recheck import fresh_means
from sllmbo_magic.history.trials import scored
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.task.display_metric import display_metric
from sllmbo_magic.task.display_metric import is_negated
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.result import winning_params


def best_of_search(study: Study) -> FrozenTrial | None:
    """The feasible trial with the best score; None with several objectives, or when no trial has one."""
    trials = study.get_trials(deepcopy=False)
    return study.best_trial if len(study.directions) == 1 and any(scored(t) for t in trials) else None


def best_distinct(study: Study) -> list[FrozenTrial]:
    """The best few feasible trials with different configurations, best first, the earlier one of equals.

    Args:
        study: A study of one objective.
    """
    sign = -1.0 if study.direction.name == "MAXIMIZE" else 1.0
    trials = [t for t in study.get_trials(deepcopy=False) if scored(t)]
    top: list[FrozenTrial] = []
    for trial in sorted(trials, key=lambda t: (sign * t.values[0], t.number)):
        if len(top) < N_CANDIDATES and all(winning_params(trial) != winning_params(one) for one in top):
            top.append(trial)
    return top


def recheck(
    task: Task,
    top: Sequence[FrozenTrial],
    objects: Mapping[str, Mapping[str, Any]],
    seed: int,
    scores: Scores,
    why_stopped: Callable[[], str],
) -> tuple[FrozenTrial, dict[str, Any]]:
    """The best of the best few on fresh folds, and how it was selected (see ``wire.Selection``).

    Args:
        task: What was tuned.
        top: At least two trials, the best of the search first.
        objects: Objects of choices by parameter and label.
        seed: Seed of the fresh folds.
        scores: Scores configurations on tasks.
        why_stopped: Why not all folds were scored, as the end of a sentence.
    """
    rescored = fresh_means(task, [decoded(winning_params(t), objects) for t in top], seed, scores)
    if isinstance(rescored, str):
        return without_recheck(top, rescored)
    means, n_folds, n_planned = rescored
    folds = f"{n_folds} fresh folds"
    if n_folds < n_planned:
        folds = f"{n_folds} of {n_planned} fresh folds ({why_stopped()})"
    return _selected(task, top, means, n_folds, folds)


def without_recheck(top: Sequence[FrozenTrial], why_not: str) -> tuple[FrozenTrial, dict[str, Any]]:
    """The best of the search, and the selection that says why nothing was scored again.

    Args:
        top: At least one trial, the best of the search first.
        why_not: The reason, as the end of a sentence.
    """
    winner = top[0]
    text = f"Trial {winner.number} has the best score of the search and is kept without a recheck: {why_not}."
    return winner, _selection(winner, top, [None] * len(top), 0, text)


def _selected(
    task: Task, top: Sequence[FrozenTrial], means: Sequence[float], n_folds: int, folds: str
) -> tuple[FrozenTrial, dict[str, Any]]:
    sign = 1.0 if task.direction == "maximize" else -1.0
    winner = top[max(range(len(top)), key=lambda i: (sign * means[i], -i))]
    metric = display_metric(task.scorer_name, task.direction, is_negated(task.scoring))
    means_text = [f"{metric.shown(m):.4g} (trial {t.number})" for t, m in zip(top, means, strict=True)]
    scores = f"{metric.label} {', '.join(means_text)} on {folds}"
    text = (
        f"The best {len(top)} configurations of the search score {scores}, so trial {winner.number} is kept"
    )
    text += "." if winner is top[0] else f" instead of trial {top[0].number}, the best of the search."
    return winner, _selection(winner, top, means, n_folds, text)


def _selection(
    winner: FrozenTrial,
    top: Sequence[FrozenTrial],
    means: Sequence[float | None],
    n_folds: int,
    text: str,
) -> dict[str, Any]:
    rows = [
        {"number": t.number, "value": t.values[0], "fresh_mean": mean}
        for t, mean in zip(top, means, strict=True)
    ]
    return {
        "rule": "recheck",
        "number": winner.number,
        "n_folds": n_folds,
        "candidates": rows,
        "text": text,
    }

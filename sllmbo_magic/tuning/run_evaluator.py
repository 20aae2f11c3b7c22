"""The evaluator of a run: the task's or the user's, with object choices and in child processes as asked."""

from __future__ import annotations

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation import evaluator_for
from sllmbo_magic.evaluation.threads import cores
from sllmbo_magic.evaluation.threads import cores_to_use
from sllmbo_magic.tuning.executors import Pool
from sllmbo_magic.tuning.isolation import IsolatedEvaluator
from sllmbo_magic.tuning.object_choices import ObjectEvaluator
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.sent_evaluator import SentEvaluator
from sllmbo_magic.tuning.settings import Settings


def check_settings_for(evaluator: Evaluator, settings: Settings) -> None:
    """The settings can be used with an evaluator of the user.

    Raises:
        InputError: One of them needs an evaluator of ours.
    """
    if settings.early_stopping_rounds is not None:
        raise InputError("early_stopping_rounds has no effect on an evaluator of yours.", "Leave it out.")
    if settings.select == "recheck" and getattr(evaluator, "paired_scores", None) is None:
        raise InputError(
            "select recheck needs folds of its own, which an evaluator of yours does not have.",
            "Leave it out.",
        )


def run_evaluator(plan: Plan, evaluator: Evaluator | None, pool: Pool) -> Evaluator:
    """The evaluator of a run.

    Args:
        evaluator: That of the user; None makes the task's.
        pool: Takes the trials. Those in threads of this process share the cores and one set of fold threads,
            isolated ones have an equal part of the cores each, and those of any other executor have one core,
            since it may run as many of them on a machine as that has cores.
    """
    s = plan.settings
    is_local = pool.executor is None or pool.is_in_process
    n_jobs, at_once = s.n_jobs, 1
    if not is_local:
        n_jobs = 1
    elif s.isolate:
        n_jobs = max(1, cores_to_use(s.n_jobs, cores()) // pool.at_once)
    else:
        at_once = pool.at_once
    evaluator = evaluator or evaluator_for(
        plan.task,
        n_jobs,
        at_once=at_once,
        reporting=None if plan.pruning is None else plan.pruning.reporting,
        early_stopping=s.early_stopping_rounds,
        # true training scores beside permuted scores would spoil the control experiment
        training_score=s.uses_llm and not s.permute_scores,
        n_evaluations=s.n_trials if is_local and not s.isolate else None,
    )
    if plan.objects:
        evaluator = ObjectEvaluator(evaluator, plan.objects)
    if s.isolate:
        return IsolatedEvaluator(evaluator)
    return evaluator if is_local else SentEvaluator(evaluator)

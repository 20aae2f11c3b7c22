"""``tune``: one call from an estimator and data, or an objective, to a tuned configuration."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic import onlookers
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.evaluator import Evaluator
from sllmbo_magic.events import Sink
from sllmbo_magic.plan import Plan
from sllmbo_magic.plan import make_plan
from sllmbo_magic.result import TuneResult
from sllmbo_magic.run import Run
from sllmbo_magic.run_folder import RunFolder
from sllmbo_magic.settings import check_start
from sllmbo_magic.settings import own_configurations

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def tune(
    estimator: Any = None,
    X: Any = None,
    y: Any = None,
    *,
    name: str | None = None,
    scoring: Any = None,
    direction: Any = None,
    cv: Any = 5,
    description: str = "",
    groups: Any = None,
    sample_weight: Any = None,
    fit_params: Mapping[str, Any] | None = None,
    X_test: Any = None,
    y_test: Any = None,
    search_space: Any = None,
    sampler: Any = "llm-tpe",
    llm: Any = "rulebook",
    base_url: str | None = None,
    n_trials: int = 50,
    timeout: float | None = None,
    trial_timeout: float | None = None,
    init: str = "llm",
    candidates: int = 5,
    schedule: str = "adaptive",
    llm_ratio: float = 0.5,
    judge: bool = True,
    multivariate: bool = True,
    history: str = "state",
    patience: int | str = "off",
    pruner: Any = None,
    early_stopping_rounds: int | None = None,
    max_requests: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    share_columns: bool = False,
    anonymize: bool = False,
    n_jobs: int | None = None,
    executor: Executor | str | None = None,
    evaluator: Evaluator | None = None,
    storage: str | BaseStorage | None = None,
    resume: bool = False,
    warm_start: Any = None,
    seed: int | None = None,
    preset: str | None = None,
    enqueue: Sequence[Mapping[str, Any]] | Mapping[str, Any] = (),
    dynamic_space: bool = True,
    permute_scores: bool = False,
    verify: bool = True,
    study: Study | None = None,
    callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
    sinks: Sequence[Sink] = (),
    control: Control | None = None,
    folder: str | Path | None = None,
    taken: str = "",
    ask: Callable[[str], str] | None = None,
) -> TuneResult:
    """Find the parameters with the best cross-validated score.

    Trial 0 is the estimator's default configuration. Then an LLM (or the rulebook) writes the search space
    and first configurations, and an LLM and a Bayesian sampler share the other trials. The run is on disk as
    it goes; Ctrl-C ends it after the fold in flight and returns what it has.

    Args:
        estimator: scikit-learn-compatible estimator, ``Pipeline`` or class; or an objective: ``f(params:
            dict)`` or ``f(trial)`` that returns the value; or a ``Task``.
        X: n rows of data, for an estimator.
        y: n target values.
        name: The run's name and folder (``.sllmbo/NAME``); an earlier run of that name is kept as NAME.1.
            Default "run".
        scoring: A scorer's name or callable. Default ``"f1_weighted"`` or ``"neg_mean_absolute_error"``.
        direction: ``"maximize"`` or ``"minimize"``, for objectives; a list for several values.
        cv: Folds, splitter or splits, default 5.
        description: The task in words; the only words that an LLM is told.
        groups: One group per row, for grouped folds.
        sample_weight: One weight per row, given to ``fit``.
        fit_params: More arguments of ``fit``.
        X_test: Data kept untouched for the final report.
        y_test: Its target.
        search_space: Dict of Optuna distributions, (low, high[, "log"]) tuples and lists; default: written
            for the task.
        sampler: ``"llm-tpe"`` (default), ``"llm"``, ``"tpe"``, ``"random"``, ``"gp"``, ``"cmaes"``,
            ``"hyperopt"`` or an Optuna sampler.
        llm: ``"rulebook"`` (default: expert rules, no LLM), ``"openai:MODEL"``, ``"anthropic:MODEL"``, ...,
            or a Provider.
        base_url: Address of the provider's server.
        n_trials: Total number of trials, those of a resumed run included; default 50.
        timeout: Seconds for the whole call.
        trial_timeout: Seconds per trial, looked at between folds.
        init: ``"llm"`` (default), ``"default"``, ``"random"`` or ``"user"``: where the first configurations
            come from.
        candidates: Configurations per request, default 5.
        schedule: ``"adaptive"`` (default), ``"bernoulli"``, ``"alternate"`` or ``"warmstart"``.
        llm_ratio: The LLM's share of the trials, default 0.5.
        judge: Whether a surrogate ranks and vetoes candidates, default True.
        multivariate: Whether Optuna's TPE models the parameters together, default True; False: each by
            itself, as the paper's TPE did.
        history: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``: what the LLM is told of the
            trials.
        patience: Trials without improvement before the run stops, ``"auto"`` or ``"off"`` (default).
        pruner: Stops trials that do badly on the way: ``"asha"``, ``"hyperband"``, ``"median"``,
            ``"wilcoxon"``, ``"none"``, or an Optuna pruner. Default: none; an ``objective(trial)`` that
            asks gets Optuna's median.
        early_stopping_rounds: Boosting rounds are not searched: each fold stops after so many rounds without
            gain. Default: they are searched.
        max_requests: Hard limit on requests.
        max_tokens: Hard limit on tokens.
        max_cost: Hard limit in US dollars.
        share_columns: Whether an LLM may see column names.
        anonymize: Whether to rename what an LLM could recognise.
        n_jobs: Cores to use; default all that this process may use. Folds run on threads.
        executor: ``concurrent.futures.Executor`` or ``"dask://HOST:PORT"``: trials in parallel, told in
            order.
        evaluator: Scores configurations instead of the task's cross-validation or objective (see
            ``sllmbo_magic.evaluator.Evaluator``); the default configuration is ``{}``.
        storage: What ``optuna.create_study`` takes, ``"memory"``, ``"journal:PATH"`` or
            ``"grpc://HOST:PORT"``; default a journal file in the run's folder.
        resume: Go on with the stored run of this name.
        warm_start: Name, path, result or study of an earlier run whose best configurations are tried first.
        seed: Everything random follows from it; default drawn and recorded.
        preset: ``"paper"``: the paper's method instead of the defaults.
        enqueue: Configurations to try first, right after the default; parameters that one leaves out are the
            sampler's.
        dynamic_space: Whether the LLM may change the ranges.
        permute_scores: Show the LLM permuted scores: a control experiment.
        verify: Whether to score default and best again on fresh folds at the end.
        study: An Optuna study to work in, instead of a new one.
        callbacks: Optuna's callbacks.
        sinks: Take the run's events.
        control: The user's wishes while the run goes.
        folder: Where runs are kept, default ``.sllmbo``; ``""`` keeps nothing on disk.
        taken: Where the inputs came from, for the status line.
        ask: For ``llm="manual"``: shows a prompt and returns the pasted answer.

    Returns:
        The result; also after an interrupt, a stop or a time limit.

    Raises:
        InputError: Anything wrong with the input, in one line, before the first fit; or the default
            configuration cannot be fitted.
        RunLockedError, RunChangedError, StorageError: The run's folder cannot be used.
        MissingExtraError: An optional dependency is missing.
    """
    drawn = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
    plan = make_plan(
        estimator,
        X,
        y,
        name=name or "run",
        search_space=search_space,
        preset=preset,
        scoring=scoring,
        direction=direction,
        cv=cv,
        description=description,
        groups=groups,
        sample_weight=sample_weight,
        fit_params=fit_params,
        X_test=X_test,
        y_test=y_test,
        sampler=sampler,
        llm=llm,
        base_url=base_url,
        n_trials=n_trials,
        timeout=timeout,
        trial_timeout=trial_timeout,
        init=init,
        candidates=candidates,
        schedule=schedule,
        llm_ratio=llm_ratio,
        judge=judge,
        multivariate=multivariate,
        history=history,
        patience=patience,
        pruner=pruner,
        early_stopping_rounds=early_stopping_rounds,
        max_requests=max_requests,
        max_tokens=max_tokens,
        max_cost=max_cost,
        share_columns=share_columns,
        anonymize=anonymize,
        n_jobs=n_jobs,
        permute_scores=permute_scores,
        dynamic_space=dynamic_space,
        seed=drawn,
    )
    own = own_configurations(enqueue)
    if not resume and (study is None or not study.get_trials(deepcopy=False, states=(TrialState.WAITING,))):
        check_start(init, own, warm_start)
    # Before the folder: a replay may read the run that this one is about to replace.
    provider = plan.connect(ask)
    kept = None if folder == "" else _open_folder(plan, name, folder, resume)
    control = control or Control()
    seen_by = tuple(sinks) if kept is None else (*sinks, *onlookers.sinks(control))
    try:
        run = Run(plan, kept, control, seen_by, storage, study, resume, seed is not None)
        return run.execute(
            enqueue=own,
            warm_start=warm_start,
            callbacks=tuple(callbacks),
            executor=executor,
            evaluator=evaluator,
            verify=verify,
            taken=taken,
            provider=provider,
        )
    finally:
        if kept is not None:
            kept.release()


def _open_folder(plan: Plan, name: str | None, root: str | Path | None, resume: bool) -> RunFolder:
    """The run's folder; an unnamed run steps aside for another unnamed one that is going on."""
    for attempt in range(1, 100):
        try:
            return RunFolder.open(
                name or ("run" if attempt == 1 else f"run-{attempt}"), root=root, resume=resume, meta={}
            )
        except RunLockedError:
            if name is not None or resume:
                raise
    raise InputError("too many unnamed runs are going on.", "Give this one a name.")


def plan(estimator: Any = None, X: Any = None, y: Any = None, **arguments: Any) -> Plan:
    """The plan that ``tune`` with these arguments would run: see ``Plan.first_request`` and
    ``Plan.forecast``.

    Raises:
        InputError: As ``tune``.
    """
    own = (
        "executor",
        "evaluator",
        "storage",
        "resume",
        "warm_start",
        "enqueue",
        "verify",
        "study",
        "callbacks",
        "sinks",
        "control",
    )
    rest = {k: v for k, v in arguments.items() if k not in (*own, "folder", "taken", "ask", "seed", "name")}
    return make_plan(
        estimator, X, y, name=arguments.get("name") or "run", seed=int(arguments.get("seed") or 0), **rest
    )

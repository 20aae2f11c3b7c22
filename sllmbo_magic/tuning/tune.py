"""``tune``: one call from an estimator and data, or an objective, to a tuned configuration."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.events import Sink
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options import DEFAULT
from sllmbo_magic.options import explicit
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import closest
from sllmbo_magic.storage.backends import open_storage
from sllmbo_magic.storage.locations import absolute_storage
from sllmbo_magic.storage.locations import noted_storage
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.run_paths import root_path
from sllmbo_magic.storage.shared_journal import use_shared_journal
from sllmbo_magic.storage.storage_problems import storage_errors
from sllmbo_magic.tuning import observers
from sllmbo_magic.tuning.commands import searched_part
from sllmbo_magic.tuning.executors import with_workers
from sllmbo_magic.tuning.first_trials import check_first_trials
from sllmbo_magic.tuning.joining import join_study
from sllmbo_magic.tuning.joining import seed_of_joiner
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.planning import make_plan
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.run import Run
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.settings import check_callbacks
from sllmbo_magic.tuning.settings import check_start
from sllmbo_magic.tuning.settings import own_configurations
from sllmbo_magic.tuning.studies import check_is_study
from sllmbo_magic.tuning.studies import check_users_study
from sllmbo_magic.tuning.studies import directions_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def tune(
    estimator: Any = None,
    X: Any = None,
    y: Any = None,
    *,
    name: str | None = None,
    scoring: Any = DEFAULT.scoring,
    direction: Any = DEFAULT.direction,
    cv: Any = DEFAULT.cv,
    description: str = DEFAULT.description,
    groups: Any = None,
    sample_weight: Any = None,
    fit_params: Mapping[str, Any] | None = None,
    X_test: Any = None,
    y_test: Any = None,
    search_space: Any = None,
    sampler: Any = DEFAULT.sampler,
    llm: Any = DEFAULT.llm,
    base_url: str | None = DEFAULT.base_url,
    n_trials: int = DEFAULT.n_trials,
    timeout: float | None = DEFAULT.timeout,
    trial_timeout: float | None = DEFAULT.trial_timeout,
    init: str = DEFAULT.init,
    candidates: int = DEFAULT.candidates,
    schedule: str = DEFAULT.schedule,
    llm_ratio: float = DEFAULT.llm_ratio,
    judge: bool = DEFAULT.judge,
    multivariate: bool = DEFAULT.multivariate,
    history: str = DEFAULT.history,
    patience: int | str = DEFAULT.patience,
    pruner: Any = DEFAULT.pruner,
    early_stopping_rounds: int | None = DEFAULT.early_stopping_rounds,
    select: str = DEFAULT.select,
    max_output_tokens: int | None = DEFAULT.max_output_tokens,
    llm_timeout: float | None = DEFAULT.llm_timeout,
    max_requests: int | None = DEFAULT.max_requests,
    max_tokens: int | None = DEFAULT.max_tokens,
    max_cost: float | None = DEFAULT.max_cost,
    share_columns: bool = DEFAULT.share_columns,
    anonymize: bool = DEFAULT.anonymize,
    n_jobs: int | None = DEFAULT.n_jobs,
    executor: Executor | str | None = DEFAULT.executor,
    isolate: bool = DEFAULT.isolate,
    devices: Any = DEFAULT.devices,
    evaluator: Evaluator | None = None,
    storage: str | BaseStorage | None = DEFAULT.storage,
    resume: bool = DEFAULT.resume,
    join: bool = DEFAULT.join,
    warm_start: Any = DEFAULT.warm_start,
    seed: int | None = DEFAULT.seed,
    preset: str | None = DEFAULT.preset,
    enqueue: Sequence[Mapping[str, Any]] | Mapping[str, Any] = (),
    dynamic_space: bool = DEFAULT.dynamic_space,
    permute_scores: bool = DEFAULT.permute_scores,
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
    it goes; Ctrl-C ends it after the current fold and returns the result so far.

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
        description: The task in your words, for the LLM.
        groups: One group per row, for grouped folds.
        sample_weight: One weight per row, given to ``fit``.
        fit_params: More arguments of ``fit``.
        X_test: Data kept untouched for the final report; columns of data frames are matched by name.
        y_test: Its target.
        search_space: Dict of Optuna distributions, (low, high[, "log"]) tuples and lists. Default: the ranges
            known for the estimator, or those that the LLM proposes.
        sampler: ``"llm-tpe"`` (default), ``"llm"``, ``"tpe"``, ``"random"``, ``"gp"``, ``"cmaes"``,
            ``"hyperopt"`` or an Optuna sampler.
        llm: ``"rulebook"`` (default: expert rules, no LLM), ``"openai:MODEL"``, ``"anthropic:MODEL"``,
            ``"command:PROGRAM ARGS"``, ``"replay:NAME"``, ..., or a Provider.
        base_url: Address of the provider's server.
        n_trials: Number of trials, default 50. A resumed run counts its earlier trials too.
        timeout: Seconds for all trials. The check on fresh folds may take a tenth of them more; then it ends
            after its current fold (with ``isolate`` at once).
        trial_timeout: Seconds per trial. A trial that takes longer has failed. It is checked between folds
            and at the end. An objective continues in the background, unless ``isolate`` ends it.
        init: ``"llm"`` (default), ``"default"``, ``"random"`` or ``"user"``: where the first configurations
            come from.
        candidates: Configurations per request, default 5.
        schedule: ``"adaptive"`` (default), ``"bernoulli"``, ``"alternate"`` or ``"warmstart"``.
        llm_ratio: The LLM's share of the trials, default 0.5.
        judge: Whether a surrogate model ranks the LLM's candidates, rejects bad ones, and proposes
            configurations of its own where it predicts well, default True.
        multivariate: Whether Optuna's TPE models the parameters jointly, default True. False: each one
            separately, as the paper did.
        history: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``: how the
            trials are shown to the LLM.
        patience: Trials without improvement before the run stops, ``"auto"`` or ``"off"`` (default). With
            several objectives a trial that enters the Pareto front is one; ``"auto"`` is not used.
        pruner: Stops bad trials early: ``"asha"``, ``"folds"``, ``"hyperband"``, ``"median"``,
            ``"wilcoxon"``, ``"none"``, or an Optuna pruner. Default: none; for an ``objective(trial)``
            that calls ``should_prune``, Optuna's median.
        early_stopping_rounds: The number of boosting rounds is not searched: each fold stops after this many
            rounds without a better score. Default: it is searched.
        select: ``"best"`` (default): the configuration with the best score of the search.
            ``"recheck"``: the three best ones are scored again on fresh folds, and the best of these is
            selected.
        max_output_tokens: Maximum number of tokens in a reply, reasoning included. Default: set by the kind
            of request, and raised for reasoning models.
        llm_timeout: Seconds for one request with its retries. Default 120; 300 for a server or program on
            this machine.
        max_requests: Hard limit on requests.
        max_tokens: Hard limit on tokens.
        max_cost: Hard limit in US dollars.
        share_columns: Whether an LLM may see column names.
        anonymize: Whether to leave out what could identify the data set: the description, names of your own
            classes and of columns. Sizes are rounded.
        n_jobs: Cores to use; default all that this process may use. Folds run on threads.
        executor: Evaluates several trials at once; the study is told their results in order.
            ``"threads:4"`` or ``"processes:4"``: four on this machine, ``"threads"`` as many as cores;
            ``"dask://HOST:PORT"``: a cluster; or a ``concurrent.futures.Executor``.
        isolate: Whether each trial is evaluated in its own process. A fit that crashes or hangs then costs
            only that trial, and ``trial_timeout`` can end a running fit.
        devices: Names of devices. Each evaluates one trial at a time. ``trial.user_attrs["device"]`` holds
            the device of a trial; with ``isolate``, ``CUDA_VISIBLE_DEVICES`` is set in its process.
        evaluator: Scores configurations instead of the task's cross-validation or objective (see
            ``sllmbo_magic.evaluation.Evaluator``); the default configuration is ``{}``.
        storage: What ``optuna.create_study`` takes, ``"memory"``, ``"journal:PATH"`` or
            ``"grpc://HOST:PORT"``; default a journal file in the run's folder.
        resume: Continue the stored run of this name.
        join: Work together with other programs on the study of this name; the first one makes it. Each gives
            ``join`` and, on several machines, a ``storage`` that all reach.
        warm_start: Name, path, result or study of an earlier run whose best configurations are tried first.
        seed: Seed of all random numbers. Default: random, and recorded.
        preset: ``"paper"``: the paper's method instead of the defaults.
        enqueue: Configurations to try first, right after the default; the sampler
            chooses the parameters that they leave out.
        dynamic_space: Whether the LLM may change the ranges.
        permute_scores: Show the LLM permuted scores: a control experiment.
        verify: Whether to score default and best again at the end, on fresh folds and on the test data.
        study: An Optuna study to work in, instead of a new one.
        callbacks: Optuna's callbacks.
        sinks: Take the run's events. Without any, warnings and problems with an LLM go to Python's log.
        control: Takes the user's commands during the run.
        folder: Where runs are kept, default ``.sllmbo``; ``""`` keeps nothing on disk.
        taken: The variables that the inputs came from, for the status line.
        ask: For ``llm="manual"``: shows a prompt and returns the pasted answer.

    Returns:
        The result; also after an interrupt, a stop or a time limit.

    Raises:
        InputError: Anything wrong with the input, in one line, before the first fit; or the default
            configuration cannot be fitted.
        RunLockedError, RunChangedError, StorageError: The run's folder cannot be used.
        MissingExtraError: An optional dependency is missing.
    """
    arguments = explicit(locals())
    resume, storage, executor, warm_start, seed, join = _run_options(arguments)
    storage = absolute_storage(storage)
    noted = noted_storage(storage)
    is_seeded = seed is not None
    if not is_seeded:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    plan_arguments = _plan_arguments(arguments)
    if study is not None:
        check_is_study(study)
        use_shared_journal(study._storage)
        if estimator is None or not hasattr(estimator, "fit"):  # an objective
            plan_arguments.setdefault("direction", directions_of(study))
    plan = make_plan(estimator, X, y, **{**plan_arguments, "seed": seed})
    _check_ask(ask, plan)
    plan = with_workers(plan, executor)
    if join:
        with storage_errors():
            study, is_first = join_study(plan, storage, folder, study)
        if not is_first:
            plan = replace(plan, settings=replace(plan.settings, seed=seed_of_joiner(seed)))
        storage, resume = None, False
    configurations = tuple(searched_part(one, plan.unsearched) for one in own_configurations(enqueue))
    checked_callbacks = check_callbacks(callbacks)
    if not resume and (study is None or not study.get_trials(deepcopy=False, states=(TrialState.WAITING,))):
        check_start(plan.settings.init, configurations, warm_start)
    root = _root(folder)
    if not resume or (storage is None and root is not None and not (root / (name or "run")).exists()):
        check_first_trials(plan, configurations, warm_start, root)
    if study is not None:
        with storage_errors():
            check_users_study(study, plan, joins=join)
    # Before the folder: a replay may read the run that this one is about to replace, and a storage that
    # cannot be opened leaves no run behind.
    provider = plan.connect(ask, folder)
    if _has_spare_llm(plan):
        plan, provider = plan.spare_llm(ask, folder)
    with storage_errors():
        storage = None if storage is None else open_storage(storage)
    run_folder = None if folder == "" else _open_folder(plan, name, folder, resume, joins=join)
    control = control or Control()
    all_sinks = tuple(sinks) or (observers.log_problems,)
    if run_folder is not None:
        all_sinks += observers.sinks(control)
    try:
        with storage_errors():
            run = Run(
                plan,
                run_folder,
                control,
                all_sinks,
                storage,
                study,
                resume,
                is_seeded,
                "select" in arguments,
                joins=join,
                noted_storage=noted,
            )
        result = run.execute(
            enqueue=configurations,
            warm_start=warm_start,
            callbacks=checked_callbacks,
            executor=executor,
            evaluator=evaluator,
            verify=verify,
            taken=taken,
            provider=provider,
        )
    finally:
        if run_folder is not None:
            run_folder.release()
    observers.ended(control, result)
    return result


def _check_ask(ask: Any, plan: Plan) -> None:
    """Raise InputError where nobody would call ``ask``."""
    if ask is not None and "manual" not in plan.settings.llm_id:
        raise InputError(
            f"ask is for llm='manual', and llm is {plan.settings.llm_id!r}.", "Leave one of them out."
        )


def _open_folder(
    plan: Plan, name: str | None, root: str | Path | None, resume: bool, *, joins: bool
) -> RunFolder:
    """The run's folder; an unnamed run steps aside for another unnamed one that is going on, and so does one
    that joins.
    """
    first = name or "run"
    for attempt in range(1, 100):
        try:
            free = first if attempt == 1 else f"{first}-{attempt}"
            return RunFolder.open(free, root=root, resume=resume, meta={})
        except RunLockedError:
            if not joins and (name is not None or resume):
                raise
    raise InputError(f"too many runs of the name {first} are going on.", "Give this one another name.")


def plan(estimator: Any = None, X: Any = None, y: Any = None, **arguments: Any) -> Plan:
    """The plan that ``tune`` with these arguments would run: see ``Plan.first_request`` and
    ``tuning.forecast.forecast``. It needs no key; a note says that the run does.

    Raises:
        InputError: As ``tune``.
    """
    parameters = signature(tune).parameters
    for name in arguments:
        if name not in parameters:
            raise InputError(
                f"tune has no argument {name!r}.", f"{closest(name, parameters)}help(tune) shows all of them."
            )
    resume, _, executor, warm_start, seed, _ = _run_options(arguments)
    ask, folder = arguments.get("ask"), arguments.get("folder")
    plan = make_plan(estimator, X, y, **{**_plan_arguments(arguments), "seed": seed or 0})
    _check_ask(ask, plan)
    plan = with_workers(plan, executor)
    given = own_configurations(arguments.get("enqueue", ()))
    configurations = tuple(searched_part(one, plan.unsearched) for one in given)
    check_callbacks(arguments.get("callbacks", ()))
    if not resume:
        check_start(plan.settings.init, configurations, warm_start)
        check_first_trials(plan, configurations, warm_start, _root(folder))
    plan = plan.looked_at(ask, folder)
    return plan.spare_llm(ask, folder)[0] if _has_spare_llm(plan) else plan


def _has_spare_llm(plan: Plan) -> bool:
    """Whether an LLM is given beside a sampler that asks none."""
    return plan.settings.baseline and plan.settings.has_llm and plan.task.directions is None


def _root(folder: str | Path | None) -> Path | None:
    """Where runs are kept; None for a run in memory."""
    return None if folder == "" else root_path(folder)


def _run_options(arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """The options that are neither the task's nor settings, checked: resume, storage, executor, warm start,
    seed, join.
    """
    names = ("resume", "storage", "executor", "warm_start", "seed", "join")
    return tuple(
        check(BY_ARGUMENT[name], arguments.get(name, BY_ARGUMENT[name].default), name) for name in names
    )


def _plan_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that ``make_plan`` takes."""
    names = {*list(signature(make_plan).parameters)[3:], *Settings.names()} - {"settings"}
    values = {name: value for name, value in arguments.items() if name in names}
    return {**values, "name": arguments.get("name") or "run"}

"""``compare``: the same task, searched in several ways with several seeds, to see which way searches better.

All runs see the same data, the same folds and the same default configuration; only what a variant names
differs, and the seed is the same across variants, so that runs are paired.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from sllmbo_magic import attrs
from sllmbo_magic.comparison.arguments import checked_optimum
from sllmbo_magic.comparison.arguments import checked_seeds
from sllmbo_magic.comparison.forecast import forecast_text
from sllmbo_magic.comparison.proof import LLM
from sllmbo_magic.comparison.proof import SEEDS
from sllmbo_magic.comparison.proof import WAYS
from sllmbo_magic.comparison.proof import Proof
from sllmbo_magic.comparison.proof import task_of_seed
from sllmbo_magic.comparison.proof import with_test_scores
from sllmbo_magic.comparison.result import ComparedRun
from sllmbo_magic.comparison.result import Comparison
from sllmbo_magic.comparison.variants import label_of
from sllmbo_magic.comparison.variants import refuse_useless
from sllmbo_magic.comparison.variants import variants_of
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.events import Note
from sllmbo_magic.events import Sink
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options import preset_values
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import type_name
from sllmbo_magic.report.text import one_line
from sllmbo_magic.space.space_version import SpaceVersion
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.task.display_metric import is_negated
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.pruning import PRUNERS
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.run_evaluator import check_settings_for
from sllmbo_magic.tuning.settings import RULEBOOK
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.settings import base_sampler
from sllmbo_magic.tuning.settings import check_callbacks
from sllmbo_magic.tuning.tune import plan as plan_run
from sllmbo_magic.tuning.tune import tune

_log = logging.getLogger(__name__)

_TASK = (
    "scoring",
    "direction",
    "cv",
    "groups",
    "sample_weight",
    "fit_params",
    "X_test",
    "y_test",
    "description",
)
_SET_BY_COMPARE = (
    "control",
    "folder",
    "name",
    "resume",
    "join",
    "seed",
    "select",
    "sinks",
    "storage",
    "study",
    "taken",
    "verify",
)


def compare(
    estimator: Any,
    X: Any = None,
    y: Any = None,
    *,
    samplers: Sequence[str] | None = None,
    ablate: str | None = None,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    permute_scores: bool = False,
    prove: bool = False,
    seeds: int | Iterable[int] | None = None,
    n_trials: int | None = None,
    optimum: float | None = None,
    previous: Comparison | None = None,
    sinks: Sequence[Sink] = (),
    **arguments: Any,
) -> Comparison:
    """Run one task in several ways with several seeds, one run after the other, in memory.

    Runs go seed by seed, so that an interrupt leaves whole pairs: it ends the run in flight, which is
    dropped, and the comparison of the finished runs is returned. So does an error in a run; ``failure`` says
    which run failed and why. Limits such as ``max_cost`` hold per run.

    Args:
        estimator: What ``tune`` takes: estimator, objective or ``Task``; or a ``TuneResult``, whose task,
            search space and options are then used.
        X: Data, for an estimator.
        y: Its target.
        samplers: Samplers to compare, default ``("llm-tpe", "tpe")``; the first is the baseline. With
            ``ablate``: each of them with each variant of it, default ``("llm-tpe",)``.
        ablate: The part of the method to switch, one of ``ABLATIONS`` in
            :mod:`sllmbo_magic.comparison.variants`: ``"init"``, ``"space"``, ``"hybrid"``, ``"history"``,
            ``"judge"``, ``"scores"``, ``"names"`` or ``"pruner"``.
        variants: Instead of both: label to arguments of ``tune``. A ``sampler`` may be a function of the seed
            that makes an Optuna sampler.
        permute_scores: The same as ``ablate="scores"``: does the LLM react to the scores at all? One variant
            is shown them dealt out at random; the judge, which sees the true ones, is off unless given.
        prove: Instead of the others: what the LLM is worth, against the default alone, TPE and the rulebook,
            without names and with permuted scores; also on rows that no search has seen. Returns a ``Proof``.
        seeds: The seeds, or their number (0, 1, ...); default 3, with which no difference can be shown yet,
            and 8 with ``prove``.
        n_trials: Trials per run; default 50, or those of the ``TuneResult``.
        optimum: The best possible value, if known; else regret is counted from the best value found.
        previous: An earlier comparison of the same task with the same variants; its runs are not run again.
        sinks: Take the events of all runs; ``RunStarted.run["name"]`` says which.
        arguments: All other arguments of ``tune``, for all runs: ``llm``, ``scoring``, ``cv``, ...

    Returns:
        The runs: ``print`` it, ``.plot()``, ``.to_dict()``.

    Raises:
        InputError: Anything wrong with the input, in one line, before the first fit.
        Exception: What a run raised, where no run had finished.
    """
    if permute_scores:
        if ablate not in (None, "scores"):
            raise InputError(
                f"permute_scores is an ablation, and {ablate!r} is given, too.", "Give one of them."
            )
        ablate = "scores"
    if prove:
        if samplers is not None or ablate is not None or variants is not None:
            raise InputError("prove compares six ways of its own.", "Leave samplers, ablate, variants out.")
        variants = WAYS
    optimum = checked_optimum(optimum)
    numbers = checked_seeds((SEEDS if prove else 3) if seeds is None else seeds)
    base, task = _task_of(estimator, X, y, arguments)
    if task.objective is None:  # the name of a function says nothing of its sign
        checked_optimum(optimum, task.scorer_name)
    base["n_trials"] = n_trials if n_trials is not None else base.get("n_trials", Settings().n_trials)
    if ablate == "scores" and "judge" not in arguments:
        base["judge"] = False
    not_reserved = {"n_trials"} if prove else set()
    variant_options = variants_of(
        samplers, ablate, variants, {*_SET_BY_COMPARE, *_TASK, "n_trials"} - not_reserved
    )
    variant_options = {label: _with_preset(variant, arguments) for label, variant in variant_options.items()}
    conflict = next(
        (n for variant in variant_options.values() for n in variant if n in arguments and variants is None),
        None,
    )
    if conflict is not None:
        raise InputError(f"{conflict} is given, and the variants set it, too.", "Leave it out.")
    labelled: dict[str, dict[str, Any]] = {}
    plans: list[Plan] = []
    for label, variant in variant_options.items():
        plan = _checked_plan(task, {**base, **variant}, numbers[0])
        plans.append(plan)
        labelled[label_of(label, plan.settings, is_user_label=variants is not None)] = variant
    if len(labelled) < len(variant_options):
        raise InputError("two variants have the same label.", "Give them different names.")
    refuse_useless(ablate, plans)
    comparison = Comparison(
        task=_task_name(task),
        metric=task.scorer_name,
        direction=task.direction,
        n_trials=base["n_trials"],
        variants=labelled,
        seeds=numbers,
        runs=_earlier_runs(previous, task, base, labelled, numbers),
        optimum=optimum,
        notes=_notes(task, labelled, base),
        shared={**task.fingerprint(), **base},
        negated=is_negated(task.scoring),
    )
    if prove:
        comparison = _as_proof(comparison, task, plans)
    _tell(sinks, forecast_text(plans, comparison))
    return _run_all(comparison, task, base, tuple(sinks))


def _as_proof(comparison: Comparison, task: Task, plans: Sequence[Plan]) -> Proof:
    """The comparison of the six ways, checked."""
    settings = plans[list(WAYS).index(LLM)].settings
    if not settings.uses_llm:
        raise InputError(
            "prove needs an LLM; the rulebook is one of the ways it is compared with.",
            "Choose one with llm (--llm), e.g. openai:gpt-4o.",
        )
    for seed in comparison.seeds:
        task_of_seed(task, seed)  # refused now if nothing can be held out
    fields = {name: getattr(comparison, name) for name in Comparison.__dataclass_fields__}
    if task.estimator is None:
        note = "An objective has no rows to hold out: scores are those of the search."
    elif task.X_test is not None:
        note = "Seeds vary the search; untouched rows are X_test and y_test, the same for all."
    else:
        note = "Each seed holds out another quarter of the rows, and searches with folds of the others."
    return Proof(**{**fields, "notes": (note,)}, llm=settings.llm_id)


def _with_preset(variant: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's arguments with those that a preset sets, for all runs or for this one.

    What the caller wrote wins over a preset; a preset wins over the options of an earlier run.
    """
    preset = variant.get("preset", arguments.get("preset"))
    if preset is None:
        return dict(variant)
    check(BY_ARGUMENT["preset"], preset, "preset")
    values = preset_values(preset, variant.get("sampler", arguments.get("sampler", "llm-tpe")))
    return {**{n: v for n, v in values.items() if n not in arguments and n != "n_trials"}, **variant}


def _tell(sinks: Sequence[Sink], text: str) -> None:
    """Say it to the views; as in a run, one that raises ends nothing."""
    for sink in sinks:
        try:
            sink(Note(text=text))
        except Exception:  # noqa: BLE001 - a view must not end a comparison
            _log.exception("a view of the comparison failed")


def _run_all(
    comparison: Comparison, task: Task, base: Mapping[str, Any], sinks: tuple[Sink, ...]
) -> Comparison:
    finished = {(run.variant, run.seed): run for run in comparison.runs}
    proves = isinstance(comparison, Proof)
    run_name = failure = ""
    try:
        for seed in comparison.seeds:
            run_name = f"seed {seed}"
            task_of_run = task_of_seed(task, seed) if proves else task
            for label, variant in comparison.variants.items():
                if (label, seed) in finished:
                    continue
                run_name = f"{label}, seed {seed}"
                result = tune(
                    replace(task_of_run, name=run_name),
                    **_of_seed({**base, **variant}, seed),
                    seed=seed,
                    folder="",
                    verify=False,
                    sinks=sinks,
                )
                if result.status == "interrupted":
                    raise KeyboardInterrupt
                run = ComparedRun.from_result(label, seed, result)
                finished[label, seed] = with_test_scores(run, task_of_run, result) if proves else run
    except KeyboardInterrupt:  # also between two runs: what is finished is returned
        pass
    except Exception as error:  # whatever it is: the finished runs took time and money
        if len(finished) == len(comparison.runs):
            raise
        if not isinstance(error, SllmboError):
            _log.exception("a run of the comparison failed")
        failure = _failure_text(run_name, error)
        _tell(sinks, failure)
    plans_in_order = [
        finished[label, s]
        for s in comparison.seeds
        for label in comparison.variants
        if (label, s) in finished
    ]
    return replace(comparison, runs=tuple(plans_in_order), failure=failure)


def _failure_text(run_name: str, error: Exception) -> str:
    cause = one_line(str(error) if isinstance(error, SllmboError) else error_text(error), 500).rstrip(".")
    return (
        f"The run {run_name} failed: {cause}. The comparison ended there;"
        " compare(..., previous=...) goes on from its finished runs."
    )


# What is compared


def _task_of(target: Any, X: Any, y: Any, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Task]:
    """The arguments that all runs share, and the task, checked and with frozen folds."""
    parameters = inspect.signature(tune).parameters
    for name in arguments:
        if name in _SET_BY_COMPARE:
            if name == "select":
                raise InputError("compare has no select: it compares best scores.", "Leave it out.")
            raise InputError(f"compare sets {name!r} itself.", "Leave it out; runs are kept in memory.")
        if name not in parameters:
            close = difflib.get_close_matches(
                name, [*parameters, "samplers", "ablate", "variants", "seeds"], n=1
            )
            hint = f"Did you mean {close[0]!r}?" if close else "It takes all arguments of tune."
            raise InputError(f"compare has no argument {name!r}.", hint)
    options = dict(arguments)
    if isinstance(target, TuneResult):
        options = {**_options_of(target), **options}
        target = target._task
    task_arguments = {name: options.pop(name) for name in _TASK if name in options}
    if isinstance(target, Task):
        if task_arguments or X is not None:
            raise InputError(
                f"the task is given already, so {next(iter(task_arguments), 'X')!r} has no place.",
                "Leave it out.",
            )
        task = target
    else:
        task = plan_run(target, X, y, search_space=options.get("search_space"), **task_arguments).task
    if task.directions is not None:
        raise InputError("compare takes one objective, not several.", "Return one of the values.")
    return options, task


def _options_of(result: TuneResult) -> dict[str, Any]:
    """The options of an earlier run, as far as its folder holds them, and the user's own search space."""
    if result._task is None:
        raise InputError(
            f"the data of run {result.name!r} is not in this session.", "Run its cell again, then compare."
        )
    options: dict[str, Any] = {}
    if result.path is not None and (result.path / "run.json").exists():
        stored = RunFolder(result.path).read_meta().get("options") or {}
        left_out = ["seed", "sampler", "patience", "permute_scores"]
        if stored.get("pruner") not in PRUNERS:  # the name of an object's class
            left_out.append("pruner")
        options = {
            k: v for k, v in stored.items() if k in Settings.__dataclass_fields__ and k not in left_out
        }
    else:
        options["n_trials"] = result._run.get("n_trials", Settings().n_trials)
        options["llm"] = result._run.get("llm", "rulebook")
    versions = result.study.user_attrs.get(attrs.SPACE_VERSIONS) or []
    if versions and versions[0].get("by") == "user":
        options["search_space"] = SpaceVersion.from_json(versions[0]).space
    return options


def _checked_plan(task: Task, arguments: dict[str, Any], seed: int) -> Plan:
    """The plan of a run; whatever is wrong with a variant is an error here, before the first fit."""
    plan = plan_run(task, **_of_seed(arguments, seed))
    base_sampler(plan.settings)
    check_callbacks(arguments.get("callbacks", ()))
    if arguments.get("evaluator") is not None:
        check_settings_for(arguments["evaluator"], plan.settings)
    plan.connect(arguments.get("ask"), "")  # is there a key, and with a limit on money a price
    return plan


def _of_seed(arguments: dict[str, Any], seed: int) -> dict[str, Any]:
    """The arguments of one run: objects of its own, so that no run learns from another."""
    if arguments.get("llm") in RULEBOOK:  # a variant without the LLM that would call it
        arguments = {name: value for name, value in arguments.items() if name != "ask"}
    sampler = arguments.get("sampler")
    if isinstance(arguments.get("pruner"), BasePruner):
        arguments = {**arguments, "pruner": copy.deepcopy(arguments["pruner"])}
    if isinstance(sampler, BaseSampler):
        return {**arguments, "sampler": copy.deepcopy(sampler)}
    if callable(sampler):
        make: Callable[[int], Any] = sampler
        return {**arguments, "sampler": make(seed)}
    return arguments


def _earlier_runs(
    previous: Comparison | None,
    task: Task,
    base: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
) -> tuple[ComparedRun, ...]:
    if previous is None:
        return ()
    if not isinstance(previous, Comparison):
        raise InputError(f"previous is {type_name(previous)}.", "Allowed: what compare has returned.")
    if previous.shared != {**task.fingerprint(), **base}:
        raise InputError("previous is a comparison of another task or with other options.", "Leave it out.")
    return tuple(
        run
        for run in previous.runs
        if run.seed in seeds and variants.get(run.variant) == previous.variants[run.variant]
    )


def _task_name(task: Task) -> str:
    return task.scorer_name if task.estimator is None else type(task.estimator).__name__


def _notes(task: Task, variants: Mapping[str, Mapping[str, Any]], base: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    if task.estimator is not None:
        notes.append(
            "Seeds vary the search; all runs share the folds. This shows which search finds a better "
            "cross-validated score on these data, not which model does better on new ones."
        )
    fixed = [
        v for v, variant in variants.items() if isinstance({**base, **variant}.get("sampler"), BaseSampler)
    ]
    if fixed:
        notes.append(
            f"{', '.join(fixed)}: the sampler object keeps its own random state, which seeds do not vary; "
            "a function of the seed would."
        )
    return tuple(notes)

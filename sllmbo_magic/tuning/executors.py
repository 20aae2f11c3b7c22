"""What evaluates several trials at once: our threads or processes, the user's executor, a Dask cluster."""

from __future__ import annotations

import re
from concurrent.futures import Executor
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.evaluation.threads import cores
from sllmbo_magic.tuning.dask_executor import DaskExecutor
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.sent_evaluator import pickled
from sllmbo_magic.tuning.settings import Settings

ALLOWED = "Allowed: threads:N, processes:N, dask://HOST:PORT, or an Executor object."


@dataclass(frozen=True)
class Pool:
    """An executor that takes trials.

    Attributes:
        executor: None: trials run in the thread of the run, one at a time.
        at_once: Trials that it runs at once.
        is_owned: Whether the run has made it and shuts it down.
    """

    executor: Executor | None = None
    at_once: int = 1
    is_owned: bool = False

    @property
    def is_in_process(self) -> bool:
        """Whether its trials share the memory and the cores of this process."""
        return isinstance(self.executor, ThreadPoolExecutor)


def with_workers(plan: Plan, executor: Executor | str | None) -> Plan:
    """The plan of a run on an executor: ``"processes:N"`` isolates its trials.

    Raises:
        InputError: The executor is not known, or does not go together with isolate or devices.
    """
    settings = plan.settings
    kind = _kind(executor)
    if settings.isolate and (
        kind == "dask" or (kind == "object" and not isinstance(executor, ThreadPoolExecutor))
    ):
        raise InputError(
            "isolate has no effect on an executor whose trials run in other processes.",
            "Leave isolate or executor out, or use a ThreadPoolExecutor: its trials then get a process each.",
        )
    if settings.devices is not None:
        if kind is not None:
            raise InputError(
                "devices and executor both say how many trials run at once.",
                "Leave executor out: one trial runs on each device.",
            )
        if not settings.isolate and not plan.task.objective_takes_trial:
            raise InputError(
                "devices are for objective(trial), which reads its own, and for isolated trials.",
                "Add isolate, or write objective(trial) and read trial.user_attrs['device'].",
            )
    return replace(plan, settings=replace(settings, isolate=True)) if kind == "processes" else plan


def pool_of(executor: Executor | str | None, settings: Settings) -> Pool:
    """The pool for an executor that :func:`with_workers` has checked, or one thread for each device."""
    if settings.devices:
        return _threads(len(settings.devices))
    if executor is None:
        return Pool()
    if not isinstance(executor, str):
        workers = getattr(executor, "_max_workers", None) or getattr(executor, "max_workers", None) or 2
        return Pool(executor, int(workers))
    kind, where = _parsed(executor)
    if kind == "dask":
        cluster = DaskExecutor(where)
        return Pool(cluster, cluster.n_slots, is_owned=True)
    return _threads(int(where) if where else cores())


def checked_pool(executor: Executor | str | None, plan: Plan, evaluator: Evaluator | None) -> Pool:
    """The pool of a run, checked to take what its trials need.

    Args:
        executor: As :func:`pool_of` has it.
        plan: Of the run.
        evaluator: One of the caller's; None where the run makes its own from the task.

    Raises:
        InputError: Something cannot be sent to the pool's processes.
    """
    pool = pool_of(executor, plan.settings)
    parts = (plan.task.objective, plan.task.estimator, plan.task.scoring)
    choices = [choice for labels in plan.objects.values() for choice in labels.values()]
    check_sendable(pool.executor, *(parts if evaluator is None else (evaluator,)), *choices)
    return pool


def check_sendable(executor: Executor | None, *parts: Any) -> None:
    """Check that what a trial needs can be sent to the processes of an executor.

    Args:
        parts: The objective, or estimator and metric, or an evaluator.

    Raises:
        InputError: One cannot be pickled.
    """
    if not _has_processes(executor):
        return
    for part in parts:
        try:
            pickled(part)
        except Exception as error:  # noqa: BLE001 - __reduce__ and __getstate__ may raise anything
            name = getattr(part, "__name__", type(part).__name__)
            raise InputError(
                f"{name} cannot be sent to the processes of the executor ({error_text(error)}).",
                "Leave out what cannot be pickled (open files, connections, locks; also variables that a "
                "function uses), or use a ThreadPoolExecutor.",
            ) from None


def _kind(executor: Executor | str | None) -> str | None:
    """``"threads"``, ``"processes"``, ``"dask"``, ``"object"`` or None."""
    if executor is None:
        return None
    _check_executor(executor)
    return _parsed(executor)[0] if isinstance(executor, str) else "object"


def _has_processes(executor: Executor | None) -> bool:
    """Whether it is a pool of processes, as far as that is known: the standard library's or one of loky's."""
    modules = [cls.__module__ for cls in type(executor).__mro__]
    return isinstance(executor, ProcessPoolExecutor) or any(
        "loky.process_executor" in name for name in modules
    )


def _check_executor(executor: Any) -> None:
    """A text, or an object that takes calls.

    Raises:
        InputError: It is a class, or has no submit.
    """
    if isinstance(executor, type):
        raise InputError(
            f"executor is the class {executor.__name__}, not an object of it.",
            f"Write executor={executor.__name__}(2), with the number of trials at once.",
        )
    if not isinstance(executor, str) and not callable(getattr(executor, "submit", None)):
        raise InputError(f"executor is of type {type(executor).__name__}, which has no submit.", ALLOWED)


def _threads(n: int) -> Pool:
    return Pool(ThreadPoolExecutor(n, "sllmbo-trial"), n, is_owned=True)


def _parsed(executor: str) -> tuple[str, str]:
    """``("dask", address)``, or ``"threads"`` or ``"processes"`` with their number, ``""`` for all cores.

    Raises:
        InputError: It is none of these.
    """
    if found := re.fullmatch(r"dask://(.+)", executor.strip()):
        return "dask", found[1]
    found = re.fullmatch(r"(threads|processes)(?::(-1|[1-9]\d*))?", executor.strip())
    if found is None:
        raise InputError(f"executor {executor!r} is not known.", ALLOWED)
    number = found[2] or ""
    return found[1], "" if number == "-1" else number

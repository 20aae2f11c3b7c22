"""What a run needs of the process around it: executor, Ctrl-C, early imports."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Sequence
from concurrent.futures import Executor
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic._utils.interrupts import on_interrupt
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.tuning.dask_executor import DaskExecutor

if TYPE_CHECKING:
    from sllmbo_magic.llm.base import BaseProvider
    from sllmbo_magic.task.task import Task
    from sllmbo_magic.tuning.settings import Settings


def warm_up(provider: BaseProvider | None) -> None:
    """Imports of a second or two, made while the default is evaluated."""
    with contextlib.suppress(Exception):  # whatever it is, it comes again where it is needed
        if provider is not None:
            provider.warm_up()
        import_module("sklearn.gaussian_process")


def check_workers(task: Task, settings: Settings, executor: Executor | str | None) -> None:
    """Raises InputError when isolate, devices and executor do not go together."""
    if settings.isolate and executor is not None and not isinstance(executor, ThreadPoolExecutor):
        raise InputError(
            "isolate has no effect on an executor whose trials run in other processes.",
            "Leave isolate or executor out, or use a ThreadPoolExecutor: its trials then get a process each.",
        )
    if settings.devices is None:
        return
    if executor is not None:
        raise InputError(
            "devices and executor both say how many trials run at once.",
            "Leave executor out: one trial runs on each device.",
        )
    if not settings.isolate and not task.objective_takes_trial:
        raise InputError(
            "devices are for objective(trial), which reads its own, and for isolated trials.",
            "Add isolate, or write objective(trial) and read trial.user_attrs['device'].",
        )


def executor_of(
    executor: Executor | str | None, devices: Sequence[str] | None = None
) -> tuple[Executor | None, int, bool]:
    """The pool, how many trials it takes at once, and whether it is ours to shut down."""
    if devices:
        return ThreadPoolExecutor(len(devices), "sllmbo-trial"), len(devices), True
    if executor is None:
        return None, 1, False
    if isinstance(executor, str):
        if not executor.startswith("dask://"):
            raise InputError(
                f"executor {executor!r} is not known.", "Allowed: dask://HOST:PORT, or an Executor object."
            )
        cluster = DaskExecutor(executor.removeprefix("dask://"))
        return cluster, cluster.n_slots, True
    workers = getattr(executor, "_max_workers", None) or 2
    return executor, int(workers), False


def check_sendable(executor: Executor | None, *parts: Any) -> None:
    """Check that what a trial needs can be sent to the processes of an executor.

    Args:
        parts: The objective, or estimator and metric, or an evaluator.

    Raises:
        InputError: One cannot be pickled.
    """
    if not isinstance(executor, ProcessPoolExecutor):
        return
    for part in parts:
        try:
            pickle.dumps(part)
        except Exception as error:  # noqa: BLE001 - __reduce__ and __getstate__ may raise anything
            name = getattr(part, "__name__", type(part).__name__)
            raise InputError(
                f"{name} cannot be sent to the processes of the executor ({error_text(error)}).",
                "Define it with def at the top of a module or of the notebook, or use a ThreadPoolExecutor.",
            ) from None


def interrupts(control: Control) -> AbstractContextManager[None]:
    """Ctrl-C in the main thread stops the run; a second one abandons the fold in flight,
    a third one raises.
    """

    def handle(number: int, frame: Any) -> None:
        if control.abandoning:
            raise KeyboardInterrupt
        control.interrupt()

    return on_interrupt(handle)

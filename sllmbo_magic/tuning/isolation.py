"""Isolated trials: each is evaluated in a child process, so that a fit that crashes, hangs or is killed costs
one trial and nothing else.

The processes are loky's. One of them serves one trial at a time and is used again; it gets the evaluator, and
with it the data, once. A process that died, or that was ended because its trial took too long, is replaced.
What an evaluation asks of the run on its way (whether to stop, what the trial's parameters are, whether to
prune) goes through a pipe and is answered in the thread that waits for the evaluation, so that study, sampler
and storage stay in the process of the run.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sllmbo_magic._utils.interrupts import held_interrupts
from sllmbo_magic._utils.interrupts import ignore_interrupts
from sllmbo_magic._utils.orphans import end_with_parent
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.base import timeout_text
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.tuning.devices import DEVICE
from sllmbo_magic.tuning.devices import environment_of
from sllmbo_magic.tuning.remote_trial import RemoteTrial
from sllmbo_magic.tuning.remote_trial import carry_out
from sllmbo_magic.tuning.sent_evaluator import arrived
from sllmbo_magic.tuning.sent_evaluator import pickled

_POLL_SECONDS = 0.05


class IsolatedEvaluator:
    """Evaluates each configuration in a child process. Calls from several threads have a process each.

    Args:
        evaluator: Scores configurations in the child process; it is sent there once.
        device: Of evaluations without a trial; None: no limit.
        spare: Gives processes, and takes those that are left at the end; None: they are ended.

    Raises:
        InputError: The evaluator cannot be sent to a process.
    """

    def __init__(
        self, evaluator: Evaluator, device: str | None = None, spare: SpareProcesses | None = None
    ) -> None:
        _check_sendable(evaluator)
        self._evaluator = evaluator
        self._device = device
        self._spare = spare
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._busy: list[_Child] = []

    def evaluate(
        self,
        params: Mapping[str, Any],
        *,
        trial: Any = None,
        should_stop: Callable[[], bool] = never,
        should_abandon: Callable[[], bool] = never,
        on_fold: Callable[[int, int, float], None] | None = None,
        timeout: float | None = None,
    ) -> Evaluation:
        """See :class:`~sllmbo_magic.evaluation.base.Evaluator`; the timeout ends a fit in flight, and so does
        ``should_abandon``.
        """
        device = self._device if trial is None else trial.user_attrs.get(DEVICE)
        child = self._child(device)
        reusable = False
        try:
            call = _Call(child, should_stop, on_fold, trial)
            evaluation = call.run(dict(params), should_abandon, timeout)
            # a fit that was not waited for may still go on there
            reusable = child.alive and evaluation.error != "timeout"
            return evaluation
        finally:
            self._put_back(child, reusable=reusable)

    def close(self) -> None:
        """End all child processes, but for spare ones; the next evaluation starts new ones."""
        with self._lock:
            idle, busy, self._idle, self._busy = self._idle, self._busy, [], []
        if self._spare is not None:
            self._spare.put(idle)
            idle = []
        for child in [*idle, *busy]:
            child.kill()
        self._evaluator.close()

    def _child(self, device: str | None) -> _Child:
        with self._lock:
            child = next((one for one in self._idle if one.device == device), None)
            if child is not None:
                self._idle.remove(child)
            else:
                spare = None if self._spare is None else self._spare.take(self._evaluator, device)
                child = spare or _Child(self._evaluator, device)
            self._busy.append(child)
        return child

    def _put_back(self, child: _Child, *, reusable: bool) -> None:
        with self._lock:
            if child in self._busy:
                self._busy.remove(child)
                if reusable:
                    self._idle.append(child)
                    return
        child.kill()


class SpareProcesses:
    """What one evaluator leaves to the next: a process takes seconds to start, for what it imports.

    They are ended at the end of the ``with`` block.
    """

    def __init__(self) -> None:
        self._children: list[_Child] = []

    def __enter__(self) -> SpareProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()

    def put(self, children: Sequence[_Child]) -> None:
        """Keep processes that have nothing to do."""
        self._children.extend(children)

    def take(self, evaluator: Evaluator, device: str | None) -> _Child | None:
        """A process that sees the device, for this evaluator; None when there is none."""
        child = next((one for one in self._children if one.device == device), None)
        if child is not None:
            self._children.remove(child)
            child.to_send = _Sent(evaluator)
        return child


class _Child:
    """A process of loky's, and this end of the pipe to it."""

    def __init__(self, evaluator: Evaluator, device: str | None) -> None:
        from joblib.externals.loky import ProcessPoolExecutor
        from joblib.externals.loky.backend import get_context

        self.device = device
        context = get_context("loky")
        self.pipe, other_end = context.Pipe()
        self._pool = ProcessPoolExecutor(
            max_workers=1,
            context=context,
            initializer=_begin_process,
            initargs=(_Sent(evaluator), other_end, os.getpid()),
            env=environment_of(device),
        )
        self.alive = True
        self.to_send: _Sent | None = None
        """Another evaluator than the one that it began with; it goes along with the next call."""

    def submit(self, params: dict[str, Any], trial: _Described | None, timeout: float | None) -> Future[Any]:
        sent, self.to_send = self.to_send, None
        with held_interrupts():  # the first call starts the process
            future: Future[Any] = self._pool.submit(_evaluate, params, trial, timeout, sent)
        return future

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self.alive = False
        self._pool.shutdown(wait=False, kill_workers=True)


class _Sent:
    """An evaluator on its way to a child process. Its pickle, which holds the data, is not kept."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def __reduce__(self) -> tuple[Callable[[bytes], Evaluator], tuple[bytes]]:
        return arrived, (pickled(self._evaluator),)


class _Call:
    """One evaluation, seen from the process of the run."""

    def __init__(
        self,
        child: _Child,
        should_stop: Callable[[], bool],
        on_fold: Callable[[int, int, float], None] | None,
        trial: Any,
    ) -> None:
        self._child = child
        self._trial = trial
        self._should_stop = should_stop
        self._on_fold = on_fold
        self._began: float | None = None

    def run(
        self, params: dict[str, Any], should_abandon: Callable[[], bool], timeout: float | None
    ) -> Evaluation:
        started, n_killed = time.monotonic(), _killed_for_memory()
        try:
            future = self._child.submit(params, _described(self._trial), timeout)
            while not future.done():
                if self._child.pipe.poll(_POLL_SECONDS):
                    self._answer()
                if should_abandon():
                    self._child.kill()
                    return Evaluation(None, seconds=_since(started), error="stopped", stopped=True)
                self._should_stop()  # commands of other processes are looked at while a fit goes on
                if timeout is not None and self._began is not None and _since(self._began) >= timeout:
                    self._child.kill()
                    seconds = _since(started)
                    return Evaluation(None, seconds=seconds, error="timeout", cause=timeout_text(timeout))
            evaluation: Evaluation = future.result()
            return evaluation
        except Exception as error:  # noqa: BLE001 - the process died, or what it returned cannot be sent
            self._child.kill()
            if self._began is None and isinstance(error, BrokenExecutor) and self._should_stop():
                # what stopped the run has reached the process while it started, before it could ignore that
                return Evaluation(None, seconds=_since(started), error="stopped", stopped=True)
            return died(error, _since(started), out_of_memory=_killed_for_memory() > n_killed)

    def _answer(self) -> None:
        """Carry out what the child process asks for, and send the result."""
        try:
            name, args, options = self._child.pipe.recv()
        except (EOFError, OSError):  # it died; the future has the error
            time.sleep(_POLL_SECONDS)
            return
        try:
            answer: tuple[bool, Any] = True, self._carry_out(name, args, options)
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            answer = False, error
        try:
            self._child.pipe.send(answer)
        except OSError:
            return

    def _carry_out(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if name == _BEGIN:
            self._began = time.monotonic()
        elif name == _STOP:
            return self._should_stop()
        elif name == _FOLD:
            if self._on_fold is not None:
                self._on_fold(*args)
        else:
            return carry_out(self._trial, name, args, options)
        return None


def died(error: Exception, seconds: float, *, out_of_memory: bool) -> Evaluation:
    """The failure of a trial whose process ended before its result came."""
    if not isinstance(error, BrokenExecutor):
        cause = f"the result could not be sent back: {error_text(error)}"
        name = type(error).__name__
        return Evaluation(
            None, seconds=seconds, error="executor-failed", error_class=name, cause=cause, exception=error
        )
    ended = re.search(r"exit codes of the workers are \{(\w+)\((-?\d+)\)", str(error))
    if out_of_memory:
        return Evaluation(
            None,
            seconds=seconds,
            error="out-of-memory",
            cause="the system killed the process of the trial, because memory ran out",
        )
    how = "" if ended is None else f" ({ended[1]})" if int(ended[2]) < 0 else f" (exit code {ended[2]})"
    verb = "was killed" if ended is not None and ended[1] in ("SIGKILL", "SIGTERM") else "crashed"
    return Evaluation(
        None, seconds=seconds, error="process-died", cause=f"the process of the trial {verb}{how}"
    )


def _killed_for_memory() -> int:
    """Processes that Linux has killed since the machine started because memory ran out; elsewhere 0."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _since(started: float) -> float:
    return time.monotonic() - started


def _check_sendable(evaluator: Evaluator) -> None:
    from joblib.externals.loky.backend.reduction import dump

    try:
        dump(evaluator, _Nowhere())
    except Exception as error:  # noqa: BLE001 - __reduce__ and __getstate__ may raise anything
        task = getattr(evaluator, "task", None)
        target = getattr(task, "objective", None) or getattr(task, "estimator", None) or evaluator
        name = getattr(target, "__name__", type(target).__name__)
        raise InputError(
            f"{name} cannot be sent to the process of an isolated trial ({error_text(error)}).",
            "Leave out what cannot be pickled (open files, connections, locks), or leave isolate out.",
        ) from None


class _Nowhere:
    """A file that keeps nothing: what is sent may be large."""

    def write(self, data: Any) -> int:
        return len(data)


# In the child process

_BEGIN, _STOP, _FOLD = "begin", "should_stop", "on_fold"

_process: dict[str, Any] = {}
"""The evaluator of this process, its end of the pipe, and the lock of the pipe."""


class _Described:
    """What is sent of a trial: its number; the rest is asked for."""

    def __init__(self, number: int) -> None:
        self.number = number


def _described(trial: Any) -> _Described | None:
    return None if trial is None else _Described(trial.number)


class _Pipe:
    """The pipe of this process, which serves one trial at a time."""

    def ask(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return _ask(name, *args, **options)


def _begin_process(evaluator: Evaluator, pipe: Connection, parent: int) -> None:
    ignore_interrupts()
    end_with_parent(parent)
    _process.update(evaluator=evaluator, pipe=pipe, lock=threading.Lock())


def _evaluate(
    params: dict[str, Any], described: _Described | None, timeout: float | None, other: Evaluator | None
) -> Evaluation:
    if other is not None:
        _process["evaluator"].close()
        _process["evaluator"] = other
    _ask(_BEGIN)
    evaluator: Evaluator = _process["evaluator"]
    return evaluator.evaluate(
        params,
        trial=None if described is None else RemoteTrial(described.number, _Pipe()),
        should_stop=lambda: bool(_ask(_STOP)),
        on_fold=lambda *fold: _ask(_FOLD, *fold),
        timeout=timeout,
    )


def _ask(name: str, *args: Any, **options: Any) -> Any:
    with _process["lock"]:
        _process["pipe"].send((name, args, options))
        is_done, answer = _process["pipe"].recv()
    if not is_done:
        raise answer
    return answer

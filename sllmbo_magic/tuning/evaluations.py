"""Evaluations of trials: one at a time in this thread, or several at once on an executor.

Both take the same limits: a trial ends after its time limit, and with the run, at its next fold. On an
executor whose workers are other processes these limits travel with the trial.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from concurrent.futures import CancelledError
from concurrent.futures import Executor
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait
from queue import SimpleQueue
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.tuning.devices import DEVICE
from sllmbo_magic.tuning.devices import free_device
from sllmbo_magic.tuning.local_channel import LocalChannel
from sllmbo_magic.tuning.remote_trial import SentTrial
from sllmbo_magic.tuning.remote_trial import carry_out
from sllmbo_magic.tuning.running_trial import RunningTrial
from sllmbo_magic.tuning.stop_signal import STOP
from sllmbo_magic.tuning.stop_signal import StopSignal

_POLL_SECONDS = 0.2
_BROKEN_SECONDS = 2.0
_INTERRUPT_SECONDS = 0.5
"""For which a broken executor may be the first sign of an interrupt, which also reaches its workers."""
_PROBLEM_SECONDS = 2.0
"""How often an executor is asked whether it can run trials."""


class ExecutorError(Exception):
    """The executor takes no more trials; those in flight were cut off. The message says why."""


class Evaluations:
    """Runs trials and gives back their outcomes, oldest first.

    Args:
        evaluator: Scores configurations.
        control: Says whether folds in flight are still waited for.
        should_stop: Whether trials should end at their next fold; asked from any thread.
        poll: Called in this thread while it waits, and between folds.
        on_fold: Called in this thread with trial number, fold, number of folds and score, of trials in this
            process.
        executor: Takes the trials; None: this thread.
        parallel: Trials at once with an executor.
        trial_timeout: Seconds per trial; None: no limit.
        timeout: Seconds until the run ends; None: no limit.
        reporting: Whether trials report to a pruner.
        devices: One of them for each trial in flight; none: trials have no device.
        on_problem: Called with a sentence when an executor (one with a method ``problem``) can run no trial
            just now, once until it can again.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        control: Control,
        should_stop: Callable[[], bool],
        poll: Callable[[], None],
        on_fold: Callable[[int, int, int, float], None],
        *,
        executor: Executor | None = None,
        parallel: int = 1,
        trial_timeout: float | None = None,
        timeout: float | None = None,
        reporting: bool = False,
        devices: Sequence[str] = (),
        on_problem: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._evaluator = evaluator
        self._control = control
        self._should_stop = should_stop
        self._poll = poll
        self._on_fold = on_fold
        self._executor = executor
        self._parallel = parallel if executor is not None else 1
        self._trial_timeout = trial_timeout
        self._reporting = reporting
        self._devices = devices
        self._on_problem = on_problem
        self.broken: str | None = None
        """Why the executor takes no more trials, where the trial that broke it was given back."""
        self._is_broken = False
        self._refused: list[RunningTrial] = []
        """The trial that the executor did not take."""
        self._problem = ""
        self._next_problem = 0.0
        make_channel = getattr(executor, "channel", LocalChannel)
        self._channel: Any = None if executor is None else make_channel(self._answer)
        self._signal = StopSignal(should_stop, timeout, self._channel)
        self._in_flight: deque[tuple[RunningTrial, Future[Evaluation]]] = deque()
        self._left: list[Future[Evaluation]] = []
        """Of trials that were left to themselves."""
        self._folds: SimpleQueue[tuple[int, int, int, float]] = SimpleQueue()
        """Folds of trials in other threads that have ended, as ``on_fold`` takes them."""

    def __len__(self) -> int:
        """Trials in flight, those whose outcome was not taken yet included."""
        return len(self._in_flight)

    @property
    def full(self) -> bool:
        """Whether an outcome has to be taken before another trial can start."""
        return len(self._in_flight) >= self._parallel

    def start(self, trial: RunningTrial) -> None:
        """Evaluate a trial; without an executor its outcome is there when this returns.

        Raises:
            ExecutorError: The executor does not take it; :meth:`abandon` gives it back.
            InputError: It is no executor, or cannot be given the evaluator.
        """
        if self._devices:
            used = [running.trial.user_attrs.get(DEVICE) for running, _ in self._in_flight]
            trial.trial.set_user_attr(DEVICE, free_device(self._devices, used))
        future: Future[Evaluation] = Future()
        self._in_flight.append((trial, future))
        if self._executor is None:
            future.set_result(self._evaluate(trial))
            return
        options: dict[str, Any] = {"should_stop": self._signal, "timeout": self._trial_timeout}
        in_threads = isinstance(self._executor, ThreadPoolExecutor)
        if in_threads:
            options["should_abandon"] = lambda: self._control.abandoning
            options["on_fold"] = lambda *fold: self._folds.put((trial.number, *fold))
        if self._needs_trial(trial):
            options["trial"] = trial.trial if in_threads else SentTrial(trial.trial, self._channel)
        try:
            future = self._executor.submit(self._evaluator.evaluate, trial.set_params, **options)
        except SllmboError:
            raise
        except Exception as error:  # broken, shut down by its owner, or behind a network: any kind is raised
            self._refused = [self._in_flight.pop()[0]]
            self._is_broken = isinstance(error, BrokenExecutor)
            raise ExecutorError(error_text(error)) from error
        if not isinstance(future, Future):
            raise InputError(
                f"submit of the executor ({type(self._executor).__name__}) returned an object of type"
                f" {type(future).__name__}.",
                "It must return a concurrent.futures.Future.",
            )
        self._in_flight[-1] = (trial, future)

    def next(self) -> tuple[RunningTrial, Evaluation]:
        """Wait for the oldest trial in flight.

        Raises:
            ExecutorError: Its executor broke, or an interrupt broke it; the trial still counts as in flight.
        """
        trial, future = self._in_flight[0]
        while not future.done():
            self._poll()
            if self._should_stop():
                self._signal.set()
            if self._control.abandoning or (self._has_problem() and self._should_stop()):
                break
            wait([future], timeout=_POLL_SECONDS)
            self._show_folds()
        self._show_folds()
        try:
            evaluation = self._outcome(future)
        except ExecutorError as error:
            if self.is_interrupted or sum(_is_cut(one) for _, one in self._in_flight) > 1:
                raise  # which of them broke it is not known
            self.broken = str(error)
            cause = f"the executor broke while it evaluated this trial alone: {error}"
            evaluation = Evaluation(None, error="process-died", cause=cause)
        self._in_flight.popleft()
        self._leave(future)
        return trial, evaluation

    @property
    def is_interrupted(self) -> bool:
        """Whether the user ends the run, asked when the executor broke: Ctrl-C goes to all processes of a
        terminal or kernel, and may come here a moment later.
        """
        if not self._control.stopping:
            self._control.wait(_INTERRUPT_SECONDS)
        return self._control.stopping

    @property
    def has_ended(self) -> bool:
        """Whether the oldest trial in flight has ended, as each has that a broken executor had."""
        if not self._in_flight:
            return False
        _, future = self._in_flight[0]
        if self._is_broken:  # it refuses trials a moment before it says so to those that it has
            wait([future], timeout=_BROKEN_SECONDS)
        return future.done()

    def _show_folds(self) -> None:
        while not self._folds.empty():
            self._on_fold(*self._folds.get())

    def _has_problem(self) -> bool:
        """Whether the executor can run no trial just now, as it said when it was asked last."""
        ask = getattr(self._executor, "problem", None)
        if ask is not None and time.monotonic() >= self._next_problem:
            self._next_problem = time.monotonic() + _PROBLEM_SECONDS
            before, self._problem = self._problem, ask()
            if self._problem and not before:
                self._on_problem(self._problem)
        return bool(self._problem)

    def abandon(self) -> list[RunningTrial]:
        """Leave the trials in flight to themselves; returns them, oldest first."""
        self._signal.set()
        trials = [trial for trial, _ in self._in_flight] + self._refused
        for _, future in self._in_flight:
            with contextlib.suppress(Exception):  # the connection to the executor may be lost
                future.cancel()
            self._leave(future)
        self._in_flight.clear()
        self._refused = []
        return trials

    def close(self) -> None:
        """Nothing is in flight any more, and nothing will be; trials that were left look for the signal."""

        def close_signal(future: object = None) -> None:
            if all(one.done() for one in self._left):
                self._signal.close()

        close_signal()
        for future in self._left:
            future.add_done_callback(close_signal)
        if self._channel is not None:
            self._channel.close()

    def _leave(self, future: Future[Evaluation]) -> None:
        """Go on without the outcome of a trial, if it has not ended."""
        if not future.done():
            self._left.append(future)

    def _answer(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Carry out what a trial in another process asks for."""
        if name == STOP:
            return self._should_stop()
        trial = next(
            (running.trial for running, _ in list(self._in_flight) if running.number == number), None
        )
        if trial is None:
            raise RuntimeError(f"trial {number} has ended in the process of the run")
        return carry_out(trial, name, args, options)

    def _evaluate(self, trial: RunningTrial) -> Evaluation:
        def on_fold(fold: int, n_folds: int, score: float) -> None:
            self._on_fold(trial.number, fold, n_folds, score)

        def should_stop() -> bool:
            self._poll()
            return self._should_stop()

        return self._evaluator.evaluate(
            trial.set_params,
            trial=trial.trial,
            should_stop=should_stop,
            should_abandon=lambda: self._control.abandoning,
            on_fold=on_fold,
            timeout=self._trial_timeout,
        )

    def _needs_trial(self, trial: RunningTrial) -> bool:
        """Whether the evaluator gets the trial; from another process each call on it comes back here."""
        return trial.suggests_itself or self._reporting or isinstance(self._executor, ThreadPoolExecutor)

    @staticmethod
    def _outcome(future: Future[Evaluation]) -> Evaluation:
        if not future.done():
            future.cancel()
            return cut_off()
        try:
            return future.result()
        except CancelledError:
            return cut_off()
        except BrokenExecutor as error:
            raise ExecutorError(error_text(error)) from error
        except Exception as error:  # noqa: BLE001 - the trial could not be sent, or the evaluator has a bug
            return Evaluation(
                None,
                error="executor-failed",
                error_class=type(error).__name__,
                cause=error_text(error),
                exception=error,
            )


def _is_cut(future: Future[Evaluation]) -> bool:
    """Whether a trial in flight has not ended, or with its executor only."""
    if not future.done() or future.cancelled():
        return True
    return isinstance(future.exception(), BrokenExecutor)


def cut_off() -> Evaluation:
    """The outcome of a trial that the user or an error of the run ended: it does not count."""
    return Evaluation(None, error=attrs.STOPPED, stopped=True)

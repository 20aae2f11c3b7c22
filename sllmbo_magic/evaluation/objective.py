"""Evaluation of an objective of one's own: any code that returns a number, or one number per direction."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import wait
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import optuna

from sllmbo_magic._utils.study_stop import stop_allowed
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation.base import NO_FAILURES
from sllmbo_magic.evaluation.base import Evaluation
from sllmbo_magic.evaluation.base import as_score
from sllmbo_magic.evaluation.base import category_of
from sllmbo_magic.evaluation.base import is_finite
from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.base import timeout_text
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.evaluation.threads import Threads
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.task.task import Task

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 1.0
"""After its time limit, for an objective that takes a trial: until its next ``should_prune``."""


class ObjectiveEvaluator:
    """Calls ``objective(params)`` or ``objective(trial)``, each call in a thread that no other call uses.

    Python cannot end foreign code. An objective that reports as it trains and asks ``trial.should_prune()``
    stops there at a stop or a timeout. One that does not is waited for at a stop; after its time limit or
    ``should_abandon`` it runs on in its thread, and what it returns is not used.

    Args:
        task: A task with an objective.
    """

    def __init__(self, task: Task) -> None:
        if task.objective is None:
            raise InputError("the task has no objective.", "Use CrossValidator.")
        self.task = task
        self._idle: deque[Threads] = deque()

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
        """See :class:`~sllmbo_magic.evaluation.base.Evaluator`; there are no folds to tell of.

        Raises:
            ValueError: The objective takes a trial and none is given.
        """
        counter = CountWarnings()
        with Quiet():
            evaluation = self._evaluate(params, trial, should_stop, should_abandon, timeout, counter)
        return replace(evaluation, warnings=dict(counter.counts), warning_texts=dict(counter.texts))

    def _evaluate(
        self,
        params: Mapping[str, Any],
        trial: Any,
        should_stop: Callable[[], bool],
        should_abandon: Callable[[], bool],
        timeout: float | None,
        counter: CountWarnings,
    ) -> Evaluation:
        objective = self.task.objective
        assert objective is not None
        if self.task.objective_takes_trial and trial is None:
            raise ValueError("an objective that takes a trial needs one")
        started = time.monotonic()

        def ask() -> str:
            if should_stop():
                return "stopped"
            late = timeout is not None and time.monotonic() - started >= timeout
            return "timeout" if late else ""

        if trial is not None:
            _answer_for(trial, ask)
        argument = trial if self.task.objective_takes_trial else dict(params)
        call = partial(_call, objective, argument, trial, counter)
        thread = self._idle_thread()
        future = thread.submit(call)
        patience = math.inf if timeout is None else timeout
        if self.task.objective_takes_trial:
            patience += _GRACE_SECONDS
        while not wait((future,), timeout=min(_POLL_SECONDS, patience)).done:
            abandoned = should_abandon()
            if abandoned or _since(started) >= patience:
                thread.close()
                return _stopped(started) if abandoned else _late(timeout, started, runs_on=True)
        self._idle.append(thread)
        try:
            value = future.result()
        except optuna.TrialPruned:
            return _pruned(ask(), timeout, started)
        except NO_FAILURES:
            raise
        except BaseException as error:  # noqa: BLE001 - foreign code; the trial fails with a category
            return _failed(category_of(error), error, started)
        if timeout is not None and _since(started) >= timeout:
            return _late(timeout, started)
        return self._outcome(value, started)

    def close(self) -> None:
        """Let the threads end; the next evaluation starts a new one."""
        while self._idle:
            self._idle.pop().close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_idle": deque()}

    def _idle_thread(self) -> Threads:
        """A thread that runs nothing; evaluations at once have one each."""
        try:
            return self._idle.pop()
        except IndexError:
            return Threads(1)

    def _outcome(self, value: Any, started: float) -> Evaluation:
        directions = self.task.directions
        if directions and getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist"):
            value = value.tolist()  # an array with one number per direction
        try:
            values = _scores(value, len(directions) if directions else 1)
        except TypeError as error:
            return _failed("score-failed", error, started)
        if not all(is_finite(v) for v in values):
            values_text = ", ".join(f"{v:g}" for v in values)
            cause = f"the objective returned {values_text}"
            return Evaluation(None, seconds=_since(started), error="not-finite-score", cause=cause)
        if directions:
            return Evaluation(None, values=values, seconds=_since(started))
        return Evaluation(values[0], seconds=_since(started))


def _scores(value: Any, expected: int) -> tuple[float, ...]:
    """What an objective returned, as one score per direction.

    Raises:
        TypeError: A score is no number, or there are not ``expected`` of them.
    """
    several = isinstance(value, tuple | list)
    scores: tuple[float, ...] = ()
    for place, one in enumerate(value if several else (value,)):
        try:
            scores = (*scores, as_score(one))
        except TypeError:
            kind = "None" if one is None else f"a {type(one).__name__}"
            hint = " (is a return statement missing?)" if value is None else ""
            position = f" as value {place + 1} of {len(value)}" if several and len(value) > 1 else ""
            raise TypeError(f"the objective returned {kind}{position}, not a number{hint}") from None
    if len(scores) != expected:
        returned_text = f"{len(scores)} value{'' if len(scores) == 1 else 's'}"
        expected_text = "is 1 direction" if expected == 1 else f"are {expected} directions"
        raise TypeError(f"the objective returned {returned_text}, but there {expected_text}")
    return scores


def _pruned(reason: str, timeout: float | None, started: float) -> Evaluation:
    """An objective that raised TrialPruned: by the pruner, or since it was told to end for ``reason``."""
    if reason == "stopped":
        return _stopped(started)
    if reason == "timeout":
        return _late(timeout, started)
    return Evaluation(None, seconds=_since(started), pruned=True)


def _stopped(started: float) -> Evaluation:
    return Evaluation(None, seconds=_since(started), error="stopped", stopped=True)


def _late(timeout: float | None, started: float, *, runs_on: bool = False) -> Evaluation:
    cause = timeout_text(timeout)
    if runs_on:
        cause += "; its code runs on in the background until it returns"
    return Evaluation(None, seconds=_since(started), error="timeout", cause=cause)


def _failed(category: str, error: BaseException, started: float) -> Evaluation:
    return Evaluation(
        None,
        seconds=_since(started),
        error=category,
        error_class=type(error).__name__,
        cause=error_text(error),
        exception=error,
    )


def _call(objective: Callable[[Any], Any], argument: Any, trial: Any, counter: CountWarnings) -> Any:
    """Call the objective, which may call ``study.stop()``: that right belongs to the thread it runs in."""
    study = getattr(trial, "study", None)
    with counter, nullcontext() if study is None else stop_allowed(study):
        return objective(argument)


def _since(started: float) -> float:
    return time.monotonic() - started


def _answer_for(trial: Any, ask: Callable[[], str]) -> None:
    """Let the trial's ``should_prune`` also say yes when the run is stopped or the time is over."""
    prune = trial.should_prune
    trial.should_prune = lambda: bool(ask()) or prune()

"""Evaluation of an objective of one's own: any code that returns a number, or one number per direction."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import wait
from typing import Any

import optuna

from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluator.evaluation import Evaluation
from sllmbo_magic.evaluator.evaluation import as_score
from sllmbo_magic.evaluator.evaluation import category_of
from sllmbo_magic.evaluator.evaluation import is_finite
from sllmbo_magic.evaluator.evaluation import never
from sllmbo_magic.evaluator.threads import Threads
from sllmbo_magic.task import Task

_POLL_SECONDS = 0.05


class ObjectiveEvaluator:
    """Calls ``objective(params)`` or ``objective(trial)``, in a thread of its own.

    A stop or a timeout cannot end foreign code; but an objective that reports as it trains and asks
    ``trial.should_prune()`` is told to stop there. After ``should_abandon`` the code is left to itself.

    Args:
        task: A task with an objective.
    """

    def __init__(self, task: Task) -> None:
        if task.objective is None:
            raise InputError("the task has no objective.", "Use CrossValidator.")
        self.task = task
        self._thread: Threads | None = None

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
        """See :class:`~sllmbo_magic.evaluator.evaluation.Evaluator`; there are no folds to tell of.

        Raises:
            ValueError: The objective takes a trial and none is given.
        """
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
        if self._thread is None:
            self._thread = Threads(1)
        future = self._thread.submit(lambda: objective(argument))
        while not wait((future,), timeout=_POLL_SECONDS).done:
            if should_abandon():
                self.close()
                return Evaluation(None, seconds=_since(started), error="stopped", stopped=True)
        try:
            value = future.result()
        except optuna.TrialPruned:
            cut = ask()
            if cut:
                return Evaluation(None, seconds=_since(started), error=cut, stopped=cut == "stopped")
            return Evaluation(None, seconds=_since(started), pruned=True)
        except Exception as error:  # noqa: BLE001 - foreign code; the trial fails with a category
            return _failed(category_of(error), error, started)
        return self._judged(value, started)

    def close(self) -> None:
        """Let the thread end; the next evaluation starts a new one."""
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_thread": None}

    def _judged(self, value: Any, started: float) -> Evaluation:
        directions = self.task.directions
        several = isinstance(value, tuple | list)
        try:
            values = tuple(as_score(v) for v in (value if several else (value,)))
        except TypeError as error:
            return _failed("score-failed", error, started)
        expected = len(directions) if directions else 1
        if len(values) != expected:
            mismatch = TypeError(
                f"the objective returned {len(values)} values, but there are {expected} directions"
            )
            return _failed("score-failed", mismatch, started)
        if not all(is_finite(v) for v in values):
            return _failed("not-finite-score", None, started)
        if directions:
            return Evaluation(None, values=values, seconds=_since(started))
        return Evaluation(values[0], seconds=_since(started))


def _failed(category: str, error: BaseException | None, started: float) -> Evaluation:
    name = None if error is None else type(error).__name__
    return Evaluation(None, seconds=_since(started), error=category, error_class=name, exception=error)


def _since(started: float) -> float:
    return time.monotonic() - started


def _answer_for(trial: Any, ask: Callable[[], str]) -> None:
    """Let the trial's ``should_prune`` also say yes when the run is stopped or the time is over."""
    prune = trial.should_prune
    trial.should_prune = lambda: bool(ask()) or prune()

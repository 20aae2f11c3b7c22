"""The result of one evaluation, and the protocol of everything that evaluates a configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

CATEGORIES: dict[str, str] = {
    "invalid-parameter": "the estimator does not accept a parameter or its value",
    "out-of-memory": "the fit needed more memory than there is",
    "timeout": "the trial took longer than its time limit",
    "not-finite-score": "the score was NaN or infinite",
    "fit-failed": "the fit raised an error",
    "score-failed": "the metric could not score the fitted model",
    "process-died": "the process of the trial crashed or was killed",
    "executor-failed": "the trial could not be sent to a worker, or its worker failed",
    "stopped": "the trial was stopped",
}
"""Kinds of failures with what they mean. An LLM is sent only this and the exception's class."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome of one configuration.

    ``mean`` is scikit-learn's score as it is, over all folds; None when not all of them gave a score. ``std``
    is the population standard deviation over folds, as ``std_test_score`` of scikit-learn's searches.
    ``split_scores`` are in the order of the folds (after a failure or a stop only those that were scored).
    ``seconds`` is wall time, ``fit_seconds`` and ``score_seconds`` are sums over folds. ``values`` is set for
    objectives with several directions. ``warnings`` counts the warnings of the fits by class, and
    ``warning_texts`` by ``"Class: text"``; texts may quote data, as ``cause`` does. ``pruned_at`` says in
    words where a trial was pruned, and ``skipped_folds`` how many folds it did not begin. ``rounds`` are the
    boosting rounds that early stopping found per fold, and ``refit_params`` the parameters that a fit on all
    rows needs for that. ``training_score`` is the score of the first fold's model on training rows, where
    that was asked for.

    ``cause`` says why it failed, in the user's terms; it may quote data, so it is shown and stored on the
    user's machine and never sent to an LLM. ``exception`` is neither stored nor pickled, and takes no part in
    comparison.
    """

    mean: float | None
    std: float | None = None
    split_scores: tuple[float, ...] = ()
    seconds: float = 0.0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    error: str | None = None
    error_class: str | None = None
    cause: str = field(default="", repr=False)
    values: tuple[float, ...] | None = None
    pruned: bool = False
    pruned_at: str = ""
    skipped_folds: int = 0
    stopped: bool = False
    rounds: tuple[int, ...] = ()
    refit_params: dict[str, Any] = field(default_factory=dict)
    training_score: float | None = None
    warnings: dict[str, int] = field(default_factory=dict)
    warning_texts: dict[str, int] = field(default_factory=dict, repr=False)
    exception: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether there is a value to tell to the study."""
        return self.error is None and not self.pruned and not self.stopped

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys that apply; what the trial's attribute ``sllmbo:evaluation`` holds."""
        data: dict[str, Any] = {
            "mean": self.mean,
            "std": self.std,
            "split_scores": list(self.split_scores),
            "seconds": self.seconds,
            "fit_seconds": self.fit_seconds,
            "score_seconds": self.score_seconds,
        }
        if self.values is not None:
            data["values"] = list(self.values)
        if self.training_score is not None:
            data["training_score"] = self.training_score
        for name in (
            "error",
            "error_class",
            "cause",
            "warnings",
            "warning_texts",
            "pruned_at",
            "skipped_folds",
        ):
            if getattr(self, name):
                data[name] = getattr(self, name)
        if self.rounds:
            data["rounds"] = list(self.rounds)
        return data

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "exception"}


def never() -> bool:
    """Default for ``should_stop``: always False."""
    return False


class CutError(BaseException):
    """Ends a fold that waits at a step. No ``Exception``: what a fit raises itself is a failure."""


NO_FAILURES = (KeyboardInterrupt, CutError)
"""What ends more than one fit. All else that foreign code raises makes a failed trial: also ``SystemExit`` of
a script that calls ``sys.exit()``, and the panics of extensions in Rust, which are no ``Exception`` either.
"""


class Evaluator(Protocol):
    """Scores configurations. One object serves a run; :meth:`close` frees its threads."""

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
        """Score one configuration.

        Args:
            params: Parameters to set; empty for the default configuration.
            trial: The Optuna trial, for objectives that take one, and to report to where that is asked for.
            should_stop: Asked between folds; True ends the evaluation after the folds in flight.
            should_abandon: Asked all the time; True ends it at once, folds in flight are left alone.
            on_fold: Called with (fold, number of folds, score) as each fold ends, in the caller's thread.
            timeout: Seconds; a trial that took longer has failed. Folds are not interrupted: this is looked
                at between them and at the end.
        """
        ...

    def close(self) -> None:
        """Free threads; the evaluator may be used again."""
        ...


def timeout_text(seconds: float | None) -> str:
    """The cause of a trial that reached its time limit."""
    return "the trial reached its time limit" + ("" if seconds is None else f" (trial_timeout={seconds:g} s)")


def message_of(error: BaseException) -> str:
    """The message of an exception; "" where its own code fails to give one."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - foreign code
        return ""


def category_of(error: BaseException, *, scoring: bool = False) -> str:
    """The kind of a failure: one of :data:`CATEGORIES`."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "OutOfMemoryError" or "bad_alloc" in message_of(error):
        return "out-of-memory"
    if name == "InvalidParameterError":  # scikit-learn's check of declared constraints, private there
        return "invalid-parameter"
    return "score-failed" if scoring else "fit-failed"


def as_score(value: Any) -> float:
    """A score or objective value as a float.

    Raises:
        TypeError: It is not one number.
    """
    raw = value
    if type(value).__name__ == "MaskedConstant":  # numpy.ma.masked, whose item() is 0.0
        value = None
    elif hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        try:
            value = float(value) if not isinstance(value, str) else None
        except (TypeError, ValueError, OverflowError):
            value = None
    if value is None:
        kind = "None (is a return statement missing?)" if raw is None else f"a {type(raw).__name__}"
        raise TypeError(f"a score must be one number, not {kind}")
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf


def is_finite(value: float) -> bool:
    """Whether a score can be compared."""
    return math.isfinite(value)

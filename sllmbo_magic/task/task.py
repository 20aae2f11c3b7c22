"""What is tuned and how it is scored: an estimator with data, metric and folds, or an objective of one's own.

A :class:`Task` is checked once, when it is made; everything after it can rely on it. The user's estimator is
never changed: evaluations work on clones.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from types import CodeType
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.task import validation
from sllmbo_magic.task.data import n_rows
from sllmbo_magic.task.data import shape_of
from sllmbo_magic.task.data_advice import other_rows
from sllmbo_magic.task.data_advice import suspicious
from sllmbo_magic.task.description import TaskDescription
from sllmbo_magic.task.description import describe
from sllmbo_magic.task.fingerprint import fingerprint_of
from sllmbo_magic.task.metrics import Direction
from sllmbo_magic.task.metrics import direction_of
from sllmbo_magic.task.metrics import resolve_metric
from sllmbo_magic.task.splits import Split
from sllmbo_magic.task.splits import describe_folds
from sllmbo_magic.task.splits import freeze
from sllmbo_magic.task.splits import resolve_cv

if TYPE_CHECKING:
    pass

__all__ = ["Task", "TaskDescription"]


@dataclass(frozen=True, eq=False)
class Task:
    """What is tuned. Make one with :meth:`from_estimator` or :meth:`from_objective`.

    Either ``estimator`` or ``objective`` is None. ``directions`` is a list for objectives that return
    several values, else None, and ``direction`` is its first. ``fit_params`` holds all that ``fit`` gets
    besides X and y, weights included. ``notes`` are remarks for the user about what was decided for them.
    """

    name: str
    estimator: Any
    objective: Callable[..., Any] | None
    objective_takes_trial: bool
    X: Any
    y: Any
    X_test: Any
    y_test: Any
    groups: Any
    sample_weight: Any
    fit_params: dict[str, Any]
    scoring: Any
    scorer_name: str
    direction: Direction
    directions: list[Direction] | None
    cv: Any
    n_folds: int
    description: str
    kind: str = "other"
    cv_text: str = ""
    notes: tuple[str, ...] = ()
    splits: tuple[Split, ...] = field(default=(), repr=False)
    """The frozen folds: every trial is scored on these."""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        direction: str | None = None,
        cv: Any = 5,
        groups: Any = None,
        sample_weight: Any = None,
        fit_params: Mapping[str, Any] | None = None,
        X_test: Any = None,
        y_test: Any = None,
        description: str = "",
        name: str = "run",
    ) -> Task:
        """A task of an estimator scored by cross-validation.

        Args:
            estimator: A scikit-learn-compatible estimator, ``Pipeline``, or class (made with its defaults).
            X: Data of n rows: numpy, pandas, polars, scipy sparse, or a list.
            y: Target, n values (or n x outputs): the same kinds; labels may be text.
            scoring: See :func:`sllmbo_magic.task.metrics.resolve_metric`; None:
                ``"f1_weighted"`` for classifiers, ``"neg_mean_absolute_error"`` for regressors.
            direction: Only for an own metric; see there.
            cv: Number of folds (shuffled with seed 0, stratified for classes, by group when groups are
                given), splitter, or iterable of (train, test). Splits are computed here, once.
            groups: One group per row.
            sample_weight: One weight per row, given to ``fit`` (of a Pipeline's last step); scores are not
                weighted, as in ``cross_validate(params=...)``.
            fit_params: More arguments of ``fit``; values with one entry per row are split with the folds.
            X_test: Data kept untouched for the final report; columns of data frames are matched by name.
            y_test: Its target.
            description: Words for the LLM.
            name: Name of the run.

        Raises:
            InputError: Anything wrong with the input, in one line.
        """
        estimator = validation.check_estimator(estimator)
        kind = validation.kind_of(estimator)
        X_test, test_notes = validation.match_columns(X, X_test)
        X = validation.check_data(X, "X", estimator)
        rows = n_rows(X)
        y = validation.check_y(y, "y", rows, kind, estimator)
        validation.check_length(groups, "groups", rows)
        validation.check_length(sample_weight, "sample_weight", rows)
        if (X_test is None) != (y_test is None):
            raise InputError("only one of X_test and y_test is given.", "Give both or none.")
        if X_test is not None:
            X_test = validation.check_data(X_test, "X_test", estimator)
            test_kind = "other" if kind == "classification" else kind  # it may be of one class
            y_test = validation.check_y(y_test, "y_test", n_rows(X_test), test_kind, estimator)
            if shape_of(X_test)[1] != shape_of(X)[1]:
                raise InputError(
                    f"X has {shape_of(X)[1]} columns, but X_test has {shape_of(X_test)[1]}.",
                    "Both need the same.",
                )
            test_notes += validation.compare_targets(y, y_test, kind)
        estimator = validation.with_weight_requests(estimator, sample_weight)
        arguments = validation.fit_arguments(estimator, sample_weight, fit_params)
        metric = resolve_metric(scoring, direction, kind)
        validation.check_scoring(estimator, metric, y, kind)
        splitter, notes = resolve_cv(cv, X, y, groups, kind)
        splits = freeze(splitter, X, y, groups)
        notes = [
            *([metric.note] if metric.note else []),
            *suspicious(X, y, kind),
            *other_rows(X, "X", y=y, groups=groups, sample_weight=sample_weight),
            *other_rows(X_test, "X_test", y_test=y_test),
            *test_notes,
            *notes,
        ]
        return cls(
            name=name,
            estimator=estimator,
            objective=None,
            objective_takes_trial=False,
            X=X,
            y=y,
            X_test=X_test,
            y_test=y_test,
            groups=groups,
            sample_weight=sample_weight,
            fit_params=arguments,
            scoring=metric.scoring,
            scorer_name=metric.name,
            direction=metric.direction,
            directions=None,
            cv=splitter,
            n_folds=len(splits),
            description=description,
            kind=kind,
            cv_text=describe_folds(splitter, len(splits)),
            notes=tuple(notes),
            splits=splits,
        )

    @classmethod
    def without_data(cls, estimator: Any, **fields: Any) -> Task:
        """A task of an estimator whose data and folds are somebody else's; ``fields`` are set as they are."""
        absent = ("objective", "X", "y", "X_test", "y_test", "groups", "sample_weight", "scoring", "cv")
        defaults: dict[str, Any] = {
            **dict.fromkeys((*absent, "directions")),
            "name": "run",
            "objective_takes_trial": False,
            "fit_params": {},
            "scorer_name": "",
            "direction": "maximize",
            "n_folds": 0,
            "description": "",
            "kind": validation.kind_of(estimator),
        }
        return cls(**{**defaults, "estimator": estimator, **fields})

    @classmethod
    def from_objective(
        cls,
        objective: Callable[..., Any],
        *,
        direction: str | Iterable[str] | None,
        search_space: Any = None,
        description: str = "",
        name: str = "run",
    ) -> Task:
        """A task of any code: ``objective(params: dict)`` or ``objective(trial)`` returns the value.

        A first parameter that is named ``trial``, or annotated as Optuna's ``Trial``, gets a trial.

        Args:
            objective: The function; returns a float, or a tuple of floats with several directions.
            direction: ``"minimize"``, ``"maximize"``, or a list of them.
            search_space: Needed by an objective that takes a dict (only its presence is looked at here).
            description: Words for the LLM.
            name: Name of the run.

        Raises:
            InputError: Not callable, no parameter, no direction, or a dict objective without search space.
        """
        if not callable(objective):
            raise InputError(
                f"objective is a {type(objective).__name__}, not a function.", "Define objective(params)."
            )
        _check_returns_a_value(objective)
        wants_trial = takes_trial(objective)
        _check_takes_one_argument(objective, "trial" if wants_trial else "params")
        directions = _directions(direction)
        if search_space is None and not wants_trial:
            raise InputError(
                "an objective that takes a dict needs a search space.",
                'Define search_space, e.g. {"x": (0.0, 1.0)}, or take a trial: def objective(trial).',
            )
        return cls(
            name=name,
            estimator=None,
            objective=objective,
            objective_takes_trial=wants_trial,
            X=None,
            y=None,
            X_test=None,
            y_test=None,
            groups=None,
            sample_weight=None,
            fit_params={},
            scoring=None,
            scorer_name=getattr(objective, "__name__", type(objective).__name__),
            direction=directions[0],
            directions=directions if len(directions) > 1 else None,
            cv=None,
            n_folds=1,
            description=description,
        )

    @cached_property
    def _fingerprint(self) -> dict[str, str]:
        return fingerprint_of(self)

    def fingerprint(self) -> dict[str, str]:
        """Hashes of data, estimator, metric and cv, by which a resumed run is compared; computed once."""
        return dict(self._fingerprint)

    def describe(self, *, share_columns: bool = False, anonymize: bool = False) -> TaskDescription:
        """All that an LLM may see of this task; see :mod:`sllmbo_magic.task.description`."""
        return describe(self, share_columns=share_columns, anonymize=anonymize)


def _check_returns_a_value(objective: Callable[..., Any]) -> None:
    """Raises InputError for a function whose call runs nothing yet: async, or a generator."""
    function: Any = objective
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    function = inspect.unwrap(function)
    if inspect.iscoroutinefunction(function):
        raise InputError(
            "objective is async: its call returns a coroutine and no value.",
            "Write def objective(...), and asyncio.run(...) inside where it must await.",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InputError("objective yields: its call returns a generator and no value.", "Use return.")


def _check_takes_one_argument(objective: Callable[..., Any], name: str) -> None:
    """Raises InputError for a function that cannot be called with one argument."""
    try:
        signature = inspect.signature(objective)
        signature.bind(None)
    except ValueError:  # no signature, as of some functions written in C
        return
    except TypeError:
        given, write = "one dict of parameters", 'Write def objective(params), and read params["x"] in it.'
        if name == "trial":
            given, write = "one trial", "Give it the rest by functools.partial(objective, data=...)."
        raise InputError(f"objective{signature} cannot be called with {given}.", write) from None


def takes_trial(objective: Callable[..., Any]) -> bool:
    """Whether an objective takes an Optuna trial: by its argument's name or annotation, or since its own code
    calls a method ``suggest_...``, whatever the argument is called.

    Raises:
        InputError: It takes no argument.
    """
    try:
        parameters = list(inspect.signature(objective).parameters.values())
    except (TypeError, ValueError):
        return False
    if not parameters:
        raise InputError("objective takes no argument.", "Write objective(params) or objective(trial).")
    first = parameters[0]
    annotation = (
        first.annotation if isinstance(first.annotation, str) else getattr(first.annotation, "__name__", "")
    )
    is_trial = first.name == "trial" or annotation.strip("\"'").rpartition(".")[2] in ("Trial", "BaseTrial")
    return is_trial or any(name.startswith("suggest_") for name in _names_in_code(objective))


def _names_in_code(objective: Callable[..., Any]) -> tuple[str, ...]:
    """The global names and attributes that a function's code uses; () where it is no Python code."""
    while isinstance(objective, functools.partial):
        objective = objective.func
    function = inspect.unwrap(objective)
    if not inspect.isroutine(function):
        function = type(function).__call__
    code = getattr(function, "__code__", None)
    return code.co_names if isinstance(code, CodeType) else ()


def _directions(direction: str | Iterable[str] | None) -> list[Direction]:
    raw: list[Any]
    if isinstance(direction, str):
        raw = direction.split(",")  # as --direction has several
    else:
        raw = [*direction] if isinstance(direction, Iterable) else [direction]
    directions = [direction_of(one) for one in raw]
    if not directions or None in directions:
        raise InputError("an objective needs a direction.", "Allowed: minimize, maximize.")
    return [one for one in directions if one is not None]

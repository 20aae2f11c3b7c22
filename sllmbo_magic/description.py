"""The privacy line: all that an LLM may ever see of a task.

A description holds sizes, kinds of columns, shares of anonymous classes, the metric, the folds, the names
of the classes of the estimator and its steps, and those parameters that cannot carry data: numbers, booleans,
None and strings which the library itself declares as options. No row, target value, label or column name, no
string of the user but the words that were written for the LLM. Class names (also of the user's own classes)
and names of pipeline steps are code and are shown; parts of a ``ColumnTransformer`` or ``FeatureUnion`` are
shown without their names and columns, since people name them after columns. Column names appear only with
``share_columns``.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from sllmbo_magic.data import SAMPLE_ROWS
from sllmbo_magic.data import column_names
from sllmbo_magic.data import shape_of
from sllmbo_magic.data import summarize

if TYPE_CHECKING:
    from sllmbo_magic.space import Value
    from sllmbo_magic.task import Task

_MAX_CLASSES = 20
_BY_COLUMN = ("ColumnTransformer", "FeatureUnion")
SILENT = ("random_state", "seed", "n_jobs", "nthread", "thread_count", "num_threads", "verbose", "verbosity")
"""Parameters that say nothing about how well a model fits."""

_OPTIONS: dict[str, frozenset[str]] = {
    "boosting_type": frozenset({"gbdt", "dart", "rf", "goss"}),
    "booster": frozenset({"gbtree", "gblinear", "dart"}),
    "tree_method": frozenset({"auto", "exact", "approx", "hist"}),
    "grow_policy": frozenset({"depthwise", "lossguide", "SymmetricTree", "Depthwise", "Lossguide"}),
    "importance_type": frozenset({"split", "gain", "weight", "cover", "total_gain", "total_cover"}),
    "sampling_method": frozenset({"uniform", "gradient_based"}),
    "multi_strategy": frozenset({"one_output_per_tree", "multi_output_tree"}),
    "bootstrap_type": frozenset({"Bayesian", "Bernoulli", "MVS", "Poisson", "No"}),
    "class_weight": frozenset({"balanced", "balanced_subsample"}),
    "auto_class_weights": frozenset({"None", "Balanced", "SqrtBalanced"}),
    "objective": frozenset(
        {
            "binary", "multiclass", "multiclassova", "regression", "regression_l1", "huber", "fair",
            "poisson", "quantile", "mape", "gamma", "tweedie", "cross_entropy", "lambdarank", "rank_xendcg",
            "binary:logistic", "binary:hinge", "multi:softmax", "multi:softprob", "reg:squarederror",
            "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror",
            "reg:gamma", "reg:tweedie", "reg:logistic", "count:poisson", "rank:pairwise", "rank:ndcg", "rank:map",
        }
    ),
}  # fmt: skip
"""Options of the boosting libraries, which declare none in code (their documentation of parameters does)."""


@dataclass(frozen=True)
class TaskDescription:
    """What is known of a task without its data. ``to_json`` is what is stored, ``text`` what a prompt shows.

    Shares are between 0 and 1. ``dtypes`` counts columns by kind (float, integer, boolean, text, category,
    datetime, other). ``classes`` are the most frequent 20 of ``n_classes``, named c0, c1, ... in the order of
    the labels. ``missing`` is the share of missing cells; None means unknown.
    """

    estimator: str
    parameters: dict[str, Value] = field(default_factory=dict)
    kind: str = "other"
    n_rows: int | None = None
    n_columns: int | None = None
    n_outputs: int = 1
    dtypes: dict[str, int] = field(default_factory=dict)
    sparse: bool = False
    missing: float | None = None
    n_classes: int | None = None
    classes: tuple[tuple[str, float], ...] = ()
    metric: str = ""
    direction: str = "maximize"
    cv: str = ""
    steps: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    words: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys that apply."""
        data: dict[str, Any] = {"estimator": self.estimator, "kind": self.kind}
        for name in ("n_rows", "n_columns", "missing", "n_classes"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        if self.n_outputs > 1:
            data["n_outputs"] = self.n_outputs
        if self.sparse:
            data["sparse"] = True
        if self.dtypes:
            data["dtypes"] = dict(self.dtypes)
        if self.classes:
            data["classes"] = dict(self.classes)
        data.update(metric=self.metric, direction=self.direction)
        for name in ("cv", "words"):
            if getattr(self, name):
                data[name] = getattr(self, name)
        for name in ("steps", "columns"):
            if getattr(self, name):
                data[name] = list(getattr(self, name))
        data["parameters"] = dict(self.parameters)
        return data

    def text(self) -> str:
        """A few lines in words."""
        lines = [f"Estimator: {self.estimator}"]
        if self.steps:
            lines.append("Steps: " + "; ".join(self.steps))
        if self.n_rows is not None:
            lines.append("Data: " + self._data())
        if self.classes:
            shares = ", ".join(f"{name} {share:.3g}" for name, share in self.classes)
            more = "" if len(self.classes) == self.n_classes else " (most frequent ones)"
            lines.append(f"Classes: {self.n_classes}, shares: {shares}{more}")
        lines.append(f"Metric: {self.metric}, {self.direction}")
        if self.cv:
            lines.append(f"Evaluation: {self.cv}")
        if self.parameters:
            shown = ", ".join(f"{k}={v!r}" for k, v in self.parameters.items())
            lines.append(f"Current parameters: {shown}")
        if self.columns:
            lines.append("Columns: " + ", ".join(self.columns))
        if self.words:
            lines.append(f"In the user's words: {self.words}")
        return "\n".join(lines)

    def _data(self) -> str:
        parts = [f"{self.kind}, {self.n_rows} rows"]
        if self.n_columns is not None:
            parts.append(f"{self.n_columns} columns")
        if self.n_outputs > 1:
            parts.append(f"{self.n_outputs} targets")
        if self.dtypes:
            parts.append("kinds " + ", ".join(f"{n} {kind}" for kind, n in self.dtypes.items()))
        if self.sparse:
            parts.append("sparse")
        if self.missing is not None:
            parts.append(f"{self.missing:.3g} of the cells missing" if self.missing else "no missing cells")
        return ", ".join(parts)


def describe(task: Task, *, share_columns: bool = False, anonymize: bool = False) -> TaskDescription:
    """The description of a task.

    Args:
        task: The task; at most 100,000 of its rows are looked at.
        share_columns: Also give the names of the columns.
        anonymize: Leave out what could let a model recognise a data set it has memorised (arXiv 2404.06209):
            the user's words, column names, own class and function names; sizes and shares are rounded to two
            significant digits.
    """
    words = "" if anonymize else task.description.strip()
    if task.estimator is None:
        name = "own objective" if anonymize else f"own objective ({task.scorer_name})"
        return TaskDescription(name, metric="objective value", direction=task.direction, words=words)
    rows, columns = shape_of(task.X)
    summary = summarize(task.X)
    classes = _classes(task) if task.kind == "classification" else []
    metric = task.scorer_name
    if anonymize:
        rows, columns = _rounded(rows), None if columns is None else _rounded(columns)
        classes = [(name, _two_digits(share)) for name, share in classes]
        if callable(task.scoring) and not _is_library(getattr(task.scoring, "_score_func", task.scoring)):
            metric = "own metric"
    top = sorted(sorted(classes, key=lambda c: -c[1])[:_MAX_CLASSES], key=lambda c: int(c[0][1:]))
    y_shape = np.shape(task.y)
    return TaskDescription(
        estimator=class_name(task.estimator, anonymize=anonymize),
        parameters=dict(safe_parameters(task.estimator)),
        kind=task.kind,
        n_rows=rows,
        n_columns=columns,
        n_outputs=y_shape[1] if len(y_shape) > 1 else 1,
        dtypes=summary.kinds,
        sparse=summary.sparse,
        missing=None if summary.missing is None else _two_digits(summary.missing, 3),
        n_classes=len(classes) or None,
        classes=tuple(top),
        metric=metric,
        direction=task.direction,
        cv=task.cv_text,
        steps=tuple(_steps(task.estimator, anonymize)),
        columns=tuple(column_names(task.X)) if share_columns and not anonymize else (),
        words=words,
    )


def class_name(estimator: Any, *, anonymize: bool = False) -> str:
    """Name of the estimator's class; an own class with the library class that it extends."""
    cls = type(estimator)
    if _is_library(cls):
        return str(cls.__name__)
    base = next((c for c in cls.__mro__[1:] if _is_library(c) and _is_estimator_class(c)), None)
    if anonymize:
        return "own estimator" if base is None else str(base.__name__)
    return str(cls.__name__) if base is None else f"{cls.__name__} (a {base.__name__})"


def safe_parameters(estimator: Any) -> Iterator[tuple[str, Value]]:
    """Name and value of each parameter that cannot carry data, nested ones included, in the order of names.

    Left out: strings that no library declares, arrays, dicts, callables, estimators, everything inside a
    ``ColumnTransformer`` or ``FeatureUnion`` (parts there are often named after columns), the plumbing of a
    ``Pipeline``, and what does not change a fit.
    """
    if _is_a(estimator, *_BY_COLUMN):
        return
    if not _is_a(estimator, "Pipeline"):
        own = estimator.get_params(deep=False)
        for name in sorted(own):
            if name not in SILENT and is_safe(estimator, name, own[name]):
                yield name, _plain(own[name])
    for prefix, part in _parts(estimator):
        for name, value in safe_parameters(part):
            yield f"{prefix}__{name}", value


def is_safe(estimator: Any, name: str, value: Any) -> bool:
    """Whether a parameter's value may be shown to an LLM."""
    if value is None or isinstance(value, bool | np.bool_ | int | np.integer):
        return True
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    return isinstance(value, str) and value in _declared(type(estimator), name)


def _declared(cls: type, name: str) -> frozenset[str]:
    """The strings that the library's class declares for a parameter."""
    for base in cls.__mro__:
        if not _is_library(base):
            continue
        constraints = base.__dict__.get("_parameter_constraints", {})
        rules = constraints.get(name, ()) if isinstance(constraints, dict) else ()
        options = [o for rule in rules for o in getattr(rule, "options", ()) if isinstance(o, str)]
        if options:
            return frozenset(options)
    root = next((str(b.__module__).split(".")[0] for b in cls.__mro__ if _is_library(b)), "")
    return _OPTIONS.get(name, frozenset()) if root in ("lightgbm", "xgboost", "catboost") else frozenset()


def _is_library(thing: Any) -> bool:
    root = str(getattr(thing, "__module__", "") or "").split(".")[0]
    return root in ("sklearn", "lightgbm", "xgboost", "catboost", "skorch", "imblearn")


def _is_estimator_class(cls: type) -> bool:
    return hasattr(cls, "fit") and not cls.__name__.endswith("Mixin")


def _is_a(estimator: Any, *names: str) -> bool:
    return any(c.__name__ in names for c in type(estimator).__mro__)


def _parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimators directly inside, by the prefix that their parameters have."""
    own = estimator.get_params(deep=False)
    listed = [v for k, v in own.items() if k in ("steps", "transformer_list", "estimators")]
    for pairs in listed:
        for pair in pairs or ():
            if isinstance(pair, tuple) and len(pair) >= 2 and hasattr(pair[1], "get_params"):
                yield str(pair[0]), pair[1]
    for name in sorted(own):
        if hasattr(own[name], "get_params") and not inspect.isclass(own[name]):
            yield name, own[name]


def _steps(estimator: Any, anonymize: bool, *, named: bool = True) -> Iterator[str]:
    """The parts of an estimator in words, those by column without their names."""
    if _is_a(estimator, "ColumnTransformer"):
        yield from _column_transformer(estimator, anonymize)
        return
    named = named and not _is_a(estimator, *_BY_COLUMN)
    for name, part in _parts(estimator):
        text = _with_parts(part, anonymize, named=named)
        yield f"{name}: {text}" if named else text


def _with_parts(part: Any, anonymize: bool, *, named: bool) -> str:
    inner = list(_steps(part, anonymize, named=named))
    return class_name(part, anonymize=anonymize) + (f" ({'; '.join(inner)})" if inner else "")


def _column_transformer(estimator: Any, anonymize: bool) -> Iterator[str]:
    for _, transformer, columns in estimator.transformers:
        if isinstance(transformer, str):
            what = transformer if transformer in ("drop", "passthrough") else "transformer"
        else:
            what = _with_parts(transformer, anonymize, named=False)
        yield f"{what} on {_count(columns)}"
    if not isinstance(estimator.remainder, str):
        yield f"{_with_parts(estimator.remainder, anonymize, named=False)} on the rest"
    elif estimator.remainder == "passthrough":
        yield "the rest passed through"


def _count(columns: Any) -> str:
    """How many columns, never which."""
    if isinstance(columns, str | int):
        return "1 column"
    if callable(columns) or isinstance(columns, slice) or not hasattr(columns, "__len__"):
        return "selected columns"
    mask = len(columns) and all(isinstance(c, bool | np.bool_) for c in columns)
    n = int(sum(map(bool, columns))) if mask else len(columns)
    return f"{n} column{'' if n == 1 else 's'}"


def _classes(task: Task) -> list[tuple[str, float]]:
    labels = np.asarray(task.y)
    if labels.ndim != 1:
        return []
    if len(labels) > SAMPLE_ROWS:
        labels = labels[:: -(-len(labels) // SAMPLE_ROWS)]
    counts = Counter(labels.tolist())
    ordered = sorted(counts, key=lambda label: (str(type(label)), label))
    return [(f"c{i}", _two_digits(counts[label] / len(labels), 3)) for i, label in enumerate(ordered)]


def _plain(value: Any) -> Value:
    plain: Value = value.item() if isinstance(value, np.generic) else value
    return plain


def _two_digits(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits}g}")


def _rounded(n: int) -> int:
    return int(float(f"{n:.2g}"))

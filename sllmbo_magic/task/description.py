"""The privacy line: all that an LLM may ever see of a task.

A description holds sizes, kinds of columns, shares of anonymous classes, the metric, the folds, the names
of the classes of the estimator and its steps, and those parameters that cannot carry data: numbers, booleans,
None and strings which the library itself declares as options. No row, target value, label or column name, no
string of the user but the words that were written for the LLM. Class names (also of the user's own classes)
and names of pipeline steps are code and are shown; parts of a ``ColumnTransformer`` or ``FeatureUnion`` are
shown without their names and columns, since people name them after columns. Column names appear only with
``share_columns``. Names that must not be told and stand in a request all the same, in those of parameters for
example, are masked there (``masked_names.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from sllmbo_magic.task.data import SAMPLE_ROWS
from sllmbo_magic.task.data import column_names
from sllmbo_magic.task.data import shape_of
from sllmbo_magic.task.data import summarize
from sllmbo_magic.task.privacy import class_name
from sllmbo_magic.task.privacy import is_library
from sllmbo_magic.task.privacy import safe_parameters
from sllmbo_magic.task.privacy import steps_of

if TYPE_CHECKING:
    from sllmbo_magic.space.search_space import Value
    from sllmbo_magic.task.task import Task

_MAX_CLASSES = 20
_LONGEST_COLUMN = 80


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

    def with_evaluation(self, sentence: str) -> TaskDescription:
        """The description with one more sentence on how trials are evaluated."""
        return replace(self, cv="; ".join(part for part in (self.cv, sentence) if part))

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

    def text(self, *, parameters: Collection[str] | None = None) -> str:
        """A few lines in words.

        Args:
            parameters: Which of the estimator's parameters are shown; None shows all.
        """
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
        parameters_in_text = {
            n: v for n, v in self.parameters.items() if parameters is None or n in parameters
        }
        values = [f"{name}={value!r}" for name, value in parameters_in_text.items() if value is not None]
        unset = [name for name, value in parameters_in_text.items() if value is None]
        if unset:
            values.append(f"None for {', '.join(unset)}")
        if values:
            lines.append(f"Parameters before tuning, those of trial #0: {', '.join(values)}")
        if self.columns:
            # quoted, and escaped by repr: a name may hold line ends, and words meant for the LLM
            lines.append("Columns: " + ", ".join(repr(name[:_LONGEST_COLUMN]) for name in self.columns))
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
        directions = ", ".join(task.directions or [task.direction])
        return TaskDescription(name, metric="objective value", direction=directions, words=words)
    rows, columns = shape_of(task.X)
    summary = summarize(task.X)
    classes = _classes(task) if task.kind == "classification" else []
    metric = task.scorer_name
    if anonymize:
        rows, columns = _rounded(rows), None if columns is None else _rounded(columns)
        classes = [(name, _two_digits(share)) for name, share in classes]
        if callable(task.scoring) and not is_library(getattr(task.scoring, "_score_func", task.scoring)):
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
        steps=tuple(steps_of(task.estimator, anonymize)),
        columns=tuple(column_names(task.X)) if share_columns and not anonymize else (),
        words=words,
    )


def _classes(task: Task) -> list[tuple[str, float]]:
    labels = np.asarray(task.y)
    if labels.ndim != 1:
        return []
    if len(labels) > SAMPLE_ROWS:
        labels = labels[:: -(-len(labels) // SAMPLE_ROWS)]
    counts = Counter(labels.tolist())
    classes = sorted(counts, key=lambda label: (str(type(label)), label))
    return [(f"c{i}", _two_digits(counts[label] / len(labels), 3)) for i, label in enumerate(classes)]


def _two_digits(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits}g}")


def _rounded(n: int) -> int:
    return int(float(f"{n:.2g}"))


def model_text(estimator: Any) -> str:
    """What a person calls an estimator: its class; for a pipeline or another wrapper, what it fits last.

    ``"SVC in a Pipeline (3 steps)"``, ``"Ridge in a TransformedTargetRegressor"``.
    """
    name = type(estimator).__name__
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list | tuple) and steps:
        last = next((step for _, step in reversed(steps) if step not in (None, "passthrough")), None)
        inner = "" if last is None else model_text(last)
        return f"{inner} in a {name} ({len(steps)} steps)" if inner else f"{name} ({len(steps)} steps)"
    # Only its parameters: a random forest has an attribute ``estimator`` too, the trees that it is made of.
    params = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    for attribute in ("estimator", "regressor", "base_estimator"):
        part = params.get(attribute)
        if hasattr(part, "get_params") and not isinstance(part, type):
            return f"{model_text(part)} in a {name}"
    return name

"""The parts of a task as text, kept in run.json, so that a resume that is refused can name what changed."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.llm.redact import redact
from sllmbo_magic.task.privacy import SILENT

if TYPE_CHECKING:
    from sllmbo_magic.task.task import Task

_LONGEST_VALUE = 120
_LONGEST_SOURCE = 20_000


def described(task: Task) -> dict[str, str]:
    """What the parts of ``Task.fingerprint`` are, in lines of text, so that a change of them can be named.

    For the objective its source, else one line per parameter of the estimator, metric and cv. Data are not
    among them, and neither are arrays or keys in the text.
    """
    if task.objective is not None:
        return {"estimator": _source(task.objective), "metric": ",".join(task.directions or [task.direction])}
    params = {k: v for k, v in task.estimator.get_params(deep=True).items() if not _is_silent(k)}
    lines = [f"{name}={_words(value)}" for name, value in sorted(params.items())]
    return {
        "estimator": "\n".join([class_name(task.estimator), *lines]),
        "metric": _source(task.scoring) if callable(task.scoring) else str(task.scoring or "estimator.score"),
        "cv": f"{type(task.cv).__name__} of {task.n_folds}",
    }


def _is_silent(name: str) -> bool:
    return name.rpartition("__")[2] in SILENT


def _words(value: Any) -> str:
    """A value in a few words; of an array the type alone, of an estimator its class."""
    if value is None or isinstance(value, bool | int | float | str):
        return redact(repr(value))[:_LONGEST_VALUE]
    if callable(value) and not inspect.isclass(value) and not hasattr(value, "get_params"):
        return str(getattr(value, "__qualname__", type(value).__qualname__))
    return class_name(value)


def _source(function: Any) -> str:
    """The source of the user's function without its indentation; its name where there is no source."""
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(function, "__func__", function))))
    except (OSError, TypeError):
        return str(getattr(function, "__qualname__", type(function).__qualname__))
    return redact(text)[:_LONGEST_SOURCE]


def class_name(value: Any) -> str:
    """Module and name of the value's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"

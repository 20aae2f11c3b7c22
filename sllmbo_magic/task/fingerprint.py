"""What a resumed run is compared by: short hashes of data, estimator, metric and folds."""

from __future__ import annotations

import hashlib
import inspect
import types
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from sllmbo_magic.task.data import digest
from sllmbo_magic.task.data import library_of
from sllmbo_magic.task.privacy import SILENT

if TYPE_CHECKING:
    from sllmbo_magic.task.task import Task


def fingerprint_of(task: Task) -> dict[str, str]:
    """Sixteen hexadecimal digits for each of data, estimator, metric and cv; stable over processes.

    The estimator's seed, threads and verbosity do not count. Own functions count by their compiled code, so
    that comments and line breaks do not matter; two versions of Python may differ.
    """
    if task.objective is not None:
        metric = ",".join(task.directions or [task.direction])
        return {
            "data": _short("-"),
            "estimator": _short(stable(task.objective)),
            "metric": _short(metric),
            "cv": _short("-"),
        }
    return {
        "data": digest(task.X, task.y, task.groups, task.sample_weight),
        "estimator": _short(stable(task.estimator) + stable(task.fit_params)),
        "metric": _short(f"{stable(task.scoring)},{task.direction}"),
        "cv": _short(_cv(task)),
    }


def fingerprint(value: Any) -> str:
    """Sixteen hexadecimal digits that are equal in two processes when the value means the same."""
    return _short(stable(value))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _cv(task: Task) -> str:
    is_splitter = type(task.cv).__name__ != "_CVIterableWrapper"
    settings = stable(vars(task.cv)) if is_splitter else ""
    rows = digest(*(part for split in task.splits for part in split))
    return f"{type(task.cv).__name__}({settings}){rows}"


def stable(value: Any) -> str:
    """A text that is equal in two processes when the value means the same; free of memory addresses."""
    if hasattr(value, "get_params") and not inspect.isclass(value):
        params = {k: v for k, v in value.get_params(deep=False).items() if k not in SILENT}
        return f"{_path(type(value))}({stable(params)})"
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{k!r}:{stable(v)}" for k, v in sorted(value.items(), key=lambda i: repr(i[0])))
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join(stable(v) for v in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ",".join(sorted(stable(v) for v in value)) + "}"
    if isinstance(value, np.ndarray) or library_of(value) in ("pandas", "polars", "scipy"):
        return digest(value) if getattr(value, "shape", ()) else repr(value)
    if isinstance(value, types.CodeType):
        return f"{value.co_code.hex()}{stable(value.co_consts)}{value.co_names}"
    if callable(value):
        return _callable(value)
    text = repr(value)
    if " at 0x" in text:
        return (
            f"{type(value).__module__}.{type(value).__qualname__}({stable(getattr(value, '__dict__', {}))})"
        )
    return text


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _callable(value: Any) -> str:
    score = getattr(value, "_score_func", None)
    if score is not None:  # one of scikit-learn's scorers
        return f"scorer({stable(score)},{value._sign},{stable(value._kwargs)})"
    function = inspect.unwrap(getattr(value, "__func__", value))
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    code = getattr(function, "__code__", None)
    if code is None:
        attributes = getattr(value, "__dict__", {}) if not inspect.isclass(value) else {}
        return name + stable(attributes)
    package = str(getattr(function, "__module__", "")).split(".")[0]
    return name if package in ("sklearn", "numpy", "scipy") else name + stable(code)

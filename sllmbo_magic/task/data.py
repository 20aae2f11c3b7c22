"""Questions to a data set, whatever it is made of: numpy, pandas, polars, scipy sparse or lists.

pandas and polars are recognised by the module of the object's class and never imported here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE_ROWS = 100_000
"""At most so many rows are looked at for shares and counts."""

_HASH_CELLS = 2_000_000
"""Data with more cells than this is hashed by every k-th row."""


@dataclass(frozen=True)
class Summary:
    """Kinds of columns (kind -> count), share of missing cells (None: unknown), and whether it is sparse."""

    kinds: dict[str, int]
    missing: float | None
    sparse: bool = False


def library_of(data: Any) -> str:
    """``"pandas"``, ``"polars"``, ``"scipy"``, ``"numpy"`` or ``"list"`` (anything else)."""
    root = str(type(data).__module__).split(".")[0]
    return root if root in ("pandas", "polars", "scipy", "numpy") else "list"


def n_rows(data: Any) -> int:
    """Number of rows.

    Raises:
        TypeError: It has no rows.
    """
    shape = getattr(data, "shape", None)
    if shape is not None:
        if len(shape) == 0:
            raise TypeError("a single value has no rows")
        return int(shape[0])
    return len(data)


def shape_of(X: Any) -> tuple[int, int | None]:
    """Rows and columns; columns are None where there are none (a list of texts)."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return int(shape[0]), int(np.prod(shape[1:])) if len(shape) > 1 else None
    first = X[0] if len(X) else None
    return len(X), len(first) if isinstance(first, list | tuple | np.ndarray) else None


def column_names(X: Any) -> list[str]:
    """Names of the columns of a data frame; empty for anything else."""
    return [str(c) for c in X.columns] if hasattr(X, "columns") else []


def take(data: Any, rows: np.ndarray[Any, Any]) -> Any:
    """These rows, as the type that it was."""
    from sklearn.utils import _safe_indexing

    return _safe_indexing(data, rows)


def summarize(X: Any) -> Summary:
    """Kinds of columns and share of missing cells, from at most :data:`SAMPLE_ROWS` rows."""
    rows = n_rows(X)
    library = library_of(X)
    if library == "scipy":
        return Summary({column_kind(str(X.dtype)): int(X.shape[1])}, _nan_share(X.data), sparse=True)
    if rows > SAMPLE_ROWS:
        X = take(X, np.linspace(0, rows - 1, SAMPLE_ROWS).astype(int))
    if library == "pandas" and hasattr(X, "columns"):
        kinds = Counter(column_kind(str(t)) for t in X.dtypes)
        return Summary(dict(kinds), float(X.isna().to_numpy().mean()) if X.size else None)
    if library == "polars" and hasattr(X, "columns"):
        kinds = Counter(column_kind(str(t)) for t in X.dtypes)
        missing = sum(s.null_count() + (int(s.is_nan().sum()) if s.dtype.is_float() else 0) for s in X)
        return Summary(dict(kinds), missing / max(1, X.height * X.width))
    columns = shape_of(X)[1] or 1
    try:
        array = np.asarray(X)
    except ValueError:
        return Summary({}, None)  # a ragged list
    return Summary({column_kind(array.dtype.name): columns}, _nan_share(array))


def _nan_share(values: Any) -> float | None:
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return float(np.isnan(array).mean()) if array.size else None
    if array.dtype.kind == "O":
        return float(np.mean([v is None or v != v for v in array.ravel()])) if array.size else None
    return 0.0


def column_kind(dtype: str) -> str:
    """A general word for a dtype; its own text may quote categories (polars' Enum does)."""
    name = dtype.lower()
    for kind, starts in (
        ("boolean", ("bool",)),
        ("category", ("categ", "enum")),
        ("datetime", ("date", "time", "duration", "period")),
        ("integer", ("int64", "int32", "int16", "int8", "uint")),
        ("float", ("float", "decimal", "double")),
        ("text", ("obj", "str", "utf8", "large_string")),
    ):
        if name.startswith(starts):
            return kind
    return "other"


def digest(*parts: Any) -> str:
    """Short sha256 of data, stable over processes and platforms of one byte order.

    Hashes shapes, dtypes, column names and all cells, or of more than two million cells every k-th row and
    the last one: a single changed row of big data can be missed.
    """
    sha = hashlib.sha256()
    for part in parts:
        if part is None:
            sha.update(b"-")
            continue
        rows, columns = shape_of(part)
        step = max(1, -(-rows * (columns or 1) // _HASH_CELLS))
        if step > 1:
            part = take(part, np.append(np.arange(0, rows, step), rows - 1))
        sha.update(f"{rows}x{columns};{column_names(part)};".encode())
        for block in _blocks(part):
            sha.update(_bytes(block))
    return sha.hexdigest()[:16]


def _blocks(data: Any) -> list[Any]:
    if library_of(data) == "scipy":
        csr = data.tocsr()
        return [csr.indptr, csr.indices, csr.data]
    if hasattr(data, "columns"):
        return [
            np.asarray(data[c]) if library_of(data) != "pandas" else data[c].to_numpy() for c in data.columns
        ]
    try:
        return [np.asarray(data)]
    except ValueError:
        return [np.array([repr(row) for row in data])]


def _bytes(array: Any) -> bytes:
    array = np.asarray(array)
    if array.dtype.kind in "biufc":
        return bytes(array.dtype.str.encode() + np.ascontiguousarray(array).tobytes())
    return "\x1f".join(repr(v) for v in array.ravel().tolist()).encode("utf-8", "surrogatepass")


def is_missing(y: Any) -> int:
    """How many values of a target are missing (None, NaN, NaT, pandas' NA)."""
    if hasattr(y, "isna"):
        return int(np.asarray(y.isna()).sum())
    array = np.asarray(y)
    if array.dtype.kind in "fc":
        return int(np.isnan(array).sum())
    if array.dtype.kind == "M":
        return int(np.isnat(array).sum())
    if array.dtype.kind == "O":
        return sum(1 for v in array.ravel() if v is None or v != v)
    return 0

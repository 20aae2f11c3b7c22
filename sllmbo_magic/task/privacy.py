"""What of an estimator may be shown to an LLM: class names, steps, and parameters that cannot carry data."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    from sllmbo_magic.space.search_space import Value

_BY_COLUMN = ("ColumnTransformer", "FeatureUnion")
SILENT = ("random_state", "seed", "n_jobs", "nthread", "thread_count", "num_threads", "verbose", "verbosity")
"""Parameters that say nothing about how well a model fits."""

_OPTIONS: dict[str, frozenset[str]] = {
    "boosting_type": frozenset({"gbdt", "dart", "rf", "goss"}),
    "data_sample_strategy": frozenset({"bagging", "goss"}),
    "monotone_constraints_method": frozenset({"basic", "intermediate", "advanced"}),
    "booster": frozenset({"gbtree", "gblinear", "dart"}),
    "tree_method": frozenset({"auto", "exact", "approx", "hist"}),
    "grow_policy": frozenset({"depthwise", "lossguide", "SymmetricTree", "Depthwise", "Lossguide"}),
    "importance_type": frozenset({"split", "gain", "weight", "cover", "total_gain", "total_cover"}),
    "sampling_method": frozenset({"uniform", "gradient_based"}),
    "multi_strategy": frozenset({"one_output_per_tree", "multi_output_tree"}),
    "bootstrap_type": frozenset({"Bayesian", "Bernoulli", "MVS", "Poisson", "No"}),
    "class_weight": frozenset({"balanced", "balanced_subsample"}),
    "score_function": frozenset({"Cosine", "L2", "NewtonCosine", "NewtonL2"}),
    "leaf_estimation_method": frozenset({"Newton", "Gradient", "Exact", "Simple"}),
    "nan_mode": frozenset({"Min", "Max", "Forbidden"}),
    "auto_class_weights": frozenset({"None", "Balanced", "SqrtBalanced"}),
    "objective": frozenset(
        {
            "binary", "multiclass", "multiclassova", "regression", "regression_l1", "huber", "fair",
            "poisson", "quantile", "mape", "gamma", "tweedie", "cross_entropy", "lambdarank", "rank_xendcg",
            "binary:logistic", "binary:hinge", "multi:softmax", "multi:softprob", "reg:squarederror",
            "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror",
            "reg:gamma", "reg:tweedie", "reg:logistic", "count:poisson", "rank:pairwise", "rank:ndcg",
            "rank:map",
        }
    ),
}  # fmt: skip
"""Options of the boosting libraries, which declare none in code (their documentation of parameters does)."""


def class_name(estimator: Any, *, anonymize: bool = False) -> str:
    """Name of the estimator's class; an own class with the library class that it extends."""
    cls = type(estimator)
    if is_library(cls):
        return str(cls.__name__)
    base = next((c for c in cls.__mro__[1:] if is_library(c) and _is_estimator_class(c)), None)
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
        params = estimator.get_params(deep=False)
        for name in sorted(params):
            if name not in SILENT and is_safe(estimator, name, params[name]):
                yield name, _plain(params[name])
    for prefix, part in _parts(estimator):
        for name, value in safe_parameters(part):
            yield f"{prefix}__{name}", value


def is_safe(estimator: Any, name: str, value: Any) -> bool:
    """Whether a parameter's value may be shown to an LLM."""
    if value is None or isinstance(value, bool | np.bool_ | int | np.integer):
        return True
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    return isinstance(value, str) and value in declared_options(type(estimator), name)


def declared_options(cls: type, name: str) -> frozenset[str]:
    """The strings that the library's class declares for a parameter."""
    for base in cls.__mro__:
        if not is_library(base):
            continue
        constraints = base.__dict__.get("_parameter_constraints", {})
        rules = constraints.get(name, ()) if isinstance(constraints, dict) else ()
        options = [o for rule in rules for o in getattr(rule, "options", ()) if isinstance(o, str)]
        if options:
            return frozenset(options)
    root = next((str(b.__module__).split(".")[0] for b in cls.__mro__ if is_library(b)), "")
    return _OPTIONS.get(name, frozenset()) if root in ("lightgbm", "xgboost", "catboost") else frozenset()


def is_library(obj: Any) -> bool:
    """Whether a class or function comes from a known library, so that its names are public."""
    root = str(getattr(obj, "__module__", "") or "").split(".")[0]
    return root in ("sklearn", "lightgbm", "xgboost", "catboost", "skorch", "imblearn")


def _is_estimator_class(cls: type) -> bool:
    return hasattr(cls, "fit") and not cls.__name__.endswith("Mixin")


def _is_a(estimator: Any, *names: str) -> bool:
    return any(c.__name__ in names for c in type(estimator).__mro__)


def _parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimators directly inside, by the prefix that their parameters have."""
    params = estimator.get_params(deep=False)
    listed = [v for k, v in params.items() if k in ("steps", "transformer_list", "estimators")]
    for pairs in listed:
        for pair in pairs or ():
            if isinstance(pair, tuple) and len(pair) >= 2 and hasattr(pair[1], "get_params"):
                yield str(pair[0]), pair[1]
    for name in sorted(params):
        if hasattr(params[name], "get_params") and not inspect.isclass(params[name]):
            yield name, params[name]


def steps_of(estimator: Any, anonymize: bool, *, named: bool = True) -> Iterator[str]:
    """The parts of an estimator in words, those by column without their names."""
    if _is_a(estimator, "ColumnTransformer"):
        yield from _column_transformer(estimator, anonymize)
        return
    named = named and not _is_a(estimator, *_BY_COLUMN)
    for name, part in _parts(estimator):
        text = _with_parts(part, anonymize, named=named)
        yield f"{name}: {text}" if named else text


def _with_parts(part: Any, anonymize: bool, *, named: bool) -> str:
    inner = list(steps_of(part, anonymize, named=named))
    return class_name(part, anonymize=anonymize) + (f" ({'; '.join(inner)})" if inner else "")


def _column_transformer(estimator: Any, anonymize: bool) -> Iterator[str]:
    for _, transformer, columns in estimator.transformers:
        if isinstance(transformer, str):
            transformer_text = transformer if transformer in ("drop", "passthrough") else "transformer"
        else:
            transformer_text = _with_parts(transformer, anonymize, named=False)
        yield f"{transformer_text} on {_count(columns)}"
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


def _plain(value: Any) -> Value:
    plain: Value = value.item() if isinstance(value, np.generic) else value
    return plain

"""The caller's estimator and data, checked before anything is fitted: each problem is one clear line."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from typing import Any

import numpy as np

from sllmbo_magic.errors import InputError
from sllmbo_magic.task.data import is_missing
from sllmbo_magic.task.data import library_of
from sllmbo_magic.task.data import n_rows
from sllmbo_magic.task.data import shape_of
from sllmbo_magic.task.data_advice import READ_DECIMAL_COMMA
from sllmbo_magic.task.data_advice import has_decimal_comma
from sllmbo_magic.task.metrics import Metric


def check_estimator(estimator: Any) -> Any:
    """The estimator as an instance; a class is instantiated with its defaults.

    Raises:
        InputError: Not an estimator in scikit-learn's sense, or one that cannot be cloned.
    """
    from sklearn.base import clone

    if inspect.isclass(estimator):
        try:
            estimator = estimator()
        except TypeError as error:
            name = estimator.__name__
            raise InputError(
                f"{name} cannot be made without arguments ({error}).", f"Give an instance: {name}(...)."
            ) from error
    missing = [m for m in ("fit", "get_params", "set_params") if not callable(getattr(estimator, m, None))]
    if missing:
        raise InputError(
            f"model is a {type(estimator).__name__}, which is no estimator: it has no {missing[0]}().",
            "Give a scikit-learn-compatible estimator or Pipeline, or write an objective.",
        )
    try:
        clone(estimator)
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f"{type(estimator).__name__} cannot be cloned ({type(error).__name__}: {error})",
            "Its __init__ must only store its arguments, as scikit-learn asks.",
        ) from error
    return estimator


def kind_of(estimator: Any) -> str:
    """``"classification"``, ``"regression"`` or ``"other"``."""
    from sklearn.base import is_classifier
    from sklearn.base import is_regressor

    try:
        if is_classifier(estimator):
            return "classification"
        if is_regressor(estimator):
            return "regression"
    except (AttributeError, TypeError):  # an estimator without scikit-learn's tags
        declared = getattr(estimator, "_estimator_type", "")
        return {"classifier": "classification", "regressor": "regression"}.get(declared, "other")
    return "other"


def check_data(X: Any, name: str, estimator: Any) -> Any:
    """The data, sparse ones in a format with rows.

    Raises:
        InputError: None, empty, or one numeric dimension.
    """
    if X is None:
        raise InputError(f"{name} is missing.", f"Define {name}, one row per sample.")
    if library_of(X) == "scipy":
        X = X.tocsr()
    if isinstance(X, Mapping):
        raise InputError(f"{name} is a {type(X).__name__}.", f"Make a table of it: pandas.DataFrame({name}).")
    if isinstance(X, str | bytes | Set):
        raise InputError(
            f"{name} is a {type(X).__name__}, which has no rows.",
            "Allowed: numpy, pandas, polars, scipy sparse, lists.",
        )
    try:
        rows = n_rows(X)
    except TypeError:
        raise InputError(
            f"{name} is a {type(X).__name__} and has no rows.",
            "Allowed: numpy, pandas, polars, scipy sparse, lists.",
        ) from None
    if rows == 0 or shape_of(X)[1] == 0:
        raise InputError(f"{name} is empty.", "At least two rows and one column are needed.")
    if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "biufc":
        raise InputError(f"{name} has one dimension.", f"Use {name}.reshape(-1, 1) for a single column.")
    if library_of(X) == "polars" and _needs_numpy(estimator):
        return X.to_numpy()
    return X


def _needs_numpy(estimator: Any) -> bool:
    """Whether this estimator cannot read polars: XGBoost needs pyarrow for it, LightGBM version 4.7."""
    root = next((r for c in type(estimator).__mro__ if (r := c.__module__.split(".")[0]) in _BOOSTING), "")
    if root == "lightgbm":
        version = importlib.metadata.version("lightgbm").split(".")
        return tuple(int(part) for part in version[:2]) < (4, 7)
    return root == "xgboost" and importlib.util.find_spec("pyarrow") is None


def _dense(y: Any, name: str) -> Any:
    """Polars, lists and sparse matrices as numpy arrays; everything else as it is."""
    library = library_of(y)
    if library == "polars":
        return y.to_numpy()
    if library == "scipy":
        return y.toarray()
    if library == "list":
        try:
            return np.asarray(y)
        except ValueError:
            raise InputError(f"{name} has rows of different length.", "Give one target per row.") from None
    return y


def check_y(y: Any, name: str, rows: int, kind: str, estimator: Any) -> Any:
    """The target; polars and lists as numpy arrays, a single column as one dimension.

    Raises:
        InputError: None, other length than the data, missing or infinite values, a kind that does not fit.
    """
    if y is None:
        raise InputError(f"{name} is missing.", f"Define {name}, one target per row of the data.")
    if isinstance(y, str):
        raise InputError(f"{name} is a text, not a target.", 'Give the column itself, e.g. data["price"].')
    y = _dense(y, name)
    shape = np.shape(y)
    if not shape:
        raise InputError(
            f"{name} is a {type(y).__name__}, not a target.", "Give one value per row of the data."
        )
    if len(shape) == 2 and shape[1] == 1:
        y = y.iloc[:, 0] if hasattr(y, "iloc") else y.ravel()
    data = "X_test" if name == "y_test" else "X"
    if shape[0] != rows:
        raise InputError(f"{data} has {rows} rows, but {name} has {shape[0]}.", "Both need the same length.")
    gaps = is_missing(y)
    if gaps:
        values_text = "value" if gaps == 1 else "values"
        example = (
            " (keep = y.notna(); X, y = X[keep], y[keep])" if hasattr(y, "notna") and name == "y" else ""
        )
        raise InputError(
            f"{name} has {gaps} missing {values_text}.",
            f"Drop those rows of {data} and {name}{example}, or fill them.",
        )
    _check_target_kind(np.asarray(y), name, kind, type(estimator).__name__)
    return y


def match_columns(X: Any, X_test: Any) -> tuple[Any, list[str]]:
    """The test data with their columns in the order of X, and a remark where that was another one.

    Only data frames have names to match by; anything else is returned as it is.

    Raises:
        InputError: Columns of X are not there by name.
    """
    if not all(library_of(one) in ("pandas", "polars") and hasattr(one, "columns") for one in (X, X_test)):
        return X_test, []
    names, test_names = [*X.columns], [*X_test.columns]
    if names == test_names or len({*names}) < len(names) or len({*test_names}) < len(test_names):
        return X_test, []
    if {*names} == {*test_names}:
        return X_test[names], ["X_test has the columns of X in another order, so they are matched by name."]
    lacking = [name for name in names if name not in test_names]
    if lacking and all(isinstance(name, str) for name in (*names, *test_names)):
        raise InputError(
            f"X_test lacks columns of X: {_listed(lacking)}.",
            f"It has {_listed(test_names)}: name them alike.",
        )
    return X_test, []


def compare_targets(y: Any, y_test: Any, kind: str) -> list[str]:
    """Remarks on the target of the test data beside that of the training data.

    Raises:
        InputError: Another number of columns, or labels of which y has none.
    """
    columns, test_columns = ((np.shape(one)[1:] or (1,))[0] for one in (y, y_test))
    if columns != test_columns:
        raise InputError(f"y has {columns} columns, but y_test has {test_columns}.", "Both need the same.")
    if kind != "classification" or np.ndim(y) != 1:
        return []
    labels, test_labels = (set(np.asarray(one).tolist()) for one in (y, y_test))
    unknown = test_labels - labels
    if not unknown:
        return []
    text = f"y_test has labels that y lacks: {_listed(sorted(map(repr, unknown)))}"
    if unknown != test_labels:
        return [f"{text}. No model can predict them."]
    raise InputError(f"{text}.", f"Give both the same labels; y has {_listed(sorted(map(repr, labels)))}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")


def _check_target_kind(values: np.ndarray, name: str, kind: str, model: str) -> None:
    """Raises InputError for a target whose values do not fit the kind of task."""
    from sklearn.utils.multiclass import type_of_target

    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{name} has infinite values.", "Drop or clip those rows.")
    if kind != "other" and values.dtype.kind == "c":
        raise InputError(
            f"{name} holds complex numbers, which {model} cannot be fitted to.",
            f"Use {name}.real, or abs({name}).",
        )
    if kind == "regression" and values.dtype.kind in "OUS" and not _numeric(values):
        if has_decimal_comma(values):
            raise InputError(
                f"{name} holds numbers with a decimal comma, as text.", f"Please {READ_DECIMAL_COMMA}."
            )
        raise InputError(
            f"{name} holds text, but {model} is a regressor.", "Use a classifier, or turn it into numbers."
        )
    if kind == "classification":
        if type_of_target(values).startswith("continuous"):
            raise InputError(
                f"{name} holds continuous numbers, but {model} is a classifier.",
                "Use a regressor, or bin the target.",
            )
        if (
            values.ndim == 1
            and len(np.unique(values.astype(str) if values.dtype.kind == "O" else values)) < 2
        ):
            raise InputError(f"{name} has a single class.", "A classifier needs at least two.")


def _numeric(values: np.ndarray[Any, Any]) -> bool:
    try:
        values.astype(float)
    except (TypeError, ValueError):
        return False
    return True


def check_length(values: Any, name: str, rows: int) -> None:
    """Raises InputError when there is not one value per row."""
    if values is None:
        return
    try:
        length = n_rows(values)
    except TypeError:
        raise InputError(f"{name} is a {type(values).__name__}.", "Give one value per row of X.") from None
    if length != rows:
        raise InputError(f"X has {rows} rows, but {name} has {length}.", "Both need the same length.")


def with_weight_requests(estimator: Any, sample_weight: Any) -> Any:
    """The estimator; under scikit-learn's metadata routing a Pipeline whose last step asks for the weights.

    Steps that have decided for themselves (``set_fit_request``) keep what they decided. The user's estimator
    is not changed.
    """
    if sample_weight is None or not getattr(estimator, "steps", None) or not _is_routed():
        return estimator
    from sklearn.base import clone

    estimator = clone(estimator)
    last = estimator.steps[-1][1]
    for _, step in estimator.steps:
        if not hasattr(step, "set_fit_request") or not hasattr(step, "get_metadata_routing"):
            continue
        requests = step.get_metadata_routing().fit.requests
        if requests.get("sample_weight", True) is None:
            step.set_fit_request(sample_weight=step is last)
    return estimator


def _is_routed() -> bool:
    from sklearn import get_config

    return bool(get_config().get("enable_metadata_routing"))


def fit_arguments(estimator: Any, sample_weight: Any, fit_params: Mapping[str, Any] | None) -> dict[str, Any]:
    """What ``fit`` gets besides X and y; a Pipeline's weights go to its last step.

    Raises:
        InputError: fit_params is no dict, weights are given twice or not accepted by the estimator.
    """
    if fit_params is not None and not isinstance(fit_params, Mapping):
        raise InputError(
            f"fit_params is a {type(fit_params).__name__}.", 'Give a dict: {"sample_weight": w}.'
        )
    params = dict(fit_params or {})
    if sample_weight is None:
        return params
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    key = f"{steps[-1][0]}__sample_weight" if steps and not _is_routed() else "sample_weight"
    if key in params:
        raise InputError("sample_weight is given twice, also in fit_params.", "Give it once.")
    accepted = inspect.signature(last.fit).parameters
    if "sample_weight" not in accepted and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        raise InputError(f"{type(last).__name__}.fit takes no sample_weight.", "Leave sample_weight out.")
    return {**params, key: sample_weight}


_BOOSTING = ("lightgbm", "xgboost")
_MOST_NAMES = 5
"""Labels of a target, or columns, that a message names."""
_TWO_CLASSES = ("f1", "precision", "recall", "jaccard")
_CLASSES_ONLY = (
    *("accuracy", "balanced_accuracy", "top_k_accuracy", "average_precision", "matthews_corrcoef"),
    *("f1", "precision", "recall", "jaccard", "roc_auc", "neg_log_loss", "neg_brier_score"),
)
_PROBABILITIES = ("neg_log_loss", "neg_brier_score", "roc_auc_ov", "d2_log_loss", "d2_brier")


def _has_several_targets(y: Any) -> bool:
    """Whether a target has several columns, and more than two classes in one of them."""
    from sklearn.utils.multiclass import type_of_target

    return np.ndim(y) == 2 and type_of_target(y) == "multiclass-multioutput"


def check_scoring(estimator: Any, metric: Metric, y: Any, kind: str) -> None:
    """Check that the metric can score this estimator on this target.

    Raises:
        InputError: The estimator has no ``score`` of its own, lacks what the metric asks for, or the metric
            is for another kind of target.
    """
    name, model = metric.name, type(estimator).__name__
    if metric.scoring is None and not callable(getattr(estimator, "score", None)):
        raise InputError(f"{model} has no score of its own.", "Give scoring, a metric's name or a scorer.")
    if not isinstance(metric.scoring, str):
        return
    if kind == "regression" and name.startswith(_CLASSES_ONLY):
        raise InputError(
            f"metric {name!r} is for classes, but {model} is a regressor.",
            "Use neg_mean_absolute_error, neg_root_mean_squared_error, r2, or a classifier.",
        )
    if name.startswith(_CLASSES_ONLY) and _has_several_targets(y):
        raise InputError(
            f"metric {name!r} is for one column of classes, but y has {np.shape(y)[1]}.",
            "Give a function, e.g. scoring=lambda y_true, y_pred: np.mean(np.asarray(y_true) == y_pred).",
        )
    if name.startswith(_PROBABILITIES) and not hasattr(estimator, "predict_proba"):
        raise InputError(
            f"metric {name!r} needs predict_proba, which {model} lacks here.",
            "Use another metric (f1_weighted, accuracy, ...) or an estimator with probabilities.",
        )
    if kind == "classification" and np.ndim(y) == 1:
        labels = set(np.asarray(y).tolist())
        if name in _TWO_CLASSES and (len(labels) > 2 or 1 not in labels):
            why = (
                f"y has {len(labels)} classes ({_listed(sorted(map(repr, labels)))})"
                if len(labels) > 2
                else "no label of y is 1"
            )
            raise InputError(
                f"metric {name!r} scores the class 1 of two, but {why}.", f"Use '{name}_weighted'."
            )
        if name == "roc_auc" and len(labels) > 2:
            raise InputError(
                f"metric 'roc_auc' is for two classes, but y has {len(labels)}.",
                "Use 'roc_auc_ovr_weighted'.",
            )

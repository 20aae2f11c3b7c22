"""The values that an estimator has before it is tuned, and which of its parameters can be tuned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sllmbo_magic.priors import real_values
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.choices import holds_numbers
from sllmbo_magic.space.choices import label_of
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.privacy import is_safe

_NOT_TUNED = (
    # where and how it runs
    "random_state", "n_jobs", "verbose", "verbosity", "silent", "warm_start", "memory", "cache_size",
    "copy", "copy_X", "device", "device_type", "transform_input", "thread_count", "algorithm", "leaf_size",
    "precompute",
    # what changes something else than the predictions
    "importance_type", "compute_importances", "probability", "decision_function_shape", "break_ties",
    "oob_score", "eval_metric", "scoring", "validate_parameters", "store_cv_results",
    # what takes an object or depends on the columns
    "callbacks", "estimator", "init", "base_score", "missing", "enable_categorical", "categorical_features",
    "feature_types", "feature_weights", "interaction_constraints", "interaction_cst",
    # how a step hands its columns on
    "verbose_feature_names_out", "sparse_threshold", "sparse_output", "force_int_remainder_cols", "remainder",
    "feature_name_combiner", "keep_empty_features", "add_indicator", "dtype", "handle_unknown",
    "monotone_constraints", "monotonic_cst", "metric_params", "early_stopping_rounds",
    "categories", "missing_values", "fill_value", "unknown_value", "encoded_missing_value",
    "transformer_weights",
)  # fmt: skip
"""Parameters that are not offered to an LLM as additions."""
_DEPRECATED = "deprecated"
"""The default of scikit-learn's parameters that are going to be removed."""


def is_tunable(name: str, value: Any) -> bool:
    """Whether a parameter is a plain value that changes what is learnt."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return plain and value != _DEPRECATED and name.rsplit("__", 1)[-1] not in _NOT_TUNED


def plain_values(estimator: Any, space: SearchSpace) -> dict[str, Any]:
    """The values that an estimator really has before it is tuned, as data that may be stored and shown.

    An object, and a text that neither the library declares nor the space has among its choices, is replaced
    by words that say what it is.
    """
    values = encoded(real_values(estimator, [*space, *space.fixed]), space.objects)
    owners = {"": estimator, **values}
    return {
        name: _plain_value(owners, name, value, space)
        for name, value in values.items()
        if name in space or name in space.fixed or is_tunable(name, value)
    }


def _plain_value(owners: Mapping[str, Any], name: str, value: Any, space: SearchSpace) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    owner, _, last = name.rpartition("__")
    if isinstance(value, str):
        choices = getattr(space.get(name), "choices", (space.fixed.get(name),))
        if (
            value == _DEPRECATED
            or value in choices
            or (owner in owners and is_safe(owners[owner], last, value))
        ):
            return value
    return label_of(last, value) if holds_numbers(value) else f"a {type(value).__name__}"

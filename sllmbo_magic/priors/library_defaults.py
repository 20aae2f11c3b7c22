"""The values that an estimator really has before it is tuned.

``get_params()`` does not tell all of them: XGBoost answers None and CatBoost nothing at all for what the user
has not set, and LightGBM leaves out what its constructor does not name. The values that these libraries
document are written down here, and the tests compare them with the installed libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.space.search_space import Value

_XGBOOST_TREES: dict[str, Value] = {
    "booster": "gbtree",
    "colsample_bylevel": 1.0,
    "colsample_bynode": 1.0,
    "colsample_bytree": 1.0,
    "gamma": 0.0,
    "grow_policy": "depthwise",
    "learning_rate": 0.3,
    "max_bin": 256,
    "max_delta_step": 0.0,
    "max_depth": 6,
    "max_leaves": 0,
    "min_child_weight": 1.0,
    "n_estimators": 100,
    "num_parallel_tree": 1,
    "reg_alpha": 0.0,
    "reg_lambda": 1.0,
    "scale_pos_weight": 1.0,
    "subsample": 1.0,
    "tree_method": "auto",
}
_XGBOOST_LINEAR: dict[str, Value] = {
    "booster": "gblinear",
    "learning_rate": 0.5,
    "n_estimators": 100,
    "reg_alpha": 0.0,
    "reg_lambda": 0.0,
}
_LIGHTGBM: dict[str, Value] = {
    "data_sample_strategy": "bagging",
    "extra_trees": False,
    "feature_fraction_bynode": 1.0,
    "linear_tree": False,
    "max_bin": 255,
    "max_delta_step": 0.0,
    "min_data_in_bin": 3,
    "path_smooth": 0.0,
}
_CATBOOST: dict[str, Value] = {
    "border_count": 254,
    "depth": 6,
    "grow_policy": "SymmetricTree",
    "iterations": 1000,
    "l2_leaf_reg": 3.0,
    "min_data_in_leaf": 1,
    "random_strength": 1.0,
    "rsm": 1.0,
}
"""Without what CatBoost chooses by the data: learning_rate, bootstrap_type, leaf_estimation_iterations."""


def xgboost(current: Mapping[str, Any]) -> Mapping[str, Value]:
    """https://xgboost.readthedocs.io/en/stable/parameter.html"""
    return _XGBOOST_LINEAR if current.get("booster") == "gblinear" else _XGBOOST_TREES


def xgboost_forest(current: Mapping[str, Any]) -> Mapping[str, Value]:
    """As :func:`xgboost`; ``n_estimators`` counts the parallel trees of one round."""
    return {name: value for name, value in _XGBOOST_TREES.items() if name != "num_parallel_tree"}


def lightgbm(current: Mapping[str, Any]) -> Mapping[str, Value]:
    """https://lightgbm.readthedocs.io/en/stable/Parameters.html"""
    return _LIGHTGBM


def catboost(current: Mapping[str, Any]) -> Mapping[str, Value]:
    """https://catboost.ai/docs/en/references/training-parameters/common, on CPUs."""
    return _CATBOOST

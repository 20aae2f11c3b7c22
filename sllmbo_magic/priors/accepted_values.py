"""Whether an estimator declares that it takes a value: scikit-learn's declared constraints, and
what the boosting libraries' documentation lists.
"""

from __future__ import annotations

import inspect
from typing import Any

from sllmbo_magic.space.layers import layers_of

_LISTED: dict[tuple[str, str], tuple[str, ...]] = {
    # https://lightgbm.readthedocs.io/en/stable/Parameters.html#boosting; "rf" needs bagging to be set as well
    ("lightgbm", "boosting_type"): ("gbdt", "dart"),
    # https://xgboost.readthedocs.io/en/stable/parameter.html
    ("xgboost", "booster"): ("gbtree", "dart", "gblinear"),
    ("xgboost", "grow_policy"): ("depthwise", "lossguide"),
    # https://catboost.ai/docs/en/references/training-parameters/common
    ("catboost", "grow_policy"): ("SymmetricTree", "Depthwise", "Lossguide"),
    ("catboost", "bootstrap_type"): ("Bayesian", "Bernoulli", "MVS", "No"),
}
_NEEDS_OTHER_DATA = ("precomputed",)
_LAYERS = ("hidden_layer_sizes",)
"""Parameters that are given as the text of a tuple (see ``space/layers.py``)."""
_MOST_LAYERS = 8
_WIDEST_LAYER = 4096


def accepts(estimator: Any, name: str, value: Any) -> bool | None:
    """Whether the estimator takes a plain value for a parameter, as far as it or its library declares.

    Args:
        estimator: An instance or a class; ``step__parameter`` reaches inside a pipeline or a wrapper.

    Returns:
        None when neither declares it.
    """
    owner, _, own_name = name.rpartition("__")
    if owner:
        if not hasattr(estimator, "get_params") or inspect.isclass(estimator):
            return None
        estimator = estimator.get_params(deep=True).get(owner)
    cls = estimator if inspect.isclass(estimator) else type(estimator)
    if value in _NEEDS_OTHER_DATA:
        return False
    if own_name in _LAYERS and isinstance(value, str):
        widths = layers_of(value) or (0,)
        return len(widths) <= _MOST_LAYERS and min(widths) >= 1 and max(widths) <= _WIDEST_LAYER
    for base in cls.__mro__:
        listed = _LISTED.get((base.__module__.partition(".")[0], own_name))
        if listed is not None:
            return value in listed
    constraints = getattr(cls, "_parameter_constraints", None)
    declared = constraints.get(own_name) if isinstance(constraints, dict) else None
    return _satisfied(declared, value) if isinstance(declared, list) else None


def _satisfied(declared: list[Any], value: Any) -> bool:
    from sklearn.utils._param_validation import make_constraint

    for one in declared:
        constraint = make_constraint(one)
        old = getattr(constraint, "deprecated", None) or ()
        hidden = isinstance(value, str) and value in old
        if not hidden and constraint.is_satisfied_by(value):
            return True
    return False

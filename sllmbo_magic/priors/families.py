"""Where in an estimator the tunable parts are, and which family each belongs to.

Libraries are known by the names of classes and packages, through the method resolution order, so that none
of them has to be importable and subclasses belong to their parents' family.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.priors import boosting
from sllmbo_magic.priors import linear
from sllmbo_magic.priors import networks
from sllmbo_magic.priors import svm_knn
from sllmbo_magic.priors import trees
from sllmbo_magic.priors import unknown
from sllmbo_magic.priors.base import Family

FAMILIES: tuple[Family, ...] = (
    *boosting.FAMILIES,
    *trees.FAMILIES,
    *linear.FAMILIES,
    *svm_knn.FAMILIES,
    *networks.FAMILIES,
)
_BY_CLASS = {
    (package, name): family for family in FAMILIES for package in family.packages for name in family.classes
}
_SCALERS = frozenset(
    (
        "StandardScaler",
        "MinMaxScaler",
        "MaxAbsScaler",
        "RobustScaler",
        "PowerTransformer",
        "QuantileTransformer",
    )
)
_INNER = ("regressor", "classifier", "estimator", "base_estimator")


@dataclass(frozen=True)
class Part:
    """One tunable estimator: itself, or a step of a pipeline, or what a wrapper wraps.

    Attributes:
        prefix: What comes before its parameters' names, e.g. ``"model__"``; empty for the estimator itself.
        current: Its own parameters as they are set.
        scaled: Whether a scaler comes before it.
    """

    prefix: str
    family: Family
    current: Mapping[str, Any]
    cls: type
    scaled: bool = False

    @property
    def renamed(self) -> dict[str, str]:
        """Canonical names -> the aliases that the user has used instead."""
        return {
            name: alias
            for name, aliases in self.family.aliases.items()
            for alias in aliases
            if self.current.get(alias) is not None
        }


def instance_of(cls: type) -> Any:
    try:
        return cls()
    except TypeError as error:
        raise InputError(
            f"{cls.__name__} needs arguments.", "Give an instance instead of the class."
        ) from error


def _own_params(estimator: Any) -> dict[str, Any]:
    if not hasattr(estimator, "get_params"):
        raise InputError(
            f"{type(estimator).__name__} has no get_params.", "Give an estimator or search_space."
        )
    params: dict[str, Any] = estimator.get_params(deep=False)
    return params


def kind_of(estimator: Any) -> str:
    """``"classification"``, ``"regression"`` or ``"ranking"``, by the names of its classes and steps."""
    for part in _chain(estimator):
        names = {cls.__name__ for cls in type(part).__mro__}
        if any("Ranker" in name for name in names):
            return "ranking"
        if "ClassifierMixin" in names or any(name.endswith("Classifier") for name in names):
            return "classification"
        if "RegressorMixin" in names or any(name.endswith("Regressor") for name in names):
            return "regression"
    return "regression"


def _chain(estimator: Any) -> Iterator[Any]:
    """The estimator and what is inside it, outermost first."""
    yield estimator
    for _, inner, _ in _inside(estimator):
        yield from _chain(inner)


def family_of(estimator: Any) -> Family | None:
    """The family of an estimator, by the first of its classes that is known."""
    for cls in type(estimator).__mro__:
        family = _BY_CLASS.get((cls.__module__.partition(".")[0], cls.__name__))
        if family is not None:
            return family
    return None


def parts_of(estimator: Any, prefix: str = "", scaled: bool = False) -> Iterator[Part]:
    family = family_of(estimator)
    inside = list(_inside(estimator))
    if family is not None or not inside:
        cls = type(estimator)
        yield Part(prefix, family or unknown.family_of(cls), _own_params(estimator), cls, scaled)
    for name, inner, is_scaled in inside:
        yield from parts_of(inner, f"{prefix}{name}__", scaled or is_scaled)


def _inside(estimator: Any) -> Iterator[tuple[str, Any, bool]]:
    """What of the inside is worth tuning: name, estimator, and whether a scaler comes before it."""
    names = {cls.__name__ for cls in type(estimator).__mro__}
    params = _own_params(estimator)
    if "Pipeline" in names:
        steps = [(name, step) for name, step in estimator.steps if hasattr(step, "get_params")]
        if steps:
            yield (*steps[-1], any(_has_scaler(step) for _, step in steps[:-1]))
        return
    if isinstance(params.get("estimators"), list):  # voting, stacking
        for pair in params["estimators"]:
            if isinstance(pair, tuple) and len(pair) == 2 and hasattr(pair[1], "get_params"):
                yield (*pair, False)
        return
    for name in _INNER:
        inner = params.get(name)
        if hasattr(inner, "get_params") and not inspect.isclass(inner):
            yield name, inner, _has_scaler(params.get("transformer"))
            return


def _has_scaler(step: Any) -> bool:
    if type(step).__name__ in _SCALERS:
        return True
    if not hasattr(step, "get_params") or inspect.isclass(step):
        return False
    return any(type(value).__name__ in _SCALERS for value in step.get_params(deep=True).values())

"""Estimators that train in rounds: which parameter counts them, and a fit that shows its model on the way.

The model after part of the rounds is scored by the run's own scorer, and the fit that goes on to the end
gives exactly the model of a plain ``fit``. Three ways lead there (a test holds each to it):

* ``callback``: LightGBM and XGBoost show the growing model after each round;
* ``grow``: scikit-learn's forests and boosting add trees to a model that is there (``warm_start``);
* ``short``: where a continued fit is another one than a long fit (SGD, MLP), the first parts are fits of
  their own. They cost what they take; one that converges before its limit is the whole fit already.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any
from typing import Literal

from sllmbo_magic.evaluation.warnings import CountWarnings

STEPS = (25, 50)
"""Percent of a trial's rounds after which it is scored on the way. Earlier ones show which fit learns
fast, not which ends well (docs/method.md has the measurement).
"""
WHOLE = 100
_SHORT_STEPS = STEPS[:1]
"""Fits of their own cost their rounds again: a quarter of a trial that is not pruned."""
_AUTO_ROWS = 10_000
"""Rows above which HistGradientBoosting's early_stopping="auto" stops early."""
_FIELDS_OF_SHORT = ("n_iter_", "n_estimators_")

Report = Callable[[int, Any], None]
"""Called with a step and the fitted estimator as it stands there; may raise to end the fit."""


@dataclass(frozen=True)
class Rounds:
    """How an estimator trains.

    Attributes:
        name: The parameter that counts the rounds, without prefix.
        way: See the module.
        boosting: Whether the rounds are boosting's, so that early stopping can find their number.
        package: The estimator's library.
        prefix: Of the step in a Pipeline that trains in rounds, ``"model__"``; else empty.
    """

    name: str
    way: Literal["callback", "grow", "short"]
    boosting: bool = False
    package: str = "sklearn"
    prefix: str = ""

    def of(self, estimator: Any) -> Any:
        """The part of an estimator that trains in rounds."""
        return estimator.steps[-1][1] if self.prefix else estimator

    def names(self) -> frozenset[str]:
        """All names that the parameter may go by, with prefix."""
        aliases = _ALIASES if self.package == "lightgbm" else ()
        return frozenset(self.prefix + name for name in (self.name, "n_estimators", *aliases))

    def total(self, part: Any) -> int:
        """How many rounds the part is set to train; XGBoost's None is 100."""
        n_rounds = part.get_params(deep=False).get(self.name)
        return 100 if n_rounds is None else int(n_rounds)


_KINDS = {
    "LGBMModel": Rounds("n_estimators", "callback", boosting=True, package="lightgbm"),
    "XGBModel": Rounds("n_estimators", "callback", boosting=True, package="xgboost"),
    "BaseForest": Rounds("n_estimators", "grow"),
    "BaseGradientBoosting": Rounds("n_estimators", "grow", boosting=True),
    "BaseHistGradientBoosting": Rounds("max_iter", "grow", boosting=True),
    "BaseMultilayerPerceptron": Rounds("max_iter", "short"),
    "BaseSGD": Rounds("max_iter", "short"),
}
"""By the name of a base class."""
_NOT = ("XGBRFClassifier", "XGBRFRegressor", "RandomTreesEmbedding", "SGDOneClassSVM")
"""One round of many trees, and models without a target."""
_ALIASES = ("num_iterations", "num_iteration", "num_boost_round", "num_round", "num_rounds", "num_trees")


def rounds_of(estimator: Any, n_rows: int = 0) -> Rounds | None:
    """How an estimator, or the last step of scikit-learn's Pipeline, trains in rounds; None when it does not.

    Args:
        estimator: With the parameters of the trial.
        n_rows: Rows it is fitted on; from 10,000 on some stop by themselves.
    """
    prefix, last = _last(estimator)
    classes = {c.__name__: str(c.__module__).partition(".")[0] for c in type(last).__mro__}
    if classes.keys() & set(_NOT):
        return None
    kind = next((kind for base, kind in _KINDS.items() if classes.get(base) == kind.package), None)
    if kind is None:
        return None
    params = last.get_params(deep=False)
    if kind.package == "lightgbm":
        kind = replace(kind, name=next((alias for alias in _ALIASES if alias in params), kind.name))
    if kind.way == "grow" and (
        stops_itself(params, n_rows) or not isinstance(params.get("random_state"), int | None)
    ):
        # a warm start would go on from where it stopped, and from where a generator stands
        kind = replace(kind, way="short")
    return replace(kind, prefix=prefix)


def stops_itself(params: Mapping[str, Any], n_rows: int) -> bool:
    """Whether scikit-learn's boosting looks for the number of rounds by itself."""
    if "early_stopping" in params:
        early = params["early_stopping"]
        return n_rows > _AUTO_ROWS if early == "auto" else bool(early)
    return params.get("n_iter_no_change") is not None


@dataclass(frozen=True)
class Stage:
    """What is fitted: the part that trains in rounds, on data that the steps before it have transformed."""

    last: Any
    X: Any
    y: Any
    fit_params: Mapping[str, Any]
    wrap: Callable[[Any], Any]
    """The part -> a fitted estimator of the whole."""
    head: Any = field(default=None, repr=False)
    """The fitted steps before it; None without any."""


def stage(estimator: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> Stage:
    """Fit the steps before the last one, as ``Pipeline.fit`` does."""
    prefix, last = _last(estimator)
    if not prefix:
        return Stage(last, X, y, fit_params, lambda part: part)
    last_fit_params = {k.removeprefix(prefix): v for k, v in fit_params.items() if k.startswith(prefix)}
    name = estimator.steps[-1][0]
    if len(estimator.steps) == 1:
        return Stage(last, X, y, last_fit_params, lambda part: type(estimator)([(name, part)]))
    head = estimator[:-1]
    head_fit_params = {k: v for k, v in fit_params.items() if not k.startswith(prefix)}
    transformed = head.fit_transform(X, y, **head_fit_params)
    return Stage(
        last, transformed, y, last_fit_params, lambda part: type(estimator)([*head.steps, (name, part)]), head
    )


def steps_of(rounds: Rounds, total: int) -> dict[int, int]:
    """Number of rounds -> step, for the steps before the end; short trainings have fewer of them."""
    steps = _SHORT_STEPS if rounds.way == "short" else STEPS
    step_by_rounds = {max(1, round(total * step / WHOLE)): step for step in steps}
    return {n: step for n, step in step_by_rounds.items() if n < total}


def fit_reporting(part: Stage, rounds: Rounds, at: Mapping[int, int], report: Report) -> Any:
    """Fit, and report after the rounds in ``at``.

    Args:
        part: The part to fit; its parameters are set.
        rounds: How it trains.
        at: Number of rounds -> step, ascending.
        report: Takes step and estimator; what it raises ends the fit.

    Returns:
        The fitted estimator of the whole.
    """
    if rounds.way == "callback":
        _with_callback(part, rounds.package, at, report)
    elif rounds.way == "grow":
        _growing(part, rounds.name, at, report)
    else:
        fitted = _short_fits(part, rounds.name, at, report)
        if fitted is not None:
            return fitted
    return part.wrap(part.last)


def _with_callback(part: Stage, package: str, at: Mapping[int, int], report: Report) -> None:
    def show(n_rounds: int, booster: Any) -> None:
        if n_rounds in at:
            model = copy.copy(part.last)
            model._Booster = booster
            model.fitted_ = True
            model._best_iteration = -1  # LightGBM: all rounds so far
            report(at[n_rounds], part.wrap(model))

    fit_params = dict(part.fit_params)
    if package == "lightgbm":
        users_callbacks = fit_params.pop("callbacks", None) or []
        callbacks = [*users_callbacks, lambda env: show(env.iteration + 1, env.model)]
        part.last.fit(part.X, part.y, callbacks=callbacks, **fit_params)
        return
    before = part.last.get_params(deep=False).get("callbacks")
    part.last.set_params(callbacks=[*(before or []), _xgboost_callback(show)])
    part.last.fit(part.X, part.y, **fit_params)
    part.last.set_params(callbacks=before)


def _xgboost_callback(show: Callable[[int, Any], None]) -> Any:
    from xgboost.callback import TrainingCallback

    class Show(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            show(epoch + 1, model)
            return False

    return Show()


def _growing(part: Stage, name: str, at: Mapping[int, int], report: Report) -> None:
    last = part.last
    total, before = last.get_params(deep=False)[name], last.get_params(deep=False)["warm_start"]
    last.set_params(warm_start=True)
    for n_rounds, step in at.items():
        last.set_params(**{name: n_rounds})
        last.fit(part.X, part.y, **part.fit_params)
        report(step, part.wrap(last))
    last.set_params(**{name: total})
    last.fit(part.X, part.y, **part.fit_params)
    last.set_params(warm_start=before)


def _short_fits(part: Stage, name: str, at: Mapping[int, int], report: Report) -> Any:
    """Fits of their own, then the whole one; a short one that converged is returned as the whole one."""
    from sklearn.base import clone

    for n_rounds, step in at.items():
        short = clone(part.last).set_params(**{name: n_rounds})
        with CountWarnings():  # that it did not converge is no news
            short.fit(part.X, part.y, **part.fit_params)
        used = next((getattr(short, f) for f in _FIELDS_OF_SHORT if hasattr(short, f)), n_rounds)
        if used < n_rounds:
            return part.wrap(short.set_params(**{name: part.last.get_params(deep=False)[name]}))
        report(step, part.wrap(short))
    part.last.fit(part.X, part.y, **part.fit_params)
    return None


def _last(estimator: Any) -> tuple[str, Any]:
    """Prefix and object of a Pipeline's last step. Pipelines of other packages may resample: left whole."""
    from sklearn.pipeline import Pipeline

    if type(estimator) is Pipeline and estimator.steps:
        name, last = estimator.steps[-1]
        return f"{name}__", last
    return "", estimator

"""Which score is optimised, by the names people use: scikit-learn's scorers, short aliases, own callables.

Scores are always scikit-learn's scorer values as they are (``neg_log_loss`` is negative and is maximised).
Only a user's own callable may be minimised.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from typing import Literal
from typing import TypeAlias

from sllmbo_magic.errors import InputError
from sllmbo_magic.options.values import closest

Direction: TypeAlias = Literal["maximize", "minimize"]

ALIASES: dict[str, str] = {
    "acc": "accuracy",
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "average_precision_score": "average_precision",
    "aucpr": "average_precision",
    "brier": "neg_brier_score",
    "cross_entropy": "neg_log_loss",
    "f1-macro": "f1_macro",
    "f1-micro": "f1_micro",
    "f1-weighted": "f1_weighted",
    "logloss": "neg_log_loss",
    "log_loss": "neg_log_loss",
    "mae": "neg_mean_absolute_error",
    "mape": "neg_mean_absolute_percentage_error",
    "mcc": "matthews_corrcoef",
    "mean_absolute_error": "neg_mean_absolute_error",
    "mean_squared_error": "neg_mean_squared_error",
    "medae": "neg_median_absolute_error",
    "mse": "neg_mean_squared_error",
    "msle": "neg_mean_squared_log_error",
    "pinball": "neg_mean_pinball_loss",
    "r2_score": "r2",
    "rmse": "neg_root_mean_squared_error",
    "rmsle": "neg_root_mean_squared_log_error",
    "root_mean_squared_error": "neg_root_mean_squared_error",
}
"""Short names, each for one of scikit-learn's scorers."""

_CLASSIFICATION = ("f1_weighted", "accuracy", "balanced_accuracy", "roc_auc", "neg_log_loss")
_REGRESSION = ("neg_mean_absolute_error", "neg_root_mean_squared_error", "r2")


@dataclass(frozen=True)
class Metric:
    """What is scored: ``scoring`` as scikit-learn takes it, a name to show, the direction, and a remark for
    the user; "" for none.
    """

    scoring: str | Callable[..., Any] | None
    name: str
    direction: Direction
    note: str = ""


def resolve_metric(scoring: Any, direction: str | None, kind: str) -> Metric:
    """The metric that ``scoring`` means.

    Args:
        scoring: One of scikit-learn's scorer names, one of :data:`ALIASES`, a scorer
            ``(estimator, X, y) -> float``, a metric ``(y_true, y_pred) -> float``, or None for the default:
            ``"f1_weighted"`` for classifiers, ``"neg_mean_absolute_error"`` for regressors (the paper's
            metrics), the estimator's own ``score`` for anything else.
        direction: None means ``"maximize"``, scikit-learn's convention for scorers; of a metric ``(y_true,
            y_pred)`` a note says so. ``"minimize"`` is for an own callable whose value is a loss; an alias
            of a loss (``"mae"``) accepts it, too, and is then optimised as the negative scorer that it
            stands for.
        kind: ``"classification"``, ``"regression"`` or ``"other"``.

    Raises:
        InputError: Unknown name (with the closest match), several metrics, or a direction that does not fit.
    """
    direction = direction_of(direction)
    if scoring is None:
        scoring = {"classification": "f1_weighted", "regression": "neg_mean_absolute_error"}.get(kind)
        if scoring is None and direction != "minimize":
            return Metric(None, "estimator.score", "maximize")
        scoring = scoring or "score"
    if isinstance(scoring, str):
        return _by_name(scoring, direction, kind)
    if isinstance(scoring, list | tuple | set | dict):
        raise InputError(
            "scoring holds several metrics, but one number is optimised.",
            "Give one of them; for several at once write an objective that returns a tuple.",
        )
    if not callable(scoring):
        raise InputError(
            f"scoring is a {type(scoring).__name__}, which is neither a metric's name nor callable.",
            f"Examples: {', '.join(_examples(kind))}.",
        )
    scorer, name = _as_scorer(scoring), callable_name(scoring)
    _check_callable_direction(scoring, name, direction)
    note = ""
    if direction is None and scorer is not scoring and not is_negative(name):
        note = f'{name} is maximised. For an error, say direction="minimize" (--direction minimize).'
    return Metric(scorer, name, "minimize" if direction == "minimize" else "maximize", note)


def direction_of(direction: Any) -> Direction | None:
    """A direction as text: in any case, or Optuna's ``StudyDirection``; None stays None.

    Raises:
        InputError: It is no direction.
    """
    text = getattr(direction, "name", direction)
    text = text.strip().lower() if isinstance(text, str) else text
    if text is None:
        return None
    if text == "maximize":
        return "maximize"
    if text == "minimize":
        return "minimize"
    raise InputError(f"direction {direction!r} is not known.", "Allowed: maximize, minimize.")


def _check_callable_direction(scoring: Any, name: str, direction: str | None) -> None:
    """Refuse a direction that picks the worst: of scikit-learn's scorers the sign and the metric's name tell,
    of a metric function its name.

    Raises:
        InputError: The direction does not fit, or has to be said.
    """
    metric = getattr(scoring, "_score_func", None)
    if metric is None:
        if direction is None and is_loss(name):
            raise InputError(
                f"{name} is named like a loss, and without a direction greater is better.",
                'Say direction="minimize" (or "maximize").',
            )
        if direction == "minimize" and (is_negative(name) or _is_own_score(scoring)):
            scorer_text = "estimator.score" if _is_own_score(scoring) else name
            raise InputError(
                f"direction 'minimize' does not fit the scorer {scorer_text}: greater is better there.",
                "Leave direction out; a loss's scorer is negative and maximised.",
            )
        return
    metric = _unwrapped(metric)
    metric_name = callable_name(metric)
    if getattr(scoring, "_sign", 1) < 0:
        if direction == "minimize":
            raise InputError(
                f"direction 'minimize' does not fit the scorer {name}: greater is better there.",
                "Leave direction out; a loss's scorer is negative and maximised.",
            )
        if _is_score(metric):
            raise InputError(
                f"the scorer {name} makes a small {metric_name} the best.",
                f"Use make_scorer({metric_name}) without greater_is_better=False.",
            )
    elif direction == "minimize" and _is_score(metric):
        raise InputError(
            f"direction 'minimize' does not fit the scorer {name}: greater is better there.",
            "Leave direction out.",
        )
    elif direction != "minimize" and is_loss(metric_name):
        raise InputError(
            f"the scorer {name} makes a large {metric_name} the best.",
            f"Use make_scorer({metric_name}, greater_is_better=False).",
        )


def is_loss(name: str) -> bool:
    """Whether a metric of that name is better when it is smaller: scikit-learn's endings, and short names."""
    name = name.lower().removesuffix("_scorer").removesuffix("_metric")
    if is_negative(name):
        return False
    negative = ALIASES.get(name.rpartition("_")[2], "").startswith("neg_")  # my_mae, too
    return negative or name.endswith(("_error", "_loss", "_deviance")) or name in ("error", "loss")


def is_negative(name: str) -> bool:
    """Whether a scorer's name says that it is the negative of a loss, as scikit-learn's do."""
    return name.lower().startswith(("neg_", "negative_", "minus_"))


def _is_own_score(scoring: Any) -> bool:
    """Whether it is scikit-learn's scorer that calls the estimator's own ``score``."""
    return type(scoring).__name__ == "_PassthroughScorer"


def _unwrapped(function: Any) -> Any:
    """The function inside partials and decorators."""
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(function) if callable(function) else function


def _is_score(metric: Any) -> bool:
    """Whether it is one of scikit-learn's metrics that are better when they are greater."""
    name = getattr(metric, "__name__", "")
    module = getattr(metric, "__module__", "") or ""
    return module.startswith("sklearn.metrics") and name.endswith(("_score", "_corrcoef"))


def _by_name(text: str, direction: str | None, kind: str) -> Metric:
    from sklearn.metrics import get_scorer_names

    names = set(get_scorer_names())
    lowered = text.strip().lower()
    name = next((n for n in (text, lowered, ALIASES.get(lowered, "")) if n in names), None)
    if name is None:
        all_names = sorted(names | set(ALIASES))
        hint = closest(lowered, all_names)
        examples = ", ".join(_examples(kind))
        short = "acc, auc, logloss, mae, mape, mcc, mse, rmse"
        raise InputError(
            f"metric {text!r} is not known.",
            f"{hint}Allowed: scikit-learn's scorers ({examples}, ...), short names ({short}) or a scorer.",
        )
    if direction == "minimize" and (name == lowered or not name.startswith("neg_")):
        raise InputError(
            f"direction 'minimize' does not fit the metric {text!r}: greater is better there.",
            "Leave direction out; a loss's scorer is negative and maximised.",
        )
    return Metric(name, name, "maximize")


def _examples(kind: str) -> tuple[str, ...]:
    return _REGRESSION if kind == "regression" else _CLASSIFICATION


def _as_scorer(function: Callable[..., Any]) -> Callable[..., Any]:
    """A metric ``(y_true, y_pred)`` becomes a scorer of its value as it is; a scorer stays what it is."""
    from sklearn.metrics import make_scorer

    metric = _unwrapped(function)
    module = getattr(metric, "__module__", "") or ""
    if module.startswith("sklearn.metrics.") and inspect.isfunction(metric):
        raise InputError(
            f"{metric.__name__} is a metric function of scikit-learn and does not say which way is better.",
            "Give a scorer's name (f1_weighted, neg_mean_absolute_error, ...) or use make_scorer.",
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return function
    needed = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) == 2 and (len(parameters) == 2 or _compares_targets(parameters)):
        scorer: Callable[..., Any] = make_scorer(function)
        return scorer
    return function


def _compares_targets(parameters: list[inspect.Parameter]) -> bool:
    """Whether a function of more than two parameters is a metric ``(y_true, y_pred, sample_weight=None)`` and
    no scorer ``(estimator, X, y=None)``.
    """
    first, third = parameters[0].name.lower(), parameters[2].name.lower()
    return first.startswith(("y", "true", "target", "label", "actual")) and not third.startswith("y")


def callable_name(function: Any) -> str:
    """The name of a scorer without its arguments, which may quote labels (``pos_label``)."""
    function = _unwrapped(function)
    score = getattr(function, "_score_func", None)
    if score is not None:
        sign = "neg_" if getattr(function, "_sign", 1) < 0 else ""
        return sign + callable_name(score)
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() else "own metric"

"""The metric that a scikit-learn search optimises, checked before its first fit.

scikit-learn takes a function as it is and maximises it, also one whose name says that it is a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.options.values import closest
from sllmbo_magic.task.metrics import ALIASES
from sllmbo_magic.task.metrics import callable_name
from sllmbo_magic.task.metrics import is_loss
from sllmbo_magic.task.metrics import is_negative
from sllmbo_magic.task.metrics import resolve_metric
from sllmbo_magic.task.validation import check_scoring
from sllmbo_magic.task.validation import kind_of


def check_metric(estimator: Any, scoring: Any, refit: Any, y: Any) -> None:
    """Check what is optimised: ``scoring``, or of several metrics the one that ``refit`` names.

    Args:
        estimator: The estimator that is searched.
        scoring: As ``GridSearchCV`` takes it; None, the estimator's own ``score``, needs no check.
        refit: As ``GridSearchCV`` takes it.
        y: The target, n values (or n x outputs), or None.

    Raises:
        InputError: Several metrics and none is named, a name that scikit-learn has not, a loss that would be
            maximised, a function ``(y_true, y_pred)``, or a metric for another kind of target.
    """
    is_one = scoring is None or isinstance(scoring, str) or callable(scoring)
    if not is_one and not isinstance(refit, str):
        raise InputError("scoring holds several metrics.", "Name in refit the one that is optimised.")
    one = scoring
    if not is_one:
        one = scoring.get(refit) if isinstance(scoring, Mapping) else refit
    if not isinstance(one, str) and not callable(one):  # scikit-learn says so where that is wrong
        return
    if isinstance(one, str):
        _check_name(one)
    elif callable(scoring) and isinstance(refit, str) and is_loss(refit):  # of those that it returns
        raise _maximised(refit, f"Return its negative, and name it neg_{refit}.")
    else:
        _check_sign(one, refit if isinstance(refit, str) else "")
    kind = kind_of(estimator)
    metric = resolve_metric(one, None, kind)
    if y is None:
        return
    if callable(one) and metric.scoring is not one:
        raise InputError(
            f"scoring: {metric.name} takes (y_true, y_pred), and a scorer takes (estimator, X, y).",
            f"Write make_scorer({_in_code(one)}), of sklearn.metrics.",
        )
    check_scoring(estimator, metric, y, kind)


def _check_name(name: str) -> None:
    from sklearn.metrics import get_scorer_names

    names = get_scorer_names()
    if name in names:
        return
    meant = ALIASES.get(name.strip().lower())
    raise InputError(
        f"scoring: scikit-learn has no scorer {name!r}.",
        f"Write {meant!r}."
        if meant
        else f"{closest(name, names)}sklearn.metrics.get_scorer_names() has all.",
    )


def _check_sign(function: Callable[..., Any], key: str) -> None:
    """Refuse a function that is named like a loss: by its own name, or by ``key`` among several metrics.

    ``resolve_metric`` tells the sign of what ``make_scorer`` made.
    """
    name = callable_name(function)
    is_made = hasattr(function, "_score_func")
    loss = next((text for text in (key if is_made else name, key) if is_loss(text)), None)
    if loss is None or is_negative(name):
        return
    if is_made or resolve_metric(function, "maximize", "other").scoring is not function:
        metric = _in_code(getattr(function, "_score_func", function))
        raise _maximised(loss, f"Write make_scorer({metric}, greater_is_better=False).")
    raise _maximised(loss, f"Return its negative, and name it neg_{loss}.")


def _maximised(loss: str, hint: str) -> InputError:
    return InputError(f"scoring: {loss} is named like a loss, and greater is better here.", hint)


def _in_code(function: Callable[..., Any]) -> str:
    name = callable_name(function)
    return name if name.isidentifier() else "..."

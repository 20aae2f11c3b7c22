"""The metric as people read it: "MAE 44.3, lower is better" for scikit-learn's "neg_mean_absolute_error".

scikit-learn maximises every scorer, so that a loss is scored with a negative sign. Data keep that sign;
whatever a person looks at goes through :func:`display_metric`. The front end has the same function over the
same table (``labextension/src/view/metric.ts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import overload

LOSSES: dict[str, str] = {
    "brier_score": "Brier score",
    "brier_score_loss": "Brier score",
    "log_loss": "log loss",
    "max_error": "largest error",
    "mean_absolute_error": "MAE",
    "mean_absolute_percentage_error": "MAPE",
    "mean_gamma_deviance": "mean gamma deviance",
    "mean_poisson_deviance": "mean Poisson deviance",
    "mean_squared_error": "MSE",
    "mean_squared_log_error": "MSLE",
    "median_absolute_error": "median absolute error",
    "negative_likelihood_ratio": "negative likelihood ratio",
    "root_mean_squared_error": "RMSE",
    "root_mean_squared_log_error": "RMSLE",
}
"""Names that people use for losses, by scikit-learn's name without its ``neg_``."""


@dataclass(frozen=True)
class DisplayMetric:
    """How scores of one metric are shown.

    ``label`` is the metric's name, ``sign`` (1 or -1) what a stored score is multiplied by, ``maximize``
    whether a larger shown value is better.
    """

    label: str
    sign: int
    maximize: bool

    @property
    def better(self) -> str:
        """``"higher is better"`` or ``"lower is better"``."""
        return f"{'higher' if self.maximize else 'lower'} is better"

    @overload
    def shown(self, score: float) -> float: ...

    @overload
    def shown(self, score: None) -> None: ...

    def shown(self, score: float | None) -> float | None:
        """A stored score as it is shown; None stays None."""
        return None if score is None else self.sign * score + 0.0


def display_metric(metric: str, direction: str = "maximize", negated: bool = False) -> DisplayMetric:
    """How the scores of a metric are shown.

    Args:
        metric: The scorer's name as stored.
        direction: ``"maximize"`` or ``"minimize"``; any other value (several objectives) changes nothing.
        negated: Whether the scorer turns the sign of a loss, as ``make_scorer(..., greater_is_better=False)``
            does; names that begin with ``neg_`` say so themselves.
    """
    is_negative = direction == "maximize" and (negated or metric.startswith("neg_"))
    loss = metric.removeprefix("neg_") if is_negative else metric
    label = LOSSES.get(loss, loss.replace("_", " ") if loss != metric else metric)
    return DisplayMetric(label, -1 if is_negative else 1, direction != "minimize" and not is_negative)


def is_negated(scoring: Any) -> bool:
    """Whether a scorer turns the sign of a loss (``greater_is_better=False``)."""
    return getattr(scoring, "_sign", 1) == -1

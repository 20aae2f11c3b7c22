"""A comparison's data with scores as people read them; ``Comparison.to_dict`` keeps scikit-learn's sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.task.display_metric import display_metric


def shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with the metric's common name, its direction, and best and final scores in its units.

    Regret and differences are positive where something is worse or better, whatever the sign of a score.
    """
    metric = display_metric(data["metric"], data["direction"], bool(data.get("negated")))
    task = metric.label if data["task"] == data["metric"] else data["task"]
    labels = {"metric": metric.label, "task": task}
    if metric.sign == 1:
        return {**data, **labels}
    return {
        **data,
        **labels,
        "direction": "minimize",
        "rows": [_flipped(row, "best", "test") for row in data["rows"]],
        "runs": [_flipped(run, "final") for run in data["runs"]],
    }


def _flipped(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    negative = {name: -entry[name] + 0.0 for name in names if isinstance(entry.get(name), float)}
    return {**entry, **negative}

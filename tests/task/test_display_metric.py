"""Scores in the units that people use."""

from __future__ import annotations

import pytest
from sklearn.metrics import get_scorer_names
from sklearn.metrics import make_scorer
from sklearn.metrics import mean_absolute_error

from sllmbo_magic.task.display_metric import DisplayMetric
from sllmbo_magic.task.display_metric import display_metric
from sllmbo_magic.task.display_metric import is_negated


def test_a_loss_is_shown_positive_and_lower_is_better() -> None:
    mae = display_metric("neg_mean_absolute_error")
    assert mae == DisplayMetric("MAE", -1, maximize=False)
    assert mae.shown(-44.3) == 44.3
    assert str(mae.shown(0.0)) == "0.0", "no negative zero"
    assert mae.shown(None) is None
    assert mae.better == "lower is better"


def test_no_scorer_of_scikit_learn_is_shown_with_its_neg() -> None:
    for name in get_scorer_names():
        shown = display_metric(name)
        assert not shown.label.startswith("neg_"), name
        assert "_" not in shown.label or not name.startswith("neg_"), name
        assert (shown.sign == -1) == name.startswith("neg_"), name


@pytest.mark.parametrize(
    ("metric", "direction", "negated", "label", "sign", "maximize"),
    [
        ("f1_weighted", "maximize", False, "f1_weighted", 1, True),
        ("own_loss", "minimize", False, "own_loss", 1, False),
        ("mean_absolute_error", "minimize", False, "MAE", 1, False),
        ("mean_absolute_error", "maximize", True, "MAE", -1, False),
        ("own_loss", "maximize", True, "own_loss", -1, False),
        ("neg_own_loss", "maximize", False, "own loss", -1, False),
        ("a, b", "maximize, minimize", False, "a, b", 1, True),
    ],
)
def test_own_metrics(
    metric: str, direction: str, negated: bool, label: str, sign: int, maximize: bool
) -> None:
    assert display_metric(metric, direction, negated) == DisplayMetric(label, sign, maximize)


def test_a_scorer_says_whether_it_turns_the_sign() -> None:
    assert is_negated(make_scorer(mean_absolute_error, greater_is_better=False))
    assert not is_negated(make_scorer(mean_absolute_error))
    assert not is_negated("f1")
    assert not is_negated(None)

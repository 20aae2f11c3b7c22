"""Trees and tree ensembles of scikit-learn: single trees, forests, boosting."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.priors import sources as src
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.base import Inert
from sllmbo_magic.priors.base import Range
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.base import balance
from sllmbo_magic.priors.base import choice
from sllmbo_magic.priors.base import experts
from sllmbo_magic.priors.base import no_inert
from sllmbo_magic.priors.base import real
from sllmbo_magic.priors.base import whole
from sllmbo_magic.priors.boosting import MANY_ROWS
from sllmbo_magic.priors.boosting import leaves_and_depth
from sllmbo_magic.priors.boosting import small_first

# --- forests --------------------------------------------------------------------------------------------


_FOREST = ("n_estimators", "max_features", "min_samples_leaf", "bootstrap", "max_samples", "criterion")


def random_forest(facts: Facts) -> Table:
    usual = _usual_share(facts)
    rows = experts(
        _FOREST,
        (
            "more trees than the default: less variance for time only",
            (400, usual, 1, True, 1.0, "gini"),
        ),
        ("larger leaves and a part of the rows: for noisy targets", (400, 0.4, 8, True, 0.6, "entropy")),
        ("half of the columns at each split, small leaves", (300, 0.5, 2, True, 0.9, "entropy")),
        (
            "few columns at each split: very different trees",
            (300, usual / 3, 1, False, 1.0, "gini"),
        ),
        ("most columns and half of the rows: for useless columns", (300, 0.8, 3, True, 0.5, "gini")),
    )
    return Table(_forest_ranges(facts), rows, note=_FOREST_NOTE)


def extra_trees(facts: Facts) -> Table:
    usual = _usual_share(facts)
    rows = experts(
        _FOREST,
        (
            "more trees than the default: less variance for time only",
            (400, usual, 1, False, 1.0, "gini"),
        ),
        ("nearly all columns at each split, small leaves", (300, 0.9, 3, False, 1.0, "entropy")),
        ("more columns at each split and a part of the rows", (300, 0.6, 2, True, 0.8, "gini")),
        ("larger leaves: for noisy targets", (400, 0.8, 8, False, 1.0, "entropy")),
        (
            "few columns at each split: for redundant columns",
            (300, usual / 2, 2, False, 1.0, "gini"),
        ),
    )
    return Table(_forest_ranges(facts), rows, note=_FOREST_NOTE)


_FOREST_NOTE = (
    "max_features is a share of the columns and goes down to one column (log scale above 100 columns); "
    "min_samples_leaf goes up to a twentieth of the rows (10 to 50)."
)


def _usual_share(facts: Facts) -> float:
    """The share of columns that scikit-learn looks at by default."""
    return round(facts.n_columns**-0.5, 3) if facts.classification else 1.0


def _forest_ranges(facts: Facts) -> tuple[Range, ...]:
    share = real(min(0.5, max(1 / facts.n_columns, 0.01)), 1.0, log=facts.n_columns > 100)
    criterion = (Range("criterion", choice("gini", "entropy"), src.GRINSZTAJN),)
    return (
        Range("n_estimators", whole(100, 500, log=True), src.PROBST_TREES, (10, 5000)),
        Range("max_features", share, src.PROBST_FOREST, (0.001, 1.0)),
        Range("min_samples_leaf", whole(1, facts.rows_over(20, 10, 50), log=True), src.GRINSZTAJN, (1, 5000)),
        *(criterion if facts.classification else ()),
        Range("bootstrap", choice(True, False), src.GRINSZTAJN),
        Range("max_samples", real(0.3, 1.0), f"after {src.PROBST}", (0.01, 1.0), when=("bootstrap", (True,))),
        Range("min_samples_split", whole(2, 20, log=True), src.AUTOSKLEARN, (2, 5000), start=False),
        Range("max_depth", whole(3, 30, log=True), src.GUIDE_ENSEMBLES, (1, 100), start=False),
        Range("max_leaf_nodes", whole(8, 1024, log=True), src.GUIDE_ENSEMBLES, (2, 65_536), start=False),
        *balance(facts, src.GUIDE_TREES),
    )


def tree_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    split, leaf = params.get("min_samples_split"), params.get("min_samples_leaf")
    if isinstance(split, int) and isinstance(leaf, int) and leaf > 1 and split <= 2 * leaf:
        reasons["min_samples_split"] = f"two leaves of {leaf} rows need {2 * leaf} rows anyway"
    return reasons | leaves_and_depth(params, "max_leaf_nodes")


def forest_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons = tree_inert(params)
    if params.get("bootstrap") is False:
        reasons |= {
            name: "rows are sampled only with bootstrap"
            for name in ("max_samples", "oob_score")
            if params.get(name)
        }
    return reasons


# --- one tree -------------------------------------------------------------------------------------------


def tree(facts: Facts) -> Table:
    by_kind: tuple[Range, ...] = ()
    if facts.classification:
        by_kind = (
            Range("criterion", choice("gini", "entropy"), src.AUTOSKLEARN),
            Range("ccp_alpha", real(1e-5, 0.05, log=True), src.GUIDE_TREES, (0.0, 1.0)),
        )
    ranges = (
        Range("max_depth", whole(2, 20), f"after {src.PROBST}", (1, 64)),
        Range("min_samples_leaf", whole(1, facts.rows_over(10, 20, 60), log=True), src.PROBST, (1, 5000)),
        Range("min_samples_split", whole(2, facts.rows_over(5, 20, 60), log=True), src.PROBST, (2, 5000)),
        *by_kind,
        Range("max_features", real(0.3, 1.0), src.GUIDE_TREES, (0.001, 1.0), start=False),
        *balance(facts, src.GUIDE_TREES),
    )
    columns = ("max_depth", "min_samples_leaf", "min_samples_split", "criterion", "ccp_alpha")
    rows = experts(
        columns,
        ("a shallow tree that can be read", (4, 5, 10, "gini", 1e-4)),
        ("a deep tree with leaves of some rows", (12, 8, 16, "entropy", 1e-5)),
        ("grown large, then pruned where that is possible", (20, 1, 3, "gini", 5e-3)),
        ("middle depth with large leaves: for noisy targets", (7, 20, 40, "entropy", 1e-3)),
    )
    return Table(ranges, rows, note="The smallest leaf goes up to a tenth of the rows (20 to 60).")


# --- boosting -------------------------------------------------------------------------------------------


def hist_boosting(facts: Facts) -> Table:
    many = facts.n_rows >= MANY_ROWS
    ranges = (
        Range("learning_rate", real(0.01, 0.5, log=True), f"after {src.AUTOSKLEARN}", (0.0, 1.0)),
        Range("max_iter", whole(50, 1000, log=True), f"after {src.GRINSZTAJN}", (5, 10_000)),
        Range(
            "max_leaf_nodes",
            whole(4, facts.rows_over(10, 31, 512), log=True),
            f"after {src.AUTOSKLEARN}",
            (2, 4096),
        ),
        Range(
            "min_samples_leaf", whole(1, facts.rows_over(10, 20, 200), log=True), src.AUTOSKLEARN, (1, 5000)
        ),
        Range(
            "l2_regularization",
            real(1e-6, 100.0, log=True),
            f"after {src.AUTOSKLEARN}",
            (0.0, 1e4),
            off=1e-6,
        ),
        Range("max_features", real(0.2, 1.0), src.GUIDE_HIST, (0.01, 1.0)),
        Range("max_depth", whole(2, 12), src.GUIDE_HIST, (1, 64), start=False),
        Range("max_bins", whole(31, 255, log=True), src.GUIDE_HIST, (2, 255), start=False),
        *balance(facts, src.GUIDE_TREES),
    )
    columns = (
        "learning_rate",
        "max_iter",
        "max_leaf_nodes",
        "min_samples_leaf",
        "l2_regularization",
        "max_features",
    )
    small = experts(
        columns,
        (
            "slow learning with trees of few leaves: robust when rows are few or labels noisy",
            (0.05, 250, 6, 10, 1.0, 0.5),
        ),
        ("trees of middle size, half of the columns at each split", (0.05, 150, 15, 10, 5.0, 0.5)),
        (
            "quick learning with few rounds: a cheap check whether more rounds pay",
            (0.1, 70, 12, 20, 1.0, 0.7),
        ),
    )
    large = experts(
        columns,
        (
            "slow learning with many rounds and small leaves: capacity where the signal is strong",
            (0.05, 600, 63 if many else 31, 5, 1.0, 0.7),
        ),
        ("many rounds of small trees, strongly shrunk", (0.1, 800, 12, 3, 10.0, 0.4)),
        ("large trees held by strong regularisation", (0.04, 400, 127 if many else 63, 20, 30.0, 0.6)),
    )
    return Table(
        ranges,
        small_first(facts, small, large),
        note="max_leaf_nodes goes up to a tenth of the rows (31 to 512), min_samples_leaf to a tenth "
        "(20 to 200). From 10,000 rows on scikit-learn stops early by itself; then max_iter is an"
        " upper bound.",
    )


def hist_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons = leaves_and_depth(params, "max_leaf_nodes")
    if params.get("early_stopping") is False:
        names = ("n_iter_no_change", "validation_fraction", "tol")
        reasons |= {name: "it belongs to early_stopping" for name in names if params.get(name) is not None}
    return reasons


def gradient_boosting(facts: Facts) -> Table:
    ranges = (
        Range("learning_rate", real(0.01, 0.3, log=True), src.GUIDE_ENSEMBLES, (0.0, 1.0)),
        Range("n_estimators", whole(50, 600, log=True), f"after {src.GRINSZTAJN}", (5, 5000)),
        Range("max_depth", whole(2, 8), f"after {src.AUTOSKLEARN}", (1, 24)),
        Range(
            "min_samples_leaf",
            whole(1, facts.rows_over(20, 10, 50), log=True),
            f"after {src.AUTOSKLEARN}",
            (1, 5000),
        ),
        Range("subsample", real(0.4, 1.0), src.FRIEDMAN, (0.05, 1.0)),
        Range("max_features", real(0.1, 1.0), src.GUIDE_ENSEMBLES, (0.01, 1.0)),
        Range("min_samples_split", whole(2, 20, log=True), src.AUTOSKLEARN, (2, 5000), start=False),
    )
    columns = ("learning_rate", "n_estimators", "max_depth", "min_samples_leaf", "subsample", "max_features")
    small = experts(
        columns,
        ("slow learning with shallow trees and half of the rows", (0.03, 300, 3, 5, 0.5, 0.4)),
        ("trees of two levels, many of them", (0.1, 300, 2, 5, 0.8, 0.3)),
        ("quick learning with few rounds: a cheap check whether more rounds pay", (0.1, 80, 4, 10, 0.8, 0.6)),
    )
    large = experts(
        columns,
        ("more rounds of deeper trees: capacity where the signal is strong", (0.05, 600, 6, 3, 0.8, 0.5)),
        ("many rounds of small trees, strongly sampled", (0.1, 500, 4, 2, 0.6, 0.4)),
    )
    return Table(
        ranges,
        small_first(facts, small, large),
        note="min_samples_leaf goes up to a twentieth of the rows (10 to 50).",
    )


def gradient_boosting_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons = tree_inert(params)
    if params.get("n_iter_no_change", 0) is None:
        reasons |= {
            name: "it belongs to n_iter_no_change"
            for name in ("validation_fraction", "tol")
            if name in params
        }
    if "alpha" in params and params.get("loss", "squared_error") not in ("huber", "quantile"):
        reasons["alpha"] = "it belongs to the losses huber and quantile"
    return reasons


def ada_boost(facts: Facts) -> Table:
    ranges = (
        Range("n_estimators", whole(30, 500, log=True), src.AUTOSKLEARN, (5, 5000)),
        Range("learning_rate", real(0.01, 2.0, log=True), src.AUTOSKLEARN, (0.0, 10.0)),
    )
    columns = ("n_estimators", "learning_rate")
    rows = experts(
        columns,
        ("more members with a smaller rate", (200, 0.3)),
        ("many members with a small rate", (500, 0.1)),
        ("few members at the full rate", (50, 1.5)),
    )
    return Table(ranges, rows, note="Where its estimator is given, that one is tuned along with it.")


def _family(name: str, table: Callable[[Facts], Table], inert: Inert) -> Family:
    """scikit-learn's classifier and regressor of one name."""
    return Family(name, (f"{name}Classifier", f"{name}Regressor"), ("sklearn",), table, inert)


FAMILIES = (
    _family("HistGradientBoosting", hist_boosting, hist_inert),
    _family("GradientBoosting", gradient_boosting, gradient_boosting_inert),
    _family("RandomForest", random_forest, forest_inert),
    _family("ExtraTrees", extra_trees, forest_inert),
    _family("DecisionTree", tree, tree_inert),
    _family("AdaBoost", ada_boost, no_inert),
)

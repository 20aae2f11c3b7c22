"""Gradient boosting libraries: LightGBM, XGBoost, CatBoost.

What the configurations have in common: a small learning rate with enough rounds, trees that are small where
data is scarce or noisy and larger where it is plenty, and rows and columns sampled per tree (Friedman
2002). Which of them wins depends on the noise, which is not known beforehand; so they are far apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.priors import library_defaults
from sllmbo_magic.priors import sources as src
from sllmbo_magic.priors.base import Expert
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.base import Range
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.base import balance
from sllmbo_magic.priors.base import choice
from sllmbo_magic.priors.base import experts
from sllmbo_magic.priors.base import real
from sllmbo_magic.priors.base import whole

MANY_ROWS = 10_000
"""From here on capacity is worth more than caution."""


def small_first(facts: Facts, small: tuple[Expert, ...], large: tuple[Expert, ...]) -> tuple[Expert, ...]:
    """Cautious configurations first on few rows with classes, those with capacity first otherwise."""
    cautious = facts.classification and facts.n_rows < MANY_ROWS
    first, second = (small, large) if cautious else (large, small)
    mixed = [expert for pair in zip(first, second, strict=False) for expert in pair]
    return tuple(mixed + [e for e in (*first, *second) if e not in mixed])


# --- LightGBM -------------------------------------------------------------------------------------------


def lightgbm(facts: Facts) -> Table:
    depth = facts.current.get("max_depth")
    most_leaves = facts.rows_over(10, 15, 512)
    if isinstance(depth, int) and 0 < depth < 16:
        most_leaves = min(most_leaves, 2**depth)  # more leaves than that have no effect
    many = facts.n_rows >= MANY_ROWS
    ranges = [
        Range("learning_rate", real(0.005, 0.3, log=True), f"after {src.FLAML}", (0.0, 1.0)),
        Range("n_estimators", whole(50, 2000 if many else 1000, log=True), f"after {src.FLAML}", (5, 10_000)),
        Range("num_leaves", whole(min(4, most_leaves), most_leaves, log=True), src.LIGHTGBM, (2, 4096)),
        Range("min_child_samples", whole(2, facts.rows_over(20, 10, 200), log=True), src.FLAML, (1, 5000)),
        Range("subsample", real(0.4, 1.0), src.FRIEDMAN, (0.05, 1.0)),
        Range("colsample_bytree", real(0.2, 1.0), src.LIGHTGBM, (0.01, 1.0)),
        Range("reg_lambda", real(1e-4, 100.0, log=True), f"after {src.FLAML}", (0.0, 1e4), off=1e-4),
        Range("reg_alpha", real(1e-6, 10.0, log=True), f"after {src.GORISHNIY}", (0.0, 1e4), off=1e-6),
        Range("max_depth", whole(3, 12), src.LIGHTGBM, (1, 64), start=False),
        Range("min_split_gain", real(1e-6, 1.0, log=True), src.LIGHTGBM, (0.0, 1e3), start=False, off=1e-6),
        Range("max_bin", whole(31, 511, log=True), f"after {src.FLAML}", (7, 2047), start=False),
        Range("extra_trees", choice(False, True), src.LIGHTGBM, start=False),
    ]
    fixed: dict[str, Any] = {"subsample_freq": (facts.at_least("subsample_freq", 1), src.LIGHTGBM_PARAMETERS)}
    boosting = facts.current.get("boosting_type")
    if "goss" in (boosting, facts.current.get("data_sample_strategy")):
        ranges, fixed = [r for r in ranges if r.name != "subsample"], {}  # goss samples rows itself
    if boosting == "rf":
        ranges = [r for r in ranges if r.name != "learning_rate"]
    ranges += balance(facts, src.LIGHTGBM_PARAMETERS)
    columns = (
        *("learning_rate", "n_estimators", "num_leaves", "min_child_samples"),
        *("subsample", "colsample_bytree", "reg_lambda", "reg_alpha"),
    )
    capacity = (0.05, 1000, 63, 20, 0.8, 0.7, 1.0, 1e-3) if many else (0.03, 800, 31, 5, 0.8, 0.7, 1.0, 1e-3)
    return Table(
        ranges=tuple(ranges),
        experts=small_first(
            facts,
            small=experts(
                columns,
                (
                    "slow learning with trees of few leaves: robust when rows are few or labels noisy",
                    (0.03, 300, 6, 10, 0.8, 0.5, 1.0, 1e-3),
                ),
                (
                    "slow learning with trees of middle size and half of the columns each",
                    (0.03, 250, 15, 10, 0.7, 0.5, 1.0, 1e-3),
                ),
                (
                    "quick learning with few rounds: a cheap check whether more rounds pay",
                    (0.1, 80, 12, 15, 0.8, 0.6, 1.0, 1e-3),
                ),
            ),
            large=experts(
                columns,
                (
                    "slow learning with many rounds and small leaves: capacity where the signal is strong",
                    capacity,
                ),
                (
                    "many rounds of small trees, strongly sampled and shrunk",
                    (0.1, 1000, 16, 3, 0.6, 0.5, 5.0, 1e-2),
                ),
                (
                    "large trees held by strong regularisation",
                    (0.03, 600, 127 if many else 63, 20, 0.7, 0.6, 10.0, 0.1),
                ),
            ),
        ),
        fixed=fixed,
        note="num_leaves goes up to a tenth of the rows (15 to 512), min_child_samples to a twentieth "
        "(10 to 200), n_estimators to 2000 from 10,000 rows on. max_depth stays as it is: "
        "num_leaves bounds the trees; where a max_depth d is set, num_leaves ends at 2^d. "
        "subsample works only with subsample_freq of at least 1.",
    )


def lightgbm_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    share, every = params.get("subsample"), params.get("subsample_freq")
    boosting = params.get("boosting_type")
    goss = "goss" in (boosting, params.get("data_sample_strategy"))
    if isinstance(share, int | float) and share < 1 and (not every or every < 1):
        reasons["subsample"] = "rows are sampled only with subsample_freq of at least 1"
    elif every and share == 1:
        reasons["subsample_freq"] = "subsample is 1: there is nothing to sample"
    if goss and share != 1:
        reasons["subsample"] = "goss samples rows by their gradients"
    if boosting == "rf":
        reasons["learning_rate"] = "trees of a forest are averaged, not added up"
    reasons |= leaves_and_depth(params, "num_leaves")
    return reasons


def leaves_and_depth(params: Mapping[str, Any], leaves_name: str) -> dict[str, str]:
    """Of two bounds on a tree's size, the one that the other makes superfluous."""
    leaves, depth = params.get(leaves_name), params.get("max_depth")
    if not isinstance(leaves, int) or not isinstance(depth, int) or depth < 1 or leaves < 2:
        return {}
    if depth < 31 and leaves > 2**depth:
        return {leaves_name: f"a tree of depth {depth} has at most {2**depth} leaves"}
    if depth >= leaves:
        return {"max_depth": f"a tree of {leaves} leaves is at most {leaves - 1} deep"}
    return {}


# LightGBM ignores the aliases of learning_rate and num_leaves: its constructor has the main names.
LIGHTGBM_ALIASES: dict[str, tuple[str, ...]] = {
    "n_estimators": (
        "num_iterations",
        "num_iteration",
        "num_boost_round",
        "num_round",
        "num_rounds",
        "num_trees",
    ),
    "min_child_samples": ("min_data_in_leaf", "min_data", "min_samples_leaf"),
    "subsample": ("bagging_fraction", "bagging", "sub_row"),
    "subsample_freq": ("bagging_freq",),
    "colsample_bytree": ("feature_fraction", "sub_feature"),
    "reg_lambda": ("lambda_l2", "lambda"),
    "reg_alpha": ("lambda_l1",),
    "min_split_gain": ("min_gain_to_split",),
    "max_bin": ("max_bins",),
}

# --- XGBoost --------------------------------------------------------------------------------------------

_LINEAR_BOOSTER = ("learning_rate", "n_estimators", "reg_lambda", "reg_alpha")


def xgboost(facts: Facts) -> Table:
    many = facts.n_rows >= MANY_ROWS
    ranges = [
        Range("learning_rate", real(0.005, 0.5, log=True), f"after {src.GRINSZTAJN}", (0.0, 1.0)),
        Range(
            "n_estimators", whole(50, 2000 if many else 1000, log=True), f"after {src.PROBST}", (5, 10_000)
        ),
        Range("max_depth", whole(2, 10), f"after {src.GRINSZTAJN}", (1, 24)),
        Range(
            "min_child_weight",
            real(0.5, facts.rows_over(30, 10, 100), log=True),
            f"after {src.GRINSZTAJN}",
            (0.0, 1e4),
        ),
        Range("subsample", real(0.4, 1.0), f"after {src.GRINSZTAJN}", (0.05, 1.0)),
        Range("colsample_bytree", real(0.3, 1.0), f"after {src.GRINSZTAJN}", (0.01, 1.0)),
        Range("reg_lambda", real(1e-3, 100.0, log=True), f"after {src.PROBST}", (0.0, 1e4)),
        Range("reg_alpha", real(1e-6, 10.0, log=True), f"after {src.GRINSZTAJN}", (0.0, 1e4), off=1e-6),
        Range("gamma", real(1e-6, 5.0, log=True), f"after {src.GRINSZTAJN}", (0.0, 1e3), off=1e-6),
        Range("colsample_bylevel", real(0.5, 1.0), src.GRINSZTAJN, (0.01, 1.0), start=False),
        Range("max_bin", whole(64, 512, log=True), src.XGBOOST, (8, 4096), start=False),
        Range("grow_policy", choice("depthwise", "lossguide"), src.XGBOOST, start=False),
    ]
    columns = (
        *("learning_rate", "n_estimators", "max_depth", "min_child_weight"),
        *("subsample", "colsample_bytree", "reg_lambda", "reg_alpha", "gamma"),
    )
    if facts.current.get("booster") == "gblinear":
        ranges = [r for r in ranges if r.name in _LINEAR_BOOSTER]

    return Table(
        ranges=tuple(ranges),
        experts=small_first(
            facts,
            small=experts(
                columns,
                (
                    "slow learning with shallow trees: robust when rows are few or labels noisy",
                    (0.03, 300, 3, 1.0, 0.8, 0.5, 1.0, 1e-3, 1e-3),
                ),
                (
                    "slow learning with trees of middle depth and larger leaves",
                    (0.03, 250, 4, 5.0, 0.7, 0.5, 2.0, 1e-3, 1e-2),
                ),
                (
                    "quick learning with few rounds: a cheap check whether more rounds pay",
                    (0.1, 100, 4, 2.0, 0.8, 0.7, 1.0, 1e-3, 1e-3),
                ),
            ),
            large=experts(
                columns,
                (
                    "slow learning with many rounds: capacity where the signal is strong",
                    (0.03, 1200 if many else 800, 7 if many else 6, 2.0, 0.8, 0.7, 1.0, 1e-3, 1e-4),
                ),
                (
                    "many rounds of small trees, strongly sampled and shrunk",
                    (0.1, 1000, 4, 1.0, 0.6, 0.5, 5.0, 1e-2, 1e-4),
                ),
                (
                    "deep trees held by large leaves and strong regularisation",
                    (0.03, 600, 9, 10.0, 0.7, 0.6, 10.0, 0.1, 1e-2),
                ),
            ),
        ),
        note="n_estimators goes up to 2000 from 10,000 rows on, min_child_weight to a thirtieth of the"
        " rows (10 to 100). A linear booster is tuned in its rate, rounds and penalties only.",
    )


def xgboost_forest(facts: Facts) -> Table:
    """XGBRF: one round of many trees, so that the rate and the rounds are no parameters."""
    ranges = [
        r
        for r in xgboost(facts).ranges
        if r.name not in ("learning_rate", "n_estimators", "colsample_bytree", "reg_lambda")
    ]
    ranges.append(Range("reg_lambda", real(1e-5, 100.0, log=True), f"after {src.PROBST}", (0.0, 1e4)))
    ranges.append(Range("colsample_bynode", real(0.1, 1.0), src.PROBST_FOREST, (0.01, 1.0)))
    columns = (
        "max_depth",
        "min_child_weight",
        "subsample",
        "colsample_bynode",
        "reg_lambda",
        "reg_alpha",
        "gamma",
    )
    rows = (
        ("deep trees, each split from a part of the columns", (10, 1.0, 0.8, 0.4, 0.1, 1e-4, 1e-5)),
        ("trees of middle depth with larger leaves", (7, 5.0, 0.7, 0.6, 1.0, 1e-3, 1e-3)),
        ("deep trees, most columns at each split", (9, 1.0, 0.63, 0.9, 1e-2, 1e-4, 1e-5)),
    )
    return Table(tuple(ranges), experts(columns, *rows))


def xgboost_inert(params: Mapping[str, Any]) -> dict[str, str]:
    if params.get("booster") == "gblinear":
        trees = (
            "max_depth",
            "min_child_weight",
            "subsample",
            "colsample_bytree",
            "colsample_bylevel",
            "gamma",
            "max_bin",
        )
        return {name: "the linear booster has no trees" for name in trees if params.get(name) is not None}
    if params.get("tree_method") == "exact" and params.get("max_bin") is not None:
        return {"max_bin": "the exact method has no bins"}
    return leaves_and_depth(params, "max_leaves") if params.get("grow_policy") == "lossguide" else {}


XGBOOST_ALIASES: dict[str, tuple[str, ...]] = {
    "learning_rate": ("eta",),
    "reg_lambda": ("lambda",),
    "reg_alpha": ("alpha",),
    "gamma": ("min_split_loss",),
}

# --- CatBoost -------------------------------------------------------------------------------------------


def catboost(facts: Facts) -> Table:
    many = facts.n_rows >= MANY_ROWS
    ranges = [
        Range("learning_rate", real(0.01, 0.3, log=True), f"after {src.SHWARTZ}", (0.0, 1.0)),
        Range("iterations", whole(100, 2000 if many else 1000, log=True), src.CATBOOST, (5, 10_000)),
        Range("depth", whole(3, 10), src.CATBOOST, (1, 16)),
        Range("l2_leaf_reg", real(0.5, 30.0, log=True), f"after {src.SHWARTZ}", (0.0, 1e4)),
        Range("random_strength", real(0.1, 20.0, log=True), f"after {src.SHWARTZ}", (0.0, 1e3)),
        Range("bagging_temperature", real(0.0, 1.0), src.SHWARTZ, (0.0, 100.0)),
        Range("one_hot_max_size", whole(2, 25), src.SHWARTZ, (1, 255), start=False),
        Range("leaf_estimation_iterations", whole(1, 10), f"after {src.SHWARTZ}", (1, 50), start=False),
        Range("border_count", whole(32, 254, log=True), src.CATBOOST, (1, 1024), start=False),
    ]
    fixed: dict[str, Any] = {"bootstrap_type": ("Bayesian", src.CATBOOST)}
    if facts.current.get("bootstrap_type") not in (None, "Bayesian"):
        ranges = [r for r in ranges if r.name != "bagging_temperature"]  # refused with other bootstraps
        fixed = {}
    columns = (
        "learning_rate",
        "iterations",
        "depth",
        "l2_leaf_reg",
        "random_strength",
        "bagging_temperature",
    )

    return Table(
        ranges=tuple(ranges),
        experts=small_first(
            facts,
            small=experts(
                columns,
                (
                    "slow learning with shallow trees: robust when rows are few or labels noisy",
                    (0.03, 500, 4, 3.0, 1.0, 0.5),
                ),
                ("shallow trees with strong penalties", (0.05, 400, 5, 10.0, 5.0, 0.8)),
            ),
            large=experts(
                columns,
                (
                    "the documented depth with a small rate and many rounds",
                    (0.03, 1500 if many else 1000, 6, 3.0, 1.0, 0.2),
                ),
                ("deeper trees held by a stronger penalty", (0.05, 800, 8, 8.0, 1.0, 0.5)),
            ),
        ),
        fixed=fixed,
        note="iterations go up to 2000 from 10,000 rows on. bagging_temperature works with the "
        "Bayesian bootstrap only, which is set where the user chose no other.",
    )


def catboost_inert(params: Mapping[str, Any]) -> dict[str, str]:
    if (
        params.get("bootstrap_type") not in (None, "Bayesian")
        and params.get("bagging_temperature") is not None
    ):
        return {"bagging_temperature": "it belongs to the Bayesian bootstrap"}
    return {}


CATBOOST_ALIASES: dict[str, tuple[str, ...]] = {
    "iterations": ("n_estimators", "num_boost_round", "num_trees"),
    "learning_rate": ("eta",),
    "depth": ("max_depth",),
    "l2_leaf_reg": ("reg_lambda",),
    "border_count": ("max_bin",),
}

FAMILIES = (
    Family(
        "LightGBM",
        ("LGBMClassifier", "LGBMRegressor", "LGBMRanker", "LGBMModel"),
        ("lightgbm",),
        lightgbm,
        lightgbm_inert,
        LIGHTGBM_ALIASES,
        library_defaults.lightgbm,
    ),
    Family(
        "XGBoost random forest",
        ("XGBRFClassifier", "XGBRFRegressor"),
        ("xgboost",),
        xgboost_forest,
        xgboost_inert,
        XGBOOST_ALIASES,
        library_defaults.xgboost_forest,
    ),
    Family(
        "XGBoost",
        ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBModel"),
        ("xgboost",),
        xgboost,
        xgboost_inert,
        XGBOOST_ALIASES,
        library_defaults.xgboost,
    ),
    Family(
        "CatBoost",
        ("CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "CatBoost"),
        ("catboost",),
        catboost,
        catboost_inert,
        CATBOOST_ALIASES,
        library_defaults.catboost,
    ),
)

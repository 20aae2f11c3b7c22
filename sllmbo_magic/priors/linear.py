"""Linear models of scikit-learn: logistic regression, penalised least squares, stochastic descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.priors import sources as src
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.base import Range
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.base import balance
from sllmbo_magic.priors.base import choice
from sllmbo_magic.priors.base import experts
from sllmbo_magic.priors.base import real
from sllmbo_magic.space.search_space import Value

_SAGA = ("solver", ("saga",))
_PACED = ("constant", "invscaling", "adaptive")
"""Schedules of stochastic gradient descent that begin with ``eta0``; a language model may add one."""


def logistic(facts: Facts) -> Table:
    """Both of scikit-learn's ways: up to 1.7 ``penalty`` names the norm, from 1.8 on ``l1_ratio`` does."""
    penalty, solver = facts.current.get("penalty", "deprecated"), facts.current.get("solver", "lbfgs")
    standard = solver == "lbfgs" and penalty in ("deprecated", "l2")
    mixed = standard or (solver == "saga" and penalty in ("deprecated", "elasticnet"))
    ratio = Range("l1_ratio", real(0.0, 1.0), src.GUIDE_LINEAR, (0.0, 1.0), when=_SAGA if standard else None)
    ranges = (
        Range("C", real(1e-4, 1e4, log=True), src.GUIDE_LINEAR, (1e-10, 1e10)),
        *((Range("solver", choice("lbfgs", "saga"), src.GUIDE_LINEAR),) if standard else ()),
        *((ratio,) if mixed else ()),
        *balance(facts, src.GUIDE_LINEAR),
    )
    rows: list[tuple[str, tuple[Value, ...]]] = [
        ("a stronger penalty than the default", (0.3, solver, 0.0)),
        ("a weaker penalty than the default", (3.0, solver, 0.0)),
        ("a strong penalty: for few rows and many columns", (0.03, solver, 0.0)),
    ]
    if mixed:
        rows.insert(2, ("sparse weights: for many columns of which few matter", (1.0, "saga", 0.9)))
        rows.append(("half and half, with a stronger penalty", (0.2, "saga", 0.5)))
    fixed: dict[str, tuple[Value, str]] = {
        "max_iter": (facts.at_least("max_iter", 1000, default=100), src.GUIDE_LINEAR)
    }
    if standard and penalty == "l2":
        fixed["penalty"] = ("elasticnet", src.GUIDE_LINEAR)
    return Table(
        ranges,
        experts(("C", "solver", "l1_ratio"), *rows),
        fixed=fixed,
        fixed_when={"penalty": _SAGA},
        note="C is the inverse of the penalty; the columns should be scaled. l1_ratio belongs to the "
        "saga solver (up to scikit-learn 1.7 with penalty elasticnet, which is set). Another "
        "solver or penalty stays as it is.",
    )


def logistic_inert(params: Mapping[str, Any]) -> dict[str, str]:
    penalty = params.get("penalty", "deprecated")
    if penalty is None and "C" in params:
        return {"C": "there is no penalty"}
    if penalty not in ("deprecated", "elasticnet") and params.get("l1_ratio") is not None:
        return {"l1_ratio": f"the penalty is {penalty}, not elasticnet"}
    if params.get("solver") not in ("saga", "liblinear") and params.get("l1_ratio"):
        return {"l1_ratio": f"the solver {params.get('solver')} has no L1 penalty"}
    return {}


def ridge(facts: Facts) -> Table:
    return Table(
        (
            Range("alpha", real(1e-4, 1e4, log=True), f"after {src.GUIDE_LINEAR}", (0.0, 1e10)),
            *balance(facts, src.GUIDE_LINEAR),
        ),
        experts(
            ("alpha",),
            ("a weaker penalty than the default", (0.1,)),
            ("a stronger penalty than the default", (10.0,)),
            ("a strong penalty: for few rows or correlated columns", (100.0,)),
            ("nearly least squares", (1e-3,)),
        ),
    )


def lasso(facts: Facts) -> Table:
    return Table(
        (Range("alpha", real(1e-5, 10.0, log=True), f"after {src.AUTOSKLEARN}", (0.0, 1e10)),),
        experts(
            ("alpha",),
            ("a weak penalty: most columns stay", (0.001,)),
            ("a middle penalty", (0.01,)),
            ("a stronger one: few columns stay", (0.1,)),
            ("nearly least squares", (1e-4,)),
        ),
        fixed={"max_iter": (facts.at_least("max_iter", 10_000, default=1000), src.GUIDE_LINEAR)},
        note="alpha is in units of the target; more iterations than the default let small values converge.",
    )


def elastic_net(facts: Facts) -> Table:
    return Table(
        (
            Range("alpha", real(1e-5, 10.0, log=True), f"after {src.AUTOSKLEARN}", (0.0, 1e10)),
            Range("l1_ratio", real(0.05, 1.0), src.GUIDE_LINEAR, (0.0, 1.0)),
        ),
        experts(
            ("alpha", "l1_ratio"),
            ("a weak penalty, half and half", (0.001, 0.5)),
            ("nearly the lasso", (0.01, 0.95)),
            ("nearly ridge", (0.01, 0.1)),
            ("a stronger penalty, half and half", (0.1, 0.5)),
        ),
        fixed={"max_iter": (facts.at_least("max_iter", 10_000, default=1000), src.GUIDE_LINEAR)},
        note="As for the lasso.",
    )


def sgd(facts: Facts) -> Table:
    schedules = ("optimal", "invscaling", "adaptive") if facts.classification else ("invscaling", "adaptive")
    paced = tuple(dict.fromkeys([*(s for s in schedules if s != "optimal"), *_PACED]))
    ranges = (
        Range("alpha", real(1e-7, 0.1, log=True), src.AUTOSKLEARN, (1e-12, 1e3)),
        Range("penalty", choice("l2", "l1", "elasticnet"), src.AUTOSKLEARN),
        Range("l1_ratio", real(0.0, 1.0), src.GUIDE_SGD, (0.0, 1.0), when=("penalty", ("elasticnet",))),
        Range("learning_rate", choice(*schedules), src.AUTOSKLEARN),
        Range(
            "eta0",
            real(1e-4, 0.5, log=True),
            f"after {src.AUTOSKLEARN}",
            (1e-10, 10.0),
            when=("learning_rate", paced),
        ),
        Range("average", choice(False, True), src.AUTOSKLEARN),
        *balance(facts, src.GUIDE_SGD),
    )
    first = schedules[0]
    return Table(
        ranges,
        experts(
            ("alpha", "penalty", "l1_ratio", "learning_rate", "eta0", "average"),
            ("averaged weights: less noise in the last steps", (1e-4, "l2", 0.15, first, 0.01, True)),
            ("a rate that falls when the loss stands still", (1e-5, "l2", 0.15, "adaptive", 0.05, False)),
            (
                "sparse weights: for many columns of which few matter",
                (1e-4, "elasticnet", 0.5, "adaptive", 0.01, False),
            ),
            ("a stronger penalty", (1e-2, "l2", 0.15, "adaptive", 0.01, True)),
        ),
        note="The loss stays the user's: it decides what the model can predict. The columns should be "
        "scaled.",
    )


def sgd_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if params.get("penalty") != "elasticnet" and "l1_ratio" in params:
        reasons["l1_ratio"] = f"the penalty is {params.get('penalty')}, not elasticnet"
    schedule = params.get("learning_rate")
    if schedule == "optimal" and "eta0" in params:
        reasons["eta0"] = "the optimal schedule sets its own rate"
    if schedule != "invscaling" and "power_t" in params:
        reasons["power_t"] = "it belongs to the invscaling schedule"
    if "epsilon" in params and params.get("loss") not in _EPSILON_LOSSES:
        reasons["epsilon"] = f"the loss {params.get('loss')} has no epsilon"
    return reasons


_EPSILON_LOSSES = ("huber", "epsilon_insensitive", "squared_epsilon_insensitive")

FAMILIES = (
    Family("LogisticRegression", ("LogisticRegression",), ("sklearn",), logistic, logistic_inert),
    Family("Ridge", ("Ridge", "RidgeClassifier"), ("sklearn",), ridge),
    Family("Lasso", ("Lasso",), ("sklearn",), lasso),
    Family("ElasticNet", ("ElasticNet",), ("sklearn",), elastic_net),
    Family("SGD", ("SGDClassifier", "SGDRegressor"), ("sklearn",), sgd, sgd_inert),
)

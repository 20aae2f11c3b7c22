"""Models of distances and margins: support vector machines and nearest neighbours of scikit-learn.

All of them need columns of comparable size; without a scaler in the pipeline the kernel's width cannot be
guessed.
"""

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
from sllmbo_magic.priors.base import whole
from sllmbo_magic.space.search_space import Value

_C = real(2.0**-5, 2.0**12, log=True)
_WITH_WIDTH = ("rbf", "poly", "sigmoid")


def support_vectors(facts: Facts) -> Table:
    kernel = facts.current.get("kernel", "rbf")
    if kernel != "rbf":
        return _users_kernel(facts, kernel)
    unit = 1.0 / facts.n_columns  # the width that fits standardised columns
    widths: tuple[Value, ...] = (unit, unit / 10, unit * 5) if facts.scaled else ("scale", 1e-3, 0.1)
    middle, wide, narrow = widths
    if facts.scaled:
        kernels: tuple[Range, ...] = (Range("kernel", choice("rbf", "linear"), src.HSU),)
        gamma = real(unit / 1000, unit * 100, log=True)
        # also of the kernels that a language model may add
        width = Range("gamma", gamma, f"after {src.HSU}", (1e-12, 1e6), when=("kernel", _WITH_WIDTH))
    else:
        kernels = ()
        width = Range("gamma", choice("scale", 1e-4, 1e-3, 1e-2, 0.1, 1.0), f"after {src.GUIDE_SVM}")
    rows: list[tuple[str, tuple[Value, ...]]] = [
        ("a harder margin than the default", (10.0, "rbf", middle, 0.1)),
        ("a wide kernel with a hard margin: smooth boundaries", (100.0, "rbf", wide, 0.05)),
        ("a narrow kernel with a soft margin: local boundaries", (2.0, "rbf", narrow, 0.02)),
        ("a softer margin than the default: for noisy targets", (0.3, "rbf", middle, 0.2)),
    ]
    if facts.scaled:
        rows.append(("no kernel: when columns are many", (0.1, "linear", middle, 0.1)))
    if not facts.classification:
        rows.insert(2, ("a very hard margin: for targets on a large scale", (1000.0, "rbf", middle, 0.1)))
    return Table(
        (
            Range("C", _C, f"after {src.HSU}", (1e-6, 1e8)),
            *kernels,
            width,
            *_tube(facts),
            *balance(facts, src.GUIDE_SVM),
        ),
        experts(("C", "kernel", "gamma", "epsilon"), *rows),
        note="With a scaler before it, gamma is searched around 1 / columns and the kernel may be "
        "linear; without one, gamma is chosen from the default and a coarse grid. A kernel other "
        "than rbf stays as it is.",
    )


def _users_kernel(facts: Facts, kernel: Any) -> Table:
    """For a kernel that the user chose: its own parameters only."""
    poly, bent = kernel == "poly", kernel in ("poly", "sigmoid")
    grid = choice("scale", 1e-4, 1e-3, 1e-2, 0.1, 1.0)
    ranges = (
        Range("C", _C, f"after {src.HSU}", (1e-6, 1e8)),
        *((Range("gamma", grid, f"after {src.GUIDE_SVM}"),) if bent else ()),
        *((Range("degree", whole(2, 5), src.PROBST, (1, 10)),) if poly else ()),
        *((Range("coef0", real(-1.0, 1.0), src.AUTOSKLEARN),) if bent else ()),
        *_tube(facts),
        *balance(facts, src.GUIDE_SVM),
    )
    return Table(
        ranges,
        experts(
            ("C", "gamma", "degree", "coef0", "epsilon"),
            ("a harder margin than the default", (10.0, "scale", 2, 1.0, 0.1)),
            ("a softer margin than the default: for noisy targets", (0.1, "scale", 3, 0.0, 0.2)),
            ("a hard margin", (100.0, 1e-2, 3, 0.5, 0.05)),
        ),
    )


def _tube(facts: Facts) -> tuple[Range, ...]:
    """The width inside which regression has no loss."""
    if facts.classification:
        return ()
    return (Range("epsilon", real(1e-3, 1.0, log=True), src.AUTOSKLEARN, (0.0, 1e6)),)


def support_vectors_inert(params: Mapping[str, Any]) -> dict[str, str]:
    kernel = params.get("kernel", "rbf")
    reasons: dict[str, str] = {}
    if kernel != "poly" and "degree" in params:
        reasons["degree"] = f"the {kernel} kernel has no degree"
    if kernel not in ("poly", "sigmoid") and "coef0" in params:
        reasons["coef0"] = f"the {kernel} kernel has no coef0"
    if kernel == "linear" and "gamma" in params:
        reasons["gamma"] = "the linear kernel has no width"
    return {
        name: why if isinstance(kernel, str) else "the kernel is the user's own"
        for name, why in reasons.items()
    }


def linear_svm(facts: Facts) -> Table:
    losses = (
        ("squared_hinge", "hinge")
        if facts.classification
        else ("epsilon_insensitive", "squared_epsilon_insensitive")
    )
    ranges = (
        Range("C", real(1e-4, 1e3, log=True), f"after {src.AUTOSKLEARN}", (1e-8, 1e8)),
        Range("loss", choice(*losses), src.AUTOSKLEARN),
        *_tube(facts),
        *balance(facts, src.GUIDE_SVM),
    )
    return Table(
        ranges,
        experts(
            ("C", "loss", "epsilon"),
            ("a softer margin than the default", (0.1, losses[0], 0.01)),
            ("a very soft margin: for many columns", (0.01, losses[0], 0.1)),
            ("a harder margin", (10.0, losses[0], 0.005)),
            ("the other loss", (0.5, losses[1], 0.1)),
        ),
        fixed={"max_iter": (facts.at_least("max_iter", 5000, default=1000), src.GUIDE_SVM)},
        note="More iterations than the default let hard margins converge. The columns should be scaled.",
    )


def neighbors(facts: Facts) -> Table:
    most = max(2, min(100, facts.n_rows // 4))
    few, some, many = (max(1, min(k, most)) for k in (3, 10, 30))
    ranges = (
        Range("n_neighbors", whole(1, most, log=True), src.AUTOSKLEARN, (1, max(2, facts.n_rows // 2))),
        Range("weights", choice("uniform", "distance"), src.GUIDE_NEIGHBORS),
        Range("p", choice(1, 2), src.AUTOSKLEARN),
    )
    return Table(
        ranges,
        experts(
            ("n_neighbors", "weights", "p"),
            ("near neighbours count more", (some, "distance", 2)),
            ("many neighbours: smooth, for noisy targets", (many, "distance", 1)),
            ("few neighbours: sharp boundaries", (few, "uniform", 2)),
            ("distances that forgive single columns", (some, "distance", 1)),
        ),
        note="n_neighbors goes up to a quarter of the rows, at most 100. The columns should be scaled.",
    )


def neighbors_inert(params: Mapping[str, Any]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    metric = params.get("metric", "minkowski")
    if metric != "minkowski" and "p" in params:
        reasons["p"] = (
            f"the metric is {metric}, not minkowski"
            if isinstance(metric, str)
            else "the metric is the user's"
        )
    if params.get("algorithm") == "brute" and "leaf_size" in params:
        reasons["leaf_size"] = "brute force has no tree"
    return reasons


FAMILIES = (
    Family("SVM", ("SVC", "SVR"), ("sklearn",), support_vectors, support_vectors_inert),
    Family("Linear SVM", ("LinearSVC", "LinearSVR"), ("sklearn",), linear_svm),
    Family(
        "Nearest neighbors",
        ("KNeighborsClassifier", "KNeighborsRegressor"),
        ("sklearn",),
        neighbors,
        neighbors_inert,
    ),
)

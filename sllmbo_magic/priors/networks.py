"""Neural networks: scikit-learn's multi-layer perceptron, and skorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.priors import sources as src
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.base import Range
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.base import choice
from sllmbo_magic.priors.base import experts
from sllmbo_magic.priors.base import real
from sllmbo_magic.priors.base import whole
from sllmbo_magic.space.layers import label
from sllmbo_magic.space.layers import layers_of
from sllmbo_magic.space.search_space import Value

_WITH_RATE = ("solver", ("adam", "sgd"))  # a language model may add sgd
LAYERS = (
    *((16,), (32,), (64,), (100,), (128,), (256,)),
    *((32, 32), (64, 32), (64, 64), (128, 64), (128, 128), (256, 128)),
    *((64, 64, 64), (128, 128, 128), (256, 128, 64)),
)
"""One to three layers of 16 to 256 units, which is auto-sklearn's range; scikit-learn's own (100,) too."""
FEW_ROWS = 2000
"""Up to here the user guide advises lbfgs."""


def perceptron(facts: Facts) -> Table:
    solver = facts.current.get("solver", "adam")
    solvers = ("adam", "lbfgs") if facts.n_rows <= FEW_ROWS and solver == "adam" else (solver,)
    free = len(solvers) > 1
    layers = _searched_layers(facts)
    rate = Range(
        "learning_rate_init",
        real(1e-4, 0.1, log=True),
        f"after {src.AUTOSKLEARN}",
        (1e-8, 10.0),
        when=_WITH_RATE if free else None,
    )
    ranges = (
        *(
            (Range("hidden_layer_sizes", choice(*layers), f"after {src.AUTOSKLEARN}", layers=True),)
            if layers
            else ()
        ),
        Range("alpha", real(1e-6, 100.0, log=True), src.GUIDE_MLP, (0.0, 1e4)),
        Range("activation", choice("relu", "tanh"), src.AUTOSKLEARN),
        *((Range("solver", choice(*solvers), src.GUIDE_MLP),) if free else ()),
        *(() if solver == "lbfgs" else (rate,)),
        Range("batch_size", whole(16, 512, log=True), f"after {src.GORISHNIY}", (1, 65_536), start=False),
        Range("early_stopping", choice(False, True), src.GUIDE_MLP, start=False),
    )
    rows: list[tuple[str, tuple[Value, ...]]] = [
        ("a stronger penalty than the default", ("(100,)", 1e-2, "relu", solver, 1e-3)),
        (
            "two layers: what one combines, the next one combines again",
            ("(128, 64)", 1e-3, "relu", solver, 1e-3),
        ),
        ("quicker learning, smooth units", ("(64,)", 1e-3, "tanh", solver, 5e-3)),
        ("a wide layer with a small rate", ("(256,)", 1e-4, "relu", solver, 5e-4)),
        ("a small layer, hardly any penalty", ("(32,)", 1e-5, "relu", solver, 1e-2)),
    ]
    if free:
        rows.insert(
            1, ("full-batch steps with a strong penalty: for few rows", ("(32,)", 0.3, "tanh", "lbfgs", 1e-3))
        )
    return Table(
        ranges,
        experts(("hidden_layer_sizes", "alpha", "activation", "solver", "learning_rate_init"), *rows),
        fixed={"max_iter": (facts.at_least("max_iter", 500, default=200), src.AUTOSKLEARN)},
        note="The hidden layers are searched as tuples of their widths, one to three of them; where the user"
        " set several layers, they stay. A language model may add others. Up to 2000 rows the lbfgs solver is"
        " tried as well. The columns should be scaled.",
    )


def _searched_layers(facts: Facts) -> tuple[str, ...]:
    """The hidden layers to choose from, smallest network first; none where the user set several layers."""
    own = facts.current.get("hidden_layer_sizes", (100,))
    own_layers = layers_of([own] if isinstance(own, int) else own)
    if own_layers is None:  # an array of widths, or nothing that the estimator takes
        return ()
    if len(own_layers) > 1:
        return ()
    return tuple(label(one) for one in sorted({*LAYERS, own_layers}, key=lambda one: (len(one), one)))


def perceptron_inert(params: Mapping[str, Any]) -> dict[str, str]:
    solver = params.get("solver", "adam")
    only: dict[str, tuple[str, ...]] = {
        "sgd": ("learning_rate", "power_t", "momentum", "nesterovs_momentum"),
        "adam": ("beta_1", "beta_2", "epsilon"),
        "lbfgs": ("max_fun",),
    }
    reasons = {
        name: f"it belongs to the solver {owner}, not {solver}"
        for owner, names in only.items()
        for name in names
        if owner != solver and name in params
    }
    if solver == "lbfgs":
        steps = ("learning_rate_init", "batch_size", "early_stopping", "shuffle", "n_iter_no_change")
        reasons |= {name: "lbfgs takes full-batch steps" for name in steps if name in params}
    if solver == "sgd" and params.get("learning_rate", "constant") != "invscaling" and "power_t" in params:
        reasons["power_t"] = "it belongs to the invscaling schedule"
    if not params.get("early_stopping") and "validation_fraction" in params:
        reasons["validation_fraction"] = "it belongs to early_stopping"
    return reasons


def skorch(facts: Facts) -> Table:
    ranges = (
        Range("lr", real(1e-4, 0.3, log=True), f"after {src.GORISHNIY}", (1e-8, 10.0)),
        Range("max_epochs", whole(10, 200, log=True), src.SKORCH, (1, 10_000)),
        Range("batch_size", whole(16, 512, log=True), f"after {src.GORISHNIY}", (1, 65_536)),
    )
    return Table(
        ranges,
        experts(
            ("lr", "max_epochs", "batch_size"),
            ("a small rate for an adaptive optimizer", (1e-3, 50, 64)),
            ("more epochs than the default at its rate", (0.01, 60, 128)),
            ("a large rate for plain gradient descent", (0.1, 40, 64)),
        ),
        note="Parameters of the module and of the optimizer are the user's own: give them in search_space.",
    )


FAMILIES = (
    Family(
        "Multi-layer perceptron",
        ("MLPClassifier", "MLPRegressor"),
        ("sklearn",),
        perceptron,
        perceptron_inert,
    ),
    Family(
        "skorch",
        ("NeuralNet", "NeuralNetClassifier", "NeuralNetRegressor", "NeuralNetBinaryClassifier"),
        ("skorch",),
        skorch,
    ),
)

"""The winner as runnable Python: imports, the constructor with what differs from its defaults, the
parameters.

What is written is made of the estimator's own ``get_params`` and of literals. An estimator with a part that
has no safe spelling (a random generator, a lambda, a class defined in the notebook) is not guessed at: then
the code clones the user's ``model`` and sets the parameters.
"""

from __future__ import annotations

import keyword
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np

from sllmbo_magic.evaluation.fold_fit import seed_settings
from sllmbo_magic.report import python_repr
from sllmbo_magic.report.python_repr import Tree
from sllmbo_magic.task.splits import SEED

_WIDTH = 88
_HOLD_STEPS = ("steps", "transformer_list", "estimators", "transformers")
"""Arguments of estimators whose named parts ``set_params`` can replace."""


def code(
    estimator: Any,
    best_params: Mapping[str, Any],
    *,
    parts: Mapping[str, Any] | None = None,
    seeded: bool = False,
) -> str:
    """Python source that makes ``best_model``: the estimator, not fitted, with the best parameters.

    Args:
        estimator: The estimator that was tuned; None where it is not at hand (a loaded run) or there is none
            (an objective function): then ``parts`` are used, and without them only ``best_params`` is
            defined.
        best_params: The best configuration; names with ``step__`` are set after construction.
        parts: What :func:`parts_of` gave for the estimator.
        seeded: Whether the run gave a seed to each part of the estimator without one, as ``tune`` does.

    Returns:
        Source that ends in a newline. It uses the name ``model`` (the tuned estimator) only when the
        estimator cannot be written down, and says so in a comment.
    """
    estimator_parts = parts_of(estimator, seeded=seeded) if estimator is not None else dict(parts or {})
    seeds = _seeds(estimator, estimator_parts.pop("seeds", None), best_params)
    values, imports, remarks = _spelled({**best_params, **seeds}, estimator_parts.get("imports", ()))
    if not estimator_parts:
        pairs = [(f"{python_repr.quoted(k)}: ", v) for k, v in values.items()]
        head = "\n".join([*imports, "", ""]) if imports else ""
        return head + remarks + _assign("best_params", python_repr.group("{", pairs, "}"))
    accepts: list[str] = estimator_parts.get("accepts") or []
    by_step = any(name in accepts for name in _HOLD_STEPS)
    constructor_values = {
        name: value
        for name, value in values.items()
        if "__" not in name and not (by_step and name not in accepts)
    }
    problem = estimator_parts.get("problem") or _unknown(estimator_parts, constructor_values)
    if problem:
        call = python_repr.group("clone(model).set_params(", _keywords(values), ")")
        comment = f"# model is the estimator that was tuned: {problem}."
        lines = "\n".join(sorted({"from sklearn.base import clone", *imports}))
        return f"{lines}\n\n{remarks}{comment}\n{_assign('best_model', call)}"
    arguments = {
        name: value for name, value in estimator_parts["arguments"] if name not in constructor_values
    } | constructor_values
    call = python_repr.group(f"{estimator_parts['name']}(", _keywords(arguments), ")")
    lines = "\n".join(sorted({*estimator_parts["imports"], *imports}))
    source = f"{lines}\n\n{remarks}" + _assign("best_model", call)
    nested = {name: value for name, value in values.items() if name not in constructor_values}
    if nested:
        source += _layout(python_repr.group("best_model.set_params(", _keywords(nested), ")"), 0, 0) + "\n"
    return source


def _seeds(estimator: Any, names: Iterable[str] | None, best_params: Mapping[str, Any]) -> dict[str, int]:
    """The seeds that the best model has and the user's estimator has not.

    Args:
        estimator: The estimator; None where it is not at hand.
        names: The seeds that the estimator lacked (see :func:`parts_of`); None where the run sets none.
        best_params: The best configuration, which may put other estimators in the place of some parts.
    """
    if names is None:
        return {}
    if estimator is None:
        return dict.fromkeys(sorted(_stored_seeds(names, best_params)), SEED)
    from sklearn.base import clone

    try:
        seeds = seed_settings(clone(estimator).set_params(**clone(dict(best_params), safe=False)))
    except (TypeError, ValueError):  # it does not take these parameters
        return {}
    return dict(sorted(seeds.items()))


def _stored_seeds(names: Iterable[str], best_params: Mapping[str, Any]) -> set[str]:
    """The seeds that the estimator lacked, and those that the estimators in the place of its parts lacked:
    each as far as nothing stands in the place of the part that has it.
    """
    lacking = {"": tuple(names)}
    for name, value in best_params.items():
        if isinstance(value, python_repr.Expression):
            lacking[f"{name}__"] = value.seeds
    return {
        prefix + seed
        for prefix, seeds in lacking.items()
        for seed in seeds
        if best_params.get(prefix + seed) is None
        and not any(
            len(name) >= len(prefix) and f"{prefix}{seed}".startswith(f"{name}__") for name in best_params
        )
    }


def _spelled(
    params: Mapping[str, Any], imported: Iterable[str] = ()
) -> tuple[dict[str, Tree], list[str], str]:
    """The values of a configuration as expressions, the imports that they need, and a comment line for each
    that cannot be written down: a variable of the user's stands for it.

    Args:
        params: The configuration.
        imported: Lines of imports that stand in the code already; their names are taken.
    """
    values: dict[str, Tree] = {}
    imports: set[str] = set()
    remarks = ""
    names = {name: module for line in imported for module, name in [line[5:].split(" import ")]}
    for name, value in params.items():
        try:
            if value is None or isinstance(value, bool | int | float | str | np.generic):
                values[name] = python_repr.literal(value)
                continue
            spelling = python_repr.expression(value, name).beside(names)
        except python_repr.NoSpellingError as reason:
            values[name] = variable = _variable(name, values.values())
            remarks += f"# {variable} is the object of your search space: {reason}.\n"
        else:
            values[name] = spelling.tree
            imports.update(spelling.imports)
    return values, sorted(imports), remarks


def _variable(name: str, taken: Collection[Tree]) -> str:
    """A name for what stands for a parameter's value: the shortest that no other value has."""
    number = 1
    short, full = (f"{stem}_choice" for stem in (name.rpartition("__")[2], name))
    for variable in (short, full):
        if variable.isidentifier() and variable not in taken:
            return variable
    while f"your_choice{number if number > 1 else ''}" in taken:
        number += 1
    return f"your_choice{number if number > 1 else ''}"


def parts_of(estimator: Any, *, seeded: bool = False) -> dict[str, Any]:
    """What :func:`code` needs of an estimator, as JSON-able data that can be stored with the run.

    Keys: ``imports`` (lines), ``name`` (of the class), ``arguments`` (pairs of a name and an expression,
    those that differ from the defaults), ``accepts`` (names of all arguments; None when it takes any); or
    instead of these ``problem``, which says why it cannot be written down. With ``seeded``
    also ``seeds``: the names of the seeds that the estimator lacks.
    """
    try:
        parts = python_repr.constructor(estimator)
    except python_repr.NoSpellingError as reason:
        parts = {"problem": str(reason)}
    return parts | {"seeds": list(seed_settings(estimator))} if seeded else parts


def _unknown(parts: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    accepts = parts.get("accepts")
    missing = [] if accepts is None else [name for name in values if name not in accepts]
    return f"{parts['name']} takes no argument {missing[0]!r}" if missing else ""


def _keywords(arguments: Mapping[str, Tree]) -> list[tuple[str, Tree]]:
    """Arguments by keyword; names that Python does not allow there go in as ``**{...}``."""
    plain = [(f"{k}=", v) for k, v in arguments.items() if k.isidentifier() and not keyword.iskeyword(k)]
    odd = [
        (f"{python_repr.quoted(k)}: ", v)
        for k, v in arguments.items()
        if not k.isidentifier() or keyword.iskeyword(k)
    ]
    return [*plain, ("**", python_repr.group("{", odd, "}"))] if odd else plain


def _assign(name: str, tree: Tree) -> str:
    return f"{name} = {_layout(tree, 0, len(name) + 3)}\n"


def _layout(tree: Tree, indent: int, before: int) -> str:
    """The expression when ``before`` characters stand before it: on one line, else one part a line."""
    if isinstance(tree, str):
        return tree
    flat = python_repr.flat(tree)
    if before + len(flat) <= _WIDTH or not tree["parts"]:
        return flat
    pad = " " * (indent + 4)
    lines = [f"{pad}{key}{_layout(part, indent + 4, len(pad + key) + 1)},\n" for key, part in tree["parts"]]
    return f"{tree['open']}\n{''.join(lines)}{' ' * indent}{tree['close']}"

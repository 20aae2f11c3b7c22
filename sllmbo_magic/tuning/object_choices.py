"""Objects among the choices of a run: given to the estimator, kept with the study, written in the code.

The study, the events and the prompts have the labels (see ``space/choices.py``). Tuples, lists and dicts of
plain values are stored with the study, so that a loaded run has them again; of an estimator the Python
expression is stored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from inspect import isclass
from typing import Any

from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation.fold_fit import seed_settings
from sllmbo_magic.report.python_repr import Expression
from sllmbo_magic.report.python_repr import NoSpellingError
from sllmbo_magic.report.python_repr import expression
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.task.fingerprint import fingerprint


class ObjectEvaluator:
    """An evaluator whose configurations may hold labels: the wrapped one is given the objects.

    Args:
        evaluator: Scores configurations.
        objects: Parameter -> label -> object.
    """

    def __init__(self, evaluator: Evaluator, objects: Objects) -> None:
        self._evaluator = evaluator
        self._objects = objects

    def evaluate(self, params: Mapping[str, Any], **options: Any) -> Evaluation:
        """See :class:`~sllmbo_magic.evaluation.base.Evaluator`."""
        return self._evaluator.evaluate(decoded(params, self._objects), **options)

    def close(self) -> None:
        """Free threads."""
        self._evaluator.close()


def store(study: Study, objects: Objects) -> None:
    """Write what the labels stand for to the study, as far as that is plain data or a Python expression."""
    if objects:
        study.set_user_attr(
            attrs.CHOICES,
            {
                name: {
                    label: {**_to_json(name, value), "id": fingerprint(value)}
                    for label, value in labels.items()
                }
                for name, labels in objects.items()
            },
        )


def stored(study: Study) -> dict[str, dict[str, Any]]:
    """What :func:`store` wrote; an object of which only the expression is known is an
    :class:`~sllmbo_magic.report.python_repr.Expression`.
    """
    stored = study.user_attrs.get(attrs.CHOICES) or {}
    return {
        name: {label: _from_json(label, data) for label, data in labels.items()}
        for name, labels in stored.items()
    }


def labels_here(study: Study, objects: Objects) -> dict[str, dict[str, str | None]]:
    """The labels of an earlier study, in those of this run: parameter -> label there -> label here.

    A label has the numbers of an object only, so that it may be that of another object here. None stands for
    an object that is no choice here, and for one of which the earlier study does not say enough.

    Args:
        study: The earlier study.
        objects: Those of this run.
    """
    stored = study.user_attrs.get(attrs.CHOICES) or {}
    return {
        name: {label: _label_here(name, label, data, objects.get(name, {})) for label, data in labels.items()}
        for name, labels in stored.items()
    }


def changed_labels(study: Study, objects: Objects) -> list[str]:
    """The labels of this run that stand for other objects in a study, each with its parameter."""
    stored = study.user_attrs.get(attrs.CHOICES) or {}
    return [
        f"{name} {label}"
        for name, labels in objects.items()
        for label, value in labels.items()
        if (data := stored.get(name, {}).get(label)) and not _is_same(name, value, data)
    ]


def _label_here(name: str, label: str, data: Mapping[str, Any], objects: Mapping[str, Any]) -> str | None:
    same = [here for here, value in objects.items() if _is_same(name, value, data)]
    return label if label in same else next(iter(same), None)  # those that differ in seeds only have one id


def _is_same(name: str, value: Any, data: Mapping[str, Any]) -> bool:
    if "id" in data:
        return bool(data["id"] == fingerprint(value))
    written = json.loads(json.dumps(_to_json(name, value)))  # a run of an earlier version
    return bool(data) and all(written.get(key) == data[key] for key in data)


def _to_json(name: str, value: Any) -> dict[str, Any]:
    if _is_data(value):
        return {"value": _tagged(value)}
    try:
        spelling = expression(value, name)
    except NoSpellingError:
        return {}
    seeds = list(seed_settings(value)) if hasattr(value, "get_params") and not isclass(value) else []
    return {"expression": spelling.tree, "imports": list(spelling.imports), "seeds": seeds}


def _from_json(label: str, data: Mapping[str, Any]) -> Any:
    if "value" in data:
        return _untagged(data["value"])
    if "expression" in data:
        return Expression(
            data["expression"], tuple(data.get("imports", ())), label, tuple(data.get("seeds", ()))
        )
    return label


def _is_data(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(map(_is_data, value))
    if type(value) is dict:
        return all(_is_data(key) and _is_data(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, float, str)


def _tagged(value: Any) -> Any:
    """JSON of a value, that keeps tuples, keys that are no text, and NaN."""
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_tagged(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _untagged(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    if kind == "dict":
        return {_untagged(key): _untagged(item) for key, item in content}
    if kind == "float":
        return float(content)
    items = [_untagged(item) for item in content]
    return tuple(items) if kind == "tuple" else items

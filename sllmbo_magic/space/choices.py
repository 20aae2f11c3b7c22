"""Choices that are no plain values: tuples, dicts, estimators, functions.

Optuna stores a choice as text, number, boolean or None. So an object that stands among the choices is stored
as its label, which is the same in every process, reads well, and leads back to the object when the estimator
is given its parameters.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from numbers import Real
from typing import Any
from typing import TypeAlias

from sllmbo_magic.space import layers
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.distributions import plain

Objects: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Parameter -> label -> the object that the label stands for."""

_LONGEST = 100


def labelled(name: str, choices: Sequence[Any]) -> tuple[list[Value], dict[str, Any]]:
    """Choices as a categorical distribution can hold them, and what their labels stand for.

    Args:
        name: The parameter; the keys of a ``class_weight`` are target values, which no label shows.
        choices: Plain values stay as they are.
    """
    values: list[Value] = []
    objects: dict[str, Any] = {}
    texts = _texts_in(choices)
    for choice in choices:
        value, is_plain = plain(choice)
        if is_plain:
            values.append(value)
            continue
        if any(means_same(choice, other) for other in objects.values()):
            values.append(next(label for label, other in objects.items() if means_same(choice, other)))
            continue  # twice the same: refused where all choices are checked
        label = base = label_of(name, choice, texts)
        number = 2
        while label in objects or any(isinstance(other, str) and other == label for other in choices):
            label, number = f"{base} #{number}", number + 1
        objects[label] = choice
        values.append(label)
    return values, objects


def decoded(params: Mapping[str, Any], objects: Objects) -> dict[str, Any]:
    """A configuration with the objects that its labels stand for.

    Where all objects of a parameter are tuples of whole numbers, the text of another one means that one: a
    language model or the user has added it.
    """
    return {
        name: _decoded(value, objects[name]) if name in objects and isinstance(value, str) else value
        for name, value in params.items()
    }


def _decoded(label: str, objects: Mapping[str, Any]) -> Any:
    if label in objects or not layers.are_layers([label, *objects]):
        return objects.get(label, label)
    return layers.layers_of(label)


def encoded(params: Mapping[str, Any], objects: Objects) -> dict[str, Any]:
    """A configuration with the labels of its objects; an object that is no choice stays as it is."""
    return {name: _encoded(value, objects.get(name, {})) for name, value in params.items()}


def numbers_in(objects: Objects) -> set[str]:
    """The parameters whose objects are all numbers, as inf: Optuna's trials can suggest these."""
    return {name for name, labels in objects.items() if all(isinstance(v, Real) for v in labels.values())}


def _encoded(value: Any, objects: Mapping[str, Any]) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and layers.are_layers(objects):
        value = (value,)  # one layer, as scikit-learn reads it
    return next((label for label, other in objects.items() if means_same(value, other)), value)


def means_same(a: Any, b: Any) -> bool:
    """Whether two choices mean the same; lists and tuples of the same values do, and so do two NaN."""
    if a is b:
        return True
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(means_same, a, b))
    if type(a) is not type(b):
        return False
    if hasattr(a, "get_params") and not inspect.isclass(a):
        params, other = a.get_params(deep=False), b.get_params(deep=False)
        return params.keys() == other.keys() and all(means_same(params[name], other[name]) for name in params)
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


# --- labels ---------------------------------------------------------------------------------------------


def label_of(name: str, value: Any, texts: Sequence[str] | None = None) -> str:
    """A short text for an object, without an address in memory or a user's text in it.

    Args:
        name: The parameter.
        value: The object.
        texts: The texts inside all choices of the parameter, which a label numbers: ``[t0, t2]``. They may
            be names of columns or cells, and labels are sent to an LLM. None: those of the value.
    """
    texts = _texts_in([value]) if texts is None else texts

    def write(text: str) -> str:
        return f"t{texts.index(text)}"

    if name.rpartition("__")[2] == "class_weight" and isinstance(value, Mapping):
        sorted_values = sorted(value, key=lambda key: (type(key).__name__, key))
        items = [f"c{i}: {_text(value[key], write)}" for i, key in enumerate(sorted_values)]
        return _cut("{" + ", ".join(items) + "}")
    return _cut(_text(value, write))


def spelled(value: Any) -> str:
    """A value as its label, but with the user's texts: for messages to the user."""
    return _cut(_text(value, repr))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _texts_in(choices: Iterable[Any]) -> list[str]:
    """The different texts inside lists, tuples, sets, dicts and arrays, in the order of the choices."""
    texts: dict[str, None] = {}
    for choice in choices:
        if isinstance(choice, Mapping):
            texts |= dict.fromkeys(_texts_of([*choice, *choice.values()]))
        elif isinstance(choice, set | frozenset):
            texts |= dict.fromkeys(sorted(_texts_of(choice)))
        elif isinstance(choice, tuple | list):
            texts |= dict.fromkeys(_texts_of(choice))
        elif hasattr(choice, "tolist") and isinstance(getattr(choice, "ndim", None), int):
            texts |= dict.fromkeys(_texts_of([choice.tolist()]))
    return [*texts]


def _texts_of(items: Iterable[Any]) -> list[str]:
    items = [*items]
    return [item for item in items if isinstance(item, str)] + _texts_in(items)


def _text(value: Any, write: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return write(value)
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, tuple):
        items = [_text(item, write) for item in value]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(_text(item, write) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = [f"{_text(key, write)}: {_text(item, write)}" for key, item in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(_text(item, write) for item in value)) + "}"
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _text(value.item(), write)
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1 and getattr(value, "size", 99) <= 8:
        return f"{type(value).__name__}({_text(value.tolist(), write)})"
    if inspect.isclass(value) or inspect.isroutine(value):
        return str(getattr(value, "__name__", type(value).__name__))
    if callable(getattr(value, "get_params", None)):
        return _estimator(value)
    return type(value).__name__


def _estimator(value: Any) -> str:
    """An estimator with those numbers, booleans and tuples of them that differ from its defaults."""
    try:
        signature = inspect.signature(type(value)).parameters
        params = value.get_params(deep=False)
    except (TypeError, ValueError):
        return type(value).__name__
    arguments = [
        f"{name}={_text(params[name], repr)}"
        for name, parameter in signature.items()
        if name in params and holds_numbers(params[name]) and params[name] != parameter.default
    ]
    return f"{type(value).__name__}({', '.join(arguments)})"


def holds_numbers(value: Any) -> bool:
    """Whether a value is made of numbers, booleans and None only, so that it can carry no text."""
    if isinstance(value, tuple | list):
        return all(map(holds_numbers, value))
    return value is None or isinstance(value, bool | int | float)

"""Ranges and choices in the notations of other libraries: ``range``, arrays, SciPy, Hyperopt, Ray Tune.

Each is read into what :meth:`SearchSpace.from_user` takes, or refused with the line to write instead. The
libraries are recognised by the names of their modules and classes, so that none of them has to be installed.
"""

from __future__ import annotations

import inspect
import math
from array import array
from collections import deque
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import KeysView
from collections.abc import Mapping
from collections.abc import ValuesView
from numbers import Integral
from numbers import Real
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.space.choices import spelled
from sllmbo_magic.space.distributions import show

_WRITE = 'write (low, high), (low, high, "log") or a list of choices'


class NotationError(ValueError):
    """A notation cannot be read; the message says what to write instead."""


def read(raw: object) -> object:
    """What a user wrote for one parameter, in a form that :meth:`SearchSpace.from_user` takes.

    Args:
        raw: Anything; what is of no foreign notation comes back as it is.

    Returns:
        An Optuna distribution, a list of choices, or ``raw``.

    Raises:
        NotationError: It is of a known notation that names no range.
    """
    for kinds, reader in _BY_TYPE:
        if isinstance(raw, kinds):
            return reader(raw)
    library = type(raw).__module__.partition(".")[0]
    for libraries, attributes, reader in _BY_LIBRARY:
        if library in libraries and (not attributes or any(hasattr(raw, name) for name in attributes)):
            return reader(raw)
    if isinstance(raw, Mapping):
        return _mapping(raw)
    if hasattr(raw, "__next__"):
        raise NotationError("is an iterator, which can be read only once; write a list of choices")
    return raw


def _list(choices: list[Any]) -> list[Any]:
    for choice in choices:
        if inspect.isclass(choice) and hasattr(choice, "get_params"):
            name = choice.__name__
            raise NotationError(f"{name} is a class, and an estimator is needed; write {name}()")
    return choices


def _set(raw: Collection[Any]) -> object:
    sorted_values = sorted(raw, key=lambda value: (type(value).__name__, repr(value)))
    raise NotationError(f"is a set, which has no order; write a list: {_short(sorted_values)}")


def _mapping(raw: Mapping[str, Any]) -> object:
    if raw.keys() & {"values", "min", "max"} and not raw.keys() & {"low", "high"}:
        return _wandb(raw)
    return _listed(raw["grid_search"]) if [*raw] == ["grid_search"] else raw  # the latter is Ray Tune's


def _range(raw: range) -> BaseDistribution:
    if not len(raw):
        raise NotationError(f"{raw!r} is empty; write range(low, high) with low below high")
    ascending = raw if raw.step > 0 else raw[::-1]
    return IntDistribution(ascending[0], ascending[-1], step=ascending.step if len(ascending) > 1 else 1)


def _tuple(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tuple itself where it is a range; else the line to write instead."""
    numbers = [isinstance(value, Real) and not isinstance(value, bool) for value in raw]
    if len(raw) in (2, 3) and all(numbers[:2]) and raw[2:] in ((), ("log",)):
        return raw
    if len(raw) == 3 and all(numbers) and all(isinstance(value, Integral) for value in raw):
        low, high, step = raw
        steps = f"range({low}, {high + 1}, {step}) for steps of {step}" if step > 0 and low < high else ""
        choices = f"[{low}, {high}, {step}] for three choices"
        raise NotationError(
            f"({low}, {high}, {step}) has several meanings; write {steps}{', or ' if steps else ''}{choices}"
        )
    if len(raw) == 3 and all(numbers) and raw[2] > 0 and raw[0] < raw[1]:
        low, high, step = (show(_number(value)) for value in raw)
        range_of_steps = f'{{"low": {low}, "high": {high}, "step": {step}}}'
        raise NotationError(
            f"({low}, {high}, {step}) has several meanings; write {range_of_steps} for steps of {step}, or"
            f" [{low}, {high}, {step}] for three choices"
        )
    if len(raw) == 3 and all(numbers[:2]) and isinstance(raw[2], str):
        raise NotationError(f'the scale {show(raw[2])} is not known; write (low, high) or (low, high, "log")')
    raise NotationError(
        f'a tuple is (low, high) or (low, high, "log"); choices are a list: write {_short([*raw])}'
    )


def _array(raw: Any) -> list[Any]:
    if getattr(raw, "ndim", 1) == 0:
        return raw.item()  # type: ignore[no-any-return]  # one plain value
    if getattr(raw, "ndim", 1) != 1:
        raise NotationError(f"is an array of {raw.ndim} dimensions; write a list of choices")
    return _listed(raw.tolist() if hasattr(raw, "tolist") else raw.to_list())


def _listed(values: Any) -> list[Any]:
    return list(values)


def _number(value: Any) -> float | int:
    """A bound as Python's number: whole ones as int, so that messages read well."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _float(low: Any, high: Any, *, log: bool = False, step: Any = None) -> BaseDistribution:
    low, high = float(low), float(high)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise NotationError(f"goes from {low:g} to {high:g}; {_WRITE}")
    if log and low <= 0:
        raise NotationError(f"has a log scale that begins at {low:g}; write a low above 0")
    if step is None or log:
        return FloatDistribution(low, high, log=log)
    step = float(step)
    # The libraries round to multiples of the step; those inside the range are meant.
    first, last = math.ceil(low / step - 1e-9) * step, math.floor(high / step + 1e-9) * step
    if all(float(v).is_integer() for v in (first, last, step)):
        return IntDistribution(int(first), int(last), step=int(step))
    return FloatDistribution(first, last, step=step)


def _int(low: Any, high: Any, *, log: bool = False, step: Any = 1) -> BaseDistribution:
    """Both ends inclusive."""
    low, high = int(low), int(high)
    if low > high:
        raise NotationError(f"holds no whole number: {low} to {high}; {_WRITE}")
    if log and low <= 0:
        raise NotationError(f"has a log scale that begins at {low}; write a low of at least 1")
    return IntDistribution(low, high, log=log, step=1 if log else int(step))


def _short(values: list[Any]) -> str:
    first_values = ", ".join(spelled(value) for value in values[:6])
    return f"[{first_values}{', ...' if len(values) > 6 else ''}]"


# --- SciPy ----------------------------------------------------------------------------------------------


def _scipy(raw: Any) -> object:
    name = getattr(getattr(raw, "dist", None), "name", "")
    if not name:
        raise NotationError(f"{type(raw).__name__} is no frozen uniform, loguniform or randint; {_WRITE}")
    low, high = (_number(end) for end in raw.support())
    if name in ("loguniform", "reciprocal"):
        return _float(low, high, log=True)
    if name == "uniform":
        return _float(low, high)
    if name == "randint":
        return _int(low, high)
    ends = f"({low:g}, {high:g})" if math.isfinite(low) and math.isfinite(high) else "(low, high)"
    raise NotationError(f"scipy.stats.{name} is no range; write {ends}, or uniform, loguniform or randint")


# --- Hyperopt -------------------------------------------------------------------------------------------


def _hyperopt(raw: Any) -> object:
    """An expression of ``hp``: casts around a node ``hyperopt_param(label, distribution)``."""
    node = raw
    while node.name in ("float", "int") and node.pos_args:
        node = node.pos_args[0]
    if node.name == "switch":
        return [_literal(option) for option in node.pos_args[1:]]
    if node.name != "hyperopt_param":
        raise NotationError(f"Hyperopt's {node.name} is no single range; {_WRITE}")
    node = node.pos_args[1]
    arguments = {f"{i}": a for i, a in enumerate(node.pos_args)} | dict(node.named_args)
    values = [_literal(argument) for argument in arguments.values()]
    make = _HYPEROPT.get(node.name)
    if make is None:
        raise NotationError(f"Hyperopt's hp.{node.name} is no range; {_WRITE}")
    distribution = make(*values)
    is_int = raw.name == "int" and isinstance(distribution, FloatDistribution)
    return (
        _int(distribution.low, distribution.high)
        if is_int and isinstance(distribution, FloatDistribution)
        else distribution
    )


_HYPEROPT: dict[str, Callable[..., BaseDistribution]] = {
    "uniform": lambda low, high: _float(low, high),
    "loguniform": lambda low, high: _float(math.exp(low), math.exp(high), log=True),
    "quniform": lambda low, high, q: _float(low, high, step=q),
    "qloguniform": lambda low, high, q: _quantized_log(math.exp(low), math.exp(high), q),
    "randint": lambda low, high=None: _int(0, low - 1) if high is None else _int(low, high - 1),
}


def _quantized_log(low: float, high: float, q: float) -> BaseDistribution:
    """Optuna has no steps on a log scale; whole numbers are close enough, other steps are not."""
    if q != 1:
        raise NotationError(f"has steps of {q:g} on a log scale; write ({low:g}, {high:g}, 'log')")
    return _int(max(1, round(low)), round(high), log=True)


def _literal(node: Any) -> Any:
    """The value of a node that holds no distribution."""
    if node.name == "literal":
        return node.obj
    if node.name == "pos_args":
        return tuple(_literal(part) for part in node.pos_args)
    if node.name == "dict":
        return {key: _literal(part) for key, part in node.named_args}
    raise NotationError("has a distribution inside a choice; write each parameter by itself, with conditions")


# --- scikit-optimize, Weights & Biases ------------------------------------------------------------------


def _skopt(raw: Any) -> object:
    kind = type(raw).__name__
    if kind == "Categorical":
        return _listed(raw.categories)
    log = raw.prior == "log-uniform"
    if kind == "Real":
        return _float(raw.low, raw.high, log=log)
    if kind == "Integer":
        return _int(raw.low, raw.high, log=log)
    raise NotationError(f"scikit-optimize's {kind} is no range; {_WRITE}")


def _wandb(raw: Mapping[str, Any]) -> object:
    """A parameter of a sweep: ``{"values": [...]}``, ``{"min": 1, "max": 9}``, with a distribution or not."""
    unknown = [key for key in raw if key not in _WANDB_KEYS]
    if unknown:
        allowed = ", ".join(_WANDB_KEYS)
        raise NotationError(
            f"the key {show(unknown[0])} is not known in a sweep. Allowed: {allowed}; or {_WRITE}"
        )
    if "values" in raw:
        return read(list(raw["values"]))
    kind = str(raw.get("distribution", ""))
    if not {"min", "max"} <= raw.keys() or (kind and kind not in _WANDB):
        raise NotationError(
            f"is no range of a sweep that can be read{f' ({kind})' if kind else ''}; {_WRITE}"
        )
    low, high = raw["min"], raw["max"]
    both_integers = isinstance(low, Integral) and isinstance(high, Integral)
    is_integer = kind == "int_uniform" or (not kind and both_integers)
    log = "log" in kind
    if kind in ("log_uniform", "q_log_uniform"):  # of the exponents
        low, high = math.exp(low), math.exp(high)
    if kind.startswith("q_"):
        step = raw.get("q", 1)
        return _quantized_log(low, high, step) if log else _float(low, high, step=step)
    return _int(low, high, log=log) if is_integer else _float(low, high, log=log)


_WANDB = (
    "uniform", "int_uniform", "q_uniform", "log_uniform", "log_uniform_values", "q_log_uniform",
    "q_log_uniform_values",
)  # fmt: skip
"""https://docs.wandb.ai/guides/sweeps/sweep-config-keys"""
_WANDB_KEYS = ("values", "min", "max", "distribution", "q", "mu", "sigma", "probabilities", "value")


# --- Ray Tune -------------------------------------------------------------------------------------------


def _ray(raw: Any) -> object:
    kind = type(raw).__name__
    if kind == "Categorical":
        return _listed(raw.categories)
    sampler = raw.get_sampler()
    step = getattr(sampler, "q", None)
    scale = type(getattr(sampler, "sampler", None) or sampler).__name__.strip("_")
    if kind not in ("Float", "Integer") or scale not in ("Uniform", "LogUniform"):
        label = scale if kind in ("Float", "Integer") else kind
        raise NotationError(f"Ray Tune's {label} is no range; {_WRITE}")
    log = scale == "LogUniform"
    if kind == "Float":
        return _float(raw.lower, raw.upper, log=log, step=step)
    # The upper end of an Integer is exclusive, but inclusive where it is quantized.
    return _int(raw.lower, raw.upper - (step is None), log=log, step=step or 1)


_Reader: TypeAlias = Callable[[Any], object]

_BY_TYPE: tuple[tuple[tuple[type, ...], _Reader], ...] = (
    ((range,), _range),
    ((tuple,), _tuple),
    ((list,), _list),
    ((set, frozenset), _set),
    ((KeysView, ValuesView, deque, array), _listed),
)
_BY_LIBRARY: tuple[tuple[tuple[str, ...], tuple[str, ...], _Reader], ...] = (
    (("numpy",), ("ndim",), _array),
    (("pandas", "polars", "pyarrow"), ("to_list", "tolist"), _array),
    (("scipy",), (), _scipy),
    (("hyperopt",), (), _hyperopt),
    (("ray", "flaml"), ("sample",), _ray),  # FLAML has a copy of Ray Tune's classes
    (("skopt",), ("prior",), _skopt),
)
"""The libraries of a value's class, attributes of which it needs one, and what reads it."""

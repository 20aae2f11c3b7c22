"""Where a spec meets the notebook: which objects a run takes, and what it passes to ``tune``.

The only reader of the user's variables. Names that the cell assigns win over older ones.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.line import Variable
from sllmbo_magic.magic.spec import RunSpec
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import Option
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import closest
from sllmbo_magic.options.values import shorten
from sllmbo_magic.options.values import type_name

_EXTRAS = ("cv", "groups", "scoring", "sample_weight", "fit_params", "search_space", "enqueue")
_TARGETS = ("model", "estimator", "objective")
_HELD_OUT = ("X_test", "y_test")
_OBJECTIVE_EXTRAS = ("search_space", "enqueue")


@dataclass(frozen=True, eq=False)
class ResolvedTask:
    """What ``tune`` is called with.

    Attributes:
        target: An estimator (or its class), or an objective.
        X: Data, or None with an objective.
        y: Target values, or None with an objective.
        arguments: Keyword arguments of ``tune``.
        taken: Which variables were taken, with types and shapes, and which of the cell's were not: one line.
        older: The arguments that come from variables of earlier cells, other than model and data.
    """

    target: Any
    X: Any = None
    y: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)
    taken: str = ""
    older: tuple[str, ...] = ()


def resolve(spec: RunSpec, user_ns: Mapping[str, Any], assigned: Collection[str] = ()) -> ResolvedTask:
    """Look up the model, the data and what belongs to them.

    Args:
        spec: The cell's spec.
        user_ns: The notebook's namespace after the cell has run.
        assigned: Names that the cell assigned when it ran, beyond those in its text (``%run``, ``import *``).

    Raises:
        InputError: No model, no data, a direction is missing, or a ``{variable}`` does not exist or fit.
    """
    names = _Names(user_ns, spec.assigned | set(assigned))
    arguments = _arguments(spec, names)
    role = names.first(_TARGETS)
    if role is None:
        raise _no_model(user_ns)
    target = names.take(role, type(user_ns[role]).__name__ if role != "objective" else "")
    for other in _TARGETS:
        if other != role and user_ns.get(other) is not target:
            names.leave(other, because=f"{role} is tuned")
    if role == "objective":
        _check_objective(target, spec, arguments)
        X = y = None
        extras: Iterable[str] = _OBJECTIVE_EXTRAS
    else:
        if not hasattr(target, "fit") and not callable(target):
            raise InputError(
                f"{role} is {type_name(target)}, not an estimator.",
                "Assign one, e.g. model = RandomForestClassifier(), or define objective(trial).",
            )
        if isinstance(target, type):
            names.taken[role] = f"{role} ({target.__name__})"
        X, y, held_out = _data(spec, names)
        arguments.update(held_out)
        if not held_out:
            _leave_lone_test_data(names)
        extras = _EXTRAS
    for name in extras:
        if name not in arguments and names.has(name):
            value = user_ns[name]
            if name == "enqueue" and not names.is_fresh(name) and not _are_configurations(value):
                continue  # an older thing of that name, a function say, means something else
            if name == "search_space" and not names.is_fresh(name) and _suggests_for_itself(target):
                continue  # an older cell's, for something else: this objective names its own parameters
            arguments[name] = names.take(name, repr(value) if isinstance(value, str | int) else _shape(value))
    older = tuple(name for name in (*_HELD_OUT, *_EXTRAS) if name in names.taken and not names.is_fresh(name))
    return ResolvedTask(target, X, y, arguments, names.line(), older)


def _check_objective(target: Any, spec: RunSpec, arguments: Mapping[str, Any]) -> None:
    """Raise InputError where an objective cannot be run with these options."""
    if not callable(target):
        raise InputError(
            f"objective is a {type(target).__name__}, not a function.",
            "Write: def objective(trial): ... return score.",
        )
    if "direction" not in arguments:
        raise InputError(
            "objective needs --direction: which way is better?",
            f"Allowed: maximize, minimize. Example: %%sllmbo {spec.name} --direction minimize.",
        )
    if "target" in spec.options:
        raise InputError(
            "--target names a column for a model, and this cell has an objective.",
            "Leave it out, or assign model and data.",
        )


def _leave_lone_test_data(names: _Names) -> None:
    """Test rows without their target, or with one of another age, are not used."""
    for name, other in (_HELD_OUT, _HELD_OUT[::-1]):
        names.leave(name, because=f"{other} is older" if names.has(other) else f"there is no {other}")


def _suggests_for_itself(target: Any) -> bool:
    from sllmbo_magic.task.task import takes_trial

    return not hasattr(target, "fit") and callable(target) and takes_trial(target)


def _are_configurations(value: Any) -> bool:
    listed = [value] if isinstance(value, Mapping) else value
    return isinstance(listed, list | tuple) and all(isinstance(one, Mapping) for one in listed)


class _Names:
    """The namespace, which names are new, and which were taken."""

    def __init__(self, user_ns: Mapping[str, Any], fresh: Collection[str]) -> None:
        self.user_ns = user_ns
        self.fresh = fresh
        self.taken: dict[str, str] = {}
        self.left: dict[str, str] = {}

    def has(self, *names: str) -> bool:
        return all(self.user_ns.get(name) is not None for name in names)

    def is_fresh(self, *names: str) -> bool:
        return any(name in self.fresh for name in names)

    def first(self, names: Iterable[str]) -> str | None:
        """The first name that exists; one that the cell assigned goes before all older ones."""
        present = [name for name in names if self.has(name)]
        return next((name for name in present if self.is_fresh(name)), present[0] if present else None)

    def take(self, name: str, note: str = "") -> Any:
        self.taken[name] = f"{name} ({note})" if note else name
        return self.user_ns[name]

    def leave(self, *names: str, because: str) -> None:
        """The line says that these are not used, as far as the cell assigns them."""
        left = [name for name in names if self.has(name) and self.is_fresh(name)]
        if left:
            self.left[" and ".join(left)] = because

    def line(self) -> str:
        new = [text for name, text in self.taken.items() if self.is_fresh(name)]
        old = [text for name, text in self.taken.items() if not self.is_fresh(name)]
        parts = [f"{', '.join(new)} from this cell"] if new else []
        if old:
            parts.append(f"{', '.join(old)} from earlier cells")
        parts += [f"not {left}, since {because}" for left, because in self.left.items()]
        return "; ".join(parts)


def _data(spec: RunSpec, names: _Names) -> tuple[Any, Any, dict[str, Any]]:
    """X, y and the held-out data.

    Of pairs of the same age, (X_train, y_train) goes first where test data is kept apart: X then still holds
    the test rows.
    """
    is_test_fresh = all(map(names.is_fresh, _HELD_OUT))
    if "target" in spec.options:
        return (*_split_target(spec, names), _held_out(names) if is_test_fresh else {})
    split = names.has("X_train", "y_train")
    has_X_y = names.has("X", "y")
    if has_X_y and split:
        fresh_X_y, fresh_split = names.is_fresh("X", "y"), names.is_fresh("X_train", "y_train")
        split = fresh_split if fresh_X_y != fresh_split else names.has("X_test", "y_test")
    lacks_target = names.is_fresh("data") and not names.is_fresh("X", "y", "X_train", "y_train")
    if lacks_target and _is_frame(names.user_ns.get("data")):
        raise InputError(
            "this cell assigns data, but no --target says which column to predict.",
            f"Add --target COLUMN{_columns_hint(names.user_ns['data'])}.",
        )
    if split:
        X = names.take("X_train", _shape(names.user_ns["X_train"]))
        y = names.take("y_train", _shape(names.user_ns["y_train"]))
        return X, y, _held_out(names)
    if has_X_y:
        X, y = (names.take(name, _shape(names.user_ns[name])) for name in ("X", "y"))
        # Older test rows may be rows of a new X, and those beside X_train most probably are.
        are_one_age = not names.is_fresh("X", "y") and not names.has("X_train", "y_train")
        names.leave("X_train", "y_train", because="there are X and y, and no X_test and y_test")
        return X, y, _held_out(names) if is_test_fresh or are_one_age else {}
    raise _no_data(names)


def _held_out(names: _Names) -> dict[str, Any]:
    """The test data, where there are data and target."""
    if not names.has(*_HELD_OUT):
        return {}
    return {name: names.take(name, _shape(names.user_ns[name])) for name in _HELD_OUT}


def _split_target(spec: RunSpec, names: _Names) -> tuple[Any, Any]:
    target = spec.options["target"]
    if isinstance(target, Variable):
        target = variable(names.user_ns, target.name, "--target")
    if not names.has("data"):
        raise InputError(
            f"--target {target} needs a variable `data` with that column, and there is none.",
            "Assign it in this cell: data = ...",
        )
    data = names.user_ns["data"]
    if type(data).__name__ == "LazyFrame":
        raise InputError("data is a polars LazyFrame.", "Collect it first: data = data.collect().")
    if not _is_frame(data):
        raise InputError(
            f"--target needs a data frame, but data is a {type(data).__name__}.",
            "Allowed: pandas, polars. With arrays, assign X and y instead.",
        )
    columns = list(data.columns)
    if target not in columns:
        by_text = {str(column): column for column in columns}
        if str(target) not in by_text:
            hint = closest(str(target), by_text) + f"Columns{_columns_hint(data)}."
            raise InputError(f"--target: data has no column {target!r}.", hint)
        target = by_text[str(target)]
    names.take("data", _shape(data))
    _check_no_gaps(data, target)
    X = data.drop(columns=[target]) if _library(data) == "pandas" else data.drop(target)
    return X, data[target]


def _check_no_gaps(data: Any, target: Any) -> None:
    """A target with missing values is refused with the line that drops those rows."""
    from sllmbo_magic.task.data import is_missing

    n_missing = is_missing(data[target])
    if n_missing:
        noun = "value" if n_missing == 1 else "values"
        call = f"dropna(subset=[{target!r}])" if _library(data) == "pandas" else f"drop_nulls({target!r})"
        raise InputError(
            f"--target: the column {target!r} has {n_missing} missing {noun}.",
            f"Drop those rows: data = data.{call}; or fill them.",
        )


def _library(data: Any) -> str:
    """``"pandas"`` or ``"polars"`` for a data frame of theirs (or of a class made from theirs), else ""."""
    for cls in type(data).__mro__:
        library = cls.__module__.partition(".")[0]
        if cls.__name__ == "DataFrame" and library in ("pandas", "polars"):
            return library
    return ""


def _is_frame(data: Any) -> bool:
    return _library(data) != ""


def _columns_hint(data: Any) -> str:
    columns = [str(c) for c in getattr(data, "columns", ())]
    more = ", ..." if len(columns) > 8 else ""
    return f": {', '.join(columns[:8])}{more}" if columns else ""


def _arguments(spec: RunSpec, names: _Names) -> dict[str, Any]:
    """The options as keyword arguments of ``tune``."""
    arguments: dict[str, Any] = {}
    for option in OPTIONS:
        if option.argument is None or option.key not in spec.options:
            continue
        arguments[option.argument] = value_of(option, spec.options[option.key], names.user_ns)
    words = [text for text in (arguments.get("description", ""), spec.docstring) if text]
    if words:
        arguments["description"] = "\n".join(words)
    return arguments


def value_of(option: Option, value: Any, user_ns: Mapping[str, Any]) -> Any:
    """The value of an option as it was read from a line; for ``{name}`` that of the variable, checked.

    Raises:
        InputError: There is no such variable, or the option does not allow its value.
    """
    if not isinstance(value, Variable):
        return value
    place = f"{option.flag} {{{value.name}}}"
    return check(option, variable(user_ns, value.name, option.flag), place)


def variable(user_ns: Mapping[str, Any], name: str, flag: str) -> Any:
    """The variable that an option names.

    Raises:
        InputError: There is none; with the closest match.
    """
    if name not in user_ns:
        names = [n for n in user_ns if not n.startswith("_")]
        raise InputError(
            f"{flag} {{{shorten(name)}}}: there is no variable {shorten(name)!r}.",
            f"{closest(name, names)}Assign it in this cell or an earlier one.",
        )
    return user_ns[name]


def _no_model(user_ns: Mapping[str, Any]) -> InputError:
    candidates = _like(user_ns, lambda value: hasattr(value, "fit") and hasattr(value, "get_params"))
    if candidates:
        hint = f"Is it {candidates[0]!r}? Then add: model = {candidates[0]}."
    else:
        hint = "Assign one in this cell, e.g. model = RandomForestClassifier(), or define objective(trial)."
    return InputError("no model: the notebook has no `model`, `estimator` or `objective`.", hint)


def _no_data(names: _Names) -> InputError:
    missing = []
    for pair in (("X", "y"), ("X_train", "y_train")):
        present = [name for name in pair if names.has(name)]
        if len(present) == 1:
            absent = pair[1 - pair.index(present[0])]
            missing.append(f"there is {present[0]!r} but no {absent!r}")
    if names.has("data"):
        missing.append("there is 'data', which needs --target COLUMN")
    details = f" ({'; '.join(missing)})" if missing else ""
    return InputError(
        f"no data: the notebook has neither X and y nor X_train and y_train{details}.",
        "Assign X and y in this cell, or data and --target COLUMN.",
    )


def _like(user_ns: Mapping[str, Any], test: Callable[[Any], bool]) -> list[str]:
    """Public names of instances that pass a test, the newest first."""
    names = []
    for name, value in reversed(list(user_ns.items())):
        if name.startswith("_") or isinstance(value, type) or callable(value):
            continue
        try:
            if test(value):
                names.append(name)
        except Exception:  # noqa: BLE001 - a foreign object's __getattr__ may raise anything; it is no candidate
            continue
    return names


def _shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return " x ".join(f"{n:,}" for n in shape) if len(shape) > 1 else f"{shape[0]:,}" if shape else "0-d"
    if isinstance(value, list | tuple):
        return f"{len(value):,}"
    if isinstance(value, dict):
        return ", ".join(str(key) for key in list(value)[:4]) + (", ..." if len(value) > 4 else "")
    return type(value).__name__

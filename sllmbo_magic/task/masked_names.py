"""Names of the user's that an LLM is not told, wherever they stand in a request, and the way back.

Parameters of a composed estimator hold the names of its steps (``ct__income__n_bins``), which people take
from columns; choices may be columns too, and labels name the user's classes. A request has masks in their
place, and an answer, which names parameters and choices by them, gets the real names before it is read.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.task.data import column_names
from sllmbo_magic.task.privacy import declared_options
from sllmbo_magic.task.privacy import is_library

if TYPE_CHECKING:
    from sllmbo_magic.space.search_space import SearchSpace
    from sllmbo_magic.task.task import Task

_PUBLIC = ("numpy", "scipy", "pandas", "polars", "torch", "builtins")
"""Beside the libraries of estimators: whose classes and functions have names that say nothing of the user."""
_CUTS = (57, 37)
"""Characters after which a prompt cuts a long value."""


@dataclass(frozen=True)
class MaskedNames:
    """Real name -> mask.

    Attributes:
        steps: Names of steps; masked inside names of parameters (``ct__income__n_bins``) and before a colon.
        words: Names that are masked wherever they stand as a word.
    """

    steps: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _masks(self) -> tuple[re.Pattern[str], dict[str, str]]:
        """What finds a real name in a text, and the mask of each."""
        steps = {form: mask for name, mask in self.steps.items() for form in {name, json.dumps(name)[1:-1]}}
        words = {form: mask for name, mask in self.words.items() for form in _forms(name)}
        of_steps, of_words = _alternatives(steps), _alternatives(words)
        shape = re.compile(
            rf"(?<![\w-]){of_steps}(?=__|: )|(?<=__){of_steps}(?![\w-])|(?<=__){of_steps}(?=__)"
            rf"|(?<![\w-]){of_words}(?![\w-])"
        )
        return shape, {**words, **steps}

    @cached_property
    def _real(self) -> tuple[re.Pattern[str], dict[str, str]]:
        real = {mask: name for name, mask in {**self.words, **self.steps}.items()}
        return re.compile(rf"(?<![^\W_]){_alternatives(real)}(?![^\W_])"), real

    def masked(self, data: Any) -> Any:
        """A text with masks, or plain data whose keys and texts have them."""
        return _replaced(data, *self._masks) if self.steps or self.words else data

    def real(self, data: Any) -> Any:
        """A text with the real names, or plain data whose keys and texts have them."""
        return _replaced(data, *self._real) if self.steps or self.words else data


def _forms(name: str) -> set[str]:
    """A name as prompts write it: as it is, as JSON, and cut."""
    cut = {f"{name[:n]}..." for n in _CUTS if len(name) > n + 3}
    return {form for text in {name, *cut} for form in (text, json.dumps(text)[1:-1])}


def _alternatives(names: Iterable[str]) -> str:
    longest_first = sorted(names, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first))})" if longest_first else "(?!)"


def _replaced(data: Any, shape: re.Pattern[str], names: Mapping[str, str]) -> Any:
    if isinstance(data, str):
        return shape.sub(lambda match: names[match[0]], data)
    if isinstance(data, dict):
        return {_replaced(key, shape, names): _replaced(value, shape, names) for key, value in data.items()}
    return [_replaced(item, shape, names) for item in data] if isinstance(data, list) else data


def masked_names(
    task: Task, space: SearchSpace | None, *, share_columns: bool = False, anonymize: bool = False
) -> MaskedNames:
    """The names that a run does not tell an LLM.

    Masked are steps that are named after columns, and choices that are names of columns, unless
    ``share_columns``. With ``anonymize`` all steps that the user has named are masked, and the classes and
    functions of the user's own. What scikit-learn calls a step by itself (``"standardscaler"``) stays.

    Args:
        task: An objective has neither steps nor columns.
        space: The outer search space.
        share_columns: Whether names of columns may be told.
        anonymize: Whether nothing may be told by which a data set could be recognised.
    """
    if task.estimator is None:
        return MaskedNames()
    target = getattr(task.y, "name", None)
    names = [*column_names(task.X), *([target] if isinstance(target, str) else [])]
    columns = set() if share_columns and not anonymize else set(names)
    plain_columns = {_plain(name) for name in columns if not name.isdigit()} - {"__"}
    parts = dict(_named_parts(task.estimator))
    steps = [
        name
        for name, part in parts.items()
        if not _is_default(name, part) and (anonymize or any(c in _plain(name) for c in plain_columns))
    ]
    words = [] if space is None else [*_column_choices(task.estimator, space, columns)]
    if anonymize:
        words += _own_names(task.estimator, space)
    searched = [] if space is None else [*space, *space.fixed]
    everything = " ".join([*parts, *words, *searched])
    of_steps = _numbered("step", steps, everything)
    whole = {name: mask for name, mask in of_steps.items() if name in searched}
    return MaskedNames(of_steps, _numbered("name", words, everything) | whole)


def _numbered(word: str, names: Iterable[str], everything: str) -> dict[str, str]:
    """Names with numbered masks that no real name has."""
    while re.search(rf"{word}\d", everything):
        word = f"masked_{word}"
    return {name: f"{word}{i}" for i, name in enumerate(dict.fromkeys(names), 1)}


def _plain(name: str) -> str:
    """A name in small letters, with "_" for all other characters and around it."""
    return "_" + re.sub(r"[\W_]+", "_", name.lower()).strip("_") + "_"


def _named_parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The parts of an estimator that have a name of the user's, nested ones included."""
    for value in estimator.get_params(deep=False).values():
        if hasattr(value, "get_params") and not inspect.isclass(value):
            yield from _named_parts(value)
        for item in value if isinstance(value, list | tuple) else ():
            if isinstance(item, tuple) and len(item) >= 2 and isinstance(item[0], str):
                yield item[0], item[1]
                if hasattr(item[1], "get_params") and not inspect.isclass(item[1]):
                    yield from _named_parts(item[1])


def _is_default(name: str, part: Any) -> bool:
    """Whether ``make_pipeline`` and the like would call the library's part by this name."""
    return is_library(type(part)) and re.sub(r"-\d+$", "", name) == type(part).__name__.lower()


def _column_choices(estimator: Any, space: SearchSpace, columns: Collection[str]) -> Iterator[str]:
    """Choices that are names of columns, and no option that the library declares."""
    params = estimator.get_params(deep=True)
    choices = {n: d.choices for n, d in space.items() if isinstance(d, CategoricalDistribution)}
    for name, values in {**choices, **{n: (v,) for n, v in space.fixed.items()}}.items():
        owner, _, last = name.rpartition("__")
        options = declared_options(type(params.get(owner, estimator)), last)
        yield from (v for v in values if isinstance(v, str) and v in columns and v not in options)


def _own_names(estimator: Any, space: SearchSpace | None) -> Iterator[str]:
    """Names of the user's own classes and functions among the estimator's values and the choices."""
    labels = [] if space is None else space.objects.values()
    for value in [*estimator.get_params(deep=True).values(), *(v for of in labels for v in of.values())]:
        named = value if inspect.isclass(value) or inspect.isroutine(value) else type(value)
        name = str(getattr(named, "__name__", ""))
        root = str(getattr(named, "__module__", None) or type(named).__module__).split(".")[0]
        bases = {base.__name__ for base in getattr(named, "__mro__", ()) if is_library(base)}
        if name.isidentifier() and root not in _PUBLIC and not is_library(named) and name not in bases:
            yield name

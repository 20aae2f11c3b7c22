"""What a prior is made of: facts of a task, rows of a table, configurations with reasons.

A family of estimators is a table (:class:`Table`) that a function makes from :class:`Facts`, so that ranges
can follow the data's size. Tables are plain data; all code that works on them is in ``registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.space.search_space import Value

if TYPE_CHECKING:
    from sllmbo_magic.task.task import TaskDescription

Limits: TypeAlias = tuple[float | None, float | None]
Inert: TypeAlias = Callable[[Mapping[str, Any]], dict[str, str]]
"""All of an estimator's parameters -> those without effect, and why."""

LibraryDefaults: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Value]]
"""An estimator's own parameters as they are set -> the library's values of those that ``get_params()`` leaves
open.
"""

UNLIMITED: Limits = (None, None)


@dataclass(frozen=True)
class Facts:
    """What of a task and of the estimator's surroundings informs a table.

    Attributes:
        n_rows, n_columns: Of the data; the defaults stand for "not known".
        kind: ``"classification"``, ``"regression"`` or ``"ranking"``.
        n_classes: None for anything but classification.
        smallest_class: Share of the smallest class; 1 when not known.
        metric: The scorer's name, empty when not known.
        scaled: Whether a scaler comes before the estimator in its pipeline.
        current: The estimator's own parameters as they are set.
    """

    n_rows: int = 1000
    n_columns: int = 20
    kind: str = "classification"
    n_classes: int | None = None
    smallest_class: float = 1.0
    metric: str = ""
    scaled: bool = False
    current: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        kind: str,
        description: TaskDescription | None,
        *,
        current: Mapping[str, Any] | None = None,
        scaled: bool = False,
    ) -> Facts:
        """From a description; what it does not say keeps its default."""
        fields: dict[str, Any] = {}
        if description is not None:
            shares = [share for _, share in description.classes or ()]
            fields = {
                "n_rows": description.n_rows or cls.n_rows,
                "n_columns": description.n_columns or cls.n_columns,
                "n_classes": description.n_classes or len(shares) or None,
                "smallest_class": min(shares, default=1.0),
                "metric": description.metric or "",
            }
        return cls(kind=kind, current=current or {}, scaled=scaled, **fields)

    @property
    def classification(self) -> bool:
        return self.kind == "classification"

    @property
    def wants_balance(self) -> bool:
        """Whether class weights can pay: rare classes, and a metric that looks at labels instead of
        probabilities."""
        looks_at_labels = any(
            word in self.metric for word in ("f1", "balanced", "recall", "precision", "jaccard")
        )
        rare = self.smallest_class < 0.4 / (self.n_classes or 2)
        return self.classification and rare and looks_at_labels

    def at_least(self, name: str, value: int, *, default: int | None = None) -> int:
        """What the user has set for a parameter, or this where that is less or nothing.

        Args:
            default: The library's own value. Any other one is the user's choice and stays, also where it is
                less; None: less is never a choice.
        """
        current = self.current.get(name)
        if not isinstance(current, int) or isinstance(current, bool):
            return value
        is_users = default is not None and current != default
        return current if is_users or current > value else value

    def rows_over(self, divisor: float, low: int, high: int) -> int:
        """n_rows / divisor, kept between two bounds: how a bound follows the data's size."""
        return int(min(max(self.n_rows / divisor, low), high))


@dataclass(frozen=True)
class Range:
    """One row of a table.

    Attributes:
        source: Where the range comes from (``sources.py``), and what was changed.
        limits: Hard limits, which no widening passes.
        when: The parameter is active only for these values of another one.
        start: Whether the parameter is searched by itself. The others are not in a prior's spaces: their
            limits hold when a proposer adds them.
        off: The value up to which a penalty has no effect that could be measured, 0 included; None: it is no
            penalty.
        layers: Whether the choices are texts of tuples of whole numbers, which the estimator is given.
    """

    name: str
    distribution: BaseDistribution
    source: str
    limits: Limits = UNLIMITED
    when: tuple[str, tuple[Value, ...]] | None = None
    start: bool = True
    off: float | None = None
    layers: bool = False


@dataclass(frozen=True)
class Expert:
    """A whole configuration that practitioners would try, and why."""

    reason: str
    params: dict[str, Value]


@dataclass(frozen=True)
class Table:
    """A family's knowledge for one task.

    Attributes:
        fixed: Parameters that the searched ones need, each with its source as (value, source).
        fixed_when: When a fixed parameter applies; same form as :attr:`Range.when`.
        note: How the table follows the task, one sentence for the docs.
    """

    ranges: tuple[Range, ...]
    experts: tuple[Expert, ...]
    fixed: dict[str, tuple[Value, str]] = field(default_factory=dict)
    fixed_when: dict[str, tuple[str, tuple[Value, ...]]] = field(default_factory=dict)
    note: str = ""


def no_inert(params: Mapping[str, Any]) -> dict[str, str]:
    """For families without parameters that can lose their effect."""
    return {}


def no_defaults(current: Mapping[str, Any]) -> dict[str, Value]:
    """For families whose ``get_params()`` gives the values that are really used."""
    return {}


@dataclass(frozen=True)
class Family:
    """Estimators that share a table.

    Attributes:
        name: As shown to people.
        classes: Class names; a subclass of one belongs as well.
        packages: Top-level packages of these classes; nothing is imported from them.
        table: Facts -> table.
        inert: Which of an estimator's parameters have no effect.
        aliases: Other names under which a user may have set a parameter; then that name is searched.
        defaults: The values that the library documents where ``get_params()`` gives none.
    """

    name: str
    classes: tuple[str, ...]
    packages: tuple[str, ...]
    table: Callable[[Facts], Table]
    inert: Inert = no_inert
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: LibraryDefaults = no_defaults


def real(low: float, high: float, *, log: bool = False) -> FloatDistribution:
    return FloatDistribution(low, high, log=log)


def whole(low: int, high: int, *, log: bool = False) -> IntDistribution:
    return IntDistribution(low, max(low, high), log=log)


def choice(*values: Value) -> CategoricalDistribution:
    return CategoricalDistribution(values)


def experts(columns: tuple[str, ...], *rows: tuple[str, tuple[Value, ...]]) -> tuple[Expert, ...]:
    """Configurations as a readable block: the names once, then a reason and the values per row."""
    return tuple(Expert(reason, dict(zip(columns, values, strict=True))) for reason, values in rows)


def balance(facts: Facts, source: str) -> tuple[Range, ...]:
    """Class weights: searched where they can pay, else left to be added."""
    if not facts.classification:
        return ()
    return (Range("class_weight", choice(None, "balanced"), source, start=facts.wants_balance),)

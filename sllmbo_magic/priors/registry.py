"""The prior of an estimator: the tables of its parts, applied to what is known of the task and is set."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution

from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Limits
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.families import Part
from sllmbo_magic.priors.families import instance_of
from sllmbo_magic.priors.families import kind_of
from sllmbo_magic.priors.families import parts_of
from sllmbo_magic.space.layers import layers_of
from sllmbo_magic.space.outer_space import outer_of
from sllmbo_magic.space.search_space import Condition
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.search_space import Value

if TYPE_CHECKING:
    from sllmbo_magic.task.task import TaskDescription

_MAX_CONFIGURATIONS = 6


@dataclass(frozen=True)
class Prior:
    """Expert knowledge of an estimator before any trial.

    Attributes:
        family: Name of the family, several joined by " + ".
        space: A sensible search space to start with; what it needs set is in ``space.fixed``.
        outer: The same parameters in their widest ranges, inside the hard limits.
        configurations: Whole configurations in ``space``, mutually different, with the reason of each.
        sources: Where each range, fixed value and limit comes from.
        limits: Hard limits (low, high), None where there is none; also of parameters that are not in the
            space but may be added.
        off: Penalties with the value up to which they have no effect, 0 included.
    """

    family: str
    space: SearchSpace
    outer: SearchSpace
    configurations: tuple[tuple[dict[str, Value], str], ...]
    sources: dict[str, str]
    limits: dict[str, Limits]
    off: dict[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = field(default=(), repr=False)

    def inert(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Those of these parameters that have no effect here, and why; fixed ones count as set."""
        return _inert(self.parts, {**self.space.with_fixed(params), **params}, params)


def prior_for(estimator: Any, description: TaskDescription | None = None) -> Prior:
    """The prior of an estimator, a pipeline's last step, or what a wrapper wraps.

    Args:
        estimator: An instance (or a class that needs no arguments). What the user has set is respected: a
            kernel, a booster, a depth that bounds the leaves, names of parameters under their aliases;
            parameters that hold objects or dicts are not searched.
        description: Rows, columns, classes and metric shape the ranges when given.

    Returns:
        The prior; with an empty space when nothing of the estimator can be searched by itself.

    Raises:
        InputError: It is no estimator, or a class that needs arguments.
    """
    if inspect.isclass(estimator):
        estimator = instance_of(estimator)
    parts = tuple(parts_of(estimator))
    kind = kind_of(estimator)
    parts_built = [
        (part, *_space_of(part, Facts.of(kind, description, current=part.current, scaled=part.scaled)))
        for part in parts
    ]
    parts_built = [one for one in parts_built if len(one[1])]
    return _prior_of_parts(parts_built)


def inert(estimator: Any, params: Mapping[str, Any]) -> dict[str, str]:
    """Parameter -> why it has no effect on this estimator together with the others.

    Args:
        estimator: As for :func:`prior_for`.
        params: A configuration; what it does not name has the estimator's own value.
    """
    if inspect.isclass(estimator):
        estimator = instance_of(estimator)
    return _inert(parts_of(estimator), params, params)


def real_values(estimator: Any, names: Iterable[str] = ()) -> dict[str, Any]:
    """The values that the parameters of an estimator have before it is tuned, by their full names.

    Where ``get_params()`` gives None or nothing and the library documents a value, it is that value (see
    ``library_defaults.py``). None that means something ("no limit") stays None.

    Args:
        estimator: As for :func:`prior_for`.
        names: Parameters that are searched; one under an alias (XGBoost's ``eta``) has a value as well.
    """
    if inspect.isclass(estimator):
        estimator = instance_of(estimator)
    names = set(names)
    values: dict[str, Any] = dict(estimator.get_params(deep=True))
    for part in parts_of(estimator):
        renamed = part.renamed
        for name, value in part.family.defaults(part.current).items():
            full = part.prefix + renamed.get(name, name)
            if values.get(full) is None:
                values[full] = value
        for name, aliases in part.family.aliases.items():
            value = values.get(part.prefix + renamed.get(name, name))
            for full in names & {part.prefix + alias for alias in aliases}:
                if values.get(full) is None:
                    values[full] = value
    return values


def _inert(parts: Iterable[Part], values: Mapping[str, Any], searched: Mapping[str, Any]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for part in parts:
        users_values = _without_prefix(part.prefix, values)
        params = {**part.current, **users_values}
        used = {
            n: alias
            for n, aliases in part.family.aliases.items()
            for alias in aliases
            if alias in users_values
        }
        names = {**part.renamed, **used}
        params |= {name: params[alias] for name, alias in names.items()}
        for name, why in part.family.inert(params).items():
            full = part.prefix + names.get(name, name)
            if full in searched:
                reasons[full] = why
    return reasons


def _without_prefix(prefix: str, params: Mapping[str, Any]) -> dict[str, Any]:
    cut = {name[len(prefix) :]: value for name, value in params.items() if name.startswith(prefix)}
    return {name: value for name, value in cut.items() if "__" not in name}


# --- one part's space -----------------------------------------------------------------------------------


def _space_of(part: Part, facts: Facts) -> tuple[SearchSpace, Table]:
    """The space to start with, and the rows that apply, under the user's names."""
    table = _renamed(part.family.table(facts), part.renamed)
    usable = [row for row in table.ranges if _is_open(row.name, part)]
    fixed = {name: value for name, (value, _) in table.fixed.items() if _is_open(name, part)}
    rows = [row for row in usable if row.start]
    whens = {row.name: row.when for row in rows if row.when}
    whens |= {name: when for name, when in table.fixed_when.items() if name in fixed}
    names = {row.name for row in rows} | fixed.keys()
    space = SearchSpace(
        {row.name: row.distribution for row in rows},
        conditions=[Condition(name, *when) for name, when in whens.items() if when[0] in names],
        fixed=fixed,
        objects={row.name: _tuples(row.distribution) for row in rows if row.layers},
    )
    return space, replace(table, ranges=tuple(usable))


def _tuples(distribution: BaseDistribution) -> dict[str, Any]:
    """The tuples that choices of layers stand for."""
    return {choice: layers_of(choice) for choice in getattr(distribution, "choices", ())}


def _is_open(name: str, part: Part) -> bool:
    """Whether the estimator has the parameter, and the user has not put an object there."""
    value = part.current.get(name)
    if isinstance(value, dict) or callable(value):
        return False
    return name in part.current or ("sklearn" not in part.family.packages and bool(part.family.packages))


def _renamed(table: Table, names: Mapping[str, str]) -> Table:
    """A table under the aliases that the user has used."""
    if not names:
        return table
    return replace(
        table,
        ranges=tuple(replace(row, name=names.get(row.name, row.name)) for row in table.ranges),
        experts=tuple(
            replace(e, params={names.get(name, name): value for name, value in e.params.items()})
            for e in table.experts
        ),
        fixed={names.get(name, name): value for name, value in table.fixed.items()},
    )


def _configurations(space: SearchSpace, table: Table, part: Part) -> list[tuple[dict[str, Value], str]]:
    """The experts' configurations inside the space, complete and mutually different."""
    configurations: list[tuple[dict[str, Value], str]] = []
    keys = set()
    for i, expert in enumerate(table.experts):
        params: dict[str, Any] = {**space.clip({**part.current, **expert.params})}
        if "class_weight" in params and "class_weight" not in expert.params:
            params["class_weight"] = "balanced" if i % 2 else None  # half of them each
        params = space.clip(params)
        if space.key(params) not in keys:
            keys.add(space.key(params))
            configurations.append((params, f"{expert.reason[0].upper()}{expert.reason[1:]}."))
    return configurations[:_MAX_CONFIGURATIONS]


# --- all parts together ---------------------------------------------------------------------------------


def _prior_of_parts(parts_built: list[tuple[Part, SearchSpace, Table]]) -> Prior:
    space = _union((part.prefix, part_space) for part, part_space, _ in parts_built)
    limits: dict[str, Limits] = {}
    sources: dict[str, str] = {}
    for part, _, table in parts_built:
        for row in table.ranges:
            limits[part.prefix + row.name] = row.limits
            sources[part.prefix + row.name] = row.source
        sources |= {part.prefix + name: source for name, (_, source) in table.fixed.items()}
    configurations = [_configurations(part_space, table, part) for part, part_space, table in parts_built]
    whole_configurations = []
    for i in range(max((len(group) for group in configurations), default=0)):
        params: dict[str, Value] = {}
        reasons: dict[str, None] = {}
        for (part, *_), group in zip(parts_built, configurations, strict=True):
            part_params, reason = group[i % len(group)]
            params |= {part.prefix + name: value for name, value in part_params.items()}
            reasons[reason] = None
        whole_configurations.append((params, " ".join(reasons)))
    return Prior(
        family=" + ".join(dict.fromkeys(part.family.name for part, *_ in parts_built)),
        space=space,
        outer=outer_of(space, None, limits),
        configurations=tuple(whole_configurations),
        sources=sources,
        limits=limits,
        off={
            part.prefix + row.name: row.off
            for part, _, table in parts_built
            for row in table.ranges
            if row.off is not None
        },
        parts=tuple(part for part, *_ in parts_built),
    )


def _union(spaces: Iterable[tuple[str, SearchSpace]]) -> SearchSpace:
    distributions: dict[str, BaseDistribution] = {}
    conditions: list[Condition] = []
    fixed: dict[str, Value] = {}
    objects: dict[str, Any] = {}
    for prefix, space in spaces:
        distributions |= {prefix + name: d for name, d in space.distributions.items()}
        conditions += [Condition(prefix + c.param, prefix + c.parent, c.values) for c in space.conditions]
        fixed |= {prefix + name: value for name, value in space.fixed.items()}
        objects |= {prefix + name: labels for name, labels in space.objects.items()}
    return SearchSpace(distributions, conditions=conditions, fixed=fixed, objects=objects)

"""The page of the expert priors, made from the tables of the package.

python docs/_priors.py > docs/priors.md
"""

from __future__ import annotations

from collections.abc import Iterator

from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.base import Range
from sllmbo_magic.priors.base import Table
from sllmbo_magic.priors.families import FAMILIES
from sllmbo_magic.priors.sources import REFERENCES
from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.search_space import Value

_INTRODUCTION = """\
# Expert priors

What the rulebook and every first prompt know of an estimator before a trial: a search space, and whole
configurations that practitioners would try, with the source of each range. The library's default
configuration is always trial 0. A task's rows, columns, classes and metric shape the ranges; the tables
below are for {rows:,} rows and {columns} columns, classification unless it says regression. Inside a
`Pipeline` the last step's parameters are searched as `step__parameter`; wrappers
(`TransformedTargetRegressor`, `CalibratedClassifierCV`, one-vs-rest, voting, stacking, ...) pass on
what they wrap. What the user has set is respected: a kernel, a booster, a solver, a bound on depth,
parameters under an alias; parameters that hold objects or dicts stay as they are.

*May be added* marks parameters that are not searched by themselves, but that a proposer may add with a
range of its own.
*Limits* are hard: no widening passes them.

An estimator of no known family gets ranges from its signature and, where scikit-learn declares what a
parameter may be, from that: numbers around their defaults (two decades each side on a log scale, or one
where the default says more), shares from 0 to 1, declared options, flags. Seeds, threads, tolerances,
iterations, and what fits together only in pairs (solvers, losses) are left alone.

Made from the tables in `sllmbo_magic/priors/` by `python docs/_priors.py > docs/priors.md`.
"""


def markdown() -> str:
    """The whole page."""
    facts = Facts()
    parts = [_INTRODUCTION.format(rows=facts.n_rows, columns=facts.n_columns)]
    parts += ["\n".join(_family(family)) for family in FAMILIES]
    parts.append(
        "\n".join(["## References", "", *(f"* **{name}**: {where}" for name, where in REFERENCES.items())])
    )
    return "\n".join(parts) + "\n"


def _family(family: Family) -> Iterator[str]:
    table, other = family.table(Facts()), family.table(Facts(kind="regression"))
    yield f"## {family.name}"
    yield ""
    yield ", ".join(f"`{name}`" for name in family.classes) + f" ({family.packages[0]})."
    if table.note:
        yield table.note
    yield ""
    yield "| parameter | range | limits | source |"
    yield "| --- | --- | --- | --- |"
    for row in table.ranges:
        yield _row(row, "")
    mine = {row.name: row.distribution for row in table.ranges}
    for row in other.ranges:
        if mine.get(row.name) != row.distribution:
            yield _row(row, "regression: ")
    for name, (value, source) in table.fixed.items():
        when = _when(table.fixed_when.get(name))
        yield f"| `{name}` | set to {_value(value)}{when} | | {source} |"
    yield ""
    yield "| configuration | why |"
    yield "| --- | --- |"
    for expert in table.experts:
        yield f"| {_configuration(expert.params, table)} | {expert.reason} |"
    yield ""


def _row(row: Range, prefix: str) -> str:
    known = normal(row.distribution)
    assert known is not None
    words = prefix + allowed(known) + _when(row.when) + ("" if row.start else "; *may be added*")
    low, high = row.limits
    limits = "" if low is None and high is None else f"{_bound(low)} to {_bound(high)}"
    return f"| `{row.name}` | {words} | {limits} | {row.source} |"


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _when(when: tuple[str, tuple[Value, ...]] | None) -> str:
    return "" if when is None else f", when {when[0]} is {' or '.join(map(_value, when[1]))}"


def _value(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _configuration(params: dict[str, Value], table: Table) -> str:
    """What of a configuration applies, in the table's order."""
    whens = {row.name: row.when for row in table.ranges}
    shown = []
    for name, value in params.items():
        when = whens.get(name)
        if name in whens and (when is None or params.get(when[0]) in when[1]):
            shown.append(f"{name} {_value(value)}")
    return ", ".join(shown)


if __name__ == "__main__":
    print(markdown(), end="")

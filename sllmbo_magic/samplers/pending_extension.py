"""A change of the search space that the outer space does not hold; it waits until no trial runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sllmbo_magic.space.search_space import SearchSpace


@dataclass(frozen=True)
class PendingExtension:
    """What the run goes on with in a new study (see ``storage/study_migration.py``).

    Attributes:
        outer: The grown outer space.
        space: The next version of the search space, inside ``outer``.
        reason: Why, one sentence.
        by: Who asked for it: ``"llm"`` or ``"user"``.
    """

    outer: SearchSpace
    space: SearchSpace
    reason: str
    by: str


def with_kept(space: SearchSpace, current: SearchSpace, names: Collection[str]) -> SearchSpace:
    """A space in which these parameters are as they are now: an answer may be older than a command."""
    if not names:
        return space
    distributions, fixed = space.distributions, space.fixed
    for name in names:
        if name in current:
            fixed.pop(name, None)
            distributions[name] = current[name]
        elif name in current.fixed:
            distributions.pop(name, None)
            fixed[name] = current.fixed[name]
    conditions = [
        c
        for c in dict.fromkeys([*space.conditions, *current.conditions])
        if all(n in distributions or n in fixed for n in (c.param, c.parent))
    ]
    return SearchSpace(distributions, conditions=conditions, fixed=fixed)

"""The versions of a declared search space, inside one fixed outer space."""

from __future__ import annotations

import json
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import pairwise
from itertools import takewhile
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.configurations import Condition
from sllmbo_magic.space.distributions import Value
from sllmbo_magic.space.outer_space import outer_of
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.space_version import SpaceVersion


class Versions:
    """How the search space evolved.

    Attributes:
        outer: The fixed space of the stored study; None until one is declared. It grows only with a new,
            linked study.
        all: Every version, the current one last.
        defaults: The estimator's own values; what a version leaves out keeps them.
        objects: What the labels among the choices stand for, which a stored or a joined outer space lacks.
    """

    def __init__(self) -> None:
        self.objects: Objects = {}
        self._outer: SearchSpace | None = None
        self.all: list[SpaceVersion] = []
        self.defaults: Mapping[str, Any] = {}
        self._wide: tuple[list[SpaceVersion], SearchSpace | None] | None = None
        self._emitted_outer: SearchSpace | None = None
        """The outer space as the events told it last."""

    @property
    def outer(self) -> SearchSpace | None:
        """The outer space, with the objects."""
        return self._outer

    @outer.setter
    def outer(self, outer: SearchSpace) -> None:
        known = outer.objects
        if any(labels.keys() - known.get(name, {}).keys() for name, labels in self.objects.items()):
            outer = SearchSpace(
                outer.distributions,
                conditions=outer.conditions,
                fixed=outer.fixed,
                objects={**known, **self.objects},
            )
        self._outer = outer

    @property
    def space(self) -> SearchSpace | None:
        """The current version."""
        return self.all[-1].space if self.all else None

    @property
    def number(self) -> int:
        """Of the current version; 0 before any."""
        return self.all[-1].version if self.all else 0

    @property
    def wide(self) -> SearchSpace | None:
        """All that was in any version, but for what the user set since: the space that no proposer's error
        can confine.
        """
        if self._wide is None or self._wide[0] != self.all:
            self._wide = ([*self.all], self._make_wide())
        return self._wide[1]

    def _make_wide(self) -> SearchSpace | None:
        if not self.all:
            return None
        wide = self.all[0].space
        for before, after in pairwise(self.all):
            wide = _widened(wide, before.space, after.space, by_user=after.by == "user")
        return self.space if wide == self.space else wide

    def declare(
        self, space: SearchSpace, outer: SearchSpace, trial_number: int, reason: str, by: str
    ) -> SpaceChanged:
        """Begin anew with version 0."""
        self.outer, self.all = outer, []
        return self.add(space.within(outer), trial_number, reason, by)

    def restore(self, versions: Sequence[SpaceVersion], outer: SearchSpace) -> None:
        """Go on with the versions of an earlier process."""
        self.outer = outer
        self._emitted_outer = outer
        self.all = list(versions)

    def take_in(self, study: Study) -> tuple[list[SpaceVersion], list[SpaceVersion]]:
        """Go on with the versions that other programs have added to the study.

        Returns:
            Those versions; and those of this program in whose place they stand, as both were added at once.
        """
        user_attrs = study.user_attrs
        stored = user_attrs.get(attrs.SPACE_VERSIONS) or []
        if len(stored) == len(self.all) and _is_same(self.all[-1], stored[-1]):
            return [], []
        n_common = len(list(takewhile(lambda pair: _is_same(*pair), zip(self.all, stored, strict=False))))
        added, replaced = [SpaceVersion.from_json(v) for v in stored[n_common:]], self.all[n_common:]
        if not added:
            return [], []
        outer = SearchSpace.from_json(user_attrs[attrs.OUTER_SPACE])
        if outer != self.outer:  # this one has the objects that stored labels stand for
            self.outer = outer
        self.all = [*self.all[:n_common], *added]
        return added, replaced

    def add(self, space: SearchSpace, trial_number: int, reason: str, by: str) -> SpaceChanged:
        """A new version from ``trial_number`` on, as the event that says so."""
        assert self.outer is not None
        space = covering(space, self.space or space, self.outer, self.defaults)
        version = SpaceVersion(len(self.all), trial_number, space, reason, by)
        self.all.append(version)
        grown = version.version == 0 or self._emitted_outer != self.outer
        self._emitted_outer = self.outer
        return self._event(version, self.outer if grown else None)

    def events(self) -> list[SpaceChanged]:
        """All versions once more, each with the outer space of now."""
        return [self.event_of(version) for version in self.all]

    def event_of(self, version: SpaceVersion) -> SpaceChanged:
        """The event of a version, with the outer space of now."""
        return self._event(version, self.outer)

    @staticmethod
    def _event(version: SpaceVersion, outer: SearchSpace | None) -> SpaceChanged:
        return SpaceChanged(
            version=version.version,
            trial_number=version.trial_number,
            params=version.space.to_json()["params"],
            reason=version.reason,
            by=version.by,
            outer=None if outer is None else outer.to_json()["params"],
        )

    def store(self, study: Study) -> None:
        """Write the versions to the study, so that a later process goes on with them."""
        if self.outer is not None:
            study.set_user_attr(attrs.OUTER_SPACE, self.outer.to_json())
            study.set_user_attr(attrs.SPACE_VERSIONS, [v.to_json() for v in self.all])


def _is_same(version: SpaceVersion, stored: Any) -> bool:
    """Whether a version is what a study holds, which has lists where this one may have tuples."""
    return json.dumps(version.to_json(), sort_keys=True) == json.dumps(stored, sort_keys=True)


def changed_names(before: SearchSpace, after: SearchSpace) -> set[str]:
    """The parameters of a version that were otherwise in the version before it."""
    return {
        name
        for name in (*after, *after.fixed)
        if before.get(name) != after.get(name) or before.fixed.get(name) != after.fixed.get(name)
    }


def _widened(wide: SearchSpace, before: SearchSpace, after: SearchSpace, *, by_user: bool) -> SearchSpace:
    """The wide space with what one version added to the version before it; what the user changed is taken
    as it is.
    """
    names_by_user = changed_names(before, after) if by_user else set()
    for name in (*after, *after.fixed):
        changed_by_user = name in names_by_user
        new, old = dist.normal(after[name]) if name in after else None, wide.get(name)
        if new is None:
            if changed_by_user or name not in wide:
                wide = _with_value(wide, name, after.fixed[name])
        elif old is None or changed_by_user:
            wide = wide.restore(name, new)
        else:
            present = dist.normal(old)
            assert present is not None
            wide = wide.restore(name, dist.hull(present, new))
    return wide


def _with_value(space: SearchSpace, name: str, value: Value) -> SearchSpace:
    distributions = {n: d for n, d in space.distributions.items() if n != name}
    return SearchSpace(
        distributions,
        conditions=_among(space, {*distributions, *space.fixed, name}),
        fixed={**space.fixed, name: value},
    )


def _among(space: SearchSpace, names: Collection[str]) -> list[Condition]:
    return [c for c in space.conditions if c.param in names and c.parent in names]


def grown(
    outer: SearchSpace, space: SearchSpace, limits: Mapping[str, tuple[float | None, float | None]]
) -> SearchSpace:
    """The outer space with the parameters that ``space`` adds to it, each with room around its range.

    What the outer space already has stays exactly as it is: stored trials are recorded under it.
    """
    additions = space.subspace(name for name in space if name not in outer and name not in outer.fixed)
    if not len(additions):
        return outer
    wide = outer_of(additions, None, limits)
    return SearchSpace(
        {**outer.distributions, **wide.distributions}, conditions=outer.conditions, fixed=outer.fixed
    )


def is_zero_of_log(value: Any, distribution: BaseDistribution) -> bool:
    """Whether a value is the 0 that a logarithmic scale lacks: a penalty that is off, as at its low end."""
    is_zero = isinstance(value, int | float) and not isinstance(value, bool) and value == 0
    return is_zero and bool(getattr(distribution, "log", False))


def covering(
    space: SearchSpace, before: SearchSpace, outer: SearchSpace, defaults: Mapping[str, Any]
) -> SearchSpace:
    """A version of the space in which every outer parameter has a value, as the stored study records them.

    What ``space`` leaves out is held at the estimator's default, 0 on a logarithmic scale at the low end;
    where the default has no place in the range ("sqrt", None, -1), the parameter stays as it was before.
    """
    distributions, fixed = {**space.distributions}, {**space.fixed}
    for name in outer:
        if name in distributions or name in fixed:
            continue
        default = defaults.get(name)
        value, problem = outer.check(name, default, repair=False)
        if not problem:
            fixed[name] = value
        elif is_zero_of_log(default, outer[name]):
            fixed[name] = outer.clip_value(name, default)
        elif name in before.fixed:
            fixed[name] = before.fixed[name]
        else:
            distributions[name] = before[name] if name in before else outer[name]
    fixed = {**{n: v for n, v in before.fixed.items() if n not in distributions}, **fixed}
    known = {*distributions, *fixed}
    conditions = dict.fromkeys([*before.conditions, *space.conditions])
    return SearchSpace(
        distributions,
        conditions=[c for c in conditions if c.param in known and c.parent in known],
        fixed=fixed,
    )

"""The versions of a declared search space, inside one fixed outer space."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.study import Study

from sllmbo_magic import keys
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.proposers.llm import covering
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import SpaceVersion


class Versions:
    """How the search space evolved.

    Attributes:
        outer: The fixed space of the stored study; None until one is declared. It grows only with a new,
            linked study.
        all: Every version, the current one last.
        defaults: The estimator's own values; what a version leaves out keeps them.
    """

    def __init__(self) -> None:
        self.outer: SearchSpace | None = None
        self.all: list[SpaceVersion] = []
        self.defaults: Mapping[str, Any] = {}
        self._told: SearchSpace | None = None
        """The outer space as the events told it last."""

    @property
    def space(self) -> SearchSpace | None:
        """The current version."""
        return self.all[-1].space if self.all else None

    @property
    def number(self) -> int:
        """Of the current version; 0 before any."""
        return self.all[-1].version if self.all else 0

    def declare(
        self, space: SearchSpace, outer: SearchSpace, trial_number: int, reason: str, by: str
    ) -> SpaceChanged:
        """Begin anew with version 0."""
        self.outer, self.all = outer, []
        return self.add(space.within(outer), trial_number, reason, by)

    def restore(self, versions: Sequence[SpaceVersion], outer: SearchSpace) -> None:
        """Go on with the versions of an earlier process."""
        self.outer = self._told = outer
        self.all = list(versions)

    def add(self, space: SearchSpace, trial_number: int, reason: str, by: str) -> SpaceChanged:
        """A new version from ``trial_number`` on, as the event that says so."""
        assert self.outer is not None
        space = covering(space, self.space or space, self.outer, self.defaults)
        version = SpaceVersion(len(self.all), trial_number, space, reason, by)
        self.all.append(version)
        grown = version.version == 0 or self._told != self.outer
        self._told = self.outer
        return self._event(version, self.outer if grown else None)

    def events(self) -> list[SpaceChanged]:
        """All versions once more, each with the outer space of now."""
        return [self._event(version, self.outer) for version in self.all]

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
            study.set_user_attr(keys.OUTER_SPACE, self.outer.to_json())
            study.set_user_attr(keys.SPACE_VERSIONS, [v.to_json() for v in self.all])

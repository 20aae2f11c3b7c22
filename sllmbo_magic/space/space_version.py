"""One version of a search space, as it is stored in the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.space.search_space import SearchSpace


@dataclass(frozen=True)
class SpaceVersion:
    """One state of an evolving space.

    Attributes:
        version: 0 for the first.
        trial_number: The first trial that uses it.
        reason: Why it was made, one sentence.
        by: ``"prior"``, ``"llm"``, ``"rulebook"`` or ``"user"``.
    """

    version: int
    trial_number: int
    space: SearchSpace
    reason: str
    by: str

    def to_json(self) -> dict[str, Any]:
        """Plain data: version, trial_number, params (see :meth:`SearchSpace.to_json`), reason, by."""
        return {
            "version": self.version,
            "trial_number": self.trial_number,
            **self.space.to_json(),
            "reason": self.reason,
            "by": self.by,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpaceVersion:
        """What :meth:`to_json` wrote. Raises InputError when it is something else."""
        try:
            version, trial_number = int(data["version"]), int(data["trial_number"])
            reason, by = str(data["reason"]), str(data["by"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a space version cannot be read: {type(error).__name__}.") from error
        return cls(version, trial_number, SearchSpace.from_json(data), reason, by)

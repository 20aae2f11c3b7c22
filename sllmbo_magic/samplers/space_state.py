"""The search space of a run: its versions inside the outer space, the user's locks, and what may extend it.

A sampler is given one :class:`SpaceState` and samples in its current version. Whoever else changes the space
(the first request, the user's commands, a resumed run) changes this object, never the sampler.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optuna.study import Study

from sllmbo_magic.events import Event
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.space_extension import ExtensionPolicy
from sllmbo_magic.proposers.space_extension import joined
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.samplers.pending_extension import with_kept
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.space_version import SpaceVersion
from sllmbo_magic.space.versions import Versions
from sllmbo_magic.space.versions import changed_names

_Kept = tuple[tuple[SearchSpace, SearchSpace, frozenset[str]], SearchSpace]
"""What a space was made of, and the space."""


class SpaceState:
    """The versions of a declared search space, and which of its ranges may change.

    Args:
        space: Version 0 of the search space; None declares none, and the study's trials define it.
        outer: The fixed space that no version may leave; default: ``space`` itself.
        defaults: The estimator's own values; what a version of the space leaves out keeps them.
        off: Penalties with the value up to which they have no effect.
        locked: Parameters whose range only the user may change, because the user locked it.
        user_ranges: The same, because the user set the range.
        extension_policy: What a run that can go on in a new study may add to the outer space; None: nothing.
        dynamic: Whether a proposer may change the ranges; default True.
        reason: Why version 0 is as it is, one sentence.
        objects: What the labels among the choices stand for: parameter -> label -> object.
        by: Who chose it: ``"user"`` (default) or ``"prior"``.
        emit: Takes a ``SpaceChanged`` event for each new version.

    Attributes:
        pending: An extension of the outer space that waits until no trial runs; None while there is none.
        is_shared: Whether other programs change the space, too.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        outer: SearchSpace | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        off: Mapping[str, float] | None = None,
        locked: Iterable[str] = (),
        user_ranges: Iterable[str] = (),
        extension_policy: ExtensionPolicy | None = None,
        dynamic: bool = True,
        reason: str = "",
        by: str = "user",
        objects: Objects | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.off = dict(off or {})
        self.locked = set(locked)
        self.user_ranges = set(user_ranges)
        self.extension_policy = extension_policy
        self.dynamic = dynamic
        self.emit = emit
        self.pending: PendingExtension | None = None
        self._reachable: _Kept | None = None
        self._wide: _Kept | None = None
        self.is_shared = False
        self._versions = Versions()
        self._versions.defaults = dict(defaults or {})
        self._versions.objects = objects or {}
        self._lock = threading.RLock()
        if space is not None:
            self._emit(self._versions.declare(space, outer if outer is not None else space, 0, reason, by))

    @classmethod
    def restored(cls, versions: Sequence[SpaceVersion], outer: SearchSpace, **options: Any) -> SpaceState:
        """The state of an earlier process, from its versions; ``options`` are those of the constructor."""
        state = cls(**options)
        state._versions.restore(versions, outer)
        return state

    # What is searched

    @property
    def outer(self) -> SearchSpace | None:
        """The fixed space of the stored study; None while none is declared."""
        return self._versions.outer

    @property
    def space(self) -> SearchSpace | None:
        """The current version of the search space; None while none is declared."""
        return self._versions.space

    @property
    def wide(self) -> SearchSpace | None:
        """All that was in any version, but for the ranges that only the user may change, which are as now;
        None while none is declared.
        """
        wide = self._versions.wide
        if wide is None or self.space is None or wide is self.space:
            return wide
        made_of = wide, self.space, self.user_controlled
        if self._wide is None or self._wide[0] != made_of:
            kept = with_kept(*made_of)  # one object, by which trials keep what is in it
            self._wide = made_of, wide if kept == wide else self.space if kept == self.space else kept
        return self._wide[1]

    @property
    def number(self) -> int:
        """The number of the current version, 0 before any."""
        return self._versions.number

    @property
    def versions(self) -> list[SpaceVersion]:
        """Every version, the current one last."""
        return self._versions.all

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The estimator's own values."""
        return self._versions.defaults

    @property
    def user_controlled(self) -> frozenset[str]:
        """Parameters whose range only the user may change."""
        return frozenset(self.locked | self.user_ranges)

    @property
    def reachable(self) -> SearchSpace | None:
        """All that a trial may have: the outer space, but for the ranges that only the user may change; None
        while none is declared.
        """
        if self.outer is None or self.space is None:
            return None
        made_of = self.outer, self.space, self.user_controlled
        if self._reachable is None or self._reachable[0] != made_of:
            self._reachable = made_of, with_kept(*made_of)  # one object, by which trials keep what is in it
        return self._reachable[1]

    # Changes

    def change(self, space: SearchSpace, trial_number: int, reason: str, by: str) -> None:
        """Add a version of the search space, in force from ``trial_number`` on."""
        with self._lock:
            self._emit(self._versions.add(space, trial_number, reason, by))

    def hold(self, params: Mapping[str, Any]) -> None:
        """Before any trial: begin with these parameters fixed, as far as they are searched."""
        if self.outer is not None and (outer := self.outer.held(params)) is not self.outer:
            self._emit(self._versions.declare(outer, outer, 0, "", "user"))

    def take_in(self, study: Study) -> None:
        """Go on with what other programs have changed in a shared space since the last look. A range that one
        of their users set is the user's here, too.
        """
        if not self.is_shared or self.space is None:
            return
        with self._lock:
            before = self.versions
            added, replaced = self._versions.take_in(study)
            for version in added:
                self._emit(self._versions.event_of(version))
                if version.by == "user" and version.version:
                    earlier = self.versions[version.version - 1].space
                    self.user_ranges |= changed_names(earlier, version.space)
            for own in replaced:
                names = changed_names(before[own.version - 1].space, own.space) if own.version else ()
                self.change(with_kept(self.space, own.space, names), own.trial_number, own.reason, own.by)
            if replaced:
                self.store(study)

    def widen_outer(self, outer: SearchSpace) -> None:
        """Replace the outer space by a larger one, before the study holds a trial with the added
        parameters.
        """
        with self._lock:
            self._versions.outer = outer

    def propose(self, study: Study, proposal: Proposal, trial_number: int, by: str) -> bool:
        """Carry out a proposal's change of the space.

        A change inside the outer space is a new version at once, stored in the study. One that needs a larger
        outer space becomes :attr:`pending`.

        Returns:
            Whether an extension is pending now.
        """
        if proposal.space is None or self.outer is None or self.space is None or not self.dynamic:
            return False
        self.take_in(study)
        space = with_kept(proposal.space, self.space, self.user_controlled)
        if proposal.outer is not None:
            outer = joined(self.outer, proposal.outer)
            self.pending = PendingExtension(outer, space, proposal.space_reason, by)
            return True
        with self._lock:
            changed = self._versions.add(space, trial_number, proposal.space_reason, by)
            self.store(study)
            self._emit(changed)
        return False

    def refreshed(self, extension: PendingExtension) -> PendingExtension:
        """An extension that waited, with what the user changed meanwhile.

        One that the user asks for did not wait: it is later than all that the user did before.
        """
        assert self.outer is not None
        assert self.space is not None
        is_users = extension.by == "user"
        space = extension.space if is_users else with_kept(extension.space, self.space, self.user_controlled)
        return replace(extension, outer=joined(self.outer, extension.outer), space=space)

    def extend(
        self, study: Study, extension: PendingExtension, trial_number: int, commit: Callable[[], None]
    ) -> None:
        """Go on with an extended outer space in a new study, which already holds all trials under it.

        Args:
            commit: Called once the new version is stored in the study, before the event is emitted.
        """
        with self._lock:
            if extension.by != "user":  # what an LLM asked for goes on waiting while the user's comes first
                self.pending = None
            self._versions.outer = extension.outer
            changed = self._versions.add(extension.space, trial_number, extension.reason, extension.by)
            self.store(study)
            commit()
            self._emit(changed)

    # Storage and events

    def store(self, study: Study) -> None:
        """Write the versions to the study, so that a later process goes on with them."""
        self._versions.store(study)

    def emit_missing(self, numbers: Collection[int]) -> None:
        """Emit the events of the versions that are not among ``numbers``: a crash came before them."""
        for event in self._versions.events():
            if event.version not in numbers:
                self._emit(event)

    def _emit(self, event: Event) -> None:
        if self.emit is not None:
            self.emit(event)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "emit": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

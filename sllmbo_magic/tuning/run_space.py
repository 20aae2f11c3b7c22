"""The search space of a run: that of a new run, or as an earlier process left it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.events import Event
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.proposers.space_extension import joined
from sllmbo_magic.samplers.base_sampler import fixed_params
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.space_version import SpaceVersion
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.resume import EarlierCommands


def space_state(
    plan: Plan,
    study: Study,
    events: Sequence[Event],
    earlier: EarlierCommands,
    *,
    resumed: bool,
    joins: bool,
    may_migrate: bool,
    emit: Callable[[Event], None],
) -> SpaceState:
    """The search space in which a run samples.

    Args:
        plan: What is run.
        study: Holds the versions of an earlier process; the first version is stored in it.
        events: Those of the earlier process.
        earlier: What the user changed in the earlier process.
        resumed: Whether the study is resumed.
        joins: Whether programs share the study, and so its search space.
        may_migrate: Whether the run may go on in a new study; else no LLM extends the outer space.
        emit: Takes a ``SpaceChanged`` event for each new version.
    """
    policy = plan.beyond()
    held = {*fixed_params(plan.settings.sampler)} & {*(plan.outer or ())}
    options: dict[str, Any] = {
        "defaults": plan.defaults,
        "off": plan.off,
        "locked": earlier.locked,
        "user_ranges": {*earlier.user_ranges, *held},
        "extension_policy": policy if may_migrate else replace(policy, by_llm=False),
        "objects": plan.objects,
        "dynamic": plan.settings.dynamic_space,
        "emit": emit,
    }
    versions = study.user_attrs.get(attrs.SPACE_VERSIONS) if resumed or joins else None
    if not versions:
        state = _first(plan, study, options)
    else:  # what programs have changed in a shared space is taken in as if it were later
        state = _restored_space(study, versions[:1] if joins else versions, events, options)
    state.is_shared = joins
    state.take_in(study)
    return state


def _first(plan: Plan, study: Study, options: dict[str, Any]) -> SpaceState:
    """The search space of a new run, stored in the study."""
    if plan.space is None or plan.outer is None:
        return SpaceState(**options)
    by = "user" if plan.has_user_space else "prior"
    reason = "given by the user" if plan.has_user_space else "known ranges for this kind of estimator"
    outer = plan.outer
    if attrs.CONTINUES in study.user_attrs:  # of an earlier run in the same storage
        outer = joined(SearchSpace.from_json(study.user_attrs[attrs.OUTER_SPACE]), outer)
    space = plan.space.held(fixed_params(plan.settings.sampler))
    state = SpaceState(space, outer, reason=reason, by=by, **options)
    state.store(study)
    return state


def _restored_space(
    study: Study, versions: Sequence[Any], events: Sequence[Event], options: dict[str, Any]
) -> SpaceState:
    """The search space of a resumed run.

    Emits the versions that the study has and the events lack: the earlier process ended between the two.
    """
    outer = SearchSpace.from_json(study.user_attrs[attrs.OUTER_SPACE])
    state = SpaceState.restored([SpaceVersion.from_json(v) for v in versions], outer, **options)
    state.emit_missing({e.version for e in events if isinstance(e, SpaceChanged)})
    return state

"""The search space that a run was given, so that a resume with another one is refused.

A resumed run searches the ranges that its study holds: those of the start with all later changes. So a space
that is given anew would have no effect, and only one that means the same is taken.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from sllmbo_magic.space.distributions import allowed
from sllmbo_magic.space.distributions import normal
from sllmbo_magic.space.distributions import show
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.task.fingerprint import stable

if TYPE_CHECKING:
    from sllmbo_magic.tuning.plan import Plan


def given_space(plan: Plan) -> str:
    """A short text that is equal for two plans whose given search spaces mean the same."""
    if not plan.has_user_space or plan.outer is None:
        return "none given"
    space = plan.outer
    entries = []
    for entry in space.to_json()["params"]:
        conditions = entry.get("when", [])
        listed = conditions if isinstance(conditions, list) else [conditions]
        entry["when"] = sorted([when["param"], *sorted(map(repr, when["in"]))] for when in listed)
        entry["choices"] = sorted(map(repr, entry.get("choices", [])))
        entries.append(entry)
    objects = {
        name: {label: stable(value) for label, value in labels.items()}
        for name, labels in space.objects.items()
    }
    text = json.dumps([sorted(entries, key=lambda e: str(e["name"])), objects], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def given_space_text(plan: Plan) -> str:
    """That search space in lines, one per parameter."""
    if not plan.has_user_space or plan.outer is None:
        return "known ranges for this estimator" if plan.task.estimator is not None else "no search_space"
    return "\n".join(_line(plan.outer, name) for name in sorted([*plan.outer, *plan.outer.fixed]))


def _line(space: SearchSpace, name: str) -> str:
    distribution = normal(space[name]) if name in space else None
    values = show(space.fixed.get(name)) if distribution is None else allowed(distribution)
    conditions = [
        f"{c.parent} is {' or '.join(map(show, c.values))}" for c in space.conditions if c.param == name
    ]
    return f"{name}: {values}" + (f" if {' and '.join(conditions)}" if conditions else "")

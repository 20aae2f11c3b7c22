"""What the end of a trial tells in a study of the user's own: about the LLM's predictions, about names."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.history.history import History
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers.study_state import StudyState


def write_source(study: Study, trial: FrozenTrial, base_label: str) -> None:
    """Give a trial that had no joint space, or was queued whole, its source."""
    if attrs.SOURCE not in trial.user_attrs:
        source = "user" if trial.system_attrs.get("fixed_params") else base_label
        study._storage.set_trial_user_attr(trial._trial_id, attrs.SOURCE, source)


def check_promise(study: Study, trial: FrozenTrial, score: float, history: Callable[[], History]) -> None:
    """Write whether what the LLM expected came true; a run writes that itself."""
    provenance = trial.user_attrs.get(attrs.PROVENANCE) or {}
    source = provenance.get("source")
    if source not in attrs.ASKED_SOURCES or attrs.EVALUATION in trial.user_attrs or not math.isfinite(score):
        return
    came_true = history().promise_kept(
        provenance.get("expects", ""),
        score,
        source=source,
        asked_at=provenance.get("asked_at", trial.number),
    )
    if came_true is not None:
        study._storage.set_trial_user_attr(trial._trial_id, attrs.EVALUATION, {"came_true": came_true})


def warn_of_names(
    state: StudyState,
    study: Study,
    trial: FrozenTrial,
    chosen: Mapping[str, Any],
    left_to_base: frozenset[str],
) -> None:
    """Warn, once, where an objective and the space that was declared for it have different names.

    Args:
        chosen: The values that the trial had of the declared space.
        left_to_base: Names of the declared space that only the base sampler draws.
    """
    if state.space_state.outer is not None:
        known = left_to_base | state.undeclared.fixed.keys()
        if text := state.asked.problem(study, trial, state.space_state.outer, chosen, known):
            finite.optuna_logger.warning(text)


def never_asked(study: Study, unused: Iterable[str]) -> Iterator[str]:
    """For the LLM: which of its further parameters no objective has asked for in any trial."""
    known = {name for trial in study.get_trials(deepcopy=False) for name in trial.params}
    for name in unused:
        if name not in known:
            yield f"{name}: the objective has not asked for it in any trial"

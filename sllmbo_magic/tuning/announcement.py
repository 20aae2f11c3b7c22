"""What a run says before its first trial: what it is, and the notes that belong to its start."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from optuna.samplers import NSGAIISampler
from optuna.samplers import TPESampler
from optuna.study import Study

from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunStarted
from sllmbo_magic.tuning.forecast import forecast
from sllmbo_magic.tuning.joining import joined_text
from sllmbo_magic.tuning.other_trials import foreign_text
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.resume import EarlierCommands

if TYPE_CHECKING:
    from sllmbo_magic.llm.recorder import RecordingProvider


def announce(
    plan: Plan,
    study: Study,
    description: Mapping[str, Any],
    provider: RecordingProvider | None,
    earlier: EarlierCommands,
    *,
    joins: bool,
    emit: Callable[[Event], None],
) -> None:
    """Emit the start of a run and its notes.

    Args:
        plan: What is run.
        study: Of the run, before its first trial in this process.
        description: The run for its views.
        provider: The LLM; None without one.
        earlier: What the user changed in an earlier process of a resumed run.
        joins: Whether other programs work in the study, too.
        emit: Takes the events.
    """
    changed: dict[str, Any] = {}
    if earlier.mode is not None and len(study.directions) == 1:
        changed["sampler"] = earlier.mode
    if earlier.ratio is not None:
        changed["llm_ratio"] = earlier.ratio
    emit(RunStarted(run={**description, **changed}))
    if (text := foreign_text(study)) is not None:
        emit(Note(text=text))
    if joins and study.get_trials(deepcopy=False):
        emit(Note(text=joined_text(study)))
    if unused := _unused_sampler(plan, study):
        emit(Note(text=unused))
    for note in plan.notes:
        emit(Note(text=note))
    if plan.settings.uses_llm:
        emit(Note(text=str(forecast(plan)["text"])))
    if provider is not None and provider.notice is not None:
        emit(Note(text=provider.notice, level="warning"))


def _unused_sampler(plan: Plan, study: Study) -> str:
    """That a study of the user's has a sampler that the run does not use; "" where it is one of Optuna's
    defaults.
    """
    own = study.sampler
    if type(own) in (TPESampler, NSGAIISampler) or own is plan.settings.sampler:
        return ""
    return (
        f"The study's own sampler, {type(own).__name__}, is not asked: {plan.settings.sampler_name} proposes"
        " the trials. To use it, give it as sampler=."
    )

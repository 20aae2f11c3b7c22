"""The study of a run, and what a resumed run takes over from the process that began it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from optuna.study import Study

from sllmbo_magic.proposers.space_extension import gained
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.storage.backends import open_storage
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import check_fingerprint
from sllmbo_magic.storage.study_migration import link
from sllmbo_magic.storage.study_migration import migrate_trials
from sllmbo_magic.tuning.captured_values import captured_values
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.settings import RULEBOOK
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.studies import check_has_study
from sllmbo_magic.tuning.studies import open_study

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def resumed_plan(
    plan: Plan, folder: RunFolder, *, seeded: bool, chose_select: bool
) -> tuple[Plan, dict[str, Any]]:
    """The plan with the earlier process's seed and ``select``, unless the user gave them, and notes on what
    has changed since; and the options of that process.

    Args:
        plan: Of this process.
        folder: Of the stored run.
        seeded: Whether the user gave the seed.
        chose_select: Whether the user gave ``select``.

    Raises:
        RunChangedError: The stored trials would not compare with new ones.
    """
    task = plan.task
    meta = folder.read_meta()
    check_fingerprint(
        meta.get("fingerprint") or {},
        plan.fingerprint(),
        stored_text=meta.get("described") or {},
        current_text=plan.described(),
        has_objective=task.objective is not None,
    )
    options = dict(meta.get("options") or {})
    settings = plan.settings
    if not seeded and isinstance(meta.get("seed"), int):
        settings = replace(settings, seed=meta["seed"])
    if not chose_select and options.get("select") == "recheck" and not task.directions:
        settings = replace(settings, select="recheck")
    notes = (*plan.notes, *_changed_since(meta, options, settings), *_captured_since(meta, plan))
    return replace(plan, settings=settings, notes=notes), options


def _changed_since(meta: Mapping[str, Any], options: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    """What has changed since the earlier process, a sentence each."""
    total = meta.get("total")
    is_cut = isinstance(total, int) and total > settings.n_trials and meta.get("status") != "finished"
    if is_cut and total != options.get("n_trials"):
        yield (
            f"The run was extended to {total} trials; it now ends at {settings.n_trials}."
            f" Give n_trials={total} (--n-trials {total}) to run all."
        )
    before, now = options.get("llm"), settings.llm_id
    if before is not None and before != now and not {before, now} <= {*RULEBOOK}:
        before, now = ("none (the rulebook)" if llm in RULEBOOK else llm for llm in (before, now))
        yield f"The LLM is {now} from here on; until now it was {before}."


def _captured_since(meta: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    """That the objective has other values from outside than in the earlier process: a sentence, or none."""
    before = meta.get("captured") or {}
    now = captured_values(plan.task.objective, plan.task.scoring)
    changed = [name for name in now if name in before and before[name] != now[name]]
    if changed:
        what = "the objective" if plan.task.objective is not None else "the metric"
        yield (
            f"{', '.join(changed)}, which {what} has from outside, is not what it was in the stored run:"
            " where scores depend on it, those of the earlier trials do not compare with the new ones."
        )


def run_study(
    plan: Plan, folder: RunFolder | None, storage: str | BaseStorage | None, *, resume: bool, in_folder: bool
) -> tuple[Study, bool]:
    """The run's study, and whether it is resumed.

    Args:
        plan: What is run.
        folder: Where the run is kept.
        storage: As ``tune`` has it.
        resume: Whether to go on with a study of that name.
        in_folder: Whether the folder holds an earlier process of the run.
    """
    opened = open_storage(storage, folder)
    task = plan.task
    name = task.name
    if in_folder and folder is not None:  # a run may have been renamed; its study is not
        stored = folder.read_meta().get("study_name")
        if stored and storage is not None:
            check_has_study(opened, stored, folder.name)
        name = stored or name
    directions = task.directions or [task.direction]
    study, resumed = open_study(
        opened,
        name,
        directions,
        plan.fingerprint(),
        plan.described(),
        resume=resume,
        has_objective=task.objective is not None,
    )
    return study, resumed or in_folder


def extended_study(
    plan: Plan, study: Study, sampler: LLMTPESampler, extension: PendingExtension, trial_number: int
) -> tuple[Study, str]:
    """The new study in which a run goes on with an extended outer space, and the sentence that says so.

    The sampler goes on in it, and the old study names it as its successor.
    """
    before = sampler.space_state.outer
    assert before is not None
    additions = {
        name: value
        for name, value in {**plan.beyond().defaults, **before.fixed}.items()
        if name in extension.outer and name not in before
    }
    new = migrate_trials(study, extension.outer, additions, plan.off)
    sampler.continue_in(new, extension, trial_number, lambda: link(study, new))
    text = (
        f"{gained(before, extension.outer)}. That is beyond the outer space of study {study.study_name},"
        f" so the run goes on in study {new.study_name}, with all trials."
    )
    return new, text

"""Events that no transcript tells: the end of a run whose process died; a run that lost its transcript."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.events import Event
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.tuning.other_trials import events_of_others


def end_of_the_dead(events: Sequence[Event]) -> list[Event]:
    """What a process that died could not say any more: its trials are cut off, and the run is interrupted."""
    running: dict[int, TrialStarted] = {}
    is_open = False
    for event in events:
        if isinstance(event, RunStarted | RunFinished):
            running, is_open = {}, isinstance(event, RunStarted)
        elif isinstance(event, TrialStarted):
            running[event.number] = event
        elif isinstance(event, TrialFinished):
            running.pop(event.number, None)
    if not is_open:
        return []
    reason, time = "its process ended", events[-1].time
    cut_off: list[Event] = [
        TrialFinished(
            time=time,
            number=number,
            state="FAIL",
            value=None,
            params=trial.params,
            source=trial.source,
            reason=trial.reason,
            error=attrs.STOPPED,
            cause="cut off when its process ended",
            space_version=trial.space_version,
            request=trial.request,
        )
        for number, trial in running.items()
    ]
    summary = {"status": "interrupted", "reason": reason}
    return [*cut_off, RunFinished(time=time, status="interrupted", reason=reason, summary=summary)]


def from_study(study: Study, meta: Mapping[str, Any], name: str) -> list[Event]:
    """What the study and run.json know of a run: its trials and its end, without chat and search space.

    Args:
        study: The run's study.
        meta: The run.json.
        name: The run's name.
    """
    options = meta.get("options") or {}
    time = float(meta.get("created") or 0.0)
    run = {
        "name": name,
        "metric": meta.get("metric"),
        "direction": ", ".join(direction.name.lower() for direction in study.directions),
        "n_trials": meta.get("total", options.get("n_trials")),
        "sampler": options.get("sampler"),
        "llm": options.get("llm"),
        "seed": meta.get("seed"),
    }
    events: list[Event] = [RunStarted(time=time, run=run), *events_of_others(study, own=())]
    summary = meta.get("summary") or {}
    status = str(meta.get("status") or "")
    if status in ("finished", "stopped", "interrupted", "failed"):
        events.append(
            RunFinished(
                time=float(meta.get("updated") or time),
                status=status,
                reason=str(summary.get("reason") or ""),
                summary=summary,
            )
        )
    return events

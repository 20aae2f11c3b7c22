"""The end of a run: its summary, whether the gain was real, and its result."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import keys
from sllmbo_magic.archive import detached
from sllmbo_magic.control import Control
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.history import History
from sllmbo_magic.history import counts
from sllmbo_magic.history import scored
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.priors import inert
from sllmbo_magic.record import Record
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.result import TuneResult
from sllmbo_magic.result import winning_params
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.tuner import Outcome


class Closing:
    """Ends a run.

    Args:
        record: Takes the last events.
        control: Says whether the user waits for nothing more.
        own_journal: Whether the study lies in the run's own folder.
        started: When the run began, seconds since the epoch.
    """

    def __init__(self, record: Record, control: Control, own_journal: bool, started: float) -> None:
        self.record = record
        self.plan = record.plan
        self.task = record.plan.task
        self.control = control
        self.own_journal = own_journal
        self.started = started

    def finish(
        self, study: Study, sampler: LLMTPESampler | None, outcome: Outcome, verify: bool
    ) -> TuneResult:
        """Sum up, score again on fresh folds if wanted, and say and write that it ended."""
        summary = self._summary(study, sampler, outcome)
        if verify and outcome.status in ("finished", "stopped") and self._worth_verifying(study, summary):
            summary["verification"] = self._verify(study)
        provider = getattr(getattr(sampler, "batches", None), "proposer", None)
        diverged = getattr(getattr(provider, "provider", None), "diverged", None)
        if diverged:
            self.record.emit(Note(text=f"The replay left its recording: {diverged}", level="warning"))
        summary["seconds"] = round(time.time() - self.started, 2)
        result = TuneResult(
            detached(study) if self.own_journal else study,
            self.record.events,
            task=self.task,
            path=None if self.record.folder is None else self.record.folder.path,
            code_parts=self.record.code_parts(),
            n_jobs=self.plan.settings.n_jobs,
        )
        summary["importances"] = result.importances()
        for name, why in summary["inert"].items():
            self.record.emit(Note(text=f"{name} has no effect in the best configuration: {why}."))
        end = RunFinished(status=outcome.status, reason=outcome.reason, summary=summary)
        result.events = [*self.record.events, end]
        summary["text"] = summary_text(result.bundle())  # the saved picture's words, from the same data
        self.record.emit(end)
        result.events = list(self.record.events)
        self.record.write_end(outcome.status, summary)
        return result

    def fail(self, error: BaseException, failure: BaseException | None) -> None:
        """The run ends by an error: say so in its events and its file, whatever else is broken.

        Args:
            error: What ended it.
            failure: Why the default configuration could not be fitted, if that is what ended it.
        """
        reason = str(error) if isinstance(error, SllmboError) else type(error).__name__
        if failure is not None:  # whose message may quote data, which is not stored
            reason = f"the default configuration cannot be fitted ({type(failure).__name__})"
        summary = {"status": "failed", "reason": reason, "seconds": round(time.time() - self.started, 2)}
        with contextlib.suppress(SllmboError, OSError):
            self.record.emit(RunFinished(status="failed", reason=reason, summary=summary))
            self.record.write_end("failed", summary)

    def _worth_verifying(self, study: Study, summary: dict[str, Any]) -> bool:
        return (
            self.task.estimator is not None
            and summary.get("best_number") is not None
            and summary.get("default_value") is not None
            and bool(winning_params(study.best_trial))
        )

    def _verify(self, study: Study) -> dict[str, Any]:
        from sllmbo_magic.evaluator.verification import verify

        self.record.emit(Note(text="Scoring default and best again on fresh folds: was the gain real?"))
        found = verify(
            self.task,
            {},
            winning_params(study.best_trial),
            seed=self.plan.settings.seed,
            n_jobs=self.plan.settings.n_jobs,
            should_stop=lambda: self.control.abandoning,
            default_value=_default_value(study),
            best_value=study.best_value,
        )
        return asdict(found)

    def _summary(self, study: Study, sampler: LLMTPESampler | None, outcome: Outcome) -> dict[str, Any]:
        trials = study.get_trials(deepcopy=False)
        done = [t for t in trials if counts(t)]
        complete = [t for t in done if scored(t)]
        default = next((t for t in complete if t.user_attrs.get(keys.SOURCE) == "default"), None)
        best = None if len(study.directions) > 1 or not complete else study.best_trial
        spent = _spent(sampler)
        summary: dict[str, Any] = {
            "status": outcome.status,
            "reason": outcome.reason,
            "n_trials": len(done),
            "n_failed": sum(t.state.name == "FAIL" for t in done),
            "n_pruned": sum(t.state.name == "PRUNED" for t in done),
            "default_value": None if default is None else default.values[0],
            "best_value": None if best is None else best.values[0],
            "best_number": None if best is None else best.number,
            "best_params": None if best is None else winning_params(best),
            "best_source": None if best is None else best.user_attrs.get(keys.SOURCE),
            "inert": self._inert(best),
            "gain": None,
            "verification": None,
            "direction": ", ".join(self.task.directions or [self.task.direction]),
            "metric": self.task.scorer_name,
            "cost": asdict(spent) | {"requests": self.record.transcript.next_id},
        }
        if len(study.directions) > 1:
            front = study.best_trials if complete else []
            summary["front"] = [{"number": t.number, "values": t.values} for t in front]
        if best is not None and default is not None:
            history = History((), self.task.direction)
            summary["gain"] = history.gain(best.values[0], default.values[0])
        return summary

    def _inert(self, best: FrozenTrial | None) -> dict[str, str]:
        """Parameters of the winner that have no effect there, and why."""
        if best is None or self.task.estimator is None:
            return {}
        return inert(self.task.estimator, winning_params(best))


def _default_value(study: Study) -> float | None:
    trials = study.get_trials(deepcopy=False)
    found = [t.values[0] for t in trials if t.user_attrs.get(keys.SOURCE) == "default" and scored(t)]
    return found[0] if found else None


def _spent(sampler: LLMTPESampler | None) -> Usage:
    provider = getattr(getattr(getattr(sampler, "batches", None), "proposer", None), "provider", None)
    spent = getattr(provider, "spent", None)
    return spent if isinstance(spent, Usage) else Usage()

"""The end of a run: its summary, whether the gain was real, and its result."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.evaluation.base import never
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.evaluation.paired_scores import Fits
from sllmbo_magic.evaluation.paired_scores import paired_scores
from sllmbo_magic.evaluation.recheck import Scores
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.events import CheckProgress
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import WishApplied
from sllmbo_magic.history.history import History
from sllmbo_magic.history.trials import counts
from sllmbo_magic.history.trials import scored
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.spending import spending
from sllmbo_magic.priors import inert
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.report.summary import verdict
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.task.task import Task
from sllmbo_magic.tuning.archive import detached
from sllmbo_magic.tuning.archive import exchanges_of
from sllmbo_magic.tuning.commands import STATES_OF_ASKED
from sllmbo_magic.tuning.event_log import Record
from sllmbo_magic.tuning.failures import failure_table
from sllmbo_magic.tuning.failures import why_all_failed
from sllmbo_magic.tuning.isolation import IsolatedEvaluator
from sllmbo_magic.tuning.isolation import SpareProcesses
from sllmbo_magic.tuning.loop import Outcome
from sllmbo_magic.tuning.marks import mark
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.result import winning_params
from sllmbo_magic.tuning.selection import best_distinct
from sllmbo_magic.tuning.selection import best_of_search
from sllmbo_magic.tuning.selection import recheck
from sllmbo_magic.tuning.selection import without_recheck
from sllmbo_magic.tuning.warning_table import warning_table


def _nothing(*, now: bool = False) -> None:
    """Default for ``poll``."""


def _after_the_trials(name: str, value: Any) -> None:
    """Raise InputError for a command that has no effect any more."""
    if name not in ("note", "stop"):
        raise InputError("The trials have ended.", "Run it again with --resume and more trials.")


class Finalizer:
    """Ends a run.

    Args:
        record: Takes the last events.
        control: The user's commands: a stop ends what is scored again.
        own_journal: Whether the study is stored in the run's own folder.
        started: When the run began, seconds since the epoch.
        library_warnings: Counts what libraries warned of between the fits.
    """

    def __init__(
        self,
        record: Record,
        control: Control,
        own_journal: bool,
        started: float,
        library_warnings: CountWarnings,
    ) -> None:
        self.record = record
        self.plan = record.plan
        self.task = record.plan.task
        self.control = control
        self.own_journal = own_journal
        self.started = started
        self.library_warnings = library_warnings
        self._is_over = never
        self._poll: Callable[..., None] = _nothing
        self._was_stopped = False
        self._studies: list[Study] = []
        """The run's study, and the result's copy of it: a mark is put in both."""
        self._lock = threading.Lock()

    def finish(
        self,
        study: Study,
        provider: RecordingProvider | None,
        outcome: Outcome,
        verify: bool,
        own_scores: Scores | None = None,
        is_over: Callable[[], bool] = never,
        poll: Callable[..., None] = _nothing,
    ) -> TuneResult:
        """Select the winner, sum up, score again on fresh folds if wanted, and say and write that it ended.

        An interrupt on the way gives the run the status ``interrupted``, so that whoever tunes in a loop sees
        it. A stop only ends what is scored again.

        Args:
            study: The run's study.
            provider: The run's LLM, if it has one.
            outcome: How the trials ended.
            verify: Whether to score default and winner again.
            own_scores: Scores configurations on folds instead of the task's cross-validation.
            is_over: Whether the time limit of the run has passed, which ends a check, too.
            poll: Brings in the commands of other processes; ``now=True`` at once.
        """
        self._is_over, self._poll, self._studies = is_over, poll, [study]
        self.control.check_by(_after_the_trials)
        if outcome.status == "stopped":
            self._take_commands()  # that stop ended the trials, and has ended nothing else
        nothing_scored = why_all_failed(study.get_trials(deepcopy=False))
        if outcome.status == "finished" and nothing_scored is not None:
            outcome = Outcome("failed", nothing_scored)
        winner, selection = self._select(study, outcome, own_scores)
        summary = self._summary(study, provider, outcome, winner)
        if selection is not None:
            summary["selection"] = selection
        if verify and outcome.status in ("finished", "stopped") and self._worth_verifying(summary):
            assert winner is not None
            summary["verification"] = self._verify(study, winner)
        if provider is not None and provider.diverged:
            text = f"The replay left its recording: {provider.diverged}"
            self.record.emit(Note(text=text, level="warning"))
        summary["seconds"] = round(time.time() - self.started, 2)
        self._poll(now=True)
        self._take_commands()
        result = TuneResult(
            detached(study) if self.own_journal else study,
            self.record.events,
            task=self.task,
            path=None if self.record.folder is None else self.record.folder.path,
            code_parts=self.record.code_parts(),
            objects=self.plan.objects,
            exchanges=exchanges_of(self.record.transcript) if self.record.folder is None else (),
        )
        self._studies.append(result.study)
        summary["importances"] = result.importances()
        summary["warnings"] = warning_table(study.get_trials(deepcopy=False), self.library_warnings.texts)
        for name, why in summary["inert"].items():
            self.record.emit(Note(text=f"{name} has no effect in the best configuration: {why}."))
        if self.control.interrupted and outcome.status in ("finished", "stopped"):
            outcome = Outcome("interrupted", f"after the last trial ({outcome.reason})")
            summary |= {"status": outcome.status, "reason": outcome.reason}
        end = RunFinished(status=outcome.status, reason=outcome.reason, summary=summary)
        result.events = [*self.record.events, end]
        cost = result.bundle()["cost"]
        summary |= {name: cost[name] for name in ("deciding_seconds", "fit_seconds")}
        summary["verdict"] = verdict(result.bundle())
        summary["text"] = summary_text(result.bundle())  # the saved picture's words, from the same data
        self.record.emit(end)
        self._take_commands()  # a mark that came meanwhile; a later one is put into the result
        result.events = list(self.record.events)
        self.record.write_end(outcome.status, summary)
        return result

    def fail(self, error: BaseException) -> None:
        """The run ends by an error: say so in its events and its file, whatever else is broken."""
        reason = str(error) if isinstance(error, SllmboError) else error_text(error)
        summary = {"status": "failed", "reason": reason, "seconds": round(time.time() - self.started, 2)}
        with contextlib.suppress(SllmboError, OSError):
            self.record.emit(RunFinished(status="failed", reason=reason, summary=summary))
            self.record.write_end("failed", summary)

    def _select(
        self, study: Study, outcome: Outcome, own_scores: Scores | None
    ) -> tuple[FrozenTrial | None, dict[str, Any] | None]:
        """The winner, and with ``select="recheck"`` how it was selected (see ``wire.Selection``)."""
        best = best_of_search(study)
        if best is None or self.plan.settings.select != "recheck":
            return best, None
        top = best_distinct(study)
        if len(top) < 2:
            return without_recheck(top, "no other configuration has a score")
        if outcome.status not in ("finished", "stopped"):
            return without_recheck(top, "the run was interrupted")
        if self._ends_checks():
            return without_recheck(top, self._why_stopped())
        text = f"Scoring the best {len(top)} configurations again on fresh folds: which one is kept?"
        self.record.emit(Note(text=text))
        scores = own_scores or self._scores
        seed = self.plan.settings.seed
        try:
            return recheck(self.task, top, self.plan.objects, seed, scores, self._why_stopped)
        except KeyboardInterrupt:  # scikit-learn's searches end at the first one
            self.control.interrupt()
            return without_recheck(top, self._why_stopped())

    def _scores(self, tasks: Sequence[Task], configurations: Sequence[Mapping[str, Any]]) -> Any:
        with self._fits() as fits:
            return paired_scores(tasks, configurations, fits, self._show_progress)

    def _show_progress(self, done: int, total: int) -> None:
        self.record.emit(CheckProgress(done=done, total=total))

    @contextlib.contextmanager
    def _fits(self) -> Iterator[Fits]:
        """How the fits of a check are made: isolated where those of the trials are."""
        s = self.plan.settings
        if not s.isolate:
            yield Fits(s.n_jobs, self._ends_checks, lambda: self.control.abandoning, self._why_stopped)
            return
        with SpareProcesses() as spare:
            yield Fits(
                s.n_jobs,
                self._ends_checks,
                should_abandon=lambda: self.control.abandoning or self._is_over(),
                why_stopped=self._why_stopped,
                timeout=s.trial_timeout,
                apart=partial(IsolatedEvaluator, device=next(iter(s.devices or ()), None), spare=spare),
            )

    def _ends_checks(self) -> bool:
        """Whether what is scored again ends: by the user since the trials ended, or by the time limit."""
        self._poll()
        self._was_stopped |= self._take_commands()
        return self._was_stopped or self._is_over()

    def _take_commands(self) -> bool:
        """Apply the commands that came since the last time; returns whether a stop was among them.

        Marks are put on their trials. Any other command is too late.
        """
        with self._lock:  # folds on several threads ask
            commands = self.control.take()
            for command in commands:
                trials = self._studies[0].get_trials(deepcopy=False, states=STATES_OF_ASKED)
                number, value = len(trials), command.value
                if command.name == "stop" and self.control.interrupted:
                    continue  # it is no command of the user
                try:
                    if command.name == "note":
                        for study in self._studies:
                            value = mark(study, n_trials=number, **command.value)
                    elif command.name != "stop":
                        raise InputError(f"{command.name} is not applied: the trials have ended.")
                except InputError as error:
                    self.record.emit(Note(text=str(error), level="warning", trial_number=number))
                    continue
                self.record.emit(
                    WishApplied(wish=command.name, value=value, trial_number=number, id=command.id)
                )
        return any(command.name == "stop" for command in commands)

    def _why_stopped(self) -> str:
        if self._was_stopped or not self._is_over():
            return "the user stopped it"
        return f"the time limit of {self.plan.settings.timeout:g} s is over"

    def _worth_verifying(self, summary: dict[str, Any]) -> bool:
        """Whether there is a gain to check, or test data to score the best configuration on."""
        if self.task.estimator is None or summary["best_value"] is None:
            return False
        has_gain = summary["default_value"] is not None and bool(summary["best_params"])
        return has_gain or self.task.X_test is not None

    def _verify(self, study: Study, winner: FrozenTrial) -> dict[str, Any]:
        from sllmbo_magic.evaluation.verification import unchecked
        from sllmbo_magic.evaluation.verification import verify

        default_value = _default_value(study)
        has_gain = default_value is not None and bool(winning_params(winner))
        if has_gain and self._ends_checks():
            return asdict(unchecked(self._why_stopped()))
        text = "Scoring default and best again on fresh folds: was the gain real?"
        self.record.emit(Note(text=text if has_gain else "Scoring the best configuration on the test data."))
        try:
            with self._fits() as fits:
                verification = verify(
                    self.task,
                    None if default_value is None else {},
                    decoded(winning_params(winner), self.plan.objects),
                    seed=self.plan.settings.seed,
                    fits=fits,
                    default_value=default_value,
                    best_value=winner.values[0],
                    incumbents=self._incumbents(study, winner),
                    on_progress=self._show_progress,
                )
        except KeyboardInterrupt:  # the third one, in a fit that cannot be left
            self.control.interrupt()
            verification = unchecked(self._why_stopped())
        return asdict(verification)

    def _incumbents(self, study: Study, winner: FrozenTrial) -> list[dict[str, Any]]:
        """The configurations that were the best in their time, without default and winner."""
        sign = 1.0 if self.task.direction == "maximize" else -1.0
        best, incumbents = float("-inf"), []
        for trial in study.get_trials(deepcopy=False):
            if scored(trial) and sign * trial.values[0] > best:
                best = sign * trial.values[0]
                if winning_params(trial) and trial.number != winner.number:
                    incumbents.append(decoded(winning_params(trial), self.plan.objects))
        return incumbents

    def _summary(
        self, study: Study, provider: RecordingProvider | None, outcome: Outcome, best: FrozenTrial | None
    ) -> dict[str, Any]:
        trials = study.get_trials(deepcopy=False)
        counted = [t for t in trials if counts(t)]
        complete = [t for t in counted if scored(t)]
        default = next((t for t in complete if t.user_attrs.get(attrs.SOURCE) == "default"), None)
        cost = spending(self.record.transcript.exchanges()) if provider is None else provider.cost()
        summary: dict[str, Any] = {
            "status": outcome.status,
            "reason": outcome.reason,
            "n_trials": len(counted),
            "n_failed": sum(t.state.name == "FAIL" for t in counted),
            "failures": failure_table(counted),
            "n_pruned": sum(t.state.name == "PRUNED" for t in counted),
            **self._fits_saved(counted),
            "default_value": None if default is None else default.values[0],
            "best_value": None if best is None else best.values[0],
            "best_number": None if best is None else best.number,
            "best_params": None if best is None else winning_params(best),
            "best_source": None if best is None else best.user_attrs.get(attrs.SOURCE),
            "inert": self._inert(best),
            "gain": None,
            "verification": None,
            "direction": ", ".join(self.task.directions or [self.task.direction]),
            "metric": self.task.scorer_name,
            "cost": cost,
        }
        if len(study.directions) > 1:
            front = study.best_trials if complete else []
            summary["front"] = [{"number": t.number, "values": t.values} for t in front]
        if best is not None and default is not None:
            history = History((), self.task.direction)
            summary["gain"] = history.gain(best.values[0], default.values[0])
        return summary

    def _fits_saved(self, trials: Sequence[FrozenTrial]) -> dict[str, int]:
        """What pruning after some of the folds saved; nothing where trials are not pruned there."""
        pruning = self.plan.pruning
        if pruning is None or pruning.reporting not in ("folds", "scores"):
            return {}
        evaluations = [t.user_attrs.get(attrs.EVALUATION) or {} for t in trials if t.state.name != "FAIL"]
        n_saved = sum(evaluation.get("skipped_folds", 0) for evaluation in evaluations)
        return {"fits_saved": n_saved, "fits_planned": len(evaluations) * self.task.n_folds}

    def _inert(self, best: FrozenTrial | None) -> dict[str, str]:
        """Parameters of the winner that have no effect there, and why."""
        if best is None or self.task.estimator is None:
            return {}
        return inert(self.task.estimator, winning_params(best))


def _default_value(study: Study) -> float | None:
    trials = study.get_trials(deepcopy=False)
    default_scores = [
        t.values[0] for t in trials if t.user_attrs.get(attrs.SOURCE) == "default" and scored(t)
    ]
    return default_scores[0] if default_scores else None

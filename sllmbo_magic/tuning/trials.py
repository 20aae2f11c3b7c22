"""The trials of a run in its study: asked for, told, and shown by an event at each end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic._utils.study_stop import forget_stop
from sllmbo_magic._utils.study_stop import is_stopped
from sllmbo_magic._utils.study_stop import stop_allowed
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation.causes import error_text
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.history.history import History
from sllmbo_magic.history.trials import counts
from sllmbo_magic.history.trials import last_report
from sllmbo_magic.history.trials import observe
from sllmbo_magic.history.trials import scored
from sllmbo_magic.history.trials import state_of
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.finite import is_used_up
from sllmbo_magic.samplers.finite import size_of
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.runs import configuration_of
from sllmbo_magic.storage.runs import take_over
from sllmbo_magic.storage.storage_problems import storage_problem
from sllmbo_magic.tuning.default_trial import is_default
from sllmbo_magic.tuning.default_trial import outside
from sllmbo_magic.tuning.default_trial import suggest
from sllmbo_magic.tuning.failures import FailureLog
from sllmbo_magic.tuning.heartbeat import Heartbeat
from sllmbo_magic.tuning.other_trials import event_of
from sllmbo_magic.tuning.queued_trials import unmet_text
from sllmbo_magic.tuning.running_trial import RunningTrial
from sllmbo_magic.tuning.running_trial import evaluation_data
from sllmbo_magic.tuning.running_trial import in_declared_space
from sllmbo_magic.tuning.running_trial import misnamed_text
from sllmbo_magic.tuning.running_trial import never_pruned
from sllmbo_magic.tuning.running_trial import proposed_by
from sllmbo_magic.tuning.running_trial import several
from sllmbo_magic.tuning.running_trial import unwritten_trial

Callback = Callable[[Study, FrozenTrial], None]
"""Optuna's: called with the study and each trial that ended."""


class CallbackError(Exception):
    """A callback of the user's raised an exception; the message says which, and what it said."""


class Trials:
    """Asks a study for trials and tells it how they ended.

    Args:
        study: The run's study; another one takes its place when the outer space grows.
        sampler: Ours; None when the study has several objectives.
        source: What trials of the base sampler, or of one that is not ours, are labelled with.
        space: Gives the fixed outer space at this moment; None for objectives that suggest for themselves.
        emit: Takes the events.
        callbacks: Called with each trial that ended.
        owner: What each trial says of this program; None: it is the only one on the study.
        heartbeat: Says which of the other programs are dead.
        alone: Whether no other program can reach the study.

    Attributes:
        n_done: Trials that count for the total, those of earlier and other processes included.
        failures: The failures of this process.
        ended: The trials that have ended, earlier ones too. They are kept here as well, since a storage may
            fail in mid-run.
    """

    def __init__(
        self,
        study: Study,
        sampler: LLMTPESampler | None,
        source: str,
        space: Callable[[], SearchSpace | None],
        emit: Callable[[Event], None],
        callbacks: Sequence[Callback] = (),
        owner: Mapping[str, str] | None = None,
        heartbeat: Heartbeat | None = None,
        *,
        alone: bool = False,
    ) -> None:
        forget_stop(study)
        self._stop_called = False
        self.study = study
        self.sampler = sampler
        self._source = source
        self._space = space
        self._emit = emit
        self._callbacks = tuple(callbacks)
        self._owner = owner
        self._heartbeat = heartbeat
        self._alone = alone
        self._n_in_flight = 0
        self._has_gaps = True
        """Whether a number is that of no trial of this run, so that somebody else has made one."""
        self.failures = FailureLog()
        self._unwritten: tuple[RunningTrial, Evaluation, FrozenTrial, str | None] | None = None
        """The trial whose end could not be written, with its outcome."""
        self.ended: list[FrozenTrial] = []
        self._incumbent: FrozenTrial | None = None
        for trial in study.get_trials():
            if trial.state.is_finished():
                self._add_ended(trial)
        self.n_done = sum(counts(trial) for trial in self.ended)
        self._settled = {trial.number for trial in self.ended}
        self._told_names = False
        self._n_settled = 0
        """The trials before this number are all settled: no other process will end one of them."""

    @property
    def stop_called(self) -> bool:
        """Whether a callback, an objective or a sampler called ``study.stop()``."""
        return self._stop_called or is_stopped(self.study)

    @property
    def used_up(self) -> int | None:
        """The number of configurations of a finite search space that has none left, in the ranges that only
        the user may change; else None.
        """
        space = None if self.sampler is None else self.sampler.space_state.reachable
        if space is None or (size := size_of(space)) is None:
            return None
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return size if not waiting and is_used_up(space, self.history()) else None

    def move_to(self, study: Study) -> None:
        """Go on in another study, which holds all trials."""
        self._stop_called = self.stop_called
        self.study = study
        if self._heartbeat is not None:
            self._heartbeat.move_to(study)

    def history(self) -> History:
        """The trials as a history."""
        if self.sampler is not None:
            return self.sampler.history(self.study)
        finished = [observe(t) for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()]
        return History(tuple(finished), self.study.directions[0].name.lower())

    def start(self, waited: float = 0.0) -> RunningTrial:
        """Ask the study for a trial and give it its parameters.

        Args:
            waited: Seconds that its configuration took before.
        """
        began = perf_counter()
        with warnings.catch_warnings(), stop_allowed(self.study):
            # Optuna warns that a fixed value lies outside a range; ours are checked before they are queued.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self.study.ask()
        self._has_gaps = trial.number != len(self._settled) + self._n_in_flight
        self._n_in_flight += 1
        if self._owner is not None:
            trial.set_user_attr(attrs.OWNER, dict(self._owner))
        try:
            space = self._space()
            params = {}
            asked: Collection[str] = ()
            if space is not None:
                params = suggest(trial, space, self._sampled(trial, space))
                asked = in_declared_space(trial, space)
        except BaseException as error:
            if storage_problem(error) is None:
                self.study.tell(trial, state=TrialState.FAIL)
            raise
        user_attrs = self._attrs(trial)
        if attrs.SOURCE not in user_attrs and space is not None:
            # queued by another program, or by a sampler that is not ours
            queued = "fixed_params" in self._frozen(trial).system_attrs
            trial.set_user_attr(attrs.SOURCE, "user" if queued else self._source)
            user_attrs = self._attrs(trial)
        provenance = user_attrs.get(attrs.PROVENANCE) or {}
        default = is_default(user_attrs)
        if default:
            never_pruned(trial)  # all others are measured by it
        at_default = outside(user_attrs)
        running = RunningTrial(
            trial,
            params,
            {} if default else {n: value for n, value in params.items() if n not in at_default},
            user_attrs.get(attrs.SOURCE, self._source),
            provenance,
            suggests_itself=space is None,
            is_default=default,
            asked=asked,
        )
        self._emit(
            TrialStarted(
                number=trial.number,
                params=params,
                # an objective that suggests for itself has not asked yet, so nobody has proposed it so far
                source="" if space is None and attrs.SOURCE not in user_attrs else running.source,
                reason=provenance.get("reason", ""),
                expected=provenance.get("expects", ""),
                space_version=provenance.get("space_version", 0),
                request=provenance.get("request"),
                deciding_seconds=round(waited + perf_counter() - began, 4),
            )
        )
        return running

    def take_in_versions(self) -> None:
        """Go on with what other programs have changed in a search space that they share."""
        if self.sampler is not None:
            self.sampler.space_state.take_in(self.study)

    def take_in_others(self) -> None:
        """Count and show the trials that other processes have ended in the study since the last look.

        Of a study that only this program reaches, the trials are read where one has come from elsewhere, as
        from a callback: a read takes longer the more trials there are.
        """
        if self._alone and not self._has_gaps:
            return
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials[self._n_settled :]:
            if self._is_abandoned(trial) and take_over(self.study, trial):
                text = f"Trial {trial.number} runs again: the program that evaluated it no longer answers."
                self._emit(Note(text=text, trial_number=trial.number))
            if trial.number not in self._settled and trial.state.is_finished():
                self._settled.add(trial.number)
                self._add_ended(trial)
                if counts(trial):
                    self.n_done += 1
                    self._emit(event_of(trial, *self._best()))
        while self._n_settled in self._settled:
            self._n_settled += 1

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        """Whether another program that is dead has left the trial running."""
        if self._heartbeat is None or trial.state != TrialState.RUNNING:
            return False
        return self._heartbeat.is_dead(trial.user_attrs.get(attrs.OWNER))

    def end(self, running: RunningTrial, evaluation: Evaluation) -> None:
        """Tell the study how a trial ended, and emit the event."""
        self._n_in_flight -= 1
        error = attrs.STOPPED if evaluation.stopped else evaluation.error
        params = {**running.params, **evaluation.refit_params}
        stored: dict[str, Any] = {}
        try:
            came_true = self._came_true(running, evaluation) if error is None else None
            stored = evaluation_data(running, evaluation, params, error, came_true)
            running.trial.set_user_attr(attrs.EVALUATION, stored)
            with stop_allowed(self.study):
                frozen = self._tell(running.trial, evaluation, error)
        except Exception as problem:
            if storage_problem(problem) is not None:
                frozen = unwritten_trial(running, evaluation, stored, error)
                self._add_ended(frozen)
                self._unwritten = running, evaluation, frozen, error
            elif self._frozen(running.trial).state.is_finished():
                self._taken_over(running, evaluation, error)
                return
            raise
        self._add_ended(frozen)
        self._settled.add(frozen.number)
        if error == attrs.STOPPED:
            if frozen.params or is_default(frozen.user_attrs):  # a resumed run evaluates it first
                self.study.enqueue_trial(frozen.params, user_attrs=proposed_by(frozen))
        else:
            self.n_done += 1
        self._emit(
            self._finished(running, evaluation, params or dict(frozen.params), frozen, error, came_true)
        )
        self._tell_differences(running, frozen)
        if error != attrs.STOPPED:
            note = self.failures.add(frozen.number, params or frozen.params, error, evaluation.cause)
            if note is not None:
                self._emit(Note(text=note, level="warning", trial_number=frozen.number))
        with stop_allowed(self.study):
            for callback in self._callbacks:
                try:
                    callback(self.study, frozen)
                except Exception as exception:
                    if isinstance(exception, SllmboError) or storage_problem(exception) is not None:
                        raise
                    name = getattr(callback, "__name__", type(callback).__name__)
                    raise CallbackError(f"the callback {name} raised {error_text(exception)}") from exception

    def _taken_over(self, running: RunningTrial, evaluation: Evaluation, error: str | None) -> None:
        """The end of a trial that another program has ended, since this one did not answer for so long.

        That program runs the configuration again. Where it does not, the outcome here is a trial of its own.
        """
        frozen = self._frozen(running.trial)
        self._add_ended(frozen)
        self._settled.add(frozen.number)
        self.n_done += counts(frozen)
        self._emit(event_of(frozen, *self._best()))
        later = self.study.get_trials(deepcopy=False)[frozen.number + 1 :]
        is_repeated = any(configuration_of(t) == configuration_of(frozen) for t in later)
        what = "is not used"
        if error is None and frozen.state != TrialState.COMPLETE and not is_repeated:
            self.study.add_trial(unwritten_trial(running, evaluation, {}, error))
            what = "is kept as a trial of its own"
        text = (
            f"Trial {frozen.number} was taken over by another program, since this one did not answer for a"
            f" while. Its outcome here {what}."
        )
        self._emit(Note(text=text, level="warning", trial_number=frozen.number))

    def go_on_in_memory(self, study: Study) -> None:
        """Take a study that holds :attr:`ended`, and show the end of the trial that could not be written."""
        self.study, self.sampler = study, None
        if self._unwritten is not None:
            running, evaluation, frozen, error = self._unwritten
            params = {**running.params, **evaluation.refit_params} or dict(frozen.params)
            self._emit(self._finished(running, evaluation, params, frozen, error, None))

    def _tell(self, trial: Trial, evaluation: Evaluation, error: str | None) -> FrozenTrial:
        if error is not None:
            return self.study.tell(trial, state=TrialState.FAIL)
        if evaluation.pruned:
            return self.study.tell(trial, state=TrialState.PRUNED)
        values = evaluation.values or (evaluation.mean,)
        return self.study.tell(trial, [float(v) for v in values if v is not None], state=TrialState.COMPLETE)

    def _finished(
        self,
        running: RunningTrial,
        evaluation: Evaluation,
        params: dict[str, Any],
        frozen: FrozenTrial,
        error: str | None,
        came_true: bool | None,
    ) -> TrialFinished:
        best_number, best_value = self._best()
        reported, pruned_at = last_report(frozen)
        state = state_of(frozen)
        category = error
        if error is not None and evaluation.error_class:
            category = f"{error} ({evaluation.error_class})"
        # the objective may have set attributes of its own meanwhile
        source = frozen.user_attrs.get(attrs.SOURCE, running.source)
        return TrialFinished(
            number=frozen.number,
            state=state,
            value=frozen.values[0]
            if frozen.state == TrialState.COMPLETE and len(frozen.values) == 1
            else None,
            values=list(frozen.values) if frozen.values is not None and len(frozen.values) > 1 else None,
            params=params,
            source=source,
            std=evaluation.std,
            split_scores=list(evaluation.split_scores),
            seconds=evaluation.seconds,
            reason=running.provenance.get("reason") or several(frozen.values),
            expected=running.provenance.get("expects", ""),
            came_true=None if state == "INFEASIBLE" else came_true,
            error=category,
            cause="" if error in (None, attrs.STOPPED) else evaluation.cause,
            space_version=running.provenance.get("space_version", 0),
            request=running.provenance.get("request"),
            best_number=best_number,
            best_value=best_value,
            reported=reported,
            pruned_at=pruned_at,
        )

    def _tell_differences(self, running: RunningTrial, frozen: FrozenTrial) -> None:
        """Say what an objective asked otherwise than it was queued or declared."""
        texts = []
        is_users = running.suggests_itself and frozen.user_attrs.get(attrs.SOURCE) == "user"
        if frozen.state == TrialState.COMPLETE and is_users:
            texts.append(unmet_text(frozen))
        space = self._space()
        if space is not None and not self._told_names:
            texts.append(misnamed_text(running, space))
            self._told_names = bool(texts[-1])
        for text in filter(None, texts):
            self._emit(Note(text=text, level="warning", trial_number=frozen.number))

    def _sampled(self, trial: Trial, space: SearchSpace) -> FrozenTrial:
        """The trial as stored once the sampler has chosen, which Optuna lets it do at the first parameter."""
        stored = self._frozen(trial)
        if "fixed_params" in stored.system_attrs or all(d.single() for d in space.values()):
            return stored
        _ = trial.relative_params
        return self._frozen(trial)

    def _frozen(self, trial: Trial) -> FrozenTrial:
        """The trial as stored: the Trial object does not see what the sampler wrote."""
        return self.study._storage.get_trial(trial._trial_id)

    def _attrs(self, trial: Trial) -> dict[str, Any]:
        user_attrs: dict[str, Any] = self._frozen(trial).user_attrs
        return user_attrs

    def _came_true(self, running: RunningTrial, evaluation: Evaluation) -> bool | None:
        """Whether what the proposer expected came true; None when nothing was promised."""
        provenance = running.provenance
        if provenance.get("expects") not in ("better", "similar"):
            return None
        return self.history().promise_kept(
            provenance["expects"],
            evaluation.mean,
            source=provenance.get("source", ""),
            asked_at=provenance.get("asked_at", running.trial.number),
            splits=evaluation.split_scores,
        )

    def _add_ended(self, trial: FrozenTrial) -> None:
        self.ended.append(trial)
        if len(self.study.directions) > 1 or not scored(trial) or not math.isfinite(trial.values[0]):
            return
        best, sign = self._incumbent, 1 if self.study.direction.name == "MINIMIZE" else -1
        if best is None or (sign * trial.values[0], trial.number) < (sign * best.values[0], best.number):
            self._incumbent = trial

    def _best(self) -> tuple[int | None, float | None]:
        # of the trials at hand: the history would read the whole study again
        best = self._incumbent
        return (None, None) if best is None else (best.number, float(best.values[0]))

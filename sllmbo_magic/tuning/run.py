"""One call of ``tune``: the objects of a run, and the order in which they are made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation.recheck import Scores
from sllmbo_magic.evaluation.warnings import LibraryWarnings
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.events import Note
from sllmbo_magic.events import Sink
from sllmbo_magic.history.trials import counts
from sllmbo_magic.proposers.base import Proposer
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.program_lock import ProgramLock
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import quiet_optuna
from sllmbo_magic.storage.runs import requeue_stale
from sllmbo_magic.storage.storage_problems import is_full
from sllmbo_magic.storage.storage_problems import storage_problem
from sllmbo_magic.storage.storage_problems import study_in_memory
from sllmbo_magic.storage.waiting_storage import waiting
from sllmbo_magic.tuning import object_choices
from sllmbo_magic.tuning.announcement import announce
from sllmbo_magic.tuning.commands import Commands
from sllmbo_magic.tuning.default_trial import check_default
from sllmbo_magic.tuning.event_log import Record
from sllmbo_magic.tuning.executors import Pool
from sllmbo_magic.tuning.executors import checked_pool
from sllmbo_magic.tuning.finalize import Finalizer
from sllmbo_magic.tuning.first_trials import check_next_trials
from sllmbo_magic.tuning.first_trials import queue_first_trials
from sllmbo_magic.tuning.first_trials import queue_next_trials
from sllmbo_magic.tuning.heartbeat import Heartbeat
from sllmbo_magic.tuning.initial_design import initialize
from sllmbo_magic.tuning.initial_design import queue_first
from sllmbo_magic.tuning.initial_design import was_initialized
from sllmbo_magic.tuning.joining import abandoned_trials
from sllmbo_magic.tuning.joining import check_not_in_use
from sllmbo_magic.tuning.joining import owner_of
from sllmbo_magic.tuning.loop import Limits
from sllmbo_magic.tuning.loop import Outcome
from sllmbo_magic.tuning.loop import Tuner
from sllmbo_magic.tuning.loop import Workers
from sllmbo_magic.tuning.other_trials import events_of_others
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.queued_trials import drop_first
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.resume import earlier_commands
from sllmbo_magic.tuning.run_evaluator import check_settings_for
from sllmbo_magic.tuning.run_evaluator import run_evaluator
from sllmbo_magic.tuning.run_sampler import run_sampler
from sllmbo_magic.tuning.run_space import space_state
from sllmbo_magic.tuning.run_study import extended_study
from sllmbo_magic.tuning.run_study import resumed_plan
from sllmbo_magic.tuning.run_study import run_study
from sllmbo_magic.tuning.runtime import interrupts
from sllmbo_magic.tuning.runtime import warm_up
from sllmbo_magic.tuning.settings import base_sampler
from sllmbo_magic.tuning.stopping import make_rule
from sllmbo_magic.tuning.studies import queue_withdrawn
from sllmbo_magic.tuning.studies import remember_task
from sllmbo_magic.tuning.studies import withdraw_queued
from sllmbo_magic.tuning.trials import Trials

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from sllmbo_magic.llm.base import BaseProvider
    from sllmbo_magic.llm.recorder import RecordingProvider


_LAST_ANSWER_SECONDS = 1.0
"""For which the end of a run waits for the answer to a request that is under way."""


class Run:
    """A run from its first event to its last.

    Args:
        plan: What to run.
        folder: Where it is kept; None keeps it in memory.
        control: The user's commands.
        sinks: Take the events.
        storage: As ``tune`` has it.
        study: A study of the caller to work in.
        resume: Whether to go on with what the folder holds.
        seeded: Whether the user gave the seed; else a resumed run keeps its own.
        chose_select: Whether the user gave ``select``, likewise.
        joins: Whether other programs work in the study, too.
        noted_storage: What the folder may say of the storage, so that the run can be looked at later.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder | None,
        control: Control,
        sinks: tuple[Sink, ...],
        storage: str | BaseStorage | None,
        study: Study | None,
        resume: bool,
        seeded: bool,
        chose_select: bool = True,
        joins: bool = False,
        noted_storage: str | None = None,
    ) -> None:
        self.folder = folder
        self.control = control
        started = time.time()
        self.shared = study is not None or storage is not None
        self.joins = joins
        self._noted_storage = noted_storage
        self._resumes = resume
        in_folder = resume and folder is not None and folder.resumed and folder.has_begun
        options: dict[str, Any] = {}
        if in_folder and folder is not None:
            plan, options = resumed_plan(plan, folder, seeded=seeded, chose_select=chose_select)
        self.plan = plan
        self.task = plan.task
        self.settings = plan.settings
        self._own_study = study is None
        if study is None:
            self.study, self.resumed = run_study(plan, folder, storage, resume=resume, in_folder=in_folder)
        else:
            self.study, self.resumed = study, in_folder
        if resume and not self.resumed:
            text = f"Nothing is resumed: there is no stored run {self.task.name!r}, so a new one begins."
            self.plan = replace(self.plan, notes=(text, *self.plan.notes))
        if folder is not None and folder.damage:
            self.plan = replace(self.plan, notes=(folder.damage, *self.plan.notes))
        self._is_reached = (self.shared or joins) and not isinstance(self.study._storage, InMemoryStorage)
        """Whether other programs can work in the study."""
        self._program = ProgramLock()
        if self._is_reached and self._own_study and self.resumed:
            check_not_in_use(self.study, folder)
        described = self.plan.described() if self.shared else None
        remember_task(self.study, self.plan.fingerprint(), described, joins=joins)
        own_journal = study is None and storage is None and folder is not None
        self.record = Record(self.plan, folder, sinks, self.resumed, own_journal=own_journal)
        self.emit = self.record.emit
        self.earlier = earlier_commands(self.record.events)
        self.earlier.forget_changed(options, self.settings.sampler_name, self.settings.llm_ratio)
        self.library_warnings = LibraryWarnings()
        self.finalizer = Finalizer(self.record, control, own_journal, started, self.library_warnings)
        self._commands_offset = 0
        self._study_name, self._directions = self.study.study_name, self.study.directions
        self._study_attrs: dict[str, Any] = {}
        """The study's attributes as they were before the loop."""
        self.multi = len(self._directions) > 1
        self.sampler: LLMTPESampler | None = None
        self.source = "base"
        self.tuner: Tuner | None = None
        self.provider: RecordingProvider | None = None

    # The run

    def execute(
        self,
        *,
        enqueue: Sequence[Mapping[str, Any]],
        warm_start: Any,
        callbacks: tuple[Callable[[Study, FrozenTrial], None], ...],
        executor: Executor | str | None,
        evaluator: Evaluator | None,
        verify: bool,
        taken: str,
        provider: BaseProvider | None,
    ) -> TuneResult:
        """Run to the end and return the result."""
        if self._resumes:
            check_next_trials(self.study, self.plan, enqueue, warm_start, self.folder)
        paired_scores = getattr(evaluator, "paired_scores", None)
        if evaluator is not None:
            check_settings_for(evaluator, self.settings)
        pool = checked_pool(executor, self.plan, evaluator)
        self.provider = self.plan.recorded(provider, self.record.transcript)
        proposer = self.plan.proposer(self.provider, emit=self.emit)
        self.record.write_start(self.study.study_name, self._noted_storage)
        if self.plan.objects:
            object_choices.store(self.study, self.plan.objects)
        evaluator = run_evaluator(self.plan, evaluator, pool)
        before = self.study.sampler, self.study.pruner
        self._set_pruner()
        llm = provider if self.settings.uses_llm else None
        if llm is not None or self.settings.judge:
            threading.Thread(target=warm_up, args=(llm,), name="sllmbo-warm-up", daemon=True).start()
        is_storage_gone = False
        patience = waiting(self.study, self._should_stop_waiting, self._report_storage)
        with quiet_optuna(), Quiet(), self.library_warnings, patience, self._program:
            try:
                self._announce(taken)
                self._set_sampler(proposer)
                self._queue_first_trials(enqueue, warm_start)
                self._study_attrs = dict(self.study.user_attrs)
                with interrupts(self.control):
                    outcome = self._loop(evaluator, pool, callbacks)
                    for event in events_of_others(self.study, self.record.shown_trials):
                        self.emit(event)
                    return self._finish(outcome, verify, paired_scores)
            except BaseException as error:
                problem = storage_problem(error)
                is_storage_gone = problem is not None
                if problem is not None and self.tuner is not None and self.tuner.trials.ended:
                    return self._finish_in_memory(problem)
                self.finalizer.fail(problem or error)
                if problem is not None:
                    raise problem from error
                raise
            finally:
                self.study.sampler, self.study.pruner = before
                if self.shared and not self.joins and not is_storage_gone:
                    withdraw_queued(self.study)
                evaluator.close()
                if pool.is_owned and pool.executor is not None:
                    pool.executor.shutdown(cancel_futures=True)

    def _should_stop_waiting(self) -> bool:
        """Whether a call to a storage whose server is away, or whose disk is full, should give up."""
        if self.folder is not None:
            self._poll()
        return self.control.stopping or self._is_over()

    def _is_over(self) -> bool:
        """Whether the time limit has passed."""
        return self.tuner is not None and self.tuner.is_over

    def _report_storage(self, cause: str | None) -> None:
        text = "The storage is back: the run goes on, and nothing is lost."
        if cause is not None:
            what = "has no room" if is_full(cause) else "does not answer"
            text = (
                f"The storage {what}: {cause}. The run waits for it, with what is not written yet in memory;"
                " a stop or the time limit ends it."
            )
        self.emit(Note(text=text, level="info" if cause is None else "warning"))

    def _set_pruner(self) -> None:
        """Give the study the run's pruner; one that it has already stays where the user has set none."""
        if self.plan.pruning is not None:
            self.study.pruner = self.plan.pruning.pruner
        elif self.settings.pruner is not None:
            self.study.pruner = optuna.pruners.NopPruner()

    def _queue_first_trials(self, enqueue: Sequence[Mapping[str, Any]], warm_start: Any) -> None:
        """Queue default, the user's configurations and those of an earlier run; where there are trials, those
        of them that are new.
        """
        outer = self._outer()
        given: dict[str, Any] = {
            "enqueue": enqueue,
            "warm_start": warm_start,
            "folder": self.folder,
            "emit": self.emit,
        }
        if (self.resumed or self.joins) and self.study.get_trials(deepcopy=False):
            queue_next_trials(self.study, self.plan, outer, **given)
        else:
            queue_first_trials(self.study, self.plan, outer, self.sampler, **given)

    def _finish(self, outcome: Outcome, verify: bool, paired_scores: Scores | None) -> TuneResult:
        tuner = self.tuner
        assert tuner is not None
        return self.finalizer.finish(
            self.study,
            self.provider,
            outcome,
            verify,
            paired_scores,
            is_over=lambda: tuner.is_over_for_checks,
            poll=tuner.poll,
        )

    def _finish_in_memory(self, problem: StorageError) -> TuneResult:
        """The result so far of a run whose storage has failed: that of a study in memory."""
        assert self.tuner is not None
        trials = self.tuner.trials.ended
        text = f"{problem.message} The result so far is in memory: result.save(PATH) keeps it. {problem.hint}"
        self.emit(Note(text=text[0].upper() + text[1:], level="warning"))
        study = study_in_memory(self._study_name, self._directions, trials, self._study_attrs)
        if self.sampler is not None and self.sampler.space_state.outer is not None:
            self.sampler.space_state.store(study)
        self.tuner.trials.go_on_in_memory(study)
        outcome = Outcome("failed", problem.message.removesuffix("."))
        return self.finalizer.finish(study, self.provider, outcome, verify=False)

    def _announce(self, taken: str) -> None:
        self.record.remember(events_of_others(self.study, self.record.shown_trials))
        n_done = sum(counts(t) for t in self.study.get_trials(deepcopy=False))
        description = self.record.about(taken, n_done)
        announce(
            self.plan, self.study, description, self.provider, self.earlier, joins=self.joins, emit=self.emit
        )

    def _set_sampler(self, proposer: Proposer) -> None:
        """Give the study its sampler, and queue again what an earlier process left."""
        base, self.source = base_sampler(self.settings)
        state = space_state(
            self.plan,
            self.study,
            self.record.events,
            self.earlier,
            resumed=self.resumed,
            joins=self.joins,
            may_migrate=self._own_study,
            emit=self.emit,
        )
        if self.multi:
            seed = self.settings.seed + len(self.study.get_trials(deepcopy=False))
            self.study.sampler = base if isinstance(base, BaseSampler) else base(seed)
        else:
            self.sampler = self.study.sampler = run_sampler(
                self.plan,
                state,
                proposer,
                base,
                self.source,
                self.earlier,
                cancelled=lambda: self.control.stopping,
                emit=self.emit,
            )
            self.sampler.program = self._program.token if self.joins else None
        if self.joins or self.resumed:
            reached = self._is_reached
            abandoned = abandoned_trials(self.study, self.folder, joins=self.joins) if reached else None
            requeue_stale(self.study, abandoned)
        if self.resumed and not self.joins:
            queue_withdrawn(self.study)
            queue_first(self.study)
            if not self._wants_first:
                drop_first(self.study, lambda params: True)

    def _go_on(self, study: Study, extension: PendingExtension, trial_number: int) -> Study:
        assert self.sampler is not None
        self.study, text = extended_study(self.plan, study, self.sampler, extension, trial_number)
        self.emit(Note(text=text, trial_number=trial_number))
        return self.study

    def _loop(
        self,
        evaluator: Evaluator,
        pool: Pool,
        callbacks: tuple[Callable[[Study, FrozenTrial], None], ...],
    ) -> Outcome:
        s = self.settings
        wants_init = (
            self.sampler is not None
            and self.plan.space is not None
            and not s.baseline
            and s.init == "llm"
            and not ((self.resumed or self.joins) and was_initialized(self.study))
        )
        if self.sampler is not None:
            self.sampler.requests.waits_for_space = wants_init
        owner = owner_of(self.folder, self._program.token) if self._is_reached else None
        heartbeat = None if owner is None else Heartbeat(self.study, owner)
        trials = Trials(
            self.study,
            self.sampler,
            self.source,
            self._outer,
            self.emit,
            (*callbacks, self._check_default),
            owner,
            heartbeat,
            alone=not self.shared,
        )
        commands = Commands(
            study=self.study,
            sampler=self.sampler,
            space=self._outer,
            control=self.control,
            emit=self.emit,
            poll=self._poll if self.folder is not None else None,
            wants_first=self._wants_first,
            unsearched=self.plan.unsearched,
        )
        self.tuner = Tuner(
            trials,
            Workers(
                evaluator,
                pool.executor,
                pool.at_once,
                reporting=self.plan.pruning is not None,
                devices=s.devices or (),
            ),
            Limits(
                s.n_trials,
                make_rule(s.patience, self.task.directions or [self.task.direction]),
                s.timeout,
                s.trial_timeout,
            ),
            self.control,
            commands,
            self.emit,
            initialize=self._initialize if wants_init else None,
            extend_study=self._go_on if self._own_study else None,
        )
        with heartbeat or nullcontext():
            try:
                return self.tuner.run()
            finally:
                self.control.check_by(None)  # a view keeps the control, and shall not keep the run in memory
                self._end_requests()

    def _end_requests(self) -> None:
        """Cut short the request under way, whose reply would not be used, and have its cost recorded.

        An answer that is about to come says what it cost; of one that is cut short only the most is known.
        """
        if self.provider is not None:
            self.provider.end(0.0 if self.control.stopping else _LAST_ANSWER_SECONDS)

    @property
    def _wants_first(self) -> bool:
        """Whether the Initializer's configurations are run: not where the user has chosen the base sampler
        alone since. An option ``llm_ratio=0`` is no such choice: it asks for nothing but those of the LLM.
        """
        sampler = self.sampler
        if sampler is None or sampler.mode == "tpe":
            return False
        return sampler.mode == "llm" or sampler.schedule.ratio > 0.0 or self.settings.llm_ratio == 0.0

    def _outer(self) -> SearchSpace | None:
        if self.sampler is not None:
            return self.sampler.space_state.outer
        return self.plan.outer

    def _initialize(self) -> None:
        assert self.sampler is not None
        history = self.sampler.history(self.study)
        first = self.study.get_trials(deepcopy=False)[0]
        seconds = (first.user_attrs.get(attrs.EVALUATION) or {}).get("seconds")
        initialize(
            self.study,
            self.sampler,
            self.plan.first_ask(history, seconds),
            fallback=self.plan.rulebook(),
            limits=self.plan.limits,
            emit=self.emit,
            grow=self.tuner.grow if self._own_study and self.tuner is not None else None,
        )

    def _check_default(self, study: Study, trial: FrozenTrial) -> None:
        if not self.plan.has_user_space:  # the data may need the values of the user's own space
            check_default(self.task, trial)

    def _poll(self) -> None:
        assert self.folder is not None
        commands, self._commands_offset = self.folder.read_commands(self._commands_offset)
        for command in commands:
            try:
                self.control.wish(command.name, command.value, id=command.id)
            except InputError as error:
                self.emit(Note(text=str(error), level="warning"))

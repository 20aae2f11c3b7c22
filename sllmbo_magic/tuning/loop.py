"""The loop of a run: apply commands, start a trial, take its outcome, until something ends it.

Trials are asked for and told in the order of their numbers, also when several run at once: trial ``n + k`` is
asked for after trial ``n`` was told, so that the same seed gives the same trials whatever the timing. The
loop imports no view, no folder and no provider.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from dataclasses import field
from time import perf_counter

from optuna.study import Study

from sllmbo_magic.control import Control
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.events import Event
from sllmbo_magic.events import FoldFinished
from sllmbo_magic.events import Note
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.storage.storage_problems import storage_problem
from sllmbo_magic.tuning.commands import STATES_OF_ASKED
from sllmbo_magic.tuning.commands import Commands
from sllmbo_magic.tuning.evaluations import Evaluations
from sllmbo_magic.tuning.evaluations import ExecutorError
from sllmbo_magic.tuning.evaluations import cut_off
from sllmbo_magic.tuning.queued_trials import no_room
from sllmbo_magic.tuning.queued_trials import not_run
from sllmbo_magic.tuning.stopping import Never
from sllmbo_magic.tuning.stopping import StoppingRule
from sllmbo_magic.tuning.trials import CallbackError
from sllmbo_magic.tuning.trials import Trials

_PAUSE_SECONDS = 0.2


_CHECK_PART = 0.1
"""Of the time limit: so long may the check on fresh folds go on after it. A run that its time limit ends has
mostly a check of a few seconds, and is worth little without it.
"""


@dataclass(frozen=True)
class Outcome:
    """How the loop ended: ``status`` is ``"finished"``, ``"stopped"``, ``"interrupted"`` or ``"failed"``."""

    status: str
    reason: str


@dataclass
class Limits:
    """What ends a run.

    Attributes:
        n_trials: Total, finished trials of earlier processes included.
        stopping: See ``stopping.py``.
        timeout: Seconds for this call; trials in flight end after their fold.
        trial_timeout: Seconds per trial.
    """

    n_trials: int
    stopping: StoppingRule
    timeout: float | None = None
    trial_timeout: float | None = None
    deadline: float = field(default=float("inf"), init=False)

    def begin(self) -> None:
        """The time limit runs from now."""
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout

    @property
    def over(self) -> bool:
        """Whether the time limit has passed."""
        return time.monotonic() >= self.deadline

    @property
    def over_for_checks(self) -> bool:
        """Whether the time of what is scored again after the last trial has passed, too."""
        return self.timeout is not None and time.monotonic() >= self.deadline + _CHECK_PART * self.timeout


@dataclass(frozen=True)
class Workers:
    """What evaluates the trials.

    Attributes:
        evaluator: Scores configurations.
        executor: Takes trials; None: they run in this thread, one at a time.
        parallel: Trials at once with an executor.
        reporting: Whether trials report to a pruner.
        devices: One of them for each trial in flight; none: trials have no device.
    """

    evaluator: Evaluator
    executor: Executor | None = None
    parallel: int = 1
    reporting: bool = False
    devices: tuple[str, ...] = ()


class Tuner:
    """Runs trials until the total, a stopping rule, a time limit or the user ends it.

    Args:
        trials: Asks the study and tells it.
        workers: Evaluate.
        limits: End the run.
        control: The user's commands.
        commands: Applies them.
        emit: Takes the events.
        initialize: Called once, after the first trial, before the second is asked for; later where the user
            has chosen the base sampler until then.
        extend_study: Makes the new study that a growth of the outer space needs, while no trial runs; None:
            the study may not be left.
    """

    def __init__(
        self,
        trials: Trials,
        workers: Workers,
        limits: Limits,
        control: Control,
        commands: Commands,
        emit: Callable[[Event], None],
        *,
        initialize: Callable[[], None] | None = None,
        extend_study: Callable[[Study, PendingExtension, int], Study] | None = None,
    ) -> None:
        self.trials = trials
        self._workers = workers
        self._limits = limits
        self._control = control
        self._commands = commands
        self._emit = emit
        self._initialize = initialize
        self._waited = 0.0
        """Seconds that the next configuration took before its trial is asked for."""
        self._n_looked_at = 0
        """Trials that were told when the stopping rule was asked last."""
        self._extend_study = extend_study
        self._evaluations = self._new_evaluations(None)
        commands.extend = self._extend
        commands.note_room = self._note_room
        commands.grow = None if extend_study is None else self.grow

    def run(self) -> Outcome:
        """Run to the end; the study then has no running trial of this process left.

        Raises:
            Exception: A bug outside the evaluations; the trials in flight were cut off first.
        """
        self._limits.begin()
        self._evaluations = self._new_evaluations(self._limits.timeout)
        try:
            self._note_room()
            outcome = self._loop()
            self._land_all()
            if outcome.status == "finished" and (text := not_run(self.trials.study, outcome.reason)):
                self._emit(Note(text=text, level="warning"))
        except KeyboardInterrupt:
            self._control.interrupt()
            outcome = Outcome("interrupted", "interrupted")
        except ExecutorError as error:
            ended = self._ending() if self._evaluations.is_interrupted else None
            outcome = ended or Outcome("failed", f"the executor takes no more trials: {error}")
        except CallbackError as error:
            outcome = Outcome("failed", str(error))
        except Exception as error:
            if storage_problem(error) is not None:
                self._evaluations.abandon()  # their ends cannot be written
            raise
        finally:
            self._cut_off_all()
            self._evaluations.close()
        return outcome

    def grow(self, extension: PendingExtension) -> Study:
        """Go on in a new study with a grown outer space, once no trial is in flight; returns it."""
        trials = self.trials
        assert trials.sampler is not None
        assert self._extend_study is not None
        self._land_all()
        number = len(trials.study.get_trials(deepcopy=False, states=STATES_OF_ASKED))
        study = self._extend_study(trials.study, trials.sampler.space_state.refreshed(extension), number)
        trials.move_to(study)
        self._commands.study = study
        return study

    @property
    def is_over(self) -> bool:
        """Whether the time limit has passed."""
        return self._limits.over

    @property
    def is_over_for_checks(self) -> bool:
        """Whether the time of what is scored again after the last trial has passed, too."""
        return self._limits.over_for_checks

    def poll(self, *, now: bool = False) -> None:
        """Bring in commands from other processes, if it is time, or now."""
        self._commands.poll(now=now)

    def _loop(self) -> Outcome:
        n_earlier = self._n_begun
        while True:
            self.trials.take_in_versions()  # commands change the space as it is now
            self._commands.apply_waiting()
            outcome = self._ending()
            if outcome is not None:
                return outcome
            if self._control.paused:
                self._land_all()
                self._commands.note_pause(True)
                self._control.wait(_PAUSE_SECONDS)
                continue
            self._commands.note_pause(False)
            if self._n_begun >= self._limits.n_trials:
                if len(self._evaluations):
                    self._land()
                    continue
                self._commands.apply_waiting(last=True)  # it may extend the run
                if self._n_begun >= self._limits.n_trials:
                    return Outcome("finished", self._all_done(n_earlier))
            elif self._initialize is not None and self._n_begun >= 1 and self._commands.wants_first:
                self._land_all()
                initialize, self._initialize = self._initialize, None
                began = perf_counter()
                initialize()
                self._waited += perf_counter() - began
            elif self._growth is not None:
                self.grow(self._growth)
            elif self._evaluations.full:
                self._land()
            elif (n_configurations := self.trials.used_up) is not None:
                if not len(self._evaluations):
                    return Outcome("finished", finite.used_up_text(n_configurations))
                self._land()
            else:
                self._start()

    def _all_done(self, n_earlier: int) -> str:
        """Why a run ends that has its total; ``n_earlier`` trials were there when it began."""
        total = self._limits.n_trials
        if n_earlier > total:
            return f"n_trials is {total}, and {n_earlier} trials are done"
        return f"all {total} trials are done"

    @property
    def _n_begun(self) -> int:
        return self.trials.n_done + len(self._evaluations)

    @property
    def _growth(self) -> PendingExtension | None:
        return None if self.trials.sampler is None else self.trials.sampler.space_state.pending

    def _ending(self) -> Outcome | None:
        if self._control.stopping:
            if self._control.interrupted:
                return Outcome("interrupted", "interrupted")
            return Outcome("stopped", "stopped by the user")
        if self._limits.over:
            return Outcome("finished", f"the time limit of {self._limits.timeout:g} s is over")
        if self.trials.stop_called:
            return Outcome("finished", "study.stop() was called")
        hopeless = self.trials.failures.hopeless
        if hopeless is not None:
            return Outcome("failed", hopeless)
        reason = self._reason_to_stop()
        return None if reason is None else Outcome("finished", reason)

    def _reason_to_stop(self) -> str | None:
        """Why the stopping rule ends the run. Trials in flight are told before it does: one may be better."""
        rule, trials = self._limits.stopping, self.trials
        if isinstance(rule, Never) or trials.n_done == self._n_looked_at:
            return None  # a history costs more than its answer
        while (reason := rule.reason(trials.history())) is not None and len(self._evaluations):
            self._land()
        self._n_looked_at = trials.n_done
        return reason

    def _start(self) -> None:
        self.trials.take_in_others()
        if self._n_begun >= self._limits.n_trials:  # other processes have reached the total
            return
        if self._evaluations.broken is not None:
            self._land_all()
            raise ExecutorError(self._evaluations.broken)
        waited, self._waited = self._waited, 0.0
        try:
            self._evaluations.start(self.trials.start(waited))
        except ExecutorError:
            while self._evaluations.has_ended:
                self._land()
            raise
        if self._workers.executor is None:
            self._land()

    def _land(self) -> None:
        """Tell the oldest trial in flight, once it has ended."""
        self.trials.end(*self._evaluations.next())

    def _land_all(self) -> None:
        while len(self._evaluations):
            self._land()

    def _cut_off_all(self) -> None:
        """Trials that are in flight because of an interrupt or an error; they run again on a resume."""
        for trial in self._evaluations.abandon():
            self.trials.end(trial, cut_off())

    def _note_room(self) -> None:
        """Emit a note where configurations that the user has queued do not fit into the total."""
        if text := no_room(self.trials.study, self._limits.n_trials, self._n_begun):
            self._emit(Note(text=text, level="warning", trial_number=self._n_begun))

    def _extend(self, more: int) -> None:
        self._limits.n_trials += more
        if self.trials.sampler is not None:
            self.trials.sampler.extend(self._limits.n_trials)

    def _new_evaluations(self, timeout: float | None) -> Evaluations:
        workers = self._workers
        return Evaluations(
            workers.evaluator,
            self._control,
            lambda: self._control.stopping or self._limits.over,
            self._commands.poll,
            self._on_fold,
            executor=workers.executor,
            parallel=workers.parallel,
            trial_timeout=self._limits.trial_timeout,
            timeout=timeout,
            reporting=workers.reporting,
            devices=workers.devices,
            on_problem=self._on_problem,
        )

    def _on_problem(self, problem: str) -> None:
        text = f"{problem[0].upper()}{problem[1:]} Trials wait until that is mended; a stop or the time limit"
        self._emit(Note(text=f"{text} ends the run.", level="warning"))

    def _on_fold(self, number: int, fold: int, n_folds: int, score: float) -> None:
        self._emit(FoldFinished(number=number, fold=fold, n_folds=n_folds, score=score))

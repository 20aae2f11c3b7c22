"""The loop: take wishes, ask the study, evaluate, tell, emit. It knows no view, no folder and no provider.

Trials are asked for and told in the order of their numbers, also when several run at once: trial ``n + k`` is
asked for after trial ``n`` was told, so that the same seed gives the same trials whatever the timing.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import Executor
from concurrent.futures import Future
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import Trial
from optuna.trial import TrialState

from sllmbo_magic import keys
from sllmbo_magic.control import Control
from sllmbo_magic.evaluator import Evaluation
from sllmbo_magic.evaluator import Evaluator
from sllmbo_magic.events import Event
from sllmbo_magic.events import FoldFinished
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.history import History
from sllmbo_magic.history import counts
from sllmbo_magic.history import last_report
from sllmbo_magic.history import number
from sllmbo_magic.history import observe
from sllmbo_magic.history import scored
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.growth import Growth
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.stopping import StoppingRule
from sllmbo_magic.wishes import ASKED
from sllmbo_magic.wishes import Wishes


@dataclass(frozen=True)
class Outcome:
    """How the loop ended: ``status`` is ``"finished"``, ``"stopped"``, ``"interrupted"`` or ``"failed"``."""

    status: str
    reason: str


class Tuner:
    """Runs trials until the total, a stopping rule, a time limit or the user ends it.

    Args:
        study: Asked and told; its sampler is ``sampler``, or one for several objectives.
        sampler: Ours; None when the study has several objectives.
        source: What trials of a sampler that is not ours are labelled with.
        evaluator: Scores configurations.
        space: Gives the fixed outer space at this moment; None for objectives that suggest for themselves.
        control: The user's wishes.
        emit: Takes the events.
        n_trials: Total, finished trials of earlier processes included.
        stopping: See ``stopping.py``.
        timeout: Seconds for this call; the trial in flight ends after its fold.
        trial_timeout: Seconds per trial.
        initialize: Called once, after the first trial, before the second is asked for.
        executor: Runs evaluations; None evaluates in this thread, one at a time.
        parallel: Trials in flight with an executor.
        poll: Brings wishes from outside this process into ``control``.
        callbacks: Optuna's: called with the study and each finished trial.
        go_on: Makes the new study that a growth of the outer space needs, while no trial runs; None: the
            study may not be left.
        pruning: Whether trials report to a pruner.
    """

    def __init__(
        self,
        *,
        study: Study,
        sampler: LLMTPESampler | None,
        source: str = "base",
        evaluator: Evaluator,
        space: Callable[[], SearchSpace | None],
        control: Control,
        emit: Callable[[Event], None],
        n_trials: int,
        stopping: StoppingRule,
        timeout: float | None = None,
        trial_timeout: float | None = None,
        initialize: Callable[[], None] | None = None,
        executor: Executor | None = None,
        parallel: int = 1,
        poll: Callable[[], None] | None = None,
        callbacks: tuple[Callable[[Study, FrozenTrial], None], ...] = (),
        go_on: Callable[[Study, Growth, int], Study] | None = None,
        pruning: bool = False,
    ) -> None:
        self.study = study
        self.sampler = sampler
        self.source = source
        self.evaluator = evaluator
        self.space = space
        self.control = control
        self.emit = emit
        self.n_trials = n_trials
        self.stopping = stopping
        self.timeout = timeout
        self.trial_timeout = trial_timeout
        self.initialize = initialize
        self.executor = executor
        self.parallel = parallel if executor is not None else 1
        self.wishes = Wishes(
            study=study,
            sampler=sampler,
            space=space,
            control=control,
            emit=emit,
            extend=self._extend,
            poll=poll,
            grow=None if go_on is None else self.grow,
        )
        self.go_on = go_on
        self.callbacks = callbacks
        self.pruning = pruning
        self.failure: BaseException | None = None
        """The exception of the last failed evaluation, for the person at the machine only."""
        self._flying: deque[tuple[Trial, dict[str, Any], Future[Evaluation]]] = deque()
        self._deadline = float("inf")
        done = study.get_trials(deepcopy=False)
        self._n_done = sum(counts(t) for t in done)

    def run(self) -> Outcome:
        """Run to the end; the study then has no running trial of this process left.

        Raises:
            Exception: A bug outside the evaluations; the trials in flight were told as failed first.
        """
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout
        try:
            outcome = self._loop()
            self._land_all()
            return outcome
        except KeyboardInterrupt:
            self.control.interrupt()
            self._drop_all()
            return Outcome("interrupted", "interrupted")
        except BaseException:
            self._drop_all()
            raise

    def _loop(self) -> Outcome:
        while True:
            self.wishes.carry_out()
            ending = self._ending()
            if ending is not None:
                return ending
            if self.control.paused:
                self._land_all()
                self.wishes.say_pause(True)
                self.control.wait(0.2)
                continue
            self.wishes.say_pause(False)
            if self._n_done + len(self._flying) >= self.n_trials:
                if not self._flying:
                    return Outcome("finished", f"all {self.n_trials} trials are done")
                self._land()
                continue
            if self.initialize is not None and self._n_done + len(self._flying) >= 1:
                self._land_all()
                initialize, self.initialize = self.initialize, None
                initialize()
                continue
            growth = None if self.sampler is None else self.sampler.growth
            if growth is not None:
                self.grow(growth)
                continue
            if len(self._flying) >= self.parallel:
                self._land()
                continue
            self._start()

    def grow(self, growth: Growth) -> Study:
        """Go on in a new study with a grown outer space, once no trial is in flight; returns it."""
        assert self.sampler is not None
        assert self.go_on is not None
        self._land_all()
        number = len(self.study.get_trials(deepcopy=False, states=ASKED))
        self.study = self.wishes.study = self.go_on(self.study, self.sampler.refreshed(growth), number)
        return self.study

    def _extend(self, more: int) -> None:
        self.n_trials += more
        if self.sampler is not None:
            self.sampler.n_trials = self.n_trials

    def _ending(self) -> Outcome | None:
        if self.control.stopping:
            if self.control.interrupted:
                return Outcome("interrupted", "interrupted")
            return Outcome("stopped", "stopped by the user")
        if time.monotonic() >= self._deadline:
            return Outcome("finished", f"the time limit of {self.timeout:g} s is over")
        if self._n_done and not self._flying:
            reason = self.stopping.reason(self._history())
            if reason is not None:
                return Outcome("finished", reason)
        return None

    def _start(self) -> None:
        """Ask for a trial, give it its parameters and evaluate it."""
        with warnings.catch_warnings():
            # Optuna warns that a fixed value lies outside a range; ours are checked before they are queued.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self.study.ask()
        try:
            space = self.space()
            params = {} if space is None else space.suggest(trial)
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        attrs = self._attrs(trial)
        provenance = attrs.get(keys.PROVENANCE) or {}
        if keys.SOURCE not in attrs and space is not None:
            # Queued by somebody else's hand, or given by a sampler that is not ours.
            queued = "fixed_params" in self.study.get_trials(deepcopy=False)[trial.number].system_attrs
            trial.set_user_attr(keys.SOURCE, "user" if queued else self.source)
        self.emit(
            TrialStarted(
                number=trial.number,
                params=params,
                source=self._attrs(trial).get(keys.SOURCE, self.source),
                reason=provenance.get("reason", ""),
                expected=provenance.get("expects", ""),
                space_version=provenance.get("space_version", 0),
                request=provenance.get("request"),
            )
        )
        used = {} if provenance.get("library_defaults") else params
        if provenance.get("library_defaults"):
            _never_pruned(trial)  # all others are measured by it
        if self.executor is None:
            try:
                evaluation = self._evaluate(trial, used)
            except BaseException:
                self._tell_stopped(trial)
                raise
            self._tell(trial, params, evaluation)
        else:
            evaluate = self.evaluator.evaluate
            if space is None or self.pruning:  # an objective that suggests for itself, or reports
                evaluate = partial(evaluate, trial=trial)
            self._flying.append((trial, params, self.executor.submit(evaluate, used)))

    def _evaluate(self, trial: Trial, params: dict[str, Any]) -> Evaluation:
        number = trial.number

        def on_fold(fold: int, n_folds: int, score: float) -> None:
            self.emit(FoldFinished(number=number, fold=fold, n_folds=n_folds, score=score))

        return self.evaluator.evaluate(
            params,
            trial=trial,
            should_stop=self._should_stop,
            should_abandon=lambda: self.control.abandoning,
            on_fold=on_fold,
            timeout=self.trial_timeout,
        )

    def _should_stop(self) -> bool:
        self.wishes.poll()
        return self.control.stopping or time.monotonic() >= self._deadline

    def _land(self) -> None:
        """Wait for the oldest trial in flight and tell it."""
        trial, params, future = self._flying[0]
        while not future.done():
            self.wishes.poll()
            if self.control.abandoning:
                break
            wait([future], timeout=0.2)
        self._flying.popleft()
        if not future.done():
            future.cancel()
            self._tell_stopped(trial)
            return
        self._tell(trial, params, future.result())

    def _land_all(self) -> None:
        while self._flying:
            self._land()

    def _drop_all(self) -> None:
        while self._flying:
            trial, _, future = self._flying.popleft()
            future.cancel()
            self._tell_stopped(trial)

    def _tell_stopped(self, trial: Trial) -> None:
        self._tell(trial, dict(trial.params), Evaluation(None, error=keys.STOPPED, stopped=True))

    def _tell(self, trial: Trial, params: dict[str, Any], evaluation: Evaluation) -> None:
        error = keys.STOPPED if evaluation.stopped else evaluation.error
        if evaluation.exception is not None:
            self.failure = evaluation.exception
        attrs = self._attrs(trial)
        provenance = attrs.get(keys.PROVENANCE) or {}
        came_true = self._came_true(provenance.get("expects", ""), evaluation) if error is None else None
        params = {**params, **evaluation.found}
        fixed = {n: v for n, v in params.items() if n not in trial.params}
        trial.set_user_attr(
            keys.EVALUATION,
            {
                **evaluation.to_json(),
                "error": error,
                **({"fixed": fixed} if fixed else {}),
                **({"came_true": came_true} if came_true is not None else {}),
            },
        )
        values = evaluation.values or (None if evaluation.mean is None else (evaluation.mean,))
        if error is not None:
            state = TrialState.FAIL
        elif evaluation.pruned:
            state = TrialState.PRUNED
        else:
            state = TrialState.COMPLETE
        told = self.study.tell(
            trial, list(values) if state == TrialState.COMPLETE and values else None, state=state
        )
        if error == keys.STOPPED:
            # Its parameters wait at the head of the queue for a resumed run.
            if told.params:
                self.study.enqueue_trial(told.params, user_attrs=_provenance_of(told))
        else:
            self._n_done += 1
        best_number, best_value = self._best()
        reported, pruned_at = last_report(told)
        self.emit(
            TrialFinished(
                number=trial.number,
                state=told.state.name,
                value=told.values[0] if scored(told) and len(told.values) == 1 else None,
                params=params or dict(told.params),
                source=attrs.get(keys.SOURCE, self.source),
                std=evaluation.std,
                split_scores=list(evaluation.split_scores),
                seconds=evaluation.seconds,
                reason=provenance.get("reason") or several(told.values),
                expected=provenance.get("expects", ""),
                came_true=came_true,
                error=None
                if error is None
                else f"{error} ({evaluation.error_class})"
                if evaluation.error_class
                else error,
                space_version=provenance.get("space_version", 0),
                request=provenance.get("request"),
                best_number=best_number,
                best_value=best_value,
                reported=reported,
                pruned_at=pruned_at,
            )
        )
        for callback in self.callbacks:
            callback(self.study, told)

    def _attrs(self, trial: Trial) -> dict[str, Any]:
        """The trial's attributes as stored: the Trial object does not see what the sampler wrote."""
        attrs: dict[str, Any] = self.study.get_trials(deepcopy=False)[trial.number].user_attrs
        return attrs

    def _came_true(self, expects: str, evaluation: Evaluation) -> bool | None:
        """Whether "better" beat the incumbent, or "similar" stayed within twice its noise; None when nothing
        was promised.
        """
        if expects not in ("better", "similar") or evaluation.mean is None:
            return None
        history = self._history()
        best = history.incumbent
        if best is None or best.value is None:
            return None
        gain = history.gain(evaluation.mean, best.value)
        return gain > 0 if expects == "better" else gain >= -2 * max(history.noise, 1e-3 * abs(best.value))

    def _best(self) -> tuple[int | None, float | None]:
        if len(self.study.directions) > 1:
            return None, None
        best = self._history().incumbent
        return (None, None) if best is None else (best.number, best.value)

    def _history(self) -> History:
        if self.sampler is not None:
            return self.sampler.history(self.study)
        trials = self.study.get_trials(deepcopy=False)
        finished = [observe(t) for t in trials if t.state.is_finished()]
        return History(tuple(finished), self.study.directions[0].name.lower())


def _never_pruned(trial: Trial) -> None:
    """The pruner sees what it reports, as of any trial, but its answer is not heard."""
    ask = trial.should_prune

    def should_prune() -> bool:
        ask()
        return False

    trial.should_prune = should_prune  # type: ignore[method-assign]


def several(values: Sequence[float] | None) -> str:
    """What a trial of several objectives returned, in words; "" with one or none."""
    if values is None or len(values) < 2:
        return ""
    return f"returned {', '.join(number(v) for v in values)}"


def _provenance_of(trial: FrozenTrial) -> dict[str, Any]:
    return {k: v for k, v in trial.user_attrs.items() if k in (keys.SOURCE, keys.PROVENANCE)}

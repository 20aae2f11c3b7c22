"""The user's commands, applied between two trials: sampler, share, hints, ranges, queued configurations."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.study import Study
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.control import NO_HINTS
from sllmbo_magic.control import Command
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import WishApplied
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.proposers.space_extension import ExtensionPolicy
from sllmbo_magic.proposers.space_extension import for_user
from sllmbo_magic.proposers.space_extension import gained
from sllmbo_magic.proposers.space_extension import users_choices
from sllmbo_magic.report.text import count
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.pending_extension import PendingExtension
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.space import distributions as dist
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.tuning.marks import mark
from sllmbo_magic.tuning.queued_trials import drop_first
from sllmbo_magic.tuning.queued_trials import put_users_first
from sllmbo_magic.tuning.queued_trials import queued_params
from sllmbo_magic.tuning.queued_trials import waiting_trials
from sllmbo_magic.tuning.queued_trials import withdraw

STATES_OF_ASKED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_GRID = 1e-8
"""Of a step: a value so near a point of the grid is that point."""
_POLL_SECONDS = 0.3
"""Commands from other processes are looked for at most that often."""


class Commands:
    """Takes commands from the control and applies them.

    Args:
        study: The study of the run.
        sampler: Ours; None when the study has several objectives.
        space: Gives the fixed outer space at this moment; None for objectives that suggest for themselves.
        control: Where commands wait.
        emit: Takes the events.
        poll: Brings commands from outside this process into ``control``.
        wants_first: Whether first configurations are asked for and run.
        unsearched: As :attr:`~sllmbo_magic.tuning.plan.Plan.unsearched`.

    Attributes:
        wants_first: Likewise, at this moment: not while the base sampler proposes alone.
        study: The study of the run at this moment.
        extend: Adds trials to the run's total.
        note_room: Tells where what is queued does not fit into that total.
        grow: Takes the run to a new study with a grown outer space; None: this run works in a study that it
            may not leave.
    """

    def __init__(
        self,
        *,
        study: Study,
        sampler: LLMTPESampler | None,
        space: Callable[[], SearchSpace | None],
        control: Control,
        emit: Callable[[Event], None],
        poll: Callable[[], None] | None,
        wants_first: bool = True,
        unsearched: Collection[str] = (),
    ) -> None:
        self.study = study
        self._sampler = sampler
        self._space = space
        self._control = control
        self._emit = emit
        self._poll = poll
        self._unsearched = unsearched
        self.wants_first = wants_first
        self.extend: Callable[[int], None] | None = None
        self.note_room: Callable[[], None] | None = None
        self.grow: Callable[[PendingExtension], Study] | None = None
        self._polled = 0.0
        self._paused = False
        no_llm = sampler is not None and sampler.queue.proposer.source != "llm"
        control.refuse("hint", NO_HINTS if no_llm else None)
        control.check_by(self.check)

    def check(self, name: str, value: Any) -> None:
        """Raise InputError for a command that the run cannot carry out as it is now.

        Any thread may call it: what it reads is replaced as a whole when it changes.
        """
        if name in ("pause", "resume", "stop", "extend", "note"):
            return
        if name in ("enqueue", "dequeue"):
            checked_configuration(self._space(), searched_part(value, self._unsearched))
            return
        if self._sampler is None:
            raise InputError(f"{name} has no effect on a run with several objectives.")
        if name not in ("range", "lock", "unlock"):
            return
        state = self._sampler.space_state
        space, outer = state.space, state.outer
        if space is None or outer is None:
            raise InputError(f"{name} needs a declared search space.", "This objective suggests for itself.")
        if name == "range":
            self._with_range(state, space, outer, value)
        elif value not in outer:
            raise outer.no_parameter(value)

    def poll(self, *, now: bool = False) -> None:
        """Bring in commands from other processes, if it is time, or now."""
        if self._poll is not None and (now or time.monotonic() - self._polled >= _POLL_SECONDS):
            self._polled = time.monotonic()
            self._poll()

    def note_pause(self, paused: bool) -> None:
        """Emit a note that the run pauses or continues, where that changed."""
        if paused != self._paused:
            self._paused = paused
            text = "Paused; the run waits before its next trial." if paused else "The run continues."
            self._emit(Note(text=text, trial_number=self._next_number()))

    def apply_waiting(self, *, last: bool = False) -> None:
        """Apply all commands that wait; an invalid one is reported as a warning and skipped.

        Args:
            last: Whether the run is about to end, so that none may come later.
        """
        self.poll(now=last)
        applied: list[tuple[Command, Any]] = []
        for command in self._control.take():
            try:
                applied.append((command, self._apply(command)))
            except InputError as error:
                self._emit(Note(text=str(error), level="warning", trial_number=self._next_number()))
        if any(command.name == "enqueue" for command, _ in applied):
            put_users_first(self.study)
            if self.note_room is not None:
                self.note_room()
        number = self._next_number()  # of the first trial after them, behind all that was withdrawn
        for command, value in applied:
            self._emit(WishApplied(wish=command.name, value=value, trial_number=number, id=command.id))

    def _next_number(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=STATES_OF_ASKED))

    def _apply(self, command: Command) -> Any:
        """Carry out the command; returns its value, of a note with all that the trial has now."""
        if command.name == "note":
            return mark(self.study, n_trials=self._next_number(), **command.value)
        if command.name == "extend":
            assert self.extend is not None
            self.extend(command.value)
        elif command.name == "enqueue":
            self._enqueue(command.value)
        elif command.name == "dequeue":
            dequeue(self.study, self._space(), searched_part(command.value, self._unsearched))
        elif command.name not in ("pause", "resume", "stop"):
            self._apply_to_sampler(command)
        if command.name == "range" and "choices" in command.value:
            assert self._sampler is not None
            assert self._sampler.space_state.space is not None
            now = self._sampler.space_state.space[command.value["param"]]
            assert isinstance(now, CategoricalDistribution)
            return {**command.value, "choices": [*now.choices]}  # as they were meant
        return command.value

    def _enqueue(self, configuration: dict[str, Any]) -> None:
        space = None if self._sampler is None else self._sampler.space_state.space
        configuration = searched_part(configuration, self._unsearched)
        if left_out := enqueue(self.study, self._space(), configuration, space=space):
            self._emit(Note(text=left_out_text(left_out), trial_number=self._next_number()))

    def _apply_to_sampler(self, command: Command) -> None:
        self.check(command.name, command.value)
        sampler = self._sampler
        assert sampler is not None
        if command.name == "sampler":
            sampler.mode = command.value
            self._choose_first(sampler)
        elif command.name == "ratio":
            sampler.schedule.ratio = command.value
            self._choose_first(sampler)
        elif command.name == "hint":
            self._hint(sampler, command.value)
        else:
            self._apply_to_space(sampler, command)

    def _choose_first(self, sampler: LLMTPESampler) -> None:
        """Take the first configurations out of the queue where the base sampler is to propose alone."""
        self.wants_first = sampler.mode == "llm" or (
            sampler.mode == "llm-tpe" and sampler.schedule.ratio > 0.0
        )
        if not self.wants_first:
            self._drop_first(lambda params: True, "the base sampler proposes from here on")

    def _drop_first(self, is_dropped: Callable[[dict[str, Any]], bool], why: str) -> None:
        if n := drop_first(self.study, is_dropped):
            verb = "is" if n == 1 else "are"
            text = f"{count(n, 'queued first configuration')} {verb} not run: {why}."
            self._emit(Note(text=text, trial_number=self._next_number()))

    def _hint(self, sampler: LLMTPESampler, text: str) -> None:
        if sampler.queue.proposer.source != "llm":
            raise InputError(NO_HINTS)
        sampler.add_hint(Hint(text, self._next_number()))

    def _apply_to_space(self, sampler: LLMTPESampler, command: Command) -> None:
        state = sampler.space_state
        if command.name == "range":
            name = command.value["param"]
            self._range(state, command.value)
            state.user_ranges.add(name)
            self._drop_outside(state.space, name)
        elif command.name == "lock":
            state.locked.add(command.value)
        else:
            state.locked.discard(command.value)
            state.user_ranges.discard(command.value)

    def _range(self, state: SpaceState, value: dict[str, Any]) -> None:
        """A version with the user's range; beyond the outer space the run goes on in a new study."""
        assert state.space is not None
        assert state.outer is not None
        name, reason = value["param"], f"set by the user: {value['param']}"
        new, wider = self._with_range(state, state.space, state.outer, value)
        self._note_difference(name, value, new, had_log=_had_log(state, name))
        if wider == state.outer:
            state.change(new.within(wider), self._next_number(), reason, "user")
            state.store(self.study)
            return
        assert self.grow is not None
        self.grow(PendingExtension(wider, new.within(wider), reason, "user"))
        if state.extension_policy is not None and isinstance(now := new[name], CategoricalDistribution):
            accepts = state.extension_policy.accepts
            for choice in [c for c in now.choices if accepts(name, c) is False]:
                text = f"The estimator says that it does not take {name}={choice!r}: its trials may fail."
                self._emit(Note(text=text, level="warning", trial_number=self._next_number()))

    def _with_range(
        self, state: SpaceState, space: SearchSpace, outer: SearchSpace, value: dict[str, Any]
    ) -> tuple[SearchSpace, SearchSpace]:
        """The space with the user's range, and the outer space that holds it.

        Raises:
            InputError: The parameter cannot have it.
        """
        name, policy = value["param"], state.extension_policy or ExtensionPolicy()
        if "choices" in value:
            value = {**value, "choices": users_choices(outer, name, value["choices"], policy)}
        wider = for_user(outer, value, policy)
        if wider != outer and self.grow is None:
            raise InputError(
                f"{gained(outer, wider)}: that lies beyond the outer space, which a study of yours keeps, or"
                " one that programs join.",
                "Allowed in a run without study= and join=.",
            )
        new = space.restore(name, wider[name])
        new = (
            new.narrow(name, choices=value["choices"])
            if "choices" in value
            else new.narrow(name, low=value["low"], high=value["high"])
        )
        now = dist.normal(new[name])
        if isinstance(now, dist.Numeric) and now.low > 0 and _had_log(state, name):
            new = new.replace(name, dist.numeric(now, now.low, now.high, log=True))  # it may have had a 0
        return new, wider

    def _drop_outside(self, space: SearchSpace | None, name: str) -> None:
        """Take those first configurations out of the queue that the parameter's new range rules out."""
        assert space is not None

        def is_outside(params: dict[str, Any]) -> bool:
            return name in params and bool(space.check(name, params[name])[1])

        self._drop_first(is_outside, f"{name} is outside its new range")

    def _note_difference(
        self, name: str, value: dict[str, Any], space: SearchSpace, *, had_log: bool
    ) -> None:
        """Emit a note where the parameter cannot have exactly the ends that the user asked for, or not its
        log scale.
        """
        now = dist.normal(space[name])
        if not isinstance(now, dist.Numeric):
            return
        if had_log and not now.log:
            text = (
                f"{name} is searched on a linear scale now, {dist.allowed(now)}: a log scale cannot begin at"
                f" {now.low:g}. A range that begins above 0 brings the log scale back."
            )
            self._emit(Note(text=text, level="warning", trial_number=self._next_number()))
        requested = value["low"], value["high"]
        if requested != (now.low, now.high):
            text = f"{name}: {requested[0]:g} to {requested[1]:g} was set as {dist.allowed(now)}."
            self._emit(Note(text=text, level="warning", trial_number=self._next_number()))


def _had_log(state: SpaceState, name: str) -> bool:
    """Whether the scale of a parameter was logarithmic in any version of the space."""
    return any(getattr(version.space.get(name), "log", False) for version in state.versions)


def enqueue(
    study: Study,
    outer: SearchSpace | None,
    configuration: dict[str, Any],
    *,
    reason: str = "",
    space: SearchSpace | None = None,
) -> list[str]:
    """Queue a configuration of the user; parameters it leaves out are the sampler's.

    Args:
        space: What is searched now.

    Returns:
        The parameters that are searched and that it leaves out.

    Raises:
        InputError: A parameter is unknown or its value cannot be used.
    """
    params = checked_configuration(outer, configuration)
    user_attrs = {
        attrs.SOURCE: "user",
        attrs.PROVENANCE: {"source": "user", "reason": reason or "queued by the user"},
    }
    study.enqueue_trial(params, user_attrs=user_attrs)
    if space is None:
        return []
    active = space.active(space.complete({n: v for n, v in params.items() if n in space}))
    return [name for name in active if name not in params and name not in space.fixed]


def left_out_text(names: Iterable[str]) -> str:
    """What becomes of the parameters that a configuration of the user leaves out."""
    return f"The enqueued configuration leaves out {', '.join(names)}: the sampler chooses the rest."


def dequeue(study: Study, outer: SearchSpace | None, configuration: dict[str, Any]) -> None:
    """Take back a configuration that :func:`enqueue` queued; it stays in the study as a trial that never ran.

    Raises:
        InputError: No such configuration waits.
    """
    params = checked_configuration(outer, configuration)
    for trial in reversed(waiting_trials(study)):
        is_users = trial.user_attrs.get(attrs.SOURCE) == "user"
        if is_users and queued_params(trial) == params and withdraw(study, trial, attrs.FOR_GOOD):
            return
    raise InputError("that configuration does not wait: it runs, or has run.")


def searched_part(configuration: Mapping[str, Any], unsearched: Collection[str]) -> dict[str, Any]:
    """A configuration of the user without the boosting rounds that early stopping finds: ``best_params`` has
    those that it found.

    Raises:
        InputError: There is nothing else in it.
    """
    searched = {name: value for name, value in configuration.items() if name not in unsearched}
    if configuration and not searched:
        raise InputError(
            f"{next(iter(configuration))} is found by early stopping.",
            "A configuration needs another parameter, too.",
        )
    return searched


def checked_configuration(outer: SearchSpace | None, configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration of the user as the study stores it: without what the search space holds at that value.

    Raises:
        InputError: A parameter is unknown or its value cannot be used.
    """
    if outer is None:
        return dict(configuration)
    params = {}
    for name, value in encoded(configuration, outer.objects).items():
        if name not in outer:
            if name in outer.fixed and dist.same(dist.plain(value)[0], outer.fixed[name]):
                continue
            raise outer.no_parameter(name)
        params[name], problem = outer.check(name, value)
        problem = problem or _off_grid(dist.normal(outer[name]), value)
        if problem:
            raise InputError(f"{name}: {problem}.", "The configuration was not queued.")
    return params


def _off_grid(distribution: dist.Distribution | None, value: Any) -> str:
    """What is wrong with a number between two points of a grid, which :meth:`SearchSpace.check` would move;
    "" for any other value.
    """
    number = dist.number_in(value)
    if number is None or not isinstance(distribution, dist.Numeric) or distribution.step is None:
        return ""
    steps = (number - distribution.low) / distribution.step
    if abs(steps - round(steps)) <= _GRID:
        return ""
    return f"{number:g} is off the grid; allowed: {dist.allowed(distribution)}"

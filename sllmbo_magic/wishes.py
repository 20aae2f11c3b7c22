"""The user's wishes, carried out between two trials: sampler, share, hints, ranges, queued configurations."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from sllmbo_magic import keys
from sllmbo_magic.control import Control
from sllmbo_magic.control import Wish
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import WishApplied
from sllmbo_magic.history import Hint
from sllmbo_magic.proposers.beyond import Beyond
from sllmbo_magic.proposers.beyond import for_user
from sllmbo_magic.proposers.beyond import gained
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.growth import Growth
from sllmbo_magic.space import SearchSpace

ASKED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_POLL_SECONDS = 0.3
"""Wishes from other processes are looked for at most that often."""


class Wishes:
    """Takes wishes from the control and carries them out.

    Args:
        study: The study of the run.
        sampler: Ours; None when the study has several objectives.
        space: Gives the fixed outer space at this moment; None for objectives that suggest for themselves.
        control: Where wishes wait.
        emit: Takes the events.
        extend: Adds trials to the run's total.
        poll: Brings wishes from outside this process into ``control``.
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
        extend: Callable[[int], None],
        poll: Callable[[], None] | None,
        grow: Callable[[Growth], Study] | None = None,
    ) -> None:
        self.study = study
        self._sampler = sampler
        self._space = space
        self._control = control
        self._emit = emit
        self._extend = extend
        self._poll = poll
        self._grow = grow
        self._polled = 0.0
        self._paused = False

    def poll(self) -> None:
        """Bring in wishes from other processes, if it is time."""
        if self._poll is not None and time.monotonic() - self._polled >= _POLL_SECONDS:
            self._polled = time.monotonic()
            self._poll()

    def say_pause(self, paused: bool) -> None:
        """Say that the run pauses or goes on, where that changed."""
        if paused != self._paused:
            self._paused = paused
            text = "Paused; the run waits before its next trial." if paused else "The run goes on."
            self._emit(Note(text=text, trial_number=self._next_number()))

    def carry_out(self) -> None:
        """All wishes that wait; one that cannot be carried out is said and costs nothing."""
        self.poll()
        for wish in self._control.take():
            number = self._next_number()
            try:
                self._apply(wish)
            except InputError as error:
                self._emit(Note(text=str(error), level="warning", trial_number=number))
            else:
                self._emit(WishApplied(wish=wish.name, value=wish.value, trial_number=number, id=wish.id))

    def _next_number(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=ASKED))

    def _apply(self, wish: Wish) -> None:
        if wish.name in ("pause", "resume", "stop"):
            return
        if wish.name == "extend":
            self._extend(wish.value)
            return
        sampler = self._sampler
        if sampler is None:
            raise InputError(f"{wish.name} has no effect on a run with several objectives.")
        if wish.name == "sampler":
            sampler.mode = wish.value
        elif wish.name == "ratio":
            sampler.schedule.ratio = wish.value
        elif wish.name == "hint":
            self._hint(sampler, wish.value)
        elif wish.name == "enqueue":
            enqueue(self.study, self._space(), wish.value)
        else:
            self._apply_to_space(sampler, wish)

    def _hint(self, sampler: LLMTPESampler, text: str) -> None:
        sampler.hints.append(Hint(text, self._next_number()))
        if sampler.batches.proposer.source != "llm":
            self._emit(
                Note(
                    text="The rulebook reads no hints; it is kept for an LLM. Change a range instead.",
                    level="warning",
                    trial_number=self._next_number(),
                )
            )

    def _apply_to_space(self, sampler: LLMTPESampler, wish: Wish) -> None:
        space, outer = sampler.space, sampler.outer
        if space is None or outer is None:
            raise InputError(
                f"{wish.name} needs a declared search space.", "This objective suggests for itself."
            )
        name = wish.value["param"] if wish.name == "range" else wish.value
        if wish.name == "range":
            self._range(sampler, space, outer, wish.value)
            sampler.owned.add(name)
        elif name not in outer:
            raise InputError(f"the search space has no parameter {name!r}.", f"It has: {', '.join(outer)}.")
        elif wish.name == "lock":
            sampler.locked.add(name)
        else:
            sampler.locked.discard(name)
            sampler.owned.discard(name)

    def _range(
        self, sampler: LLMTPESampler, space: SearchSpace, outer: SearchSpace, value: dict[str, Any]
    ) -> None:
        """A version with the user's range; beyond the outer space the run goes on in a new study."""
        name, reason = value["param"], f"set by the user: {value['param']}"
        wider = for_user(outer, value, sampler.beyond or Beyond())
        new = space.restore(name, wider[name])
        new = (
            new.narrow(name, choices=value["choices"])
            if "choices" in value
            else new.narrow(name, low=value["low"], high=value["high"])
        )
        if wider == outer:
            sampler.change_space(new.within(outer), self._next_number(), reason, "user")
            sampler.store_versions(self.study)
            return
        if self._grow is None:
            raise InputError(
                f"{gained(outer, wider)}: that lies beyond the outer space, which a study of yours keeps.",
                "Allowed in a run without study=.",
            )
        self._grow(Growth(wider, new.within(wider), reason, "user"))
        if sampler.beyond is not None:
            refused = [c for c in value.get("choices", ()) if sampler.beyond.accepts(name, c) is False]
            for choice in refused:
                text = f"The estimator says that it does not take {name}={choice!r}: its trials may fail."
                self._emit(Note(text=text, level="warning", trial_number=self._next_number()))


def enqueue(study: Study, outer: SearchSpace | None, given: dict[str, Any], *, reason: str = "") -> None:
    """Queue a configuration of the user; parameters it leaves out are the sampler's.

    Raises:
        InputError: A parameter is unknown or its value cannot be used.
    """
    params = dict(given)
    if outer is not None:
        params = {}
        for name, value in given.items():
            if name not in outer:
                raise InputError(
                    f"the search space has no parameter {name!r}.", f"It has: {', '.join(outer)}."
                )
            checked, problems = SearchSpace({name: outer[name]}).validate({name: value})
            if checked is None:
                raise InputError(f"{problems[0]}.", "The configuration was not queued.")
            params.update(checked)
    attrs = {
        keys.SOURCE: "user",
        keys.PROVENANCE: {"source": "user", "reason": reason or "queued by the user"},
    }
    study.enqueue_trial(params, user_attrs=attrs)

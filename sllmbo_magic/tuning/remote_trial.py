"""Optuna's trial in another process: each call is carried out on the trial in the process of the run.

Study, sampler, pruner and storage stay in the process of the run, so that a trial can report, be pruned and
suggest parameters wherever it is evaluated, with any storage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol

TRIAL_METHODS = frozenset(
    {"report", "should_prune", "set_user_attr", "set_system_attr", "set_constraint", "suggest_categorical"}
    | {"suggest_float", "suggest_int", "suggest_uniform", "suggest_loguniform", "suggest_discrete_uniform"}
    | {"_suggest"}
)
TRIAL_VALUES = frozenset(
    {"params", "distributions", "user_attrs", "system_attrs", "constraints", "datetime_start"}
    | {"relative_params"}
)

Answer = Callable[[int, str, tuple[Any, ...], dict[str, Any]], Any]
"""Carries out a call in the process of the run: number of the trial, name, arguments."""


class Channel(Protocol):
    """The way from another process to that of the run. It can be sent to the other process."""

    def ask(self, number: int, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result of a call there; what the call raises is raised here."""
        ...


class RemoteTrial:
    """The trial with a number, seen from another process. ``trial.study`` is not there.

    Args:
        number: The trial's number.
        channel: Leads to the process of the run.
    """

    def __init__(self, number: int, channel: Channel) -> None:
        self.number = number
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        if name in TRIAL_VALUES:
            return self._channel.ask(self.number, name, (), {})
        if name in TRIAL_METHODS:
            return lambda *args, **options: self._channel.ask(self.number, name, args, options)
        raise AttributeError(f"a trial in another process has no attribute {name!r}")


class SentTrial:
    """Optuna's trial, which becomes a :class:`RemoteTrial` in the process that it is sent to.

    Args:
        trial: Optuna's trial.
        channel: Leads from there to this process.
    """

    def __init__(self, trial: Any, channel: Channel) -> None:
        self._trial = trial
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteTrial, (self._trial.number, self._channel)


def carry_out(trial: Any, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a :class:`RemoteTrial` asks for, on the trial itself.

    Raises:
        AttributeError: A trial in another process may not do that.
    """
    if name in TRIAL_METHODS:
        return getattr(trial, name)(*args, **options)
    if name in TRIAL_VALUES:
        return getattr(trial, name)
    raise AttributeError(name)

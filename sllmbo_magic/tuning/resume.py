"""The user's commands of an earlier process, read back from the events of a run that is resumed."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sllmbo_magic.control import SAMPLER_MODES
from sllmbo_magic.events import Event
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import WishApplied
from sllmbo_magic.history.hints import Hint


@dataclass
class EarlierCommands:
    """What the user's commands had set when the earlier process ended.

    Attributes:
        hints: Oldest first.
        locked: Parameters that the user locked.
        user_ranges: Parameters whose range the user set.
        mode: The sampler that the user chose while the run went; None: the one of the run's options.
        ratio: The LLM's share, likewise.
    """

    hints: list[Hint] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)
    user_ranges: set[str] = field(default_factory=set)
    mode: str | None = None
    ratio: float | None = None

    def forget_changed(self, options: Mapping[str, Any], sampler: str, ratio: float) -> None:
        """An option that now differs from the earlier process's was asked for later, and wins.

        Args:
            options: As run.json has them of the earlier process.
            sampler: The option now.
            ratio: The option now.
        """
        if options.get("sampler") != sampler:
            self.mode = None
        if options.get("llm_ratio") != ratio:
            self.ratio = None


def earlier_commands(events: Iterable[Event]) -> EarlierCommands:
    """Read the events; ``RunStarted`` of a resumed run holds the sampler and the share of that time."""
    commands = EarlierCommands()
    for event in events:
        if isinstance(event, RunStarted):
            mode, ratio = event.run.get("sampler"), event.run.get("llm_ratio")
            commands.mode = mode if mode in SAMPLER_MODES else None
            commands.ratio = ratio if isinstance(ratio, int | float) else None
        elif isinstance(event, WishApplied):
            _apply(commands, event)
    return commands


def _apply(commands: EarlierCommands, event: WishApplied) -> None:
    value = event.value
    if event.wish == "hint":
        commands.hints.append(Hint(str(value), event.trial_number))
    elif event.wish == "lock":
        commands.locked.add(str(value))
    elif event.wish == "unlock":
        commands.locked.discard(str(value))
        commands.user_ranges.discard(str(value))
    elif event.wish == "range" and isinstance(value, Mapping):
        commands.user_ranges.add(str(value.get("param")))
    elif event.wish == "sampler" and value in SAMPLER_MODES:
        commands.mode = value
    elif event.wish == "ratio" and isinstance(value, int | float):
        commands.ratio = float(value)

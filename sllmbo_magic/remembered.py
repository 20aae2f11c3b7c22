"""The user's wishes of an earlier process, read back from the events of a run that is resumed."""

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
from sllmbo_magic.history import Hint
from sllmbo_magic.samplers import LLMTPESampler


@dataclass
class Remembered:
    """What was in force when the earlier process ended.

    Attributes:
        hints: Oldest first.
        locked: Parameters that the user locked.
        owned: Parameters whose range the user set.
        mode: The sampler that the user chose while the run went; None: the one of the run's options.
        ratio: The LLM's share, likewise.
    """

    hints: list[Hint] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)
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

    def apply(self, to: LLMTPESampler) -> None:
        """Put it in force again."""
        to.hints.extend(self.hints)
        to.locked |= self.locked
        to.owned |= self.owned
        if self.mode is not None:
            to.mode = self.mode
        if self.ratio is not None:
            to.schedule.ratio = self.ratio


def remember(events: Iterable[Event]) -> Remembered:
    """What the events say; ``RunStarted`` of a resumed run says what was in force then."""
    found = Remembered()
    for event in events:
        if isinstance(event, RunStarted):
            mode, ratio = event.run.get("sampler"), event.run.get("llm_ratio")
            found.mode = mode if mode in SAMPLER_MODES else None
            found.ratio = ratio if isinstance(ratio, int | float) else None
        elif isinstance(event, WishApplied):
            _take(found, event)
    return found


def _take(found: Remembered, event: WishApplied) -> None:
    value = event.value
    if event.wish == "hint":
        found.hints.append(Hint(str(value), event.trial_number))
    elif event.wish == "lock":
        found.locked.add(str(value))
    elif event.wish == "unlock":
        found.locked.discard(str(value))
        found.owned.discard(str(value))
    elif event.wish == "range" and isinstance(value, Mapping):
        found.owned.add(str(value.get("param")))
    elif event.wish == "sampler" and value in SAMPLER_MODES:
        found.mode = value
    elif event.wish == "ratio" and isinstance(value, int | float):
        found.ratio = float(value)

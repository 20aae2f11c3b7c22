"""What one option is: its spellings, how its value is read, its default, its value under a preset."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any
from typing import Literal
from typing import TypeAlias


class _Unchanged(Enum):
    UNCHANGED = "unchanged"


UNCHANGED = _Unchanged.UNCHANGED
"""The preset leaves the option at its default."""

Kind: TypeAlias = Literal[
    "flag",  # present or absent; in Python a bool
    "switch",  # --judge / --no-judge; in Python a bool
    "count",  # integer from `low` to `high`
    "jobs",  # integer other than 0; negative ones count cores from the end, -1 is all
    "share",  # number from 0 to 1
    "amount",  # number above 0
    "duration",  # seconds, or "90s", "10m", "1h30m"
    "choice",  # one of `choices`
    "directions",  # one of `choices`, or several with commas between
    "patience",  # integer from 1, "auto" or "off"
    "text",
]


@dataclass(frozen=True)
class Option:
    """One option of a run.

    Attributes:
        flag: As typed in ``%%sllmbo``, e.g. ``"--n-trials"``; "" for an option of ``tune`` only.
        kind: How its value is read; see :data:`Kind`.
        help: One or two sentences.
        argument: The keyword of ``tune`` that it sets; None when only the magic uses it.
        default: The default of that keyword.
        shown: The default in words, where the value alone does not say it.
        paper: Its value under ``--preset paper``; :data:`UNCHANGED` when that does not differ.
        paper_llm: The same when the sampler is the LLM alone; :data:`UNCHANGED` when it is as ``paper``.
        aliases: Other spellings.
        negative: The spelling that switches it off (kind ``"switch"``).
        choices: The allowed words (kinds ``"choice"``, ``"directions"`` and ``"patience"``).
        objects: The objects that are allowed too, in words ("a sampler of Optuna"); "" for none.
        low: Smallest value (kind ``"count"``).
        high: Largest value (kind ``"count"``); None for no bound.
        metavar: What stands for the value in help texts.
        example: A value for help texts and tests.
    """

    flag: str
    kind: Kind
    help: str
    argument: str | None = None
    default: Any = None
    shown: str = ""
    paper: Any = UNCHANGED
    paper_llm: Any = UNCHANGED
    aliases: tuple[str, ...] = ()
    negative: str = ""
    choices: tuple[str, ...] = ()
    objects: str = ""
    low: int = 1
    high: int | None = None
    metavar: str = ""
    example: str = ""

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the flag."""
        return self.kind not in ("flag", "switch")

    @property
    def key(self) -> str:
        """The flag as a Python name: ``--n-trials`` is ``n_trials``."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way to type it, the main one first."""
        return (self.flag, *self.aliases, *((self.negative,) if self.negative else ()))

"""What follows the name of a line command."""

from __future__ import annotations

from dataclasses import dataclass

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.command_table import BY_NAME


@dataclass(frozen=True)
class Arguments:
    """The words of a line command.

    Attributes:
        command: The command's name.
        words: What follows it, without ``--run NAME``.
        run_name: The run that ``--run`` chose.
        wants_help: Whether ``--help`` or ``-h`` was given.
        written: The words with their quotes: ``"1"`` is a text where 1 is a number.
    """

    command: str
    words: list[str]
    run_name: str | None = None
    wants_help: bool = False
    written: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """An example of the command, for messages."""
        return f"Usage: {BY_NAME[self.command].example}"

    def one(self, expected: str) -> str:
        """The only word.

        Raises:
            InputError: There is none, or more than one.
        """
        if len(self.words) != 1:
            raise InputError(f"%sllmbo {self.command} takes {expected}.", self.usage)
        return self.words[0]

    def at_most_one_run(self) -> str | None:
        """The name of a run, also by ``--run``; None when none was given.

        Raises:
            InputError: There are several.
        """
        if len(self.words) + (self.run_name is not None) > 1:
            raise InputError(f"%sllmbo {self.command} takes one name of a run, or none.", self.usage)
        return self.words[0] if self.words else self.run_name

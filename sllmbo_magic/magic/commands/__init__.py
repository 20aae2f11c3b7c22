"""The line commands of ``%sllmbo``: one small function each, found by name.

A command that steers goes to a run of this kernel, or into the folder of a run of another one.
Values are read by ``ast.literal_eval`` and ``json``, never evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import lexer
from sllmbo_magic.magic.command_table import BY_NAME
from sllmbo_magic.magic.command_table import COMMANDS
from sllmbo_magic.magic.commands import comparing
from sllmbo_magic.magic.commands import providers
from sllmbo_magic.magic.commands import steering
from sllmbo_magic.magic.commands import stored_runs
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.help import command_help
from sllmbo_magic.magic.help import help_text
from sllmbo_magic.magic.help import option_help
from sllmbo_magic.magic.line import find_option
from sllmbo_magic.magic.line import read_value
from sllmbo_magic.magic.namespace import value_of
from sllmbo_magic.magic.session import Session
from sllmbo_magic.options import BY_SPELLING
from sllmbo_magic.options import COMPARE_OPTIONS
from sllmbo_magic.options import Option
from sllmbo_magic.options.values import closest
from sllmbo_magic.options.values import shorten

_RUN = Option("--run", "text", "The run that a command steers.")


def run(session: Session, line: str) -> None:
    """Carry out one line.

    Raises:
        InputError: The command, its arguments or the run do not exist.
    """
    arguments = parse(line, session.shell.user_ns)
    if arguments.wants_help:
        _show_help(session, Arguments("help", [arguments.command]))
    else:
        _COMMANDS[arguments.command](session, arguments)


async def wait_async(session: Session, line: str) -> None:
    """Carry out ``wait`` without blocking the event loop."""
    arguments = parse(line, session.shell.user_ns)
    if arguments.wants_help:
        _show_help(session, Arguments("help", [arguments.command]))
    else:
        await steering.wait_async(session, arguments)


def parse(line: str, user_ns: Mapping[str, Any] | None = None) -> Arguments:
    """The command, its arguments, and the run that ``--run`` chose, by name or by ``{variable}``."""
    is_hint = line.split(maxsplit=1)[:1] == ["hint"]  # words for the LLM may hold a #
    words = [w for w in lexer.split(line, comments=not is_hint) if w.text != "--debug" or w.quoted]
    asks_help = [w for w in words if w.text in ("--help", "-h") and not w.quoted]
    words = [w for w in words if w not in asks_help]
    if not words:
        return Arguments("help", [])
    texts, written = [word.text for word in words[1:]], [word.written for word in words[1:]]
    name = find_command(words[0].text, texts)
    if texts and not BY_NAME[name].arguments:
        raise InputError(f"%sllmbo {name} takes no arguments.", Arguments(name, []).usage)
    run_name = None
    if "--run" in texts:
        at = texts.index("--run")
        if at + 1 == len(texts):
            raise InputError("--run needs the name of a run.", Arguments(name, []).usage)
        run_name = value_of(_RUN, read_value(_RUN, texts[at + 1]), user_ns or {})
        del texts[at : at + 2], written[at : at + 2]
    return Arguments(name, texts, run_name, bool(asks_help), tuple(written))


def find_command(word: str, following: Sequence[str] = ()) -> str:
    """The line command that a word means.

    Args:
        word: The first word of the line.
        following: The others: with options of ``%%sllmbo`` among them it is the line of a cell.

    Raises:
        InputError: There is none; with the closest match.
    """
    if word in BY_NAME:
        return word
    if any(text.partition("=")[0] in BY_SPELLING for text in following):
        raise InputError(
            f"{shorten(word)!r} is no command of %sllmbo, which takes one line.",
            "A cell that is tuned begins with two percent signs: %%sllmbo.",
        )
    raise InputError(
        f"unknown command {shorten(word)!r} of %sllmbo.",
        f"{closest(word, BY_NAME)}Allowed: {', '.join(BY_NAME)}.",
    )


def _show_help(session: Session, arguments: Arguments) -> None:
    if not arguments.words:
        print(help_text())
        return
    topic = arguments.one("one command or option, or nothing")
    if topic in BY_NAME:
        print(command_help(BY_NAME[topic]))
        for option in COMPARE_OPTIONS if topic == "compare" else ():
            print(option_help(option))
        return
    try:
        print(option_help(find_option(topic if topic.startswith("-") else f"--{topic}")))
    except InputError:
        if topic.startswith("-"):
            raise
        raise InputError(
            f"unknown command or option {shorten(topic)!r}.",
            f"{closest(topic, [*BY_NAME, *BY_SPELLING])}%sllmbo help shows all of them.",
        ) from None


_COMMANDS: dict[str, Callable[[Session, Arguments], None]] = {
    **steering.COMMANDS,
    **stored_runs.COMMANDS,
    "compare": comparing.compare,
    **providers.COMMANDS,
    "help": _show_help,
}
assert set(_COMMANDS) == {command.name for command in COMMANDS}

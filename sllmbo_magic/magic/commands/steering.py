"""Line commands that act on a run that goes on: ``pause``, ``hint``, ``range`` and the like, and ``wait``."""

from __future__ import annotations

import ast
import asyncio
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.control import check
from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.errors import interrupted
from sllmbo_magic.magic.lexer import split_at_commas
from sllmbo_magic.magic.running import HEARTBEAT
from sllmbo_magic.magic.session import Session
from sllmbo_magic.magic.session import StartedRun
from sllmbo_magic.options.values import closest
from sllmbo_magic.options.values import shorten

if TYPE_CHECKING:
    from sllmbo_magic.storage.run_directory import RunFolder

Action = Callable[[Session, Arguments], None]
_WHEN = {"stop": "after the fold in flight", "resume": "at once"}


def _send(session: Session, arguments: Arguments, value: Any = None, run_name: str | None = None) -> None:
    """Put the command to the run that is meant: of this kernel, or of another one through its folder."""
    active = session.active()
    name, remark = run_name or arguments.run_name, ""
    if name is None and len(active) > 1:
        raise InputError(
            f"{len(active)} runs go on: {', '.join(active)}.",
            f"Choose one with --run: {arguments.usage} --run NAME.",
        )
    if name is None and active:
        name = next(iter(active))
    if name in active:
        control = active[name].run.control
        control.check(arguments.command, value)
        control.wish(arguments.command, value)
    else:
        from sllmbo_magic.storage.runs import find_run
        from sllmbo_magic.storage.runs import send_command

        name = name or _only_run_elsewhere()
        remark = _checked_names(find_run(name), arguments.command, value)
        send_command(name, arguments.command, value)
    when = _WHEN.get(arguments.command, "at the next trial")
    print(f"{name}: {arguments.command} is noted and takes effect {when}.{remark}")


def _checked_names(folder: RunFolder, command: str, value: Any) -> str:
    """A remark on a range of a parameter that is not searched in a run elsewhere: whether its estimator has
    it, only the run can tell.

    Raises:
        InputError: Another command names a parameter that is not searched.
    """
    if command not in ("range", "lock", "unlock", "enqueue", "dequeue") or folder.owner() is None:
        return ""
    from sllmbo_magic.events import SpaceChanged
    from sllmbo_magic.space.search_space import SearchSpace
    from sllmbo_magic.tuning.archive import stored_events

    value = check(command, value)
    events = stored_events(folder.transcript_path)
    outers = [e.outer for e in events if isinstance(e, SpaceChanged) and e.outer is not None]
    waiting = {c.value["param"] for c in folder.read_commands()[0] if c.name == "range"}
    if not outers:
        return ""
    outer = SearchSpace.from_json(outers[-1])
    names = [value["param"]] if command == "range" else [value] if isinstance(value, str) else [*value]
    held = outer.fixed if command in ("enqueue", "dequeue") else {}
    unknown = [name for name in names if name not in outer and name not in held and name not in waiting]
    if not unknown:
        return ""
    if command != "range":
        raise outer.no_parameter(unknown[0])
    meant = closest(unknown[0], outer) or "The run takes it if its estimator has it."
    return f" {unknown[0]!r} is not searched so far. {meant}".rstrip()


def _only_run_elsewhere() -> str:
    from sllmbo_magic.storage.runs import list_runs

    running = [info.name for info in list_runs() if info.running]
    if len(running) == 1:
        return running[0]
    if running:
        raise InputError(f"{len(running)} runs go on: {', '.join(running)}.", "Choose one with --run NAME.")
    raise InputError(
        "no run goes on.",
        "While a cell runs, its own controls steer it; line commands steer a run started with --background, "
        "or one of another notebook in this folder.",
    )


def _without_value(session: Session, arguments: Arguments) -> None:
    _send(session, arguments, run_name=arguments.at_most_one_run())


def _with_one_value(expected: str) -> Action:
    def command(session: Session, arguments: Arguments) -> None:
        _send(session, arguments, arguments.one(expected))

    return command


def _hint(session: Session, arguments: Arguments) -> None:
    if not arguments.words:
        raise InputError("%sllmbo hint takes your words.", arguments.usage)
    _send(session, arguments, " ".join(arguments.words))


def _range(session: Session, arguments: Arguments) -> None:
    name, *ends = arguments.words or [""]
    text = " ".join(ends)
    written = " ".join(arguments.written[1:])
    if len(ends) == 1 and len(split_at_commas(written)) == 1:  # the whole list in quotes
        written = text
    if "," in written or text.startswith("["):
        _send(session, arguments, {"param": name, "choices": _choices(arguments, written)})
    elif len(ends) == 2:
        _send(session, arguments, {"param": name, "low": ends[0], "high": ends[1]})
    else:
        raise InputError(
            "%sllmbo range takes a parameter with low and high, or with choices.", arguments.usage
        )


def _choices(arguments: Arguments, text: str) -> Any:
    """``[1, None]`` as plain data; ``gbdt,dart`` and ``None,(64, 32)`` as words, and what is no word as data,
    unless it stands in quotes: ``"1"`` is a text.

    With a comma behind it one choice is a list: ``gbdt,``.
    """
    if text.startswith("["):
        return _plain_data(arguments, text)
    choices = []
    for word in split_at_commas(text.strip().removesuffix(",")):
        try:
            choices.append(word.text if word.quoted else ast.literal_eval(word.text))
        except (ValueError, SyntaxError):
            choices.append(word.text)
    if "" in choices:
        raise InputError("%sllmbo range: a choice is missing between two commas.", arguments.usage)
    return choices


def _enqueue(session: Session, arguments: Arguments) -> None:
    text = arguments.one("one configuration in braces")
    _send(session, arguments, _plain_data(arguments, text))


def _plain_data(arguments: Arguments, text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    raise InputError(
        f"%sllmbo {arguments.command}: {shorten(text)!r} is not plain data.",
        f"Allowed: numbers, texts in quotes, True, False, None. {arguments.usage}",
    )


# ---- wait


def _wait(session: Session, arguments: Arguments) -> None:
    run = _run_to_wait_for(session, arguments.at_most_one_run())
    while not _has_ended(run):
        time.sleep(HEARTBEAT)
    _finish(session, run)


async def wait_async(session: Session, arguments: Arguments) -> None:
    """Wait for the end of a run without blocking the event loop. An interrupt ends the waiting, not the run.

    Raises:
        InputError: There is no such run, or there are several; or what the run itself raised.
    """
    run = _run_to_wait_for(session, arguments.at_most_one_run())
    try:
        while not _has_ended(run):
            await asyncio.sleep(HEARTBEAT)
    except asyncio.CancelledError:
        raise interrupted("the run goes on; %sllmbo stop ends it.") from None
    _finish(session, run)


def _run_to_wait_for(session: Session, name: str | None) -> StartedRun | RunFolder:
    if name is not None and name in session.runs:
        return session.runs[name]
    if name is not None:
        from sllmbo_magic.storage.runs import find_run

        return find_run(name)
    candidates = session.active() or session.not_waited_for()
    if len(candidates) == 1:
        return next(iter(candidates.values()))
    if candidates:
        raise InputError(
            f"{len(candidates)} runs go on: {', '.join(candidates)}.", "Name one: %sllmbo wait NAME."
        )
    raise InputError("no run of this notebook goes on.", "Start one with %%sllmbo NAME --background.")


def _has_ended(run: StartedRun | RunFolder) -> bool:
    if isinstance(run, StartedRun):
        run.show()
        return run.run.done
    return run.owner() is None


def _finish(session: Session, run: StartedRun | RunFolder) -> None:
    if isinstance(run, StartedRun):
        session.finish(run)
    else:
        print(f"{run.name} has ended; %sllmbo show {run.name} shows it.")


COMMANDS: dict[str, Action] = {
    "pause": _without_value,
    "resume": _without_value,
    "stop": _without_value,
    "sampler": _with_one_value("llm, llm-tpe or tpe"),
    "ratio": _with_one_value("a number from 0 to 1"),
    "hint": _hint,
    "range": _range,
    "lock": _with_one_value("the name of a parameter"),
    "unlock": _with_one_value("the name of a parameter"),
    "enqueue": _enqueue,
    "dequeue": _enqueue,
    "extend": _with_one_value("a number of trials"),
    "wait": _wait,
}

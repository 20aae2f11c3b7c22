"""The line commands of ``%sllmbo``: a table of small functions.

A command that steers puts a wish to a run of this kernel, or leaves it in the folder of a run of another one.
Values are read by ``ast.literal_eval`` and ``json``, never evaluated.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.files import write_whole
from sllmbo_magic.magic import lexer
from sllmbo_magic.magic import listing
from sllmbo_magic.magic import waiting
from sllmbo_magic.magic.help import command_help
from sllmbo_magic.magic.help import help_text
from sllmbo_magic.magic.help import option_help
from sllmbo_magic.magic.spec import find_command
from sllmbo_magic.magic.spec import find_option
from sllmbo_magic.magic.views import in_kernel
from sllmbo_magic.magic.views import plain_text
from sllmbo_magic.magic.views import show_output
from sllmbo_magic.magic.views import static_picture
from sllmbo_magic.options import BY_NAME
from sllmbo_magic.options import COMMANDS
from sllmbo_magic.options import COMPARE_OPTIONS

if TYPE_CHECKING:
    from sllmbo_magic.magic.magics import SllmboMagics


def run(magics: SllmboMagics, line: str) -> None:
    """Carry out one line.

    Raises:
        InputError: The command, its arguments or the run do not exist.
    """
    name, arguments, run_name = parse(line)
    _COMMANDS[name](magics, arguments, run_name)


def parse(line: str) -> tuple[str, list[str], str | None]:
    """The command, its arguments, and the run that ``--run`` chose."""
    words = [word.text for word in lexer.split(line) if word.text != "--debug" or word.quoted]
    if not words:
        words = ["help"]
    name = find_command(words[0])
    arguments = words[1:]
    run_name = None
    if "--run" in arguments:
        at = arguments.index("--run")
        if at + 1 == len(arguments):
            raise InputError("--run needs the name of a run.", _usage(name))
        run_name = arguments[at + 1]
        del arguments[at : at + 2]
    return name, arguments, run_name


def _usage(name: str) -> str:
    return f"Usage: {BY_NAME[name].example}"


def _one(name: str, arguments: list[str], what: str) -> str:
    if len(arguments) != 1:
        raise InputError(f"%sllmbo {name} takes {what}.", _usage(name))
    return arguments[0]


def _at_most_one(name: str, arguments: list[str], run_name: str | None) -> str | None:
    if len(arguments) + (run_name is not None) > 1:
        raise InputError(f"%sllmbo {name} takes one name of a run, or none.", _usage(name))
    return arguments[0] if arguments else run_name


# ---- steering


def _steer(magics: SllmboMagics, run_name: str | None, wish: str, value: Any = None) -> None:
    """Put a wish to the run that is meant: of this kernel, or of another one through its folder."""
    started = magics.going_on()
    if run_name is None and len(started) > 1:
        raise InputError(
            f"{len(started)} runs go on: {', '.join(started)}.",
            f"Choose one with --run: {_usage(wish)} --run NAME.",
        )
    if run_name is None and started:
        run_name = next(iter(started))
    if run_name in started:
        started[run_name].run.control.wish(wish, value)
    else:
        from sllmbo_magic.storage import send_wish

        run_name = run_name or _only_run_elsewhere()
        send_wish(run_name, wish, value)
    when = {"stop": "after the fold in flight", "resume": "at once"}.get(wish, "at the next trial")
    print(f"{run_name}: {wish} is noted and takes effect {when}.")


def _only_run_elsewhere() -> str:
    from sllmbo_magic.storage import list_runs

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


def _plain_wish(name: str) -> Callable[[SllmboMagics, list[str], str | None], None]:
    def command(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
        _steer(magics, _at_most_one(name, arguments, run_name), name)

    return command


def _wish_of_one(name: str, what: str) -> Callable[[SllmboMagics, list[str], str | None], None]:
    def command(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
        _steer(magics, run_name, name, _one(name, arguments, what))

    return command


def _hint(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    if not arguments:
        raise InputError("%sllmbo hint takes your words.", _usage("hint"))
    _steer(magics, run_name, "hint", " ".join(arguments))


def _range(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    if len(arguments) == 2 and ("," in arguments[1] or arguments[1].startswith("[")):
        _steer(magics, run_name, "range", {"param": arguments[0], "choices": _choices(arguments[1])})
    elif len(arguments) == 3:
        low, high = arguments[1:]
        _steer(magics, run_name, "range", {"param": arguments[0], "low": low, "high": high})
    else:
        raise InputError(
            "%sllmbo range takes a parameter with low and high, or with choices.", _usage("range")
        )


def _choices(text: str) -> Any:
    """``[1, None]`` as plain data; ``gbdt,dart`` as words, and what is no word as data."""
    if text.startswith("["):
        return _literal("range", text)
    found = []
    for word in text.split(","):
        try:
            found.append(ast.literal_eval(word.strip()))
        except (ValueError, SyntaxError):
            found.append(word.strip())
    return found


def _enqueue(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    text = _one("enqueue", arguments, "one configuration in braces")
    _steer(magics, run_name, "enqueue", _literal("enqueue", text))


def _literal(name: str, text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    raise InputError(
        f"%sllmbo {name}: {lexer.shorten(text)!r} is not plain data.",
        f"Allowed: numbers, texts in quotes, True, False, None. {_usage(name)}",
    )


def _wait(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    waiting.wait(magics, _at_most_one("wait", arguments, run_name))


async def wait_async(magics: SllmboMagics, line: str) -> None:
    """Carry out ``wait`` without blocking the event loop."""
    name, arguments, run_name = parse(line)
    await waiting.wait_async(magics, _at_most_one(name, arguments, run_name))


# ---- looking


def _runs(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    from sllmbo_magic.storage import list_runs

    print(listing.runs_table(list_runs()))


def result_of(magics: SllmboMagics, name: str) -> Any:
    """The result of a run by name: the one in the notebook, else the one on disk.

    Raises:
        InputError: There is none.
    """
    from sllmbo_magic.result import TuneResult

    here = magics.shell.user_ns.get(name)
    if isinstance(here, TuneResult):
        return here
    from sllmbo_magic.storage import find_run

    return TuneResult.load(find_run(name).path)


def _show(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    name = _one("show", arguments, "the name of a run")
    bundle = result_of(magics, name).bundle()
    if in_kernel(magics.shell):
        show_output(static_picture(bundle), raw=True)
    else:
        print(plain_text(bundle))


def _preview(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    """Every message as it was sent: the transcript's, whole, for a run with a folder."""
    from sllmbo_magic.llm.transcript import read
    from sllmbo_magic.storage import find_run

    name = _at_most_one("preview", arguments, run_name) or _latest(magics)
    path = find_run(name).transcript_path
    records = list(read(path)) if path.exists() else []
    print(listing.exchanges_text(name, [r for r in records if r["kind"] == "exchange"]))


def _latest(magics: SllmboMagics) -> str:
    if magics.started:
        return next(reversed(magics.started))
    from sllmbo_magic.storage import list_runs

    runs = list_runs()
    if not runs:
        raise InputError(
            "there are no runs yet.", "%%sllmbo NAME --dry-run shows the first request of a run."
        )
    return runs[0].name


def _report(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    name, path = _name_and_path("report", arguments, ".html")
    result_of(magics, name).report(path)
    print(f"{name}: wrote {path}")


def _export(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    name, path = _name_and_path("export", arguments, ".json")
    text = json.dumps(result_of(magics, name).bundle(), ensure_ascii=False, indent=1)
    write_whole(path, f"{text}\n".encode())
    print(f"{name}: wrote {path}")


def _name_and_path(command: str, arguments: list[str], suffix: str) -> tuple[str, Path]:
    if len(arguments) not in (1, 2):
        raise InputError(
            f"%sllmbo {command} takes the name of a run and, if you like, a path.", _usage(command)
        )
    path = Path(arguments[1] if len(arguments) == 2 else f"{arguments[0]}{suffix}").expanduser()
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r}.", "Make it first, or give another path.")
    return arguments[0], path


def _code(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    print(result_of(magics, _one("code", arguments, "the name of a run")).code().rstrip())


def _compare(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    """Of one run: search its task again in several ways. Of several: their results in one table."""
    if not arguments:
        raise InputError("%sllmbo compare takes one name of a run, or two or more.", _usage("compare"))
    if len(arguments) == 1 or any(word.startswith("--") for word in arguments):
        from sllmbo_magic.magic.comparing import compare_again

        compare_again(magics, arguments, result_of)
        return
    print(listing.compare_table({name: result_of(magics, name).bundle() for name in arguments}))


# ---- the rest


def _delete(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    from sllmbo_magic.storage import delete_run

    name = _one("delete", arguments, "the name of a run")
    delete_run(name)
    print(f"{name}: deleted")


def _rename(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    from sllmbo_magic.result import TuneResult
    from sllmbo_magic.storage import rename_run

    if len(arguments) != 2:
        raise InputError("%sllmbo rename takes a name and the new one.", _usage("rename"))
    old, new = arguments
    bound = magics.shell.user_ns.get(old)
    rename_run(old, new)
    if isinstance(bound, TuneResult) and bound.name == new and new.isidentifier():
        magics.shell.user_ns[new] = bound
    print(f"{old} is now {new}")


def _providers(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    from sllmbo_magic.llm.registry import list_providers

    print(listing.providers_table(list_providers()))


def _key(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    from sllmbo_magic.llm.credentials import SOURCES
    from sllmbo_magic.llm.credentials import prompt_for_key

    provider = _one("key", arguments, "a provider").partition(":")[0]
    if provider not in SOURCES:
        raise InputError(f"there is no key for {provider!r}.", f"Allowed: {', '.join(SOURCES)}.")
    prompt_for_key(provider)
    print(f"The key for {provider} is kept until this kernel ends.")


def _doctor(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    """Without an LLM's name: what is installed and configured. With one: a tiny request to it."""
    base_url = None
    if "--base-url" in arguments:
        at = arguments.index("--base-url")
        base_url = next(iter(arguments[at + 1 :]), None)
        del arguments[at : at + 2]
    if not arguments:
        from sllmbo_magic.llm.registry import list_providers

        print(listing.installation_table(), end="\n\n")
        print(listing.providers_table(list_providers()))
        print("\n%sllmbo doctor PROVIDER:MODEL sends a tiny request to that LLM.")
        return
    from sllmbo_magic.llm.doctor import doctor

    llm = _one("doctor", arguments, "an LLM, as --llm takes it, or nothing")
    print(listing.checks_table(doctor(llm, base_url)))


def _help(magics: SllmboMagics, arguments: list[str], run_name: str | None) -> None:
    if not arguments:
        print(help_text())
        return
    topic = _one("help", arguments, "one command or option, or nothing")
    if topic in BY_NAME:
        print(command_help(BY_NAME[topic]))
        for option in COMPARE_OPTIONS if topic == "compare" else ():
            print(option_help(option))
    else:
        print(option_help(find_option(topic if topic.startswith("-") else f"--{topic}")))


_COMMANDS: dict[str, Callable[[SllmboMagics, list[str], str | None], None]] = {
    "runs": _runs,
    "show": _show,
    "pause": _plain_wish("pause"),
    "resume": _plain_wish("resume"),
    "stop": _plain_wish("stop"),
    "wait": _wait,
    "sampler": _wish_of_one("sampler", "llm, llm-tpe or tpe"),
    "ratio": _wish_of_one("ratio", "a number from 0 to 1"),
    "hint": _hint,
    "range": _range,
    "lock": _wish_of_one("lock", "the name of a parameter"),
    "unlock": _wish_of_one("unlock", "the name of a parameter"),
    "enqueue": _enqueue,
    "extend": _wish_of_one("extend", "a number of trials"),
    "preview": _preview,
    "report": _report,
    "export": _export,
    "code": _code,
    "compare": _compare,
    "delete": _delete,
    "rename": _rename,
    "providers": _providers,
    "key": _key,
    "doctor": _doctor,
    "help": _help,
}
assert set(_COMMANDS) == {command.name for command in COMMANDS}

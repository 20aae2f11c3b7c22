"""Line commands for runs that are stored: list, show, report, export, code, preview, note, delete, rename."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic._utils.atomic_write import user_path
from sllmbo_magic._utils.atomic_write import write_whole
from sllmbo_magic.control import check
from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import listing
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.session import Session
from sllmbo_magic.magic.spec import check_name
from sllmbo_magic.magic.views import in_kernel
from sllmbo_magic.magic.views import plain_text
from sllmbo_magic.magic.views import show_output
from sllmbo_magic.magic.views import static_picture

if TYPE_CHECKING:
    from sllmbo_magic.tuning.result import TuneResult


def result_of(session: Session, name: str) -> TuneResult:
    """The result of a run by name: the one in the notebook, else the one on disk.

    A variable that holds an earlier run of the name (``NAME.1`` by now) is not that run.

    Raises:
        InputError: There is none.
    """
    from sllmbo_magic.storage.runs import find_run
    from sllmbo_magic.tuning.result import TuneResult

    value = session.shell.user_ns.get(name)
    if not isinstance(value, TuneResult):
        return TuneResult.load(find_run(name).path)
    if value.name == name:
        return value
    try:
        return TuneResult.load(find_run(name).path)
    except InputError:  # a variable of another name than the run's
        return value


def _runs(session: Session, arguments: Arguments) -> None:
    from sllmbo_magic.storage.runs import list_runs

    print(listing.runs_table(list_runs()))


def _show(session: Session, arguments: Arguments) -> None:
    bundle = result_of(session, arguments.one("the name of a run")).bundle()
    if in_kernel(session.shell):
        show_output(static_picture(bundle), raw=True)
    else:
        print(plain_text(bundle))


def _preview(session: Session, arguments: Arguments) -> None:
    """Every message as it was sent: the transcript's, whole, for a run with a folder."""
    from sllmbo_magic.llm.transcript import read
    from sllmbo_magic.llm.transcript import was_sent
    from sllmbo_magic.storage.runs import find_run

    name = arguments.at_most_one_run() or _latest(session)
    path = find_run(name).transcript_path
    records = list(read(path)) if path.exists() else []
    print(listing.exchanges_text(name, [r for r in records if r["kind"] == "exchange" and was_sent(r)]))


def _latest(session: Session) -> str:
    if session.runs:
        return next(reversed(session.runs))
    from sllmbo_magic.storage.runs import list_runs

    runs = list_runs()
    if not runs:
        raise InputError(
            "there are no runs yet.", "%%sllmbo NAME --dry-run shows the first request of a run."
        )
    return runs[0].name


def _report(session: Session, arguments: Arguments) -> None:
    name, path = _name_and_path(arguments, ".html")
    result_of(session, name).report(path)
    print(f"{name}: wrote {path}")


def _export(session: Session, arguments: Arguments) -> None:
    name, path = _name_and_path(arguments, ".json")
    text = json.dumps(result_of(session, name).bundle(), ensure_ascii=False, indent=1)
    write_whole(path, f"{text}\n".encode())
    print(f"{name}: wrote {path}")


def _name_and_path(arguments: Arguments, suffix: str) -> tuple[str, Path]:
    words = arguments.words
    if len(words) not in (1, 2):
        raise InputError(
            f"%sllmbo {arguments.command} takes the name of a run and, if you like, a path.", arguments.usage
        )
    path = user_path(words[1] if len(words) == 2 else f"{words[0]}{suffix}")
    if len(words) == 1 and path.is_file() and not _is_ours(path):
        # the user has not named it: a run is easily called as the file that its data came from
        raise InputError(
            f"there is a file {str(path)!r} that is no {arguments.command} of a run; it is left alone.",
            f"Give a path: %sllmbo {arguments.command} {words[0]} PATH.",
        )
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r}.", "Make it first, or give another path.")
    return words[0], path


def _is_ours(path: Path) -> bool:
    """Whether a file is a report or an export that this package wrote."""
    from sllmbo_magic.report.html import GENERATOR

    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else None
    except (OSError, ValueError):
        return False
    return GENERATOR in text if data is None else isinstance(data, dict) and {"schema", "run"} <= set(data)


def _code(session: Session, arguments: Arguments) -> None:
    print(result_of(session, arguments.one("the name of a run")).code().rstrip())


def _delete(session: Session, arguments: Arguments) -> None:
    from sllmbo_magic.storage.runs import delete_run

    name = arguments.one("the name of a run")
    delete_run(name)
    print(f"{name}: deleted")


def _rename(session: Session, arguments: Arguments) -> None:
    from sllmbo_magic.storage.runs import rename_run
    from sllmbo_magic.tuning.result import TuneResult

    if len(arguments.words) != 2:
        raise InputError("%sllmbo rename takes a name and the new one.", arguments.usage)
    old, new = arguments.words
    if new.isidentifier():  # other names, such as old-wine, are of folders only
        check_name(new)
    value = session.shell.user_ns.get(old)
    if isinstance(value, TuneResult) and new.isidentifier():
        session.check_variable(new)
    rename_run(old, new)
    if isinstance(value, TuneResult) and value.name == new and new.isidentifier():
        session.shell.user_ns[new] = value
    print(f"{old} is now {new}")


def _note(session: Session, arguments: Arguments) -> None:
    """Mark a trial: of a run of this kernel that goes on, of one elsewhere, or of one that has ended."""
    words = arguments.words
    if len(words) < (3 if arguments.command == "note" else 2):
        expected = "the name of a run, the number of a trial" + (
            " and words" if arguments.command == "note" else ""
        )
        raise InputError(f"%sllmbo {arguments.command} takes {expected}.", arguments.usage)
    name, number = words[:2]
    value: dict[str, Any] = {"trial": number}
    if arguments.command == "note":
        value["text"] = " ".join(words[2:])
    else:
        value["star"] = arguments.command == "star"
    active = session.active()
    if name in active:
        active[name].run.control.wish("note", value)
        print(f"{name}: {arguments.command} is noted and takes effect at the next trial.")
        return
    value = check("note", value)
    result_of(session, name).note(value["trial"], value.get("text"), star=value.get("star"))
    print(f"{name}: {arguments.command} on trial {value['trial']}; %sllmbo show {name} shows it.")


COMMANDS: dict[str, Callable[[Session, Arguments], None]] = {
    "note": _note,
    "star": _note,
    "unstar": _note,
    "runs": _runs,
    "show": _show,
    "preview": _preview,
    "report": _report,
    "export": _export,
    "code": _code,
    "delete": _delete,
    "rename": _rename,
}

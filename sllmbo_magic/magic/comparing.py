"""``%sllmbo compare NAME``: search the task of a run again, in several ways with several seeds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import RunStarted
from sllmbo_magic.magic import values
from sllmbo_magic.magic.lexer import shorten
from sllmbo_magic.magic.running import interrupted
from sllmbo_magic.magic.running import interruptible
from sllmbo_magic.magic.spec import find_option
from sllmbo_magic.magic.views import in_kernel
from sllmbo_magic.magic.views import show_output
from sllmbo_magic.options import BY_NAME
from sllmbo_magic.options import COMPARE_OPTIONS
from sllmbo_magic.options import Option

if TYPE_CHECKING:
    from sllmbo_magic.comparison import Comparison
    from sllmbo_magic.magic.magics import SllmboMagics

_OWN = {option.flag: option for option in COMPARE_OPTIONS}
_NOT_HERE = (
    "direction",
    "cv",
    "scoring",
    "describe",
    "target",
    "resume",
    "storage",
    "executor",
    "warm_start",
)


def compare_again(
    magics: SllmboMagics, arguments: list[str], result_of: Callable[[SllmboMagics, str], Any]
) -> None:
    """Carry out the command; the comparison becomes the variable ``NAME_comparison``.

    Raises:
        InputError: An option or the run is not usable.
        KeyboardInterrupt: It was interrupted; what is finished was shown and is in the variable.
    """
    from sllmbo_magic.compare import compare

    name, options = read(arguments, magics.shell.user_ns)
    result = result_of(magics, name)
    variable = f"{name}_comparison"
    with interruptible():
        comparison: Comparison = compare(result, sinks=(_Progress(),), **options)
    magics.shell.user_ns[variable] = comparison
    if in_kernel(magics.shell):
        show_output(comparison)
    else:
        print(comparison.table())
    print(f"It is in {variable}: .plot(), .to_dict().")
    if not comparison.complete:
        raise interrupted(f"the comparison was interrupted; {variable} holds the finished runs.")


def read(arguments: list[str], user_ns: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The run's name, and the options as arguments of ``compare``.

    Raises:
        InputError: An option is unknown, twice, without a value, or not for a comparison.
    """
    names: list[str] = []
    options: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        if not word.startswith("--"):
            names.append(word)
            continue
        flag, equals, attached = word.partition("=")
        option = _OWN.get(flag) or _option_of_a_run(flag)
        key = option.argument or option.key
        if key in options:
            raise InputError(f"{option.flag} is given twice.", "Keep one of them.")
        if not option.takes_value:
            options[key] = flag != option.negative
            continue
        text = attached if equals else next(words, "")
        if not text or (text.startswith("--") and not equals):
            raise InputError(f"{flag} needs a value.", f"Example: {option.flag} {option.example}.")
        options[key] = _value(option, text, user_ns)
    if len(names) != 1:
        usage = f"Usage: {BY_NAME['compare'].example}"
        raise InputError(f"%sllmbo compare with options takes one name of a run, not {len(names)}.", usage)
    return names[0], options


def _option_of_a_run(flag: str) -> Option:
    option = find_option(flag)
    if option.key == "seed":
        raise InputError("compare sets the seeds itself.", "Use --seeds N, or --seeds 1,2,3.")
    if option.argument is None or option.key in _NOT_HERE:
        raise InputError(
            f"{option.flag} is not for a comparison.", "The task and where it runs are the run's."
        )
    return option


def _value(option: Option, text: str, user_ns: Mapping[str, Any]) -> Any:
    if option.flag == "--samplers":
        return [word.strip() for word in text.split(",") if word.strip()]
    if option.flag == "--seeds":
        return _seeds(text)
    value = values.read(option, text)
    if not isinstance(value, values.Variable):
        return value
    if value.name not in user_ns:
        raise InputError(f"{option.flag} {{{value.name}}}: there is no variable {value.name!r}.")
    return values.from_object(option, user_ns[value.name], value.name)


def _seeds(text: str) -> int | list[int]:
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise InputError(
            f"--seeds: {shorten(text)!r} is not allowed.", "Allowed: a number of seeds, or like 1,2,3."
        ) from None
    return numbers[0] if "," not in text else numbers


class _Progress:
    """Prints one line per finished run."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.name = str(event.run.get("name", ""))
        elif isinstance(event, Note) and not self.name:
            print(event.text, flush=True)  # what is about to be run and sent
        elif isinstance(event, RunFinished):
            best = event.summary.get("best_value")
            value = "no score" if best is None else f"best {best:.5g}"
            print(f"{self.name}: {value}, {event.summary.get('seconds', 0):.1f} s", flush=True)

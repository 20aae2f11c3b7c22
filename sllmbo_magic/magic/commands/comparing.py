"""``%sllmbo compare``: search the task of a run again in several ways, or put stored runs in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import RunStarted
from sllmbo_magic.magic import listing
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.commands.stored_runs import result_of
from sllmbo_magic.magic.errors import interrupted
from sllmbo_magic.magic.lexer import Word
from sllmbo_magic.magic.line import Variable
from sllmbo_magic.magic.line import find_option
from sllmbo_magic.magic.line import normal_spelling
from sllmbo_magic.magic.line import parse_words
from sllmbo_magic.magic.namespace import value_of
from sllmbo_magic.magic.namespace import variable
from sllmbo_magic.magic.running import interruptible
from sllmbo_magic.magic.session import Session
from sllmbo_magic.magic.views import in_kernel
from sllmbo_magic.magic.views import show_output
from sllmbo_magic.options import COMPARE_OPTIONS
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import Option
from sllmbo_magic.options.values import shorten
from sllmbo_magic.task.display_metric import display_metric

if TYPE_CHECKING:
    from sllmbo_magic.comparison.result import Comparison

_BY_FLAG = {option.flag: option for option in COMPARE_OPTIONS}
_BY_KEY = {option.key: option for option in (*OPTIONS, *COMPARE_OPTIONS)}
_OF_THE_RUN = (
    "direction",
    "cv",
    "scoring",
    "describe",
    "target",
    "resume",
    "join",
    "storage",
    "executor",
    "warm_start",
)
"""Options of a run that a comparison takes over from it."""


def compare(session: Session, arguments: Arguments) -> None:
    """Of one run: search its task again in several ways. Of several: their results in one table."""
    words = arguments.words
    if not words:
        raise InputError("%sllmbo compare takes one name of a run, or two or more.", arguments.usage)
    if len(words) == 1 or any(word.startswith("-") for word in words):
        _search_again(session, arguments)
        return
    print(listing.compare_table({name: result_of(session, name).bundle() for name in words}))


def _search_again(session: Session, arguments: Arguments) -> None:
    """Carry out the comparison, which becomes the variable ``NAME_comparison``.

    Raises:
        InputError: An option or the run is not usable.
        SllmboError: A run raised an error; what is finished was shown and is in the variable.
        KeyboardInterrupt: It was interrupted; likewise.
    """
    from sllmbo_magic.comparison.compare import compare as compare_ways

    name, options = read_arguments(arguments, session.shell.user_ns)
    result = result_of(session, name)
    variable = f"{name}_comparison"
    session.check_variable(variable)
    with interruptible():
        comparison: Comparison = compare_ways(result, sinks=(_Progress(),), **options)
    session.shell.user_ns[variable] = comparison
    if in_kernel(session.shell):
        show_output(comparison)
    else:
        print(comparison.table())
    print(f"It is in {variable}: {'.verdict, ' if options.get('prove') else ''}.plot(), .to_dict().")
    if comparison.failure:
        raise SllmboError(comparison.failure)
    if not comparison.complete:
        raise interrupted(f"the comparison was interrupted; {variable} holds the finished runs.")


def read_arguments(arguments: Arguments, user_ns: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The run's name, and the options as arguments of ``compare``.

    Raises:
        InputError: An option is unknown, twice, without a value, or not for a comparison.
    """
    names, values = parse_words([Word(word) for word in arguments.words], _find)
    if len(names) != 1:
        raise InputError(
            f"%sllmbo compare with options takes one name of a run, not {len(names)}.", arguments.usage
        )
    options = {}
    for key, value in values.items():
        option = _BY_KEY[key]
        options[option.argument or key] = _value(option, value, user_ns)
    return names[0], options


def _find(flag: str) -> Option:
    compare_option = _BY_FLAG.get(normal_spelling(flag))
    if compare_option is not None:
        return compare_option
    option = find_option(flag)
    if option.key == "seed":
        raise InputError("compare sets the seeds itself.", "Use --seeds N, or --seeds 1,2,3.")
    if option.argument is None or option.key in _OF_THE_RUN:
        raise InputError(
            f"{option.flag} is not for a comparison.", "The task and where it runs are the run's."
        )
    return option


def _value(option: Option, value: Any, user_ns: Mapping[str, Any]) -> Any:
    if option.flag == "--seeds" and isinstance(value, Variable):
        value = variable(user_ns, value.name, option.flag)  # compare checks what is no text
    else:
        value = value_of(option, value, user_ns)
    if option.flag == "--samplers" and isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return _seeds(value) if option.flag == "--seeds" and isinstance(value, str) else value


def _seeds(text: str) -> int | list[int]:
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise InputError(
            f"--seeds: {shorten(text)!r} is not allowed.", "Allowed: a number of seeds, or like 1,2,3."
        ) from None
    return numbers[0] if numbers and "," not in text else numbers


class _Progress:
    """Prints one line per finished run."""

    def __init__(self) -> None:
        self.name = ""
        self.metric = display_metric("")

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            run = event.run
            self.name = str(run.get("name", ""))
            metric, direction = str(run.get("metric") or ""), str(run.get("direction"))
            self.metric = display_metric(metric, direction, bool(run.get("negated")))
        elif isinstance(event, Note) and not self.name:
            print(event.text, flush=True)  # what is about to be run and sent
        elif isinstance(event, RunFinished):
            best = event.summary.get("best_value")
            value = "no score" if best is None else f"best {self.metric.shown(best):.5g}"
            print(f"{self.name}: {value}, {event.summary.get('seconds', 0):.1f} s", flush=True)

"""What is typed after ``%%sllmbo``: words become a name and options. Pure.

Not argparse: what notebooks need (``{variable}``, brackets, long dashes, an option given twice, quoted text
that begins with a dash, the closest match) would still be handled here, before and after its parser, and each
of its messages would have to be replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.lexer import Word
from sllmbo_magic.magic.lexer import split
from sllmbo_magic.options import BY_SPELLING
from sllmbo_magic.options import Option
from sllmbo_magic.options.values import closest
from sllmbo_magic.options.values import from_text
from sllmbo_magic.options.values import shorten

_DASHES = re.compile(r"^[-\u2010-\u2015\u2212]+(?=[^\W\d])")
_VARIABLE = re.compile(r"\{\s*([^\W\d]\w*)\s*\}")
_ATTACHED_NUMBER = re.compile(r"(-[^\W\d])(\d+)")
_USUAL_WORDS = {
    "--budget": "Limits are --max-cost, --max-tokens and --max-requests; the number of trials is --n-trials.",
    "--estimator": "The estimator is not an option: write model = ... in the cell.",
    "--folds": "Write --cv.",
    "--k": "Write --cv.",
    "--jobs": "Write --n-jobs.",
    "--j": "Write --n-jobs.",
    "--llm-model": "Write --llm PROVIDER:MODEL.",
    "--model": "For the LLM, write --llm PROVIDER:MODEL; the estimator is model = ... in the cell.",
    "--name": "The name needs no option: it is the first word, as in %%sllmbo churn.",
    "--objective": "The objective is not an option: write def objective(trial): ... in the cell.",
    "--provider": "Write --llm PROVIDER:MODEL.",
    "--quiet": "For progress as text, write --no-widget.",
    "--random-state": "Write --seed.",
    "--temperature": "Requests have no such setting; --seed makes a run repeatable apart from the LLM.",
    "--url": "Write --base-url.",
    "--verbose": "For the traceback of an error, write --debug.",
    "--v": "For the traceback of an error, write --debug.",
}
"""What to write instead of words that people bring from other tools."""
_SHELL_VARIABLE = re.compile(r"\$\{?\s*([^\W\d]\w*)\s*\}?")


@dataclass(frozen=True)
class Variable:
    """``{name}``: the value is in the notebook's namespace, once the cell has run."""

    name: str


def parse_words(
    words: Sequence[Word], find: Callable[[str], Option] | None = None
) -> tuple[list[str], dict[str, Any]]:
    """The words that are no options, and the values of the options by :attr:`Option.key`.

    Args:
        words: The line, split.
        find: Returns the option that a spelling means; default :func:`find_option`.

    Raises:
        InputError: An option is unknown, given twice, lacks its value, or its value is not allowed.
    """
    find = find or find_option
    names: list[str] = []
    options: dict[str, Any] = {}
    i = 0
    while i < len(words):
        word = words[i]
        i += 1
        if word.quoted or not _DASHES.match(word.text):
            names.append(word.text)
            continue
        flag, equals, value = word.text.partition("=")
        following = words[i].text if i < len(words) and not equals else value
        option = _with_two_dashes(flag, following, find)
        if option.key in options:
            raise InputError(f"{option.flag} is given twice.", "Keep one of them.")
        if not option.takes_value:
            if equals:
                raise InputError(f"{flag} takes no value.", f"Write {flag} alone.")
            options[option.key] = normal_spelling(flag) != option.negative
            continue
        if not equals:
            if i == len(words) or (not words[i].quoted and words[i].text.startswith("--")):
                raise InputError(f"{flag} needs a value.", f"Example: {option.flag} {option.example}.")
            value = words[i].text
            _refuse_unquoted_command(words[i:])
            i += 1
        options[option.key] = read_value(option, value)
    return names, options


def _refuse_unquoted_command(words: Sequence[Word]) -> None:
    """Raises InputError for a command whose arguments stand outside the quotes, with the line to write."""
    first = words[0]
    if first.quoted or not first.text.startswith("command:"):
        return
    command = [first.text]
    for word in words[1:]:
        if word.text.startswith("--"):  # an option of ours, or of the command: it cannot be told
            break
        command.append(word.text)
    if len(command) > 1:
        raise InputError(
            "--llm: a command with arguments needs quotes.", f'Write --llm "{" ".join(command)}".'
        )


def read_value(option: Option, text: str) -> Any:
    """The value that the text of an option means; a :class:`Variable` for ``{name}``.

    Raises:
        InputError: It is none of what the option allows.
    """
    text = text.strip()
    match = _VARIABLE.fullmatch(text)
    if match:
        return Variable(match[1])
    _refuse_expressions(option, text)
    return from_text(option, text, option.flag)


def _refuse_expressions(option: Option, text: str) -> None:
    """Raises InputError for ``$n``, ``{n + 1}`` and text with ``{n}`` inside, with the lines to write."""
    shell_variable = _SHELL_VARIABLE.fullmatch(text)
    if shell_variable:
        raise InputError(
            f"{option.flag}: {shorten(text)!r} is not expanded.",
            f"Write {option.flag} {{{shell_variable[1]}}}.",
        )
    inside = re.search(r"\{([^{}]+)\}", text)
    if inside is None:
        return
    is_expression = text.startswith("{") and text.endswith("}")
    if option.key == "target" or (option.key == "describe" and not is_expression):
        return
    value = text[1:-1].strip("{} ") if is_expression else f'f"{text}"'
    if is_expression and value.isidentifier():  # {{n}}
        raise InputError(
            f"{option.flag}: {shorten(text)!r} is not expanded.", f"Write {option.flag} {{{value}}}."
        )
    variable = "value" if option.key == inside[1].strip() else option.key
    raise InputError(
        f"{option.flag}: {shorten(text)!r} is not expanded; braces hold the name of a variable.",
        f"Write {variable} = {shorten(value)} in the cell, and {option.flag} {{{variable}}}.",
    )


def normal_spelling(flag: str) -> str:
    """The spelling of an option as the table has it: two dashes, lower case, dashes for underscores."""
    return "--" + _DASHES.sub("", flag).replace("_", "-").lower()


def find_option(flag: str) -> Option:
    """The option that a word with dashes means; underscores and upper case are taken for what is meant.

    Raises:
        InputError: There is none; with the closest match.
    """
    normal = normal_spelling(flag)
    option = BY_SPELLING.get(normal)
    if option is None or not flag.startswith("--"):
        raise InputError(
            f"unknown option {shorten(flag)!r} of %%sllmbo.",
            f"{_instead_of(normal)}%sllmbo help shows all options.",
        )
    return option


def _instead_of(normal: str) -> str:
    """What to write instead of an option that does not exist, and a blank; "" if nothing is close."""
    if normal in _USUAL_WORDS:
        return f"{_USUAL_WORDS[normal]} "
    return closest(normal.rstrip(":,;"), BY_SPELLING, 0.65)


def _with_two_dashes(flag: str, following: str, find: Callable[[str], Option]) -> Option:
    """The option of a flag; one dash (``-n 3``) is refused with the line to write."""
    if flag.startswith("--") or not flag.startswith("-"):
        return find(flag)
    attached = _ATTACHED_NUMBER.fullmatch(flag)
    if attached and not following.startswith("="):  # -n3
        return _with_two_dashes(attached[1], attached[2], find)
    stem = normal_spelling(flag)
    if stem in _USUAL_WORDS:
        return find(flag)
    has_value = bool(following) and not following.startswith("-")
    matches = [
        spelling
        for spelling, option in BY_SPELLING.items()
        if spelling.startswith(stem) and spelling != option.negative and option.takes_value >= has_value
    ]
    if stem in BY_SPELLING:
        matches = [stem]
    elif not matches:
        return find(flag)
    value = f" {following}" if has_value and BY_SPELLING[matches[0]].takes_value else ""
    other_matches = f" (or {', '.join(matches[1:4])})" if len(matches) > 1 else ""
    raise InputError(
        f"unknown option {shorten(flag)!r} of %%sllmbo: options start with two dashes.",
        f"Write {matches[0]}{shorten(value)}{other_matches}. %sllmbo help shows all options.",
    )


def hint_for_stray(word: str) -> str:
    """What to do about a word that is neither the name nor the value of an option."""
    if word == "\\":
        return "A backslash continues the line only at its very end; put a comment on the last line."
    if word[:1] in "\u201c\u201d\u2018\u2019\u00ab" or word[-1:] in "\u201d\u2019\u00bb":
        return "Quotes must be straight ones: \" or '."
    key = word.partition("=")[0].replace("_", "-")
    if f"--{key}" in BY_SPELLING:
        return f"Options start with two dashes: --{key}."
    return "A value with blanks needs quotes; options start with two dashes (%sllmbo help)."


def asks_for_help(line: str) -> bool:
    """Whether ``--help`` or ``-h`` is among the words of a cell's line, or ``help`` or ``?`` is all of it."""
    words = [word.text for word in split(line) if not word.quoted]
    return "--help" in words or "-h" in words or words in (["help"], ["?"])

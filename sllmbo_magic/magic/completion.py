"""Tab completion of ``%%sllmbo`` and ``%sllmbo``: options, their values, line commands, runs, variables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sllmbo_magic.magic.command_table import BY_NAME
from sllmbo_magic.magic.command_table import COMMANDS
from sllmbo_magic.options import BY_SPELLING
from sllmbo_magic.options import COMPARE_OPTIONS
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import Option

_PROVIDERS = (
    "rulebook",
    "openai:",
    "anthropic:",
    "gemini:",
    "ollama:",
    "openai-compatible:",
    "replay:",
    "manual",
)
_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_macro",
    "f1_weighted",
    "neg_brier_score",
    "neg_log_loss",
    "neg_mean_absolute_error",
    "neg_mean_squared_error",
    "neg_root_mean_squared_error",
    "r2",
    "roc_auc",
)
_MODES = ("llm", "llm-tpe", "tpe")
_MAGIC = re.compile(r"\s*(%%?)sllmbo(?=\s)")


def candidates(text: str, user_ns: Mapping[str, Any], runs: Iterable[str]) -> list[str]:
    """What may stand at the end of a line, whole words.

    Args:
        text: The line up to the cursor, from ``%%sllmbo`` or ``%sllmbo`` on.
        user_ns: The notebook's namespace, for ``{variable}`` and the columns of ``data``.
        runs: Names of the runs on disk.
    """
    match = _MAGIC.match(text)
    if match is None:
        return []
    words = text[match.end() :].split()
    last = "" if not words or text[-1].isspace() else words.pop()
    words_here = _for_cell(words, last, user_ns, runs) if match[1] == "%%" else _for_line(words, runs)
    return [word for word in dict.fromkeys(words_here) if word.startswith(last)]


def _for_cell(words: list[str], last: str, user_ns: Mapping[str, Any], runs: Iterable[str]) -> list[str]:
    option = BY_SPELLING.get(words[-1]) if words else None
    if option is not None and option.takes_value:
        if last.startswith("{"):
            return [f"{{{name}}}" for name in user_ns if not name.startswith("_")]
        return _values(option, user_ns, runs)
    used = {BY_SPELLING[word] for word in words if word in BY_SPELLING}
    options = [spelling for o in OPTIONS if o not in used for spelling in o.spellings]
    if not words and not last.startswith("-"):
        return [name for name in runs if name.isidentifier()] + options
    return options


def known_values(option: Option) -> list[str]:
    """Values that an option takes, as far as they are known without the notebook; [] where any is as good."""
    return list(option.choices) or {"llm": list(_PROVIDERS), "scoring": list(_METRICS)}.get(option.key, [])


def _values(option: Option, user_ns: Mapping[str, Any], runs: Iterable[str]) -> list[str]:
    metrics = sys.modules.get("sklearn.metrics") if option.key == "scoring" else None
    if metrics is not None:  # its list of names, where it is loaded anyway
        return list(metrics.get_scorer_names())
    if known_values(option):
        return known_values(option)
    if option.key == "target":
        return [str(column) for column in getattr(user_ns.get("data"), "columns", ())]
    if option.key == "warm_start":
        return list(runs)
    return [option.example] if option.example and option.kind != "text" else []


def _for_line(words: list[str], runs: Iterable[str]) -> list[str]:
    if not words:
        return [command.name for command in COMMANDS]
    if words[-1] == "--run":
        return list(runs)
    command = BY_NAME.get(words[0])
    if command is None:
        return []
    values = {
        "run": list(runs),
        "mode": list(_MODES),
        "provider": list(_PROVIDERS),
        "help": [c.name for c in COMMANDS] + list(BY_SPELLING),
    }.get(command.completes, [])
    if command.name == "compare":
        flags = {option.flag: option for option in COMPARE_OPTIONS}
        if words[-1] in flags and flags[words[-1]].takes_value:
            return list(flags[words[-1]].choices) or [flags[words[-1]].example]
        values += list(flags)
    return [*values, "--run"] if command.steers else values


def run_names(root: Path = Path(".sllmbo")) -> list[str]:
    """Names of the runs on disk, without reading them."""
    try:
        return sorted(entry.name for entry in root.iterdir() if (entry / "run.json").exists())
    except OSError:
        return []


def add_matcher(shell: Any) -> None:
    """Complete in this shell."""
    from IPython.core.completer import SimpleCompletion
    from IPython.core.completer import context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]
    def sllmbo_matcher(context: Any) -> dict[str, Any]:
        line = context.full_text.split("\n")[context.cursor_line]
        in_cell_magic = line.lstrip().startswith("%%")
        if in_cell_magic and context.full_text[: context.full_text.find(line)].strip():
            return {"completions": []}  # the text of some other cell
        text = line[: context.cursor_position]
        if not _MAGIC.match(text):
            return {"completions": []}
        fragment = "" if text[-1].isspace() else text.split()[-1]
        completions = candidates(text, shell.user_ns, run_names())
        return {
            "completions": [SimpleCompletion(word, type="param") for word in completions],
            "matched_fragment": fragment,
            "suppress": True,
        }

    shell.Completer.custom_matchers.append(sllmbo_matcher)


def remove_matcher(shell: Any) -> None:
    """Take it away again."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [m for m in matchers if getattr(m, "__module__", "") != __name__]

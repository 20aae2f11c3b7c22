"""The page of messages, read off the source: every error that the package raises, with its hint, and every
note of a run.

    python docs/_errors.py > errors.md

Values that a message fills in stand as ⟨name⟩.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAD = """# Error messages

Every message that this package raises, in alphabetical order, and what to do next. The page is made from the
source. Words that a message fills in stand as ⟨name⟩. Search this page for a few words of your message
that are not in quotes. The [notes of a run](#notes-of-a-run) stand at the end.

In a notebook an error is one line: message and hint. `--debug` shows the traceback. Trouble with a language
model is never raised: it is a line in the chat, the sampler takes the trial, and the run goes on; see
[what each category means](../providers.md).
"""

NOTES = """
## Notes of a run

A run that can go on tells what happened in a note: a line in the chat, in the report and in the progress
text. Nothing has to be done about a note unless it says so.
"""

MEANING = {
    "InputError": "The input cannot be used. Nothing was started and nothing was lost.",
    "MissingExtraError": "An optional package is not installed.",
    "StorageError": "A run's folder or storage cannot be read or written.",
    "RunLockedError": "Another living process owns the run.",
    "RunChangedError": "A resume was asked for, but data, metric, folds or estimator differ from the run.",
    "ProviderError": "Trouble with a language model.",
    "TransientProviderError": "Trouble with a language model that may pass: rate limit, timeout.",
    "PermanentProviderError": "A request to a language model that cannot succeed: key, permission, model.",
    "BudgetExceededError": "A limit of yours on requests, tokens or money is reached.",
    "ReplyError": "An answer of a language model that cannot be used.",
    "ReplayMismatchError": "A recorded run has no answer for this request.",
}


@dataclass(frozen=True)
class Message:
    """One error as the source has it: class, message and hint, and the folder that raises it."""

    error: str
    text: str
    hint: str
    place: str


def messages(package: Path) -> list[Message]:
    """Every error that is made with words of its own, in alphabetical order."""
    found = {message for path in sorted(package.rglob("*.py")) for message in _of_module(path, package)}
    return sorted(found, key=lambda message: (message.text.casefold(), message.hint))


def notes(package: Path) -> list[tuple[str, str]]:
    """Every note of a run that is made with words of its own, and the folder that makes it; in alphabetical
    order.
    """
    paths = [path for path in sorted(package.rglob("*.py")) if "figures" not in path.parts]
    made = {note for path in paths for note in _notes_of(path, package)}
    return sorted(made, key=lambda note: note[0].casefold())


def page(package: Path) -> str:
    by_error: dict[str, list[Message]] = defaultdict(list)
    for message in messages(package):
        by_error[message.error].append(message)
    parts = [HEAD]
    for error in MEANING:
        if not by_error[error]:
            continue
        parts.append(f"\n## {error}\n\n{MEANING[error]}\n")
        parts.append("| message | what to do next | raised in |\n| --- | --- | --- |")
        parts += [f"| {_cell(m.text)} | {_cell(m.hint)} | `{m.place}` |" for m in by_error[error]]
    parts += [NOTES, "| note | made in |\n| --- | --- |"]
    parts += [f"| {_cell(text)} | `{place}` |" for text, place in notes(package)]
    return "\n".join(parts) + "\n"


def _notes_of(path: Path, package: Path) -> Iterator[tuple[str, str]]:
    place = str(path.relative_to(package).with_suffix(""))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            for text in _note_texts(node, function):
                if re.search(r"\w{3}", re.sub(r"⟨[^⟩]*⟩", "", text)):
                    yield text, place


def _note_texts(node: ast.AST, function: ast.FunctionDef) -> Iterator[str]:
    """The texts of a ``Note(text=...)`` or a ``notes.append(...)``; a variable is looked up in its
    function.
    """
    if not isinstance(node, ast.Call):
        return
    called = ast.unparse(node.func)
    texts = [keyword.value for keyword in node.keywords if called == "Note" and keyword.arg == "text"]
    if called == "notes.append":
        texts += node.args
    for text in texts:
        if isinstance(text, ast.Name):
            for other in ast.walk(function):
                targets = other.targets if isinstance(other, ast.Assign) else []
                if any(isinstance(target, ast.Name) and target.id == text.id for target in targets):
                    yield from _texts(other.value)
        else:
            yield from _texts(text)


def _of_module(path: Path, package: Path) -> Iterator[Message]:
    place = str(path.relative_to(package).with_suffix(""))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name == "Rule":  # a row of llm/error_mapping: statuses, category, class, message, hint
            yield _of_rule(node, tree, place)
        if name not in MEANING:
            continue
        texts = list(_texts(node.args[0]))
        hints = list(_texts(node.args[1])) if len(node.args) > 1 else [""]
        for text in texts:
            if re.search(r"\w{3}", re.sub(r"⟨[^⟩]*⟩", "", text)):  # not one that only passes another on
                for hint in hints or [""]:
                    yield Message(name, text, "" if re.fullmatch(r"\s*(⟨[^⟩]*⟩)?\s*", hint) else hint, place)


def _of_rule(node: ast.Call, tree: ast.Module, place: str) -> Message:
    """The error that a row of the table of HTTP statuses makes."""
    constants = {
        target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    error, *texts = node.args[2:5]
    message, hint = (
        re.sub(r"\{(\w+)(!r)?\}", r"⟨\1⟩", str(getattr(t, "value", None) or constants[getattr(t, "id", "")]))
        for t in texts
    )
    return Message(getattr(error, "id", ""), f"⟨who⟩: {message} (⟨status⟩).", hint, place)


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can have, with ⟨name⟩ for what is filled in."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"⟨{_name(part.value)}⟩"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left in _texts(node.left):
            for right in _texts(node.right):
                yield left + right
    else:
        yield f"⟨{_name(node)}⟩"


def _name(node: ast.expr) -> str:
    """A short name for what an expression fills in: its last name that says something."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and node.args:
        return _name(node.args[-1])
    if isinstance(node, ast.Attribute):
        if node.attr in ("__name__", "name", "value", "text"):
            return _name(node.value)
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _name(node.elt)
    return "value"


def _cell(text: str) -> str:
    return (
        re.sub(r"\s+", " ", text)
        .strip()
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace("*", "\\*")
        .replace("_", "\\_")
    )


if __name__ == "__main__":
    sys.stdout.write(page(Path(__file__).resolve().parents[1] / "sllmbo_magic"))

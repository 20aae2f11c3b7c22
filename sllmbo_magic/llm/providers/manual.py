"""Any chat product as a provider: the prompt is shown, an answer is pasted, and checked on the spot."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.json_reply import extract_json
from sllmbo_magic.llm.layout import as_text
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.options.values import type_name

_TRIES = 3


def ask_in_terminal(prompt: str) -> str:
    """Print the prompt and read an answer that ends with an empty line."""
    print(prompt)
    return read_answer()


def read_answer() -> str:
    """The lines that are typed or pasted, up to an empty one."""
    print("\nPaste the answer, then an empty line (only an empty line: skip this request).")
    lines: list[str] = []
    while line := input():
        lines.append(line)
    return "\n".join(lines)


class ManualProvider(BaseProvider):
    """Asks a person to carry the prompt to a chat product and the answer back.

    Args:
        ask: Shows a prompt and returns the pasted answer; an empty one skips the request. Called in the
            thread that calls :meth:`complete`, again with the problem on top when an answer cannot be used.

    Raises:
        InputError: ``ask`` is no function of one text.
    """

    id = "manual"
    remote = False
    free = True
    by_hand = True

    def __init__(self, ask: Callable[[str], str] = ask_in_terminal) -> None:
        check_ask(ask)
        self._ask = ask

    def complete(self, request: Request) -> Completion:
        """The pasted answer.

        Raises:
            PermanentProviderError: ``ask`` returned no text, or nobody can type here.
            ReplyError: Category ``"skipped"`` for an empty answer; as
                :func:`~sllmbo_magic.llm.json_reply.extract_json` when three answers could not be used.
        """
        prompt = as_text(request)
        problem: ReplyError | None = None
        for _ in range(_TRIES):
            head = f"That answer cannot be used: {problem.message}\n\n" if problem else ""
            answer = self._answer(head + prompt)
            if not answer.strip():
                raise ReplyError("the request was skipped.", category="skipped")
            problem = _problem(answer, request)
            if problem is None:
                return Completion(answer, model="manual")
        assert problem is not None
        raise problem

    def _answer(self, prompt: str) -> str:
        try:
            answer = self._ask(prompt)
        except EOFError:
            raise PermanentProviderError(
                "manual: nobody can type an answer here (the standard input has ended).",
                "Pass ask=, a function that takes the prompt and returns the answer, or use another LLM.",
                category="provider",
            ) from None
        if not isinstance(answer, str):
            raise PermanentProviderError(
                f"manual: ask returned {type(answer).__name__}, not a string.",
                "Return the pasted answer; an empty string skips the request.",
                category="provider",
            )
        return answer


def check_ask(ask: object) -> None:
    """Raise InputError if this is no function that can be called with a prompt."""
    write = "Write ask=function, with def function(prompt) that returns the pasted answer."
    if not callable(ask):
        raise InputError(f"ask is {type_name(ask)}, not a function.", write)
    try:
        inspect.signature(ask).bind("")
    except TypeError as error:
        raise InputError(f"ask cannot be called with a prompt: {error}.", write) from None
    except ValueError:  # no signature, as of some functions written in C
        return


def _problem(answer: str, request: Request) -> ReplyError | None:
    if request.schema is None:
        return None
    import jsonschema

    try:
        data = extract_json(answer, request.schema)
    except ReplyError as error:
        return ReplyError(error.message, error.hint, category=error.category)
    wrong = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(request.schema).iter_errors(data)
    )
    if wrong is None:
        return None
    path = "/".join(str(part) for part in wrong.absolute_path) or "the top"
    return ReplyError(f"at {one_line(path, 60)}: {one_line(wrong.message, 160)}.", category="bad-shape")

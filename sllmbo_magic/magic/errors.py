"""Our errors as a notebook shows them: one line for a person, a name and a sentence for a program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from IPython.core.error import UsageError

from sllmbo_magic.errors import SllmboError
from sllmbo_magic.llm.redact import redact


@contextmanager
def one_line_errors(debug: bool) -> Iterator[None]:
    """Turn our errors into their one-line form; with ``debug`` they keep their traceback."""
    try:
        yield
    except SllmboError as error:
        if debug:
            raise
        raise one_line(error) from None


def one_line(error: SllmboError) -> UsageError:
    """The error in its one-line form: still of its class, with keys taken out of its text.

    IPython prints a plain ``UsageError`` to the error stream, where papermill and other clients of the
    kernel do not find it, and shows a subclass with its whole traceback. An exception that renders itself
    becomes an error output: programs find its name and its text there, and a person sees the one line.
    """
    kind: Any = type(error)
    return _one_line_class(kind)(redact(" ".join(str(error).split())))


@cache
def _one_line_class(kind: type[SllmboError]) -> type[UsageError]:
    def render(error: BaseException) -> list[str]:
        return [f"{kind.__name__}: {error}"]

    return type(
        kind.__name__, (UsageError, kind), {"_render_traceback_": render, "__module__": kind.__module__}
    )


def interrupted(text: str) -> KeyboardInterrupt:
    """An interrupt that a notebook shows as one line."""
    error = KeyboardInterrupt(text)
    error._render_traceback_ = lambda: [f"KeyboardInterrupt: {text}"]  # type: ignore[attr-defined]
    return error

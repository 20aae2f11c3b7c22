"""Errors that come from a variable of an earlier cell: they say so, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.namespace import ResolvedTask


@contextmanager
def named_in_errors(task: ResolvedTask) -> Iterator[None]:
    """Add to an InputError which variable of an earlier cell it comes from.

    A variable is the cause when the plan can be made without it. Where the plan is fine and a fit fails, all
    of them are named.
    """
    try:
        yield
    except InputError as error:
        if not task.older:
            raise
        names = _causes(task)
        if not names:
            raise
        one = len(names) == 1
        origin = f"{_listed(names)} {'is' if one else 'are'} from an earlier cell"
        raise InputError(
            error.message,
            f"{error.hint} {origin}; del {', '.join(names)}, or define {'it' if one else 'them'} here.",
        ) from error


def _causes(task: ResolvedTask) -> tuple[str, ...]:
    if _can_be_planned(task, ()):
        return task.older  # planned well, failed later
    pairs = [("X_test", "y_test"), *((name,) for name in task.older if name not in ("X_test", "y_test"))]
    causes = [pair for pair in pairs if set(pair) & set(task.older) and _can_be_planned(task, pair)]
    return tuple(name for name in causes[0] if name in task.older) if causes else ()


def _can_be_planned(task: ResolvedTask, without: tuple[str, ...]) -> bool:
    from sllmbo_magic.tuning.tune import plan

    arguments = {name: value for name, value in task.arguments.items() if name not in without}
    try:
        plan(task.target, task.X, task.y, **arguments)
    except InputError:
        return False
    return True


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

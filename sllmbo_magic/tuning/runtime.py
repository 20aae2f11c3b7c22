"""What a run needs of the process around it: Ctrl-C, early imports."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic._utils.interrupts import on_interrupt
from sllmbo_magic.control import Control

if TYPE_CHECKING:
    from sllmbo_magic.llm.base import BaseProvider


def warm_up(provider: BaseProvider | None) -> None:
    """Imports of a second or two, made while the default is evaluated."""
    with contextlib.suppress(Exception):  # whatever it is, it comes again where it is needed
        if provider is not None:
            provider.warm_up()
        import_module("sklearn.gaussian_process")


def interrupts(control: Control) -> AbstractContextManager[None]:
    """Ctrl-C in the main thread stops the run; a second one abandons the fold in flight,
    a third one raises.
    """

    def handle(number: int, frame: Any) -> None:
        if control.abandoning:
            raise KeyboardInterrupt
        control.interrupt()

    return on_interrupt(handle)

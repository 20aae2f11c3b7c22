"""The notebook's ``%%sllmbo`` and ``%sllmbo``. Loading costs the standard library and IPython only."""

from __future__ import annotations

from typing import Any


def register(shell: Any) -> None:
    """Add the magics to an IPython shell; loading twice is loading once."""
    from sllmbo_magic.magic import magics

    magics.register(shell)


def unregister(shell: Any) -> None:
    """Take everything away again that :func:`register` added."""
    from sllmbo_magic.magic import magics

    magics.unregister(shell)

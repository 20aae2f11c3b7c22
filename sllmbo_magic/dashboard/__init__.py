"""The live view of a run and the way back to it: a widget, and the list of runs for JupyterLab's side panel.

Importing this package imports no widget library; ``Dashboard`` does, when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from sllmbo_magic.dashboard.widget import Dashboard

__all__ = ["Dashboard"]


def __getattr__(name: str) -> Any:
    if name == "Dashboard":
        from sllmbo_magic.dashboard.widget import Dashboard

        return Dashboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

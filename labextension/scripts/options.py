"""Write the tables that Python and the front end share as JSON: options of the magic, names of losses.

Run by hand after a table changed: ``python labextension/scripts/options.py``; a test compares them.
"""

from __future__ import annotations

import json
from pathlib import Path

from sllmbo_magic.magic.completion import known_values
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.task.display_metric import LOSSES

SOURCE = Path(__file__).parent.parent / "src"
TARGET = SOURCE / "lab" / "options.json"
LOSSES_TARGET = SOURCE / "view" / "losses.json"


def table() -> str:
    """The options that completion and hover help show, as JSON text."""
    rows = [
        {
            "spellings": list(option.spellings),
            "metavar": option.metavar if option.takes_value else "",
            "help": option.help,
            "shown": option.shown or ("" if option.default is None else str(option.default)),
            "choices": list(option.choices),
            "values": known_values(option),
            "example": option.example,
        }
        for option in OPTIONS
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def losses() -> str:
    """The names that people use for losses, as JSON text."""
    return json.dumps(LOSSES, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="utf-8")
    LOSSES_TARGET.write_text(losses(), encoding="utf-8")

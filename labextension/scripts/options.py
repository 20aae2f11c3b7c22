"""Write the option table of ``sllmbo_magic.options`` as JSON, for completion and hover help in JupyterLab.

Run by hand after the table changed: ``python labextension/scripts/options.py``; a test compares the two.
"""

from __future__ import annotations

import json
from pathlib import Path

from sllmbo_magic.options import OPTIONS

TARGET = Path(__file__).parent.parent / "src" / "lab" / "options.json"


def table() -> str:
    """The options that completion and hover help show, as JSON text."""
    rows = [
        {
            "spellings": list(option.spellings),
            "metavar": option.metavar if option.takes_value else "",
            "help": option.help,
            "shown": option.shown or ("" if option.default is None else str(option.default)),
            "choices": list(option.choices),
            "example": option.example,
        }
        for option in OPTIONS
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="utf-8")

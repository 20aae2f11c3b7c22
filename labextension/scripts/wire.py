"""Write the types of ``sllmbo_magic.report.wire`` and ``messages`` as TypeScript (``src/view/wire.ts``).

Run by hand after the types changed: ``python labextension/scripts/wire.py``; a test compares the two. Needs
msgspec, Node, and the packages of ``labextension/package.json``.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from sllmbo_magic.report import messages

FRONT_END = Path(__file__).parent.parent
TARGET = FRONT_END / "src" / "view" / "wire.ts"


def schema() -> dict[str, Any]:
    """JSON Schema of all types, one definition each; no object has other fields than those named."""
    _, definitions = msgspec.json.schema_components(messages.ROOTS, ref_template="#/definitions/{name}")
    for definition in definitions.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return {"definitions": definitions}


def typescript(node: str = "node") -> str:
    """The types as TypeScript.

    Args:
        node: Path of Node.

    Raises:
        RuntimeError: Node or json-schema-to-typescript failed.
    """
    done = subprocess.run(
        [node, "scripts/wire.mjs"],
        input=json.dumps(schema()),
        cwd=FRONT_END,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


if __name__ == "__main__":
    TARGET.write_text(typescript(*sys.argv[1:]), encoding="utf-8")

"""A run as one HTML page: no request leaves it, it opens from a file, and it prints.

The page holds the bundle as JSON and the same view as the notebook shows (``static/report.js``). Its content
security policy allows that one script, by its hash, and nothing from outside; texts of an LLM are data to it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

from sllmbo_magic._utils.atomic_write import write_whole
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.report.bundle import SCHEMA
from sllmbo_magic.report.limits import EXACT
from sllmbo_magic.report.limits import json_ready
from sllmbo_magic.report.summary import plain_text

GENERATOR = '<meta name="generator" content="sllmbo_magic">'
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '{script_hash}'; \
style-src '{style_hash}'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{generator}
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main id="sllmbo-report">{fallback}</main>
<script type="application/json" id="sllmbo-bundle">{data}</script>
<script>{script}</script>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; background: #fff; color: #16191d; }
@media (prefers-color-scheme: dark) { :root { background: #14171b; color: #e8eaed; } }
@media print { :root { background: #fff; color: #000; } }
body { margin: 0; font: 14px/1.5 system-ui, sans-serif; }
main { max-width: 1360px; margin: 0 auto; padding: 24px 20px; }
@media print { main { padding: 0; max-width: none; } }
"""


def static_file(name: str) -> str:
    """The text of a built front-end file.

    Raises:
        StorageError: The package was put together without its front end.
    """
    try:
        return resources.files("sllmbo_magic").joinpath("static", name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StorageError(
            f"The front end ({name}) is not built.",
            "Install the package with pip, which builds it, or run in labextension: npm ci && npm run build",
        ) from None


def script_json(data: Any) -> str:
    """The data as JSON that can stand inside a script element: it cannot end it, nor start a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _fallback(bundle: dict[str, Any]) -> str:
    """What the page shows without scripts: the run's paragraph, which the view shows, too."""
    lines = [*plain_text(bundle).split("\n"), "The interactive view needs JavaScript."]
    body = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return f"<noscript><h1>{html.escape(str(bundle['run'].get('name', 'run')))}</h1>{body}</noscript>"


def render_report(bundle: dict[str, Any]) -> str:
    """The page of a bundle (schema 1) as text.

    Raises:
        InputError: It is no such bundle.
    """
    if not isinstance(bundle, dict) or bundle.get("schema") != SCHEMA or "run" not in bundle:
        raise InputError(f"This is no bundle of a run (schema {SCHEMA}).", "Use TuneResult.bundle().")
    script = static_file("report.js").replace("</script", "<\\/script").strip()
    return _PAGE.format(
        generator=GENERATOR,
        script_hash=_hash(script),
        style_hash=_hash(_STYLE),
        title=html.escape(f"{bundle['run'].get('name', 'run')} · sllmbo"),
        style=_STYLE,
        fallback=_fallback(bundle),
        data=script_json(json_ready(bundle, digits=EXACT)),
        script=script,
    )


def write_report(bundle: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write the page, whole or not at all, and return its path.

    Raises:
        InputError: The bundle is none, or the path is a folder.
        StorageError: The file cannot be written.
    """
    return write_whole(path, render_report(bundle).encode("utf-8"))

"""A saved notebook as a page: its words, its code, and of each output the picture or the text."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """The page in Markdown, and its pictures by file name."""
    notebook = nbformat.read(path, as_version=4)
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            parts += _output(output, path.stem, pictures)
    note = f"The notebook is `examples/{path.name}`; this page shows it as it was saved."
    title, _, rest = parts[0].partition("\n")
    return "\n\n".join([title, f"*{note}*", rest.strip(), *parts[1:]]) + "\n", pictures


def _output(output: NotebookNode, stem: str, pictures: dict[str, bytes]) -> list[str]:
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode(data["image/png"])
        return [f"![Output of the cell]({name})"]
    text = output.get("text") or data.get("text/plain") or output.get("evalue", "")
    text = re.sub(r"\x1b\[[\d;]*m", "", text).strip()
    return [f"```text\n{text}\n```"] if text else []

"""What the site holds beside the pages of ``docs/``: error messages, notebooks, pages of the root folder."""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from mkdocs.structure.files import Files

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT)]

import _errors  # noqa: E402
import _notebooks  # noqa: E402

MEASURED = ("evidence.md", "performance.md")
OF_THE_ROOT = {"CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}


def on_config(config: Any) -> Any:
    """Pages of measurements come into the navigation when they are there."""
    (explanation,) = [section["Explanation"] for section in config.nav if "Explanation" in section]
    explanation[-1:-1] = [name for name in MEASURED if (DOCS / name).exists()]
    return config


def on_files(files: Files, config: Any) -> Files:
    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for name in sorted(OF_THE_ROOT):
        add(name, (ROOT / name).read_text(encoding="utf-8"))
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        text, pictures = _notebooks.page(path)
        add(f"examples/{path.stem}.md", text)
        for name, content in pictures.items():
            add(f"examples/{name}", content)
    add("examples/data/README.md", (ROOT / "examples" / "data" / "README.md").read_text(encoding="utf-8"))
    add("reference/errors.md", _errors.page(ROOT / "sllmbo_magic"))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as they are in the repository, turned into links of the site."""
    if page.file.src_uri in OF_THE_ROOT:
        markdown = re.sub(r"\]\(docs/", "](", markdown)
    up = page.file.src_uri.count("/")
    markdown = re.sub(r"(\]\([\w./]*examples/\w+)\.ipynb", r"\1.md", markdown)
    # In the repository, examples/ and the files of the root folder lie one folder above docs/.
    return re.sub(rf"\]\((?:\.\./){{{up + 1}}}(examples/|[A-Z]+\.md)", rf"]({'../' * up}\1", markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """The values of defaults that a signature takes from the option table."""
    from sllmbo_magic.options import signature

    if page.file.src_uri != "reference/api.md":
        return html
    return re.sub(
        r'<span class="n">DEFAULT</span><span class="o">\.</span><span class="n">(\w+)</span>',
        lambda match: f'<span class="kc">{escape(repr(getattr(signature.DEFAULT, match[1])))}</span>',
        html,
    )

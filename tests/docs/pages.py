"""The pages of README and docs as blocks of code, each with how it is tested."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One fenced block; ``note`` is the HTML comment right above it, ``""`` without one."""

    page: str
    line: int
    language: str
    code: str
    note: str

    @property
    def is_cell(self) -> bool:
        return self.language == "python" or (not self.language and self.code.startswith("%%sllmbo "))

    @property
    def not_executed(self) -> str:
        """Why it is not executed: the words after ``not executed:``; else ``""``."""
        return self.note.removeprefix("not executed: ") if self.note.startswith("not executed: ") else ""

    @property
    def missing(self) -> list[str]:
        """Packages that it needs (``needs: a, b``) and that are not installed here."""
        names = self.note.removeprefix("needs: ").split(", ") if self.note.startswith("needs: ") else []
        return [name for name in names if importlib.util.find_spec(name) is None]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> list[Block]:
    text = text_of(page)
    return [
        Block(
            page,
            text.count("\n", 0, match.start("code")),
            match["language"],
            re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE),
            match["note"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]


def shortened(code: str) -> str:
    """The same program with a few trials, where the page shows as many as a reader makes. A background run
    keeps its trials, since the next cells steer it.
    """
    if "replay:" in code:  # a replay needs the options of its recording: it ends early instead
        return re.sub(r"^(%%sllmbo .*)$", r"\1 --timeout 10s --no-widget", code, flags=re.MULTILINE)
    if "--background" in code:
        return re.sub(r"^(%%sllmbo .*)$", r"\1 --no-widget", code, flags=re.MULTILINE)
    code = re.sub(r"(--(?:n-)?trials) (\d+)", lambda m: f"{m[1]} {min(int(m[2]), 4)}", code)
    code = re.sub(r"\b(n_trials|n_iter|max_evals)=(\d+)", lambda m: f"{m[1]}={min(int(m[2]), 4)}", code)
    return re.sub(r"^(%%sllmbo .*)$", r"\1 --no-widget", code, flags=re.MULTILINE)

"""A bundle made to fit into so many bytes: texts cut with a note, long runs thinned out last."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report.plain import number
from sllmbo_magic.report.plain import tidy
from sllmbo_magic.report.reading import read
from sllmbo_magic.report.text import cut

WHERE = "are in the run's folder"
_DEPTH = 7
"""Spaces before each line: notebook, cells, cell, outputs, output, data, MIME type."""
_TEXT_LIMITS = (20_000, 8_000, 4_000, 2_000, 1_000, 500, 250, 120, 60)
_LONG = ("text", "reasoning", "reason", "why", "expected")
_LAST = ((None, 1), (200, 1), (50, 1), *((20, 2**i) for i in range(12)))
"""Entries of the conversation (None: all), and of so many trials one: from much to little."""


def first_that_fits(texts: Iterable[str], room: int) -> str:
    """The first of the texts that has at most ``room`` bytes, else the last one."""
    text = ""
    for text in texts:
        if len(text.encode()) <= room:
            break
    return text


def bounded(bundle: Mapping[str, Any], room: int) -> dict[str, Any]:
    """A copy of the bundle that takes at most ``room`` bytes of a notebook's file, as far as that can be had.

    In this order: fold scores and times are rounded to 6 digits; the texts of the conversation are cut, each
    with a note of how much is missing; trials lose reasons and fold scores; replies lose their candidates;
    the conversation keeps its newest entries; trials are thinned, but for the default's and those that were
    the best in their time. What was left out is counted in ``omitted``, as ``RunView.snapshot`` does.
    Parameters and scores stay as the bundle has them.
    """
    out: dict[str, Any] = tidy(dict(bundle))
    for mine, given in ((out, bundle), (out.get("space") or {}, bundle.get("space") or {})):
        for name in ("chat", "trials", "versions"):
            _keep_times(mine.get(name) or (), given.get(name) or ())
    chat, trials = out.get("chat") or [], [_rounded(t) for t in out.get("trials") or ()]
    out["trials"] = trials
    for limit in _TEXT_LIMITS:
        out["chat"] = [_cut(entry, limit) for entry in chat]
        if size(out) <= room:
            return out
    chat = out["chat"]
    out["trials"] = bare = [{**t, "reason": "", "expected": "", "splits": []} for t in trials]
    if size(out) <= room:
        return out
    chat = [{**entry, "candidates": []} if entry.get("candidates") else entry for entry in chat]
    keep = {t.n for t in read(out).incumbents} | {0}
    already = out.get("omitted") or {}
    for most, stride in _LAST:
        out["chat"] = chat if most is None else chat[-most:]
        out["trials"] = [t for i, t in enumerate(bare) if i % stride == 0 or t.get("n") in keep]
        left_out = {"trials": len(bare) - len(out["trials"]), "chat": len(chat) - len(out["chat"])}
        out["omitted"] = {**already, **{key: already.get(key, 0) + n for key, n in left_out.items()}}
        if size(out) <= room:
            break
    return out


def size(data: Any) -> int:
    """Bytes of the data in a notebook's file, which is JSON with a line for every value."""
    text = json.dumps(data, ensure_ascii=False, indent=1)
    return len(text.encode()) + _DEPTH * text.count("\n")


def _keep_times(entries: Iterable[dict[str, Any]], given: Iterable[Mapping[str, Any]]) -> None:
    """Seconds since 1970 order the conversation, and need more digits than other numbers."""
    for entry, whole in zip(entries, given, strict=True):
        if "time" in entry:
            entry["time"] = number(whole["time"], 12)


def _rounded(trial: dict[str, Any]) -> dict[str, Any]:
    short: dict[str, Any] = {key: number(trial[key], 6) for key in ("std", "seconds") if key in trial}
    return {**trial, **short, "splits": [number(s, 6) for s in trial.get("splits") or ()]}


def _cut(data: Any, limit: int) -> Any:
    """The entry with every long text in it cut."""
    if isinstance(data, dict):
        return {
            key: cut(item, limit, WHERE) if key in _LONG and isinstance(item, str) else _cut(item, limit)
            for key, item in data.items()
        }
    return [_cut(item, limit) for item in data] if isinstance(data, list) else data

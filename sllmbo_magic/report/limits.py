"""Bounds of what is stored and sent: texts, numbers, updates of the live view, bundles in a notebook.

An update has at most :data:`MAX_DELTA_BYTES`, and says what it left out (:func:`limit_delta`). A bundle in a
notebook fits into so many bytes: texts are cut with a note, long runs are thinned out last
(:func:`limit_bundle`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report.run_data import read
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import cut

MAX_TEXT = 100_000
"""Characters kept of one text; a longer one is cut and says so."""
MAX_DELTA_BYTES = 1000
EXACT = 17
"""Significant digits that keep a float as it is. Scores have them: which trial is best hangs on the last."""
IN_FOLDER = "are in the run's folder"


def bounded_text(text: object, limit: int = MAX_TEXT) -> str:
    """The text as ``report.text.clean`` leaves it, cut to ``limit`` characters with a mark."""
    clean_text = clean(text)
    return clean_text if len(clean_text) <= limit else clean_text[: limit - 2] + " …"


def rounded(value: Any, digits: int = 8) -> Any:
    """A float with so many significant digits; None for NaN and infinity, which JSON does not have."""
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def json_ready(value: Any, digits: int = 8) -> Any:
    """Plain data of any depth with clean texts (keys too) and finite numbers of so many digits."""
    if isinstance(value, dict):
        return {bounded_text(k, 200): json_ready(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(v, digits) for v in value]
    if value is None or isinstance(value, bool | int | float):
        return rounded(value, digits)
    return bounded_text(value)


def compact_bytes(data: Any) -> int:
    """Bytes of the data as compact JSON in UTF-8."""
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


# ------------------------------------------------------------------ updates of the live view

_SHORTER: tuple[tuple[str, int | None], ...] = (
    ("text", 240),
    ("reasoning", 240),
    ("cause", 300),
    ("reason", 160),
    ("expected", 80),
    ("candidates", None),
    ("summary", None),
    ("value", None),
    ("params", None),
    ("splits", None),
    ("folds", None),
    ("usage", None),
    ("text", 60),
    ("reasoning", 60),
    ("cause", 60),
    ("reason", 40),
    ("expected", 0),
)
"""What a delta gives up, in this order, until it is small: a text to so many characters, or a field."""


_ALWAYS_TOLD = ("status", "default_value", "best_value", "best_number")


def limit_delta(delta: dict[str, Any]) -> dict[str, Any]:
    """The delta in at most :data:`MAX_DELTA_BYTES`; a shortened entry is marked ``"more": true``.

    What does not belong to an entry and still is too large (the outer space, a run's description, its
    summary) is left to the next snapshot: ``"stale": true``. That may come late, while the kernel draws the
    final picture, so that a few fields of the run are kept: whether it goes on, and what is best.
    """
    if compact_bytes(delta) <= MAX_DELTA_BYTES:
        return delta
    small = {**delta}
    for key in ("trial", "chat", "space"):
        if key in small:
            small[key] = {**small[key]}
    for field, limit in _SHORTER:
        for key in ("trial", "chat", "space"):
            entry = small.get(key)
            if entry is None or not isinstance(entry.get(field), str | list | dict):
                continue
            if limit is None and (key, field) != ("trial", "value"):
                del entry[field]
            elif isinstance(entry[field], str) and limit is not None and len(entry[field]) > limit:
                entry[field] = entry[field][:limit]
            else:
                continue
            entry["more"] = True
        if compact_bytes(small) <= MAX_DELTA_BYTES:
            return small
    required = {k: v for k, v in small.items() if k in ("seq", "seconds", "cost", "trial", "chat")}
    run = {k: v for k, v in (small.get("run") or {}).items() if k in _ALWAYS_TOLD}
    return {**required, **({"run": run} if run else {}), "stale": True}


def last_entries(
    entries: list[Any], limit: int | None, always: Callable[[Any], bool] = lambda entry: False
) -> list[Any]:
    """The last ``limit`` entries, after the earlier ones that are ``always`` kept; all with None."""
    if limit is None or len(entries) <= limit:
        return list(entries)
    split = len(entries) - limit
    return [e for e in entries[:split] if always(e)] + entries[split:]


def cut_entry(entry: dict[str, Any], limit: int) -> dict[str, Any]:
    """An entry of the chat with its texts cut to ``limit`` characters, and ``"more": true`` if one was."""
    long = [k for k in ("text", "reasoning") if len(entry.get(k) or "") > limit]
    return {**entry, **{k: entry[k][:limit] for k in long}, "more": True} if long else entry


# ------------------------------------------------------------------ a bundle in a notebook

_DEPTH = 7
"""Spaces before each line: notebook, cells, cell, outputs, output, data, MIME type."""
_TEXT_LIMITS = (20_000, 8_000, 4_000, 2_000, 1_000, 500, 250, 120, 60)
_SCORES = ("value", "values", "best_value", "default_value", "summary")
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


def limit_bundle(bundle: Mapping[str, Any], room: int) -> dict[str, Any]:
    """A copy of the bundle that takes at most ``room`` bytes of a notebook's file, as far as that can be had.

    In this order: fold scores and times are rounded to 6 digits; the texts of the conversation are cut, each
    with a note of how much is missing; trials lose reasons and fold scores; replies lose their candidates;
    the conversation keeps its newest entries; trials are thinned, but for the default's and those that were
    the best in their time. What was left out is counted in ``omitted``, as ``RunView.snapshot`` does.
    Parameters and scores stay as the bundle has them.
    """
    out: dict[str, Any] = json_ready(dict(bundle))
    _keep(_SCORES, [out.get("run") or {}], [bundle.get("run") or {}])
    _keep(_SCORES, out.get("trials") or (), bundle.get("trials") or ())
    for copy, source in ((out, bundle), (out.get("space") or {}, bundle.get("space") or {})):
        for name in ("chat", "trials", "versions"):
            _keep(("time",), copy.get(name) or (), source.get(name) or ())
    chat, trials = out.get("chat") or [], [_rounded(t) for t in out.get("trials") or ()]
    out["trials"] = trials
    sizes = _sizes(trials)  # each trial is measured once, not for each attempt
    for limit in _TEXT_LIMITS:
        out["chat"] = [_cut(entry, limit) for entry in chat]
        if _bytes_with(out, sizes) <= room:
            return out
    chat = out["chat"]
    out["trials"] = bare = [{**t, "reason": "", "expected": "", "splits": []} for t in trials]
    sizes = _sizes(bare)
    if _bytes_with(out, sizes) <= room:
        return out
    chat = [{**entry, "candidates": []} if entry.get("candidates") else entry for entry in chat]
    keep = {t.n for t in read(out).incumbents} | {0}
    already = out.get("omitted") or {}
    for most, stride in _LAST:
        out["chat"] = chat if most is None else chat[-most:]
        kept = [i for i, t in enumerate(bare) if i % stride == 0 or t.get("n") in keep]
        out["trials"] = [bare[i] for i in kept]
        n_omitted = {"trials": len(bare) - len(out["trials"]), "chat": len(chat) - len(out["chat"])}
        out["omitted"] = {**already, **{key: already.get(key, 0) + n for key, n in n_omitted.items()}}
        if _bytes_with(out, [sizes[i] for i in kept]) <= room:
            break
    return out


def notebook_bytes(data: Any) -> int:
    """Bytes of the data in a notebook's file, which is JSON with a line for every value."""
    return _compact(data) + _indentation(data, 0)


def _compact(data: Any) -> int:
    # json.dumps(data, indent=1) is many times slower: with an indent it is no C code
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ": ")).encode())


def _indentation(data: Any, depth: int) -> int:
    """Line breaks and the spaces after them, for a value that stands so deep in the data."""
    if not isinstance(data, dict | list | tuple) or not data:
        return 0
    line = 1 + depth + _DEPTH
    items = data.values() if isinstance(data, dict) else data
    nested = sum(_indentation(item, depth + 1) for item in items if isinstance(item, dict | list | tuple))
    return len(data) * (line + 1) + line + nested


def _sizes(trials: Iterable[Any]) -> list[int]:
    """What each trial adds to the bytes of a bundle."""
    line = 1 + 2 + _DEPTH
    return [_compact(trial) + _indentation(trial, 2) + line + 1 for trial in trials]  # 1: the comma


def _bytes_with(bundle: Mapping[str, Any], sizes: list[int]) -> int:
    """Bytes of the bundle, whose trials have these sizes."""
    end = 1 + 1 + _DEPTH - 1 if sizes else 0  # the bracket on a line of its own; no comma after the last
    return notebook_bytes({**bundle, "trials": []}) + sum(sizes) + end


def _keep(
    keys: Iterable[str], copies: Iterable[dict[str, Any]], sources: Iterable[Mapping[str, Any]]
) -> None:
    """Put back what needs more digits: scores, and seconds since 1970, which order the conversation."""
    for entry, source in zip(copies, sources, strict=True):
        entry.update((key, json_ready(source[key], digits=EXACT)) for key in keys if key in source)


def _rounded(trial: dict[str, Any]) -> dict[str, Any]:
    short: dict[str, Any] = {key: rounded(trial[key], 6) for key in ("std", "seconds") if key in trial}
    return {**trial, **short, "splits": [rounded(s, 6) for s in trial.get("splits") or ()]}


def _cut(data: Any, limit: int) -> Any:
    """The entry with every long text in it cut."""
    if isinstance(data, dict):
        return {
            key: cut(item, limit, IN_FOLDER) if key in _LONG and isinstance(item, str) else _cut(item, limit)
            for key, item in data.items()
        }
    return [_cut(item, limit) for item in data] if isinstance(data, list) else data

"""The conversation of a run as HTML: what was asked and answered, how the search space changed and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report import markup
from sllmbo_magic.report.limits import IN_FOLDER
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import Version
from sllmbo_magic.report.run_data import finite
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import cut
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import value

LIMITS = ((1200, 400), (600, 400), (300, 400), (150, 200), (150, 100), (100, 40), (80, 10))
"""Characters of one text and number of entries, from generous to short."""
_PARAMETERS = 10
"""Of a candidate, as many parameters are listed."""
_SPEAKERS = {
    "prompt": "Asked",
    "reply": "Answer",
    "note": "Note",
    "fallback": "Fallback",
    "wish": "Wish of the user",
    "space": "Search space",
}


def conversation(run: RunData, limit: int, most: int) -> str:
    """The conversation, folded: each text with at most ``limit`` characters, at most ``most`` entries."""
    entries = _entries(run)
    if not entries:
        return ""
    inner = "".join(_entry(entry, limit) for entry in entries[:most])
    if len(entries) > most:
        n_more_text = f"{count(len(entries) - most, 'more entry', 'more entries')} {IN_FOLDER}."
        inner += markup.block(markup.escaped(n_more_text), markup.MUTED)
    requests = count(sum(entry.get("kind") == "prompt" for entry in entries), "request")
    return markup.folded(f"Conversation: {requests}, {count(len(entries), 'entry', 'entries')}", inner)


def _entries(run: RunData) -> list[Mapping[str, Any]]:
    """The chat in its order, with each change of the search space before the first entry of a later trial."""
    entries = list(run.chat)
    if any(entry.get("kind") == "space" for entry in entries):
        return entries
    for before, after in zip(run.versions, run.versions[1:], strict=False):
        place = next(
            (i for i, e in enumerate(entries) if (finite(e.get("trial")) or 0) > after.trial), len(entries)
        )
        entries.insert(place, {"kind": "space", "trial": after.trial, "text": _change(before, after)})
    return entries


def _change(before: Version, after: Version) -> str:
    """Who changed what in the search space, and the reason given."""
    parts = [f"{name}: {_range(p)}" for name, p in after.params.items() if before.params.get(name) != p]
    parts += [f"{name}: not searched" for name in before.params if name not in after.params]
    by = f"Changed by {after.by}. " if after.by else ""
    return f"{by}{', '.join(parts)}\n{after.reason}".strip()


def _range(params: Mapping[str, Any]) -> str:
    if "choices" in params:
        return " | ".join(value(choice, 24) for choice in params["choices"])
    if "low" in params and "high" in params:
        return f"{value(params['low'])} to {value(params['high'])}{' (log)' if params.get('log') else ''}"
    return f"fixed at {value(params.get('fixed'))}"


def _entry(entry: Mapping[str, Any], limit: int) -> str:
    kind = str(entry.get("kind") or "note")
    author = _SPEAKERS.get(kind, "Note")
    if kind == "reply" and entry.get("provider"):
        author = f"{author} of {one_line(entry['provider'], 60)}"
    position = f", trial {entry['trial']}" if isinstance(entry.get("trial"), int) else ""
    head = f'<span style="{markup.BOLD}">{markup.escaped(author)}</span>'
    head += f'<span style="{markup.MUTED}">{markup.escaped(position)}</span>'
    lines = markup.escaped(_text(kind, entry, limit)).replace("\n", "<br>")  # files split HTML at newlines
    body = markup.block(lines, "white-space:pre-wrap;overflow-wrap:break-word")
    return markup.block(head + body, "margin:6px 0")


def _text(kind: str, entry: Mapping[str, Any], limit: int) -> str:
    if kind == "wish":
        argument = "" if entry.get("value") is None else f" {value(entry['value'], limit)}"
        return f"{entry.get('wish', '')}{argument} ({entry.get('state', '')})"
    candidates = [c for c in entry.get("candidates") or () if isinstance(c, Mapping)]
    if kind == "reply" and (candidates or entry.get("reasoning")):
        # The raw reply says the same once more; it is in the transcript.
        reasoning = cut(entry.get("reasoning") or "", limit, IN_FOLDER)
        return "\n".join(line for line in (reasoning, *_candidates(candidates, limit)) if line)
    return cut(entry.get("text") or "", limit if kind == "prompt" else 2 * limit, IN_FOLDER)


def _candidates(candidates: list[Mapping[str, Any]], limit: int) -> list[str]:
    """A line for each candidate; a reason for which several were rejected stands once, above them."""
    rejected = [str(c.get("why") or "") for c in candidates if c.get("status") == "rejected"]
    shared = {why for why, n in Counter(rejected).items() if why and n > 1}
    lines = [_candidate(c, limit) for c in candidates if _why(c) not in shared]
    for why in dict.fromkeys(w for w in rejected if w in shared):
        lines.append(f"{rejected.count(why)} rejected: {one_line(why, limit)}")
        lines += [f"– {_listed(c)}" for c in candidates if _why(c) == why]
    return lines


def _why(candidate: Mapping[str, Any]) -> str | None:
    return str(candidate.get("why") or "") if candidate.get("status") == "rejected" else None


def _candidate(candidate: Mapping[str, Any], limit: int) -> str:
    why = one_line(candidate.get("why") or candidate.get("reason") or "", limit)
    status = one_line(candidate.get("status") or "proposed", 20)
    return f"{status}: {_listed(candidate)}{' – ' + why if why else ''}"


def _listed(candidate: Mapping[str, Any]) -> str:
    params = candidate.get("params")
    pairs = list(params.items()) if isinstance(params, Mapping) else []
    listed = ", ".join(f"{one_line(k, 40)}={value(v, 24)}" for k, v in pairs[:_PARAMETERS])
    return f"{listed}{', …' if len(pairs) > _PARAMETERS else ''}"

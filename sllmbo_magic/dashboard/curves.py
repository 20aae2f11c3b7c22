"""What the dashboard compares runs by: best score over trials and seconds, scores, the best parameters.

The runs are those of this kernel and, by their transcripts, the newest ones of the folder that it works in.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from typing import Protocol

from sllmbo_magic.errors import SllmboError
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.run_data import read
from sllmbo_magic.storage.runs import folders_of_runs
from sllmbo_magic.tuning.archive import stored_events

MOST_STORED = 12
"""Runs that are read from the folder, the newest ones."""
_MOST_CACHED = 4 * MOST_STORED
_lock = threading.Lock()
_cache: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}
"""Curves by the path of a transcript, with its time of change and its size when it was read."""


class CurveView(Protocol):
    """A run of this kernel."""

    def snapshot(self) -> dict[str, Any]:
        """Its bundle so far."""
        ...


def curves_beside(live: CurveView, others: Iterable[CurveView]) -> list[dict[str, Any]]:
    """The run's own curve, and those of other runs of the kernel and of the folder, newest first."""
    views = [live, *(other for other in others if other is not live)]
    curves = [curve(one.snapshot(), here=one is live, id=f"kernel-{i}") for i, one in enumerate(views)]
    present = {one["name"]: one for one in curves}
    folders = sorted(folders_of_runs(), key=lambda f: f.transcript_path.stat().st_mtime, reverse=True)
    for folder in [f for f in folders if f.name not in present][:MOST_STORED]:
        with contextlib.suppress(OSError, ValueError, KeyError, SllmboError):  # a broken run hides no other
            stored = _stored_curve(folder.transcript_path)
            # a run may have been renamed
            curves.append({**stored, "name": folder.name, "id": f"folder-{folder.name}"})
    return sorted(curves, key=lambda c: (not c["here"], -(c["started_at"] or 0.0)))


def _stored_curve(transcript: Path) -> dict[str, Any]:
    """The curve of a stored run. An open pane asks after every trial, so a transcript is read once for each
    time that it changed.
    """
    stat = transcript.stat()
    state = stat.st_mtime_ns, stat.st_size
    with _lock:
        cached = _cache.get(transcript.absolute())
        if cached is not None and cached[0] == state:
            return cached[1]
    view = RunView()
    for event in stored_events(transcript):
        view.apply(event)
    stored_run = curve(view.snapshot(), here=False, id="")
    with _lock:
        _cache[transcript.absolute()] = state, stored_run
        while len(_cache) > _MOST_CACHED:
            _cache.pop(next(iter(_cache)))
    return stored_run


def curve(bundle: dict[str, Any], *, here: bool, id: str) -> dict[str, Any]:
    """One run in what a comparison needs (``report.messages.Curve``); scores are scikit-learn's."""
    run = bundle["run"]
    sign = -1.0 if run.get("direction") == "minimize" else 1.0
    steps: list[list[float]] = []
    seconds = 0.0
    for trial in bundle["trials"]:
        seconds += trial.get("seconds") or 0.0
        value = trial.get("value")
        if trial.get("state") == "COMPLETE" and value is not None:
            so_far = value if not steps else sign * max(sign * value, sign * steps[-1][2])
            steps.append([trial["n"], round(seconds, 3), so_far])
    best: dict[str, Any] = next((t for t in bundle["trials"] if t["n"] == run["best_number"]), {"params": {}})
    return {
        "id": id,
        "name": str(run.get("name") or "run"),
        "status": run["status"],
        **{key: run.get(key) for key in ("metric", "direction", "sampler", "llm", "started_at")},
        "negated": bool(run.get("negated")),
        "here": here,
        "n_trials": read(bundle).n_trials,
        "seconds": round(seconds, 3),
        **{key: run.get(key) for key in ("default_value", "best_value", "best_number")},
        "best_params": best["params"],
        "steps": steps,
    }

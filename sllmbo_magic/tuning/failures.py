"""The causes of failed trials: the first of each kind is shown at once, all are counted.

Two trials fail for the same cause when their messages differ in numbers only: ``alpha=0.1 is too large`` and
``alpha=0.2 is too large`` are one line of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.evaluation import CATEGORIES
from sllmbo_magic.history.trials import counts
from sllmbo_magic.report.text import value as shown_value

SAME_FAILURES = 5
"""Trials at the start of a run that must all fail for one cause before the run ends."""
MAX_NOTES = 5
"""Causes that are shown at once; further ones are only in the table at the end."""
_CURABLE = ("timeout", "out-of-memory", "not-finite-score")
"""Failures that another configuration may well not have: they end no run."""
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class FailureLog:
    """The trials that ended in this process, seen for their failures only."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._n_ended = 0
        self._one_cause: str | None = None
        """The cause that all trials so far failed for; None when there is none."""

    def add(
        self, trial_number: int, params: Mapping[str, Any], category: str | None, cause: str
    ) -> str | None:
        """Count a trial.

        Args:
            params: Its parameters, shown with a new cause.
            category: One of ``evaluation.CATEGORIES``; None when it did not fail.
            cause: Why it failed, in the user's terms; may have several lines.

        Returns:
            One message for the user when the cause is new, else None.
        """
        self._n_ended += 1
        cause = cause or CATEGORIES.get(category or "", category or "")
        if category is None or category in _CURABLE:
            self._one_cause = None
        elif self._n_ended == 1:
            self._one_cause = cause
        elif self._one_cause is not None and same_cause(cause) != same_cause(self._one_cause):
            self._one_cause = None
        if category is None:
            return None
        key = same_cause(cause)
        if key in self._keys or len(self._keys) >= MAX_NOTES:
            return None
        self._keys.add(key)
        values = ", ".join(f"{name}={shown_value(value)}" for name, value in params.items())
        return f"Trial {trial_number} failed: {cause}" + (f"\nIts parameters: {values}." if values else "")

    @property
    def hopeless(self) -> str | None:
        """Why the search cannot succeed, one clause: its first trials all failed for one cause."""
        if self._one_cause is None or self._n_ended < SAME_FAILURES:
            return None
        return f"the first {self._n_ended} trials all failed for the same cause: {self._one_cause}"


def why_all_failed(trials: Iterable[FrozenTrial]) -> str | None:
    """Why a run of several trials has no score at all, one clause; None where a trial did not fail, or too
    few have ended to say so.
    """
    ended = [trial for trial in trials if trial.state.is_finished() and counts(trial)]
    if len(ended) < SAME_FAILURES or any(trial.state.name != "FAIL" for trial in ended):
        return None
    table = failure_table(ended)
    how = "for the same cause" if len(table) == 1 else "most often"
    return f"all {len(ended)} trials failed{',' if len(table) > 1 else ''} {how}: {table[0]['cause']}"


def failure_table(trials: Iterable[FrozenTrial]) -> list[dict[str, Any]]:
    """The causes of the failed trials, the most frequent first.

    Each is a dict: ``cause`` (of its first trial), ``category``, ``count``, ``trial`` (number of the first)
    and ``params`` (of the first).
    """
    table: dict[str, dict[str, Any]] = {}
    for trial in trials:
        if trial.state.name != "FAIL" or not counts(trial):
            continue
        evaluation = trial.user_attrs.get(attrs.EVALUATION) or {}
        category = str(evaluation.get("error") or "fit-failed")
        cause = str(evaluation.get("cause") or CATEGORIES.get(category, category))
        row = table.setdefault(
            same_cause(cause),
            {
                "cause": cause,
                "category": category,
                "count": 0,
                "trial": trial.number,
                "params": dict(trial.params),
            },
        )
        row["count"] += 1
    return sorted(table.values(), key=lambda row: (-row["count"], row["trial"]))


def same_cause(cause: str) -> str:
    """The cause without its numbers: equal for causes that are counted as one."""
    return _NUMBER.sub("#", cause)

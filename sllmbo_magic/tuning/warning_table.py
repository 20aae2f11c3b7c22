"""The warnings of libraries in a run, by text: those of the trials' fits, and those between the fits."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from sllmbo_magic import attrs
from sllmbo_magic.evaluation.warnings import same_text

OTHER_TEXTS = "(other texts)"
"""Stands for the warnings of a class whose texts were not kept."""

MAX_ROWS = 40


def warning_table(trials: Iterable[FrozenTrial], between: Mapping[str, int]) -> list[dict[str, Any]]:
    """The warnings by text, the most frequent :data:`MAX_ROWS` first; see ``TuneResult.warnings``.

    Args:
        trials: Hold the counts of their fits in ``attrs.EVALUATION``.
        between: Counts between the fits, by ``"Class: text"``.
    """
    table: dict[str, dict[str, Any]] = {}
    for trial in trials:
        evaluation = trial.user_attrs.get(attrs.EVALUATION) or {}
        texts = dict(evaluation.get("warning_texts") or {})
        for category, count in (evaluation.get("warnings") or {}).items():
            n_with_text = sum(n for text, n in texts.items() if text.startswith(f"{category}: "))
            if count > n_with_text:
                texts[f"{category}: {OTHER_TEXTS}"] = count - n_with_text
        for text, count in texts.items():
            _add(table, text, count, trial.number)
    for text, count in between.items():
        _add(table, text, count, None)
    return sorted(table.values(), key=lambda row: -row["count"])[:MAX_ROWS]


def _add(table: dict[str, dict[str, Any]], text: str, count: int, trial: int | None) -> None:
    category, _, message = text.partition(": ")
    key = f"{same_text(text)}{'' if trial is None else ' in a trial'}"
    row = table.setdefault(
        key, {"category": category, "text": message, "count": 0, "n_trials": 0, "trial": trial}
    )
    row["count"] += count
    row["n_trials"] += trial is not None

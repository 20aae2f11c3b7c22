"""Trials as a prompt shows them: one header line, then one line of comma-separated values per trial.

Numbers have five digits, and more where those of a column would read the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from numbers import Real
from typing import Any

from sllmbo_magic._utils.value_format import texts_apart
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.choices import labelled
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.search_space import SearchSpace

NOTHING = "-"
"""Stands where a trial has no value: an inactive parameter, no folds, no training score."""
_MAX_FURTHER = 6
"""Columns at most for parameters that are not searched any more."""


@dataclass(frozen=True)
class Columns:
    """Which parameters a table shows.

    Attributes:
        names: The searched parameters that the prompt is about.
        space: The current search space.
        defaults: The estimator's own values; a trial without a value for a parameter that has no condition
            had these.
    """

    names: Sequence[str]
    space: SearchSpace
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def value(self, trial: Observation, name: str) -> Any:
        """What a trial had of a parameter; :data:`NOTHING` for none."""
        if name in trial.params:
            return trial.params[name]
        if name in self.defaults and all(c.param != name for c in self.space.conditions):
            return self.defaults[name]
        return NOTHING

    def further(self, trials: Iterable[Observation]) -> list[str]:
        """Parameters that are not searched now, but in which these trials differ, also from what is held."""
        fixed = self.space.fixed
        values: dict[str, list[Any]] = {}
        trials = list(trials)
        for trial in trials:
            if trial.source == "default":  # it has all parameters of the estimator
                continue
            for name in trial.params:
                if name not in self.space:
                    values.setdefault(name, [])
        for name, column in values.items():
            column += [self.value(trial, name) for trial in trials]
            if name in fixed:
                column.append(fixed[name])
        return [name for name, column in values.items() if any(v != column[0] for v in column)][:_MAX_FURTHER]


def trial_table(groups: Mapping[str, Sequence[Observation]], columns: Columns) -> str:
    """Groups of trials as one table; a title above each group.

    The first columns are the number, who proposed the trial, its score, and, where any trial has them, the
    standard error over the folds and the training score. "" where there is no trial.
    """
    trials = [trial for group in groups.values() for trial in group]
    if not trials:
        return ""
    names = [*columns.names, *columns.further(trials)]
    with_error = any(trial.spread for trial in trials)
    with_training = any(trial.training_score is not None for trial in trials)
    header = [
        "#",
        "by",
        "score",
        *(["se"] if with_error else []),
        *(["train"] if with_training else []),
        *names,
    ]
    lines = [",".join(header)]
    scores = texts_apart(v for trial in trials for v in (trial.value, trial.reported) if v is not None)
    texts = {name: texts_apart(_floats(name, trials, columns)) for name in names}
    labels = {name: _Labels(name, [columns.value(trial, name) for trial in trials]) for name in names}
    for title, group in groups.items():
        lines += [title] * bool(group and title)
        for trial in group:
            cells = [f"#{trial.number}", trial.source, score_text(trial, scores)]
            cells += [f"{trial.spread:.2g}" if trial.spread else NOTHING] * with_error
            cells += [NOTHING if trial.training_score is None else cell(trial.training_score)] * with_training
            values = {name: columns.value(trial, name) for name in names}
            cells += [
                texts[n][v] if isinstance(v, float) else cell(labels[n].of(v)) for n, v in values.items()
            ]
            lines.append(",".join(cells))
    return "\n".join(lines)


class _Labels:
    """What a column shows in place of lists, tuples and other objects, which may hold the user's texts."""

    def __init__(self, name: str, values: Iterable[Any]) -> None:
        _, self._objects = labelled(name, [value for value in values if _is_object(value)])

    def of(self, value: Any) -> Any:
        """The value, or its label."""
        return encoded({"": value}, {"": self._objects})[""] if _is_object(value) else value


def _is_object(value: Any) -> bool:
    return not plain(value)[1] and not isinstance(value, Real)


def _floats(name: str, trials: Iterable[Observation], columns: Columns) -> list[float]:
    """The numbers that a column must tell apart: its own, and the choices that its parameter has."""
    values = [columns.value(trial, name) for trial in trials]
    values += getattr(columns.space.get(name), "choices", ())
    return [value for value in values if isinstance(value, float)]


def score_text(trial: Observation, texts: Mapping[float, str]) -> str:
    """The score; of a trial without one its state and why.

    Args:
        texts: Scores as text.
    """
    if trial.state == "COMPLETE" and trial.value is not None:
        return texts[trial.value]
    if trial.state == "FAIL":
        return f"FAILED ({trial.error or 'fit-failed'})"
    if trial.state == "PRUNED" and trial.reported is not None:
        return f"PRUNED after {trial.pruned_at} at {texts[trial.reported]}"
    return trial.state


def cell(value: Any) -> str:
    """A value with five digits; text that could be mistaken for several cells in quotes."""
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    text = text if len(text) <= 40 else text[:37] + "..."
    return json.dumps(text) if isinstance(value, str) and any(c in text for c in ',"\n') else text

"""A run's bundle, read once: the values that figures, tables and sentences are made of.

The bundle is the plain dict of schema 1 (see ``report.bundle``), perhaps old, cut short or still running:
what is missing reads as empty, and numbers that are not finite as None. Scores are in the units that people
use (see ``task.display_metric``): a loss is positive and lower is better. Nothing here draws or escapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic.task.display_metric import DisplayMetric
from sllmbo_magic.task.display_metric import display_metric

TRIALS_PER_PARAMETER = 2
"""Scored trials per parameter from which importances are shown."""
DIRECTIONS = ("maximize", "minimize")
ENDED = ("COMPLETE", "INFEASIBLE", "FAIL", "PRUNED")
"""States of trials that have ended."""


@dataclass(frozen=True)
class Trial:
    """One trial. ``value`` is None unless the trial is complete, feasible, and has one finite score."""

    n: int
    state: str
    value: float | None
    std: float | None
    splits: tuple[float, ...]
    params: Mapping[str, Any]
    source: str
    reason: str
    seconds: float
    error: str
    space: int
    came_true: bool | None
    request: int | None

    @property
    def is_cut_off(self) -> bool:
        """Whether the user or an error of the run ended it."""
        return self.state == "FAIL" and self.error == attrs.STOPPED

    @property
    def spread(self) -> tuple[float, float] | None:
        """Fold spread: one standard deviation to each side, else the range of the folds; None without
        folds."""
        if self.value is None:
            return None
        if self.std is not None:
            return (self.value - self.std, self.value + self.std)
        return (min(self.splits), max(self.splits)) if len(self.splits) > 1 else None


@dataclass(frozen=True)
class SourceCount:
    """What one source did: trials, how many got a score, how often it improved on the best, its best
    trial."""

    source: str
    n_trials: int
    scored: tuple[Trial, ...]
    n_improvements: int
    best: Trial | None


@dataclass(frozen=True)
class Version:
    """A version of the search space: in force from trial ``trial`` on; ``params`` by name, in order."""

    version: int
    trial: int
    params: Mapping[str, Mapping[str, Any]]
    reason: str
    by: str


@dataclass(frozen=True)
class RunData:
    """The run as its views need it. ``direction`` is None for several objectives: then no trial has a
    value. ``display`` says how its metric is shown; all scores here are shown ones."""

    info: Mapping[str, Any]
    display: DisplayMetric
    direction: str | None
    trials: tuple[Trial, ...]
    versions: tuple[Version, ...]
    importances: Mapping[str, float]
    cost: Mapping[str, Any]
    chat: tuple[Mapping[str, Any], ...]

    @property
    def maximize(self) -> bool:
        return self.direction != "minimize"

    @property
    def metric(self) -> str:
        """The metric's name: ``"MAE"``."""
        return self.display.label

    @property
    def n_trials(self) -> int:
        """Trials that have an outcome: those that were cut off have none."""
        return sum(t.state in ENDED and not t.is_cut_off for t in self.trials)

    @cached_property
    def llm_by_request(self) -> dict[Any, str]:
        """Who answered each request of the chat."""
        return {entry.get("request"): str(entry["provider"]) for entry in self.chat if entry.get("provider")}

    @cached_property
    def scored(self) -> tuple[Trial, ...]:
        return tuple(t for t in self.trials if t.value is not None)

    @cached_property
    def failed(self) -> tuple[Trial, ...]:
        return tuple(t for t in self.trials if t.state == "FAIL" and not t.is_cut_off)

    @cached_property
    def cut_off(self) -> tuple[Trial, ...]:
        """Trials that the user or an error of the run ended; a resumed run begins with them."""
        return tuple(t for t in self.trials if t.is_cut_off)

    @cached_property
    def pruned(self) -> tuple[Trial, ...]:
        return tuple(t for t in self.trials if t.state == "PRUNED")

    @cached_property
    def infeasible(self) -> tuple[Trial, ...]:
        """Trials that were evaluated, but a constraint does not hold: their scores count nowhere."""
        return tuple(t for t in self.trials if t.state == "INFEASIBLE")

    @cached_property
    def default(self) -> Trial | None:
        """The trial of the library's default configuration."""
        return next((t for t in self.trials if t.source == "default"), None)

    @property
    def default_value(self) -> float | None:
        stored_value = finite(self.info.get("default_value"))
        return stored_value if stored_value is not None or self.default is None else self.default.value

    @cached_property
    def best(self) -> Trial | None:
        """The trial that was kept: the best of the trials at hand, the earlier one of equals, unless another
        one was selected."""
        summary = self.info.get("summary")
        selection = summary.get("selection") if isinstance(summary, Mapping) else None
        number = selection.get("number") if isinstance(selection, Mapping) else None
        selected = next((t for t in self.scored if t.n == number), None)
        return selected or (self.ranked[0] if self.ranked else None)

    @property
    def best_value(self) -> float | None:
        stored_value = finite(self.info.get("best_value"))
        return stored_value if stored_value is not None or self.best is None else self.best.value

    @cached_property
    def ranked(self) -> tuple[Trial, ...]:
        """Scored trials, the best first."""
        sign = -1 if self.maximize else 1
        return tuple(sorted(self.scored, key=lambda t: (sign * (t.value or 0.0), t.n)))

    @cached_property
    def goodness(self) -> dict[int, float]:
        """Trial number to its rank among the scored ones, 1 for the best and 0 for the worst."""
        last = max(len(self.ranked) - 1, 1)
        return {t.n: 1 - i / last for i, t in enumerate(self.ranked)}

    @cached_property
    def incumbents(self) -> tuple[Trial, ...]:
        """The trials that were the best when they ended, in order."""
        best: list[Trial] = []
        for trial in self.scored:
            if not best or self.better(trial.value, best[-1].value):
                best.append(trial)
        return tuple(best)

    def better(self, a: float | None, b: float | None) -> bool:
        """Whether score ``a`` is better than ``b``."""
        if a is None or b is None:
            return False
        return a > b if self.maximize else a < b

    @cached_property
    def sources(self) -> tuple[SourceCount, ...]:
        """One count per source, in the order in which they first appear.

        A trial improves when it beats every scored trial before it; the first scored trial improves on
        nothing.
        """
        improving = {t.n for t in self.incumbents[1:]}
        counts = []
        for source in dict.fromkeys(t.source for t in self.trials):
            trials = [t for t in self.trials if t.source == source and not t.is_cut_off]
            counts.append(
                SourceCount(
                    source=source,
                    n_trials=len(trials),
                    scored=tuple(t for t in trials if t.value is not None),
                    n_improvements=sum(t.n in improving for t in trials),
                    best=next((t for t in self.ranked if t.source == source), None),
                )
            )
        return tuple(counts)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Every parameter that was searched: the most important first, then in the space's order.

        One that is fixed from the first version to the last was not searched.
        """
        declared = [(name, params) for version in self.versions for name, params in version.params.items()]
        searched = {name for name, params in declared if "fixed" not in params}
        names = dict.fromkeys(name for name, _ in declared if name in searched)
        fixed = {name for name, _ in declared} - searched
        trial_names = dict.fromkeys(
            name for trial in self.trials for name in trial.params if name not in fixed
        )
        return tuple(sorted(names | trial_names, key=lambda name: -self.importances.get(name, 0.0)))


def read(bundle: Mapping[str, Any]) -> RunData:
    """The run in a bundle of schema 1; whatever is missing reads as empty.

    Raises:
        ValueError: The bundle is of another schema.
    """
    if bundle.get("schema", 1) != 1:
        raise ValueError(f"bundle of schema {bundle.get('schema')!r}; this version reads schema 1")
    info = bundle.get("run") or {}
    direction = str(info.get("direction", "maximize"))
    display = display_metric(str(info.get("metric") or "score"), direction, bool(info.get("negated")))
    display_values = {key: display.shown(finite(info.get(key))) for key in ("default_value", "best_value")}
    space = bundle.get("space") or {}
    trials = tuple(sorted((_trial(t, display) for t in bundle.get("trials") or ()), key=lambda t: t.n))
    importances = _importances(bundle.get("importances") or {})
    if sum(t.value is not None for t in trials) < TRIALS_PER_PARAMETER * len(importances):
        importances = {}  # with fewer trials chance names the first ones
    return RunData(
        info={**info, **display_values},
        display=display,
        direction=("maximize" if display.maximize else "minimize") if direction in DIRECTIONS else None,
        trials=trials,
        versions=tuple(sorted((_version(v) for v in space.get("versions") or ()), key=lambda v: v.version)),
        importances=importances,
        cost=bundle.get("cost") or {},
        chat=tuple(bundle.get("chat") or ()),
    )


def finite(raw: Any) -> float | None:
    """The number as a float; None for anything that is not a finite number."""
    if raw is None or isinstance(raw, str | bool):
        return None
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _numbers(raw: Iterable[Any] | None) -> tuple[float, ...]:
    return tuple(n for n in map(finite, raw or ()) if n is not None)


def _trial(data: Mapping[str, Any], display: DisplayMetric) -> Trial:
    state = str(data.get("state") or "RUNNING")
    return Trial(
        n=int(data["n"]),
        state=state,
        value=display.shown(finite(data.get("value"))) if state == "COMPLETE" else None,
        std=finite(data.get("std")),
        splits=tuple(display.shown(split) for split in _numbers(data.get("splits"))),
        params=data.get("params") or {},
        source=str(data.get("source") or "base"),
        reason=str(data.get("reason") or ""),
        seconds=finite(data.get("seconds")) or 0.0,
        error=str(data.get("error") or ""),
        space=int(data.get("space") or 0),
        came_true=data.get("came_true"),
        request=data.get("request"),
    )


def _version(data: Mapping[str, Any]) -> Version:
    return Version(
        version=int(data.get("version") or 0),
        trial=int(data.get("trial") or 0),
        params={str(p["name"]): p for p in data.get("params") or ()},
        reason=str(data.get("reason") or ""),
        by=str(data.get("by") or ""),
    )


def _importances(data: Mapping[str, Any]) -> dict[str, float]:
    shares = {str(name): finite(share) for name, share in data.items()}
    positive = {name: max(share, 0.0) for name, share in shares.items() if share is not None}
    return dict(sorted(positive.items(), key=lambda item: -item[1]))

"""What ``compare`` gives back: the runs of several ways to search, as a table, a picture and plain data.

Regret is the distance of a run's best value so far to the best value known: that of any run of the
comparison, or an optimum that the user knows. It is in units of the metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np

from sllmbo_magic import attrs
from sllmbo_magic.comparison.paired_tests import LEVEL
from sllmbo_magic.comparison.paired_tests import Difference
from sllmbo_magic.comparison.paired_tests import differences
from sllmbo_magic.comparison.paired_tests import pairs_needed
from sllmbo_magic.events import Fallback
from sllmbo_magic.history.trials import counts
from sllmbo_magic.history.trials import scored
from sllmbo_magic.report import comparison_html
from sllmbo_magic.report.limits import EXACT
from sllmbo_magic.report.limits import json_ready
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import dollars
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import proposed_instead
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import times
from sllmbo_magic.task.display_metric import display_metric
from sllmbo_magic.tuning.failures import same_cause
from sllmbo_magic.tuning.result import TuneResult

MILESTONES = (1, 5, 10, 25, 50, 100, 200, 500, 1000)
"""Numbers of trials after which the table gives the regret; the last one of the runs is always given."""


_MOST_CAUSES = 3


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison. ``values`` has one entry per trial in order, None for a failed one.

    ``test_values`` are the scores of the successive best configurations on rows that the run did not see.
    """

    variant: str
    seed: int
    values: tuple[float | None, ...]
    sources: Mapping[str, int]
    fallbacks: int
    requests: int
    input_tokens: int
    output_tokens: int
    money: float | None
    seconds: float
    result: TuneResult | None = field(default=None, repr=False, compare=False)
    test_values: tuple[float | None, ...] = ()
    rulebook_fallbacks: int = 0
    """Of ``fallbacks``: those in which the rulebook's first configurations stood in."""

    @classmethod
    def from_result(cls, variant: str, seed: int, result: TuneResult) -> ComparedRun:
        """A finished run of ``tune``."""
        trials = [t for t in result.study.get_trials(deepcopy=False) if counts(t)]
        cost = result.summary.get("cost", {})
        fallbacks = [event for event in result.events if isinstance(event, Fallback)]
        return cls(
            variant=variant,
            seed=seed,
            values=tuple(float(t.values[0]) if scored(t) else None for t in trials),
            sources=dict(Counter(str(t.user_attrs.get(attrs.SOURCE, "base")) for t in trials)),
            fallbacks=len(fallbacks),
            rulebook_fallbacks=sum(event.instead == "rulebook" for event in fallbacks),
            requests=int(cost.get("requests") or 0),
            input_tokens=int(cost.get("input_tokens") or 0),
            output_tokens=int(cost.get("output_tokens") or 0),
            money=cost.get("money"),
            seconds=float(result.summary.get("seconds") or 0.0),
            result=result,
        )


@dataclass(frozen=True)
class Comparison:
    """Runs of the same task: every variant with every seed.

    Attributes:
        task: What was tuned, in a word.
        metric: What is scored.
        direction: ``"maximize"`` or ``"minimize"``.
        n_trials: Trials per run.
        variants: Label to the arguments of ``tune`` in which it differs, in order; the first is the baseline.
        seeds: The seeds that were asked for.
        runs: The finished runs, in the order in which they ran.
        optimum: The best possible value, where the user knows it.
        notes: Remarks on how to read it, one sentence each.
        shared: What all runs share: hashes of data, estimator, metric and folds; arguments of ``tune``.
        negated: Whether the scorer turns the sign of a loss without saying so by its name.
        failure: Which run raised an error, with which the comparison ended, and why; "" where none did.
    """

    task: str
    metric: str
    direction: str
    n_trials: int
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    runs: tuple[ComparedRun, ...]
    optimum: float | None = None
    notes: tuple[str, ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict, repr=False)
    negated: bool = False
    failure: str = ""

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return next(iter(self.variants))

    @property
    def complete(self) -> bool:
        """Whether every variant ran with every seed."""
        return len(self.runs) == len(self.variants) * len(self.seeds)

    def of(self, variant: str) -> list[ComparedRun]:
        """The finished runs of a variant."""
        return [run for run in self.runs if run.variant == variant]

    def best_so_far(self, variant: str) -> np.ndarray:
        """Shape (runs, n_trials): the best value after each trial, NaN before the first score.

        A run that ended early keeps its last value.
        """
        return np.array([self._best_so_far(run) for run in self.of(variant)]).reshape(-1, self.n_trials)

    def regret(self, variant: str) -> np.ndarray:
        """Shape (runs, n_trials): how far the best so far is from :attr:`target`."""
        return self._sign * (self.target - self.best_so_far(variant))

    @property
    def target(self) -> float:
        """Where regret is counted from: the optimum, or the best of all runs; NaN without a score."""
        return self.best if self.optimum is None else self.optimum

    @property
    def best(self) -> float:
        """The best value of all runs; NaN without a score."""
        values = [v for run in self.runs for v in run.values if v is not None]
        return float("nan") if not values else max(values) if self.direction == "maximize" else min(values)

    def differences(self) -> list[Difference]:
        """Each variant's final best against the baseline's, paired by seed."""
        first = {run.seed: self._final(run) for run in self.of(self.baseline)}
        later_variants = []
        for variant in list(self.variants)[1:]:
            paired_runs = [run for run in self.of(variant) if run.seed in first]
            gains = [gap(self._sign, self._final(run), first[run.seed]) for run in paired_runs]
            later_variants.append((variant, gains))
        return differences(self.baseline, later_variants)

    def rows(self) -> list[dict[str, Any]]:
        """One dict per variant that ran.

        Keys: variant, runs, best (mean), best_sd, regret (means after :attr:`milestones`), llm_share and
        rulebook_share of the trials; requests, tokens, money and seconds per run; fallbacks in all.
        """
        return [self._row(variant) for variant in self.variants if self.of(variant)]

    @property
    def milestones(self) -> list[int]:
        """The numbers of trials after which :meth:`rows` gives the regret."""
        return sorted({m for m in MILESTONES if m <= self.n_trials} | {self.n_trials})

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data that JSON can hold; every view is made from this."""
        differences = self.differences()
        digits = max(4, decimals(*(d.mean for d in differences)))
        data: dict[str, Any] = json_ready(
            {
                "schema": 1,
                "task": self.task,
                "metric": self.metric,
                "direction": self.direction,
                "negated": self.negated,
                "n_trials": self.n_trials,
                "seeds": list(self.seeds),
                "variants": {label: _plain(arguments) for label, arguments in self.variants.items()},
                "baseline": self.baseline,
                "complete": self.complete,
                "failure": self.failure,
                "optimum": self.optimum,
                "target": self.target,
                "milestones": self.milestones,
                "rows": self.rows(),
                "differences": [
                    {**asdict(d), "verdict": d.verdict, "text": d.text(digits)} for d in differences
                ],
                "runs": [{**_plain(run), "final": self._final(run)} for run in self.runs],
                "curves": {v: self._curve(v) for v in self.variants if self.of(v)},
                "notes": [*self._notes(differences), *self.notes],
            },
            digits=EXACT,
        )
        return data

    # Views

    def table(self) -> str:
        """Two tables and how to read them, as plain text."""
        return comparison_html.plain_text(self.to_dict())

    __str__ = __repr__ = table

    def _repr_html_(self) -> str:
        return comparison_html.html(self.to_dict())

    def plot(self, *, theme: str = "light") -> Any:
        """Regret by trial (mean and spread) and each seed's final best: a matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
            InputError: The theme is not ``"light"`` or ``"dark"``.
        """
        from sllmbo_magic.report.figures import plot_comparison

        return plot_comparison(self.to_dict(), theme=theme)

    # Inside

    @property
    def _sign(self) -> float:
        return 1.0 if self.direction == "maximize" else -1.0

    def _best_so_far(self, run: ComparedRun) -> np.ndarray:
        values = np.full(self.n_trials, np.nan)
        scores = [np.nan if v is None else v for v in run.values[: self.n_trials]]
        values[: len(scores)] = scores
        better = np.fmax if self.direction == "maximize" else np.fmin
        best: np.ndarray = better.accumulate(values)
        return best

    def _final(self, run: ComparedRun) -> float:
        return float(self._best_so_far(run)[-1])

    def _row(self, variant: str) -> dict[str, Any]:
        runs, regret = self.of(variant), self.regret(variant)
        finals = np.array([self._final(run) for run in runs])
        trials = sum(len(run.values) for run in runs) or 1

        def share(*sources: str) -> float:
            return sum(run.sources.get(source, 0) for run in runs for source in sources) / trials

        money = [run.money for run in runs if run.money is not None]
        return {
            "variant": variant,
            "runs": len(runs),
            "best": _mean(finals),
            "best_sd": float(finals.std(ddof=1)) * bool(np.ptp(finals)) if len(finals) > 1 else None,
            "regret": [_mean(regret[:, m - 1]) for m in self.milestones],
            "llm_share": share(*attrs.ASKED_SOURCES),
            "rulebook_share": share("rulebook"),
            "fallbacks": sum(run.fallbacks for run in runs),
            "rulebook_fallbacks": sum(run.rulebook_fallbacks for run in runs),
            "requests": sum(run.requests for run in runs) / len(runs),
            "tokens": sum(run.input_tokens + run.output_tokens for run in runs) / len(runs),
            "money": sum(money) / len(runs) if money else None,
            "seconds": sum(run.seconds for run in runs) / len(runs),
        }

    def _curve(self, variant: str) -> dict[str, list[float]]:
        """Mean of the regret by trial and the middle 80 % of the seeds; NaN while a run has no score."""
        regret = self.regret(variant)
        low, high = np.quantile(regret, (0.1, 0.9), axis=0)
        return {
            "regret_mean": regret.mean(axis=0).tolist(),
            "regret_low": low.tolist(),
            "regret_high": high.tolist(),
        }

    def _shown(self, value: float) -> str:
        """A score as people read it, as in the tables."""
        return score(display_metric(self.metric, self.direction, self.negated).shown(value), 6)

    def _regret_note(self) -> str:
        best = self._shown(self.target)
        return f"Regret: distance to the best value of all these runs, {best}; the true optimum is not known."

    def _notes(self, differences: list[Difference]) -> list[str]:
        notes = [self.failure] if self.failure else []
        notes += [note for variant in self.variants for note in self._failures(variant)]
        needed = pairs_needed(len(differences))
        if differences and max(d.n for d in differences) < needed:
            notes.append(
                f"So few pairs cannot show a difference (p ≤ {LEVEL:g}), whatever the outcome: "
                f"give {needed} seeds or more."
            )
        if len(differences) > 1:
            notes.append(f"p is adjusted for {len(differences)} comparisons (Holm).")
        if self.optimum is not None:
            notes.append(f"Regret: distance to the given optimum, {self._shown(self.optimum)}.")
            if (beyond := self._sign * (self.best - self.optimum)) > 0:
                notes.append(
                    f"The given optimum is not the best possible value: {self._shown(self.best)} was found, "
                    f"{score(beyond, 6)} better, so regret is below 0."
                )
        elif np.isfinite(self.target):
            notes.append(self._regret_note())
        for row in self.rows():
            if n := row["fallbacks"]:
                instead = proposed_instead(n, row["rulebook_fallbacks"], "sampler")
                notes.append(
                    f"{row['variant']}: the LLM gave no usable proposal {times(n)}; {instead}."
                    f"{self._first_cause(row['variant'])}"
                )
            if (n or row["requests"]) and not row["llm_share"]:
                notes.append(f"{row['variant']}: the LLM proposed no trial, so nothing about it is measured.")
        money = [run.money for run in self.runs if run.money is not None]
        if any(money):
            notes.append(f"All runs together cost {dollars(sum(money))}.")
        return notes

    def _first_cause(self, variant: str) -> str:
        """Why the LLM of a variant gave no proposal the first time, as a further sentence."""
        events = [event for run in self.of(variant) if run.result is not None for event in run.result.events]
        first = next((event for event in events if isinstance(event, Fallback)), None)
        return "" if first is None else f" First: {first.message}"

    def _failures(self, variant: str) -> list[str]:
        """What went wrong in the runs of a variant: a sentence on all causes, and one per early end."""
        table: dict[str, dict[str, Any]] = {}
        ends: Counter[str] = Counter()
        for run in self.of(variant):
            if run.result is None:
                continue
            if run.result.status == "failed":
                ends[str(run.result.summary.get("reason") or "")] += 1
            for row in run.result.failures:
                entry = table.setdefault(same_cause(row["cause"]), {**row, "count": 0, "seed": run.seed})
                entry["count"] += row["count"]
        notes = []
        if table:
            causes = "; ".join(
                f"{row['count']} × {one_line(row['cause'], 300).rstrip('.')}"
                f" (first: seed {row['seed']}, trial {row['trial']})"
                for row in sorted(table.values(), key=lambda row: -row["count"])[:_MOST_CAUSES]
            )
            notes.append(f"{variant}, failed trials: {causes}.")
        for reason, n in ends.items():
            notes.append(f"{variant}: {count(n, 'run')} ended early: {one_line(reason, 300).rstrip('.')}.")
        return notes


def gap(sign: float, a: float, b: float) -> float:
    """How much better a is than b; 0 where they differ by rounding only.

    Without a score (NaN) it is worse than any: infinity, or NaN where neither has one.
    """
    if np.isnan(a):
        return float("nan" if np.isnan(b) else "-inf")
    if np.isnan(b):
        return float("inf")
    return 0.0 if abs(a - b) <= 1e-12 * max(abs(a), abs(b)) else sign * (a - b)


def _mean(values: np.ndarray) -> float | None:
    """The mean; None unless every run has a value: a mean over some would flatter."""
    return float(values.mean()) if len(values) and np.isfinite(values).all() else None


def _plain(run: ComparedRun | Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run, or arguments of ``tune``, as plain data; an object becomes its id or class."""
    items = vars(run) if isinstance(run, ComparedRun) else run
    fields = {key: value for key, value in items.items() if not isinstance(value, TuneResult)}
    plain = (str, int, float, bool, type(None), tuple, list, dict)
    return {
        key: value if isinstance(value, plain) else str(getattr(value, "id", type(value).__name__))
        for key, value in fields.items()
    }

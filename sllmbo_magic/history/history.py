"""The trials of a run so far, and how to compare them.

A :class:`History` is a frozen list of observations with the metric's direction and its noise. It is computed
from the study, so a resumed run has the same history. ``proposers/memory.py`` turns it into the text of a
prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

import numpy as np

from sllmbo_magic.history.observation import Observation
from sllmbo_magic.space.search_space import SearchSpace

POLICIES = ("state", "summary", "window", "full")
"""Forms of the history in a prompt; ``summary`` and ``window`` are the paper's memories (section 3.4)."""
_EVALUATED = ("COMPLETE", "INFEASIBLE", "FAIL", "PRUNED")
_NOISE_TRIALS = 120
"""Best trials that the noise is read off."""
RELATIVE_NOISE = 1e-3
"""Part of a score that counts as noise where there are no folds to measure it."""


@dataclass(frozen=True)
class History:
    """Observations in the order of their numbers, and how to compare them."""

    observations: tuple[Observation, ...] = ()
    direction: str = "maximize"
    metric: str = "score"
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def complete(self) -> tuple[Observation, ...]:
        """The trials that have a score."""
        if "complete" not in self._cache:
            self._cache["complete"] = tuple(o for o in self.observations if has_score(o))
        scored: tuple[Observation, ...] = self._cache["complete"]
        return scored

    @property
    def points(self) -> History:
        """The trials that are points of the search space: what a model may learn from."""
        if "points" not in self._cache:
            inside = tuple(o for o in self.observations if not o.outside)
            all_inside = len(inside) == len(self.observations)
            self._cache["points"] = self if all_inside else History(inside, self.direction, self.metric)
        points: History = self._cache["points"]
        return points

    def keys(self, space: SearchSpace) -> dict[object, int]:
        """The configurations of a space that trials had, failed and running ones too: key -> trial number."""
        key = ("keys", space)
        if key not in self._cache:
            self._cache[key] = {o.key(space): o.number for o in self.observations if o.is_in(space)}
        return dict(self._cache[key])

    def is_part(self, space: SearchSpace, held: Collection[str] = ()) -> bool:
        """Whether the search space is a part of what is searched: the objective suggests further parameters
        by itself, in some trials only or with values that no space has.

        Args:
            space: What the trials have in common.
            held: Parameters that are kept at one value.
        """
        key = ("is_part", space, frozenset(held))
        if key not in self._cache:
            known = {*space, *space.fixed, *held}
            trials = [o for o in self.observations if o.is_in(space)]
            names = {name for o in trials for name in o.params} - known
            self._cache[key] = any(
                any(name not in o.params for o in trials) or len({repr(o.params[name]) for o in trials}) > 1
                for name in names
            )
        return bool(self._cache[key])

    def trial_with(self, params: Mapping[str, Any]) -> int | None:
        """The number of the first trial that had these values, whatever else it had; None where none did."""
        same = (
            o.number
            for o in self.observations
            if all(name in o.params and o.params[name] == value for name, value in params.items())
        )
        return next(same, None)

    @property
    def failed(self) -> tuple[Observation, ...]:
        """The trials that failed; those that were cut off are not among them."""
        return tuple(o for o in self.observations if o.state == "FAIL" and not o.cut_off)

    @property
    def pruned(self) -> tuple[Observation, ...]:
        """The trials that were stopped since others were better on the way."""
        return tuple(o for o in self.observations if o.state == "PRUNED")

    @property
    def by_parameters(self) -> Mapping[frozenset[str], Sequence[Observation]]:
        """The scored trials by the names of the parameters that they have."""
        if "by_parameters" not in self._cache:
            groups: dict[frozenset[str], list[Observation]] = {}
            for o in self.complete:
                groups.setdefault(frozenset(o.params), []).append(o)
            self._cache["by_parameters"] = groups
        by_parameters: Mapping[frozenset[str], Sequence[Observation]] = self._cache["by_parameters"]
        return by_parameters

    @property
    def infeasible(self) -> tuple[Observation, ...]:
        """The trials that were evaluated, but do not satisfy a constraint: none is better than any other
        trial.
        """
        if "infeasible" not in self._cache:
            self._cache["infeasible"] = tuple(o for o in self.observations if o.state == "INFEASIBLE")
        infeasible: tuple[Observation, ...] = self._cache["infeasible"]
        return infeasible

    @property
    def n_evaluated(self) -> int:
        """How many trials have an outcome: a score, finite or not, a violated constraint, a failure, or
        an early end by a pruner.
        """
        if "n_evaluated" not in self._cache:
            self._cache["n_evaluated"] = sum(map(is_evaluated, self.observations))
        n_evaluated: int = self._cache["n_evaluated"]
        return n_evaluated

    def before(self, number: int) -> History:
        """The trials with smaller numbers."""
        return History(tuple(o for o in self.observations if o.number < number), self.direction, self.metric)

    def ranked(self) -> list[Observation]:
        """The scored trials, best first; of equals the older one first."""
        if "ranked" not in self._cache:
            self._cache["ranked"] = sorted(self.complete, key=rank_key(self.direction))
        return list(self._cache["ranked"])

    @property
    def incumbent(self) -> Observation | None:
        """The best trial so far."""
        ranked = self.ranked()
        return ranked[0] if ranked else None

    @property
    def noise(self) -> float:
        """Standard error of a difference between two configurations on the same folds; 0 without folds.

        All configurations share the folds, so most of a score's spread is common to them. What remains of a
        trial is the spread of its folds around its own mean and around what each fold has in common for the
        better half of the trials (two-way analysis without interaction); the median over that half, times
        the square root of 2 for a difference. No single trial is the reference, so that a new incumbent does
        not move it.
        """
        if "noise" not in self._cache:
            self._cache["noise"] = self._noise()
        noise: float = self._cache["noise"]
        return noise

    def _noise(self) -> float:
        ranked = [o for o in self.ranked() if len(o.splits) > 1]
        if len(ranked) < 2:
            return 0.0
        # Trials that are equal fold by fold, as on a plateau, say nothing of the noise: each pattern once.
        patterns: dict[tuple[float, ...], None] = {}
        for o in ranked[: 4 * _NOISE_TRIALS]:
            if len(o.splits) == len(ranked[0].splits):
                patterns.setdefault(_around_mean(o.splits))
        distinct = [*patterns][:_NOISE_TRIALS]
        return _noise_of(distinct[: max(2, 1 + len(distinct) // 2)]) if len(distinct) > 1 else 0.0

    @property
    def n_batches(self) -> int:
        """How many of the LLM's answers (the first one apart) led to trials."""
        return len({o.request for o in self.observations if o.request is not None and o.source == "llm"})

    def promise_kept(
        self,
        expects: str,
        score: float | None,
        *,
        source: str,
        asked_at: int,
        splits: Sequence[float] = (),
    ) -> bool | None:
        """Whether what a proposer expected of a configuration came true, as it was asked.

        ``"better"`` is better than the default for a first configuration of the LLM, else than the incumbent
        of the time at which it was asked for; ``"similar"`` is not worse than that by more than the noise of
        that time; where none was known yet, than the noise of this very difference.

        Args:
            expects: ``"better"``, ``"similar"`` or another word, which promises nothing.
            score: In the metric's own sign; None while there is none.
            source: Who proposed it.
            asked_at: The trial at whose start it was asked for.
            splits: Its score of each fold, where there are folds.

        Returns:
            None when nothing was promised, or there is nothing to compare with.
        """
        if expects not in ("better", "similar") or score is None:
            return None
        before = self.before(asked_at)
        default = next((o for o in before.complete if o.source == "default"), None)
        reference = default if source == "llm-init" and default is not None else before.incumbent
        if reference is None or reference.value is None:
            return None
        gain = self.gain(score, reference.value)
        if expects == "better":
            return gain > 0
        noise = before.noise
        if not noise and len(splits) == len(reference.splits) > 1:
            noise = _noise_of([_around_mean(splits), _around_mean(reference.splits)])
        return gain >= -(noise or RELATIVE_NOISE * abs(reference.value))

    def better(self, a: float, b: float) -> bool:
        """Whether score ``a`` is better than ``b``."""
        return a > b if self.direction == "maximize" else a < b

    def gain(self, a: float, b: float) -> float:
        """How much better score ``a`` is than ``b``; negative when it is worse."""
        return a - b if self.direction == "maximize" else b - a

    def permuted(self, seed: int) -> History:
        """The same trials with their scores dealt out at random: the control for "does the LLM use the
        scores?".
        """
        scored = [i for i, o in enumerate(self.observations) if o.state == "COMPLETE"]
        order = np.random.default_rng(seed).permutation(len(scored))
        changed = list(self.observations)
        for position, other in zip(scored, order, strict=True):
            donor = self.observations[scored[int(other)]]
            changed[position] = replace(
                changed[position], value=donor.value, splits=donor.splits, came_true=None
            )
        return History(tuple(changed), self.direction, self.metric)


def is_evaluated(observation: Observation) -> bool:
    """Whether the trial has an outcome."""
    return observation.state in _EVALUATED and not observation.cut_off


def has_score(observation: Observation) -> bool:
    """Whether the trial ended with a score."""
    return observation.state == "COMPLETE" and observation.value is not None


def rank_key(direction: str) -> Callable[[Observation], tuple[float, int]]:
    """The key by which scored trials are sorted from best to worst; of equals the older one is before."""
    sign = -1.0 if direction == "maximize" else 1.0
    return lambda o: (sign * float(o.value or 0.0), o.number)


def _around_mean(splits: Sequence[float]) -> tuple[float, ...]:
    mean = sum(splits) / len(splits)
    return tuple(round(v - mean, 12) for v in splits)


def _noise_of(patterns: Sequence[tuple[float, ...]]) -> float:
    """Standard error of a difference of two trials, from the folds of several, each around its own mean."""
    scores = np.array(patterns)  # (n_trials, n_folds)
    residuals = scores - scores.mean(axis=0, keepdims=True)
    n_trials, n_folds = scores.shape
    shared = math.sqrt(n_trials / (n_trials - 1))  # the mean over the trials takes a part of each residual
    errors = shared * residuals.std(axis=1, ddof=1) / math.sqrt(n_folds)
    return math.sqrt(2) * float(np.median(errors))

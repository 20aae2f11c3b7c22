"""A history that finished trials are added to one by one: the earlier ones are not read or sorted again."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from operator import attrgetter

from sllmbo_magic.history.history import History
from sllmbo_magic.history.history import has_score
from sllmbo_magic.history.history import is_evaluated
from sllmbo_magic.history.history import rank_key
from sllmbo_magic.history.observation import Observation

_NUMBER = attrgetter("number")


class GrowingHistory:
    """Finished trials, added in any order."""

    def __init__(self) -> None:
        self._all = _Trials()
        self._points = _Trials()
        """Those that are points of the search space."""
        self._last: tuple[int, History] | None = None
        """The history without running trials, and of how many trials it is."""

    def add(self, observation: Observation) -> None:
        """Add a trial that has ended."""
        self._all.add(observation)
        if not observation.outside:
            self._points.add(observation)

    def history(self, direction: str, metric: str, running: Sequence[Observation] = ()) -> History:
        """The trials so far and these running ones, in the order of their numbers.

        While no trial has ended since, and none runs, it is the same object as before.
        """
        n = len(self._all.in_order)
        last = None if running or self._last is None or self._last[0] != n else self._last[1]
        if last is not None and (last.direction, last.metric) == (direction, metric):
            return last
        history = self._all.history(direction, metric, running)
        if len(self._points.in_order) < n or any(o.outside for o in running):
            inside = [o for o in running if not o.outside]
            history._cache["points"] = self._points.history(direction, metric, inside)
        else:
            history._cache["points"] = history
        if not running:
            self._last = n, history
        return history


class _Trials:
    """Finished trials in the order of their numbers; those with a score also from best to worst."""

    def __init__(self) -> None:
        self.in_order: list[Observation] = []
        self._scored: list[Observation] = []
        self._ranked: list[Observation] = []
        self._infeasible: list[Observation] = []
        self._by_parameters: dict[frozenset[str], list[Observation]] = {}
        self._n_evaluated = 0
        self._direction = ""

    def add(self, observation: Observation) -> None:
        insort(self.in_order, observation, key=_NUMBER)
        self._n_evaluated += is_evaluated(observation)
        if observation.state == "INFEASIBLE":
            insort(self._infeasible, observation, key=_NUMBER)
        if has_score(observation):
            insort(self._scored, observation, key=_NUMBER)
            self._by_parameters.setdefault(frozenset(observation.params), []).append(observation)
            if self._direction:
                insort(self._ranked, observation, key=rank_key(self._direction))

    def history(self, direction: str, metric: str, running: Sequence[Observation]) -> History:
        if direction != self._direction:
            self._direction = direction
            self._ranked = sorted(self._scored, key=rank_key(direction))
        observations = tuple(self.in_order)
        if running:
            observations = tuple(sorted((*observations, *running), key=_NUMBER))
        history = History(observations, direction, metric)
        history._cache["complete"] = tuple(self._scored)
        history._cache["ranked"] = list(self._ranked)
        history._cache["infeasible"] = tuple(self._infeasible)
        history._cache["n_evaluated"] = self._n_evaluated
        history._cache["by_parameters"] = {n: tuple(group) for n, group in self._by_parameters.items()}
        return history

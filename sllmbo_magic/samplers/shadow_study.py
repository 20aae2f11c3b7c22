"""A second, in-memory study that the base sampler works on, so that a changing search space costs no old
trial.

Optuna 5 drops a parameter whose range changed from its joint model for the rest of the study and raises on a
changed categorical. So the stored study records every value under one fixed outer space; the shadow holds the
same trials under that outer space, completed where a parameter was inactive, dropped or not yet known; and
the base sampler is asked for values inside the current version. A trial outside a narrowed range keeps its
place in the model, and counts again in full when the range widens.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import GridSampler
from optuna.samplers import PartialFixedSampler
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic._utils.study_stop import stop_allowed
from sllmbo_magic.history.trials import real_configuration
from sllmbo_magic.space.search_space import SearchSpace

_CATEGORY_TRIES = 4
_GRID_ID = "grid_id"
"""Where Optuna's ``GridSampler`` notes the number of a trial's point."""
_GRID_SPACE = "search_space"
"""Where it notes the grid."""


class _NoSampler(BaseSampler):
    """The shadow's own sampler: it is only ever asked for trials without parameters."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise RuntimeError("the shadow study samples nothing by itself")


class ShadowStudy:
    """The in-memory study and which of its trials stands for which real one.

    Args:
        outer: The fixed space of the stored study.
        direction: Of the stored study.
    """

    def __init__(self, outer: SearchSpace, direction: StudyDirection) -> None:
        self.outer = outer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.study = optuna.create_study(direction=direction, sampler=_NoSampler())
        self._open: dict[int, int] = {}
        self._done: set[int] = set()
        self._n_settled = 0
        """The real trials before this number are all done."""

    def __len__(self) -> int:
        return len(self._done)

    def sync(self, trials: Sequence[FrozenTrial], base: BaseSampler) -> None:
        """Take over new trials of the real study, and the ends of those that ran.

        Args:
            trials: All of the real study, without copies; those that were done before are not looked at.
            base: Its ``after_trial`` is called for each trial that it sampled here.
        """
        for trial in trials[self._n_settled :]:
            self.take_over(trial, base)
        while self._n_settled in self._done:
            self._n_settled += 1

    def take_over(self, trial: FrozenTrial, base: BaseSampler) -> None:
        """Take over one trial of the real study; see :meth:`sync`."""
        number = trial.number
        if number in self._done or trial.state == TrialState.WAITING:
            return
        finished = trial.state.is_finished()
        params, outside = real_configuration(trial, self.outer)
        if outside:  # no point of the space
            self.forget(number)
            self._done.add(number)
        elif number in self._open:
            if finished:
                self._end(trial, params, base)
        elif finished:
            self._add(trial, params)
        elif trial.params:
            shadow_id = self._begin(number, params)
            if grid_of(base) is not None:
                self._note(shadow_id, grid_notes(trial))

    def sample(
        self,
        number: int,
        space: SearchSpace,
        base: BaseSampler,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """A configuration of the base sampler in the current version of the space, for real trial
        ``number``.
        """
        shadow_id = self._begin(number, {})
        base.before_trial(self.study, self.study._storage.get_trial(shadow_id))
        self._take_open_point(shadow_id, base, rng)
        frozen = self.study._storage.get_trial(shadow_id)  # with what the sampler noted in it
        ask: dict[str, BaseDistribution] = {}
        for name in sorted(space):
            # A narrowed categorical would make old trials unreadable to the sampler; the outer one is asked,
            # see below.
            ask[name] = self.outer[name] if isinstance(space[name], CategoricalDistribution) else space[name]
        params = {**self._draw(frozen, space, base, rng, ask), **space.fixed}
        self._record(shadow_id, params)
        return params

    def _draw(
        self,
        frozen: FrozenTrial,
        space: SearchSpace,
        base: BaseSampler,
        rng: np.random.Generator,
        ask: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """One draw; what is outside the current version is drawn again, at last a category at random and
        the nearest number.
        """
        params: dict[str, Any] = {}
        strays: list[str] = []
        for _ in range(_CATEGORY_TRIES):
            params = base_params(base, self.study, frozen, ask)
            strays = [n for n, v in params.items() if not _inside(space[n], v)]
            if not strays:
                return params
        for name in strays:
            choices = getattr(space[name], "choices", ())
            nearest = space.clip_value(name, params[name])
            params[name] = choices[int(rng.integers(len(choices)))] if choices else nearest
        return params

    def forget(self, number: int, *, is_tried: bool = False) -> None:
        """The real trial was given other parameters than :meth:`sample` offered, or none.

        Args:
            is_tried: Whether an earlier trial had what was offered.
        """
        shadow_id = self._open.pop(number, None)
        if shadow_id is not None:
            if not is_tried:
                give_back(self.study, shadow_id)
            self.study._storage.set_trial_state_values(shadow_id, TrialState.FAIL)

    def _take_open_point(self, shadow_id: int, base: BaseSampler, rng: np.random.Generator) -> None:
        """``GridSampler`` gives its first trials the points of their own numbers, and a trial has another
        number here than where another process began the grid.
        """
        grid = grid_of(base)
        if grid is None:
            return
        point = self.study._storage.get_trial_system_attrs(shadow_id).get(_GRID_ID)
        others = (t for t in self.study.get_trials(deepcopy=False) if t._trial_id != shadow_id)
        open_points = grid._get_unvisited_grid_ids(self.study)
        if open_points and any(t.system_attrs.get(_GRID_ID) == point for t in others):
            self._note(shadow_id, {_GRID_ID: int(rng.choice(sorted(open_points)))})

    def notes(self, number: int) -> dict[str, Any]:
        """What ``GridSampler`` noted in the trial that was drawn for a real one; empty for other samplers."""
        shadow_id = self._open.get(number)
        return {} if shadow_id is None else grid_notes(self.study._storage.get_trial(shadow_id))

    def _note(self, shadow_id: int, notes: Mapping[str, Any]) -> None:
        for key, value in notes.items():
            self.study._storage.set_trial_system_attr(shadow_id, key, value)

    def _begin(self, number: int, params: dict[str, Any]) -> int:
        if number not in self._open:
            self._open[number] = self.study.ask()._trial_id
        if params:
            self._record(self._open[number], params)
        return self._open[number]

    def _record(self, shadow_id: int, params: dict[str, Any]) -> None:
        storage = self.study._storage
        for name, value in sorted(self._complete(params).items()):  # in the order in which they are drawn
            distribution = self.outer[name]
            storage.set_trial_param(shadow_id, name, distribution.to_internal_repr(value), distribution)

    def _end(self, trial: FrozenTrial, params: dict[str, Any], base: BaseSampler) -> None:
        shadow_id = self._open.pop(trial.number)
        storage = self.study._storage
        frozen = storage.get_trial(shadow_id)
        if params and not frozen.params:
            self._record(shadow_id, params)
            frozen = storage.get_trial(shadow_id)
        values = trial.values if trial.state == TrialState.COMPLETE else None
        for step, value in trial.intermediate_values.items():
            storage.set_trial_intermediate_value(shadow_id, step, value)
        self._note(shadow_id, constraints_of(trial))
        grid = grid_of(base)
        if grid is not None and _GRID_ID not in frozen.system_attrs:  # which it needs to end a study
            self._note(shadow_id, {_GRID_SPACE: grid._search_space, _GRID_ID: -1})
        frozen = storage.get_trial(shadow_id)
        frozen.user_attrs = dict(trial.user_attrs)  # a function of constraints reads them
        with stop_allowed(self.study):
            base.after_trial(self.study, frozen, trial.state, values)
        storage.set_trial_state_values(shadow_id, trial.state, values)
        self._done.add(trial.number)

    def _add(self, trial: FrozenTrial, params: dict[str, Any]) -> None:
        """A trial that ran before this process, or elsewhere."""
        self._done.add(trial.number)
        scored = trial.state == TrialState.COMPLETE and trial.values
        notes = grid_notes(trial)
        if not scored and trial.state != TrialState.PRUNED and not notes:
            return
        params = dict(sorted(self._complete(params).items()))
        self.study.add_trial(
            optuna.trial.create_trial(
                state=trial.state,
                value=trial.values[0] if scored else None,
                params=params,
                distributions={name: self.outer[name] for name in params},
                intermediate_values=dict(trial.intermediate_values),
                system_attrs={**constraints_of(trial), **notes},
            )
        )

    def _complete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Every outer parameter has a value: the trial's, else the middle of its range."""
        clipped = self.outer.clip({k: v for k, v in params.items() if k in self.outer})
        return {k: v for k, v in self.outer.complete(clipped).items() if k in self.outer}


def constraints_of(trial: FrozenTrial) -> dict[str, Any]:
    """The attributes in which Optuna keeps the constraints of a trial: those of ``Trial.set_constraint`` and
    those of a sampler's ``constraints_func``.
    """
    return {
        key: value
        for key, value in trial.system_attrs.items()
        if key == _CONSTRAINTS_KEY or key.startswith(f"{_CONSTRAINTS_KEY}:")
    }


def innermost(sampler: BaseSampler) -> BaseSampler:
    """The sampler that a ``PartialFixedSampler`` wraps; any other one itself."""
    while isinstance(sampler, PartialFixedSampler):
        sampler = sampler._base_sampler
    return sampler


def grid_of(base: BaseSampler) -> GridSampler | None:
    """The ``GridSampler`` that a sampler is or wraps."""
    base = innermost(base)
    return base if isinstance(base, GridSampler) else None


def grid_notes(trial: FrozenTrial) -> dict[str, Any]:
    """The attributes in which ``GridSampler`` notes a trial's point; empty for a trial without one."""
    noted = trial.system_attrs
    return {key: noted[key] for key in (_GRID_SPACE, _GRID_ID)} if _GRID_ID in noted else {}


def give_back(study: Study, trial_id: int) -> None:
    """The point of a grid that ``GridSampler`` noted in a trial is open again: the trial has another source.

    The sampler takes each finished trial that has a note for one that had the point, and needs a note.
    """
    if _GRID_ID in study._storage.get_trial_system_attrs(trial_id):
        study._storage.set_trial_system_attr(trial_id, _GRID_ID, -1)


def base_params(
    base: BaseSampler, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]
) -> dict[str, Any]:
    """All parameters of a space from a base sampler: jointly, and one by one where it has no joint answer.

    As Optuna asks: jointly for what ``infer_relative_search_space`` returns, in the ranges of ``space``; what
    it leaves out is asked of ``sample_independent``. A sampler in its start-up phase, or one that is not
    multivariate, answers ``sample_relative`` with less than asked.
    """
    several = {n: d for n, d in space.items() if not d.single()}
    joint: dict[str, Any] = {}
    if getattr(base, "_multivariate", None) is not False:
        if type(base) is not TPESampler or base._group:  # any other TPE leaves out nothing, and need not look
            together = base.infer_relative_search_space(study, trial)
            several = {name: d for name, d in several.items() if name in together}
        joint = base.sample_relative(study, trial, several)
    params: dict[str, Any] = {}
    for name, distribution in space.items():
        if name in joint and name in several:
            params[name] = joint[name]
        elif distribution.single():
            params[name] = distribution.to_external_repr(
                0.0 if isinstance(distribution, CategoricalDistribution) else distribution.low  # type: ignore[attr-defined]
            )
        else:
            # some samplers (BruteForceSampler) look at the values that the trial has so far
            so_far = copy.copy(trial)
            so_far.distributions = {n: space[n] for n in params}
            so_far.params = dict(params)
            params[name] = base.sample_independent(study, so_far, name, distribution)
    return params


def _inside(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value of the outer space lies in the current version's range."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution._contains(distribution.to_internal_repr(value))

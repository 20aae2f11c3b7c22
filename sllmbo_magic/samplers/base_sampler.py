"""The base sampler's side: whole configurations from TPE, or any Optuna sampler, in the current search
space.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import BruteForceSampler
from optuna.samplers import PartialFixedSampler
from optuna.samplers import TPESampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.study import Study
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic._utils.study_stop import is_stopped
from sllmbo_magic.errors import InputError
from sllmbo_magic.history.trials import real_configuration
from sllmbo_magic.samplers.shadow_study import ShadowStudy
from sllmbo_magic.samplers.shadow_study import base_params
from sllmbo_magic.samplers.shadow_study import give_back
from sllmbo_magic.samplers.shadow_study import innermost
from sllmbo_magic.space.search_space import SearchSpace

MakeSampler = Callable[[int], BaseSampler]
"""A seed in, a sampler out."""


def tpe(seed: int) -> TPESampler:
    """Optuna's TPE as it is by default."""
    return TPESampler(seed=seed)


def univariate_tpe(seed: int) -> TPESampler:
    """The paper's TPE, which was Optuna's default of its time: one model per parameter."""
    return TPESampler(seed=seed, multivariate=False, constant_liar=False)


def fixed_params(sampler: Any) -> dict[str, Any]:
    """What ``PartialFixedSampler`` keeps at one value, also where one wraps another: name -> value."""
    if not isinstance(sampler, PartialFixedSampler):
        return {}
    return {**fixed_params(sampler._base_sampler), **sampler._fixed_params}


def check_fixed_params(sampler: Any, space: SearchSpace | None) -> None:
    """Raise InputError where ``PartialFixedSampler`` fixes a value that a declared space does not have.

    Optuna evaluates such a value with a warning; here all values of a declared space lie in its ranges.
    """
    for name, value in fixed_params(sampler).items():
        problem = space.check(name, value)[1] if space is not None and name in space else ""
        if problem:
            raise InputError(
                f"PartialFixedSampler fixes {name}, and {problem}.",
                "Fix it at a value of the search space, or declare a space that has it.",
            )


class BaseSamplerAdapter:
    """The wrapped sampler, and the shadow study that it works on when the search space is declared.

    Args:
        sampler: Any Optuna sampler, or a function that gives one for a seed: it is asked for each trial, with
            a seed of the trial's own, so that a resumed run goes on as an uninterrupted one would have.
        seed: Of the run.

    Attributes:
        plain: The wrapped sampler itself, or the one that the function gives for the run's seed.
    """

    def __init__(self, sampler: BaseSampler | MakeSampler, seed: int) -> None:
        self.sampler = sampler
        self.seed = seed
        self.plain = sampler if isinstance(sampler, BaseSampler) else sampler(seed)
        _constrain_once(self.plain)
        self._shadow: ShadowStudy | None = None

    @property
    def fixed(self) -> frozenset[str]:
        """The parameters that the wrapped sampler keeps at one value."""
        return frozenset(fixed_params(self.plain))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Passed on where the search space is not declared; else the shadow study's trial gets it."""
        self.plain.before_trial(study, trial)

    def sample_undeclared(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of an undeclared space; none of a sampler that goes by the order in which the
        objective suggests them, and is asked for each at its turn.
        """
        if isinstance(self.plain, BruteForceSampler):
            return {}
        trial = study._storage.get_trial(trial._trial_id)  # with what the sampler noted in it before
        return base_params(self.plain, study, trial, space)

    def independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        """One parameter outside the relative search space."""
        return self.plain.sample_independent(study, trial, name, distribution)

    def sample(
        self,
        study: Study,
        number: int,
        outer: SearchSpace,
        space: SearchSpace,
        rng: np.random.Generator,
        *,
        trials: Sequence[FrozenTrial] | None = None,
        per_parameter: bool = False,
    ) -> dict[str, Any]:
        """A configuration in a version of a declared space.

        Args:
            trials: All of the study, where they have been read just now.
            per_parameter: Of TPE, the draw of the one that models each parameter by itself: it searches more
                broadly than the one that models them together.
        """
        single = per_parameter and self.sampler is tpe
        base = self._of(number, univariate_tpe) if single else self._of(number)
        if self._shadow is None or self._shadow.outer != outer:
            self._shadow = ShadowStudy(outer, study.direction)
        self._shadow.sync(study.get_trials(deepcopy=False) if trials is None else trials, base)
        params = self._shadow.sample(number, space, base, rng)
        if notes := self._shadow.notes(number):  # another process goes on with the grid
            trial_id = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
            for key, value in notes.items():
                study._storage.set_trial_system_attr(trial_id, key, value)
        return {**space.active({k: v for k, v in params.items() if k in space}), **space.fixed}

    def forget(self, study: Study, trial: FrozenTrial, *, is_tried: bool = False) -> None:
        """The trial takes another configuration than the one that was drawn for it.

        Args:
            is_tried: Whether an earlier trial had the one that was drawn.
        """
        if self._shadow is not None:
            self._shadow.forget(trial.number, is_tried=is_tried)
        if not is_tried:
            give_back(study, trial._trial_id)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Passed on to the wrapped sampler, with a declared space for its trial in the shadow study.

        Some samplers end a study here (``GridSampler``, ``BruteForceSampler``), which ends this one.
        """
        outer = None if self._shadow is None else self._shadow.outer
        is_outside = bool(real_configuration(trial, outer)[1])
        if self._shadow is not None or is_outside:
            trial = self._with_constraints(study, trial, state, is_outside=is_outside)
        if is_outside:
            return  # no point of the space: a sampler that counts what is left would end the study here
        if self._shadow is None:
            self.plain.after_trial(study, trial, state, values)
            return
        if not isinstance(self.sampler, BaseSampler):  # made anew for each trial: it has no memory
            return
        ended = copy.copy(trial)
        ended.state, ended.values = state, None if values is None else list(values)
        self._shadow.take_over(ended, self.sampler)
        if is_stopped(self._shadow.study):
            study.stop()

    def _with_constraints(
        self, study: Study, trial: FrozenTrial, state: TrialState, *, is_outside: bool
    ) -> FrozenTrial:
        """The trial with what ``constraints_func`` of the wrapped sampler says of it, which the stored study
        gets as in Optuna: the sampler itself only sees the shadow study.

        Of a configuration that the space cannot express (a default, mostly) the function is given the real
        values. It need not be able to read these: then the trial is infeasible, and its constraint names
        the error.
        """
        constraints_func = getattr(innermost(self.plain), "_constraints_func", None)
        if constraints_func is None:
            return trial
        seen = copy.copy(trial)
        if is_outside:
            seen.params = real_configuration(trial)[0]
        try:
            _process_constraints_after_trial(constraints_func, study, seen, state)
        except Exception as error:
            if not is_outside:
                raise
            key = f"{_CONSTRAINTS_KEY}:constraints_func raised {type(error).__name__}"
            study._storage.set_trial_system_attr(trial._trial_id, key, 1.0)
        return study._storage.get_trial(trial._trial_id)

    def reseed(self, seed: int) -> None:
        """As Optuna asks before it runs trials in threads."""
        self.seed = seed
        self.plain.reseed_rng()

    def _of(self, number: int, make: MakeSampler | None = None) -> BaseSampler:
        """The sampler of a trial, or the one that ``make`` gives for its seed."""
        if make is None:
            if isinstance(self.sampler, BaseSampler):
                return self.sampler
            make = self.sampler
        made = make(int(np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0]))
        _constrain_once(made)
        return made


class _NotedConstraints:
    """A function of constraints that is not called again for a trial whose values have been noted: it may
    be slow, or count its calls.
    """

    def __init__(self, function: Callable[[FrozenTrial], Sequence[float]]) -> None:
        self._function = function

    def __call__(self, trial: FrozenTrial) -> Sequence[float]:
        noted = trial.system_attrs.get(_CONSTRAINTS_KEY)
        return self._function(trial) if noted is None else tuple(noted)


def _constrain_once(sampler: Any) -> None:
    """The sampler's function of constraints is called for a trial of the study, and not again for the one
    that stands for it in the shadow study. Outside of these nothing changes.
    """
    inner = innermost(sampler)
    function = getattr(inner, "_constraints_func", None)
    if function is None or isinstance(function, _NotedConstraints):
        return
    once = _NotedConstraints(function)
    for holder in (inner, *vars(inner).values()):  # NSGA-II's strategies have the function as well
        if getattr(holder, "_constraints_func", None) is function:
            holder._constraints_func = once

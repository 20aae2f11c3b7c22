"""Hyperopt's TPE (Bergstra et al., NeurIPS 2011; the library of the same authors) as a plain Optuna sampler.

It models each parameter by itself, as the paper's TPE does. Hyperopt reads a study through
:func:`hyperopt.tpe.suggest`, its own algorithm with its own defaults (20 random trials first); nothing of it
is written anew here.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from importlib.util import find_spec
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.history.trials import scored

_HALF = 0.5 - 1e-9
"""Added on both sides of a rounded range, so that its ends are as likely as its inside."""


class HyperoptSampler(BaseSampler):
    """Hyperopt's TPE behind Optuna's interface.

    Floats are ``hp.uniform`` or ``hp.loguniform``, steps and integers their rounded kin (``hp.quniform``,
    ``hp.qloguniform``), categories ``hp.choice``. Parameters that only some trials have are sampled one by
    one, from the trials that have them. A pruned or infeasible trial counts as a bad one, a failed trial is
    left out.

    Args:
        seed: Everything random follows from it and the calls so far; None draws one.

    Raises:
        MissingExtraError: Hyperopt is not installed.

    A study with several objectives raises ValueError.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        if find_spec("hyperopt") is None:
            raise MissingExtraError(
                "sampler hyperopt needs hyperopt, which is not installed.",
                "Install it with: pip install 'sllmbo-magic[hyperopt]'",
            )
        self._rng = np.random.default_rng(seed)
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._by_names: dict[tuple[str, ...], _HyperoptTrials] = {}
        self._lock = threading.Lock()

    def seeded(self, seed: int) -> HyperoptSampler:
        """This sampler with all its trials, from here on with this seed."""
        self._rng = np.random.default_rng(seed)
        return self

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the study's trials have in common."""
        self._raise_error_if_multi_objective(study)
        return {n: d for n, d in self._intersection.calculate(study).items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One suggestion for all of these parameters."""
        self._raise_error_if_multi_objective(study)
        return self._suggest(study, trial, search_space) if search_space else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One suggestion for one parameter, from the trials that have it."""
        self._raise_error_if_multi_objective(study)
        return self._suggest(study, trial, {param_name: param_distribution})[param_name]

    def reseed_rng(self) -> None:
        """Called by Optuna when trials run in parallel threads."""
        self._rng = np.random.default_rng()

    def _suggest(
        self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        from hyperopt import tpe

        with self._lock:
            converted = self._trials_of(study, space)
            docs = tpe.suggest(
                [trial.number],
                converted.domain,
                converted.trials,
                int(self._rng.integers(2**31)),
                verbose=False,
            )
        values = docs[0]["misc"]["vals"]
        return {name: _from_hyperopt(d, values[name][0]) for name, d in space.items()}

    def _trials_of(self, study: Study, space: Mapping[str, BaseDistribution]) -> _HyperoptTrials:
        """The study's trials as Hyperopt has them, up to date; each trial is converted once per space."""
        names, name = tuple(sorted(space)), study.study_name
        converted = self._by_names.get(names)
        if converted is None or converted.space != space or converted.study != name:
            converted = self._by_names[names] = _HyperoptTrials(name, dict(space))
        finished = study._get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED), use_cache=True
        )
        converted.update(finished, -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0)
        return converted

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_by_names": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


@dataclass
class _HyperoptTrials:
    """The trials of one study in one space, as Hyperopt has them."""

    study: str
    space: dict[str, BaseDistribution]
    domain: Any = field(init=False)
    trials: Any = field(init=False)
    numbers: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        from hyperopt import Trials
        from hyperopt.base import Domain

        self.domain = Domain(None, {name: _to_space(name, d) for name, d in self.space.items()})
        self.trials = Trials()

    def update(self, finished: list[FrozenTrial], sign: float) -> None:
        new = [t for t in finished if t.number not in self.numbers]
        if not new:
            return
        self.numbers.update(t.number for t in new)
        docs = [self._doc(t, sign) for t in new if any(name in t.params for name in self.space)]
        self.trials.insert_trial_docs(docs)
        self.trials.refresh()

    def _doc(self, trial: FrozenTrial, sign: float) -> dict[str, Any]:
        from hyperopt import JOB_STATE_DONE
        from hyperopt import STATUS_OK

        value = trial.value if scored(trial) else None
        values = {
            name: [_to_hyperopt(d, trial.params[name])] if name in trial.params else []
            for name, d in self.space.items()
        }
        return {
            "tid": trial.number,
            "state": JOB_STATE_DONE,
            "spec": None,
            "result": {"status": STATUS_OK, "loss": math.inf if value is None else sign * value},
            "misc": {
                "tid": trial.number,
                "cmd": None,
                "idxs": {name: [trial.number] * len(v) for name, v in values.items()},
                "vals": values,
            },
            "exp_key": None,
            "owner": None,
            "version": 0,
            "book_time": None,
            "refresh_time": None,
        }


def _to_space(name: str, d: BaseDistribution) -> Any:
    """The distribution as Hyperopt's; a range with steps is one of step numbers 0, 1, ..."""
    from hyperopt import hp

    if isinstance(d, CategoricalDistribution):
        return hp.choice(name, list(range(len(d.choices))))
    assert isinstance(d, FloatDistribution | IntDistribution)
    if d.log and isinstance(d, IntDistribution):
        return hp.qloguniform(name, math.log(d.low - _HALF), math.log(d.high + _HALF), 1)
    if d.log:
        return hp.loguniform(name, math.log(d.low), math.log(d.high))
    if d.step is not None:
        return hp.quniform(name, -_HALF, _steps(d) + _HALF, 1)
    return hp.uniform(name, d.low, d.high)


def _to_hyperopt(d: BaseDistribution, value: Any) -> float | int:
    if isinstance(d, CategoricalDistribution):
        return int(d.to_internal_repr(value))
    assert isinstance(d, FloatDistribution | IntDistribution)
    if d.step is not None and not d.log:
        return round(float((value - d.low) / d.step))
    return float(value)


def _from_hyperopt(d: BaseDistribution, value: Any) -> Any:
    if isinstance(d, CategoricalDistribution):
        return d.choices[int(value)]
    assert isinstance(d, FloatDistribution | IntDistribution)
    if d.step is not None and not d.log:
        value = d.low + min(max(round(float(value)), 0), _steps(d)) * d.step
    value = min(max(float(value), d.low), d.high)
    return round(value) if isinstance(d, IntDistribution) else value


def _steps(d: FloatDistribution | IntDistribution) -> int:
    return round((d.high - d.low) / (d.step or 1))

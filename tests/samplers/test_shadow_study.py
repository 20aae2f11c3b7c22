"""What the base sampler is shown of the real study."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from sllmbo_magic import SearchSpace
from sllmbo_magic.samplers.shadow_study import ShadowStudy

OUTER = SearchSpace.from_user({"x": (0.0, 1.0), "y": (0.0, 4.0)})


def shadow_of(params: dict[str, float]) -> dict[str, Any]:
    """The parameters of the shadow trial of a finished trial, whose own study has wide ranges."""
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        params=params,
        distributions={name: FloatDistribution(-100.0, 100.0) for name in params},
    )
    shadow = ShadowStudy(OUTER, optuna.study.StudyDirection.MAXIMIZE)
    shadow.sync([trial], optuna.samplers.RandomSampler())
    return shadow.study.trials[0].params


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"x": 0.25, "y": 3.0}, {"x": 0.25, "y": 3.0}),
        ({"x": 7.0, "y": -2.0}, {"x": 1.0, "y": 0.0}),  # outside the outer space: at its ends
        ({"x": 0.25}, {"x": 0.25, "y": 2.0}),  # missing: the middle
        ({"x": 0.25, "y": 3.0, "z": 9.0}, {"x": 0.25, "y": 3.0}),  # not in the outer space
    ],
)
def test_every_trial_is_a_point_of_the_outer_space(
    params: dict[str, float], expected: dict[str, float]
) -> None:
    assert shadow_of(params) == expected

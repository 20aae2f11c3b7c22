"""What an LLM does not do by itself: leave round numbers, and leave the incumbent.

Both were measured in our pre-study (docs/method.md): values cluster at 0.1 and 0.05, so that several trials
tell the same about a parameter, and from the second batch on nearly all candidates stay near the best trial.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution

from sllmbo_magic.history import Observation
from sllmbo_magic.history import number
from sllmbo_magic.space import SearchSpace

CROWD = 3
"""Earlier configurations with exactly the same round value that make the next one move."""
NEAR = 0.1
"""Root mean square of the parameters' distances, on their scales of 0 to 1, below which a configuration is
near another.
"""


def spread(
    params: Mapping[str, Any], earlier: Iterable[Mapping[str, Any]], space: SearchSpace, seed: int
) -> tuple[dict[str, Any], str]:
    """A configuration with round values moved away from where at least :data:`CROWD` earlier ones stand.

    Only floats without a step move, by 2 to 6 % of their range, never a value at a bound; the same arguments
    give the same move.

    Returns:
        The configuration, and one sentence on what was moved; "" when nothing was.
    """
    earlier = list(earlier)
    moved, said = dict(params), []
    for name, value in params.items():
        distribution = space.get(name)
        if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
            continue
        if not _is_round(value) or value in (distribution.low, distribution.high):
            continue
        crowd = sum(other.get(name) == value for other in earlier)
        if crowd < CROWD:
            continue
        moved[name] = _beside(value, name, space, seed)
        said.append(f"{name} moved from {number(value)} to {number(moved[name])}: {crowd} had exactly that")
    return moved, "; ".join(said)


def _is_round(value: Any) -> bool:
    """Whether a float has at most two significant digits."""
    return isinstance(value, float) and math.isfinite(value) and float(f"{value:.1e}") == value


def _beside(value: float, name: str, space: SearchSpace, seed: int) -> float:
    """A value beside this one, inside the range, with three significant digits."""
    one = SearchSpace({name: space[name]})
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    step = float(rng.uniform(0.02, 0.06)) * (1 if rng.random() < 0.5 else -1)
    place = float(one.to_unit({name: value})[0])
    place = place + step if 0.0 <= place + step <= 1.0 else place - step
    new = float(one.from_unit([place])[name])  # type: ignore[arg-type]
    short = float(f"{new:.2e}")
    return short if short != value and one.contains({name: short}) else new


def is_near(params: Mapping[str, Any], other: Observation, space: SearchSpace) -> bool:
    """Whether a configuration lies within :data:`NEAR` of a trial."""
    difference = space.to_unit(params) - space.to_unit(space.clip(other.params))
    return bool(np.sqrt(np.mean(difference**2)) < NEAR)

"""Whether a proposed configuration lies near a trial.

Measured in our pre-study (docs/method.md): from the second batch on, nearly all candidates of an LLM stay
near the best trial unless the prompt asks for others and the answer is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sllmbo_magic.history.observation import Observation
from sllmbo_magic.space.search_space import SearchSpace

NEAR = 0.1
"""Root mean square of the distances, on the scales of 0 to 1 of the parameters that are active in either
configuration, below which the two are near each other.
"""


def is_near(params: Mapping[str, Any], other: Observation, space: SearchSpace) -> bool:
    """Whether a configuration lies within :data:`NEAR` of a trial."""
    clipped = space.clip(other.params)
    active = {*space.active(params), *clipped}
    used = np.array([name in active for name in space])
    difference = (space.to_unit(params) - space.to_unit(clipped))[used]
    return bool(difference.size) and bool(np.sqrt(np.mean(difference**2)) < NEAR)

"""Both samplers pass Optuna's own sampler suites, with default constructor arguments and with 1 and 5
candidates.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.testing.pytest_samplers import RelativeSamplerTestCase
from optuna.testing.pytest_samplers import SingleOnlySamplerTestCase

from sllmbo_magic.samplers import LLMSampler
from sllmbo_magic.samplers import LLMTPESampler

MAKERS: list[Callable[[], BaseSampler]] = [
    LLMTPESampler,
    LLMSampler,
    lambda: LLMTPESampler(candidates=1),
    lambda: LLMTPESampler(candidates=5),
    lambda: LLMSampler(candidates=1),
    lambda: LLMSampler(candidates=5),
]
NAMES = ["llm-tpe", "llm", "llm-tpe-1", "llm-tpe-5", "llm-1", "llm-5"]


class TestOptunaSuites(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's Basic, Relative and SingleOnly cases."""

    @pytest.fixture(params=MAKERS, ids=NAMES)
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        maker: Callable[[], BaseSampler] = request.param
        return maker

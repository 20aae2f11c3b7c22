"""Plain Optuna samplers."""

from sllmbo_magic.samplers.hybrid import LLMSampler
from sllmbo_magic.samplers.hybrid import LLMTPESampler
from sllmbo_magic.samplers.hyperopt import HyperoptSampler

__all__ = ["HyperoptSampler", "LLMSampler", "LLMTPESampler"]

"""Plain Optuna samplers."""

from sllmbo_magic.samplers.hybrid import LLMSampler
from sllmbo_magic.samplers.hybrid import LLMTPESampler

__all__ = ["LLMSampler", "LLMTPESampler"]

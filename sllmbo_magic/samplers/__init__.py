"""Plain Optuna samplers."""

from sllmbo_magic.samplers.hyperopt import HyperoptSampler
from sllmbo_magic.samplers.llm_tpe import LLMSampler
from sllmbo_magic.samplers.llm_tpe import LLMTPESampler

__all__ = ["HyperoptSampler", "LLMSampler", "LLMTPESampler"]

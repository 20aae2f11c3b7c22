"""Tune hyper-parameters with a large language model and a Bayesian sampler together.

``tune`` and ``compare`` are the library, ``%load_ext sllmbo_magic`` the notebook; :class:`LLMTPESampler` and
:class:`LLMSampler` are plain Optuna samplers, :class:`SLLMBOSearchCV` has scikit-learn's search interface.
Names are imported when they are used: the extension loads in milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from sllmbo_magic.comparison.compare import compare
    from sllmbo_magic.samplers import LLMSampler
    from sllmbo_magic.samplers import LLMTPESampler
    from sllmbo_magic.sklearn_api.search_cv import SLLMBOSearchCV
    from sllmbo_magic.space.search_space import SearchSpace
    from sllmbo_magic.task.task import Task
    from sllmbo_magic.tuning.result import TuneResult
    from sllmbo_magic.tuning.tune import tune

__version__ = "0.2.0"

__all__ = [
    "LLMSampler",
    "LLMTPESampler",
    "SLLMBOSearchCV",
    "SearchSpace",
    "Task",
    "TuneResult",
    "compare",
    "tune",
]

_HOMES = {
    "LLMSampler": "sllmbo_magic.samplers",
    "LLMTPESampler": "sllmbo_magic.samplers",
    "SLLMBOSearchCV": "sllmbo_magic.sklearn_api.search_cv",
    "SearchSpace": "sllmbo_magic.space.search_space",
    "Task": "sllmbo_magic.task.task",
    "TuneResult": "sllmbo_magic.tuning.result",
    "compare": "sllmbo_magic.comparison.compare",
    "tune": "sllmbo_magic.tuning.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ip: Any) -> None:
    """``%load_ext sllmbo_magic``."""
    from sllmbo_magic.magic import register

    register(ip)


def unload_ipython_extension(ip: Any) -> None:
    """``%unload_ext sllmbo_magic``."""
    from sllmbo_magic.magic import unregister

    unregister(ip)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "sllmbo-magic"}]

"""The samplers that tables.py compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution


def _ours(
    space: dict[str, BaseDistribution], seed: int, n_trials: int, llm: Any = "rulebook", **options: Any
) -> Any:
    from sllmbo_magic import LLMTPESampler

    return LLMTPESampler(llm, search_space=space, seed=seed, n_trials=n_trials, **options)


def _adviser(pick: str) -> Callable[..., Any]:
    def make(space: dict[str, BaseDistribution], seed: int, n_trials: int) -> Any:
        from sllmbo_magic.testing import FunctionProvider
        from tests import replies

        responder = replies.Responder(seed, getattr(replies, f"{pick}_pick"))
        return _ours(space, seed, n_trials, llm=FunctionProvider(responder))

    return make


def _hyperopt(space: dict[str, BaseDistribution], seed: int, n_trials: int) -> Any:
    from sllmbo_magic.samplers import HyperoptSampler

    return HyperoptSampler(seed=seed)


@dataclass(frozen=True)
class Arm:
    """A way to search.

    Attributes:
        make: ``(space, seed, n_trials)`` to an Optuna sampler; None for Rustuna, which has its own study.
        default_first: The library's configuration is trial 0.
        needs: A package without which the arm is left out, with a word.
        about: For the table.
    """

    make: Callable[[dict[str, BaseDistribution], int, int], Any] | None
    default_first: bool = False
    needs: str = "optuna"
    about: str = ""


ARMS = {
    "ours": Arm(_ours, about="LLMTPESampler without an LLM, default options"),
    "ours+default": Arm(_ours, True, about="the same, trial 0 is the library's default"),
    "random": Arm(lambda space, seed, n: optuna.samplers.RandomSampler(seed=seed)),
    "tpe": Arm(
        lambda space, seed, n: optuna.samplers.TPESampler(seed=seed), about="Optuna's TPE, multivariate"
    ),
    "tpe-univariate": Arm(lambda space, seed, n: optuna.samplers.TPESampler(seed=seed, multivariate=False)),
    "tpe+default": Arm(lambda space, seed, n: optuna.samplers.TPESampler(seed=seed), True),
    "cmaes": Arm(lambda space, seed, n: optuna.samplers.CmaEsSampler(seed=seed), needs="cmaes"),
    "gp": Arm(lambda space, seed, n: optuna.samplers.GPSampler(seed=seed), needs="torch"),
    "hyperopt": Arm(_hyperopt, needs="hyperopt"),
    "rustuna": Arm(None, needs="rustuna", about="Rustuna's TPE"),
    "adviser-random": Arm(_adviser("random"), about="a useless adviser: random answers, not an LLM"),
    "adviser-same": Arm(_adviser("same"), about="always the same answer"),
    "adviser-bounds": Arm(_adviser("bounds"), about="always at the bounds"),
}
PEERS = ("random", "tpe", "tpe-univariate", "cmaes", "gp", "hyperopt", "rustuna")

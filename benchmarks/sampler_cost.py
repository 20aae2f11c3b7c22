"""What our sampler costs per trial over the wrapped TPE: no LLM, no judge, in memory, nine parameters, a free
objective. The judge is reported apart.

Both sides run in turns in one process, so the ratio holds when the machine's speed drifts. Wanted: at most
1.2. For the judge both sides ask the same function for half of the trials, with the judge and without; a fit
that sleeps shows which part of the judge's time is hidden behind it.

    python benchmarks/sampler_cost.py --trials 50 200 1000 --judge 50 200 --fit 0.2
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.samplers import surrogate as judging
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

SPACE = SearchSpace(
    {
        "learning_rate": FloatDistribution(1e-3, 0.3, log=True),
        "n_estimators": IntDistribution(50, 2000, log=True),
        "num_leaves": IntDistribution(4, 256, log=True),
        "min_child_samples": IntDistribution(1, 100, log=True),
        "subsample": FloatDistribution(0.4, 1.0),
        "colsample_bytree": FloatDistribution(0.4, 1.0),
        "reg_alpha": FloatDistribution(1e-8, 10.0, log=True),
        "reg_lambda": FloatDistribution(1e-8, 10.0, log=True),
        "max_depth": IntDistribution(2, 16),
    }
)


def plain(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def ours(seed: int) -> optuna.samplers.BaseSampler:
    return LLMTPESampler(search_space=SPACE, seed=seed, judge=False, schedule="bernoulli", llm_ratio=0.0)


def asking(seed: int, judge: bool) -> optuna.samplers.BaseSampler:
    return LLMTPESampler(
        FunctionProvider(Responder(seed)), search_space=SPACE, seed=seed, judge=judge, schedule="bernoulli"
    )


class Run:
    """A study that is advanced in slices."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, fit: float = 0.0) -> None:
        self.study = optuna.create_study(sampler=sampler)
        self.fit = fit
        self.seconds = 0.0

    def advance(self, n: int) -> None:
        start = time.process_time()
        self.study.optimize(self._objective, n_trials=n)
        self.seconds += time.process_time() - start

    def _objective(self, trial: optuna.Trial) -> float:
        params = SPACE.suggest(trial)
        if self.fit:
            time.sleep(self.fit)
        return sum(float(v) for v in SPACE.to_unit(params))


class Watched:
    """Wall time of the judge's fits, and the part of it that trials had to wait for."""

    def __init__(self) -> None:
        self.fitted = self.waited = 0.0
        self._fit, self._get = judging.SurrogatePrefetch._fit, judging.SurrogatePrefetch.get

    def fit(self, *args: Any) -> Any:
        start = time.perf_counter()
        try:
            return self._fit(*args)
        finally:
            self.fitted += time.perf_counter() - start

    def get(self, ahead: judging.SurrogatePrefetch, *args: Any) -> Any:
        start = time.perf_counter()
        try:
            return self._get(ahead, *args)
        finally:
            self.waited += time.perf_counter() - start

    def patches(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(patch.object(judging.SurrogatePrefetch, "_fit", lambda *args: self.fit(*args)))
        stack.enter_context(patch.object(judging.SurrogatePrefetch, "get", lambda *args: self.get(*args)))
        return stack


def in_turns(runs: tuple[Run, Run], n: int) -> tuple[float, float]:
    """CPU seconds of both sides."""
    for _ in range(10):
        for run in runs:
            run.advance(n // 10)
    return runs[0].seconds, runs[1].seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="*", default=[50, 200, 1000])
    parser.add_argument("--judge", type=int, nargs="*", default=[50, 200], help="the same, for the judge")
    parser.add_argument("--fit", type=float, default=0.2, help="seconds of a fit, for the judge")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{'trials':>6} {'TPE ms':>8} {'ours ms':>8} {'ratio':>6}   (CPU per trial, mean over the run)")
    for n in args.trials:
        repeats = max(1, 200 // n)
        a = b = 0.0
        for seed in range(repeats):
            x, y = in_turns((Run(plain(seed)), Run(ours(seed))), n)
            a, b = a + x, b + y
        print(f"{n:6} {1000 * a / n / repeats:8.2f} {1000 * b / n / repeats:8.2f} {b / a:6.2f}", flush=True)

    print(f"\n{'trials':>6} {'judge ms':>8} {'hidden':>6}   (CPU per trial with the judge, minus without;")
    print(f"{'':24}share of its fits' time that no trial waited for, fits of {args.fit:g} s)")
    for n in args.judge:
        a, b = in_turns((Run(asking(0, False)), Run(asking(0, True))), n)
        watched = Watched()
        with watched.patches():
            Run(asking(0, True), args.fit).advance(n)
        hidden = 1.0 - watched.waited / watched.fitted
        print(f"{n:6} {1000 * (b - a) / n:8.2f} {hidden:6.0%}", flush=True)


if __name__ == "__main__":
    main()

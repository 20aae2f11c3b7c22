"""What our sampler costs per trial over the wrapped TPE: no LLM, no judge, in memory, nine parameters, a free
objective.

Both sides run in turns in one process, so the ratio holds when the machine's speed drifts. Wanted: at most
1.2.

    python benchmarks/sampler_cost.py --trials 50 200 1000
"""

from __future__ import annotations

import argparse
import time

import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace

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


class Run:
    """A study that is advanced in slices."""

    def __init__(self, sampler: optuna.samplers.BaseSampler) -> None:
        self.study = optuna.create_study(sampler=sampler)
        self.seconds = 0.0

    def advance(self, n: int) -> None:
        start = time.process_time()
        self.study.optimize(self._objective, n_trials=n)
        self.seconds += time.process_time() - start

    @staticmethod
    def _objective(trial: optuna.Trial) -> float:
        params = SPACE.suggest(trial)
        return sum(float(v) for v in SPACE.to_unit(params))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="*", default=[50, 200, 1000])
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{'trials':>6} {'TPE ms':>8} {'ours ms':>8} {'ratio':>6}   (CPU per trial, mean over the run)")
    for n in args.trials:
        repeats = max(1, 200 // n)
        a = b = 0.0
        for seed in range(repeats):
            runs = Run(plain(seed)), Run(ours(seed))
            for _ in range(10):
                for run in runs:
                    run.advance(n // 10)
            a, b = a + runs[0].seconds, b + runs[1].seconds
        print(f"{n:6} {1000 * a / n / repeats:8.2f} {1000 * b / n / repeats:8.2f} {b / a:6.2f}", flush=True)


if __name__ == "__main__":
    main()

"""What a useless adviser costs: final regret of LLM-TPE at default options against plain TPE, paired by seed.

The advisers are functions, not LLMs: one answers at random, one always the same, one always at the bounds.
Known from our pre-study: a fixed share of 0.5 without a judge costs 1.5 to 2.2 times TPE's regret. Wanted: a
median ratio of at most 1.10 and an upper bound (95 %, bootstrap) of at most 1.25.

    python benchmarks/no_harm.py --seeds 30 --trials 50
"""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import optuna
from functions import FUNCTIONS
from functions import TestFunction

from sllmbo_magic import LLMTPESampler
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder
from tests.replies import bounds_pick
from tests.replies import random_pick
from tests.replies import same_pick

ADVISERS = {"random": random_pick, "same": same_pick, "bounds": bounds_pick}


def regret(function: TestFunction, sampler: optuna.samplers.BaseSampler, n_trials: int) -> float:
    """Best value minus the known minimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=sampler)
        study.optimize(function, n_trials=n_trials)
    return study.best_value - function.minimum


def pair(job: tuple[int, str, int, int, dict[str, object]]) -> tuple[float, float]:
    """Regret of LLM-TPE with an adviser and of TPE, same seed."""
    index, adviser, seed, n_trials, options = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    function = FUNCTIONS[index]
    plain = regret(function, optuna.samplers.TPESampler(seed=seed), n_trials)
    provider = FunctionProvider(Responder(seed, ADVISERS[adviser]))
    sampler = LLMTPESampler(provider, search_space=function.space, seed=seed, n_trials=n_trials, **options)
    return regret(function, sampler, n_trials), plain


def bootstrap_upper(ratios: np.ndarray, n: int = 4000) -> float:
    """Upper 97.5 % bound of the median."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (n, len(ratios))), axis=1)
    return float(np.quantile(medians, 0.975))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--advisers", nargs="*", default=list(ADVISERS))
    parser.add_argument("--no-judge", action="store_true", help="the known bad way, for comparison")
    args = parser.parse_args()
    options: dict[str, object] = {"judge": False, "schedule": "bernoulli"} if args.no_judge else {}
    with ProcessPoolExecutor(args.workers) as pool:
        print(f"{'adviser':9} {'function':10} {'median ratio':>12} {'upper bound':>12} {'worse in':>9}")
        for adviser in args.advisers:
            every = []
            for index, function in enumerate(FUNCTIONS):
                jobs = [(index, adviser, seed, args.trials, options) for seed in range(args.seeds)]
                ratios = np.array([a / max(b, 1e-12) for a, b in pool.map(pair, jobs)])
                every.append(ratios)
                show(adviser, function.name, ratios)
            show(adviser, "all", np.concatenate(every))


def show(adviser: str, name: str, ratios: np.ndarray) -> None:
    worse = f"{int((ratios > 1).sum())}/{len(ratios)}"
    print(
        f"{adviser:9} {name:10} {np.median(ratios):12.3f} {bootstrap_upper(ratios):12.3f} {worse:>9}",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""How many prompt tokens does a run send, and do its prompts grow?

A default LLM-TPE run of 50 trials against a server on this machine, through the real openai SDK, and the
reference implementation's way in the same process: one request per LLM trial, each with all earlier prompts
and replies. Its prompts are ours twice: as the default writes them, and (a harder comparison) with only the
trials that are new in each. Wanted: at most 0.07 of the first's tokens, at most 12 requests, and prompts that
do not grow from 50 to 1,000 trials.

    python benchmarks/tokens.py --trials 50 200 1000
"""

from __future__ import annotations

import argparse
import os

from tests.tokens import ONE_REQUEST_PER_LLM_TRIAL
from tests.tokens import resent
from tests.tokens import run
from tests.tokens import sent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="*", default=[50, 200, 1000])
    args = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "loopback-key-0123456789"

    _, ours = run(n_trials=50)
    print(f"{'50 trials':52} {'requests':>8} {'tokens':>9} {'ours / it':>9}")
    print(f"{'default options':52} {len(ours):8} {sent(ours):9,.0f}")
    for what, history in (("the same prompts", "state"), ("prompts with the news only", "window")):
        _, theirs = run(n_trials=50, history=history, **ONE_REQUEST_PER_LLM_TRIAL)
        total = resent(theirs)
        label = f"whole conversation resent, {what}"
        print(f"{label:52} {len(theirs):8} {total:9,.0f} {sent(ours) / total:9.3f}")

    print(f"\n{'trials':>6} {'requests':>8} {'tokens of the last prompt':>26}")
    for n in args.trials:
        _, exchanges = run(n_trials=n)
        print(f"{n:6} {len(exchanges):8} {exchanges[-1].tokens:26,.0f}", flush=True)


if __name__ == "__main__":
    main()

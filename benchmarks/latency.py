"""Does the LLM's latency cost wall time? 30 LLM-TPE trials against 30 TPE trials, fits and answers of a
second each.

The LLM is a loopback server through the real openai SDK that answers at random after ``--latency`` seconds; a
fit sleeps ``--fit`` seconds. Both sides run at the same time on one machine, one after the other would let
the machine's speed drift in. Wanted: at most 1.15 with one request outside the trials (the first one) in 30
trials.

    python benchmarks/latency.py --trials 30 --latency 1 --fit 1
"""

from __future__ import annotations

import argparse
import os
import threading
import time

import numpy as np

from sllmbo_magic import tune
from tests.loopback import LoopbackServer
from tests.loopback import Received
from tests.replies import Responder

SPACE = {f"x{i}": (0.0, 1.0) for i in range(6)}


class Question:
    """A request as :class:`Responder` reads it."""

    def __init__(self, seen: Received) -> None:
        self.content = "\n".join(str(m.get("content", "")) for m in seen.body.get("messages", []))
        self.messages = (self,)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--fit", type=float, default=1.0)
    args = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "loopback-key-0123456789"
    responder = Responder(0)

    def objective(params: dict[str, float]) -> float:
        time.sleep(args.fit)
        return float(np.sum((np.array(list(params.values())) - 0.3) ** 2))

    seconds: dict[str, float] = {}

    def run(sampler: str, url: str) -> None:
        start = time.monotonic()
        tune(
            objective,
            direction="minimize",
            search_space=SPACE,
            sampler=sampler,
            llm="openai:loopback",
            base_url=url,
            n_trials=args.trials,
            seed=0,
            folder="",
        )
        seconds[sampler] = time.monotonic() - start

    with LoopbackServer(lambda seen: responder(Question(seen)), latency=args.latency) as server:
        threads = [threading.Thread(target=run, args=(name, server.url)) for name in ("llm-tpe", "tpe")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked = len(server.requests)
    print(f"TPE      {seconds['tpe']:6.1f} s")
    print(f"LLM-TPE  {seconds['llm-tpe']:6.1f} s with {asked} requests of {args.latency:g} s")
    print(f"ratio    {seconds['llm-tpe'] / seconds['tpe']:6.3f}")


if __name__ == "__main__":
    main()

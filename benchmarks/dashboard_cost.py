"""What the dashboard costs a run in the kernel: time and bytes per event, after 50 and after 1,000 trials.

``python benchmarks/dashboard_cost.py``; wanted: at most 1 ms and 1 kB per update, however long the run.
"""

from __future__ import annotations

import json
import time
from typing import Any

from sllmbo_magic import events as ev
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import LiveRun

PARAMS = {f"parameter_{i}": 0.123456 + i for i in range(9)}
FOLDS = 5


def trial(n: int) -> list[ev.Event]:
    """The events of one trial with 9 parameters and 5 folds."""
    told: dict[str, Any] = {"number": n, "params": PARAMS, "source": "tpe"}
    return [
        ev.TrialStarted(**told),
        *(ev.FoldFinished(number=n, fold=k, n_folds=FOLDS, score=0.87 + k / 1000) for k in range(FOLDS)),
        ev.TrialFinished(
            **told, state="COMPLETE", value=0.872, std=0.001, split_scores=[0.87] * FOLDS, best_number=n
        ),
    ]


def main() -> None:
    """Print one line per length of the run."""
    print(f"{'trials before':>14}{'ms/event':>14}{'ms/trial':>14}{'bytes, largest':>16}{'bytes/trial':>17}")
    for before in (50, 1000):
        live = LiveRun(Control())
        for n in range(before):
            for event in trial(n):
                live.sink(event)
        sizes: list[int] = []
        live.follow(lambda message, sizes=sizes: sizes.append(len(json.dumps(message))))  # as the comm does
        events = [event for n in range(before, before + 100) for event in trial(n)]
        start = time.perf_counter()
        for event in events:
            live.sink(event)
        ms = (time.perf_counter() - start) * 1000
        print(
            f"{before:>14}{ms / len(events):>14.3f}{ms / 100:>14.3f}{max(sizes):>16}{sum(sizes) / 100:>17.0f}"
        )


if __name__ == "__main__":
    main()

"""``kill -9`` of a run leaves none of its worker processes behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

ROOT = str(Path(__file__).parents[2])
ISOLATED = """
import os, sys, time
sys.path.insert(0, {root!r})
from sllmbo_magic import tune

def objective(params):
    print(os.getpid(), flush=True)
    time.sleep({seconds})
    return params["x"]

tune(objective, search_space={{"x": (0.0, 1.0)}}, direction="minimize", n_trials=50, isolate=True, folder="")
"""
FOLDS = """
import sys, time
sys.path.insert(0, {root!r})
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from sllmbo_magic.evaluation.fold_processes import FoldProcesses
from sllmbo_magic.task.task import Task

X, y = make_classification(80, 5, random_state=0)
processes = FoldProcesses(Task.from_estimator(MLPClassifier((5,)), X, y, scoring="accuracy", cv=3), 2, 1)
while not processes.take({{}}):
    time.sleep(0.01)
for pid in processes._pool._processes:
    print(pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(
    ("code", "n_workers", "seconds"),
    [(ISOLATED, 1, 0.01), (ISOLATED, 1, 600), (FOLDS, 2, 0)],
    ids=["an isolated trial between two", "an isolated trial in a fit", "folds in processes"],
)
def test_the_processes_of_a_killed_run_end(
    code: str, n_workers: int, seconds: float, child: Callable[[str], Popen[str]]
) -> None:
    process = child(code.format(root=ROOT, seconds=seconds))
    assert process.stdout is not None
    pids = [int(process.stdout.readline()) for _ in range(n_workers)]
    assert process.pid not in pids
    assert all(_lives(pid) for pid in pids)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process of the run has stayed"
        time.sleep(0.1)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"

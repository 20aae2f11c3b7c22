"""``kill -9`` at random moments: every finished trial is there on resume, and no proposal is lost or mixed.

``make test`` kills 10 times, ``make soak`` 100 times.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

N_TRIALS = 14
KILLS = 100 if os.environ.get("SLLMBO_SOAK") else 10

ROOT = str(Path(__file__).parents[2])
CODE = f"""
import os, signal, sys, threading
sys.path.insert(0, {ROOT!r})
"""
CODE += """
import numpy as np
from sklearn.linear_model import LogisticRegression
from sllmbo_magic import tune
from sllmbo_magic.events import RunStarted, TrialStarted
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] + rng.normal(scale=0.8, size=60) > 0).astype(int)

started = []

def sink(event):
    if isinstance(event, (RunStarted, TrialStarted)):
        started.append(event)
        if len(started) == {first} + 1:
            threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if len(started) == {first} + 3:
            os.kill(os.getpid(), signal.SIGKILL)

tune(LogisticRegression(max_iter=50), X, y, name="killed", llm={llm}, storage={storage!r},
     n_trials={n_trials}, seed=5, resume={resume}, verify=False, sinks=[sink], executor={executor})
os._exit(0)
"""


def scored(result: TuneResult) -> list[FrozenTrial]:
    return [trial for trial in result.trials if trial.value is not None]


def killed(
    child: Callable[[str], Popen[str]], kills: int, seed: int, **options: Any
) -> list[list[FrozenTrial]]:
    """Start the run, kill it, resume it, ...; the scored trials after each kill.

    A process dies at a random moment, at the latest when its fourth trial starts: also on a fast machine.
    """
    rng = random.Random(seed)
    after = []
    for _ in range(kills):
        resume = Path(".sllmbo/killed/run.json").exists()
        code = CODE.format(
            first=rng.randrange(3), delay=rng.uniform(0.0, 0.2), n_trials=N_TRIALS, resume=resume, **options
        )
        ending = child(code).wait(180)
        assert ending in (0, -signal.SIGKILL), "neither killed nor done"
        after.append(scored(TuneResult.load(".sllmbo/killed")))
        if ending == 0:
            break
    return after


def test_a_run_that_is_killed_again_and_again_keeps_all_it_had(
    child: Callable[[str], Popen[str]], data: Any, model: Any
) -> None:
    options: dict[str, Any] = {"n_trials": N_TRIALS, "seed": 5, "verify": False}
    whole = tune(model, *data, llm=FunctionProvider(Responder(1)), folder="", **options)
    llm = "FunctionProvider(Responder(1))"
    after = killed(child, KILLS, 0, llm=llm, storage=None, executor="None")
    resumed = tune(model, *data, name="killed", llm=FunctionProvider(Responder(1)), resume=True, **options)
    assert len(after) >= 4, "no process finishes more than three trials"
    for earlier, later in pairwise([*after, scored(resumed)]):
        kept = {trial.number: (trial.params, trial.value) for trial in later}
        assert all(kept[trial.number] == (trial.params, trial.value) for trial in earlier)
    assert len(scored(resumed)) == N_TRIALS
    # each first configuration is run whole, whenever its trial was killed: never a mixture of two proposals
    assert first(resumed) == first(whole)
    assert [v.reason for v in resumed.space_versions][:2] == [v.reason for v in whole.space_versions][:2]


def first(result: TuneResult) -> list[tuple[Any, ...]]:
    """The first configurations and their scores, in any order: one that was cut off runs later."""
    trials = [trial for trial in scored(result) if trial.user_attrs["sllmbo:source"] == "llm-init"]
    return sorted((*sorted(trial.params.items()), trial.value) for trial in trials)


def test_two_trials_in_flight_are_run_again(
    child: Callable[[str], Popen[str]], data: Any, model: Any
) -> None:
    pool = "__import__('concurrent.futures').futures.ThreadPoolExecutor(2)"
    killed(child, max(3, KILLS // 4), 7, llm=repr("rulebook"), storage=None, executor=pool)
    resumed = tune(model, *data, name="killed", n_trials=N_TRIALS, seed=5, verify=False, resume=True)
    values = [trial.value for trial in scored(resumed)]
    assert len(values) == N_TRIALS
    assert resumed.best_value == max(values)
    assert not [trial for trial in resumed.trials if trial.state.name in ("RUNNING", "WAITING")]


class Killed(BaseException):
    """Stands in for a signal that ends the process between two lines of its own code."""


def test_a_death_between_two_queued_configurations_loses_none(
    data: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"n_trials": 7, "seed": 5, "verify": False}
    whole = tune(model, *data, llm=FunctionProvider(Responder(1)), folder="", **options)
    enqueue, calls = Study.enqueue_trial, []

    def dies(study: Study, *args: Any, **kwargs: Any) -> None:
        calls.append(args)
        if len(calls) == 4:  # the default, and two of the five first configurations
            raise Killed
        enqueue(study, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Study, "enqueue_trial", dies)
        with pytest.raises(Killed):
            tune(model, *data, name="killed", llm=FunctionProvider(Responder(1)), **options)
    resumed = tune(model, *data, name="killed", llm=FunctionProvider(Responder(1)), resume=True, **options)
    assert first(resumed) == first(whole)
    assert len(first(resumed)) == 5


def test_a_death_before_the_first_trial_was_queued_still_measures_the_default(
    data: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(study: Study, *args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Study, "enqueue_trial", dies)
        with pytest.raises(Killed):
            tune(model, *data, name="killed", n_trials=3, seed=5, verify=False)
    resumed = tune(model, *data, name="killed", n_trials=3, seed=5, verify=False, resume=True)
    assert resumed.trials[0].user_attrs["sllmbo:source"] == "default"

"""Fits of ``SLLMBOSearchCV`` in processes: one that crashes or hangs costs one candidate."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from joblib import Parallel
from joblib import effective_n_jobs
from joblib import parallel_config
from joblib.externals.loky import reusable_executor
from sklearn.linear_model import Ridge

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic.errors import InputError
from sllmbo_magic.sklearn_api.isolated_fits import ended_after
from tests.marks import long
from tests.tuning.test_isolation import Ending

X = np.zeros((20, 2))
Y = np.linspace(0.0, 1.0, 20)


def search(ways: list[str], **options: Any) -> Any:
    return SLLMBOSearchCV(
        Ending(), search_space={"way": ["well", "segfault", "hang"]}, sampler="random", cv=2, random_state=0,
        n_trials=len(ways) + 1, tune_options={"enqueue": [{"way": way} for way in ways], **options},
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_crash_and_a_hang_cost_a_candidate_each() -> None:
    found = search(["segfault", "hang", "well"], isolate=True, trial_timeout=12.0).fit(X, Y)
    assert len(found.cv_results_["params"]) == 4
    scores = [math.isfinite(score) for score in found.cv_results_["mean_test_score"]]
    assert scores == [True, False, False, True]
    stored = [t.user_attrs["sllmbo:evaluation"] for t in found.result_.study.trials]
    assert [one.get("error") for one in stored] == [None, "process-died", "timeout", None]
    assert "SIGSEGV" in stored[1]["cause"]
    assert found.best_estimator_.predict(X).shape == (20,)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("way", "category"), [("hang", "timeout"), long("segfault", "process-died")])
def test_a_default_that_ends_its_process_is_a_failed_trial(way: str, category: str) -> None:
    found = search(["well"], isolate=True, trial_timeout=3.0).set_params(estimator=Ending(way)).fit(X, Y)
    stored = [t.user_attrs["sllmbo:evaluation"] for t in found.result_.study.trials]
    assert [one.get("error") for one in stored] == [category, None]
    assert [math.isfinite(score) for score in found.cv_results_["mean_test_score"]] == [False, True]


def test_all_new_workers_import_what_the_fits_need_before_the_time_counts() -> None:
    """A fit of milliseconds would count as too long, after a crash too, if its worker had yet to import."""

    def look(name: str) -> tuple[int, bool]:
        time.sleep(0.01)  # so that the other worker takes the next task
        return os.getpid(), name in sys.modules

    if reusable_executor._executor is not None:
        reusable_executor._executor.shutdown(kill_workers=True)
    has_imported: dict[int, bool] = {}
    with parallel_config("loky", n_jobs=2), Parallel(), ended_after(600.0, SLLMBOSearchCV(Ridge())):
        while len(has_imported) < 2:
            tasks = [
                reusable_executor._executor.submit(look, "sllmbo_magic.sklearn_api.search_cv") for _ in "ab"
            ]
            for process, has in (task.result() for task in tasks):
                has_imported.setdefault(process, has)
    assert list(has_imported.values()) == [True, True]


def test_a_limit_of_time_needs_processes_and_processes_need_jobs() -> None:
    with pytest.raises(InputError, match="trial_timeout needs isolate"):
        search(["well"], trial_timeout=1.0).fit(X, Y)
    one = search(["well"], isolate=True).set_params(n_jobs=1)
    with pytest.raises(InputError, match="isolate needs processes"):
        one.fit(X, Y)
    with pytest.raises(InputError, match="devices"):
        search(["well"], devices="a,b").fit(X, Y)


@pytest.mark.parametrize("space", [{"way": ["well"]}, {"nowhere": ["well"]}])
def test_the_jobs_of_other_code_are_as_many_as_before(space: dict[str, Any]) -> None:
    """After a search, and after one that is refused."""
    found = search(["well"], isolate=True, enqueue=[]).set_params(search_space=space)
    with nullcontext() if "way" in space else pytest.raises(InputError, match="nowhere"):
        found.fit(X, Y)
    assert effective_n_jobs(None) == 1

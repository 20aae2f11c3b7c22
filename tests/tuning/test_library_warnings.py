"""What libraries warn of in a run is kept off the screen, counted by text without paths, shown on request."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.evaluation.warnings import CountWarnings
from sllmbo_magic.evaluation.warnings import Quiet
from sllmbo_magic.evaluation.warnings import warning_text
from sllmbo_magic.history.trials import observe
from sllmbo_magic.report.card import card
from sllmbo_magic.report.static import mimebundle
from sllmbo_magic.report.summary import summary_text
from tests.estimators import Failing

X, y = make_classification(80, 4, random_state=0)
SPACE = {"C": (1e-3, 1e3, "log")}
OPTIONS: dict[str, Any] = {"n_trials": 9, "seed": 0, "sampler": "tpe", "folder": "", "judge": False}


def shown_in(run: Callable[[], Any]) -> tuple[list[str], Any]:
    """The warnings that reach the screen, as ``Class: text``, and what the run returns."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        result = run()
    return [f"{w.category.__name__}: {w.message}" for w in shown if w.category is not ResourceWarning], result


def unconverged(verify: bool = False, max_iter: int = 2) -> Any:
    return tune(LogisticRegression(max_iter=max_iter), X, y, search_space=SPACE, verify=verify, **OPTIONS)


@pytest.mark.parametrize("verify", [False, True])
def test_a_runs_warnings_are_counted_by_text_and_none_is_shown(verify: bool) -> None:
    shown, result = shown_in(lambda: unconverged(verify))
    assert shown == []
    assert bool(result.summary["verification"]) is verify
    row = next(row for row in result.warnings if row["category"] == "ConvergenceWarning")
    assert row["text"].startswith("lbfgs failed to converge")
    assert row["n_trials"] >= 5
    assert row["count"] >= row["n_trials"]
    assert result.study.trials[row["trial"]].user_attrs["sllmbo:evaluation"]["warnings"]["ConvergenceWarning"]
    assert result.summary["warnings"] == result.warnings


def test_equal_scores_have_no_importances_of_which_a_library_warns() -> None:
    shown, result = shown_in(lambda: unconverged(max_iter=1))
    assert {trial.value for trial in result.trials} == {result.best_value}
    assert shown == []
    assert not any("importances" in row["text"] for row in result.warnings)
    assert shown_in(result.importances) == ([], {}), "nor later, on request"


def objective(params: dict[str, float]) -> float:
    warnings.warn(f"/opt/someone/lib/learner.cc:74: {params['C']} is odd", UserWarning, stacklevel=1)
    return params["C"]


def test_an_objectives_warnings_are_counted_too() -> None:
    shown, result = shown_in(
        lambda: tune(objective, search_space=SPACE, direction="minimize", verify=False, **OPTIONS)
    )
    assert shown == []
    (row,) = [row for row in result.warnings if row["trial"] is not None]
    assert (row["category"], row["count"], row["n_trials"], row["trial"]) == ("UserWarning", 9, 9, 0)
    assert row["text"].startswith("learner.cc:74: "), "no path of the machine"


def test_a_callbacks_warning_is_the_users_and_stays_visible() -> None:
    def callback(study: optuna.Study, trial: Any) -> None:
        if trial.number == 2:
            warnings.warn("mine", UserWarning, stacklevel=1)

    shown, _ = shown_in(
        lambda: tune(
            objective, search_space=SPACE, direction="minimize", verify=False, callbacks=[callback], **OPTIONS
        )
    )
    assert shown == ["UserWarning: mine"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            "[12:00:01] WARNING: /workspace/src/learner.cc:740: \nunused",
            "[12:00:01] WARNING: learner.cc:740: unused",
        ),
        (r"in C:\Users\me\lib\a.py:3 it failed", "in a.py:3 it failed"),
        (
            "see https://scikit-learn.org/stable/modules/svm.html",
            "see https://scikit-learn.org/stable/modules/svm.html",
        ),
        ("a ratio of 1/2 and n/a", "a ratio of 1/2 and n/a"),
        ("'/data/x/model.bin' is old", "'model.bin' is old"),
        ("key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 is old", "key [redacted] is old"),
    ],
)
def test_a_text_has_no_folders_and_no_keys(message: str, text: str) -> None:
    assert warning_text(message) == text


def test_texts_that_differ_in_numbers_are_one_and_their_number_is_bounded() -> None:
    with warnings.catch_warnings(), Quiet(), CountWarnings() as seen:
        for i in range(100):
            warnings.warn(f"step {i}: loss 0.{i}e-3", RuntimeWarning, stacklevel=1)
            warnings.warn(f"about {chr(97 + i % 26)}{chr(97 + i // 26)}", UserWarning, stacklevel=1)
    assert seen.counts == {"RuntimeWarning": 100, "UserWarning": 100}
    assert seen.texts["RuntimeWarning: step 0: loss 0.0e-3"] == 100
    assert len(seen.texts) == 8


def test_report_card_summary_and_a_stored_run_have_them(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = tune(
        LogisticRegression(max_iter=1),
        X,
        y,
        search_space=SPACE,
        verify=False,
        **{**OPTIONS, "folder": folder},
    )
    total = sum(row["count"] for row in result.warnings)
    bundle = result.bundle()
    assert f"{total} warnings of libraries" in summary_text(bundle)
    for html in (
        card(bundle),
        mimebundle(bundle)["text/html"],
        result.report(tmp_path / "r.html").read_text(),
    ):
        assert "lbfgs failed to converge" in html
    assert TuneResult.load(result.path).warnings == result.warnings


def test_more_trials_of_a_resumed_run_add_up(tmp_path: Path) -> None:
    def run(n: int, **more: Any) -> Any:
        options = {**OPTIONS, "n_trials": n, "folder": tmp_path / "run", **more}
        return tune(LogisticRegression(max_iter=1), X, y, search_space=SPACE, verify=False, **options)

    first = next(r for r in run(4).warnings if r["category"] == "ConvergenceWarning")
    both = next(r for r in run(8, resume=True).warnings if r["category"] == "ConvergenceWarning")
    assert both["n_trials"] > first["n_trials"]


def test_the_search_warns_of_failed_fits_as_scikit_learn_does_and_counts() -> None:
    search = SLLMBOSearchCV(
        Failing(ValueError("no"), after=6),
        search_space={"shift": (0.0, 1.0)},
        n_trials=4,
        random_state=0,
        refit=False,
        sampler="tpe",
    )
    Failing.fits = 0
    shown, _ = shown_in(lambda: search.fit(X, y.astype(float)))
    assert any(text.startswith("FitFailedWarning") for text in shown)
    assert any(row["category"] == "FitFailedWarning" for row in search.result_.warnings)


def test_no_warning_text_reaches_an_llm() -> None:
    _, result = shown_in(
        lambda: tune(objective, search_space=SPACE, direction="minimize", verify=False, **OPTIONS)
    )
    observed = observe(result.study.trials[0])
    assert observed.warnings == {"UserWarning": 1}
    assert "learner" not in repr(observed)
    assert np.isfinite(observed.value or 0)


def test_warnings_of_the_closing_check_are_counted_too() -> None:
    shown, without = shown_in(lambda: unconverged(verify=False))
    _, result = shown_in(lambda: unconverged(verify=True))
    assert shown == []

    def between(result: Any) -> list[dict[str, Any]]:
        return [r for r in result.warnings if r["trial"] is None and r["category"] == "ConvergenceWarning"]

    assert between(without) == []
    (row,) = between(result)
    folds = result.summary["verification"]["n_folds"]
    assert row["count"] == 2 * folds, "default and winner, on each fold"
    assert row in result.summary["warnings"]


def in_another_thread(work: Callable[[], Any]) -> None:
    """Run it to its end in a thread that belongs to no run, as a notebook's other cells do."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_other_cells_warn_during_a_run_as_without_one() -> None:
    source = "import warnings\nfor _ in range(3):\n    warnings.warn('of the user', UserWarning)"
    code = compile(source, "<cell>", "exec")

    def during(params: dict[str, float]) -> float:
        in_another_thread(lambda: exec(code, {}))
        return objective(params)

    def run() -> Any:
        return tune(during, search_space=SPACE, direction="minimize", verify=False, **OPTIONS)

    shown, result = shown_in(run)
    n_trials = len(result.trials)
    assert shown == ["UserWarning: of the user"] * n_trials, "once for its line, in each new module, as ever"
    assert sum(row["count"] for row in result.warnings if row["text"] == "of the user") == 0
    row = next(row for row in result.warnings if row["trial"] is not None)
    assert row["count"] == n_trials, "the run counts its own each time"


def test_a_filter_that_the_user_sets_during_a_run_stays() -> None:
    def user_sets(params: dict[str, float]) -> float:
        in_another_thread(lambda: warnings.filterwarnings("ignore", message="of the user"))
        return objective(params)

    def run() -> list[Any]:
        tune(user_sets, search_space=SPACE, direction="minimize", verify=False, **OPTIONS)
        return list(warnings.filters)

    _, filters = shown_in(run)
    assert [f[0] for f in filters if f[1] is not None] == ["ignore"], "ours are gone, the user's is there"


def test_a_block_of_the_users_that_ends_during_a_run_lets_no_warning_through() -> None:
    block = warnings.catch_warnings()
    done: list[float] = []

    def leave_after_two(params: dict[str, float]) -> float:
        done.append(params["C"])
        if len(done) == 3:
            in_another_thread(lambda: block.__exit__(None, None, None))
        return objective(params)

    def run() -> Any:
        block.__enter__()
        return tune(leave_after_two, search_space=SPACE, direction="minimize", verify=False, **OPTIONS)

    shown, result = shown_in(run)
    (row,) = [row for row in result.warnings if row["trial"] is not None]
    assert row["count"] >= 8
    assert len(shown) <= 1, "at most that of the trial in which it ended"


def test_after_a_run_this_threads_warnings_are_shown_again() -> None:
    def run_and_warn() -> None:
        unconverged()
        warnings.warn("after", ConvergenceWarning, stacklevel=1)

    assert shown_in(run_and_warn)[0] == ["ConvergenceWarning: after"]

"""Every failure has a cause, and the user gets it: at once, in the summary, in the report and on disk."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.model_selection import LeaveOneOut
from sklearn.neighbors import KNeighborsClassifier

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from tests.small_task import Server
from tests.small_task import text_of

X, y = make_regression(60, 4, noise=5, random_state=0)
Xc, c = make_classification(60, 4, random_state=0)
SPACE = {"x": (0.0, 1.0)}
OPTIONS: dict[str, Any] = {"n_trials": 5, "seed": 0, "folder": "", "verify": False}
OBJECTIVE: dict[str, Any] = {**OPTIONS, "search_space": SPACE, "direction": "minimize"}
MULTI_LINE = "line one\nline two says the real cause\nline three"


def missing_file(params: dict[str, float]) -> float:
    raise FileNotFoundError("data.csv is not here")


def warnings_of(result: Any) -> list[str]:
    return [e.text for e in result.events if isinstance(e, Note) and e.level == "warning"]


def test_the_first_failure_is_shown_at_once_with_message_trial_and_parameters() -> None:
    seen: list[Any] = []
    tune(missing_file, sinks=[seen.append], **OBJECTIVE)
    first = next(i for i, e in enumerate(seen) if isinstance(e, TrialFinished))
    note = seen[first + 1]
    assert isinstance(note, Note)
    assert note.text.startswith("Trial 0 failed: FileNotFoundError: data.csv is not here")
    assert "x=" in note.text
    assert seen[first].cause == "FileNotFoundError: data.csv is not here"
    assert seen[first].error == "fit-failed (FileNotFoundError)"


def test_an_objective_whose_first_trials_fail_alike_ends_early_and_says_why() -> None:
    result = tune(missing_file, **{**OBJECTIVE, "n_trials": 50})
    assert result.status == "failed"
    assert result.summary["n_trials"] == 5
    assert "the first 5 trials all failed for the same cause" in result.summary["reason"]
    assert "data.csv is not here" in result.summary["text"]
    with pytest.raises(InputError, match=r"5 failed with: FileNotFoundError: data.csv is not here"):
        _ = result.best_params


def test_messages_that_differ_in_numbers_are_one_cause_and_others_are_not() -> None:
    def numbered(params: dict[str, float]) -> float:
        raise ValueError(f"x={params['x']} is too large by {params['x'] / 3:.3e}")

    def alternating(trial: Any) -> float:
        trial.suggest_float("x", 0, 1)
        raise ValueError("odd" if trial.number % 2 else "even")

    assert tune(numbered, **{**OBJECTIVE, "n_trials": 20}).summary["n_trials"] == 5
    result = tune(alternating, **{**OPTIONS, "direction": "minimize", "n_trials": 9})
    assert result.summary["n_trials"] == 9
    table = [(row["cause"], row["count"], row["trial"]) for row in result.summary["failures"]]
    assert table == [("ValueError: even", 5, 0), ("ValueError: odd", 4, 1)]
    assert len(warnings_of(result)) == 2


def test_one_good_trial_and_the_run_goes_on() -> None:
    def mostly(trial: Any) -> float:
        if trial.number == 3:
            return float(trial.suggest_float("x", 0, 1))
        raise ValueError("no")

    assert tune(mostly, **{**OPTIONS, "direction": "minimize", "n_trials": 9}).summary["n_failed"] == 8


def test_causes_are_kept_on_disk_and_in_every_view() -> None:
    def some(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 2:
            raise ValueError(MULTI_LINE + " <b>bold</b>")
        return float(x)

    result = tune(some, **{**OPTIONS, "direction": "minimize", "folder": None, "name": "kept", "n_trials": 6})
    assert result.path is not None
    for again in (result, TuneResult.load(result.path), TuneResult.load(result.save("saved.zip"))):
        causes = [t.user_attrs["sllmbo:evaluation"].get("cause") for t in again.study.trials]
        assert causes[1].startswith("ValueError: " + MULTI_LINE)
        assert again.summary["failures"][0]["count"] == 3
        bundle = again.bundle()
        assert bundle["trials"][1]["cause"].startswith("ValueError: " + MULTI_LINE)
        assert "3 × ValueError: line one line two says the real cause" in again.summary["text"]
    stored = json.loads((result.path / "run.json").read_text())
    assert stored["summary"]["failures"][0]["cause"].startswith("ValueError: " + MULTI_LINE)
    from sllmbo_magic.report.static import mimebundle

    page = mimebundle(result.bundle())["text/html"]
    assert "Failed trials" in page
    assert "line two says the real cause" in page
    assert "<b>bold</b>" not in page


@pytest.mark.parametrize(
    ("returned", "cause"),
    [
        (None, "the objective returned None, not a number (is a return statement missing?)"),
        ("0.5", "the objective returned a str, not a number"),
        ((0.5, 0.6), "the objective returned 2 values, but there is 1 direction"),
        (float("nan"), "the objective returned nan"),
        (10**400, "the objective returned inf"),
        (-(10**400), "the objective returned -inf"),
        (Decimal("1e400"), "the objective returned inf"),
        (np.ma.masked, "the objective returned a MaskedConstant, not a number"),
        (np.array([0.5, 0.6]), "the objective returned a ndarray, not a number"),
    ],
)
def test_a_value_that_is_no_number_says_what_came_instead(returned: Any, cause: str) -> None:
    result = tune(lambda params: returned, **{**OBJECTIVE, "n_trials": 2})
    assert cause in result.summary["failures"][0]["cause"]
    assert cause.partition(" (")[0] in result.summary["text"]


def test_a_trial_that_reached_its_time_limit_says_so() -> None:
    result = tune(Ridge(), X, y, **{**OPTIONS, "search_space": {"alpha": (0.1, 1.0)}, "trial_timeout": 1e-9})
    assert "time limit (trial_timeout=1e-09 s)" in result.summary["text"]
    assert result.summary["n_trials"] == 5, "a time limit is no reason to give up"


def test_a_message_never_reaches_an_llm_and_a_key_in_it_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-openai-key-1234567890abcdef")

    def leaking(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 2:
            raise ValueError("row 17: PATIENT-JONES sk-planted-openai-key-1234567890abcdef")
        return float(x)

    with Server() as server:
        options = {**OPTIONS, "direction": "minimize", "n_trials": 12, "folder": None, "name": "leak"}
        result = tune(leaking, llm="openai:test-model", base_url=server.url, search_space=SPACE, **options)
        sent = "\n".join(text_of(request) for request in server.requests)
    assert server.requests
    assert "PATIENT-JONES" not in sent
    assert "PATIENT-JONES" in result.summary["text"]
    assert result.path is not None
    kept = "".join(p.read_text(errors="replace") for p in result.path.iterdir() if p.is_file())
    assert "sk-planted" not in kept + result.summary["text"] + str(result.bundle())


class Failing(Ridge):
    def fit(self, *arguments: Any, **more: Any) -> Any:
        raise ValueError(MULTI_LINE)


SORTED = np.sort(c)
ONE_CLASS_ON_FOLD_2 = [(np.arange(24, 60), np.arange(40, 60)), (np.arange(24, 60), np.arange(20))]


@pytest.mark.parametrize(
    ("estimator", "data", "options", "cause"),
    [
        (LogisticRegression(), (Xc, SORTED), {"scoring": "roc_auc", "cv": KFold(5)}, "hold one class"),
        (
            LogisticRegression(),
            (Xc, np.array([1] * 48 + [0] * 12)),
            {
                "scoring": "roc_auc",
                "cv": [(np.arange(24, 60), np.arange(40, 60)), (np.arange(24, 60), np.arange(20))],
            },
            "roc_auc is nan on fold 2: its test rows hold one class",
        ),
        (Ridge(), (X[:6], y[:6]), {"scoring": "r2", "cv": 6}, "r2 is nan on fold 1: it has one test row"),
        (Failing(), (X, y), {}, "ValueError: " + MULTI_LINE.replace("\n", " ")),
    ],
)
def test_a_default_that_cannot_be_scored_says_why_in_the_users_terms(
    estimator: Any, data: Any, options: dict[str, Any], cause: str
) -> None:
    with pytest.raises(InputError) as error:
        tune(estimator, *data, **{**OPTIONS, **options})
    assert cause in str(error.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "data", "options", "cause"),
    [
        (Ridge(), (X[:6], y[:6]), {"scoring": "r2", "cv": 6}, "r2 is nan on fold 1: it has one test row"),
        (
            LogisticRegression(),
            (Xc, np.array([1] * 48 + [0] * 12)),
            {
                "scoring": "roc_auc",
                "cv": [(np.arange(24, 60), np.arange(40, 60)), (np.arange(24, 60), np.arange(20))],
            },
            "roc_auc is nan on fold 2: its test rows hold one class",
        ),
    ],
)
def test_the_search_cv_says_so_too(estimator: Any, data: Any, options: dict[str, Any], cause: str) -> None:
    with pytest.raises(InputError) as error:
        SLLMBOSearchCV(estimator, n_trials=3, random_state=0, **options).fit(*data)
    assert cause in str(error.value)


def raises(estimator: Any, X: Any, y: Any) -> float:
    raise KeyError("no such column")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "data", "options", "category", "hint"),
    [
        (Ridge(), (X, y), {"scoring": "neg_mean_squared_log_error"}, "score-failed", "another metric"),
        (Ridge(), (X, y), {"scoring": raises}, "score-failed", "or correct yours"),
        (Ridge(), (X[:6], y[:6]), {"scoring": "r2", "cv": 6}, "not-finite-score", "or folds (cv) on which"),
        (
            LogisticRegression(),
            (Xc, c),
            {"scoring": "roc_auc", "cv": LeaveOneOut()},
            "not-finite-score",
            "cv",
        ),
    ],
)
@pytest.mark.parametrize("door", ["tune", "search"])
def test_a_metric_that_has_no_score_is_not_blamed_on_the_model(
    door: str, estimator: Any, data: Any, options: dict[str, Any], category: str, hint: str
) -> None:
    search = partial(tune, estimator, **{**OPTIONS, **options})
    if door == "search":
        search = SLLMBOSearchCV(estimator, n_trials=3, random_state=0, **options).fit
    with pytest.raises(InputError) as error:
        search(*data)
    message = str(error.value)
    assert f"has no score with its default parameters ({category}): " in message
    assert hint in message
    assert message.endswith("Nothing was searched.")
    assert "cannot be fitted" not in message
    assert "Correct the estimator or the data" not in message


def test_folds_that_train_on_one_class_are_named_as_what_to_change() -> None:
    with pytest.raises(
        InputError, match=r"fold 1 hold one class\)\. Choose folds \(cv\) whose training rows"
    ):
        tune(LogisticRegression(), Xc, SORTED, cv=KFold(2), **OPTIONS)


class PrintsItsData(Ridge):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        raise ValueError(f"these values are wrong:\n{np.asarray(y)}")


@pytest.mark.filterwarnings("ignore")
def test_a_cause_in_an_error_is_one_line_of_some_hundred_characters() -> None:
    many = np.tile(y, 10)
    with pytest.raises(InputError) as of_default:
        tune(PrintsItsData(), np.tile(X, (10, 1)), many, **OPTIONS)
    result = tune(PrintsItsData(), X, y, search_space={"alpha": (0.1, 1.0)}, **OPTIONS)
    with pytest.raises(InputError) as of_result:
        _ = result.best_params
    with pytest.raises(InputError) as of_search:
        SLLMBOSearchCV(PrintsItsData(), n_trials=3, search_space={"alpha": (0.1, 1.0)}).fit(X, y)
    for error in (of_default, of_result, of_search):
        message = str(error.value)
        assert "ValueError: these values are wrong: [" in message
        assert "\n" not in message
        assert len(message) < 1200


@pytest.mark.filterwarnings("ignore")
def test_a_failed_candidate_of_the_search_cv_has_its_cause() -> None:
    space = {"solver": ["lbfgs", "liblinear"], "dual": [False, True]}
    options: dict[str, Any] = {"n_trials": 8, "random_state": 0, "search_space": space, "sampler": "random"}
    search = SLLMBOSearchCV(LogisticRegression(), **options).fit(Xc, c)
    causes = [row["cause"] for row in search.result_.summary["failures"]]
    assert causes
    assert all(cause.startswith("ValueError: ") and "Traceback" not in cause for cause in causes)


def test_a_default_that_fails_does_not_end_a_search_in_a_space_that_may_cure_it() -> None:
    target = np.array([0, 1] * 4)
    options = {**OPTIONS, "search_space": {"n_neighbors": [1, 2, 3]}, "cv": 2}
    result = tune(KNeighborsClassifier(), X[:8], target, **options)
    assert result.best_params["n_neighbors"] in (1, 2, 3)
    assert result.trials[0].state.name == "FAIL"
    assert "n_neighbors" in result.summary["failures"][0]["cause"]
    assert "the default has no score" in result.summary["text"]


def test_a_default_that_nothing_cures_still_ends_the_search_with_its_cause() -> None:
    result = tune(Failing(), X, y, **{**OPTIONS, "search_space": {"alpha": (0.1, 1.0)}, "n_trials": 20})
    assert result.status == "failed"
    assert result.summary["n_trials"] == 5
    assert "line two says the real cause" in result.summary["text"]


def test_the_text_of_a_result_without_a_score_names_the_causes() -> None:
    result = tune(missing_file, **OBJECTIVE)
    cause = "Failed: 5 × FileNotFoundError: data.csv is not here (first: trial 0)."
    assert f"No trial has a score. {cause}" in repr(result).split("\n")
    with pytest.raises(InputError, match=r"data.csv is not here\. trials_dataframe"):
        result.best_params  # noqa: B018
    assert [(row["cause"], row["count"]) for row in result.failures] == [
        ("FileNotFoundError: data.csv is not here", 5)
    ]


@pytest.mark.parametrize(
    ("returned", "cause"),
    [
        ((0.5, None), "the objective returned None as value 2 of 2, not a number"),
        (["low", 1.0], "the objective returned a str as value 1 of 2, not a number"),
        (np.array([1.0, 2.0, 3.0]), "the objective returned 3 values, but there are 2 directions"),
    ],
)
def test_one_of_several_values_that_is_no_number_is_named(returned: Any, cause: str) -> None:
    options = {**OBJECTIVE, "n_trials": 2, "direction": ["minimize", "minimize"]}
    assert cause in tune(lambda params: returned, **options).summary["failures"][0]["cause"]


def test_an_array_with_one_number_per_direction_is_taken() -> None:
    options = {**OBJECTIVE, "n_trials": 2, "direction": ["minimize", "minimize"]}
    result = tune(lambda params: np.array([params["x"], 1.0]), **options)
    assert [trial.values[1] for trial in result.trials] == [1.0, 1.0]


class WithoutTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raised_from(params: dict[str, float]) -> float:
    try:
        return missing_file(params)
    except FileNotFoundError as error:
        raise RuntimeError("loading failed") from error


def quoting(params: dict[str, float]) -> float:
    try:
        return missing_file(params)
    except FileNotFoundError as error:
        raise RuntimeError(f"loading failed: {error}") from error


def grouped(params: dict[str, float]) -> float:
    raise ExceptionGroup("two things", [ValueError("first"), KeyError("second")])


def without_text(params: dict[str, float]) -> float:
    raise WithoutTextError


@pytest.mark.parametrize(
    ("objective", "cause"),
    [
        (raised_from, "RuntimeError: loading failed; from FileNotFoundError: data.csv is not here"),
        (quoting, "RuntimeError: loading failed: data.csv is not here"),
        (grouped, "ExceptionGroup: two things (2 sub-exceptions): ValueError: first; KeyError: 'second'"),
        (without_text, "WithoutTextError"),
    ],
)
def test_what_an_exception_was_raised_from_is_part_of_the_cause(objective: Any, cause: str) -> None:
    result = tune(objective, **OBJECTIVE)
    assert [row["cause"] for row in result.summary["failures"]] == [cause]


def nothing(y_true: Any, y_pred: Any) -> Any:
    return None


def nothing_of_a_scorer(estimator: Any, X: Any, y: Any) -> Any:
    return None


@pytest.mark.parametrize("scoring", [nothing, nothing_of_a_scorer])
def test_a_metric_that_returns_nothing_is_told_so(scoring: Any) -> None:
    with pytest.raises(InputError, match=r"None.*\(is a return statement missing\?\)"):
        tune(Ridge(), X, y, scoring=scoring, direction="maximize", **OPTIONS)


@pytest.mark.parametrize("n_trials", [5, 7])
def test_a_run_without_any_score_has_failed(n_trials: int) -> None:
    result = tune(lambda params: float("nan"), **{**OBJECTIVE, "n_trials": n_trials})
    assert result.status == "failed"
    assert len(result.trials) == n_trials, "another configuration may have a score"
    why = f"all {n_trials} trials failed for the same cause: the objective returned nan"
    assert result.summary["reason"] == why

"""A study's trials are never taken for those of another task, whatever door the study comes through."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from sklearn.datasets import make_regression
from sklearn.linear_model import Lasso
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from tests.tuning.test_life import objective_of

X, y = make_regression(40, 3, noise=5, random_state=0)
OF_ALL: dict[str, Any] = {"n_trials": 2, "seed": 0, "verify": False}
OPTIONS: dict[str, Any] = {**OF_ALL, "cv": 2}
ALPHA = {"alpha": (0.1, 1.0)}
STORAGES = ["sqlite:///s.db", "journal:s.log", "object"]


class Unfitted(Ridge):
    """Fails the test when it is fitted."""

    def fit(self, *arguments: Any, **more: Any) -> Any:
        raise AssertionError("it was fitted")


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> Any:
    return optuna.storages.InMemoryStorage() if request.param == "object" else request.param


def opened(storage: Any) -> Any:
    """As Optuna takes it."""
    if not str(storage).startswith("journal:"):
        return storage
    backend = optuna.storages.journal.JournalFileBackend(storage.removeprefix("journal:"))
    return optuna.storages.JournalStorage(backend)


def names(storage: Any) -> set[str]:
    return set(optuna.get_all_study_names(opened(storage)))


@pytest.mark.parametrize("folder", ["two", ""])
def test_another_task_of_the_same_name_gets_a_study_of_its_own(storage: Any, folder: str, data: Any) -> None:
    tune(Ridge(), X, y, storage=storage, folder="one", **OPTIONS)
    result = tune(LogisticRegression(), *data, storage=storage, folder=folder, **OPTIONS)
    assert result.summary["metric"] == "f1_weighted"
    assert all(trial.value > 0 for trial in result.trials)
    assert names(storage) == {"run", "run-2"}


def test_the_same_task_again_begins_anew_unless_it_is_resumed(storage: Any) -> None:
    options = {**OPTIONS, "storage": storage, "search_space": ALPHA}
    first = tune(Ridge(), X, y, **options)
    second = tune(Ridge(), X, y, **options)
    assert (len(first.trials), len(second.trials)) == (2, 2)
    assert first.study.study_name != second.study.study_name
    before = [t.params for t in second.trials]
    resumed = tune(Ridge(), X, y, **{**options, "n_trials": 3}, resume=True)
    assert resumed.study.study_name == second.study.study_name
    assert [t.params for t in resumed.trials][:2] == before
    assert resumed.summary["n_trials"] == 3


@pytest.mark.parametrize("folder", ["", "elsewhere"])
def test_a_study_is_resumed_from_its_storage_alone_with_its_fingerprint(storage: Any, folder: str) -> None:
    options = {**OPTIONS, "storage": storage, "search_space": ALPHA}
    before = [t.params for t in tune(Ridge(), X, y, folder="", **options).trials]
    resumed = tune(Ridge(), X, y, folder=folder, resume=True, **{**options, "n_trials": 4})
    assert resumed.summary["n_trials"] == 4
    assert [t.params for t in resumed.trials][:2] == before
    with pytest.raises(RunChangedError, match="data is not the same"):
        tune(Ridge(), X + 1, y, folder=folder, resume=True, **options)


@pytest.mark.parametrize("folder", ["", "elsewhere"])
def test_a_resume_from_a_storage_that_is_refused_names_what_changed(storage: Any, folder: str) -> None:
    options = {**OPTIONS, "storage": storage, "search_space": ALPHA}
    tune(Ridge(), X, y, folder="", **options)
    with pytest.raises(RunChangedError, match=r"It had `tol=0\.0001` and has `tol=0\.5`"):
        tune(Ridge(tol=0.5), X, y, folder=folder, resume=True, **options)


def test_a_resumed_objective_in_a_storage_names_its_changed_lines_and_no_saved_file_has_them(
    storage: Any, tmp_path: Path
) -> None:
    options = {**OPTIONS, "storage": storage, "search_space": ALPHA, "direction": "minimize", "folder": ""}
    del options["cv"]
    text = "def objective(p):\n    return 2 * p['alpha']\n"
    result = tune(objective_of(text, tmp_path), **options)
    with pytest.raises(RunChangedError) as caught:
        tune(objective_of(text.replace("2", "3"), tmp_path), resume=True, **options)
    assert "the objective is not the same" in str(caught.value)
    assert "`return 2 * p['alpha']` and has `return 3 * p['alpha']`" in str(caught.value)
    with zipfile.ZipFile(result.save(tmp_path / "run.zip")) as saved:
        assert all(b"return 2 *" not in saved.read(name) for name in saved.namelist())


def test_a_study_that_is_not_ours_is_not_resumed(storage: Any) -> None:
    opened = (
        storage
        if not str(storage).startswith("journal:")
        else optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(storage.removeprefix("journal:"))
        )
    )
    foreign = optuna.create_study(study_name="run", storage=opened, direction="maximize")
    foreign.add_trial(
        create_trial(params={"alpha": 0.2}, distributions={"alpha": FloatDistribution(0, 1)}, value=9)
    )
    with pytest.raises(RunChangedError, match="is no run of this package"):
        tune(Unfitted(), X, y, storage=storage, resume=True, folder="", **OPTIONS)
    result = tune(Ridge(), X, y, storage=storage, folder="", **OPTIONS)
    assert result.best_value < 9
    assert result.study.study_name == "run-2"


def test_a_stored_run_is_not_resumed_in_a_storage_that_does_not_have_it() -> None:
    tune(Ridge(), X, y, storage="sqlite:///one.db", **OPTIONS)
    with pytest.raises(StorageError, match="no study 'run'"):
        tune(Ridge(), X, y, storage="sqlite:///two.db", resume=True, **OPTIONS)


def minimized() -> optuna.Study:
    return optuna.create_study(direction="minimize")


def of_two_values() -> optuna.Study:
    return optuna.create_study(directions=["maximize", "minimize"])


def study_with(name: str, distribution: Any, value: Any) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    study.add_trial(create_trial(params={name: value}, distributions={name: distribution}, value=3.0))
    return study


def with_a_queued_trial() -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"foo": 1.0})
    return study


@pytest.mark.parametrize(
    ("study", "facts"),
    [
        (minimized, ["minimizes", "neg_mean_absolute_error", "maximized"]),
        (of_two_values, ["2 directions (maximize, minimize)", "one value"]),
        (lambda: study_with("foo", FloatDistribution(0, 2), 1.0), ["trials of foo", "alpha"]),
        (with_a_queued_trial, ["trials of foo", "alpha"]),
        (
            lambda: study_with("alpha", CategoricalDistribution([0.1, 1.0]), 1.0),
            ["alpha", "CategoricalDistribution"],
        ),
    ],
)
def test_a_study_of_the_user_that_does_not_fit_is_refused_before_the_first_fit(
    study: Any, facts: list[str]
) -> None:
    made = study()
    before = len(made.trials)
    with pytest.raises(InputError) as error:
        tune(Unfitted(), X, y, study=made, search_space=ALPHA, **OPTIONS)
    assert all(fact in str(error.value) for fact in facts), str(error.value)
    assert 'optuna.create_study(direction="maximize")' in str(error.value)
    assert len(made.trials) == before
    assert not Path(".sllmbo").exists()


def test_an_objective_checks_its_directions_too() -> None:
    def objective(trial: Any) -> float:
        raise AssertionError("it was called")

    with pytest.raises(InputError, match=r"maximizes.*minimized"):
        tune(objective, direction="minimize", study=optuna.create_study(direction="maximize"), **OF_ALL)
    with pytest.raises(InputError, match=r"1 direction \(minimize\).*2 values"):
        tune(objective, direction=["minimize", "maximize"], study=minimized(), **OF_ALL)


def test_a_study_is_not_shared_by_two_tasks() -> None:
    study = optuna.create_study(direction="maximize")
    tune(Ridge(), X, y, study=study, search_space=ALPHA, **OPTIONS)
    with pytest.raises(InputError, match=r"2 trials of another task: estimator differ.* and has .*Lasso"):
        tune(Lasso(), X, y, study=study, search_space=ALPHA, **OPTIONS)
    more = tune(Ridge(), X, y, study=study, search_space=ALPHA, **{**OPTIONS, "n_trials": 4})
    assert more.summary["n_trials"] == 4


def test_no_trial_of_a_run_waits_in_a_shared_study_and_a_resume_has_them_again(storage: Any) -> None:
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"alpha": 0.25})
    study.enqueue_trial({"alpha": 0.75})
    tune(Ridge(), X, y, study=study, search_space=ALPHA, **{**OPTIONS, "n_trials": 1})
    waiting = [t.system_attrs["fixed_params"] for t in study.trials if t.state.name == "WAITING"]
    assert waiting in ([{"alpha": 0.75}], [{"alpha": 0.25}, {"alpha": 0.75}]), "the user queued these"

    queued = [{"alpha": value} for value in (0.2, 0.4, 0.6)]
    options = {**OPTIONS, "storage": storage, "search_space": ALPHA, "enqueue": queued, "name": "shared"}
    first = tune(Ridge(), X, y, **options)
    assert {t.state.name for t in first.study.trials} == {"COMPLETE", "FAIL"}
    assert first.summary["n_trials"] == 2
    assert first.summary["n_failed"] == 0
    resumed = tune(Ridge(), X, y, **{**options, "n_trials": 4}, resume=True)
    tried = [t.params["alpha"] for t in resumed.trials if t.state.name == "COMPLETE" and t.params]
    assert np.isin([0.2, 0.4, 0.6], tried).all()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"study": "mine"}, r"study is a str.*optuna.load_study\(study_name='mine'"),
        ({"study": {"n": 1}}, r"study is a dict.*optuna.create_study"),
        ({"storage": Path("s.db")}, r"storage is a path.*storage=\"sqlite:///s.db\""),
        ({"storage": ["s.db"]}, "storage is a list"),
        (
            {"storage": optuna.storages.journal.JournalFileBackend},
            r"storage is a JournalFileBackend.*JournalStorage\(...\)",
        ),
    ],
)
def test_what_is_no_study_and_no_storage_is_refused_before_the_first_fit(options: Any, what: str) -> None:
    if isinstance(options.get("storage"), type):  # it writes its file when it is made
        options = {"storage": options["storage"]("s.log")}
    with pytest.raises(InputError, match=what):
        tune(Unfitted(), X, y, **options, search_space=ALPHA, folder="", **OPTIONS)


@pytest.mark.parametrize("directions", [["maximize"], ["minimize", "maximize"]])
def test_an_objectives_direction_may_be_that_of_its_study(directions: list[str]) -> None:
    def objective(trial: Any) -> Any:
        values = [trial.suggest_float("x", 0, 1)] * len(directions)
        return values if len(directions) > 1 else values[0]

    study = optuna.create_study(directions=directions)
    result = tune(objective, study=study, folder="", **OF_ALL)
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"] * 2


# ---- trials that the run did not make


def parabola(params: dict[str, float]) -> float:
    return (params["x"] - 1) ** 2


ONE_PARAMETER: dict[str, Any] = {"search_space": {"x": (-5.0, 5.0)}, "direction": "minimize", "seed": 0}


def study_with_the_best() -> optuna.Study:
    """Four trials of plain Optuna, of which the first is the best that there is."""
    study = optuna.create_study(direction="minimize")
    study.enqueue_trial({"x": 1.0})
    study.optimize(lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2, n_trials=4)
    return study


def test_the_best_of_a_study_may_be_an_earlier_trial_and_is_named(tmp_path: Path) -> None:
    result = tune(parabola, study=study_with_the_best(), n_trials=8, folder="", **ONE_PARAMETER)
    for one in (result, TuneResult.load(result.save(tmp_path / "r.zip"))):
        bundle = one.bundle()
        assert [trial["n"] for trial in bundle["trials"]] == list(range(8))
        assert bundle["run"]["best_number"] == 0
        assert bundle["omitted"]["trials"] == 0
        assert "(trial 0, base)" in one.summary["text"]
        assert "8 trials" in one.summary["text"]
        assert "x=1\n" in f"{one!r}\n"
    (note,) = [e.text for e in result.events if isinstance(e, Note) and "not made by a run" in e.text]
    assert note.startswith("4 trials of the study were not made by a run of sllmbo_magic. Their values count")


def test_earlier_trials_of_several_objectives_and_failures_are_shown() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda t: (t.suggest_float("x", -5, 5), 1.0), n_trials=2)
    study.add_trial(create_trial(state=optuna.trial.TrialState.FAIL))
    result = tune(
        lambda params: (params["x"], 0.0),
        study=study,
        n_trials=4,
        folder="",
        search_space={"x": (-5.0, 5.0)},
        direction="minimize,maximize",
        seed=0,
    )
    shown = {trial["n"]: trial for trial in result.bundle()["trials"]}
    assert shown.keys() == {0, 1, 3, 4}, "the failure of nobody's has no outcome"
    assert shown[0]["values"] == pytest.approx(study.trials[0].values)


def test_trials_of_another_process_count_and_are_shown() -> None:
    """A callback adds them, as a process with the same storage does."""
    study = optuna.create_study(direction="minimize")
    distributions = {"x": FloatDistribution(-5.0, 5.0)}

    def another_process(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        value = 0.0 if trial.number == 2 else 9.0
        study.add_trial(create_trial(params={"x": 1.0}, distributions=distributions, value=value))

    events: list[Any] = []
    result = tune(
        parabola, study=study, n_trials=9, folder="", callbacks=[another_process], sinks=[events.append],
        **ONE_PARAMETER,
    )  # fmt: skip
    finished = [event.number for event in events if isinstance(event, TrialFinished)]
    assert len(result.trials) == len(study.trials) == 10, "the last callback adds one"
    assert sorted(finished) == list(range(10))
    assert len(finished) == len(set(finished))
    assert result.bundle()["run"]["best_number"] == 3
    assert "(trial 3, base)" in result.summary["text"]


@pytest.mark.parametrize(
    ("own", "given", "is_said"),
    [
        (optuna.samplers.RandomSampler(), {}, True),
        (optuna.samplers.TPESampler(), {}, False),
        (optuna.samplers.RandomSampler(), {"sampler": "tpe"}, True),
    ],
)
def test_a_sampler_of_the_study_that_is_not_asked_is_named(own: Any, given: Any, is_said: bool) -> None:
    study = optuna.create_study(sampler=own)
    events: list[Any] = []
    tune(
        lambda params: params["x"],
        search_space={"x": (0.0, 1.0)}, direction="minimize", study=study, n_trials=2, seed=0, folder="",
        sinks=[events.append], **given,
    )  # fmt: skip
    texts = [e.text for e in events if isinstance(e, Note)]
    assert any("own sampler, RandomSampler, is not asked" in text for text in texts) is is_said
    assert study.sampler is own

"""Trial 0 is the library's default configuration, and is recorded as that and nothing else."""

from __future__ import annotations

import csv
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import SearchSpace
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.events import Event
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.history.history import History
from sllmbo_magic.history.importances import importances
from sllmbo_magic.history.trials import observe
from sllmbo_magic.history.trials import real_configuration
from sllmbo_magic.proposers.trial_table import Columns
from sllmbo_magic.proposers.trial_table import cell
from sllmbo_magic.proposers.trial_table import trial_table
from sllmbo_magic.samplers.surrogate import fit
from sllmbo_magic.storage.study_migration import migrate_trials
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

X, y = make_regression(60, 4, noise=5, random_state=0)
Xc, c = make_classification(60, 4, random_state=0)
K: dict[str, Any] = {"n_trials": 4, "seed": 0, "folder": "", "verify": False, "cv": 2}


def default_of(result: TuneResult) -> optuna.trial.FrozenTrial:
    trial = result.trials[0]
    assert trial.user_attrs[attrs.SOURCE] == "default"
    return trial


def shown(result: TuneResult) -> dict[str, Any]:
    """The parameters of trial 0 as every view has them."""
    started = next(e for e in result.events if isinstance(e, TrialStarted))
    finished = next(e for e in result.events if isinstance(e, TrialFinished))
    assert started.params == finished.params
    return finished.params


def test_xgboosts_default_has_the_librarys_values() -> None:
    xgboost = pytest.importorskip("xgboost")
    result = tune(xgboost.XGBClassifier(n_jobs=1), Xc, c, **{**K, "n_trials": 1}, sampler="tpe")
    params = default_of(result).params
    assert (params["learning_rate"], params["n_estimators"], params["max_depth"]) == (0.3, 100, 6)
    assert (params["subsample"], params["reg_lambda"], params["min_child_weight"]) == (1.0, 1.0, 1.0)
    assert "gamma" not in params, "0 has no place on a log scale"
    assert (shown(result)["gamma"], shown(result)["reg_alpha"]) == (0.0, 0.0)
    assert not observe(default_of(result)).outside, "penalties of 0 and of 1e-06 are the same"


@pytest.mark.parametrize(
    ("library", "estimator"),
    [("lightgbm", "LGBMRegressor"), ("xgboost", "XGBRegressor"), ("catboost", "CatBoostRegressor")],
)
def test_texts_that_a_boosting_library_declares_are_shown_as_they_are(library: str, estimator: str) -> None:
    kind = getattr(pytest.importorskip(library), estimator)
    given = {
        "lightgbm": {"data_sample_strategy": "goss", "verbose": -1},
        "xgboost": {"sampling_method": "uniform"},
        "catboost": {"score_function": "L2", "verbose": 0, "allow_writing_files": False},
    }[library]
    result = tune(kind(**given), X, y, **{**K, "n_trials": 1})
    params = real_configuration(default_of(result))[0]
    assert [value for value in params.values() if str(value).startswith("a ")] == []
    assert all(params[name] == value for name, value in given.items() if name in params)


def test_a_random_forests_default_is_no_share_of_columns() -> None:
    result = tune(RandomForestClassifier(n_jobs=1), Xc, c, **{**K, "n_trials": 1})
    params = default_of(result).params
    assert "max_features" not in params
    assert params["n_estimators"] == 100
    assert shown(result)["max_features"] == "sqrt"
    assert observe(default_of(result)).outside == ("max_features", "max_samples")


SPACES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "text in a range": (
        RandomForestClassifier(n_estimators=5),
        {"max_features": (0.1, 1.0)},
        {"max_features": "sqrt"},
        ("max_features",),
    ),
    "None in a range": (
        DecisionTreeClassifier(),
        {"max_depth": (2, 9)},
        {"max_depth": None},
        ("max_depth",),
    ),
    "outside the range": (
        KNeighborsClassifier(),
        {"n_neighbors": (6, 20)},
        {"n_neighbors": 5},
        ("n_neighbors",),
    ),
    "no choice": (LogisticRegression(), {"C": [0.1, 10.0, 0.5]}, {"C": 1.0}, ("C",)),
    "off the grid": (
        KNeighborsClassifier(),
        {"n_neighbors": {"type": "int", "low": 2, "high": 20, "step": 2}},
        {"n_neighbors": 5},
        ("n_neighbors",),
    ),
    "a tuple in a range": (
        MLPClassifier(hidden_layer_sizes=(3, 3), max_iter=5),
        {"hidden_layer_sizes": (2, 9)},
        {"hidden_layer_sizes": "(3, 3)"},
        ("hidden_layer_sizes",),
    ),
    "fixed by the user": (
        KNeighborsClassifier(),
        {"n_neighbors": (1, 20), "weights": "distance"},
        {"n_neighbors": 5, "weights": "uniform"},
        ("weights",),
    ),
    "inside a pipeline": (
        make_pipeline(StandardScaler(), DecisionTreeClassifier()),
        {"decisiontreeclassifier__max_depth": (2, 9)},
        {"decisiontreeclassifier__max_depth": None},
        ("decisiontreeclassifier__max_depth",),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", SPACES)
@pytest.mark.parametrize("door", ["tune", "search"])
def test_a_default_that_the_space_cannot_express_is_no_point_of_it(case: str, door: str) -> None:
    estimator, space, real, outside = SPACES[case]
    if door == "tune":
        result = tune(estimator, Xc, c, search_space=space, **{**K, "n_trials": 2})
    else:
        search = SLLMBOSearchCV(estimator, search_space=space, n_trials=2, random_state=0)
        result = search.fit(Xc, c).result_
        assert search.cv_results_["params"][0] == {}
    trial = default_of(result)
    assert shown(result) == real
    assert set(trial.params) == set(space) - set(outside) - {"weights"}
    assert observe(trial).outside == outside
    assert trial.state == TrialState.COMPLETE
    history = History(tuple(observe(t) for t in result.trials))
    assert [o.number for o in history.points.observations] == [1]
    columns = Columns([*space], SearchSpace(trial.distributions))
    rows = trial_table({"": history.observations[:1]}, columns).splitlines()
    header, line = (next(csv.reader([row])) for row in rows)
    assert line[header.index(outside[0])] == cell(real[outside[0]]).strip('"')


def test_a_default_inside_the_space_is_a_point_of_it() -> None:
    result = tune(Ridge(), X, y, search_space={"alpha": (0.1, 10.0, "log")}, **{**K, "n_trials": 1})
    assert default_of(result).params == {"alpha": 1.0}
    assert observe(default_of(result)).outside == ()


def history_with(outside: tuple[str, ...]) -> History:
    """Twelve trials whose score is -x, and a default far better than all of them that has no x."""
    space = SearchSpace({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})
    study = optuna.create_study(direction="maximize")
    study.add_trial(
        optuna.trial.create_trial(
            value=50.0,
            user_attrs={
                attrs.SOURCE: "default",
                attrs.CONFIGURATION: {"values": {"x": "sqrt"}, "outside": list(outside)},
            },
        )
    )
    for i in range(12):
        study.add_trial(
            optuna.trial.create_trial(params={"x": i / 11}, distributions={"x": space["x"]}, value=-i / 11)
        )
    return History(tuple(observe(t) for t in study.trials), "maximize")


def test_surrogate_and_importances_learn_nothing_from_what_is_no_point_of_the_space() -> None:
    space = SearchSpace({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})
    history = history_with(("x",))
    alone = History(history.observations[1:], "maximize")
    surrogate, expected = fit(history, space), fit(alone, space)
    assert surrogate is not None
    assert expected is not None
    places: list[dict[str, Any]] = [{"x": v} for v in (0.0, 0.3, 0.5, 0.9)]
    assert surrogate.rate(places) == expected.rate(places)
    assert importances(history, space) == importances(alone, space)
    assert history.incumbent is not None
    assert history.incumbent.number == 0, "it is still the best"
    assert 0 not in history.keys(space).values()


def test_tpe_learns_nothing_from_it() -> None:
    def run(default: bool) -> list[Any]:
        estimator = DecisionTreeClassifier(random_state=0)
        if not default:
            estimator.set_params(max_depth=1)  # another default, which is no point either
        options = {**K, "n_trials": 14, "sampler": "tpe"}
        result = tune(
            estimator, Xc, c, search_space={"max_depth": (2, 40), "ccp_alpha": (0.0, 0.2)}, **options
        )
        return [t.params for t in result.trials[1:]]

    assert run(True) == run(False)


def test_an_llm_reads_the_real_values() -> None:
    llm = FunctionProvider(Responder(0))
    tune(RandomForestClassifier(n_estimators=7, n_jobs=1), Xc, c, llm=llm, **{**K, "n_trials": 2})
    rows = [row for row in llm.requests[0].messages[-1].content.splitlines() if row.startswith("#")]
    header, default = (next(csv.reader([row])) for row in rows[:2])
    values = dict(zip(header, default, strict=True))
    assert (values["by"], values["n_estimators"], values["max_features"]) == ("default", "7", "sqrt")
    assert "need not lie in the ranges" in llm.requests[0].messages[0].content


def test_a_text_that_no_library_declares_is_not_shown() -> None:
    class Own(KNeighborsClassifier):  # type: ignore[misc]
        def __init__(self, n_neighbors: int = 5, note: str = "of Mrs. Smith") -> None:
            super().__init__(n_neighbors=n_neighbors)
            self.note = note

    llm = FunctionProvider(Responder(0))
    space = {"n_neighbors": (1, 9), "note": ["a", "b"]}
    result = tune(Own(), Xc, c, search_space=space, llm=llm, **K)
    assert "Smith" not in str([m.content for r in llm.requests for m in r.messages])
    assert shown(result)["note"] == "a str"


def test_a_default_that_was_cut_off_is_tried_again_with_all_that_it_is() -> None:
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, TrialStarted):
            control.wish("stop")

    options: dict[str, Any] = {**K, "n_trials": 1, "folder": None, "name": "r", "n_jobs": 1}
    first = tune(RandomForestClassifier(n_jobs=1), Xc, c, **options, control=control, sinks=[stop])
    assert [t.state for t in first.trials] == [TrialState.FAIL]
    result = tune(RandomForestClassifier(n_jobs=1), Xc, c, **options, resume=True)
    again = result.trials[1]
    assert again.user_attrs[attrs.SOURCE] == "default"
    assert observe(again).outside == ("max_features", "max_samples")
    assert observe(again).params["max_features"] == "sqrt"
    assert again.state == TrialState.COMPLETE


def test_a_parameter_that_enters_later_rewrites_no_trial() -> None:
    old = SearchSpace.from_user({"a": (0.0, 1.0)})
    study = optuna.create_study()
    configuration = {"values": {"a": 0.5, "b": None, "c": 3, "d": 0.0}, "outside": []}
    study.enqueue_trial(
        {"a": 0.5},
        user_attrs={
            attrs.SOURCE: "default",
            attrs.PROVENANCE: {"library_defaults": True},
            attrs.CONFIGURATION: configuration,
        },
    )
    for _ in range(2):
        trial = study.ask()
        old.suggest(trial)
        study.tell(trial, 1.0)
    outer = SearchSpace.from_user({"a": (0.0, 1.0), "b": (1, 9), "c": (1, 9), "d": (1e-6, 1.0, "log")})
    new = migrate_trials(study, outer, {"b": None, "c": 4, "d": 0.0}, {"d": 1e-6})
    default, other = new.trials
    assert default.params == {"a": 0.5, "c": 3}
    assert observe(default).outside == ("b",)
    assert observe(default).params["b"] is None
    assert other.params == {"a": study.trials[1].params["a"], "c": 4}
    assert (observe(other).params["b"], observe(other).params["d"]) == (None, 0.0)
    wider = SearchSpace.from_user({**outer.distributions, "b": [None, 1, 2]})
    again = migrate_trials(new, wider, {}, {"d": 1e-6})
    assert again.trials[0].params["b"] is None
    assert observe(again.trials[0]).outside == ()


def test_importances_of_a_result_keep_all_parameters() -> None:
    result = tune(
        DecisionTreeClassifier(random_state=0),
        Xc,
        c,
        search_space={"max_depth": (2, 9), "min_samples_leaf": (1, 20)},
        **{**K, "n_trials": 14},
    )
    assert set(result.importances()) == {"max_depth", "min_samples_leaf"}
    assert len(result.trials_dataframe()) == 14


def test_pictures_and_code_take_a_default_with_words(tmp_path: Any) -> None:
    forest = RandomForestClassifier(n_estimators=5, n_jobs=1)
    space = {"max_features": (0.1, 1.0), "max_depth": (1, 9)}
    result = tune(forest, Xc, c, search_space=space, **{**K, "n_trials": 3})
    result.plot_search_space()
    result.plot_parallel()
    assert "sqrt" in result.report(tmp_path / "r.html").read_text()
    assert TuneResult.load(result.save(tmp_path / "r.zip")).trials[0].params == result.trials[0].params


@pytest.mark.parametrize(
    ("set_by_user", "expected"), [({}, (0.3, 1.0)), ({"learning_rate": 0.2, "reg_lambda": 2.0}, (0.2, 2.0))]
)
def test_a_default_is_known_under_the_librarys_other_names(
    set_by_user: dict[str, float], expected: tuple[float, float]
) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, **set_by_user)
    space = {"eta": (0.01, 0.9), "lambda": (0.1, 9.0)}
    trial = default_of(tune(model, Xc, c, search_space=space, **{**K, "n_trials": 1}))
    assert (trial.params["eta"], trial.params["lambda"]) == expected
    assert not observe(trial).outside

"""Tuples, dicts, estimators and functions as choices: stored as labels, given as what they are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from sklearn.datasets import make_classification
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.feature_selection import chi2
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.preprocessing import StandardScaler

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.choices import labelled
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

X, y = make_classification(40, 4, random_state=0)
K: dict[str, Any] = {"n_trials": 5, "seed": 0, "folder": "", "verify": False}
GIVEN: list[Any] = []


class Recording(LogisticRegression):  # type: ignore[misc]
    """Remembers what it was given."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        GIVEN.append(self.class_weight)
        return super().fit(X, y, sample_weight)


def with_tuples(choices: list[Any]) -> CategoricalDistribution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CategoricalDistribution(choices)


def test_labels_read_well_and_lead_back() -> None:
    scale, half = StandardScaler(), StandardScaler(with_mean=False)
    choices = [(50,), (50, 50), [1, 2], {"a": 1.5}, scale, half, chi2, StandardScaler, None, "passthrough", 3]
    values, objects = labelled("p", choices)
    assert values == [
        "(50,)",
        "(50, 50)",
        "[1, 2]",
        "{t0: 1.5}",
        "StandardScaler()",
        "StandardScaler(with_mean=False)",
        "chi2",
        "StandardScaler",
        None,
        "passthrough",
        3,
    ]
    for value, choice in zip(values, choices, strict=True):
        back = decoded({"p": value}, {"p": objects})["p"]
        assert back is choice or back == choice
        assert encoded({"p": choice}, {"p": objects}) == {"p": value}
    assert encoded({"p": [50, 50]}, {"p": objects}) == {"p": "(50, 50)"}, "a list for a tuple, as from JSON"
    functions = labelled("p", [lambda v: v, lambda v: -v])
    assert functions[0] == ["<lambda>", "<lambda> #2"]


@pytest.mark.parametrize(
    ("choices", "labels"),
    [
        ([["income", "b"], ["hiv", "b"], None], ["[t0, t1]", "[t2, t1]", None]),
        ([("income",), ("hiv", 3)], ["(t0,)", "(t1, 3)"]),
        ([[["cell"], "first"], {"cell", "age"}], ["[[t1], t0]", "{t1, t2}"]),
        ([np.array(["a", "b"]), np.array([1, 2])], ["ndarray([t0, t1])", "ndarray([1, 2])"]),
        ([{"age": {"hiv": "yes"}}, "passthrough"], ["{t0: {t1: t2}}", "passthrough"]),
    ],
)
def test_labels_show_no_text_inside_objects(choices: list[Any], labels: list[Any]) -> None:
    values, objects = labelled("p", choices)
    assert values == labels
    for value, choice in zip(values, choices, strict=True):
        back = decoded({"p": value}, {"p": objects})["p"]
        assert back is choice


def test_class_weights_show_no_target_value() -> None:
    values, _ = labelled("model__class_weight", [{"sick": 5, "well": 1}, {"sick": 1, "well": 5}, "balanced"])
    assert values == ["{c0: 5, c1: 1}", "{c0: 1, c1: 5}", "balanced"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["list", "distribution", "typed", "space", "of a distribution"])
def test_layers_are_given_as_tuples(how: str) -> None:
    layers = [(5,), (4, 4)]
    spaces: dict[str, Any] = {
        "list": {"hidden_layer_sizes": layers},
        "distribution": {"hidden_layer_sizes": with_tuples(layers)},
        "typed": {"hidden_layer_sizes": {"type": "categorical", "choices": layers}},
        "space": SearchSpace.from_user({"hidden_layer_sizes": layers, "alpha": (1e-5, 1.0, "log")}),
        "of a distribution": SearchSpace({"hidden_layer_sizes": with_tuples(layers)}),
    }
    result = tune(MLPClassifier(max_iter=3, random_state=0), X, y, search_space=spaces[how], **K)
    tried = [t.params["hidden_layer_sizes"] for t in result.trials[1:]]
    assert {*tried} <= {"(5,)", "(4, 4)"}
    assert all(t.state.name == "COMPLETE" for t in result.trials)
    shown = [e.params["hidden_layer_sizes"] for e in result.events if isinstance(e, TrialFinished)]
    assert shown == ["(100,)", *tried]
    if result.best_params:
        assert result.best_params["hidden_layer_sizes"] in layers
        assert f"hidden_layer_sizes={result.best_params['hidden_layer_sizes']}" in result.code()


def test_class_weights_reach_the_estimator_and_no_prompt() -> None:
    GIVEN.clear()
    labels = np.where(y == 1, "sick", "well")
    weights = [{"sick": 5.0, "well": 1.0}, {"sick": 1.0, "well": 5.0}]
    llm = FunctionProvider(Responder(0))
    space = {"class_weight": weights, "C": (0.1, 10.0)}
    tune(Recording(), X, labels, search_space=space, llm=llm, **K)
    assert all(given in [None, *weights] for given in GIVEN)
    assert weights[0] in GIVEN or weights[1] in GIVEN
    text = str([m.content for r in llm.requests for m in r.messages])
    assert "c0: 5" in text
    assert "sick" not in text


@pytest.mark.filterwarnings("ignore")
def test_steps_of_a_pipeline_are_searched_stored_and_written() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(C=1e-9, random_state=0))])
    space = {
        "scale": [StandardScaler(with_std=False), MinMaxScaler(), "passthrough"],
        "model__C": [0.5, 1.0],
    }
    options = {**K, "n_trials": 6, "scoring": "neg_log_loss"}
    result = tune(pipeline, X, y, search_space=space, **options)
    assert {t.params["scale"] for t in result.trials[1:]} <= {
        "StandardScaler(with_std=False)",
        "MinMaxScaler()",
        "passthrough",
    }
    best = result.best_params
    assert isinstance(best["scale"], StandardScaler | MinMaxScaler | str)
    namespace: dict[str, Any] = {}
    exec(result.code(), namespace)
    assert repr(namespace["best_model"]) == repr(result.best_estimator)


@pytest.mark.filterwarnings("ignore")
def test_a_stored_run_has_its_objects_again() -> None:
    options = {**K, "folder": None, "name": "n"}
    space = {"hidden_layer_sizes": [(5,), (4, 4)], "alpha": [1e-4, 1e-3]}
    model = MLPClassifier(max_iter=3, random_state=0, hidden_layer_sizes=(1,))
    first = tune(model, X, y, search_space=space, **options)
    more = tune(model, X, y, search_space=space, **{**options, "n_trials": 8}, resume=True)
    assert [t.params for t in more.trials[:5]] == [t.params for t in first.trials]
    assert all(t.state.name == "COMPLETE" for t in more.trials)
    loaded = TuneResult.load(".sllmbo/n")
    assert loaded.best_params == more.best_params
    if more.best_params:
        assert isinstance(loaded.best_params["hidden_layer_sizes"], tuple)
    assert loaded.code() == more.code()


@pytest.mark.filterwarnings("ignore")
def test_an_estimator_of_a_loaded_run_is_written_though_it_is_not_there(tmp_path: Any) -> None:
    pipeline = Pipeline([("scale", "passthrough"), ("model", LogisticRegression(C=1e-9, random_state=0))])
    space = {"scale": [StandardScaler(with_std=False), MinMaxScaler()], "model__C": [0.5, 1.0]}
    result = tune(pipeline, X, y, search_space=space, scoring="neg_log_loss", **K)
    loaded = TuneResult.load(result.save(tmp_path / "r.zip"))
    assert loaded.code() == result.code()
    assert repr(loaded.best_params["scale"]) in ("StandardScaler(with_std=False)", "MinMaxScaler()")


@pytest.mark.filterwarnings("ignore")
def test_the_users_own_configuration_may_hold_objects() -> None:
    space = {"hidden_layer_sizes": [(5,), (4, 4)]}
    model = MLPClassifier(max_iter=3, random_state=0)
    mine = [{"hidden_layer_sizes": (4, 4)}]
    result = tune(model, X, y, search_space=space, enqueue=mine, **{**K, "n_trials": 2})
    assert result.trials[1].params == {"hidden_layer_sizes": "(4, 4)"}
    with pytest.raises(InputError, match=r"a tuple is no choice; allowed: one of '\(5,\)'"):
        tune(model, X, y, search_space=space, enqueue=[{"hidden_layer_sizes": (9,)}], **K)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inf_and_nan_are_values_as_any_other(value: float) -> None:
    """One that is fixed is given to each trial; another NaN in the user's configuration is the same one."""
    seen: list[dict[str, Any]] = []

    def objective(params: dict[str, Any]) -> float:
        seen.append(params)
        return float(params["x"])

    space = {"held": value, "missing": [value, 1.0], "x": (0.0, 1.0)}
    mine = [{"missing": float(str(value)), "x": 2.0**-9}]
    result = tune(objective, direction="minimize", search_space=space, enqueue=mine, **K)
    assert all(str(params["held"]) == str(value) for params in seen)
    assert {str(result.best_params[name]) for name in ("held", "missing")} == {str(value)}
    with pytest.raises(InputError, match="occurs twice"):
        SearchSpace.from_user({"missing": [value, float(str(value))]})


@pytest.mark.filterwarnings("ignore")
def test_a_default_among_the_choices_is_one_of_them() -> None:
    space = {"hidden_layer_sizes": [(5,), (100,)]}
    result = tune(MLPClassifier(max_iter=2, random_state=0), X, y, search_space=space, **{**K, "n_trials": 1})
    assert result.trials[0].params == {"hidden_layer_sizes": "(100,)"}


@pytest.mark.filterwarnings("ignore")
def test_the_search_of_scikit_learn_has_the_objects_in_its_results() -> None:
    space = {"hidden_layer_sizes": [(5,), (4, 4)], "alpha": [1e-4, 1e-3]}
    model = MLPClassifier(max_iter=3, random_state=0)
    search = SLLMBOSearchCV(model, search_space=space, n_trials=4, random_state=0).fit(X, y)
    tried = [params["hidden_layer_sizes"] for params in search.cv_results_["params"][1:]]
    assert all(isinstance(layers, tuple) for layers in tried)
    assert search.best_params_ == search.result_.best_params


@pytest.mark.filterwarnings("ignore")
def test_ngrams_and_functions_are_choices_too() -> None:
    texts = ["good day", "bad day", "good night", "bad night"] * 5
    target = [1, 0, 1, 0] * 5
    model = Pipeline(
        [("count", CountVectorizer()), ("best", SelectKBest(k=2)), ("model", LogisticRegression())]
    )
    space = {"count__ngram_range": [(1, 1), (1, 2)], "best__score_func": [chi2, f_classif]}
    result = tune(model, texts, target, search_space=space, **{**K, "n_trials": 4})
    assert all(t.state.name == "COMPLETE" for t in result.trials)
    assert {t.params["count__ngram_range"] for t in result.trials} <= {"(1, 1)", "(1, 2)"}


def test_an_objective_of_a_dict_is_given_the_objects() -> None:
    seen: list[Any] = []

    def objective(params: dict[str, Any]) -> float:
        seen.append(params["layers"])
        return float(sum(params["layers"]))

    space = {"layers": [(1, 2), (3,)], "x": (0.0, 1.0)}
    result = tune(objective, direction="minimize", search_space=space, **K)
    assert {*seen} <= {(1, 2), (3,)}
    assert result.best_params["layers"] in [(1, 2), (3,)]


def test_where_optuna_would_have_to_store_an_object_the_line_to_write_is_said() -> None:
    space = {"layers": [(1, 2), (3,)]}
    with pytest.raises(InputError, match=r"Write their labels, \['\(1, 2\)', '\(3,\)'\]"):
        LLMTPESampler(search_space=space)

    def objective(trial: optuna.Trial) -> float:
        return 0.0

    with pytest.raises(InputError, match="Leave layers out and suggest its label"):
        tune(objective, direction="minimize", search_space=space, **K)


def test_a_study_with_other_objects_under_the_same_labels_is_refused() -> None:
    def objective(params: dict[str, Any]) -> float:
        return float(params["model"].fit_intercept) + params["x"]

    study = optuna.create_study(direction="minimize")
    options = {**K, "direction": "minimize", "study": study}
    first, second = LogisticRegression(penalty="l1"), LogisticRegression(penalty="l2")
    space = {"model": [first, second], "x": (0.0, 1.0)}
    tune(objective, search_space=space, **options)
    more = tune(objective, search_space=space, **{**options, "n_trials": 7})
    assert len(more.trials) == 7
    with pytest.raises(InputError, match=r"another object for model LogisticRegression\(\), whose values"):
        tune(objective, search_space={**space, "model": [second, first]}, **options)


@pytest.mark.parametrize("after", ["a resume", "a range beyond the outer space"])
def test_a_command_names_an_object_also_where_the_outer_space_was_read_or_has_grown(
    after: str, tmp_path: Path
) -> None:
    """The outer space of the stored study, and one that has grown, had the labels without their objects."""
    model = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=20))])
    space = {"scale": [StandardScaler(), MinMaxScaler()], "model__C": (0.1, 10.0)}
    options = {**K, "folder": tmp_path, "name": "scaled", "search_space": space, "sampler": "tpe"}
    control, notes = Control(), []
    if after == "a resume":
        tune(model, X, y, **{**options, "n_trials": 2})
    else:
        control.wish("range", {"param": "model__C", "low": 0.01, "high": 1e3})
    control.wish("enqueue", {"scale": MinMaxScaler(), "model__C": 3.25})
    control.wish("range", {"param": "scale", "choices": [MinMaxScaler()]})
    sinks = [lambda event: notes.append(event.text) if isinstance(event, Note) else None]
    result = tune(
        model, X, y, **{**options, "n_trials": 5}, resume=after == "a resume", control=control, sinks=sinks
    )
    assert {"scale": "MinMaxScaler()", "model__C": 3.25} in [trial.params for trial in result.trials]
    assert {trial.params["scale"] for trial in result.trials[2:]} == {"MinMaxScaler()"}
    assert not [text for text in notes if "no choice" in text]

"""The winner as Python: the code runs, and makes an estimator with the same parameters."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.compose import make_column_selector
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.ensemble import StackingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.gaussian_process.kernels import WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.preprocessing import OneHotEncoder
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import ExtraTreeRegressor
from sklearn.utils._mocking import CheckingClassifier

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.report.code import code
from sllmbo_magic.report.code import parts_of


class Local(LogisticRegression):
    """As if it were defined in a notebook's cell: known there, importable from nowhere."""


@pytest.fixture(autouse=True)
def _in_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Local, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Local", Local, raising=False)


def run(source: str, **names: Any) -> dict[str, Any]:
    exec(compile(source, "<code>", "exec"), names)
    return names


def params(estimator: Any) -> dict[str, Any]:
    """All parameters, deep, as text; estimators by their class, NumPy's numbers as Python's."""

    def text(value: Any) -> str:
        value = value.item() if isinstance(value, np.generic) else value
        return type(value).__name__ if hasattr(value, "get_params") else repr(value)

    return {name: text(value) for name, value in estimator.get_params(deep=True).items()}


def columns() -> Pipeline:
    prepare = ColumnTransformer(
        [
            ("numbers", StandardScaler(with_mean=False), slice(0, 4)),
            ("logs", FunctionTransformer(np.log1p, kw_args={"where": True}), [4, 5]),
            (
                "words",
                OneHotEncoder(dtype=np.float32, handle_unknown="ignore"),
                ['it\'s "q" \\ $x$', "b\n"],
            ),
        ],
        remainder="passthrough",
    )
    return Pipeline(
        [("prepare", prepare), ("clf", HistGradientBoostingClassifier(class_weight={0: 1, 1: 2.5}))]
    )


def lightgbm_classifier() -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMClassifier(n_jobs=2, random_state=np.int64(3), verbose=-1, drop_seed=4)


def xgboost_classifier() -> Any:
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBClassifier(n_jobs=1, objective="multi:softprob", enable_categorical=True)


WRITABLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "defaults": (lambda: LogisticRegression(), {}),
    "plain": (
        lambda: LogisticRegression(max_iter=300, class_weight="balanced"),
        {"C": 0.031, "max_iter": 300},
    ),
    "a default value again": (lambda: LogisticRegression(C=7.0), {"C": 1.0}),
    "not finite": (lambda: SVC(C=float("inf"), max_iter=-1), {"gamma": "auto", "tol": 1e-12}),
    "none and booleans": (lambda: RandomForestRegressor(n_jobs=2), {"max_depth": None, "bootstrap": False}),
    "lightgbm": (lightgbm_classifier, {"learning_rate": 0.05, "subsample": 0.8, "subsample_freq": 1}),
    "lightgbm, a name that is a keyword": (lightgbm_classifier, {"lambda": 0.5, "num_leaves": 12}),
    "xgboost": (xgboost_classifier, {"max_depth": 4, "reg_alpha": 1e-8}),
    "pipeline": (columns, {"clf__learning_rate": 0.2, "clf__max_depth": None}),
    "made pipeline": (lambda: make_pipeline(StandardScaler(), SVC()), {"svc__C": 2.5, "svc__kernel": "poly"}),
    "stacked": (
        lambda: StackingClassifier([("a", LogisticRegression(C=3)), ("b", SVC())], final_estimator=SVC(C=2)),
        {"a__C": 0.5, "final_estimator__C": 9.0, "passthrough": True},
    ),
    "kernels": (lambda: GaussianProcessRegressor(RBF(2.0) + WhiteKernel(noise_level=3)), {"alpha": 1e-7}),
    "wrapped": (lambda: CalibratedClassifierCV(SVC(C=4), cv=3), {"estimator__C": 0.1, "method": "isotonic"}),
}
NOT_WRITABLE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "random generator": (
        lambda: LogisticRegression(random_state=np.random.RandomState(0)),
        {"C": 2.0},
        "its random_state is a RandomState",
    ),
    "class of the notebook": (lambda: Local(), {"C": 2.0}, "Local cannot be imported"),
    "lambda": (lambda: make_pipeline(FunctionTransformer(lambda x: x), SVC()), {"svc__C": 2.0}, "<lambda>"),
    "class of a private module": (
        lambda: CheckingClassifier(),
        {"foo_param": 2},
        "CheckingClassifier cannot",
    ),
    "splitter": (
        lambda: CalibratedClassifierCV(SVC(), cv=KFold(4)),
        {"estimator__C": 2.0},
        "its cv is a KFold",
    ),
    "array": (lambda: SVC(class_weight=np.ones(2)), {"C": 2.0}, "its class_weight is a ndarray"),
}


@pytest.mark.parametrize("case", WRITABLE)
def test_the_code_makes_the_same_estimator(case: str) -> None:
    make, best = WRITABLE[case]
    estimator = make()
    expected = clone(estimator).set_params(**best)
    source = code(estimator, best)
    made = run(source)["best_model"]
    assert type(made) is type(expected)
    assert params(made) == params(expected)
    assert "clone" not in source, "nothing of the user's is needed"
    assert max(map(len, source.splitlines())) <= 100


@pytest.mark.parametrize("case", WRITABLE)
def test_stored_parts_give_the_same_code(case: str) -> None:
    make, best = WRITABLE[case]
    stored = json.loads(json.dumps(parts_of(make())))
    assert code(None, best, parts=stored) == code(make(), best)


@pytest.mark.parametrize("case", NOT_WRITABLE)
def test_what_cannot_be_written_is_cloned(case: str) -> None:
    make, best, reason = NOT_WRITABLE[case]
    estimator = make()
    source = code(estimator, best)
    assert f"# model is the estimator that was tuned: {reason}" in source
    made = run(source, model=estimator)["best_model"]
    assert made is not estimator
    for name, value in best.items():
        assert made.get_params()[name] == value
    assert code(None, best, parts=json.loads(json.dumps(parts_of(estimator)))) == source


def test_the_code_reads_well() -> None:
    assert code(make_pipeline(StandardScaler(), SVC(probability=True)), {"svc__C": 1.5}) == (
        "from sklearn.pipeline import Pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "from sklearn.svm import SVC\n"
        "\n"
        "best_model = Pipeline(\n"
        '    steps=[("standardscaler", StandardScaler()), ("svc", SVC(probability=True))],\n'
        ")\n"
        "best_model.set_params(svc__C=1.5)\n"
    )


def test_without_an_estimator_there_are_the_parameters() -> None:
    best = {"x": 0.5, "kind": "a'b\"c", "on": True, "none": None, "end": float("-inf")}
    assert run(code(None, best))["best_params"] == best


def test_two_classes_of_one_name_are_not_mixed_up() -> None:
    other = type("SVC", (LogisticRegression,), {"__module__": "sklearn.linear_model"})
    import sklearn.linear_model as home

    home.SVC = other
    try:
        source = code(make_pipeline(SVC(), other()), {"svc-1__C": 2.0})
    finally:
        del home.SVC
    assert "two of its parts are named SVC" in source


class Named(LogisticRegression):
    """Importable from here, under the name of another class."""


Named.__name__ = "StandardScaler"
StandardScaler_of_sklearn = StandardScaler


def test_values_of_one_name_are_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a choice and the estimator, and of two choices: the import of the one hid that of the other."""
    monkeypatch.setattr(sys.modules[__name__], "StandardScaler", Named)
    model = Pipeline([("a", StandardScaler_of_sklearn()), ("b", "passthrough"), ("m", SVC())])
    best = {"b": StandardScaler_of_sklearn(with_std=False), "m": Named(C=7.0)}
    for estimator in (model, Pipeline([("b", "passthrough"), ("m", SVC())])):
        expected = clone(estimator).set_params(**best)
        made = run(code(estimator, best))["best_model"]
        assert [type(part) for _, part in made.steps] == [type(part) for _, part in expected.steps]
        assert params(made) == params(expected)


def test_two_objects_without_a_spelling_have_two_variables() -> None:
    first, second = (lambda x: x), (lambda x: x + 1)
    model = Pipeline([("a", FunctionTransformer()), ("b", FunctionTransformer()), ("m", SVC())])
    source = code(model, {"a__func": first, "b__func": second})
    made = run(source, func_choice=first, b__func_choice=second)["best_model"]
    assert (made["a"].func, made["b"].func) == (first, second)
    source = code(None, {"x y": first, "y z": second})
    made = run(source, your_choice=first, your_choice2=second)["best_params"]
    assert made == {"x y": first, "y z": second}


def test_a_member_of_an_enum_is_written_as_its_value() -> None:
    class Kernel(StrEnum):
        POLY = "poly"

    class Degree(IntEnum):
        FOUR = 4

    made = run(code(SVC(), {"kernel": Kernel.POLY, "degree": Degree.FOUR}))["best_model"]
    assert (made.kernel, made.degree) == ("poly", 4)
    assert "degree_choice is the object" in code(SVC(), {"degree": np.datetime64("2020-01-01")})


@pytest.mark.parametrize(
    "payload", ["__import__('os').abort()", '"+exit()+"', "\n exit() #", "\\", "\u202e", "{x}"]
)
def test_text_stays_text(payload: str) -> None:
    best = {"kernel": payload}
    source = code(SVC(kernel=payload), best)
    assert run(source)["best_model"].kernel == payload
    assert "\u202e" not in source
    assert run(code(None, {payload: payload}))["best_params"] == {payload: payload}
    fallback = code(Local(), {"penalty": payload})
    assert run(fallback, model=Local())["best_model"].penalty == payload


def test_columns_that_are_selected_by_their_type_are_written_down() -> None:
    """As in the example bring_your_csv, whose code then needs nothing of the notebook."""
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "city": ["x", "y", "x"]})
    prepare = make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
        (StandardScaler(), make_column_selector("^a", dtype_include=[float])),
    )
    model = make_pipeline(prepare, Ridge())
    source = code(model, {"ridge__alpha": 3.0})
    assert 'make_column_selector(dtype_exclude="number")' in source
    assert "clone" not in source
    made = run(source)["best_model"]
    y = [1.0, 2.0, 4.0]
    expected = clone(model).set_params(ridge__alpha=3.0).fit(frame, y).predict(frame)
    assert made.fit(frame, y).predict(frame).tolist() == expected.tolist()


def test_the_code_of_a_run_has_the_seeds_that_the_run_set(tmp_path: Any) -> None:
    """Without them two fits of the code differ from each other and from ``best_estimator``."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = X[:, 0] + X[:, 1] ** 2
    trees = RandomForestRegressor(n_estimators=5, n_jobs=1)
    space = {"model": [ExtraTreeRegressor(), trees], "model__min_samples_leaf": (1, 5)}
    piped = Pipeline([("scale", StandardScaler()), ("model", trees)])
    options: dict[str, Any] = {"n_trials": 4, "seed": 0, "cv": 2, "verify": False, "folder": tmp_path}
    for estimator, search_space in ((trees, None), (piped, None), (piped, space)):
        result = tune(estimator, X, y, search_space=search_space, name="seeds", **options)
        made = run(result.code())["best_model"]
        assert params(made) == params(result.best_estimator)
        assert np.array_equal(made.fit(X, y).predict(X), result.best_estimator.predict(X))
        assert TuneResult.load(result.path).code() == result.code()
    own = tune(RandomForestRegressor(5, random_state=7), X, y, name="own", **options).code()
    assert "random_state=7" in own
    assert "random_state=0" not in own


def test_a_loaded_run_has_the_seeds_of_the_estimators_among_its_choices(tmp_path: Any) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = X[:, 0] + X[:, 1] ** 2
    bagged = BaggingRegressor(ExtraTreeRegressor(max_depth=4), n_estimators=3)
    weak = BaggingRegressor(ExtraTreeRegressor(max_depth=1), n_estimators=1, max_samples=0.1)
    piped = Pipeline([("scale", StandardScaler()), ("model", weak)])
    spaces: list[dict[str, Any]] = [
        {"model": [bagged, Ridge(alpha=1e9)]},
        # another estimator in one that is in the place of a part, with a seed of its own and without
        {"model": [bagged], "model__estimator": [ExtraTreeRegressor(max_depth=5, random_state=3)]},
        {"model": [bagged], "model__estimator": [RandomForestRegressor(2, max_depth=3)]},
        {"model": [bagged], "model__random_state": [5, 6]},
    ]
    for space in spaces:
        result = tune(
            piped, X, y, search_space=space, n_trials=4, seed=0, cv=2, verify=False, folder=tmp_path, name="s"
        )
        assert "random_state" in result.code()
        assert "model" in result.best_params
        for stored in (result.path, result.save(tmp_path / "saved.zip")):
            assert TuneResult.load(stored).code() == result.code()
        made = run(result.code())["best_model"]
        assert np.array_equal(made.fit(X, y).predict(X), result.best_estimator.predict(X))


def test_the_code_of_a_scikit_learn_search_has_no_seed_that_the_search_did_not_set() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    found = SLLMBOSearchCV(ExtraTreeRegressor(), n_trials=2, cv=2, random_state=0).fit(X, X[:, 0])
    assert "random_state" not in found.result_.code()

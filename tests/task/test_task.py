"""A task is checked once: data of every kind, each mistake one line, frozen folds, a stable fingerprint."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.cluster import KMeans
from sklearn.ensemble import BaggingClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupKFold
from sklearn.model_selection import KFold
from sklearn.model_selection import ShuffleSplit
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluation import refit
from sllmbo_magic.evaluation.cross_validation import CrossValidator
from sllmbo_magic.task.description import model_text
from sllmbo_magic.task.task import Task
from tests.estimators import Shift

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
LABELS = np.array(["no", "yes"] * 20)
NUMBERS = X[:, 0] + RNG.normal(size=40)


def classify(**options: Any) -> Task:
    arguments = {"estimator": LogisticRegression(), "X": X, "y": LABELS, **options}
    return Task.from_estimator(**arguments)


def regress(**options: Any) -> Task:
    arguments = {"estimator": Ridge(), "X": X, "y": NUMBERS, **options}
    return Task.from_estimator(**arguments)


# ---- data of every kind


FRAMES = {
    "numpy": X,
    "pandas": pd.DataFrame(X, columns=["a", "b", "c"]),
    "polars": pl.DataFrame(X, schema=["a", "b", "c"]),
    "csr": sp.csr_array(X),
    "coo": sp.coo_matrix(X),
    "list": X.tolist(),
}
TARGETS = {
    "numpy": LABELS,
    "list": LABELS.tolist(),
    "pandas": pd.Series(LABELS, index=range(100, 140)),
    "category": pd.Series(LABELS).astype("category"),
    "frame": pd.DataFrame({"t": LABELS}),
    "polars": pl.Series(LABELS),
    "polars frame": pl.DataFrame({"t": LABELS}),
    "column": LABELS.reshape(-1, 1),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_data_of_every_kind_makes_the_same_folds_and_description(kind: str) -> None:
    task, plain = classify(X=FRAMES[kind]), classify()
    assert task.n_folds == 5
    assert all(
        np.array_equal(a, b)
        for s, p in zip(task.splits, plain.splits, strict=True)
        for a, b in zip(s, p, strict=True)
    )
    description = task.describe()
    assert (description.n_rows, description.n_columns, description.missing) == (40, 3, 0.0)
    assert description.dtypes == {"float": 3}
    assert description.sparse == (kind in ("csr", "coo"))


@pytest.mark.parametrize("kind", TARGETS)
def test_targets_of_every_kind_give_the_same_classes(kind: str) -> None:
    task = classify(y=TARGETS[kind])
    assert np.shape(task.y) == (40,)
    assert task.describe().classes == (("c0", 0.5), ("c1", 0.5))


def test_texts_are_data_too() -> None:
    texts = ["good film", "bad film"] * 20
    task = Task.from_estimator(make_pipeline(CountVectorizer(), LogisticRegression()), texts, LABELS)
    assert task.describe().n_columns is None


def test_numpy_data_needs_no_pandas_polars_or_lightgbm() -> None:
    code = """
        import sys
        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("pandas", "polars", "lightgbm", "xgboost", "matplotlib", "IPython"):
                    raise ModuleNotFoundError(name, name=name)
        sys.meta_path.insert(0, Absent())
        import numpy as np
        from sklearn.linear_model import Ridge
        from sllmbo_magic.evaluation import evaluator_for
        from sllmbo_magic.task.task import Task
        X = np.arange(40.0).reshape(20, 2)
        task = Task.from_estimator(Ridge(), X, X[:, 0])
        task.describe().text(), task.fingerprint()
        print(evaluator_for(task).evaluate({}).ok)
    """
    assert run(code) == "True"


# ---- the metric and its direction


def test_default_metrics_are_those_of_the_paper() -> None:
    assert classify().scorer_name == "f1_weighted"
    assert regress().scorer_name == "neg_mean_absolute_error"
    assert Task.from_estimator(KMeans(2), X, LABELS).scorer_name == "estimator.score"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("mae", "neg_mean_absolute_error"),
        ("RMSE", "neg_root_mean_squared_error"),
        ("logloss", "neg_log_loss"),
        ("auc", "roc_auc"),
        ("acc", "accuracy"),
        ("f1_macro", "f1_macro"),
        ("neg_log_loss", "neg_log_loss"),
    ],
)
def test_short_names_of_metrics(given: str, name: str) -> None:
    assert classify(scoring=given).scorer_name == name
    assert classify(scoring=given).direction == "maximize"


def test_a_loss_by_its_short_name_may_be_minimised_and_means_its_negative_scorer() -> None:
    task = regress(scoring="mae", direction="minimize")
    assert (task.scorer_name, task.direction) == ("neg_mean_absolute_error", "maximize")


def test_own_loss_is_minimised_as_it_is() -> None:
    def loss(y_true: Any, y_pred: Any) -> float:
        return float(np.mean(np.abs(y_true - y_pred)))

    task = regress(scoring=loss, direction="minimize")
    assert (task.scorer_name, task.direction) == ("loss", "minimize")
    fitted = Shift(1.0).fit(X, NUMBERS)
    assert task.scoring(fitted, X, NUMBERS) == pytest.approx(loss(NUMBERS, fitted.predict(X)))


def test_scorers_keep_their_name_without_arguments() -> None:
    assert regress(scoring=make_scorer(mean_absolute_error, greater_is_better=False)).scorer_name == (
        "neg_mean_absolute_error"
    )
    assert regress(scoring=lambda estimator, X, y: 1.0).scorer_name == "own metric"


# ---- folds


def test_folds_of_a_number_are_shuffled_and_stratified_for_classes() -> None:
    y = np.array(["rare"] * 10 + ["common"] * 30)
    task = classify(y=y)
    assert isinstance(task.cv, StratifiedKFold)
    assert all((y[test] == "rare").sum() == 2 for _, test in task.splits)
    assert isinstance(regress().cv, KFold)
    assert not np.array_equal(regress().splits[0][1], np.arange(8))


def test_a_generator_of_splits_is_frozen() -> None:
    task = regress(cv=(split for split in KFold(4).split(X)))
    assert task.n_folds == len(task.splits) == 4
    assert task.cv_text == "own splits, 4 folds"
    assert list(task.cv.split(X)) is not None
    assert len(list(task.cv.split(X))) == 4


def test_a_shuffling_splitter_without_a_seed_gives_the_same_folds_again_and_is_not_changed() -> None:
    splitter = ShuffleSplit(3)
    first, second = regress(cv=splitter), regress(cv=splitter)
    assert np.array_equal(first.splits[2][1], second.splits[2][1])
    assert splitter.random_state is None


def test_a_number_of_folds_with_groups_keeps_groups_together_and_says_so() -> None:
    groups = np.repeat(np.arange(10), 4)
    for task in (classify(groups=groups), regress(groups=groups)):
        assert not any(set(groups[train]) & set(groups[test]) for train, test in task.splits)
        assert any("groups" in note for note in task.notes)


def test_rare_classes_are_a_remark_and_no_error() -> None:
    y = np.array(["a"] * 20 + ["b"] * 18 + ["c"] * 2)
    assert any("1 of 3 classes" in note for note in classify(y=y).notes)


# ---- mistakes: one line each, before anything is fitted


def with_nan() -> np.ndarray[Any, Any]:
    y = NUMBERS.copy()
    y[3] = np.nan
    return y


MISTAKES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "misspelt metric": ({"scoring": "acuracy"}, ("'acuracy'", "'accuracy'")),
    "misspelt alias": ({"scoring": "loglos"}, ("'logloss'",)),
    "several metrics": ({"scoring": ["accuracy", "f1"]}, ("several metrics", "objective")),
    "dict of metrics": ({"scoring": {"a": "accuracy"}}, ("several metrics",)),
    "number as metric": ({"scoring": 3}, ("int",)),
    "bare metric function": ({"scoring": mean_absolute_error}, ("mean_absolute_error", "make_scorer")),
    "minimize a score": ({"scoring": "accuracy", "direction": "minimize"}, ("'minimize'", "'accuracy'")),
    "minimize a negative": ({"scoring": "neg_log_loss", "direction": "minimize"}, ("Leave direction out",)),
    "unknown direction": ({"direction": "up"}, ("'up'", "minimize")),
    "length": ({"y": LABELS[:30]}, ("40 rows", "30")),
    "no X": ({"X": None}, ("X is missing",)),
    "no y": ({"y": None}, ("y is missing",)),
    "number as X": ({"X": 3}, ("int", "no rows")),
    "empty X": ({"X": np.empty((0, 3)), "y": []}, ("X is empty",)),
    "no columns": ({"X": np.empty((40, 0))}, ("X is empty",)),
    "one dimension": ({"X": X[:, 0]}, ("reshape",)),
    "missing labels": ({"y": [*LABELS[:-1], None]}, ("1 missing",)),
    "pandas NA": ({"y": pd.Series([pd.NA, *LABELS[1:]])}, ("1 missing",)),
    "polars null": ({"y": pl.Series([None, *LABELS[1:]])}, ("1 missing",)),
    "continuous": ({"y": NUMBERS}, ("continuous", "regressor")),
    "complex": ({"estimator": Ridge(), "y": NUMBERS + 1j}, ("complex numbers", "y.real")),
    "complex classes": ({"y": np.array([1j, 2j] * 20)}, ("complex numbers",)),
    "one class": ({"y": ["a"] * 40}, ("single class",)),
    "text target": ({"y": "price"}, ("text",)),
    "no estimator": ({"estimator": "forest"}, ("str", "fit()")),
    "number as estimator": ({"estimator": 1}, ("int",)),
    "class with arguments": (
        {"estimator": type("Needs", (Shift,), {"__init__": lambda self, a: None})},
        ("Needs(...)",),
    ),
    "one fold": ({"cv": 1}, ("cv=1",)),
    "more folds than rows": ({"cv": 41}, ("cv=41", "40")),
    "more folds than members": ({"cv": 21}, ("20",)),
    "text as cv": ({"cv": "five"}, ("'five'",)),
    "class as cv": ({"cv": KFold}, ("KFold()",)),
    "pairs": ({"cv": [1, 2, 3]}, ("fold 1", "pair")),
    "no splits": ({"cv": []}, ("no folds",)),
    "empty fold": ({"cv": [(np.arange(40), [])]}, ("fold 1", "no rows to score")),
    "row out of range": ({"cv": [(np.arange(30), [1]), (np.arange(30), [40])]}, ("fold 2", "row 40")),
    "row out of range from the end": ({"cv": [(np.arange(30), [-41])]}, ("fold 1", "row -41")),
    "too many time splits": ({"cv": TimeSeriesSplit(60)}, ("cannot split",)),
    "group cv without groups": ({"cv": GroupKFold(3)}, ("GroupKFold", "needs groups")),
    "groups without group cv": ({"cv": KFold(3), "groups": np.arange(40)}, ("KFold", "ignores")),
    "fewer groups than folds": ({"groups": np.repeat([0, 1], 20)}, ("2",)),
    "one group": ({"groups": np.zeros(40)}, ("cv=5 needs 5 groups, but there is 1.", "two groups or more")),
    "one row": ({"X": X[:1], "y": [1.0], "estimator": Ridge()}, ("one row",)),
    "dict as X": ({"X": {"u": [1, 2, 3]}, "y": [1, 2, 3]}, ("X is a dict.", "pandas.DataFrame(X)")),
    "dict as X_test": ({"X_test": {"u": [1]}, "y_test": ["a"]}, ("X_test is a dict.", "DataFrame(X_test)")),
    "text as X": ({"X": "table.csv"}, ("X is a str, which has no rows",)),
    "groups length": ({"groups": [1, 2]}, ("groups has 2",)),
    "weights length": ({"sample_weight": [1.0]}, ("sample_weight has 1",)),
    "weights not taken": (
        {"estimator": KNeighborsClassifier(), "sample_weight": np.ones(40)},
        ("takes no sample_weight",),
    ),
    "fit_params": ({"fit_params": [1]}, ("fit_params",)),
    "half a test set": ({"X_test": X}, ("X_test and y_test",)),
    "test columns": ({"X_test": X[:, :2], "y_test": LABELS}, ("3 columns", "2")),
    "test length": ({"X_test": X, "y_test": LABELS[:3]}, ("X_test has 40 rows, but y_test has 3",)),
    "other test columns": (
        {"X": FRAMES["pandas"], "X_test": FRAMES["pandas"].rename(columns={"b": "d"}), "y_test": LABELS},
        ("X_test lacks columns of X: b.", "It has a, d, c"),
    ),
    "fewer test columns": (
        {"X": FRAMES["polars"], "X_test": FRAMES["polars"].drop("b"), "y_test": LABELS},
        ("X_test lacks columns of X: b.",),
    ),
    "test labels": (
        {"X_test": X, "y_test": np.arange(40) % 2},
        ("y_test has labels that y lacks: 0, 1.", "both the same labels; y has 'no', 'yes'."),
    ),
    "test labels as text": (
        {"y": np.arange(40) % 3, "X_test": X, "y_test": (np.arange(40) % 3).astype(str)},
        ("y_test has labels that y lacks: '0', '1', '2'.",),
    ),
    "test text": (
        {"estimator": Ridge(), "y": NUMBERS, "X_test": X, "y_test": LABELS},
        ("y_test holds text, but Ridge is a regressor",),
    ),
    "test targets": (
        {"estimator": Ridge(), "y": np.c_[NUMBERS, NUMBERS], "X_test": X, "y_test": NUMBERS},
        ("y has 2 columns, but y_test has 1.",),
    ),
    "metric of classes": (
        {"estimator": Ridge(), "y": NUMBERS, "scoring": "f1_macro"},
        ("'f1_macro'", "regressor"),
    ),
    "two classes": ({"y": ["a", "b"] * 15 + ["c"] * 10, "scoring": "f1"}, ("3 classes", "'f1_weighted'")),
    "several columns of classes": (
        {"estimator": KNeighborsClassifier(), "y": np.arange(80).reshape(40, 2) % 3},
        ("'f1_weighted' is for one column of classes, but y has 2", "scoring=lambda y_true, y_pred"),
    ),
    "no class 1": ({"scoring": "precision"}, ("no label of y is 1", "'precision_weighted'")),
    "auc of three": (
        {"y": ["a", "b"] * 15 + ["c"] * 10, "scoring": "auc"},
        ("has 3", "'roc_auc_ovr_weighted'"),
    ),
    "no probabilities": ({"estimator": LinearSVC(), "scoring": "logloss"}, ("predict_proba", "LinearSVC")),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_one_clear_line(name: str) -> None:
    options, words = MISTAKES[name]
    with pytest.raises(InputError) as raised:
        classify(**options)
    message = str(raised.value)
    assert "\n" not in message
    assert message.endswith((".", "?", "...", ")"))
    for word in words:
        assert word in message


def test_mistakes_of_regression() -> None:
    with pytest.raises(InputError, match="1 missing"):
        regress(y=with_nan())
    with pytest.raises(InputError, match="infinite"):
        regress(y=np.where(np.arange(40) == 1, np.inf, NUMBERS))
    with pytest.raises(InputError, match="text, but Ridge is a regressor"):
        regress(y=LABELS)


# ---- the estimator is the user's


def test_a_class_becomes_an_instance_and_an_instance_is_not_changed() -> None:
    assert isinstance(classify(estimator=RandomForestClassifier).estimator, RandomForestClassifier)
    mine = RandomForestRegressor(n_jobs=-1)
    before = repr(mine.get_params())
    task = regress(estimator=mine)
    task.describe(), task.fingerprint()
    assert task.estimator is mine
    assert repr(mine.get_params()) == before
    assert not hasattr(mine, "estimators_")


@pytest.mark.parametrize("decided", [None, True])
def test_weights_reach_the_last_step_under_metadata_routing(decided: bool | None) -> None:
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(40, 3)), np.linspace(0.1, 3.0, 40)
    y = (X[:, 0] + rng.normal(size=40) > 0).astype(int)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler() if decided is None else StandardScaler().set_fit_request(sample_weight=True)
        mine = make_pipeline(scaler, LogisticRegression())
        fitted = refit(Task.from_estimator(mine, X, y, sample_weight=weights), {})
        scaled = StandardScaler().fit(X, sample_weight=weights if decided else None).transform(X)
        expected = LogisticRegression().fit(scaled, y, sample_weight=weights)
        np.testing.assert_allclose(fitted.named_steps["logisticregression"].coef_, expected.coef_)
        assert mine.steps[-1][1].get_metadata_routing().fit.requests["sample_weight"] is None
        result = tune(mine, X, y, sample_weight=weights, n_trials=3, folder="", verify=False)
        assert all(t.state.name == "COMPLETE" for t in result.trials)


def test_weights_go_to_the_last_step_of_a_pipeline() -> None:
    weights = np.ones(40)
    task = classify(estimator=make_pipeline(StandardScaler(), LogisticRegression()), sample_weight=weights)
    assert list(task.fit_params) == ["logisticregression__sample_weight"]
    assert list(classify(sample_weight=weights, fit_params={}).fit_params) == ["sample_weight"]


# ---- the fingerprint


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set()),
    "seed and threads": ({"estimator": RandomForestRegressor(random_state=7, n_jobs=2, verbose=1)}, set()),
    "parameter": ({"estimator": RandomForestRegressor(max_depth=3)}, {"estimator"}),
    "class": ({"estimator": Ridge()}, {"estimator"}),
    "one cell": ({"X": np.where(X[7, 1] == X, 0.0, X)}, {"data"}),
    "one target": ({"y": np.where(np.arange(40) == 39, 0.0, NUMBERS)}, {"data"}),
    "metric": ({"scoring": "r2"}, {"metric"}),
    "folds": ({"cv": 4}, {"cv"}),
    "splitter": ({"cv": TimeSeriesSplit(5)}, {"cv"}),
    "weights": ({"sample_weight": np.arange(40.0)}, {"data", "estimator"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_fingerprint_tells_what_changed(name: str) -> None:
    options, expected = CHANGES[name]
    before = regress(estimator=RandomForestRegressor()).fingerprint()
    after = regress(**{"estimator": RandomForestRegressor(), **options}).fingerprint()
    assert set(before) == {"data", "estimator", "metric", "cv"}
    assert {key for key in before if before[key] != after[key]} == expected


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    code = """
        import numpy as np
        import pandas as pd
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score, make_scorer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
        from sllmbo_magic.task.task import Task
        X = pd.DataFrame({"number": np.arange(20.0), "word": ["a", "b"] * 10})
        steps = make_column_transformer(
            (OneHotEncoder(), ["word"]), (FunctionTransformer(np.log1p), ["number"]), remainder="drop"
        )
        model = make_pipeline(steps, LogisticRegression(class_weight={"yes": 2, "no": 1}))
        scorer = make_scorer(f1_score, pos_label="yes")
        y = ["yes", "no"] * 10
        print(Task.from_estimator(model, X, y, scoring=scorer).fingerprint())
        def objective(params):
            names = {"a", "b", "c", "d"}
            return sum(len(n) for n in names) * (lambda v: v)(2)
        print(Task.from_objective(objective, direction="minimize", search_space={}).fingerprint())
    """
    assert run(code, PYTHONHASHSEED="1") == run(code, PYTHONHASHSEED="2")


def test_the_fingerprint_of_an_objective_follows_its_code() -> None:
    def fingerprint(source: str) -> str:
        space: dict[str, Any] = {}
        exec(source, space)
        return Task.from_objective(space["f"], direction="minimize", search_space={}).fingerprint()[
            "estimator"
        ]

    assert fingerprint("def f(p): return 1 + p['x']") == fingerprint(
        "def f(p):\n    # why\n    return 1 + p['x']"
    )
    assert fingerprint("def f(p): return 1 + p['x']") != fingerprint("def f(p): return 2 + p['x']")


def test_big_data_is_hashed_by_a_part_of_its_rows() -> None:
    big = np.zeros((30_000, 100))
    y = np.zeros(30_000)
    before = regress(X=big, y=y).fingerprint()["data"]
    assert regress(X=big[:-1], y=y[:-1]).fingerprint()["data"] != before
    big[-1, 5] = 1.0
    assert regress(X=big, y=y).fingerprint()["data"] != before


# ---- objectives


def by_dict(params: Any) -> float:
    return 0.0


def by_name(trial: Any) -> float:
    return 0.0


def by_annotation(t: optuna.Trial) -> float:
    return 0.0


def by_its_calls(t: Any) -> float:
    return float(t.suggest_float("x", 0, 1))


class Suggests:
    def __call__(self, t: Any) -> float:
        return by_its_calls(t) + float(t.suggest_int("n", 1, 3))

    def objective(self, t: Any) -> float:
        return float(t.suggest_float("x", 0, 1))


BOTH: dict[str, Any] = {"direction": "minimize", "search_space": {"x": (0.0, 1.0), "y": (0.0, 1.0)}}


@pytest.mark.parametrize(
    "objective",
    [functools.partial(lambda trial, data: 1.0, data=3), lambda p, data=None: 1.0, lambda *p: 1.0, max, abs],
)
def test_an_objective_that_can_be_called_with_one_argument_is_taken(objective: Any) -> None:
    assert Task.from_objective(objective, **BOTH).objective is objective


@pytest.mark.parametrize(
    ("objective", "takes"),
    [
        (by_dict, False),
        (by_name, True),
        (by_annotation, True),
        (by_its_calls, True),
        (functools.partial(by_its_calls), True),
        (Suggests(), True),
        (Suggests().objective, True),
        (lambda t: t.suggest_float("x", 0, 1), True),
        (lambda p: p["suggest_x"], False),
    ],
)
def test_whether_an_objective_takes_a_trial(objective: Any, takes: bool) -> None:
    task = Task.from_objective(objective, direction="minimize", search_space={"x": (0, 1)})
    assert task.objective_takes_trial is takes
    assert task.direction == "minimize"
    assert task.directions is None


def test_an_objective_with_several_directions() -> None:
    task = Task.from_objective(by_name, direction=["minimize", "maximize"])
    assert task.directions == ["minimize", "maximize"]
    assert task.describe().direction == "minimize, maximize"


@pytest.mark.parametrize(
    ("objective", "options", "word"),
    [
        (by_name, {"direction": None}, "needs a direction"),
        (by_name, {"direction": "down"}, "'down'"),
        (by_name, {"direction": []}, "needs a direction"),
        (by_dict, {"direction": "minimize"}, "needs a search space"),
        (3, {"direction": "minimize"}, "not a function"),
        (lambda: 1.0, {"direction": "minimize"}, "takes no argument"),
        (lambda x, y: x, BOTH, r"objective\(x, y\) cannot be called with one dict of parameters.*params\["),
        (lambda **p: 1.0, BOTH, r"objective\(\*\*p\) cannot be called with one dict of parameters"),
        (lambda p, *, data: 1.0, BOTH, "cannot be called with one dict of parameters"),
        (
            lambda trial, data: 1.0,
            {"direction": "minimize"},
            "cannot be called with one trial.*functools.partial",
        ),
    ],
)
def test_mistakes_of_objectives(objective: Any, options: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        Task.from_objective(objective, **options)


def test_a_task_pickles_with_its_folds() -> None:
    task = regress(cv=ShuffleSplit(3))
    copy = pickle.loads(pickle.dumps(task))
    assert copy.fingerprint() == task.fingerprint()
    assert np.array_equal(copy.splits[1][0], task.splits[1][0])


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def _awaits(params: dict[str, Any]) -> float:
    return 1.0


async def _awaits_a_trial(trial: Any) -> float:
    return 1.0


def _yields(params: dict[str, Any]) -> Any:
    yield 1.0


class _Awaits:
    async def __call__(self, params: dict[str, Any]) -> float:
        return 1.0


@pytest.mark.parametrize(
    "objective",
    [_awaits, _awaits_a_trial, _yields, _Awaits(), functools.partial(_awaits), _Awaits().__call__],
)
def test_an_objective_that_returns_no_value_yet_is_refused(objective: Any) -> None:
    with pytest.raises(InputError, match=r"objective (is async|yields): its call returns a "):
        Task.from_objective(objective, direction="minimize", search_space={"x": (0.0, 1.0)})


def test_an_estimator_that_cannot_read_a_column_names_it() -> None:
    X = pd.DataFrame({"a": RNG.normal(size=40), "city": ["Baku", "Lund"] * 20})
    with pytest.raises(InputError, match=r"cannot be fitted .* X has columns of text: city\."):
        tune(LogisticRegression(), X, LABELS, n_trials=2, folder="", verify=False)


@pytest.mark.parametrize("estimator", [RandomForestClassifier(), BaggingClassifier()])
def test_the_trees_inside_a_forest_are_not_its_model(estimator: Any) -> None:
    assert model_text(estimator) == type(estimator).__name__


def test_the_metric_that_is_named_for_several_columns_of_classes_can_score_them() -> None:
    task = Task.from_estimator(
        KNeighborsClassifier(),
        X,
        pd.DataFrame(np.arange(80).reshape(40, 2) % 3),
        scoring=lambda y_true, y_pred: np.mean(np.asarray(y_true) == y_pred),
    )
    assert CrossValidator(task).evaluate({}).mean is not None


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_columns_of_the_test_data_are_matched_by_name(kind: str) -> None:
    frame = FRAMES[kind]
    task = classify(X=frame, X_test=frame[["c", "a", "b"]], y_test=LABELS)
    assert list(task.X_test.columns) == ["a", "b", "c"]
    assert np.array_equal(np.asarray(task.X_test), X)
    assert task.notes == ("X_test has the columns of X in another order, so they are matched by name.",)
    assert classify(X=frame, X_test=frame, y_test=LABELS).notes == ()
    assert classify(X=frame, X_test=X, y_test=LABELS).notes == ()
    numbered = pd.DataFrame(X)  # scikit-learn matches columns without names by position
    assert classify(X=frame, X_test=numbered, y_test=LABELS).X_test is numbered


def test_a_label_that_only_the_test_data_have_is_noted() -> None:
    y_test = np.arange(40) % 4
    notes = classify(y=np.arange(40) % 3, X_test=X, y_test=y_test).notes
    assert notes == ("y_test has labels that y lacks: 3. No model can predict them.",)
    from_one = classify(y=np.arange(40) % 2, X_test=X, y_test=np.arange(40) % 2 + 1).notes
    assert from_one == ("y_test has labels that y lacks: 2. No model can predict them.",)
    assert classify(y=y_test, X_test=X, y_test=np.zeros(40)).notes == ()
    assert classify(y=y_test == 1, X_test=X, y_test=(y_test == 1).astype(int)).notes == ()

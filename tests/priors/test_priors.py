"""Expert priors: valid for every family and size of data, informed by the task, true about the libraries."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.base import RegressorMixin
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.ensemble import AdaBoostClassifier
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import ElasticNet
from sklearn.linear_model import Lasso
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import SVR
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from sllmbo_magic.errors import InputError
from sllmbo_magic.priors import FAMILIES
from sllmbo_magic.priors import Facts
from sllmbo_magic.priors import Family
from sllmbo_magic.priors import Prior
from sllmbo_magic.priors import inert
from sllmbo_magic.priors import prior_for
from sllmbo_magic.priors.sources import REFERENCES
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.space.search_space import SearchSpace

SIZES = [(20, 1), (150, 4), (1000, 20), (60_000, 500)]


def described(rows: int, columns: int, shares: tuple[float, ...] = (), metric: str = "f1_weighted") -> Any:
    """What of a TaskDescription the priors read."""
    classes = tuple((f"c{i}", share) for i, share in enumerate(shares))
    return SimpleNamespace(
        n_rows=rows, n_columns=columns, classes=classes, n_classes=len(shares) or None, metric=metric
    )


def lookalike(name: str, package: str, **params: Any) -> Any:
    """An estimator that the registry must take for a library's, without that library."""

    class Base:
        def __init__(self, **given: Any) -> None:
            self.given = given

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return dict(self.given)

    Base.__name__, Base.__module__ = name, f"{package}.sklearn"
    return Base(**params)


def sklearn_estimators(family: Family) -> Iterator[Any]:
    classes = dict(all_estimators())
    for name in family.classes:
        if family.packages == ("sklearn",):
            yield classes[name]()
        else:
            yield lookalike(name, family.packages[0])


def well_formed(prior: Prior) -> None:
    """What every prior promises."""
    assert len(prior.space)
    assert prior.space.within(prior.outer) == prior.space
    assert {*prior.sources} >= {*prior.outer, *prior.outer.fixed, *prior.limits}
    assert [*prior.outer] == [*prior.space]
    for source in prior.sources.values():
        assert source.removeprefix("after ") in REFERENCES
    for name in prior.outer:
        low, high = prior.limits[name]
        if low is not None:
            assert prior.outer[name].low >= low  # type: ignore[attr-defined]
        if high is not None:
            assert prior.outer[name].high <= high  # type: ignore[attr-defined]
    keys = [prior.space.key(params) for params, _ in prior.configurations]
    assert len(set(keys)) == len(keys) <= 6
    for params, reason in prior.configurations:
        assert prior.space.contains(params)
        assert prior.outer.active(params) == params
        assert reason.endswith(".")
    assert SearchSpace.from_json(prior.outer.to_json()) == prior.outer


# --- every family ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_family_is_well_formed_at_every_size(family: Family, size: tuple[int, int]) -> None:
    for estimator in sklearn_estimators(family):
        for shares in ((0.5, 0.5), (0.97, 0.03)):
            prior = prior_for(estimator, described(*size, shares))
            assert prior.family == family.name
            well_formed(prior)
            assert len(prior.configurations) >= (2 if size == SIZES[0] else 3)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_familys_experts_speak_of_every_parameter(family: Family, kind: str) -> None:
    """A parameter that an expert forgets would get the middle of its range: nobody's advice."""
    for scaled in (False, True):
        table = family.table(Facts(kind=kind, scaled=scaled))
        assert 3 <= len(table.experts) <= 6
        for expert in table.experts:
            missing = {row.name for row in table.ranges if row.start} - {*expert.params}
            assert not missing, expert.reason
            for row in table.ranges:
                if row.name in expert.params and row.start:
                    one = SearchSpace({row.name: row.distribution})
                    assert one.contains({row.name: expert.params[row.name]}), (expert.reason, row.name)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # some of its classes are deprecated
def test_every_estimator_of_sklearn_gets_a_prior_or_an_empty_one() -> None:
    found = 0
    for _, cls in all_estimators(type_filter=["classifier", "regressor"]):
        try:
            estimator = cls()
        except TypeError:  # needs an inner estimator
            continue
        prior = prior_for(estimator)
        if len(prior.space):
            well_formed(prior)
            found += 1
            first = prior.space.with_fixed(prior.configurations[0][0])
            estimator.set_params(**decoded(first, prior.space.objects))
    assert found > 60


SMALL = 60
FITTED = [name for family in FAMILIES if family.packages == ("sklearn",) for name in family.classes]


# by name: to list all classes imports all of scikit-learn, in each process that only collects the tests
@pytest.mark.parametrize("name", FITTED)
def test_what_a_prior_proposes_can_be_fitted(name: str) -> None:
    """Each expert configuration and some of the space's corners, without a deprecated or a refused value."""
    estimator = dict(all_estimators())[name]()
    make = make_regression if isinstance(estimator, RegressorMixin) else make_classification
    X, y = make(n_samples=SMALL, n_features=6, random_state=0)
    model = make_pipeline(StandardScaler(), estimator)
    prior = prior_for(model, described(SMALL, 6))
    rng = np.random.default_rng(0)
    tried = [params for params, _ in prior.configurations] + [prior.space.sample(rng) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", FutureWarning)
        for params in tried:
            quick = {
                name: min(value, 3) if name.endswith(("n_estimators", "max_iter")) else value
                for name, value in decoded(prior.space.with_fixed(params), prior.space.objects).items()
            }
            clone(model).set_params(**quick).fit(X, y)


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_what_a_prior_proposes_can_be_fitted_by_the_real_libraries(package: str, kind: str) -> None:
    library = pytest.importorskip(package)
    cls = getattr(library, {"lightgbm": "LGBM", "xgboost": "XGB"}[package] + kind)
    quiet = {"verbose": -1} if package == "lightgbm" else {}
    estimator = cls(n_jobs=1, random_state=0, **quiet)
    X, y = (make_regression if kind == "Regressor" else make_classification)(
        n_samples=SMALL, n_features=6, random_state=0
    )
    prior = prior_for(estimator, described(SMALL, 6))
    well_formed(prior)
    for params, _ in prior.configurations:
        quick = prior.space.with_fixed({**params, "n_estimators": 10})
        clone(estimator).set_params(**quick).fit(X, y)


def test_lightgbms_first_configurations_bring_most_of_the_gain() -> None:
    """Breast cancer by log loss: the default overfits, and slow learning with small trees does not."""
    lightgbm = pytest.importorskip("lightgbm")
    X, y = load_breast_cancer(return_X_y=True)
    estimator = lightgbm.LGBMClassifier(n_jobs=1, random_state=0, verbose=-1)
    prior = prior_for(estimator, described(*X.shape, (0.37, 0.63), "neg_log_loss"))
    cv = StratifiedKFold(5, shuffle=True, random_state=1)

    def score(params: dict[str, Any]) -> float:
        model = clone(estimator).set_params(**params)
        return float(cross_val_score(model, X, y, scoring="neg_log_loss", cv=cv).mean())

    default = score({})
    first = score(prior.space.with_fixed(prior.configurations[0][0]))
    assert first > default + 0.015


# --- informed by the task and by the user ---------------------------------------------------------------


def test_ranges_follow_the_number_of_rows() -> None:
    few, many = (
        prior_for(lookalike("LGBMClassifier", "lightgbm"), described(n, 10)).space for n in (200, 100_000)
    )
    assert few["num_leaves"].high == 20  # type: ignore[attr-defined]
    assert many["num_leaves"].high == 512  # type: ignore[attr-defined]
    assert few["min_child_samples"].high == 10  # type: ignore[attr-defined]
    assert many["min_child_samples"].high == 200  # type: ignore[attr-defined]
    assert few["n_estimators"].high < many["n_estimators"].high  # type: ignore[attr-defined]
    assert prior_for(KNeighborsClassifier(), described(40, 3)).space["n_neighbors"].high == 10  # type: ignore[attr-defined]
    wide = prior_for(RandomForestClassifier(), described(500, 400)).space["max_features"]
    assert wide.log  # type: ignore[attr-defined]
    first = [
        prior_for(lookalike("LGBMClassifier", "lightgbm"), described(n, 10)).configurations[0]
        for n in (200, 50_000)
    ]
    assert first[0][0]["num_leaves"] < first[1][0]["num_leaves"]


def test_class_weights_are_searched_where_they_can_pay() -> None:
    rare, even = (0.95, 0.05), (0.5, 0.5)
    for estimator in (
        RandomForestClassifier(),
        LogisticRegression(),
        lookalike("LGBMClassifier", "lightgbm"),
    ):
        assert "class_weight" in prior_for(estimator, described(500, 5, rare)).space
        assert "class_weight" not in prior_for(estimator, described(500, 5, even)).space
        assert "class_weight" not in prior_for(estimator, described(500, 5, (0.1,) * 10)).space
        assert "class_weight" not in prior_for(estimator, described(500, 5, rare, "neg_log_loss")).space
        assert "class_weight" in prior_for(estimator, described(500, 5, even)).limits  # may be added
    weights = [
        p["class_weight"]
        for p, _ in prior_for(RandomForestClassifier(), described(500, 5, rare)).configurations
    ]
    assert {None, "balanced"} == {*weights}
    own = RandomForestClassifier(class_weight={0: 1, 1: 9})
    assert "class_weight" not in prior_for(own, described(500, 5, rare)).limits


def test_lightgbm_sampling_of_rows_is_switched_on() -> None:
    prior = prior_for(lookalike("LGBMRegressor", "lightgbm"))
    assert "subsample" in prior.space
    assert prior.outer["learning_rate"].high == 1.0  # type: ignore[attr-defined]
    assert prior.limits["max_depth"] == (1, 64)  # left alone, but bounded where a proposer adds it
    assert "max_depth" not in prior.outer
    assert prior.space.fixed == {"subsample_freq": 1}
    assert prior.space.with_fixed(prior.configurations[0][0])["subsample_freq"] == 1
    assert prior_for(lookalike("LGBMRegressor", "lightgbm", subsample_freq=5)).space.fixed == {
        "subsample_freq": 5
    }
    for goss in ({"boosting_type": "goss"}, {"data_sample_strategy": "goss"}):
        prior = prior_for(lookalike("LGBMRegressor", "lightgbm", **goss))
        assert "subsample" not in prior.outer
        assert prior.space.fixed == {}


def test_what_the_user_has_set_is_respected() -> None:
    shallow = prior_for(lookalike("LGBMClassifier", "lightgbm", max_depth=3), described(50_000, 20))
    assert shallow.space["num_leaves"].high == 8  # type: ignore[attr-defined]
    linear = prior_for(lookalike("XGBClassifier", "xgboost", booster="gblinear"))
    assert {*linear.space} == {"learning_rate", "n_estimators", "reg_lambda", "reg_alpha"}
    assert (
        "bagging_temperature" not in prior_for(lookalike("CatBoost", "catboost", bootstrap_type="MVS")).outer
    )
    poly = prior_for(SVC(kernel="poly")).space
    assert "kernel" not in poly
    assert "degree" in poly
    assert {*prior_for(SVC(kernel="linear")).space} == {"C"}
    deep = prior_for(MLPClassifier(hidden_layer_sizes=(64, 64), solver="sgd")).space
    assert "hidden_layer_sizes" not in deep
    assert "solver" not in deep
    liblinear = prior_for(LogisticRegression(solver="liblinear", max_iter=4000)).space
    assert {*liblinear} == {"C"}
    assert liblinear.fixed == {"max_iter": 4000}


def test_parameters_set_under_an_alias_are_searched_under_it() -> None:
    prior = prior_for(
        lookalike("LGBMClassifier", "lightgbm", num_iterations=300, bagging_fraction=0.9, bagging_freq=2)
    )
    assert {"num_iterations", "bagging_fraction"} <= {*prior.space}
    assert not {"n_estimators", "subsample"} & {*prior.outer}
    assert prior.space.fixed == {"bagging_freq": 1}
    assert prior.configurations[0][0]["num_iterations"] == 300
    assert prior.inert({"bagging_fraction": 0.5, "bagging_freq": 0}) == {
        "bagging_fraction": "rows are sampled only with subsample_freq of at least 1"
    }
    cat = prior_for(lookalike("CatBoostClassifier", "catboost", n_estimators=500, max_depth=4)).space
    assert {"n_estimators", "max_depth"} <= {*cat}
    assert not {"iterations", "depth"} & {*cat}


def test_a_scaler_decides_how_gamma_is_searched() -> None:
    scaled = prior_for(make_pipeline(StandardScaler(), SVR()), described(500, 50)).space
    assert scaled["svr__gamma"].log  # type: ignore[attr-defined]
    assert scaled["svr__gamma"].low < 1 / 50 < scaled["svr__gamma"].high  # type: ignore[attr-defined]
    assert "svr__kernel" in scaled
    inner = Pipeline([("prepare", ColumnTransformer([("a", StandardScaler(), [0])])), ("model", SVR())])
    assert prior_for(inner).space["model__gamma"].log  # type: ignore[attr-defined]
    assert prior_for(SVR()).space["gamma"].choices[0] == "scale"  # type: ignore[attr-defined]


def test_logistic_regression_works_with_and_without_penalty() -> None:
    """Up to scikit-learn 1.7 the elastic net needs its penalty, from 1.8 on naming one is deprecated."""
    old = lookalike(
        "LogisticRegression", "sklearn", C=1.0, penalty="l2", l1_ratio=None, solver="lbfgs", max_iter=100
    )
    prior = prior_for(old)
    well_formed(prior)
    saga = prior.space.with_fixed({"C": 1.0, "solver": "saga", "l1_ratio": 0.5})
    assert saga["penalty"] == "elasticnet"
    assert "penalty" not in prior.space.with_fixed({"C": 1.0, "solver": "lbfgs"})
    new = lookalike(
        "LogisticRegression",
        "sklearn",
        C=1.0,
        penalty="deprecated",
        l1_ratio=0.0,
        solver="lbfgs",
        max_iter=100,
    )
    assert prior_for(new).space.fixed == {"max_iter": 1000}


# --- where the parameters are ---------------------------------------------------------------------------

NESTED = {
    "m__C": Pipeline([("s", StandardScaler()), ("m", LogisticRegression())]),
    "regressor__m__max_features": TransformedTargetRegressor(
        Pipeline([("s", StandardScaler()), ("m", RandomForestRegressor())])
    ),
    "estimator__loss": CalibratedClassifierCV(LinearSVC()),
    "outer__estimator__C": Pipeline([("outer", OneVsRestClassifier(SVC()))]),
    "estimator__max_depth": AdaBoostClassifier(DecisionTreeClassifier()),
    "b__min_samples_leaf": StackingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier())]),
    "m__alpha": Pipeline([("m", Ridge()), ("off", "passthrough")]),
}


@pytest.mark.parametrize("name", NESTED)
def test_parameters_are_found_inside(name: str) -> None:
    estimator = NESTED[name]
    prior = prior_for(estimator, described(200, 8))
    well_formed(prior)
    assert name in prior.space
    for params, _ in prior.configurations:
        clone(estimator).set_params(**prior.space.with_fixed(params))


def test_what_is_inside_is_informed_and_explained_too() -> None:
    pipe = make_pipeline(StandardScaler(), lookalike("LGBMClassifier", "lightgbm"))
    prior = prior_for(pipe, described(200, 4))
    name = next(iter(prior.space)).partition("__")[0]
    assert prior.space[f"{name}__num_leaves"].high == 20  # type: ignore[attr-defined]
    assert prior.space.fixed == {f"{name}__subsample_freq": 1}
    assert prior.inert({f"{name}__subsample": 0.5}) == {}  # the fixed frequency counts
    assert [*inert(pipe, {f"{name}__subsample": 0.5})] == [f"{name}__subsample"]
    both = prior_for(NESTED["b__min_samples_leaf"])
    assert both.family == "LogisticRegression + RandomForest"
    assert pickle.loads(pickle.dumps(both)) == both


def test_subclasses_belong_to_their_parents_family() -> None:
    class Mine(RandomForestClassifier):
        pass

    assert prior_for(Mine()).family == "RandomForest"
    theirs = lookalike("LGBMClassifier", "lightgbm")
    child = type("Tuned", (type(theirs),), {})()
    assert prior_for(child).family == "LightGBM"
    assert (
        prior_for(lookalike("LGBMClassifier", "mypackage", depth=3)).family == "LGBMClassifier"
    )  # only by name


def test_priors_import_none_of_the_libraries() -> None:
    code = (
        "import sys; from sllmbo_magic.priors import FAMILIES, Facts\n"
        "[f.table(Facts()) for f in FAMILIES]\n"
        "print(sorted({'sklearn', 'lightgbm', 'xgboost', 'catboost', 'pandas', 'torch'} & {*sys.modules}))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


# --- unknown estimators ---------------------------------------------------------------------------------


class Strange(RegressorMixin, BaseEstimator):
    """Somebody's estimator, without declared constraints."""

    def __init__(
        self, ridge=0.01, width=20, share_ratio=0.5, robust=True, name="x", hook=None, n_jobs=1, zero=0.0
    ):  # type: ignore[no-untyped-def]
        for key, value in list(locals().items())[1:]:
            setattr(self, key, value)


def test_an_unknown_estimator_is_read_from_its_signature() -> None:
    prior = prior_for(Strange())
    well_formed(prior)
    assert {*prior.space} == {"ridge", "width", "share_ratio", "robust", "zero"}
    assert prior.space["ridge"].log  # type: ignore[attr-defined]
    assert prior.space["ridge"].low < 0.01 < prior.space["ridge"].high  # type: ignore[attr-defined]
    assert prior.space["width"].low == 2  # type: ignore[attr-defined]
    assert prior.space["share_ratio"].high == 1.0  # type: ignore[attr-defined]
    assert prior.space["zero"].low > 0  # type: ignore[attr-defined]
    assert len(prior.configurations) >= 3
    assert prior_for(Strange).space == prior.space  # a class stands for its defaults


def test_an_unknown_estimator_of_sklearn_is_read_from_its_constraints() -> None:
    prior = prior_for(GaussianNB())
    assert [*prior.space] == ["var_smoothing"]
    assert prior.space["var_smoothing"].log  # type: ignore[attr-defined]
    assert prior.sources["var_smoothing"] == "scikit-learn's declared parameter constraints"
    from sklearn.svm import NuSVC

    kernels = prior_for(NuSVC()).space["kernel"].choices  # type: ignore[attr-defined]
    assert "rbf" in kernels
    assert "precomputed" not in kernels


def test_nothing_to_search_is_an_empty_prior_and_no_estimator_an_error() -> None:
    prior = prior_for(LinearRegression())
    assert len(prior.space) == 0
    assert prior.configurations == ()
    with pytest.raises(InputError, match="no get_params"):
        prior_for(object())
    with pytest.raises(InputError, match="needs arguments"):
        prior_for(OneVsRestClassifier)


# --- parameters without effect --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "params", "without"),
    [
        (lookalike("LGBMClassifier", "lightgbm"), {"subsample": 0.5}, {"subsample"}),
        (lookalike("LGBMClassifier", "lightgbm"), {"subsample": 0.5, "subsample_freq": 1}, set()),
        (lookalike("LGBMClassifier", "lightgbm"), {"bagging_fraction": 0.5}, {"bagging_fraction"}),
        (lookalike("LGBMClassifier", "lightgbm"), {"bagging_fraction": 0.5, "bagging_freq": 1}, set()),
        (lookalike("LGBMClassifier", "lightgbm"), {"num_leaves": 33, "max_depth": 5}, {"num_leaves"}),
        (lookalike("LGBMClassifier", "lightgbm"), {"num_leaves": 32, "max_depth": 5}, set()),
        (lookalike("LGBMClassifier", "lightgbm"), {"num_leaves": 8, "max_depth": 9}, {"max_depth"}),
        (lookalike("LGBMClassifier", "lightgbm"), {"num_leaves": 31, "max_depth": -1}, set()),
        (
            lookalike("XGBClassifier", "xgboost", booster="gblinear"),
            {"max_depth": 3, "reg_alpha": 1},
            {"max_depth"},
        ),
        (HistGradientBoostingClassifier(), {"max_leaf_nodes": 31, "max_depth": 3}, {"max_leaf_nodes"}),
        (RandomForestClassifier(), {"min_samples_split": 10, "min_samples_leaf": 5}, {"min_samples_split"}),
        (RandomForestClassifier(), {"min_samples_split": 11, "min_samples_leaf": 5}, set()),
        (RandomForestClassifier(bootstrap=False), {"max_samples": 0.5}, {"max_samples"}),
        (SVC(kernel="linear"), {"gamma": 0.1, "C": 1, "degree": 2}, {"gamma", "degree"}),
        (SVC(), {"gamma": 0.1, "kernel": "poly", "degree": 2, "coef0": 1.0}, set()),
        (SGDClassifier(), {"l1_ratio": 0.3, "eta0": 0.1}, {"l1_ratio", "eta0"}),
        (SGDClassifier(), {"l1_ratio": 0.3, "penalty": "elasticnet"}, set()),
        (LogisticRegression(), {"l1_ratio": 0.3, "C": 1.0}, {"l1_ratio"}),
        (MLPClassifier(), {"momentum": 0.5, "beta_1": 0.8, "learning_rate_init": 0.1}, {"momentum"}),
        (MLPClassifier(solver="lbfgs"), {"learning_rate_init": 0.1, "alpha": 1.0}, {"learning_rate_init"}),
        (MLPClassifier(solver="sgd"), {"power_t": 0.4, "momentum": 0.5}, {"power_t"}),
        (MLPClassifier(solver="sgd", learning_rate="invscaling"), {"power_t": 0.4}, set()),
        (KNeighborsClassifier(metric="cosine"), {"p": 1, "n_neighbors": 3}, {"p"}),
        (ElasticNet(), {"alpha": 1.0, "l1_ratio": 0.5}, set()),
        (GradientBoostingRegressor(), {"tol": 0.1, "max_depth": 3}, {"tol"}),
        (GradientBoostingRegressor(), {"alpha": 0.8, "max_depth": 3}, {"alpha"}),
        (GradientBoostingRegressor(loss="huber"), {"alpha": 0.8}, set()),
    ],
)
def test_parameters_without_effect_are_named_with_the_reason(
    estimator: Any, params: dict[str, Any], without: set[str]
) -> None:
    found = inert(estimator, params)
    assert {*found} == without
    assert all(len(why) > 10 for why in found.values())
    assert {*inert(Pipeline([("m", estimator)]), {f"m__{k}": v for k, v in params.items()})} == {
        f"m__{n}" for n in without
    }


def test_inert_parameters_really_have_no_effect() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    X, y = make_classification(300, 8, random_state=0)

    def predictions(estimator: Any, **params: Any) -> np.ndarray:
        return np.asarray(clone(estimator).set_params(**params).fit(X, y).predict_proba(X))

    boosted = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, random_state=0, n_jobs=1)
    forest = RandomForestClassifier(5, random_state=0)
    for estimator, same, other in (
        (boosted, {"subsample": 0.5}, {"subsample": 1.0}),
        (boosted, {"num_leaves": 9, "max_depth": 3}, {"num_leaves": 31, "max_depth": 3}),
        (boosted, {"num_leaves": 4, "max_depth": 4}, {"num_leaves": 4, "max_depth": -1}),
        (
            forest,
            {"min_samples_leaf": 5, "min_samples_split": 10},
            {"min_samples_leaf": 5, "min_samples_split": 2},
        ),
    ):
        assert inert(estimator, same)
        assert (predictions(estimator, **same) == predictions(estimator, **other)).all()
    assert (predictions(boosted, subsample=0.5, subsample_freq=1) != predictions(boosted)).any()


@pytest.mark.parametrize(
    ("estimator", "default", "searched"),
    [
        (LogisticRegression, 100, 1000),
        (Lasso, 1000, 10_000),
        (ElasticNet, 1000, 10_000),
        (LinearSVC, 1000, 5000),
        (MLPClassifier, 200, 500),
    ],
)
def test_the_users_own_number_of_iterations_stays(estimator: Any, default: int, searched: int) -> None:
    assert estimator().max_iter == default
    assert prior_for(estimator()).space.fixed["max_iter"] == searched
    for own in (7, default + 1, 20_000):
        assert prior_for(estimator(max_iter=own)).space.fixed["max_iter"] == own


def test_the_penalty_of_a_perceptron_has_room() -> None:
    alpha = prior_for(MLPRegressor()).space["alpha"]
    assert (alpha.low, alpha.high) == (1e-6, 100.0)  # type: ignore[attr-defined]

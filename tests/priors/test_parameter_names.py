"""A misspelt parameter is named before the first fit, also where ``**kwargs`` would swallow it."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.base import ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.priors import FAMILIES
from sllmbo_magic.priors import check_params

X, y = make_classification(80, 5, random_state=0)


class Swallowing(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Takes any keyword, as CatBoost and others do, and knows only what was set."""

    def __init__(self, depth: int | None = None, **others: Any) -> None:
        self.depth = depth
        self.others = others

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {**({} if self.depth is None else {"depth": self.depth}), **self.others}

    def set_params(self, **params: Any) -> Any:
        self.depth = params.pop("depth", self.depth)
        self.others |= params
        return self

    def fit(self, X: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.repeat(self.classes_[0], len(X))


def model_of(name: str) -> Any:
    package, _, cls = name.partition(".")
    return getattr(pytest.importorskip(package), cls)(n_jobs=1)


@pytest.mark.parametrize(
    ("name", "misspelt", "meant"),
    [
        ("lightgbm.LGBMClassifier", "n_leaves", "num_leaves"),
        ("lightgbm.LGBMClassifier", "max_dept", "max_depth"),
        ("lightgbm.LGBMClassifier", "feature_fractoin", "feature_fraction"),
        ("xgboost.XGBClassifier", "max_dept", "max_depth"),
        ("xgboost.XGBClassifier", "colsample_by_tree", "colsample_bytree"),
    ],
)
@pytest.mark.parametrize("door", ["tune", "search", "pipeline"])
def test_a_misspelt_name_is_refused_with_the_one_that_is_meant(
    name: str, misspelt: str, meant: str, door: str
) -> None:
    model = model_of(name)
    prefix = ""
    if door == "pipeline":
        model = make_pipeline(StandardScaler(), model)
        prefix = f"{model.steps[-1][0]}__"
    space = {prefix + misspelt: (2, 4)}
    search = SLLMBOSearchCV(model, search_space=space)
    run = partial(search.fit, X, y) if door == "search" else partial(tune, model, X, y, search_space=space)
    with pytest.raises(InputError, match=re.escape(f"Did you mean '{prefix}{meant}'?")):
        run()


def test_any_estimator_that_takes_keywords() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'depth'?"):
        check_params(Swallowing(), ["dept"])
    check_params(Swallowing(), ["depth", "something_else"])
    check_params(make_pipeline(StandardScaler(), Swallowing()), ["swallowing__depth"])
    result = tune(Swallowing(), X, y, search_space={"depth": (2, 4)}, n_trials=2, folder="", verify=False)
    assert result.trials[1].params["depth"] in (2, 3, 4)
    with pytest.raises(InputError, match=r"has no parameter 'max_dept'. Did you mean 'max_depth'?"):
        check_params(DecisionTreeClassifier(), ["max_dept"])
    with pytest.raises(InputError, match=r"Did you mean 'logisticregression__C'?"):
        check_params(make_pipeline(LogisticRegression()), ["logisticregresion__C"])


@pytest.mark.parametrize(
    ("name", "ignored", "used"),
    [
        ("lightgbm.LGBMClassifier", "num_leaf", "num_leaves"),
        ("lightgbm.LGBMClassifier", "eta", "learning_rate"),
        ("lightgbm.LGBMClassifier", "l1_regularization", "reg_alpha"),
        ("lightgbm.LGBMClassifier", "min_data_per_leaf", "min_child_samples"),
        ("xgboost.XGBClassifier", "num_boost_round", "n_estimators"),
    ],
)
def test_a_name_that_the_library_ignores_is_refused(name: str, ignored: str, used: str) -> None:
    with pytest.raises(InputError, match=f"ignores '{ignored}' beside '{used}'. Search '{used}'."):
        tune(model_of(name), X, y, search_space={ignored: (2, 4)}, folder="")


ALIASES = [
    (package, cls, alias)
    for package, cls in (("lightgbm", "LGBMClassifier"), ("xgboost", "XGBClassifier"))
    for family in FAMILIES
    if cls in family.classes
    for aliases in family.aliases.values()
    for alias in aliases
]


@pytest.mark.parametrize(("package", "cls", "alias"), ALIASES)
def test_every_alias_that_a_prior_searches_has_an_effect(package: str, cls: str, alias: str) -> None:
    library = pytest.importorskip(package)
    quiet = {"verbose": -1} if package == "lightgbm" else {}

    def predicted(**params: Any) -> Any:
        more = {"subsample": 0.5} if alias == "bagging_freq" else {}
        more = {"subsample_freq": 1} if alias in ("bagging_fraction", "bagging", "sub_row") else more
        model = getattr(library, cls)(n_jobs=1, random_state=0, **quiet, **more)
        return model.set_params(**params).fit(X, y).predict_proba(X)

    values = {"min_data_in_bin": 50}
    strong: Any = values.get(alias)
    if strong is None:
        whole = ("num", "min_data", "max_bin", "bagging_freq", "min_samples", "max_leaf", "max_leaves")
        strong = 2 if alias in ("max_bins",) else 7 if alias.startswith(whole) else 0.3
        strong = 30 if ("min_" in alias and "data" in alias) or alias == "min_samples_leaf" else strong
        strong = 9.0 if "l1" in alias or "l2" in alias or alias in ("lambda", "alpha") else strong
        strong = 3.0 if "gain" in alias or "loss" in alias else strong
        strong = 1 if alias == "bagging_freq" else strong
        strong = 0.01 if alias == "eta" else strong
    assert not np.allclose(predicted(), predicted(**{alias: strong})), alias


def test_catboosts_parameters_are_there_though_it_lists_only_what_is_set() -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False)
    check_params(model, ["depth", "learning_rate", "l2_leaf_reg", "rsm"])
    with pytest.raises(InputError, match=r"Did you mean 'depth'?"):
        check_params(model, ["dept"])


@pytest.mark.parametrize(
    ("model", "written", "meant"),
    [
        (SVC(), "c", "C"),
        (SVC(), "Gamma", "gamma"),
        (make_pipeline(StandardScaler(), SVC()), "C", "svc__C"),
        (make_pipeline(StandardScaler(), SVC()), "SVC__C", "svc__C"),
        (make_pipeline(StandardScaler(), SVC()), "c", "svc__C"),
    ],
)
def test_a_name_in_another_case_or_without_its_step_has_the_one_that_is_meant(
    model: Any, written: str, meant: str
) -> None:
    with pytest.raises(InputError, match=f"Did you mean '{meant}'"):
        check_params(model, [written])

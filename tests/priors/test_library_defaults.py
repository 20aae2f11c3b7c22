"""The documented defaults are those of the installed libraries."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic.priors import library_defaults
from sllmbo_magic.priors import prior_for
from sllmbo_magic.priors import real_values

X, y = make_classification(200, 6, n_informative=4, random_state=0)


def flat(node: Any) -> dict[str, str]:
    """Every leaf of XGBoost's configuration by its last key."""
    found: dict[str, str] = {}
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            found |= flat(value)
        else:
            found[str(key)] = value
    return found


@pytest.mark.parametrize("name", ["XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"])
@pytest.mark.parametrize("booster", [None, "gblinear"])
def test_xgboosts(name: str, booster: str | None) -> None:
    xgboost = pytest.importorskip("xgboost")
    if booster is not None and "RF" in name:
        pytest.skip("a forest has no linear booster")
    estimator = getattr(xgboost, name)(n_jobs=1, booster=booster)
    values = real_values(estimator)
    booster_ = estimator.fit(X, y).get_booster()
    used = flat(json.loads(booster_.save_config())["learner"]["gradient_booster"])
    documented = (
        library_defaults.xgboost_forest(estimator.get_params())
        if "RF" in name
        else library_defaults.xgboost(estimator.get_params())
    )
    compared = 0
    for parameter in documented:
        if parameter in used and parameter not in ("booster", "n_estimators"):
            value = values[parameter]
            if isinstance(value, str):
                assert used[parameter] == value, parameter
            else:
                assert float(used[parameter]) == pytest.approx(value, abs=1e-7), parameter
            compared += 1
    assert compared == len(set(documented) & set(used))
    assert compared >= (3 if booster else 12)
    rounds = int(used["num_parallel_tree"]) if "RF" in name else booster_.num_boosted_rounds()
    assert rounds == values["n_estimators"]


def test_lightgbms() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    estimator = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1)
    text = estimator.fit(X, y).booster_.model_to_string()
    lines = text[text.index("parameters:") : text.index("end of parameters")].splitlines()
    used = dict(line.strip("[]").split(": ", 1) for line in lines if line.startswith("[") and ": " in line)
    documented = library_defaults.lightgbm(estimator.get_params())
    assert set(documented) <= set(used)
    for parameter, value in documented.items():
        assert used[parameter] == (value if isinstance(value, str) else f"{float(value or 0):g}"), parameter


def test_catboosts() -> None:
    catboost = pytest.importorskip("catboost")
    estimator = catboost.CatBoostRegressor(allow_writing_files=False, verbose=False, thread_count=1)
    used = estimator.fit(X, y).get_all_params()
    for parameter, value in library_defaults.catboost(estimator.get_params()).items():
        assert used[parameter] == value, parameter


@pytest.mark.parametrize(
    "name", ["xgboost.XGBClassifier", "xgboost.XGBRFClassifier", "lightgbm.LGBMClassifier"]
)
def test_a_penalty_that_counts_as_off_changes_nothing(name: str) -> None:
    package, _, cls = name.partition(".")
    library = pytest.importorskip(package)
    quiet = {"verbose": -1} if package == "lightgbm" else {}
    estimator = getattr(library, cls)(n_jobs=1, random_state=0, **quiet)
    off = prior_for(estimator).off
    assert off
    for parameter, value in off.items():
        both = [estimator.set_params(**{parameter: one}).fit(X, y).predict_proba(X) for one in (0.0, value)]
        np.testing.assert_allclose(both[0], both[1], atol=2e-3, err_msg=parameter)
        estimator.set_params(**{parameter: real_values(getattr(library, cls)())[parameter]})


def test_a_penalty_of_histogram_boosting_that_counts_as_off_changes_nothing() -> None:
    off = prior_for(HistGradientBoostingRegressor()).off
    assert off == {"l2_regularization": 1e-6}
    both = [HistGradientBoostingRegressor(random_state=0, **p).fit(X, y).predict(X) for p in ({}, off)]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_what_the_user_has_set_is_real() -> None:
    xgboost = pytest.importorskip("xgboost")
    values = real_values(make_pipeline(StandardScaler(), xgboost.XGBClassifier(max_depth=2)))
    assert (values["xgbclassifier__max_depth"], values["xgbclassifier__learning_rate"]) == (2, 0.3)
    assert real_values(DecisionTreeClassifier())["max_depth"] is None, "no limit, which means something"
    assert real_values(xgboost.XGBClassifier(eta=0.01))["eta"] == 0.01
    assert "learning_rate" not in real_values(xgboost.XGBClassifier(eta=0.01)) or (
        real_values(xgboost.XGBClassifier(eta=0.01))["learning_rate"] is None
    )

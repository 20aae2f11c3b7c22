"""The one table: help, documentation and ``tune`` agree with it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.magic.command_table import COMMANDS
from sllmbo_magic.magic.help import docs_page
from sllmbo_magic.magic.help import help_text
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options import DEFAULT
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import UNCHANGED
from sllmbo_magic.options import Default
from sllmbo_magic.options import explicit
from sllmbo_magic.options import preset_values
from sllmbo_magic.sklearn_api.search_cv import TUNE_OPTIONS
from sllmbo_magic.tuning.planning import make_plan
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.tune import plan

PARAMETERS = inspect.signature(tune).parameters
ONLY_IN_PYTHON = {
    # objects of the notebook, or of the caller
    *("name", "groups", "sample_weight", "fit_params", "X_test", "y_test", "search_space", "enqueue"),
    *("study", "callbacks", "sinks", "control", "evaluator", "folder", "taken", "ask", "verify"),
}


def test_tune_has_the_options_with_their_defaults() -> None:
    keywords = {n: p.default for n, p in PARAMETERS.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    positional = [n for n, p in PARAMETERS.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional[1:] == ["X", "y"]
    assert set(keywords) == set(BY_ARGUMENT) | ONLY_IN_PYTHON
    for name, option in BY_ARGUMENT.items():
        assert isinstance(keywords[name], Default), f"write {name}: ... = DEFAULT.{name}"
        assert keywords[name] == option.default
        assert repr(keywords[name]) == repr(option.default), "a signature reads as usual"


def test_settings_have_the_types_of_tune_and_the_defaults_of_the_table() -> None:
    for name in Settings.names():
        if name == "seed":  # tune draws one
            continue
        assert Settings.__annotations__[name] == PARAMETERS[name].annotation, name
        assert getattr(Settings(), name) == BY_ARGUMENT[name].default


def test_every_option_of_tune_is_a_setting_of_the_run_or_of_the_task() -> None:
    """None is forgotten on the way from the signature to the plan."""
    task = set(inspect.signature(make_plan).parameters)
    run = {"executor", "join", "resume", "storage", "warm_start", "seed"}
    assert set(BY_ARGUMENT) == (set(Settings.names()) | (task & set(BY_ARGUMENT)) | run)


def test_the_search_passes_on_every_setting_that_is_not_its_own() -> None:
    own = set(inspect.signature(SLLMBOSearchCV).parameters)
    assert set(Settings.names()) - own - set(TUNE_OPTIONS) == {
        *("pruner", "early_stopping_rounds", "devices", "seed"),
    }, "scikit-learn fits all folds of a candidate, and random_state is the seed"
    assert set(TUNE_OPTIONS) <= set(PARAMETERS)
    for name in own & set(BY_ARGUMENT):
        changed_by_preset = BY_ARGUMENT[name].paper not in (UNCHANGED, BY_ARGUMENT[name].default)
        default = inspect.signature(SLLMBOSearchCV).parameters[name].default
        assert default is None or not changed_by_preset, f"an explicit {name} could not win over a preset"


# ---- an explicit value wins over a preset, also one that is the default

EXPLICIT = {
    name: BY_ARGUMENT[name].default
    for name, value in preset_values("paper").items()
    if value != BY_ARGUMENT[name].default
}


SPACE = {"x": (-1.0, 1.0)}


def bowl(params: dict[str, Any]) -> float:
    return float(params["x"] ** 2)


@pytest.mark.parametrize("name", EXPLICIT)
def test_an_explicit_default_wins_over_a_preset_in_tune(name: str) -> None:
    made = plan(bowl, direction="minimize", search_space=SPACE, preset="paper", **{name: EXPLICIT[name]})
    for other, value in preset_values("paper").items():
        expected = EXPLICIT[name] if other == name else value
        assert getattr(made.settings, other) == expected, other


def options_of(result: TuneResult) -> dict[str, Any]:
    """The options of a run as its folder has them."""
    assert result.path is not None
    return dict(json.loads((result.path / "run.json").read_text(encoding="utf-8"))["options"])


def test_the_values_in_force_are_those_of_the_preset_and_the_explicit_ones() -> None:
    result = tune(
        bowl,
        direction="minimize",
        search_space=SPACE,
        preset="paper",
        n_trials=2,
        seed=0,
        judge=True,
        schedule="adaptive",
        patience="off",
        name="explicit",
    )
    options = options_of(result)
    assert (options["judge"], options["schedule"], options["patience"]) == (True, "adaptive", "off")
    assert (options["multivariate"], options["candidates"]) == (False, 1), (
        "the preset's, where nothing is said"
    )


def test_the_search_lets_an_explicit_value_win() -> None:
    X, y = load_iris(return_X_y=True)
    space = {"max_depth": (1, 5)}
    paper = {"preset": "paper", "judge": True}
    for patience, expected in ((None, 5), ("off", "off"), (3, 3)):
        search = SLLMBOSearchCV(
            DecisionTreeClassifier(random_state=0),
            n_trials=2,
            cv=2,
            search_space=space,
            patience=patience,
            tune_options=paper,
            name="search",
            random_state=0,
        ).fit(X, y)
        options = options_of(search.result_)
        assert (options["patience"], options["judge"], options["candidates"]) == (expected, True, 1)
        assert clone(search).get_params()["patience"] == patience


def test_a_default_is_told_apart_from_the_same_value() -> None:
    arguments = {"judge": DEFAULT.judge, "n_trials": 50, "seed": DEFAULT.seed, "name": None}
    assert explicit(arguments) == {"n_trials": 50, "name": None}
    assert DEFAULT.n_trials == 50
    assert DEFAULT.n_trials == DEFAULT.n_trials
    assert DEFAULT.n_trials != 49
    with pytest.raises(AttributeError):
        _ = DEFAULT.no_such_argument


def test_the_documentation_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "options.md"
    assert page.read_text(encoding="utf-8") == docs_page(), (
        "python -m sllmbo_magic.magic.help > docs/options.md"
    )


def test_help_names_every_option_and_command() -> None:
    text = help_text()
    for option in OPTIONS:
        assert all(spelling in text for spelling in option.spellings)
        assert option.help in text
    for command in COMMANDS:
        assert f"%sllmbo {command.name}" in text
        assert command.help in text


def test_no_spelling_is_used_twice() -> None:
    spellings = [s for option in OPTIONS for s in option.spellings]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("sampler", "history", "patience"),
    [("llm", "summary", 15), ("llm-tpe", "window", 5), ("tpe", "window", 5)],
)
def test_preset_paper_has_the_settings_of_the_paper(sampler: str, history: str, patience: int) -> None:
    assert preset_values("paper", sampler) == {
        "n_trials": 50,
        "init": "llm",
        "candidates": 1,
        "schedule": "bernoulli",
        "llm_ratio": 0.5,
        "judge": False,
        "multivariate": False,
        "history": history,
        "patience": patience,
    }

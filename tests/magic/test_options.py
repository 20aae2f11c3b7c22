"""The one table: help, documentation and ``tune`` agree with it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sllmbo_magic.magic.help import docs_page
from sllmbo_magic.magic.help import help_text
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options import COMMANDS
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import preset_values

NOT_OPTIONS = {
    # taken from the namespace, or only for Python
    "name",
    "groups",
    "sample_weight",
    "fit_params",
    "X_test",
    "y_test",
    "search_space",
    "study",
    "callbacks",
    "sinks",
    "control",
    "evaluator",
    "folder",
    "enqueue",
    "dynamic_space",
    "permute_scores",
    "verify",
    "taken",
    "ask",
}


def test_tune_has_the_options_and_their_defaults() -> None:
    from sllmbo_magic.tuning import tune

    parameters = inspect.signature(tune).parameters
    keywords = {n: p.default for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    positional = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional[1:] == ["X", "y"]
    assert set(BY_ARGUMENT) <= set(keywords)
    assert set(keywords) - set(BY_ARGUMENT) - NOT_OPTIONS == set()
    assert {n: keywords[n] for n in BY_ARGUMENT} == {n: o.default for n, o in BY_ARGUMENT.items()}


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

"""A cell's line and text become a frozen spec, or one clear line."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import lexer
from sllmbo_magic.magic import values
from sllmbo_magic.magic.spec import misplaced
from sllmbo_magic.magic.spec import parse
from sllmbo_magic.magic.spec import parse_line
from sllmbo_magic.magic.values import Variable
from sllmbo_magic.options import BY_SPELLING
from sllmbo_magic.options import OPTIONS


@pytest.mark.parametrize(
    ("line", "name", "options"),
    [
        ("", "run", {}),
        ("churn", "churn", {}),
        ("churn --trials 30 --metric neg_log_loss", "churn", {"n_trials": 30, "scoring": "neg_log_loss"}),
        ("--n_trials 5 churn", "churn", {"n_trials": 5}),
        ("--llm-ratio 0 --seed 0", "run", {"llm_ratio": 0.0, "seed": 0}),
        ("--llm-ratio=0.25", "run", {"llm_ratio": 0.25}),
        ("--max-tokens 1e5", "run", {"max_tokens": 100_000}),
        ("--timeout 1h30m --trial-timeout 90", "run", {"timeout": 5400.0, "trial_timeout": 90.0}),
        ("--cv {folds} --llm={provider}", "run", {"cv": Variable("folds"), "llm": Variable("provider")}),
        ("""--describe "it's a {thing}" """, "run", {"describe": "it's a {thing}"}),
        (r"""--describe "say \"no\"" """, "run", {"describe": 'say "no"'}),
        ("--describe '--seed'", "run", {"describe": "--seed"}),
        (r"--storage journal:C:\temp\x.log", "run", {"storage": r"journal:C:\temp\x.log"}),
        ("--no-judge", "run", {"judge": False}),
        ("--judge", "run", {"judge": True}),
        ("--resume --dry-run", "run", {"resume": True, "dry_run": True}),
        ("--patience auto", "run", {"patience": "auto"}),
        ("--patience 7", "run", {"patience": 7}),
        ("--direction minimize,maximize", "run", {"direction": ["minimize", "maximize"]}),
        ("--sampler LLM_TPE", "run", {"sampler": "llm-tpe"}),
        ("--n-jobs -1", "run", {"n_jobs": -1}),
    ],
)
def test_a_line_is_read(line: str, name: str, options: dict[str, Any]) -> None:
    assert parse_line(line) == (name, options)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.takes_value], ids=lambda o: o.flag)
def test_the_example_of_every_option_is_accepted(option: Any) -> None:
    assert option.key in parse_line(f"{option.flag} {option.example}")[1]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("--trails 3", ["--trails", "Did you mean '--trials'?", "%sllmbo help"]),
        ("-n 5", ["'-n'", "%sllmbo help"]),
        ("\u2014trials 5", ["Did you mean '--trials'?"]),
        (
            "--sampler tpee",
            ["--sampler", "'tpee'", "Did you mean 'tpe'?", "llm-tpe, llm, tpe, random, gp, cmaes, hyperopt"],
        ),
        ("--patience atuo", ["--patience", "Did you mean 'auto'?", "from 1, auto, off"]),
        ("--llm-ratio -0.1", ["--llm-ratio", "-0.1", "from 0 to 1"]),
        ("--llm-ratio nan", ["--llm-ratio", "from 0 to 1"]),
        ("--n-trials 0", ["--n-trials", "whole number from 1"]),
        ("--n-trials 2.5", ["--n-trials", "2.5"]),
        ("--n-trials inf", ["--n-trials", "inf"]),
        ("--cv 1", ["--cv", "from 2", "{variable}"]),
        ("--n-jobs 0", ["--n-jobs", "-1 for all"]),
        ("--timeout soon", ["--timeout", "'soon'", "10m"]),
        ("--timeout 0", ["--timeout", "10m"]),
        ("--max-cost -1", ["--max-cost", "above 0"]),
        ("--seed", ["--seed needs a value", "--seed 42"]),
        ("--sampler --seed 3", ["--sampler needs a value"]),
        ("--resume=yes", ["--resume takes no value"]),
        ("--cv 3 --cv 5", ["--cv is given twice"]),
        ("--judge --no-judge", ["--judge is given twice"]),
        ('--describe "abc', ['quote "', "not closed"]),
        ("--describe don't", ["quote '", "not closed"]),
        ("--cv {folds", ["'{folds'", "not closed"]),
        ('--describe ""', ["--describe is empty"]),
        ("a b", ["unexpected 'b'", "quotes"]),
        ("churn n_trials=5", ["unexpected 'n_trials=5'", "--n-trials"]),
        ("n_trials=5", ["--n-trials"]),
        ("my-run", ["'my-run'", "Python variable", "'my_run'"]),
        ("3runs", ["'3runs'", "'run_3runs'"]),
        ("class", ["'class'", "'run_class'"]),
        ("model", ["would replace your 'model'", "'model_run'"]),
        ("list", ["would replace your 'list'"]),
    ],
)
def test_a_wrong_line_gets_one_clear_line(line: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse(line, "x = 1")
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    "line",
    [
        "--api-key abcdef123",
        "--llm openai:gpt-4o --openai-api-key=abcdef123",
        "--token abcdef123",
        "--llm sk-proj-abcdef123456789",
        "sk-ant-abcdef123456789",
        "--base-url https://me:abcdef123@server/v1",
        "--base-url https://server/v1?api_key=abcdef123",
        "--describe 'Authorization: Bearer abcdef123456'",
    ],
)
def test_a_typed_key_is_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(InputError, match="keys are never typed into a cell") as caught:
        parse_line(line)
    assert "abcdef123" not in str(caught.value)


def test_words_in_brackets_need_no_quotes() -> None:
    words = lexer.split("""enqueue {"a": 1, 'b': [2, "}"]} next [1, 2]""")
    assert [word.text for word in words] == ["enqueue", """{"a": 1, 'b': [2, "}"]}""", "next", "[1, 2]"]


CELL = '''
"""Churn of phone customers."""
import pandas as pd, os.path
from sklearn.svm import SVC as model
X, (y, *rest) = load()
for cv in folds:
    groups = [inner for inner in cv if (found := inner)]
with open("f") as file:
    scoring: str = "f1"
def objective(trial):
    local = 1
class Own: attribute = 1
data["column"] = 1
'''


def test_the_cell_s_docstring_and_names_are_read() -> None:
    spec = parse("churn", CELL)
    assert spec.docstring == "Churn of phone customers."
    assert spec.assigned == {
        *("pd", "os", "model", "X", "y", "rest", "cv", "groups", "found", "file", "scoring"),
        *("objective", "Own"),
    }


def test_a_cell_that_is_no_python_is_left_to_python_s_own_message() -> None:
    assert parse("", "x = (").assigned == frozenset()


@pytest.mark.parametrize(
    ("cell", "line", "what"),
    [
        ("# tune it\n%%sllmbo churn\nx = 1\n", 2, "a comment"),
        ("\n# a\n# b\n  %%sllmbo\n", 4, "a comment"),
        ("x = 1\n%%sllmbo churn\n", 2, "code"),
        ("%matplotlib inline\n%%sllmbo churn\n", 2, "code"),
    ],
)
def test_a_magic_below_the_first_line_is_said_to_be(cell: str, line: int, what: str) -> None:
    error = misplaced(cell.splitlines(keepends=True))
    assert error is not None
    assert f"line {line} of the cell, below {what}" in str(error)
    assert "first line" in str(error)


@pytest.mark.parametrize(
    "cell",
    [
        "%%sllmbo churn\nx = 1\n",
        "\n\n%%sllmbo churn\nx = 1\n",
        "x = 1\n",
        "text = '''\n%%sllmbo\n'''\n",
        "%%writefile cell.txt\n%%sllmbo\n",
        "# a\n%%sllmbo_other\n",
        "# a\n%%time\n%%sllmbo\n",
    ],
)
def test_other_cells_are_left_alone(cell: str) -> None:
    assert misplaced(cell.splitlines(keepends=True)) is None


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--n-trials", 30, 30),
        ("--n-trials", np.int64(30), 30),
        ("--n-trials", "30", 30),
        ("--llm-ratio", np.float64(0.25), 0.25),
        ("--timeout", datetime.timedelta(minutes=2), 120.0),
        ("--timeout", "2m", 120.0),
        ("--patience", "auto", "auto"),
        ("--cv", 4, 4),
    ],
)
def test_a_variable_s_value_is_read_like_text(flag: str, value: Any, expected: Any) -> None:
    assert values.from_object(BY_SPELLING[flag], value, "v") == expected


def test_a_variable_may_hold_an_object_where_objects_are_allowed() -> None:
    splitter = object()
    assert values.from_object(BY_SPELLING["--cv"], splitter, "v") is splitter
    with pytest.raises(
        InputError, match=r"--n-trials \{v\}: a list is not allowed. Allowed: a whole number from 1"
    ):
        values.from_object(BY_SPELLING["--n-trials"], [1], "v")
    with pytest.raises(InputError, match="a bool is not allowed"):
        values.from_object(BY_SPELLING["--n-trials"], True, "v")

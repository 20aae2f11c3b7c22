"""A cell's line and text become a frozen spec, or one clear line."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pytest

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import lexer
from sllmbo_magic.magic.line import _USUAL_WORDS
from sllmbo_magic.magic.line import Variable
from sllmbo_magic.magic.spec import parse
from sllmbo_magic.magic.spec import parse_line
from sllmbo_magic.magic.transformers import misplaced
from sllmbo_magic.options import BY_SPELLING
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options.values import check


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


def test_the_name_is_the_one_that_python_reads() -> None:
    assert parse_line("\ufb01t")[0] == "fit", "the ligature fi"


@pytest.mark.parametrize("flag", ["--xyz", "--cross-validation", "--bananas"])
def test_an_option_that_is_close_to_none_gets_no_guess(flag: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_line(f"a {flag} 3")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("word", _USUAL_WORDS)
def test_the_words_of_other_tools_are_no_options(word: str) -> None:
    assert word not in BY_SPELLING
    assert all(flag in BY_SPELLING for flag in re.findall(r"--[a-z-]+", _USUAL_WORDS[word]))


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.takes_value], ids=lambda o: o.flag)
def test_the_example_of_every_option_is_accepted(option: Any) -> None:
    assert option.key in parse_line(f"{option.flag} {option.example}")[1]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("--trails 3", ["--trails", "Did you mean '--trials'?", "%sllmbo help"]),
        ("-n 5", ["'-n'", "Write --n-trials 5 (or --n-jobs", "%sllmbo help"]),
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
        ("enqueue", ["would replace your 'enqueue'"]),
        ("_1", ["'_1' is no name for a run: IPython assigns it after every cell."]),
        ("_", ["IPython assigns it"]),
        ("Out", ["IPython assigns it"]),
        ("-n3", ["Write --n-trials 3 (or --n-jobs"]),
        ("-j 2", ["Write --n-jobs."]),
        ("--model gpt-4o", ["--llm PROVIDER:MODEL", "model = ... in the cell"]),
        ("--folds 3", ["Write --cv."]),
        ("--name churn", ["first word"]),
        ("--n-trials: 3", ["Did you mean '--n-trials'?"]),
        ("--n-trials {{n}}", ["'{{n}}' is not expanded", "Write --n-trials {n}."]),
        ("a \\ # why", ["A backslash continues the line only at its very end"]),
        ("a --describe \u201ctwo words\u201d", ["Quotes must be straight ones"]),
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
        "--base-url https://server/v1?access_token=abcdef123",
        "--base-url https://abcdef123@server/v1",
        "--describe 'Authorization: Bearer abcdef123456'",
    ],
)
def test_a_typed_key_is_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(InputError, match="keys are never typed into a cell") as caught:
        parse_line(line)
    assert "abcdef123" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "--n-trials {n+1}",
            ["'{n+1}' is not expanded", "Write n_trials = n+1 in the cell", "--n-trials {n_trials}"],
        ),
        ("--n-trials {n + 1}", ["Write n_trials = n + 1 in the cell"]),
        ("--n-trials={n*2}", ["Write n_trials = n*2 in the cell"]),
        ("--cv {folds[0]}", ["Write cv = folds[0] in the cell", "--cv {cv}"]),
        ("--llm {config.llm}", ["Write llm = config.llm in the cell"]),
        ("--llm openai:{model}", ['Write llm = f"openai:{model}" in the cell', "--llm {llm}"]),
        ("--describe {text.strip()}", ["Write describe = text.strip() in the cell"]),
        ("--n-trials $n", ["'$n' is not expanded", "Write --n-trials {n}."]),
        ("--n-trials ${n}", ["Write --n-trials {n}."]),
        ("--llm $LLM", ["Write --llm {LLM}."]),
        ("-n 3", ["Write --n-trials 3"]),
        ("-seed 3", ["Write --seed 3."]),
        ("-n-trials 3", ["Write --n-trials 3."]),
        ("-background", ["Write --background."]),
        ("-s", ["'-s'", "Write --sampler"]),
    ],
)
def test_other_notations_get_the_line_to_write(line: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse(f"churn {line}", "x = 1")
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "churn --n-trials 5 # a quick one",
        "churn --n-trials 5 #a quick one",
        "churn --n-trials 5 # --seed 3 'not closed",
    ],
)
def test_a_comment_ends_the_line(line: str) -> None:
    assert parse_line(line) == ("churn", {"n_trials": 5})


def test_a_number_sign_inside_a_value_is_no_comment() -> None:
    assert parse_line("--describe 'room #5' --target a#b")[1] == {"describe": "room #5", "target": "a#b"}


@pytest.mark.parametrize(
    ("line", "cell", "expected", "rest"),
    [
        ("churn \\", "  --n-trials 5\nx = 1", "churn  --n-trials 5", "\nx = 1"),
        ("churn \\", "--seed 1 \\\n--cv 3\nx = 1", "churn  --seed 1  --cv 3", "\n\nx = 1"),
        ("churn --n-trials 5\\", "--seed 1\nx = 1", "churn --n-trials 5 --seed 1", "\nx = 1"),
        ("--storage journal:C:\\runs\\", "x = 1", "--storage journal:C:\\runs\\", "x = 1"),
        ("churn", "x = 1 + \\\n 2", "churn", "x = 1 + \\\n 2"),
    ],
)
def test_a_backslash_continues_the_line(line: str, cell: str, expected: str, rest: str) -> None:
    assert lexer.join_continued(line, cell) == (expected, rest)


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
    assert check(BY_SPELLING[flag], value, f"{flag} {{v}}") == expected


def test_a_variable_may_hold_an_object_where_objects_are_allowed() -> None:
    splitter = object()
    assert check(BY_SPELLING["--cv"], splitter, "--cv {v}") is splitter
    with pytest.raises(
        InputError, match=r"--n-trials \{v\}: a list is not allowed. Allowed: a whole number from 1"
    ):
        check(BY_SPELLING["--n-trials"], [1], "--n-trials {v}")
    with pytest.raises(InputError, match="a bool is not allowed"):
        check(BY_SPELLING["--n-trials"], True, "--n-trials {v}")

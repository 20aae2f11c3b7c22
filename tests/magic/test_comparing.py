"""``%sllmbo compare NAME``: a run's task, searched again in several ways from the notebook."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sllmbo_magic import tune
from sllmbo_magic.comparison.result import Comparison
from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.commands.comparing import read_arguments
from sllmbo_magic.magic.completion import candidates
from sllmbo_magic.testing import FunctionProvider
from tests.magic.conftest import Shell
from tests.replies import Responder

CELL = """%%sllmbo best --direction minimize --trials 4 --seed 1 --no-judge --no-widget
search_space = {"x": (-1.0, 1.0), "z": (-1.0, 1.0)}
calls = []
def objective(params):
    calls.append(params)
    return (params["x"] - 0.3) ** 2 + params["z"] ** 2
"""


@pytest.fixture
def tuned(shell: Shell) -> Shell:
    """A shell with one finished run, ``best``."""
    shell.ok(CELL)
    return shell


def test_one_name_searches_its_task_again(tuned: Shell) -> None:
    before = sorted(Path(".sllmbo").iterdir())
    out = tuned.ok("%sllmbo compare best --samplers tpe,random --seeds 2 --n-trials 3")
    comparison = tuned.user_ns["best_comparison"]
    assert isinstance(comparison, Comparison)
    assert list(comparison.variants) == ["tpe", "random"]
    assert (comparison.seeds, comparison.n_trials) == ((0, 1), 3)
    assert comparison.shared["judge"] is False, "the run's own options hold"
    assert len(tuned.user_ns["calls"]) == 4 + 4 * 3
    lines = out.splitlines()
    assert lines[0] == "4 runs of 3 trials."
    assert lines[1].startswith("tpe, seed 0: best 0.")
    assert comparison.table() in out
    assert lines[-1] == "It is in best_comparison: .plot(), .to_dict()."
    assert sorted(Path(".sllmbo").iterdir()) == before, "kept in memory"


def test_scores_of_a_loss_have_the_sign_of_the_table(shell: Shell) -> None:
    """scikit-learn maximises the negative of an error; people read the error."""
    shell.ok("""%%sllmbo mae --trials 3 --seed 1 --no-judge --no-widget
from sklearn.datasets import load_diabetes
from sklearn.tree import DecisionTreeRegressor
X, y = load_diabetes(return_X_y=True)
model = DecisionTreeRegressor(random_state=0)
""")
    out = shell.ok("%sllmbo compare mae --samplers tpe,random --seeds 1 --n-trials 3")
    best = re.search(r"tpe, seed 0: best (\S+),", out)
    assert best is not None
    assert float(best[1]) > 0
    target = re.search(r"best value of all these runs, (\S+);", " ".join(out.split()))
    assert target is not None
    assert float(target[1]) > 0


def test_the_number_of_trials_is_the_runs(tuned: Shell) -> None:
    tuned.ok("%sllmbo compare best --ablate judge --seeds 1")
    comparison = tuned.user_ns["best_comparison"]
    assert list(comparison.variants) == ["judge (rulebook)", "no judge (rulebook)"]
    assert comparison.n_trials == 4


def test_an_ablation_that_needs_an_llm_says_so_before_anything_runs(tuned: Shell) -> None:
    tuned.run("%sllmbo compare best --permute-scores")
    assert "InputError: the ablation 'scores' needs an LLM: the rulebook reads the trials" in tuned.out
    assert len(tuned.user_ns["calls"]) == 4
    assert "Traceback" not in tuned.err + tuned.out


def test_a_run_of_another_session_has_no_data(tuned: Shell) -> None:
    del tuned.user_ns["best"]
    tuned.run("%sllmbo compare best --seeds 2")
    assert "the data of run 'best' is not in this session. Run its cell again" in tuned.out


def test_an_interrupt_shows_the_finished_runs_and_ends_the_cell(tuned: Shell) -> None:
    tuned.user_ns.update(os=os, signal=signal)
    tuned.ok("""
def objective(params):
    calls.append(params)
    if len(calls) == 4 + 10:
        os.kill(os.getpid(), signal.SIGINT)
    return params["x"] ** 2
best._task.__dict__["objective"] = objective
""")
    result = tuned.run("%sllmbo compare best --samplers tpe,random --seeds 2")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "interrupted: 2 of 4 runs" in tuned.out
    assert len(tuned.user_ns["best_comparison"].runs) == 2


def test_words_become_arguments() -> None:
    line = "best --ablate=init --seeds 1,2 --samplers llm,llm-tpe --trials 9 --no-judge --timeout {t}"
    name, options = read_arguments(Arguments("compare", line.split()), {"t": 60})
    assert name == "best"
    assert options == {
        "ablate": "init",
        "seeds": [1, 2],
        "samplers": ["llm", "llm-tpe"],
        "n_trials": 9,
        "judge": False,
        "timeout": 60.0,
    }
    assert read_arguments(Arguments("compare", ["a", "--seeds", "7", "--permute-scores"]), {})[1] == {
        "seeds": 7,
        "permute_scores": True,
    }


@pytest.mark.parametrize(
    ("words", "value", "expected"),
    [
        ("--seeds {v}", 2, {"seeds": 2}),
        ("--seeds={v}", np.int64(2), {"seeds": 2}),
        ("--seeds {v}", [1, 2], {"seeds": [1, 2]}),
        ("--seeds {v}", (1, 2), {"seeds": (1, 2)}),
        ("--seeds {v}", range(3, 5), {"seeds": range(3, 5)}),
        ("--seeds {v}", "7", {"seeds": 7}),
        ("--seeds {v}", "1, 2", {"seeds": [1, 2]}),
        ("--samplers {v}", ["tpe", "random"], {"samplers": ["tpe", "random"]}),
        ("--samplers {v}", "tpe, random", {"samplers": ["tpe", "random"]}),
        ("--ablate {v}", "Init", {"ablate": "init"}),
    ],
)
def test_the_value_of_an_option_may_be_a_variable(words: str, value: Any, expected: dict[str, Any]) -> None:
    assert read_arguments(Arguments("compare", ["best", *words.split()]), {"v": value}) == ("best", expected)


def test_variables_are_used_and_refused_by_the_rules_of_compare(tuned: Shell) -> None:
    tuned.user_ns.update(two=2, wrong=[0.5, 1], names=("tpe", "random"), five=5)
    tuned.ok("%sllmbo compare best --seeds {two} --samplers {names} --n-trials {two}")
    comparison = tuned.user_ns["best_comparison"]
    assert (comparison.seeds, list(comparison.variants), comparison.n_trials) == (
        (0, 1),
        ["tpe", "random"],
        2,
    )
    for line, message in (
        ("--seeds {wrong}", "seeds 0.5 is out of range"),
        ("--seeds {nine}", "there is no variable 'nine'"),
        (
            "--samplers {five}",
            "--samplers {five}: 5 is not allowed. Allowed: text, or {variable} with a list",
        ),
    ):
        refused = tuned.run(f"%sllmbo compare best {line}")
        assert message in str(refused.error_in_exec)


def test_an_error_in_a_run_shows_the_finished_ones_and_ends_the_cell(
    tuned: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tune_or_fail(*inputs: Any, **options: Any) -> Any:
        if options["seed"] == 1:
            raise OSError("disk full")
        return tune(*inputs, **options)

    monkeypatch.setattr("sllmbo_magic.comparison.compare.tune", tune_or_fail)
    result = tuned.run("%sllmbo compare best --samplers tpe,random --seeds 2")
    assert str(result.error_in_exec).startswith("The run tpe, seed 1 failed: OSError: disk full. ")
    assert "ended by an error: 2 of 4 runs" in tuned.out
    assert len(tuned.user_ns["best_comparison"].runs) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a b --seeds 3", "one name of a run, not 2"),
        ("--seeds 3", "not 0"),
        ("a --seeds", "--seeds needs a value"),
        ("a --seeds --ablate init", "--seeds needs a value"),
        ("a --seeds three", "'three' is not allowed"),
        ("a --ablate init --ablate judge", "--ablate is given twice"),
        ("a --cv 3", "--cv is not for a comparison"),
        ("a --background", "--background is not for a comparison"),
        ("a --llm {nothing}", "there is no variable 'nothing'"),
        ("a --ablte init", "unknown option"),
    ],
)
def test_wrong_words_get_one_line(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_arguments(Arguments("compare", words.split()), {})


def test_options_are_completed() -> None:
    def at_end(text: str) -> list[str]:
        return candidates(text, {}, ["best"])

    assert at_end("%sllmbo compare be") == ["best"]
    assert "--ablate" in at_end("%sllmbo compare best --")
    assert at_end("%sllmbo compare best --ablate ju") == ["judge"]
    assert at_end("%sllmbo compare best --seeds ") == ["7"]


def test_help_explains_the_options(shell: Shell) -> None:
    out: Any = shell.ok("%sllmbo help compare")
    assert "--permute-scores" in out
    assert "tests whether the LLM uses the scores" in out


def test_an_llm_is_proved_from_the_notebook(shell: Shell) -> None:
    shell.user_ns["double"] = FunctionProvider(Responder(0), id="test:double")
    shell.ok(CELL)
    refused = shell.run("%sllmbo compare best --prove --seeds 1")
    assert "prove needs an LLM" in str(refused.error_in_exec)
    out = shell.ok("%sllmbo compare best --prove --seeds 1 --n-trials 4 --llm {double}")
    proof = shell.user_ns["best_comparison"]
    assert proof.verdict.split(":")[0] in out
    assert "requests to test:double" in out.splitlines()[0], "what it costs is said first"
    assert "It is in best_comparison: .verdict, .plot(), .to_dict()." in out
    assert "over-tuning" not in out, "an objective has no untouched rows"

"""``%%sllmbo`` and ``%sllmbo`` through a real shell, with the real ``tune``."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import sklearn
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

from sllmbo_magic import tune
from sllmbo_magic.magic import listing
from sllmbo_magic.magic import session
from sllmbo_magic.magic.commands import parse
from sllmbo_magic.magic.commands import steering
from sllmbo_magic.tuning.result import TuneResult
from tests.magic.conftest import Shell
from tests.magic.conftest import environment

SETUP = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=50)
search_space = {"C": (0.01, 10.0, "log")}
"""
OBJECTIVE = "def objective(params): return -(params['x'] - 1) ** 2\nsearch_space = {'x': (-5.0, 5.0)}\n"
QUICK = "--direction maximize --trials 3 --seed 1"


def n_finished(result: TuneResult) -> int:
    return sum(trial.state.is_finished() for trial in result.trials)


# ---- a run


def test_a_cell_tunes_its_model(any_shell: Shell) -> None:
    out = any_shell.ok(f"%%sllmbo iris --trials 3 --cv 3 --seed 1\n{SETUP}")
    iris = any_shell.user_ns["iris"]
    assert isinstance(iris, TuneResult)
    assert n_finished(iris) == 3
    assert set(iris.best_params) <= {"C"}
    assert (
        "iris takes model (LogisticRegression), X (150 x 4), y (150), search_space (C) from this cell." in out
    )
    assert "iris: 3 trials of LogisticRegression by f1_weighted" in out
    assert Path(".sllmbo/iris/study.log").exists()


def test_an_objective_is_tuned_and_the_last_expression_shown(any_shell: Shell) -> None:
    out = any_shell.ok(f"%%sllmbo best {QUICK}\n{OBJECTIVE}\n40 + 2")
    assert "42" in out
    assert any_shell.user_ns["best"].best_value <= 0


def test_called_from_code_it_blocks_and_gives_the_result(any_shell: Shell) -> None:
    any_shell.ok(f"r = get_ipython().run_cell_magic('sllmbo', 'best {QUICK}', {OBJECTIVE!r})")
    assert any_shell.user_ns["r"] is any_shell.user_ns["best"]


def test_below_another_cell_magic_it_blocks(any_shell: Shell) -> None:
    out = any_shell.ok(f"%%time\n%%sllmbo best {QUICK}\n{OBJECTIVE}")
    assert "Wall time" in out
    assert n_finished(any_shell.user_ns["best"]) == 3


def test_a_cell_without_text_uses_what_is_there(any_shell: Shell) -> None:
    any_shell.ok(OBJECTIVE)
    assert "objective, search_space (x) from earlier cells" in any_shell.ok(f"%%sllmbo best {QUICK}")


def test_the_body_is_never_expanded(shell: Shell) -> None:
    shell.ok(f"value = 'expanded'\n{OBJECTIVE}")
    shell.ok(f"%%sllmbo best {QUICK}\ntext = '{{value}} $value'\nnumbers = {{'a': 1}}")
    assert shell.user_ns["text"] == "{value} $value"
    assert shell.user_ns["numbers"] == {"a": 1}


def test_the_line_is_never_expanded(shell: Shell) -> None:
    """A variable's object is taken, not its text; and braces of a line command stay what they are."""
    shell.ok("folds = [([0, 1, 2, 50, 51, 52], [3, 53])] * 3\nvalue = 'expanded'")
    shell.ok(f"r = get_ipython().run_cell_magic('sllmbo', 'iris --trials 2 --cv {{folds}}', {SETUP!r})")
    assert shell.user_ns["iris"].events[0].run["n_folds"] == 3
    assert "'{value}'" in str(shell.run("%sllmbo help {value}").error_in_exec)


def test_a_cell_may_await_and_use_magics(shell: Shell) -> None:
    shell.ok(f"%%sllmbo best {QUICK}\nimport asyncio\nawait asyncio.sleep(0)\n%env SOME=thing\n{OBJECTIVE}")
    assert n_finished(shell.user_ns["best"]) == 3


def test_the_configuration_of_scikit_learn_holds_in_a_run(shell: Shell) -> None:
    """It belongs to a thread, and trials run in others."""
    cell = """
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
def named(X):
    return X[["x0", "x1"]]
model = make_pipeline(StandardScaler(), FunctionTransformer(named), model)
search_space = {"logisticregression__C": (0.01, 10.0, "log")}
"""
    with sklearn.config_context():
        shell.ok(SETUP)
        sklearn.set_config(transform_output="pandas")
        shell.ok(f"%%sllmbo iris --trials 2 --cv 3 --seed 1\n{cell}")
    assert n_finished(shell.user_ns["iris"]) == 2


def test_the_same_name_again_keeps_the_old_run(shell: Shell) -> None:
    shell.ok(f"%%sllmbo best {QUICK}\n{OBJECTIVE}")
    shell.ok("%%sllmbo best --direction maximize --trials 2 --seed 2")
    assert n_finished(shell.user_ns["best"]) == 2
    assert n_finished(TuneResult.load(".sllmbo/best.1")) == 3


@pytest.mark.parametrize("line", ["--join", "--join --resume", "--storage sqlite:///runs.db --join"])
def test_a_cell_joins_the_study_of_its_name(shell: Shell, line: str) -> None:
    shell.ok(f"%%sllmbo best {QUICK} {line}\n{OBJECTIVE}")
    first = [trial.params for trial in shell.user_ns["best"].trials]
    out = shell.ok(f"%%sllmbo best --direction maximize --trials 5 --seed 1 {line}")
    assert "Joined study best, which has 3 trials" in out
    trials = shell.user_ns["best"].trials
    assert [trial.params for trial in trials][:3] == first
    assert len(trials) == n_finished(shell.user_ns["best"]) == 5


def test_resume_goes_on_to_the_total(shell: Shell) -> None:
    shell.ok(f"%%sllmbo best {QUICK}\n{OBJECTIVE}")
    first = [t.params for t in shell.user_ns["best"].trials]
    out = shell.ok("%%sllmbo best --direction maximize --trials 5 --seed 1 --resume")
    assert "3 done already" in out
    assert [t.params for t in shell.user_ns["best"].trials][:3] == first
    assert n_finished(shell.user_ns["best"]) == 5


def test_a_found_key_is_never_used_unasked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789abcdef")
    out = shell.ok(f"%%sllmbo best {QUICK}\n{OBJECTIVE}")
    assert "ANTHROPIC_API_KEY is set but not used: --llm anthropic:MODEL asks that LLM." in out
    assert shell.user_ns["best"].history == []
    assert "0123456789" not in out + shell.err


def test_a_dry_run_shows_the_first_request_and_runs_nothing(shell: Shell) -> None:
    out = shell.ok(f'%%sllmbo iris --dry-run --llm ollama:llama3 --seed 1\n"""Flowers."""\n{SETUP}')
    assert "n_trials = 50 (default)" in out
    assert "requests" in out
    assert "Flowers." in out
    assert "Estimator: LogisticRegression" in out
    assert "iris" not in shell.user_ns
    assert not Path(".sllmbo").exists()


def test_a_dry_run_refuses_a_storage_that_the_run_would_refuse(shell: Shell) -> None:
    for storage in ("nope", "sqlite:///no/folder/runs.db"):
        wanted = shell.run(f"%%sllmbo iris --storage {storage}\n{SETUP}").error_in_exec
        assert str(shell.run(f"%%sllmbo iris --storage {storage} --dry-run\n{SETUP}").error_in_exec) == str(
            wanted
        )
    assert not list(Path().glob(".sllmbo/*"))


def test_a_dry_run_refuses_an_llm_that_the_run_would_refuse_and_needs_no_key(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    unknown = shell.run(f"%%sllmbo iris --llm grok:x --dry-run\n{SETUP}").error_in_exec
    assert "unknown LLM provider 'grok'" in str(unknown)
    planned = shell.ok(f"%%sllmbo iris --llm openai:gpt-4o --max-tokens 100 --dry-run\n{SETUP}")
    assert "The run itself would not start yet: no key for openai" in planned
    assert "No request: --max-tokens 100 is too low" in planned
    assert "The first request" not in planned


# ---- one clear line


FITS = """
class Counts(LogisticRegression):
    def fit(self, *a, **k):
        print("FIT")
        raise ValueError
"""
DATA = SETUP + FITS + "model = Counts()\n"


@pytest.mark.parametrize(
    ("line", "cell", "parts"),
    [
        ("x --trails 3", DATA, ["unknown option '--trails'", "Did you mean '--trials'?"]),
        ("x --metric neg_logloss", DATA, ["metric 'neg_logloss'", "Did you mean 'neg_log_loss'?"]),
        ("x --cv 3", "X = y = [1, 2]", ["no model"]),
        ("x --cv 3", DATA + "y = y[:5]", ["150", "5"]),
        ("x --cv 3", DATA + "y = [float('nan')] * 150", ["y"]),
        ("x --cv 3", DATA + "search_space = {'nope': (1, 2)}", ["nope"]),
        (
            "x --llm openai:gpt-4o",
            DATA,
            ["no key for openai", "OPENAI_API_KEY", "--llm rulebook", "replay:PATH"],
        ),
        ("x --llm opennai:gpt-4o", DATA, ["'opennai'", "openai"]),
        ("x-y", DATA, ["'x-y'", "'x_y'"]),
        ('x --describe "abc', DATA, ["not closed"]),
        ("x", "def objective(trial): return 1", ["objective needs --direction", "maximize, minimize"]),
        ("x --llm sk-abcdef0123456789", DATA, ["keys are never typed into a cell"]),
        ("x", "1 / 0", ["the cell raised ZeroDivisionError, so no run was started"]),
        ("x", "x = (", ["the cell raised", "so no run was started"]),
        ("x --cv {folds}", DATA, ["{folds}", "no variable 'folds'"]),
    ],
)
def test_bad_input_gets_one_line_and_starts_nothing(
    shell: Shell, line: str, cell: str, parts: list[str]
) -> None:
    result = shell.run(f"%%sllmbo {line}\n{cell}")
    error = result.error_in_exec
    assert isinstance(error, UsageError)
    for part in parts:
        assert part in str(error)
    lines = [text for text in shell.out.splitlines() if text.startswith(type(error).__name__)]
    assert lines == [f"{type(error).__name__}: {error}"]
    assert "magics.py" not in shell.out + shell.err
    assert "FIT" not in shell.out
    assert not isinstance(shell.user_ns.get("x"), TuneResult)
    assert not Path(".sllmbo/x").exists()
    assert "abcdef0123456789" not in shell.out + shell.err


def test_an_estimator_that_cannot_fit_is_said_to_be(shell: Shell) -> None:
    broken = FITS.replace("raise ValueError", "raise ValueError('of no use')")
    result = shell.run(f"%%sllmbo x --cv 3\n{SETUP}del search_space\n{broken}model = Counts()")
    assert isinstance(result.error_in_exec, UsageError)
    assert "Counts" in str(result.error_in_exec)
    assert "of no use" in str(result.error_in_exec)
    assert "magics.py" not in shell.out + shell.err


def test_a_run_whose_trials_all_fail_alike_ends_early_with_the_cause(shell: Shell) -> None:
    broken = FITS.replace("raise ValueError", "raise ValueError('of no use')")
    shell.run(f"%%sllmbo x --cv 3\n{SETUP}{broken}model = Counts()")
    assert n_finished(shell.user_ns["x"]) == 5  # the space might have mended the default
    assert "of no use" in shell.out + shell.err
    assert "magics.py" not in shell.out + shell.err


def test_a_run_without_a_feasible_trial_is_bound_and_resumed(shell: Shell) -> None:
    cell = """def objective(trial):
    trial.set_constraint("never", 1.0)
    return trial.suggest_float("x", -5, 5) ** 2
"""
    shell.ok(f"%%sllmbo never --direction minimize --trials 3 --seed 1\n{cell}")
    out = shell.ok(f"%%sllmbo never --direction minimize --trials 5 --seed 1 --resume\n{cell}")
    assert "No trial is feasible: a constraint does not hold in 5 trials." in out
    assert n_finished(shell.user_ns["never"]) == 5
    assert "best" not in "".join(line for line in out.splitlines() if "/5 trials" in line)
    assert "No trial is feasible" in shell.ok("%sllmbo show never")
    assert shell.ok("%sllmbo runs").split()[8:10] == ["5/5", "objective"], "the list names no best"
    assert "no trial is feasible" in shell.run("%sllmbo code never").error_in_exec.args[0]


def test_a_traceback_of_the_cell_is_its_own(shell: Shell) -> None:
    shell.run(f"%%sllmbo x\n\nfine = 1\n1 / 0\n{SETUP}")
    assert "line 4" in shell.out
    assert "ZeroDivisionError: division by zero" in shell.out
    assert "run_cell_magic" not in shell.out


def test_debug_shows_the_traceback(shell: Shell) -> None:
    shell.run(f"%%sllmbo x --metric nope --debug\n{SETUP}")
    assert "Traceback" in shell.out
    assert "resolve_metric" in shell.out
    assert "InputError: metric 'nope' is not known." in shell.out


@pytest.mark.parametrize(
    ("cell", "what"), [("# tune\n%%sllmbo x\n", "a comment"), ("a = 1\n%%sllmbo x\n", "code")]
)
def test_a_magic_below_the_first_line_gets_one_line(shell: Shell, cell: str, what: str) -> None:
    result = shell.run(cell + SETUP)
    assert not result.success
    assert f"InputError: %%sllmbo is on line 2 of the cell, below {what}." in shell.out
    assert "Traceback" not in shell.out + shell.err


def test_a_failing_llm_loses_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable server: the run goes on without it and says so in a line."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    out = shell.ok(f"%%sllmbo best {QUICK} --llm openai:gpt-4o --base-url http://127.0.0.1:9/v1\n{OBJECTIVE}")
    assert n_finished(shell.user_ns["best"]) == 3
    assert "best: openai:gpt-4o: no connection to the server." in out
    assert "0123456789abcdef" not in out + shell.err


# ---- line commands


@pytest.fixture
def tuned(shell: Shell) -> Shell:
    """A shell with one finished run, ``best``."""
    shell.ok(f"%%sllmbo best {QUICK}\n{OBJECTIVE}")
    return shell


def test_runs_are_listed(tuned: Shell) -> None:
    header, row = tuned.ok("%sllmbo runs").splitlines()
    assert header.split() == ["name", "status", "trials", "best", "metric", "changed"]
    assert row.split()[:3] == ["best", "finished", "3/3"]


def test_a_stored_run_is_shown_by_another_notebook(tuned: Shell) -> None:
    del tuned.user_ns["best"]
    assert "3 trials" in tuned.ok("%sllmbo show best")


def test_code_report_export_and_compare(tuned: Shell) -> None:
    value = f"{tuned.user_ns['best'].best_value:.5g}"
    assert '"x"' in tuned.ok("%sllmbo code best")
    tuned.ok("%sllmbo export best")
    assert json.loads(Path("best.json").read_text(encoding="utf-8"))["run"]["name"] == "best"
    tuned.ok("%sllmbo report best page.html")
    assert "<html" in Path("page.html").read_text(encoding="utf-8")[:200].lower()
    tuned.ok("%%sllmbo best --direction maximize --trials 2 --seed 2")
    lines = tuned.ok("%sllmbo compare best best.1").splitlines()
    assert [line.split()[0] for line in lines] == ["name", "best", "best.1"]
    assert value in lines[2]


def test_a_name_is_that_of_the_run_and_not_of_an_earlier_one_in_its_variable(tuned: Shell) -> None:
    """Another program has used the name again; and a result is known by the name of its variable."""
    assert "earlier: wrote earlier.json" in tuned.ok("earlier = best\n%sllmbo export earlier")
    space = {"x": (0.0, 1.0)}
    tune(lambda p: 7.0, search_space=space, direction="maximize", n_trials=1, sampler="random", name="best")
    assert tuned.user_ns["best"].name == "best.1"
    tuned.ok("%sllmbo export best")
    assert json.loads(Path("best.json").read_text(encoding="utf-8"))["run"]["best_value"] == 7.0
    tuned.ok("%sllmbo export best.1")
    earlier = json.loads(Path("best.1.json").read_text(encoding="utf-8"))
    assert earlier["run"]["best_value"] == tuned.user_ns["earlier"].best_value


@pytest.mark.parametrize(("command", "suffix"), [("export", "json"), ("report", "html")])
def test_a_file_of_the_user_is_not_replaced_that_no_line_named(
    tuned: Shell, command: str, suffix: str
) -> None:
    """A run is easily called as the file that its data came from; our own file is written anew."""
    file = Path(f"best.{suffix}")
    for text in ('{"rows": [1, 2]}', "[1]", "<html>mine</html>"):
        file.write_text(text)
        tuned.run(f"%sllmbo {command} best")
        assert f"Give a path: %sllmbo {command} best PATH" in tuned.err + tuned.out
        assert file.read_text() == text
    tuned.ok(f"%sllmbo {command} best {file}")
    assert file.stat().st_size > 1000
    tuned.ok(f"%sllmbo {command} best")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"direction": "minimize"}, "direction"),
        ({"n_rows": 99}, "data"),
        ({"metric": "accuracy", "n_folds": 3}, "metric and folds"),
    ],
)
def test_runs_whose_scores_do_not_compare_are_said_not_to(change: dict[str, Any], word: str) -> None:
    run = {"metric": "r2", "direction": "maximize", "n_folds": 5, "n_rows": 100, "n_columns": 3}
    bundles = {name: {"schema": 1, "run": {**run, "name": name}, "cost": {}} for name in "ab"}
    assert "compare" not in listing.compare_table(bundles)
    bundles["b"]["run"] |= change
    assert f"The runs differ in {word}, so their scores do not compare." in listing.compare_table(bundles)


def test_a_run_with_several_objectives_is_not_said_to_maximise() -> None:
    run = {"name": "a", "metric": "cost", "direction": "minimize, minimize"}
    assert "better" not in listing.compare_table({"a": {"schema": 1, "run": run, "cost": {}}})


def test_preview_shows_what_was_sent(tuned: Shell) -> None:
    assert tuned.ok("%sllmbo preview best") == "best: nothing was sent to an LLM.\n"


@pytest.mark.parametrize("command", ["delete model", "rename model other"])
def test_a_folder_of_the_user_is_no_run_that_a_command_may_touch(shell: Shell, command: str) -> None:
    model = Path("model")
    model.mkdir()
    (model / "run.json").write_text('{"epochs": 3}')
    shell.run(f"%sllmbo {command}")
    assert "there is no run 'model'" in shell.err + shell.out
    assert (model / "run.json").read_text() == '{"epochs": 3}'


@pytest.mark.parametrize("name", ["class", "model", "print"])
def test_a_run_is_not_renamed_to_what_no_cell_could_be_called(tuned: Shell, name: str) -> None:
    tuned.run(f"%sllmbo rename best {name}")
    assert f"{name!r} is no name for a run" in tuned.err + tuned.out
    assert Path(".sllmbo/best").is_dir()


def test_rename_and_delete(tuned: Shell) -> None:
    best = tuned.user_ns["best"]
    assert best.path == Path(".sllmbo/best").resolve()
    tuned.ok("%sllmbo rename best other")
    assert "other" in tuned.ok("%sllmbo runs")
    assert tuned.user_ns["other"] is best
    assert best.path == Path(".sllmbo/other").resolve()
    assert tuned.ok("%sllmbo show other").startswith("other: ")
    tuned.ok("%sllmbo delete other")
    assert best.path is None
    assert tuned.ok("%sllmbo runs") == "No runs in .sllmbo/ yet. %%sllmbo NAME starts one.\n"


def test_providers_and_doctor_show_no_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    out = shell.ok("%sllmbo providers") + shell.ok("%sllmbo doctor")
    assert "key found in OPENAI_API_KEY" in out
    assert "optuna" in out
    assert "0123456789abcdef" not in out


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("%sllmbo help", "%%sllmbo [NAME] [options]"),
        ("%sllmbo", "%%sllmbo [NAME] [options]"),
        ("%sllmbo help range", "%sllmbo range PARAM LOW HIGH"),
        ("%sllmbo help --metric", "--scoring, --metric"),
    ],
)
def test_help_is_shown(shell: Shell, line: str, part: str) -> None:
    assert part in shell.ok(line)


@pytest.mark.parametrize("line", ["--help", "-h", "help", "?", "churn --help", "churn --n-trials 5 -h"])
def test_help_on_a_cell_s_line_shows_help_and_runs_nothing(any_shell: Shell, line: str) -> None:
    out = any_shell.ok(f"%%sllmbo {line}\nprint('RUNS')")
    assert "%%sllmbo [NAME] [options]" in out
    assert "RUNS" not in out


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("--help", "%%sllmbo [NAME] [options]"),
        ("-h", "%%sllmbo [NAME] [options]"),
        ("show --help", "%sllmbo show NAME"),
        ("wait -h", "%sllmbo wait [NAME]"),
        ("compare churn --help", "--ablate"),
    ],
)
def test_help_on_a_line_command_shows_its_help(shell: Shell, line: str, part: str) -> None:
    assert part in shell.ok(f"%sllmbo {line}")


def test_a_cell_s_line_may_go_on_and_end_in_a_comment(any_shell: Shell) -> None:
    cell = f"%%sllmbo best --direction maximize \\\n    --trials 3 --seed 1  # quick\n{OBJECTIVE}"
    any_shell.ok(cell)
    assert n_finished(any_shell.user_ns["best"]) == 3
    any_shell.run("%%sllmbo best --direction maximize \\\n  --trials 3\nfine = 1\n1 / 0")
    assert "line 4" in any_shell.out, "line numbers are those of the cell"


def test_a_hint_may_hold_a_number_sign() -> None:
    assert parse("hint keep the # of trees small").words == ["keep", "the", "#", "of", "trees", "small"]
    assert parse("lock x  # for now").words == ["x"]


def test_the_value_of_an_option_of_a_line_command_may_be_a_variable(shell: Shell) -> None:
    assert parse("pause --run {which}", {"which": "churn"}).run_name == "churn"
    assert parse("pause --run churn").run_name == "churn"
    for line, message in (
        ("pause --run {which}", "--run {which}: there is no variable 'which'"),
        ("doctor openai:gpt-4o --base-url {url}", "--base-url {url}: there is no variable 'url'"),
        ("doctor openai:gpt-4o --seed 3", "--seed is not for the doctor"),
        ("doctor openai:gpt-4o --base-url", "--base-url needs a value"),
    ):
        assert message in str(shell.run(f"%sllmbo {line}").error_in_exec)
    shell.user_ns["url"] = "ftp://here"
    for spelling in ("--base-url {url}", "--base-url={url}", "--base-url ftp://here"):
        assert "ftp://here" in shell.ok(f"%sllmbo doctor openai-compatible:x {spelling}")


def test_the_question_mark_shows_help(shell: Shell) -> None:
    for line in ("%%sllmbo?", "%sllmbo?"):
        shell.ok(line)
        assert "--patience N|auto|off" in shell.out


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("rnus", ["unknown command 'rnus'", "Did you mean 'runs'?"]),
        ("show", ["show takes the name of a run", "%sllmbo show churn"]),
        ("show nope", ["no run 'nope'"]),
        ("pause", ["no run goes on", "--background"]),
        ("wait", ["no run of this notebook goes on"]),
        ("compare", ["takes one name of a run, or two or more", "%sllmbo compare churn --ablate init"]),
        ("compare nope", ["no run 'nope'"]),
        ("compare nope --seed 3", ["compare sets the seeds itself", "--seeds"]),
        ("compare nope --ablate initt", ["'initt' is not allowed", "Did you mean 'init'?"]),
        ("range x", ["range takes", "%sllmbo range learning_rate 0.01 0.1"]),
        ("range x a,,b", ["a choice is missing between two commas"]),
        ("enqueue {open('f')}", ["is not plain data"]),
        ("enqueue __import__('os')", ["is not plain data"]),
        ("help --nope", ["unknown option '--nope'"]),
        ("help shwo", ["unknown command or option 'shwo'", "Did you mean 'show'?"]),
        ("help n-trails", ["unknown command or option 'n-trails'", "Did you mean '--n-trials'?"]),
        ("runs x", ["runs takes no arguments", "Usage: %sllmbo runs"]),
        ("providers openai", ["providers takes no arguments"]),
        ("churn --n-trials 5 --cv=2", ["'churn' is no command", "two percent signs: %%sllmbo"]),
        ("report nope /no/such/folder/page.html", ["no folder"]),
        ("report nope ~no_such_user_here/page.html", ["names a home that does not exist"]),
        ('hint "a', ["not closed"]),
    ],
)
def test_a_wrong_line_command_gets_one_line(shell: Shell, line: str, parts: list[str]) -> None:
    result = shell.run(f"%sllmbo {line}")
    assert isinstance(result.error_in_exec, UsageError)
    for part in parts:
        assert part in str(result.error_in_exec)


def test_a_cell_gives_own_configurations_and_init_user_needs_some(shell: Shell) -> None:
    cell = """
def objective(params):
    return params["x"] + params["z"]
search_space = {"x": (0.0, 1.0), "z": (0.0, 1.0), "kind": ["a", "b"]}
"""
    line = "%%sllmbo own --direction maximize --trials 4 --seed 1 --init user"
    for more in ("", " --dry-run"):
        text = str(shell.run(line + more + cell).error_in_exec)
        assert "init user starts from your own configurations, and there are none." in text
        assert 'Assign enqueue = [{"max_depth": 3}] in the cell' in text
    out = shell.ok(f"{line}{cell}enqueue = [{{'x': 0.25, 'z': 0.5, 'kind': 'b'}}, {{'x': 0.75}}]")
    assert "enqueue (2) from this cell" in out
    trials = shell.user_ns["own"].trials
    assert trials[0].params == {"x": 0.25, "z": 0.5, "kind": "b"}
    assert trials[1].params["x"] == 0.75
    assert [t.user_attrs["sllmbo:source"] for t in trials[:2]] == ["user", "user"]
    text = str(shell.run(f"{line}{cell}enqueue = 'x'").error_in_exec)
    assert "enqueue is a str, not a list of configurations" in text
    text = str(shell.run(f"{line}{cell}enqueue = [{{'y': 1}}]").error_in_exec)
    assert "the search space has no parameter 'y'" in text


SLOW = """
import threading
gate = threading.Event()
def objective(params):
    gate.wait(20)
    return params["x"]
search_space = {"x": (0.0, 1.0), "z": (0.0, 1.0), "kind": ["a", "b"]}
"""


def test_a_background_run_is_steered_and_waited_for(shell: Shell) -> None:
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 4 --seed 1\n{SLOW}")
    assert "goes on in the background" in repr(shell.user_ns["slow"])
    for line in (
        "range x 0.2 0.4",
        "range kind b,c",
        'enqueue {"x": 0.25, "z": 0.5}',
        "extend 2",
        "lock z",
        "ratio 0.3",
        "sampler tpe",
    ):
        assert f"slow: {line.split()[0]} is noted" in shell.ok(f"%sllmbo {line}")
    wishes = shell.user_ns["slow"].control
    with pytest.raises(AttributeError, match="%sllmbo wait slow"):
        _ = shell.user_ns["slow"].best_value
    shell.user_ns["gate"].set()
    out = shell.ok("%sllmbo wait")
    assert wishes.take() == []
    assert isinstance(shell.user_ns["slow"], TuneResult)
    assert n_finished(shell.user_ns["slow"]) == 6
    params = [t.params for t in shell.user_ns["slow"].trials]
    assert (0.25, 0.5) in [(p["x"], p["z"]) for p in params]
    assert {p["kind"] for p in params[1:]} == {"b", "c"}
    for wish in ("range", "enqueue", "extend 2", "ratio 0.3", "sampler tpe"):
        assert f"slow: {wish}" in out


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        ("b,c", ["b", "c"]),
        ("b, c", ["b", "c"]),
        ("b,", ["b"]),
        ("(48,24),(64,)", [(48, 24), (64,)]),
        ("(48, 24), none", [(48, 24), "none"]),
        ("(48,24)", [(48, 24)]),
        ("[(48,24)]", [(48, 24)]),
        ("[[48, 24], null]", [[48, 24], None]),
        ("1,2.5,None", [1, 2.5, None]),
        ('"1","3"', ["1", "3"]),
        ("'1', 3, \"None\"", ["1", 3, "None"]),
        ('"1,3"', [1, 3]),
        ('"b, c"', ["b", "c"]),
        ('"b, c",d', ["b, c", "d"]),
        ('"1,3",', ["1,3"]),
        ('["1", "3"]', ["1", "3"]),
        ('"x y","(1"', ["x y", "(1"]),
    ],
)
def test_the_choices_of_a_range_are_split_where_one_ends(
    words: str, choices: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(steering, "_send", lambda session, arguments, value: sent.append(value))
    for line in (f"range kind {words}", f"range --run mine kind {words}", f"range kind {words} --run mine"):
        steering.COMMANDS["range"](None, parse(line))  # type: ignore[arg-type]
    assert sent == [{"param": "kind", "choices": choices}] * 3


def test_trials_are_marked_while_a_run_goes_on_and_after_it(shell: Shell) -> None:
    begun = SLOW.replace("    gate.wait(20)\n", "    calls.append(params)\n    gate.wait(20)\n")
    shell.ok("calls = []")
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 4 --seed 1\n{begun}")
    while not shell.user_ns["calls"]:
        time.sleep(0.02)
    assert "dequeue is noted" in shell.ok('%sllmbo dequeue {"x": 0.25, "z": 0.5}')
    assert "slow: note is noted" in shell.ok('%sllmbo note slow 0 "while it ran"')
    shell.user_ns["gate"].set()
    out = shell.ok("%sllmbo wait")
    assert "does not wait" in out, "nothing was enqueued"
    assert "slow: star on trial 2" in shell.ok("%sllmbo star slow 2")
    shell.ok("%sllmbo note slow 2 two words")
    shell.ok("%sllmbo star slow 1")
    shell.ok("%sllmbo unstar slow 1")
    trials = shell.user_ns["slow"].bundle()["trials"]
    marks = [(t.get("star", False), t.get("note", "")) for t in trials]
    assert marks == [(False, "while it ran"), (False, ""), (True, "two words"), (False, "")]
    del shell.user_ns["slow"]
    shell.ok('%sllmbo note slow 2 ""')
    assert TuneResult.load(".sllmbo/slow").bundle()["trials"][2]["note"] == ""
    for line in ("note slow 2", "star slow", "star slow 99", "note slow x y", "note nope 1 y"):
        assert isinstance(shell.run(f"%sllmbo {line}").error_in_exec, UsageError)


def test_a_hint_to_the_rulebook_is_refused_at_once(shell: Shell) -> None:
    begun = SLOW.replace("    gate.wait(20)\n", "    calls.append(params)\n    gate.wait(20)\n")
    shell.ok("calls = []")
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 2 --seed 1\n{begun}")
    assert "reads no hints" in str(shell.run("%sllmbo hint at once").error_in_exec), (
        "before the run is set up"
    )
    while not shell.user_ns["calls"]:
        time.sleep(0.02)
    result = shell.run("%sllmbo hint prefer small numbers")
    assert "reads no hints" in str(result.error_in_exec)
    shell.user_ns["gate"].set()
    assert "hint" not in shell.ok("%sllmbo wait")


def test_a_background_run_waits_while_it_is_paused(shell: Shell) -> None:
    counted = SLOW.replace("    gate.wait(20)\n", "    calls.append(params)\n    gate.wait(20)\n")
    shell.ok("calls = []")
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 4 --seed 1\n{counted}")
    while not shell.user_ns["calls"]:
        time.sleep(0.02)
    shell.ok("%sllmbo pause")
    shell.user_ns["gate"].set()
    transcript = Path(".sllmbo/slow/transcript.jsonl")
    paused = "the run waits before its next trial"
    while paused not in transcript.read_text(encoding="utf-8"):
        time.sleep(0.02)
    assert len(shell.user_ns["calls"]) == 1, "the trial in flight is finished, no other begins"
    shell.ok("%sllmbo resume")
    assert "The run continues" in shell.ok("%sllmbo wait")
    assert n_finished(shell.user_ns["slow"]) == len(shell.user_ns["calls"]) == 4


def test_a_wrong_wish_gets_one_line(shell: Shell) -> None:
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 2 --seed 1\n{SLOW}")
    result = shell.run("%sllmbo ratio 3")
    assert str(result.error_in_exec) == "ratio 3 is out of range. Allowed: 0 to 1."
    shell.user_ns["gate"].set()
    shell.ok("%sllmbo wait slow")


def test_a_parameter_that_is_not_there_is_refused_at_once(shell: Shell) -> None:
    begun = SLOW.replace("    gate.wait(20)\n", "    calls.append(params)\n    gate.wait(20)\n")
    shell.ok("calls = []")
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 2 --seed 1\n{begun}")
    while not shell.user_ns["calls"]:
        time.sleep(0.02)
    session_here = shell.user_ns["slow"]._run
    for elsewhere in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if elsewhere:  # as another notebook sees it: through its folder
                patch.setattr(session.Session, "active", lambda self: {})
            for line in ("lock kinds", "unlock kinds", 'enqueue {"kinds": "a"}', 'dequeue {"kinds": "a"}'):
                error = str(shell.run(f"%sllmbo {line}").error_in_exec)
                assert "has no parameter 'kinds'. Did you mean 'kind'? It has: x, z, kind." in error, line
            assert "slow: lock is noted" in shell.ok("%sllmbo lock kind")
    assert [c.name for c in session_here.control.take()] == ["lock"]
    shell.user_ns["gate"].set()
    shell.ok("%sllmbo wait slow")


def test_a_run_elsewhere_takes_a_configuration_that_holds_what_is_fixed(shell: Shell) -> None:
    begun = SLOW.replace("    gate.wait(20)\n", "    calls.append(params)\n    gate.wait(20)\n")
    shell.ok("calls = []")
    fixed = begun.replace('"z": (0.0, 1.0)', '"z": 0.5')
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 3 --seed 1\n{fixed}")
    while not shell.user_ns["calls"]:
        time.sleep(0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Session, "active", lambda self: {})
        assert "enqueue is noted" in shell.ok('%sllmbo enqueue {"x": 0.25, "z": 0.5, "kind": "a"}')
    time.sleep(0.4)  # the run looks into its folder every 0.3 s
    shell.user_ns["gate"].set()
    shell.ok("%sllmbo wait slow")
    assert {"x": 0.25, "z": 0.5, "kind": "a"} in shell.user_ns["calls"]


def test_a_new_range_of_a_run_elsewhere_is_said_to_be_new(shell: Shell) -> None:
    begun = SLOW.replace("    gate.wait(20)\n", "    calls.append(params)\n    gate.wait(20)\n")
    shell.ok("calls = []")
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 2 --seed 1\n{begun}")
    while not shell.user_ns["calls"]:
        time.sleep(0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Session, "active", lambda self: {})
        out = shell.ok("%sllmbo range kinds a,b")
        assert "'kinds' is not searched so far" in out
        assert "Did you mean 'kind'?" in out
        assert "not searched" not in shell.ok("%sllmbo range x 0.1 0.2")
        assert "lock is noted" in shell.ok("%sllmbo lock kinds"), "the range that waits may bring it in"
    shell.user_ns["gate"].set()
    shell.ok("%sllmbo wait slow")


def test_stop_ends_a_background_run_normally(shell: Shell) -> None:
    shell.ok(f"%%sllmbo slow --background --direction maximize --trials 50 --seed 1\n{SLOW}")
    shell.ok("%sllmbo stop slow")
    shell.user_ns["gate"].set()
    shell.ok("%sllmbo wait slow")
    assert shell.user_ns["slow"].status == "stopped"
    assert n_finished(shell.user_ns["slow"]) < 50


def test_several_runs_need_a_name(shell: Shell) -> None:
    for name in ("one", "two"):
        shell.ok(f"%%sllmbo {name} --background --direction maximize --trials 2 --seed 1\n{SLOW}")
    result = shell.run("%sllmbo pause")
    assert "2 runs go on: one, two" in str(result.error_in_exec)
    assert "two: stop is noted" in shell.ok("%sllmbo stop two")
    assert "one: ratio is noted" in shell.ok("%sllmbo ratio 0.4 --run one")
    shell.ok("%sllmbo stop one")
    for name in ("one", "two"):
        shell.user_ns["gate"].set()
        shell.run(f"%sllmbo wait {name}")


def test_a_background_run_that_fails_says_so_when_waited_for(shell: Shell) -> None:
    shell.ok(f"%%sllmbo x --background --metric nope\n{SETUP}")
    result = shell.run("%sllmbo wait x")
    assert isinstance(result.error_in_exec, UsageError)
    assert "metric 'nope' is not known" in str(result.error_in_exec)
    assert "failed" in repr(shell.user_ns["x"])


def test_what_a_background_run_needs_of_scikit_learn_is_imported_before_it_starts(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    order: list[str] = []
    monkeypatch.setattr(session, "load_libraries", lambda: order.append("libraries"))
    monkeypatch.setattr(session.RunThread, "start", lambda run: order.append(run.name))
    monkeypatch.setattr(session.Session, "_follow", lambda *_: None)
    shell.ok(f"%%sllmbo x --background\n{SETUP}")
    assert order == ["libraries", "x"]

    code = """
        import sys
        from sllmbo_magic.magic.running import load_libraries
        load_libraries()
        before = set(sys.modules)
        from sllmbo_magic import tune
        tune(lambda p: p["a"], search_space={"a": (0.0, 1.0)}, direction="maximize", n_trials=12, seed=1)
        print([name for name in set(sys.modules) - before if name.startswith("sklearn")])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(tmp_path))
    assert done.stdout.strip() == "[]", "two threads that import it at once get it half done"


# ---- completion


def completions(shell: Shell, text: str) -> list[str]:
    with provisionalcompleter():
        found = list(shell.shell.Completer.completions(text, len(text)))
    return [text[: c.start] + c.text + text[c.end :] for c in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%sllmbo churn --sam", ["%%sllmbo churn --sampler"]),
        ("%%sllmbo --no-w", ["%%sllmbo --no-widget"]),
        ("%%sllmbo --sampler ll", ["%%sllmbo --sampler llm", "%%sllmbo --sampler llm-tpe"]),
        ("%%sllmbo --llm openai-c", ["%%sllmbo --llm openai-compatible:"]),
        ("%%sllmbo --target pri", ["%%sllmbo --target price"]),
        ("%%sllmbo --metric neg_log", ["%%sllmbo --metric neg_log_loss"]),
        ("%%sllmbo --cv {my_fo", ["%%sllmbo --cv {my_folds}"]),
        ("%%sllmbo --warm-start be", ["%%sllmbo --warm-start best"]),
        ("%%sllmbo be", ["%%sllmbo best"]),
        ("%sllmbo pa", ["%sllmbo pause"]),
        ("%sllmbo show b", ["%sllmbo show best"]),
        ("%sllmbo sampler t", ["%sllmbo sampler tpe"]),
        ("%sllmbo help --sch", ["%sllmbo help --schedule"]),
        ("%sllmbo hint x --run b", ["%sllmbo hint x --run best"]),
    ],
)
def test_tab_completes(shell: Shell, text: str, expected: list[str]) -> None:
    import pandas as pd

    shell.user_ns.update(data=pd.DataFrame({"price": [1], "age": [2]}), my_folds=3)
    Path(".sllmbo/best").mkdir(parents=True)
    Path(".sllmbo/best/run.json").write_text("{}", encoding="utf-8")
    assert completions(shell, text) == expected


def test_an_option_that_was_given_is_not_offered_again(shell: Shell) -> None:
    found = completions(shell, "%%sllmbo --seed 3 --")
    assert not [text for text in found if text.endswith(" --seed")]
    assert [text for text in found if text.endswith("--resume")]


def test_other_cells_complete_as_before(shell: Shell) -> None:
    shell.user_ns["some_value"] = 1
    assert "some_value" in completions(shell, "some_va")
    assert completions(shell, "%%sllmbo churn\nsome_va") == ["%%sllmbo churn\nsome_value"]


# ---- loading


def traces(shell: Any) -> tuple[Any, ...]:
    manager = shell.magics_manager
    return (
        [type(t).__name__ for t in shell.input_transformers_post],
        [type(t).__name__ for t in shell.input_transformers_cleanup],
        len(shell.Completer.custom_matchers),
        "sllmbo" in manager.magics["cell"],
        "sllmbo" in manager.magics["line"],
        "SllmboMagics" in manager.registry,
    )


def test_unload_takes_everything_away(shell: Shell) -> None:
    shell.run("%unload_ext sllmbo_magic")
    bare = traces(shell.shell)
    assert bare[3:] == (False, False, False)
    shell.run("%load_ext sllmbo_magic")
    once = traces(shell.shell)
    assert once != bare
    shell.run("%reload_ext sllmbo_magic")
    from sllmbo_magic import load_ipython_extension

    load_ipython_extension(shell.shell)
    assert traces(shell.shell) == once
    shell.run("%unload_ext sllmbo_magic")
    assert traces(shell.shell) == bare
    assert not shell.run(f"%%sllmbo x\n{OBJECTIVE}").success


def test_loading_imports_nothing_heavy() -> None:
    code = """
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        before = set(sys.modules)
        shell.run_cell("%load_ext sllmbo_magic")
        assert "sllmbo" in shell.magics_manager.magics["cell"]
        print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(Path.cwd()),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    heavy = {
        "optuna",
        "sklearn",
        "lightgbm",
        "openai",
        "anthropic",
        "matplotlib",
        "pandas",
        "ipywidgets",
        "numpy",
    }
    assert heavy & set(done.stdout.split()) == set()
    assert "sllmbo_magic" in done.stdout


def test_a_cell_with_two_values_runs_with_a_sampler_that_can_and_says_so(shell: Shell) -> None:
    cell = "def objective(params):\n    return params['x'] ** 2, (params['x'] - 1) ** 2\n"
    cell += "search_space = {'x': (-2.0, 2.0)}"
    line = "%%sllmbo two --direction minimize,minimize --trials 6 --seed 1 --no-widget"
    planned = shell.ok(f"{line} --dry-run --llm openai:gpt-4o\n{cell}")
    assert "TPE takes all trials" in planned
    out = shell.ok(f"{line}\n{cell}")
    assert "Several objectives: the LLM samplers take one only, so TPE takes all trials." in out
    assert "on the Pareto front: trial" in out
    assert len(shell.user_ns["two"].best_trials) >= 1
    assert "on the Pareto front" in shell.ok("%sllmbo show two")
    assert "no single best" in str(shell.run("%sllmbo code two").error_in_exec)

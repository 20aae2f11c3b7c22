"""The core needs no notebook, no provider's SDK, no LightGBM, no matplotlib and no pandas.

Quick: a child process that cannot find these packages. Long: a real environment with the core dependencies
only, which also shows that the built wheel is complete and that every dependency is declared.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
ABSENT = (
    "IPython",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "nbconvert",
    "openai",
    "anthropic",
    "httpx",
    "httpx2",
    "pydantic",
    "lightgbm",
    "xgboost",
    "matplotlib",
    "pandas",
    "polars",
    "psutil",
    "hyperopt",
    "torch",
    "cmaes",
)

HIDE = f"""
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""

CORE = f"""
import importlib.util
found = [name for name in {ABSENT!r} if importlib.util.find_spec(name)]
assert not found, found

import importlib, pkgutil
import sllmbo_magic
EXTRA = ("magic", "dashboard", "report.figures", "llm.network")  # each is imported when its extra is used
walk = pkgutil.walk_packages(sllmbo_magic.__path__, "sllmbo_magic.", onerror=lambda name: None)
core = [m.name for m in walk if not m.name.partition(".")[2].startswith(EXTRA)]
assert len(core) > 20, core
for name in core:
    importlib.import_module(name)

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sllmbo_magic import tune
from sllmbo_magic.errors import MissingExtraError
X, y = load_iris(return_X_y=True)
result = tune(LogisticRegression(max_iter=500), X, y, name="core", n_trials=5, cv=3, seed=1)
finished = [t for t in result.study.trials if t.state.is_finished()]
assert len(finished) == 5, finished
assert result.best_value >= result.default_value
assert result.best_estimator.predict(X).shape == y.shape
assert "LogisticRegression" in result.code()

import os
os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "sk-none"
for action, says in {{
    lambda: tune(LogisticRegression(), X, y, n_trials=2, llm="openai:gpt-4o"): "[openai]",
    lambda: tune(LogisticRegression(), X, y, n_trials=2, llm="anthropic:claude"): "[anthropic]",
    lambda: tune(LogisticRegression(), X, y, n_trials=2, sampler="gp"): "[gp]",
    lambda: tune(LogisticRegression(), X, y, n_trials=2, sampler="cmaes"): "[cmaes]",
    lambda: tune(LogisticRegression(), X, y, n_trials=2, sampler="hyperopt"): "[hyperopt]",
    lambda: result.plot_history(): "[plots]",
    lambda: result.trials_dataframe(): "[plots]",
}}.items():
    try:
        action()
    except MissingExtraError as error:
        assert says in str(error) and "pip install" in str(error) and "\\n" not in str(error), str(error)
    else:
        raise AssertionError("no word about the missing " + says)
print("the core works alone")
"""


def run(python: str | Path, code: str) -> str:
    done = subprocess.run(
        [str(python), "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_imports_and_tunes_where_the_extras_are_absent() -> None:
    assert "the core works alone" in run(sys.executable, HIDE + CORE)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_core_imports_and_tunes_after_a_core_install(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", HERE], check=True)
    assert "the core works alone" in run(python, CORE)

"""The worked changes of CONTRIBUTING apply to the tree as it is, and do what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.pages import text_of
from tests.test_front_end import FRONT_END
from tests.test_front_end import node


def changes() -> dict[str, str]:
    """The change of each section "How to add a ...", by what is added."""
    sections = re.split(r"^## How to add an? ", text_of("CONTRIBUTING.md"), flags=re.MULTILINE)[1:]
    return {s.split("\n")[0].strip(): re.search(r"```diff\n(.*?)^```", s, re.S | re.M)[1] for s in sections}


def apply(diff: str, root: Path) -> list[Path]:
    """Apply a change whose hunks are found by their text; gives the files that it changed."""
    changed = []
    for part in re.split(r"^--- ", diff, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n+++ b/")
        name, _, body = body.partition("\n")
        path = root / name
        text = path.read_text(encoding="utf-8") if head.strip() != "/dev/null" else ""
        for hunk in re.split(r"^@@.*\n", body, flags=re.MULTILINE)[1:]:
            lines = hunk.splitlines()
            before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
            assert text.count(before) == 1 or not text, f"{name} does not have once:\n{before}"
            text = text.replace(before, after) if text else after
        path.write_text(text, encoding="utf-8")
        changed.append(path)
    return changed


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    left_out = shutil.ignore_patterns(
        "static", "labextension"
    )  # with the bytecode: all but the changed is current
    shutil.copytree(ROOT / "sllmbo_magic", tmp_path / "sllmbo_magic", ignore=left_out)
    shutil.copytree(ROOT / "labextension" / "src", tmp_path / "labextension" / "src")
    return tmp_path


def test_four_changes_are_worked_out() -> None:
    assert set(changes()) == {"provider", "prior", "pane", "pruner"}


PROVIDER = """
from sllmbo_magic.llm.registry import list_providers, make_provider, parse

print(parse("echo:small"), "echo" in [info.id for info in list_providers()])
print(make_provider("echo:small").id)
"""
PRIOR = """
from sklearn.neighbors import NearestCentroid
from sllmbo_magic.priors import prior_for

prior = prior_for(NearestCentroid())
print(prior.family, sorted(prior.space.distributions))
"""
PRUNER = """
from sllmbo_magic import tune
from sllmbo_magic.tuning import pruning

def objective(trial):
    trial.report(trial.suggest_float("x", 0, 1), 1)
    trial.should_prune()
    return 0.0

result = tune(objective, direction="minimize", sampler="random", pruner="percentile", n_trials=3, folder="")
print(len(result.trials), type(pruning._pruner_object("percentile")).__name__)
"""


def test_the_changes_of_the_package_do_what_the_page_says(checkout: Path) -> None:
    """All in one copy of the package, as a process takes seconds to import it; their places differ."""
    for name in ("provider", "prior", "pruner"):
        apply(changes()[name], checkout)
    done = subprocess.run(
        [sys.executable, "-c", PROVIDER + PRIOR + PRUNER],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[:2] == ["echo:small True", "echo:small"]
    assert said[2] == "Nearest centroid ['metric', 'shrink_threshold']"
    assert said[-1] == "3 PercentilePruner"


def test_the_pane_compiles(checkout: Path) -> None:
    """With the rest of the front end: a name or a type that has changed is found."""
    modules = FRONT_END / "node_modules"
    node_program = node()  # skips, or fails under CI, where there is none
    apply(changes()["pane"], checkout)
    for name in ("tsconfig.json", "package.json"):
        shutil.copy(FRONT_END / name, checkout / "labextension" / name)
    (checkout / "labextension" / "node_modules").symlink_to(modules.resolve())
    done = subprocess.run(
        [node_program, str(modules / "typescript" / "bin" / "tsc"), "--noEmit"],
        cwd=checkout / "labextension",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_pane(checkout: Path) -> None:
    new, app = apply(changes()["pane"], checkout)
    assert "export function Durations" in new.read_text(encoding="utf-8")
    assert "content: Durations" in app.read_text(encoding="utf-8")

"""What pip and conda put on a machine: complete, reproducible, and working without Node."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.marks import long

HERE = Path(__file__).resolve().parents[1]
LAB = "sllmbo_magic-{version}.data/data/share/jupyter/labextensions/sllmbo-magic"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, HERE], check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_and_its_front_end_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    version = next(filter(None, (re.match(r"sllmbo_magic-(.+)\.dist-info/METADATA", n) for n in names)))[1]
    files = [path for path in (HERE / "sllmbo_magic").rglob("*") if path.suffix in (".py", ".json", ".typed")]
    source = {str(path.relative_to(HERE)) for path in files if "labextension" not in path.parts}
    assert source <= names
    assert {"sllmbo_magic/static/widget.js", "sllmbo_magic/static/report.js"} <= names
    lab = LAB.format(version=version)
    assert {f"{lab}/package.json", f"{lab}/install.json"} <= names
    assert any(re.fullmatch(rf"{re.escape(lab)}/static/remoteEntry\.\w+\.js", name) for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"sllmbo_magic", f"sllmbo_magic-{version}.data", f"sllmbo_magic-{version}.dist-info"}


def test_the_metadata_promise_every_extra(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
    extras = set(re.findall(r"^Provides-Extra: (\S+)$", wheel.read(name).decode(), re.M))
    assert extras == set(metadata()["optional-dependencies"])
    assert extras >= {"notebook", "openai", "anthropic", "lightgbm", "plots", "all"}


def test_jupyterlab_takes_the_extension() -> None:
    command = [sys.executable, "-m", "jupyter", "labextension", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
    assert re.search(r"sllmbo-magic v\S+ enabled +OK", told), told


def test_the_wheel_holds_the_licenses_of_the_javascript_that_it_bundles(wheel: zipfile.ZipFile) -> None:
    text = wheel.read("sllmbo_magic/static/third-party-licenses.txt").decode()
    for package in ("d3-scale", "dompurify", "marked", "preact"):
        assert re.search(rf"^{package} \d\S* \(.+\)$", text, re.MULTILINE), package


def build(target: str, folder: Path) -> Path:
    """An sdist or a wheel of the checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=HERE, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("target", ["wheel", long("sdist")])
def test_two_builds_are_the_same_to_the_byte(
    target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if target == "wheel":  # pip has built one for the other tests
        first = Path(str(request.getfixturevalue("wheel").filename))
    else:
        first = build(target, tmp_path / "one")
    for folder in (HERE / "sllmbo_magic" / "static", HERE / "sllmbo_magic"):
        os.utime(folder)  # a later build of the same files
    second = build(target, tmp_path / "two")
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)}) == 1


def metadata() -> dict[str, object]:
    with (HERE / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def test_the_conda_recipe_is_read_by_condas_builder_and_has_the_dependencies_of_the_package() -> None:
    rattler_build = pytest.importorskip("rattler_build")
    recipe = rattler_build.Stage0Recipe.from_file(str(HERE / "conda" / "recipe.yaml"))
    (rendered,) = recipe.render()
    conda = rendered.recipe.to_dict()
    project = metadata()
    version = re.search(r'__version__ = "(.+)"', (HERE / "sllmbo_magic" / "__init__.py").read_text())[1]
    assert conda["package"] == {"name": "sllmbo-magic", "version": version}
    assert conda["build"]["noarch"] == "python"
    assert conda["about"]["license"] == project["license"]
    assert conda["about"]["summary"] == project["description"]
    ours = {re.sub(r"\s", "", line.partition(";")[0]).lower() for line in project["dependencies"]}
    theirs = {re.sub(r"\s", "", line).replace("_", "-").lower() for line in conda["requirements"]["run"]}
    assert theirs - {f"python{project['requires-python']}"} == ours
    assert not [line for line in conda["requirements"]["run"] if line != line.lower()]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_wheel_works_in_a_clean_environment_without_node(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Needs the package registry, as an installation does."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean["PATH"] = str(python.parent)  # /usr/bin may hold a Node
    install = [python, "-m", "pip", "install", "--quiet", f"{wheel.filename}[notebook,lightgbm,plots]"]
    subprocess.run(install, cwd=tmp_path, env=clean, check=True)
    subprocess.run([python, "-m", "pip", "check"], cwd=tmp_path, env=clean, check=True)
    code = """
import shutil
assert shutil.which("node") is None
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("%load_ext sllmbo_magic").raise_error()
shell.run_cell('''%%sllmbo smoke --n-trials 5 --seed 0 --no-widget
from lightgbm import LGBMClassifier
from sklearn.datasets import load_wine
X, y = load_wine(return_X_y=True)
model = LGBMClassifier(n_estimators=20, verbose=-1)
''').raise_error()
result = shell.user_ns["smoke"]
print(len(result.trials), result.report("smoke.html").stat().st_size > 100_000)
"""
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == "5 True"


def test_the_citation_file_has_the_version_and_the_paper() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((HERE / "CITATION.cff").read_text(encoding="utf-8"))
    version = re.search(r'__version__ = "(.+)"', (HERE / "sllmbo_magic" / "__init__.py").read_text())[1]
    assert (citation["cff-version"], citation["version"], citation["license"]) == ("1.2.0", version, "MIT")
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["preferred-citation"]["url"].endswith("2410.20302")


def test_the_front_end_and_the_changelog_have_the_version_of_the_package() -> None:
    version = re.search(r'__version__ = "(.+)"', (HERE / "sllmbo_magic" / "__init__.py").read_text())[1]
    front_end = json.loads((HERE / "labextension" / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((HERE / "labextension" / "package-lock.json").read_text(encoding="utf-8"))
    changelog = (HERE / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d[\d.]+)", changelog, re.MULTILINE)[1]
    assert {front_end["version"], lock["version"], lock["packages"][""]["version"], newest} == {version}

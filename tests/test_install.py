"""What pip puts on a machine: the wheel is complete, and JupyterLab takes the extension."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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
    metadata = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
    extras = set(re.findall(r"^Provides-Extra: (\S+)$", wheel.read(metadata).decode(), re.M))
    assert extras == {
        "notebook",
        "openai",
        "anthropic",
        "lightgbm",
        "hyperopt",
        "cmaes",
        "gp",
        "plots",
        "all",
    }


def test_jupyterlab_takes_the_extension() -> None:
    command = [sys.executable, "-m", "jupyter", "labextension", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
    assert re.search(r"sllmbo-magic v\S+ enabled +OK", told), told

"""Only folders of runs inside the folder of runs are ever deleted, renamed, archived or written to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.run_paths import ROOT
from sllmbo_magic.storage.runs import delete_run
from sllmbo_magic.storage.runs import list_runs
from sllmbo_magic.storage.runs import rename_run

Act = Callable[[str], Any]


def rename(name: str) -> None:
    rename_run(name, "renamed")


def open_again(name: str) -> None:
    RunFolder.open(name).release()


def resume(name: str) -> None:
    RunFolder.open(name, resume=True).release()


def start(name: str) -> None:
    tune(
        lambda params: params["x"],
        search_space={"x": (0.0, 1.0)},
        direction="minimize",
        n_trials=1,
        name=name,
    )


CHANGES = [delete_run, rename]
ALL = [*CHANGES, open_again, resume, start]


def of_the_user(path: Path) -> Path:
    """A folder of the user's that looks like a run at first sight."""
    path.mkdir(parents=True)
    (path / "run.json").write_text('{"epochs": 3}')
    (path / "weights.bin").write_bytes(b"weights")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("there_are_runs", [False, True])
def test_a_folder_in_the_working_directory_is_no_run(change: Act, there_are_runs: bool) -> None:
    if there_are_runs:
        RunFolder.open("mine").release()
    model = of_the_user(Path("model"))
    before = contents(model)
    with pytest.raises(InputError, match="there is no run 'model'"):
        change("model")
    assert contents(model) == before


def test_a_run_that_was_copied_into_the_working_directory_is_not_deleted_either() -> None:
    RunFolder.open("mine").release()
    (ROOT / "mine").rename("mine")
    with pytest.raises(InputError, match="there is no run 'mine'"):
        delete_run("mine")
    assert Path("mine/run.json").exists()


@pytest.mark.parametrize("change", ALL)
def test_a_folder_of_the_user_among_the_runs_is_left_alone(change: Act) -> None:
    model = of_the_user(ROOT / "model")
    before = contents(model)
    with pytest.raises(InputError, match="it is left alone"):
        change("model")
    assert contents(model) == before
    assert list_runs() == []


@pytest.mark.parametrize("change", ALL)
@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_is_never_followed_nor_moved(change: Act, target: str) -> None:
    RunFolder.open("real").release()
    (ROOT / "real").rename("elsewhere")
    os.symlink(Path(target).absolute(), ROOT / "linked")
    before = contents(Path("elsewhere"))
    with pytest.raises(InputError, match=r"linked is a link.* it is left alone"):
        change("linked")
    assert contents(Path("elsewhere")) == before
    assert (ROOT / "linked").is_symlink()


@pytest.mark.parametrize("change", ALL)
@pytest.mark.parametrize("name", ["..", ".", "../model", "model/..", "/etc", ".sllmbo/mine"])
def test_a_path_is_no_name(change: Act, name: str) -> None:
    RunFolder.open("mine").release()
    of_the_user(Path("model"))
    with pytest.raises(InputError, match="cannot be the name of a run"):
        change(name)
    assert Path("model/weights.bin").exists()
    assert (ROOT / "mine/run.json").exists()


def test_renaming_takes_the_place_of_nothing() -> None:
    RunFolder.open("mine").release()
    os.symlink("nowhere", ROOT / "dangling")
    of_the_user(ROOT / "model")
    for taken in ("dangling", "model"):
        with pytest.raises(InputError, match="already"):
            rename_run("mine", taken)


def test_links_inside_a_run_are_removed_and_not_followed() -> None:
    RunFolder.open("mine").release()
    data = of_the_user(Path("data"))
    os.symlink(data.absolute(), ROOT / "mine/data")
    delete_run("mine")
    assert contents(data)
    assert not (ROOT / "mine").exists()


def test_runs_that_died_early_can_still_be_deleted() -> None:
    for name, files in {"empty": [], "taken": ["owner.json"], "torn": ["run.json", "study.log"]}.items():
        RunFolder.open(name).release()
        for path in (ROOT / name).iterdir():
            path.unlink()
        for file in files:
            (ROOT / name / file).write_text("{")
        delete_run(name)
        assert not (ROOT / name).exists()


def test_a_folder_of_the_user_that_shall_hold_runs_stays_in_version_control() -> None:
    Path("project").mkdir()
    Path("project/code.py").write_text("")
    RunFolder.open("mine", root="project").release()
    assert not Path("project/.gitignore").exists()
    RunFolder.open("mine", root="new").release()
    assert Path("new/.gitignore").read_text() == "*\n"

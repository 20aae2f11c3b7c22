"""``join``: several programs on one study, one owner of each trial, and no trial lost when one dies."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import optuna
import pytest
from filelock import FileLock
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sllmbo_magic import SearchSpace
from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.events import Note
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.history.trials import counts
from sllmbo_magic.samplers.space_state import SpaceState
from sllmbo_magic.storage.backends import open_storage
from sllmbo_magic.storage.program_lock import ProgramLock
from sllmbo_magic.storage.program_lock import lives
from sllmbo_magic.storage.runs import delete_run
from sllmbo_magic.storage.runs import list_runs
from sllmbo_magic.testing import FunctionProvider
from tests.marks import long
from tests.replies import Responder

ROOT = str(Path(__file__).parents[2])
CODE = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from sllmbo_magic import tune
from tests.tuning.test_joining import SPACE, parabola

print("ready", flush=True)
while not Path("go").exists():
    time.sleep(0.01)
result = tune(parabola, join=True, n_trials={n_trials}, seed=1, storage={storage!r}, **SPACE)
print(len(result.trials), result.best_value, flush=True)
"""
SPACE: dict[str, Any] = {"search_space": {"x": (-5.0, 5.0)}, "direction": "minimize", "name": "shared"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parabola(params: dict[str, float]) -> float:
    """As slow as the environment says; notes its calls in the working directory."""
    with Path("calls").open("a") as file:
        file.write(f"{os.getpid()} {params['x']!r}\n")
    time.sleep(float(os.environ.get("SECONDS_OF_A_TRIAL", "0")))
    return (params["x"] - 1.0) ** 2


def study_of(storage: str | None) -> optuna.Study:
    where: Any = storage or JournalStorage(JournalFileBackend(".sllmbo/shared.study.log"))
    return optuna.load_study(study_name="shared", storage=where)


def program(n_trials: int, storage: str | None = None) -> str:
    return CODE.format(root=ROOT, n_trials=n_trials, storage=storage)


@pytest.mark.parametrize("storage", [long(None), long("sqlite:///shared.db"), "journal:shared.log"])
def test_two_programs_share_the_trials_of_a_study(
    storage: str | None, child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_OF_A_TRIAL", "0.1")
    processes = [child(program(14, storage)) for _ in range(2)]
    for process in processes:  # both have imported what takes seconds
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    Path("go").touch()
    assert [process.wait(120) for process in processes] == [0, 0]
    if storage == "journal:shared.log":
        study = optuna.load_study(
            study_name="shared", storage=JournalStorage(JournalFileBackend("shared.log"))
        )
    else:
        study = study_of(storage)
    trials = study.trials
    assert 14 <= len(trials) <= 15, "one in flight of the other one when the total was reached"
    assert all(trial.state.name == "COMPLETE" for trial in trials)
    calls = Path("calls").read_text().splitlines()
    assert len(calls) == len(trials), "no trial was evaluated twice"
    by_process = Counter(line.split()[0] for line in calls)
    assert len(by_process) == 2
    owners = Counter(trial.user_attrs[attrs.OWNER]["folder"] for trial in trials)
    assert set(owners) == {"shared", "shared-2"}
    assert sorted(owners.values()) == sorted(by_process.values())
    values = [trial.params["x"] for trial in trials]
    assert len(set(values)) == len(values)
    texts = [(process.stdout.read() if process.stdout else "") for process in processes]
    assert any(text.startswith(f"{len(trials)} ") for text in texts)


def test_a_program_that_joins_later_goes_on_with_what_is_there() -> None:
    first = [trial.params for trial in tune(parabola, n_trials=5, seed=1, join=True, **SPACE).trials]
    events: list[Any] = []
    second = tune(parabola, n_trials=9, seed=1, join=True, sinks=[events.append], **SPACE)
    assert [trial.params for trial in second.trials[:5]] == first
    assert len(second.trials) == 9
    assert len({trial.params["x"] for trial in second.trials}) == 9
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any(text.startswith("Joined study shared, which has 5 trials.") for text in notes)
    third = tune(parabola, n_trials=9, seed=1, join=True, **SPACE)
    assert len(third.trials) == 9
    assert third.best_params == second.best_params


def test_an_llm_reads_of_another_programs_llm_as_of_somebody_else() -> None:
    """It was told that its own predictions came true, and of answers that it never gave."""

    def prompts_of(seed: int, n_trials: int) -> list[str]:
        llm = FunctionProvider(Responder(seed))
        options = {**SPACE, "judge": False, "llm_ratio": 0.9, "join": True}
        tune(parabola, n_trials=n_trials, seed=seed, llm=llm, **options)
        return ["\n".join(m.content for m in r.messages) for r in llm.requests if r.purpose == "propose"]

    first, second = prompts_of(1, 12), prompts_of(2, 24)
    assert "Your predictions" in first[-1]
    assert ",other," not in first[-1]
    assert ",other," in second[0]
    assert "other (the LLM of another program on this study)" in second[0]
    assert "Your predictions" not in second[0]
    assert "Of your last answer" not in second[0]
    assert "Your predictions" in second[-1]


def test_what_a_program_that_joins_gives_is_tried_next_and_once() -> None:
    given = {"join": True, "seed": 1, "enqueue": [{"x": 0.25}]}
    tune(parabola, n_trials=2, **given, **SPACE)
    tune(parabola, n_trials=4, **given, **SPACE)
    last = tune(parabola, n_trials=6, **(given | {"enqueue": [{"x": 0.25}, {"x": 0.75}]}), **SPACE)
    assert [trial.params["x"] for trial in last.trials].count(0.25) == 1
    assert last.trials[4].params == {"x": 0.75}


def test_programs_on_a_study_share_its_ranges() -> None:
    """One program works while a trial of the other one runs; both have commands of their users."""
    space = dict.fromkeys(("x", "y", "z"), (0.0, 10.0))
    shared = {"search_space": space, "direction": "minimize", "name": "shared", "join": True, "seed": 1}
    ours, theirs = Control(), Control()
    ours.wish("range", {"param": "x", "low": 1.0, "high": 2.0})
    theirs.wish("range", {"param": "y", "low": 3.0, "high": 4.0})
    joined: list[bool] = []

    def objective(params: dict[str, float]) -> float:
        if not joined:
            joined.append(True)
            tune(objective, n_trials=4, control=theirs, **shared)
            ours.wish("range", {"param": "z", "low": 5.0, "high": 6.0})
        return sum(params.values())

    result = tune(objective, n_trials=8, control=ours, **shared)
    assert all(1.0 <= trial.params["x"] <= 2.0 for trial in result.trials)
    assert all(3.0 <= trial.params["y"] <= 4.0 for trial in result.trials[1:])
    assert all(5.0 <= trial.params["z"] <= 6.0 for trial in result.trials[5:])
    assert [version.by for version in result.space_versions] == ["user"] * 4
    events: list[Any] = []
    later = tune(objective, n_trials=10, sinks=[events.append], **shared)
    bounds = later.space_versions[-1].space
    assert [(bounds[name].low, bounds[name].high) for name in space] == [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]
    assert [e.version for e in events if isinstance(e, SpaceChanged)] == [0, 1, 2, 3]


def test_ranges_that_two_programs_set_at_once_both_hold() -> None:
    study = optuna.create_study()
    start = SearchSpace({"x": FloatDistribution(0.0, 10.0), "y": FloatDistribution(0.0, 10.0)})
    ours, theirs = SpaceState(start), SpaceState(start)
    ours.is_shared = theirs.is_shared = True
    ours.store(study)
    for state, name in ((ours, "x"), (theirs, "y")):
        state.change(start.narrow(name, low=1.0, high=2.0), 3, f"set by the user: {name}", "user")
        state.store(study)
    ours.take_in(study)
    theirs.take_in(study)
    assert ours.versions == theirs.versions
    assert len(ours.versions) == 3
    assert ours.space == start.narrow("x", low=1.0, high=2.0).narrow("y", low=1.0, high=2.0)
    assert "y" in ours.user_ranges


def test_the_library_default_is_evaluated_once(data: Any, model: Any) -> None:
    options: dict[str, Any] = {"name": "shared", "join": True, "seed": 3, "verify": False}
    tune(model, *data, n_trials=4, **options)
    result = tune(model, *data, n_trials=8, **options)
    assert [trial.user_attrs[attrs.SOURCE] for trial in result.trials].count("default") == 1
    assert len(result.trials) == 8


def test_the_trial_of_a_program_that_was_killed_runs_again(
    child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_OF_A_TRIAL", "0.5")
    Path("go").touch()
    process = child(program(8))
    monkeypatch.delenv("SECONDS_OF_A_TRIAL")
    while not Path("calls").exists() or len(Path("calls").read_text().splitlines()) < 3:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    cut_off = [trial for trial in study_of(None).trials if trial.state.name == "RUNNING"]
    assert len(cut_off) == 1
    result = tune(parabola, n_trials=8, seed=1, join=True, **SPACE)
    complete = [trial for trial in result.study.trials if trial.state.name == "COMPLETE"]
    assert len(complete) == 8
    assert cut_off[0].params["x"] in [trial.params["x"] for trial in complete]
    assert not [trial for trial in result.study.trials if trial.state.name == "RUNNING"]


def test_the_trial_of_a_program_that_lives_is_left_alone(
    child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_OF_A_TRIAL", "600")
    Path("go").touch()
    child(program(6))
    monkeypatch.delenv("SECONDS_OF_A_TRIAL")
    while not Path("calls").exists() or not Path("calls").read_text().endswith("\n"):
        time.sleep(0.02)
    result = tune(parabola, n_trials=6, seed=1, join=True, **SPACE)
    states = [trial.state.name for trial in result.study.trials]
    assert states.count("RUNNING") == 1
    assert states.count("COMPLETE") == 6
    assert len(Path("calls").read_text().splitlines()) == 7


def test_what_killed_programs_left_is_removed_after_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kill left a file in the temporary folder for good. Until then it says that the program is dead."""
    monkeypatch.setattr(tempfile, "tempdir", str(Path.cwd()))
    week = 7 * 24 * 3600
    for name, seconds in (("dead", week + 60), ("alive", week + 60), ("fresh", week - 60)):
        path = Path(f"sllmbo-magic-{name}.lock")
        path.touch()
        os.utime(path, (time.time() - seconds,) * 2)
    Path("sllmbo-magic-other.txt").touch()
    holder = FileLock("sllmbo-magic-alive.lock")
    with holder:
        os.utime("sllmbo-magic-alive.lock", (time.time() - week - 60,) * 2)
        with ProgramLock() as program:
            assert lives(program.token)
        left = {path.name for path in Path.cwd().glob("sllmbo-magic-*")}
        assert left == {"sllmbo-magic-alive.lock", "sllmbo-magic-fresh.lock", "sllmbo-magic-other.txt"}
        assert (lives("dead"), lives("fresh"), lives("alive")) == (None, False, True)


@pytest.mark.parametrize("storage", [long("sqlite:///runs.db"), "journal:runs.log"])
@pytest.mark.parametrize("folder", ["elsewhere", long("")])
def test_a_resumed_study_in_use_is_refused_until_its_program_dies(
    storage: str, folder: str, child: Callable[[str], Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_OF_A_TRIAL", "600")
    Path("go").touch()
    process = child(program(6, storage).replace("join=True", "resume=True"))
    monkeypatch.delenv("SECONDS_OF_A_TRIAL")
    while not Path("calls").exists() or not Path("calls").read_text().endswith("\n"):
        time.sleep(0.02)
    options: dict[str, Any] = {"n_trials": 6, "seed": 2, "storage": storage, "folder": folder, **SPACE}
    with pytest.raises(RunLockedError, match="study 'shared' is in use by another program") as caught:
        tune(parabola, resume=True, **options)
    assert "--join" in str(caught.value.hint)
    shared = optuna.load_study(study_name="shared", storage=open_storage(storage))
    given = tune(parabola, study=shared, **{**options, "storage": None, "n_trials": 2, "folder": ""})
    assert given.study.trials[0].state.name == "RUNNING", "a program may be at work in a study that is given"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    trials = tune(parabola, resume=True, **options).study.trials
    states = Counter(trial.state.name for trial in trials)
    assert states == {"FAIL": 1, "COMPLETE": 6}
    assert trials[0].state.name == "FAIL"
    assert trials[0].params in [trial.params for trial in trials[1:]]


def test_a_study_whose_program_is_between_two_trials_is_in_use(
    child: Callable[[str], Popen[str]],
) -> None:
    wait = "callbacks=[lambda *_: (Path('between').touch(), time.sleep(600))]"
    Path("go").touch()
    process = child(program(6, "journal:runs.log").replace("join=True", f"folder='', {wait}"))
    while not Path("between").exists():
        assert process.poll() is None
        time.sleep(0.02)
    options: dict[str, Any] = {"n_trials": 6, "storage": "journal:runs.log", "folder": "elsewhere", **SPACE}
    with pytest.raises(RunLockedError, match="study 'shared' is in use by another program") as caught:
        tune(parabola, resume=True, **options)
    assert "--join" in str(caught.value.hint)
    process.kill()
    process.wait()
    assert len(tune(parabola, resume=True, **options).trials) == 6


def test_the_outcome_of_a_trial_that_somebody_else_ended_is_kept() -> None:
    events: list[Any] = []

    def objective(params: dict[str, float]) -> float:
        study = optuna.load_study(study_name="shared", storage=open_storage("journal:runs.log"))
        if len(study.trials) == 3:
            study.tell(2, state=TrialState.FAIL)
        return params["x"] ** 2

    storage = "journal:runs.log"
    result = tune(objective, n_trials=6, seed=1, storage=storage, sinks=[events.append], **SPACE)
    states = [trial.state.name for trial in result.study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * (len(states) - 3)]
    assert sum(counts(trial) for trial in result.study.trials) == 6
    assert result.study.trials[3].params == result.study.trials[2].params
    assert result.study.trials[3].value == result.study.trials[2].params["x"] ** 2
    texts = [event.text for event in events if isinstance(event, Note)]
    assert any(text.endswith("Its outcome here is kept as a trial of its own.") for text in texts)


def test_a_joined_run_is_opened_and_the_last_one_deleted_takes_the_trials_along() -> None:
    for n_trials in (3, 5):
        tune(parabola, n_trials=n_trials, seed=1, join=True, **SPACE)
    assert len(TuneResult.load(".sllmbo/shared").trials) == 5
    assert {run.name for run in list_runs()} == {"shared", "shared.1"}
    delete_run("shared.1")
    assert len(TuneResult.load(".sllmbo/shared").trials) == 5
    delete_run("shared")
    assert [path.name for path in Path(".sllmbo").iterdir() if "study.log" in path.name] == []
    assert len(tune(parabola, n_trials=2, seed=1, join=True, **SPACE).trials) == 2


@pytest.mark.parametrize("folder", [None, "runs"])
def test_an_objective_may_change_the_working_directory(folder: str | None, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()

    def objective(params: dict[str, float]) -> float:
        os.chdir(tmp_path / "elsewhere")
        return params["x"]

    result = tune(objective, n_trials=4, seed=1, join=True, folder=folder, **SPACE)
    assert (result.status, len(result.trials)) == ("finished", 4)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert len(TuneResult.load(tmp_path / (folder or ".sllmbo") / "shared").trials) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"storage": "memory"}, "join needs a storage that other programs reach"),
        ({"storage": InMemoryStorage()}, "join needs a storage that other programs reach"),
        ({"folder": ""}, "join needs a storage that other programs reach"),
        ({"study": optuna.create_study()}, "join and study both name a study"),
        ({"join": "yes please"}, "join"),
    ],
)
def test_what_nobody_could_join_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tune(parabola, **{"n_trials": 2, "join": True, **SPACE, **options})


def test_another_task_is_refused(data: Any, model: Any) -> None:
    X, y = data
    tune(model, X, y, n_trials=2, join=True, name="shared", verify=False)
    with pytest.raises(InputError, match="trials of another task: data") as caught:
        tune(model, X[:50], y[:50], n_trials=3, join=True, name="shared", verify=False)
    assert "other programs on the study" in str(caught.value.hint)


@pytest.mark.parametrize("other", ["rows", "scoring"])
def test_another_task_is_refused_while_the_first_trial_runs(data: Any, model: Any, other: str) -> None:
    X, y = data
    refused: list[InputError] = []
    options: dict[str, Any] = {"join": True, "name": "shared", "verify": False, "n_trials": 2}
    rows, scoring = (50, None) if other == "rows" else (len(X), "neg_log_loss")

    def join(event: Any) -> None:
        if isinstance(event, TrialStarted) and not refused:
            with pytest.raises(InputError, match=r"program .* another task: (data|metric)") as caught:
                tune(model, X[:rows], y[:rows], scoring=scoring, **options)
            refused.append(caught.value)

    study = tune(model, X, y, sinks=[join], **options).study
    assert refused
    described = study.user_attrs[attrs.FINGERPRINT]
    assert tune(model, X, y, **options).study.user_attrs[attrs.FINGERPRINT] == described


def test_another_search_space_is_refused() -> None:
    tune(parabola, n_trials=2, join=True, **SPACE)
    with pytest.raises(InputError, match="It had `x: -5 to 5` and has `x: -5 to 50`"):
        tune(parabola, n_trials=4, join=True, **{**SPACE, "search_space": {"x": (-5.0, 50.0)}})

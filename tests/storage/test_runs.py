"""Runs on disk: what is kept when a run is repeated, resumed, killed, or wanted by two processes at once."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sllmbo_magic import attrs
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.errors import RunChangedError
from sllmbo_magic.errors import RunLockedError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.storage import backends
from sllmbo_magic.storage import runs
from sllmbo_magic.storage.locks import FOREIGN_GRACE
from sllmbo_magic.storage.locks import JournalLock
from sllmbo_magic.storage.locks import Owner
from sllmbo_magic.storage.run_paths import ROOT
from sllmbo_magic.storage.runs import RunFolder

Child = Callable[[str], "subprocess.Popen[str]"]

HOLD = """
    from sllmbo_magic.storage.runs import RunFolder
    folder = RunFolder.open("iris", resume=True)
    print("taken")
    input()
"""


def study_of(folder: RunFolder) -> optuna.Study:
    return optuna.create_study(
        storage=folder.storage(), study_name="s", load_if_exists=True, direction="maximize"
    )


def run_trials(folder: RunFolder, values: list[float]) -> optuna.Study:
    study = study_of(folder)
    for value in values:
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study.tell(trial, value)
    return study


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def started_together(child: Child, code: str, n: int = 3) -> list[subprocess.Popen[str]]:
    """Processes that run the same code, let go at once when all have said "ready"."""
    processes = [child(code) for _ in range(n)]
    for process in processes:
        assert says(process) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return processes


# ---- folders and archives


def test_a_new_run_has_its_folder_its_owner_and_stays_out_of_commits() -> None:
    with RunFolder.open("iris", meta={"status": "running", "options": {"n_trials": 5}}) as folder:
        assert folder.path == Path.cwd() / ".sllmbo/iris"
        assert (ROOT / ".gitignore").read_text() == "*\n"
        assert folder.read_meta()["name"] == "iris"
        assert folder.read_meta()["options"] == {"n_trials": 5}
        owner = folder.owner()
        assert owner is not None
        assert (owner.pid, owner.host) == (os.getpid(), socket.gethostname())
    assert folder.owner() is None
    assert not folder.owner_path.exists()


def test_a_repeated_name_archives_the_earlier_runs_in_order_and_they_stay_readable() -> None:
    for value in (0.1, 0.2, 0.3):
        with RunFolder.open("iris") as folder:
            run_trials(folder, [value])
    with RunFolder.open("iris-2"):
        pass
    assert {p.name for p in ROOT.iterdir() if p.is_dir()} == {"iris", "iris.1", "iris.2", "iris-2"}
    for name, value in {"iris.1": 0.1, "iris.2": 0.2, "iris": 0.3}.items():
        assert study_of(runs.find_run(name)).best_value == value


def test_an_archive_never_takes_the_place_of_another() -> None:
    for _ in range(3):
        RunFolder.open("iris").release()
    runs.delete_run("iris.1")
    RunFolder.open("iris").release()
    assert {p.name for p in ROOT.iterdir() if p.is_dir()} == {"iris", "iris.2", "iris.3"}


def test_resume_goes_on_in_the_same_folder_and_keeps_what_is_known() -> None:
    with RunFolder.open("iris", meta={"fingerprint": {"data": "a"}}) as folder:
        assert not folder.resumed
        run_trials(folder, [0.5])
    with RunFolder.open("iris", resume=True, meta={"fingerprint": {"data": "b"}}) as folder:
        assert folder.resumed
        assert folder.read_meta()["fingerprint"] == {"data": "a"}
        assert run_trials(folder, [0.7]).best_trial.number == 1
    assert [info.name for info in runs.list_runs()] == ["iris"]


def test_resume_without_an_earlier_run_begins_one() -> None:
    with RunFolder.open("iris", resume=True, meta={"metric": "r2"}) as folder:
        assert not folder.resumed
        assert folder.read_meta()["metric"] == "r2"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\\b", ".hidden", "a b", "x.", "a" * 101, "a\n"]
)
def test_a_name_that_is_no_folder_name_is_refused_before_anything_is_made(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a run"):
        RunFolder.open(name, root="runs")
    assert [p.name for p in Path("runs").glob("*/")] == []


def test_a_root_that_cannot_be_made_is_one_line() -> None:
    Path("file").write_text("")
    with pytest.raises(StorageError, match=r"folder file/runs for runs cannot be made \(Not a directory\)"):
        RunFolder.open("iris", root="file/runs")


# ---- owners


def test_a_living_owner_in_another_process_keeps_everybody_else_out(child: Child) -> None:
    process = child(HOLD)
    assert says(process) == "taken"
    for resume in (False, True):
        with pytest.raises(RunLockedError, match=rf"in use by process {process.pid} since .*another name"):
            RunFolder.open("iris", resume=resume)
    with pytest.raises(RunLockedError):
        runs.delete_run("iris")
    with pytest.raises(RunLockedError):
        runs.rename_run("iris", "other")
    with pytest.raises(RunLockedError):
        runs.find_run("iris").acquire()
    assert [info.status for info in runs.list_runs()] == [f"running (pid {process.pid})"]
    process.communicate("\n")


def test_a_second_run_of_the_name_in_this_process_is_refused_and_a_forgotten_one_is_not() -> None:
    folder = RunFolder.open("iris")
    folder.acquire()  # again, by the same object: nothing to do
    with pytest.raises(RunLockedError, match="in use by this process"):
        RunFolder.open("iris", resume=True)
    del folder
    RunFolder.open("iris", resume=True).release()


@pytest.mark.parametrize("reaped", [True, False])
def test_the_lock_of_a_killed_owner_is_void_at_once_even_before_its_parent_noticed(
    child: Child, reaped: bool
) -> None:
    process = child(HOLD)
    assert says(process) == "taken"
    process.kill()
    if reaped:
        process.wait()
    else:  # stays a zombie until the end of the test
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert [info.status for info in runs.list_runs()] == ["interrupted"]
    with RunFolder.open("iris", resume=True) as folder:
        assert folder.resumed


def test_a_note_alone_owns_nothing_wherever_it_comes_from() -> None:
    folder = RunFolder.open("iris")
    folder.release()
    for note in (Owner.current(), Owner(os.getppid(), socket.gethostname(), 0.0), Owner(1, "elsewhere", 0.0)):
        note.write(folder.owner_path)
        assert folder.owner() is None
        RunFolder.open("iris", resume=True).release()


def test_an_owner_on_another_machine_is_named() -> None:
    with RunFolder.open("iris") as folder:
        Owner(7, "elsewhere", 0.0).write(folder.owner_path)
        with pytest.raises(RunLockedError, match="in use by process 7 on elsewhere"):
            RunFolder.open("iris")
        folder.owner_path.write_text('{"pid": 7, "ho')
        with pytest.raises(RunLockedError, match="in use by another process"):
            RunFolder.open("iris")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_neither_keeps_the_lock_nor_gives_it_away(child: Child) -> None:
    process = child("""
        import gc, os, signal
        from sllmbo_magic.storage.runs import RunFolder
        folder = RunFolder.open("iris")
        reader, writer = os.pipe()
        if os.fork() == 0:
            folder = None
            gc.collect()
            signal.alarm(60)  # nobody is left to end it
            os.write(writer, b"x")
            signal.pause()
        os.read(reader, 1)
        print("taken")
        input()
    """)
    assert says(process) == "taken"
    with pytest.raises(RunLockedError):
        RunFolder.open("iris", resume=True)
    process.kill()
    process.wait()
    RunFolder.open("iris", resume=True).release()
    process.stdin, process.stdout = None, None  # the grandchild has them too


def test_a_torn_note_of_an_owner_is_that_of_a_dead_one() -> None:
    folder = RunFolder.open("iris")
    folder.release()
    folder.owner_path.write_text('{"pid": 1, "ho')
    RunFolder.open("iris", resume=True).release()


def test_two_processes_that_want_the_same_name_at_once_never_both_get_it(child: Child) -> None:
    code = """
        from sllmbo_magic.errors import RunLockedError
        from sllmbo_magic.storage.runs import RunFolder
        print("ready")
        input()
        try:
            folder = RunFolder.open("iris")
            print("taken")
        except RunLockedError:
            print("locked")
        input()
    """
    processes = started_together(child, code)
    assert sorted(says(process) for process in processes) == ["locked", "locked", "taken"]
    assert [info.name for info in runs.list_runs()] == ["iris"]


# ---- kill -9


@pytest.mark.timeout(25)  # less than the 30 s for which Optuna's own lock would hold everybody up
def test_kill_9_loses_at_most_the_trial_in_flight_which_is_queued_again(child: Child) -> None:
    process = child("""
        import optuna
        from sllmbo_magic.storage.runs import RunFolder
        folder = RunFolder.open("iris", meta={"status": "running", "options": {"n_trials": 9}})
        study = optuna.create_study(storage=folder.storage(), study_name="s", direction="maximize")

        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            trial.set_user_attr("sllmbo:source", "llm")
            trial.set_user_attr("sllmbo:evaluation", {"split_scores": [0.5]})
            if trial.number == 4:
                print(repr(x))
                input()
            return x

        study.optimize(objective, n_trials=9)
    """)
    x = float(says(process))
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert [(i.status, i.n_done, i.n_trials) for i in runs.list_runs()] == [("interrupted", 4, 9)]
    with RunFolder.open("iris", resume=True) as folder:
        study = study_of(folder)
        assert [t.number for t in runs.stale_trials(study)] == [4]
        assert [t.params for t in runs.requeue_stale(study)] == [{"x": x}]
        states = [t.state for t in study.trials]
        assert states == [TrialState.COMPLETE] * 4 + [TrialState.FAIL, TrialState.WAITING]
        again = study.ask()
        assert again.suggest_float("x", 0, 1) == x
        assert again.user_attrs == {"sllmbo:source": "llm"}
        study.tell(again, x)
        assert runs.stale_trials(study) == []
    assert runs.list_runs()[0].n_done == 5


def test_a_stale_trial_without_parameters_is_ended_and_not_queued() -> None:
    with RunFolder.open("iris") as folder:
        study = study_of(folder)
        study.ask()
        runs.requeue_stale(study)
        assert [t.state for t in study.trials] == [TrialState.FAIL]


@pytest.mark.parametrize("step", ["enqueue_trial", "tell"])
def test_a_death_while_stale_trials_are_queued_again_loses_and_doubles_none(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def dies(*args: object, **kwargs: object) -> None:
        raise KilledError

    with RunFolder.open("iris") as folder:
        study = study_of(folder)
        for x in (0.25, 0.75):
            study.enqueue_trial({"x": x}, user_attrs={"sllmbo:source": "llm-init"})
            study.ask().suggest_float("x", 0, 1)
        with monkeypatch.context() as patched:
            patched.setattr(optuna.Study, step, dies)
            with pytest.raises(KilledError):
                runs.requeue_stale(study)
        runs.requeue_stale(study)
        waiting = study.get_trials(states=(TrialState.WAITING,))
        assert sorted(t.system_attrs["fixed_params"]["x"] for t in waiting) == [0.25, 0.75]
        assert [t.user_attrs for t in waiting] == [{"sllmbo:source": "llm-init"}] * 2
        assert runs.stale_trials(study) == []


@pytest.mark.timeout(25)
def test_a_writer_killed_while_it_holds_the_journal_delays_nobody(child: Child) -> None:
    process = child("""
        from sllmbo_magic.storage.locks import JournalLock
        from sllmbo_magic.storage.runs import RunFolder
        folder = RunFolder.open("iris")
        folder.storage()
        JournalLock(folder.study_path).acquire()
        print("held")
        input()
    """)
    assert says(process) == "held"
    process.kill()
    process.wait()
    link = Path(".sllmbo/iris/study.log.lock")
    assert link.is_symlink()

    with RunFolder.open("iris", resume=True) as folder:
        JournalLock(folder.study_path, sleep=never).acquire()
        assert link.is_symlink()  # other programs see that it is held now
        JournalLock(folder.study_path).release()
        link.unlink(missing_ok=True)
        assert run_trials(folder, [0.5]).best_value == 0.5


def never(seconds: float) -> None:
    raise AssertionError("waited for a dead process")


def test_a_line_torn_by_a_killed_writer_does_not_spoil_the_study() -> None:
    with RunFolder.open("iris") as folder:
        run_trials(folder, [0.1, 0.2])
        with folder.study_path.open("ab") as file:
            file.write(b'{"op_code": 4, "worker')
        assert study_of(folder).best_value == 0.2  # reading does not mind
        run_trials(folder, [0.3])  # a write comes after a whole line
    assert [t.value for t in study_of(runs.find_run("iris")).trials] == [0.1, 0.2, 0.3]


def test_taking_a_run_cuts_torn_lines_of_study_and_transcript() -> None:
    with RunFolder.open("iris") as folder:
        folder.transcript_path.write_bytes(b'{"a": 1}\n{"b": ' + b"x" * 100_000)
        folder.study_path.write_bytes(b"\0" * 70_000)
    with RunFolder.open("iris", resume=True) as folder:
        assert folder.transcript_path.read_bytes() == b'{"a": 1}\n'
        assert folder.study_path.read_bytes() == b""
        assert "held no whole entry" in folder.damage
        assert run_trials(folder, [0.4]).best_value == 0.4


def test_another_programs_lock_on_the_journal_is_waited_for() -> None:
    path = Path("study.log")
    link = Path("study.log.lock")
    link.symlink_to(path)  # as Optuna and optuna-dashboard do
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            link.unlink()

    lock = JournalLock(path, sleep=sleep, clock=lambda: 0.0)
    lock.acquire()
    assert len(waits) == 3
    assert link.is_symlink()
    lock.release()
    assert not link.is_symlink()


def test_another_programs_lock_that_nobody_gives_back_is_broken_after_optunas_grace_period() -> None:
    link = Path("study.log.lock")
    link.touch()
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 1.0

    lock = JournalLock("study.log", sleep=sleep, clock=lambda: now[0])
    lock.acquire()
    lock.release()
    assert FOREIGN_GRACE <= now[0] < FOREIGN_GRACE + 3


def test_optuna_itself_waits_while_we_write_and_reads_what_we_wrote() -> None:
    with RunFolder.open("iris") as folder:
        run_trials(folder, [0.6])
        plain = optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(folder.study_path))
        )
        study = optuna.load_study(storage=plain, study_name="s")
        assert study.best_value == 0.6
        writer = threading.Thread(target=study.set_user_attr, args=("note", 1))
        ours = JournalLock(folder.study_path)
        ours.acquire()
        try:
            writer.start()
            writer.join(0.05)
            assert optuna.load_study(storage=folder.storage(), study_name="s").user_attrs == {}
        finally:
            ours.release()
            writer.join()
        assert study_of(folder).user_attrs == {"note": 1}


def test_processes_that_write_to_one_journal_at_once_lose_nothing(child: Child) -> None:
    Path("shared.log").touch()
    optuna.create_study(storage=backends.open_storage("journal:shared.log"), study_name="s")
    code = """
        import optuna
        from sllmbo_magic.storage.backends import open_storage
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.load_study(storage=open_storage("journal:shared.log"), study_name="s",
                                  sampler=optuna.samplers.RandomSampler())
        print("ready")
        input()
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=40)
        print("done")
    """
    processes = started_together(child, code)
    assert [says(process) for process in processes] == ["done"] * 3
    trials = optuna.load_study(storage=backends.open_storage("journal:shared.log"), study_name="s").trials
    assert [t.number for t in trials] == list(range(120))
    assert all(t.state == TrialState.COMPLETE for t in trials)


# ---- run.json


def test_run_json_keeps_what_is_not_changed_and_holds_only_what_any_json_reader_knows() -> None:
    with RunFolder.open("iris", meta={"options": {"n_trials": 5}}) as folder:
        folder.write_meta(
            {"summary": {"gain": np.float64(0.5), "noise": float("nan"), "grid": (np.int64(1), {2})}}
        )

        def refuse(text: str) -> None:
            raise AssertionError(f"{text} is no JSON")

        meta = json.loads(folder.run_path.read_text(), parse_constant=refuse)
        assert meta["summary"] == {"gain": 0.5, "noise": None, "grid": [1, [2]]}
        assert meta["options"] == {"n_trials": 5}
        assert folder.read_meta() == meta


def test_a_reader_never_sees_half_a_run_json_and_a_killed_writer_leaves_no_draft(child: Child) -> None:
    process = child("""
        from sllmbo_magic.storage.runs import RunFolder
        folder = RunFolder.open("iris")
        print("taken")
        for number in range(1_000_000):
            folder.write_meta({"summary": {"text": str(number) * 50_000}})
    """)
    assert says(process) == "taken"
    reader = runs.find_run("iris")
    seen = set()
    while len(seen) < 20:
        text = reader.read_meta().get("summary", {}).get("text", "")
        seen.add(text[:6])
        assert len(text) % 50_000 == 0
    process.kill()
    process.wait()
    with RunFolder.open("iris", resume=True) as folder:
        assert len(folder.read_meta()["summary"]["text"]) % 50_000 == 0
        assert sorted(p.name for p in folder.path.iterdir()) == ["owner.json", "owner.lock", "run.json"]


def test_a_write_that_fails_leaves_the_old_run_json() -> None:
    with RunFolder.open("iris", meta={"metric": "r2"}) as folder:
        with pytest.raises(UnicodeEncodeError):
            folder.write_meta({"metric": "\ud800"})
        assert folder.read_meta()["metric"] == "r2"
        assert not list(folder.path.glob("run.json.*"))


def test_a_run_of_a_later_version_is_not_misread() -> None:
    with RunFolder.open("iris") as folder:
        folder.run_path.write_text(json.dumps({"schema": 2, "version": "9.0"}))
        with pytest.raises(StorageError, match=r"sllmbo-magic 9\.0\. Update with: pip install -U"):
            folder.read_meta()


# ---- wishes


def test_a_wish_from_another_process_reaches_the_run_once(child: Child) -> None:
    folder = RunFolder.open("iris")
    process = child("""
        from sllmbo_magic.storage.runs import send_command
        print(send_command("iris", "ratio", "0.25").id)
        send_command("iris", "hint", "prefer shallow trees")
    """)
    sent = says(process)
    assert process.wait() == 0
    commands, offset = folder.read_commands()
    assert [(w.name, w.value) for w in commands] == [("ratio", 0.25), ("hint", "prefer shallow trees")]
    assert commands[0].id == sent != commands[1].id
    assert folder.read_commands(offset) == ([], offset)
    runs.send_command(folder.path, "stop")
    assert [w.name for w in folder.read_commands(offset)[0]] == ["stop"]


def test_torn_and_foreign_lines_among_the_wishes_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    with RunFolder.open("iris") as folder:
        folder.append_command("pause")
        with folder.commands_path.open("ab") as file:
            file.write(b'{"name": "st')
        commands, offset = folder.read_commands()
        assert [w.name for w in commands] == ["pause"]
        assert caplog.records == []  # perhaps somebody is still writing it
        folder.append_command("resume")
        with folder.commands_path.open("ab") as file:
            file.write(b'{"name": "ratio", "value": 7, "id": "x", "time": 0}\n[1]\n\xff\n')
        commands, offset = folder.read_commands(offset)
        assert [w.name for w in commands] == ["resume"]
        assert len(caplog.records) == 4
        assert folder.read_commands(offset)[0] == []


def test_a_wish_is_checked_before_it_is_sent_and_needs_a_run_that_runs() -> None:
    folder = RunFolder.open("iris")
    with pytest.raises(InputError, match="ratio 2 is out of range"):
        runs.send_command("iris", "ratio", 2)
    assert not folder.commands_path.exists()
    with pytest.raises(InputError, match=r"no run 'irsi'\. Did you mean 'iris'"):
        runs.send_command("irsi", "stop")
    folder.release()
    with pytest.raises(StorageError, match="'iris' is not running"):
        runs.send_command("iris", "stop")


def test_wishes_of_an_earlier_session_are_not_obeyed_on_resume() -> None:
    with RunFolder.open("iris") as folder:
        runs.send_command("iris", "stop")
    with RunFolder.open("iris", resume=True) as folder:
        assert folder.read_commands() == ([], 0)


# ---- the list


def test_the_list_tells_state_progress_and_best_of_each_run() -> None:
    with RunFolder.open("done", meta={"metric": "f1", "options": {"n_trials": 3}}) as folder:
        run_trials(folder, [0.2, 0.9, 0.4])
        folder.write_meta({"status": "finished"})
    with RunFolder.open("elsewhere", meta={"status": "finished"}) as folder:  # in a database
        folder.write_meta({"summary": {"n_trials": 7, "best_value": -1.5}})
    with RunFolder.open("broken") as folder:
        folder.run_path.write_text("{")
    for name, damaged in (("no-total", {"total": "many"}), ("no-options", {"options": ["x"]})):
        with RunFolder.open(name, meta={"status": "finished"}) as folder:
            folder.write_meta(damaged)
    with RunFolder.open("now", meta={"status": "running"}) as folder:
        infos = {info.name: info for info in runs.list_runs()}
    assert set(infos) == {"done", "elsewhere", "broken", "no-total", "no-options", "now"}
    done = infos["done"]
    assert (done.status, done.n_done, done.n_trials, done.best, done.metric) == ("finished", 3, 3, 0.9, "f1")
    assert (infos["elsewhere"].n_done, infos["elsewhere"].best) == (7, -1.5)
    assert {infos[name].status for name in ("broken", "no-total", "no-options")} == {"unreadable"}
    assert infos["now"].status == f"running (pid {os.getpid()})"
    assert infos["now"].running
    assert not done.running


def test_the_best_of_a_minimized_run_is_its_lowest_feasible_trial() -> None:
    with RunFolder.open("iris") as folder:
        study = optuna.create_study(storage=folder.storage(), direction="minimize")
        for value in (0.3, 0.1, 0.2):
            study.tell(study.ask(), value)
        failed = study.ask()
        failed.set_user_attr(attrs.EVALUATION, {"error": "fit-failed"})
        study.tell(failed, state=TrialState.FAIL)
        infeasible = study.ask()
        infeasible.set_constraint("k", 1.0)
        study.tell(infeasible, 0.0)
    (info,) = runs.list_runs()
    assert (info.n_done, info.best) == (5, 0.1)


def test_no_folder_of_runs_is_no_runs_and_listing_makes_none() -> None:
    assert runs.list_runs() == []
    assert not ROOT.exists()
    with pytest.raises(InputError, match="There are: no runs yet"):
        runs.find_run("iris")


def test_delete_and_rename() -> None:
    for name in ("a", "b"):
        RunFolder.open(name).release()
    with pytest.raises(InputError, match="already a run 'b'"):
        runs.rename_run("a", "b")
    assert runs.rename_run("a", "c").read_meta()["name"] == "c"
    runs.delete_run("b")
    assert [info.name for info in runs.list_runs()] == ["c"]
    with pytest.raises(InputError, match="cannot be the name"):
        runs.delete_run("../" + Path.cwd().name)
    with pytest.raises(InputError, match="no run 'b'"):
        runs.delete_run("b")


def test_reading_a_run_takes_no_lock_and_writes_nothing() -> None:
    with RunFolder.open("iris") as folder:
        run_trials(folder, [0.5])
    guard = JournalLock(folder.study_path)
    guard.acquire()
    before = {p.name: p.stat().st_mtime_ns for p in folder.path.iterdir()}
    try:
        assert optuna.load_study(storage=runs.find_run("iris").storage(), study_name="s").best_value == 0.5
        assert runs.list_runs()[0].best == 0.5
        assert {p.name: p.stat().st_mtime_ns for p in folder.path.iterdir()} == before
    finally:
        guard.release()


# ---- storages


def test_every_kind_of_storage_that_is_said_can_be_opened(tmp_path: Path) -> None:
    with RunFolder.open("iris") as folder:
        memory = optuna.storages.InMemoryStorage()
        assert backends.open_storage(memory, folder) is memory
        assert isinstance(backends.open_storage("memory", folder), optuna.storages.InMemoryStorage)
        assert isinstance(backends.open_storage(None), optuna.storages.InMemoryStorage)
        for spec in (None, "journal:other.log", f"sqlite:///{tmp_path}/runs.db"):
            study = optuna.create_study(storage=backends.open_storage(spec, folder), study_name="s")
            study.tell(study.ask(), 1.0)
            again = optuna.load_study(storage=backends.open_storage(spec, folder), study_name="s")
            assert again.best_value == 1.0
        assert folder.study_path.exists()
    assert Path("other.log").exists()


def test_a_storage_served_over_grpc() -> None:
    pytest.importorskip("grpc")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    from optuna.storages._grpc.server import make_server

    backend = optuna.storages.InMemoryStorage()
    server = make_server(backend, "127.0.0.1", port)
    server.start()
    try:
        proxy = backends.open_storage(f"grpc://127.0.0.1:{port}")
        optuna.create_study(storage=proxy, study_name="far")
        assert [study.study_name for study in backend.get_all_studies()] == ["far"]
        proxy.close()  # type: ignore[attr-defined]
    finally:
        server.stop(None).wait()


def test_a_missing_grpc_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match="pip install grpcio protobuf"):
        backends.open_storage("grpc://localhost:1")


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("runs.db", InputError, r"'runs.db' is not known. Allowed: memory, journal:PATH"),
        ("journal:", InputError, "not known"),
        ("grpc://host", InputError, "no host and port"),
        ("grpc://host:many", InputError, "no host and port"),
        ("journal:no/such/folder/x.log", StorageError, "cannot be opened"),
        ("sqlite:////no/such/folder/x.db", StorageError, "folder of sqlite.* does not exist"),
        ("sqlite:///~no_such_user_here/x.db", StorageError, "folder of sqlite.* does not exist"),
        ("nosuch://u:hunter2@host/x", InputError, "nosuch is not known"),
        (
            "postgresql+psycopg2://u:hunter2@host/x",
            MissingExtraError,
            "driver for postgresql.psycopg2 is not",
        ),
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_line_without_its_password(
    spec: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        backends.open_storage(spec)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_journal_that_is_something_else_is_one_line() -> None:
    Path("notes.txt").write_text("hello\nworld\n")
    with pytest.raises(StorageError, match=r"the journal notes\.txt cannot be opened"):
        backends.open_storage("journal:notes.txt")


def test_the_storage_goes_to_another_process_with_its_lock() -> None:
    with RunFolder.open("iris") as folder:
        run_trials(folder, [0.5])
        copy = pickle.loads(pickle.dumps(folder.storage()))
        assert optuna.load_study(storage=copy, study_name="s").best_value == 0.5


# ---- what must be the same on resume


def test_a_changed_part_of_a_run_is_named() -> None:
    same = {"data": "a", "metric": "b", "cv": "c", "estimator": "d"}
    runs.check_fingerprint(same, dict(same))
    with pytest.raises(RunChangedError, match=r"cannot resume: data is not the same .* --resume"):
        runs.check_fingerprint(same, {**same, "data": "x"})
    with pytest.raises(RunChangedError, match=r"metric, cv and estimator are not .* Another version"):
        runs.check_fingerprint(same, {**same, "metric": "x", "cv": "y", "estimator": "z"})
    with pytest.raises(RunChangedError, match="cannot resume: cv is"):
        runs.check_fingerprint({k: v for k, v in same.items() if k != "cv"}, same)

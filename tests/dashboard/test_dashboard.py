"""The live run behind the dashboard: what reaches a view, what a view may say, how the widget carries it."""

from __future__ import annotations

import contextvars
import gc
import itertools
import json
import queue
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import TuneResult
from sllmbo_magic import events as ev
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard import TARGET
from sllmbo_magic.dashboard import register
from sllmbo_magic.dashboard import runs
from sllmbo_magic.dashboard import unregister
from sllmbo_magic.dashboard.curves import curve
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.errors import InputError
from sllmbo_magic.magic.command_table import BY_NAME
from sllmbo_magic.magic.views import TextView
from sllmbo_magic.report import run_data
from sllmbo_magic.report.bundle import MIME
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.tuning.tune import tune
from tests.sample_run import run_events

START = ev.RunStarted(run={"name": "churn", "n_trials": 50, "sampler": "llm-tpe"})


def fold(n: int, k: int, n_folds: int = 5) -> ev.FoldFinished:
    return ev.FoldFinished(number=n, fold=k, n_folds=n_folds, score=0.5 + k / 10)


def finished(n: int) -> ev.TrialFinished:
    return ev.TrialFinished(number=n, state="COMPLETE", value=0.7, params={"a": 1}, source="tpe")


@pytest.fixture
def control() -> Control:
    return Control()


def test_a_wish_is_acknowledged_before_anything_else_and_reaches_the_control(control: Control) -> None:
    live, sent = LiveRun(control), []
    live.follow(sent.append)
    live.sink(START)
    live.receive({"wish": "sampler", "value": "tpe", "id": "v1"}, sent.append)
    assert sent[1] == {"ack": "v1", "ok": True, "error": ""}
    assert sent[2]["delta"]["chat"]["state"] == "pending"
    (wish,) = control.take()
    assert (wish.name, wish.value, wish.id) == ("sampler", "tpe", "v1")
    assert live.snapshot()["run"]["sampler"] == "llm-tpe", "a callback sets a wish and changes nothing itself"
    live.sink(ev.WishApplied(wish="sampler", value="tpe", trial_number=4, id="v1"))
    assert sent[-1]["delta"]["chat"]["state"] == "applied"


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"wish": "fly", "id": "v1"}, "unknown command 'fly'"),
        ({"wish": "ratio", "value": "much", "id": "v1"}, "ratio 'much' is not a number"),
        ({"wish": "range", "value": {"param": "a", "low": 2, "high": 1}, "id": "v1"}, "2 is not below 1"),
        ({"wish": ["stop"], "id": "v1"}, "unknown command"),
    ],
)
def test_a_wrong_wish_is_refused_in_one_sentence(control: Control, message: Any, part: str) -> None:
    live, sent = LiveRun(control), []
    live.sink(START)
    live.receive(message, sent.append)
    assert [m["ok"] for m in sent] == [False]
    assert part in sent[0]["error"]
    assert control.take() == []


@pytest.mark.parametrize("message", [None, 3, [], {}, {"get": "keys"}, {"get": "item", "kind": {}, "id": {}}])
def test_nonsense_is_ignored(control: Control, message: Any) -> None:
    sent: list[Any] = []
    LiveRun(control).receive(message, sent.append)
    assert sent == []


def test_after_its_end_a_run_takes_no_wish(control: Control) -> None:
    live, sent = LiveRun(control), []
    live.sink(START)
    live.sink(ev.RunFinished(status="finished", reason="", summary={}))
    live.receive({"wish": "extend", "value": 5, "id": "v1"}, sent.append)
    assert sent == [{"ack": "v1", "ok": False, "error": "The run has ended."}]
    live.sink(START)
    live.receive({"wish": "extend", "value": 5, "id": "v2"}, sent.append)
    assert sent[1]["ok"], "a resumed run takes wishes again"


def test_a_view_that_comes_later_gets_everything(control: Control) -> None:
    live, sent = LiveRun(control), []
    for event in run_events(20):
        live.sink(event)
    live.receive({"get": "snapshot"}, sent.append)
    bundle = sent[0]["snapshot"]
    assert len(bundle["trials"]) == 20
    reply = next(i for i in bundle["chat"] if i["kind"] == "reply")
    live.receive({"get": "item", "kind": "chat", "id": reply["id"]}, sent.append)
    assert sent[1]["kind"] == "chat"
    assert sent[1]["item"]["candidates"]


def test_folds_are_told_at_most_five_times_a_second_and_none_is_lost() -> None:
    now = [0.0]
    live, sent = LiveRun(Control(), clock=lambda: now[0]), []
    live.follow(lambda m: sent.append(m["delta"]))
    live.sink(ev.TrialStarted(number=0, params={"a": 1}, source="tpe"))
    for k in range(3):
        now[0] += 0.05
        live.sink(fold(0, k))
    assert [d["trial"].get("folds") for d in sent] == [[], [0.5, None, None, None, None]]
    now[0] += 0.3
    live.sink(fold(0, 3))
    assert sent[-1]["trial"]["folds"] == [0.5, 0.6, 0.7, 0.8, None]
    assert sent[-1]["since"] == 2, "it stands for the deltas 3 and 4, which were held back"
    live.sink(fold(0, 4))
    live.sink(ev.Note(text="in between"))
    assert sent[-2]["trial"]["folds"][4] == 0.9, "held back, it still comes before what came after it"
    live.sink(finished(0))
    seqs = [d["seq"] for d in sent]
    assert seqs == sorted(seqs)
    for before, delta in itertools.pairwise(sent):
        assert delta.get("since", delta["seq"] - 1) == before["seq"], "a view sees no gap"


def test_a_broken_view_is_dropped_and_the_run_goes_on(control: Control) -> None:
    live, sent = LiveRun(control), []

    def broken(_message: Any) -> None:
        raise ConnectionError("gone")

    live.follow(broken)
    live.follow(sent.append)
    live.sink(START)
    live.sink(finished(0))
    assert len(sent) == 2


def test_events_and_messages_from_many_threads_keep_one_order(control: Control) -> None:
    live, sent = LiveRun(control), []
    live.follow(lambda m: sent.append(m["delta"]["seq"]))
    live.sink(START)

    def events() -> None:
        for n in range(200):
            live.sink(finished(n))

    def views() -> None:
        for i in range(200):
            live.receive({"wish": "hint", "value": f"{i}", "id": f"v{i}"}, lambda _: None)
            live.receive({"get": "snapshot"}, lambda m: json.dumps(m))

    threads = [threading.Thread(target=t) for t in (events, views)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sent == list(range(1, 402))


# ---------------------------------------------------------------- the widget


class RecordingComm:
    """A comm that keeps what is sent."""

    def __init__(self, target_name: str = "", data: Any = None, **_: Any) -> None:
        self.comm_id = f"comm{id(self)}"
        self.opened = data
        self.sent: list[dict[str, Any]] = []
        self.handlers: dict[str, Any] = {}

    def send(self, data: Any = None, **_: Any) -> None:
        self.sent.append(data)

    def on_msg(self, handler: Any) -> None:
        self.handlers["msg"] = handler

    def on_close(self, handler: Any) -> None:
        self.handlers["close"] = handler

    def close(self, *_: Any, **__: Any) -> None:
        self.handlers.get("close", lambda _: None)({})

    def say(self, data: Any) -> None:
        self.handlers["msg"]({"content": {"data": data}, "buffers": []})


@pytest.fixture
def dashboard(control: Control, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("anywidget")
    import comm

    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    monkeypatch.setattr(runs, "_entries", [])
    monkeypatch.setattr(runs, "_comms", {})
    monkeypatch.setattr(runs, "_viewed", weakref.WeakSet())
    from sllmbo_magic.dashboard import Dashboard

    widget = Dashboard(control)
    yield widget
    widget.close()


def custom(widget: Any) -> list[dict[str, Any]]:
    return [m["content"] for m in widget.comm.sent if m["method"] == "custom"]


def test_the_widget_sends_small_messages_and_never_its_state_again(dashboard: Any) -> None:
    for event in run_events(60):
        dashboard.sink(event)
    assert {m["method"] for m in dashboard.comm.sent} == {"custom"}
    sizes = [len(json.dumps(m, separators=(",", ":")).encode()) for m in custom(dashboard)]
    assert max(sizes) <= 1000 + len('{"delta":}')


def test_a_reloaded_page_gets_the_state_of_now(dashboard: Any) -> None:
    for event in run_events(12, finish=False):
        dashboard.sink(event)
    assert len(dashboard.get_state()["snapshot"]["trials"]) == 12
    dashboard.comm.say({"method": "custom", "content": {"get": "snapshot"}})
    assert len(custom(dashboard)[-1]["snapshot"]["trials"]) == 12


def test_a_click_in_the_widget_only_sets_a_wish(dashboard: Any, control: Control) -> None:
    dashboard.sink(START)
    dashboard.comm.say({"method": "custom", "content": {"wish": "pause", "value": None, "id": "v1"}})
    assert control.paused
    assert {"ack": "v1", "ok": True, "error": ""} in custom(dashboard)


def test_the_widgets_state_holds_no_more_than_the_snapshot_and_the_view(dashboard: Any) -> None:
    state = dashboard.get_state()
    ours = {k for k in state if not k.startswith("_")} - {"layout", "tabbable", "tooltip"}
    assert ours == {"snapshot"}


def test_the_repr_says_how_the_run_stands(dashboard: Any) -> None:
    assert repr(dashboard).startswith("<Dashboard of None: running, 0 of None trials")
    for event in run_events(50):
        dashboard.sink(event)
    assert repr(dashboard).startswith("<Dashboard of churn: finished, 50 of 50 trials, best 0.88")


# ---------------------------------------------------------------- the list of runs


@pytest.fixture
def shell() -> Iterator[Any]:
    """A shell whose kernel answers for its runs."""
    targets: dict[str, Any] = {}
    manager = SimpleNamespace(targets=targets, register_target=targets.__setitem__)
    shell = SimpleNamespace(kernel=SimpleNamespace(comm_manager=manager))
    register(shell)
    yield shell
    unregister(shell)


@pytest.fixture
def panel(dashboard: Any, shell: Any) -> RecordingComm:
    return open_panel(shell)


def open_panel(shell: Any) -> RecordingComm:
    comm = RecordingComm()
    shell.kernel.comm_manager.targets[TARGET](comm, {})
    return comm


def test_a_panel_sees_the_runs_and_follows_them(dashboard: Any, panel: RecordingComm, shell: Any) -> None:
    assert panel.sent == [{"runs": []}], "a run is listed once it starts: a cell with a mistake never is"
    for event in run_events(5):
        dashboard.sink(event)
    rows = [m["run"] for m in panel.sent if "run" in m]
    assert {r["id"] for r in rows} == {dashboard.model_id}
    assert [r["id"] for r in open_panel(shell).sent[0]["runs"]] == [dashboard.model_id]
    assert [r["done"] for r in rows][:3] == [0, 1, 2]
    assert (rows[-1]["status"], rows[-1]["done"], rows[-1]["name"]) == ("finished", 5, "churn")
    assert rows[-1]["final"] is None
    assert max(len(json.dumps(m)) for m in panel.sent) < 1000


def test_a_panel_steers_and_opens_a_dashboard(dashboard: Any, panel: RecordingComm, control: Control) -> None:
    of = dashboard.model_id
    dashboard.sink(START)
    panel.say({"of": of, "wish": "stop", "value": None, "id": "p1"})
    assert control.stopping
    assert {"of": of, "ack": "p1", "ok": True, "error": ""} in panel.sent
    panel.say({"of": of, "get": "deltas"})
    panel.say({"of": of, "get": "deltas"})
    panel.say({"of": of, "get": "snapshot"})
    assert panel.sent[-1]["snapshot"]["schema"] == 1
    dashboard.sink(finished(0))
    assert len([m for m in panel.sent if m.get("of") == of and "delta" in m]) == 1
    panel.close()
    count = len(panel.sent)
    dashboard.sink(finished(1))
    assert len(panel.sent) == count, "a closed panel is sent nothing"


def test_the_final_output_is_kept_for_a_reloaded_page(dashboard: Any, panel: RecordingComm) -> None:
    dashboard.sink(START)
    run = {"started_at": 12.5, "seconds": 3.0}
    dashboard.finish({"text/plain": "done", MIME: {"run": run}})
    assert panel.sent[-1]["run"]["final"] == [12.5, 3.0]
    panel.say({"of": dashboard.model_id, "get": "final"})
    assert panel.sent[-1] == {"of": dashboard.model_id, "final": {"text/plain": "done", MIME: {"run": run}}}
    panel.say({"of": "no such run", "get": "final"})
    assert len([m for m in panel.sent if "final" in m]) == 1


def test_a_run_shown_as_text_is_listed_steered_and_its_picture_kept(
    panel: RecordingComm, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = SimpleNamespace(update=lambda *_, **__: None)
    monkeypatch.setattr("sllmbo_magic.magic.views.show_output", lambda *_, **__: handle)
    view = TextView("churn", control)
    view.show(list(run_events(5, finish=False)))
    row = panel.sent[-1]["run"]
    assert (row["name"], row["status"], row["done"], row["model"]) == ("churn", "running", 5, None)
    panel.say({"of": row["id"], "wish": "stop", "value": None, "id": "p1"})
    assert control.stopping
    view.finish(None)
    assert panel.sent[-1]["run"]["final"] is not None
    panel.say({"of": row["id"], "get": "final"})
    assert "text/html" in panel.sent[-1]["final"]


@pytest.mark.parametrize("background", [False, True])
def test_a_run_that_code_started_is_listed_and_stopped(
    dashboard: Any, panel: RecordingComm, tmp_path: Path, background: bool
) -> None:
    def objective(params: dict[str, Any]) -> float:
        if len([m for m in panel.sent if "run" in m]) == 3:  # the start and two trials
            of = panel.sent[-1]["run"]["id"]
            panel.say({"of": of, "wish": "stop", "value": None, "id": "p1"})
        return float(params["a"])

    def run() -> None:
        arguments = {"search_space": {"a": (0.0, 1.0)}, "direction": "maximize", "seed": 1}
        tune(objective, name="plain", folder=tmp_path, n_trials=20, **arguments)

    if background:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    else:
        run()
    rows = [m["run"] for m in panel.sent if "run" in m]
    assert {(r["name"], r["blocks"]) for r in rows} == {("plain", not background)}
    assert [r["done"] for r in rows if r["status"] == "running"][:3] == [0, 1, 2]
    assert (rows[-1]["status"], rows[-1]["done"]) == ("stopped", 3)


def test_a_run_is_listed_once_and_only_if_it_is_kept(
    dashboard: Any, control: Control, panel: RecordingComm, shell: Any, tmp_path: Path
) -> None:
    def search(folder: Path | str, **options: Any) -> None:
        space = {"a": (0.0, 1.0)}
        tune(lambda p: p["a"], direction="maximize", search_space=space, n_trials=1, folder=folder, **options)

    search(tmp_path, control=control, sinks=(dashboard.sink,))
    search("")
    assert {m["run"]["id"] for m in panel.sent if "run" in m} == {dashboard.model_id}
    unregister(shell)
    search(tmp_path)
    assert {m["run"]["id"] for m in panel.sent if "run" in m} == {dashboard.model_id}


def test_a_panel_is_written_to_in_the_context_that_it_was_opened_in(dashboard: Any, shell: Any) -> None:
    asked: contextvars.ContextVar[str] = contextvars.ContextVar("asked", default="a cell")
    seen = []

    class Comm(RecordingComm):
        def send(self, data: Any = None, **_: Any) -> None:
            seen.append(asked.get())

    asked.set("the panel")
    contextvars.copy_context().run(shell.kernel.comm_manager.targets[TARGET], Comm(), {})
    asked.set("a cell")
    for event in run_events(2):
        dashboard.sink(event)
    assert len(seen) > 3
    assert set(seen) == {"the panel"}, "ipykernel sends what a panel says next to where that context belongs"


def test_registering_needs_no_kernel() -> None:
    register(SimpleNamespace())
    unregister(SimpleNamespace(kernel=None))


def test_a_resumed_run_counts_and_shows_the_trials_of_its_earlier_process(panel: RecordingComm) -> None:
    earlier = tuple(run_events(7, finish=True))
    live, sent = LiveRun(Control()), []
    live.follow(sent.append)
    started = ev.RunStarted(run={"name": "churn", "n_trials": 20, "n_done": 7}, earlier=earlier)
    live.sink(started)
    assert live.head()["done"] == 7
    assert sent[-1]["delta"]["stale"], "a view asks for the whole state"
    bundle = live.snapshot()
    assert [t["n"] for t in bundle["trials"]] == list(range(7))
    assert (bundle["run"]["status"], bundle["run"]["summary"]) == ("running", None)
    for n in range(7, 20):
        live.sink(finished(n))
    assert live.head()["done"] == 20


def test_trials_that_only_the_study_holds_are_counted_too() -> None:
    live = LiveRun(Control())
    live.sink(ev.RunStarted(run={"name": "churn", "n_trials": 20, "n_done": 7}))
    live.sink(finished(7))
    assert live.head()["done"] == 8
    assert live.snapshot()["omitted"]["trials"] == 7


def test_a_trial_that_an_ended_process_left_is_not_shown_as_running() -> None:
    view = RunView()
    view.apply(START)
    view.apply(ev.TrialStarted(number=0, params={"a": 1}, source="tpe"))
    view.apply(ev.RunStarted(run={"name": "churn", "n_trials": 50, "n_done": 0}))
    (trial,) = view.snapshot()["trials"]
    assert (trial["state"], trial["error"]) == ("FAIL", "stopped")
    assert trial["cause"] == "cut off when its process ended"
    assert run_data.read(view.snapshot()).cut_off


def test_a_trial_that_was_cut_off_counts_nowhere(panel: RecordingComm) -> None:
    live = LiveRun(Control())
    live.sink(START)
    live.sink(finished(0))
    live.sink(ev.TrialFinished(number=1, state="FAIL", value=None, params={}, source="tpe", error="stopped"))
    assert live.head()["done"] == 1
    assert curve(live.snapshot(), here=True, id="")["n_trials"] == 1


def test_a_resumed_run_of_tune_is_listed_with_all_of_its_trials(data: Any, model: Any) -> None:
    control = Control()
    live = LiveRun(control)
    options: dict[str, Any] = {"name": "twice", "seed": 1, "verify": False, "judge": False, "sampler": "tpe"}
    tune(model, *data, n_trials=6, **options)
    result = tune(model, *data, n_trials=10, resume=True, control=control, sinks=[live.sink], **options)
    assert live.head()["done"] == 10
    mine, stored = live.snapshot(), result.bundle()
    assert mine["trials"] == stored["trials"]
    assert len(mine["chat"]) == len(stored["chat"]), "nothing is told twice"


# ---------------------------------------------------------------- after the end of a run

MARKED: dict[str, Any] = {"seed": 1, "verify": False, "judge": False, "sampler": "tpe"}
SPACE = {"C": (1e-3, 1e3, "log"), "tol": (1e-6, 1e-2, "log")}


def test_a_trial_is_marked_in_the_view_after_the_end_and_the_study_keeps_it(
    panel: RecordingComm, data: Any, model: Any
) -> None:
    result = tune(model, *data, n_trials=3, name="kept", **MARKED)
    of = panel.sent[-1]["run"]["id"]
    panel.say({"of": of, "get": "deltas"})
    panel.say({"of": of, "get": "snapshot"})
    assert panel.sent[-1]["snapshot"]["run"]["has_result"]
    panel.say({"of": of, "wish": "note", "value": {"trial": 1, "star": True, "text": "odd"}, "id": "p1"})
    delta, answer = panel.sent[-2:]
    assert answer == {"of": of, "ack": "p1", "ok": True, "error": ""}
    assert (delta["delta"]["chat"]["id"], delta["delta"]["chat"]["state"]) == ("w:p1", "applied")
    assert delta["delta"]["trial"] == {"n": 1, "star": True, "note": "odd"}
    assert result.bundle()["trials"][1]["note"] == "odd"
    assert TuneResult.load(".sllmbo/kept").bundle()["trials"][1]["star"] is True
    assert "has_result" not in result.bundle()["run"], "a stored run has no kernel"
    result.note(2, "by a line in a cell")
    assert panel.sent[-1]["delta"]["trial"]["note"] == "by a line in a cell"
    panel.say({"of": of, "wish": "note", "value": {"trial": 9, "star": True}, "id": "p2"})
    assert (panel.sent[-1]["ok"], "no trial 9" in panel.sent[-1]["error"]) == (False, True)


def test_a_view_does_not_keep_a_result_in_memory_and_marks_by_its_folder(
    panel: RecordingComm, data: Any, model: Any
) -> None:
    result = tune(model, *data, n_trials=2, name="gone", **MARKED)
    of = panel.sent[-1]["run"]["id"]
    reference = weakref.ref(result)
    del result
    gc.collect()
    assert reference() is None
    panel.say({"of": of, "wish": "note", "value": {"trial": 1, "star": True}, "id": "p1"})
    assert panel.sent[-1]["ok"]
    assert TuneResult.load(".sllmbo/gone").bundle()["trials"][1]["star"] is True


def test_without_result_and_folder_a_mark_is_refused_in_one_sentence(
    control: Control, data: Any, model: Any
) -> None:
    live, sent = LiveRun(control), []
    result = tune(model, *data, n_trials=2, folder="", control=control, sinks=[live.sink], **MARKED)
    live.keep(result)
    live.receive({"wish": "note", "value": {"trial": 1, "star": True}, "id": "v1"}, sent.append)
    assert sent[-1]["ok"]
    del result
    gc.collect()
    live.receive({"wish": "note", "value": {"trial": 1, "star": False}, "id": "v2"}, sent.append)
    assert sent[-1] == {"ack": "v2", "ok": False, "error": "The run has ended, and its result is gone."}


@pytest.mark.parametrize("kind", ["ped-anova", "surrogate", "no such kind"])
def test_importances_with_their_intervals_are_computed_beside_the_views(
    control: Control, data: Any, model: Any, kind: str
) -> None:
    live = LiveRun(control)
    options = {**MARKED, "search_space": SPACE, "control": control, "sinks": [live.sink]}
    result = tune(model, *data, n_trials=12, folder="", **options)
    live.keep(result)
    answers: queue.Queue[tuple[dict[str, Any], bool]] = queue.Queue()
    here = threading.current_thread()
    live.receive(
        {"get": "importances", "kind": kind},
        lambda m: answers.put((m, threading.current_thread() is here)),
    )
    answer, blocked = answers.get(timeout=60)
    assert not blocked
    assert answer["kind"] == kind
    if kind == "no such kind":
        assert "Allowed: ped-anova, surrogate" in answer["error"]
    else:
        assert answer["error"] == ""
        assert answer["shares"] == result.importances(kind)
        assert {n: tuple(i) for n, i in answer["intervals"].items()} == {
            n: pytest.approx(i) for n, i in result.importance_intervals(kind).items()
        }


@pytest.mark.parametrize("id", ["lock", "unlock"])
def test_lock_means_the_same_in_the_table_of_commands_the_page_and_the_dashboard(id: str) -> None:
    root = Path(__file__).parents[2]
    meaning = BY_NAME[id].help
    assert meaning in (root / "docs" / "dashboard.md").read_text(encoding="utf-8")
    assert meaning in (root / "docs" / "options.md").read_text(encoding="utf-8")
    editor = root / "labextension" / "src" / "view" / "panes" / "range-editor.tsx"
    assert meaning in editor.read_text(encoding="utf-8")


def test_a_hint_to_a_run_without_an_llm_is_refused_at_once(data: Any, model: Any) -> None:
    control = Control()
    live, answers, seen = LiveRun(control), [], []

    def sink(event: ev.Event) -> None:
        live.sink(event)
        seen.append(event)
        if isinstance(event, ev.TrialFinished) and event.number == 1:
            live.receive({"wish": "hint", "value": "shallow trees", "id": "v1"}, answers.append)

    tune(model, *data, n_trials=4, seed=1, verify=False, judge=False, control=control, sinks=[sink])
    assert [a["ok"] for a in answers] == [False]
    assert "reads no hints" in answers[0]["error"]
    assert not [e for e in seen if isinstance(e, ev.WishApplied)]


@pytest.mark.parametrize(
    ("wish", "value", "error"),
    [
        ("lock", "c", "the search space has no parameter 'c'. Did you mean 'C'? It has: C."),
        ("unlock", "alpha", "the search space has no parameter 'alpha'. It has: C."),
        ("range", {"param": "CC", "low": 1, "high": 2}, "LogisticRegression has no parameter 'CC'"),
        ("range", {"param": "C", "low": -1, "high": 2}, "C: -1 is nothing that the estimator takes"),
        ("range", {"param": "C", "choices": ["a"]}, "'C' is a number: give low and high"),
        ("enqueue", {"c": 1.0}, "the search space has no parameter 'c'. Did you mean 'C'?"),
        ("enqueue", {"C": 100.0}, "C: 100 is out of range"),
        ("dequeue", {"c": 1.0}, "the search space has no parameter 'c'. Did you mean 'C'?"),
    ],
)
def test_what_the_search_space_does_not_have_is_refused_at_once(
    data: Any, wish: str, value: Any, error: str
) -> None:
    control = Control()
    live, answers, seen = LiveRun(control), [], []

    def sink(event: ev.Event) -> None:
        live.sink(event)
        seen.append(event)
        if isinstance(event, ev.TrialFinished) and event.number == 1:
            live.receive({"wish": wish, "value": value, "id": "v1"}, answers.append)

    tune(
        LogisticRegression(),
        *data,
        search_space={"C": (0.01, 10.0, "log")},
        n_trials=4,
        seed=1,
        verify=False,
        control=control,
        sinks=[sink],
    )
    assert [a["ok"] for a in answers] == [False]
    assert error in answers[0]["error"]
    assert not [
        e for e in seen if isinstance(e, ev.WishApplied) or (isinstance(e, ev.Note) and "trial" in e.text)
    ]
    with pytest.raises(InputError, match="The trials have ended"):
        control.check(wish, value)  # and what knows the study is let go


def test_a_range_that_waits_may_bring_in_what_the_next_command_names(data: Any) -> None:
    control, seen = Control(), []

    def sink(event: ev.Event) -> None:
        seen.append(event)
        if isinstance(event, ev.TrialFinished) and event.number == 1:
            control.wish("range", {"param": "tol", "low": 1e-5, "high": 1e-3})
            control.wish("lock", "tol")

    space = {"C": (0.01, 10.0, "log")}
    tune(
        LogisticRegression(),
        *data,
        search_space=space,
        n_trials=4,
        seed=1,
        verify=False,
        control=control,
        sinks=[sink],
    )
    assert [e.wish for e in seen if isinstance(e, ev.WishApplied)] == ["range", "lock"]

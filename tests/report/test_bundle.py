"""The bundle: what a view sees of a run, whole (snapshot) and step by step (deltas)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sllmbo_magic import events as ev
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.limits import bounded_text
from sllmbo_magic.report.limits import compact_bytes
from tests.sample_run import run_events

HOSTILE = "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x07 \u202etxt.exe\u2066 \ud800 \x00\x08 é 漢"


def fold(events: Any) -> RunView:
    view = RunView()
    for event in events:
        view.apply(event)
    return view


def merge(bundle: dict[str, Any], delta: dict[str, Any], view: RunView) -> None:
    """What a view does with a delta, shortened entries fetched whole."""
    bundle["seq"] = delta["seq"]
    bundle["run"]["seconds"] = delta["seconds"]
    for key in ("run", "cost"):
        bundle[key].update(delta.get(key, {}))
    if "importances" in delta:
        bundle["importances"] = delta["importances"]
    if "outer" in delta:
        bundle["space"]["outer"] = delta["outer"]
    if delta.get("stale"):
        bundle.clear()
        bundle.update(json.loads(json.dumps(view.snapshot())))
        return
    for key, name, entries in (
        ("trial", "n", bundle["trials"]),
        ("chat", "id", bundle["chat"]),
        ("space", "version", bundle["space"]["versions"]),
    ):
        entry = delta.get(key)
        if entry is None:
            continue
        if entry.get("more"):
            entry = view.item(key, entry[name])
        known = next((e for e in entries if e[name] == entry[name]), None)
        if known is None:
            entries.append(dict(entry))
        else:
            known.update(entry)
        if key == "trial" and known is not None and known["state"] != "RUNNING":
            known.pop("folds", None)


def test_a_view_hears_at_once_that_a_run_has_ended_however_much_its_summary_says() -> None:
    view = RunView()
    for event in run_events(2, finish=False):
        view.apply(event)
    delta = view.delta(
        ev.RunFinished(status="stopped", reason="r" * 900, summary={"text": "t" * 9000, "best_value": 0.5})
    )
    assert delta["stale"], "the summary comes with the next snapshot"
    assert delta["run"] == {"status": "stopped", "best_value": 0.5}, (
        "while the kernel still draws the picture"
    )


def test_deltas_add_up_to_the_snapshot() -> None:
    view = RunView()
    followed = view.snapshot()
    for event in run_events(40):
        delta = view.delta(event)
        merge(followed, json.loads(json.dumps(delta)), view)
        assert followed["seq"] == delta["seq"]
    assert followed == json.loads(json.dumps(view.snapshot()))
    assert followed["run"]["status"] == "finished"
    assert len(followed["trials"]) == 40


def test_every_delta_is_below_1_kb_however_large_the_event() -> None:
    many = {f"step__parameter_{i}": 0.123456789012 for i in range(200)}
    long = "ü" * 50_000
    view = RunView()
    sizes = [
        compact_bytes(view.delta(event))
        for event in (
            ev.RunStarted(run={"name": "big", "description": long, "n_trials": 3}),
            ev.SpaceChanged(
                version=0,
                trial_number=0,
                params=[{"name": k, "type": "float", "low": 0, "high": 1} for k in many],
                outer=[{"name": k, "type": "float", "low": 0, "high": 1} for k in many],
                reason=long,
                by="llm",
            ),
            ev.RequestSent(request=0, purpose="propose", trial_number=0, provider=long, text=long),
            ev.ReplyReceived(
                request=0,
                purpose="propose",
                trial_number=0,
                provider="p",
                text=long,
                reasoning=long,
                candidates=[{"params": many, "reason": long, "status": "accepted"}] * 5,
                usage=dict(many),
            ),
            ev.TrialStarted(number=0, params=many, source="llm", reason=long, expected=long),
            ev.TrialFinished(
                number=0,
                state="COMPLETE",
                value=0.5,
                params={**many, "other": 1},
                source="llm",
                split_scores=[0.1] * 500,
                reason=long + "!",
                error=long,
            ),
            ev.Fallback(trial_number=0, category=long, message=long),
            ev.Note(text=long),
            ev.WishApplied(wish="enqueue", value=many, trial_number=1, id="w9"),
            ev.RunFinished(status="finished", reason=long, summary={"text": long, "importances": many}),
        )
    ]
    assert max(sizes) <= 1000
    whole = view.item("trial", 0)
    assert whole is not None
    assert len(whole["params"]) == 201
    assert len(whole["splits"]) == 500


def test_a_deltas_size_does_not_grow_with_the_run() -> None:
    def largest(events: list[ev.Event]) -> int:
        view = RunView()
        return max(compact_bytes(view.delta(e)) for e in events if isinstance(e, ev.TrialFinished))

    assert largest(list(run_events(300))) < 1.2 * largest(list(run_events(30)))


def test_a_finished_trial_repeats_nothing_that_its_start_said() -> None:
    view = RunView()
    view.delta(ev.TrialStarted(number=3, params={"a": 0.5}, source="llm", reason="because", request=2))
    view.delta(ev.FoldFinished(number=3, fold=1, n_folds=2, score=0.75))
    assert view.item("trial", 3)["folds"] == [None, 0.75]  # type: ignore[index]
    done = view.delta(
        ev.TrialFinished(
            number=3,
            state="COMPLETE",
            value=0.7,
            params={"a": 0.5},
            source="llm",
            reason="because",
            request=2,
        )
    )
    assert done["trial"]["value"] == 0.7
    assert not {"params", "source", "reason", "request"} & set(done["trial"])


def test_limits_keep_the_last_the_best_and_the_default_and_count_the_rest() -> None:
    view = fold(run_events(120))
    best = view.snapshot()["run"]["best_number"]
    small = view.snapshot(limit_trials=10, limit_chat=4, limit_versions=1, limit_text=50)
    numbers = [t["n"] for t in small["trials"]]
    assert numbers == sorted({0, best, *range(110, 120)})
    assert small["omitted"]["trials"] == 120 - len(numbers)
    assert len(small["chat"]) == 4
    assert small["omitted"]["chat"] == len(view.snapshot()["chat"]) - 4
    assert {v["version"] for v in small["space"]["versions"]} >= {0}
    assert small["omitted"]["versions"] > 0
    assert all(len(item.get("text", "")) <= 50 for item in small["chat"])
    assert [i for i in small["chat"] if i.get("more")] == [
        i
        for i in small["chat"]
        if len(view.item("chat", i["id"])["text"]) > 50  # type: ignore[index]
    ]


def test_a_snapshot_does_not_change_when_the_run_goes_on() -> None:
    events = list(run_events(12))
    view = fold(events[:40])
    early = view.snapshot()
    before = json.dumps(early)
    for event in events[40:]:
        view.apply(event)
    assert json.dumps(early) == before


def test_text_of_an_llm_is_cleaned_wherever_it_enters() -> None:
    view = fold(
        [
            ev.ReplyReceived(
                request=0,
                purpose="propose",
                trial_number=0,
                provider=HOSTILE,
                text=HOSTILE,
                reasoning=HOSTILE,
                candidates=[{"params": {HOSTILE: HOSTILE}, "reason": HOSTILE, "why": HOSTILE}],
            ),
            ev.TrialStarted(number=0, params={"a": HOSTILE}, source="llm", reason=HOSTILE, expected=HOSTILE),
            ev.SpaceChanged(version=0, trial_number=0, params=[{"name": HOSTILE}], reason=HOSTILE, by="llm"),
            ev.Note(text=HOSTILE),
            ev.WishApplied(wish="hint", value=HOSTILE, trial_number=0),
        ]
    )
    text = json.dumps(view.snapshot(), ensure_ascii=False)
    text.encode()
    for bad in ("\x1b", "\\u001b", "\u202e", "\u2066", "\\u0000", "\\b"):
        assert bad not in text
    assert bounded_text(HOSTILE).split() == ["red", "link", "txt.exe", "é", "漢"]
    assert bounded_text("a\n\tb") == "a\n\tb"
    assert bounded_text("x" * 50, 10) == "x" * 8 + " …"


def test_numbers_that_json_lacks_become_null() -> None:
    view = fold([ev.TrialStarted(number=0, params={"a": float("inf"), "b": True, "c": 3}, source="tpe")])
    assert view.snapshot()["trials"][0]["params"] == {"a": None, "b": True, "c": 3}
    json.dumps(view.snapshot(), allow_nan=False)


def test_a_wish_is_pending_until_it_is_applied() -> None:
    view = RunView()
    view.apply(ev.RunStarted(time=10.0, run={"n_trials": 50, "sampler": "llm-tpe", "llm_ratio": 0.5}))
    pending = view.command_sent("sampler", "tpe", "w7", 12.0)
    assert pending is not None
    assert (pending["chat"]["id"], pending["chat"]["state"]) == ("w:w7", "pending")
    assert view.snapshot()["run"]["sampler"] == "llm-tpe"
    applied = view.delta(ev.WishApplied(wish="sampler", value="tpe", trial_number=9, id="w7"))
    assert (applied["chat"]["state"], applied["chat"]["trial"]) == ("applied", 9)
    assert view.command_sent("sampler", "tpe", "w7", 13.0) is None, (
        "a late pending would hide that it was applied"
    )
    assert [i["state"] for i in view.snapshot()["chat"]] == ["applied"]
    assert view.snapshot()["run"]["sampler"] == "tpe"


@pytest.mark.parametrize(
    ("wishes", "field", "expected"),
    [
        ([("pause", None)], "status", "paused"),
        ([("pause", None), ("resume", None)], "status", "running"),
        ([("ratio", 0.25)], "llm_ratio", 0.25),
        ([("extend", 20)], "n_trials", 70),
        ([("lock", "a"), ("lock", "b"), ("unlock", "a")], "locked", ["b"]),
        ([("stop", None)], "status", "running"),
    ],
)
def test_an_applied_wish_changes_the_run(wishes: list[tuple[str, Any]], field: str, expected: Any) -> None:
    view = fold([ev.RunStarted(run={"n_trials": 50, "llm_ratio": 0.5})])
    for wish, value in wishes:
        view.apply(ev.WishApplied(wish=wish, value=value, trial_number=3))
    assert view.snapshot()["run"][field] == expected


def test_cost_adds_up_and_money_stays_unknown_without_a_price() -> None:
    view = fold(run_events(10))
    cost = view.snapshot()["cost"]
    replies = [i for i in view.snapshot()["chat"] if i["kind"] == "reply"]
    assert cost["requests"] == len([i for i in view.snapshot()["chat"] if i["kind"] == "prompt"])
    assert cost["input_tokens"] == sum(r["usage"]["input_tokens"] for r in replies)
    assert cost["money"] == pytest.approx(sum(r["usage"]["money"] for r in replies))
    free = fold([ev.ReplyReceived(request=0, purpose="propose", trial_number=0, provider="p", text="")])
    assert free.snapshot()["cost"]["money"] is None


def test_a_resumed_run_goes_on_from_its_old_events() -> None:
    events = list(run_events(10, finish=False))
    view = fold(events)
    view.apply(ev.RunFinished(status="interrupted", reason="Interrupted.", summary={}))
    before = view.snapshot()
    later = before["run"]["started_at"] + 86_400
    view.apply(ev.RunStarted(time=later, run={"n_trials": 20}))
    view.apply(ev.Note(time=later + 5, text="on it goes"))
    view.apply(events[1 + [type(e) for e in events[1:]].index(ev.SpaceChanged)])
    after = view.snapshot()
    assert (after["run"]["status"], after["run"]["n_trials"]) == ("running", 20)
    assert after["run"]["seconds"] == before["run"]["seconds"] + 5
    assert after["run"]["started_at"] == before["run"]["started_at"]
    assert after["trials"] == before["trials"]
    assert len(after["space"]["versions"]) == len(before["space"]["versions"])

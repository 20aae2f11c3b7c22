"""A recorded run plays again; what differs is named; a live provider can go on."""

from __future__ import annotations

import zipfile
from contextlib import suppress

import pytest

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.providers.replay import ReplayProvider
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.testing import ScriptedProvider
from tests.loopback import LoopbackServer

from .conftest import SCHEMA
from .conftest import request


def record(folder, replies, requests):
    """A run's folder with a transcript of these exchanges."""
    folder.mkdir(exist_ok=True)
    transcript = Transcript(folder / "transcript.jsonl")
    provider = RecordingProvider(ScriptedProvider(replies), transcript)
    for each in requests:
        with suppress(ReplyError, PermanentProviderError, TransientProviderError):
            provider.complete(each)
    return folder


def test_a_run_recorded_from_a_server_plays_again_without_it(tmp_path):
    path = tmp_path / "transcript.jsonl"
    questions = [request(f"q{i}", schema=SCHEMA) for i in range(3)]
    with LoopbackServer([{"x": 1}, {"x": 2}, {"x": 3}]) as server:
        live = make_provider("openai-compatible:m", base_url=server.url, transcript=Transcript(path))
        first = [live.complete(q) for q in questions]
    replay = make_provider(f"replay:{path}")
    again = [replay.complete(q) for q in questions]
    assert [c.text for c in again] == [c.text for c in first] == ['{"x": 1}', '{"x": 2}', '{"x": 3}']
    assert [c.usage for c in again] == [c.usage for c in first]
    assert replay.budget.charged.requests == 0
    assert replay.spent.input_tokens == 0


def test_answers_are_in_order_for_each_purpose(tmp_path):
    asked = [
        request("i", purpose="initialize"),
        request("p1"),
        request("s", purpose="summarize"),
        request("p2"),
    ]
    folder = record(tmp_path / "run", ["I", "P1", "S", "P2"], asked)
    replay = make_provider(f"replay:{folder}")
    assert [replay.complete(asked[i]).text for i in (1, 0, 3, 2)] == ["P1", "I", "P2", "S"]


def test_recorded_failures_are_raised_again_and_cancelled_requests_left_out(tmp_path):
    failures = [
        TransientProviderError("busy.", "Later.", category="rate-limit"),
        TransientProviderError("cut.", category="cancelled"),
        ReplyError("bad.", "Again.", category="not-json"),
        PermanentProviderError("key.", "Set it.", category="bad-key"),
    ]
    folder = record(tmp_path / "run", [*failures, "fine"], [request()] * 5)
    replay = make_provider(f"replay:{folder}")
    for failure in (failures[0], failures[2], failures[3]):
        with pytest.raises(type(failure)) as caught:
            replay.complete(request())
        assert (caught.value.message, caught.value.hint, caught.value.category) == (
            failure.message,
            failure.hint,
            failure.category,
        )
    assert replay.complete(request()).text == "fine"


def test_volatile_parts_may_differ(tmp_path):
    for number, new in enumerate(("12 s", "1 min 2 s", "instantly")):
        old = request("took 1.25 s, lr 0.1", volatile=("1.25 s",))
        replay = make_provider(f"replay:{record(tmp_path / f'run{number}', ['a'], [old])}")
        assert replay.complete(request(f"took {new}, lr 0.1", volatile=(new,))).text == "a"


def test_a_volatile_part_that_also_is_a_parameter(tmp_path):
    folder = record(tmp_path / "run", ["a"], [request("took 0.3 s; eta 0.3, alpha 0.31", volatile=("0.3",))])
    replay = make_provider(f"replay:{folder}")
    assert replay.complete(request("took 0.5 s; eta 0.3, alpha 0.31", volatile=("0.5",))).text == "a"


def test_what_is_not_volatile_may_not_differ(tmp_path):
    folder = record(tmp_path / "run", ["a"], [request("took 1 s, lr 0.1", volatile=("1 s",))])
    with pytest.raises(ReplayMismatchError):
        make_provider(f"replay:{folder}").complete(request("took 2 s, lr 0.2", volatile=("2 s",)))


def mismatch(tmp_path, old, new) -> str:
    replay = make_provider(f"replay:{record(tmp_path / 'run', ['a'], [old])}")
    with pytest.raises(ReplayMismatchError) as caught:
        replay.complete(new)
    assert caught.value.category == "replay-mismatch"
    with pytest.raises(ReplayMismatchError) as again:
        replay.complete(old)  # from here on nothing fits any more
    assert str(again.value) == str(caught.value)
    return caught.value.message


def test_the_mismatch_says_what_and_where(tmp_path):
    old = "Trials:\n1: 0.81\n2: " + "x" * 200 + " 0.93 " + "y" * 100
    message = mismatch(
        tmp_path, request(old, trial_number=4), request(old.replace("0.93", "0.95"), trial_number=4)
    )
    assert "at trial 4" in message
    assert "line 3 of message 1 (user) of exchange 0" in message
    assert "0.93" in message
    assert "0.95" in message
    assert len(message) < 300


def test_a_missing_line_a_turn_or_a_schema(tmp_path):
    assert "was 'b', now '(nothing)'" in mismatch(tmp_path / "1", request("a\nb"), request("a"))
    longer = request()
    longer = type(longer)((*longer.messages, longer.messages[-1]))
    assert "had 2 messages, now there are 3" in mismatch(tmp_path / "2", request(), longer)
    assert "another JSON schema" in mismatch(tmp_path / "3", request(schema=SCHEMA), request())


@pytest.fixture(autouse=True)
def _folders(tmp_path):
    for name in "123":
        (tmp_path / name).mkdir()


def test_a_transcript_that_is_used_up(tmp_path):
    replay = make_provider(f"replay:{record(tmp_path / 'run', ['a'], [request()])}")
    replay.complete(request())
    with pytest.raises(ReplayMismatchError, match="no further answer to a 'propose' request"):
        replay.complete(request())


def test_it_goes_on_live_from_the_first_difference(tmp_path):
    folder = record(tmp_path / "run", ["a", "b", "c"], [request("1"), request("2"), request("3")])
    with LoopbackServer(["live"]) as server:
        provider = make_provider(
            f"replay:{folder}?then=openai-compatible:m",
            base_url=server.url,
            transcript=Transcript(tmp_path / "new.jsonl"),
        )
        replies = [provider.complete(request(q)) for q in ("1", "other", "3")]
        assert len(server.requests) == 2
    assert [c.text for c in replies] == ["a", "live", "live"]
    assert [c.id for c in replies] == [0, 1, 2]
    assert "now 'other'" in provider.diverged
    assert provider.budget.charged.requests == 2
    kinds = [(r["kind"], r.get("provider")) for r in provider.transcript]
    assert kinds == [
        ("exchange", f"replay:{folder}"),
        ("event", "openai-compatible:m"),
        ("exchange", "openai-compatible:m"),
        ("exchange", "openai-compatible:m"),
    ]


def test_the_budget_holds_for_the_live_part(tmp_path):
    folder = record(tmp_path / "run", ["a"], [request("1")])
    with LoopbackServer(["live"]) as server:
        provider = make_provider(
            f"replay:{folder}", then="openai-compatible:m", base_url=server.url, budget=Budget(max_requests=1)
        )
        provider.complete(request("1"))
        provider.complete(request("2"))
        with pytest.raises(PermanentProviderError, match="max-requests"):
            provider.complete(request("3"))
        assert len(server.requests) == 1


def test_the_replay_of_a_replay(tmp_path):
    folder = record(tmp_path / "run", ["a", ReplyError("bad.", category="not-json")], [request()] * 2)
    transcript = Transcript(tmp_path / "transcript.jsonl")
    first = make_provider(f"replay:{folder}", transcript=transcript)
    assert first.complete(request()).text == "a"
    with pytest.raises(ReplyError):
        first.complete(request())
    second = make_provider(f"replay:{tmp_path}")
    assert second.complete(request()).text == "a"
    with pytest.raises(ReplyError, match="bad"):
        second.complete(request())


def test_a_saved_result_can_be_replayed(tmp_path):
    folder = record(tmp_path / "run", ["a"], [request()])
    bundle = tmp_path / "saved.sllmbo"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.write(folder / "transcript.jsonl", "run/transcript.jsonl")
    assert ReplayProvider(bundle).complete(request()).text == "a"


def test_the_file_may_go_away_after_the_start(tmp_path):
    folder = record(tmp_path / "run", ["a"], [request()])
    replay = make_provider(f"replay:{folder}")
    (folder / "transcript.jsonl").unlink()
    assert replay.complete(request()).text == "a"


def test_paths_that_hold_no_run(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    for path, words in (
        (tmp_path / "missing", "no recorded run"),
        (tmp_path, "no recorded run"),
        (tmp_path / "empty.jsonl", "no exchange"),
        (tmp_path / "other.zip", r"holds no transcript\.jsonl"),
    ):
        with pytest.raises(InputError, match=words):
            make_provider(f"replay:{path}")

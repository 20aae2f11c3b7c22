"""The transcript: on disk before the reply is used, readable after a kill, free of keys."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.transcript import Transcript
from sllmbo_magic.llm.transcript import read
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.testing import ScriptedProvider

from .conftest import SCHEMA
from .conftest import request


def test_an_exchange_holds_everything(tmp_path):
    path = tmp_path / "transcript.jsonl"
    reply = Completion('{"x": 1}', Usage(10, 5, 4), model="m-2026")
    provider = RecordingProvider(ScriptedProvider([reply], id="openai:gpt-4o"), Transcript(path))
    completion = provider.complete(
        request("q", schema=SCHEMA, purpose="propose", trial_number=7, volatile=("1 s",))
    )
    (record,) = read(path)
    assert completion.id == record["id"] == 0
    assert record["messages"] == [
        {"role": "system", "content": "You tune."},
        {"role": "user", "content": "q"},
    ]
    assert (record["purpose"], record["trial_number"], record["volatile"]) == ("propose", 7, ["1 s"])
    assert (record["provider"], record["model"], record["reply"]) == ("openai:gpt-4o", "m-2026", '{"x": 1}')
    assert record["usage"]["cached_input_tokens"] == 4
    assert record["usage"]["money"] == completion.usage.money > 0
    assert record["charged"] == {"requests": 1, "tokens": 15, "money": completion.usage.money}
    assert record["error"] is None
    assert len(record["schema"]) == 16


def test_the_record_is_on_disk_before_the_reply_is_used(tmp_path):
    path = tmp_path / "transcript.jsonl"
    provider = RecordingProvider(ScriptedProvider(["hello"]), Transcript(path))
    provider.complete(request())
    assert [r["reply"] for r in read(path)] == ["hello"]  # not closed, and yet there


def test_a_failure_is_recorded_and_knows_its_number(tmp_path):
    path = tmp_path / "transcript.jsonl"
    failure = PermanentProviderError("no.", "Set it.", category="bad-key")
    provider = RecordingProvider(ScriptedProvider(["a", failure]), Transcript(path))
    provider.complete(request())
    with pytest.raises(ProviderError) as caught:
        provider.complete(request())
    record = list(read(path))[1]
    assert caught.value.exchange == record["id"] == 1
    assert record["reply"] is None
    assert record["error"] == {
        "type": "PermanentProviderError",
        "category": "bad-key",
        "message": "no.",
        "hint": "Set it.",
    }


def test_the_next_number_is_known_before_the_request():
    provider = RecordingProvider(ScriptedProvider(["a", "b"]))
    for number in range(2):
        assert provider.next_id == number
        assert provider.complete(request()).id == number


def test_numbers_go_on_after_a_restart(tmp_path):
    path = tmp_path / "transcript.jsonl"
    for expected in range(3):
        transcript = Transcript(path)
        transcript.note({"event": "start"})
        assert RecordingProvider(ScriptedProvider(["a"]), transcript).complete(request()).id == expected
    assert [r["kind"] for r in Transcript(path)] == ["event", "exchange"] * 3


@pytest.mark.parametrize("torn", ['{"kind": "exch', '{"kind": "event", "n": "\\u26', "\0\0\0\0", '"half'])
def test_a_torn_last_line_is_skipped_and_not_continued(tmp_path, torn):
    path = tmp_path / "transcript.jsonl"
    transcript = Transcript(path)
    transcript.note({"n": 1})
    path.write_text(path.read_text() + torn)
    assert [r["n"] for r in read(path)] == [1]
    again = Transcript(path)
    again.note({"n": 2})
    assert [r["n"] for r in again] == [1, 2]


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "transcript.jsonl"
    path.write_text('{"kind": "event", "n": 1}')
    transcript = Transcript(path)
    transcript.note({"n": 2})
    assert [r["n"] for r in transcript] == [1, 2]


def test_a_killed_process_loses_at_most_the_line_it_was_writing(tmp_path):
    path = tmp_path / "transcript.jsonl"
    code = (
        "import os, sys\n"
        "from sllmbo_magic.llm.transcript import Transcript\n"
        "t = Transcript(sys.argv[1])\n"
        "for n in range(5): t.note({'n': n})\n"
        'f = open(sys.argv[1], \'ab\'); f.write(b\'{"kind": "event", "n": 5\'); f.flush()\n'
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert [r["n"] for r in Transcript(path)] == list(range(5))


def test_many_threads_write_whole_lines(tmp_path):
    path = tmp_path / "transcript.jsonl"
    transcript = Transcript(path)

    def write(thread: int) -> None:
        for n in range(20):
            transcript.note({"thread": thread, "n": n, "text": "x" * 500})

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(path.read_text().splitlines()) == 80
    for i in range(4):
        assert [r["n"] for r in read(path) if r["thread"] == i] == list(range(20))


@pytest.mark.parametrize(
    "text", ["\ud800 alone", "line\nbreak\u2028", "emoji 🎉 \x00 \x1b[31m", '"quotes"', "\r\n"]
)
def test_any_text_survives(tmp_path, text):
    path = tmp_path / "transcript.jsonl"
    provider = RecordingProvider(FunctionProvider(lambda r: text), Transcript(path))
    provider.complete(request(text))
    (record,) = read(path)
    assert record["reply"] == text
    assert record["messages"][1]["content"] == text


def test_keys_are_redacted_on_writing(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "a-very-private-value")
    path = tmp_path / "transcript.jsonl"
    provider = RecordingProvider(
        FunctionProvider(lambda r: "your key is sk-abcdefghijklmnop"), Transcript(path)
    )
    provider.complete(request("use a-very-private-value"))
    text = path.read_text()
    assert "a-very-private-value" not in text
    assert "sk-abcdef" not in text
    assert text.count("[redacted]") == 2


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        Transcript(tmp_path / "missing" / "transcript.jsonl")
    with pytest.raises(StorageError, match="cannot be read"):
        list(read(tmp_path / "none.jsonl"))


def test_a_reply_that_cannot_be_recorded_is_not_used(tmp_path, monkeypatch):
    transcript = Transcript(tmp_path / "transcript.jsonl")
    provider = RecordingProvider(ScriptedProvider(["hello"]), transcript)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        provider.complete(request())


def test_what_a_full_disk_took_of_a_line_is_written_once(tmp_path, monkeypatch):
    path = tmp_path / "transcript.jsonl"
    problems = []
    transcript = Transcript(path, report=lambda error: problems.append(error and error.errno))
    transcript.note({"n": 0})
    fsync = os.fsync

    def full(number: int) -> None:
        os.truncate(number, os.fstat(number).st_size - 5)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    transcript.note({"n": 1})
    transcript.note({"n": 2})
    assert [r["n"] for r in read(path)] == [0]
    monkeypatch.setattr("os.fsync", fsync)
    transcript.note({"n": 3})
    assert [r["n"] for r in read(path)] == [r["n"] for r in transcript] == [0, 1, 2, 3]
    assert problems == [errno.ENOSPC, errno.ENOSPC, None]


@pytest.mark.parametrize("damage", [os.remove, lambda path: os.truncate(path, 9)], ids=["deleted", "cut"])
def test_a_file_that_is_deleted_or_cut_is_written_anew(tmp_path, damage):
    path = tmp_path / "transcript.jsonl"
    Transcript(path).note({"n": 0})  # of an earlier process
    problems = []
    transcript = Transcript(path, report=problems.append)
    transcript.note({"n": 1})
    damage(path)
    transcript.note({"n": 2})
    assert [r["n"] for r in read(path)] == [0, 1, 2]
    assert problems == [None]


def test_in_memory_it_reads_the_same():
    transcript = Transcript()
    transcript.note({"n": 1})
    RecordingProvider(ScriptedProvider(["a"]), transcript).complete(request())
    assert [r["kind"] for r in transcript] == ["event", "exchange"]
    assert json.loads(json.dumps(transcript.exchanges()[0])) == transcript.exchanges()[0]

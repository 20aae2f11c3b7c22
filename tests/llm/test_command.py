"""Any program as a provider: standard input and output, time limit, cancel, words of its failure, no key."""

from __future__ import annotations

import _thread
import json
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.doctor import doctor
from sllmbo_magic.llm.json_reply import extract_json
from sllmbo_magic.llm.registry import check_key
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.magic.lexer import split
from sllmbo_magic.testing import block_network_requests
from sllmbo_magic.testing import check_provider

from .conftest import SCHEMA
from .conftest import request

GOOD = {"x": 0.5, "kind": "a"}
_HEAD = "import json, os, sys, time\nprompt = sys.stdin.read()\n"


@pytest.fixture
def program(tmp_path):
    """Makes a program of Python code that has read its prompt; returns its ``--llm`` value."""

    def make(code: str, *arguments: str, name: str = "my program.py") -> str:
        path = tmp_path / name
        path.write_text(_HEAD + code)
        return "command:" + shlex.join([sys.executable, str(path), *arguments])

    return make


def complete(llm: str, **options):
    return make_provider(llm, **options).complete(request("the question", schema=SCHEMA))


def failure(llm: str, **options) -> ProviderError:
    provider = make_provider(llm, **options)
    provider.retries = 0
    with pytest.raises(ProviderError) as caught:
        provider.complete(request("the question", schema=SCHEMA))
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_prompt_goes_in_and_json_comes_out(program, tmp_path):
    seen = tmp_path / "seen.txt"
    llm = program(f"open({str(seen)!r}, 'w').write(prompt); print('Sure:', json.dumps({GOOD!r}))")
    completion = complete(llm)
    assert extract_json(completion.text, SCHEMA) == GOOD
    prompt = seen.read_text()
    assert prompt.startswith("You tune.\n\nthe question\n\n")
    assert json.dumps(SCHEMA) in prompt


def test_quotes_keep_arguments_together_and_nothing_is_expanded(program):
    llm = program("print(json.dumps(sys.argv[1:]))", "two words", "$HOME", "*", "~")
    assert json.loads(complete(llm).text) == ["two words", "$HOME", "*", "~"]


def test_a_long_prompt_and_much_on_standard_error_do_not_block(program):
    llm = program(f"sys.stderr.write('x' * 3_000_000); print(json.dumps({GOOD!r}))")
    provider = make_provider(llm)
    assert provider.complete(request("q" * 3_000_000)).text


def test_a_program_need_not_read_its_prompt(tmp_path):
    path = tmp_path / "deaf.py"
    path.write_text(f"print('{json.dumps(GOOD)}')")
    provider = make_provider("command:" + shlex.join([sys.executable, str(path)]))
    assert json.loads(provider.complete(request("q" * 1_000_000)).text) == GOOD


def test_colours_are_taken_out(program):
    assert complete(program(r"print('\x1b[32m{\"x\": 1}\x1b[0m\r')")).text == '{"x": 1}'


def test_its_last_words_reach_the_user_without_keys(program, monkeypatch):
    monkeypatch.setenv("GATEWAY_TOKEN", "planted-token-0123456789")
    code = "print('first\\nlogged out: ' + os.environ['GATEWAY_TOKEN'], file=sys.stderr); sys.exit(3)"
    error = failure(program(code))
    assert error.category == "command"
    assert "ended with exit status 3" in error.message
    assert "logged out: [redacted]" in error.message
    assert "planted" not in str(error)


@pytest.mark.parametrize("code", ["", "print()", "print('nothing to say', file=sys.stderr)"])
def test_a_program_that_writes_nothing(program, code):
    assert failure(program(code)).category == "empty"


def test_too_much_output_ends_it(program):
    assert failure(program("while True: print('x' * 10_000)")).category == "too-large"


def children_of(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def assert_ended(pids: list[int]) -> None:
    """All of them end soon: a process that was killed is there until the system has removed it."""
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, f"{pids} still run"
        time.sleep(0.02)


HANGING = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({path!r}, "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
os.replace({path!r}, {path!r} + ".done")
time.sleep(600)
"""


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks at processes through /proc")
def test_a_program_that_takes_too_long_is_ended_with_its_children(program, tmp_path):
    path = tmp_path / "pids"
    error = failure(program(HANGING.format(path=str(path))), timeout=3.0, deadline=60.0)
    assert error.category == "timeout"
    assert "--llm-timeout" in error.hint
    assert_ended(children_of(tmp_path / "pids.done"))


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks at processes through /proc")
def test_cancel_ends_it_with_its_children(program, tmp_path):
    path = tmp_path / "pids"
    done = tmp_path / "pids.done"
    provider = make_provider(program(HANGING.format(path=str(path))))
    errors: list[BaseException] = []

    def ask():
        try:
            provider.complete(request())
        except ProviderError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    waiting = threading.Event()
    while not done.exists():
        waiting.wait(0.02)
    provider.cancel()
    thread.join(30)
    assert not thread.is_alive()
    assert [e.category for e in errors] == ["cancelled"]
    assert_ended(children_of(done))


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks at processes through /proc")
def test_an_interrupt_ends_it_with_its_children(program, tmp_path):
    path = tmp_path / "pids"
    done = tmp_path / "pids.done"
    provider = make_provider(program(HANGING.format(path=str(path))))
    waiting = threading.Event()

    def interrupt():
        while not done.exists():
            waiting.wait(0.02)
        _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            provider.complete(request())
    finally:
        signal.signal(signal.SIGINT, before)
    assert_ended(children_of(done))
    assert provider.transcript.exchanges()[0]["error"]["category"] == "cancelled"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "needs a program"),
        ("   ", "needs a program"),
        ("no-such-program-anywhere -x", "no program 'no-such-program-anywhere'"),
        ("llm 'open", "a quote is not closed"),
        ("cat | llm", "needs a shell"),
        ("llm > file", "needs a shell"),
        ("llm && true", "needs a shell"),
        ("llm --key sk-abcdefghijklmnop1234", "holds"),
        ("curl -H 'Authorization: Bearer abcdefgh12345678' http://x", "holds"),
        ("curl https://user:password1@host/", "holds"),
        ("ask planted-token-0123456789", "holds a key"),
    ],
)
def test_what_is_no_command_is_refused_before_a_run(command, words, monkeypatch):
    monkeypatch.setenv("GATEWAY_TOKEN", "planted-token-0123456789")
    for door in (make_provider, check_key):
        with pytest.raises(InputError, match=words) as caught:
            door(f"command:{command}")
        assert "planted-token" not in str(caught.value)
        assert "sk-abcdef" not in str(caught.value)


def test_calls_count_against_the_limits(program):
    llm = program(f"print(json.dumps({GOOD!r}))")
    provider = make_provider(llm, budget=Budget(max_requests=1))
    provider.complete(request())
    with pytest.raises(ProviderError, match="--max-requests"):
        provider.complete(request())
    with pytest.raises(InputError, match="--max-cost needs the price"):
        make_provider(llm, budget=Budget(max_cost=1.0))
    tokens = Budget(max_tokens=100_000)
    make_provider(llm, budget=tokens).complete(request())
    assert tokens.charged.tokens > 4096, "a program does not say what it used: it counts in full"


def test_the_kit_and_the_doctor_take_a_command(program):
    llm = program("print(json.dumps({'ready': True, 'number': 7}))")
    assert check_provider(make_provider(llm).provider).text
    checks = {c.name: c for c in doctor(llm)}
    assert all(c.ok is not False for c in checks.values())
    assert doctor("command:no-such-program")[0].ok is False


def test_no_program_is_started_where_requests_are_blocked(program):
    with block_network_requests(), pytest.raises(RuntimeError, match="programs are not started"):
        complete(program("print(1)"))
    with block_network_requests(allow_commands=True):
        assert complete(program("print('{}')")).text == "{}"


def test_the_magics_line_carries_the_quoted_value():
    words = [w.text for w in split("--llm \"command:llm -m 'gpt 4o'\" --n-trials 3")]
    assert words == ["--llm", "command:llm -m 'gpt 4o'", "--n-trials", "3"]
    words = [w.text for w in split("--llm 'command:claude -p \"be brief\"'")]
    assert words == ["--llm", 'command:claude -p "be brief"']


def test_a_run_with_a_command(program, tmp_path):
    code = """
values = [(i + 1) / 7 + len(prompt) % 97 / 1e4 for i in range(5)]
configurations = [{"reason": "r", "expects": "explore", "params": {"x": x}} for x in values]
answer = {"reasoning": "r", "space": [], "space_changes": [], "configurations": configurations}
print(json.dumps(answer))
"""
    result = tune(
        lambda params: params["x"] ** 2,
        direction="minimize",
        search_space={"x": (0.0, 1.0)},
        llm=program(code),
        n_trials=8,
        seed=0,
        name="run",
        folder=tmp_path / "runs",
    )
    assert len(result.trials) == 8
    sources = [t.user_attrs["sllmbo:source"] for t in result.trials]
    assert "llm-init" in sources
    assert not [e for e in result.events if type(e).__name__ == "Fallback"]
    again = tune(
        lambda params: params["x"] ** 2,
        direction="minimize",
        search_space={"x": (0.0, 1.0)},
        llm="replay:run",
        n_trials=8,
        seed=0,
        name="again",
        folder=tmp_path / "runs",
    )
    assert [t.params for t in again.trials] == [t.params for t in result.trials]


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_what_a_program_leaves_behind_does_not_hold_its_answer(tmp_path):
    script = tmp_path / "starts-a-server.sh"
    script.write_text(f"#!/bin/sh\ncat > /dev/null\nsleep 300 &\necho '{json.dumps(GOOD)}'\n")
    script.chmod(0o755)
    assert extract_json(complete(f"command:{script}", timeout=60.0).text, SCHEMA) == GOOD

"""A key never reaches a message, a traceback, a log, a transcript, a repr or another server."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm import credentials
from sllmbo_magic.llm.credentials import find_key
from sllmbo_magic.llm.credentials import prompt_for_key
from sllmbo_magic.llm.credentials import refuse_key
from sllmbo_magic.llm.doctor import doctor
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.llm.registry import check_key
from sllmbo_magic.llm.registry import list_providers
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.transcript import Transcript
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.loopback import Received

from .conftest import SCHEMA
from .conftest import request

PLANTED = {
    "OPENAI_API_KEY": "plantedopenaikey0001",
    "ANTHROPIC_API_KEY": "plantedanthropickey0002",
    "GEMINI_API_KEY": "plantedgeminikey0003",
    "MY_SECRET_TOKEN": "plantedothertoken0004",
    "OPENAI_CUSTOM_HEADERS": "X-Gateway: plantedheader0005",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Gateway: plantedheader0006",
}
MARKS = [value.rpartition(" ")[2] for value in PLANTED.values()]


def echo(status: int):
    """A server that repeats everything it was sent, keys included, in its error."""

    def answer(seen: Received) -> Fault:
        text = f"bad request from {seen.headers} and {json.dumps(seen.body)} {MARKS}"
        return Fault(
            status=status,
            body={"error": {"message": text, "code": text, "type": text}},
            headers={"X-Echo": text[:500]},
        )

    return answer


FAULTS = [echo(s) for s in (400, 401, 403, 404, 418, 429, 500)] + [
    (lambda seen, kind=kind: Fault(kind))
    for kind in ("silent", "reset", "reset-mid-body", "cut-json", "html", "refusal", "empty")
]


@pytest.fixture(autouse=True)
def _plant(monkeypatch):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def assert_clean(text: str) -> None:
    assert not [mark for mark in MARKS if mark in text]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("spec", ["openai:m", "anthropic:m", "gemini:m"])
def test_no_key_in_anything_that_a_fault_leaves_behind(spec, fault, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    with LoopbackServer(fault) as server:
        url = server.anthropic_url if spec.startswith("anthropic") else server.url
        provider = make_provider(spec, base_url=url, transcript=Transcript(tmp_path / "t.jsonl"), timeout=0.3)
        provider.retries = 0
        with pytest.raises(ProviderError) as caught:
            provider.complete(request(schema=SCHEMA))
        sent = server.requests[0].headers
    assert any(mark in str(sent) for mark in MARKS), "the test is void: no key was sent"
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    ours = error.__traceback__.tb_next  # without this function, whose locals hold what the server saw
    printed = traceback.TracebackException(type(error), error, ours, capture_locals=True)
    shown = "".join(printed.format())
    assert "self = " in shown, "the test is void: no locals were shown"
    assert_clean(shown)
    assert_clean(str(error) + repr(error) + repr(error.args))
    assert_clean(caplog.text)
    assert_clean((tmp_path / "t.jsonl").read_text())
    assert_clean(repr(provider) + repr(provider.provider) + repr(vars(provider.provider)))


def test_no_key_in_the_doctors_report_or_the_list_of_providers():
    assert_clean(repr(list_providers()))
    with LoopbackServer(echo(401)) as server:
        assert_clean(repr(doctor("openai:m", server.url)))
    with LoopbackServer(echo(404)) as server:
        assert_clean(repr(doctor("anthropic:m", server.anthropic_url)))


@pytest.mark.parametrize(
    "bad", ["planted key 0007", "planted\nkey0008", "plantedkéy0009", "“planted0010”", ""]
)
def test_a_key_with_impossible_characters_is_refused_without_being_shown(bad, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", bad)
    with pytest.raises(InputError) as caught:
        make_provider("openai:m")
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_space_around_a_key_is_forgiven(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "  plantedkey0011\n")
    assert find_key("openai").reveal() == "plantedkey0011"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("openai:sk-proj-abcdefghijklmnop", "an OpenAI key"),
        ("sk-ant-api03-abcdefgh", "an Anthropic key"),
        ("gemini:AIzaSyA0123456789012345678901", "a Google key"),
        ("gsk_abcdefghijklmnopqrst", "a Groq key"),
        ("hf_abcdefghijklmnopqrst", "a Hugging Face token"),
        ("http://user:password@host/v1", "a key"),
        ("https://host/v1?api_key=abc", "a key"),
        ("http://abcdefgh@host/v1", "a key"),
        ("http://:abcdefgh@host/v1", "a key"),
        ("http://user:p/abcdefgh@host/v1", "a key"),
        ("http://user:p@abcdefgh@host/v1", "a key"),
        ("https://host/v1?access_token=abcdefgh", "a key"),
        ("https://host/v1?a=1&sig=abcdefgh", "a key"),
        ("https://host/v1?Subscription-Key=abcdefgh", "a key"),
        ("https://host/v1#token=abcdefgh", "a key"),
    ],
)
def test_a_key_typed_into_an_option_is_refused_with_the_reason(text, what):
    with pytest.raises(InputError, match=f"--llm holds {what}; keys typed into a cell are saved") as caught:
        refuse_key(text, "--llm")
    assert text not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "openai:gpt-4o",
        "ollama:llama3.1:8b",
        "replay:.sllmbo/risk-assessment-model-7",
        "sk-learn",
        "http://localhost:8000/v1",
        "https://host/v1?api-version=2024-10-21",
        "https://host/v1/@team?design=a&zipcode=b",
    ],
)
def test_ordinary_options_are_not_taken_for_keys(text):
    refuse_key(text, "--llm")


def test_make_provider_refuses_keys_in_its_options():
    for options in (
        {"spec": "openai:sk-abcdefghijklmnop"},
        {"spec": "openai:m", "base_url": "http://a:b12345678@h/v1"},
    ):
        with pytest.raises(InputError, match="holds"):
            make_provider(**options)


@pytest.mark.parametrize(
    ("spec", "variable"),
    [("openai:m", "OPENAI_API_KEY"), ("anthropic:m", "ANTHROPIC_API_KEY"), ("gemini:m", "GEMINI_API_KEY")],
)
def test_a_missing_key_is_one_line_before_any_fit(spec, variable, monkeypatch, tmp_path):
    for name in PLANTED:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    for act, asked in ((check_key, spec), (make_provider, spec), (check_key, f"replay:run?then={spec}")):
        with pytest.raises(InputError) as caught:
            act(asked)
        text = str(caught.value)
        assert variable in text
        assert "--llm rulebook" in text
        assert "--llm replay:PATH" in text
        assert "\n" not in text


def test_keyless_providers_need_no_key(monkeypatch):
    for name in PLANTED:
        monkeypatch.delenv(name)
    check_key("ollama:m")
    check_key("manual")
    check_key("openai-compatible:m", "http://localhost:8000/v1")


def test_the_sdks_own_variable_is_used(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "plantedtoken0012")
    check_key("anthropic:m")
    with LoopbackServer(["hello"]) as server:
        make_provider("anthropic:m", base_url=server.anthropic_url).complete(request())
    assert server.requests[0].headers["authorization"] == "Bearer plantedtoken0012"


def test_a_key_typed_at_the_prompt_wins_and_is_not_in_the_environment(monkeypatch):
    import os

    monkeypatch.setattr(credentials.getpass, "getpass", lambda text: "plantedprompt0013")
    prompt_for_key("openai")
    with LoopbackServer(["hello"]) as server:
        make_provider("openai:m", base_url=server.url).complete(request())
    assert server.requests[0].headers["authorization"] == "Bearer plantedprompt0013"
    assert "plantedprompt0013" not in str(dict(os.environ))
    assert redact("x plantedprompt0013") == "x [redacted]"


def test_a_key_in_an_answer_reaches_no_trial_view_or_file(monkeypatch, tmp_path):
    """Whoever serves the model may put the key that it was sent into the answer."""
    key = "sk-verysecretkey0123456789abcdef"
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", key)

    def answer(seen):
        params = [{"name": "x", "value": 0.25}]
        texts = {"reason": f"the key is {key}", "expects": f"better {key}"}
        return {"reasoning": key, "space": [], "configurations": [{**texts, "params": params}]}

    with LoopbackServer(answer) as server:
        result = tune(
            lambda params: params["x"],
            search_space={"x": (0.0, 1.0)},
            direction="minimize",
            llm="openai-compatible:m",
            base_url=server.url,
            n_trials=6,
            seed=0,
            folder=tmp_path,
        )
    assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    asked = next(t for t in result.trials if t.user_attrs["sllmbo:source"] == "llm-init")
    assert asked.user_attrs["sllmbo:provenance"]["reason"] == "the key is [redacted]"
    assert key not in json.dumps(result.bundle())
    result.report(tmp_path / "report.html")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path.name for path in files if key.encode() in path.read_bytes()] == []


def test_a_secret_shows_itself_to_nobody():
    secret = Secret("plantedsecret0014")
    assert_clean(repr(secret) + str(secret) + f"{secret}")
    assert "0014" not in repr(secret) + str(secret) + repr([secret])
    assert secret.reveal() == "plantedsecret0014"
    for act in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            act(secret)


@pytest.mark.parametrize(
    "text",
    [
        "key sk-abcdefghijklmnop.",
        "sk-ant-api03-abc-def_ghi",
        "Authorization: Bearer abcdefghijkl",
        '{"x-api-key": "abcdefghijkl"}',
        "api_key=abcdefghijkl",
        "http://user:abcdefghijkl@host",
        "http://user:p/abcdefghijkl@host",
        "http://user:p@abcdefghijkl@host",
        "http://abcdefghijkl@host",
        "plantedothertoken0004",
        "X: plantedheader0005",
    ],
)
def test_redact(text):
    clean = redact(text)
    assert "[redacted]" in clean
    for part in ("abcdefgh", "abc-def", "0004", "0005"):
        assert part not in clean


@pytest.mark.parametrize(
    "text",
    [
        "the learning_rate 0.1 is best",
        "max_depth: 7, task-0.93-keyed",
        "basic words",
        "a basic configuration",
        "risk-averse-and-long-winded",
        "task-classification-2026",
        "sk-learn-compatible-estimators",
    ],
)
def test_ordinary_text_is_not_redacted(text):
    assert redact(text) == text


def test_one_line():
    assert one_line("a\x1b[31m\u202eb\n\tc\u200b", 80) == "a [31m b c"
    assert one_line("x" * 300) == "x" * 199 + "…"

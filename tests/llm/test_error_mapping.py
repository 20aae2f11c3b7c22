"""Each fault of a server, through the real SDKs: its category, its error type, and one clean line."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.error_mapping import no_connection
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.waiting import retry_after
from tests.loopback import Fault
from tests.loopback import LoopbackServer

from .conftest import SCHEMA
from .conftest import request

KEY = "planted-key-0123456789"
PROTOCOLS = ("openai", "responses", "anthropic")


def connect(
    protocol: str, server: LoopbackServer, *, timeout: float = 5.0, retries: int = 0
) -> RecordingProvider:
    """A provider that speaks one protocol with the server."""
    if protocol == "anthropic":
        provider = make_provider(
            "anthropic:test-model", base_url=server.anthropic_url, api_key=KEY, timeout=timeout
        )
    else:
        provider = make_provider("openai:test-model", base_url=server.url, api_key=KEY, timeout=timeout)
        provider.provider.capabilities.responses = protocol == "responses"
    provider.retries = retries
    return provider


def error_of(protocol: str, fault: Fault, **options) -> ProviderError:
    """The error that a fault becomes; checked to be one line without the key."""
    with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
        connect(protocol, server, **options).complete(request(schema=SCHEMA))
    error = caught.value
    assert "\n" not in str(error)
    assert KEY not in str(error)
    assert error.message.endswith(".")
    assert "base sampler" not in str(error), "what a run does about it is not the server's matter"
    assert error.hint
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


def said(message: str, **more) -> dict:
    return {"error": {"message": message, **more}}


STATUSES = [
    (400, said("odd"), PermanentProviderError, "bad-request"),
    (400, said("This model's maximum context length is 8192 tokens."), ReplyError, "context-length"),
    (400, said("prompt is too long: 210000 tokens > 200000 maximum"), ReplyError, "context-length"),
    (400, said("the request exceeds the available context size"), ReplyError, "context-length"),
    (400, said("blocked", code="content_filter"), ReplyError, "content-filter"),
    (400, said("Your credit balance is too low"), PermanentProviderError, "quota"),
    (401, said("Incorrect API key provided"), PermanentProviderError, "bad-key"),
    (402, said("pay"), PermanentProviderError, "quota"),
    (403, said("no"), PermanentProviderError, "permission"),
    (404, said("The model does not exist"), PermanentProviderError, "unknown-model"),
    (408, said("slow"), TransientProviderError, "timeout"),
    (409, said("conflict"), TransientProviderError, "conflict"),
    (413, said("too large"), ReplyError, "too-large"),
    (429, said("slow down"), TransientProviderError, "rate-limit"),
    (429, said("no quota", code="insufficient_quota"), PermanentProviderError, "quota"),
    (500, said("oops"), TransientProviderError, "server"),
    (502, "<html><title>502 Bad Gateway</title></html>", TransientProviderError, "server"),
    (503, said("down"), TransientProviderError, "server"),
    (504, said("late"), TransientProviderError, "timeout"),
    (529, said("overloaded"), TransientProviderError, "overloaded"),
    (302, "moved", PermanentProviderError, "redirect"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("status", "body", "cls", "category"), STATUSES)
def test_a_status_has_its_category(protocol, status, body, cls, category):
    error = error_of(protocol, Fault(status=status, body=body, headers={"Location": "http://127.0.0.1:9/"}))
    assert type(error) is cls
    assert error.category == category


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("kind", "cls", "category"),
    [
        ("silent", TransientProviderError, "timeout"),
        ("drip", TransientProviderError, "timeout"),
        ("reset", TransientProviderError, "connection-lost"),
        ("reset-mid-body", TransientProviderError, "connection-lost"),
        ("cut-json", ReplyError, "not-json"),
        ("html", ReplyError, "not-json"),
        ("refusal", ReplyError, "refusal"),
        ("truncated", ReplyError, "truncated"),
        ("empty", ReplyError, "empty"),
    ],
)
def test_a_broken_reply_has_its_category(protocol, kind, cls, category):
    error = error_of(protocol, Fault(kind), timeout=0.3)
    assert type(error) is cls
    assert error.category == category


@pytest.mark.parametrize("protocol", ["openai", "responses"])
def test_a_filtered_reply(protocol):
    assert error_of(protocol, Fault("content-filter")).category == "content-filter"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_connection_refused(protocol):
    with LoopbackServer([{}]) as server:
        pass  # the port is free again
    with pytest.raises(TransientProviderError) as caught:
        connect(protocol, server).complete(request())
    assert caught.value.category == "connection"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_without_tls_where_tls_is_expected(protocol):
    with LoopbackServer([{}]) as server:
        server.url = server.url.replace("http:", "https:")
        server.anthropic_url = server.anthropic_url.replace("http:", "https:")
        with pytest.raises(PermanentProviderError) as caught:
            connect(protocol, server).complete(request())
    assert caught.value.category == "tls"


def test_a_certificate_that_nobody_signed(tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    pem, certificate = tmp_path / "own.pem", tmp_path / "certificate.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout"
    subprocess.run([openssl, *command.split(), pem, "-out", certificate], check=True, capture_output=True)
    pem.write_text(pem.read_text() + certificate.read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with LoopbackServer([{}], tls=context) as server:
        assert server.url.startswith("https:")
        with pytest.raises(PermanentProviderError) as caught:
            connect("openai", server).complete(request())
    assert caught.value.category == "tls"


@pytest.mark.parametrize(
    ("body", "category"),
    [
        ({"error": {"message": "no credit", "code": 402}}, "quota"),
        ({"error": {"message": "upstream failed"}}, "server"),
        ({"detail": "hello"}, "not-json"),
        ([1, 2], "not-json"),
        ("null", "not-json"),
        ({"choices": "x"}, "not-json"),
        ({"choices": [{}]}, "empty"),
        ({"choices": [{"message": {"content": None}}]}, "empty"),
        ({"choices": [{"message": {"content": "   "}}]}, "empty"),
        ({"choices": [{"message": {"content": ["x"]}}]}, "empty"),
    ],
)
def test_a_body_of_another_shape(body, category):
    assert error_of("openai", Fault(status=200, body=body)).category == category


@pytest.mark.parametrize("body", [{"content": "x"}, [1], "null", {"content": [{"type": "text"}]}, {}])
def test_an_anthropic_body_of_another_shape(body):
    assert error_of("anthropic", Fault(status=200, body=body)).category in ("not-json", "empty")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_what_a_server_asks_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


def test_words_of_a_server_are_shown_as_one_clean_line():
    nasty = "\x1b[31mred\u202e\n<script>alert(1)</script> sk-" + "a" * 30 + " " + "x" * 1000
    error = error_of("openai", Fault(status=418, body=said(nasty)))
    assert "\x1b" not in str(error)
    assert "\u202e" not in str(error)
    assert "sk-aaa" not in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_failed_reply_still_costs_what_it_did_cost(protocol):
    with LoopbackServer([Fault("truncated")]) as server:
        provider = connect(protocol, server)
        with pytest.raises(ReplyError) as caught:
            provider.complete(request())
    assert caught.value.usage == provider.spent
    assert provider.budget.charged.requests == len(server.requests)


@pytest.mark.parametrize(
    ("llm", "variable", "value"),
    [
        ("openai:m", "OPENAI_ORG_ID", "Müller GmbH"),
        ("openai:m", "OPENAI_ORG_ID", " "),
        ("openai:m", "OPENAI_PROJECT_ID", "prj\n"),
        ("openai:m", "OPENAI_CUSTOM_HEADERS", "X-Team: Müller"),
        ("openai:m", "OPENAI_CUSTOM_HEADERS", "X-Ä: team"),
        ("anthropic:m", "ANTHROPIC_CUSTOM_HEADERS", "X-Team: Müller"),
    ],
)
def test_a_header_that_cannot_be_sent_names_its_variable(llm, variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    with LoopbackServer(["{}"]) as server:
        provider = make_provider(llm, api_key="planted-key-0123456789", base_url=server.url)
        with pytest.raises(PermanentProviderError, match=f"from {variable} cannot be sent") as caught:
            provider.complete(request())
        assert not server.requests
    assert caught.value.category == "client"
    assert "Müller" not in str(caught.value)
    assert provider.budget.charged.tokens == 0


def test_a_connection_that_failed_names_the_proxy_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret-word@127.0.0.1:9")
    monkeypatch.setattr("sllmbo_magic.llm.providers.sdk.check_allowed", lambda url: None)  # nothing is sent
    provider = make_provider("openai:m", api_key="k" * 20, base_url="https://llm.invalid/v1").provider
    with pytest.raises(TransientProviderError, match=r"the proxy in HTTPS_PROXY=127\.0\.0\.1:9") as caught:
        provider.complete(request())
    assert caught.value.category == "connection"
    assert "secret-word" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "llm.invalid")
    refused = no_connection(
        provider_id="a:b", cause=ConnectionRefusedError(), base_url="https://llm.invalid/v1"
    )
    assert "proxy" not in str(refused)

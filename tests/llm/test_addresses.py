"""Addresses, proxies and certificates: refused or explained in one sentence, before a run and in it."""

from __future__ import annotations

import pytest
from sklearn.linear_model import Ridge

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.llm.addresses import check_base_url
from sllmbo_magic.llm.addresses import ollama_url
from sllmbo_magic.llm.doctor import doctor
from sllmbo_magic.llm.registry import check_key
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.registry import parse
from sllmbo_magic.testing import block_network_requests

from ..loopback import LoopbackServer
from .conftest import request

REFUSED = [
    ("localhost:8000/v1", "--base-url http://localhost:8000/v1"),
    ("127.0.0.1:8000/v1", "--base-url http://127.0.0.1:8000/v1"),
    ("gpu-box:8000/v1", "--base-url http://gpu-box:8000/v1"),
    ("api.example.com/v1", "--base-url https://api.example.com/v1"),
    ("http:/localhost:8000/v1", "--base-url http://localhost:8000/v1"),
    ("//localhost:8000/v1", "--base-url http://localhost:8000/v1"),
    ("ws://localhost:8000/v1", "--base-url http://localhost:8000/v1"),
    ("http://", "--base-url http://localhost:8000/v1"),
    ("", "--base-url http://localhost:8000/v1"),
    ("http://localhost:port/v1", "--base-url http://localhost:8000/v1"),
    ("http://[::1/v1", "--base-url http://localhost:8000/v1"),
    ("http://a b/v1", "--base-url http://localhost:8000/v1"),
    ("http://localhost:8000/v1/chat/completions", "--base-url http://localhost:8000/v1"),
    (
        "https://api.example.com/v1/chat/completions?api-version=1",
        "--base-url https://api.example.com/v1?api-version=1",
    ),
    ("https://api.example.com/v1#models", "--base-url https://api.example.com/v1"),
    ("http://localhost:11434/api/chat", "--base-url http://localhost:11434/v1"),
    ("http://http://localhost:8000/v1", "--base-url http://localhost:8000/v1"),
    ("http:localhost:8000/v1", "--base-url http://localhost:8000/v1"),
    ("https:/gpu-box:8000/v1", "--base-url https://gpu-box:8000/v1"),
    ("'http://localhost:8000/v1'", "--base-url http://localhost:8000/v1"),
    ("<https://api.example.com/v1>", "--base-url https://api.example.com/v1"),
    ("192.168.1.5:8000/v1", "--base-url http://192.168.1.5:8000/v1"),
    ("gpu.local:8000/v1", "--base-url http://gpu.local:8000/v1"),
    (":8000", "--base-url http://localhost:8000/v1"),
    ("8080", "--base-url http://localhost:8080/v1"),
]


@pytest.mark.parametrize(("url", "line"), REFUSED)
def test_what_is_no_address_has_the_line_to_write(url, line):
    with pytest.raises(InputError) as caught:
        check_base_url(url)
    assert caught.value.hint.endswith(line)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "HTTPS://api.example.com/v1/", " http://[::1]:80 "]
)
def test_addresses(url):
    assert check_base_url(url) == url.strip()


def test_a_key_in_an_address_without_a_scheme_is_not_repeated():
    with pytest.raises(InputError, match="--base-url holds a key") as caught:
        check_base_url("user:abcdefgh@localhost:80/v1")
    assert "abcdefgh" not in str(caught.value)


@pytest.mark.parametrize("llm", ["openai-compatible:m", "anthropic:m"])
def test_the_query_of_an_address_is_the_query_of_each_request(llm):
    with LoopbackServer(['{"ready": true, "number": 7}']) as server:
        url = server.anthropic_url if llm.startswith("anthropic") else server.url
        provider = make_provider(
            llm, base_url=f"{url}?api-version=2024-10-21", api_key="planted-key-0123456789"
        )
        provider.complete(request())
        path, _, query = server.requests[-1].path.partition("?")
    assert path == ("/v1/messages" if llm.startswith("anthropic") else "/v1/chat/completions")
    assert query == "api-version=2024-10-21"


def objective(params):
    raise AssertionError("nothing may run")


def test_a_wrong_address_is_refused_at_every_door_before_anything_runs(monkeypatch):
    llm, url = "openai-compatible:m", "localhost:8000/v1"
    with pytest.raises(InputError, match="http://localhost:8000/v1"):
        tune(
            objective, direction="minimize", search_space={"x": (0.0, 1.0)}, llm=llm, base_url=url, folder=""
        )
    with pytest.raises(InputError, match="http://localhost:8000/v1"):
        tune(objective, direction="minimize", search_space={"x": (0.0, 1.0)}, base_url=url, folder="")
    with pytest.raises(InputError, match="http://localhost:8000/v1"):
        SLLMBOSearchCV(Ridge(), llm=llm, tune_options={"base_url": url}).fit([[1.0]] * 9, [1.0] * 9)
    with pytest.raises(InputError, match="http://localhost:8000/v1"):
        check_key(llm, url)
    (check, *_) = doctor(llm, url)
    assert (check.name, check.ok) == ("provider", False)
    assert "http://localhost:8000/v1" in check.detail
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(InputError, match="OPENAI_BASE_URL=http://localhost:8000/v1"):
        make_provider("openai:m")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://localhost:11434/v1"),
        ("gpu", "http://gpu:11434/v1"),
        ("gpu:1234", "http://gpu:1234/v1"),
        (":1234", "http://127.0.0.1:1234/v1"),
        (":11434", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234/v1"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434/v1"),
        ("http://gpu", "http://gpu:80/v1"),
        ("https://gpu", "https://gpu:443/v1"),
        ("https://gpu:11434/", "https://gpu:11434/v1"),
        ("http://gpu:11434/v1", "http://gpu:11434/v1"),
        ("https://gpu/ollama/", "https://gpu:443/ollama/v1"),
        ("[::1]", "http://[::1]:11434/v1"),
        ("::1", "http://[::1]:11434/v1"),
        ("[::1]:1234", "http://[::1]:1234/v1"),
        ("[::]:1234", "http://[::1]:1234/v1"),
        ("gpu:99999", "http://gpu:11434/v1"),
        ("gpu:port", "http://gpu:11434/v1"),
        ('"gpu:1234"', "http://gpu:1234/v1"),
        ("  'gpu' ", "http://gpu:11434/v1"),
    ],
)
def test_ollama_host_is_read_by_ollamas_rules(host, url, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert ollama_url() == url
    assert make_provider("ollama:m").provider.base_url == url


# Building the client

ENVIRONMENTS = [
    ({"ALL_PROXY": "socks5://u:secret-word@127.0.0.1:9"}, ("ALL_PROXY", "pip install socksio")),
    ({"all_proxy": "socks5h://127.0.0.1:9"}, ("all_proxy", "pip install socksio")),
    ({"HTTPS_PROXY": "http://u:p/secret-word@127.0.0.1:9"}, ("HTTPS_PROXY=http://[redacted]@127.0.0.1:9",)),
    ({"HTTPS_PROXY": "http://secret-word@127.0.0.1:port"}, ("HTTPS_PROXY=http://[redacted]@127.0.0.1:port",)),
    (
        {"ALL_PROXY": "socks4://u:secret-word@127.0.0.1:9"},
        ("ALL_PROXY", "cannot be used", "http://HOST:PORT"),
    ),
    ({"HTTPS_PROXY": "foo://127.0.0.1:9"}, ("HTTPS_PROXY", "http://HOST:PORT")),
    ({"HTTPS_PROXY": "http://127.0.0.1:port"}, ("HTTPS_PROXY", "http://HOST:PORT")),
    ({"SSL_CERT_FILE": "/nowhere/x.pem"}, ("SSL_CERT_FILE=/nowhere/x.pem", "No such file")),
    ({"SSL_CERT_FILE": "NOT A CERTIFICATE"}, ("SSL_CERT_FILE", "no file of certificates")),
]


@pytest.fixture(params=range(len(ENVIRONMENTS)))
def environment(request, monkeypatch, tmp_path):
    variables, words = ENVIRONMENTS[request.param]
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    for name, value in variables.items():
        if value == "NOT A CERTIFICATE":
            (tmp_path / "bad.pem").write_text("hello")
            value = str(tmp_path / "bad.pem")
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sllmbo_magic.llm.providers.sdk.check_allowed", lambda url: None)  # nothing is sent
    return words


@pytest.mark.parametrize("llm", ["openai:m", "anthropic:m", "gemini:m"])
def test_whatever_building_the_client_raises_is_a_sentence(environment, llm):
    provider = make_provider(llm, api_key="planted-key-0123456789", base_url="https://llm.invalid/v1")
    with pytest.raises(PermanentProviderError) as caught:
        provider.complete(request())
    error = caught.value
    assert error.category == "client"
    assert "SSL_CERT_DIR" not in str(error), "it is in order"
    assert all(words in str(error) for words in environment)
    assert "secret-word" not in str(error)
    assert "\n" not in str(error)
    assert error.__context__ is None


def test_a_client_that_cannot_be_built_ends_neither_doctor_nor_run(environment):
    (failed,) = [
        c for c in doctor("openai:m", "https://llm.invalid/v1", api_key="planted-key-01") if c.ok is False
    ]
    assert environment[0] in failed.detail


def test_a_run_goes_on_without_a_client(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/x.pem")
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-0123456789")
    monkeypatch.setattr("sllmbo_magic.llm.providers.sdk.check_allowed", lambda url: None)
    result = tune(
        lambda params: params["x"],
        direction="minimize",
        search_space={"x": (0.0, 1.0)},
        llm="openai:m",
        base_url="https://llm.invalid/v1",
        n_trials=4,
        seed=0,
        folder="",
    )
    assert len(result.trials) == 4
    (fallback,) = [e for e in result.events if type(e).__name__ == "Fallback"]
    assert "SSL_CERT_FILE=/nowhere/x.pem" in fallback.message


# What people type for --llm


@pytest.mark.parametrize(
    ("llm", "line"),
    [
        ("gpt-4o", "--llm openai:gpt-4o"),
        ("o3", "--llm openai:o3"),
        ("claude-sonnet-5-5", "--llm anthropic:claude-sonnet-5-5"),
        ("gemini-2.5-flash", "--llm gemini:gemini-2.5-flash"),
        ("llama3.1", "--llm ollama:llama3.1"),
        ("llama3.1:8b", "--llm ollama:llama3.1:8b"),
        ("qwen3:8b", "--llm ollama:qwen3:8b"),
        ("openai/gpt-4o", "--llm openai:gpt-4o"),
        ("Qwen/Qwen3-8B", "--llm openai-compatible:Qwen/Qwen3-8B --base-url http://localhost:8000/v1"),
        (
            "azure:my-4o",
            "--llm openai-compatible:my-4o --base-url https://RESOURCE.openai.azure.com/openai/v1",
        ),
        (
            "azure:",
            "--llm openai-compatible:DEPLOYMENT --base-url https://RESOURCE.openai.azure.com/openai/v1",
        ),
        ("groq:llama-3.3", "--llm openai-compatible:llama-3.3 --base-url https://api.groq.com/openai/v1"),
        ("vllm:Qwen/Qwen3-8B", "--llm openai-compatible:Qwen/Qwen3-8B --base-url http://localhost:8000/v1"),
        ("vllm", "--llm openai-compatible:MODEL --base-url http://localhost:8000/v1"),
        ("LMStudio:m", "--llm openai-compatible:m --base-url http://localhost:1234/v1"),
        ("llama.cpp:m", "--llm openai-compatible:m --base-url http://localhost:8080/v1"),
        ("openrouter:a/b", "--llm openai-compatible:a/b --base-url https://openrouter.ai/api/v1"),
        ("claude:claude-sonnet-5-5", "--llm anthropic:claude-sonnet-5-5"),
        ("opnai:gpt-4o", "--llm openai:gpt-4o"),
        ("openai gpt-4o", "--llm openai:gpt-4o"),
        ("openai=gpt-4o", "--llm openai:gpt-4o"),
        ("gpt4o", "--llm openai:gpt4o"),
        ("grok-4", "--llm openai-compatible:grok-4 --base-url https://api.x.ai/v1"),
        ("http://localhost:8000/v1", "--llm openai-compatible:MODEL --base-url http://localhost:8000/v1"),
    ],
)
def test_models_and_vendors_have_the_line_to_write(llm, line):
    with pytest.raises(InputError) as caught:
        parse(llm)
    assert str(caught.value).endswith(line)
    words = line.split()
    base_url = words[3] if len(words) > 2 else None
    if "RESOURCE" not in line:  # the line is one that works
        with block_network_requests():
            make_provider(words[1], base_url=base_url, api_key="planted-key-0123456789")

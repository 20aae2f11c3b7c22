"""From a provider's id to a provider; the list of providers; third parties."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import optuna
import pytest
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.llm import registry
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.registry import list_providers
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.registry import parse
from sllmbo_magic.testing import ScriptedProvider
from tests.loopback import LoopbackServer

from .conftest import request


@pytest.mark.parametrize(
    ("spec", "name", "model"),
    [
        ("openai:gpt-4o", "openai", "gpt-4o"),
        (" OpenAI: gpt-4o ", "openai", "gpt-4o"),
        ("ollama:llama3.1:8b", "ollama", "llama3.1:8b"),
        ("openai-compatible:org/model", "openai-compatible", "org/model"),
        ("replay:C:/runs/a", "replay", "C:/runs/a"),
        ("manual", "manual", ""),
    ],
)
def test_parse(spec, name, model):
    assert (parse(spec).name, parse(spec).model) == (name, model)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("opnai:gpt-4o", "Did you mean 'openai'"),
        ("antropic:claude", "Did you mean 'anthropic'"),
        ("gpt-4o", "unknown LLM provider 'gpt-4o'"),
        ("none", "--llm rulebook (expert rules), or --sampler tpe"),
        ("None", "--llm rulebook (expert rules), or --sampler tpe"),
        ("off", "--llm rulebook (expert rules), or --sampler tpe"),
        ("copilot", '--llm "command:PROGRAM ARGS"'),
        ("copilot:gpt-4o", '--llm "command:PROGRAM ARGS"'),
        ("rulebok", "Did you mean 'rulebook'"),
        ("rulebook", "is no LLM: it proposes by expert rules"),
        ("offline", "is no LLM"),
        ("", "unknown LLM provider"),
        ("openai", "openai needs a model. Example: --llm openai:gpt-4o."),
        ("anthropic:", "anthropic needs a model"),
        ("replay:", "replay needs a run"),
    ],
)
def test_what_cannot_be_parsed_says_what_is_allowed(spec, words):
    with pytest.raises(InputError) as caught:
        parse(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_each_provider_goes(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "planted-0123456789")
    monkeypatch.setenv("OPENAI_API_KEY", "planted-0123456789")
    assert make_provider("gemini:m").provider.base_url == registry.GEMINI_URL
    assert make_provider("ollama:m").provider.base_url == "http://localhost:11434/v1"
    monkeypatch.setenv("OLLAMA_HOST", "box:1234")
    assert make_provider("ollama:m").provider.base_url == "http://box:1234/v1"
    assert make_provider("openai:m").provider.base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway/v1")
    assert make_provider("openai:m").provider.base_url == "http://gateway/v1"
    assert make_provider("openai:m", base_url="http://own/v1").provider.base_url == "http://own/v1"
    assert make_provider("gemini:m").provider.base_url == registry.GEMINI_URL


def test_openai_compatible_needs_an_address():
    for act in (make_provider, registry.check_key):
        with pytest.raises(InputError, match="--base-url http"):
            act("openai-compatible:m")


def test_every_door_has_a_way_to_a_server_of_ones_own(monkeypatch):
    """Samplers and the search have no argument for an address: the environment serves all, and is named."""
    with pytest.raises(InputError, match=r"base_url= of tune.*set OPENAI_COMPATIBLE_BASE_URL"):
        LLMTPESampler("openai-compatible:m")
    with LoopbackServer(["not JSON"]) as server:
        monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", server.url)
        assert make_provider("openai-compatible:m").provider.base_url == server.url
        assert make_provider("openai:m", api_key="k" * 20).provider.base_url != server.url
        study = optuna.create_study(sampler=LLMTPESampler("openai-compatible:m"))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=12)
        assert server.requests
        monkeypatch.delenv("OPENAI_COMPATIBLE_BASE_URL")
        n = len(server.requests)
        search = SLLMBOSearchCV(
            LogisticRegression(),
            llm="openai-compatible:m",
            n_trials=3,
            cv=2,
            tune_options={"base_url": server.url},
        )
        search.fit([[0.0], [1.0], [0.5], [0.7]] * 5, [0, 1, 0, 1] * 5)
        assert len(server.requests) > n


@pytest.mark.parametrize(("spec", "package"), [("openai:m", "openai"), ("anthropic:m", "anthropic")])
def test_a_missing_sdk_is_one_line_with_the_command(spec, package, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    for act in (make_provider, registry.check_key):
        with pytest.raises(MissingExtraError) as caught:
            act(spec)
        assert f'pip install "sllmbo-magic[{package}]"' in str(caught.value)


def test_the_list_of_providers(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-0123456789")
    infos = {info.id: info for info in list_providers()}
    assert list(infos)[:3] == ["rulebook", "openai", "anthropic"]
    assert infos["openai"].configured
    assert infos["openai"].how == "key found in OPENAI_API_KEY"
    assert not infos["anthropic"].configured
    assert "ANTHROPIC_API_KEY" in infos["anthropic"].how
    assert infos["manual"].configured
    assert "planted" not in repr(infos)


def test_the_list_of_providers_imports_no_sdk():
    code = (
        "import sys; from sllmbo_magic.llm.registry import list_providers; list_providers();"
        "print([m for m in ('openai', 'anthropic', 'httpx2', 'optuna', 'sklearn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_object_is_used_as_it_is():
    own = ScriptedProvider(["hello"])
    assert isinstance(own, Provider)
    assert make_provider(own).complete(request()).text == "hello"


class Acme:
    """A third party's provider."""

    def __init__(self, model: str, **options) -> None:
        self.id = f"acme:{model}"
        self.options = options

    def complete(self, request: Request) -> Completion:
        return Completion("from acme")


@pytest.fixture
def _acme(monkeypatch):
    point = metadata.EntryPoint("acme", f"{__name__}:Acme", registry.GROUP)
    real = metadata.entry_points
    monkeypatch.setattr(
        registry.metadata,
        "entry_points",
        lambda group: [point] if group == registry.GROUP else real(group=group),
    )


@pytest.mark.parametrize(
    ("llm", "base_url", "deadline"),
    [
        ("openai:m", None, 120.0),
        ("ollama:m", None, 300.0),
        ("openai-compatible:m", "http://localhost:8000/v1", 300.0),
        ("openai-compatible:m", "https://llm.example.com/v1", 120.0),
        ("command:python", None, 300.0),
    ],
)
def test_how_long_a_request_may_take(llm, base_url, deadline, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    options = {"base_url": base_url, "api_key": None if "command" in llm else "planted-key-0123456789"}
    assert make_provider(llm, **options).deadline == deadline
    assert make_provider(llm, **options, deadline=7.0).deadline == 7.0
    assert make_provider(llm, **options).provider.deadline == deadline, "kept where the run records it anew"


@pytest.mark.usefixtures("_acme")
def test_a_third_partys_provider():
    provider = make_provider("acme:big", base_url="http://acme/v1", timeout=7.0)
    assert provider.provider.options == {"base_url": "http://acme/v1", "api_key": None, "timeout": 7.0}
    assert provider.complete(request()).text == "from acme"
    assert "acme" in [info.id for info in list_providers()]
    with pytest.raises(InputError, match="Did you mean 'acme'"):
        parse("acmee:big")


def test_a_provider_that_cannot_be_reached_is_made_all_the_same():
    with LoopbackServer(["x"]) as server:
        pass
    make_provider("openai-compatible:m", base_url=server.url)  # no request is made before the first question

"""From ``"openai:gpt-4o"`` to a provider that is ready to use: the one table of what there is.

Third parties add providers by an entry point of the group ``sllmbo_magic.providers``. Its name is the
provider's (``acme`` in ``acme:model``), its object is called once::

    def make(model: str, *, base_url: str | None, api_key: str | None, timeout: float) -> Provider: ...

``sllmbo_magic.testing.check_provider`` is the test kit for it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from importlib import metadata
from importlib.util import find_spec

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.credentials import SOURCES
from sllmbo_magic.llm.credentials import find_key
from sllmbo_magic.llm.credentials import missing_key
from sllmbo_magic.llm.credentials import refuse_key
from sllmbo_magic.llm.gate import is_loopback
from sllmbo_magic.llm.recording import RecordingProvider
from sllmbo_magic.llm.transcript import Transcript

GROUP = "sllmbo_magic.providers"
GEMINI_URL = "https://generativelanguage.googleapis.com/v1beta/openai/"
OLLAMA_URL = "http://localhost:11434/v1"
NO_LLM = ("rulebook", "offline")

_WHAT = {
    "openai": "OpenAI's models, with the official SDK",
    "anthropic": "Anthropic's models, with the official SDK",
    "gemini": "Google's models, by their OpenAI-compatible address",
    "ollama": "models on this machine, served by Ollama",
    "openai-compatible": "any server that speaks OpenAI's protocol (vLLM, llama.cpp, LM Studio, gateways)",
    "replay": "the answers of a recorded run: no key, no network, the same trials",
    "manual": "you: the prompt is shown, and you paste the answer of any chat product",
}
_MODEL_EXAMPLES = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-5-5",
    "gemini": "gemini-2.5-flash",
    "ollama": "llama3.1",
    "openai-compatible": "my-model",
}


@dataclass(frozen=True)
class ProviderInfo:
    """One line of ``%sllmbo providers``.

    Attributes:
        id: As the user writes it before the colon.
        what: What it is.
        configured: Whether it can be used now, as far as can be told without a request.
        how: How to configure it, or where its key was found; never a key.
    """

    id: str
    what: str
    configured: bool
    how: str


@dataclass(frozen=True)
class Spec:
    """A parsed ``--llm`` value: the provider's name, and what stands after the colon."""

    name: str
    model: str

    def __str__(self) -> str:
        return f"{self.name}:{self.model}" if self.model else self.name


def parse(spec: str) -> Spec:
    """The parts of a provider's id; everything is checked that needs no network and no key.

    Raises:
        InputError: The provider is unknown (with the closest match), the model is missing, or the text holds
            a key.
    """
    spec = spec.strip()
    refuse_key(spec, "--llm")
    name, _, model = spec.partition(":")
    name, model = name.strip().lower(), model.strip()
    if name in NO_LLM:
        raise InputError(
            f"{name!r} is no LLM: it proposes by expert rules, without any request.",
            "It has no model, no key and no transcript.",
        )
    known = (*_WHAT, *_third_parties())
    if name not in known:
        close = difflib.get_close_matches(name, (*known, *NO_LLM), 1, 0.5)
        instead = f"Did you mean {close[0]!r}? " if close else ""
        raise InputError(
            f"unknown LLM provider {name!r}.", f"{instead}Allowed: {', '.join((*NO_LLM[:1], *known))}."
        )
    if not model and name == "replay":
        raise InputError("replay needs a path.", "Example: --llm replay:.sllmbo/my_run.")
    if not model and name != "manual":
        example = _MODEL_EXAMPLES.get(name, "MODEL")
        raise InputError(f"{name} needs a model.", f"Example: --llm {name}:{example}.")
    return Spec(name, model)


def make_provider(
    spec: str | Provider,
    *,
    base_url: str | None = None,
    budget: Budget | None = None,
    transcript: Transcript | None = None,
    timeout: float | None = None,
    deadline: float = 120.0,
    api_key: str | None = None,
    then: str | None = None,
    ask: Callable[[str], str] | None = None,
) -> RecordingProvider:
    """A provider with its budget, retries, deadline and transcript.

    Args:
        spec: ``"openai:gpt-4o"`` and the like, ``"replay:PATH"``, ``"replay:PATH?then=openai:gpt-4o"``,
            ``"manual"``; or a Provider object, which is used as it is.
        base_url: The server's address; None: the provider's own.
        budget: Hard limits; None: none.
        transcript: Where the exchanges go; None: memory.
        timeout: Seconds for one attempt; None: 60, and the whole deadline for a server on this machine, which
            may run its model on a CPU.
        deadline: Seconds for one request with its retries.
        api_key: A key from a prompt; None: the environment's.
        then: For a replay: the provider from the first difference on.
        ask: For ``manual``: shows a prompt, returns the pasted answer; None: the terminal.

    Raises:
        InputError: The spec is unknown or incomplete, there is no key, or a limit on money has no price.
        MissingExtraError: The provider's SDK is not installed.
    """
    if isinstance(spec, str):
        options = _Options(base_url, timeout, deadline, api_key, ask)
        provider = _make(spec, options, then)
    else:
        provider = spec
    return RecordingProvider(provider, transcript, budget, deadline=deadline)


def check_key(spec: str, base_url: str | None = None) -> None:
    """Raise InputError, one line, if the provider has no key; to be called before anything is fitted."""
    parsed = parse(spec)
    if parsed.name == "replay" and "?then=" in parsed.model:
        check_key(parsed.model.partition("?then=")[2], base_url)
    source = SOURCES.get(parsed.name)
    _require_sdk(parsed.name)
    if source and source.required and find_key(parsed.name) is None and not _sdk_has_key(parsed.name):
        raise missing_key(parsed.name)
    if parsed.name == "openai-compatible" and not base_url:
        raise _needs_base_url()


def list_providers() -> list[ProviderInfo]:
    """All providers, with what is configured; asks no server."""
    infos = [ProviderInfo("rulebook", "expert rules, no LLM, no network", True, "nothing to configure")]
    for name, what in _WHAT.items():
        if name not in SOURCES:
            infos.append(ProviderInfo(name, what, True, "nothing to configure"))
            continue
        source = SOURCES[name]
        missing = _missing_sdk(name)
        found = next((v for v in source.variables if os.environ.get(v, "").strip()), None)
        if missing:
            how, ready = f'pip install "sllmbo-magic[{missing}]"', False
        elif found:
            how, ready = f"key found in {found}", True
        elif not source.required:
            how, ready = f"no key needed (else set {source.variables[0]})", True
        elif source.sdk and os.environ.get(source.sdk, "").strip():
            how, ready = f"key found in {source.sdk}", True
        else:
            how, ready = f"set {' or '.join(source.variables)}", find_key(name) is not None
            how += ", or log in with the SDK's own tool" if source.sdk else ""
        if name == "openai-compatible":
            how += "; give the server with --base-url"
        infos.append(ProviderInfo(name, what, ready, how))
    infos += [
        ProviderInfo(n, f"from {e.value}", True, "see its documentation") for n, e in _third_parties().items()
    ]
    return infos


@dataclass(frozen=True)
class _Options:
    base_url: str | None
    timeout: float | None
    deadline: float
    api_key: str | None = field(repr=False)
    ask: Callable[[str], str] | None

    def timeout_for(self, url: str | None) -> float:
        if self.timeout is not None:
            return self.timeout
        return self.deadline if url and is_loopback(url) else min(60.0, self.deadline)


def _make(text: str, options: _Options, then: str | None = None) -> Provider:
    spec = parse(text)
    if options.base_url is not None:
        refuse_key(options.base_url, "--base-url")
    if spec.name == "replay":
        from sllmbo_magic.llm.replay import ReplayProvider

        path, _, after = spec.model.partition("?then=")
        after = after or then or ""
        return ReplayProvider(path, _make(after, options) if after else None)
    if spec.name == "manual":
        from sllmbo_magic.llm.manual import ManualProvider
        from sllmbo_magic.llm.manual import ask_in_terminal

        return ManualProvider(options.ask or ask_in_terminal)
    url = options.base_url or _default_url(spec.name)
    timeout = options.timeout_for(url)
    if spec.name not in SOURCES:
        make = _third_parties()[spec.name].load()
        provider: Provider = make(spec.model, base_url=url, api_key=options.api_key, timeout=timeout)
        return provider
    _require_sdk(spec.name)
    key = find_key(spec.name, options.api_key)
    if key is None and SOURCES[spec.name].required and not _sdk_has_key(spec.name):
        raise missing_key(spec.name)
    if spec.name == "anthropic":
        from sllmbo_magic.llm.anthropic import AnthropicProvider

        return AnthropicProvider(spec.model, key=key, base_url=url, timeout=timeout)
    from sllmbo_magic.llm.openai import OpenAIProvider

    return OpenAIProvider(spec.model, name=spec.name, key=key, base_url=url, timeout=timeout)


def _default_url(name: str) -> str | None:
    if name == "gemini":
        return GEMINI_URL
    if name == "ollama":
        host = os.environ.get("OLLAMA_HOST", "").strip().rstrip("/")
        if not host:
            return OLLAMA_URL
        host = host if "://" in host else f"http://{host}"
        return host if host.endswith("/v1") else f"{host}/v1"
    if name == "openai-compatible":
        raise _needs_base_url()
    return None


def _needs_base_url() -> InputError:
    return InputError(
        "openai-compatible needs the server's address.", "Example: --base-url http://localhost:8000/v1."
    )


def _require_sdk(name: str) -> None:
    missing = _missing_sdk(name) if name in SOURCES else None
    if missing:
        raise missing_extra(missing, missing)


def _missing_sdk(name: str) -> str | None:
    """The extra that would bring the provider's SDK, if that is not installed."""
    package = "anthropic" if name == "anthropic" else "openai"
    return None if find_spec(package) else package


def _sdk_has_key(name: str) -> bool:
    """Whether the SDK finds a credential by itself, in its own variable or files; imported only if needed."""
    source = SOURCES[name]
    if not source.sdk or _missing_sdk(name):
        return False
    if os.environ.get(source.sdk, "").strip():
        return True
    import anthropic

    try:
        with anthropic.Anthropic() as client:
            return client.credentials is not None
    except (anthropic.AnthropicError, ValueError, OSError):
        return False


def _third_parties() -> dict[str, metadata.EntryPoint]:
    found = sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name)
    return {entry.name: entry for entry in found if entry.name not in (*_WHAT, *NO_LLM)}

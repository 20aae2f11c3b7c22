"""From ``"openai:gpt-4o"`` to a provider that is ready to use: the one table of what there is.

Third parties add providers by an entry point of the group ``sllmbo_magic.providers``. Its name is the
provider's (``acme`` in ``acme:model``), its object is called once::

    def make(model: str, *, base_url: str | None, api_key: str | None, timeout: float) -> Provider: ...

``sllmbo_magic.testing.check_provider`` is the test kit for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from importlib import metadata
from importlib.util import find_spec

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.llm.addresses import check_base_url
from sllmbo_magic.llm.addresses import ollama_url
from sllmbo_magic.llm.base import DEADLINE
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import complete_provider
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.llm.credentials import SOURCES
from sllmbo_magic.llm.credentials import find_key
from sllmbo_magic.llm.credentials import missing_key
from sllmbo_magic.llm.credentials import refuse_key
from sllmbo_magic.llm.network_guard import is_loopback
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.suggestions import line_for
from sllmbo_magic.llm.transcript import Transcript

GROUP = "sllmbo_magic.providers"
GEMINI_URL = "https://generativelanguage.googleapis.com/v1beta/openai/"
LOCAL_DEADLINE = 300.0
"""Seconds for a request to a server or program on this machine: the first one loads the model, for which
Ollama itself allows five minutes."""
NO_LLM = ("rulebook", "offline")

_DESCRIPTIONS = {
    "openai": "OpenAI's models, with the official SDK",
    "anthropic": "Anthropic's models, with the official SDK",
    "gemini": "Google's models, by their OpenAI-compatible address",
    "ollama": "models on this machine, served by Ollama",
    "openai-compatible": "any server with OpenAI's protocol (vLLM, llama.cpp, LM Studio, gateways)",
    "command": "any program that reads a prompt and writes JSON (llm, claude -p, codex exec, ollama run)",
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
    names = (*_DESCRIPTIONS, *_third_parties())
    if name not in names:
        instead = line_for(spec, (*NO_LLM[:1], *names))
        allowed_text = f"Allowed: {', '.join((*NO_LLM[:1], *names))}."
        raise InputError(
            f"unknown LLM provider {name!r}.", f"{allowed_text} {instead}" if instead else allowed_text
        )
    if not model and name == "replay":
        raise InputError("replay needs a run's name or a path.", "Example: --llm replay:my_run")
    if not model and name == "command":
        raise InputError("command needs a program.", 'Example: --llm "command:llm -m MODEL"')
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
    deadline: float | None = None,
    max_output_tokens: int | None = None,
    api_key: str | None = None,
    then: str | None = None,
    ask: Callable[[str], str] | None = None,
    runs: str | os.PathLike[str] = ".sllmbo",
    needs_key: bool = True,
) -> RecordingProvider:
    """A provider with its budget, retries, deadline and transcript.

    Args:
        spec: ``"openai:gpt-4o"`` and the like, ``"command:PROGRAM ARGS"``, ``"replay:PATH"``,
            ``"replay:PATH?then=openai:gpt-4o"``, ``"manual"``; or a Provider object, which is used as it is.
        base_url: The server's address; None: the provider's own.
        budget: Hard limits; None: none.
        transcript: Where the exchanges go; None: memory.
        timeout: Seconds for one attempt; None: the deadline.
        deadline: Seconds for one request with its retries; None: 120, and 300 for a server or program on this
            machine, which may first have to load its model.
        max_output_tokens: Bound on each reply, thinking included; None: by the request, raised where a model
            uses it up with thinking.
        api_key: A key from a prompt; None: the environment's.
        then: For a replay: the provider from the first difference on.
        ask: For ``manual``: shows a prompt, returns the pasted answer; None: the terminal.
        runs: For a replay by a run's name: where runs are kept.
        needs_key: False for a run that is only planned: a missing key is no error then, and a third party's
            provider, which may look for its own, is not made.

    Raises:
        InputError: The spec is unknown or incomplete, there is no key, the address is none, or a limit on
            money has no price.
        MissingExtraError: The provider's SDK is not installed.
    """
    if deadline is not None and not deadline > 0:
        raise InputError(f"--llm-timeout {deadline!r} is out of range.", "Allowed: seconds above 0.")
    provider: Provider | BaseProvider = (
        spec
        if not isinstance(spec, str)
        else _make(spec, _Options(base_url, timeout, deadline, api_key, ask, runs, needs_key), then)
    )
    return RecordingProvider(
        provider, transcript, budget, deadline=deadline, max_output_tokens=max_output_tokens
    )


def check_key(spec: str, base_url: str | None = None) -> None:
    """Raise InputError, one line, if the provider has no key or no usable address.

    To be called before anything is fitted.
    """
    parsed = parse(spec)
    if parsed.name == "replay":
        after = replay_options(parsed.model).then
        if after:
            check_key(after, base_url)
        return
    if parsed.name == "command":
        from sllmbo_magic.llm.providers.command import split_command

        split_command(parsed.model)
        return
    source = SOURCES.get(parsed.name)
    _require_sdk(parsed.name)
    if source and source.required and find_key(parsed.name) is None and not _sdk_has_key(parsed.name):
        raise missing_key(parsed.name)
    _url_of(parsed.name, base_url)


def list_providers() -> list[ProviderInfo]:
    """All providers, with what is configured; asks no server."""
    infos = [ProviderInfo("rulebook", "expert rules, no LLM, no network", True, "nothing to configure")]
    for name, description in _DESCRIPTIONS.items():
        if name == "command":
            infos.append(ProviderInfo(name, description, True, "the program has its own key"))
            continue
        if name not in SOURCES:
            infos.append(ProviderInfo(name, description, True, "nothing to configure"))
            continue
        source = SOURCES[name]
        missing = _missing_sdk(name)
        variable = next((v for v in source.variables if os.environ.get(v, "").strip()), None)
        if missing:
            how, ready = f'pip install "sllmbo-magic[{missing}]"', False
        elif variable:
            how, ready = f"key found in {variable}", True
        elif not source.required:
            how, ready = f"no key needed (else set {source.variables[0]})", True
        elif source.sdk and os.environ.get(source.sdk, "").strip():
            how, ready = f"key found in {source.sdk}", True
        else:
            how, ready = f"set {' or '.join(source.variables)}", find_key(name) is not None
            how += ", or log in with the SDK's own tool" if source.sdk else ""
        if name == "openai-compatible":
            how += f"; give the server with --base-url or {_URL_VARIABLES[name]}"
        infos.append(ProviderInfo(name, description, ready, how))
    infos += [
        ProviderInfo(n, f"from {e.value}", True, "see its documentation") for n, e in _third_parties().items()
    ]
    return infos


@dataclass(frozen=True)
class ReplayOptions:
    """What stands after ``replay:``, for example ``PATH?strict&then=openai:gpt-4o``.

    Attributes:
        path: A run's name, its folder, its transcript, or a saved result.
        strict: Whether every character of a request must be as recorded.
        then: The provider from the first difference on; "" for none.
    """

    path: str
    strict: bool = False
    then: str = ""


def replay_options(text: str) -> ReplayOptions:
    """The parts of what stands after ``replay:``.

    Raises:
        InputError: An option is not known.
    """
    match = re.search(r"\?(?=strict(?:&|$)|then=)", text)
    if match is None:
        return ReplayOptions(text)
    path, options = text[: match.start()], text[match.end() :]
    strict, then = False, ""
    while options:
        if options.startswith("then="):  # takes all that follows: a command may hold an "&"
            then, options = options.removeprefix("then="), ""
            then, strict = (
                (then.removesuffix("&strict"), True) if then.endswith("&strict") else (then, strict)
            )
        else:
            option, _, options = options.partition("&")
            if option != "strict":
                raise InputError(f"replay has no option {option!r}.", "Allowed: replay:PATH?strict&then=LLM")
            strict = True
    return ReplayOptions(path, strict, then)


@dataclass(frozen=True)
class _Options:
    base_url: str | None
    timeout: float | None
    deadline: float | None
    api_key: str | None = field(repr=False)
    ask: Callable[[str], str] | None
    runs: str | os.PathLike[str]
    needs_key: bool = True


def _make(text: str, options: _Options, then: str | None = None) -> BaseProvider:
    spec = parse(text)
    if spec.name == "replay":
        from sllmbo_magic.llm.providers.replay import ReplayProvider

        replay = replay_options(spec.model)
        after = replay.then or then or ""
        live = _make(after, options) if after else None
        return ReplayProvider(replay.path, live, strict=replay.strict, runs=options.runs)
    if spec.name == "manual":
        from sllmbo_magic.llm.providers.manual import ManualProvider
        from sllmbo_magic.llm.providers.manual import ask_in_terminal

        return ManualProvider(ask_in_terminal if options.ask is None else options.ask)
    if spec.name == "command":
        from sllmbo_magic.llm.providers.command import CommandProvider

        deadline = options.deadline or LOCAL_DEADLINE
        provider: BaseProvider = CommandProvider(spec.model, timeout=options.timeout or deadline)
    else:
        url = _url_of(spec.name, options.base_url)
        deadline = options.deadline or (LOCAL_DEADLINE if url and is_loopback(url) else DEADLINE)
        provider = _with_server(spec, url, options, options.timeout or deadline)
    provider.deadline = deadline
    return provider


def _with_server(spec: Spec, url: str | None, options: _Options, timeout: float) -> BaseProvider:
    if spec.name not in SOURCES:
        make = _third_parties()[spec.name].load()
        if not options.needs_key:
            return _Planned(str(spec))
        return complete_provider(make(spec.model, base_url=url, api_key=options.api_key, timeout=timeout))
    _require_sdk(spec.name)
    key = find_key(spec.name, options.api_key)
    if options.needs_key and key is None and SOURCES[spec.name].required and not _sdk_has_key(spec.name):
        raise missing_key(spec.name)
    if spec.name == "anthropic":
        from sllmbo_magic.llm.providers.anthropic import AnthropicProvider

        return AnthropicProvider(spec.model, key=key, base_url=url, timeout=timeout)
    from sllmbo_magic.llm.providers.openai import OpenAIProvider

    return OpenAIProvider(spec.model, name=spec.name, key=key, base_url=url, timeout=timeout)


class _Planned(BaseProvider):
    """The place of a third party's provider in a run that is only planned."""

    def __init__(self, id: str) -> None:
        self.id = id


_URL_VARIABLES = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "openai-compatible": "OPENAI_COMPATIBLE_BASE_URL",
}


def _url_of(name: str, base_url: str | None) -> str | None:
    """The server's checked address; None leaves it to the SDK."""
    if base_url is not None:
        return check_base_url(base_url)
    if name == "gemini":
        return GEMINI_URL
    if name == "ollama":
        return ollama_url()
    variable = _URL_VARIABLES.get(name, "")
    if os.environ.get(variable, "").strip():
        return check_base_url(os.environ[variable], variable)
    if name == "openai-compatible":
        raise InputError(
            "openai-compatible needs the server's address.",
            f"Write --base-url http://localhost:8000/v1 (base_url= of tune), or set {variable}.",
        )
    return None


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
    entries = sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name)
    return {entry.name: entry for entry in entries if entry.name not in (*_DESCRIPTIONS, *NO_LLM)}
